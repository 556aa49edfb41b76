"""The numbers of a dataset: all in memory, or episode by episode with a bound on what is kept.

Does not know video. What is read is checked against the metadata: the count of rows, and LeRobot's `index`.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core.errors import BadData, UnknownName
from roboscale.dataset.layout import INDEX_FEATURES
from roboscale.dataset.lerobot.catalog import Catalog, EpisodeInfo, index_columns
from roboscale.dataset.streams import FRAME_TIMES
from roboscale.dataset.tables import TableReader, count_rows, read_columns

__all__ = ["Columns"]

Array = NDArray[Any]
_OPEN_FILES = 8


class Columns:
    """Numeric columns; a feature of shape (1,) is (N,), as LeRobot's loader gives it. Do not write to them.

    Args:
        catalog: what the metadata says.
        memory_bytes: how much of it to keep when it is read episode by episode; `None` keeps all.
        names: the columns to read, by default all; LeRobot's and the times of the frames are read in any case.
    """

    def __init__(self, catalog: Catalog, memory_bytes: int | None, names: Collection[str] | None = None) -> None:
        self.memory_bytes = memory_bytes
        self._catalog = catalog
        self._features = {
            name: feature
            for name, feature in catalog.info.columns.items()
            if names is None or name in names or name in INDEX_FEATURES or name == FRAME_TIMES
        }
        self._whole: dict[str, Array] = {}
        self._spans = _file_rows(catalog)
        self._forget()

    def _forget(self) -> None:
        """Starts with nothing read: open files must not cross a fork."""
        self._pid = os.getpid()
        self._episodes: OrderedDict[int, dict[str, Array]] = OrderedDict()
        self._kept_bytes = 0
        self._readers: OrderedDict[Path, TableReader] = OrderedDict()

    def whole(self, name: str) -> Array:
        """One column of all frames, (N, ...); reads all columns the first time."""
        if name not in self._features:
            raise UnknownName("numeric feature", name, self._features)
        if not self._whole:
            self._load()
        return self._whole[name]

    def rows(self, number: int) -> tuple[Mapping[str, Array], int]:
        """Columns that hold the episode at position `number`, and its first row there."""
        if self._whole:
            return self._whole, self._catalog.episodes[number].from_index
        if self.memory_bytes is None:
            self._load()
            return self._whole, self._catalog.episodes[number].from_index
        if self._pid != os.getpid():
            self._inherited = self._readers  # kept: closing them is the parent's business
            self._forget()
        rows = self._episodes.pop(number, None)
        if rows is None:
            rows = self._read_episode(number)
            self._kept_bytes += _size(rows)
        self._episodes[number] = rows
        while self._kept_bytes > self.memory_bytes and len(self._episodes) > 1:
            self._kept_bytes -= _size(self._episodes.popitem(last=False)[1])
        return rows, 0

    def _read_episode(self, number: int) -> dict[str, Array]:
        episode, location = self._catalog.episodes[number], self._catalog.locations[number]
        first, total = self._spans[number]
        reader = self._readers.pop(location.table, None)
        if reader is None:
            reader = TableReader(location.table)
            _require_rows(location.table, total, reader.rows)
        self._readers[location.table] = reader
        while len(self._readers) > _OPEN_FILES:
            self._readers.popitem(last=False)[1].close()
        if not location.sealed:
            return {**reader.read(self._own(), 0, episode.length), **self._index_columns(episode)}
        columns = reader.read(self._features, first, episode.length)
        _require_index(location.table, columns["index"], episode.from_index)
        return columns

    def _load(self) -> None:
        parts: dict[str, list[Array]] = {name: [] for name in self._features}
        for path, group in groupby(zip(self._catalog.episodes, self._catalog.locations, strict=True), _table):
            episodes = [episode for episode, _ in group]
            for name, array in self._read_table(path, episodes).items():
                parts[name].append(array)
        empty = {
            n: np.empty((0, *(f["shape"] if f["shape"] != [1] else ())), f["dtype"]) for n, f in self._features.items()
        }
        whole = {name: np.concatenate(p) if p else empty[name] for name, p in parts.items()}
        for array in whole.values():
            array.flags.writeable = False
        self._whole = whole

    def _read_table(self, path: Path, episodes: Sequence[EpisodeInfo]) -> dict[str, Array]:
        first, expected = episodes[0], sum(episode.length for episode in episodes)
        _require_rows(path, expected, count_rows(path))
        if self._catalog.locations[first.index].sealed:
            columns = read_columns(path, self._features)
            _require_index(path, columns["index"], first.from_index)
            return columns
        return {**read_columns(path, self._own()), **self._index_columns(first)}

    def _own(self) -> dict[str, Mapping[str, Any]]:
        """The features without LeRobot's index columns, which a file that is not sealed does not have."""
        return {name: f for name, f in self._features.items() if name in self._catalog.spec}

    def _index_columns(self, episode: EpisodeInfo) -> dict[str, Array]:
        return index_columns(episode, self._catalog.tasks.index(episode.instruction), self._catalog.info.fps)

    def __getstate__(self) -> dict[str, Any]:
        names = tuple(self._features)
        return {"catalog": self._catalog, "memory_bytes": self.memory_bytes, "names": names, "whole": self._whole}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["catalog"], state["memory_bytes"], state["names"])  # type: ignore[misc]
        self._whole = state["whole"]


def _table(pair: tuple[EpisodeInfo, Any]) -> Path:
    table: Path = pair[1].table
    return table


def _file_rows(catalog: Catalog) -> list[tuple[int, int]]:
    """For each episode, its first row in its file, and how many rows that file must have."""
    spans: list[tuple[int, int]] = []
    for _, group in groupby(zip(catalog.episodes, catalog.locations, strict=True), _table):
        episodes = [episode for episode, _ in group]
        total = sum(episode.length for episode in episodes)
        spans += [(episode.from_index - episodes[0].from_index, total) for episode in episodes]
    return spans


def _size(columns: Mapping[str, Array]) -> int:
    return sum(array.nbytes for array in columns.values())


def _require_rows(path: Path, expected: int, found: int) -> None:
    if found != expected:
        raise BadData(path, "rows", f"{expected} as in meta/episodes", found)


def _require_index(path: Path, index: Array, first: int) -> None:
    if not np.array_equal(index, first + np.arange(len(index))):
        raise BadData(path, "index", f"{first} counting up", index[:3].tolist())
