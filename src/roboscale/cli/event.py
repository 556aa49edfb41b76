"""`roboscale event`."""

from __future__ import annotations

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.event import HoldEvent, hold_event

__all__ = ["command"]


def run(request: HoldEvent, terminal: Terminal) -> None:
    """Hold a hackathon or course: teams' data at the gate, their policies on the same hidden conditions, one board."""
    done = hold_event(request, terminal.event)
    terminal.show(done.to_json(), done.lines)


command = Command(HoldEvent, run)
