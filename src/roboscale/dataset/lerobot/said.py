"""What a writer says of each episode beside what a loader needs: an operator, a verdict, a list of subtasks.

It is kept in the provenance of the episode. v2.x has it in the lines of episodes.jsonl, v3 in the episode table.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData
from roboscale.dataset.lerobot.tables import table_of
from roboscale.dataset.tables import column_names

__all__ = ["SaidOfEpisodes", "other_columns", "other_keys"]

_KNOWN = frozenset(("episode_index", "tasks", "length", "dataset_from_index", "dataset_to_index", "__index_level_0__"))
_GROUPS = ("stats/", "videos/", "data/", "meta/")


def other_keys(names: Iterable[str]) -> tuple[str, ...]:
    """Those of an episode's keys or columns that no loader knows."""
    return tuple(name for name in names if name not in _KNOWN and not name.startswith(_GROUPS))


def other_columns(files: Sequence[Path]) -> tuple[str, ...]:
    """`other_keys` of the files of an episode table; of those that can be read."""
    names: dict[str, None] = {}
    for path in files:
        try:
            names |= dict.fromkeys(other_keys(column_names(path)))
        except BadData:
            continue  # whoever reads the table says so
    return tuple(names)


class SaidOfEpisodes:
    """Position of an episode -> what is said of it; `rows` are known, the columns of `files` are read when asked for.

    Args:
        names: of the keys or columns.
        lines: (N, 2) the file and row of each episode.
    """

    def __init__(
        self,
        names: Sequence[str] = (),
        rows: Sequence[Mapping[str, Any]] = (),
        files: Sequence[Path] = (),
        lines: NDArray[np.int64] | None = None,
    ) -> None:
        self.names = tuple(names)
        self._rows, self._files, self._lines = rows, files, lines
        self._read: dict[int, list[dict[str, Any]]] = {}

    def of(self, position: int) -> dict[str, Any]:
        """What is said of one episode, as JSON has it; nothing where nothing is said."""
        if not self.names:
            return {}
        if self._lines is None:
            row = self._rows[position] if position < len(self._rows) else {}
        elif position < len(self._lines) and self._lines[position, 0] >= 0:
            row = self._row(*self._lines[position].tolist())
        else:
            row = {}
        return {name: _plain(row[name]) for name in self.names if row.get(name) is not None}

    def _row(self, file: int, line: int) -> Mapping[str, Any]:
        if file not in self._read:
            self._read = {file: table_of(self._files[file], self.names).to_pylist()}
        return self._read[file][line]


def _plain(value: Any) -> Any:
    """A value as JSON has it: what JSON does not know becomes text, and no number is NaN."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return json.loads(json.dumps(value, default=str))
