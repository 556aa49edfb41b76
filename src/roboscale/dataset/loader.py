"""Training reads in a stream: frames in block-shuffled order, shared over workers and ranks, resumable mid-epoch.

    frames = IterableFrames(Dataset(root, to="torch", delta_timestamps={"action": [k / 30 for k in range(50)]}))
    loader = torch.utils.data.DataLoader(frames, batch_size=64, num_workers=8)

Blocks of consecutive frames are decoded one after the other and mixed through a bounded buffer, so a frame costs a
fraction of what a random one does, and memory does not grow with the dataset. For plain random access a `Dataset`
or a `Mixture` goes into a `DataLoader` as it is. Needs torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import IterableDataset, get_worker_info

from roboscale.core.errors import SpecMismatch
from roboscale.dataset.mixture import Mixture
from roboscale.dataset.order import Blocks, Walk, order_generator, same_plan
from roboscale.dataset.reader import Dataset

__all__ = ["IterableFrames"]

_PLAN = ("seed", "shard", "shards", "block_frames", "buffer", "shuffle", "frames", "episodes", "total", "weighted")


class IterableFrames(IterableDataset[dict[str, Any]]):
    """Frames of a dataset, or of a mixture by its weights, as an iterable torch dataset.

    Without weights an epoch gives every frame once, over all workers and ranks together. With weights it is as long,
    and shares hold to within one block an episode. The same seed, epoch and shards give the same order.

    `state_dict` and `load_state_dict` are what torchdata's `StatefulDataLoader` asks of a dataset in each worker: the
    next frame after a resume is the one that would have come. They hold indices only, no pictures.

    Args:
        source: what to read; of several datasets without weights, every frame once.
        shuffle: False gives the frames of each shard as they lie.
        block_frames: consecutive frames that are decoded together.
        buffer: frames that wait to be drawn from at random; a picture in it is uint8.
        seed: of the order.
        epoch: every epoch has an order of its own; see `set_epoch`.
        weights: the share of each episode, in any unit; a `Mixture` has its own.
        rank, world_size: this process among those that train together.
        frames: length of an epoch over all ranks; every worker then gives exactly its part (rounded down), so that
            ranks end together, beginning anew where its share of the blocks is too short.
        memory_bytes: numeric columns that each worker keeps, at most.
    """

    def __init__(
        self,
        source: Dataset | Mixture | Sequence[Dataset],
        *,
        shuffle: bool = True,
        block_frames: int = 16,
        buffer: int = 256,
        seed: int = 0,
        epoch: int = 0,
        weights: Sequence[float] | NDArray[Any] | None = None,
        rank: int = 0,
        world_size: int = 1,
        frames: int | None = None,
        memory_bytes: int = 2**28,
    ) -> None:
        if not 0 <= rank < world_size:
            raise SpecMismatch(f"rank: expected 0 to {world_size - 1}, found {rank}")
        if buffer < 1:
            raise SpecMismatch(f"buffer: expected at least 1, found {buffer}")
        if isinstance(source, Mixture):
            if weights is not None:
                raise SpecMismatch("weights: a mixture has its own")
            weights = source.shares
        elif not isinstance(source, Dataset):
            source = Mixture([(dataset, len(dataset)) for dataset in source])
        self._source = source.bounded(memory_bytes)
        lengths = source.lengths
        self._blocks = Blocks(lengths, block_frames, weights)
        self._starts = np.cumsum(lengths) - lengths
        self._shuffle, self._buffer = shuffle, buffer if shuffle else 1
        self._seed, self._rank, self._world_size, self._frames = seed, rank, world_size, frames
        self._epoch = torch.tensor(epoch)
        self._epoch.share_memory_()  # type: ignore[no-untyped-call]  # persistent workers see the next epoch's number
        self._resume: Mapping[str, Any] | None = None
        self._running: _Frames | None = None

    def set_epoch(self, epoch: int) -> None:
        """The order of this epoch from the next iteration on, in persistent workers too."""
        self._epoch.fill_(epoch)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        self._running = self._start()
        self._resume = None
        return self._running

    def _start(self) -> _Frames:
        worker = get_worker_info()
        workers, number = (1, 0) if worker is None else (worker.num_workers, worker.id)
        shard, shards = self._rank * workers + number, self._world_size * workers
        plan = {
            "seed": self._seed,
            "shard": shard,
            "shards": shards,
            "block_frames": self._blocks.block_frames,
            "buffer": self._buffer,
            "shuffle": self._shuffle,
            "frames": self._frames,
            "episodes": len(self._blocks.lengths),
            "total": int(self._blocks.lengths.sum()),
            "weighted": self._blocks.weighted,
        }
        epoch = int(self._epoch)
        if self._resume is not None:
            same_plan(self._resume, plan, _PLAN)
            epoch = int(self._resume["epoch"])
        walk = Walk(
            blocks=self._blocks, seed=self._seed, epoch=epoch, shard=shard, shards=shards, shuffle=self._shuffle
        )
        return _Frames(self._source, walk, self._starts, plan, self._resume)

    def state_dict(self) -> dict[str, Any]:
        """Where this process (a worker, or the one that trains) is; JSON types only."""
        if self._resume is not None:
            return dict(self._resume)
        return (self._running or self._start()).state()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The next iteration goes on from here; it raises SpecMismatch when the state is of another order."""
        self._resume = state

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_running": None}


