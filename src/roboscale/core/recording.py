"""What somebody else recorded, as its format holds it: the nouns between `sources/records` and a dataset.

Nothing is converted here. Numbers keep their dtype, pictures stay encoded where they are, and what a format cannot
say stays unknown.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from roboscale.core.episode import Outcome, Provenance
from roboscale.core.errors import SpecMismatch
from roboscale.core.plain import Plain, spelt, to_plain
from roboscale.core.spec import Spec

__all__ = [
    "UNKNOWN",
    "Carried",
    "CarriedRows",
    "Clip",
    "Extras",
    "Finding",
    "Origin",
    "Pictures",
    "RecordedEpisode",
    "Recording",
    "Severity",
    "Span",
    "Stream",
    "extras_of",
    "splits_of",
]

UNKNOWN = "unknown"
"""Unit or mode of a field that nobody has declared; never guessed."""

Severity = Literal["error", "warning", "info"]
"""`error`: a loader fails or training gets wrong numbers; `warning`: worth a look; `info`: good to know."""


@dataclass(frozen=True, slots=True)
class Span:
    """Frames `first` to `last`, both included, of the episode at position `episode`."""

    episode: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Finding(Plain):
    """Something wrong with a recording or a dataset, with its evidence.

    Args:
        check: which check found it; kebab-case, e.g. `missing-video`.
        text: one sentence with both sides: what is claimed and what is there.
        episodes: positions of the episodes concerned; empty when it concerns the whole.
        field: the feature, column or key concerned.
        spans: where in those episodes, for a timeline.
        evidence: the numbers behind the sentence; JSON types only.
        repair: the command that mends it; empty where only a person can.
    """

    check: str
    severity: Severity
    text: str
    _: dataclasses.KW_ONLY
    episodes: tuple[int, ...] = ()
    field: str = ""
    spans: tuple[Span, ...] = ()
    evidence: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    repair: str = ""

    def to_json(self) -> dict[str, Any]:
        """By its fields; evidence is read back, and a number in it that is not finite is a text."""
        return Plain.to_json(self) | {"evidence": to_plain(spelt(self.evidence))}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Finding:
        spans = tuple(Span(**s) for s in data.get("spans", ()))
        return cls(**{**data, "episodes": tuple(data.get("episodes", ())), "spans": spans})


@dataclass(frozen=True, slots=True)
class Origin:
    """One line of a conversion's proof: where a field's values come from and what was done to them.

    Args:
        field: our name.
        source: name of the array, column, topic or file pattern in the source.
        done: e.g. `copied`, `remuxed`, `JPEG decoded, h264 encoded`, `stacked from 3 arrays`.
    """

    field: str
    source: str
    done: str = "copied"


@dataclass(frozen=True, slots=True)
class Clip:
    """Pictures in a video file: frames `first` to `first + length - 1`, counted at the recording's rate.

    They can be copied without being decoded.
    """

    path: Path
    first: int
    length: int

    def __len__(self) -> int:
        return self.length

    def cut(self, first: int, length: int) -> Clip:
        """Frames `first` to `first + length - 1` of this clip."""
        if first < 0 or length < 1 or first + length > self.length:
            raise SpecMismatch(f"{self.path}: frames {first} to {first + length - 1} of a clip of {self.length}")
        return Clip(self.path, self.first + first, length)


class Pictures(Protocol):
    """One camera of one episode, decoded picture by picture, so that an episode need not fit into memory."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        """Pictures (H, W, 3) uint8 RGB, from the first; may be called again. BadData when one is broken."""


class CarriedRows(Protocol):
    """One column of one episode that nobody here looks into: texts, depth as PNG, what a newer writer invents."""

    def __len__(self) -> int:
        """Rows, one a frame."""

    def take(self, rows: NDArray[np.int64]) -> CarriedRows:
        """The rows of these numbers, in this order."""

    def read(self) -> Any:
        """The rows in the form of their file's reader. BadData when they cannot be read."""


@dataclass(frozen=True, slots=True)
class Carried:
    """A feature of one episode that is carried as it is.

    Args:
        rows: its rows, or its video, whose packets are copied.
        statistics: what the source says of this episode's, as LeRobot has them; empty where it says nothing.
    """

    rows: Clip | CarriedRows
    statistics: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, slots=True)
