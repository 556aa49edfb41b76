"""What can be done to an episode on its way into a new dataset: cut its ends, correct its text, record a judgement."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from roboscale.core.episode import Outcome, Status
from roboscale.core.errors import BadData
from roboscale.core.recording import Carried, Clip, Finding, Pictures, RecordedEpisode, Stream
from roboscale.dataset.packets import key_frame_before
from roboscale.dataset.streams import FRAME_TIMES

__all__ = ["Corrections", "Excerpt", "Kept", "cut_ends"]

_SNAP = 8  # frames that may stay so that a video can be copied instead of being encoded again


@dataclass(frozen=True, slots=True)
class Kept:
    """Frames `first` to `last`, both included."""

    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Excerpt:
    """Frames `first` to `last`, both included, of the episode at position `index`.

    Args:
        weight: how often its frames are drawn in training beside those of other parts.
    """

    index: int
    first: int
    last: int
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Corrections:
    """An edit: picklable, and its `repr` tells two of them apart.

    Args:
        frames: key -> the frames that stay.
        tasks: key -> the instruction that is right.
        outcomes: key -> `success` or `failure`, as a person judged.
    """

    frames: Mapping[str, Kept] = field(default_factory=dict)
    tasks: Mapping[str, str] = field(default_factory=dict)
    outcomes: Mapping[str, Status] = field(default_factory=dict)

    def __call__(self, episode: RecordedEpisode) -> RecordedEpisode:
        key = episode.key
        if key in self.frames:
            episode = cut_ends(episode, self.frames[key])
        if key in self.tasks:
            episode = replace(episode, instruction=self.tasks[key], instructions=())
        if key in self.outcomes:
            old = episode.outcome or Outcome("void", steps=len(episode))
            episode = replace(episode, outcome=replace(old, status=self.outcomes[key], reason="judged by a person"))
        return episode

    def __repr__(self) -> str:
        facts = [{k: [v.first, v.last] for k, v in self.frames.items()}, dict(self.tasks), dict(self.outcomes)]
        digest = hashlib.blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=8).hexdigest()
        return f"Corrections({len(self.frames)} cut, {len(self.tasks)} tasks, {len(self.outcomes)} judged, {digest})"


def cut_ends(episode: RecordedEpisode, kept: Kept) -> RecordedEpisode:
    """The frames from `kept.first` to `kept.last`; BadData when the episode does not have them.

    Of a sensor at its own rate stays what lies between their times, and the last value before, which holds then.

    Begins up to 8 frames earlier where that lets every camera's video be copied instead of encoded again.
    """
    if not 0 <= kept.first <= kept.last < len(episode):
        raise BadData(f"episode {episode.key}", "frames to keep", f"within 0..{len(episode) - 1}", kept)
    first = _copyable(episode, kept.first)
    length = kept.last - first + 1
    pictures: dict[str, Clip | Pictures] = {}
    for name, images in episode.pictures.items():
        if not isinstance(images, Clip):
            raise BadData(f"episode {episode.key}", name, "a video, to cut it", type(images).__name__)
        pictures[name] = images.cut(first, length)
    rows = slice(first, first + length)
    text = f"kept frames {first} to {kept.last} of {len(episode)}"
    said = [name for name, one in episode.carried.items() if one.statistics]
    text += f"; statistics of {', '.join(said)} stay those of the whole episode" if said else ""
    return replace(
        episode,
        arrays={name: array[rows] for name, array in episode.arrays.items()},
        pictures=pictures,
        streams=_cut_streams(episode, first, kept.last),
        carried=_cut_carried(episode, first, length),
        findings=(*episode.findings, Finding("trimmed", "info", text)),
        **_shifted(episode, first, length),
    )


def _cut_carried(episode: RecordedEpisode, first: int, length: int) -> dict[str, Carried]:
    rows = np.arange(first, first + length, dtype=np.int64)
    return {
        name: replace(one, rows=one.rows.cut(first, length) if isinstance(one.rows, Clip) else one.rows.take(rows))
        for name, one in episode.carried.items()
    }


def _cut_streams(episode: RecordedEpisode, first: int, last: int) -> dict[str, Stream]:
    """The samples from frame `first` to the end of frame `last`, on the clock of `time.frame_ns`."""
    if not episode.streams or FRAME_TIMES not in episode.arrays:
        return dict(episode.streams)
    times = np.asarray(episode.arrays[FRAME_TIMES].reshape(-1), np.int64)
    whole = {}
    for name, stream in episode.streams.items():
        begin = max(0, int(np.searchsorted(stream.time_ns, times[first], side="right")) - 1) if first else 0
        end = int(np.searchsorted(stream.time_ns, times[last + 1])) if last + 1 < len(times) else None
        whole[name] = replace(stream, time_ns=stream.time_ns[begin:end], values=stream.values[begin:end])
    return whole


def _shifted(episode: RecordedEpisode, first: int, length: int) -> dict[str, Any]:
    """Instructions of the frames that stay."""
    if not episode.instructions:
        return {}
    at_first = [text for frame, text in episode.instructions if frame <= first]
    kept = [(frame - first, text) for frame, text in episode.instructions if first < frame < first + length]
    begin = at_first[-1] if at_first else episode.instruction
    return {"instruction": begin, "instructions": ((0, begin), *kept) if kept else ()}


def _copyable(episode: RecordedEpisode, first: int) -> int:
    """The latest frame from `first - 8` to `first` at which every camera has a key frame; else `first`."""
    held = (*episode.pictures.values(), *(one.rows for one in episode.carried.values()))
    clips = [images for images in held if isinstance(images, Clip)]
    candidate = first
    while candidate >= max(0, first - _SNAP):
        starts = [key_frame_before(clip.path, clip.first + candidate) - clip.first for clip in clips]
        if all(start == candidate for start in starts):
            return candidate
        candidate = min(starts)
    return first
