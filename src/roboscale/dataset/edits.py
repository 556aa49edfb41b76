"""What can be done to an episode on its way into a new dataset: cut its ends, correct its text, record a judgement."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from roboscale.core.episode import Outcome, Status
from roboscale.core.errors import BadData
from roboscale.core.recording import Carried, Clip, Finding, Pictures, RecordedEpisode, Stream
from roboscale.dataset.packets import key_frame_before
from roboscale.dataset.resampling import PickedPictures
from roboscale.dataset.streams import FRAME_TIMES

__all__ = ["Corrections", "Excerpt", "Kept", "cut_ends", "joined_pieces"]

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
        follows: whether it goes on from the part before it, which is of the same episode: the two are one.
    """

    index: int
    first: int
    last: int
    weight: float = 1.0
    follows: bool = False


@dataclass(frozen=True, slots=True)
class Corrections:
    """An edit: picklable, and its `repr` tells two of them apart.

    Args:
        frames: key -> the frames that stay, in one piece.
        pieces: key -> several pieces that stay, each of which follows the one before.
        tasks: key -> the instruction that is right.
        outcomes: key -> `success` or `failure`, as a person judged.
    """

    frames: Mapping[str, Kept] = field(default_factory=dict)
    tasks: Mapping[str, str] = field(default_factory=dict)
    outcomes: Mapping[str, Status] = field(default_factory=dict)
    pieces: Mapping[str, tuple[Kept, ...]] = field(default_factory=dict)

    def __call__(self, episode: RecordedEpisode) -> RecordedEpisode:
        key = episode.key
        if key in self.frames:
            episode = cut_ends(episode, self.frames[key])
        if key in self.pieces:
            episode = joined_pieces(episode, self.pieces[key])
        if key in self.tasks:
            episode = replace(episode, instruction=self.tasks[key], instructions=())
        if key in self.outcomes:
            old = episode.outcome or Outcome("void", steps=len(episode))
            episode = replace(episode, outcome=replace(old, status=self.outcomes[key], reason="judged by a person"))
        return episode

    def __repr__(self) -> str:
        facts: list[Any] = [
            {k: [v.first, v.last] for k, v in self.frames.items()},
            dict(self.tasks),
            dict(self.outcomes),
        ]
        if self.pieces:
            facts.append({k: [[v.first, v.last] for v in some] for k, some in self.pieces.items()})
        digest = hashlib.blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=8).hexdigest()
        cut = len(self.frames) + len(self.pieces)
        return f"Corrections({cut} cut, {len(self.tasks)} tasks, {len(self.outcomes)} judged, {digest})"


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


def joined_pieces(episode: RecordedEpisode, pieces: Sequence[Kept]) -> RecordedEpisode:
    """Several pieces as one episode, where nothing happens between them; what says the time keeps its gaps.

    Pictures are decoded and encoded again. Of a sensor at its own rate stays what lies in the pieces.

    Raises:
        BadData: the episode does not have these frames, or a video is carried as it is.
    """
    if pieces[0].first < 0 or pieces[-1].last >= len(episode):
        expected = f"within 0..{len(episode) - 1}"
        raise BadData(f"episode {episode.key}", "frames to keep", expected, f"{pieces[0].first}..{pieces[-1].last}")
    videos = [name for name, one in episode.carried.items() if isinstance(one.rows, Clip)]
    if videos:
        raise BadData(
            f"episode {episode.key}", videos[0], "rows, to leave some out", "a video that is carried as it is"
        )
    rows = np.concatenate([np.arange(piece.first, piece.last + 1, dtype=np.int64) for piece in pieces])
    parts = [_cut_streams(episode, piece.first, piece.last) for piece in pieces]
    text = f"kept {len(rows)} of {len(episode)} frames in {len(pieces)} pieces; nothing is asked for between them"
    texts = {int(np.searchsorted(rows, first)): said for first, said in episode.instructions}
    return replace(
        episode,
        arrays={name: array[rows] for name, array in episode.arrays.items()},
        pictures={name: PickedPictures(images, rows) for name, images in episode.pictures.items()},
        streams={name: _in_a_row([part[name] for part in parts]) for name in episode.streams},
        carried={
            name: replace(one, rows=one.rows.take(rows))
            for name, one in episode.carried.items()
            if not isinstance(one.rows, Clip)
        },
        findings=(*episode.findings, Finding("trimmed", "info", text)),
        instructions=tuple((first, said) for first, said in texts.items() if first < len(rows)),
    )


def _in_a_row(parts: Sequence[Stream]) -> Stream:
    """The samples of all parts, those that two of them hold once."""
    times = np.concatenate([part.time_ns for part in parts])
    new = np.concatenate([[True], np.diff(times) > 0]) if len(times) else np.zeros(0, np.bool_)
    return replace(parts[0], time_ns=times[new], values=np.concatenate([part.values for part in parts])[new])


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
