"""`roboscale count`."""

from __future__ import annotations

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.count import WeighCounts, weigh_counts

__all__ = ["command"]


def run(request: WeighCounts, terminal: Terminal) -> None:
    """Say what plain counts say, e.g. 12/20 17/20: intervals, difference, exact test, and what n would tell."""
    done = weigh_counts(request, on_event=terminal.event)
    terminal.show(done.to_json(), done.lines)


command = Command(WeighCounts, run, methods=True)
