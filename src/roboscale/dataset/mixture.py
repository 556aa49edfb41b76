"""Several datasets read as one, each episode with its share. Does not know torch."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from roboscale.core.errors import SpecMismatch
from roboscale.core.spec import Spec, require_match
from roboscale.dataset.order import Blocks, Walk, same_plan
from roboscale.dataset.reader import Dataset

__all__ = ["Mixture", "MixtureSampler"]


class Mixture:
    """Datasets whose frames are drawn by weight; works as a torch `Dataset` over all their frames in a row.

    Args:
        members: each dataset with its weight, or with one weight for each of its episodes. A weight is the expected
            share of the frames drawn, in any unit that is the same for all members; a dataset's single weight is
            spread over its episodes by their length.
        keys: features to read; needed where the datasets do not have the same. By default all.
        seed: of the order in which `sampler` draws.

    Raises:
        SpecMismatch: two members disagree on a feature that is read, on windows, or on what they return; names both.
    """

    def __init__(
        self,
        members: Sequence[tuple[Dataset, float | Sequence[float] | NDArray[Any]]],
        *,
        keys: Collection[str] | None = None,
        seed: int = 0,
    ) -> None:
        if not members:
            raise SpecMismatch("a mixture needs at least one dataset")
        self.seed = seed
        self.datasets = tuple(d if keys is None else d.select(keys) for d, _ in members)
        first = self.datasets[0]
        for other in self.datasets[1:]:
            require_match(first.spec, other.spec, str(first.root), str(other.root), subset=False)
            if first.form != other.form:
                raise SpecMismatch(f"{first.root} returns {first.form}, {other.root} returns {other.form}")
        self.lengths = np.concatenate([d.lengths for d in self.datasets])
        weights = [weight for _, weight in members]
        self.shares = np.concatenate([_shares(d, w) for d, w in zip(self.datasets, weights, strict=True)])
        self._starts = np.cumsum([0, *map(len, self.datasets)]).tolist()
        Blocks(self.lengths, 1, self.shares)  # refuses weights that are none
        self.shares = self.shares / self.shares.sum()

    @property
    def spec(self) -> Spec:
        """Of what is read; the same for every member."""
        return self.datasets[0].spec

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, index: int) -> dict[str, Any]:
        """A frame as its dataset gives it, and `dataset_index`, the position of that dataset."""
        return self.finish(self.raw_item(index))

    def raw_item(self, index: int) -> dict[str, Any]:
        """As `Dataset.raw_item`."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"frame {index} of {len(self)}")
        index %= len(self)
        member = bisect_right(self._starts, index) - 1
        item = self.datasets[member].raw_item(index - self._starts[member])
        item["dataset_index"] = np.array(member)
        return item

    def finish(self, item: dict[str, Any]) -> dict[str, Any]:
        """As `Dataset.finish`."""
        return self.datasets[0].finish(item)

    def bounded(self, memory_bytes: int) -> Mixture:
        """As `Dataset.bounded`; the bytes are shared among the members."""
        each = memory_bytes // len(self.datasets)
        other = Mixture.__new__(Mixture)
        other.__dict__.update(self.__dict__)
        other.datasets = tuple(d.bounded(each) for d in self.datasets)
        return other

    def sampler(self, length: int | None = None, *, rank: int = 0, world_size: int = 1) -> MixtureSampler:
        """Frames for a `DataLoader`, by weight; `length` of an epoch over all ranks is by default that of the data."""
        return MixtureSampler(self, len(self) if length is None else length, rank, world_size)


class MixtureSampler:
    """Indices into a mixture, drawn by weight: a torch `Sampler` that can be resumed.

    Draws are systematic: in an epoch as long as the data, every frame comes as often as its share says, rounded up
    or down. Every rank gets `length // world_size`.
    """

    _PLAN = ("seed", "rank", "world_size", "length", "frames")

    def __init__(self, mixture: Mixture, length: int, rank: int = 0, world_size: int = 1) -> None:
        if not 0 <= rank < world_size:
            raise SpecMismatch(f"rank: expected 0 to {world_size - 1}, found {rank}")
        self.epoch = 0
        self._blocks = Blocks(mixture.lengths, 1, mixture.shares)
        self._starts = np.cumsum(mixture.lengths) - mixture.lengths
        self._seed, self._rank, self._world_size = mixture.seed, rank, world_size
        self._length = length
        self._given = 0
        self._resumed = False

    def __len__(self) -> int:
        return self._length // self._world_size

    def set_epoch(self, epoch: int) -> None:
        """Every epoch has an order of its own."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        if not self._resumed:
            self._given = 0
        self._resumed = False
        draw = self._rank + self._given * self._world_size
        walk = Walk(
            blocks=self._blocks,
            seed=self._seed,
            epoch=self.epoch,
            shard=self._rank,
            shards=self._world_size,
            draw=draw,
        )
        while self._given < len(self):
            episode, frame = walk.next()
            self._given += 1
            yield int(self._starts[episode]) + frame
        self._given = 0

    def _plan(self) -> dict[str, int]:
        values = self._seed, self._rank, self._world_size, self._length, int(self._blocks.lengths.sum())
        return dict(zip(self._PLAN, values, strict=True))

    def state_dict(self) -> dict[str, Any]:
        """Where it is; the next index after `load_state_dict` is the one that would have come."""
        return {**self._plan(), "epoch": self.epoch, "given": self._given}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """SpecMismatch when the state is of another mixture, rank or length."""
        same_plan(state, self._plan(), self._PLAN)
        self.epoch, self._given, self._resumed = int(state["epoch"]), int(state["given"]), True


def _shares(dataset: Dataset, weight: ArrayLike) -> NDArray[np.float64]:
    weights = np.asarray(weight, np.float64)
    lengths = dataset.lengths
    if weights.ndim == 0:
        return np.asarray(lengths / lengths.sum() * weights, np.float64)
    if weights.shape != lengths.shape:
        raise SpecMismatch(f"{dataset.root}: {len(lengths)} episodes, {weights.size} weights")
    return weights
