"""What a campaign decided, foretold and found: lines that are appended and never changed.

Whoever reads it knows what has to be done next, so a campaign that was killed goes on with the same decisions. A line
counts when it ends with a newline; half a line, which a kill may leave, is cut off, as if it had not been begun. Times
of day are not in it: the same campaign has the same bytes.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from roboscale.core import BadData, InfrastructureError

__all__ = ["Journal", "JournalEntry", "only_one"]

JournalEntry = Mapping[str, Any]
"""One line: `is` says what it is, the rest belongs to that."""

KINDS = ("opened", "ordered", "collected", "curated", "trained", "foretold", "judged", "ended")


class Journal:
    """The lines of one campaign.

    Args:
        read_only: leave half a line where it is.

    Raises:
        BadData: a whole line is no JSON, or is none of a campaign's.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self._entries: list[JournalEntry] = []
        if path.exists():
            text = path.read_bytes()
            whole = text[: text.rfind(b"\n") + 1]
            if len(whole) < len(text) and not read_only:
                with path.open("r+b") as file:
                    file.truncate(len(whole))
            for number, line in enumerate(whole.splitlines(), 1):
                self._entries.append(self._parsed(line, number))

    def _parsed(self, line: bytes, number: int) -> JournalEntry:
        try:
            entry = json.loads(line)
        except ValueError as error:
            raise BadData(self.path, f"line {number}", "JSON", error) from error
        if not isinstance(entry, dict) or entry.get("is") not in KINDS:
            raise BadData(self.path, f"line {number}", f"an entry that is one of {', '.join(KINDS)}", line[:60])
        return entry

    @property
    def entries(self) -> Sequence[JournalEntry]:
        """All of them, in order."""
        return tuple(self._entries)

    def append(self, entry: JournalEntry) -> None:
        """Adds a line and hands it to the disk before it returns."""
        line = json.dumps(entry, ensure_ascii=False, allow_nan=False) + "\n"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())
        self._entries.append(json.loads(line))

    def suppose(self, entry: JournalEntry) -> None:
        """Adds an entry here and not in the file: what if?"""
        self._entries.append(json.loads(json.dumps(entry)))


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Holds a campaign's or event's folder; InfrastructureError where another process has it. A kill lets go of it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InfrastructureError(f"{folder}: another process works in this folder") from None
        yield
