"""`roboscale trials replay`."""

from __future__ import annotations

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.trials_replay import ReplayTrial, replay_trial

__all__ = ["command"]


def run(request: ReplayTrial, terminal: Terminal) -> None:
    """Play one trial again; with --set, with a value of its world moved and the policy acting anew."""
    done = replay_trial(request, terminal.event)
    terminal.show(done.to_json(), done.text)


command = Command(ReplayTrial, run)
