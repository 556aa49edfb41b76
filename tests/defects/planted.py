"""Plants exactly one defect into a clean dataset on disk, and says which check must find it.

    clean(folder, DEFECTS[name].kind, seed=0)
    DEFECTS[name].plant(folder, np.random.default_rng(0))

An audit must then report `DEFECTS[name].check` and nothing else. Works on the sets of `tests.defects.clean_sets`.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from roboscale.core import new_episode_id, write_episode
from roboscale.dataset import Dataset, DatasetWriter
from roboscale.dataset.layout import Layout
from roboscale.dataset.lerobot.catalog import load_info
from roboscale.dataset.statistics import QUANTILES
from roboscale.dataset.video import join, probe
from tests.defects.clean_sets import KINDS, clean
from tests.defects.content import CONTENT_DEFECTS
from tests.defects.planting import (
    Defect,
    Plant,
    Rng,
    columns,
    data_files,
    edit_episodes,
    edit_json,
    edit_table,
    rewrite_video,
    video_files,
)

__all__ = ["DEFECTS", "KINDS", "Defect", "clean"]

Rows = list[dict[str, Any]]


def _info(**values: Any) -> Plant:
    """Sets keys of `info.json`; a function gets the old value."""

    def plant(root: Path, rng: Rng) -> None:
        def edit(data: dict[str, Any]) -> None:
            for key, value in values.items():
                data[key] = value(data[key]) if callable(value) else value

        edit_json(root / "meta/info.json", edit)

    return plant


def _feature(name: str, edit: Callable[[dict[str, Any]], None]) -> Plant:
    def plant(root: Path, rng: Rng) -> None:
        edit_json(root / "meta/info.json", lambda data: edit(data["features"][name]))

    return plant


def _camera(**values: Any) -> Plant:
    return _feature("observation.images.front", lambda feature: feature["info"].update(_dotted(values)))


def _dotted(values: Mapping[str, Any]) -> dict[str, Any]:
    return {f"video.{key}": value for key, value in values.items()}


def _rows(edit: Callable[[Rows], None]) -> Plant:
    return lambda root, rng: edit_episodes(root, edit)


def _swap_rows(rows: Rows) -> None:
    rows[1], rows[2] = rows[2], rows[1]


def _move_range(rows: Rows) -> None:
    rows[2]["dataset_from_index"] += 3
    rows[2]["dataset_to_index"] += 3


def _longer(rows: Rows) -> None:
    rows[1]["length"] += 4


def _elsewhere(rows: Rows) -> None:
    rows[3]["data/file_index"] = 1


def _drift(rows: Rows) -> None:
    for i, row in enumerate(rows):
        for end in ("from", "to"):
            row[f"videos/observation.images.front/{end}_timestamp"] += 0.004 * i


def _episode_mean(rows: Rows) -> None:
    mean = rows[1]["stats/action/mean"]
    rows[1]["stats/action/mean"] = [value + 0.5 for value in mean]


def _cut(folder: str, keep: float) -> Plant:
    """Keeps the first part of a file only."""

    def plant(root: Path, rng: Rng) -> None:
        path = sorted((root / folder).rglob("*.*"))[-1]
        data = path.read_bytes()
        path.write_bytes(data[: int(keep * len(data))])

    return plant


def _tasks_cut(root: Path, rng: Rng) -> None:
    path = Layout(root).tasks
    path.write_bytes(path.read_bytes()[:-20])


def _remove(pattern: str) -> Plant:
    return lambda root, rng: sorted(root.glob(pattern))[-1].unlink()


def _stray(root: Path, rng: Rng) -> None:
    first = data_files(root)[0]
    shutil.copy(first, first.with_name("file-007.parquet"))


def _orphans(root: Path, rng: Rng) -> None:
    def edit(table: pa.Table) -> pa.Table:
        extra = table.slice(0, 5)
        place = table.column_names.index("episode_index")
        extra = extra.set_column(place, "episode_index", pa.array([99] * 5, pa.int64()))
        return pa.concat_tables([table, extra])

    edit_table(data_files(root)[-1], edit)


def _table(edit: Callable[[pa.Table], pa.Table]) -> Plant:
    def plant(root: Path, rng: Rng) -> None:
        for path in data_files(root):
            table = edit(pq.read_table(path))
            pq.write_table(table, path)

    return plant


def _row_swapped(root: Path, rng: Rng) -> None:
    """Two neighbouring rows of the third episode change places, with everything that they hold."""

    def edit(table: pa.Table) -> pa.Table:
        order = np.arange(table.num_rows)
        at = int(np.flatnonzero(table["episode_index"].to_numpy() == 2)[10])
        order[[at, at + 1]] = order[[at + 1, at]]
        return table.take(order)

    edit_table(data_files(root)[0], edit)


def _two_instructions(root: Path, rng: Rng) -> None:
    """The second half of episode 1 is about the other task."""

    def edit(table: pa.Table) -> pa.Table:
        values = table["task_index"].to_numpy().copy()
        values[np.flatnonzero(table["episode_index"].to_numpy() == 1)[-20:]] = 0
        return _with(table, "task_index", pa.array(values))

    edit_table(data_files(root)[0], edit)
    edit_episodes(root, lambda rows: rows[1]["tasks"].append(rows[0]["tasks"][0]))


def _with(table: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, values)


def _extra(table: pa.Table) -> pa.Table:
    return table.append_column("reward", table["timestamp"])


def _as_double(table: pa.Table) -> pa.Table:
    size = len(table["action"][0])
    return _with(table, "action", table["action"].cast(pa.list_(pa.float64(), size)))


def _nulls(table: pa.Table) -> pa.Table:
    values = table["task_index"].to_pylist()
    return _with(table, "task_index", pa.array([None, *values[1:]], pa.int64()))


def _statistics(edit: Callable[[dict[str, Any]], None]) -> Plant:
    return lambda root, rng: edit_json(root / "meta/stats.json", edit)


def _no_quantiles(data: dict[str, Any]) -> None:
    for entry in data.values():
        for name in QUANTILES:
            del entry[name]


def _wrong_std(data: dict[str, Any]) -> None:
    data["action"]["std"] = [1.2 * value for value in data["action"]["std"]]


def _wrong_q01(data: dict[str, Any]) -> None:
    data["observation.state"]["q01"][0] += 0.4


def _dark(data: dict[str, Any]) -> None:
    data["observation.images.front"]["mean"] = [[[0.1]], [[0.1]], [[0.1]]]


def _recipe(average: bool) -> Plant:
    """Quantiles as LeRobot 0.4 to 0.6 made them (mean of the episodes'), or as its next did (their extremes)."""

    def plant(root: Path, rng: Rng) -> None:
        whole, names = columns(root), ("observation.state", "action")
        owner = whole["episode_index"]
        parts = {n: [whole[n][owner == e] for e in np.unique(owner)] for n in names}

        def edit(data: dict[str, Any]) -> None:
            for name, rows in parts.items():
                for key, q in QUANTILES.items():
                    each = np.stack([np.quantile(r, q, axis=0) for r in rows])
                    extreme = each.min(axis=0) if q <= 0.5 else each.max(axis=0)
                    mean = np.average(each, axis=0, weights=[len(r) for r in rows])
                    data[name][key] = (mean if average else extreme).tolist()

        edit_json(root / "meta/stats.json", edit)

    return plant


def _leaked_takes(root: Path, rng: Rng) -> None:
    path = video_files(root)[0]
    frames, target = probe(path), path.with_suffix(".new.mp4")
    join([path, path], [frames.frames, frames.frames], target, int(frames.fps))
    target.replace(path)


def _sparse_keys(root: Path, rng: Rng) -> None:
    rewrite_video(video_files(root)[0], options={"g": "250", "sc_threshold": "0"})


def _uneven(root: Path, rng: Rng) -> None:
    rewrite_video(video_files(root)[0], time=lambda n: n + (0.3 if n % 2 and 10 < n < 40 else 0.0))


def _scrambled(root: Path, rng: Rng) -> None:
    """The middle of a video is lost: its index still names every picture."""
    path = video_files(root)[1]
    data = bytearray(path.read_bytes())
    begin, end = int(0.3 * len(data)), int(0.9 * len(data))
    data[begin:end] = b"\xff" * (end - begin)
    path.write_bytes(bytes(data))


def _licence(root: Path, rng: Rng) -> None:
    (root / "README.md").write_text("# A dataset that was made up\n", "utf-8")
    _sidecar(root, lambda record: record["provenance"].update(licence=""))


def _sidecar(root: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    for path in sorted((Layout(root).own / "episodes").glob("*/*.jsonl")):
        records = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        for record in records:
            edit(record)
        path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")


def _lost_record(root: Path, rng: Rng) -> None:
    path = sorted((Layout(root).own / "episodes").glob("*/*.jsonl"))[0]
    lines = path.read_text("utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[:-1]), "utf-8")


def _unsealed(root: Path, rng: Rng) -> None:
    """A saved episode, as a recorder leaves it that is killed before it seals."""
    dataset = Dataset(root)
    episode = dataclasses.replace(dataset.episode(0), id=new_episode_id(rng))
    with tempfile.TemporaryDirectory() as folder:
        other = Path(folder) / "other"
        with DatasetWriter(other, dataset.spec, robot_type=load_info(root).raw["robot_type"]) as writer:
            write_episode(writer, episode)
            shutil.copytree(Layout(other).pending, Layout(root).pending, dirs_exist_ok=True)


def _unused_task(root: Path, rng: Rng) -> None:
    def edit(table: pa.Table) -> pa.Table:
        extra = pa.table({"task_index": [table.num_rows], "task": ["Wipe the table with the sponge."]})
        return pa.concat_tables([table, extra.cast(table.schema.remove_metadata())])

    edit_table(Layout(root).tasks, edit)
    _info(total_tasks=lambda n: n + 1)(root, rng)


def _nest(feature: dict[str, Any]) -> None:
    feature["names"] = [feature["names"]]


def _drop_dtype(feature: dict[str, Any]) -> None:
    del feature["dtype"]


def _drop_name(feature: dict[str, Any]) -> None:
    feature["names"] = feature["names"][:-1]


_VIDEO = "videos/*/*/*.mp4"
_PLAIN = "no-camera"

DEFECTS: Mapping[str, Defect] = MappingProxyType(
    {
        "text-for-a-number": Defect("info-broken", _PLAIN, _info(chunks_size="1000")),
        "template-without-file": Defect("path-template", _PLAIN, _info(data_path="data/all.parquet")),
        "template-outside": Defect("path-template", _PLAIN, _info(data_path=lambda old: f"../{old}")),
        "feature-without-dtype": Defect("feature-broken", _PLAIN, _feature("observation.state", _drop_dtype)),
        "nested-names": Defect("names-nested", _PLAIN, _feature("observation.state", _nest)),
        "too-few-names": Defect("names-count", _PLAIN, _feature("action", _drop_name)),
        "too-many-episodes": Defect("total-episodes", _PLAIN, _info(total_episodes=lambda n: n + 2)),
        "too-many-frames": Defect("total-frames", _PLAIN, _info(total_frames=lambda n: n + 100)),
        "too-few-tasks": Defect("total-tasks", _PLAIN, _info(total_tasks=1)),
        "split-too-long": Defect("splits-range", _PLAIN, _info(splits={"train": "0:12"})),
        "data-cut-off": Defect("file-broken", _PLAIN, _cut("data", 0.7)),
        "data-lost": Defect("file-missing", _PLAIN, _remove("data/*/*.parquet")),
        "stray-data-file": Defect("file-unreferenced", _PLAIN, _stray),
        "episodes-out-of-order": Defect("episode-order", _PLAIN, _rows(_swap_rows)),
        "range-shifted": Defect("episode-range", _PLAIN, _rows(_move_range)),
        "length-too-long": Defect("episode-length", _PLAIN, _rows(_longer)),
        "wrong-file": Defect("episode-location", _PLAIN, _rows(_elsewhere)),
        "orphan-rows": Defect("orphan-rows", _PLAIN, _orphans),
        "row-swapped": Defect("row-order", _PLAIN, _row_swapped),
        "two-instructions": Defect("several-tasks", _PLAIN, _two_instructions),
        "column-lost": Defect("column-missing", _PLAIN, _table(lambda t: t.drop_columns(["action"]))),
        "column-extra": Defect("column-undeclared", _PLAIN, _table(_extra)),
        "column-double": Defect("column-type", _PLAIN, _table(_as_double)),
        "nulls": Defect("null-values", _PLAIN, _table(_nulls)),
        "tasks-cut-off": Defect("tasks-table", _PLAIN, _tasks_cut),
        "unused-task": Defect("task-unused", _PLAIN, _unused_task),
        "sidecar-line-lost": Defect("sidecar", _PLAIN, _lost_record),
        "unsealed-episode": Defect("unsealed-episodes", _PLAIN, _unsealed),
        "statistics-lost": Defect("stats-missing", _PLAIN, _remove("meta/stats.json")),
        "quantiles-lost": Defect("missing-quantiles", _PLAIN, _statistics(_no_quantiles)),
        "wrong-std": Defect("stats-wrong", _PLAIN, _statistics(_wrong_std)),
        "wrong-quantile": Defect("quantiles-wrong", _PLAIN, _statistics(_wrong_q01)),
        "quantiles-averaged": Defect("quantiles-averaged", _PLAIN, _recipe(average=True)),
        "quantiles-envelope": Defect("quantiles-envelope", _PLAIN, _recipe(average=False)),
        "wrong-episode-mean": Defect("episode-stats-wrong", _PLAIN, _rows(_episode_mean)),
        "dark-statistics": Defect("image-stats-wrong", "joint", _statistics(_dark)),
        "video-lost": Defect("missing-video", "joint", _remove(_VIDEO)),
        "video-cut-off": Defect("video-frames", "joint", _cut("videos", 0.6)),
        "video-empty": Defect("file-broken", "joint", _cut("videos", 0.0)),
        "wrong-codec": Defect("video-codec", "joint", _camera(codec="av1")),
        "wrong-size": Defect("video-size", "joint", _camera(height=96)),
        "wrong-rate": Defect("video-fps", "joint", _camera(fps=25)),
        "wrong-pixels": Defect("video-pixel-format", "joint", _camera(pix_fmt="yuv444p")),
        "sparse-key-frames": Defect("video-gop", "joint", _sparse_keys),
        "uneven-video": Defect("video-timing", "joint", _uneven),
        "video-times-drift": Defect("video-timestamps", "joint", _rows(_drift)),
        "leaked-takes": Defect("video-surplus", "joint", _leaked_takes),
        "video-scrambled": Defect("unreadable-pictures", "joint", _scrambled),
        "no-licence": Defect("licence-missing", _PLAIN, _licence),
        **CONTENT_DEFECTS,
    }
)
"""What is wrong -> the defect."""
