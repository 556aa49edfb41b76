"""LeRobot v3: many episodes in one parquet file and in one video per camera; and the datasets that roboscale wrote.

With our sidecar, ids, outcomes, provenance and units are kept. Other people's datasets are read more leniently than
`roboscale.dataset` does: a missing video or a wrong total is a finding, not the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from roboscale.core import BadData, Finding
from roboscale.dataset.catalog import Catalog, load_catalog
from roboscale.dataset.layout import Layout
from roboscale.dataset.statistics import QUANTILES
from roboscale.dataset.video import probe
from roboscale.sources.records.lerobot.features import Features, describe, repair_by_import
from roboscale.sources.records.lerobot.metadata import Info, integer, load_info, load_object, read_licence
from roboscale.sources.records.lerobot.recording import Entry, LeRobotRecording, Source
from roboscale.sources.records.lerobot.tables import read_rows, read_schema

__all__ = ["open_v3"]

Spans = Mapping[str, Sequence[tuple[float, float]]]
"""Camera -> where each episode begins and ends in its video, seconds, as the metadata says."""


def open_v3(root: Path) -> LeRobotRecording:
    """Opens a dataset of v3.

    Raises:
        BadData: names file, field and both sides.
    """
    info = load_info(root, ("v3.",))
    if Layout(root).own.is_dir():
        return _open_own(root, info)
    entries, spans = _entries(info)
    tasks = _tasks(root)
    features = describe(info, read_schema(_first_table(info, entries)), _sizes(info, entries))
    source = Source(
        "lerobot-v3",
        root,
        info.robot_type,
        read_licence(root),
        features,
        entries,
        tasks,
        lambda: list(_check(info, features, entries, tasks, spans)),
    )
    return LeRobotRecording(source)


def _open_own(root: Path, info: Info) -> LeRobotRecording:
    try:
        catalog: Catalog = load_catalog(root)
    except (ArithmeticError, AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise BadData(root / "meta", "metadata", "what roboscale wrote", repr(error)[:160]) from error
    if not catalog.episodes:
        raise BadData(info.file, "episodes", "at least 1", 0)
    entries = [
        Entry(
            f"episode_{episode.index:06d}",
            episode.index,
            episode.length,
            (episode.instruction,),
            at.table,
            at.sealed,
            at.videos,
            episode.id,
            episode.outcome,
            episode.provenance,
        )
        for episode, at in zip(catalog.episodes, catalog.locations, strict=True)
    ]
    features = describe(info, read_schema(entries[0].table), {})
    licences = {entry.provenance.licence for entry in entries if entry.provenance is not None}
    licence = licences.pop() if len(licences) == 1 else ""
    source = Source("lerobot-v3", root, info.robot_type, licence or read_licence(root), features, entries, {}, list)
    return LeRobotRecording(source, catalog.spec.select(features.spec.names))


def _tasks(root: Path) -> dict[int, str]:
    path = Layout(root).tasks
    rows = read_rows(path)
    texts = [name for name in ("task", "__index_level_0__") if rows and name in rows[0]]
    if rows and (not texts or "task_index" not in rows[0]):
        raise BadData(path, "columns", "task_index and task", ", ".join(rows[0])[:200])
    return {integer(path, "task_index", row["task_index"], 0): str(row[texts[0]]) for row in rows}


def _entries(info: Info) -> tuple[list[Entry], Spans]:
    layout = Layout(info.root)
    files = sorted(layout.episodes.glob("*/*.parquet"))
    names = ["episode_index", "tasks", "length", "data/chunk_index", "data/file_index"]
    for camera in info.videos:
        names += [
            f"videos/{camera}/{what}" for what in ("chunk_index", "file_index", "from_timestamp", "to_timestamp")
        ]
    entries: dict[int, Entry] = {}
    spans: dict[str, list[tuple[float, float]]] = {camera: [] for camera in info.videos}
    for file in files:
        for number, row in enumerate(read_rows(file, names)):
            entry = _entry(info, file, f"row {number}", row)
            if entry.index in entries:
                raise BadData(file, f"row {number}: episode_index", "one that is not there yet", entry.index)
            entries[entry.index] = entry
            for camera in info.videos:
                spans[camera].append(_span(file, f"row {number}", row, camera))
    if not entries:
        raise BadData(layout.episodes, "episodes", "at least 1", 0)
    return list(entries.values()), spans


def _span(file: Path, where: str, row: Mapping[str, Any], camera: str) -> tuple[float, float]:
    times = [row[f"videos/{camera}/{end}_timestamp"] for end in ("from", "to")]
    if not all(isinstance(time, (int, float)) and 0 <= time < 1e9 for time in times):
        raise BadData(file, f"{where}: videos/{camera}", "seconds from 0", times)
    return times[0], times[1]


def _entry(info: Info, file: Path, where: str, row: Mapping[str, Any]) -> Entry:
    def number(name: str) -> int:
        return integer(file, f"{where}: {name}", row[name], 0)

    index, tasks = number("episode_index"), row["tasks"]
    tasks = [tasks] if isinstance(tasks, str) else tasks
    if not isinstance(tasks, list) or not all(isinstance(task, str) for task in tasks):
        raise BadData(file, f"{where}: tasks", "a list of texts", str(tasks)[:60])
    chunk, at = number("data/chunk_index"), number("data/file_index")
    videos = {}
    for camera in info.videos:
        place = {what: number(f"videos/{camera}/{what}") for what in ("chunk_index", "file_index")}
        path = info.template("video_path").fill(video_key=camera, **place)
        videos[camera] = (path, round(_span(file, where, row, camera)[0] * info.fps))
    table = info.template("data_path").fill(chunk_index=chunk, file_index=at)
    return Entry(f"episode_{index:06d}", index, number("length"), tuple(tasks), table, shared=True, videos=videos)


def _first_table(info: Info, entries: Sequence[Entry]) -> Path:
    for entry in entries:
        if entry.table.is_file():
            return entry.table
    raise BadData(entries[0].table, "file", f"to exist, {Layout(info.root).episodes} names it", "nothing")


def _sizes(info: Info, entries: Sequence[Entry]) -> dict[str, tuple[int, int]]:
    """Camera -> (H, W) by the header of its first video that can be read."""
    sizes = {}
    for camera in info.videos:
        for path in dict.fromkeys(entry.videos[camera][0] for entry in entries):
            try:
                header = probe(path)
            except BadData:
                continue
            sizes[camera] = (header.height, header.width)
            break
    return sizes


def _check(
    info: Info, features: Features, entries: Sequence[Entry], tasks: Mapping[int, str], spans: Spans
) -> Iterator[Finding]:
    repair = repair_by_import(info)
    totals = {
        "total_episodes": len(entries),
        "total_frames": sum(entry.length for entry in entries),
        "total_tasks": len(tasks),
    }
    for key, value in totals.items():
        if info.raw.get(key) != value:
            text = f"info.json says {key} {str(info.raw.get(key))[:40]}, the other metadata {value}"
            evidence = {"info": info.raw.get(key), "found": value}
            yield Finding("wrong-totals", "error", text, field=key, evidence=evidence, repair=repair)
    wrong = tuple(position for position, entry in enumerate(entries) if entry.index != position)
    if wrong:
        text = f"the loader looks episodes up by position, but row {wrong[0]} is episode {entries[wrong[0]].index}"
        yield Finding("episode-order", "error", text, wrong, "episode_index", repair=repair)
    yield from _check_statistics(info, features)
    yield from _check_spans(info, entries, spans)
    known = set(tasks.values())
    lost = {p: texts for p, e in enumerate(entries) if (texts := [t for t in e.tasks if t not in known])}
    if lost:
        text = f"{len(lost)} episodes have tasks that tasks.parquet lacks, e.g. {next(iter(lost.values()))[0]!r}"
        yield Finding("missing-task", "error", text, tuple(lost), repair=repair)
    absent = tuple(p for p, entry in enumerate(entries) if not entry.table.is_file())
    if absent:
        yield Finding("missing-data", "error", f"the data files of {len(absent)} episodes are not there", absent)


def _check_statistics(info: Info, features: Features) -> Iterator[Finding]:
    path, repair = info.root / "meta/stats.json", repair_by_import(info)
    if not path.is_file():
        yield Finding("missing-statistics", "warning", "there is no stats.json", repair=repair)
        return
    try:
        stats = load_object(path)
    except BadData as error:
        yield Finding("broken-statistics", "error", str(error.found), repair=repair)
        return
    lacking = [
        n for n in features.arrays if not isinstance(stats.get(n), dict) or not QUANTILES.keys() <= stats[n].keys()
    ]
    if lacking:
        text = f"stats.json has no {', '.join(QUANTILES)} of {', '.join(lacking)}: no policy can normalise by them"
        yield Finding("missing-quantiles", "warning", text, evidence={"features": lacking}, repair=repair)


def _check_spans(info: Info, entries: Sequence[Entry], spans: Spans) -> Iterator[Finding]:
    for camera, times in spans.items():
        starts, lengths = [], []
        for position, ((begin, end), entry) in enumerate(zip(times, entries, strict=True)):
            if abs(begin * info.fps - round(begin * info.fps)) > info.fps * 1e-4 + 1e-6 * begin:
                starts.append(position)
            if abs((end - begin) * info.fps - entry.length) > 0.5:
                lengths.append(position)
        repair = repair_by_import(info)
        if starts:
            text = f"{len(starts)} episodes begin in the video of {camera} between two frames"
            yield Finding("video-offset", "warning", text, tuple(starts), camera, repair=repair)
        if lengths:
            text = f"{len(lengths)} episodes last longer or shorter in the video of {camera} than in the data"
            yield Finding("video-length", "error", text, tuple(lengths), camera, repair=repair)
