"""A world small enough to know every answer, for tests of what runs worlds: a point on a line has to reach a goal.

It breaks on chosen seeds as real infrastructure does, counts what is looked at and what is still open, and can be told
to want a person as its judge, to run on the wall clock, or to have no way of keeping still.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from roboscale.core import (
    ActionChunk,
    Case,
    Field,
    InfrastructureError,
    Measure,
    Observation,
    RoboscaleError,
    Session,
    Spec,
    Step,
    WorldInfo,
    combine,
    generator,
)

Fault = Literal["void", "raise", "die", "hang"]

STATE = Field("observation.state", (2,), "float32", unit="m", frame="world", layout=("point.x", "goal.x"))
TIME = Field("time.observation_ns", (1,), "int64", unit="ns")
IMAGE = Field("observation.images.front", (16, 16, 3), "uint8", layout=("height", "width", "channel"))
ACTION = Field(
    "action",
    (1,),
    "float32",
    unit="m",
    frame="world",
    layout=("dx",),
    mode="relative to state",
    low=(-0.1,),
    high=(0.1,),
)
RATE_HZ = 10.0

HANG_MARKS = "TOY_HANG_MARKS"
"""Environment variable with a file that grows by one byte whenever a toy begins to hang: a test's clock runs by it."""

NEAR_M = 0.05
"""How near the goal is a success."""


class ToyWorld:
    """Two tasks, `near` and `far`; the case's seed places the goal. Success also terminates it.

    Args:
        faults: seed -> what breaks at the third step: an InfrastructureError, another exception, the process, or
            nothing ever again.
        start_faults: the same, when a scene is started.
        judged: whether it measures success; otherwise somebody else has to say, and nothing terminates.
        past_success: whether it can be stepped on after success.
        scenes: how many may be open at once.

    Attributes:
        looks: field -> how often it was observed, in all scenes.
        started: cases that were started, in order.
        open: scenes that are not closed.
    """

    def __init__(
        self,
        faults: Mapping[int, Fault] | None = None,
        horizon: int = 20,
        *,
        start_faults: Mapping[int, Fault] | None = None,
        judged: bool = True,
        pace: Literal["simulated", "wall"] = "simulated",
        hold: tuple[float, ...] | None = (0.0,),
        past_success: bool = False,
        scenes: int | None = None,
    ) -> None:
        self.faults, self.start_faults = dict(faults or {}), dict(start_faults or {})
        self.judged = judged
        self.looks: Counter[str] = Counter()
        self.started: list[Case] = []
        self.open: list[ToyScene] = []
        success = (Measure(name="success", unit="bool", series=True),) if judged else ()
        self.info = WorldInfo(
            name="toy",
            kind="simulated",
            version="1",
            identity=combine("toy", 1, judged, past_success),  # not what is broken today
            embodiment="point",
            tasks={task: f"move the point to the {task} goal" for task in ("near", "far")},
            observation_spec=Spec((STATE, TIME, IMAGE), RATE_HZ),
            action_spec=Spec((ACTION,), RATE_HZ),
            horizon=horizon,
            measures=(
                *success,
                Measure(name="progress", series=True),
                Measure(name="overshoot", unit="m", about="damage"),
                Measure(name="peak_force", unit="N", about="damage"),  # it feels nothing: always None
            ),
            variations=("light",),
            deterministic=True,
            pictures=True,
            expert=True,
            scenes=scenes,
            pace=pace,
            hold=hold,
            past_success=past_success,
        )

    def start(self, case: Case) -> ToyScene:
        self.info.require(case)
        if self.info.scenes is not None and len(self.open) >= self.info.scenes:
            raise RoboscaleError(f"the toy runs {self.info.scenes} scenes at once, and {len(self.open)} are open")
        if case.seed in self.start_faults:
            break_down(self.start_faults[case.seed])
        self.started.append(case)
        self.open.append(ToyScene(self, case))
        return self.open[-1]

    def expert(self) -> ToyExpert:
        return ToyExpert()

    def close(self) -> None:
        """Nothing to give back."""


class ToyScene:
    """The point, its goal, and what was done."""

    def __init__(self, world: ToyWorld, case: Case) -> None:
        self.world, self.case = world, case
        self.steps, self.x, self.overshoot = 0, 0.0, 0.0
        self.goal = float(generator("toy", case.seed).uniform(0.3, 0.4 if case.task == "near" else 1.0))
        self.dim = 1 if case.variation == "nominal" else 1 + int(case.variation.partition(":")[2])

    @property
    def success(self) -> bool:
        return abs(self.x - self.goal) < NEAR_M

    def observe(self, names: Collection[str] | None = None) -> Observation:
        level = int(np.clip(abs(self.goal - self.x), 0, 1) * 255) // self.dim
        every: dict[str, NDArray[Any]] = {
            STATE.name: np.array([self.x, self.goal], np.float32),
            TIME.name: np.array([self.steps * 100_000_000], np.int64),
            IMAGE.name: np.full(IMAGE.shape, level, np.uint8),
        }
        wanted = list(every) if names is None else list(names)
        for name in wanted:
            self.world.info.observation_spec[name]  # UnknownName
            every[name].flags.writeable = False
        self.world.looks.update(wanted)
        return {name: every[name] for name in wanted}

    def step(self, action: NDArray[Any]) -> Step:
        if self.steps and self.success and self.world.judged and not self.world.info.past_success:
            raise RuntimeError("the toy was stepped after its end")
        self.steps += 1
        if self.steps == 3 and self.case.seed in self.world.faults:
            break_down(self.world.faults[self.case.seed])
        self.x += float(action[0])
        self.overshoot = max(self.overshoot, self.x - self.goal)
        return Step(terminated=self.world.judged and self.success)

    def measures(self) -> dict[str, float | None]:
        progress = 1 - min(abs(self.goal - self.x) / self.goal, 1.0)
        measured = {"progress": progress, "overshoot": self.overshoot, "peak_force": None}
        return {"success": float(self.success), **measured} if self.world.judged else measured

    def picture(self, width: int, height: int) -> NDArray[np.uint8]:
        return np.full((height, width, 3), 128, np.uint8)

    def close(self) -> None:
        self.world.open.remove(self)


def break_down(fault: Fault) -> None:
    if fault == "void":
        raise InfrastructureError("the toy's motor is off")
    if fault == "raise":
        raise ZeroDivisionError("the toy is wrong")
    if fault == "die":
        os._exit(7)
    marks = os.environ.get(HANG_MARKS)
    if marks:
        with Path(marks).open("a") as file:
            file.write("h")
    threading.Event().wait()


class ToyExpert:
    """Walks to the goal."""

    name = "expert"
    identity = combine("expert", "toy", 1)
    history = 1
    observation_spec: Spec | None = Spec((STATE,), RATE_HZ)
    action_spec: Spec | None = Spec((ACTION,), RATE_HZ)

    def start(self, instruction: str, seed: int) -> Session:
        def act(observation: Observation) -> ActionChunk:
            x, goal = observation[STATE.name]
            return ActionChunk(np.clip(np.array([[goal - x]], np.float32), -0.1, 0.1))

        return act
