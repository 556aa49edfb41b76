"""`roboscale guest list`."""

from __future__ import annotations

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.guest_list import ListGuests, list_guests

__all__ = ["command"]


def run(request: ListGuests, terminal: Terminal) -> None:
    """List the guests: packages of others that get an environment of their own."""
    done = list_guests(request, terminal.event)
    terminal.show(done.to_json(), done.lines)


command = Command(ListGuests, run)
