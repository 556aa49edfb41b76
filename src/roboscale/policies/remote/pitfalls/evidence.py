"""What pitfalls are looked for in: what a policy was trained on, and what a world shows and takes.

Knows arrays and specs. Does not know where they were read from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Observation, Spec
from roboscale.policies.remote.profile import PolicyProfile

__all__ = ["Moves", "Respond", "Seen", "TrainedNumbers", "TrainedOn"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedNumbers:
    """Numbers that a policy was trained on, D of them.

    Args:
        mean, std: (D,) over all frames.
        low, high: (D,) over all frames; `None` where nobody says.
        starts: (E, D) of the first frame of episodes; `None` where there are only statistics.
        names: of the elements, where they are known.
    """

    mean: Array
    std: Array
    low: Array | None = None
    high: Array | None = None
    starts: Array | None = None
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, rows: NDArray[Any], starts: NDArray[Any], names: tuple[str, ...] = ()) -> TrainedNumbers:
        """From all frames (N, D), and the first ones of episodes (E, D)."""
        values = np.asarray(rows, np.float64)
        return cls(
            mean=values.mean(axis=0),
            std=values.std(axis=0),
            low=values.min(axis=0),
            high=values.max(axis=0),
            starts=np.asarray(starts, np.float64),
            names=names,
        )

    def through(self, other: TrainedNumbers) -> TrainedNumbers:
        """What arrives at a network that was trained on these and normalises by the statistics of `other`."""
        scale = other.std / np.where(self.std > 0, self.std, 1.0)
        shift = other.mean - self.mean * scale
        moved = [None if a is None else a * scale + shift for a in (self.low, self.high, self.starts)]
        return TrainedNumbers(
            mean=other.mean, std=other.std, low=moved[0], high=moved[1], starts=moved[2], names=self.names
        )

    @property
    def spread(self) -> Array:
        """(D,) by how much values usually differ; never 0."""
        reach = 0.02 * (self.high - self.low) if self.low is not None and self.high is not None else 0.0
        return np.maximum(self.std + reach, 1e-3 * np.maximum(np.abs(self.mean), 1e-3))


class Moves(NamedTuple):
    """Consecutive steps as a policy sees and says them: states (N, D), actions (N, A), states one step on (N, D)."""

    before: Array
    actions: Array
    after: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedOn:
    """What a policy was trained on, by the keys under which it takes it.

    Args:
        source: in words, e.g. `dataset recorded`.
        pictures: key -> (n, H, W, 3) uint8 RGB, of first frames.
        numbers: key -> numbers. action: of its actions.
        checkpoint: key -> numbers by whose statistics the checkpoint normalises.
        moves: of the key that is named first; `None` where there are no rows.
        sentences: instructions; `None` where nobody says.
        rate_hz: of its frames; `None` where nobody says.
    """

    source: str
    pictures: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)
    numbers: Mapping[str, TrainedNumbers] = field(default_factory=dict)
    action: TrainedNumbers | None = None
    checkpoint: Mapping[str, TrainedNumbers] = field(default_factory=dict)
    moves: tuple[str, Moves] | None = None
    sentences: tuple[str, ...] | None = None
    rate_hz: float | None = None


Respond = Callable[[PolicyProfile], Moves | None]
"""Replays actions that the policy was trained on in the world, through a profile: how the state moves under them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a world shows.

    Args:
        starts: first observations of different cases.
        observation_spec, action_spec: the world's.
        instruction: what is asked in it.
        respond: moves in the world; `None` where nothing may be moved.
    """

    starts: tuple[Observation, ...]
    observation_spec: Spec
    action_spec: Spec
    instruction: str
    respond: Respond | None = None
