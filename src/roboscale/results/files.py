"""Files as grids: CSV, JSON, JSON lines, Parquet, spreadsheets, standard input. What was assumed is said."""

from __future__ import annotations

import gzip
import io
import json
import sys
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from roboscale.core import BadData, RoboscaleError, UnknownName
from roboscale.results.delimited import grid_of_cells, grid_of_text
from roboscale.results.encodings import decoded
from roboscale.results.grid import Grid, Texts, cell_text, grid_of_rows
from roboscale.results.listed import rows_of_lists
from roboscale.results.logs import grids_of_log
from roboscale.results.nested import grid_of_levels
from roboscale.results.reading import AS_THEY_ARE, ReadOptions

__all__ = ["STANDARD_INPUT", "load_grids", "read_document", "read_text", "read_yaml"]

STANDARD_INPUT = "-"
"""The path that means what is piped in."""

_LIMIT = 512 * 2**20  # bytes
_SHEETS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")


def load_grids(path: Path, options: ReadOptions = AS_THEY_ARE, policy: str = "") -> list[Grid]:
    """The tables of a file; its ending says how it is written, and what it holds where the ending does not.

    Args:
        policy: whose results they are where the file's layout has no place for it; by default that of its folder.

    Raises:
        BadData: it is not so, or larger than 512 MB.
    """
    data, name = _bytes(path)
    ending = path.with_suffix("").suffix.lower() if path.suffix.lower() == ".gz" else path.suffix.lower()
    if ending in _SHEETS or data[:4] in (b"PK\x03\x04", b"\xd0\xcf\x11\xe0"):
        return [_sheet(path, name, options)]
    if ending == ".parquet" or data[:4] == b"PAR1":
        return [_parquet(path, name)]
    text, notes = decoded(path, data)
    if options.sheet:
        notes = [*notes, f"--sheet {options.sheet} is for spreadsheets, and this is none"]
    start = text.lstrip()[:1]
    if ending in (".jsonl", ".ndjson") or (start == "{" and ending != ".csv" and _is_lines(text, ending)):
        rows = [_line(path, n, line) for n, line in enumerate(text.splitlines(), 1) if line.strip()]
        return [_grid_of_objects(path, name, rows, tuple(notes))]
    if ending == ".json" or start in ("{", "["):
        return [replace(grid, notes=(*notes, *grid.notes)) for grid in _json(path, name, text, policy, options)]
    return [grid_of_text(path, name, text, notes)]


def _bytes(path: Path) -> tuple[bytes, str]:
    if str(path) == STANDARD_INPUT:
        data = sys.stdin.buffer.read(_LIMIT + 1)
        name = "standard input"
    elif path.is_fifo() or path.is_char_device():  # `<(...)` of a shell; nothing says how much will come
        with path.open("rb") as pipe:
            data = pipe.read(_LIMIT + 1)
        name = str(path)
    else:
        if not path.is_file():
            raise BadData(path, "results", "a file or folder", "nothing")
        size = path.stat().st_size
        if size > _LIMIT:
            raise BadData(path, "size", f"at most {_LIMIT} bytes", size)
        data, name = path.read_bytes(), path.name
    if len(data) > _LIMIT:
        raise BadData(name, "size", f"at most {_LIMIT} bytes", "more")
    return (_unzipped(path, data) if data[:2] == b"\x1f\x8b" else data), name


