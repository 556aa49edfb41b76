"""The tables of a LeRobot dataset: parquet files read as arrays, encoded pictures and rows of one episode.

A file may hold one episode (v2) or many (v3). Knows parquet; does not know metadata or video.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from roboscale.core import BadData
from roboscale.dataset.layout import confined
from roboscale.dataset.tables import number_dtype, open_table, plain_numbers, reading

__all__ = ["Tables", "blobs", "column_array", "column_dtype", "table_of", "to_rows"]

_MAX_GROUP = 8 * 2**30  # bytes that a row group may claim to unpack to
_KEPT = 8  # files that stay open
_KEPT_BYTES = 2**28  # of the row groups that were read last, in several choices of columns


_READABLE = "readable parquet"


def table_of(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """A whole parquet file, or those of `columns` that it has.

    BadData when it is missing, cut off, or claims more memory than a table may take.
    """
    with open_table(path) as file:
        names = [name for name in file.schema_arrow.names if columns is None or name in columns]
        return _read(path, file, range(file.num_row_groups), names)


def _read(path: Path, file: pq.ParquetFile, groups: Sequence[int], names: Sequence[str] | None) -> pa.Table:
    with reading(path, "content", _READABLE):
        size = sum(file.metadata.row_group(group).total_byte_size for group in groups)
        if size > _MAX_GROUP or size < 0:
            raise BadData(path, "row groups", f"at most {_MAX_GROUP} bytes", size)
        table = file.read_row_groups(list(groups), columns=None if names is None else list(names), use_threads=False)
        table.validate(full=True)
        return table


class Tables:
    """Rows by episode, from files that hold one or many. Keeps files open, and the last parts that it read."""

    def __init__(self) -> None:
        self._files: OrderedDict[Path, pq.ParquetFile] = OrderedDict()
        self._parts: OrderedDict[Any, pa.Table] = OrderedDict()
        self._index: tuple[Path, NDArray[np.int64]] | None = None

    def open(self, path: Path) -> pq.ParquetFile:
        """The file, open; BadData when it is missing, cut off or no parquet."""
        file = self._files.pop(path, None) or open_table(path)
        self._files[path] = file
        while len(self._files) > _KEPT:
            self._files.popitem(last=False)[1].close(force=True)
        return file

    def schema(self, path: Path) -> pa.Schema:
        """Names and types of the columns."""
        file = self.open(path)
        with reading(path, "schema", _READABLE):
            return file.schema_arrow

    def close(self) -> None:
        for file in self._files.values():
            file.close(force=True)
        self._files.clear()
        self._parts.clear()
        self._index = None

    def rows(self, path: Path, names: Sequence[str], episode: int | None, also: Sequence[str] = ()) -> pa.Table:
        """The named columns of the rows whose `episode_index` is `episode`, in file order; of all rows for `None`.

        Args:
            also: columns to read where they are there.

        BadData when a column is missing, or when there is no such row.
        """
        file = self.open(path)
        there = self.schema(path).names
        absent = [name for name in names if name not in there]
        if absent:
            raise BadData(path, "columns", ", ".join(absent), ", ".join(there)[:200])
        names = [*names, *(name for name in also if name in there and name not in names)]
        if episode is None:
            return _read(path, file, range(file.num_row_groups), names)
        places = self._find(path, file, episode)
        first, last = int(places[0]), int(places[-1])
        with reading(path, "footer", _READABLE):
            sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
        ends = np.cumsum(sizes)
        groups = range(int(np.searchsorted(ends, first, "right")), 1 + int(np.searchsorted(ends, last, "right")))
        part = self._read_part(path, file, groups, names)
        begin = int(ends[groups[0]] - sizes[groups[0]])
        if last - first + 1 == len(places):
            return part.slice(first - begin, len(places))
        return part.take(places - begin)  # rows of other episodes lie between

    def _read_part(self, path: Path, file: pq.ParquetFile, groups: range, names: Sequence[str]) -> pa.Table:
        """Row groups of a file; the last ones that were read are kept, for many episodes may share one."""
        key = (path, groups, tuple(names))
        part = self._parts.pop(key, None)
        if part is None:
            part = _read(path, file, groups, names)
        self._parts[key] = part
        while len(self._parts) > 1 and sum(one.nbytes for one in self._parts.values()) > _KEPT_BYTES:
            self._parts.popitem(last=False)
        for old in [other for other in self._parts if other[:2] != key[:2]]:
            del self._parts[old]  # episodes are read in order, so what lies before is done with
        return part

    def _find(self, path: Path, file: pq.ParquetFile, episode: int) -> NDArray[np.int64]:
        if self._index is None or self._index[0] != path:
            if "episode_index" not in file.schema_arrow.names:
                raise BadData(path, "columns", "episode_index", ", ".join(file.schema_arrow.names)[:200])
            column = _read(path, file, range(file.num_row_groups), ["episode_index"])["episode_index"]
            self._index = (path, column_array(column, (), path, "episode_index").astype(np.int64))
        places = np.flatnonzero(self._index[1] == episode)
        if not len(places):
            raise BadData(path, "episode_index", f"rows of episode {episode}", "none")
        return places


def _item(type_: pa.DataType) -> pa.DataType:
    while True:
        if isinstance(type_, pa.BaseExtensionType):
            type_ = type_.storage_type
        elif pa.types.is_list(type_) or pa.types.is_large_list(type_) or pa.types.is_fixed_size_list(type_):
            type_ = type_.value_type
        else:
            return type_


def column_dtype(type_: pa.DataType) -> str:
    """numpy name of a column's elements; empty when they are no numbers."""
    dtype = number_dtype(_item(type_))
    return "" if dtype is None else dtype.name


