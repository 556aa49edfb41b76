"""`roboscale trials merge`."""

from __future__ import annotations

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.trials_merge import MergeTrials, merge_trials

__all__ = ["command"]


def run(request: MergeTrials, terminal: Terminal) -> None:
    """Put the trials of several stores into one. A trial that two know differently is an error."""
    if terminal.dry_run:
        return terminal.show({"out": request.out}, f"would merge {', '.join(request.stores)} into {request.out}")
    done = merge_trials(request)
    return terminal.show(done.to_json(), done.text)


command = Command(MergeTrials, run, dry_run=True)
