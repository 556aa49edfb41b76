"""The files of a LeRobot dataset, v2.x or v3: everything that the metadata claim, recomputed from what is there.

Never raises on a broken dataset: whatever is wrong with it is a finding. Knows files; what the numbers and pictures
show is judged elsewhere, as for every other format.
"""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from roboscale.core import Finding, RoboscaleError
from roboscale.dataset.audit.statistics import judge_statistics
from roboscale.dataset.audit.tables import TableEvidence, TableJob, examine_table, expected_starts, jobs
from roboscale.dataset.audit.videos import VideoEvidence, examine_video
from roboscale.dataset.checks import finding, many
from roboscale.dataset.journal import list_pending
from roboscale.dataset.layout import Layout, is_colour
from roboscale.dataset.lerobot.absent import absent_findings, unlisted
from roboscale.dataset.lerobot.catalog import load_catalog
from roboscale.dataset.lerobot.check import check_order, check_splits, relative_path
from roboscale.dataset.lerobot.features import frame_shape
from roboscale.dataset.lerobot.folder import Folder
from roboscale.dataset.rates import same_rate
from roboscale.dataset.unfetched import unfetched
from roboscale.dataset.unfinished import unfinished_finding

__all__ = ["Spread", "audit_files"]

Spread = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]
"""Like `map`: results in the order of the items; worker processes or a cluster where that helps."""

_TIME_S = 1e-4
_LONG_GOP = 60


def audit_files(folder: Folder, run: Spread = map) -> list[Finding]:
    """Findings about the files and metadata of one dataset."""
    findings = list(folder.problems.findings)
    own = Layout(folder.root)
    if not len(folder.episodes) and list_pending(own):  # killed before its first seal: nothing else is there yet
        early = ("no-episodes", "tasks-table")
        return [f for f in findings if f.check not in early] + list(_own_files(folder))
    work = jobs(folder)
    tables, stray = _split(list(run(examine_table, work)), {job.path: frozenset(job.claimed) for job in work})
    videos: list[VideoEvidence] = list(run(examine_video, _video_files(folder)))
    lengths = _true_lengths(tables)
    findings += absent_findings(folder)
    findings += _stray(folder, stray)
    findings += _files(folder, tables, work)
    findings += _episodes(folder, tables, lengths)
    findings += _index_columns(folder, tables, lengths)
    findings += _tasks(folder, tables)
    findings += _totals(folder, lengths)
    findings += _grouped(_videos(folder, {v.path: v for v in videos}, lengths))
    if len(folder.episodes) and not any(f.severity == "error" and f.field.endswith(".parquet") for f in findings):
        findings += judge_statistics(folder, tables)
    if folder.head.is_v3:
        findings += _own_files(folder)
        findings += _refused(folder.root, findings)
    return findings


def _grouped(findings: Iterable[Finding]) -> list[Finding]:
    """One finding for each check and field, with all its episodes."""
    groups: dict[tuple[str, str], list[Finding]] = defaultdict(list)
    for one in findings:
        groups[one.check, one.field].append(one)
    whole = []
    for same in groups.values():
        episodes = tuple(sorted({i for one in same for i in one.episodes}))
        more = f"; the same of {many(len(same) - 1, 'more file')}" if len(same) > 1 else ""
        files = {"files": len(same)} if len(same) > 1 else {}
        evidence = {**same[0].evidence, **files}
        whole.append(dataclasses.replace(same[0], text=same[0].text + more, episodes=episodes, evidence=evidence))
    return whole


def _split(
    tables: Sequence[TableEvidence], claimed: Mapping[Path, frozenset[int]]
) -> tuple[list[TableEvidence], list[TableEvidence]]:
    """Files that hold something of their own, and files whose episodes all lie where the metadata say, elsewhere."""
    settled = {n for table in tables for n in table.episodes if n in claimed[table.path]}
    stray = [t for t in tables if not claimed[t.path] and not t.error and not t.orphans and settled >= set(t.episodes)]
    return [t for t in tables if all(t is not s for s in stray)], stray


def _stray(folder: Folder, stray: Sequence[TableEvidence]) -> Iterator[Finding]:
    for table in stray:
        name = relative_path(folder, table.path)
        text = f"no episode names {name}, whose {table.rows} rows loaders that read every file would add"
        yield finding("file-unreferenced", text, field=name, evidence={"rows": table.rows})
    left = [p for part in ("meta", "data", "videos") for p in sorted((folder.root / part).rglob("._*")) if p.is_file()]
    if left:
        name = relative_path(folder, left[0])
        text = f"{name}: macOS leaves such files beside others; loaders that read every file fail over it: delete it"
        more = f"; {len(left) - 1} more like it" if len(left) > 1 else ""
        yield finding("file-unreferenced", text + more, field=name, evidence={"files": len(left)})


