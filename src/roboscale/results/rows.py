"""Files as rows (CSV, JSON, JSON lines, Parquet), YAML as one object. What cannot be read is an error that says so."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from roboscale.core import BadData

__all__ = ["Row", "as_rows", "load_rows", "read_document", "read_text", "read_yaml"]

Row = Mapping[str, Any]
"""Column -> value."""


def load_rows(path: Path) -> list[Row]:
    """The rows of a table; the file's ending says how it is written. BadData where it is not so."""
    if path.suffix == ".json":
        return as_rows(path, read_document(path))
    if path.suffix in (".jsonl", ".ndjson"):
        return [_line(path, n, text) for n, text in enumerate(read_text(path).splitlines(), 1) if text]
    return _parquet(path) if path.suffix == ".parquet" else _csv(path)


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, with or without a mark at its beginning; BadData otherwise."""
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadData(path, "file", "UTF-8", error) from error


def read_document(path: Path) -> Any:
    """A JSON document; BadData otherwise."""
    try:
        return json.loads(read_text(path))
    except (json.JSONDecodeError, RecursionError) as error:
        raise BadData(path, "file", "JSON", error) from error


def _line(path: Path, number: int, text: str) -> Row:
    try:
        row = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise BadData(path, f"line {number}", "JSON", error) from error
    if not isinstance(row, dict):
        raise BadData(path, f"line {number}", "an object", type(row).__name__)
    return row


def as_rows(path: Path, data: Any) -> list[Row]:
    """A list of objects, or an object of columns."""
    if isinstance(data, dict) and data and all(isinstance(v, list) for v in data.values()):
        return [dict(zip(data, values, strict=False)) for values in zip(*data.values(), strict=False)]
    rows = data.get("trials", data.get("results")) if isinstance(data, dict) else data
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise BadData(path, "content", "a list of objects, LeRobot's eval_info.json, or columns", type(data).__name__)
    return rows


def _csv(path: Path) -> list[Row]:
    lines = [line for line in read_text(path).splitlines() if not line.startswith("#")]
    try:
        dialect = csv.Sniffer().sniff("\n".join(lines[:5]), ",;\t") if lines else csv.excel
    except csv.Error:
        dialect = csv.excel
    return list(csv.DictReader(lines, dialect=dialect))


def _parquet(path: Path) -> list[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        rows: list[Row] = pq.read_table(path).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise BadData(path, "file", "parquet", str(error).splitlines()[0]) from error
    return rows


def read_yaml(path: Path) -> Mapping[str, Any]:
    """A YAML file that is one object; BadData otherwise."""
    import yaml

    try:
        data = yaml.safe_load(read_text(path))
    except yaml.YAMLError as error:
        raise BadData(path, "file", "YAML", str(error).splitlines()[0]) from error
    if not isinstance(data, dict):
        raise BadData(path, "file", "an object", type(data).__name__)
    return data
