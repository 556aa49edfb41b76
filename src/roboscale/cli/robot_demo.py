"""`roboscale robot demo`."""

from __future__ import annotations

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.robot_demo import DemoRobot, demo_robot

__all__ = ["command"]


def run(request: DemoRobot, terminal: Terminal) -> None:
    """Write a bench into a folder: a simulated stand-in arm, two policies and a study, to be locked and run."""
    done = demo_robot(request)
    terminal.show(done.to_json(), done.text)


command = Command(DemoRobot, run)
