"""Removes the environment of a guest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from roboscale.core.plain import Plain
from roboscale.jobs.events import OnEvent, ignore
from roboscale.jobs.request import Argument, Request

__all__ = ["RemoveGuest", "RemovedGuest", "remove_guest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveGuest(Request):
    """Asks that a guest's environment goes."""

    words: ClassVar[tuple[str, ...]] = ("guest", "remove")

    guest: Annotated[str, Argument("Its name; `roboscale guest list` has them all.")]


@dataclass(frozen=True, slots=True)
class RemovedGuest(Plain):
    """What happened.

    Args:
        guest: its name. folder: where it lived. removed: false where there was nothing.
    """

    guest: str
    folder: Path
    removed: bool

    @property
    def line(self) -> str:
        """For a terminal."""
        return f"{self.folder} " + ("is removed" if self.removed else "was not there")


def remove_guest(request: RemoveGuest, on_event: OnEvent = ignore, *, dry_run: bool = False) -> RemovedGuest:
    """Removes a guest's folder; nothing else is kept there.

    >>> from roboscale import RemoveGuest
    >>> RemoveGuest(guest="lerobot").command
    'roboscale guest remove lerobot'

    Raises:
        UnknownName: no such guest.
    """
    from roboscale.guests import find_guest, guests_folder, remove_environment

    guest, folder = find_guest(request.guest), guests_folder() / request.guest
    return RemovedGuest(request.guest, folder, folder.exists() if dry_run else remove_environment(guest))
