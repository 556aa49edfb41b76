"""One .mcap file, read record by record: every checksum that is there is verified before a message is believed.

The index at the end is used for names and counts only, and only where its own checksum holds; messages are read from
the front, so a file that was cut off, or was never finished, gives all that it holds up to the damage.

Source: the MCAP specification, version 0.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from zlib import crc32

from mcap.opcode import Opcode
from mcap.records import Channel, McapRecord, Schema, Statistics

from roboscale.core import BadData, Finding
from roboscale.dataset.unfetched import require_fetched
from roboscale.sources.records.mcap.container import RawMessage, Ref, Topic
from roboscale.sources.records.mcap.mcap_records import Damage, parse_all, parse_record, unpack_chunk

__all__ = ["MCAP_MAGIC", "McapFile"]

MCAP_MAGIC = b"\x89MCAP0\r\n"

_KNOWN = frozenset(int(kind) for kind in Opcode)
_READ = (Opcode.SCHEMA, Opcode.CHANNEL, Opcode.MESSAGE, Opcode.CHUNK)
_IN_CHUNKS = (Opcode.SCHEMA, Opcode.CHANNEL, Opcode.MESSAGE)
_PRIVATE = 0x80  # opcodes from here on are an application's own
_HEAD = struct.Struct("<BQ")  # of every record: its kind and how many bytes follow
_MESSAGE = struct.Struct("<HIQQ")  # channel, number, log time, time of sending; unpacked here, for there are millions
_PIECE = 2**20
_FOOTER_BYTES = _HEAD.size + 20 + len(MCAP_MAGIC)


@dataclass(slots=True, kw_only=True)
class _Walk:
    """What one pass from the front has seen so far."""

    schemas: dict[int, Schema]
    channels: dict[int, Channel]
    counts: Counter[str]
    crc: int = 0
    chunks: int = 0
    unverified: int = 0
    loose: bool = False  # messages or their types outside of chunks, which only the whole file's checksum covers
    complete: bool = False


def _walk() -> _Walk:
    return _Walk(schemas={}, channels={}, counts=Counter(), crc=crc32(MCAP_MAGIC))


class McapFile:
    """See the module.

    Raises:
        BadData: not an MCAP file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.findings: list[Finding] = []
        self._size = path.stat().st_size
        self._handle: BinaryIO | None = None
        self._chunk: tuple[int, bytes] = (-1, b"")
        try:
            magic = self._file.read(len(MCAP_MAGIC))
            if magic != MCAP_MAGIC:
                require_fetched(path)
                raise BadData(path, "magic", MCAP_MAGIC, magic or "an empty file")
            self.topics = self._index()
        except BaseException:
            self.close()
            raise

    @property
    def _file(self) -> BinaryIO:
        """Opened when needed, so that pictures can be read after many other bags were."""
        if self._handle is None:
            self._handle = self.path.open("rb")
        return self._handle

    def close(self) -> None:
        if self._handle is not None:
            self._handle.close()
        self._handle, self._chunk = None, (-1, b"")

    def messages(self, topics: Collection[str], report: list[Finding]) -> Iterator[RawMessage]:
        walk = _walk()
        try:
            for opcode, at, body in self._records(walk):
                if opcode == Opcode.CHUNK:
                    yield from self._chunk_messages(walk, at, body, topics)
                elif (message := self._take(walk, opcode, body, (-1, at))) is not None and message.topic in topics:
                    yield message
        except Damage as damage:
            report.append(self._lost(damage, walk))
            return
        report.extend(self._doubts(walk))

    def fetch(self, ref: Ref) -> bytes:
        chunk, at, length = ref
        if chunk < 0:
            self._file.seek(at)
            return self._file.read(length)
        return self._records_of(chunk)[at : at + length]

    def _records_of(self, at: int) -> bytes:
        """The records of the chunk whose body begins at byte `at`; the last chunk is kept."""
        if self._chunk[0] != at:
            self._file.seek(at - 8)
            (length,) = struct.unpack("<Q", self._file.read(8))
            try:
                self._chunk = (at, unpack_chunk(self._file.read(min(length, self._size)), at)[0])
            except Damage as damage:  # it was sound when it was first read
                raise BadData(self.path, f"chunk at byte {at}", "the chunk read before", damage.reason) from damage
        return self._chunk[1]

    # -- walking the records ------------------------------------------------------------------------------------

    def _records(self, walk: _Walk) -> Iterator[tuple[int, int, bytes]]:
        """(opcode, byte where the body begins, body) up to the end of the data; bodies that nobody reads are empty."""
        at = len(MCAP_MAGIC)
        while True:
            self._file.seek(at)
            head = self._file.read(_HEAD.size)
            if len(head) < _HEAD.size:
                raise Damage(at, "the file ends without the end of its data")
            opcode, length = _HEAD.unpack(head)
            if opcode not in _KNOWN and opcode < _PRIVATE:
                raise Damage(at, f"a record of unknown kind {opcode:#04x}")
            if at + _HEAD.size + length > self._size:
                raise Damage(at, f"a record of {length} bytes where {self._size - at - _HEAD.size} are left")
            if opcode in (Opcode.DATA_END, Opcode.FOOTER):
                self._end(walk, opcode, at, self._file.read(min(length, 64)))
                return
            wanted = opcode in _READ
            body = self._file.read(length) if wanted else b""
            walk.crc = crc32(body, crc32(head, walk.crc)) if wanted else self._skip(crc32(head, walk.crc), length)
            at += _HEAD.size
            yield opcode, at, body
            at += length

    def _skip(self, crc: int, length: int) -> int:
        while length:
            piece = self._file.read(min(length, _PIECE))
            if not piece:
                break
            crc, length = crc32(piece, crc), length - len(piece)
        return crc

    def _end(self, walk: _Walk, opcode: int, at: int, body: bytes) -> None:
        if opcode == Opcode.FOOTER:
            raise Damage(at, "a footer before the end of the data")
        claimed = parse_record(opcode, body, at).data_section_crc
        if claimed and claimed != walk.crc:
            reason = f"the data's checksum is {walk.crc:#010x}, the file says {claimed:#010x}"
            if walk.loose or walk.unverified:
                raise BadData(self.path, "data checksum", f"{claimed:#010x}", f"{walk.crc:#010x}")
            self._note(walk, reason)
        walk.complete = True
        walk.loose = walk.loose and not claimed

    def _note(self, walk: _Walk, reason: str) -> None:
        # Every chunk's own checksum held: what changed is an index or an attachment, not a message.
        if not any(f.check == "checksum" for f in self.findings):
            text = f"{self.path.name}: {reason}; every chunk of messages is sound by its own checksum"
            self.findings.append(Finding("checksum", "warning", text))

    def _chunk_messages(self, walk: _Walk, at: int, body: bytes, topics: Collection[str]) -> Iterator[RawMessage]:
        records, verified = unpack_chunk(body, at)
        walk.chunks += 1
        walk.unverified += not verified
        view, inner = memoryview(records), 0
        while inner < len(view):
            if len(view) - inner < _HEAD.size:
                raise Damage(at, f"a chunk that ends within a record, at byte {inner} of its records")
            opcode, length = _HEAD.unpack_from(view, inner)
            inner += _HEAD.size
            if length > len(view) - inner or opcode not in _IN_CHUNKS:
                raise Damage(at, f"a chunk with a record of kind {opcode:#04x} and {length} bytes")
            message = self._take(walk, opcode, view[inner : inner + length], (at, inner))
            if message is not None and message.topic in topics:
                yield message
            inner += length

    def _take(self, walk: _Walk, opcode: int, body: bytes | memoryview, place: tuple[int, int]) -> RawMessage | None:
        """Learns a schema or channel, or returns a message."""
        chunk, at = place
        if opcode not in _IN_CHUNKS:
            return None
        walk.loose = walk.loose or chunk < 0
        where = max(chunk, at)
        if opcode != Opcode.MESSAGE:
            _learn(walk, parse_record(opcode, body, where), where)
            return None
        if len(body) < _MESSAGE.size:
            raise Damage(where, f"a message of {len(body)} bytes is too short")
        channel, _, log_ns, _ = _MESSAGE.unpack_from(body)
        if channel not in walk.channels or log_ns >= 2**63:
            raise Damage(where, f"a message of channel {channel} at {log_ns} ns")
        topic = walk.channels[channel].topic
        walk.counts[topic] += 1
        return RawMessage(topic, log_ns, body[_MESSAGE.size :], (chunk, at + _MESSAGE.size, len(body) - _MESSAGE.size))

    # -- the index ----------------------------------------------------------------------------------------------

    def _index(self) -> Mapping[str, Topic]:
        try:
            walked = self._summary()
        except Damage as damage:
            text = f"{self.path.name}: the index at the end cannot be used: {damage.reason}; the file was read through"
            self.findings.append(Finding("index", "warning", text, evidence={"byte": damage.at}))
            walked = None
        if walked is None:
            walk = _walk()
            try:
                for opcode, at, body in self._records(walk):
                    if opcode == Opcode.CHUNK:
                        for _ in self._chunk_messages(walk, at, body, ()):
                            pass  # topics and counts are noted on the way
                    else:
                        self._take(walk, opcode, body, (-1, at))
            except Damage as damage:
                walk.complete = False
                if not walk.channels:
                    raise BadData(self.path, f"byte {damage.at}", "a readable record", damage.reason) from damage
            walked = walk
        return self._topics(walked)

    def _topics(self, walk: _Walk) -> Mapping[str, Topic]:
        topics: dict[str, Topic] = {}
        for channel in walk.channels.values():
            schema = walk.schemas.get(channel.schema_id, Schema(0, b"", "", ""))
            text = schema.data.decode("utf-8", "replace")  # whoever needs the definition says that it is broken
            count, serialization = walk.counts[channel.topic], channel.message_encoding
            topic = Topic(
                name=channel.topic,
                type=schema.name,
                count=count,
                definition=text,
                encoding=schema.encoding,
                serialization=serialization,
            )
            if topics.setdefault(channel.topic, topic) != topic:
                raise BadData(self.path, channel.topic, f"one type, {topics[channel.topic].type}", schema.name)
        return topics

    def _summary(self) -> _Walk | None:
        """The index at the end of the file; None when it has no checksum or no counts. Damage when it is broken."""
        begin = self._size - _FOOTER_BYTES
        if begin < len(MCAP_MAGIC):
            raise Damage(0, "the file is shorter than a footer")
        self._file.seek(begin)
        end = self._file.read(_FOOTER_BYTES)
        if end[: _HEAD.size] != _HEAD.pack(Opcode.FOOTER, 20) or end[-len(MCAP_MAGIC) :] != MCAP_MAGIC:
            raise Damage(begin, "there is no footer")
        footer = parse_record(Opcode.FOOTER, end[_HEAD.size :], begin)
        if not footer.summary_start or not footer.summary_crc:
            return None
        if not len(MCAP_MAGIC) <= footer.summary_start <= begin:
            raise Damage(begin, f"the index begins at byte {footer.summary_start}")
        self._file.seek(footer.summary_start)
        index = self._file.read(begin - footer.summary_start)
        crc = crc32(end[: _HEAD.size + 16], crc32(index))
        if crc != footer.summary_crc:
            reason = f"its checksum is {crc:#010x}, the footer says {footer.summary_crc:#010x}"
            raise Damage(footer.summary_start, reason)
        return _parse_summary(index + end, footer.summary_start)

    # -- what a pass found --------------------------------------------------------------------------------------

    def _lost(self, damage: Damage, walk: _Walk) -> Finding:
        claimed = sum(topic.count for topic in self.topics.values())
        read = walk.counts.total()
        claim = f", where the index counts {claimed}" if claimed > read else ""
        return Finding(
            "truncated",
            "error",
            f"{self.path.name}: readable up to byte {damage.at} of {self._size}: {damage.reason}. The {read} messages "
            f"before it are kept{claim}",
            evidence={"byte": damage.at, "size": self._size, "messages": read, "claimed": claimed},
        )

    def _doubts(self, walk: _Walk) -> Iterator[Finding]:
        lost = {t.name: [t.count, walk.counts[t.name]] for t in self.topics.values() if t.count != walk.counts[t.name]}
        if lost:
            words = ", ".join(f"{name}: {claimed} claimed, {read} there" for name, (claimed, read) in lost.items())
            yield Finding(
                "count", "error", f"{self.path.name}: messages differ from the index: {words}", evidence=lost
            )
        if walk.unverified or walk.loose:
            what = f"{walk.unverified} of {walk.chunks} chunks" if walk.chunks else "its messages"
            text = f"{self.path.name}: {what} carry no checksum: a changed byte in them cannot be told"
            yield Finding("no-checksum", "info", text, evidence={"chunks": walk.chunks, "without": walk.unverified})


def _parse_summary(index: bytes, at: int) -> _Walk | None:
    walk, counts = _walk(), None
    for record in parse_all(index, at):
        if isinstance(record, Statistics):
            counts = record.channel_message_counts
        _learn(walk, record, at)
    if counts is None or not set(counts) <= set(walk.channels):
        return None
    for key, count in counts.items():
        walk.counts[walk.channels[key].topic] += count
    return walk


def _learn(walk: _Walk, record: McapRecord, where: int) -> None:
    """Notes a schema or channel; Damage when its number stood for another before."""
    if isinstance(record, Schema | Channel):
        known: dict[int, Any] = walk.schemas if isinstance(record, Schema) else walk.channels
        if known.setdefault(record.id, record) != record:
            raise Damage(where, f"{type(record).__name__.lower()} {record.id} has two meanings")
