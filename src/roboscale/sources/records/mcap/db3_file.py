"""One .db3 file: a rosbag2 SQLite database, opened for reading only and never changed.

SQLite keeps no checksums: a changed byte inside a message cannot be told, a broken page can.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from roboscale.core import BadData, Finding
from roboscale.dataset.unfetched import require_fetched
from roboscale.sources.records.mcap.container import RawMessage, Ref, Topic

__all__ = ["SQLITE_MAGIC", "Db3File"]

SQLITE_MAGIC = b"SQLite format 3\0"

_ERRORS = (sqlite3.Error, OverflowError, UnicodeDecodeError, MemoryError)


class Db3File:
    """See the module.

    Raises:
        BadData: not a readable rosbag2 database.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.findings: list[Finding] = []
        with path.open("rb") as file:
            magic = file.read(len(SQLITE_MAGIC))
        if magic != SQLITE_MAGIC:
            require_fetched(path)
            raise BadData(path, "magic", SQLITE_MAGIC, magic or "an empty file")
        self._check_journal()
        self._handle: sqlite3.Connection | None = None
        self._names: dict[int, str] = {}
        try:
            self.topics = self._index()
        except BaseException:
            self.close()
            raise

    @property
    def _base(self) -> sqlite3.Connection:
        """Opened when needed, so that pictures can be read after many other bags were."""
        if self._handle is None:
            # immutable: no lock and no journal is written beside somebody else's file
            self._handle = sqlite3.connect(f"file:{quote(str(self.path.resolve()))}?mode=ro&immutable=1", uri=True)
            # no value can be longer than the file, whatever its header claims
            self._handle.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, max(self.path.stat().st_size, 2**16))
        return self._handle

    def close(self) -> None:
        if self._handle is not None:
            self._handle.close()
        self._handle = None

    def _check_journal(self) -> None:
        for ending in ("-wal", "-journal"):
            beside = self.path.with_name(self.path.name + ending)
            if beside.exists() and beside.stat().st_size > 0:
                text = f"{beside.name}: the recorder was stopped; what it had not yet moved into the file is not read"
                self.findings.append(Finding("journal", "warning", text))

    def _rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        try:
            return self._base.execute(query, values).fetchall()
        except _ERRORS as error:
            raise BadData(self.path, query, "a readable SQLite database", error) from error

    def _columns(self, table: str) -> set[str]:
        return {str(row[1]) for row in self._rows(f"PRAGMA table_info({table})")}

    def _index(self) -> Mapping[str, Topic]:
        for table, columns in {
            "topics": {"id", "name", "type", "serialization_format"},
            "messages": {"id", "topic_id", "timestamp", "data"},
        }.items():
            if not columns <= (there := self._columns(table)):
                raise BadData(self.path, table, f"columns {sorted(columns)}", sorted(there) or "no such table")
        definitions = self._definitions()
        counts: Counter[Any] = Counter(dict(self._rows("SELECT topic_id, COUNT(*) FROM messages GROUP BY topic_id")))
        topics: dict[str, Topic] = {}
        for key, name, kind, serialization in self._rows("SELECT id, name, type, serialization_format FROM topics"):
            if not (isinstance(key, int) and all(isinstance(v, str) for v in (name, kind, serialization))):
                raise BadData(self.path, "topics", "a number and three texts", [key, name, kind, serialization])
            text, encoding = definitions.get(kind, ("", ""))
            if name in topics:
                raise BadData(self.path, name, "one topic of this name", "two")
            self._names[key] = name
            topics[name] = Topic(
                name=name,
                type=kind,
                count=counts.pop(key, 0),
                definition=text,
                encoding=encoding,
                serialization=serialization,
            )
        if counts:
            raise BadData(self.path, "messages.topic_id", f"one of {sorted(self._names)}", sorted(counts, key=str))
        return topics

    def _definitions(self) -> dict[str, tuple[str, str]]:
        if not {"topic_type", "encoding", "encoded_message_definition"} <= self._columns("message_definitions"):
            return {}
        rows = self._rows("SELECT topic_type, encoding, encoded_message_definition FROM message_definitions")
        return {kind: (text, encoding) for kind, encoding, text in rows if isinstance(text, str)}

    def messages(self, topics: Collection[str], report: list[Finding]) -> Iterator[RawMessage]:
        keys = {key for key, name in self._names.items() if name in topics}
        query = f"SELECT id, topic_id, timestamp, data FROM messages WHERE topic_id IN ({','.join('?' * len(keys))})"
        try:
            for row, key, log_ns, data in self._base.execute(f"{query} ORDER BY id", tuple(keys)):
                if not (isinstance(log_ns, int) and log_ns >= 0 and isinstance(data, bytes)):
                    raise BadData(self.path, f"messages[{row}]", "a time and bytes", [log_ns, type(data).__name__])
                yield RawMessage(self._names[key], log_ns, data, (row, 0, len(data)))
        except _ERRORS as error:
            raise BadData(self.path, "messages", "readable rows", error) from error
        sound = self._rows("PRAGMA quick_check(1)")
        if sound != [("ok",)]:
            raise BadData(self.path, "database", "no damage", str(sound[0][0] if sound else "nothing")[:200])

    def fetch(self, ref: Ref) -> bytes:
        rows = self._rows("SELECT data FROM messages WHERE id = ?", ref[0])
        if len(rows) != 1 or not isinstance(rows[0][0], bytes):
            raise BadData(self.path, f"messages[{ref[0]}]", "the message read before", rows[:1])
        return bytes(rows[0][0])
