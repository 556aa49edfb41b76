"""Metadata that lies, corrected from the data: totals, look-up, index columns, types, names, tasks, statistics.

The numbers and the videos are the truth, the metadata follows. What cannot be verified is the end: episodes from the
first broken one on are left out, unless the caller says that single ones are. This module only plans; `undo` carries
a plan out.

Mends LeRobotDataset v3.0, as `lerobot.folder` reads it. Knows no other format.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from roboscale.core.errors import BadData
from roboscale.dataset.fix.info import finish_info, read_info
from roboscale.dataset.fix.mending import Mending, VerifiedEpisode, remove_file
from roboscale.dataset.fix.statistics import mend_statistics
from roboscale.dataset.fix.tables import mend_data, mend_episode_table, mend_sidecar, mend_tasks
from roboscale.dataset.layout import Info, Layout
from roboscale.dataset.lerobot.absent import unlisted
from roboscale.dataset.lerobot.clock import frames_before
from roboscale.dataset.lerobot.folder import Folder, data_files, load_folder
from roboscale.dataset.lerobot.tables import table_of
from roboscale.dataset.tables import column_names, read_columns
from roboscale.dataset.video import probe

__all__ = ["plan_mending"]

Runs = dict[int, list[VerifiedEpisode]]


def plan_mending(
    root: Path,
    *,
    without: Collection[int] = (),
    without_cameras: Collection[str] = (),
    broken: Literal["end", "drop"] = "end",
    in_place: bool = False,
) -> Mending:
    """Compares the metadata of a dataset with its data.

    Args:
        without: numbers of episodes that may be left out where they cannot be verified.
        without_cameras: cameras that are left out.
        broken: whether an episode that cannot be verified is the end, or is left out alone.
        in_place: a video that is not there costs nothing: what the other files tell is mended without it.

    Raises:
        BadData: `info.json` is not even JSON, has no features or no fps: nothing says then what the data mean. Or no
            episode can be verified.
    """
    mending = Mending(root=Path(root))
    folder, problems = load_folder(mending.root)
    if folder is None:
        raise problems.fatal[0][1]
    raw = read_info(mending, folder, without_cameras)
    info = Info(mending.root, raw)
    order, rows = _rows_by_index(mending, folder.episodes.files)
    _require_listed(folder, in_place)
    episodes = _verified(mending, info, rows, without, broken, in_place)
    mending.claimed = max(rows, default=-1) + 1
    mending.kept = tuple(episode.number for episode in episodes)
    mending.rows_after = sum(episode.length for episode in episodes)
    if not episodes:
        raise BadData(root, "episodes", "at least one that can be verified", mending.lost or "none")
    for episode in episodes:
        episode.columns["claimed task_index"] = episode.columns["task_index"]
    raw["total_tasks"] = len(mend_tasks(mending, folder, episodes))
    keep_clock = not in_place and not Layout(mending.root).spec.exists()
    mend_data(mending, info, episodes, tuple(rows), keep_clock=keep_clock)
    mend_episode_table(mending, info, episodes, order)
    mend_sidecar(mending, info, episodes)
    mend_statistics(mending, info, episodes)
    finish_info(mending, folder.head.raw, info, raw, episodes)
    return mending


def _require_listed(folder: Folder, in_place: bool) -> None:
    """BadData where the table of episodes lists fewer than all else claims: in place, rows of the others would go."""
    why = unlisted(folder) if in_place else ""
    numbers, total = set(folder.numbers), folder.head.raw.get("total_episodes")
    if not why or not isinstance(total, int):
        return
    for path in data_files(folder.root):
        try:
            owners = set(table_of(path, ["episode_index"])["episode_index"].to_pylist())
        except (BadData, KeyError):
            continue  # whoever reads its rows says so
        others = sorted(int(one) for one in owners - numbers if isinstance(one, int) and 0 <= one < total)
        if others:
            way = f"roboscale data fix {shlex.quote(str(folder.root))} OUT --drop-broken"
            found = f"none of episode {others[0]}, whose rows are in {path.name}; this needs a new dataset: {way}"
            raise BadData(Layout(folder.root).episodes, "episodes", f"a row of each of {total}", found)


def _rows_by_index(mending: Mending, files: Sequence[Path]) -> tuple[list[int], dict[int, dict[str, Any]]]:
    """The order of the episode table, and its rows by episode index; files that cannot be read are left out."""
    rows: dict[int, dict[str, Any]] = {}
    order: list[int] = []
    for path in files:
        try:
            lines = table_of(path).to_pylist()
        except BadData as error:
            mending.lost = str(error)  # nobody knows how many episodes it named
            mending.note(mending.lost)
            mending.replace(path, remove_file)
            continue
        for row in lines:
            if not isinstance(row.get("episode_index"), int):
                mending.change(f"episode_index in {path.name}", row.get("episode_index"), "a row of no episode")
                continue
            order.append(int(row["episode_index"]))
            rows.setdefault(order[-1], row)
    if order != list(range(len(order))):
        mending.change("order of the episode table", "0, 1, 2, ...", f"{order[:8]}")
    return order, rows


def _verified(
    mending: Mending,
    info: Info,
    rows: Mapping[int, dict[str, Any]],
    without: Collection[int],
    broken: Literal["end", "drop"],
    in_place: bool,
) -> list[VerifiedEpisode]:
    """Episodes in the order of their numbers, up to the first whose numbers or videos are not there."""
    episodes: list[VerifiedEpisode] = []
    unread: list[str] = []
    runs, frames = _runs(mending, info, unread), dict[Path, int]()
    for index in range(max(rows, default=-1) + 1):
        try:
            if index in rows and index not in runs and unread:
                raise BadData(info.root / "data", f"episode {index}", "rows", f"none that can be read: {unread[0]}")
            episodes.append(_verify(info, index, rows, runs, frames, in_place))
            if episodes[-1].lost_before:
                text = f"rows of episode {index} begin at frame {int(episodes[-1].columns['frame_index'][0])}"
                mending.note(f"{text}: its pictures in the videos begin there, too")
        except BadData as error:
            if index in without or broken == "drop":
                mending.lost = mending.lost or f"episode {index}: {error}"
                mending.note(f"episode {index}: {error}")
                continue
            mending.lost = f"episodes from {index} on: {error}"
            mending.note(mending.lost)
            break
    return episodes


def _runs(mending: Mending, info: Info, unread: list[str]) -> Runs:
    """Numbers by episode index, as the rows themselves say; one entry for each file that holds some.

    Columns that LeRobot adds are made up where a file lacks them, but for the one that says whose the rows are.
    """
    runs: Runs = {}
    for path in data_files(mending.root):
        try:
            there = set(column_names(path))
            columns = read_columns(path, {n: f for n, f in info.columns.items() if n in there or n not in _MADE})
        except BadData as error:
            mending.note(str(error))
            unread.append(str(error))
            continue
        if "episode_index" not in there:
            raise BadData(path, "columns", "episode_index, which says whose the rows are", ", ".join(there)[:200])
        columns |= {name: _made(name, columns["episode_index"]) for name in _MADE if name not in there}
        indices = columns["episode_index"]
        mending.rows_before += len(indices)
        together = np.argsort(indices, kind="stable")
        edges = np.flatnonzero(np.diff(indices[together])) + 1
        for rows in np.split(together, edges):
            if len(rows):
                rows = _in_order(columns, rows)
                part = {name: column[rows] for name, column in columns.items()}
                number = int(indices[rows[0]])
                runs.setdefault(number, []).append(
                    VerifiedEpisode(number=number, row={}, columns=part, file=path, rows=rows)
                )
    return runs


_MADE = ("timestamp", "frame_index", "index", "task_index")


def _made(name: str, owners: NDArray[Any]) -> NDArray[Any]:
    """A column that is not there: frames as their rows lie; -1, which is nobody's, for the others."""
    if name != "frame_index":
        return np.full(len(owners), -1, np.float32 if name == "timestamp" else np.int64)
    frames = np.empty(len(owners), np.int64)
    for owner in np.unique(owners):
        mine = owners == owner
        frames[mine] = np.arange(mine.sum())
    return frames


