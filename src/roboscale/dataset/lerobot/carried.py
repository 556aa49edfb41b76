"""Features that are carried as they are: texts, language columns, depth as PNG or as video, pictures of other depths.

Nobody here looks into them, so nothing of them is converted: rows stay Arrow, packets of videos are copied, and the
statistics of an episode stay those that its writer gave. Knows tables and metadata; does not know what is carried.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from roboscale.core import BadData, CarriedRows
from roboscale.dataset.lerobot.folder import Folder
from roboscale.dataset.lerobot.info import read_lines
from roboscale.dataset.lerobot.tables import Tables, blobs, table_of
from roboscale.dataset.statistics import QUANTILES

__all__ = ["SaidStatistics", "TableRows"]

_WORDS = ("min", "max", "mean", "std", "count", *QUANTILES)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRows:
    """Rows of one column of one episode, read when somebody asks; see `core.CarriedRows`.

    Args:
        root: of the dataset: pictures may lie in files that the rows name.
        episode: whose rows they are, in a file of many; `None` for all rows of the file.
        picks: numbers of the rows that count, in order; `None` for `count` of them as they lie.
    """

    tables: Tables
    root: Path
    path: Path
    name: str
    episode: int | None
    count: int
    picks: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return self.count

    def take(self, rows: NDArray[np.int64]) -> CarriedRows:
        picks = rows if self.picks is None else self.picks[rows]
        return replace(self, count=len(rows), picks=np.asarray(picks, np.int64))

    def read(self) -> pa.ChunkedArray:
        """The rows as Arrow has them; pictures are inside, wherever they lay."""
        column = self.tables.rows(self.path, [self.name], self.episode)[self.name]
        if self.picks is not None:
            column = column.take(pa.array(self.picks))
        if len(column) != self.count:
            raise BadData(self.path, self.name, f"{self.count} rows", len(column))
        return self._embedded(column)

    def _embedded(self, column: pa.ChunkedArray) -> pa.ChunkedArray:
        type_ = column.type
        if not pa.types.is_struct(type_) or {field.name for field in type_} != {"bytes", "path"}:
            return column
        if not any(row["bytes"] is None for row in column.to_pylist() if row is not None):
            return column
        blob = blobs(column, self.root, self.path, self.name)
        rows = [{"bytes": blob(number), "path": None} for number in range(len(column))]
        return pa.chunked_array([pa.array(rows, type_)])


class SaidStatistics:
    """What the metadata say of the statistics of some features, episode by episode; nothing where they are broken.

    Args:
        names: of the features.
    """

    def __init__(self, folder: Folder, names: Sequence[str]) -> None:
        self._folder, self._names = folder, tuple(names)
        self._table: tuple[Path, list[dict[str, Any]]] | None = None
        self._lines: dict[int, Mapping[str, Any]] | None = None

    def of(self, position: int) -> dict[str, dict[str, Any]]:
        """Feature -> min, max, mean, std, count and quantiles of the episode, as LeRobot writes them."""
        if not self._names:
            return {}
        try:
            said = self._in_table(position) if self._folder.head.is_v3 else self._in_lines(position)
        except BadData:
            return {}  # whoever checks the metadata says so
        return {name: entry for name in self._names if (entry := _entry(said.get(name)))}

    def _in_table(self, position: int) -> dict[str, Any]:
        episodes = self._folder.episodes
        if position >= len(episodes):
            return {}  # saved and not sealed yet
        file, row = episodes.lines[position].tolist()
        if file < 0:
            return {}
        path = episodes.files[file]
        if self._table is None or self._table[0] != path:
            columns = [f"stats/{name}/{word}" for name in self._names for word in _WORDS]
            self._table = (path, table_of(path, columns).to_pylist())
        rows = self._table[1]
        said = rows[row] if row < len(rows) else {}
        return {n: {w: said[key] for w in _WORDS if (key := f"stats/{n}/{w}") in said} for n in self._names}

    def _in_lines(self, position: int) -> Mapping[str, Any]:
        if self._lines is None:
            self._lines = {}
            path = self._folder.root / "meta/episodes_stats.jsonl"
            for _, row in read_lines(path) if path.is_file() else ():
                stats = row.get("stats")
                if isinstance(stats, dict):
                    self._lines[row.get("episode_index", -1)] = {n: stats[n] for n in self._names if n in stats}
        return self._lines.get(int(self._folder.episodes.index[position]), {})


def _entry(said: Any) -> dict[str, Any]:
    """The statistics of one feature; empty unless they are whole and numbers."""
    entry = {word: said[word] for word in _WORDS if said.get(word) is not None} if isinstance(said, dict) else {}
    try:
        shapes = {np.asarray(value, np.float64).shape for word, value in entry.items() if word != "count"}
        finite = all(np.isfinite(np.asarray(value, np.float64)).all() for value in entry.values())
    except (TypeError, ValueError):
        return {}
    return entry if {"min", "max", "mean", "std", "count"} <= entry.keys() and len(shapes) == 1 and finite else {}
