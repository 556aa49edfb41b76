"""Which episodes a v3 dataset holds, sealed or only saved, and where the frames of each lie: the strict view.

What `folder` has read, refused where it lies; with our own sidecar, and what was saved and is not sealed yet.
Writes nothing, so that a dataset can be read as its recorder was killed, or while it runs.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core.episode import Outcome, Provenance
from roboscale.core.errors import BadData, SpecMismatch
from roboscale.core.spec import Spec, require_match
from roboscale.dataset.journal import EpisodeRecord, PendingEpisode, has_commit, list_pending
from roboscale.dataset.layout import CODEBASE_VERSION, Info, Layout, load_json, spec_from_features
from roboscale.dataset.lerobot.folder import Episodes, Folder, load_folder
from roboscale.dataset.lerobot.info import InfoHead, Problems, read_head
from roboscale.dataset.lerobot.sidecar import sidecar_lines
from roboscale.dataset.rates import is_rate, same_rate
from roboscale.dataset.remote import is_remote
from roboscale.dataset.streams import stream_names, stream_path

__all__ = [
    "Catalog",
    "EpisodeInfo",
    "Location",
    "index_columns",
    "load_catalog",
    "load_info",
    "streams_at",
    "task_rows",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeInfo:
    """One episode of a dataset.

    Args:
        id: UUID hex; stays with the episode whatever its position.
        index: LeRobot's episode index.
        length: frames.
        instruction: what was asked.
        outcome: how it ended; `None` where nobody judged.
        provenance: where it comes from.
        from_index: its first frame's index in the dataset.
    """

    id: str
    index: int
    length: int
    instruction: str
    outcome: Outcome | None
    provenance: Provenance
    from_index: int


@dataclass(frozen=True, slots=True)
class Location:
    """Where an episode's frames lie: its table, and for each camera a video and its first frame's number there."""

    table: Path
    videos: Mapping[str, tuple[Path, int]]
    sealed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """Everything that the metadata says."""

    info: Info
    spec: Spec
    tasks: tuple[str, ...]
    episodes: tuple[EpisodeInfo, ...]
    locations: tuple[Location, ...]
    pending: tuple[PendingEpisode, ...]


def load_catalog(root: Path, skip: Collection[Path] = ()) -> Catalog:
    """Reads the metadata of a dataset, without the pending folders in `skip`.

    BadData names the file and field that lies.
    """
    layout = Layout(root)
    for _ in range(4):
        before = _fingerprint(layout)
        try:
            catalog = _load(layout, skip)
        except BadData:
            if _fingerprint(layout) == before:
                raise
        else:
            if _fingerprint(layout) == before:
                return catalog
    raise BadData(layout.info, "content", "to hold still while it is read", "a writer that keeps changing it")


def _fingerprint(layout: Layout) -> tuple[bytes, list[PendingEpisode], bool]:
    """Changes whenever a writer in another process seals or saves."""
    try:
        info = layout.info.read_bytes()
    except FileNotFoundError:
        info = b""
    return info, list_pending(layout), has_commit(layout)


def load_info(root: Path) -> Info:
    """`meta/info.json` of a v3 dataset; BadData names the key that is wrong."""
    problems = Problems()
    head = read_head(root, problems)
    problems.require(strict=True)
    assert head is not None
    return _strict(head)


def _strict(head: InfoHead) -> Info:
    """What LeRobot's loader and our writer need beside what the lenient reader does."""
    if not head.is_v3:
        way = f"{head.version}; make it so: roboscale data import {shlex.quote(str(head.root))} OUT"
        raise BadData(head.file, "codebase_version", CODEBASE_VERSION, way)
    raw = head.raw
    if not is_rate(head.fps):
        raise BadData(head.file, "fps", "a rate in Hz, from 1/60", raw.get("fps"))
    for key in ("data_files_size_in_mb", "video_files_size_in_mb"):
        _require_integer(head, key, 1)
    for key in ("total_episodes", "total_frames"):
        _require_integer(head, key, 0)
    given = raw.get("features")
    features = {n: head.features.get(n, f) for n, f in given.items()} if isinstance(given, dict) else given
    return Info(head.root, {**raw, "features": features})


def _require_integer(head: InfoHead, key: str, low: int) -> None:
    value = head.raw.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise BadData(head.file, key, f"an integer >= {low}", value)


_EMPTY = ("no-episodes", "tasks-table")
"""What is said of a dataset that nothing was sealed in yet."""


