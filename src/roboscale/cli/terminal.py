"""How a command talks: the result on stdout and nothing else there, everything for people on stderr."""

from __future__ import annotations

import ctypes
import io
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Any, Protocol

from roboscale.cli.console import say
from roboscale.core import RoboscaleError
from roboscale.jobs.events import Event, Note, Progress, Stage, Wrote

if TYPE_CHECKING:
    from roboscale.jobs.methods import Methods

__all__ = ["Lines", "Terminal", "result_stream", "terminal"]

AT_MOST_EVERY_S, AT_LEAST_EVERY_S = 1.0, 60.0
"""Between two lines of progress in a log file, which otherwise come at every tenth."""


class Terminal:
    """What the thin function of a command is handed.

    Args:
        write: puts text onto the real standard output.
        as_json: `--json` was given.
        dry_run: `--dry-run` was given.
        methods: `--methods` was given.
    """

    def __init__(
        self, write: Callable[[str], None], *, as_json: bool = False, dry_run: bool = False, methods: bool = False
    ) -> None:
        self.as_json, self.dry_run, self.methods = as_json, dry_run, methods
        self.notes: list[str] = []
        self._write = write
        self._bars: _Bars | None = None

    def event(self, event: Event) -> None:
        """Shows what a job tells; to be given to the job as its callback."""
        if isinstance(event, Progress):
            if self._bars is None:
                self._bars = Bars() if sys.stderr.isatty() else Lines()
            self._bars.show(event)
        elif isinstance(event, Note):
            self.notes.append(event.text)
            say(f"note: {event.text}")
        elif isinstance(event, Stage):
            self.close()  # the bars of the stage before are finished
            say(f"{event.number}/{event.total}  {event.text}")
        elif isinstance(event, Wrote):
            say(f"{event.what}: {event.path}")

    def show(self, data: Mapping[str, Any], text: str | Iterable[str]) -> None:
        """The result: `data` with `--json`, the text or its lines otherwise. Notes are in the JSON as `notes`.

        With `--methods`, the methods that `data` names are told below the text, or in the JSON as `methods`.

        Raises:
            ValueError: NaN is no JSON.
            RoboscaleError: the result has a part that is called so itself.
        """
        self.close()
        told = self._told(data)
        if self.as_json:
            if self.notes and "notes" in data:
                raise RoboscaleError("something in the result is called notes: rename it, for notes have that place")
            if told is not None and "methods" in data:
                raise RoboscaleError("something in the result is called methods: rename it, for those have that place")
            said = {**data, "notes": self.notes} if self.notes else dict(data)
            said |= {} if told is None else {"methods": told.to_json()}
            self._write(json.dumps(said, indent=2, allow_nan=False) + "\n")
        else:
            lines = (text,) if isinstance(text, str) else text
            self._write("".join(f"{line}\n" for line in (*lines, *(() if told is None else ("", *told.lines)))))

    def _told(self, data: Mapping[str, Any]) -> Methods | None:
        if not self.methods:
            return None
        from roboscale.jobs.methods import methods_of

        return methods_of(data)

    def close(self) -> None:
        """Ends the bars, so that what follows stands below them."""
        bars, self._bars = self._bars, None
        if bars is not None:
            bars.close()


@contextmanager
def terminal(*, as_json: bool = False, dry_run: bool = False, methods: bool = False) -> Iterator[Terminal]:
    """A terminal that has stdout for itself while it is open."""
    with result_stream() as write:
        opened = Terminal(write, as_json=as_json, dry_run=dry_run, methods=methods)
        try:
            yield opened
        finally:
            opened.close()


@contextmanager
def result_stream() -> Iterator[Callable[[str], None]]:
    """Yields what writes to stdout; whatever else is printed, by C code and child processes too, goes to stderr."""
    stdout = sys.stdout
    if stdout is None:  # the shell closed it: nobody wants the result
        yield lambda text: None
        return
    stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr):
            yield lambda text: _write(stdout, kept, text)
    finally:
        ctypes.CDLL(None).fflush(None)  # what C code has buffered belongs to stderr, too
        os.dup2(kept, 1)
        os.close(kept)


def _write(stdout: Any, kept: int, text: str) -> None:
    """Writes to the descriptor that stdout had, or to the object that somebody put in its place."""
    try:
        real = stdout.fileno() == 1
    except (OSError, io.UnsupportedOperation):
        real = False
    if not real:
        stdout.write(text)
        stdout.flush()
        return
    data = memoryview(text.encode(stdout.encoding, stdout.errors))
    while data:
        data = data[os.write(kept, data) :]


class _Bars(Protocol):
    """Shows progress."""

    def show(self, event: Progress) -> None: ...
    def close(self) -> None: ...


class Bars:
    """One bar for each thing that is counted, on a terminal."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=Console(stderr=True),
            redirect_stdout=False,
        )
        self._rows: dict[str, Any] = {}
        self._progress.start()

    def show(self, event: Progress) -> None:
        if event.what not in self._rows:
            self._rows[event.what] = self._progress.add_task(event.what, total=event.total, note="")
        self._progress.update(self._rows[event.what], completed=event.done, total=event.total, note=event.note)

    def close(self) -> None:
        self._progress.stop()


class Lines:
    """A plain line at every tenth of each thing that is counted, and one a minute where that takes longer or nobody
    knows how much there is: for a log file."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: dict[str, float] = {}
        self._tenth: dict[str, int] = {}
        self._latest: dict[str, Progress] = {}
        self._said: set[Progress] = set()

    def show(self, event: Progress) -> None:
        self._latest[event.what] = event
        now = self._clock()
        waited = now - self._last.setdefault(event.what, now)
        tenth = 10 * event.done // event.total if event.total else 0
        due = tenth > self._tenth.get(event.what, 0) and waited >= AT_MOST_EVERY_S
        if event.done == event.total or due or waited >= AT_LEAST_EVERY_S:
            self._last[event.what], self._tenth[event.what] = now, tenth
            self._say(event)

    def _say(self, event: Progress) -> None:
        if event not in self._said:
            self._said = {said for said in self._said if said.what != event.what} | {event}
            of = "" if event.total is None else f" of {event.total}"
            say(f"{event.what}: {event.done}{of}{'  ' if event.note else ''}{event.note}")

    def close(self) -> None:
        for event in self._latest.values():
            self._say(event)
