"""`roboscale guest install`."""

from __future__ import annotations

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.guest_install import InstallGuest, install_guest

__all__ = ["command"]


def run(request: InstallGuest, terminal: Terminal) -> None:
    """Make the environment of a guest, beside ours; run again, it goes on."""
    done = install_guest(request, terminal.event)
    terminal.show(done.to_json(), [done.line])


command = Command(InstallGuest, run)
