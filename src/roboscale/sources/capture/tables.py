"""Tables of numbers as trackers write them: CSV, whitespace (TUM), JSON lines. Every cell is a number or an error.

Whole numbers stay whole: nanoseconds of 19 digits do not fit into a float.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData, Finding
from roboscale.dataset.unfetched import require_fetched

__all__ = ["LogTable", "is_table", "log_times", "read_header", "read_log"]

_TUM = ("timestamp", "tx", "ty", "tz", "qx", "qy", "qz", "qw")
_WORDS = {"true": 1.0, "false": 0.0, "": float("nan"), "nan": float("nan")}
_SUFFIXES = (".csv", ".txt", ".tsv", ".jsonl", ".tum")
_BYTES = 2**30


class LogTable:
    """Column name -> numbers (N,), of one file."""

    def __init__(self, path: Path, values: Mapping[str, NDArray[Any]]) -> None:
        self.path, self._values = path, dict(values)
        self.names = tuple(self._values)

    def __len__(self) -> int:
        return len(next(iter(self._values.values()), ()))

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self._values:
            raise BadData(self.path, "columns", f"one called {name}", ", ".join(self.names)[:300])
        return self._values[name]

    def stack(self, names: Sequence[str]) -> NDArray[np.float64]:
        """(N, k) of the named columns; BadData when one is not there or a cell is empty."""
        made = np.stack([self[name].astype(np.float64) for name in names], axis=1)
        broken = np.argwhere(~np.isfinite(made))
        if len(broken):
            row, column = broken[0]
            raise BadData(self.path, f"{names[column]} in row {row + 1}", "a number", made[row, column])
        return made


def is_table(path: Path) -> bool:
    """Whether a file may be such a table, by its ending."""
    return path.is_file() and path.suffix.lower() in _SUFFIXES


def read_header(path: Path) -> tuple[str, ...]:
    """Names of the columns; those of TUM where there is none and 8 numbers stand in a row. Empty for anything else."""
    try:
        with path.open(encoding="utf-8-sig", errors="strict") as file:
            line = next((text for text in file if text.strip() and not text.startswith("#")), "")
    except (OSError, UnicodeDecodeError):
        return ()
    if path.suffix == ".jsonl":
        try:
            said = json.loads(line)
        except ValueError:
            return ()
        return tuple(_flat(said)) if isinstance(said, dict) else ()
    cells = _cells(line)
    if all(_number(cell) is not None for cell in cells):
        return _TUM if len(cells) == len(_TUM) else ()
    return tuple(cells)


def read_log(path: Path) -> LogTable:
    """The whole table.

    Raises:
        BadData: it is cut off, has rows of another length, or a cell that is no number; names the row.
    """
    require_fetched(path)
    names = read_header(path)
    if not names:
        raise BadData(path, "header", "names of columns", "none")
    if path.stat().st_size > _BYTES:
        raise BadData(path, "size", f"at most {_BYTES} bytes", path.stat().st_size)
    text = path.read_text("utf-8-sig")
    rows = _json_rows(path, text, names) if path.suffix == ".jsonl" else _text_rows(path, text, names)
    if not rows:
        raise BadData(path, "rows", "at least one", "none")
    columns = zip(*rows, strict=True)
    return LogTable(path, {name: _column(path, name, cells) for name, cells in zip(names, columns, strict=True)})


def _json_rows(path: Path, text: str, names: Sequence[str]) -> list[list[str]]:
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            said = _flat(json.loads(line))
        except (ValueError, AttributeError) as error:
            raise BadData(path, f"line {number}", "a JSON object", line[:80]) from error
        if set(said) != set(names):
            odd = sorted(set(said) ^ set(names))
            raise BadData(
                path, f"line {number}", f"the keys of the first line ({len(names)})", f"differs in {odd[:5]}"
            )
        rows.append([said[name] for name in names])
    return rows


def _text_rows(path: Path, text: str, names: Sequence[str]) -> list[list[str]]:
    lines = [(n, line) for n, line in enumerate(text.splitlines(), 1) if line.strip() and not line.startswith("#")]
    if tuple(_cells(lines[0][1])) == tuple(names):
        lines = lines[1:]
    rows = []
    for number, line in lines:
        cells = _cells(line)
        if len(cells) != len(names):
            raise BadData(path, f"line {number}", f"{len(names)} cells, as the header", len(cells))
        rows.append(cells)
    return rows


def _flat(said: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested objects and lists as `position.0`, `position.x`."""
    made: dict[str, str] = {}
    for key, value in said.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            made |= _flat(value, f"{name}.")
        elif isinstance(value, list):
            made |= _flat({str(i): item for i, item in enumerate(value)}, f"{name}.")
        else:
            made[name] = "" if value is None else str(value)
    return made


