"""`roboscale demo`."""

from __future__ import annotations

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.demo import RunDemo, run_demo

__all__ = ["command"]


def run(request: RunDemo, terminal: Terminal) -> None:
    """From ten demonstrations to a verdict: of recipes from state inputs, then of two checkpoints from pictures."""
    if terminal.dry_run:
        return terminal.show({"command": request.command}, f"would run: {request.command}")
    done = run_demo(request, terminal.event)
    return terminal.show(done.to_json(), done.lines)


command = Command(RunDemo, run, dry_run=True)