class Stream:
    """A sensor at its own rate, beside the grid of frames.

    Args:
        time_ns: (N,) int64, nanoseconds, not decreasing, on the clock of the source.
        values: (N, *shape).
        unit: of the values; `unknown` where nobody has declared it.
        layout: name of each element.
    """

    time_ns: NDArray[np.int64]
    values: NDArray[Any]
    unit: str = UNKNOWN
    layout: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.time_ns.shape != (len(self.values),) or self.time_ns.dtype != np.int64:
            raise SpecMismatch(
                f"a stream has {len(self.values)} values and times {self.time_ns.dtype}{list(self.time_ns.shape)}"
            )
        if (np.diff(self.time_ns) < 0).any():
            raise SpecMismatch("a stream's times go backwards")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedEpisode:
    """One episode of a recording.

    Args:
        key: names it within its recording; the same every time the recording is opened.
        arrays: every numeric field of the spec -> (T, *field.shape), in the source's dtype.
        pictures: every camera of the spec -> T pictures.
        instruction: what was asked; the source's text, unaltered. Empty where there is none.
        id: UUID hex of an episode that has one already; empty otherwise.
        streams: name -> sensor at its own rate. Where there are any, `arrays["time.frame_ns"]` (T,) int64 says when
            each frame of the grid was taken, on the same clock.
        findings: what was wrong with it and what was done about that.
        instructions: (frame from which it holds, text), in order, where the text changes within the episode.
        carried: every feature of `Extras.features` -> its rows; read when somebody asks for them.
    """

    key: str
    arrays: Mapping[str, NDArray[Any]]
    pictures: Mapping[str, Clip | Pictures]
    instruction: str
    provenance: Provenance
    outcome: Outcome | None = None
    streams: Mapping[str, Stream] = dataclasses.field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    id: str = ""
    instructions: tuple[tuple[int, str], ...] = ()
    carried: Mapping[str, Carried] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        held = (*self.arrays.items(), *self.pictures.items(), *self.carried.items())
        lengths = {name: len(values) for name, values in held}
        if len(set(lengths.values())) > 1:
            raise SpecMismatch(f"episode {self.key}: fields of different lengths: {lengths}")

    def __len__(self) -> int:
        return len(next(iter((*self.arrays.values(), *self.pictures.values())), ()))


class Recording(Protocol):
    """Somebody else's recording, opened for reading. Opening reads metadata only.

    Attributes:
        format: e.g. `lerobot-v2.1`, `rlds`.
        root: file or folder it was opened from.
        spec: what the arrays mean as far as the format, or the user's declaration, says; else `UNKNOWN`.
            Its rate is that of the grid of frames (Hz).
        robot_type: embodiment, empty where the source does not say.
        licence: SPDX id, or empty.
        keys: names of the episodes, in the source's order.
        origins: for every field of the spec, where it comes from.
        unmapped: source field -> why it is not carried over. Together with `origins` and what `extras_of` gives,
            everything the source holds.
        missing: camera -> keys of the episodes whose video is not there.
        findings: what is wrong with the metadata.
    """

    format: str
    root: Path
    spec: Spec
    robot_type: str
    licence: str
    keys: Sequence[str]
    origins: Sequence[Origin]
    unmapped: Mapping[str, str]

    @property
    def missing(self) -> Mapping[str, Sequence[str]]: ...

    @property
    def findings(self) -> Sequence[Finding]: ...

    def read(self, key: str, cameras: Collection[str] | None = None) -> RecordedEpisode:
        """One episode, with the named cameras only (by default all).

        Raises:
            BadData: the episode is broken; names file, field and both sides. Other episodes stay readable.
        """

    def close(self) -> None:
        """Lets go of open files."""


@dataclass(frozen=True, slots=True)
class Extras:
    """What a set says beside its episodes that nobody here reads, and that holds whatever becomes of its episodes.

    It is carried as it is.

    Args:
        info: key of `info.json` -> value, e.g. the `tools` of LeRobot 0.6.
        cameras: camera -> what its `info` holds besides the video's, e.g. intrinsics.
        files: path under the root -> bytes, e.g. `meta/subtasks.parquet`.
        features: feature of every episode -> what `info.json` says of it, e.g. texts and depth; see `Carried`.
    """

    info: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    cameras: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    files: Mapping[str, bytes] = dataclasses.field(default_factory=dict)
    features: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.info or self.cameras or self.files or self.features)

    @property
    def names(self) -> tuple[str, ...]:
        """Each of them, for people."""
        inside = [f"{key} of {camera}" for camera, said in self.cameras.items() for key in said]
        return (*(f"info.json {key}" for key in self.info), *inside, *self.files, *self.features)

    def without(self, features: Collection[str]) -> Extras:
        """All but those features."""
        kept = {name: said for name, said in self.features.items() if name not in features}
        return dataclasses.replace(self, features=kept)

    def shared(self, other: Extras) -> Extras:
        """What both say alike."""
        cameras = {
            camera: both
            for camera in self.cameras
            if (both := _alike(self.cameras[camera], other.cameras.get(camera, {})))
        }
        return Extras(
            _alike(self.info, other.info),
            cameras,
            _alike(self.files, other.files),
            _alike(self.features, other.features),
        )


def _alike(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in one.items() if key in other and other[key] == value}


def extras_of(recording: Recording) -> Extras:
    """Of a format that has any; empty for any other."""
    extras: Extras = getattr(recording, "extras", Extras())
    return extras


def splits_of(recording: Recording) -> Mapping[str, Sequence[str]]:
    """Split -> keys of its episodes, of a format that knows splits; empty for any other."""
    splits: Mapping[str, Sequence[str]] = getattr(recording, "splits", {})
    return splits
