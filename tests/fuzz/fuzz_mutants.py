"""One way to break one file, chosen by a seed. The same seed and sample give the same mutant."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

__all__ = ["KINDS", "Mutant", "mutate"]

_MAX_RANGE = 4096
_WIDTHS = {
    **dict.fromkeys((b"uint8", b"|u1", b"bool"), 1),
    **dict.fromkeys((b"float32", b"int32", b"<f4", b"<i4"), 4),
    **dict.fromkeys((b"float64", b"int64", b"<f8", b"<i8"), 8),
}
_NUMBER = re.compile(rb"-?\d+(\.\d+)?")
_ODD_NUMBERS = (b"0", b"-1", b"1", b"4294967295", b"9223372036854775807", b"1e400", b"null", b'"x"', b"[]", b"{}")


@dataclass(frozen=True)
class Mutant:
    """Which file was broken and how; `data` is None where it was taken away."""

    file: Path
    kind: str
    data: bytes | None


def mutate(files: list[Path], seed: int) -> Mutant:
    """Breaks one of `files`: half of the time any of them, else the larger the likelier."""
    rng = np.random.default_rng(seed)
    sizes = np.array([file.stat().st_size for file in files], float)
    weights = None if rng.random() < 0.5 or not sizes.sum() else sizes / sizes.sum()
    file = files[int(rng.choice(len(files), p=weights))]
    kind = str(rng.choice(list(KINDS)))
    data = file.read_bytes()
    return Mutant(file, kind, None if kind == "absent" else KINDS[kind](data, rng))


def _range(data: bytes, rng: np.random.Generator) -> tuple[int, int]:
    begin = int(rng.integers(0, max(len(data), 1)))
    return begin, min(begin + int(np.exp(rng.uniform(0, np.log(_MAX_RANGE)))), len(data))


def _truncate(data: bytes, rng: np.random.Generator) -> bytes:
    return data[: int(rng.integers(0, max(len(data), 1)))]


def _flip(data: bytes, rng: np.random.Generator) -> bytes:
    broken = bytearray(data)
    for _ in range(int(rng.integers(1, 9)) if data else 0):
        broken[int(rng.integers(len(broken)))] ^= 1 << int(rng.integers(8))
    return bytes(broken)


def _zeros(data: bytes, rng: np.random.Generator) -> bytes:
    begin, end = _range(data, rng)
    return data[:begin] + bytes(end - begin) + data[end:]


def _noise(data: bytes, rng: np.random.Generator) -> bytes:
    begin, end = _range(data, rng)
    return data[:begin] + rng.bytes(end - begin) + data[end:]


def _delete(data: bytes, rng: np.random.Generator) -> bytes:
    begin, end = _range(data, rng)
    return data[:begin] + data[end:]


def _double(data: bytes, rng: np.random.Generator) -> bytes:
    begin, end = _range(data, rng)
    return data[:end] + data[begin:end] + data[end:]


def _length(data: bytes, rng: np.random.Generator) -> bytes:
    """Changes bytes that look like a count: a small number of 2, 4 or 8 bytes."""
    form = str(rng.choice(["<H", "<I", "<Q", ">I"]))
    size = struct.calcsize(form)
    for _ in range(200):
        if len(data) <= size:
            break
        at = int(rng.integers(len(data) - size))
        (value,) = struct.unpack_from(form, data, at)
        if 0 < value <= 2 * len(data):
            top = 256**size - 1
            swapped = int.from_bytes(data[at : at + size][::-1], "little" if form[0] == "<" else "big")
            wrong = [0, value - 1, value + 1, value * 2, len(data), top, top // 2, swapped]
            return data[:at] + struct.pack(form, min(int(rng.choice(wrong)), top)) + data[at + size :]
    return _flip(data, rng)


def _dtype(data: bytes, rng: np.random.Generator, *, same_width: bool = False) -> bytes:
    """Writes another dtype where the file names one; in binary files one whose name is as long."""
    found = [(m.start(), name) for name in _WIDTHS for m in re.finditer(re.escape(name), data)]
    if not found:
        return _number(data, rng)
    at, name = found[int(rng.integers(len(found)))]
    others = [o for o in _WIDTHS if o != name and (_WIDTHS[o] == _WIDTHS[name]) == same_width]
    if b"\0" in data:
        others = [other for other in others if len(other) == len(name)]
    if not others:
        return _flip(data, rng)
    return data[:at] + others[int(rng.integers(len(others)))] + data[at + len(name) :]


def _claim(data: bytes, rng: np.random.Generator) -> bytes:
    """Writes another dtype of the same width."""
    return _dtype(data, rng, same_width=True)


def _number(data: bytes, rng: np.random.Generator) -> bytes:
    """Writes an odd number, or something that is none, where a text has a number."""
    found = list(_NUMBER.finditer(data)) if b"\0" not in data else []
    if not found:
        return _length(data, rng)
    match = found[int(rng.integers(len(found)))]
    return data[: match.start()] + _ODD_NUMBERS[int(rng.integers(len(_ODD_NUMBERS)))] + data[match.end() :]


def _absent(data: bytes, rng: np.random.Generator) -> bytes:
    raise AssertionError("an absent file has no bytes")


KINDS: dict[str, Callable[[bytes, np.random.Generator], bytes]] = {
    "truncate": _truncate,
    "flip": _flip,
    "zeros": _zeros,
    "noise": _noise,
    "delete": _delete,
    "double": _double,
    "length": _length,
    "dtype": _dtype,
    "claim": _claim,
    "number": _number,
    "absent": _absent,
}
"""Ways to break a file."""
