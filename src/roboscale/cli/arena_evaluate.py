"""`roboscale arena evaluate`."""

from __future__ import annotations

from roboscale.cli.commands import Command
from roboscale.cli.console import say
from roboscale.cli.terminal import Terminal
from roboscale.jobs.arena_evaluate import EvaluateForArena, evaluate_for_arena

__all__ = ["command"]


def run(request: EvaluateForArena, terminal: Terminal) -> None:
    """Take a robot to an arena: opens the evaluator's page on this machine. Ctrl-C ends it."""
    with evaluate_for_arena(request, terminal.event) as page:
        say(f"open {page.url}")
        page.wait()


command = Command(EvaluateForArena, run, json=False)