def _true_lengths(tables: Sequence[TableEvidence]) -> dict[int, int]:
    lengths: dict[int, int] = defaultdict(int)
    for table in tables:
        for number, rows in table.episodes.items():
            lengths[number] += rows.frames
    return dict(lengths)


def _positions(folder: Folder) -> dict[int, int]:
    return {number: position for position, number in enumerate(folder.numbers)}


def _files(folder: Folder, tables: Sequence[TableEvidence], work: Sequence[TableJob]) -> Iterator[Finding]:
    positions = _positions(folder)
    named = {job.path: [positions[number] for number in job.claimed] for job in work}
    problems: dict[tuple[str, str], list[str]] = defaultdict(list)
    holding: dict[tuple[str, str], list[int]] = defaultdict(list)
    broken = []
    for table in tables:
        name = relative_path(folder, table.path)
        if table.error and unfetched(table.path) is None:  # else it is said once for all files
            check = "file-missing" if not table.path.exists() else "file-broken"
            broken.append(finding(check, table.error, field=name, episodes=named[table.path]))
        for check, column, text in table.columns:
            problems[check, column].append(f"{text} in {name}")
            holding[check, column] += named[table.path]
    if folder.head.is_v3:
        yield from broken
    else:  # a file an episode: one line for all of them
        yield from _grouped(dataclasses.replace(one, field="data.parquet") for one in broken)
    for (check, column), texts in problems.items():
        more = f", and in {len(texts) - 1} more files" if len(texts) > 1 else ""
        episodes = holding[check, column] if check == "null-values" and not folder.head.is_v3 else ()
        yield finding(check, texts[0] + more, field=column, episodes=episodes, evidence={"files": len(texts)})
    orphans = {relative_path(folder, t.path): t.orphans for t in tables if t.orphans}
    if orphans and (folder.head.is_v3 or any(table.episodes for table in tables if table.orphans)):
        total, rows = sum(orphans.values()), sum(t.rows for t in tables)
        text = f"{total} of {rows} data rows carry an episode_index that meta/episodes does not have"
        yield finding("orphan-rows", text, field="episode_index", evidence={"rows": total, "files": orphans})


def _episodes(folder: Folder, tables: Sequence[TableEvidence], lengths: Mapping[int, int]) -> Iterator[Finding]:
    numbers, episodes = folder.numbers, folder.episodes
    yield from check_order(folder)
    where = {n: t.path for t in tables for n in t.episodes}
    broken = {t.path for t in tables if t.error}
    away = []
    for i, number in enumerate(numbers):
        path = episodes.tables[i]
        if path not in broken and where.get(number) != path:
            away.append((i, path, where.get(number)))
    if away:
        i, said, there = away[0]
        has = relative_path(folder, there) if there else "nowhere"
        text = f"episode {i} ought to be in {relative_path(folder, said) if said else 'no file'} and is {has}"
        empty = {table.path for table in tables if not table.rows and not table.error}
        nothing = [i for i, said, _ in away if said in empty]
        evidence = {"episodes": len(away), **({"empty": nothing} if nothing else {})}
        yield finding("episode-location", text, episodes=[i for i, _, _ in away], evidence=evidence)
    missing = {i for i, _, _ in away} | {i for i, n in enumerate(numbers) if n not in lengths}
    yield from _ranges(folder, lengths, missing)


