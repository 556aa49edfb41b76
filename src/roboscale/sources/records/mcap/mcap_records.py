"""Records of an MCAP file, parsed by the `mcap` package from exactly the bytes that are theirs.

What the package does not promise for a broken file stays here and in `mcap_file.py`. Its readers believe an index
whose checksum is wrong, pass over records of unknown kind, and let a wrong length in one record swallow the records
after it: each loses messages without a word. They take a text that the file cuts short for a whole one, and unpack a
chunk to whatever size its compressed bytes claim.
"""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import Any
from zlib import crc32

from mcap import records
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.stream_reader import StreamReader

__all__ = ["Damage", "parse_all", "parse_record", "unpack_chunk"]

_MAX_CHUNK = 2**30  # bytes unpacked; a broken header may claim anything
_KINDS = {
    Opcode.CHANNEL: records.Channel,
    Opcode.CHUNK: records.Chunk,
    Opcode.DATA_END: records.DataEnd,
    Opcode.FOOTER: records.Footer,
    Opcode.SCHEMA: records.Schema,
}


class Damage(Exception):
    """The file is broken from byte `at` on. Never leaves this room."""

    def __init__(self, at: int, reason: str) -> None:
        super().__init__(f"byte {at}: {reason}")
        self.at, self.reason = at, reason


class _Exact(BytesIO):
    """Gives as many bytes as are asked for, or ValueError; where a file gives what is left."""

    def read(self, size: int | None = -1, /) -> bytes:
        left = self.getbuffer().nbytes - self.tell()
        if size is None or not 0 <= size <= left:
            raise ValueError(f"{size} bytes are claimed where {left} are left")
        return super().read(size)


def parse_record(opcode: int, body: bytes | memoryview, at: int) -> Any:
    """The object of `mcap.records` that a schema, channel, chunk, end of data or footer is.

    Args:
        at: byte of the file where the body begins, for messages.

    Raises:
        Damage: the body is shorter than it says, or a text is not UTF-8.
    """
    try:
        return _KINDS[Opcode(opcode)].read(ReadDataStream(_Exact(body)))
    except ValueError as error:
        raise Damage(at, f"a {Opcode(opcode).name.lower()} that cannot be read: {error}") from error


def parse_all(index: bytes, at: int) -> Iterator[Any]:
    """Records of a file's end: an index whose checksum holds, footer and magic; Damage when they cannot be read."""
    try:
        yield from StreamReader(_Exact(index), skip_magic=True, emit_chunks=True).records
    except (McapError, ValueError) as error:
        raise Damage(at, f"an index that cannot be read: {error}") from error


def unpack_chunk(body: bytes, at: int) -> tuple[bytes, bool]:
    """The records of a chunk, and whether a checksum vouches for them.

    Args:
        at: byte of the file where the body begins, for messages.

    Raises:
        Damage: sizes, compression or checksum are wrong.
    """
    chunk = parse_record(Opcode.CHUNK, body, at)
    size, claimed = chunk.uncompressed_size, chunk.uncompressed_crc
    if size > _MAX_CHUNK:
        raise Damage(at, f"a chunk of {size} bytes; at most {_MAX_CHUNK} are read")
    unpacked = _decompress(chunk.compression, chunk.data, size, at)
    if len(unpacked) != size:
        raise Damage(at, f"a chunk of {len(unpacked)} bytes that claims {size}")
    if claimed and crc32(unpacked) != claimed:
        raise Damage(at, f"a chunk whose checksum is {crc32(unpacked):#010x} and should be {claimed:#010x}")
    return unpacked, claimed != 0


def _decompress(compression: str, packed: bytes, size: int, at: int) -> bytes:
    """At most one byte more than `size`."""
    import lz4.frame
    import zstandard

    try:
        if compression == "":
            return packed
        if compression == "zstd":
            with zstandard.ZstdDecompressor().stream_reader(packed) as reader:
                return reader.read(size + 1)
        if compression == "lz4":
            return bytes(lz4.frame.LZ4FrameDecompressor().decompress(packed, size + 1))
    except (zstandard.ZstdError, RuntimeError, EOFError, ValueError, MemoryError) as error:
        raise Damage(at, f"a chunk of {compression} that cannot be unpacked: {error}") from error
    raise Damage(at, f"a chunk compressed with {compression[:40]!r}; zstd and lz4 can be read")
