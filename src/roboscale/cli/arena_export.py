"""`roboscale arena export`."""

from __future__ import annotations

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.arena_export import ExportArena, export_arena

__all__ = ["command"]


def run(request: ExportArena, terminal: Terminal) -> None:
    """Write an arena's matches as Parquet and JSON, from which `roboscale rank` recomputes the board."""
    done = export_arena(request, terminal.event)
    terminal.show(done.to_json(), done.text)


command = Command(ExportArena, run)
