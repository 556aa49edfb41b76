"""A dataset of ours as LeRobot v2.1, for loaders that know no other; or as GR00T reads it.

Numbers are copied, and so are the packets of the videos wherever an episode begins with a key frame; only where it
does not are its pictures encoded again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from roboscale.core import BadData, Clip, Provenance, RecordedEpisode
from roboscale.dataset import Dataset
from roboscale.dataset.layout import INDEX_FEATURES, Layout, features_from_spec, to_json
from roboscale.dataset.lerobot import open_lerobot
from roboscale.dataset.lerobot.catalog import Catalog, EpisodeInfo, index_columns, load_catalog, task_rows
from roboscale.dataset.lerobot.modality import MODALITY, fits_modality, modality_of
from roboscale.dataset.lerobot.tables import table_of
from roboscale.dataset.statistics import episode_entry
from roboscale.dataset.tables import to_table, with_carried
from roboscale.dataset.transfer import write_extras
from roboscale.dataset.video import Encoder, VideoReader, cut

__all__ = ["ANNOTATION", "ExportProgress", "export_gr00t", "export_v21"]

ANNOTATION = "annotation.human.task_description"
"""GR00T's column of the instruction: a number of `tasks.jsonl`."""

ExportProgress = Callable[[int, int], None]
"""Called with the episodes done and all of them."""

Features = Mapping[str, Mapping[str, Any]]

_CHUNK = 1000  # episodes a folder, as LeRobot's
_DATA = "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
_VIDEO = "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"
_BLOCK = 64  # pictures in memory at once


def export_v21(dataset: Dataset, out: Path, *, progress: ExportProgress | None = None) -> None:
    """Writes LeRobot v2.1 into the new folder `out` and reads it back.

    Raises:
        BadData: `out` holds something, the dataset is broken or empty, or what was read back differs.
    """
    _export(dataset, Path(out), _columns(_annotations(load_catalog(dataset.root).episodes)), progress)
    _verify(dataset, Path(out), "lerobot-v2.1")


def export_gr00t(dataset: Dataset, out: Path, *, progress: ExportProgress | None = None) -> None:
    """As `export_v21`, with `meta/modality.json` and the column `ANNOTATION`.

    The dataset's own `modality.json`, which an import of GR00T carries along, is kept where all that it names is
    there; else one is made from the layouts of state and action.

    Raises:
        BadData: as `export_v21`.
    """
    names = [ANNOTATION, *_annotations(load_catalog(dataset.root).episodes)]
    _export(dataset, Path(out), _columns(names), progress)
    (Path(out) / MODALITY).write_bytes(_modality(dataset, names))
    _verify(dataset, Path(out), "gr00t")


def _modality(dataset: Dataset, names: Sequence[str]) -> bytes:
    """The dataset's own where it fits, with the columns of annotations that it does not name yet."""
    spec, carried = tuple(dataset.spec), open_lerobot(dataset.root).extras.files.get(MODALITY, b"")
    try:
        modality = json.loads(carried)
    except ValueError:
        modality = None
    fits = isinstance(modality, dict) and fits_modality(modality, spec)
    modality = modality if fits else modality_of(spec)
    said = modality["annotation"] if fits and isinstance(modality.get("annotation"), dict) else {}
    known = {f"annotation.{name}" for name in said}
    known |= {str(entry.get("original_key")) for entry in said.values() if isinstance(entry, dict)}
    more: dict[str, Any] = {name.removeprefix("annotation."): {} for name in names if name not in known}
    return carried if fits and not more else to_json({**modality, "annotation": {**said, **more}})


def _columns(names: Sequence[str]) -> Features:
    """Features of columns that number texts."""
    return {name: {"dtype": "int64", "shape": [1], "names": None} for name in names}


def _annotations(episodes: Sequence[EpisodeInfo]) -> list[str]:
    """Columns of texts that an import kept in the provenance of episodes, but for the instruction."""
    kept = [episode.provenance.details.get("annotations") for episode in episodes]
    names = dict.fromkeys(name for one in kept if isinstance(one, dict) for name in one)
    return [name for name in names if name != ANNOTATION]


