"""One spelling of plain values in bytes, so that equal values have equal digests on every machine, in every process.

Every token carries its type and its length: `1`, `"1"`, `True` and `1.0` differ, and no two lists of tokens can be
joined to the same bytes. Knows numbers, texts, arrays; not functions or objects (`objects`).
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Iterable, Iterator
from typing import Any, TypeGuard, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["array_token", "content_digest", "has_type", "plain_token", "token"]

T = TypeVar("T")

_BIG_ENDIAN = struct.Struct(">d").pack
_BLOCK = 1 << 24  # bytes; what is copied at once of an array that is not contiguous
_DEEPEST = 16  # levels of tuples within tuples that are spelled in place


def has_type(value: object, kind: type[T]) -> TypeGuard[T]:
    """`isinstance` that does not ask the value, whose `__class__` may be a property of the user's."""
    return issubclass(type(value), kind)


def token(tag: str, *parts: bytes) -> bytes:
    """`tag` (no digits in it) and `parts`, each with its length; where a token ends can be read from its beginning."""
    if len(parts) == 1:
        return b"%s1;%d:%s" % (tag.encode(), len(parts[0]), parts[0])
    return b"%s%d;" % (tag.encode(), len(parts)) + b"".join([b"%d:%s" % (len(part), part) for part in parts])


def content_digest(parts: Iterable[bytes]) -> bytes:
    """32 bytes over the parts, lengths included."""
    digest = hashlib.blake2b(digest_size=32)
    for part in parts:
        digest.update(b"%d:" % len(part))
        digest.update(part)
    return digest.digest()


def plain_token(value: object, depth: int = 0) -> bytes | None:
    """The spelling of a plain value; `None` for everything that is more than its value.

    Plain are None, Ellipsis, NotImplemented, booleans, numbers (numpy's too), texts, bytes, ranges, slices, dtypes,
    and tuples and frozensets of these. Subclasses are not plain. All NaN are one value; -0.0 and 0.0 are two.
    """
    write = _PLAIN.get(type(value))
    if write is not None:
        written: bytes | None = write(value, depth)
        return written
    if (
        issubclass(type(value), np.generic)
        and type(value).__module__ == "numpy"
        and not np.asarray(value).dtype.hasobject
    ):
        return array_token(np.asarray(value))
    if has_type(value, np.dtype):
        return token("dtype", repr(value).encode())
    return None


def array_token(array: NDArray[Any]) -> bytes:
    """Dtype, shape and the digest of the values in C order; object arrays are not accepted.

    A contiguous array is read where it lies. The padding of a structured dtype is no value and does not count.
    """
    if array.dtype.hasobject:
        raise TypeError(f"an array of {array.dtype} has no bytes of its own")
    head = [repr(array.dtype).encode(), repr(array.shape).encode()]
    if array.dtype.names is not None:
        return token("array", *head, *(array_token(array[name]) for name in array.dtype.names))
    digest = hashlib.blake2b(digest_size=32)
    for block in _blocks(np.asarray(array)):
        digest.update(block.data)
    return token("array", *head, digest.digest())


def _blocks(array: NDArray[Any]) -> Iterator[NDArray[np.uint8]]:
    """The bytes of an array in C order."""
    if array.size == 0 or array.dtype.itemsize == 0:
        return
    if array.flags.c_contiguous:
        yield array.reshape(-1).view(np.uint8)
    elif array.ndim > 1 and array[0].nbytes > _BLOCK:
        for row in array:
            yield from _blocks(row)
    else:
        rows = max(1, _BLOCK // array[:1].nbytes)
        for first in range(0, len(array), rows):
            yield np.ascontiguousarray(array[first : first + rows]).reshape(-1).view(np.uint8)


def _float(value: float) -> bytes:
    return _BIG_ENDIAN(math.nan if value != value else value)


def _several(tag: str, values: Iterable[object], depth: int) -> bytes | None:
    if depth >= _DEEPEST:
        return None
    tokens = [plain_token(value, depth + 1) for value in values]
    known = [t for t in tokens if t is not None]
    if len(known) < len(tokens):
        return None
    return token(tag, *(sorted(known) if tag == "frozenset" else known))


def _slice(value: slice, depth: int) -> bytes | None:
    return _several("slice", (value.start, value.stop, value.step), depth)


_PLAIN: dict[type, Any] = {
    type(None): lambda value, depth: b"none0;",
    type(...): lambda value, depth: b"ellipsis0;",
    type(NotImplemented): lambda value, depth: b"notimplemented0;",
    bool: lambda value, depth: b"true0;" if value else b"false0;",
    int: lambda value, depth: token("int", b"%x" % value),
    float: lambda value, depth: b"float1;8:" + _float(value),
    complex: lambda value, depth: token("complex", _float(value.real), _float(value.imag)),
    str: lambda value, depth: token("str", value.encode("utf-8", "surrogatepass")),
    bytes: lambda value, depth: token("bytes", value),
    range: lambda value, depth: _several("range", (value.start, value.stop, value.step), depth),
    slice: _slice,
    tuple: lambda value, depth: _several("tuple", value, depth),
    frozenset: lambda value, depth: _several("frozenset", value, depth),
}
