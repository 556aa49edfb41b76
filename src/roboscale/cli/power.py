"""`roboscale power`."""

from __future__ import annotations

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.power import SizeComparison, size_comparison

__all__ = ["command"]


def run(request: SizeComparison, terminal: Terminal) -> None:
    """Say how many trials and training runs a comparison takes: independent, on the same cases, sequential."""
    done = size_comparison(request, on_event=terminal.event)
    terminal.show(done.to_json(), done.lines)


command = Command(SizeComparison, run, methods=True)
