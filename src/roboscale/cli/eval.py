"""`roboscale eval`."""

from __future__ import annotations

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.eval import Evaluate, evaluate

__all__ = ["command"]


def run(request: Evaluate, terminal: Terminal) -> None:
    """Measure a policy's success rate, with its interval, on held-out cases."""
    if terminal.dry_run:
        from roboscale.jobs.running import planned

        plan = planned(request, (request.policy,), request.trials)
        return terminal.show(plan.to_json(), plan.text)
    done = evaluate(request, terminal.event)
    return terminal.show(done.to_json(), done.lines)


command = Command(Evaluate, run, dry_run=True, methods=True)
