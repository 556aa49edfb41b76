"""What the HDF5 formats share: columns and cameras planned from what the episodes hold, then read one by one.

A format says where an episode lies (`Place`), which dataset becomes which field (`Plan`), and what is known about it
(`Facts`). Reading, lengths, shapes and what nobody planned for are looked after here.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from roboscale.core import (
    UNKNOWN,
    BadData,
    Clip,
    Field,
    Finding,
    Origin,
    Outcome,
    Pictures,
    Provenance,
    RecordedEpisode,
    Spec,
    UnknownName,
)
from roboscale.sources.records.hdf5.common import Files, Leaf, find_group, leaves, read_array

__all__ = [
    "Camera",
    "Column",
    "Facts",
    "Format",
    "Hdf5Recording",
    "Place",
    "ReadingPlan",
    "Survey",
    "column",
    "need_rate",
    "ordered",
    "spread",
    "stack",
    "survey",
    "unfit",
]

_SURVEYED = 64  # files looked into when a recording of one file per episode is opened
_WIDEST = 4096  # numbers per frame; beyond that it is a picture


@dataclass(frozen=True, slots=True)
class Place:
    """Where an episode lies: a file, and a group in it (empty: the file's root)."""

    file: Path
    group: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A numeric field and the datasets, below the episode's group, that it is read from.

    `parts` may name a role in braces, e.g. `{wrist}`, that stands for another name in every episode.
    """

    field: Field
    parts: tuple[str, ...]
    done: str = "copied"


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera and the dataset or file it is read from."""

    field: Field
    source: str
    done: str


@dataclass(frozen=True, slots=True)
class ReadingPlan:
    """What becomes of every dataset of a recording."""

    columns: tuple[Column, ...]
    cameras: tuple[Camera, ...]
    unmapped: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What an episode's file says besides numbers."""

    provenance: Provenance
    instruction: str = ""
    outcome: Outcome | None = None
    id: str = ""
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Survey:
    """What the episodes hold.

    Args:
        common: in every episode that was looked into; the most frequent shape and dtype.
        partial: dataset -> why it is not in `common`.
        first: key and datasets of the first readable episode.
        differing: dataset -> what it is in how many episodes, where they do not agree.
    """

    common: Mapping[str, Leaf]
    partial: Mapping[str, str]
    first: tuple[str, Mapping[str, Leaf]]
    differing: Mapping[str, str]


class Format(Protocol):
    """What one format knows about its episodes."""

    def place(self, key: str) -> Place:
        """Where an episode lies."""

    def roles(self, key: str) -> Mapping[str, str]:
        """Names that differ from episode to episode: role -> name."""

    def pictures(self, files: Files, key: str, camera: Camera, length: int) -> Clip | Pictures:
        """A camera of an episode of `length` frames; BadData when it is not there."""

    def facts(self, files: Files, key: str, length: int) -> Facts:
        """Instruction, outcome and provenance of an episode."""


def unfit(leaf: Leaf) -> str:
    """Why a dataset cannot be a column; empty when it can."""
    if not leaf.numeric:
        return f"no numbers: {leaf.dtype}"
    if not leaf.shape or not all(leaf.shape):
        return f"empty, or one value per episode: shape {list(leaf.shape)}"
    if len(leaf.frame) > 2:
        return f"a picture or a stack that is no RGB picture: {leaf}"
    if np.prod(leaf.frame, dtype=object) > _WIDEST:
        return f"depth or another picture: {leaf}"
    return ""


def column(
    name: str, part: str, leaf: Leaf, *, unit: str = UNKNOWN, mode: str = UNKNOWN, layout: Sequence[str] = ()
) -> Column:
    """A dataset (T, ...) as a field of its own; (T,) becomes (T, 1)."""
    shape = leaf.frame or (1,)
    names = tuple(layout) if len(shape) == 1 and len(layout) == shape[0] else ()
    return Column(Field(name, shape, leaf.dtype, unit=unit, layout=names, mode=mode), (part,))


def stack(
    name: str, parts: Mapping[str, Leaf], layout: Sequence[str], *, unit: str = UNKNOWN, mode: str = UNKNOWN
) -> Column:
    """Datasets (T,) or (T, n) side by side as one field.

    Raises:
        BadData: one of them is no vector, or their dtypes differ: joining those would change numbers.
    """
    dtypes = {leaf.dtype for leaf in parts.values()}
    if len(dtypes) != 1 or any(len(leaf.frame) > 1 for leaf in parts.values()):
        raise BadData(", ".join(parts), name, "vectors of one dtype", {k: str(v) for k, v in parts.items()})
    width = sum(leaf.frame[0] if leaf.frame else 1 for leaf in parts.values())
    names = tuple(layout) if len(layout) == width else ()
    field = Field(name, (width,), dtypes.pop(), unit=unit, layout=names, mode=mode)
    return Column(field, tuple(parts), f"stacked from {len(parts)} arrays" if len(parts) > 1 else "copied")


def ordered(columns: Iterable[Column]) -> tuple[Column, ...]:
    """The action first, then what was observed, then the rest."""
    tops = ("action", "observation.state", "observation.", "next.", "commanded.")
    rank = {top: number for number, top in enumerate(tops)}

    def key(column: Column) -> tuple[int, str]:
        name = column.field.name
        return min((rank[top] for top in tops if name.startswith(top)), default=len(tops)), name

    return tuple(sorted(columns, key=key))


def need_rate(root: Path, fps: float | None, known: float | None = None) -> float:
    """The rate in Hz: the user's word, else what the source says.

    Raises:
        BadData: neither is there, or it is none.
    """
    rate = fps if fps is not None else known
    if rate is None:
        raise BadData(root, "fps", "the rate in Hz, which nothing here says: --fps", "nothing")
    if not 0 < rate < 1e6:
        raise BadData(root, "fps", "a rate above 0 Hz", rate)
    return round(rate) if abs(rate - round(rate)) < 1e-6 else rate


def spread(keys: Sequence[str], count: int = _SURVEYED) -> list[str]:
    """At most `count` of the keys, the first among them, evenly spread."""
    step = max(1, -(-len(keys) // count))
    return list(keys[::step])


def survey(episodes: Iterator[tuple[str, Mapping[str, Leaf] | BadData]], needed: tuple[str, ...] = ()) -> Survey:
    """What the episodes have in common; broken ones have no say.

    Args:
        needed: beginnings of names that count as common when half of the episodes have them: the others are then
            at fault, and say so when they are read.

    Raises:
        BadData: that of the first episode, when none can be read.
    """
    first: tuple[str, Mapping[str, Leaf]] | None = None
    error: BadData | None = None
    seen: dict[str, Counter[tuple[int | None, tuple[int, ...], str]]] = {}
    count = 0
    for key, arrays in episodes:
        if isinstance(arrays, BadData):
            error = error or arrays
            continue
        first = first or (key, arrays)
        count += 1
        for name, leaf in arrays.items():
            time = min(leaf.shape[0], 1) if leaf.shape else None  # none, no rows, or rows: how many is the episode's
            seen.setdefault(name, Counter())[(time, leaf.frame, leaf.dtype)] += 1
    if first is None:
        raise error or BadData("recording", "episodes", "at least one", 0)
    common, partial, differing = {}, {}, {}
    for name, kinds in sorted(seen.items()):
        times = sum(kinds.values())
        if times < count and not (name.startswith(needed) and 2 * times >= count):
            partial[name] = f"only in {times} of {count} episodes looked into"
            continue
        leaves = {Leaf(() if time is None else (time, *frame), dtype): n for (time, frame, dtype), n in kinds.items()}
        common[name] = max(leaves, key=leaves.__getitem__)
        if len(leaves) > 1:
            differing[name] = "; ".join(f"{_per_frame(leaf)} in {n} of {count}" for leaf, n in leaves.items())
    return Survey(common, partial, first, differing)


def _per_frame(leaf: Leaf) -> str:
    if not leaf.shape:
        return f"one {leaf.dtype}"
    return f"{leaf.dtype}{list(leaf.frame)} per frame" if leaf.shape[0] else "no frames"


class Hdf5Recording:
    """A recording in HDF5 files; see `core.Recording`. Picklable: a worker process opens files of its own."""

    def __init__(
        self,
        format: str,
        root: Path,
        layout: Format,
        keys: Sequence[str],
        *,
        plan: ReadingPlan,
        rate_hz: float,
        robot_type: str = "",
        missing: Mapping[str, Sequence[str]] | None = None,
        findings: Sequence[Finding] = (),
        differing: Mapping[str, str] | None = None,
    ) -> None:
        self.format, self.root = format, root
        self.keys: Sequence[str] = tuple(keys)
        self.robot_type, self.licence = robot_type, ""
        fields = [column.field for column in plan.columns] + [camera.field for camera in plan.cameras]
        self.spec = Spec(tuple(fields), rate_hz)
        self.origins: Sequence[Origin] = tuple(
            [Origin(column.field.name, " + ".join(column.parts), column.done) for column in plan.columns]
            + [Origin(camera.field.name, camera.source, camera.done) for camera in plan.cameras]
        )
        self.unmapped: Mapping[str, str] = dict(plan.unmapped)
        self.missing: Mapping[str, Sequence[str]] = {c: tuple(k) for c, k in (missing or {}).items() if k}
        self.findings: Sequence[Finding] = (*findings, *_disagreements(plan, differing or {}))
        self._layout = layout
        self._columns, self._cameras = plan.columns, plan.cameras
        self._files = Files()

    def read(self, key: str, cameras: Collection[str] | None = None) -> RecordedEpisode:
        """One episode, with the named cameras only (by default all); see `core.Recording.read`."""
        if key not in self.keys:
            raise UnknownName("episode", key, self.keys)
        for name in cameras or ():
            if name not in self.spec:
                raise UnknownName("camera", name, [c.field.name for c in self._cameras])
        place, roles = self._layout.place(key), self._layout.roles(key)
        group = find_group(place.file, self._files.get(place.file), place.group)
        nodes = leaves(place.file, group)
        columns = [dataclasses.replace(c, parts=_named(c.parts, roles)) for c in self._columns]
        arrays: dict[str, NDArray[Any]] = {}
        for c in columns:
            arrays[c.field.name] = self._read_column(place, group, c, nodes, arrays)
        length = len(next(iter(arrays.values())))
        wanted = [c for c in self._cameras if cameras is None or c.field.name in cameras]
        pictures = {c.field.name: self._layout.pictures(self._files, key, c, length) for c in wanted}
        facts = self._layout.facts(self._files, key, length)
        return RecordedEpisode(
            key=key,
            arrays=arrays,
            pictures=pictures,
            instruction=facts.instruction,
            provenance=facts.provenance,
            outcome=facts.outcome,
            findings=(*facts.findings, *self._strangers(key, nodes, roles)),
            id=facts.id,
        )

    def _read_column(
        self, place: Place, group: Any, column: Column, arrays: Mapping[str, Leaf], before: Mapping[str, NDArray[Any]]
    ) -> NDArray[Any]:
        """(T, *field.shape); T is that of the columns `before` it."""
        parts = []
        for part in column.parts:
            where = f"{group.name.rstrip('/')}/{part}"
            if part not in arrays:
                raise BadData(place.file, where, "a dataset as in the other episodes", "nothing")
            leaf = arrays[part]
            if leaf.dtype != column.field.dtype or not leaf.shape or not leaf.shape[0]:
                raise BadData(place.file, where, f"{column.field.dtype}, at least one frame", leaf)
            if len(column.parts) == 1 and (leaf.frame or (1,)) != column.field.shape:
                raise BadData(place.file, where, f"frames of shape {list(column.field.shape)}", leaf)
            for name, values in before.items():
                if len(values) != leaf.shape[0]:
                    raise BadData(place.file, where, f"{len(values)} frames as in {name}", f"{leaf.shape[0]} frames")
            parts.append((where, read_array(place.file, group, part)))
        lengths = {len(values) for _, values in parts}
        if len(lengths) != 1:
            raise BadData(place.file, parts[-1][0], f"{len(parts[0][1])} frames as in {parts[0][0]}", lengths)
        if len(parts) == 1:
            return parts[0][1].reshape(-1, *column.field.shape)
        joined = np.concatenate([v.reshape(len(v), -1) for _, v in parts], axis=1)
        if joined.shape[1:] != column.field.shape:
            raise BadData(place.file, parts[0][0], f"{column.field.shape[0]} numbers", f"{joined.shape[1]} in all")
        return joined

    def _strangers(self, key: str, arrays: Mapping[str, Leaf], roles: Mapping[str, str]) -> tuple[Finding, ...]:
        """Datasets of this episode that the others, and so `unmapped`, do not have."""
        known = {p for c in self._columns for p in _named(c.parts, roles)} | set(self.unmapped)
        known |= {c.source for c in self._cameras} | {_unnamed(name, roles) for name in known}
        new = [n for n in arrays if n not in known and _unnamed(n, roles) not in known]
        if not new:
            return ()
        text = f"episode {key} also holds {', '.join(new[:8])}, which the others do not: not carried over"
        return (Finding("unmapped-field", "info", text, field=new[0], evidence={"datasets": new}),)

    def close(self) -> None:
        """Lets go of open files."""
        self._files.close()


def _disagreements(plan: ReadingPlan, differing: Mapping[str, str]) -> Iterator[Finding]:
    """What is carried over although the episodes do not agree on it."""
    sources = [(c.field.name, part) for c in plan.columns for part in c.parts]
    sources += [(c.field.name, c.source) for c in plan.cameras]
    for name, source in sources:
        if source in differing:
            text = f"{source} is {differing[source]} episodes looked into; those that differ from the spec fail"
            yield Finding("differing-field", "warning", text, field=name)


def _named(parts: Sequence[str], roles: Mapping[str, str]) -> tuple[str, ...]:
    for role, name in roles.items():
        parts = [part.replace("{" + role + "}", name) for part in parts]
    return tuple(parts)


def _unnamed(part: str, roles: Mapping[str, str]) -> str:
    for role, name in roles.items():
        part = part.replace(name, "{" + role + "}")
    return part
