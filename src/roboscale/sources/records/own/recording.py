"""Somebody's own layout as a `Recording`: arrays by name, laid onto one clock, pictures from wherever they lie.

Without times every row is a frame. With times of the rows, rows stay rows and their clock is kept; a field with times
of its own shows at every frame what was there by then (`previous`), or nearest to it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import (
    BadData,
    Clip,
    Field,
    Finding,
    Origin,
    Pictures,
    Provenance,
    RecordedEpisode,
    Spec,
    UnknownName,
)
from roboscale.dataset.lerobot.clock import clock_facts, off_grid
from roboscale.dataset.pictures import ArrayPictures, EncodedPictures, decode_picture
from roboscale.dataset.rates import same_rate
from roboscale.dataset.streams import FRAME_TIMES
from roboscale.dataset.unfetched import require_fetched
from roboscale.dataset.video import probe
from roboscale.sources.records.own.bundle import Bundle, find_episodes, names_like
from roboscale.sources.records.own.held import Held
from roboscale.sources.records.own.mapping import OwnField, OwnMap, TextSource, TimeUnit
from roboscale.sources.records.own.pictures import PickedFrames

__all__ = ["OwnRecording", "seconds"]

_UNITS_S: Mapping[TimeUnit, float] = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_SURPLUS = 2  # frames that a video may be longer than its rows


def seconds(values: NDArray[Any], unit: TimeUnit) -> NDArray[np.float64]:
    """(T,) times as seconds since the first, exactly for large integers of nanoseconds."""
    flat = np.asarray(values).reshape(-1)
    since = flat - flat[0] if len(flat) else flat
    return since.astype(np.float64) * _UNITS_S[unit]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rows:
    """Which rows of every source each frame shows, and when the frames were; `None`: row k is frame k."""

    frames: int
    times_s: NDArray[np.float64] | None
    picks: Mapping[str, NDArray[np.int64]]


_SPLITS = ("train", "training", "val", "valid", "validation", "dev", "test", "testing", "eval", "evaluation")


def _splits(keys: Sequence[str]) -> dict[str, list[str]]:
    """Folders that are called as splits are, of all episodes; empty where others lie beside them.

    >>> _splits(("train/0.npz", "train/1.npz", "val/0.npz"))
    {'train': ['train/0.npz', 'train/1.npz'], 'val': ['val/0.npz']}
    """
    folders: dict[str, list[str]] = {}
    for key in keys:
        folders.setdefault(key.split("/")[0] if "/" in key else "", []).append(key)
    return folders if folders and all(name.lower() in _SPLITS for name in folders) else {}


class OwnRecording:
    """See the module, and `core.Recording` for what is promised.

    Args:
        path: file or folder.
        mapping: what the arrays mean.

    Raises:
        BadData: there is no episode, or the first does not have what the mapping names.
    """

    format = "own-layout"

    def __init__(self, path: Path, mapping: OwnMap) -> None:
        self.root, self._map = path, mapping
        self.robot_type, self.licence = mapping.robot, mapping.licence
        self._bundles = {b.key: b for b in find_episodes(path, mapping.episodes, mapping.groups, mapping.split_by)}
        if not self._bundles:
            raise BadData(path, "episodes", f"files or folders {mapping.episodes or 'with arrays'}", "none")
        self.keys: Sequence[str] = tuple(self._bundles)
        first = self._bundles[self.keys[0]]
        sources = first.sources()
        self._names = {name: _names(first, sources, name, one) for name, one in mapping.fields.items()}
        fields = [self._field(first, sources, name, one) for name, one in mapping.fields.items()]
        self.origins: Sequence[Origin] = [self._origin(sources, name) for name in mapping.fields]
        self._clock = bool(mapping.time) and self._is_off_grid(first, sources)
        if self._clock:
            fields.append(Field(FRAME_TIMES, (1,), "int64", unit="ns"))
            self.origins = [*self.origins, Origin(FRAME_TIMES, mapping.time, f"{mapping.time_unit} as nanoseconds")]
        self.spec = Spec(tuple(fields), float(mapping.fps or 0))
        self.unmapped: Mapping[str, str] = self._unmapped(sources)
        self.missing: Mapping[str, Sequence[str]] = {}
        self.findings: Sequence[Finding] = ()
        self.splits: Mapping[str, Sequence[str]] = _splits(self.keys)

    def read(self, key: str, cameras: Collection[str] | None = None) -> RecordedEpisode:
        """One episode. `Recording.read` says what is promised."""
        if key not in self._bundles:
            raise UnknownName("episode", key, self.keys[:1000])
        bundle = self._bundles[key]
        sources = bundle.sources()
        rows, findings = self._rows(bundle, sources)
        arrays: dict[str, NDArray[Any]] = {}
        pictures: dict[str, Clip | Pictures] = {}
        for name, one in self._map.fields.items():
            if self.spec[name].is_image:
                if cameras is None or name in cameras:
                    pictures[name] = self._pictures(bundle, sources, name, one, rows, findings)
            else:
                arrays[name] = self._array(bundle, sources, name, one, rows)
        if self._clock:
            if rows.times_s is None:
                raise BadData(bundle.path, self._map.time, "times of the rows", "none")
            arrays[FRAME_TIMES] = np.round(rows.times_s * 1e9).astype(np.int64)[:, None]
        details = {"source_key": key, "dataset": self.root.resolve().name}
        provenance = Provenance(
            "records.own-layout", embodiment=self.robot_type, licence=self.licence, details=details
        )
        return RecordedEpisode(
            key=key,
            arrays=arrays,
            pictures=pictures,
            instruction=self._instruction(bundle, sources),
            provenance=provenance,
            findings=tuple(findings),
        )

    def close(self) -> None:
        """Nothing is held open."""

    def _field(self, bundle: Bundle, sources: Mapping[str, Held], name: str, one: OwnField) -> Field:
        parts = [sources[source] for source in self._names[name]]
        if parts[0].kind == "pictures" or parts[0].kind == "video" or _is_pictures(parts[0]):
            return Field(name, _picture_shape(parts[0]), "uint8", layout=("height", "width", "channel"), role=one.role)
        for part in parts:
            if part.kind == "objects":
                part.load()
            if part.kind != "numbers":
                raise BadData(part.path, part.name, "numbers, pictures or a video", part.kind)
        dtypes = {part.dtype for part in parts}
        if len(dtypes) > 1:
            raise BadData(bundle.path, f"fields.{name}.source", "arrays of one dtype", ", ".join(sorted(dtypes)))
        shape = parts[0].shape if len(parts) == 1 and len(parts[0].shape) > 1 else (sum(map(_width, parts)),)
        if one.slice:
            if one.slice[1] > shape[0]:
                raise BadData(bundle.path, f"fields.{name}.slice", f"within {shape[0]} elements", list(one.slice))
            shape = (one.slice[1] - one.slice[0], *shape[1:])
        if one.names and len(one.names) != shape[0]:
            raise BadData(bundle.path, f"fields.{name}.names", f"{shape[0]} names", len(one.names))
        layout = one.names or tuple(_last(part.name) for part in parts if len(parts) == shape[0] and len(parts) > 1)
        return Field(name, shape, parts[0].dtype, unit=one.unit, frame=one.frame, mode=one.mode, layout=layout)

    def _origin(self, sources: Mapping[str, Held], name: str) -> Origin:
        names = self._names[name]
        done = "copied" if len(names) == 1 else f"{len(names)} arrays side by side"
        if self._map.fields[name].time:
            done += f", at each frame the {self._map.fields[name].resample} one"
        return Origin(name, ", ".join(names), done)

    def _unmapped(self, sources: Mapping[str, Held]) -> Mapping[str, str]:
        times = {self._map.time, *(one.time for one in self._map.fields.values())}
        used = {source for names in self._names.values() for source in names} | times
        if isinstance(self._map.instruction, TextSource):
            used.add(self._map.instruction.source)
        return {name: "the mapping does not name it" for name in sources if name not in used}

    def _time(self, bundle: Bundle, sources: Mapping[str, Held], name: str) -> NDArray[Any]:
        if name not in sources:
            raise BadData(bundle.path, name, "an array of times", f"none in {', '.join(sources)[:300]}")
        values = np.asarray(sources[name].load()).reshape(-1)
        if not len(values) or values.dtype.kind not in "iuf" or not np.isfinite(values).all():
            raise BadData(sources[name].path, name, "finite times", f"{values.dtype}[{len(values)}]")
        return values

    def _is_off_grid(self, bundle: Bundle, sources: Mapping[str, Held]) -> bool:
        times = seconds(self._time(bundle, sources, self._map.time), self._map.time_unit)
        return any(one.time for one in self._map.fields.values()) or bool(
            off_grid(times, float(self._map.fps or 1)).any()
        )

    def _rows(self, bundle: Bundle, sources: Mapping[str, Held]) -> tuple[_Rows, list[Finding]]:
        """The frames of an episode, on the clock of the rows."""
        findings: list[Finding] = []
        if not self._map.time:
            names = {source for one in self._names.values() for source in self._found(bundle, sources, one)}
            counts = {name: sources[name].rows for name in names if sources[name].kind != "video"}
            counts = counts or {name: sources[name].rows for name in names}
            if len(set(counts.values())) > 1:
                expected = "arrays of one length; where they have clocks of their own, say `time` for each"
                said = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
                raise BadData(bundle.path, "rows", expected, said)
            return _Rows(frames=next(iter(counts.values())), times_s=None, picks={}), findings
        own = self._time(bundle, sources, self._map.time)
        times, zero = seconds(own, self._map.time_unit), own[0]
        facts = clock_facts(times)
        if facts is not None and facts.backwards:
            raise BadData(bundle.path, self._map.time, "times that go forward", f"{facts.backwards} steps back")
        if facts is not None and off_grid(times, float(self._map.fps or 1)).any():
            text = f"{self._map.time}: {facts}; the mapping says {self._map.fps:g} Hz"
            findings.append(Finding("recorded-clock", "info", text, field=self._map.time, evidence=facts.to_json()))
        scale = _UNITS_S[self._map.time_unit]
        others = {
            name: (self._time(bundle, sources, one.time) - zero).astype(np.float64) * scale
            for name, one in self._map.fields.items()
            if one.time
        }
        first = max([0.0, *(float(other[0]) for other in others.values())])
        kept = np.flatnonzero(times >= first - 1e-9)
        if len(kept) < len(times):
            text = f"{len(times) - len(kept)} rows before the first of every field are left out"
            findings.append(Finding("rows-before-start", "warning", text, field=self._map.time))
        if not len(kept):
            raise BadData(bundle.path, self._map.time, "clocks that overlap", f"one that begins {first:.3g} s later")
        picks = {name: _picked(other, times[kept], self._map.fields[name].resample) for name, other in others.items()}
        plain = {name: kept.astype(np.int64) for name in self._map.fields if name not in picks}
        return _Rows(frames=len(kept), times_s=times[kept], picks={**plain, **picks}), findings

    def _found(self, bundle: Bundle, sources: Mapping[str, Held], names: Sequence[str]) -> Sequence[str]:
        for name in names:
            if name not in sources:
                raise BadData(bundle.path, name, "an array of that name", f"{', '.join(sources)[:300]}")
        return names

    def _array(
        self, bundle: Bundle, sources: Mapping[str, Held], name: str, one: OwnField, rows: _Rows
    ) -> NDArray[Any]:
        field, pick = self.spec[name], rows.picks.get(name)
        parts = []
        for source in self._found(bundle, sources, self._names[name]):
            values = np.asarray(sources[source].load())
            values = values.reshape(len(values), -1) if values.ndim < 2 else values
            if pick is not None:
                if len(pick) and pick.max(initial=0) >= len(values):
                    raise BadData(
                        sources[source].path, source, f"a row for each of its times ({pick.max() + 1})", len(values)
                    )
                values = values[pick]
            parts.append(values)
        whole = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
        whole = whole[:, one.slice[0] : one.slice[1]] if one.slice else whole
        if whole.shape != (rows.frames, *field.shape) or whole.dtype != field.dtype:
            expected = f"{field.dtype} {[rows.frames, *field.shape]} as in the first episode"
            raise BadData(bundle.path, name, expected, f"{whole.dtype} {list(whole.shape)}")
        return np.ascontiguousarray(whole)

    def _pictures(
        self,
        bundle: Bundle,
        sources: Mapping[str, Held],
        name: str,
        one: OwnField,
        rows: _Rows,
        findings: list[Finding],
    ) -> Clip | Pictures:
        (source,) = (sources[s] for s in self._found(bundle, sources, self._names[name]))
        pick = rows.picks.get(name, np.arange(rows.frames))
        needed, shape = int(pick.max(initial=-1)) + 1, self.spec[name].shape
        if source.rows < needed:
            raise BadData(source.path, source.name, f"{needed} pictures, one for each row or time", source.rows)
        if source.rows > needed and name not in rows.picks:
            if source.kind != "video" or source.rows > needed + _SURPLUS:
                raise BadData(source.path, source.name, f"{needed} pictures, one a row", source.rows)
            text = f"{source.name} holds {source.rows} frames for {needed} rows; those after the last are not shown"
            findings.append(Finding("video-surplus", "warning", text, field=name))
        if source.kind == "pictures":
            files = source.load()
            return EncodedPictures(source.path, name, lambda k: _blob(files[pick[k]]), rows.frames, shape, bgr=one.bgr)
        if source.kind == "video":
            header = probe(source.path)
            whole = len(pick) == needed and (np.diff(pick) == 1).all() and pick[0] == 0 and not one.bgr
            if whole and same_rate(header.fps, self.spec.rate_hz):
                return Clip(source.path, 0, rows.frames)
            return PickedFrames(source.path, pick, shape)
        values = np.asarray(source.load())[pick]
        values = values.transpose(0, 2, 3, 1) if _channels_first(source.shape) else values
        return ArrayPictures(source.path, name, values[..., ::-1] if one.bgr else values, 0, rows.frames)

    def _instruction(self, bundle: Bundle, sources: Mapping[str, Held]) -> str:
        asked = self._map.instruction
        if not isinstance(asked, TextSource):
            return asked
        self._found(bundle, sources, [asked.source])
        texts = [str(text).strip() for text in np.atleast_1d(sources[asked.source].load())]
        return texts[0] if texts else ""


def _picked(times: NDArray[np.float64], grid: NDArray[np.float64], how: str) -> NDArray[np.int64]:
    after = np.searchsorted(times, grid + 1e-9, side="right")
    left = np.maximum(after - 1, 0)
    if how == "previous":
        return left.astype(np.int64)
    right = np.minimum(after, len(times) - 1)
    return np.where(np.abs(times[right] - grid) < np.abs(grid - times[left]), right, left).astype(np.int64)


def _names(bundle: Bundle, sources: Mapping[str, Held], field: str, one: OwnField) -> tuple[str, ...]:
    names = tuple(name for pattern in one.sources for name in names_like(sources, pattern))
    absent = [pattern for pattern in one.sources if not names_like(sources, pattern)]
    if absent:
        raise BadData(bundle.path, f"fields.{field}.source", f"an array {absent[0]}", f"{', '.join(sources)[:400]}")
    return names


def _width(source: Held) -> int:
    return int(np.prod(source.shape)) if source.shape else 1


def _last(name: str) -> str:
    return name.rsplit("/", 1)[-1]


def _is_pictures(source: Held) -> bool:
    plain = source.kind == "numbers" and source.dtype == "uint8" and len(source.shape) == 3
    return plain and (source.shape[2] == 3 or _channels_first(source.shape))


def _channels_first(shape: tuple[int, ...]) -> bool:
    return shape[0] == 3 and shape[2] != 3


def _picture_shape(source: Held) -> tuple[int, int, int]:
    if source.kind == "video":
        header = probe(source.path)
        return header.height, header.width, 3
    if source.kind == "pictures":
        first = source.load()[0]
        height, width, _ = decode_picture(_blob(first), source.path, source.name).shape
        return height, width, 3
    height, width = source.shape[1:] if _channels_first(source.shape) else source.shape[:2]
    return height, width, 3


def _blob(path: Path | bytes) -> bytes:
    """One compressed picture: a file, or its bytes where they lie in an array."""
    if isinstance(path, bytes):
        return path
    require_fetched(path)
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadData(path, "picture", "a file", error.strerror or error) from error
