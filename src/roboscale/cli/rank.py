"""`roboscale rank`."""

from __future__ import annotations

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.rank import Rank, rank

__all__ = ["command"]


def run(request: Rank, terminal: Terminal) -> None:
    """Make the board of several policies: the ranks each may have, scores, rates and letters."""
    done = rank(request, terminal.event)
    terminal.show(done.to_json(), done.text)


command = Command(Rank, run, methods=True)
