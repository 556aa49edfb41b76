"""`roboscale policy train`."""

from __future__ import annotations

import json

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.policy_train import TrainPolicy, plan_training, train_policy

__all__ = ["command"]


def run(request: TrainPolicy, terminal: Terminal) -> None:
    """Train the built-in policy on the processor."""
    if terminal.dry_run:
        planned = {"dataset": str(request.dataset), "out": str(request.out), "config": plan_training(request)}
        return terminal.show(planned, json.dumps(planned, indent=2))
    done = train_policy(request, terminal.event)
    terminal.show(done.to_json(), f"trained {done.out}")


command = Command(TrainPolicy, run, dry_run=True)
