"""LeRobot v2.0 and v2.1: one parquet file per episode, one video per episode and camera.

meta/info.json  meta/tasks.jsonl  meta/episodes.jsonl
meta/stats.json            of the whole (v2.0)
meta/episodes_stats.jsonl  of each episode (v2.1)
meta/modality.json         which elements are which part of the robot (GR00T)
data/chunk-000/episode_000000.parquet  videos/chunk-000/<camera>/episode_000000.mp4
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from roboscale.core import BadData, Finding
from roboscale.dataset.statistics import QUANTILES
from roboscale.dataset.video import probe
from roboscale.sources.records.lerobot.features import Features, describe, repair_by_import
from roboscale.sources.records.lerobot.metadata import (
    Info,
    integer,
    load_info,
    load_lines,
    load_object,
    read_licence,
)
from roboscale.sources.records.lerobot.modality import apply_modality
from roboscale.sources.records.lerobot.recording import Entry, LeRobotRecording, Source
from roboscale.sources.records.lerobot.tables import count_rows, read_schema

__all__ = ["open_v2"]


def open_v2(root: Path, format: str) -> LeRobotRecording:
    """Opens a dataset of v2.0 or v2.1; `gr00t` also reads `meta/modality.json`.

    Raises:
        BadData: names file, field and both sides.
    """
    info = load_info(root, ("v2.",))
    entries = _entries(info)
    features = describe(info, _schema(info, entries), _sizes(info, entries))
    if format == "gr00t":
        apply_modality(root, features)
    tasks = _tasks(root)
    source = Source(
        format,
        root,
        info.robot_type,
        read_licence(root),
        features,
        entries,
        tasks,
        lambda: list(_check(info, features, entries, tasks)),
    )
    return LeRobotRecording(source)


def _entries(info: Info) -> list[Entry]:
    path = info.root / "meta/episodes.jsonl"
    data = info.template("data_path")
    video = info.template("video_path") if info.videos else None
    entries: dict[int, Entry] = {}
    for where, row in load_lines(path):
        index = integer(path, f"{where}: episode_index", row.get("episode_index"), 0)
        length = integer(path, f"{where}: length", row.get("length"), 0)
        tasks = row.get("tasks")
        if not isinstance(tasks, list) or not all(isinstance(task, str) for task in tasks):
            raise BadData(path, f"{where}: tasks", "a list of texts", str(tasks)[:60])
        if index in entries:
            raise BadData(path, f"{where}: episode_index", "one that is not there yet", index)
        blanks = {"episode_chunk": index // info.chunks_size, "episode_index": index}
        videos = {c: (video.fill(**blanks, video_key=c), 0) for c in info.videos} if video else {}
        key = f"episode_{index:06d}"
        entries[index] = Entry(key, index, length, tuple(tasks), data.fill(**blanks), shared=False, videos=videos)
    if not entries:
        raise BadData(path, "episodes", "at least 1", 0)
    tables = {entry.table for entry in entries.values()}
    if len(tables) != len(entries):
        raise BadData(info.file, "data_path", "a file for each episode", str(info.raw["data_path"]))
    return list(entries.values())


def _tasks(root: Path) -> dict[int, str]:
    path = root / "meta/tasks.jsonl"
    tasks = {}
    for where, row in load_lines(path):
        if not isinstance(row.get("task"), str):
            raise BadData(path, f"{where}: task", "a text", str(row.get("task"))[:60])
        tasks[integer(path, f"{where}: task_index", row.get("task_index"), 0)] = row["task"]
    return tasks


def _schema(info: Info, entries: Sequence[Entry]) -> pa.Schema:
    """Of the first data file that can be read."""
    first: BadData | None = None
    for entry in entries:
        try:
            return read_schema(entry.table)
        except BadData as error:
            first = first or error
    raise first or BadData(info.root, "data files", "at least 1", 0)


def _sizes(info: Info, entries: Sequence[Entry]) -> dict[str, tuple[int, int]]:
    """Camera -> (H, W) by the header of its first video that can be read."""
    sizes = {}
    for camera in info.videos:
        for entry in entries:
            path = entry.videos[camera][0]
            if not path.is_file():
                continue
            try:
                header = probe(path)
            except BadData:
                continue
            sizes[camera] = (header.height, header.width)
            break
    return sizes


def _check(info: Info, features: Features, entries: Sequence[Entry], tasks: Mapping[int, str]) -> Iterator[Finding]:
    yield from _check_totals(info, features, entries, tasks)
    yield from _check_statistics(info, features)
    yield from _check_tables(info, entries)
    known = set(tasks.values())
    lost = [(p, [t for t in entry.tasks if t not in known]) for p, entry in enumerate(entries)]
    lost = [(position, texts) for position, texts in lost if texts]
    if lost:
        texts = list(dict.fromkeys(itertools.chain.from_iterable(texts for _, texts in lost)))
        text = f"{len(texts)} tasks of episodes.jsonl are not in tasks.jsonl, e.g. {texts[0]!r}"
        where = tuple(position for position, _ in lost)
        yield Finding("missing-task", "error", text, where, evidence={"tasks": texts}, repair=repair_by_import(info))


def _check_totals(
    info: Info, features: Features, entries: Sequence[Entry], tasks: Mapping[int, str]
) -> Iterator[Finding]:
    cameras = [name for name in info.features if info.features[name]["dtype"] == "video"]
    found = {
        "total_episodes": len(entries),
        "total_frames": sum(entry.length for entry in entries),
        "total_tasks": len(tasks),
        "total_videos": len(entries) * len(cameras),
        "total_chunks": max(entry.index for entry in entries) // info.chunks_size + 1,
    }
    for key, value in found.items():
        if key in info.raw and info.raw[key] != value:
            text = f"info.json says {key} {str(info.raw[key])[:40]}, the other metadata {value}"
            evidence = {"info": info.raw[key], "found": value}
            yield Finding("wrong-totals", "error", text, field=key, evidence=evidence, repair=repair_by_import(info))
    indices = [entry.index for entry in entries]
    if indices != list(range(len(indices))):
        at = next(i for i, index in enumerate(indices) if index != i)
        text = f"episodes are not numbered 0 to {len(indices) - 1}: position {at} is episode {indices[at]}"
        yield Finding("episode-order", "error", text, (at,), "episode_index", repair=repair_by_import(info))


def _check_statistics(info: Info, features: Features) -> Iterator[Finding]:
    of_all, of_each = info.root / "meta/stats.json", info.root / "meta/episodes_stats.jsonl"
    there, other = (of_each, of_all) if info.version.startswith("v2.1") else (of_all, of_each)
    repair = repair_by_import(info)
    if not there.is_file() and other.is_file():
        text = f"info.json says {info.version}, but there is {other.name} and no {there.name}"
        yield Finding("codebase-version", "warning", text, field="codebase_version", repair=repair)
        there = other
    if not there.is_file():
        yield Finding("missing-statistics", "warning", f"there is no {there.name}", repair=repair)
        return
    try:
        stats = load_object(there) if there == of_all else next(row for _, row in load_lines(there)).get("stats")
    except (BadData, StopIteration) as error:
        yield Finding("broken-statistics", "error", f"{there.name}: {error or 'empty'}", repair=repair)
        return
    stats = stats if isinstance(stats, dict) else {}
    lacking = [
        n for n in features.arrays if not isinstance(stats.get(n), dict) or not QUANTILES.keys() <= stats[n].keys()
    ]
    if lacking:
        text = f"{there.name} has no {', '.join(QUANTILES)} of {', '.join(lacking)}: no policy can normalise by them"
        evidence: Mapping[str, Any] = {"features": lacking}
        yield Finding("missing-quantiles", "warning", text, evidence=evidence, repair=repair)


def _check_tables(info: Info, entries: Sequence[Entry]) -> Iterator[Finding]:
    lost, wrong, broken = [], {}, {}
    for position, entry in enumerate(entries):
        if not entry.table.is_file():
            lost.append(position)
            continue
        try:
            rows = count_rows(entry.table)
        except BadData as error:
            broken[position] = error.found
            continue
        if rows != entry.length:
            wrong[position] = (entry.length, rows)
    repair = repair_by_import(info)
    if lost:
        text = f"{len(lost)} of {len(entries)} data files are not there"
        yield Finding("missing-data", "error", text, tuple(lost))
    if broken:
        text = f"{len(broken)} of {len(entries)} data files cannot be read: {next(iter(broken.values()))}"
        yield Finding("broken-data", "error", text, tuple(broken))
    if wrong:
        (said, rows), count = next(iter(wrong.values())), len(wrong)
        text = f"episodes.jsonl gives {count} episodes another length than their data: {said} for {rows} rows"
        evidence = {"lengths": {entries[p].key: list(pair) for p, pair in wrong.items()}}
        yield Finding("wrong-length", "error", text, tuple(wrong), "length", evidence=evidence, repair=repair)