def _load(layout: Layout, skip: Collection[Path]) -> Catalog:
    folder, problems = load_folder(layout.root)
    if folder is None:
        raise problems.fatal[0][1]
    info = _strict(folder.head)
    problems.require(but=() if info.total_episodes else _EMPTY, strict=True)
    spec, tasks, rows = _load_spec(layout, info), _tasks(folder, info), _sealed(folder, info)
    episodes, locations = _sealed_records(layout, info, rows, tasks), _locate(info, rows, folder.episodes)
    known = {episode.id for episode in episodes}
    # A known one is sealed, but its folder not removed yet.
    pending = tuple(p for p in list_pending(layout) if p.id not in known and p.path not in skip)
    first, later = info.total_frames, list[str]()
    for entry in pending:
        record = entry.record()
        episodes.append(_info_of(record, len(episodes), first))
        later += record.texts
        locations.append(Location(entry.table, {c: (entry.video(c), 0) for c in info.cameras}, sealed=False))
        first += record.length
    tasks = list(dict.fromkeys([*tasks, *(e.instruction for e in episodes), *later]))
    return Catalog(
        info=info, spec=spec, tasks=tuple(tasks), episodes=tuple(episodes), locations=tuple(locations), pending=pending
    )


def _info_of(record: EpisodeRecord, index: int, first: int) -> EpisodeInfo:
    return EpisodeInfo(
        id=record.id,
        index=index,
        length=record.length,
        instruction=record.instruction,
        outcome=record.outcome,
        provenance=record.provenance,
        from_index=first,
    )


def _load_spec(layout: Layout, info: Info) -> Spec:
    """The spec, from our sidecar where there is one; BadData or SpecMismatch when `info.json` says otherwise."""
    said = spec_from_features(info)
    if not layout.spec.exists():
        return said
    try:
        spec = Spec.from_json(load_json(layout.spec)["spec"])
    except (KeyError, TypeError, ValueError, SpecMismatch) as error:
        raise BadData(layout.spec, "spec", "fields and a rate", repr(error)) from error
    if not same_rate(spec.rate_hz, said.rate_hz):
        raise BadData(info.file, "fps", f"{spec.rate_hz:g} as in {layout.spec}", info.fps)
    bare = [(f.name, f.shape or (1,), f.dtype) for f in spec]
    if bare != [(f.name, f.shape, f.dtype) for f in said]:
        require_match(spec, said, str(layout.spec), str(info.file), subset=False)
        raise BadData(info.file, "features", f"the order of {layout.spec}", ", ".join(said.names))
    return spec


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """What the episode table says of one episode."""

    index: int
    first: int
    length: int
    tasks: tuple[str, ...]


def _tasks(folder: Folder, info: Info) -> list[str]:
    """Texts by task index; BadData where an index has none."""
    if not info.total_episodes:
        return []
    if sorted(folder.tasks) != list(range(len(folder.tasks))):
        raise BadData(Layout(info.root).tasks, "task_index", f"0..{len(folder.tasks) - 1}", sorted(folder.tasks))
    return [folder.tasks[number] for number in range(len(folder.tasks))]


def _sealed(folder: Folder, info: Info) -> list[_Row]:
    """The sealed episodes; BadData where the episode table contradicts itself or `info.json`."""
    layout, episodes = Layout(info.root), folder.episodes
    grey = tuple(f"videos/{camera}/" for camera in folder.head.cameras if camera not in info.colour_cameras)
    for shown in folder.problems.findings if info.total_episodes else ():
        if shown.check == "episode-columns" and not shown.field.startswith(grey):
            raise BadData(layout.episodes, "columns", shown.field, f"none that is whole: {shown.text}")
    # A seal killed half-way has moved its episode file already; its commit says so, and info.json decides.
    count, total = len(episodes), info.total_episodes
    if count < total or (count > total and not has_commit(layout)):
        raise BadData(info.file, "total_episodes", f"{count} as in {layout.episodes}", total)
    lengths, rows, first = episodes.length.tolist(), [], 0
    for i, (index, start) in enumerate(zip(episodes.index[:total].tolist(), episodes.starts.tolist(), strict=False)):
        if index != i or start != first:
            raise BadData(layout.episodes, f"row {i}", f"episode {i} from frame {first}", f"{index} from {start}")
        rows.append(_Row(index=i, first=first, length=lengths[i], tasks=episodes.tasks[i]))
        first += lengths[i]
    if first != info.total_frames:
        raise BadData(info.file, "total_frames", f"{first} as in {layout.episodes}", info.total_frames)
    return rows


