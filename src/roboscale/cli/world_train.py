"""`roboscale world train`."""

from __future__ import annotations

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.world_train import TrainWorld, require_places, train_world

__all__ = ["command"]


def run(request: TrainWorld, terminal: Terminal) -> None:
    """Train a learned world, a state twin and its judge, from a dataset with outcomes."""
    if terminal.dry_run:
        require_places(request)
        plan = {"dataset": str(request.dataset), "out": str(request.out), "steps": request.steps}
        return terminal.show(plan, f"would train {request.out} from {request.dataset}, {request.steps} steps")
    done = train_world(request, terminal.event)
    terminal.show(done.to_json(), done.lines)


command = Command(TrainWorld, run, dry_run=True)
