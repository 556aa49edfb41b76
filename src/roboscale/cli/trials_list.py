"""`roboscale trials list`."""

from __future__ import annotations

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.trials_list import ListTrials, list_trials

__all__ = ["command"]


def run(request: ListTrials, terminal: Terminal) -> None:
    """List what was tried in a run: outcomes, reasons grouped, what waits to be judged."""
    done = list_trials(request)
    terminal.show(done.to_json(), done.lines)


command = Command(ListTrials, run)
