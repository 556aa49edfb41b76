"""A learned world: policies act in what was learned from recorded episodes. A `World` like any other.

Scenes share one model (`step_many`) and begin where a recorded episode was: at its first frame, named by the seed that
it was recorded on or by its id, or at any later one. What is shown is what was recorded; what success is, a judge
says, which is handed in. An episode ends (`truncated`) where what is imagined leaves its
validated range.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Case, Identity, Measure, Observation, Step, WorldInfo, combine
from roboscale.core import Field as ArrayField
from roboscale.core.spec import Spec
from roboscale.worlds.learned.checkpoint import WorldManifest
from roboscale.worlds.learned.starts import RecordedStarts
from roboscale.worlds.learned.twin import Imagined, StateTwin

__all__ = ["JudgesStates", "LearnedScene", "LearnedWorld"]

Floats = NDArray[np.float64]
REVISION = 1  # of this room: raised when the code changes what is imagined or measured
TIME = "time.observation_ns"
WINDOW = 10
"""Steps over which the residual is averaged before it may end an episode."""

MEASURES = (
    Measure(name="success", unit="bool", series=True),
    Measure(name="progress", series=True),
    Measure(name="success_probability", series=True),
    Measure(name="outside_data"),
    Measure(name="ensemble_spread"),
    Measure(name="action_residual"),
    Measure(name="left_range", unit="bool"),
)
"""What the judge says, and how far what is imagined can be trusted: the share of states outside of the data, the mean
disagreement of the members in typical steps, the largest residual of the action read back, and whether it ended for
that."""


class JudgesStates(Protocol):
    """Who says what a state is worth."""

    @property
    def identity(self) -> Identity: ...

    def read(self, states: Floats, task: NDArray[np.intp]) -> tuple[Floats, Floats]:
        """(B,) probability of success and (B,) progress of states (B, S) of tasks (B,)."""


class LearnedWorld:
    """Any number of scenes over one state twin.

    Args:
        name: what people call it.
        manifest: what it says of itself.
        twin: the dynamics.
        judge: who says what is a success.
        starts: where episodes may begin.
        notes: what was assumed or left out, one line each.
    """

    def __init__(
        self,
        name: str,
        manifest: WorldManifest,
        twin: StateTwin,
        judge: JudgesStates,
        starts: RecordedStarts,
        *,
        notes: Sequence[str] = (),
    ) -> None:
        self.manifest, self.twin, self.judge, self.starts = manifest, twin, judge, starts
        self.notes = tuple(notes)
        self._name = name
        self.tasks = tuple(manifest.tasks)

    @cached_property
    def info(self) -> WorldInfo:
        """Of the manifest; its identity is that of weights, judge and starts."""
        manifest = self.manifest
        weights = {**self.twin.nets.arrays("dynamics"), **self.twin.inverse.arrays("inverse")}
        identity = combine(
            self._name,
            "learned",
            REVISION,
            manifest.decides,
            weights,
            self.twin.support,
            self.judge.identity,
            self.starts.identity,
        )
        time = ArrayField(TIME, (1,), "int64", unit="ns")
        return WorldInfo(
            name=self._name,
            kind="learned",
            version=f"state twin {identity.short}",
            identity=identity,
            embodiment=manifest.embodiment,
            tasks=manifest.tasks,
            observation_spec=Spec((*manifest.observed.fields, time), manifest.observed.rate_hz),
            action_spec=manifest.acted,
            horizon=manifest.horizon,
            rule=manifest.success_rule,
            measures=MEASURES,
            starts=("seed", "episode"),
            deterministic=True,
            pictures=True,
            scenes=None,
            past_success=True,
            listed=self.starts.listed,
        )

    def start(self, case: Case) -> LearnedScene:
        """The scene at the recorded frame that a case names.

        Raises:
            UnknownName: no such task, seed, episode or frame.
        """
        self.info.require(case)
        now, before = self.starts.at(case)
        return LearnedScene(self, now, before, self.tasks.index(case.task))

    def step_many(self, scenes: Sequence[LearnedScene], actions: Sequence[NDArray[Any]]) -> list[Step]:
        """One step of each, the same bits as stepping each by itself."""
        now, before = np.stack([s.state for s in scenes]), np.stack([s.before for s in scenes])
        given = np.stack([np.asarray(a, np.float64) for a in actions])
        task = np.array([s.task for s in scenes])
        done = self.twin.step(now, before, given, task)
        probability, progress = self.judge.read(done.states, task)
        return [
            scene.moved(done, row, float(probability[row]), float(progress[row])) for row, scene in enumerate(scenes)
        ]

    def close(self) -> None:
        """Nothing to give back."""


class LearnedScene:
    """One imagined episode."""

    def __init__(self, world: LearnedWorld, now: Floats, before: Floats, task: int) -> None:
        self.state, self.before, self.task = now, before, task
        self._world, self._steps, self._outside = world, 0, 0
        self._spread, self._worst = 0.0, 0.0
        self._recent: list[float] = []
        self._left = False
        self._said: tuple[float, float] | None = None

    def observe(self, names: Collection[str] | None = None) -> Observation:
        """The recorded fields, imagined; UnknownName for one that is not there."""
        spec, slices = self._world.info.observation_spec, self._world.starts.slices
        seen: dict[str, NDArray[Any]] = {}
        for name in spec.names if names is None else names:
            field = spec[name]
            if name == TIME:
                seen[name] = np.array([round(self._steps * 1e9 / spec.rate_hz)], np.int64)
            else:
                seen[name] = self.state[slices[name]].reshape(field.shape).astype(field.dtype)
        return seen

    def step(self, action: NDArray[Any]) -> Step:
        """One imagined step."""
        return self._world.step_many([self], [action])[0]

    def moved(self, done: Imagined, row: int, probability: float, progress: float) -> Step:
        """Takes over one row of a step of many. Called by the world."""
        self.before, self.state = self.state, done.states[row]
        self._steps += 1
        self._outside += int(done.away[row] > 1)
        self._spread += float(done.spread[row])
        self._recent = [*self._recent[1 - WINDOW :], float(done.residual[row])]
        if len(self._recent) == WINDOW:
            self._worst = max(self._worst, sum(self._recent) / WINDOW)
        self._left = self._left or self._worst > self._world.manifest.limit
        self._said = (probability, progress)
        return Step(truncated=self._left)

    def measures(self) -> Mapping[str, float | None]:
        """As `MEASURES` says; `None` before the first step."""
        if self._said is None:
            return {measure.name: None for measure in MEASURES}
        probability, progress = self._said
        return {
            "success": float(probability >= 0.5),
            "progress": progress,
            "success_probability": probability,
            "outside_data": self._outside / self._steps,
            "ensemble_spread": self._spread / self._steps,
            "action_residual": self._worst,
            "left_range": float(self._left),
        }

    def picture(self, width: int, height: int) -> NDArray[np.uint8]:
        """A drawing from above for people: the points of the state in x and y."""
        from roboscale.worlds.learned.drawing import draw_points

        return draw_points(self._world.twin.frame, self.state, width, height)

    def close(self) -> None:
        """Nothing to give back."""
