"""In which order frames are read: random blocks of consecutive frames, dealt out over readers.

Frames of a block decode one after the other, which costs a fraction of jumping to each. Memory grows with the number
of episodes, not of frames: the order of the blocks is computed, not stored. Knows numbers only, no files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from roboscale.core.errors import SpecMismatch

__all__ = ["Blocks", "Permutation", "Walk", "order_generator", "same_plan"]

_WORD = 2**64 - 1
_ROUNDS = 6


def order_generator(*seed: int) -> np.random.Generator:
    """A generator of its own for every tuple of numbers."""
    return np.random.default_rng(np.random.SeedSequence([n & _WORD for n in seed]))


class Permutation:
    """A random order of `range(size)` that needs no memory: a Feistel network, walked until it lands inside.

    Black and Rogaway, "Ciphers with Arbitrary Finite Domains" (CT-RSA 2002). Good for shuffling, not for secrets.
    """

    def __init__(self, size: int, rng: np.random.Generator) -> None:
        self.size = size
        self._half = max(4, ((size - 1).bit_length() + 1) // 2)  # bits; tiny networks shuffle badly
        self._keys = [int(key) for key in rng.integers(1, 2**63, _ROUNDS)]

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, position: int) -> int:
        if not 0 <= position < self.size:
            raise IndexError(f"position {position} of {self.size}")
        mask = (1 << self._half) - 1
        while True:
            left, right = position >> self._half, position & mask
            for key in self._keys:
                mixed = ((right ^ key) * 0x9E3779B97F4A7C15) & _WORD
                mixed = ((mixed ^ mixed >> 29) * 0xBF58476D1CE4E5B9) & _WORD
                left, right = right, left ^ (mixed >> 40 & mask if self._half <= 24 else mixed >> 20 & mask)
            position = left << self._half | right
            if position < self.size:
                return position


class Blocks:
    """Blocks of at most `block_frames` consecutive frames, none across an episode's end, each with its share.

    Args:
        lengths: (E,) frames of each episode.
        block_frames: frames of a block; the last one of an episode may be shorter.
        shares: (E,) expected share of each episode among the frames that are read, in any unit; by default every
            frame is read once an epoch.

    Raises:
        SpecMismatch: shares that are negative, not finite, all zero, or not one an episode.
    """

    def __init__(self, lengths: ArrayLike, block_frames: int, shares: ArrayLike | None = None) -> None:
        if block_frames < 1:
            raise SpecMismatch(f"block_frames: expected at least 1, found {block_frames}")
        self.lengths = np.asarray(lengths, np.int64)
        self.block_frames = block_frames
        self.weighted = shares is not None
        self._counts = -(-self.lengths // block_frames)
        self.draws = int(self._counts.sum())  # of an epoch
        measure = self._counts.astype(np.float64)
        if shares is not None:
            weights = _checked(shares, len(self.lengths))
            measure = weights / self.lengths * self._counts  # every frame of an episode is as likely as its others
            measure *= self.draws / measure.sum()
        self._measure, self._ends = measure, np.cumsum(measure)

    def at(self, point: float) -> tuple[int, int, int]:
        """The block that lies at `point` in [0, draws): its episode, its first frame there, its frames."""
        episode = int(np.searchsorted(self._ends, point, side="right"))
        if episode == len(self._ends):  # the sum of the shares fell short by a rounding error
            episode = int(np.flatnonzero(self._measure)[-1])
        within = (point - (self._ends[episode] - self._measure[episode])) / self._measure[episode]
        block = min(max(int(within * self._counts[episode]), 0), int(self._counts[episode]) - 1)
        first = block * self.block_frames
        return episode, first, min(self.block_frames, int(self.lengths[episode]) - first)


def _checked(shares: ArrayLike, count: int) -> NDArray[np.float64]:
    weights = np.asarray(shares, np.float64)
    if weights.shape != (count,):
        raise SpecMismatch(f"weights: expected one for each of {count} episodes, found shape {list(weights.shape)}")
    if not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
        raise SpecMismatch("weights: expected finite numbers from 0, not all 0")
    return weights


@dataclass(slots=True, kw_only=True)
class Walk:
    """Frames in block order, for one of `shards` readers; goes on from lap to lap without end.

    A lap draws as many blocks as there are. Draws are systematic: each block comes as often as its share of the lap
    says, rounded up or down, so shares hold far better than with independent draws.

    Args:
        blocks: what to draw from.
        seed, epoch: give the order, together with the lap.
        shuffle: False takes the blocks as they lie.
        draw: number of the block to go on with, counted over all shards.
        frame: frames of it that were given already.
    """

    blocks: Blocks
    seed: int
    epoch: int
    shard: int
    shards: int
    shuffle: bool = True
    draw: int = -1
    frame: int = 0
    _lap: tuple[int, Permutation | range, float] | None = field(default=None, init=False)
    _block: tuple[int, int, int] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        if self.draw < 0:
            self.draw = self.shard

    @property
    def lap(self) -> int:
        """Of the frame that comes next."""
        return self.draw // self.blocks.draws

    def next(self) -> tuple[int, int]:
        """Episode and frame in it."""
        if self._block is None:
            self._block = self.blocks.at(self._point())
        episode, first, count = self._block
        place = episode, first + self.frame
        self.frame += 1
        if self.frame == count:
            self.draw, self.frame, self._block = self.draw + self.shards, 0, None
        return place

    def _point(self) -> float:
        lap, position = divmod(self.draw, self.blocks.draws)
        if self._lap is None or self._lap[0] != lap:
            rng = order_generator(self.seed, self.epoch, lap)
            order = Permutation(self.blocks.draws, rng) if self.shuffle else range(self.blocks.draws)
            self._lap = lap, order, float(rng.random()) if self.blocks.weighted else 0.5
        _, order, offset = self._lap
        return order[position] + offset


def same_plan(saved: Mapping[str, Any], now: Mapping[str, Any], names: Sequence[str]) -> None:
    """SpecMismatch that names what differs between a saved state and the reader that takes it up."""
    wrong = [f"{name}: saved {saved.get(name)}, now {now[name]}" for name in names if saved.get(name) != now[name]]
    if wrong:
        raise SpecMismatch("this state was saved by another order of reading:\n  " + "\n  ".join(wrong))
