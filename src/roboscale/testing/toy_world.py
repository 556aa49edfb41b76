"""A world small enough to know every answer: a point on a line that has to reach a goal.

For tests of what runs worlds. It can be told to break on chosen seeds, as real infrastructure does.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from roboscale.core import (
    ActionChunk,
    Capabilities,
    Case,
    Damage,
    Field,
    InfrastructureError,
    Observation,
    Outcome,
    Session,
    Spec,
    Step,
    SuccessRule,
    UnknownName,
    WorldKind,
    check_action,
    generator,
)

__all__ = ["Fault", "ToyExpert", "ToyWorld"]

Fault = Literal["void", "raise", "die", "hang"]

_STATE = Field("observation.state", (2,), "float32", "m", "world", ("point.x", "goal.x"))
_TIME = Field("time.observation_ns", (1,), "int64", "ns")
_IMAGE = Field("observation.images.front", (16, 16, 3), "uint8", layout=("height", "width", "channel"))
_ACTION = Field("action", (1,), "float32", "m", "world", ("dx",), "relative to state", low=(-0.1,), high=(0.1,))


class ToyWorld:
    """Two tasks, `near` and `far`; the case's seed places the goal.

    Args:
        faults: seed -> what breaks at the third step: an InfrastructureError, another exception, the process, or
            nothing ever again.
    """

    name = "toy"
    kind: WorldKind = "simulated"
    version = "1"
    embodiment = "point"
    tasks: Sequence[str] = ("near", "far")
    observation_spec = Spec((_STATE, _TIME, _IMAGE), 10.0)
    action_spec = Spec((_ACTION,), 10.0)
    capabilities = Capabilities(deterministic=True, rendering=True, expert=True)
    success_rule = SuccessRule()

    def __init__(self, faults: Mapping[int, Fault] | None = None, horizon: int = 20) -> None:
        self.faults, self.horizon = dict(faults or {}), horizon

    def instruction(self, task: str) -> str:
        if task not in self.tasks:
            raise UnknownName("task of toy", task, self.tasks)
        return f"move the point to the {task} goal"

    def expert(self) -> ToyExpert:
        return ToyExpert()

    def reset(self, case: Case) -> None:
        self.instruction(case.task)
        self._case, self._steps, self._clipped, self._x = case, 0, 0, 0.0
        reach = 0.4 if case.task == "near" else 1.0
        self._goal = float(generator("toy", case.seed).uniform(0.3, reach))

    def observe(self, names: Collection[str] | None = None) -> Observation:
        level = np.uint8(np.clip(abs(self._goal - self._x), 0, 1) * 255)
        every: dict[str, NDArray[Any]] = {
            _STATE.name: np.array([self._x, self._goal], np.float32),
            _TIME.name: np.array([self._steps * 100_000_000], np.int64),
            _IMAGE.name: np.full(_IMAGE.shape, level, np.uint8),
        }
        return {name: every[name] for name in (every if names is None else names)}

    def picture(self, width: int, height: int) -> NDArray[np.uint8]:
        return np.full((height, width, 3), 128, np.uint8)

    def step(self, action: NDArray[Any]) -> Step:
        applied, clipped = check_action(action, _ACTION)
        self._steps += 1
        if self._steps == 3 and self._case.seed in self.faults:
            self._break(self.faults[self._case.seed])
        self._x += float(applied[0])
        self._clipped += clipped
        success = abs(self._x - self._goal) < 0.05
        return Step(applied, clipped, None, success, success, not success and self._steps >= self.horizon)

    def _break(self, fault: Fault) -> None:
        if fault == "void":
            raise InfrastructureError("the toy's motor is off")
        if fault == "raise":
            raise ZeroDivisionError("the toy is wrong")
        if fault == "die":
            os._exit(7)
        threading.Event().wait()

    def outcome(self) -> Outcome:
        success = abs(self._x - self._goal) < 0.05
        reason = "" if success else f"no success within {self.horizon} steps"
        return Outcome(
            "success" if success else "failure",
            reason,
            1.0 if success else 0.0,
            self._steps,
            success,
            not success,
            Damage(clipped_steps=self._clipped),
        )

    def close(self) -> None:
        """Nothing to give back."""


class ToyExpert:
    """Walks to the goal."""

    name = "expert"
    observation_spec: Spec | None = Spec((_STATE,), 10.0)
    action_spec: Spec | None = Spec((_ACTION,), 10.0)

    def start(self, instruction: str, seed: int) -> Session:
        def act(observation: Observation) -> ActionChunk:
            x, goal = observation[_STATE.name]
            return ActionChunk(np.clip(np.array([[goal - x]], np.float32), -0.1, 0.1))

        return act
