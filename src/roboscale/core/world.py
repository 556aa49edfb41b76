"""A world: anything an action can be applied to. Simulator, learned model and robot differ in cost, fidelity, risk.

A world has no opinion. It shows (`observe`), moves (`step`) and measures (`measures`); who says whether that was a
success is a `Referee`, and how long an episode lasts, what is clipped and how fast it goes belongs to the rollout.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from roboscale.core.case import NOMINAL, Case
from roboscale.core.errors import BadData, UnknownName
from roboscale.core.identity import Identity
from roboscale.core.policy import Observation, Policy
from roboscale.core.referee import SuccessRule
from roboscale.core.seeds import generator
from roboscale.core.spec import Spec

__all__ = [
    "ROLLOUT_COUNTS",
    "RULE_MEASURES",
    "BatchedWorld",
    "HasExpert",
    "HasHold",
    "HasPictures",
    "HasSuccessTerms",
    "Measure",
    "Measures",
    "Scene",
    "Step",
    "World",
    "WorldInfo",
    "WorldKind",
]

WorldKind = Literal["simulated", "learned", "real"]

Measures = Mapping[str, float | None]
"""Name -> value now; `None` where it could not be measured, never 0. Booleans are 0 and 1."""


RULE_MEASURES = ("success", "progress")
"""The measures that a rule reads over the whole episode, so that their series are always kept."""


ROLLOUT_COUNTS = ("clipped", "held", "late")
"""Steps that the rollout counts beside what a world measures: a measure of such a name would be lost among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One thing that a world measures.

    Args:
        name: e.g. `success`, `progress`, `reward`, `peak_force`, `dropped`.
        unit: SI unit; `1` for a pure number, `bool` for 0 or 1, `step` for a count of control steps.
        about: `task` for what referees read, `damage` for what would have broken.
        series: whether its value after every step is kept with the trial, not only the last. Of `success` and
            `progress` (`RULE_MEASURES`) it always is: a rule judges the whole episode.
    """

    name: str
    unit: str = "1"
    about: Literal["task", "damage"] = "task"
    series: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldInfo:
    """Everything there is to know of a world without a renderer, a motor or a reset.

    Args:
        name: what people call it.
        version: of the simulator, model or driver, for people.
        identity: digest of all that can change a result: versions, arguments, declarations, camera sizes, code.
        embodiment: robot, e.g. `sawyer`.
        tasks: task -> what is asked of a policy, a sentence.
        observation_spec, action_spec: what is seen and taken; their rate is the control rate (Hz).
        horizon: control steps after which an episode is cut, unless the rollout says otherwise.
        rule: when success counts, unless the rollout says otherwise.
        measures: what `Scene.measures` gives. A referee that knows success by rule needs one named `success`.
        starts: kinds of `Case.start` that it can set up.
        variations: axes of `Case.variation` that it can do.
        deterministic: the same case and actions give the same bytes.
        pictures: whether it can show itself to people (`HasPictures`).
        expert: whether it brings a policy known to solve its tasks (`HasExpert`).
        scenes: how many scenes may run at once in one world; `None` for any number.
        pace: `simulated` goes as fast as it can, `wall` at its rate.
        hold: the action that keeps still while a policy thinks, (D,); `None` where there is none.
        past_success: whether it can be stepped on after its own termination at success.
        cost, risk: what a trial costs and may break, for people.
        wordings: task -> level -> the same asked in other words, for the variation `paraphrase:LEVEL`.
        listed: task -> the starts that there are, where these are no more than somebody recorded; empty where any
            seed will do. Of a listed episode every frame is a start.
    """

    name: str
    kind: WorldKind
    version: str
    identity: Identity
    tasks: Mapping[str, str]
    observation_spec: Spec
    action_spec: Spec
    horizon: int
    embodiment: str = ""
    rule: SuccessRule = field(default_factory=SuccessRule)
    measures: tuple[Measure, ...] = ()
    starts: tuple[str, ...] = ("seed",)
    variations: tuple[str, ...] = ()
    deterministic: bool = False
    pictures: bool = False
    expert: bool = False
    scenes: int | None = 1
    pace: Literal["simulated", "wall"] = "simulated"
    hold: tuple[float, ...] | None = None
    past_success: bool = False
    cost: str = ""
    risk: str = ""
    wordings: Mapping[str, Mapping[int, tuple[str, ...]]] = field(default_factory=dict)
    listed: Mapping[str, tuple[int | str, ...]] = field(default_factory=dict)

    @property
    def rate_hz(self) -> float:
        """Control rate."""
        return self.observation_spec.rate_hz

    def instruction(self, task: str) -> str:
        """What is asked of a policy, a sentence; UnknownName for a task that is not there."""
        if task not in self.tasks:
            raise UnknownName(f"task of {self.name}", task, self.tasks)
        return self.tasks[task]

    def sentence(self, case: Case) -> str:
        """What a policy is told in a case: the instruction, or where its variation is `paraphrase:LEVEL`, one of the
        wordings of that level, the same for whoever is asked."""
        levels = [part.partition(":")[2] for part in case.variation.split(",") if part.startswith("paraphrase:")]
        worded = self.wordings.get(case.task, {})
        if not levels or not worded:
            return self.instruction(case.task)
        level = min(worded, key=lambda known: abs(known - float(levels[0])))
        rng = generator("paraphrase", case.task, str(case.start))
        return worded[level][int(rng.integers(len(worded[level])))]

    def require(self, case: Case) -> None:
        """Nothing, or an error that says what the world has instead. Every world asks it first in `start`.

        Raises:
            UnknownName: a task, an axis of the variation or a kind of start that is not there.
            BadData: a negative seed, or a variation that is not `axis:level,axis:level`.
        """
        self.instruction(case.task)
        if case.kind not in self.starts:
            raise UnknownName(f"start of {self.name}", str(case.start), [f"a {kind}" for kind in self.starts])
        if case.seed is not None and case.seed < 0:
            raise BadData(f"case {case.id}", "start", "a seed from 0 up", case.seed)
        for part in () if case.variation == NOMINAL else case.variation.split(","):
            axis, _, level = part.partition(":")
            if axis not in self.variations:
                raise UnknownName(f"variation of {self.name}", part, [NOMINAL, *self.variations])
            if not level:
                raise BadData(f"case {case.id}", "variation", f"{axis}:LEVEL", part)

    def measures_about(self, what: Literal["task", "damage"]) -> tuple[str, ...]:
        """Names of the measures about `task` or `damage`."""
        return tuple(m.name for m in self.measures if m.about == what)


@dataclass(frozen=True, slots=True)
class Step:
    """What one action did.

    Args:
        terminated, truncated: the world itself ended the episode, as in Gymnasium; neither means success.
        applied: what was really sent, (D,), where that is not the action: a guard or a driver changed it.
    """

    terminated: bool = False
    truncated: bool = False
    applied: NDArray[Any] | None = None


class Scene(Protocol):
    """One case being run. `observe` is apart from `step` because looking costs ten times what moving does."""

    def observe(self, names: Collection[str] | None = None) -> Observation:
        """The named fields of the observation spec now; all by default. Images are HWC uint8 RGB."""

    def step(self, action: NDArray[Any]) -> Step:
        """Applies one action, shape (D,), finite and within its bounds.

        Raises:
            InfrastructureError: the robot, its driver or the simulator broke: the trial is void.
        """

    def measures(self) -> Measures:
        """Every measure of the world's `info`, as it stands."""

    def close(self) -> None:
        """Ends the episode; a robot holds still. Called once, whatever happened."""


