"""One zarr array, format 2 or 3: its metadata, and rows of it.

Read here and not by zarr itself, which starts a thread per process, fills in missing chunks without a word, and
believes every size that a broken file claims.
Source: https://zarr-specs.readthedocs.io/en/latest/v2/v2.0.html
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData
from roboscale.sources.records.zarr.codecs import CODECS, FILTERS, decode_chunk
from roboscale.sources.records.zarr.store import ByteStore, read_json
from roboscale.sources.records.zarr.version3 import in_words_of_version_2

__all__ = ["Absent", "ZarrArray"]

Absent = Literal["fail", "fill"]
"""What to do about chunks that are not there: zarr calls them `fill_value`, a copy that broke off looks the same."""

_CHUNK_BYTES = 2**30
_SLACK = 2**20  # no codec makes a chunk longer than that beyond its size


class ZarrArray:
    """An array that slices along its first axis.

    Args:
        path: of the array within the store.
        absent: what to do about chunks that are not there.

    Attributes:
        shape, dtype: of the array; the dtype in this machine's byte order.
        codec: name of the compressor, empty where there is none.

    Raises:
        BadData: the metadata is broken, or says something that is not read; names the key.
    """

    def __init__(self, store: ByteStore, path: str, absent: Absent = "fail") -> None:
        self._store, self._path, self._absent = store, path, absent
        self._file, self._before = store.path / path / ".zarray", ""
        raw = read_json(store, f"{path}/.zarray")
        if raw is None and (newer := read_json(store, f"{path}/zarr.json")) is not None:
            self._file = store.path / path / "zarr.json"
            raw, self._before = in_words_of_version_2(self._file, newer)
        if raw is None:
            raise BadData(self._file, "file", "to exist", "nothing")
        if raw.get("zarr_format") != 2:
            raise BadData(self._file, "zarr_format", 2, raw.get("zarr_format"))
        self.shape = self._sizes(raw, "shape", 0)
        self._chunks = self._sizes(raw, "chunks", 1)
        self._stored = self._dtype(raw.get("dtype"))
        self.dtype = self._stored.newbyteorder("=")
        self._check_layout()
        self._order = self._one_of(raw, "order", ("C", "F"), "C")
        self._separator = self._one_of(raw, "dimension_separator", (".", "/"), ".")
        self._compressor = self._codec(raw.get("compressor"), "compressor", CODECS)
        self.codec = str(self._compressor["id"]) if self._compressor else ""
        filters = raw.get("filters") or []
        if not isinstance(filters, list):
            raise BadData(self._file, "filters", "a list or null", filters)
        self._filters = [c for c in (self._codec(f, "filters", FILTERS) for f in filters) if c is not None]
        fill = raw.get("fill_value")
        self._fill = fill if isinstance(fill, (int, float)) else 0
        self._last: tuple[str, NDArray[Any]] | None = None

    @property
    def cut_axes(self) -> tuple[int, ...]:
        """Axes, but the first, along which a chunk is longer than the array: what lies beyond is not read."""
        return tuple(i for i, (n, c) in enumerate(zip(self.shape, self._chunks, strict=True)) if i and c > n)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        """Rows of the array as (n, *shape[1:]); BadData when a chunk is broken or not there."""
        first, stop, _ = rows.indices(len(self))
        height = self._chunks[0]
        numbers = range(first // height, -(-stop // height)) if stop > first else range(0)
        self._require_chunks(numbers)
        out = np.empty((max(stop - first, 0), *self.shape[1:]), self.dtype)
        for number in numbers:
            begin, end = max(first, number * height), min(stop, (number + 1) * height)
            for rest in self._grid():
                chunk = self._chunk((number, *rest))
                where = tuple(
                    slice(i * c, min((i + 1) * c, n))
                    for i, c, n in zip(rest, self._chunks[1:], self.shape[1:], strict=True)
                )
                inside = tuple(slice(0, w.stop - w.start) for w in where)
                out[(slice(begin - first, end - first), *where)] = chunk[
                    (slice(begin - number * height, end - number * height), *inside)
                ]
        return out

    def _grid(self) -> Sequence[tuple[int, ...]]:
        """Chunk numbers along every axis but the first."""
        counts = (range(-(-n // c)) for n, c in zip(self.shape[1:], self._chunks[1:], strict=True))
        return list(itertools.product(*counts))

    def _key(self, number: Sequence[int]) -> str:
        return f"{self._path}/{self._before}{self._separator.join(map(str, number))}"

    def _require_chunks(self, numbers: range) -> None:
        """Before memory is taken for rows that a broken shape only claims."""
        if self._absent == "fill":
            if len(numbers) * math.prod(self._chunks) * self.dtype.itemsize > 16 * _CHUNK_BYTES:
                raise BadData(self._file, "shape", f"rows below {16 * _CHUNK_BYTES} bytes", list(self.shape))
            return
        for number in numbers:
            for rest in self._grid():
                key = self._key((number, *rest))
                if not self._store.has(key):
                    found = "nothing; if it was never written on purpose, --absent fill reads fill_value there"
                    raise BadData(self._store.path, key, "a chunk", found)

    def _chunk(self, number: Sequence[int]) -> NDArray[Any]:
        key = self._key(number)
        if self._last is not None and self._last[0] == key:  # episodes share chunks with their neighbours
            return self._last[1]
        size = math.prod(self._chunks) * self.dtype.itemsize
        data = self._store.get(key, 2 * size + _SLACK)
        if data is None:
            chunk = np.full(self._chunks, self._fill, self._stored)
        else:
            chunk = decode_chunk(
                data,
                self._chunks,
                self._stored,
                self._order,
                self._compressor,
                self._filters,
                self._store.path,
                key,
            )
        self._last = (key, chunk)
        return chunk

    def _sizes(self, raw: Mapping[str, Any], key: str, low: int) -> tuple[int, ...]:
        sizes = raw.get(key)
        good = isinstance(sizes, list) and all(type(n) is int and low <= n < 2**48 for n in sizes)
        if not good or not sizes or len(sizes) > 8:
            raise BadData(self._file, key, f"1 to 8 integers from {low}", str(sizes)[:80])
        return tuple(sizes)

    def _dtype(self, declared: Any) -> np.dtype[Any]:
        try:
            dtype = np.dtype(declared) if isinstance(declared, str) else None
        except (TypeError, ValueError, SyntaxError):
            dtype = None
        if dtype is None or not dtype.itemsize:
            raise BadData(self._file, "dtype", "one numpy dtype", str(declared)[:80])
        return dtype

    def _check_layout(self) -> None:
        if len(self.shape) != len(self._chunks):
            raise BadData(self._file, "chunks", f"{len(self.shape)} axes as in shape", len(self._chunks))
        size = math.prod(self._chunks) * self.dtype.itemsize
        if size > _CHUNK_BYTES:
            raise BadData(self._file, "chunks", f"chunks of at most {_CHUNK_BYTES} bytes", size)
        grid = math.prod(-(-n // c) for n, c in zip(self.shape[1:], self._chunks[1:], strict=True))
        if grid > 2**16 or math.prod(self.shape[1:]) * self.dtype.itemsize > _CHUNK_BYTES:
            raise BadData(self._file, "shape", f"rows of at most {_CHUNK_BYTES} bytes", list(self.shape))

    def _one_of(self, raw: Mapping[str, Any], key: str, valid: Sequence[str], default: str) -> str:
        value = raw.get(key, default)
        if value not in valid:
            raise BadData(self._file, key, " or ".join(valid), str(value)[:80])
        return str(value)

    def _codec(self, config: Any, key: str, valid: Sequence[str]) -> Mapping[str, Any] | None:
        if config is None:
            return None
        if not isinstance(config, dict) or config.get("id") not in valid:
            found = config.get("id") if isinstance(config, dict) else config
            raise BadData(self._file, key, f"one of {', '.join(valid)}", str(found)[:80])
        return config
