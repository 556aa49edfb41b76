"""How a dataset on disk is changed in one place and stays whole everywhere else: the tools of `defects`."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from roboscale.core import Episode
from roboscale.dataset import Dataset, Statistics
from roboscale.dataset.layout import INDEX_FEATURES, to_json
from roboscale.dataset.lerobot.catalog import load_info
from roboscale.dataset.statistics import episode_entry
from roboscale.dataset.tables import read_columns, to_table
from tests.defects.clean_sets import write_set

__all__ = [
    "Arrays",
    "Defect",
    "Plant",
    "Rng",
    "change",
    "columns",
    "data_files",
    "edit_columns",
    "edit_episodes",
    "edit_json",
    "edit_table",
    "record_again",
    "restate",
    "rewrite_video",
    "video_files",
]

Arrays = dict[str, NDArray[Any]]
Rng = np.random.Generator
Plant = Callable[[Path, Rng], None]


@dataclass(frozen=True, slots=True)
class Defect:
    """One thing that is wrong.

    Args:
        check: name of the check that must find it.
        kind: the clean set it is planted into.
        plant: changes the dataset in place.
    """

    check: str
    kind: str
    plant: Plant


def data_files(root: Path) -> list[Path]:
    return sorted((root / "data").glob("*/*.parquet"))


def video_files(root: Path, camera: str = "") -> list[Path]:
    return sorted((root / "videos").glob(f"{camera or '*'}/*/*.mp4"))


def edit_json(path: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    data = json.loads(path.read_text("utf-8"))
    edit(data)
    path.write_bytes(to_json(data))


def edit_table(path: Path, edit: Callable[[pa.Table], pa.Table]) -> None:
    """Rewrites one parquet file; the schema's metadata stay."""
    table = pq.read_table(path)
    changed = edit(table)
    pq.write_table(changed.replace_schema_metadata(table.schema.metadata), path, compression="snappy")


def edit_episodes(root: Path, edit: Callable[[list[dict[str, Any]]], None]) -> None:
    """Edits the rows of the first file of the episode table."""

    def changed(table: pa.Table) -> pa.Table:
        rows = table.to_pylist()
        edit(rows)
        return pa.Table.from_pylist(rows, schema=table.schema)

    edit_table(sorted((root / "meta/episodes").glob("*/*.parquet"))[0], changed)


def columns(root: Path) -> Arrays:
    """All numeric columns of the dataset."""
    info = load_info(root)
    parts = [read_columns(path, info.columns) for path in data_files(root)]
    return {name: np.concatenate([part[name] for part in parts]) for name in info.columns}


def edit_columns(root: Path, edit: Callable[[Arrays], None], *, state_again: bool = True) -> None:
    """Edits the numbers in place, file by file, and by default the statistics with them."""
    info = load_info(root)
    whole = columns(root)
    edit(whole)
    first = 0
    for path in data_files(root):
        rows = pq.ParquetFile(path).metadata.num_rows
        part = {n: whole[n][first : first + rows].astype(f["dtype"]) for n, f in info.columns.items()}
        pq.write_table(to_table(part, info.columns), path, compression="snappy")
        first += rows
    if state_again:
        restate(root)


def restate(root: Path) -> None:
    """Writes the true statistics of the numbers into `stats.json` and the episode table."""
    info, whole = load_info(root), columns(root)
    shaped = {n: whole[n].reshape(-1, *info.columns[n]["shape"]) for n in whole if n not in INDEX_FEATURES}

    def stats(data: dict[str, Any]) -> None:
        for name, rows in shaped.items():
            data[name] = Statistics.of(rows).to_lerobot()

    edit_json(root / "meta/stats.json", stats)
    for path in sorted((root / "meta/episodes").glob("*/*.parquet")):
        edit_table(path, lambda table: _episode_statistics(table, shaped, whole["episode_index"]))


def _episode_statistics(table: pa.Table, shaped: Arrays, owner: NDArray[np.int64]) -> pa.Table:
    rows = table.to_pylist()
    for row in rows:
        for name, values in shaped.items():
            entry = episode_entry(values[owner == row["episode_index"]])
            row.update({f"stats/{name}/{key}": value for key, value in entry.items()})
    return pa.Table.from_pylist(rows, schema=table.schema)


def change(episode: Episode, instruction: str | None = None, **arrays: NDArray[Any]) -> Episode:
    """An episode with other arrays, or another instruction; keys of arrays have `_` for `.`."""
    names = {name.replace(".", "_"): name for name in episode.arrays}
    changed = {**episode.arrays, **{names[key]: value for key, value in arrays.items()}}
    text = episode.instruction if instruction is None else instruction
    return dataclasses.replace(episode, arrays=changed, instruction=text)


def record_again(root: Path, edit: Callable[[list[Episode]], Sequence[Episode]]) -> None:
    """Reads every episode, edits the list, and records it in the place of the old dataset."""
    dataset = Dataset(root)
    episodes = [dataset.episode(i) for i in range(len(dataset.episodes))]
    robot, card = load_info(root).raw["robot_type"], (root / "README.md").read_text("utf-8")
    changed = list(edit(episodes))
    shutil.rmtree(root)
    write_set(root, dataset.spec, changed, robot)
    (root / "README.md").write_text(card, "utf-8")


def rewrite_video(
    path: Path, *, options: Mapping[str, str] | None = None, time: Callable[[int], float] | None = None
) -> None:
    """Encodes a video again with other options, or gives its pictures other times (frames; rising)."""
    import av

    new = path.with_suffix(".new.mp4")
    with av.open(str(path)) as source, av.open(str(new), "w", format="mp4") as target:
        given = source.streams.video[0]
        rate = round(float(given.average_rate or 0))
        encoder = {"preset": "veryfast", "crf": "20", "g": "2", "bf": "0", "threads": "1", **(options or {})}
        stream = target.add_stream("libx264", rate=rate, options=encoder)
        stream.height, stream.width, stream.pix_fmt = given.height, given.width, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 100 * rate)
        for number, frame in enumerate(source.decode(given)):
            frame.pts = round(100 * (time(number) if time else number))
            frame.time_base = Fraction(1, 100 * rate)
            frame.pict_type = 0  # what was a key frame need not be one again
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    new.replace(path)
