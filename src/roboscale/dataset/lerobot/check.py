"""What the metadata of a dataset say against one another; no table of data and no video is opened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from roboscale.core import BadData, Finding
from roboscale.dataset.checks import finding, many
from roboscale.dataset.lerobot.absent import absent_findings, unlisted
from roboscale.dataset.lerobot.folder import Folder
from roboscale.dataset.lerobot.info import read_lines, read_object
from roboscale.dataset.statistics import QUANTILES
from roboscale.dataset.unfetched import is_here, unfetched
from roboscale.dataset.unfinished import unfinished_finding

__all__ = [
    "bare_text",
    "by_place",
    "check_order",
    "check_splits",
    "check_version",
    "metadata_findings",
    "relative_path",
    "split_ranges",
    "statistics_file",
    "without_quantiles",
]


def metadata_findings(folder: Folder) -> Iterator[Finding]:
    """Totals, order, splits, tasks, places in videos, statistics, and data files that are not there."""
    yield from _totals(folder)
    yield from check_order(folder)
    if not unlisted(folder):
        yield from check_splits(folder.head.raw.get("splits"), len(folder.episodes))
    yield from _spans(folder)
    known = set(folder.tasks.values())
    lost = {i: text for i, texts in enumerate(folder.episodes.tasks) for text in texts if text not in known}
    if lost and known:
        text = f"{many(len(lost))} have tasks that the table of tasks lacks, e.g. {next(iter(lost.values()))!r}"
        yield finding("task-index", text, episodes=lost, field="tasks")
    yield from _statistics(folder)
    yield from _absent(folder)
    yield from absent_findings(folder)
    left = unfinished_finding(folder.root) if folder.head.is_v3 else None
    if left is not None:
        yield left


def _totals(folder: Folder) -> Iterator[Finding]:
    raw, episodes = folder.head.raw, folder.episodes
    true: dict[str, tuple[str, int]] = {
        "total_episodes": ("total-episodes", len(episodes)),
        "total_frames": ("total-frames", int(episodes.length.sum())),
        "total_tasks": ("total-tasks", len(folder.tasks)),
    }
    if not folder.head.is_v3 and "total_videos" in raw:
        true["total_videos"] = ("total-videos", len(episodes) * len(folder.head.cameras))
    partly = unlisted(folder)
    for key, (check, value) in true.items():
        claimed = raw.get(key)
        if isinstance(claimed, int) and claimed != value and not (partly and key == "total_frames"):
            text = f"info.json says {key} {str(claimed)[:40]}, the other metadata {value}"
            text = partly if partly and key == "total_episodes" else text
            evidence = {"claimed": claimed, "found": value, **({"unlisted": True} if partly else {})}
            yield finding(check, text, field=key, evidence=evidence)


def check_order(folder: Folder) -> Iterator[Finding]:
    """Row i of the episode table is episode i."""
    wrong = [(i, n) for i, n in enumerate(folder.numbers) if i != n]
    if wrong:
        text = f"row {wrong[0][0]} of the episodes is episode {wrong[0][1]}; {len(wrong)} rows are not at their place"
        text += "; splits are taken to count places, for they end where these do" if by_place(folder) else ""
        lacking = max(folder.numbers) + 1 - len(folder.numbers)
        evidence = {"rows": wrong[:50], **({"lacking": lacking} if lacking else {})}
        yield finding("episode-order", text, episodes=[i for i, _ in wrong], evidence=evidence)


def split_ranges(folder: Folder) -> dict[str, tuple[int, int]]:
    """Splits that are ranges `a:b`: from a on, before b."""
    splits, ranges = folder.head.raw.get("splits"), {}
    for name, text in splits.items() if isinstance(splits, dict) else ():
        first, colon, last = str(text).partition(":")
        if colon and first.isdecimal() and last.isdecimal():
            ranges[str(name)] = (int(first), int(last))
    return ranges


def by_place(folder: Folder) -> bool:
    """Whether splits count episodes by their place: their numbers run further than any split."""
    numbers, ends = folder.episodes.index, [last for _, last in split_ranges(folder).values()]
    return bool(ends) and len(numbers) > 0 and max(ends) == len(numbers) <= int(numbers.max())


def check_splits(splits: Any, total: int) -> Iterator[Finding]:
    """Ranges `a:b` of episodes; they need not cover all of them."""
    if not isinstance(splits, dict) or not total:
        return
    for name, text in splits.items():
        first, colon, last = str(text).partition(":")
        if colon and first.isdecimal() and last.isdecimal() and int(last) > total:
            sentence = f"split {name} is {text!r} for {total} episodes"
            yield finding("splits-range", sentence, field=f"splits.{name}", evidence={"splits": splits})
            break
    yield from _in_two_splits(splits, total)


_WHOLE = ("all", "full", "total", "everything")
"""Names of splits that say themselves that they hold the others."""


def _in_two_splits(splits: Mapping[Any, Any], total: int) -> Iterator[Finding]:
    """Episodes that two splits name, each of which is only a part."""
    ranges, times = {}, np.zeros(total, np.int64)
    for name, text in splits.items():
        first, colon, last = str(text).partition(":")
        if colon and first.isdecimal() and last.isdecimal() and str(name).lower() not in _WHOLE:
            ranges[str(name)] = range(min(int(first), total), min(int(last), total))
            times[ranges[str(name)].start : ranges[str(name)].stop] += 1
    both = np.flatnonzero(times > 1).tolist()
    if both:
        names = " and in ".join(name for name, part in ranges.items() if both[0] in part)
        sentence = f"{many(len(both))} in two splits: episode {both[0]} is in {names}"
        evidence = {"splits": dict(splits), "by range": True}
        yield finding("split-leak", sentence, episodes=both, field="splits", evidence=evidence)


def _spans(folder: Folder) -> Iterator[Finding]:
    """Where episodes begin and end in their videos, as v3's table says."""
    fps, length = folder.head.fps, folder.episodes.length
    for camera, places in folder.episodes.videos.items() if folder.head.is_v3 else ():
        begins, ends = places.begins, places.ends
        grid = np.abs(begins - np.round(begins * fps) / fps)
        lasts = np.abs((ends - begins) - length / fps)
        off = np.flatnonzero((grid > 1e-4 + 1e-6 * begins) | (lasts > 0.5 / fps))
        if len(off):
            worst = float(np.maximum(grid, lasts)[off].max())
            text = f"{many(len(off))} begin or end between two frames of the video of {camera}, by up to {worst:.4g} s"
            yield finding("video-timestamps", text, episodes=off.tolist(), field=camera, evidence={"worst_s": worst})