def _sealed_records(layout: Layout, info: Info, rows: Sequence[_Row], tasks: Sequence[str]) -> list[EpisodeInfo]:
    records = _sidecar(layout)[: len(rows)]
    if not records:
        records = _foreign_records(info, rows)
    if len(records) != len(rows):
        fix = f"roboscale data fix {shlex.quote(str(layout.root))} --metadata"
        count = f"{len(records)}; where another writer went on with this dataset: {fix}"
        raise BadData(layout.own / "episodes", "episodes", len(rows), count)
    episodes, named = [], set(tasks)
    for record, row in zip(records, rows, strict=True):
        if record.length != row.length:
            raise BadData(layout.own / "episodes", f"length of {record.id}", row.length, record.length)
        if record.instruction not in named:
            raise BadData(layout.tasks, "task", repr(record.instruction), ", ".join(map(repr, tasks)))
        episodes.append(_info_of(record, row.index, row.first))
    return episodes


def _sidecar(layout: Layout) -> list[EpisodeRecord]:
    records = []
    for line in sidecar_lines(layout.root):
        if line.record is None:
            raise line.error or BadData(line.file, "line", "a record", "none")
        records.append(line.record)
    return records


def _foreign_records(info: Info, rows: Sequence[_Row]) -> list[EpisodeRecord]:
    """Episodes that somebody else wrote: their ids follow from what LeRobot keeps, so they are the same every time."""
    robot, name, records = info.raw.get("robot_type"), info.root.name, []
    provenance = Provenance("lerobot", embodiment=robot or "")
    for row in rows:
        facts = [name, robot, row.index, row.length, list(row.tasks)]
        id_ = hashlib.blake2b(json.dumps(facts).encode(), digest_size=16).hexdigest()
        task, length = (row.tasks or ("",))[0], row.length
        records.append(EpisodeRecord(id=id_, instruction=task, length=length, outcome=None, provenance=provenance))
    return records


def _locate(info: Info, rows: Sequence[_Row], episodes: Episodes) -> list[Location]:
    locations, places = (
        [],
        {
            camera: place
            for camera, place in episodes.videos.items()
            if camera in info.colour_cameras or np.isfinite(place.begins[: len(rows)]).all()
        },
    )
    begins = {camera: np.round(place.begins * info.fps).astype(np.int64).tolist() for camera, place in places.items()}
    for row in rows:
        videos = {camera: (place.paths[row.index], begins[camera][row.index]) for camera, place in places.items()}
        locations.append(Location(episodes.tables[row.index], videos, sealed=True))  # type: ignore[arg-type]
    needed = (p for at in locations for p in (at.table, *(at.videos[camera][0] for camera in info.colour_cameras)))
    for path in dict.fromkeys(needed):
        if not is_remote(path) and not path.exists():  # behind a URL each would be a request; reading it says the same
            raise BadData(path, "file", f"to exist, {Layout(info.root).episodes} names it", "nothing")
    return locations


def streams_at(root: Path, at: Location, id_: str) -> dict[str, Path]:
    """Name -> file of the sensors at their own rate that an episode has."""
    if not at.sealed:
        return {path.stem: path for path in sorted((at.table.parent / "streams").glob("*.parquet"))}
    folder = Layout(root).own / "streams"
    places = {name: stream_path(folder, name, id_) for name in stream_names(folder)}
    return {name: path for name, path in places.items() if path.is_file()}


def index_columns(episode: EpisodeInfo, task_index: int | NDArray[np.int64], fps: float) -> dict[str, NDArray[Any]]:
    """The columns that LeRobot adds, for one episode; (T,) each. Timestamps are the frame number over the rate."""
    frames = np.arange(episode.length, dtype=np.int64)
    return {
        "timestamp": (frames / fps).astype(np.float32),
        "frame_index": frames,
        "episode_index": np.full(episode.length, episode.index, np.int64),
        "index": episode.from_index + frames,
        "task_index": np.full(episode.length, task_index, np.int64),  # one number, or one a frame
    }


def task_rows(
    tasks: Sequence[str], instruction: str, changes: Sequence[tuple[int, str]], length: int
) -> NDArray[np.int64]:
    """(T,) task index of each frame of an episode: `instruction`, and from each frame in `changes` on its text."""
    rows = np.full(length, tasks.index(instruction), np.int64)
    for first, text in changes:
        rows[first:] = tasks.index(text)
    return rows
