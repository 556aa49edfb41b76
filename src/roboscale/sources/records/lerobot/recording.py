"""A LeRobot dataset of any version as a `Recording`, once its version's reader has said where everything lies."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from roboscale.core import (
    BadData,
    Clip,
    Finding,
    Origin,
    Outcome,
    Pictures,
    Provenance,
    RecordedEpisode,
    Span,
    Spec,
    UnknownName,
)
from roboscale.dataset.layout import INDEX_FEATURES
from roboscale.dataset.video import Probe, probe
from roboscale.sources.records.lerobot.features import Features
from roboscale.sources.records.lerobot.tables import Tables, blobs, column_array
from roboscale.sources.records.pictures import ArrayPictures, EncodedPictures

__all__ = ["Entry", "LeRobotRecording", "Source"]

_TOLERANCE_S = 1e-4  # LeRobot's tolerance_s


@dataclass(frozen=True, slots=True)
class Entry:
    """Where one episode lies.

    Args:
        key: `episode_` and its index, in six digits.
        index: LeRobot's episode index.
        length: frames that the metadata claims.
        tasks: texts that the metadata claims.
        table: parquet file.
        shared: other episodes lie in the same files.
        videos: camera -> file and number of the episode's first frame in it.
        id, outcome, provenance: of an episode that roboscale wrote.
    """

    key: str
    index: int
    length: int
    tasks: tuple[str, ...]
    table: Path
    shared: bool
    videos: Mapping[str, tuple[Path, int]]
    id: str = ""
    outcome: Outcome | None = None
    provenance: Provenance | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """What the reader of one version found.

    Args:
        tasks: task index -> text; empty where the entries say it all.
        check: looks for what is wrong with the metadata; called when somebody asks.
    """

    format: str
    root: Path
    robot_type: str
    licence: str
    features: Features
    entries: Sequence[Entry]
    tasks: Mapping[int, str]
    check: Callable[[], list[Finding]]


class LeRobotRecording:
    """A `core.Recording`; see there.

    `missing` and `findings` look at every file of the dataset, so they are found out when somebody asks for them.
    """

    def __init__(self, source: Source, spec: Spec | None = None) -> None:
        self.format, self.root = source.format, source.root
        self.robot_type, self.licence = source.robot_type, source.licence
        self.spec = spec or source.features.spec
        self.keys: Sequence[str] = [entry.key for entry in source.entries]
        self.origins: Sequence[Origin] = source.features.origins
        self.unmapped: Mapping[str, str] = source.features.unmapped
        self._source = source
        self._positions = {key: position for position, key in enumerate(self.keys)}
        self._tables = Tables()
        self._probes: dict[str, tuple[Path, Probe]] = {}

    @cached_property
    def missing(self) -> Mapping[str, Sequence[str]]:
        """Camera -> keys of the episodes whose video is not there."""
        there: dict[Path, bool] = {}
        found: dict[str, list[str]] = {}
        for entry in self._source.entries:
            for camera in self._source.features.videos:
                path = entry.videos[camera][0]
                if path not in there:
                    there[path] = path.is_file()
                if not there[path]:
                    found.setdefault(camera, []).append(entry.key)
        return found

    @cached_property
    def findings(self) -> Sequence[Finding]:
        """What is wrong with the metadata."""
        found = [*self._source.features.findings, *self._source.check()]
        for camera, keys in self.missing.items():
            text = f"{len(keys)} of {len(self.keys)} episodes have no video of {camera}"
            repair = f"roboscale data import {self.root.name} OUT --missing-video drop-episodes"
            episodes = tuple(self._positions[key] for key in keys)
            evidence = {"missing": len(keys), "episodes": len(self.keys)}
            found.append(Finding("missing-video", "error", text, episodes, camera, evidence=evidence, repair=repair))
        return found

    def read(self, key: str, cameras: Collection[str] | None = None) -> RecordedEpisode:
        """See `core.Recording.read`. UnknownName for a key or a camera that is not there."""
        if key not in self._positions:
            raise UnknownName("episode", key, self.keys[:1000])
        entry, features = self._source.entries[self._positions[key]], self._source.features
        wanted = [camera for camera in features.cameras if cameras is None or camera in cameras]
        for camera in cameras or ():
            if camera not in features.cameras:
                raise UnknownName("camera", camera, features.cameras)
        inside = [camera for camera in wanted if camera not in features.videos]
        also = (*INDEX_FEATURES, *features.annotations)
        rows = self._tables.rows(entry.table, [*features.arrays, *inside], entry.index if entry.shared else None, also)
        findings = self._check_rows(entry, rows)
        pictures: dict[str, Clip | Pictures] = {
            camera: self._pictures(entry, camera, rows, findings) for camera in wanted
        }
        arrays = {name: self._array(entry, name, rows) for name in features.arrays}
        instruction, details, more = self._texts(entry, rows)
        provenance = entry.provenance or self._provenance(entry, details)
        found = (*findings, *more)
        return RecordedEpisode(
            key, arrays, pictures, instruction, provenance, entry.outcome, findings=found, id=entry.id
        )

    def close(self) -> None:
        """Lets go of what was kept of the last file."""
        self._tables = Tables()

    def _array(self, entry: Entry, name: str, rows: pa.Table) -> NDArray[Any]:
        field = self.spec[name]
        array = column_array(rows[name], field.shape, entry.table, name)
        if array.dtype != field.dtype:
            raise BadData(entry.table, name, f"{field.dtype} as in the other episodes", array.dtype)
        return array

    def _provenance(self, entry: Entry, details: Mapping[str, Any]) -> Provenance:
        where = {"source_key": entry.key, "dataset": self.root.resolve().name, **details}
        return Provenance(f"records.{self.format}", self.robot_type, licence=self.licence, details=where)

    def _finding(self, entry: Entry, check: str, severity: Any, text: str, **evidence: Any) -> Finding:
        repair = f"roboscale data import {self.root.name} OUT"
        return Finding(check, severity, text, (self._positions[entry.key],), evidence=evidence, repair=repair)

    def _check_rows(self, entry: Entry, rows: pa.Table) -> list[Finding]:
        """Length, frame numbers and timestamps against what they must be."""
        found, count = [], rows.num_rows
        if not count:
            raise BadData(entry.table, "rows", "at least 1", 0)
        if count != entry.length:
            if entry.shared:
                raise BadData(entry.table, f"rows of {entry.key}", f"{entry.length} as in meta/episodes", count)
            text = f"the metadata says {entry.length} frames, {entry.table.name} has {count}"
            found.append(self._finding(entry, "wrong-length", "error", text, metadata=entry.length, data=count))
        frames = self._index_column(entry, rows, "frame_index")
        if frames is not None and not np.array_equal(frames, np.arange(count)):
            at = int(np.flatnonzero(frames != np.arange(count))[0])
            text = f"frame_index is not 0 to {count - 1}: row {at} says {frames[at]}"
            found.append(self._finding(entry, "frame-index", "error", text, row=at, value=float(frames[at])))
        index = self._index_column(entry, rows, "episode_index")
        if index is not None and (index != entry.index).any():
            text = f"episode_index of {entry.table.name} is {index[0]}, the metadata says {entry.index}"
            found.append(self._finding(entry, "episode-index", "error", text, data=float(index[0])))
        return found + self._check_times(entry, rows)

    def _check_times(self, entry: Entry, rows: pa.Table) -> list[Finding]:
        times = self._index_column(entry, rows, "timestamp")
        if times is None:
            return []
        expected = np.arange(len(times)) / self.spec.rate_hz
        allowed = _TOLERANCE_S + np.spacing(expected.astype(np.float32))  # what float32 can hold of long episodes
        off = ~(np.abs(times.astype(np.float64) - expected) <= allowed)
        if not off.any():
            return []
        worst = float(np.nan_to_num(np.abs(times - expected), nan=np.inf).max())
        text = f"{int(off.sum())} of {len(off)} timestamps are not frame_index / {self.spec.rate_hz:g} within 1e-4 s"
        evidence = {"frames": int(off.sum()), "worst_s": worst if np.isfinite(worst) else None}
        found = self._finding(entry, "timestamps", "error", text, **evidence)
        marks = np.flatnonzero(off)
        span = Span(found.episodes[0], int(marks[0]), int(marks[-1]))
        return [Finding(found.check, "error", text, found.episodes, "timestamp", (span,), evidence, found.repair)]

    def _index_column(self, entry: Entry, rows: pa.Table, name: str) -> NDArray[Any] | None:
        if name not in rows.column_names:
            return None
        array = column_array(rows[name], (), entry.table, name)
        if name != "timestamp" and array.dtype.kind == "f":
            raise BadData(entry.table, name, "whole numbers", array.dtype)
        return array

    def _texts(self, entry: Entry, rows: pa.Table) -> tuple[str, dict[str, Any], list[Finding]]:
        """The instruction, what else goes into the provenance, and what is odd about the tasks."""
        details: dict[str, Any] = {}
        annotations = {}
        for name in self._source.features.annotations:
            if name in rows.column_names:
                numbers = column_array(rows[name], (), entry.table, name)
                annotations[name] = self._changes(numbers.astype(np.int64, copy=False))[0]
        if annotations:
            details["annotations"] = annotations
        indices = self._index_column(entry, rows, "task_index")
        if entry.provenance is not None or indices is None or not self._source.tasks:
            return (entry.tasks or ("",))[0], details, []
        texts, unknown = self._changes(indices)
        findings = []
        if unknown:
            text = f"task_index {', '.join(map(str, unknown[:5]))} is not in the table of tasks"
            findings.append(self._finding(entry, "unknown-task", "error", text, task_index=unknown))
        elif {t for _, t in texts} != set(entry.tasks):
            text = f"task_index says {[t for _, t in texts][:3]}, the metadata of the episode {list(entry.tasks)[:3]}"
            findings.append(self._finding(entry, "wrong-tasks", "warning", text, tasks=list(entry.tasks)))
        if len(texts) > 1:
            details["instructions"] = texts
            text = f"{len(texts)} tasks follow one another; the first became the instruction"
            findings.append(self._finding(entry, "several-tasks", "warning", text, instructions=texts))
        if texts:
            return str(texts[0][1]), details, findings
        return (entry.tasks[0] if len(entry.tasks) == 1 else ""), details, findings

    def _changes(self, indices: NDArray[Any]) -> tuple[list[list[Any]], list[int]]:
        """[first frame, text] wherever the text changes, and the numbers that stand for none."""
        starts = np.flatnonzero(np.r_[True, indices[1:] != indices[:-1]])
        numbers = [(int(start), int(indices[start])) for start in starts]
        texts = [[start, self._source.tasks[number]] for start, number in numbers if number in self._source.tasks]
        return texts, sorted({number for _, number in numbers if number not in self._source.tasks})

    def _pictures(self, entry: Entry, camera: str, rows: pa.Table, findings: list[Finding]) -> Clip | Pictures:
        features, count = self._source.features, rows.num_rows
        if camera in features.videos:
            return self._clip(entry, camera, count, findings)
        if camera in features.raw:
            array = column_array(rows[camera], self.spec[camera].shape, entry.table, camera)
            return ArrayPictures(entry.table, camera, array, 0, count)
        blob = blobs(rows[camera], self.root, entry.table, camera)
        return EncodedPictures(entry.table, camera, blob, count, self.spec[camera].shape)

    def _clip(self, entry: Entry, camera: str, count: int, findings: list[Finding]) -> Clip:
        path, first = entry.videos[camera]
        header = self._probe(path, camera)
        if header.frames < first + count if entry.shared else header.frames != count:
            expected = f"at least {first + count}" if entry.shared else f"{count} as {entry.table.name} has rows"
            raise BadData(path, "frames", expected, header.frames)
        height, width, _ = self.spec[camera].shape
        if (header.height, header.width) != (height, width):
            raise BadData(path, "size", f"{height}x{width} (height x width)", f"{header.height}x{header.width}")
        rate = float(header.fps)
        if abs(rate - self.spec.rate_hz) > 0.01 * self.spec.rate_hz:
            text = f"{camera}: the video plays at {rate:g} frames/s, the dataset has {self.spec.rate_hz:g}"
            findings.append(self._finding(entry, "video-fps", "error", text, video=rate, info=self.spec.rate_hz))
        return Clip(path, first, count)

    def _probe(self, path: Path, camera: str) -> Probe:
        if camera not in self._probes or self._probes[camera][0] != path:
            self._probes[camera] = (path, probe(path))
        return self._probes[camera][1]
