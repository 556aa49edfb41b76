"""Sealing: saved episodes become LeRobotDataset files.

Everything is written under `sealing/` and then published by one commit (see `journal`). Files that are sealed are
never opened for writing again: sealing more episodes begins new ones. Nothing is encoded again.
"""

from __future__ import annotations

import itertools
import json
import shutil
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from roboscale.core.errors import BadData
from roboscale.dataset.journal import EpisodeRecord, PendingEpisode, clear_sealing, commit, has_commit, roll_forward
from roboscale.dataset.layout import Info, Layout, load_json, to_json
from roboscale.dataset.lerobot.catalog import Catalog, EpisodeInfo, index_columns, load_catalog, task_rows
from roboscale.dataset.statistics import PixelCounts, Statistics, episode_entry, pooled
from roboscale.dataset.streams import stream_path
from roboscale.dataset.tables import read_carried, read_columns, to_table, with_carried, write_tasks
from roboscale.dataset.video import join, join_key

__all__ = ["load_statistics", "save_statistics", "seal"]

AnyStatistics = Statistics | PixelCounts


@dataclass(slots=True)
class _Moves:
    """Files written under `sealing/`, and where each belongs."""

    layout: Layout
    folder: Path
    items: list[tuple[str, str]] = field(default_factory=list)

    def add(self, target: Path) -> Path:
        """The path to write what shall end up at `target`."""
        name = f"{len(self.items):04d}{target.suffix}"
        self.items.append((name, str(target.relative_to(self.layout.root))))
        return self.folder / name


@dataclass(slots=True)
class _Position:
    """The next free chunk and file of one kind."""

    chunk: int
    file: int
    chunks_size: int

    @classmethod
    def after(cls, used: Sequence[tuple[int, int]], chunks_size: int) -> _Position:
        chunk, file = max(used, default=(0, -1))
        position = cls(chunk, file, chunks_size)
        position.advance()
        return position

    def advance(self) -> None:
        if self.file == self.chunks_size - 1:
            self.chunk, self.file = self.chunk + 1, 0
        else:
            self.file += 1


class _DataFiles:
    """Appends episodes to data files, one row group each, and begins a new file at the size limit."""

    def __init__(self, info: Info, moves: _Moves, position: _Position) -> None:
        self._info, self._moves, self._position = info, moves, position
        self._path: Path | None = None
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> _DataFiles:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.close()

    def add(self, table: pa.Table) -> dict[str, int]:
        """Writes one episode; returns its entries for the episode table."""
        full = self._path is not None and self._path.stat().st_size + table.nbytes >= self._info.data_bytes
        if self._writer is not None and full:
            self._writer.close()
            self._writer = None
            self._position.advance()
        if self._writer is None:
            self._path = self._moves.add(self._info.data_file(self._position.chunk, self._position.file))
            self._writer = pq.ParquetWriter(self._path, table.schema, compression="snappy", use_dictionary=True)
        self._writer.write_table(self._alike(table), row_group_size=max(1, table.num_rows))
        return {"data/chunk_index": self._position.chunk, "data/file_index": self._position.file}

    def _alike(self, table: pa.Table) -> pa.Table:
        """The table in the types of the file: empty lists may have another type than full ones."""
        schema = self._writer.schema if self._writer is not None else table.schema
        if table.schema.equals(schema):
            return table
        try:
            return table.select(schema.names).cast(schema)
        except (pa.ArrowException, KeyError) as error:
            raise BadData(self._path, "columns", str(schema)[:200], str(error)[:200]) from error


