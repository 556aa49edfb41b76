"""`roboscale world check`."""

from __future__ import annotations

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.world_check import CheckWorldTasks, check_world_tasks

__all__ = ["command"]


def run(request: CheckWorldTasks, terminal: Terminal) -> int | None:
    """Check that a world keeps its promises, and a learned one its gates; exit code 1 when one does not hold."""
    if terminal.dry_run:
        plan = {"world": request.world, "tasks": request.tasks}
        terminal.show(plan, f"would check the tasks {request.tasks} of {request.world}")
        return None
    checked = check_world_tasks(request, terminal.event)
    terminal.show(checked.to_json(), checked.lines)
    return None if checked.ok else 1


command = Command(CheckWorldTasks, run, dry_run=True)
