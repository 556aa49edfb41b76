"""Demonstrations as arrays in memory, and the batches drawn from them.

Knows data sets and numpy. Does not know torch or networks. Every frame is decoded once; a batch is a function of
(seed, step) alone, so a resumed run draws what an uninterrupted one would have drawn.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData, Field, Spec, SpecMismatch, generator, require_match
from roboscale.dataset import Dataset, Excerpt
from roboscale.dataset.collection import MANIFEST, Collection
from roboscale.policies.builtin.config import TrainConfig

__all__ = [
    "Batch",
    "TrainingData",
    "draw_batch",
    "first_episodes",
    "input_names",
    "kept_frames",
    "load_training_data",
    "shifted_pictures",
]

ENVIRONMENT_STATE = "observation.environment_state"
STATE = "observation.state"
INTERVENTION = "is_intervention"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingData:
    """Demonstrations of one or more tasks.

    Args:
        name: what errors call it, usually the data set's folder.
        spec: what `arrays` and `images` mean, at the control rate.
        arrays: field name -> (N, ...) of all episodes, one after the other.
        images: camera field name -> (M, H, W, 3) uint8 of the frames `frames`.
        frames: (M,) which of the N frames are learned from.
        lengths: (E,) frames per episode; their sum is N.
        instructions: one per episode.
        weights: (E,) how often a frame of each is drawn beside the others'; `None` draws all alike.
        frame_weights: (N,) how often each frame is, beside that; `None` draws all alike.
    """

    name: str
    spec: Spec
    arrays: Mapping[str, NDArray[Any]]
    images: Mapping[str, NDArray[np.uint8]]
    frames: NDArray[np.int64]
    lengths: NDArray[np.int64]
    instructions: Sequence[str]
    weights: NDArray[np.float64] | None = None
    frame_weights: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        total = int(self.lengths.sum())
        if not len(self.frames) or not total:
            raise BadData(self.name, "frames", "at least one", total)
        for name, array in self.arrays.items():
            if len(array) != total:
                raise BadData(self.name, name, f"{total} frames", len(array))
            bad = ~np.isfinite(array.reshape(total, -1)).all(axis=1)
            if bad.any():
                frame = int(np.argmax(bad))
                episode = int(np.searchsorted(np.cumsum(self.lengths), frame, side="right"))
                raise BadData(self.name, name, "finite values", f"{array[frame]} at frame {frame}, episode {episode}")

    @property
    def fingerprint(self) -> str:
        """Digest of the arrays and instructions: what was learned from, without decoding a picture."""
        digest = hashlib.blake2b(digest_size=16)
        for name in sorted(self.arrays):
            digest.update(name.encode() + np.ascontiguousarray(self.arrays[name]).tobytes())
        digest.update(self.lengths.tobytes() + self.frames.tobytes() + "\0".join(self.instructions).encode())
        if self.weights is not None:
            digest.update(self.weights.tobytes())
        if self.frame_weights is not None:
            digest.update(b"frames" + self.frame_weights.tobytes())
        return digest.hexdigest()

    @property
    def actions(self) -> NDArray[np.float32]:
        """(N, D) as the robot would have executed them: a command beyond the range does what its bound does."""
        field = self.spec["action"]
        actions = self.arrays["action"].astype(np.float32)
        low = None if field.low is None else np.asarray(field.low, np.float32)
        high = None if field.high is None else np.asarray(field.high, np.float32)
        return actions if low is None and high is None else np.clip(actions, low, high)


def first_episodes(data: TrainingData, per_instruction: int) -> TrainingData:
    """The first episodes of each instruction: what a smaller data set would have been.

    BadData when an instruction has fewer.
    """
    seen: dict[str, int] = {}
    chosen = []
    for index, instruction in enumerate(data.instructions):
        seen[instruction] = seen.get(instruction, 0) + 1
        if seen[instruction] <= per_instruction:
            chosen.append(index)
    for instruction, count in seen.items():
        if count < per_instruction:
            raise BadData(data.name, f"episodes of {instruction!r}", f"at least {per_instruction}", count)
    ends = np.cumsum(data.lengths)
    kept = np.concatenate([np.arange(ends[i] - data.lengths[i], ends[i]) for i in chosen])
    frames = np.flatnonzero(np.isin(kept, data.frames))
    images = {name: pictures[np.isin(data.frames, kept)] for name, pictures in data.images.items()}
    return TrainingData(
        name=f"{data.name}, {per_instruction} a task",
        spec=data.spec,
        arrays={name: array[kept] for name, array in data.arrays.items()},
        images=images,
        frames=frames,
        lengths=data.lengths[chosen],
        instructions=[data.instructions[i] for i in chosen],
        weights=None if data.weights is None else data.weights[chosen],
        frame_weights=None if data.frame_weights is None else data.frame_weights[kept],
    )


def input_names(spec: Spec, inputs: str) -> tuple[str, ...]:
    """What a policy with these `inputs` reads; SpecMismatch when the data set lacks it."""
    names = (ENVIRONMENT_STATE,) if inputs == "state" else (STATE, *(f.name for f in spec.images))
    missing = [n for n in names if n not in spec]
    if missing or (inputs == "images" and not spec.images):
        lacks = ", ".join(missing) or "a camera"
        raise SpecMismatch(f"inputs {inputs!r} need {lacks}; the data set has {', '.join(spec.names)}")
    return names


def load_training_data(
    root: Path, config: TrainConfig, *, images: bool = True, parts: Sequence[Excerpt] = ()
) -> TrainingData:
    """Reads a LeRobotDataset v3, or a collection of such, and decodes the frames to learn from.

    Args:
        images: False leaves the pictures undecoded (enough for a fingerprint).
        parts: what is learned from, each as if it were an episode unless it follows the one before; everything
            when empty.

    Raises:
        SpecMismatch: the data set lacks an input or `action`, or members of a collection mean different things.
        BadData: a file is broken, or a value is not finite; or parts of a collection are asked for.
    """
    if not (Path(root) / MANIFEST).is_file():
        return _load_one(root, config, images=images, parts=parts)
    if parts:
        raise BadData(root, "selection", "of one dataset; merge the members with theirs first", "a collection")
    members = Collection(root, absolute=True).members
    budget = replace(config, image_budget_mb=max(1, config.image_budget_mb // len(members)))
    loaded = {member.name: _load_one(member.root, budget, images=images, parts=()) for member in members}
    return _joined(str(root), loaded)


def _joined(name: str, members: Mapping[str, TrainingData]) -> TrainingData:
    """All of them, one after the other; SpecMismatch unless they mean the same."""
    (first_name, first), *others = members.items()
    for other_name, other in others:
        require_match(first.spec, other.spec, first_name, other_name, subset=False)
    starts = np.cumsum([0, *(int(one.lengths.sum()) for one in members.values())])
    each = list(members.values())
    return TrainingData(
        name=name,
        spec=first.spec,
        arrays={key: np.concatenate([one.arrays[key] for one in each]) for key in first.arrays},
        images={key: np.concatenate([one.images[key] for one in each]) for key in first.images},
        frames=np.concatenate([one.frames + start for one, start in zip(each, starts, strict=False)]),
        lengths=np.concatenate([one.lengths for one in each]),
        instructions=[text for one in each for text in one.instructions],
    )


def _load_one(root: Path, config: TrainConfig, *, images: bool, parts: Sequence[Excerpt]) -> TrainingData:
    dataset = Dataset(root)
    names = input_names(dataset.spec, config.inputs)
    if "action" not in dataset.spec:
        raise SpecMismatch(f"{root}: there is no action; it has {', '.join(dataset.spec.names)}")
    cameras = [f for f in dataset.spec.images if f.name in names]
    extra = [n for n in config.auxiliary if n in dataset.spec and config.inputs == "images"]
    spec = dataset.spec.select([*names, *extra, "action"])
    learned = list(parts) or [Excerpt(index=e.index, first=0, last=e.length - 1) for e in dataset.episodes]
    begins = np.array([dataset.episodes[part.index].from_index + part.first for part in learned], np.int64)
    lengths = np.array([part.last - part.first + 1 for part in learned], np.int64)
    rows = np.repeat(begins - (np.cumsum(lengths) - lengths), lengths) + np.arange(lengths.sum())
    heads = [i for i, part in enumerate(learned) if not part.follows]  # what follows is the same episode
    joined = np.add.reduceat(lengths, heads)
    kept = kept_frames(joined, cameras, config.image_budget_mb)
    return TrainingData(
        name=str(root),
        spec=spec,
        arrays={
            f.name: dataset.arrays(f.name)[rows] if parts else dataset.arrays(f.name) for f in spec if not f.is_image
        },
        images={c.name: _decode(dataset, c, kept, learned) for c in cameras} if images else {},
        frames=kept,
        lengths=joined,
        instructions=[dataset.episodes[learned[i].index].instruction for i in heads],
        weights=np.array([learned[i].weight for i in heads]) if any(p.weight != 1.0 for p in learned) else None,
        frame_weights=_by_driver(dataset, config, rows, kept),
    )


def _by_driver(
    dataset: Dataset, config: TrainConfig, rows: NDArray[np.int64], kept: NDArray[np.int64]
) -> NDArray[np.float64] | None:
    """(N,) weights of frames by who drove them, a person or the policy; `None` where both weigh 1.

    Raises:
        SpecMismatch: they differ, and the dataset does not say who drove. BadData: nothing would be left.
    """
    if config.intervention_weight == config.autonomous_weight == 1.0:
        return None
    if INTERVENTION not in dataset.spec:
        said = f"there is no {INTERVENTION}; it has {', '.join(dataset.spec.names)}"
        raise SpecMismatch(f"{dataset.root}: intervention_weight and autonomous_weight need to know who drove: {said}")
    person = np.asarray(dataset.arrays(INTERVENTION)[rows], np.bool_).reshape(len(rows))
    weights = np.where(person, config.intervention_weight, config.autonomous_weight)
    if not weights[kept].any():
        expected = f"a frame of weight above 0: {int(person.sum())} of {len(rows)} were driven by a person"
        raise BadData(dataset.root, INTERVENTION, expected, "none")
    return weights


def kept_frames(lengths: NDArray[np.int64], cameras: Sequence[Field], budget_mb: float) -> NDArray[np.int64]:
    """(M,) frames to decode: all, or every n-th of each episode when the pictures would need more than `budget_mb`."""
    total = int(lengths.sum())
    bytes_needed = total * sum(math.prod(c.shape) for c in cameras)
    stride = max(1, math.ceil(bytes_needed / (budget_mb * 1e6)))
    starts = np.cumsum(lengths) - lengths
    episodes = enumerate(zip(starts, lengths, strict=True))  # each starts elsewhere, so every phase is seen
    return np.concatenate([np.arange(s + i % stride, s + n, stride) for i, (s, n) in episodes])


def _decode(dataset: Dataset, camera: Field, kept: NDArray[np.int64], parts: Sequence[Excerpt]) -> NDArray[np.uint8]:
    pictures = np.empty((len(kept), *camera.shape), np.uint8)
    at = start = 0
    for part in parts:
        length = part.last - part.first + 1
        chosen = kept[(kept >= start) & (kept < start + length)] - start + part.first
        pictures[at : at + len(chosen)] = dataset.decode(part.index, camera.name)[chosen]
        at, start = at + len(chosen), start + length
    return pictures


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """B observations and what was done after each.

    Args:
        rows: (B,) rows of `TrainingData.frames`.
        frames: (B,) frames among all N.
        episodes: (B,) episode of each.
        future: (B, chunk) frames whose actions make the chunk; the last one repeats beyond the episode's end.
        valid: (B, chunk) False beyond the episode's end.
    """

    rows: NDArray[np.int64]
    frames: NDArray[np.int64]
    episodes: NDArray[np.int64]
    future: NDArray[np.int64]
    valid: NDArray[np.bool_]


def draw_batch(data: TrainingData, config: TrainConfig, step: int) -> Batch:
    """The batch of one step, a function of the config's seed and `step` alone."""
    rng = generator("batch", config.seed, step)
    ends = np.cumsum(data.lengths)
    if data.weights is None and data.frame_weights is None:
        rows = rng.integers(len(data.frames), size=config.batch)
    else:  # each row as often as its episode's weight and its own say
        each = np.ones(len(data.frames)) if data.frame_weights is None else data.frame_weights[data.frames]
        if data.weights is not None:
            each = each * data.weights[np.searchsorted(ends, data.frames, side="right")]
        shares = np.cumsum(each)
        rows = np.searchsorted(shares, rng.uniform(high=shares[-1], size=config.batch), side="right")
    frames = data.frames[rows]
    episodes = np.searchsorted(ends, frames, side="right")
    future = frames[:, None] + np.arange(config.chunk)
    last = ends[episodes][:, None] - 1
    return Batch(rows=rows, frames=frames, episodes=episodes, future=np.minimum(future, last), valid=future <= last)


def shifted_pictures(
    data: TrainingData, cameras: Sequence[str], batch: Batch, config: TrainConfig, step: int
) -> list[NDArray[np.uint8]]:
    """Per camera (B, H, W, 3): the batch's pictures, each shifted by up to `config.shift` pixels, edges repeated.

    Source: random shifts, Kostrikov et al. 2020 (arXiv:2004.13649).
    """
    rng = generator("shift", config.seed, step)
    shifted = []
    for pictures in (data.images[name] for name in cameras):
        height, width = pictures.shape[1:3]
        offsets = rng.integers(-config.shift, config.shift + 1, size=(len(batch.rows), 2))
        out = np.empty((len(batch.rows), height, width, 3), np.uint8)
        for i, (row, (down, right)) in enumerate(zip(batch.rows, offsets, strict=True)):
            rows = np.clip(np.arange(height) + down, 0, height - 1)
            columns = np.clip(np.arange(width) + right, 0, width - 1)
            out[i] = pictures[row].take(rows, 0).take(columns, 1)
        shifted.append(out)
    return shifted
