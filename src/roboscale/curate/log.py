"""What people said of episodes: an append-only file of JSON lines beside a dataset, which itself never changes.

    {"time": "2026-01-31T12:00:00.000+00:00", "episode": "<id>", "action": "keep", "value": "", "author": "ada"}

Lines are keyed by episode id, so that they survive a merge or a repair. The last line of a kind wins; `undo` takes
back the last line of its episode that still counts. Does not know what a dropped episode leads to.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args

from roboscale.core.errors import BadData, InfrastructureError, RoboscaleError, SpecMismatch, UnknownName

__all__ = ["LOG", "Action", "CurationLog", "Entry", "Label"]

LOG = Path("meta/roboscale/curation.jsonl")
"""Where the log of a dataset lies, relative to its root."""

Action = Literal["keep", "drop", "success", "failure", "task", "undo"]

_ACTIONS: tuple[str, ...] = get_args(Action)
_TASK_LENGTH = 2000  # characters; the longest published task texts have a few hundred
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")  # surrogates are halves of characters; UTF-8 has none


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the log.

    Args:
        time: when it was said, ISO 8601, UTC.
        episode: id of the episode.
        value: the new text of a `task`; empty otherwise.
        author: who said it; may be empty.
    """

    time: str
    episode: str
    action: Action
    value: str = ""
    author: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What counts of everything that was said of one episode; `None` where nothing was.

    Args:
        decision: whether it stays in the data.
        outcome: how it ended, whatever the recorder wrote.
        task: its instruction, whatever the recorder wrote.
        time, author: of the last line that counts.
    """

    decision: Literal["keep", "drop"] | None = None
    outcome: Literal["success", "failure"] | None = None
    task: str | None = None
    time: str = ""
    author: str = ""


class CurationLog:
    """Reads a curation log and appends to it. Safe to share between threads, and between processes.

    Args:
        path: the file; need not exist. Its folder is made by the first append.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._lock = threading.RLock()
        self._forget()

    def _forget(self) -> None:
        self._inode, self._offset, self._lines = 0, 0, 0  # of what was read: its bytes and lines
        self._open = False  # whether the last line read still lacks its newline
        self._said: dict[str, list[Entry]] = {}
        self._labels: dict[str, Label] = {}

    @property
    def version(self) -> tuple[int, int]:
        """Changes whenever the state does."""
        with self._lock:
            self._refresh()
            return self._inode, self._offset

    def state(self) -> Mapping[str, Label]:
        """Episode id -> what counts of it. An episode of which nothing counts is not in it.

        Raises:
            BadData: a complete line is broken. A last line that was torn by a crash is ignored: its append failed.
        """
        with self._lock:
            self._refresh()
            return MappingProxyType(dict(self._labels))

    def append(self, episode: str, action: Action, value: str = "", author: str = "") -> Entry:
        """Adds one line, on the disk when this returns.

        Args:
            episode: its id.
            value: text of a `task`, 1 to 2000 characters without control characters; empty for other actions.

        Raises:
            UnknownName: no such action.
            SpecMismatch: a value that the action cannot have.
            RoboscaleError: there is nothing to undo.
            InfrastructureError: the disk is full or cannot be written; the log is as it was.
        """
        entry = Entry(
            time=datetime.now(UTC).isoformat(timespec="milliseconds"),
            episode=episode,
            action=action,
            value=value,
            author=author,
        )
        _check(entry)
        with self._lock, self._exclusive() as file:
            self._refresh()
            if action == "undo" and not self._said.get(episode):
                raise RoboscaleError(f"episode {episode}: nothing to undo")
            self._write(file, entry)
            self._refresh()
        return entry

    @contextlib.contextmanager
    def _exclusive(self) -> Iterator[int]:
        """The file, locked against other processes. Closing it unlocks it."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise InfrastructureError(f"{self.path}: {error.strerror or error}; the label is not saved") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file
        finally:
            os.close(file)

    def _write(self, file: int, entry: Entry) -> None:
        """After the last complete line: a torn rest was never acknowledged, so that nothing is lost with it."""
        line = json.dumps(asdict(entry), ensure_ascii=False).encode() + b"\n"
        try:
            os.ftruncate(file, self._offset)
            _write_all(file, (b"\n" if self._open else b"") + line, self._offset)
            os.fsync(file)
            if not self._offset:
                _sync_folder(self.path.parent)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(file, self._offset)
            raise InfrastructureError(f"{self.path}: {error.strerror or error}; the label is not saved") from error

    def _refresh(self) -> None:
        """Reads what was appended since the last time, by whomever."""
        try:
            status = self.path.stat()
        except FileNotFoundError:
            self._forget()
            return
        if status.st_ino != self._inode or status.st_size < self._offset:
            self._forget()
            self._inode = status.st_ino
        if status.st_size == self._offset:
            return
        with self.path.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        if self._open and data.startswith(b"\n"):
            self._offset, self._open, data = self._offset + 1, False, data[1:]
        *lines, rest = data.split(b"\n")
        for line in lines:
            self._take(line)
            self._offset += 1
        if _is_json(rest):  # without its newline, yet complete: no prefix of a JSON object is one
            self._take(rest)
            self._open = True

    def _take(self, line: bytes) -> None:
        self._lines += 1
        if line.strip():
            self._count(self._parse(line))
        self._offset += len(line)

    def _parse(self, line: bytes) -> Entry:
        where = f"line {self._lines}"
        try:
            data = json.loads(line)
        except ValueError as error:
            raise BadData(self.path, where, "JSON", error) from error
        if not isinstance(data, dict):
            raise BadData(self.path, where, "a JSON object", type(data).__name__)
        values: dict[str, Any] = {name: data.get(name, "") for name in Entry.__dataclass_fields__}
        if not all(isinstance(value, str) for value in values.values()):
            raise BadData(self.path, where, f"texts {', '.join(values)}", line[:200])
        entry = Entry(**values)
        try:
            _check(entry)
        except RoboscaleError as error:
            raise BadData(self.path, where, "an action and its value", error) from error
        return entry

    def _count(self, entry: Entry) -> None:
        said = self._said.setdefault(entry.episode, [])
        if entry.action != "undo":
            said.append(entry)
        elif said:
            said.pop()
        if said:
            self._labels[entry.episode] = _label(said)
        else:
            self._labels.pop(entry.episode, None)


def _label(said: Sequence[Entry]) -> Label:
    """The last entry of each kind."""
    label: dict[str, Any] = {"time": said[-1].time, "author": said[-1].author}
    for entry in said:
        if entry.action in ("keep", "drop"):
            label["decision"] = entry.action
        elif entry.action == "task":
            label["task"] = entry.value
        else:
            label["outcome"] = entry.action
    return Label(**label)


def _check(entry: Entry) -> None:
    if entry.action not in _ACTIONS:
        raise UnknownName("action", entry.action, _ACTIONS)
    if not entry.episode:
        raise SpecMismatch("a label needs the id of an episode")
    if entry.action != "task":
        if entry.value:
            raise SpecMismatch(f"{entry.action} has no value, found {entry.value[:80]!r}")
        return
    text = entry.value
    if not text.strip() or len(text) > _TASK_LENGTH or _CONTROL.search(text):
        raise SpecMismatch(
            f"task: expected 1 to {_TASK_LENGTH} characters without control characters, found {text[:80]!r}"
        )


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _write_all(file: int, data: bytes, at: int) -> None:
    while data:
        written = os.pwrite(file, data, at)
        data, at = data[written:], at + written


def _sync_folder(folder: Path) -> None:
    """Makes a new file's name durable, too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
