"""Chunks back to bytes, never more of them than the array's metadata allows.

The codecs that numcodecs wrote into the field's zarr files, and UMI's JPEG XL pictures. Codecs that could run code
(`pickle`) are not among them.
Source: zarr storage specification 2; the headers of Blosc 1, LZ4 as numcodecs frames it, and RFC 8878 (Zstandard).
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numcodecs
import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData

__all__ = ["CODECS", "FILTERS", "JPEG_XL", "decode_chunk"]

_STREAMS = ("zlib", "gzip", "bz2", "lzma")
_BLOCKS = ("blosc", "lz4", "zstd")
JPEG_XL = "imagecodecs_jpegxl"
"""What UMI's files call it."""

CODECS = (*_BLOCKS, *_STREAMS, JPEG_XL)
"""Compressors that are read."""

FILTERS = ("delta", "shuffle")
"""Filters that are undone; they keep the number of bytes."""


def decode_chunk(
    data: bytes,
    shape: Sequence[int],
    dtype: np.dtype[Any],
    order: str,
    compressor: Mapping[str, Any] | None,
    filters: Sequence[Mapping[str, Any]],
    where: object,
    field: str,
) -> NDArray[Any]:
    """One chunk, `shape` of `dtype`.

    Raises:
        BadData: the bytes are broken, or are not as many as shape and dtype need.
    """
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    try:
        if compressor is not None and compressor["id"] == JPEG_XL:
            return _jpeg_xl(data, shape, dtype)
        raw = data if compressor is None else _decompress(data, compressor, size)
        for config in reversed(filters):
            raw = bytes(numcodecs.get_codec(dict(config)).decode(raw))
    except (RuntimeError, ValueError, TypeError, OSError, EOFError, MemoryError, zlib.error, lzma.LZMAError) as error:
        name = compressor["id"] if compressor else "raw"
        raise BadData(where, field, f"a whole chunk of {name} data", str(error)[:120]) from error
    if len(raw) != size:
        raise BadData(where, field, f"a chunk of {size} bytes", len(raw))
    return np.frombuffer(raw, dtype).reshape(tuple(shape), order="F" if order == "F" else "C")


def _jpeg_xl(data: bytes, shape: Sequence[int], dtype: np.dtype[Any]) -> NDArray[Any]:
    import imagecodecs

    out = np.empty(tuple(shape), dtype)
    imagecodecs.jpegxl_decode(data, numthreads=1, out=out)  # ValueError when the picture is of another size
    return out


def _decompress(data: bytes, compressor: Mapping[str, Any], size: int) -> bytes:
    name = compressor["id"]
    if name in _STREAMS:
        return _inflate(data, name, size)
    claimed = _claimed(data, name)
    if claimed is not None and claimed != size:
        raise ValueError(f"its header claims {claimed} bytes instead of {size}")
    return bytes(numcodecs.get_codec(dict(compressor)).decode(data))


def _inflate(data: bytes, name: str, size: int) -> bytes:
    """At most one byte more than `size`; a stream that does not end is an error."""
    stream: Any
    if name == "bz2":
        stream = bz2.BZ2Decompressor()
    elif name == "lzma":
        stream = lzma.LZMADecompressor(memlimit=2**28)
    else:
        stream = zlib.decompressobj(31 if name == "gzip" else 15)
    raw: bytes = stream.decompress(data, size + 1)
    if not stream.eof:
        raise ValueError(f"the stream has no end within {size} bytes")
    return raw


def _claimed(data: bytes, name: str) -> int | None:
    """Bytes that a block says it decodes to, looked up before anything is allocated for them."""
    if len(data) < 16 and name == "blosc":
        raise ValueError(f"{len(data)} bytes are no Blosc header")
    if name == "blosc":
        if int.from_bytes(data[12:16], "little") != len(data):
            raise ValueError(f"{len(data)} bytes, its header claims {int.from_bytes(data[12:16], 'little')}")
        return int.from_bytes(data[4:8], "little")
    if name == "lz4":
        return int.from_bytes(data[:4], "little", signed=True)
    return _zstd_claimed(data)


def _zstd_claimed(data: bytes) -> int | None:
    """Content size in a Zstandard frame's header; `None` where the frame does not say."""
    if len(data) < 6 or data[:4] != b"\x28\xb5\x2f\xfd":
        raise ValueError("no Zstandard frame")
    flag, single = data[4] >> 6, data[4] >> 5 & 1
    begin = 5 + (not single) + (0, 1, 2, 4)[data[4] & 3]
    width = (single, 2, 4, 8)[flag]
    if not width:
        return None
    return int.from_bytes(data[begin : begin + width], "little") + (256 if width == 2 else 0)
