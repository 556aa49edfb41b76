"""`roboscale validity`."""

from __future__ import annotations

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.validity import CheckValidity, check_validity

__all__ = ["command"]


def run(request: CheckValidity, terminal: Terminal) -> None:
    """Say whether a simulator or learned world is a valid judge of policies: its validity card."""
    done = check_validity(request, terminal.event)
    terminal.show(done.to_json(), done.lines)


command = Command(CheckValidity, run, methods=True)
