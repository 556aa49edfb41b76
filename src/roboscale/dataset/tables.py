"""Parquet: numeric columns between numpy and arrow, and LeRobot's task table.

Knows column types and schema metadata as Hugging Face `datasets` and pandas write them, without needing either.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from roboscale.core.errors import BadData
from roboscale.dataset.remote import is_remote, source_of
from roboscale.dataset.unfetched import require_fetched

__all__ = [
    "TableReader",
    "column_names",
    "count_rows",
    "data_schema",
    "number_dtype",
    "open_table",
    "plain_numbers",
    "read_carried",
    "read_columns",
    "read_record",
    "reading",
    "to_table",
    "with_carried",
    "write_take",
    "write_tasks",
]

_RECORD = b"roboscale.episode"

Features = Mapping[str, Mapping[str, Any]]


def number_dtype(kind: pa.DataType) -> np.dtype[Any] | None:
    """numpy's dtype of an Arrow number or truth value; None for anything else."""
    if pa.types.is_boolean(kind):
        return np.dtype(np.bool_)
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        return None
    letter = "f" if pa.types.is_floating(kind) else "u" if pa.types.is_unsigned_integer(kind) else "i"
    return np.dtype(f"{letter}{kind.bit_width // 8}")


def plain_numbers(array: pa.Array) -> NDArray[Any]:
    """(n,) numbers of a plain Arrow array without nulls.

    Arrow's own conversion imports pandas wherever that is installed: a sixth of a second for a look at metadata.
    """
    dtype = number_dtype(array.type)
    if dtype is None or dtype.kind == "b":  # Arrow packs truth values into bits
        return np.asarray(array.to_numpy(zero_copy_only=False))
    data = array.buffers()[1]
    if data is None or not len(array):
        return np.empty(0, dtype)
    return np.frombuffer(data, dtype, len(array), array.offset * dtype.itemsize)


def _arrow_type(feature: Mapping[str, Any]) -> pa.DataType:
    value, shape = pa.from_numpy_dtype(np.dtype(feature["dtype"])), feature["shape"]
    if list(shape) == [1]:
        return value
    if len(shape) == 1:
        return pa.list_(value, shape[0])
    for _ in shape:
        value = pa.list_(value)
    return value


def _hub_feature(feature: Mapping[str, Any]) -> dict[str, Any]:
    shape = list(feature["shape"])
    if shape == [1]:
        return {"dtype": feature["dtype"], "_type": "Value"}
    if len(shape) == 1:
        return {"feature": {"dtype": feature["dtype"], "_type": "Value"}, "length": shape[0], "_type": "List"}
    return {"shape": shape, "dtype": feature["dtype"], "_type": f"Array{len(shape)}D"}


def data_schema(features: Features) -> pa.Schema:
    """Schema of a data file, with the metadata by which `datasets` finds its feature types again."""
    hub = {"info": {"features": {name: _hub_feature(f) for name, f in features.items()}}}
    fields = [pa.field(name, _arrow_type(f)) for name, f in features.items()]
    return pa.schema(fields, {b"huggingface": json.dumps(hub).encode()})


def _to_arrow(array: NDArray[Any], feature: Mapping[str, Any]) -> pa.Array:
    shape = list(feature["shape"])
    flat = pa.array(np.ascontiguousarray(array).reshape(-1))
    if shape == [1]:
        return flat
    if len(shape) == 1:
        return pa.FixedSizeListArray.from_arrays(flat, shape[0])
    for size in reversed(shape):
        offsets = np.arange(0, len(flat) + 1, size, dtype=np.int32)
        flat = pa.ListArray.from_arrays(pa.array(offsets), flat)
    return flat


def to_table(arrays: Mapping[str, NDArray[Any]], features: Features) -> pa.Table:
    """Columns of shape (T, *shape) as a table; every feature must be there."""
    columns = [_to_arrow(arrays[name], feature) for name, feature in features.items()]
    return pa.Table.from_arrays(columns, schema=data_schema(features))


def _hub_type(type_: pa.DataType) -> dict[str, Any]:
    """How `datasets` describes a column of any type."""
    if isinstance(type_, pa.BaseExtensionType):
        return {"_type": "Json"} if type_.extension_name == "arrow.json" else _hub_type(type_.storage_type)
    if pa.types.is_struct(type_):
        return {field.name: _hub_type(field.type) for field in type_}
    if pa.types.is_list(type_) or pa.types.is_large_list(type_):
        return {"feature": _hub_type(type_.value_type), "_type": "List"}
    if pa.types.is_fixed_size_list(type_):
        return {"feature": _hub_type(type_.value_type), "length": type_.list_size, "_type": "List"}
    return {"dtype": {"float": "float32", "double": "float64"}.get(str(type_), str(type_)), "_type": "Value"}


def read_carried(path: Path, names: Collection[str]) -> pa.Table:
    """Columns as Arrow has them."""
    return _read(path, names)


