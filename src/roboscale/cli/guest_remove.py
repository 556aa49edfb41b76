"""`roboscale guest remove`."""

from __future__ import annotations

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.guest_remove import RemoveGuest, remove_guest

__all__ = ["command"]


def run(request: RemoveGuest, terminal: Terminal) -> None:
    """Remove the environment of a guest."""
    done = remove_guest(request, terminal.event, dry_run=terminal.dry_run)
    terminal.show(done.to_json(), [done.line])


command = Command(RemoveGuest, run, dry_run=True)