def _ranges(folder: Folder, lengths: Mapping[int, int], missing: set[int]) -> Iterator[Finding]:
    episodes = folder.episodes
    starts = expected_starts(lengths, folder.numbers)
    long, moved = [], []
    complete = not any(n not in lengths for n in folder.numbers)
    said = zip(folder.numbers, episodes.length.tolist(), episodes.starts.tolist(), episodes.ends.tolist(), strict=True)
    for i, (number, length, first, last) in enumerate(said):
        true = lengths.get(number, 0)
        if i not in missing and length != true:
            long.append((i, length, true))
        if complete and first >= 0 and last >= 0 and (first, last) != (starts[number], starts[number] + true):
            moved.append((i, [first, last], [starts[number], starts[number] + true]))
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
    frame, order, index, late = [], [], [], {}
    for table in tables:
        for number, rows in table.episodes.items():
            i = positions[number]
            if rows.frame_index >= 0:
                frame.append((i, rows.frame_index))
            if rows.order >= 0:
                order.append((i, rows.order))
            if complete and rows.first >= 0 and not (rows.counts and rows.first == starts[number]):
                index.append((i, rows.first, starts[number]))
            if not rows.late_s <= _TIME_S:
                late[i] = rows.late_s
    if frame:
        text = f"frame_index does not count from 0 in episode {frame[0][0]}, first at its row {frame[0][1]}"
        yield finding("frame-index", text, episodes=[i for i, _ in frame], field="frame_index")
    if order:
        text = f"rows of episode {order[0][0]} lie in another order than their frames, first at its row {order[0][1]}"
        yield finding("row-order", text, episodes=[i for i, _ in order], field="frame_index")
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
    positions, wrong, several, used = _positions(folder), {}, [], set()
    numbers_of = {text: number for number, text in folder.tasks.items()}
    for table in tables:
        for number, rows in table.episodes.items():
            i = positions[number]
            texts = folder.episodes.tasks[i]
            meant = {numbers_of.get(text) for text in texts}
            used |= set(rows.tasks) | meant | set(rows.annotations)
            if None in meant or set(rows.tasks) - (meant if texts else folder.tasks.keys()):
                wrong[i] = [list(rows.tasks), list(texts)]
            elif len(rows.tasks) > 1:
                several.append(i)
    if wrong:
        i, (indices, said) = next(iter(wrong.items()))
        text = f"task_index of episode {i} is {indices}, and its tasks are {said!r} in the metadata"
        yield finding("task-index", text, episodes=sorted(wrong), field="task_index")
    if several:
        text = f"the instruction changes within {many(len(several))}, such as episode {several[0]}"
        yield finding("several-tasks", text, episodes=several, field="task_index")
    unused = [text for number, text in folder.tasks.items() if number not in used]
    if unused and not wrong and len(folder.episodes):
        text = f"{many(len(unused), 'task')} without an episode, such as {unused[0]!r}"
        annotated = any(name.startswith("annotation.") for name in folder.head.features)
        evidence = {"annotated": True} if annotated else {}
        yield finding("task-unused", text, field="tasks", evidence=evidence)


def _totals(folder: Folder, lengths: Mapping[int, int]) -> Iterator[Finding]:
    raw, episodes = folder.head.raw, folder.episodes
    true = {"total_episodes": len(episodes), "total_frames": sum(lengths.values()), "total_tasks": len(folder.tasks)}
    if not folder.head.is_v3 and "total_videos" in raw:
        true["total_videos"] = len(episodes) * len(folder.head.cameras)
    partly = unlisted(folder)
    for key, value in true.items():
        if partly and key == "total_frames":
            continue
        claimed = raw.get(key)
        complete = key != "total_frames" or all(n in lengths for n in folder.numbers)
        counted = value if key == "total_tasks" else len(episodes)
        if complete and counted and isinstance(claimed, int) and claimed not in (-1, value):
            text = f"{key} is {claimed}, and there are {value}"
            text = partly if partly and key == "total_episodes" else text
            check = key.replace("_", "-")
            evidence = {"claimed": claimed, "found": value, **({"unlisted": True} if partly else {})}
            yield finding(check, text, field=key, evidence=evidence)
    if not partly:
        yield from check_splits(raw.get("splits"), len(episodes))


def _video_files(folder: Folder) -> list[Path]:
    named = [place[0] for camera in folder.head.cameras for place in _places(folder, camera) if place]
    there = [path for path in sorted((folder.root / "videos").glob("*/*/*.mp4")) if not path.name.startswith("._")]
    return list(dict.fromkeys([*named, *there]))


def _places(folder: Folder, camera: str) -> list[tuple[Path, float, float] | None]:
    """File, from and to (seconds) of every row; `None` where the table does not say. v2.x: a file an episode."""
    said = folder.episodes.videos[camera]
    places: list[tuple[Path, float, float] | None] = []
    for i, (begin, end) in enumerate(zip(said.begins.tolist(), said.ends.tolist(), strict=True)):
        path = said.paths[i]
        if not folder.head.is_v3:
            end = math.inf
        places.append(None if path is None or math.isnan(begin) or math.isnan(end) else (path, begin, end))
    return places


def _videos(folder: Folder, videos: Mapping[Path, VideoEvidence], lengths: Mapping[int, int]) -> Iterator[Finding]:
    named: set[Path] = set()
    for camera in folder.head.cameras:
        files: dict[Path, list[tuple[int, float, float]]] = defaultdict(list)
        for i, place in enumerate(_places(folder, camera)):
            if place is not None:
                files[place[0]].append((i, place[1], place[2]))
        named |= files.keys()
        for path, cuts in files.items():
            yield from _video(folder, camera, videos[path], cuts, lengths)
    for path in sorted(videos.keys() - named) if len(folder.episodes) else ():  # else nothing is named at all
        name = relative_path(folder, path)
        yield finding("file-unreferenced", f"no episode names {name}", field=name)