def with_carried(table: pa.Table, carried: pa.Table, features: Features) -> pa.Table:
    """A table with columns that stay as they are, described for `datasets`; those of dtype `image` are pictures."""
    hub = json.loads((table.schema.metadata or {})[b"huggingface"])
    for field in carried.schema:
        said = features.get(field.name, {})
        if said.get("dtype") == "image":
            described: dict[str, Any] = {"_type": "Image"}
        else:
            described = _hub_feature(said) if said.get("dtype") == "uint8" else _hub_type(field.type)
        hub["info"]["features"][field.name] = described
        table = table.append_column(field.remove_metadata(), carried[field.name])
    return table.replace_schema_metadata({b"huggingface": json.dumps(hub).encode()})


def _to_numpy(column: pa.ChunkedArray, feature: Mapping[str, Any], path: Path, name: str) -> NDArray[Any]:
    rows, flat = len(column), column.combine_chunks()
    if isinstance(flat, pa.ExtensionArray):
        flat = flat.storage
    while pa.types.is_list(flat.type) or pa.types.is_fixed_size_list(flat.type) or pa.types.is_large_list(flat.type):
        flat = flat.flatten()
    if flat.null_count:
        raise BadData(path, name, "a value in every row", f"{flat.null_count} nulls")
    shape = () if list(feature["shape"]) == [1] else tuple(feature["shape"])
    values = plain_numbers(flat)
    if values.size != rows * int(np.prod(shape)):
        raise BadData(path, name, f"{rows} rows of shape {list(shape)}", f"{values.size} values")
    return np.asarray(values.astype(feature["dtype"], copy=False).reshape(rows, *shape))


@contextmanager
def reading(path: Path, what: str, expected: str) -> Iterator[None]:
    """Turns what Arrow says of `what` in a file into BadData."""
    try:
        yield
    except FileNotFoundError:
        require_fetched(path)
        raise BadData(path, "file", "to exist", "nothing") from None
    except (pa.ArrowException, OSError, ValueError, KeyError, IndexError, MemoryError) as error:
        require_fetched(path)
        text = (str(error).splitlines() or [type(error).__name__])[0]
        raise BadData(path, what, expected, text[:160]) from error


_FOOTER_BYTES = 2**26  # of footers, as they are on disk, that a process keeps
_Place = tuple[str, int, int, int]
_footers: OrderedDict[_Place, pq.FileMetaData] = OrderedDict()
_footer_lock = threading.Lock()
_kept_bytes = 0  # of all of them: to add them up at every opening takes longer than to open, in a set of many files


def open_table(path: Path) -> pq.ParquetFile:
    """A parquet file, open; its footer is read once in a process for as long as the file stays what it is.

    BadData when it is missing, cut off or no parquet.
    """
    place = _place(path)
    known = _footers.get(place) if place else None
    with reading(path, "footer", "a complete parquet file"):
        file = pq.ParquetFile(source_of(path), metadata=known, page_checksum_verification=True)
        names = file.schema_arrow.names
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise BadData(path, "columns", "every name once", f"{', '.join(twice)} twice")
    if place:
        _keep(place, file.metadata)
    return file


def _keep(place: _Place, footer: pq.FileMetaData) -> None:
    global _kept_bytes
    with _footer_lock:
        old = _footers.pop(place, None)
        _footers[place] = footer
        _kept_bytes += footer.serialized_size - (old.serialized_size if old is not None else 0)
        while len(_footers) > 1 and _kept_bytes > _FOOTER_BYTES:
            _kept_bytes -= _footers.popitem(last=False)[1].serialized_size


def _place(path: Path) -> _Place | None:
    """What tells a file from one that replaces it; `None` behind a URL, where asking costs as much as reading."""
    try:
        known = None if is_remote(path) else path.stat()
    except OSError:
        return None
    return None if known is None else (str(path.absolute()), known.st_ino, known.st_size, known.st_mtime_ns)


def _read(path: Path, names: Collection[str] | None) -> pa.Table:
    with open_table(path) as file:
        missing = sorted(set(names or ()) - set(file.schema_arrow.names))
        if missing:
            raise BadData(path, "columns", ", ".join(missing), ", ".join(file.schema_arrow.names))
        with reading(path, "content", "readable row groups"):
            return file.read(columns=None if names is None else list(names), use_threads=False)


def _read_rows(path: Path, names: Collection[str], rows: range) -> pa.Table:
    with open_table(path) as file:
        missing = sorted(set(names) - set(file.schema_arrow.names))
        if missing:
            raise BadData(path, "columns", ", ".join(missing), ", ".join(file.schema_arrow.names))
        if rows.stop > file.metadata.num_rows:
            raise BadData(path, "rows", f"at least {rows.stop}", file.metadata.num_rows)
        sizes = [file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)]
        ends = np.cumsum(sizes)
        groups = [i for i, end in enumerate(ends) if end > rows.start and end - sizes[i] < rows.stop]
        with reading(path, "content", "readable row groups"):
            table = file.read_row_groups(groups, columns=list(names), use_threads=False)
    before = int(ends[groups[0]] - sizes[groups[0]]) if groups else 0
    return table.slice(rows.start - before, len(rows))


