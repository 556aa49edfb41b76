"""Lists the guests: strangers' packages that get an environment of their own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, ClassVar

from roboscale.core.plain import Plain
from roboscale.jobs.events import OnEvent, ignore
from roboscale.jobs.request import Argument, Request

if TYPE_CHECKING:
    from roboscale.guests import Guest

__all__ = ["ListGuests", "ListedGuest", "ListedGuests", "list_guests"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListGuests(Request):
    """Asks which guests there are, and what each needs."""

    words: ClassVar[tuple[str, ...]] = ("guest", "list")

    guest: Annotated[str, Argument("This one alone, with its packages.")] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedGuest(Plain):
    """One guest.

    Args:
        state: `installed`, `can be installed`, or why not.
        python: version and place of the interpreter that is used or would be; empty where there is none.
        disk_gb: what it takes, or would.
        packages: its lock; given for one guest alone.
    """

    name: str
    about: str
    state: str
    python: str
    disk_gb: float
    licence: str
    packages: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """For a terminal."""
        return f"{self.name:12} {self.about}\n{'':12} {self.state}; {self.disk_gb:.1f} GB; {self.licence}"


@dataclass(frozen=True, slots=True)
class ListedGuests(Plain):
    """All of them, and where they live.

    Args:
        guests: by name.
        folder: environments are made below it; `ROBOSCALE_GUESTS` names another.
    """

    guests: tuple[ListedGuest, ...] = field(default=())
    folder: str = ""

    @property
    def lines(self) -> list[str]:
        """For a terminal."""
        packages = [f"  {package}" for one in self.guests for package in one.packages]
        return [*(one.line for one in self.guests), *packages, f"in {self.folder}"]


def list_guests(request: ListGuests, on_event: OnEvent = ignore) -> ListedGuests:
    """The guests that this machine knows, whether each is installed, and which Python is missing.

    >>> from roboscale import ListGuests, list_guests
    >>> [one.name for one in list_guests(ListGuests()).guests]
    ['aloha', 'lerobot', 'lerobot06', 'maniskill', 'robosuite', 'so101']

    Raises:
        UnknownName: no such guest.
        BadData: the file of a guest is broken.
    """
    from roboscale.guests import find_guest, find_guests, guests_folder

    chosen = [find_guest(request.guest)] if request.guest else list(find_guests().values())
    listed = tuple(_listed(guest, with_packages=bool(request.guest)) for guest in chosen)
    return ListedGuests(listed, str(guests_folder()))


def _listed(guest: Guest, *, with_packages: bool) -> ListedGuest:
    from roboscale.guests import environment_of, find_python

    made = environment_of(guest)
    python = None if made is not None else find_python(guest.python)
    if made is not None:
        state, place = f"installed, Python {made.version}", f"{made.version} {made.python}"
    elif python is not None:
        state, place = f"roboscale guest install {guest.name}", f"{guest.python[0]} {python}"
    else:
        state, place = f"not here: needs Python {' or '.join(guest.python)}, found none", ""
    return ListedGuest(
        name=guest.name,
        about=guest.about,
        state=state,
        python=place,
        disk_gb=guest.disk_gb if made is None else made.megabytes / 1000,
        licence=guest.licence,
        packages=guest.packages if with_packages else (),
    )
