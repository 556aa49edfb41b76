"""Rows of JSON: a list with an object for each frame, beside what is said of them all, as XR teleoperation writes it.

    {"info": {"image": {"fps": 30}}, "text": {"goal": "..."},
     "data": [{"colors": {"color_0": "colors/000000_color_0.jpg"}, "states": {"left_arm": {"qpos": [...]}}}, ...]}

Names are the ways through the objects: `data.json/states/left_arm/qpos`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from roboscale.core import BadData
from roboscale.sources.records.own.held import Held

__all__ = ["held_rows", "read_rows"]

_MAX_BYTES = 2**29
_SUFFIXES = (".json", ".jsonl")
_PICTURES = (".jpg", ".jpeg", ".png")
_DEPTH = 8  # of objects within objects

Row = Mapping[str, Any]


def read_rows(path: Path) -> tuple[list[Row], Row] | None:
    """The rows of a file and what stands beside them; `None` where it is no such file."""
    if path.suffix.lower() not in _SUFFIXES or not 2 < path.stat().st_size < _MAX_BYTES:
        return None
    try:
        text = path.read_text("utf-8")
        whole = [json.loads(line) for line in text.splitlines() if line.strip()] if path.suffix == ".jsonl" else None
        whole = json.loads(text) if whole is None else whole
    except (ValueError, RecursionError):
        return None  # what it is, nobody here says
    lists = {key: one for key, one in whole.items() if _are_rows(one)} if isinstance(whole, dict) else {"": whole}
    if len(lists) != 1 or not _are_rows(next(iter(lists.values()))):
        return None
    ((key, rows),) = lists.items()
    return rows, {name: one for name, one in whole.items() if name != key} if isinstance(whole, dict) else {}


def _are_rows(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 1 and all(isinstance(one, dict) and one for one in value)


def held_rows(path: Path, start: str, rows: list[Row], beside: Row) -> Iterator[Held]:
    """A column for each way through the rows that all of them have, and one row for each text and number beside.

    Args:
        start: of their names.
    """
    columns: dict[str, list[Any]] = {}
    for row in rows:
        for name, value in _leaves(row):
            columns.setdefault(name, []).append(value)
    for name, values in columns.items():
        yield _column(path, f"{start}{name}", values, len(rows))
    for name, value in _leaves(beside):
        if isinstance(value, (str, int, float)):
            yield _column(path, f"{start}{name}", [value], 1)


def _leaves(row: Row, before: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    for key, value in row.items():
        if isinstance(value, dict) and depth < _DEPTH:
            yield from _leaves(value, f"{before}{key}/", depth + 1)
        elif value is not None and value != [] and value != {}:
            yield f"{before}{key}", value


def _column(path: Path, name: str, values: list[Any], rows: int) -> Held:
    if len(values) == rows and all(isinstance(value, str) for value in values):
        files = [path.parent / value for value in values]
        if rows > 1 and all(file.suffix.lower() in _PICTURES for file in files):
            for file in files:
                if not file.resolve().is_relative_to(path.parent.resolve()):
                    raise BadData(path, name, "pictures beside the rows", str(file))
            return Held(name=name, kind="pictures", path=path, rows=rows, load=partial(_same, files))
        return Held(name=name, kind="texts", path=path, rows=rows, load=partial(_same, values))
    try:
        array = np.asarray(values) if len(values) == rows else np.empty(0, object)
    except ValueError:  # rows of several lengths
        array = np.empty(0, object)
    if array.dtype.kind not in "biuf":
        refuse = partial(_refuse, path, name, f"{len(values)} of {rows}, or of several shapes")
        return Held(name=name, kind="objects", path=path, rows=len(values), load=refuse)
    load, shape = partial(_same, array), array.shape[1:]
    return Held(name=name, kind="numbers", path=path, rows=rows, shape=shape, dtype=array.dtype.name, load=load)


def _same(value: Any) -> Any:
    return value


def _refuse(path: Path, name: str, found: str) -> Any:
    raise BadData(path, name, "numbers of one shape in every row", found)
