"""TFRecord files: payloads one after the other, each between checksums.

    u64 length | u32 masked crc32c of the length | payload | u32 masked crc32c of the payload      (little endian)

Knows bytes, not what they mean. Source: tensorflow/core/lib/io/record_writer.h.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import crc32c

from roboscale.core import BadData
from roboscale.dataset.unfetched import require_fetched

__all__ = ["Shard", "index_shard", "read_payload", "write_payload"]

_HEADER = struct.Struct("<QI")
_CHECKSUM = struct.Struct("<I")
_MASK = 0xA282EAD8


@dataclass(frozen=True, slots=True)
class Shard:
    """One file and where its records begin.

    Args:
        offsets: of the header of every record that the headers lead to.
        damage: why the file could not be followed to its end; `None` when it could.
    """

    path: Path
    offsets: tuple[int, ...]
    damage: BadData | None = None


def _masked(data: bytes) -> int:
    crc = int(crc32c.crc32c(data))
    return ((crc >> 15 | crc << 17) + _MASK) & 0xFFFFFFFF


def _read_length(file: BinaryIO, path: Path, number: int, size: int) -> int:
    """Length of the payload whose header begins here; BadData unless it is sound and lies within the file."""
    begin, header = file.tell(), file.read(_HEADER.size)
    where = f"record {number} at byte {begin}"
    if len(header) < _HEADER.size:
        raise BadData(path, where, f"a header of {_HEADER.size} bytes", f"{len(header)} bytes")
    length, checksum = _HEADER.unpack(header)
    if _masked(header[:8]) != checksum:
        raise BadData(path, where, f"checksum {checksum:08x} of the length", f"{_masked(header[:8]):08x}")
    left = size - file.tell() - _CHECKSUM.size
    if length > left:
        raise BadData(path, where, f"a payload of {length} bytes", f"{max(left, 0)} bytes to the end of the file")
    return int(length)


def index_shard(path: Path) -> Shard:
    """Finds the records of a file by its headers; payloads are skipped over, not read.

    A file that is cut off, or whose headers are broken, gives the records before that and says why it stops.
    """
    offsets: list[int] = []
    size = path.stat().st_size
    try:
        require_fetched(path)
        with path.open("rb") as file:
            while file.tell() < size:
                begin = file.tell()
                length = _read_length(file, path, len(offsets), size)
                file.seek(length + _CHECKSUM.size, 1)
                offsets.append(begin)
    except BadData as damage:
        return Shard(path, tuple(offsets), damage)
    return Shard(path, tuple(offsets))


def read_payload(shard: Shard, number: int) -> bytes:
    """The bytes of one record; BadData when either checksum fails."""
    path = shard.path
    with path.open("rb") as file:
        file.seek(shard.offsets[number])
        length = _read_length(file, path, number, path.stat().st_size)
        payload, tail = file.read(length), file.read(_CHECKSUM.size)
    where = f"record {number} at byte {shard.offsets[number]}"
    if len(payload) < length or len(tail) < _CHECKSUM.size:
        raise BadData(path, where, f"a payload of {length} bytes", f"{len(payload)} bytes")
    (checksum,) = _CHECKSUM.unpack(tail)
    if _masked(payload) != checksum:
        raise BadData(path, where, f"checksum {checksum:08x} of the payload", f"{_masked(payload):08x}")
    return payload


def write_payload(file: BinaryIO, payload: bytes) -> None:
    """Appends one record with both checksums."""
    length = struct.pack("<Q", len(payload))
    file.write(length + _CHECKSUM.pack(_masked(length)) + payload + _CHECKSUM.pack(_masked(payload)))