def _in_order(columns: Mapping[str, NDArray[Any]], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rows of an episode by their frame_index, where it counts every frame once; else as they lie."""
    frames = columns["frame_index"][rows]
    order = np.argsort(frames, kind="stable")
    return rows[order] if np.array_equal(frames[order], np.arange(len(rows))) else rows


def _verify(
    info: Info,
    index: int,
    rows: Mapping[int, dict[str, Any]],
    runs: Runs,
    frames: dict[Path, int],
    in_place: bool,
) -> VerifiedEpisode:
    if index not in rows:
        raise BadData(Layout(info.root).episodes, f"episode {index}", "a row", "none")
    if index not in runs:
        raise BadData(info.root / "data", f"episode {index}", "rows", "none")
    row, episode = rows[index], _named_run(info, rows[index], runs[index])
    moved: dict[str, float] = {}
    for camera in info.cameras:
        at = f"videos/{camera}"
        place = [row.get(f"{at}/{what}") for what in ("chunk_index", "file_index", "from_timestamp")]
        if None in place:
            raise BadData(Layout(info.root).episodes, f"{at} of episode {index}", "a file and a time", place)
        video = info.video_file(camera, int(place[0]), int(place[1]))  # type: ignore[arg-type]
        before = frames_before(
            episode.columns["frame_index"], episode.columns["timestamp"], info.fps, int(row.get("length") or 0)
        )
        if before is None:
            raise BadData(
                episode.file, f"frame_index of episode {index}", "a row of every picture", "rows between lost"
            )
        if before:
            moved[f"{at}/from_timestamp"] = float(place[2]) + before / info.fps  # type: ignore[arg-type]
        last = round(float(place[2]) * info.fps) + before + episode.length  # type: ignore[arg-type]
        if in_place and not video.is_file():
            continue  # the audit says that it is missing
        if video not in frames:
            frames[video] = probe(video).frames
        if frames[video] < last:
            raise BadData(video, f"frames of episode {index}", f"at least {last}", frames[video])
    episode.row = {**row, **moved}
    episode.lost_before = bool(moved)
    return episode


def _named_run(info: Info, row: Mapping[str, Any], runs: list[VerifiedEpisode]) -> VerifiedEpisode:
    """The rows in the file that the table names; else the first."""
    place = [row.get(f"data/{what}_index") for what in ("chunk", "file")]
    if None not in place:
        named = info.data_file(int(place[0]), int(place[1]))  # type: ignore[arg-type]
        for run in runs:
            if run.file == named:
                return run
    return runs[0]
