"""Metadata that lies, corrected from the data: totals, look-up, index columns, names, statistics.

The numbers and the videos are the truth, the metadata follows. What cannot be verified is the end: episodes from the
first broken one on are left out. This module only plans; `undo` carries a plan out.

Reads LeRobotDataset v3.0 more leniently than `reader` does. Knows no other format.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from roboscale.core.episode import Provenance
from roboscale.core.errors import BadData
from roboscale.dataset.catalog import EpisodeInfo, index_columns
from roboscale.dataset.layout import DATA_PATH, VIDEO_PATH, Info, Layout, atomic_write, load_json, to_json
from roboscale.dataset.packets import video_facts
from roboscale.dataset.statistics import Statistics, summary
from roboscale.dataset.tables import read_columns, read_rows, read_tasks, to_table
from roboscale.dataset.video import probe

__all__ = ["Mending", "plan_mending", "remove_file"]

_OWN_COLUMNS = ("timestamp", "frame_index", "episode_index", "index", "task_index")
_ABSENT: Mapping[str, Any] = {
    "chunks_size": 1000,
    "data_files_size_in_mb": 100,
    "video_files_size_in_mb": 200,
    "data_path": DATA_PATH,
}


@dataclass(slots=True)
class Mending:
    """What is wrong with the metadata of a dataset, and the files that replace it.

    Args:
        changes: one sentence each, with both sides.
        lost: why episodes from some position on cannot be kept; empty when all can.
        kept: episodes that are verified.
        files: path under the root -> writes the new file to a path.
    """

    root: Path
    changes: list[str] = field(default_factory=list)
    lost: str = ""
    kept: int = 0
    files: dict[str, Callable[[Path], None]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {"changes": self.changes, "lost": self.lost, "kept": self.kept, "files": sorted(self.files)}


@dataclass(slots=True)
class _Episode:
    """One verified episode: its row of the episode table, and its numbers."""

    row: dict[str, Any]
    columns: dict[str, NDArray[Any]]
    file: Path

    @property
    def length(self) -> int:
        return len(self.columns["episode_index"])


def plan_mending(root: Path) -> Mending:
    """Compares the metadata of a dataset with its data.

    Raises:
        BadData: `info.json` is not even JSON, has no features or no fps: nothing says then what the data mean.
    """
    mending = Mending(Path(root))
    raw = _mend_info(mending)
    info = Info(mending.root, raw)
    rows = _rows_by_index(mending)
    episodes = _verified(mending, info, rows)
    mending.kept = len(episodes)
    if not episodes:
        raise BadData(root, "episodes", "at least one that can be verified", mending.lost or "none")
    _mend_tables(mending, info, episodes)
    _mend_episode_table(mending, info, episodes, rows)
    _mend_statistics(mending, info, episodes)
    _mend_totals(mending, info, raw, episodes)
    _mend_sidecar(mending)
    return mending


def _change(mending: Mending, what: str, claimed: object, found: object) -> None:
    mending.changes.append(f"{what}: claimed {claimed}, found {found}")


def _mend_info(mending: Mending) -> dict[str, Any]:
    path = Layout(mending.root).info
    raw = dict(load_json(path))
    fps, features = raw.get("fps"), raw.get("features")
    if not isinstance(fps, (int, float)) or isinstance(fps, bool) or fps < 1 or fps != int(fps):
        raise BadData(path, "fps", "an integer from 1", fps)
    if not isinstance(features, dict) or not all(isinstance(f, dict) and "dtype" in f for f in features.values()):
        raise BadData(path, "features", "an object of features", type(features).__name__)
    raw["fps"] = int(fps)
    for key, value in _ABSENT.items():
        if key not in raw:
            _change(mending, f"info.json {key}", "nothing", value)
            raw[key] = value
    if any(f["dtype"] == "video" for f in features.values()) and not raw.get("video_path"):
        _change(mending, "info.json video_path", raw.get("video_path"), VIDEO_PATH)
        raw["video_path"] = VIDEO_PATH
    raw["features"] = {name: _mend_names(mending, name, dict(feature)) for name, feature in features.items()}
    return raw


def _mend_names(mending: Mending, name: str, feature: dict[str, Any]) -> dict[str, Any]:
    """Names one level too deep (`[[a, b]]`, or `{"motors": [a, b]}`) come up."""
    names = feature.get("names")
    while isinstance(names, dict) and len(names) == 1:
        names = next(iter(names.values()))
    while isinstance(names, list) and len(names) == 1 and isinstance(names[0], list):
        names = names[0]
    if names != feature.get("names"):
        _change(mending, f"names of {name}", "a nested list", f"{len(names or ())} names")
        feature["names"] = names
    return feature


def _rows_by_index(mending: Mending) -> dict[int, dict[str, Any]]:
    """The episode table by episode index; files that cannot be read are left out."""
    rows: dict[int, dict[str, Any]] = {}
    order: list[int] = []
    for path in sorted(Layout(mending.root).episodes.glob("*/*.parquet")):
        try:
            found = read_rows(path, _names(path))
        except BadData as error:
            mending.changes.append(str(error))
            continue
        for row in found:
            order.append(int(row["episode_index"]))
            rows.setdefault(order[-1], row)
    if order != list(range(len(order))):
        _change(mending, "order of the episode table", "0, 1, 2, ...", f"{order[:8]}")
    return rows


def _names(path: Path) -> list[str]:
    try:
        return list(pq.read_schema(path).names)
    except (pa.ArrowException, OSError) as error:
        raise BadData(path, "file", "parquet", str(error).splitlines()[0]) from error


def _verified(mending: Mending, info: Info, rows: Mapping[int, dict[str, Any]]) -> list[_Episode]:
    """Episodes 0, 1, 2, ... up to the first whose numbers or videos are not there."""
    episodes: list[_Episode] = []
    found = _runs(mending, info)
    for index in range(max([*found, *rows], default=-1) + 1):
        try:
            episodes.append(_verify(info, index, rows, found))
        except BadData as error:
            mending.lost = f"episodes from {index} on: {error}"
            mending.changes.append(mending.lost)
            break
    return episodes


def _runs(mending: Mending, info: Info) -> dict[int, tuple[Path, dict[str, NDArray[Any]]]]:
    """Numbers by episode index, as the rows themselves say."""
    runs: dict[int, tuple[Path, dict[str, NDArray[Any]]]] = {}
    for path in sorted((mending.root / "data").glob("*/*.parquet")):
        try:
            columns = read_columns(path, info.columns)
        except BadData as error:
            mending.changes.append(str(error))
            continue
        indices = columns["episode_index"]
        edges = np.flatnonzero(np.diff(indices)) + 1
        for begin, end in zip([0, *edges], [*edges, len(indices)], strict=True):
            if end > begin:
                part = {name: column[begin:end] for name, column in columns.items()}
                runs.setdefault(int(indices[begin]), (path, part))
    return runs


def _verify(
    info: Info,
    index: int,
    rows: Mapping[int, dict[str, Any]],
    runs: Mapping[int, tuple[Path, dict[str, NDArray[Any]]]],
) -> _Episode:
    if index not in runs:
        raise BadData(info.root / "data", f"episode {index}", "rows", "none")
    if index not in rows:
        raise BadData(Layout(info.root).episodes, f"episode {index}", "a row", "none")
    path, columns = runs[index]
    length = len(columns["episode_index"])
    for camera in info.cameras:
        at = f"videos/{camera}"
        video = info.video_file(camera, rows[index][f"{at}/chunk_index"], rows[index][f"{at}/file_index"])
        last = round(rows[index][f"{at}/from_timestamp"] * info.fps) + length
        frames = probe(video).frames
        if frames < last:
            raise BadData(video, f"frames of episode {index}", f"at least {last}", frames)
    return _Episode(rows[index], columns, path)


def _mend_tables(mending: Mending, info: Info, episodes: Sequence[_Episode]) -> None:
    """Data files whose index columns or rows are not what they should be are written again."""
    first, by_file = 0, {}
    for index, episode in enumerate(episodes):
        regular = index_columns(_info(index, episode.length, first), 0, info.fps)
        regular["task_index"] = episode.columns["task_index"]
        for name in _OWN_COLUMNS:
            close = np.allclose(episode.columns[name], regular[name], rtol=0, atol=1e-4)
            if not close and not any(c.startswith(f"column {name}:") for c in mending.changes):
                claimed = episode.columns[name][:3].tolist()
                _change(mending, f"column {name}", f"{claimed} in episode {index}", regular[name][:3].tolist())
                by_file[episode.file] = True
        episode.columns.update(regular)
        first += episode.length
    for path in dict.fromkeys(e.file for e in episodes):
        mine = [e for e in episodes if e.file == path]
        rows = pq.ParquetFile(path).metadata.num_rows
        kept = sum(e.length for e in mine)
        if rows != kept:
            _change(mending, f"rows of {path.name}", rows, f"{kept} that belong to an episode")
        if rows != kept or any(c.startswith("column ") for c in mending.changes):
            mending.files[str(path.relative_to(mending.root))] = _table_writer(info, mine)


def _info(index: int, length: int, first: int) -> EpisodeInfo:
    return EpisodeInfo("", index, length, "", None, Provenance(""), first)


def _table_writer(info: Info, episodes: Sequence[_Episode]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        tables = [
            to_table({n: _rows(e.columns[n], f) for n, f in info.columns.items()}, info.columns) for e in episodes
        ]
        with pq.ParquetWriter(path, tables[0].schema, compression="snappy") as writer:
            for table in tables:
                writer.write_table(table, row_group_size=max(1, table.num_rows))

    return write


def _rows(array: NDArray[Any], feature: Mapping[str, Any]) -> NDArray[Any]:
    return array.reshape(len(array), *feature["shape"])


def _mend_episode_table(
    mending: Mending, info: Info, episodes: Sequence[_Episode], rows: Mapping[int, Mapping[str, Any]]
) -> None:
    """One episode file with all rows, when any of them is wrong."""
    tasks = read_tasks(Layout(mending.root).tasks)
    first, fixed, wrong = 0, [], len(episodes) != len(rows)
    for index, episode in enumerate(episodes):
        row = _fixed_row(info, index, first, episode, tasks)
        for name in ("length", "dataset_from_index", "dataset_to_index"):
            if episode.row.get(name) != row[name] and not any(c.startswith(f"{name} ") for c in mending.changes):
                _change(mending, f"{name} of episode {index}", episode.row.get(name), row[name])
        wrong |= any(not _same(episode.row.get(name), value) for name, value in row.items())
        if any(name.startswith("stats/") and not _same(episode.row.get(name), row[name]) for name in row):
            _once(mending, "statistics of episodes: claimed other numbers than the data have")
        fixed.append(row)
        first += episode.length
    if wrong or any(change.startswith("order of") for change in mending.changes):
        table = pa.Table.from_pylist(fixed)
        paths = sorted(Layout(mending.root).episodes.glob("*/*.parquet"))
        for path in paths[1:]:
            mending.files[str(path.relative_to(mending.root))] = remove_file
        target = Layout(mending.root).episodes / "chunk-000" / "file-000.parquet"
        mending.files[str(target.relative_to(mending.root))] = lambda path: pq.write_table(
            table, path, compression="snappy"
        )


def _once(mending: Mending, change: str) -> None:
    if change not in mending.changes:
        mending.changes.append(change)


def remove_file(path: Path) -> None:
    """A file that has no successor."""


def _fixed_row(info: Info, index: int, first: int, episode: _Episode, tasks: Sequence[str]) -> dict[str, Any]:
    row = dict(episode.row)
    chunk, file = int(episode.file.parent.name[6:]), int(episode.file.stem[5:])
    numbers = [int(n) for n in dict.fromkeys(episode.columns["task_index"].tolist())]
    row |= {
        "episode_index": index,
        "tasks": [tasks[n] for n in numbers if n < len(tasks)] or row.get("tasks") or [""],
        "length": episode.length,
        "data/chunk_index": chunk,
        "data/file_index": file,
        "dataset_from_index": first,
        "dataset_to_index": first + episode.length,
        "meta/episodes/chunk_index": 0,
        "meta/episodes/file_index": 0,
    }
    for camera in info.cameras:
        start = round(row[f"videos/{camera}/from_timestamp"] * info.fps)
        row[f"videos/{camera}/from_timestamp"] = start / info.fps
        row[f"videos/{camera}/to_timestamp"] = (start + episode.length) / info.fps
    for name in info.columns:
        row |= {f"stats/{name}/{key}": value for key, value in summary(episode.columns[name]).items()}
    return row


def _same(claimed: Any, found: Any) -> bool:
    if isinstance(found, (list, float)) and not _text(found):
        try:
            return bool(np.allclose(np.asarray(claimed, np.float64), np.asarray(found, np.float64), 1e-6, 1e-6))
        except (TypeError, ValueError):
            return False
    return bool(claimed == found)


def _text(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], str)


def _mend_statistics(mending: Mending, info: Info, episodes: Sequence[_Episode]) -> None:
    """Numeric statistics from the data; those of pictures stay as they are claimed."""
    path = mending.root / "meta/stats.json"
    try:
        claimed = load_json(path)
    except BadData as error:
        mending.changes.append(str(error))
        claimed = {}
    stats, wrong = dict(claimed), []
    for name in info.columns:
        entry = Statistics.of(
            np.concatenate([_rows(e.columns[name], info.columns[name]) for e in episodes])
        ).to_lerobot()
        before = claimed.get(name, {})
        bad = [key for key, value in entry.items() if not _close(before.get(key), value)]
        if bad:
            wrong.append(f"{name} ({', '.join(bad)})")
            stats[name] = entry
    if wrong:
        mending.changes.append(f"stats.json: claimed other numbers than the data have: {'; '.join(wrong)}")
        mending.files["meta/stats.json"] = lambda target: atomic_write(target, to_json(stats))


def _close(claimed: Any, found: Any) -> bool:
    """Within .1 % of the size of the numbers: quantiles of a histogram are not exact."""
    try:
        a, b = np.asarray(claimed, np.float64), np.asarray(found, np.float64)
        return a.shape == b.shape and bool(np.allclose(a, b, 1e-3, 1e-3 * float(np.abs(b).max(initial=1e-9))))
    except (TypeError, ValueError):
        return False


def _mend_totals(mending: Mending, info: Info, raw: dict[str, Any], episodes: Sequence[_Episode]) -> None:
    before = load_json(info.file)
    totals = {
        "total_episodes": len(episodes),
        "total_frames": sum(episode.length for episode in episodes),
        "total_tasks": len(read_tasks(Layout(mending.root).tasks)),
        "splits": {"train": f"0:{len(episodes)}"},
    }
    for key, value in totals.items():
        if key == "splits" and before.get("total_episodes") == len(episodes) and key in before:
            continue  # somebody's own split of the same episodes is theirs
        if before.get(key) != value:
            _change(mending, f"info.json {key}", before.get(key), value)
            raw[key] = value
    for camera in info.cameras:
        _mend_video_info(mending, info, raw["features"][camera], camera, episodes[0].row)
    if raw != before:
        mending.files["meta/info.json"] = lambda path: atomic_write(path, to_json(raw))


def _mend_video_info(
    mending: Mending, info: Info, feature: dict[str, Any], camera: str, row: Mapping[str, Any]
) -> None:
    path = info.video_file(camera, row[f"videos/{camera}/chunk_index"], row[f"videos/{camera}/file_index"])
    facts = {**video_facts(path), "video.fps": info.fps}
    if probe(path).fps != info.fps:
        raise BadData(path, "fps", f"{info.fps} as in info.json", f"{float(probe(path).fps):g}")
    claimed = feature.get("info") or {}
    for key, value in facts.items():
        if claimed.get(key) != value:
            _change(mending, f"{key} of {camera}", claimed.get(key), value)
    feature["info"] = {**claimed, **facts}
    size = [facts["video.height"], facts["video.width"], 3]
    if feature.get("shape") not in (size, [3, *size[:2]]):
        _change(mending, f"shape of {camera}", feature.get("shape"), size)
        feature["shape"] = size


def _mend_sidecar(mending: Mending) -> None:
    """Our own sidecar names episodes by id; it can be cut with them only into a new dataset."""
    if mending.lost and (Layout(mending.root).own / "episodes").exists():
        lines = "".join(line + "\n" for line in _sidecar_lines(mending.root)[: mending.kept])
        mending.files["meta/roboscale/episodes/chunk-000/file-000.jsonl"] = lambda path: atomic_write(
            path, lines.encode()
        )


def _sidecar_lines(root: Path) -> list[str]:
    files = sorted((Layout(root).own / "episodes").glob("*/*.jsonl"))
    return [line for file in files for line in file.read_text("utf-8").removesuffix("\n").split("\n")]
