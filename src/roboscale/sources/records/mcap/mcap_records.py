"""The bytes of MCAP's records: little-endian numbers, counted texts, packed chunks. Every count is checked first."""

from __future__ import annotations

import struct
from zlib import crc32

__all__ = ["Cursor", "Damage", "unpack_chunk"]

_MAX_CHUNK = 2**30  # bytes unpacked; a broken header may claim anything


class Damage(Exception):
    """The file is broken from byte `at` on. Never leaves this room."""

    def __init__(self, at: int, reason: str) -> None:
        super().__init__(f"byte {at}: {reason}")
        self.at, self.reason = at, reason


class Cursor:
    """Reads one record's body from the front; Damage at `where` when it ends too soon."""

    def __init__(self, body: bytes | memoryview, where: int) -> None:
        self._body, self._at, self.where = body, 0, where

    def _unpack(self, form: str, size: int) -> int:
        if self._at + size > len(self._body):
            raise Damage(self.where, f"a record of {len(self._body)} bytes is too short")
        (value,) = struct.unpack_from(form, self._body, self._at)
        self._at += size
        return int(value)

    def u16(self) -> int:
        return self._unpack("<H", 2)

    def u32(self) -> int:
        return self._unpack("<I", 4)

    def u64(self) -> int:
        return self._unpack("<Q", 8)

    def take(self, length: int) -> bytes | memoryview:
        """The next `length` bytes."""
        if length > len(self._body) - self._at:
            raise Damage(self.where, f"{length} bytes are claimed where {len(self._body) - self._at} are left")
        self._at += length
        return self._body[self._at - length : self._at]

    def text(self) -> str:
        """A text with its length in front."""
        return self._decode(self.take(self.u32()))

    def blob(self) -> str:
        """A schema's definition: bytes with their length in front, read as text."""
        return self._decode(self.take(self.u32()))

    def _decode(self, raw: bytes | memoryview) -> str:
        try:
            return str(raw, "utf-8")
        except UnicodeDecodeError as error:
            raise Damage(self.where, f"a text that is not UTF-8: {error.reason}") from error

    def counts(self) -> dict[int, int]:
        """A map of channel -> number of messages."""
        rest = self.take(self.u32())
        if len(rest) % 10:
            raise Damage(self.where, f"a map of {len(rest)} bytes")
        return {int(key): int(count) for key, count in struct.iter_unpack("<HQ", rest)}


def unpack_chunk(body: bytes, at: int) -> tuple[bytes, bool]:
    """The records of a chunk, and whether a checksum vouches for them.

    Args:
        at: byte of the file where the body begins, for messages.

    Raises:
        Damage: sizes, compression or checksum are wrong.
    """
    cursor = Cursor(body, at)
    cursor.u64(), cursor.u64()
    size, claimed = cursor.u64(), cursor.u32()
    compression, packed = cursor.text(), cursor.take(cursor.u64())
    if size > _MAX_CHUNK:
        raise Damage(at, f"a chunk of {size} bytes; at most {_MAX_CHUNK} are read")
    records = _decompress(compression, bytes(packed), size, at)
    if len(records) != size:
        raise Damage(at, f"a chunk of {len(records)} bytes that claims {size}")
    if claimed and crc32(records) != claimed:
        raise Damage(at, f"a chunk whose checksum is {crc32(records):#010x} and should be {claimed:#010x}")
    return records, claimed != 0


def _decompress(compression: str, packed: bytes, size: int, at: int) -> bytes:
    if compression == "":
        return packed
    if compression == "zstd":
        return _zstd(packed, size, at)
    if compression == "lz4":
        return _lz4(packed, size, at)
    raise Damage(at, f"a chunk compressed with {compression[:40]!r}; zstd and lz4 can be read")


def _zstd(packed: bytes, size: int, at: int) -> bytes:
    import zstandard

    try:
        with zstandard.ZstdDecompressor().stream_reader(packed) as reader:
            return reader.read(size + 1)
    except (zstandard.ZstdError, MemoryError) as error:
        raise Damage(at, f"a zstd chunk that cannot be unpacked: {error}") from error


def _lz4(packed: bytes, size: int, at: int) -> bytes:
    import lz4.frame

    try:
        unpacked: bytes = lz4.frame.LZ4FrameDecompressor().decompress(packed, size + 1)
    except (RuntimeError, EOFError, ValueError, MemoryError) as error:
        raise Damage(at, f"an lz4 chunk that cannot be unpacked: {error}") from error
    return unpacked