def _video_entries(
    info: Info, moves: _Moves, camera: str, position: _Position, batch: Sequence[tuple[PendingEpisode, int]]
) -> list[dict[str, Any]]:
    """Joins one camera's takes into files; returns each episode's entries for the episode table."""
    entries: list[dict[str, Any]] = []
    for group in _groups(info, camera, batch):
        paths, frames = [p.video(camera) for p, _ in group], [n for _, n in group]
        target = moves.add(info.video_file(camera, position.chunk, position.file))
        join(paths, frames, target, info.fps)
        for begin, end in itertools.pairwise([0, *itertools.accumulate(frames)]):
            values = (position.chunk, position.file, begin / info.fps, end / info.fps)
            names = ("chunk_index", "file_index", "from_timestamp", "to_timestamp")
            entries.append({f"videos/{camera}/{n}": v for n, v in zip(names, values, strict=True)})
        position.advance()
    return entries


def _groups(
    info: Info, camera: str, batch: Sequence[tuple[PendingEpisode, int]]
) -> list[list[tuple[PendingEpisode, int]]]:
    """Consecutive takes that fit into one file and agree on the decoder's parameters."""
    groups: list[list[tuple[PendingEpisode, int]]] = []
    size, parameters = 0, (b"", 0.0)
    for entry in batch:
        path = entry[0].video(camera)
        bytes_, its = path.stat().st_size, join_key(path)
        if not groups or size + bytes_ >= info.video_bytes or its != parameters:
            groups.append([])
            size, parameters = 0, its
        groups[-1].append(entry)
        size += bytes_
    return groups


def seal(root: Path) -> int:
    """Seals every pending episode and returns how many there were.

    The caller holds the dataset (`journal.exclusive`). May be killed at any instant: the pending episodes stay, or
    the seal is finished by whoever comes next.

    Raises:
        BadData: a pending episode is broken.
        OSError: the disk is full; nothing has changed.
    """
    layout = Layout(root)
    roll_forward(layout)
    catalog = load_catalog(root)
    batch = [(pending, pending.record()) for pending in catalog.pending]
    if not batch:
        return 0
    try:
        _write(catalog, batch, layout)
    except BaseException:
        if not has_commit(layout):
            shutil.rmtree(layout.sealing, ignore_errors=True)  # a full disk needs the room
        raise
    return len(batch)


def _write(catalog: Catalog, batch: Sequence[tuple[PendingEpisode, EpisodeRecord]], layout: Layout) -> None:
    moves = _Moves(layout, clear_sealing(layout))
    sealed = len(catalog.episodes) - len(batch)
    episodes = catalog.episodes[sealed:]
    positions = _positions(layout, catalog.info)
    rows, totals = _write_data(catalog, batch, episodes, moves, positions["data"])
    for camera in catalog.info.cameras:
        lengths = [(pending, record.length) for pending, record in batch]
        for row, entry in zip(
            rows, _video_entries(catalog.info, moves, camera, positions[camera], lengths), strict=True
        ):
            row.update(entry)
    _write_streams(layout, batch, moves)
    _write_metadata(catalog, batch, episodes, rows, moves, positions["episodes"])
    _write_statistics(layout, catalog, batch, totals, moves)
    moves.add(layout.info).write_bytes(to_json(_new_info(catalog)))
    commit(layout, moves.items, [pending for pending, _ in batch])


def _positions(layout: Layout, info: Info) -> dict[str, _Position]:
    """The next free file of data, of episode metadata and of each camera."""
    patterns = {"data": ("data", "parquet"), "episodes": ("meta/episodes", "parquet")}
    patterns |= {camera: (f"videos/{camera}", "mp4") for camera in info.cameras}
    positions = {}
    for kind, (folder, suffix) in patterns.items():
        paths = (layout.root / folder).glob(f"chunk-*/file-*.{suffix}")
        used = [(int(path.parent.name[6:]), int(path.stem[5:])) for path in paths]
        positions[kind] = _Position.after(used, info.chunks_size)
    return positions


