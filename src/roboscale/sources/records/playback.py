"""An episode as viewers play it: numbers, pictures and texts with the time of each, one clock for all of them."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData
from roboscale.dataset import Dataset, EpisodeInfo
from roboscale.dataset.streams import FRAME_TIMES

__all__ = ["JPEG_QUALITY", "Playback", "TimedValues", "as_jpeg", "begin_folder", "episode_file", "playback"]

JPEG_QUALITY = 95
"""Pictures are encoded one by one: viewers jump, and a video's frame needs the frames before it."""


@dataclass(frozen=True, slots=True)
class TimedValues:
    """Numbers over time: (T, N) of a field flattened row-major, times in ns, and what the N elements are called."""

    time_ns: NDArray[np.int64]
    values: NDArray[Any]
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Playback:
    """One episode, with everything but its pictures in memory.

    Args:
        time_ns: (T,) when each frame was taken; from 0 on where no clock was recorded.
        tracks: field or stream -> its numbers.
        texts: instruction and the time from which it holds.
        about: what else is known of the episode, as texts.
    """

    dataset: Dataset
    info: EpisodeInfo
    time_ns: NDArray[np.int64]
    tracks: Mapping[str, TimedValues]
    texts: tuple[tuple[int, str], ...] = ()
    about: Mapping[str, str] = field(default_factory=dict)

    def pictures(self) -> Iterator[tuple[int, str, NDArray[np.uint8]]]:
        """Time in ns, camera and (H, W, 3) picture, frame by frame: an episode need not fit into memory."""
        cameras = [one.name for one in self.dataset.spec.images]
        for frame in range(self.info.length) if cameras else ():
            item = self.dataset[self.info.from_index + frame]
            for camera in cameras:
                yield int(self.time_ns[frame]), camera, item[camera]


def playback(dataset: Dataset) -> Iterator[Playback]:
    """The episodes of a dataset, one after the other.

    >>> first = next(playback(Dataset("recorded")))
    >>> sorted(first.tracks), first.texts[0]
    (['action', 'observation.environment_state', 'observation.state'], (0, 'lift the foot'))
    """
    pictured = dataset.as_recorded()
    return (_episode(dataset, pictured, info) for info in dataset.episodes)


def _episode(dataset: Dataset, pictured: Dataset, info: EpisodeInfo) -> Playback:
    rows = slice(info.from_index, info.from_index + info.length)
    fields = {one.name: one for one in dataset.spec if not one.is_image}
    has_clock = FRAME_TIMES in fields
    if has_clock:
        time_ns = dataset.arrays(FRAME_TIMES)[rows].reshape(-1).astype(np.int64)
    else:
        time_ns = np.round(np.arange(info.length) * 1e9 / dataset.fps).astype(np.int64)
    tracks = {}
    for name, one in fields.items():
        if name != FRAME_TIMES:
            values = dataset.arrays(name)[rows].reshape(info.length, -1)
            tracks[name] = TimedValues(time_ns, values, one.layout if len(one.layout) == values.shape[1] else ())
    for name in dataset.streams:
        try:
            stream = dataset.stream(info.index, name)
        except BadData:  # not every episode has every stream
            continue
        start = 0 if has_clock or not len(stream.time_ns) else int(stream.time_ns[0])
        values = stream.values.reshape(len(stream.time_ns), -1)
        names = stream.layout if len(stream.layout) == values.shape[1] else ()
        tracks[name] = TimedValues(stream.time_ns - start, values, names)
    return Playback(
        dataset=pictured,
        info=info,
        time_ns=time_ns,
        tracks=tracks,
        texts=_texts(pictured, info, time_ns),
        about=_about(dataset, info),
    )


def _texts(dataset: Dataset, info: EpisodeInfo, time_ns: NDArray[np.int64]) -> tuple[tuple[int, str], ...]:
    """The instruction, and each that takes its place within the episode."""
    index = dataset.arrays("task_index")[info.from_index : info.from_index + info.length]
    changes = [0, *(np.flatnonzero(np.diff(index)) + 1).tolist()]
    blind = dataset.select([one.name for one in dataset.spec if not one.is_image])
    return tuple((int(time_ns[at]), str(blind[info.from_index + at]["task"])) for at in changes)


def _about(dataset: Dataset, info: EpisodeInfo) -> dict[str, str]:
    success = None if info.outcome is None else info.outcome.success
    known = {
        "episode": info.id,
        "instruction": info.instruction,
        "rate_hz": f"{dataset.fps:g}",
        "licence": info.provenance.licence,
        "source": info.provenance.source,
        "success": "" if success is None else str(success).lower(),
    }
    return {name: text for name, text in known.items() if text}


def as_jpeg(picture: NDArray[np.uint8]) -> bytes:
    """A picture (H, W, 3) as JPEG, its colours at full size."""
    from PIL import Image

    packed = io.BytesIO()
    Image.fromarray(picture).save(packed, "jpeg", quality=JPEG_QUALITY, subsampling=0)
    return packed.getvalue()


def begin_folder(out: Path) -> None:
    """Makes the folder of the episodes' files; BadData where something is there."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BadData(out, "folder", "nothing there yet", "a file" if out.is_file() else "files")
    out.mkdir(parents=True, exist_ok=True)


def episode_file(out: Path, index: int, ending: str) -> Path:
    return out / f"episode_{index:06d}.{ending}"