def _unzipped(path: Path, data: bytes) -> bytes:
    try:
        plain = gzip.GzipFile(fileobj=io.BytesIO(data)).read(_LIMIT + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise BadData(path, "file", "gzip", error) from error
    if len(plain) > _LIMIT:
        raise BadData(path, "size", f"at most {_LIMIT} bytes unpacked", "more")
    return plain


def read_text(path: Path) -> str:
    """The text of a file; BadData where it is none."""
    data, _ = _bytes(path)
    return decoded(path, data)[0]


def read_document(path: Path, text: str = "") -> Any:
    """A JSON document; BadData otherwise."""
    text = text or read_text(path)
    try:
        return json.loads(text, object_pairs_hook=_once(path))
    except (json.JSONDecodeError, RecursionError) as error:
        raise BadData(path, "file", "JSON", _broken(text, error)) from error


def _once(path: Path, where: str = "key") -> Callable[[list[tuple[str, Any]]], dict[str, Any]]:
    """Makes objects. BadData where a key stands twice in one: JSON readers keep the last result, and drop others."""

    def made(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        known: dict[str, Any] = {}
        for key, value in pairs:
            if key in known and known[key] != value:
                shown = " and ".join(json.dumps(one)[:60] for one in (known[key], value))
                raise BadData(path, f"{where} {key!r}", "each key of an object once", f"it twice: {shown}")
            known[key] = value
        return known

    return made


def _broken(text: str, error: Exception) -> str:
    """What stands where JSON breaks off, and what that may be."""
    if not isinstance(error, json.JSONDecodeError):
        return "objects in objects without an end"
    if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string"):
        return f"the end of the file at line {error.lineno}, before all was closed: it was cut off (…{text[-40:]!r})"
    shown = text[max(0, error.pos - 30) : error.pos + 20]
    return f"{shown!r} at line {error.lineno}, column {error.colno} ({error.msg})"


def read_yaml(path: Path) -> Mapping[str, Any]:
    """A YAML file that is one object; BadData otherwise."""
    import yaml

    try:
        data = yaml.load(read_text(path), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise BadData(path, "file", "YAML", str(error).splitlines()[0]) from error
    if not isinstance(data, dict):
        raise BadData(path, "file", "an object", type(data).__name__)
    return data


def _is_lines(text: str, ending: str) -> bool:
    """Whether every line is an object; one line alone is a document where the ending says JSON."""
    first, _, rest = text.strip().partition("\n")
    return first.rstrip().endswith("}") and (rest.lstrip().startswith("{") if rest else ending != ".json")


def _line(path: Path, number: int, text: str) -> Mapping[str, Any]:
    try:
        row = json.loads(text, object_pairs_hook=_once(path, f"line {number}, key"))
    except (json.JSONDecodeError, RecursionError) as error:
        raise BadData(
            path, f"line {number}", "JSON", _broken(text, error).replace("file at line 1", "line")
        ) from error
    if not isinstance(row, dict):
        raise BadData(path, f"line {number}", "an object", type(row).__name__)
    return row


def _flat(row: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Objects in an object as columns with a point: `{"metrics": {"success": 1}}` has `metrics.success`."""
    flat: dict[str, Any] = {}
    for key, value in row.items():
        if isinstance(value, Mapping) and before.count(".") < 3:
            flat |= _flat(value, f"{before}{key}.")
        else:
            flat[f"{before}{key}"] = json.dumps(value) if isinstance(value, (list, dict)) else value
    return flat


def _json(path: Path, name: str, text: str, policy: str, options: ReadOptions) -> list[Grid]:
    data = read_document(path, text)
    folder = path.resolve().parent.name or path.stem
    logged = grids_of_log(path, name, data, policy or folder)
    if logged is not None:
        return logged if policy else [_called_after(folder, grid) for grid in logged]
    if isinstance(data, dict) and data and all(_is_column(v) for v in data.values()):
        lengths = {len(values) for values in data.values()}
        if len(lengths) > 1:
            levels = grid_of_levels(path, name, data, policy, options)
            if levels is not None:
                return [levels]
            raise BadData(path, "columns", "lists of one length", f"lengths {sorted(lengths)}")
        return [grid_of_rows(name, [dict(zip(data, row, strict=True)) for row in zip(*data.values(), strict=True)])]
    listed = rows_of_lists(path, data)
    if listed is not None:
        return [grid_of_rows(name, [_flat(row) for row in listed[0]], notes=listed[1])]
    rows = _rows_of(data) if isinstance(data, dict) else data
    if rows is None and (levels := grid_of_levels(path, name, data, policy, options)) is not None:
        return [levels]
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        expected = "a list of objects, one a row, LeRobot's eval_info.json, or columns"
        raise BadData(path, "content", expected, _shown(data))
    return [grid_of_rows(name, [_flat(row) for row in rows])]


def _called_after(folder: str, grid: Grid) -> Grid:
    """The same, and what its policy is called where the file does not say."""
    told = any(folder in note for note in grid.notes) or grid.policy != folder
    note = f"the file names no policy: it is called {folder}, after its folder (NAME=PATH names it)"
    return grid if told else replace(grid, notes=(*grid.notes, note))


def _shown(data: Any) -> str:
    """A document that is no table, in a few words."""
    if isinstance(data, (dict, list)) and not data:
        return "nothing in it"
    if isinstance(data, dict):
        return f"an object with {', '.join(map(repr, list(data)[:6]))}"
    if isinstance(data, list):
        return f"a list of {json.dumps(data)[:60]}"
    return json.dumps(data)[:60]


def _grid_of_objects(path: Path, name: str, rows: Sequence[Mapping[str, Any]], notes: tuple[str, ...]) -> Grid:
    """Lines of JSON."""
    listed = rows_of_lists(path, list(rows)) or (rows, ())
    return grid_of_rows(name, [_flat(row) for row in listed[0]], notes=(*notes, *listed[1]))


def _is_column(value: Any) -> bool:
    return isinstance(value, list) and not any(isinstance(one, dict) for one in value)


def _rows_of(data: Mapping[str, Any]) -> Any:
    """One row where a document is nothing but one, what stands where rows should be otherwise."""
    return [data] if data and not any(isinstance(v, (list, dict)) for v in data.values()) else None


def _parquet(path: Path, name: str) -> Grid:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise RoboscaleError(
            f'{path}: a Parquet file needs: pip install "roboscale[tables]"; or save it as CSV'
        ) from error
    try:
        table = pq.read_table(path)
        columns = tuple(_arrow(table.column(k)) for k in range(table.num_columns))
    except (pa.ArrowException, OSError) as error:
        raise BadData(path, "file", "parquet", str(error).splitlines()[0]) from error
    return Grid(
        source=name,
        names=tuple(map(str, table.column_names)),
        columns=columns,
        numbers=np.arange(1, table.num_rows + 1),
    )


def _arrow(column: Any) -> Texts:
    import pyarrow as pa

    if pa.types.is_nested(column.type):
        return Texts.of([json.dumps(value, default=str) for value in column.to_pylist()])
    array = column.combine_chunks()
    if not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode(null_encoding="encode")
    values = [cell_text(value) for value in array.dictionary.to_pylist()]
    codes = array.indices.fill_null(len(values)).to_numpy(zero_copy_only=False).astype(np.int32)
    return _merged([*values, ""], codes)


def _merged(values: Sequence[str], codes: Any) -> Texts:
    """Texts that are equal get one number, e.g. those of 1 and 1.0."""
    places: dict[str, int] = {}
    numbers = np.fromiter((places.setdefault(text.strip(), len(places)) for text in values), np.int32, len(values))
    return Texts(list(places), numbers[codes])


def _sheet(path: Path, name: str, options: ReadOptions) -> Grid:
    try:
        import python_calamine as calamine
    except ImportError as error:
        raise RoboscaleError(
            f'{path}: a spreadsheet needs: pip install "roboscale[tables]"; or save it as CSV'
        ) from error
    try:
        book = calamine.CalamineWorkbook.from_path(str(path))
        sheets = {title: book.get_sheet_by_name(title) for title in book.sheet_names}
        cells = {title: _filled(sheet) for title, sheet in sheets.items()}
    except (calamine.CalamineError, OSError, ValueError) as error:
        raise BadData(path, "file", "a spreadsheet", error) from error
    if options.sheet and options.sheet not in cells:
        raise UnknownName(f"{path}: sheet", options.sheet, cells)
    full = [title for title, rows in cells.items() if any(any(row) for row in rows)]
    if not options.sheet and len(full) > 1:
        raise BadData(path, "sheets", "one with data, or --sheet to say which", ", ".join(full))
    if not options.sheet and not full:
        raise BadData(path, "sheets", "one with data", "none")
    title = options.sheet or full[0]
    shown = f"{name}[{title}]" if len(cells) > 1 else name
    return grid_of_cells(path, shown, cells[title])


def _filled(sheet: Any) -> list[list[str]]:
    """The cells of a sheet as texts; a merged cell stands in all its places."""
    rows = [[_cell(value) for value in row] for row in sheet.to_python(skip_empty_area=False)]
    for (top, left), (bottom, right) in _merges(sheet):
        for row in rows[top : bottom + 1]:
            row[left : right + 1] = [rows[top][left]] * len(row[left : right + 1])
    return rows


def _merges(sheet: Any) -> Iterable[tuple[tuple[int, int], tuple[int, int]]]:
    ranges = getattr(sheet, "merged_cell_ranges", None) or ()
    return [(start, end) for start, end in ranges if start != end]


def _cell(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else cell_text(value)
