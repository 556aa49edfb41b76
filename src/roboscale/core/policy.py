"""A policy: what chooses actions. All state lives in its session, so there is no reset to forget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any, Final, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from roboscale.core.errors import PolicyError
from roboscale.core.identity import Identity
from roboscale.core.spec import Field, Spec

__all__ = [
    "PENDING",
    "ActionCheck",
    "ActionChunk",
    "BatchedPolicy",
    "Observation",
    "Pending",
    "Policy",
    "Session",
    "check_action",
]

Observation = Mapping[str, NDArray[Any]]
"""Field name -> array of one time step; of a policy with a history of k > 1, of the last k steps (k, ...), oldest
first, the first step repeated where there were fewer. Arrays are read-only."""


class Pending(Enum):
    """The type of `PENDING`."""

    PENDING = "pending"

    def __repr__(self) -> str:
        return "PENDING"


PENDING: Final = Pending.PENDING
"""What a session answers while it is still thinking: the world holds still for a step, which is counted."""


@dataclass(frozen=True, slots=True)
class ActionChunk:
    """What a policy wants to do next.

    Args:
        actions: (H, D) array, one row per control step.
        execute: how many rows to execute before the policy is asked again, 1..H; `None` means all.
    """

    actions: NDArray[np.floating[Any]]
    execute: int | None = None

    @property
    def rows(self) -> NDArray[np.floating[Any]]:
        """The rows to execute, (execute, D); PolicyError when the chunk is no chunk."""
        actions = np.asarray(self.actions)
        if actions.ndim != 2 or len(actions) == 0:
            raise PolicyError(f"an action chunk has shape (H, D) with H >= 1, found {list(actions.shape)}")
        execute = len(actions) if self.execute is None else self.execute
        if not 1 <= execute <= len(actions):
            raise PolicyError(f"execute must be in 1..{len(actions)}, found {execute}")
        return actions[:execute]


class Session(Protocol):
    """One episode of one policy."""

    def __call__(self, observation: Observation) -> ActionChunk | Literal[Pending.PENDING]:
        """What to do next, or `PENDING`.

        Raises:
            PolicyError: the policy computed nonsense: a failure.
            InfrastructureError: what carries it broke: void.
        """


class Policy(Protocol):
    """Chooses actions. A person who teleoperates is a policy.

    `observation_spec` is what it needs and `action_spec` what it gives; `None` means that it takes whatever the
    world has (a constant, a user's function). `identity` is a digest of all that can change its actions, and `history`
    the number of consecutive steps up to now that it reads: 1, or more for a policy with a memory of observations.
    """

    @property
    def name(self) -> str: ...

    @property
    def identity(self) -> Identity: ...

    @property
    def observation_spec(self) -> Spec | None: ...

    @property
    def action_spec(self) -> Spec | None: ...

    @property
    def history(self) -> int: ...

    def start(self, instruction: str, seed: int) -> Session:
        """A fresh session; the same arguments give the same behaviour."""


@runtime_checkable
class BatchedPolicy(Protocol):
    """A policy that is cheaper for several sessions at once."""

    def act_many(
        self, sessions: Sequence[Session], observations: Sequence[Observation]
    ) -> Sequence[ActionChunk | Literal[Pending.PENDING]]:
        """Same result as calling each session on its observation."""


class ActionCheck:
    """Makes of an action what may be applied; every step of every trial asks it.

    Args:
        field: the world's `action` field with its bounds; as far as its dtype goes where there are none.
    """

    def __init__(self, field: Field) -> None:
        self._shape, self._dtype = field.shape, np.dtype(field.dtype)
        self._whole = self._dtype.kind != "f"
        least, most = (np.iinfo(self._dtype).min, np.iinfo(self._dtype).max) if self._whole else (-np.inf, np.inf)
        low = np.full(field.shape, least) if field.low is None else np.reshape(field.low, field.shape)
        high = np.full(field.shape, most) if field.high is None else np.reshape(field.high, field.shape)
        self._low, self._high = low.astype(self._dtype), high.astype(self._dtype)

    def __call__(self, action: NDArray[Any]) -> tuple[NDArray[Any], bool]:
        """The action as it may be applied, and whether it had to be clipped.

        Args:
            action: one row, shape (D,).

        Raises:
            PolicyError: wrong shape, not finite, or a fraction where the field's dtype takes whole numbers. A finite
                value out of range is clipped, as on a robot.
        """
        array = np.asarray(action)
        if array.shape != self._shape:
            raise PolicyError(f"action: expected shape {list(self._shape)}, found {list(array.shape)}")
        if array.dtype.kind not in "iuf":
            raise PolicyError(f"action: expected {self._dtype}, found {array.dtype}")
        if not self._whole:  # what is too large for it becomes infinite
            array = array.astype(self._dtype)
        if not np.isfinite(array).all():
            raise PolicyError(f"action: expected finite values, found {array.tolist()}")
        if self._whole and (array != np.rint(array)).any():
            raise PolicyError(f"action: expected whole numbers ({self._dtype}), found {array.tolist()}")
        applied = np.minimum(np.maximum(array, self._low), self._high).astype(self._dtype, copy=False)
        return applied, bool((applied != array).any())


_checks = lru_cache(maxsize=256)(ActionCheck)


def check_action(action: NDArray[Any], field: Field) -> tuple[NDArray[Any], bool]:
    """One action, shape (D,), against the world's `action` field; see `ActionCheck`."""
    return _checks(field)(action)
