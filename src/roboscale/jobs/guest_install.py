"""Makes the environment of a guest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from roboscale.core.plain import Plain
from roboscale.jobs.events import Note, OnEvent, ignore
from roboscale.jobs.request import Argument, Option, Request

__all__ = ["InstallGuest", "InstalledGuest", "install_guest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallGuest(Request):
    """Asks for the environment of a guest; one that was left half made goes on."""

    words: ClassVar[tuple[str, ...]] = ("guest", "install")

    guest: Annotated[str, Argument("Its name of `roboscale guest list`, or the folder of a repository that is one.")]
    add: Annotated[
        tuple[str, ...], Option("A package to add to it, as NAME==VERSION: a plugin, which then runs in it.")
    ] = ()


@dataclass(frozen=True, slots=True)
class InstalledGuest(Plain):
    """What was made.

    Args:
        guest: its name. folder: where it lives. python: version of its interpreter. megabytes: on the disk.
    """

    guest: str
    folder: Path
    python: str
    megabytes: float

    @property
    def line(self) -> str:
        """For a terminal."""
        return f"{self.guest}: Python {self.python}, {self.megabytes:,.0f} MB in {self.folder}"


def install_guest(request: InstallGuest, on_event: OnEvent = ignore) -> InstalledGuest:
    """Installs a guest beside our own environment, which stays as it is.

    >>> from roboscale import InstallGuest
    >>> InstallGuest(guest="lerobot").command
    'roboscale guest install lerobot'

    Raises:
        UnknownName: no such guest or folder.
        BadData: the files of a repository are broken, or its name is taken.
        RoboscaleError: no fitting Python, a library of the system, no room, or what pip says.
    """
    from roboscale.guests import add_packages, guest_at, guests_folder, make_environment

    def say(text: str) -> None:
        on_event(Note(text))

    guest = guest_at(request.guest)
    if request.add:
        guest = add_packages(guest, request.add, say)
    made = make_environment(guest, say)
    return InstalledGuest(guest.name, guests_folder() / guest.name, made.version, made.megabytes)
