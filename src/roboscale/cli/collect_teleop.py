"""`roboscale collect teleop`."""

from __future__ import annotations

from roboscale.cli.commands import Command
from roboscale.cli.console import say
from roboscale.cli.terminal import Terminal
from roboscale.jobs.collect_teleop import Teleoperate, plan_teleoperation, teleoperate

__all__ = ["command"]


def run(request: Teleoperate, terminal: Terminal) -> int | None:
    """Drive a robot or a simulated one from a browser, and record demonstrations; or take over from a policy."""
    if terminal.dry_run:
        plan = plan_teleoperation(request, terminal.event)
        terminal.show(plan.to_json(), plan.lines)
        return None
    with teleoperate(request, terminal.event) as driving:
        say(f"open {driving.url}")
        done = driving.run()
    terminal.show(done.to_json(), done.lines)
    return 0 if done.kept or done.failed else 1


command = Command(Teleoperate, run, dry_run=True)