def _annotated(provenance: Provenance, name: str) -> list[tuple[int, str]]:
    """(frame from which it holds, text) of one annotation; from the first frame on, empty where nothing is said."""
    kept = provenance.details.get("annotations")
    said = [(int(first), str(text)) for first, text in kept.get(name, ())] if isinstance(kept, dict) else []
    return said if said and said[0][0] == 0 else [(0, ""), *said]


def _export(dataset: Dataset, out: Path, also: Features, progress: ExportProgress | None) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BadData(out, "folder", "a new one", "something")
    catalog, source = load_catalog(dataset.root), open_lerobot(dataset.root)
    known = {f.name: catalog.info.features[f.name] for f in catalog.spec}
    clock = features_from_spec(source.spec.select([f.name for f in source.spec if f.name not in known]), {})
    features: Features = {**known, **clock, **source.extras.features, **INDEX_FEATURES, **also}
    pixels, others = _stored_pixels(catalog), [name for name in also if name != ANNOTATION]
    (out / "meta").mkdir(parents=True, exist_ok=True)
    said = [text for e in catalog.episodes for name in others for _, text in _annotated(e.provenance, name)]
    catalog = replace(catalog, tasks=tuple(dict.fromkeys([*catalog.tasks, *said])))
    tasks = [json.dumps({"task_index": i, "task": t}, ensure_ascii=False) + "\n" for i, t in enumerate(catalog.tasks)]
    (out / "meta/tasks.jsonl").write_text("".join(tasks), "utf-8")
    with (
        (out / "meta/episodes.jsonl").open("w", encoding="utf-8") as episodes,
        (out / "meta/episodes_stats.jsonl").open("w", encoding="utf-8") as statistics,
    ):
        for episode, key in zip(catalog.episodes, source.keys, strict=True):
            recorded = source.read(key)
            stats = _write_rows(out, catalog, episode, recorded, features)
            stats |= _write_videos(out, catalog, episode, recorded, pixels)
            stats |= {name: one.statistics for name, one in recorded.carried.items() if one.statistics}
            texts = list(dict.fromkeys([episode.instruction, *(text for _, text in recorded.instructions)]))
            _line(episodes, episode_index=episode.index, tasks=texts, length=episode.length)
            _line(statistics, episode_index=episode.index, stats=stats)
            if progress is not None:
                progress(episode.index + 1, len(catalog.episodes))
    # Last: without it the folder is no dataset, should the export be killed before.
    (out / "meta/info.json").write_bytes(to_json(_info(catalog, features)))
    files = {name: data for name, data in source.extras.files.items() if name != MODALITY}  # makes a set one of GR00T
    write_extras(Layout(out), replace(source.extras, files=files))


def _line(file: TextIO, **values: Any) -> None:
    file.write(json.dumps(values, ensure_ascii=False) + "\n")