def _write_data(
    catalog: Catalog,
    batch: Sequence[tuple[PendingEpisode, EpisodeRecord]],
    episodes: Sequence[EpisodeInfo],
    moves: _Moves,
    position: _Position,
) -> tuple[list[dict[str, Any]], dict[str, Statistics]]:
    """Data files; returns the rows of the episode table so far, and the statistics of what was written."""
    info, own = catalog.info, {f.name for f in catalog.spec}
    schema = {name: f for name, f in info.columns.items() if name in own}
    columns: dict[str, list[NDArray[Any]]] = defaultdict(list)
    rows = []
    with _DataFiles(info, moves, position) as files:
        for (pending, record), episode in zip(batch, episodes, strict=True):
            task = task_rows(catalog.tasks, record.instruction, record.instructions, record.length)
            arrays = {**read_columns(pending.table, schema), **index_columns(episode, task, info.fps)}
            lengths = {len(array) for array in arrays.values()}
            if lengths != {record.length}:
                raise BadData(pending.table, "rows", record.length, sorted(lengths))
            table = to_table({name: arrays[name] for name in info.columns}, info.columns)
            if info.carried_columns:
                table = with_carried(table, read_carried(pending.table, info.carried_columns), info.features)
            rows.append(_episode_row(record, episode, files.add(table), arrays))
            for name, array in arrays.items():
                columns[name].append(_rows(array, info.columns[name]))
    return rows, {name: _statistics(columns.pop(name)) for name in list(columns)}


def _statistics(parts: list[NDArray[Any]]) -> Statistics:
    """Of one column of the batch; its parts, which may be hours long, are let go of as soon as they are joined."""
    whole = parts.pop() if len(parts) == 1 else np.concatenate(parts)
    parts.clear()
    return Statistics.of(whole)


def _write_streams(layout: Layout, batch: Sequence[tuple[PendingEpisode, EpisodeRecord]], moves: _Moves) -> None:
    """Sensors at their own rate keep a file each; they are copied, because the pending episode stays until the end."""
    for pending, record in batch:
        for path in sorted((pending.path / "streams").glob("*.parquet")):
            shutil.copyfile(path, moves.add(stream_path(layout.own / "streams", path.stem, record.id)))


def _rows(array: NDArray[Any], feature: Mapping[str, Any]) -> NDArray[Any]:
    return array.reshape(len(array), *feature["shape"])


def _episode_row(
    record: EpisodeRecord, episode: EpisodeInfo, place: Mapping[str, int], arrays: Mapping[str, NDArray[Any]]
) -> dict[str, Any]:
    row: dict[str, Any] = {
        "episode_index": episode.index,
        "tasks": record.texts,
        "length": record.length,
        **place,
        "dataset_from_index": episode.from_index,
        "dataset_to_index": episode.from_index + record.length,
    }
    entries = {name: episode_entry(array) for name, array in arrays.items()}
    entries |= {camera: pixels.to_lerobot() for camera, pixels in record.pixels.items()}
    entries |= {name: dict(said) for name, said in record.carried.items()}
    for name, entry in entries.items():
        row.update({f"stats/{name}/{key}": value for key, value in entry.items()})
    return row


def _write_metadata(
    catalog: Catalog,
    batch: Sequence[tuple[PendingEpisode, EpisodeRecord]],
    episodes: Sequence[EpisodeInfo],
    rows: Sequence[Mapping[str, Any]],
    moves: _Moves,
    position: _Position,
) -> None:
    """The episode table, its sidecar and the tasks."""
    layout = Layout(catalog.info.root)
    name = f"chunk-{position.chunk:03d}/file-{position.file:03d}"
    place = {"meta/episodes/chunk_index": position.chunk, "meta/episodes/file_index": position.file}
    stats = [key for key in dict.fromkeys(key for row in rows for key in row) if key.startswith("stats/")]
    order = [key for key in rows[0] if not key.startswith("stats/")] + stats
    table = pa.Table.from_pylist([{**{k: row.get(k) for k in order}, **place} for row in rows])
    pq.write_table(table, moves.add(layout.episodes / f"{name}.parquet"), compression="snappy")
    lines = []
    for (_, record), episode in zip(batch, episodes, strict=True):
        data = record.to_json()
        del data["pixels"]  # they are in the statistics now
        data.pop("carried", None)
        lines.append(json.dumps({**data, "episode_index": episode.index}, ensure_ascii=False) + "\n")
    moves.add(layout.own / "episodes" / f"{name}.jsonl").write_text("".join(lines), "utf-8")
    write_tasks(moves.add(layout.tasks), catalog.tasks)