class World(Protocol):
    """Anything an action can be applied to. Made without cost; what is expensive begins with the first scene."""

    @property
    def info(self) -> WorldInfo: ...

    def start(self, case: Case) -> Scene:
        """Sets the case up; the same case gives the same bytes where `deterministic`.

        Raises:
            UnknownName: a task, variation or kind of start that the world does not have.
            InfrastructureError: the robot or the simulator cannot be reached.
        """

    def close(self) -> None:
        """Gives back renderers, motors, processes."""


@runtime_checkable
class BatchedWorld(Protocol):
    """A world whose scenes share one model: a learned world, a batched simulator.

    `--worlds n` asks for n scenes in one process; they are then stepped by this, and never by `Scene.step`.
    """

    def step_many(self, scenes: Sequence[Scene], actions: Sequence[NDArray[Any]]) -> list[Step]:
        """One `Step` for each scene, in their order; the same as stepping each by itself.

        What it raises is taken to have broken all of these scenes: their trials are void, and tried again.
        """


@runtime_checkable
class HasExpert(Protocol):
    """A world that brings a policy known to solve its tasks."""

    def expert(self) -> Policy: ...


@runtime_checkable
class HasHold(Protocol):
    """A scene that keeps still by another action at every place: an arm that is sent to joint positions."""

    def hold_action(self) -> NDArray[Any]:
        """The action that keeps still now, (D,); instead of the `hold` of the world's `info`."""


@runtime_checkable
class HasSuccessTerms(Protocol):
    """A world that can say what its measure `success` is computed from."""

    def success_terms(self, task: str) -> Mapping[str, str]:
        """What is looked at -> the condition on it, e.g. `obj_to_target` -> `obj_to_target <= 0.07`."""


@runtime_checkable
class HasPictures(Protocol):
    """A scene that can show itself to people, apart from what a policy sees."""

    def picture(self, width: int, height: int) -> NDArray[np.uint8]:
        """One HWC uint8 RGB picture of the scene now."""
