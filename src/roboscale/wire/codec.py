"""openpi's wire encoding: msgpack with numpy arrays in it.

Knows bytes and arrays. Does not know websockets, policies or what a key means.
Byte for byte what `openpi_client.msgpack_numpy` writes; stricter in what it reads, because a frame comes from
another machine: every array says how large it is, and lies are refused before anything is allocated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgpack  # type: ignore[import-untyped]
import numpy as np

__all__ = ["CannotDecode", "CannotEncode", "WireError", "pack", "unpack"]

_REFUSED = "VOc"  # openpi's own list: structured or raw, Python objects, complex
_ALLOWED = "biufSUmM"
_MAX_AXES = 32


class WireError(Exception):
    """Base of what goes wrong between values and bytes."""


class CannotEncode(WireError):
    """A value that the format has no place for: a mistake of whoever sends."""


class CannotDecode(WireError):
    """Bytes that are no message: what carried them broke, or the other side speaks something else."""


def pack(message: Mapping[str, Any]) -> bytes:
    """Encodes a message of plain values and arrays.

    Raises:
        CannotEncode: a value that the format has no place for (complex, object and structured arrays among them).
    """
    try:
        return bytes(msgpack.packb(message, default=_encode))
    except (TypeError, ValueError, OverflowError) as error:
        raise CannotEncode(f"cannot be sent over the openpi wire: {error}") from error


def unpack(frame: bytes) -> Any:
    """Decodes one binary frame; arrays are read-only views of it.

    Raises:
        CannotDecode: broken msgpack, or an array whose dtype, shape and data do not agree.
    """
    try:
        return msgpack.unpackb(frame, object_hook=_decode)
    except (ValueError, TypeError, OverflowError, msgpack.exceptions.UnpackException) as error:
        raise CannotDecode(f"not a message of the openpi wire: {error or type(error).__name__}") from error


def _encode(value: object) -> object:
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in _REFUSED:
        raise ValueError(f"arrays of {value.dtype} are refused (kind {value.dtype.kind!r})")
    if isinstance(value, np.ndarray):
        return {b"__ndarray__": True, b"data": value.tobytes(), b"dtype": value.dtype.str, b"shape": value.shape}
    if isinstance(value, np.generic):
        return {b"__npgeneric__": True, b"data": value.item(), b"dtype": value.dtype.str}
    raise TypeError(f"values of type {type(value).__name__} have no encoding")


def _decode(value: dict[Any, Any]) -> Any:
    if b"__ndarray__" in value:
        return _array(value)
    if b"__npgeneric__" in value:
        dtype, data = _dtype(value.get(b"dtype")), value.get(b"data")
        if not isinstance(data, (bool, int, float, str, bytes)):
            raise ValueError(f"a scalar of {dtype} cannot hold {type(data).__name__}")
        if dtype.kind in "iu" and isinstance(data, (bool, int)) and not _fits(data, dtype):
            raise ValueError(f"a scalar of {dtype} cannot hold {data}")
        return dtype.type(data)
    return value


def _fits(number: int, dtype: np.dtype[Any]) -> bool:
    """Whether the integer is in the dtype's range; older numpy wraps it without a word."""
    limits = np.iinfo(dtype)
    return bool(limits.min <= number <= limits.max)


def _array(value: dict[Any, Any]) -> np.ndarray[Any, Any]:
    dtype, data, shape = _dtype(value.get(b"dtype")), value.get(b"data"), value.get(b"shape")
    if not isinstance(data, bytes):
        raise ValueError(f"array data: expected bytes, found {type(data).__name__}")
    if not isinstance(shape, list) or len(shape) > _MAX_AXES or not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError(f"array shape: expected up to {_MAX_AXES} sizes, found {str(shape)[:80]}")
    size = math.prod(shape) * dtype.itemsize  # exact: Python integers do not wrap
    if size != len(data):
        raise ValueError(f"an array {dtype}{shape} needs {size} bytes, found {len(data)}")
    return np.ndarray(tuple(shape), dtype, buffer=data)


def _dtype(text: object) -> np.dtype[Any]:
    if not isinstance(text, str) or len(text) > 32:
        raise ValueError(f"array dtype: expected text, found {type(text).__name__}")
    dtype = np.dtype(text)
    # Equality with its own name keeps every other spelling numpy understands ("f4,f4", "O", "float32") outside.
    if dtype.str != text or dtype.kind not in _ALLOWED or dtype.itemsize == 0:
        raise ValueError(f"array dtype: expected a number or text such as '<f4', found {text!r}")
    return dtype
