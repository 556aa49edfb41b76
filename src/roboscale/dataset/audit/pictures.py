"""A few pictures of each camera of an episode: is there a picture, does it change, which camera is it?

A clip is sampled by seeking, at key frames where some are near, which are decoded without what lies before them: every
second of them first, and those that take few bytes, and the others where what was seen stands still or shows nothing.
Other pictures are decoded from their beginning up to a bound.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

import roboscale.dataset.audit.signals as signals
from roboscale.core import Clip, Pictures

if TYPE_CHECKING:
    from roboscale.dataset.video import VideoReader

__all__ = ["CameraEvidence", "look", "sample"]

Images = NDArray[np.uint8]

_GRID = 8
_SIDE = 120  # pixels: larger pictures are thinned to about that
_PLAIN = 4.0  # grey levels of standard deviation below which a picture shows nothing
_SAME = (0.5, 8)  # mean and largest difference of two pictures of a frozen camera, in levels: the encoder's noise
_FROZEN_RUN = 4  # intervals in a row
_FEW_BYTES = 0.25  # of what a key frame usually takes: a picture that shows nothing
_MOVED = 0.05  # of its range: what the robot moves meanwhile


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraEvidence:
    """One camera of one episode.

    Args:
        frames: numbers of the pictures looked at.
        grid: (8, 8, 3) mean picture, coarse, in levels.
        colour: (3,) mean colour, in levels.
        black: runs of frames of one colour.
        frozen: runs of frames in which the picture stands still while the robot moves.
        size: (H, W) in pixels.
        error: why the pictures could not be decoded.
    """

    frames: tuple[int, ...] = ()
    grid: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0, 3), np.float32))
    colour: tuple[float, ...] = ()
    black: tuple[tuple[int, int], ...] = ()
    frozen: tuple[tuple[int, int], ...] = ()
    size: tuple[int, int] = (0, 0)
    error: str = ""


def sample(
    pictures: Clip | Pictures, count: int, bound: int, *, thin: bool = True
) -> tuple[list[int], Images, tuple[int, int]]:
    """At most `count` pictures, about evenly spread, (n, h, w, 3), their numbers, and the size (H, W) they had.

    Args:
        bound: pictures decoded at most where a source must be decoded from its beginning.
        thin: every n-th pixel only.

    BadData when one is broken.
    """
    kept = _thinned if thin else np.asarray
    reach = len(pictures) if isinstance(pictures, Clip) else min(len(pictures), bound)
    numbers = _spread(reach, count)
    if isinstance(pictures, Clip):
        return _from_clip(pictures, numbers, kept)
    wanted, found, size = set(numbers), [], (0, 0)
    for number, image in enumerate(pictures):
        if number in wanted:
            found.append(kept(np.asarray(image)))
            size = np.asarray(image).shape[:2]
        if number == numbers[-1]:
            break
    return numbers, np.stack(found), (int(size[0]), int(size[1]))


def _thinned(image: Images) -> Images:
    """Every n-th pixel of a picture (H, W, 3), so that its shorter side comes down to about 120."""
    step = _step(*image.shape[:2])
    return np.ascontiguousarray(image[::step, ::step])  # a view would keep the whole picture


def _step(height: int, width: int) -> int:
    return max(1, min(height, width) // _SIDE)


def _from_clip(
    clip: Clip, numbers: Sequence[int], kept: Callable[[Images], Images]
) -> tuple[list[int], Images, tuple[int, int]]:
    from roboscale.dataset.video import VideoReader

    reader = VideoReader(clip.path, None)  # whether it has the right rate is judged elsewhere
    try:
        chosen = _near_keys(reader, clip, numbers)
        images = np.stack([kept(image) for image in reader.each(clip.first + number for number in chosen)])
        return chosen, images, (reader.probe.height, reader.probe.width)
    finally:
        reader.close()


def _where_needed(clip: Clip, count: int) -> tuple[list[int], Images, tuple[int, int]]:
    """As `sample`, without pictures between two that differ and show something.

    A camera that is frozen for `_FROZEN_RUN` intervals of all samples is so for a whole interval of every second one.
    """
    from roboscale.dataset.video import VideoReader

    reader = VideoReader(clip.path, None)
    try:
        numbers = _near_keys(reader, clip, _spread(len(clip), count))
        seen = _read(reader, clip, _first(numbers, [reader.key_bytes(clip.first + number) for number in numbers]))
        seen |= _read(reader, clip, [number for number in _unclear(numbers, seen) if number not in seen])
        chosen = sorted(seen)
        return chosen, np.stack([seen[number] for number in chosen]), (reader.probe.height, reader.probe.width)
    finally:
        reader.close()


def _read(reader: VideoReader, clip: Clip, numbers: Sequence[int]) -> dict[int, Images]:
    step = _step(reader.probe.height, reader.probe.width)
    images = reader.each((clip.first + number for number in numbers), step)
    return dict(zip(numbers, images, strict=True))


def _first(numbers: Sequence[int], sizes: Sequence[int]) -> list[int]:
    """Every second number and the last; those that are no key frames (of size 0), which cost little; small ones."""
    usual = np.median([size for size in sizes if size] or [0])
    few = [size <= _FEW_BYTES * usual for size in sizes]
    return [n for i, n in enumerate(numbers) if i % 2 == 0 or i == len(numbers) - 1 or few[i]]


def _unclear(numbers: Sequence[int], seen: Mapping[int, Images]) -> list[int]:
    """Numbers between pictures that stand still or show nothing, and in the intervals next to these."""
    places = [i for i, number in enumerate(numbers) if number in seen]
    images = np.stack([seen[numbers[i]] for i in places])
    plain = _levels(images[:, ::8])[1].max(axis=1) < 2 * _PLAIN  # an eighth of the rows tells nearly
    still = _alike(images, 2) | plain[1:] | plain[:-1]  # where both halves stand still, the whole is within twice
    wide = still | np.append(still[1:], False) | np.append(False, still[:-1])
    return [n for i, one in enumerate(wide) if one for n in numbers[places[i] : places[i + 1]]]


def _spread(length: int, count: int) -> list[int]:
    numbers: list[int] = np.unique(np.linspace(0, length - 1, min(count, length)).round().astype(int)).tolist()
    return numbers


def _near_keys(reader: VideoReader, clip: Clip, numbers: Sequence[int]) -> list[int]:
    return _at_keys(numbers, [reader.key_frame(clip.first + number) - clip.first for number in numbers])


def _at_keys(numbers: Sequence[int], keys: Sequence[int]) -> list[int]:
    """Each number, or the key frame before it where that is less than half the way back to the number before.

    The first and the last stay: an episode that cannot be decoded up to its end is found there.
    """
    steps = zip(numbers, numbers[1:-1], keys[1:-1], strict=False)
    return [*numbers[:1], *(k if 2 * (n - k) < n - before else n for before, n, k in steps), *numbers[1:][-1:]]


def look(pictures: Clip | Pictures, state: Sequence[NDArray[np.float64]], samples: int, bound: int) -> CameraEvidence:
    """Samples one camera of one episode; `state` (T, D) each tells when the robot moves.

    Raises:
        BadData: a picture cannot be decoded.
    """
    if isinstance(pictures, Clip):
        numbers, images, size = _where_needed(pictures, samples)
    else:
        numbers, images, size = sample(pictures, samples, bound)
    means, spread = _levels(images)
    plain = spread.max(axis=1) < _PLAIN
    frozen = _frozen(images, numbers, state) & ~(plain[1:] | plain[:-1])
    return CameraEvidence(
        frames=tuple(numbers),
        grid=_coarse(images),
        colour=tuple(means.mean(axis=0).tolist()),
        black=tuple((numbers[a], numbers[b]) for a, b in signals.true_runs(plain)),
        frozen=tuple((numbers[a], numbers[b + 1]) for a, b in signals.true_runs(frozen) if b - a + 1 >= _FROZEN_RUN),
        size=size,
    )


def _levels(images: Images) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(n, 3) mean and standard deviation of each channel, from how often each level is there: faster than floats."""
    pixels = images.shape[1] * images.shape[2]
    counts = [[np.bincount(channel.ravel(), minlength=256) for channel in np.moveaxis(i, -1, 0)] for i in images]
    shares, levels = np.array(counts, np.float64) / pixels, np.arange(256.0)
    means = shares @ levels
    return means, np.sqrt((shares * np.square(levels - means[..., None])).sum(axis=-1))


