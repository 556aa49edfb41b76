"""What became of a broken recording: everything it still gives, against everything the sound one gave."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData, Clip, RecordedEpisode, Recording, RoboscaleError
from roboscale.sources.records import open_recording

__all__ = ["FAILURES", "VERDICTS", "Excuse", "Reading", "judge", "read_all"]

VERDICTS = (
    "same",
    "error",
    "prefix",
    "changed-with-finding",
    "changed-silently",
    "changed-despite-checksum",
    "structure-silently",
    "vague-error",
    "other-exception",
    "memory",
    "hang",
    "crash",
)
"""What can become of a mutant."""

Excuse = Literal["", "absent", "boundaries", "dtype"]
"""Why a change of structure may be none that a reader can tell; empty: it can."""

FAILURES = frozenset(VERDICTS[5:])
"""Those that must never be. `changed-silently` is no failure: some formats have nothing to notice it by."""


@dataclass
class Episode:
    """Arrays, digests of pictures, and the instruction of one episode."""

    length: int
    arrays: dict[str, NDArray[Any]]
    pictures: dict[str, list[str]]
    instruction: str


@dataclass
class Reading:
    """Everything that could be read.

    Args:
        fields: name -> shape and dtype.
        episodes: key -> what it holds, or the error that reading it raised.
        statements: findings, and what the recording says is unmapped or missing.
        error: raised by opening.
    """

    fields: dict[str, tuple[tuple[int, ...], str]] = field(default_factory=dict)
    rate_hz: float = 0.0
    episodes: dict[str, Episode | RoboscaleError] = field(default_factory=dict)
    statements: set[str] = field(default_factory=set)
    error: RoboscaleError | None = None


def read_all(path: Path, format: str, options: Mapping[str, Any]) -> Reading:
    """Opens and reads a recording as an import does; only errors that are ours are caught."""
    reading = Reading()
    try:
        recording = open_recording(path, format, **options)
    except RoboscaleError as error:
        reading.error = error
        return reading
    try:
        _read(recording, reading)
    finally:
        recording.close()
    return reading


def _read(recording: Recording, reading: Reading) -> None:
    reading.fields = {f.name: (f.shape, f.dtype) for f in recording.spec}
    reading.rate_hz = recording.spec.rate_hz
    reading.statements |= {f"{f.check}: {f.text}" for f in recording.findings}
    reading.statements |= {f"unmapped {name}" for name in recording.unmapped}
    reading.statements |= {f"missing {camera} {key}" for camera, keys in recording.missing.items() for key in keys}
    cameras = {f.name for f in recording.spec.images}
    for key in recording.keys:
        absent = {camera for camera, keys in recording.missing.items() if key in keys}
        try:
            episode = recording.read(key, cameras - absent)
            reading.statements |= {f"{f.check}: {f.text}" for f in episode.findings}
            reading.episodes[key] = _take(episode)
        except RoboscaleError as error:
            reading.episodes[key] = error


def _take(episode: RecordedEpisode) -> Episode:
    arrays = {name: np.asarray(values) for name, values in episode.arrays.items()}
    for name, stream in episode.streams.items():
        arrays |= {f"stream {name}": stream.values, f"stream {name} time": stream.time_ns}
    pictures = {}
    for name, images in episode.pictures.items():
        if isinstance(images, Clip):  # copied as packets later; the copy is checked there
            pictures[name] = [f"{images.path.name} {images.first + i}" for i in range(images.length)]
        else:
            pictures[name] = [hashlib.sha1(np.ascontiguousarray(image)).hexdigest() for image in images]
    return Episode(len(episode), arrays, pictures, episode.instruction)


def judge(sound: Reading, broken: Reading, *, checksummed: bool, excuse: Excuse, names: set[str]) -> tuple[str, str]:
    """(verdict, why).

    Args:
        checksummed: the broken file carries checksums over its payload.
        excuse: why what is left may be a recording that is sound in itself, so that no reader can tell. `absent`: a
            file was taken away, and every episode is a file. `dtype`: another dtype of the same width was written
            into the one file that says it, beside numbers that have neither types nor checksums (zarr's .zarray).
            `boundaries`: rows moved from one episode to its neighbour, and all of them are there (zarr's
            episode_ends, which has no checksum).
        names: of the sample's files and folder; a clear error has one of them.
    """
    errors = [e for e in broken.episodes.values() if isinstance(e, RoboscaleError)]
    if broken.error is not None:
        errors = [broken.error]
    if vague := [e for e in errors if not _is_clear(e, names)]:
        return "vague-error", f"{type(vague[0]).__name__}: {vague[0]}"
    if errors and not any(isinstance(e, Episode) for e in broken.episodes.values()):
        return "error", str(errors[0])
    structure, values, prefix = _differences(sound, broken)
    new = broken.statements - sound.statements
    if structure or values:
        why = "; ".join([*structure, *values])
        if new:
            return ("prefix" if prefix and not values else "changed-with-finding"), f"{why} | {sorted(new)[0]}"
        if structure and not _is_sound_in_itself(sound, broken, excuse):
            return "structure-silently", why
        return ("changed-despite-checksum" if checksummed else "changed-silently"), why
    return ("error", str(errors[0])) if errors else ("same", "")


def _is_sound_in_itself(sound: Reading, broken: Reading, excuse: Excuse) -> bool:
    pairs = [(sound.episodes[key], now) for key, now in broken.episodes.items() if key in sound.episodes]
    if any(not isinstance(e, Episode) for pair in pairs for e in pair) or len(pairs) != len(broken.episodes):
        return False
    if excuse == "boundaries":
        totals = [sum(e.length for e in r.episodes.values() if isinstance(e, Episode)) for r in (sound, broken)]
        return broken.fields == sound.fields and len(pairs) == len(sound.episodes) and totals[0] == totals[1]
    if excuse == "absent":
        return broken.fields == sound.fields and all(not _changed(was, now) for was, now in pairs)
    shapes = [sorted(shape for shape, _ in r.fields.values()) for r in (sound, broken)]
    lengths = [sorted(e.length for e in r.episodes.values()) for r in (sound, broken)]
    return excuse == "dtype" and shapes[0] == shapes[1] and lengths[0] == lengths[1]


def _is_clear(error: RoboscaleError, names: set[str]) -> bool:
    return (isinstance(error, BadData) or any(name in str(error) for name in names)) and bool(str(error).strip())


def _differences(sound: Reading, broken: Reading) -> tuple[list[str], list[str], bool]:
    """Changes of structure, changes of values, and whether every shorter episode is a prefix."""
    structure, values, prefix, shorter = [], [], True, False
    if broken.fields != sound.fields:
        kinds = [sorted(map(str, r.fields.values())) for r in (sound, broken)]
        changed = sorted(set(sound.fields.items()) ^ set(broken.fields.items()), key=str)
        (values if kinds[0] == kinds[1] else structure).append(f"fields: {changed[:4]}")
    if broken.rate_hz != sound.rate_hz:
        values.append(f"rate {broken.rate_hz}")
    if broken.episodes.keys() != sound.episodes.keys():
        changed_keys = sorted(broken.episodes.keys() ^ sound.episodes.keys())
        renamed = len(broken.episodes) == len(sound.episodes)
        (values if renamed else structure).append(f"episodes: {changed_keys[:4]}")
    for key in broken.episodes.keys() & sound.episodes.keys():
        was, now = sound.episodes[key], broken.episodes[key]
        if isinstance(now, RoboscaleError) or isinstance(was, RoboscaleError):
            continue
        if now.length != was.length:
            structure.append(f"{key}: {now.length} frames were {was.length}")
            shorter = True
            prefix = prefix and now.length < was.length and not _changed(was, now)
        else:
            values += [f"{key}: {name}" for name in _changed(was, now)]
        structure += [f"{key}: {name} {now.arrays[name].shape}" for name in _reshaped(was, now)]
    return structure, values, prefix and shorter


def _reshaped(was: Episode, now: Episode) -> list[str]:
    both = was.arrays.keys() & now.arrays.keys()
    return [
        name
        for name in both
        if was.arrays[name].dtype != now.arrays[name].dtype or was.arrays[name].shape[1:] != now.arrays[name].shape[1:]
    ]


def _changed(was: Episode, now: Episode) -> list[str]:
    """Fields whose values are not those of the sound episode, as far as both go."""
    found = [] if now.instruction == was.instruction else ["instruction"]
    for name in was.arrays.keys() & now.arrays.keys():
        n = min(len(was.arrays[name]), len(now.arrays[name]))
        a, b = was.arrays[name][:n], now.arrays[name][:n]
        if not np.array_equal(a, b, equal_nan=a.dtype.kind == "f" and b.dtype.kind == "f"):
            found.append(name)
        if name.startswith("stream ") and len(was.arrays[name]) < len(now.arrays[name]):
            found.append(f"{name} is longer")
    for name in was.pictures.keys() & now.pictures.keys():
        n = min(len(was.pictures[name]), len(now.pictures[name]))
        if was.pictures[name][:n] != now.pictures[name][:n]:
            found.append(name)
    return found
