"""`roboscale demo`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.demo import RunDemo, run_demo
from roboscale.jobs.demo_plan import plan_demo

__all__ = ["command"]


def run(request: RunDemo, terminal: Terminal) -> None:
    """From ten demonstrations to a verdict: of recipes from state inputs, then of two checkpoints from pictures."""
    if terminal.dry_run:
        planned = plan_demo(request)
        return terminal.show(planned, lines(planned))
    done = run_demo(request, terminal.event)
    return terminal.show(done.to_json(), done.lines)


def lines(planned: Mapping[str, Any]) -> Iterator[str]:
    """For a terminal: the command, where, on what, stage by stage."""
    yield f"would run: {planned['command']}"
    yield f"  into {planned['folder']}, on {', '.join(planned['tasks'])}"
    for name, what in planned["recipes"].items():
        yield f"  {name} is {what}"
    for number, stage in enumerate(planned["stages"], 1):
        yield f"  {number}  {stage}"
    yield f"  {planned['takes']}"


command = Command(RunDemo, run, dry_run=True)
