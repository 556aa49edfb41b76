"""What a job tells while it works. Whoever starts it decides what becomes of that; a command line prints it."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Event", "Note", "OnEvent", "Progress", "Stage", "Wrote", "counting", "ignore", "progressing", "say_reason"]

_PACKAGE = str(Path(__file__).parents[1])


@dataclass(frozen=True, slots=True)
class Progress:
    """So much is done.

    Args:
        what: is counted, e.g. `episodes`; several things may be counted side by side.
        done: so far, not since the last event.
        total: `None` while nobody knows.
        note: on the latest, e.g. `loss 0.03`.
    """

    what: str
    done: int
    total: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """Something was dropped, guessed, reused or assumed: a line for the reader, in the JSON and on the page, too."""

    text: str


@dataclass(frozen=True, slots=True)
class Stage:
    """The next part of a long job begins: its number, counted from 1, of how many."""

    number: int
    total: int
    text: str


@dataclass(frozen=True, slots=True)
class Wrote:
    """A file for people is finished, e.g. a `page`."""

    what: str
    path: Path


Event = Progress | Note | Stage | Wrote
OnEvent = Callable[[Event], None]


def ignore(event: Event) -> None:
    """For whoever wants the result alone."""


def say_reason(on_event: OnEvent, text: str) -> None:
    """A note on why a number is not what it seems; a Python warning where nobody listens to events."""
    on_event(Note(text))
    if on_event is ignore:
        warnings.warn(text, stacklevel=_levels_to_the_caller())


def _levels_to_the_caller() -> int:
    """How far up `warnings.warn` in `say_reason` has to look for whoever called us: `skip_file_prefixes` is 3.12's."""
    level, frame = 2, sys._getframe(2)  # `say_reason`'s own caller
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        level, frame = level + 1, frame.f_back
    return level


def counting(on_event: OnEvent, what: str, total: int | None = None) -> Callable[..., None]:
    """`advance(count=1, note="")` for code that counts what is new; each call becomes a `Progress`."""
    done = 0

    def advance(count: int = 1, note: str = "") -> None:
        nonlocal done
        done += count
        on_event(Progress(what, done, total, note))

    return advance


def progressing(on_event: OnEvent, what: str) -> Callable[[int, int], None]:
    """`progress(done, total)` for code that learns on the way how much there is."""
    return lambda done, total: on_event(Progress(what, done, total))
