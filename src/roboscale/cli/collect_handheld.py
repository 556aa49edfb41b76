"""`roboscale collect handheld`."""

from __future__ import annotations

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.capturing import planned_lines
from roboscale.jobs.collect_handheld import CollectHandheld, collect_handheld, plan_handheld

__all__ = ["command"]


def run(request: CollectHandheld, terminal: Terminal) -> None:
    """Turn recordings of handheld grippers, phones and headsets into a dataset, each sample with its error."""
    if terminal.dry_run:
        planned = plan_handheld(request)
        return terminal.show(planned, planned_lines(planned))
    done = collect_handheld(request, terminal.event)
    return terminal.show(done.to_json(), done.lines)


command = Command(CollectHandheld, run, dry_run=True)
