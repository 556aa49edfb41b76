"""Removes what is left of guests: environments half made, of an older lock, of no known guest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from roboscale.core.plain import Plain
from roboscale.jobs.events import OnEvent, ignore
from roboscale.jobs.request import Request

__all__ = ["CleanGuests", "CleanedGuests", "clean_guests"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanGuests(Request):
    """Asks that all goes which is no complete environment of a known guest."""

    words: ClassVar[tuple[str, ...]] = ("guest", "clean")


@dataclass(frozen=True, slots=True)
class CleanedGuests(Plain):
    """What was removed."""

    removed: tuple[Path, ...]

    @property
    def lines(self) -> list[str]:
        """For a terminal."""
        return [str(path) for path in self.removed] or ["nothing to clean"]


def clean_guests(request: CleanGuests, on_event: OnEvent = ignore, *, dry_run: bool = False) -> CleanedGuests:
    """Removes folders below the guests' folder that nothing can use any more.

    >>> from roboscale import CleanGuests, clean_guests
    >>> clean_guests(CleanGuests(), dry_run=True).removed
    ()
    """
    from roboscale.guests import clean_environments, find_guests

    return CleanedGuests(tuple(clean_environments(find_guests(), dry_run=dry_run)))
