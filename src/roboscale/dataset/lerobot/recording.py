"""A LeRobot dataset of any version as a `Recording`, strict or lenient, from what `folder` has read.

Strict refuses metadata over which only a guess leads, and reads the datasets that roboscale wrote with their ids,
outcomes, provenance and units. Lenient reads what can be read, for those who look for what is wrong.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from roboscale.core import (
    BadData,
    Carried,
    CarriedRows,
    Clip,
    Extras,
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
from roboscale.dataset.advice import with_repairs
from roboscale.dataset.checks import finding
from roboscale.dataset.layout import INDEX_FEATURES
from roboscale.dataset.lerobot.carried import SaidStatistics, TableRows
from roboscale.dataset.lerobot.check import by_place, metadata_findings, split_ranges
from roboscale.dataset.lerobot.clock import clock_facts, frames_before, off_grid
from roboscale.dataset.lerobot.features import Features
from roboscale.dataset.lerobot.folder import Folder
from roboscale.dataset.lerobot.info import plain_name
from roboscale.dataset.lerobot.sidecar import sidecar_lines
from roboscale.dataset.lerobot.tables import Tables, blobs, column_array
from roboscale.dataset.pictures import ArrayPictures, EncodedPictures
from roboscale.dataset.sensors import recorded_success
from roboscale.dataset.streams import FRAME_TIMES, read_stream
from roboscale.dataset.unfetched import is_here
from roboscale.dataset.video import Probe, probe

__all__ = ["EpisodePlace", "LeRobotRecording", "sidecar_outcomes", "sidecar_provenances"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodePlace:
    """Where one episode lies.

    Args:
        index: LeRobot's episode index.
        length: frames that the metadata claim.
        tasks: texts that the metadata claim.
        table: parquet file.
        shared: other episodes lie in the same files.
        videos: camera -> file and number of the episode's first frame in it.
        id, outcome, provenance: of an episode that roboscale wrote.
        streams: name -> file of a sensor at its own rate.
    """

    index: int
    length: int
    tasks: tuple[str, ...]
    table: Path
    shared: bool
    videos: Mapping[str, tuple[Path, int]]
    id: str = ""
    outcome: Outcome | None = None
    provenance: Provenance | None = None
    streams: Mapping[str, Path] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return f"episode_{self.index:06d}"


class LeRobotRecording:
    """A `core.Recording`; see there.

    `missing` and `findings` look at every file of the dataset, so they are found out when somebody asks for them.

    Args:
        folder: the metadata.
        features: what becomes of each feature.
        tables: open files, the first of which `features` come from.
        spec: the sidecar's, which knows units.
        indices: LeRobot's episode index of each episode.
        place: position -> where the episode lies.
    """

    def __init__(
        self,
        folder: Folder,
        features: Features,
        tables: Tables,
        *,
        spec: Spec | None = None,
        indices: Sequence[int],
        place: Callable[[int], EpisodePlace],
    ) -> None:
        self.folder, self.format, self.root = folder, folder.format, folder.root
        self.robot_type, self.licence = folder.head.robot_type, folder.licence
        self.extras: Extras = _plain_extras(features.extras)
        whole = spec or features.spec
        named = (dataclasses.replace(field, name=plain_name(field.name)) for field in whole)
        self.spec = Spec(tuple(named), whole.rate_hz)
        self.keys: Sequence[str] = [f"episode_{index:06d}" for index in indices]
        self.origins: Sequence[Origin] = [
            dataclasses.replace(one, field=plain_name(one.field)) for one in features.origins
        ]
        self.unmapped: Mapping[str, str] = features.unmapped
        self._features, self._tables, self._place = features, tables, place
        self._languages = folder.languages
        self._said = SaidStatistics(folder, tuple(features.carried))
        self._positions = {key: position for position, key in enumerate(self.keys)}
        self._probes: dict[str, tuple[Path, Probe]] = {}

    @cached_property
    def missing(self) -> Mapping[str, Sequence[str]]:
        """Camera -> keys of the episodes whose video is not there."""
        there: dict[Path, bool] = {}
        lacking: dict[str, list[str]] = {}
        carried = [name for name, kind in self._features.carried.items() if kind == "video"]
        cameras = (*self._features.videos, *carried)
        for position, key in enumerate(self.keys) if cameras else ():
            place = self._place(position)
            for camera in cameras:
                path = place.videos[camera][0]
                if path not in there:
                    there[path] = is_here(path)
                if not there[path]:
                    lacking.setdefault(plain_name(camera), []).append(key)
        return lacking

    @cached_property
    def findings(self) -> Sequence[Finding]:
        """What is wrong with the metadata, as far as they alone tell."""
        shown = [*self.folder.problems.findings, *self._features.findings, *metadata_findings(self.folder)]
        for camera, keys in self.missing.items():
            videos = self._place(self._positions[keys[0]]).videos
            first = next(path for name, (path, _) in videos.items() if plain_name(name) == camera)
            text = f"{len(keys)} of {len(self.keys)} episodes have no video of {camera}; looked for {first}"
            episodes = tuple(self._positions[key] for key in keys)
            evidence = {"missing": len(keys), "episodes": len(self.keys)}
            shown.append(finding("missing-video", text, episodes=episodes, field=camera, evidence=evidence))
        return with_repairs(shown, self.root, self.format, len(self.keys))

    def read(self, key: str, cameras: Collection[str] | None = None) -> RecordedEpisode:
        """See `core.Recording.read`. UnknownName for a key or a camera that is not there."""
        if key not in self._positions:
            raise UnknownName("episode", key, self.keys[:1000])
        place, features = self._place(self._positions[key]), self._features
        named = {camera: plain_name(camera) for camera in features.cameras}
        for camera in cameras or ():
            if camera not in named.values():
                raise UnknownName("camera", camera, named.values())
        wanted = [camera for camera, name in named.items() if cameras is None or name in cameras]
        inside = [camera for camera in wanted if camera not in features.videos]
        also = (*INDEX_FEATURES, *features.annotations)
        names = [*features.arrays, *inside]
        rows = self._tables.rows(place.table, names, place.index if place.shared else None, also)
        order, findings = self._order(place, rows)
        rows = rows if order is None else rows.take(order)
        findings += self._check_rows(place, rows)
        before = self._before(place, rows)
        pictures: dict[str, Clip | Pictures] = {
            named[camera]: self._pictures(place, camera, rows, before, findings) for camera in wanted
        }
        arrays = {plain_name(name): self._array(place, name, rows) for name in features.arrays}
        if FRAME_TIMES in self.spec and FRAME_TIMES not in arrays and "timestamp" in rows.column_names:
            times = column_array(rows["timestamp"], (), place.table, "timestamp")
            arrays[FRAME_TIMES] = np.round(times.astype(np.float64) * 1e9).astype(np.int64)[:, None]
        instruction, details, more = self._texts(place, rows)
        changes = details.get("instructions", ())
        return RecordedEpisode(
            key=key,
            arrays=arrays,
            pictures=pictures,
            instruction=instruction,
            provenance=self._with_said(place, place.provenance or self._provenance(place, details)),
            outcome=place.outcome if place.id or place.outcome is not None else self._outcome(arrays),
            streams={name: read_stream(path) for name, path in place.streams.items()},
            findings=(*findings, *more),
            id=place.id,
            instructions=tuple((int(first), str(text)) for first, text in changes),
            carried=self._carried(place, rows.num_rows, order, before),
        )

    def _outcome(self, arrays: Mapping[str, NDArray[Any]]) -> Outcome | None:
        """Success where a column says so; where it never does, it may be unfilled, and the audit says so."""
        if not recorded_success(self.spec, arrays):
            return None
        return Outcome("success", steps=len(next(iter(arrays.values()))))

    def _before(self, place: EpisodePlace, rows: pa.Table) -> int:
        """How many pictures of the episode's videos come before that of its first row; BadData where some lie between.

        A row shows the picture of its time, as LeRobot's loader has it: of frames that are lost the pictures remain.
        """
        if not place.videos:
            return 0
        frames, times = (self._index_column(place, rows, name) for name in ("frame_index", "timestamp"))
        there = place.length if place.shared else min(self._frames_of(path) for path, _ in place.videos.values())
        before = frames_before(frames, times, self.spec.rate_hz, there)
        if before is None and frames is not None:
            at = int(np.flatnonzero(np.diff(frames) > 1)[0])
            lost = f"none of frames {frames[at] + 1} to {frames[at + 1] - 1}, whose pictures are in the videos"
            raise BadData(place.table, "frame_index", "a row of every frame", lost)
        return before or 0

    def _frames_of(self, path: Path) -> int:
        try:
            return probe(path).frames if path.is_file() else 0
        except BadData:
            return 0  # whoever shows its pictures says so

    def _carried(
        self, place: EpisodePlace, count: int, order: NDArray[np.int64] | None, before: int
    ) -> dict[str, Carried]:
        """Rows and videos of what is carried as it is; nothing of it is opened yet."""
        said, whole = self._said.of(self._positions[place.key]), dict[str, Carried]()
        for name, kind in self._features.carried.items():
            rows: Clip | CarriedRows
            if kind == "video":
                path, first = place.videos[name]
                rows = Clip(path, first + before, count)
            else:
                shared = place.index if place.shared else None
                where: dict[str, Any] = {"tables": self._tables, "root": self.root, "path": place.table}
                rows = TableRows(**where, name=name, episode=shared, count=count, picks=order)
            whole[plain_name(name)] = Carried(rows, said.get(name, {}))
        return whole

    @cached_property
    def splits(self) -> Mapping[str, tuple[str, ...]]:
        """Name -> keys of its episodes; without those that are no range `a:b` of episodes."""
        splits: dict[str, tuple[str, ...]] = {}
        for name, (first, last) in split_ranges(self.folder).items():
            if by_place(self.folder):
                splits[name] = tuple(self.keys[first:last])
            else:
                splits[name] = tuple(key for key in self.keys if first <= int(key[8:]) < last)
        return splits

    def close(self) -> None:
        """Lets go of open files."""
        self._tables.close()

    def _array(self, place: EpisodePlace, name: str, rows: pa.Table) -> NDArray[Any]:
        field = self.spec[plain_name(name)]
        array = column_array(rows[name], field.shape, place.table, name)
        if array.dtype != field.dtype:
            raise BadData(place.table, name, f"{field.dtype} as in the other episodes", array.dtype)
        return array

    def _provenance(self, place: EpisodePlace, details: Mapping[str, Any]) -> Provenance:
        where = {"source_key": place.key, "dataset": self.root.resolve().name, **details}
        where |= {"languages": list(self._languages)} if self._languages else {}
        return Provenance(f"records.{self.format}", embodiment=self.robot_type, licence=self.licence, details=where)

    def _with_said(self, place: EpisodePlace, provenance: Provenance) -> Provenance:
        """A provenance with what else the writer says of the episode."""
        said = self.folder.episodes.said.of(self._positions[place.key])
        if not said or "episode" in provenance.details:
            return provenance
        return dataclasses.replace(provenance, details={**provenance.details, "episode": said})

    def _finding(self, place: EpisodePlace, check: str, text: str, field: str = "", **evidence: Any) -> Finding:
        return finding(check, text, episodes=(self._positions[place.key],), field=field, evidence=evidence)

    def _order(self, place: EpisodePlace, rows: pa.Table) -> tuple[NDArray[np.int64] | None, list[Finding]]:
        """Which rows come first by frame_index, where that counts every frame once and only their order is wrong."""
        frames = self._index_column(place, rows, "frame_index")
        if frames is None or (np.diff(frames) > 0).all():
            return None, []
        order = np.argsort(frames, kind="stable")
        if not np.array_equal(frames[order], np.arange(len(frames))):
            return None, []
        at = int(np.flatnonzero(np.diff(frames) <= 0)[0]) + 1
        text = (
            f"rows of {place.key} lie in another order than their frames: frame {frames[at]} follows {frames[at - 1]}"
        )
        return order, [self._finding(place, "row-order", text, "frame_index", row=at)]

    def _check_rows(self, place: EpisodePlace, rows: pa.Table) -> list[Finding]:
        """Length, frame numbers and timestamps against what they must be."""
        wrong, count = [], rows.num_rows
        if not count:
            raise BadData(place.table, "rows", "at least 1", 0)
        if count != place.length:
            text = f"episode {place.index} claims {place.length} frames, {place.table.name} has {count} rows of it"
            wrong.append(self._finding(place, "episode-length", text, "length", metadata=place.length, data=count))
        frames = self._index_column(place, rows, "frame_index")
        if frames is not None and not np.array_equal(frames, np.arange(count)):
            at = int(np.flatnonzero(frames != np.arange(count))[0])
            text = f"frame_index is not 0 to {count - 1}: row {at} says {frames[at]}"
            before = self._before(place, rows)
            text += f"; its pictures begin at number {before} of the episode's" if before else ""
            wrong.append(self._finding(place, "frame-index", text, "frame_index", row=at, value=float(frames[at])))
        index = self._index_column(place, rows, "episode_index")
        if index is not None and (index != place.index).any():
            other = index[index != place.index]
            text = f"{len(other)} of {count} rows of {place.table.name} say that they are of episode {other[0]}"
            text += f", the metadata say {place.index}"
            wrong.append(self._finding(place, "episode-location", text, "episode_index", data=float(other[0])))
        return wrong + self._check_times(place, rows)

    def _check_times(self, place: EpisodePlace, rows: pa.Table) -> list[Finding]:
        times = self._index_column(place, rows, "timestamp")
        if times is None:
            return []
        off = off_grid(times, self.spec.rate_hz)
        if not off.any():
            return []
        kept = "" if FRAME_TIMES in self.spec else "; the recorded times are not kept, for episode 0 has regular ones"
        facts = clock_facts(times)
        text = f"{int(off.sum())} of {len(off)} timestamps are not frame_index / {self.spec.rate_hz:g} within 1e-4 s"
        text += (f": {facts}" if facts is not None else "") + kept
        evidence = {"frames": int(off.sum()), **(facts.to_json() if facts is not None else {})}
        marks, position = np.flatnonzero(off), self._positions[place.key]
        spans = [Span(position, int(marks[0]), int(marks[-1]))]
        about: dict[str, Any] = {"episodes": (position,), "field": "timestamp", "spans": spans, "evidence": evidence}
        return [finding("timestamp-column", text, **about)]

    def _index_column(self, place: EpisodePlace, rows: pa.Table, name: str) -> NDArray[Any] | None:
        if name not in rows.column_names:
            return None
        array = column_array(rows[name], (), place.table, name)
        if name != "timestamp" and array.dtype.kind == "f":
            if not np.array_equal(array, np.round(array)):
                raise BadData(place.table, name, "whole numbers", array.dtype)
            array = array.astype(np.int64)
        return array

    def _texts(self, place: EpisodePlace, rows: pa.Table) -> tuple[str, dict[str, Any], list[Finding]]:
        """The instruction, what else goes into the provenance, and what is odd about the tasks."""
        details: dict[str, Any] = {}
        annotations = {}
        for name in self._features.annotations:
            if name in rows.column_names:
                numbers = column_array(rows[name], (), place.table, name)
                annotations[name] = self._changes(numbers.astype(np.int64, copy=False))[0]
        if annotations:
            details["annotations"] = annotations
        indices = self._index_column(place, rows, "task_index")
        if indices is None or not self.folder.tasks:
            return (place.tasks or ("",))[0], details, []
        texts, unknown = self._changes(indices)
        if place.provenance is not None and (unknown or len(texts) < 2):
            return (place.tasks or ("",))[0], details, []
        findings = []
        if unknown:
            text = f"task_index {', '.join(map(str, unknown[:5]))} is not in the table of tasks"
            findings.append(self._finding(place, "task-index", text, "task_index", unknown=unknown))
        elif place.tasks and {t for _, t in texts} != set(place.tasks):
            text = f"task_index says {[t for _, t in texts][:3]}, the metadata of the episode {list(place.tasks)[:3]}"
            findings.append(self._finding(place, "task-index", text, "task_index", tasks=list(place.tasks)))
        if len(texts) > 1:
            details["instructions"] = texts
            text = f"{len(texts)} instructions follow one another; each holds for its frames"
            findings.append(self._finding(place, "several-tasks", text, "task_index", instructions=texts))
        if texts:
            return str(texts[0][1]), details, findings
        return (place.tasks[0] if len(place.tasks) == 1 else ""), details, findings

    def _changes(self, indices: NDArray[Any]) -> tuple[list[list[Any]], list[int]]:
        """[first frame, text] wherever the text changes, and the numbers that stand for none."""
        starts, tasks = np.flatnonzero(np.r_[True, indices[1:] != indices[:-1]]), self.folder.tasks
        numbers = [(int(start), int(indices[start])) for start in starts]
        texts = [[start, tasks[number]] for start, number in numbers if number in tasks]
        return texts, sorted({number for _, number in numbers if number not in tasks})

    def _pictures(
        self, place: EpisodePlace, camera: str, rows: pa.Table, before: int, findings: list[Finding]
    ) -> Clip | Pictures:
        features, count = self._features, rows.num_rows
        if camera in features.videos:
            return self._clip(place, camera, before, count, findings)
        shape = self.spec[plain_name(camera)].shape
        if camera in features.raw:
            array = column_array(rows[camera], shape, place.table, camera)
            return ArrayPictures(place.table, camera, array, 0, count)
        blob = blobs(rows[camera], self.root, place.table, camera)
        return EncodedPictures(place.table, camera, blob, count, shape)

    def _clip(self, place: EpisodePlace, camera: str, before: int, count: int, findings: list[Finding]) -> Clip:
        path, first = place.videos[camera]
        first += before
        header = self._probe(path, camera)
        if header.frames < first + count:
            raise BadData(path, "frames", f"at least {first + count}", header.frames)
        if header.frames > first + count and not place.shared:
            text = f"{path.name} holds {header.frames} frames for {count} rows; those after the last row are not shown"
            findings.append(self._finding(place, "video-surplus", text, camera, frames=header.frames, rows=count))
        if header.sound and f"sound of {camera}" not in self.unmapped:
            text = f"{path.name} has sound, which is not carried; the first video of {camera} has none"
            findings.append(self._finding(place, "video-sound", text, camera))
        height, width, _ = self.spec[plain_name(camera)].shape
        if (header.height, header.width) != (height, width):
            raise BadData(path, "size", f"{height}x{width} (height x width)", f"{header.height}x{header.width}")
        rate = float(header.fps)
        if abs(rate - self.spec.rate_hz) > 0.01 * self.spec.rate_hz:
            text = f"{camera}: the video plays at {rate:g} frames/s, the dataset has {self.spec.rate_hz:g}"
            findings.append(self._finding(place, "video-fps", text, camera, video=rate, info=self.spec.rate_hz))
        return Clip(path, first, count)

    def _probe(self, path: Path, camera: str) -> Probe:
        if camera not in self._probes or self._probes[camera][0] != path:
            self._probes[camera] = (path, probe(path))
        return self._probes[camera][1]


def _plain_extras(extras: Extras) -> Extras:
    features = {plain_name(name): said for name, said in extras.features.items()}
    cameras = {plain_name(name): said for name, said in extras.cameras.items()}
    return dataclasses.replace(extras, features=features, cameras=cameras)


def sidecar_provenances(root: Path) -> dict[int, Provenance]:
    """episode_index -> what our sidecar says of it; nothing for lines that are broken."""
    known = {}
    for line in sidecar_lines(root):
        number = line.data.get("episode_index")
        source = line.record.provenance if line.record is not None else None
        told = source is not None and isinstance(source.details, dict) and isinstance(source.embodiment, str)
        if source is not None and told and isinstance(number, int):
            known[number] = source
    return known


def sidecar_outcomes(root: Path) -> dict[int, Outcome]:
    """episode_index -> how our sidecar says that it ended; nothing for lines that are broken."""
    known = {}
    for line in sidecar_lines(root):
        number = line.data.get("episode_index")
        outcome = line.record.outcome if line.record is not None else None
        if outcome is not None and isinstance(outcome.measures, dict) and isinstance(number, int):
            known[number] = outcome
    return known
