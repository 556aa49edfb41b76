"""`roboscale check`."""

from __future__ import annotations

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.check import CheckResults, check_results

__all__ = ["command"]


def run(request: CheckResults, terminal: Terminal) -> None:
    """Say what the newest policy of a folder does better or worse than the one before it, task by task."""
    done = check_results(request, on_event=terminal.event)
    terminal.show(done.to_json(), done.lines)


command = Command(CheckResults, run, methods=True)
