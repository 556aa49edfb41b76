"""A LeRobotDataset v3 folder: everything that the metadata claim, recomputed from the files.

Never raises on a broken dataset: whatever is wrong with it is a finding. Knows files; what the numbers and pictures
show is judged elsewhere, as for every other format.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from roboscale.core import BadData, Finding, RoboscaleError
from roboscale.dataset.audit.checks import finding, many
from roboscale.dataset.audit.folder import Folder, load_folder
from roboscale.dataset.audit.statistics import judge_statistics
from roboscale.dataset.audit.tables import TableEvidence, examine_table, expected_starts, jobs
from roboscale.dataset.audit.videos import VideoEvidence, examine_video
from roboscale.dataset.catalog import load_catalog
from roboscale.dataset.journal import list_pending
from roboscale.dataset.layout import Layout

__all__ = ["Run", "audit_v3", "is_v3"]

Run = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]
"""Like `map`: results in the order of the items; worker processes or a cluster where that helps."""

_TIME_S = 1e-4
_LONG_GOP = 60


def is_v3(root: Path) -> bool:
    """Whether a folder looks like a LeRobotDataset v3, however broken."""
    if not Layout(root).info.is_file():
        return False
    head = Layout(root).info.read_text("utf-8", errors="replace")[:100_000]
    return '"v3.' in head or Layout(root).episodes.is_dir()


def audit_v3(root: Path, run: Run = map) -> list[Finding]:
    """Findings about the files and metadata of one dataset."""
    root = Path(root)
    folder, found = load_folder(root)
    if folder is None:
        return found
    if not folder.rows and list_pending(Layout(root)):  # killed before its first seal: nothing else is there yet
        early = ("no-episodes", "tasks-table")
        return [f for f in found if f.check not in early] + list(_own_files(folder))
    work = jobs(folder)
    tables, stray = _split(list(run(examine_table, work)), {job.path: frozenset(job.claimed) for job in work})
    videos: list[VideoEvidence] = list(run(examine_video, _video_files(folder)))
    lengths = _true_lengths(tables)
    found += _stray(folder, stray)
    found += _files(folder, tables)
    found += _episodes(folder, tables, lengths)
    found += _index_columns(folder, tables, lengths)
    found += _tasks(folder, tables)
    found += _totals(folder, lengths)
    found += _videos(folder, {v.path: v for v in videos}, lengths)
    if not any(f.severity == "error" and f.field.endswith(".parquet") for f in found):
        found += judge_statistics(folder, tables)
    found += _own_files(folder)
    return found + _refused(root, found)


def _split(
    tables: Sequence[TableEvidence], claimed: Mapping[Path, frozenset[int]]
) -> tuple[list[TableEvidence], list[TableEvidence]]:
    """Files that hold something of their own, and files whose episodes all lie where the metadata say, elsewhere."""
    settled = {n for table in tables for n in table.episodes if n in claimed[table.path]}
    stray = [t for t in tables if not claimed[t.path] and not t.error and not t.orphans and settled >= set(t.episodes)]
    return [t for t in tables if all(t is not s for s in stray)], stray


def _stray(folder: Folder, stray: Sequence[TableEvidence]) -> Iterator[Finding]:
    for table in stray:
        name = _relative(folder, table.path)
        text = f"no episode names {name}, whose {table.rows} rows loaders that read every file would add"
        yield finding("file-unreferenced", text, field=name, evidence={"rows": table.rows})


def _true_lengths(tables: Sequence[TableEvidence]) -> dict[int, int]:
    lengths: dict[int, int] = defaultdict(int)
    for table in tables:
        for number, rows in table.episodes.items():
            lengths[number] += rows.frames
    return dict(lengths)


def _positions(folder: Folder) -> dict[int, int]:
    return {number: position for position, number in enumerate(folder.numbers)}


def _relative(folder: Folder, path: Path) -> str:
    return str(path.relative_to(folder.root)) if path.is_relative_to(folder.root) else str(path)


def _files(folder: Folder, tables: Sequence[TableEvidence]) -> Iterator[Finding]:
    named: dict[Path, list[int]] = defaultdict(list)
    for job in jobs(folder):
        named[job.path] += [_positions(folder)[n] for n in job.claimed]
    problems: dict[tuple[str, str], list[str]] = defaultdict(list)
    for table in tables:
        path, name = table.path, _relative(folder, table.path)
        if table.error:
            check = "file-missing" if not path.exists() else "file-broken"
            yield finding(check, table.error, field=name, episodes=named[path])
        for check, column, text in table.columns:
            problems[check, column].append(f"{text} in {name}")
    for (check, column), texts in problems.items():
        more = f", and in {len(texts) - 1} more files" if len(texts) > 1 else ""
        yield finding(check, texts[0] + more, field=column, evidence={"files": len(texts)})
    orphans = {_relative(folder, t.path): t.orphans for t in tables if t.orphans}
    if orphans:
        total, rows = sum(orphans.values()), sum(t.rows for t in tables)
        text = f"{total} of {rows} data rows carry an episode_index that meta/episodes does not have"
        yield finding("orphan-rows", text, field="episode_index", evidence={"rows": total, "files": orphans})


def _episodes(folder: Folder, tables: Sequence[TableEvidence], lengths: Mapping[int, int]) -> Iterator[Finding]:
    numbers = folder.numbers
    wrong = [(i, n) for i, n in enumerate(numbers) if i != n]
    if wrong:
        text = f"row {wrong[0][0]} of meta/episodes is episode {wrong[0][1]}; {len(wrong)} rows are not at their place"
        yield finding("episode-order", text, episodes=[i for i, _ in wrong], evidence={"rows": wrong[:50]})
    where = {n: t.path for t in tables for n in t.episodes}
    broken = {t.path for t in tables if t.error}
    away = []
    for i, row in enumerate(folder.rows):
        try:
            path = folder.info.data_file(int(row["data/chunk_index"]), int(row["data/file_index"]))
        except (BadData, TypeError, ValueError):
            path = None
        if path not in broken and where.get(numbers[i]) != path:
            away.append((i, path, where.get(numbers[i])))
    if away:
        i, said, there = away[0]
        has = _relative(folder, there) if there else "nowhere"
        text = f"episode {i} ought to be in {_relative(folder, said) if said else 'no file'} and is {has}"
        yield finding("episode-location", text, episodes=[i for i, _, _ in away], evidence={"episodes": len(away)})
    missing = {i for i, _, _ in away} | {i for i, n in enumerate(numbers) if n not in lengths}
    yield from _ranges(folder, lengths, missing)


def _ranges(folder: Folder, lengths: Mapping[int, int], missing: set[int]) -> Iterator[Finding]:
    starts = expected_starts(lengths, folder.numbers)
    long, moved = [], []
    complete = not any(n not in lengths for n in folder.numbers)
    for i, row in enumerate(folder.rows):
        number = int(row["episode_index"])
        true = lengths.get(number, 0)
        if i not in missing and int(row["length"]) != true:
            long.append((i, int(row["length"]), true))
        said = (row.get("dataset_from_index"), row.get("dataset_to_index"))
        if complete and None not in said and said != (starts[number], starts[number] + true):
            moved.append((i, list(said), [starts[number], starts[number] + true]))
    if long:
        text = f"episode {long[0][0]} claims {long[0][1]} frames and has {long[0][2]} rows"
        yield finding("episode-length", text, episodes=[i for i, _, _ in long], evidence={"wrong": long[:50]})
    if moved:
        i, said_, there = moved[0]
        text = f"episode {i} claims rows {said_[0]} to {said_[1]} and has {there[0]} to {there[1]}"
        yield finding("episode-range", text, episodes=[m[0] for m in moved], evidence={"wrong": moved[:50]})


def _index_columns(folder: Folder, tables: Sequence[TableEvidence], lengths: Mapping[int, int]) -> Iterator[Finding]:
    positions, starts = _positions(folder), expected_starts(lengths, folder.numbers)
    complete = not any(n not in lengths for n in folder.numbers)
    frame, index, late = [], [], {}
    for table in tables:
        for number, rows in table.episodes.items():
            i = positions[number]
            if rows.frame_index >= 0:
                frame.append((i, rows.frame_index))
            if complete and rows.first >= 0 and not (rows.counts and rows.first == starts[number]):
                index.append((i, rows.first, starts[number]))
            if not rows.late_s <= _TIME_S:
                late[i] = rows.late_s
    if frame:
        text = f"frame_index does not count from 0 in episode {frame[0][0]}, first at its row {frame[0][1]}"
        yield finding("frame-index", text, episodes=[i for i, _ in frame], field="frame_index")
    if index:
        text = f"index of episode {index[0][0]} begins at {index[0][1]} or leaps, expected {index[0][2]} counting up"
        yield finding("index-column", text, episodes=[i for i, _, _ in index], field="index")
    if late:
        worst = max(late, key=lambda i: late[i])
        text = f"timestamp is up to {late[worst]:.4g} s from frame / fps in episode {worst}, allowed {_TIME_S:g} s"
        evidence = {"seconds": {str(i): s for i, s in sorted(late.items())[:50]}}
        yield finding("timestamp-column", text, episodes=sorted(late), field="timestamp", evidence=evidence)


def _tasks(folder: Folder, tables: Sequence[TableEvidence]) -> Iterator[Finding]:
    if not folder.tasks:
        return
    positions, wrong, used = _positions(folder), {}, set()
    for table in tables:
        for number, rows in table.episodes.items():
            texts = folder.rows[positions[number]].get("tasks") or []
            meant = {folder.tasks.get(text) for text in texts}
            used |= set(rows.tasks) | meant
            if set(rows.tasks) - meant:
                wrong[positions[number]] = [list(rows.tasks), list(texts)]
    if wrong:
        i, (found, texts) = next(iter(wrong.items()))
        text = f"task_index of episode {i} is {found}, and its tasks are {texts!r} in meta/episodes"
        yield finding("task-index", text, episodes=sorted(wrong), field="task_index")
    unused = [text for text, index in folder.tasks.items() if index not in used]
    if unused and not wrong:
        yield finding(
            "task-unused", f"{many(len(unused), 'task')} without an episode, such as {unused[0]!r}", field="tasks"
        )


def _totals(folder: Folder, lengths: Mapping[int, int]) -> Iterator[Finding]:
    raw = folder.info.raw
    true = {
        "total_episodes": len(folder.rows),
        "total_frames": sum(lengths.values()),
        "total_tasks": len(folder.tasks),
    }
    for key, check in (("total_episodes", "total-episodes"), ("total_frames", "total-frames")):
        complete = key == "total_episodes" or all(n in lengths for n in folder.numbers)
        if complete and folder.rows and raw[key] not in (-1, true[key]):
            text = f"{key} is {raw[key]}, and there are {true[key]}"
            yield finding(check, text, field=key, evidence={"claimed": raw[key], "found": true[key]})
    if folder.tasks and raw["total_tasks"] not in (-1, true["total_tasks"]):
        text = f"total_tasks is {raw['total_tasks']}, and tasks.parquet has {true['total_tasks']}"
        yield finding("total-tasks", text, field="total_tasks")
    yield from _splits(raw.get("splits"), len(folder.rows))


def _splits(splits: Any, total: int) -> Iterator[Finding]:
    if not isinstance(splits, dict) or not splits or not total:
        return
    covered: set[int] = set()
    for name, text in splits.items():
        parts = str(text).split(":")
        if len(parts) != 2 or not all(p.isdigit() for p in parts) or int(parts[1]) > total:
            yield finding("splits-range", f"split {name} is {text!r} for {total} episodes", field=f"splits.{name}")
            return
        covered |= set(range(int(parts[0]), int(parts[1])))
    if len(covered) != total:
        text = f"the splits cover {len(covered)} of {total} episodes"
        yield finding("splits-range", text, field="splits", evidence={"splits": splits})


def _video_files(folder: Folder) -> list[Path]:
    named = [place[0] for camera in folder.info.cameras for place in _places(folder, camera) if place]
    there = sorted((folder.root / "videos").glob("*/*/*.mp4"))
    return list(dict.fromkeys([*named, *there]))


def _places(folder: Folder, camera: str) -> list[tuple[Path, float, float] | None]:
    """File, from and to (seconds) of every row; `None` where the table does not say."""
    places: list[tuple[Path, float, float] | None] = []
    names = [f"videos/{camera}/{w}" for w in ("chunk_index", "file_index", "from_timestamp", "to_timestamp")]
    for row in folder.rows:
        values = [row.get(name) for name in names]
        try:
            path = folder.info.video_file(camera, int(values[0]), int(values[1]))  # type: ignore[arg-type]
            places.append((path, float(values[2]), float(values[3])))  # type: ignore[arg-type]
        except (BadData, TypeError, ValueError):
            places.append(None)
    return places


def _videos(folder: Folder, videos: Mapping[Path, VideoEvidence], lengths: Mapping[int, int]) -> Iterator[Finding]:
    named: set[Path] = set()
    for camera in folder.info.cameras:
        files: dict[Path, list[tuple[int, float, float]]] = defaultdict(list)
        for i, place in enumerate(_places(folder, camera)):
            if place is not None:
                files[place[0]].append((i, place[1], place[2]))
        named |= files.keys()
        for path, cuts in files.items():
            yield from _video(folder, camera, videos[path], cuts, lengths)
    for path in videos.keys() - named:
        name = _relative(folder, path)
        yield finding("file-unreferenced", f"no episode names {name}", field=name)


def _video(
    folder: Folder,
    camera: str,
    video: VideoEvidence,
    cuts: Sequence[tuple[int, float, float]],
    lengths: Mapping[int, int],
) -> Iterator[Finding]:
    name, episodes = _relative(folder, video.path), [i for i, _, _ in cuts]
    if video.error:
        check = "missing-video" if video.error == "missing" else "file-broken"
        yield finding(check, f"{name}: {video.error}", field=camera, episodes=episodes, evidence={"file": name})
        return
    yield from _header(folder, camera, video, name, episodes)
    fps = folder.info.fps
    frames = {i: lengths.get(folder.numbers[i], 0) for i in episodes}
    off = _drift(cuts, frames, fps)
    if off:
        worst = max(off, key=lambda i: off[i])
        text = f"{name}: times of {many(len(off))} are off by up to {off[worst]:.4g} s (episode {worst})"
        evidence = {"seconds": {str(i): s for i, s in sorted(off.items())[:50]}, "allowed": _TIME_S}
        yield finding("video-timestamps", text, field=camera, episodes=sorted(off), evidence=evidence)
        return
    short = [i for i, begin, _ in cuts if round(begin * fps) + frames[i] > video.frames]
    shown = sum(frames.values())
    evidence = {"file": name, "frames": video.frames, "shown": shown}
    if short:
        text = f"{name} holds {video.frames} frames, and its episodes claim {shown}"
        yield finding("video-frames", text, field=camera, episodes=short, evidence=evidence)
    elif video.frames > shown:
        text = f"{name} holds {video.frames} frames, and its episodes show {shown} of them"
        yield finding("video-surplus", text, field=camera, episodes=episodes, evidence=evidence)


def _drift(cuts: Sequence[tuple[int, float, float]], frames: Mapping[int, int], fps: int) -> dict[int, float]:
    """Position -> seconds by which its place in the file is off; only where that is more than the tolerance."""
    off: dict[int, float] = {}
    end = 0.0
    for i, begin, stop in sorted(cuts, key=lambda c: c[1]):
        grid = abs(begin - round(begin * fps) / fps)
        overlap = max(0.0, end - begin)
        worst = max(grid, overlap, abs((stop - begin) - frames[i] / fps))
        if worst > _TIME_S:
            off[i] = worst
        end = begin + frames[i] / fps
    return off


def _header(
    folder: Folder, camera: str, video: VideoEvidence, name: str, episodes: Sequence[int]
) -> Iterator[Finding]:
    feature, fps = folder.info.features[camera], folder.info.fps
    said = {**(feature.get("video_info") or {}), **(feature.get("info") or {})}
    shape = feature["shape"]
    size = (shape[1], shape[2]) if len(shape) == 3 and shape[0] in (1, 3) else tuple(shape[:2])
    size = (said.get("video.height", size[0]), said.get("video.width", size[1]))
    gop = said.get("video.g") or _LONG_GOP
    facts: list[tuple[str, Any, Any, bool]] = [
        ("video-codec", said.get("video.codec"), video.codec, _same_codec(said.get("video.codec"), video.codec)),
        ("video-size", size, (video.height, video.width), size == (video.height, video.width)),
        ("video-size", tuple(shape), size, set(size) <= set(shape)),
        ("video-fps", said.get("video.fps", fps), video.rate, abs(video.rate - fps) < 1e-3 * fps),
        ("video-fps", fps, said.get("video.fps", fps), float(said.get("video.fps", fps)) == fps),
        ("video-pixel-format", said.get("video.pix_fmt"), video.pix_fmt, True),
        ("video-gop", f"at most {gop}", video.gop, video.gop <= gop),
    ]
    if said.get("video.pix_fmt") not in (None, video.pix_fmt, video.pix_fmt.replace("yuvj", "yuv")):
        facts[5] = ("video-pixel-format", said.get("video.pix_fmt"), video.pix_fmt, False)
    done = set()
    for check, claimed, is_, fine in facts:
        if not fine and check not in done:
            done.add(check)
            text = f"{name}: claimed {check.removeprefix('video-')} {claimed}, found {is_}"
            evidence = {"file": name, "claimed": str(claimed), "found": str(is_)}
            yield finding(check, text, field=camera, episodes=episodes, evidence=evidence)
    if "video-fps" not in done and video.off_s > max(_TIME_S, 0.1 / fps):
        text = f"{name}: a frame is {video.off_s:.4g} s from a multiple of 1/{fps} s"
        yield finding("video-timing", text, field=camera, episodes=episodes, evidence={"seconds": video.off_s})


_CODECS = {
    "libsvtav1": "av1",
    "libaom-av1": "av1",
    "libx264": "h264",
    "avc1": "h264",
    "libx265": "hevc",
    "h265": "hevc",
}


def _same_codec(said: Any, found: str) -> bool:
    return said is None or _CODECS.get(str(said), str(said)) == found


def _own_files(folder: Folder) -> Iterator[Finding]:
    pending = list_pending(Layout(folder.root))
    if pending:
        text = f"{many(len(pending), 'saved episode')} not sealed yet"
        yield finding("unsealed-episodes", text, evidence={"episodes": len(pending)})


def _refused(root: Path, found: Sequence[Finding]) -> list[Finding]:
    """What our loader says, where nothing that was found explains it already."""
    if any(f.severity == "error" for f in found):
        return []
    try:
        load_catalog(root)
    except RoboscaleError as error:
        check = "sidecar" if "meta/roboscale" in str(error) else "not-readable"
        return [finding(check, f"roboscale refuses the dataset: {error}")]
    return []