def to_rows(column: pa.ChunkedArray) -> NDArray[Any] | None:
    """A numeric column as (T, size) or (T,); `None` for text, nulls, or rows of different sizes."""
    rows, flat = len(column), column.combine_chunks()
    if isinstance(flat, pa.ExtensionArray):
        flat = flat.storage
    while pa.types.is_list(flat.type) or pa.types.is_fixed_size_list(flat.type) or pa.types.is_large_list(flat.type):
        flat = flat.flatten()
    numeric = pa.types.is_integer(flat.type) or pa.types.is_floating(flat.type) or pa.types.is_boolean(flat.type)
    if flat.null_count or not numeric or (rows and len(flat) % rows):
        return None
    values = plain_numbers(flat)
    return values if len(values) == rows else values.reshape(rows, -1)


def column_array(column: pa.ChunkedArray, shape: tuple[int, ...], path: Path, name: str) -> NDArray[Any]:
    """Numbers of a column as (T, *shape), in the column's dtype; BadData on nulls and on rows of another size."""
    dtype = column_dtype(column.type)
    if not dtype:
        raise BadData(path, name, "numbers", column.type)
    with reading(path, name, _READABLE):
        values = plain_numbers(_flat(column.combine_chunks(), path, name))
    rows, per_row = len(column), int(np.prod(shape))
    if len(values) != rows * per_row:
        raise BadData(path, name, f"{rows} rows of shape {list(shape)}", f"{len(values)} values")
    return np.ascontiguousarray(values.astype(dtype, copy=False)).reshape(rows, *shape)


def _flat(array: Any, path: Path, name: str) -> Any:
    """The innermost values; BadData on nulls and on lists of different lengths, which no array can hold."""
    while True:
        if isinstance(array, pa.ExtensionArray):
            array = array.storage
        if array.null_count:
            raise BadData(path, name, "a value in every row", f"{array.null_count} nulls")
        if pa.types.is_list(array.type) or pa.types.is_large_list(array.type):
            sizes = np.unique(plain_numbers(array.value_lengths()))
            if len(sizes) > 1:
                raise BadData(path, name, "rows of one size", f"rows of {sizes[:5].tolist()}")
        elif not pa.types.is_fixed_size_list(array.type):
            return array
        array = array.flatten()


def blobs(column: pa.ChunkedArray, root: Path, path: Path, name: str) -> Callable[[int], bytes]:
    """Number of a row -> bytes of its picture: inside the table, or in a file that the table names."""
    if not pa.types.is_struct(column.type) or "bytes" not in {field.name for field in column.type}:
        raise BadData(path, name, "pictures as a struct of bytes and path", column.type)

    def blob(number: int) -> bytes:
        with reading(path, f"{name}[{number}]", _READABLE):
            row = column[number].as_py() or {}
        if row.get("bytes") is not None:
            return bytes(row["bytes"])
        if not isinstance(row.get("path"), str) or "\0" in row["path"]:
            raise BadData(path, f"{name}[{number}]", "bytes or a path", "neither")
        file = confined(root, row["path"], path, f"{name}[{number}]")
        if not file.is_file() or file.stat().st_size > 2**28:
            raise BadData(file, "picture", f"a file that {path.name} names", "nothing")
        return file.read_bytes()

    return blob