def _video(
    folder: Folder,
    camera: str,
    video: VideoEvidence,
    cuts: Sequence[tuple[int, float, float]],
    lengths: Mapping[int, int],
) -> Iterator[Finding]:
    name, episodes = relative_path(folder, video.path), [i for i, _, _ in cuts]
    if video.error and unfetched(video.path) is not None:
        return  # it is said once for all files
    if video.error:
        check = "missing-video" if video.error == "missing" else "file-broken"
        yield finding(check, f"{name}: {video.error}", field=camera, episodes=episodes, evidence={"file": name})
        return
    yield from _header(folder, camera, video, name, episodes)
    fps = folder.head.fps
    frames = {i: lengths.get(folder.numbers[i], 0) for i in episodes}
    off = _drift(cuts, frames, fps) if folder.head.is_v3 else {}
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


def _same_fps(claimed: Any, fps: float) -> bool:
    return isinstance(claimed, (int, float)) and same_rate(claimed, fps)


def _words(said: Any) -> Mapping[str, Any]:
    return said if isinstance(said, dict) else {}


def _drift(cuts: Sequence[tuple[int, float, float]], frames: Mapping[int, int], fps: float) -> dict[int, float]:
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
    feature, fps = folder.head.features[camera], folder.head.fps
    said = {**_words(feature.get("video_info")), **_words(feature.get("info"))}
    shape = frame_shape(feature)
    size = (said.get("video.height", shape[0] if shape else 0), said.get("video.width", (*shape, 0, 0)[1]))
    gop = said.get("video.g")
    gop = gop if isinstance(gop, int) and gop > 0 else _LONG_GOP
    # A file's index is in the order of decoding, and pictures shown before a key frame of HEVC may come after it.
    facts: list[tuple[str, Any, Any, bool]] = [
        ("video-codec", said.get("video.codec"), video.codec, _same_codec(said.get("video.codec"), video.codec)),
        ("video-size", size, (video.height, video.width), size == (video.height, video.width)),
        ("video-size", tuple(shape[:2]), size, size == tuple(shape[:2])),
        ("video-fps", f"{fps:g}", f"{video.rate:g} in the file", abs(video.rate - fps) < 2e-3 * fps),
        ("video-fps", f"{fps:g}", f"video.fps {said.get('video.fps')}", _same_fps(said.get("video.fps", fps), fps)),
        ("video-pixel-format", said.get("video.pix_fmt"), video.pix_fmt, True),
        ("video-gop", f"at most {gop}", video.gop, video.gop <= (2 * gop - 1 if video.codec == "hevc" else gop)),
    ]
    if said.get("video.pix_fmt") not in (None, video.pix_fmt, video.pix_fmt.replace("yuvj", "yuv")):
        facts[5] = ("video-pixel-format", said.get("video.pix_fmt"), video.pix_fmt, False)
    done = set()
    for check, claimed, is_, fine in facts:
        if not fine and check not in done:
            done.add(check)
            text = f"{name}: claimed {check.removeprefix('video-')} {claimed}, found {is_}"
            kept = {} if is_colour(feature) else {"kept": True}
            evidence = {"file": name, "claimed": str(claimed), "found": str(is_), **kept}
            yield finding(check, text, field=camera, episodes=episodes, evidence=evidence)
    if "video-fps" not in done and video.off_s > max(_TIME_S, 0.1 / fps):
        text = f"{name}: a frame is {video.off_s:.4g} s from a multiple of 1/{fps:g} s"
        yield finding("video-timing", text, field=camera, episodes=episodes, evidence={"seconds": video.off_s})


_CODECS = {
    "libsvtav1": "av1",
    "libaom-av1": "av1",
    "libx264": "h264",
    "avc1": "h264",
    "avc3": "h264",
    "hev1": "hevc",
    "hvc1": "hevc",
    "av01": "av1",
    "vp09": "vp9",
    "mp4v": "mpeg4",
    "libx265": "hevc",
    "h265": "hevc",
}


def _same_codec(said: Any, found: str) -> bool:
    return said is None or _CODECS.get(str(said), str(said)) == found


def _own_files(folder: Folder) -> Iterator[Finding]:
    left = unfinished_finding(folder.root)
    if left is not None:
        yield left
    pending = list_pending(Layout(folder.root))
    if pending and left is None:
        text = f"{many(len(pending), 'saved episode')} not sealed yet"
        yield finding("unsealed-episodes", text, evidence={"episodes": len(pending)})


def _refused(root: Path, findings: Sequence[Finding]) -> list[Finding]:
    """What our loader says, where nothing that was found explains it already; of our own sidecar in any case."""
    explained = any(f.severity == "error" for f in findings)
    try:
        load_catalog(root)
    except RoboscaleError as error:
        check = "sidecar" if "meta/roboscale" in str(error) else "not-readable"
        if any(f.check == "sidecar" for f in findings) or (explained and check != "sidecar"):
            return []
        return [finding(check, f"roboscale refuses the dataset: {error}")]
    return []
