"""`roboscale next`."""

from __future__ import annotations

from collections.abc import Iterator

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.next import Picked, PickTrials, pick_trials

__all__ = ["command"]


def run(request: PickTrials, terminal: Terminal) -> None:
    """Name the next trials, in order, by what each is expected to buy for its cost."""
    done = pick_trials(request, terminal.event)
    terminal.show(done.to_json(), lines(done))


def lines(done: Picked) -> Iterator[str]:
    yield done.plan.sentence
    for number, pick in enumerate(done.plan.picks, 1):
        who = f" by {pick.evaluator}" if pick.evaluator else ""
        yield f"{number:3}. {pick.first} and {pick.second} on {pick.case} in {pick.world}{who}, cost {pick.cost:g}"
        yield f"     {pick.reason}"


command = Command(PickTrials, run, methods=True)
