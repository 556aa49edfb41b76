"""`roboscale collect human`."""

from __future__ import annotations

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.capturing import planned_lines
from roboscale.jobs.collect_human import CollectHuman, collect_human, plan_human

__all__ = ["command"]


def run(request: CollectHuman, terminal: Terminal) -> None:
    """Turn tracked hands into a dataset, each sample with its error, or as auxiliary targets."""
    if terminal.dry_run:
        planned = plan_human(request)
        return terminal.show(planned, planned_lines(planned))
    done = collect_human(request, terminal.event)
    return terminal.show(done.to_json(), done.lines)


command = Command(CollectHuman, run, dry_run=True)