def _frozen(images: Images, numbers: Sequence[int], state: Sequence[NDArray[np.float64]]) -> NDArray[np.bool_]:
    """(n-1,) between which samples the picture stands still while the robot moves."""
    same = _alike(images)
    moved = np.zeros(len(same), np.bool_)
    for rows in state:
        rows = rows[:, signals.moving(rows)]
        range_ = np.ptp(rows, axis=0)
        moved |= (np.abs(np.diff(rows[list(numbers)], axis=0)) > _MOVED * range_).any(axis=1)
    for first, last in signals.true_runs(same):  # a robot that rests in between does not unfreeze the camera
        same[first : last + 1] = moved[first : last + 1].mean() >= 0.5
    return same


def _alike(images: Images, times: int = 1) -> NDArray[np.bool_]:
    """(n-1,) whether two pictures that follow each other differ by no more than `times` an encoder's noise."""
    same = np.zeros(len(images) - 1, np.bool_)
    for i in range(len(images) - 1):
        change = np.maximum(images[i + 1], images[i]) - np.minimum(images[i + 1], images[i])
        same[i] = change.max() <= times * _SAME[1] and change.mean() < times * _SAME[0]
    return same


def _coarse(images: Images) -> NDArray[np.float32]:
    mean = images.sum(axis=0, dtype=np.uint32) / np.float32(len(images))
    rows = np.array_split(mean, min(_GRID, mean.shape[0]), axis=0)
    cells = [[cell.mean(axis=(0, 1)) for cell in np.array_split(r, min(_GRID, r.shape[1]), axis=1)] for r in rows]
    return np.array(cells, np.float32)