def _write_statistics(
    layout: Layout,
    catalog: Catalog,
    batch: Sequence[tuple[PendingEpisode, EpisodeRecord]],
    columns: Mapping[str, Statistics],
    moves: _Moves,
) -> None:
    """`stats.json` and the state from which the next seal goes on."""
    whole = load_statistics(layout.statistics) if catalog.info.total_episodes else {}
    parts: list[Mapping[str, AnyStatistics]] = [columns, *(record.pixels for _, record in batch)]
    for part in parts:
        for name, statistics in part.items():
            whole[name] = _merged(whole.get(name), statistics)
    save_statistics(moves.add(layout.statistics), whole)
    stats = {name: whole[name].to_lerobot() for name in catalog.info.features if name in whole}
    path = layout.root / "meta/stats.json"
    stats |= _carried_statistics(path, catalog, batch)
    moves.add(path).write_bytes(to_json(stats))


def _carried_statistics(
    path: Path, catalog: Catalog, batch: Sequence[tuple[PendingEpisode, EpisodeRecord]]
) -> dict[str, Any]:
    """Of what is carried as it is: of every episode, or not at all."""
    whole: dict[str, Any] = {}
    if not catalog.info.left_out:
        return whole
    before: Mapping[str, Any] = load_json(path) if catalog.info.total_episodes else {}
    for name in catalog.info.left_out:
        parts = [record.carried.get(name, {}) for _, record in batch]
        parts += [before.get(name, {})] if catalog.info.total_episodes else []
        if all(parts):
            whole[name] = pooled(parts)
    return whole


def _merged(first: AnyStatistics | None, second: AnyStatistics) -> AnyStatistics:
    if isinstance(first, Statistics) and isinstance(second, Statistics):
        return first.merge(second)
    if isinstance(first, PixelCounts) and isinstance(second, PixelCounts):
        return first.merge(second)
    return second


def save_statistics(path: Path, statistics: Mapping[str, AnyStatistics]) -> None:
    """Writes the state of mergeable statistics."""
    arrays = {}
    for name, one in statistics.items():
        arrays.update({f"{name}/{key}": value for key, value in one.to_arrays().items()})
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]


def load_statistics(path: Path) -> dict[str, AnyStatistics]:
    """Inverse of `save_statistics`; BadData when the file is missing or broken."""
    grouped: dict[str, dict[str, NDArray[Any]]] = defaultdict(dict)
    try:
        with np.load(path, allow_pickle=False) as file:
            for key in file.files:
                name, _, part = key.rpartition("/")
                grouped[name][part] = file[key]
    except FileNotFoundError:
        raise BadData(path, "file", "to exist beside sealed episodes", "nothing") from None
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise BadData(path, "file", "numpy arrays", error) from error
    return {
        name: PixelCounts.from_arrays(arrays) if "frames" in arrays else Statistics.from_arrays(arrays)
        for name, arrays in grouped.items()
    }


def _new_info(catalog: Catalog) -> dict[str, Any]:
    total = len(catalog.episodes)
    return {
        **catalog.info.raw,
        "total_episodes": total,
        "total_frames": sum(episode.length for episode in catalog.episodes),
        "total_tasks": len(catalog.tasks),
        "splits": _grown_splits(catalog.info, total),
    }


def _grown_splits(info: Info, total: int) -> dict[str, Any]:
    """`train` of all episodes; somebody's own splits stay, and new episodes belong to none of them."""
    splits = info.raw.get("splits")
    own = isinstance(splits, dict) and splits and list(splits.values()) != [f"0:{info.total_episodes}"]
    return dict(splits) if own and splits is not None else {"train": f"0:{total}"}
