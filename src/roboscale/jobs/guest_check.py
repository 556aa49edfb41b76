"""Looks whether a guest works: its environment starts, its packages import, what it brings answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from roboscale.core.plain import Plain
from roboscale.jobs.events import OnEvent, ignore
from roboscale.jobs.request import Argument, Request

__all__ = ["CheckInstalledGuest", "CheckedInstalledGuest", "check_installed_guest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckInstalledGuest(Request):
    """Asks whether a guest works."""

    words: ClassVar[tuple[str, ...]] = ("guest", "check")

    guest: Annotated[str, Argument("Its name; `roboscale guest list` has them all.")]


@dataclass(frozen=True, slots=True)
class CheckedInstalledGuest(Plain):
    """What was looked at.

    Args:
        guest: its name. passed: one text for each thing that works.
    """

    guest: str
    passed: tuple[str, ...]

    @property
    def lines(self) -> list[str]:
        """For a terminal."""
        return [f"{self.guest}: {text}" for text in self.passed]


def check_installed_guest(request: CheckInstalledGuest, on_event: OnEvent = ignore) -> CheckedInstalledGuest:
    """Runs the check that the guest brings, in its own environment.

    >>> from roboscale import CheckInstalledGuest
    >>> CheckInstalledGuest(guest="lerobot").command
    'roboscale guest check lerobot'

    Raises:
        UnknownName: no such guest.
        RoboscaleError: it is not installed, or something does not work; says what.
    """
    from roboscale.guests import check_guest_process, find_guest

    return CheckedInstalledGuest(request.guest, check_guest_process(find_guest(request.guest)))
