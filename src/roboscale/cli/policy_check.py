"""`roboscale policy check`."""

from __future__ import annotations

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.policy_check import CheckPolicyInWorld, check_policy_in_world

__all__ = ["command"]


def run(request: CheckPolicyInWorld, terminal: Terminal) -> None:
    """Ask a policy the same again, and look for what reaches it otherwise than in training."""
    done = check_policy_in_world(request, terminal.event)
    terminal.show(done.to_json(), done.lines)


command = Command(CheckPolicyInWorld, run)
