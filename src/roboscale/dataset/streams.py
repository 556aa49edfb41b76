"""Sensors at their own rate, beside the grid of frames: one parquet per episode and stream, and resampling.

    meta/roboscale/streams/<stream name>/<episode id>.parquet    of a sealed episode
    <pending folder>/streams/<stream name>.parquet               of one that is only saved

Columns `time_ns` (int64) and `value` (a number, or a fixed-size list of them, row-major); the schema's metadata says
shape, dtype, unit, layout and name, with a checksum over all of it. Real timestamps stay on disk; a rate is chosen
when data is read.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from roboscale.core.errors import BadData, SpecMismatch
from roboscale.core.recording import Stream
from roboscale.dataset.remote import source_of
from roboscale.dataset.tables import number_dtype

__all__ = [
    "FRAME_TIMES",
    "SOURCE_TIMES",
    "Resample",
    "read_stream",
    "resample",
    "stream_names",
    "stream_path",
    "write_stream",
]

FRAME_TIMES = "time.frame_ns"
"""The column that says when each frame was taken, on the clock of the streams."""

SOURCE_TIMES = "time.source_ns"
"""The column of a resampled dataset that says when the frame that is shown was recorded."""

Resample = Literal["previous", "linear"]
"""`previous` holds the last value that was there at the time; `linear` interpolates, looking ahead by one sample."""

_KEY = b"roboscale.stream"


def stream_path(streams: Path, name: str, episode_id: str = "") -> Path:
    """Where a stream lies under a folder `streams`: of one episode of many, or in the folder of a single episode.

    SpecMismatch when the name cannot be a file's.
    """
    if "/" in name or name.startswith(".") or not name:
        raise SpecMismatch(f"{name!r} cannot be a stream: its name is empty, begins with a dot or holds a /")
    return streams / name / f"{episode_id}.parquet" if episode_id else streams / f"{name}.parquet"


def stream_names(streams: Path) -> tuple[str, ...]:
    """Streams under `meta/roboscale/streams`, sorted; none where there is no such folder."""
    try:
        return tuple(sorted(path.name for path in streams.iterdir() if not path.name.startswith(".")))
    except FileNotFoundError:
        return ()


def write_stream(path: Path, stream: Stream, name: str) -> None:
    """Writes one stream of one episode; the folder must exist."""
    values = np.ascontiguousarray(stream.values)
    shape = values.shape[1:]
    flat = pa.array(values.reshape(-1))
    column = pa.FixedSizeListArray.from_arrays(flat, int(np.prod(shape))) if shape else flat
    said: dict[str, Any] = {
        "shape": list(shape),
        "dtype": values.dtype.name,
        "unit": stream.unit,
        "layout": list(stream.layout),
        "name": name,
    }
    said["crc32"] = _checksum(said, stream.time_ns, values)
    schema = pa.schema([("time_ns", pa.int64()), ("value", column.type)], {_KEY: json.dumps(said).encode()})
    table = pa.Table.from_arrays([pa.array(stream.time_ns), column], schema=schema)
    pq.write_table(table, path, compression="snappy", use_dictionary=False)


def read_stream(path: Path) -> Stream:
    """Inverse of `write_stream`, to the bit; BadData when the file is broken or lies about itself."""
    try:
        with pq.ParquetFile(source_of(path)) as file:
            table = file.read(use_threads=False)
    except FileNotFoundError:
        raise BadData(path, "file", "to exist", "nothing") from None
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise BadData(path, "file", "a complete parquet file", str(error).splitlines()[0]) from error
    if table.column_names != ["time_ns", "value"] or table.schema.field("time_ns").type != pa.int64():
        raise BadData(path, "columns", "time_ns (int64), value", str(table.schema.remove_metadata()))
    said, shape, dtype = _header(path, table.schema.metadata or {})
    values = _values(path, table["value"], shape, dtype)
    times = table["time_ns"].combine_chunks()
    if times.null_count:
        raise BadData(path, "time_ns", "a time in every row", f"{times.null_count} nulls")
    time_ns = times.to_numpy(zero_copy_only=False)
    expected = said.pop("crc32", None)
    actual = _checksum(said, time_ns, values)
    if expected not in (None, actual):
        raise BadData(path, "crc32", expected, actual)
    try:
        return Stream(time_ns, values, said["unit"], tuple(map(str, said["layout"])))
    except SpecMismatch as error:
        raise BadData(path, "time_ns", "times that do not go backwards", error) from error


def _checksum(said: Mapping[str, Any], time_ns: NDArray[np.int64], values: NDArray[Any]) -> int:
    """Of everything that a stream says; parquet's own cover its pages, but not how many rows there are."""
    total = zlib.crc32(json.dumps(said, sort_keys=True).encode())
    for array in (time_ns, values):
        total = zlib.crc32(array.tobytes(), total)
    return total


def _header(path: Path, metadata: Mapping[bytes, bytes]) -> tuple[dict[str, Any], tuple[int, ...], np.dtype[Any]]:
    try:
        said = json.loads(metadata[_KEY])
        if not isinstance(said["unit"], str) or not isinstance(said["layout"], list):
            raise TypeError("unit is a text and layout a list of names")
        return said, tuple(int(n) for n in said["shape"]), np.dtype(said["dtype"])
    except (KeyError, TypeError, ValueError) as error:
        raise BadData(path, _KEY.decode(), "shape, dtype, unit and layout", repr(error)) from error


def _values(path: Path, column: pa.ChunkedArray, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    rows, flat = len(column), column.combine_chunks()
    width = int(np.prod(shape))
    if pa.types.is_fixed_size_list(flat.type):
        flat = flat.flatten()
    is_sound = not flat.null_count and len(flat) == rows * width and all(n > 0 for n in shape)
    if not is_sound or number_dtype(flat.type) != dtype:
        holds = f"{len(flat)} of {flat.type} with {flat.null_count} nulls"
        raise BadData(path, "value", f"{rows} of shape {list(shape)}, {dtype}, no nulls", holds)
    return np.asarray(flat.to_numpy(zero_copy_only=False)).reshape(rows, *shape)


def resample(stream: Stream, at_ns: NDArray[np.int64], how: Resample) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Values of a stream at given times.

    Args:
        stream: at least one sample; with equal times the last of them counts.
        at_ns: (W,) times on the stream's clock.
        how: `linear` keeps a floating dtype and gives float64 for any other.

    Returns:
        Values (W, *shape), and (W,) True where the stream does not reach: there the nearest sample stands in.
    """
    times = stream.time_ns
    if not len(times):
        raise SpecMismatch("a stream without samples cannot be resampled")
    outside = (at_ns < times[0]) | (at_ns > times[-1])
    before = np.searchsorted(times, at_ns, side="right") - 1
    left = np.clip(before, 0, len(times) - 1)
    if how == "previous":
        return stream.values[left], outside
    right = np.clip(before + 1, 0, len(times) - 1)
    gap = times[right] - times[left]
    share = np.where(gap > 0, (at_ns - times[left]) / np.maximum(gap, 1), 0.0).clip(0, 1)
    share = share.reshape(-1, *(1,) * (stream.values.ndim - 1))
    dtype = stream.values.dtype if stream.values.dtype.kind == "f" else np.dtype(np.float64)
    low, high = stream.values[left].astype(np.float64), stream.values[right].astype(np.float64)
    return (low + (high - low) * share).astype(dtype), outside
