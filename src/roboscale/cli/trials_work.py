"""`roboscale trials work`."""

from __future__ import annotations

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.trials_work import WorkTrials, work_trials

__all__ = ["command"]


def run(request: WorkTrials, terminal: Terminal) -> None:
    """Take cases from a store: go on with a run, beside others that do the same."""
    done = work_trials(request, terminal.event)
    terminal.show(done.to_json(), done.lines)


command = Command(WorkTrials, run)
