"""A world: anything an action can be applied to. Simulator, learned model and robot differ in cost, fidelity, risk."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from roboscale.core.episode import Outcome
from roboscale.core.policy import Observation, Policy
from roboscale.core.seeds import derive_seed
from roboscale.core.spec import Spec

__all__ = [
    "Capabilities",
    "Case",
    "CaseSplit",
    "HasExpert",
    "HasPictures",
    "Step",
    "SuccessRule",
    "World",
    "WorldKind",
    "cases",
]


WorldKind = Literal["simulated", "learned", "real"]


@dataclass(frozen=True, slots=True, order=True)
class Case:
    """Task, scene and seed: the same case under two policies is what a paired comparison pairs."""

    task: str
    seed: int
    scene: str = "default"

    @property
    def id(self) -> str:
        return f"{self.task}/{self.scene}/{self.seed}"


CaseSplit = Literal["collect", "generate", "eval"]


def cases(task: str, count: int, seed: int, split: CaseSplit, first: int = 0) -> tuple[Case, ...]:
    """`count` cases of a task whose seeds are disjoint between splits (up to a hash collision in 2**31)."""
    return tuple(Case(task, derive_seed("case", split, seed, task, i)) for i in range(first, first + count))


@dataclass(frozen=True, slots=True)
class SuccessRule:
    """When success counts: `first` time it holds, at the `end`, or held for `hold` consecutive steps."""

    kind: Literal["first", "end", "hold"] = "first"
    hold: int = 1

    def finishes(self, streak: int) -> bool:
        """Whether the episode ends now, when success has held for the last `streak` steps."""
        return {"first": streak >= 1, "end": False, "hold": streak >= self.hold}[self.kind]

    def succeeded(self, streak: int) -> bool:
        """Whether an episode that stops now is a success."""
        return streak >= (self.hold if self.kind == "hold" else 1)

    def __str__(self) -> str:
        return f"hold {self.hold}" if self.kind == "hold" else self.kind


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a world can do besides stepping."""

    object_poses: bool = False
    contacts: bool = False
    save_restore: bool = False
    rendering: bool = False
    deterministic: bool = False
    expert: bool = False

    def to_json(self) -> dict[str, bool]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Step:
    """What one action did.

    Args:
        applied: the action after clipping, shape (D,).
        clipped: whether it had to be clipped.
        reward: the environment's own reward; `None` where it has none.
        success: whether the task's condition holds now.
        terminated, truncated: as in Gymnasium. Under the rule `first`, success terminates.
    """

    applied: NDArray[np.floating[Any]]
    clipped: bool
    reward: float | None
    success: bool
    terminated: bool
    truncated: bool


class World(Protocol):
    """Anything an action can be applied to.

    `observe` is separate from `step` because looking costs ten times what moving does: a policy that executes
    eight actions of a chunk pays for one picture.
    """

    name: str
    kind: WorldKind
    version: str
    embodiment: str
    tasks: Sequence[str]
    observation_spec: Spec
    action_spec: Spec
    capabilities: Capabilities
    success_rule: SuccessRule
    horizon: int

    def instruction(self, task: str) -> str:
        """What is asked of a policy, a sentence; UnknownName for a task that is not there."""

    def reset(self, case: Case) -> None:
        """Sets up the case; the same case gives the same bytes where `deterministic`."""

    def observe(self, names: Collection[str] | None = None) -> Observation:
        """The named fields of `observation_spec` now; all by default. Images are HWC uint8 RGB."""

    def step(self, action: NDArray[Any]) -> Step:
        """Applies one action, shape (D,); PolicyError when it is none."""

    def outcome(self) -> Outcome:
        """How the episode stands or ended, damage included."""

    def close(self) -> None:
        """Gives back renderers, motors, processes."""


@runtime_checkable
class HasExpert(Protocol):
    """A world that brings a policy known to solve its tasks."""

    def expert(self) -> Policy: ...


@runtime_checkable
class HasPictures(Protocol):
    """A world that can show itself to people, apart from what a policy sees."""

    def picture(self, width: int, height: int) -> NDArray[np.uint8]:
        """One HWC uint8 RGB picture of the scene now."""
