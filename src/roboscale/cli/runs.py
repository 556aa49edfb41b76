"""`roboscale runs`."""

from __future__ import annotations

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.runs import ListRuns, list_runs

__all__ = ["command"]


def run(request: ListRuns, terminal: Terminal) -> None:
    """List what was run below a folder, newest first, with rates, verdicts and how far each is."""
    listed = list_runs(request, terminal.event)
    terminal.show(listed.to_json(), listed.text)


command = Command(ListRuns, run)
