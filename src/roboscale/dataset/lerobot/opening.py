"""Opens a LeRobot dataset as a `Recording`: reads the metadata, one table's footer and one header a camera."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from roboscale.core import BadData, Extras, Field, Origin, RoboscaleError, Spec
from roboscale.dataset.checks import many
from roboscale.dataset.layout import Layout, load_json
from roboscale.dataset.lerobot.catalog import Catalog, load_catalog, streams_at
from roboscale.dataset.lerobot.clock import off_grid
from roboscale.dataset.lerobot.features import Features, depth_or_gray, described_fields
from roboscale.dataset.lerobot.folder import Folder, load_folder
from roboscale.dataset.lerobot.info import read_lines
from roboscale.dataset.lerobot.modality import MODALITY, apply_modality
from roboscale.dataset.lerobot.recording import EpisodePlace, LeRobotRecording, sidecar_outcomes, sidecar_provenances
from roboscale.dataset.lerobot.tables import Tables, column_array
from roboscale.dataset.streams import FRAME_TIMES
from roboscale.dataset.tables import column_names
from roboscale.dataset.unfetched import unfetched
from roboscale.dataset.video import Probe, probe

__all__ = ["open_lerobot"]

_INFO_KEYS = frozenset(
    {
        *("codebase_version", "robot_type", "fps", "features", "splits", "data_path", "video_path", "chunks_size"),
        *("total_episodes", "total_frames", "total_tasks", "total_videos", "total_chunks", "license", "licence"),
        *("data_files_size_in_mb", "video_files_size_in_mb", "storage_format"),
    }
)
_NEEDED = ("action", "observation.state")
_CARRIED_KEYS = ("tools",)
_CARRIED_FILES = ("meta/subtasks.parquet", MODALITY)
_OF_VIDEO = ("video.", "has_audio", "is_depth_map", "audio.")
_META_FILES = frozenset(
    {
        *("info.json", "stats.json", "tasks.parquet", "episodes", "roboscale"),
        *("tasks.jsonl", "episodes.jsonl", "episodes_stats.jsonl"),
    }
)


def open_lerobot(
    root: Path,
    *,
    lenient: bool = False,
    data_path: str | None = None,
    video_path: str | None = None,
    folder: Folder | None = None,
) -> LeRobotRecording:
    """Opens a dataset of v2.0, v2.1, v3 or GR00T.

    Args:
        data_path, video_path: templates instead of those of `info.json`, for files that lie elsewhere.
        lenient: read what can be read; `LeRobotRecording.findings` says what is wrong.
        folder: what `load_folder` gave for the same arguments, where it was asked already; it is taken over.

    Raises:
        BadData: strict, and the metadata are broken; names file, field and both sides. Lenient, and nothing can be
            made of them.
    """
    said = {"data_path": data_path, "video_path": video_path}
    templates = {key: text for key, text in said.items() if text is not None}
    if folder is None:
        folder, problems = load_folder(root, templates)
        if folder is None:
            raise problems.fatal[0][1]
    problems = folder.problems
    tables = Tables()
    own = folder.head.is_v3 and Layout(folder.root).own.is_dir() and not templates
    pictures = [one for one in folder.head.features.values() if one.get("dtype") == "image"]
    foreign = not all(map(depth_or_gray, pictures))  # mended by us, not written: colour pictures we keep as video
    if own and not lenient and not foreign:
        return _open_own(folder, tables)
    if not lenient:
        problems.require()
    headers = _headers(folder)
    sizes = {camera: (header.height, header.width) for camera, header in headers.items()}
    features = described_fields(folder.head, _schema(folder, tables, lenient), sizes)
    _name_sound(features, headers)
    _keep_copied(features, headers)
    if folder.format == "gr00t":
        try:
            apply_modality(folder.root, features)
        except BadData as error:
            problems.refuse("modality", error, "meta/modality.json")
            if not lenient:
                raise
    _look_at_rows(folder, features, tables)
    features.extras = _extras(folder, features)
    _name_the_rest(folder, features)
    spec = _own_spec(folder, features.spec) if own else None
    place = _placer(folder)
    if not lenient and len(folder.episodes):
        _keep_clock(folder, features, tables, place(0))
    return LeRobotRecording(folder, features, tables, spec=spec, indices=folder.numbers, place=place)


def _look_at_rows(folder: Folder, features: Features, tables: Tables) -> None:
    """Takes out columns whose rows have several lengths: no array holds them. Types alone do not tell.

    A state or an action of several lengths is broken, and whoever reads the episode says so. Where rows have another
    length than `info.json` says, that of the rows counts.
    """
    path = next(_distinct(folder), None)
    if path is None:
        return
    try:
        schema = tables.schema(path)
        types = {n: schema.field(n).type for n in features.arrays if n in schema.names}
        loose = [n for n, kind in types.items() if pa.types.is_list(kind) or pa.types.is_large_list(kind)]
        rows = tables.rows(path, loose, None) if loose else None
    except BadData:
        return  # whoever reads the episode says so
    for name, kind in types.items():
        if name not in loose:
            sizes = np.array([kind.list_size if pa.types.is_fixed_size_list(kind) else 1])
            nested = pa.types.is_fixed_size_list(kind) and pa.types.is_nested(kind.value_type)
        else:
            sizes = np.unique(pc.list_value_length(rows[name].combine_chunks()).drop_null().to_numpy())  # type: ignore[index]
            nested = pa.types.is_nested(kind.value_type)
        if len(sizes) > 1 and name not in _NEEDED:
            features.drop(name, f"rows of {sizes[0]} to {sizes[-1]} elements: no array holds a varying number")
        elif len(sizes) == 1 and not nested and not isinstance(kind, pa.BaseExtensionType):
            features.resize(name, int(sizes[0]))


def _name_sound(features: Features, headers: Mapping[str, Probe]) -> None:
    for camera in (c for c, header in headers.items() if header.sound):
        features.unmapped[f"sound of {camera}"] = "a dataset of ours has pictures only"


def _keep_copied(features: Features, headers: Mapping[str, Probe]) -> None:
    """Of the videos that nobody here looks into stay those whose packets can be copied."""
    for camera in [name for name, kind in features.carried.items() if kind == "video"]:
        header = headers.get(camera)
        if header is None or not header.copied:
            why = "none of its videos can be read" if header is None else "packets of its codec are not copied"
            features.unmapped[camera] = f"depth or grey pictures in a video: {why}"
            del features.carried[camera]


def _extras(folder: Folder, features: Features) -> Extras:
    """What a newer writer says that holds whatever becomes of the episodes: it is carried as it is."""
    info = {key: folder.head.raw[key] for key in _CARRIED_KEYS if key in folder.head.raw}
    cameras = {}
    for name in features.videos:
        said = folder.head.features[name].get("info")
        own = {k: v for k, v in said.items() if not k.startswith(_OF_VIDEO)} if isinstance(said, dict) else {}
        if own:
            cameras[name] = own
    paths = {name: folder.root / name for name in _CARRIED_FILES}
    files = {name: path.read_bytes() for name, path in paths.items() if path.is_file() and unfetched(path) is None}
    carried = {name: dict(folder.head.features[name]) for name in features.carried}
    return Extras(info, cameras, files, carried)


def _name_the_rest(folder: Folder, features: Features) -> None:
    """What else the metadata hold that nobody here reads: keys and files of newer writers, splits of other kinds."""
    for key in sorted(folder.head.raw.keys() - _INFO_KEYS - features.extras.info.keys()):
        features.unmapped[f"info.json {str(key)[:60]}"] = "roboscale does not know this key"
    for path in sorted((folder.root / "meta").iterdir()):
        name = f"meta/{path.name}"
        if path.name not in _META_FILES and name not in features.extras.files and not path.name.startswith("."):
            features.unmapped[name] = "roboscale does not read this file"
    for name in _of_tasks(folder):
        features.unmapped[f"{name} of the table of tasks"] = "roboscale does not know this column"
    splits = folder.head.raw.get("splits")
    for name, text in splits.items() if isinstance(splits, dict) else ():
        if not re.fullmatch(r"\d{1,9}:\d{1,9}", str(text)):
            features.unmapped[f"split {name}"] = f"{str(text)[:60]!r} is no range of episodes a:b"


def _of_tasks(folder: Folder) -> tuple[str, ...]:
    """What the table of tasks says beside numbers and texts."""
    old, new = folder.root / "meta/tasks.jsonl", folder.root / "meta/tasks.parquet"
    try:
        names = column_names(new) if folder.head.is_v3 else next((row for _, row in read_lines(old)), {})
    except BadData:
        return ()
    return tuple(name for name in names if name not in ("task_index", "task", "__index_level_0__"))


def _keep_clock(folder: Folder, features: Features, tables: Tables, first: EpisodePlace) -> None:
    """Makes the recorded times of the frames a field, where those of the first episode are not frame / fps."""
    try:
        rows = tables.rows(first.table, [], first.index if first.shared else None, ["timestamp", "frame_index"])
        if "timestamp" not in rows.column_names or FRAME_TIMES in folder.head.features:
            return
        times = column_array(rows["timestamp"], (), first.table, "timestamp")
    except BadData:
        return  # whoever reads the episode says so
    if "frame_index" in rows.column_names and len(times):
        times = times[np.argsort(rows["frame_index"].to_numpy(), kind="stable")]
    if off_grid(times, folder.head.fps).any():
        features.fields.append(Field(FRAME_TIMES, (1,), "int64", unit="ns"))
        features.origins.append(Origin(FRAME_TIMES, "column timestamp", "seconds as nanoseconds"))
        features.unmapped["timestamp"] = f"regenerated; the recorded times are kept as {FRAME_TIMES}"


def _placer(folder: Folder) -> Callable[[int], EpisodePlace]:
    """Position -> place, by the metadata."""
    episodes, fps, nowhere = folder.episodes, folder.head.fps, folder.root / "videos"
    said = sidecar_provenances(folder.root) if folder.head.is_v3 else {}
    ended = sidecar_outcomes(folder.root) if folder.head.is_v3 else {}

    def place(position: int) -> EpisodePlace:
        videos = {}
        for camera, places in episodes.videos.items():
            begin = float(places.begins[position])
            path = places.paths[position] if math.isfinite(begin) else None
            videos[camera] = (path or nowhere, round(begin * fps) if path is not None else 0)
        index = int(episodes.index[position])
        return EpisodePlace(
            index=index,
            length=int(episodes.length[position]),
            tasks=episodes.tasks[position],
            table=episodes.tables[position] or folder.root / "data",
            shared=folder.head.is_v3,
            videos=videos,
            outcome=ended.get(index),
            provenance=said.get(index),
        )

    return place


def _open_own(folder: Folder, tables: Tables) -> LeRobotRecording:
    """What roboscale wrote: episodes that are saved and not sealed, too."""
    root = folder.root
    try:
        catalog: Catalog = load_catalog(root)
    except (ArithmeticError, AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise BadData(root / "meta", "metadata", "what roboscale wrote", repr(error)[:160]) from error
    if not catalog.episodes:
        raise BadData(folder.head.file, "episodes", "at least 1", 0)

    def place(position: int) -> EpisodePlace:
        episode, at = catalog.episodes[position], catalog.locations[position]
        return EpisodePlace(
            index=episode.index,
            length=episode.length,
            tasks=(episode.instruction,),
            table=at.table,
            shared=at.sealed,
            videos=at.videos,
            id=episode.id,
            outcome=episode.outcome,
            provenance=episode.provenance,
            streams=streams_at(root, at, episode.id),
        )

    features = described_fields(folder.head, tables.schema(catalog.locations[0].table), {})
    _look_at_rows(folder, features, tables)
    spec = catalog.spec.select(features.spec.names) if Layout(root).spec.exists() else None
    headers = _headers(folder)
    _name_sound(features, headers)
    if len(folder.episodes):
        _keep_copied(features, headers)
    features.extras = _extras(folder, features)
    _name_the_rest(folder, features)
    if spec is None:
        _keep_clock(folder, features, tables, place(0))
    indices = [episode.index for episode in catalog.episodes]
    return LeRobotRecording(folder, features, tables, spec=spec, indices=indices, place=place)


def _schema(folder: Folder, tables: Tables, lenient: bool) -> pa.Schema | None:
    """Of the first data file that can be read."""
    first: BadData | None = None
    for path in _distinct(folder):
        if first is None and not lenient and not any(p.is_file() or p.is_symlink() for p in _distinct(folder)):
            some = f"none of {many(len(folder.episodes))}; looked for {path}"
            raise BadData(folder.root, "data", "a file of each episode; fetch them first", some)
        try:
            return tables.schema(path)
        except BadData as error:
            first = first or error
    if lenient:
        return None
    raise first or BadData(folder.root, "data files", "at least 1", 0)


def _distinct(folder: Folder) -> Iterator[Path]:
    seen: set[Path] = set()
    for position in range(len(folder.episodes)):
        path = folder.episodes.tables[position]
        if path is not None and path not in seen:
            seen.add(path)
            yield path


def _headers(folder: Folder) -> dict[str, Probe]:
    """Camera -> the header of its first video that can be read."""
    headers = {}
    for camera, places in folder.episodes.videos.items():
        seen: set[Path | None] = {None}
        for position in range(len(folder.episodes)):
            path = places.paths[position]
            if path in seen or not path.is_file():  # type: ignore[union-attr]
                seen.add(path)
                continue
            seen.add(path)
            try:
                headers[camera] = probe(path)  # type: ignore[arg-type]
            except BadData:
                continue
            break
    return headers


def _own_spec(folder: Folder, said: Spec) -> Spec | None:
    """The sidecar's spec where it fits the data; a broken or other one is a finding."""
    path = Layout(folder.root).spec
    if not path.exists():
        return None
    try:
        own = Spec.from_json(load_json(path)["spec"])
        words = [w for f in own for w in (f.name, f.unit, f.frame, f.mode, f.side, f.branch, f.role, *f.layout)]
        if not all(isinstance(word, str) for word in words):
            raise BadData(path, "spec", "text for units, modes and names", "something else")
    except (RoboscaleError, KeyError, TypeError, ValueError, AttributeError) as error:
        folder.problems.note("sidecar", f"{path} cannot be read: {error}", "meta/roboscale/spec.json")
        return None
    bare = [(f.name, f.shape or (1,), f.dtype) for f in own]
    return own if own.rate_hz == said.rate_hz and bare == [(f.name, f.shape or (1,), f.dtype) for f in said] else None
