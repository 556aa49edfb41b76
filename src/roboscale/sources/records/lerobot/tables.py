"""The rows of one episode in a parquet file, as arrays, encoded pictures and LeRobot's index columns.

A file may hold one episode (v2) or many (v3). Knows parquet; does not know metadata or video.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from roboscale.core import BadData
from roboscale.dataset.layout import confined
from roboscale.dataset.tables import number_dtype

__all__ = ["Tables", "blobs", "column_array", "column_dtype", "count_rows", "read_rows", "read_schema"]

_MAX_GROUP = 8 * 2**30  # bytes that a row group may claim to unpack to


@contextlib.contextmanager
def _reading(path: Path, what: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise BadData(path, "file", "to exist", "nothing") from None
    except (pa.ArrowException, OSError, ValueError, KeyError, IndexError, MemoryError) as error:
        text = (str(error).splitlines() or [type(error).__name__])[0]
        raise BadData(path, what, "readable parquet", text[:160]) from error


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    with _reading(path, "footer"):
        file = pq.ParquetFile(path, page_checksum_verification=True)
    with file:
        yield file


def count_rows(path: Path) -> int:
    """From the footer; BadData when it is broken."""
    with _opened(path) as file:
        return int(file.metadata.num_rows)


def read_schema(path: Path) -> pa.Schema:
    """Names and types of the columns, from the footer."""
    with _opened(path) as file, _reading(path, "schema"):
        return file.schema_arrow


def read_rows(path: Path, names: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Rows of a small table as dictionaries; BadData when a column is not there."""
    with _opened(path) as file:
        absent = sorted(set(names or ()) - set(file.schema_arrow.names))
        if absent:
            raise BadData(path, "columns", ", ".join(absent), ", ".join(file.schema_arrow.names)[:200])
        rows: list[dict[str, Any]] = _read(path, file, range(file.num_row_groups), names).to_pylist()
        return rows


def _read(path: Path, file: pq.ParquetFile, groups: Sequence[int], names: Sequence[str] | None) -> pa.Table:
    with _reading(path, "content"):
        size = sum(file.metadata.row_group(group).total_byte_size for group in groups)
        if size > _MAX_GROUP or size < 0:
            raise BadData(path, "row groups", f"at most {_MAX_GROUP} bytes", size)
        table = file.read_row_groups(list(groups), columns=None if names is None else list(names), use_threads=False)
        table.validate(full=True)
        return table


class Tables:
    """Rows by episode, from files that hold one or many. Keeps the last part of a file that it read."""

    def __init__(self) -> None:
        self._part: tuple[Any, pa.Table] | None = None
        self._index: tuple[Path, NDArray[np.int64]] | None = None

    def rows(self, path: Path, names: Sequence[str], episode: int | None, also: Sequence[str] = ()) -> pa.Table:
        """The named columns of the rows whose `episode_index` is `episode`; of all rows when that is None.

        Args:
            also: columns to read where they are there.

        BadData when a column is missing, or when the episode's rows do not lie together.
        """
        with _opened(path) as file:
            there = file.schema_arrow.names
            absent = [name for name in names if name not in there]
            if absent:
                raise BadData(path, "columns", ", ".join(absent), ", ".join(there)[:200])
            names = [*names, *(name for name in also if name in there and name not in names)]
            if episode is None:
                return _read(path, file, range(file.num_row_groups), names)
            first, count = self._find(path, file, episode)
            with _reading(path, "footer"):
                sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
            ends = np.cumsum(sizes)
            groups = range(int(np.searchsorted(ends, first, "right")), 1 + int(np.searchsorted(ends, first + count)))
            key = (path, groups, tuple(names))
            if self._part is None or self._part[0] != key:
                self._part = (key, _read(path, file, groups, names))
            begin = int(ends[groups[0]] - sizes[groups[0]])
            return self._part[1].slice(first - begin, count)

    def _find(self, path: Path, file: pq.ParquetFile, episode: int) -> tuple[int, int]:
        if self._index is None or self._index[0] != path:
            if "episode_index" not in file.schema_arrow.names:
                raise BadData(path, "columns", "episode_index", ", ".join(file.schema_arrow.names)[:200])
            column = _read(path, file, range(file.num_row_groups), ["episode_index"])["episode_index"]
            self._index = (path, column_array(column, (), path, "episode_index").astype(np.int64))
        found = np.flatnonzero(self._index[1] == episode)
        if not len(found):
            raise BadData(path, "episode_index", f"rows of episode {episode}", "none")
        if found[-1] - found[0] != len(found) - 1:
            raise BadData(path, "episode_index", f"the rows of episode {episode} in one piece", "other rows between")
        return int(found[0]), len(found)


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


def column_array(column: pa.ChunkedArray, shape: tuple[int, ...], path: Path, name: str) -> NDArray[Any]:
    """Numbers of a column as (T, *shape), in the column's dtype; BadData on nulls and on rows of another size."""
    dtype = column_dtype(column.type)
    if not dtype:
        raise BadData(path, name, "numbers", column.type)
    with _reading(path, name):
        values = _flat(column.combine_chunks(), path, name).to_numpy(zero_copy_only=False)
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
            sizes = np.unique(array.value_lengths().to_numpy(zero_copy_only=False))
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
        with _reading(path, f"{name}[{number}]"):
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