def _place(out: Path, template: str, index: int, camera: str = "") -> Path:
    path = out / template.format(episode_chunk=index // _CHUNK, episode_index=index, video_key=camera)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _info(catalog: Catalog, features: Features) -> dict[str, Any]:
    count = len(catalog.episodes)
    videos = [name for name, feature in features.items() if feature["dtype"] == "video"]
    return {
        "codebase_version": "v2.1",
        "robot_type": catalog.info.raw.get("robot_type"),
        "total_episodes": count,
        "total_frames": sum(episode.length for episode in catalog.episodes),
        "total_tasks": len(catalog.tasks),
        "total_videos": count * len(videos),
        "total_chunks": -(-count // _CHUNK),
        "chunks_size": _CHUNK,
        "fps": catalog.info.fps,
        "splits": catalog.info.raw.get("splits") or {"train": f"0:{count}"},
        "data_path": _DATA,
        "video_path": _VIDEO if videos else None,
        "features": dict(features),
    }


def _write_rows(
    out: Path, catalog: Catalog, episode: EpisodeInfo, recorded: RecordedEpisode, features: Features
) -> dict[str, Any]:
    """One episode's parquet file; returns the statistics of its columns."""
    task = task_rows(catalog.tasks, episode.instruction, recorded.instructions, episode.length)
    arrays: dict[str, NDArray[Any]] = {**recorded.arrays, **index_columns(episode, task, catalog.info.fps)}
    arrays[ANNOTATION] = arrays["task_index"]
    for name in features.keys() - arrays.keys():
        if name.startswith("annotation."):
            texts = _annotated(recorded.provenance, name)
            arrays[name] = task_rows(catalog.tasks, texts[0][1], texts[1:], episode.length)
    numeric = {name: feature for name, feature in features.items() if name in arrays}
    table = to_table(arrays, numeric)
    rows = {name: one.rows.read() for name, one in recorded.carried.items() if not isinstance(one.rows, Clip)}
    if rows:
        table = with_carried(table, pa.table(rows), features)
    # v2.1 is read with `datasets` 3, which does not know the name that version 4 gave to a list of fixed length.
    described = json.loads(table.schema.metadata[b"huggingface"])
    for feature in described["info"]["features"].values():
        if feature["_type"] == "List":
            feature["_type"] = "Sequence"
    table = table.replace_schema_metadata({b"huggingface": json.dumps(described).encode()})
    pq.write_table(table, _place(out, _DATA, episode.index), compression="snappy")
    return {name: episode_entry(arrays[name]) for name in numeric}


def _write_videos(
    out: Path,
    catalog: Catalog,
    episode: EpisodeInfo,
    recorded: RecordedEpisode,
    pixels: Mapping[str, Iterator[dict[str, Any]]],
) -> dict[str, Any]:
    """One video per camera; returns the statistics of their pictures."""
    stats = {}
    for camera, one in recorded.carried.items():
        if isinstance(one.rows, Clip):
            target = _place(out, _VIDEO, episode.index, camera)
            if not cut(one.rows.path, one.rows.first, one.rows.length, target, catalog.info.fps):
                raise BadData(one.rows.path, camera, "packets that can be copied, from a key frame", "others")
    for camera, clip in recorded.pictures.items():
        if not isinstance(clip, Clip):
            raise BadData(catalog.info.file, camera, "pictures in video files", type(clip).__name__)
        target, fps = _place(out, _VIDEO, episode.index, camera), catalog.info.fps
        if not cut(clip.path, clip.first, clip.length, target, fps):
            codec = (catalog.info.features[camera].get("info") or {}).get("video.codec")
            _encode(clip, target, catalog.spec[camera].shape, fps, "av1" if codec == "av1" else "h264")
        stored = next(pixels[camera], None)
        stats[camera] = stored or _count_pixels(target, len(recorded), fps)
    return stats


def _encode(clip: Clip, target: Path, shape: tuple[int, ...], fps: float, codec: Any) -> None:
    reader, encoder = VideoReader(clip.path, fps), Encoder(target, shape, fps, codec)
    for begin in range(0, clip.length, _BLOCK):
        for image in reader.read(range(clip.first + begin, clip.first + min(begin + _BLOCK, clip.length))):
            encoder.add(image)
    encoder.close()
    reader.close()


def _stored_pixels(catalog: Catalog) -> dict[str, Iterator[dict[str, Any]]]:
    """Camera -> statistics of its pictures, episode by episode, as far as the dataset's metadata has them."""
    files = sorted(Layout(catalog.info.root).episodes.glob("*/*.parquet"))
    return {field.name: _pixels_of(files, f"stats/{field.name}/") for field in catalog.spec.images}


def _pixels_of(files: list[Path], prefix: str) -> Iterator[dict[str, Any]]:
    for file in files:
        table = table_of(file)
        names = [name for name in table.column_names if name.startswith(prefix)]
        if not names:
            return
        for row in table.select(names).to_pylist():
            yield {name.removeprefix(prefix): row[name] for name in names}


def _count_pixels(video: Path, length: int, fps: float) -> dict[str, Any]:
    reader = VideoReader(video, fps)
    pixels = reader.count_pixels(0, length)
    reader.close()
    return pixels.to_lerobot()


def _verify(dataset: Dataset, out: Path, format: str) -> None:
    """BadData unless `out` holds the same numbers, and as many pictures."""
    source, written = open_lerobot(dataset.root), open_lerobot(out)
    for key in source.keys:
        before, after = source.read(key, ()), written.read(key)
        for name, array in before.arrays.items():
            same = array.dtype == after.arrays[name].dtype and array.tobytes() == after.arrays[name].tobytes()
            if not same:
                raise BadData(out, f"{name} of {key}", "the numbers of the dataset", "others")
        if (after.instruction, after.instructions) != (before.instruction, before.instructions):
            raise BadData(out, f"instruction of {key}", repr(before.instruction), repr(after.instruction))