def _cells(line: str) -> list[str]:
    line = line.strip()
    if "," in line or ";" in line or "\t" in line:
        mark = next(m for m in ",;\t" if m in line)
        return [cell.strip() for cell in next(csv.reader([line], delimiter=mark))]
    return line.split()


def _number(cell: str) -> float | int | None:
    try:
        return int(cell) if re.fullmatch(r"[+-]?\d+", cell) else float(cell)
    except ValueError:
        return _WORDS.get(cell.lower())


def _column(path: Path, name: str, cells: Iterable[str]) -> NDArray[Any]:
    """Numbers where every cell is one; the texts themselves where none is, such as a session's id."""
    texts = list(cells)
    numbers = [_number(cell) for cell in texts]
    if any(n is None for n in numbers):
        if all(n is None for n in numbers):
            return np.array(texts)
        row = next(i for i, n in enumerate(numbers) if n is None)
        if any(isinstance(n, float) for n in numbers):
            raise BadData(path, f"{name} in row {row + 1}", "a number", repr(texts[row][:60]))
        return np.array(texts)
    if all(isinstance(n, int) for n in numbers):
        return np.array(numbers, np.int64)
    return np.array(numbers, np.float64)


_UNITS_NS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
_TIMES = re.compile(
    r"^(tracking_|utc_|device_|frame_|capture_)?(timestamps?|time|stamp|t)(_?(ns|us|ms|s|sec))?$", re.I
)


def log_times(columns: LogTable, name: str = "") -> tuple[NDArray[np.int64], list[Finding]]:
    """(N,) nanoseconds of a column of times, and what had to be guessed of its unit.

    Args:
        name: of the column; by default the one that is called like a time, the first of several.

    Raises:
        BadData: there is no such column, or its times do not increase; names the row and both times.
    """
    known = [one for one in columns.names if _TIMES.fullmatch(one)]
    if not name and not known:
        raise BadData(columns.path, "columns", "one of times, e.g. timestamp", ", ".join(columns.names)[:300])
    name = name or known[0]
    values, found = columns[name], []
    match = _TIMES.fullmatch(name)
    unit = (match[4] or "").lower().replace("sec", "s") if match else ""
    if not unit:
        steps = np.diff(values.astype(np.float64))
        step = float(np.median(steps)) if len(steps) else 0.0
        unit = next((u for u, most in (("s", 2.0), ("ms", 2e3), ("us", 2e6)) if step <= most), "ns")
        text = f"{name} has no unit in its name; a median step of {step:.6g} is taken for {unit}"
        found.append(Finding("time-unit", "info", text, field=name, evidence={"median step": step, "unit": unit}))
    factor = _UNITS_NS[unit]
    if values.dtype.kind == "i":
        time_ns = values * np.int64(factor)
    else:
        time_ns = np.round(values * factor).astype(np.int64)
    back = np.flatnonzero(np.diff(time_ns) <= 0)
    if len(back):
        row = int(back[0]) + 1
        raise BadData(
            columns.path,
            f"{name} in row {row + 1}",
            f"after {values[row - 1]}, the time of the row before",
            values[row],
        )
    return time_ns, found