class _Frames:
    """One run over one shard. Draws, gives, and only then reads on, so its state needs no picture."""

    def __init__(
        self,
        source: Dataset | Mixture,
        walk: Walk,
        starts: NDArray[np.int64],
        plan: Mapping[str, Any],
        resume: Mapping[str, Any] | None,
    ) -> None:
        self._source, self._walk, self._starts, self._plan = source, walk, starts, plan
        self._rng = order_generator(plan["seed"], walk.epoch, plan["shard"], 1)
        self._limit = None if plan["frames"] is None else plan["frames"] // plan["shards"]
        self._given = 0
        self._pool: list[tuple[int, dict[str, Any] | None]] = []  # frames that wait; None: to be read when drawn
        if resume is not None:
            walk.draw, walk.frame = resume["draw"], resume["frame"]
            self._given = resume["given"]
            self._pool = [(index, None) for index in resume["waiting"]]
            self._rng.bit_generator.state = resume["rng"]

    def __iter__(self) -> _Frames:
        return self

    def __next__(self) -> dict[str, Any]:
        if self._given == self._limit:
            raise StopIteration
        while len(self._pool) < self._plan["buffer"] and self._has_next():
            index = self._next_index()
            self._pool.append((index, self._source.raw_item(index)))
        if not self._pool:
            raise StopIteration
        drawn = int(self._rng.integers(len(self._pool)))
        self._pool[drawn], self._pool[-1] = self._pool[-1], self._pool[drawn]
        index, item = self._pool.pop()
        self._given += 1
        return self._source.finish(self._source.raw_item(index) if item is None else item)

    def _has_next(self) -> bool:
        """False at the end of the lap, unless an epoch's length was given: then laps follow each other."""
        if not self._walk.blocks.draws:
            return False
        if self._limit is None:
            return self._walk.lap == 0
        return bool(self._given + len(self._pool) < self._limit)

    def _next_index(self) -> int:
        episode, frame = self._walk.next()
        return int(self._starts[episode]) + frame

    def state(self) -> dict[str, Any]:
        """Everything that the next frame depends on."""
        return {
            **self._plan,
            "epoch": self._walk.epoch,
            "draw": self._walk.draw,
            "frame": self._walk.frame,
            "given": self._given,
            "waiting": [index for index, _ in self._pool],
            "rng": self._rng.bit_generator.state,
        }
