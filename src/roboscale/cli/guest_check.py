"""`roboscale guest check`."""

from __future__ import annotations

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.guest_check import CheckInstalledGuest, check_installed_guest

__all__ = ["command"]


def run(request: CheckInstalledGuest, terminal: Terminal) -> None:
    """Look whether a guest works, in its own environment."""
    done = check_installed_guest(request, terminal.event)
    terminal.show(done.to_json(), done.lines)


command = Command(CheckInstalledGuest, run)
