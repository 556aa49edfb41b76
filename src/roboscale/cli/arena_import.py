"""`roboscale arena import`."""

from __future__ import annotations

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.arena_import import ImportToArena, import_to_arena

__all__ = ["command"]


def run(request: ImportToArena, terminal: Terminal) -> None:
    """Add RoboArena's published sessions to an arena, as finished matches."""
    done = import_to_arena(request, terminal.event)
    terminal.show(done.to_json(), done.text)


command = Command(ImportToArena, run)
