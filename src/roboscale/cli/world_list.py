"""`roboscale world list`."""

from __future__ import annotations

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.world_list import ListWorlds, list_worlds

__all__ = ["command"]


def run(request: ListWorlds, terminal: Terminal) -> None:
    """List the worlds that can be used here, or the tasks of one with their instructions."""
    listed = list_worlds(request, terminal.event)
    terminal.show(listed.to_json(), listed.lines)


command = Command(ListWorlds, run)