def column_names(path: Path) -> list[str]:
    """Names of the columns of a parquet file, from its footer."""
    with open_table(path) as file:
        return list(file.schema_arrow.names)


def count_rows(path: Path) -> int:
    """Rows of a parquet file, from its footer."""
    with open_table(path) as file:
        return int(file.metadata.num_rows)


def read_columns(path: Path, features: Features, rows: range | None = None) -> dict[str, NDArray[Any]]:
    """The named columns, each (rows, *shape); a feature of shape [1] gives (rows,), as LeRobot's loader does.

    With `rows`, only those, and only the row groups that hold them are read.
    """
    table = _read(path, features.keys()) if rows is None else _read_rows(path, features.keys(), rows)
    return {name: _to_numpy(table[name], feature, path, name) for name, feature in features.items()}


class TableReader:
    """Rows of one parquet file, a few at a time; the file stays open.

    Reads the row groups that hold the rows, so the files of LeRobot and ours, with a group an episode, cost no more
    than what is asked for.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = open_table(path)
        metadata = self._file.metadata
        sizes = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
        self._ends = np.cumsum(sizes, dtype=np.int64)
        self.rows = int(metadata.num_rows)

    def read(self, features: Features, first: int, count: int) -> dict[str, NDArray[Any]]:
        """Rows `first` to `first + count - 1` as `read_columns` gives them; BadData when they are not there."""
        path = self._path
        if first < 0 or first + count > self.rows:
            raise BadData(path, "rows", f"at least {first + count}", self.rows)
        missing = sorted(features.keys() - set(self._file.schema_arrow.names))
        if missing:
            raise BadData(path, "columns", ", ".join(missing), ", ".join(self._file.schema_arrow.names))
        low, high = np.searchsorted(self._ends, (first, first + count - 1), side="right").tolist()
        offset = first - (int(self._ends[low - 1]) if low else 0)
        with reading(path, "content", "readable row groups"):
            table = self._file.read_row_groups(list(range(low, high + 1)), columns=list(features), use_threads=False)
        table = table.slice(offset, count)
        return {name: _to_numpy(table[name], feature, path, name) for name, feature in features.items()}

    def close(self) -> None:
        self._file.close(force=True)


def write_take(
    path: Path,
    features: Features,
    blocks: Iterable[Mapping[str, NDArray[Any]]],
    record: bytes,
    carried: Mapping[str, pa.ChunkedArray] | None = None,
) -> None:
    """A take's numbers and its record in one file: creating files is what a save spends its time on.

    Args:
        blocks: the columns (n, *shape) of consecutive frames; each becomes a row group.
        carried: columns that stay as they are, beside a single block.
    """
    if carried:
        (arrays,) = blocks
        table = with_carried(to_table(arrays, features), pa.table(dict(carried)), {})
        schema = table.schema.with_metadata({**(table.schema.metadata or {}), _RECORD: record})
        with pa.OSFile(str(path), "wb") as sink:
            pq.write_table(table.replace_schema_metadata(schema.metadata), sink, compression="none")
        return
    plain = data_schema(features)
    schema = plain.with_metadata({**(plain.metadata or {}), _RECORD: record})
    with (
        pa.OSFile(str(path), "wb") as sink,
        pq.ParquetWriter(sink, schema, compression="none", use_dictionary=False) as writer,
    ):
        for arrays in blocks:
            writer.write_table(to_table(arrays, features).cast(schema))


def read_record(path: Path) -> bytes:
    """The record that `write_take` put beside the numbers."""
    with open_table(path) as file:
        metadata = file.schema_arrow.metadata or {}
    if _RECORD not in metadata:
        raise BadData(path, "schema metadata", _RECORD.decode(), "none")
    return bytes(metadata[_RECORD])


def write_tasks(path: Path, tasks: Sequence[str]) -> None:
    """LeRobot's task table: a pandas frame with the task as index and `task_index` as its column."""
    described = [
        {"name": "task_index", "field_name": "task_index", "pandas_type": "int64", "numpy_type": "int64"},
        {"name": "task", "field_name": "task", "pandas_type": "unicode", "numpy_type": "object"},
    ]
    pandas = {
        "index_columns": ["task"],
        "column_indexes": [
            {
                "name": None,
                "field_name": None,
                "pandas_type": "unicode",
                "numpy_type": "object",
                "metadata": {"encoding": "UTF-8"},
            }
        ],
        "columns": [{**column, "metadata": None} for column in described],
        "creator": {"library": "pyarrow", "version": pa.__version__},
        "pandas_version": "2.3.3",
    }
    schema = pa.schema([("task_index", pa.int64()), ("task", pa.string())], {b"pandas": json.dumps(pandas).encode()})
    table = pa.table({"task_index": list(range(len(tasks))), "task": list(tasks)}, schema=schema)
    pq.write_table(table, path, compression="snappy")