def statistics_file(folder: Folder) -> tuple[Path, bool]:
    """The file that holds statistics, and whether they are those of each episode instead of the whole."""
    whole, each = folder.root / "meta/stats.json", folder.root / "meta/episodes_stats.jsonl"
    if folder.head.is_v3:
        return whole, False
    first, other = (each, whole) if folder.head.version.startswith("v2.1") else (whole, each)
    there = first if first.is_file() or not other.is_file() else other
    return there, there == each


def check_version(folder: Folder) -> Iterator[Finding]:
    """v2.x: whether statistics lie in the file of the version that info.json says."""
    (path, of_each), version = statistics_file(folder), folder.head.version
    if path.is_file() and of_each != version.startswith("v2.1") and not folder.head.is_v3:
        other = "stats.json" if of_each else "episodes_stats.jsonl"
        text = f"info.json says {version}, but there is {path.name} and no {other}"
        yield finding("codebase-version", text, field="codebase_version")


def _statistics(folder: Folder) -> Iterator[Finding]:
    path, of_each = statistics_file(folder)
    yield from check_version(folder)
    if not path.is_file():
        yield finding("stats-missing", f"there is no {path.name}", field=relative_path(folder, path))
        return
    try:
        stats = next((row for _, row in read_lines(path)), {}).get("stats") if of_each else read_object(path)
    except BadData as error:
        yield finding("stats-missing", str(error), field=relative_path(folder, path))
        return
    own = [name for name in folder.head.numeric if name not in _INDEX and not name.startswith("annotation.")]
    bare = without_quantiles(stats if isinstance(stats, dict) else {}, own)
    if bare:
        yield finding("missing-quantiles", f"{path.name} {bare_text(bare)}", field=path.name, evidence=bare)


_INDEX = ("timestamp", "frame_index", "episode_index", "index", "task_index")


def without_quantiles(stats: Mapping[str, Any], names: list[str]) -> dict[str, list[str]]:
    """Feature -> the quantiles that its statistics lack."""
    lacking = {}
    for name in names:
        entry = stats.get(name)
        absent = [q for q in QUANTILES if not isinstance(entry, dict) or q not in entry]
        if absent:
            lacking[name] = absent
    return lacking


def bare_text(bare: Mapping[str, list[str]]) -> str:
    """`has no q10, q50, q90 of action`."""
    absent = [q for q in QUANTILES if any(q in one for one in bare.values())]
    return f"has no {', '.join(absent)} of {', '.join(bare)}"


def _absent(folder: Folder) -> Iterator[Finding]:
    there: dict[Path | None, bool] = {None: False}
    for position in range(len(folder.episodes)):
        path = folder.episodes.tables[position]
        if path is not None and path not in there:
            there[path] = is_here(path)
    lost = [i for i in range(len(folder.episodes)) if not there[folder.episodes.tables[i]]]
    if lost:
        first = folder.episodes.tables[lost[0]]
        why = f": {said}" if first is not None and (said := unfetched(first)) is not None else ""
        text = f"the data files of {many(len(lost))} of {len(folder.episodes)} are not there; looked for {first}{why}"
        yield finding("file-missing", text, episodes=lost, evidence={"episodes": len(lost)})


def relative_path(folder: Folder, path: Path) -> str:
    """A path under the root as people read it."""
    return str(path.relative_to(folder.root)) if path.is_relative_to(folder.root) else str(path)
