"""`roboscale arena publish`."""

from __future__ import annotations

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.arena_publish import PublishArena, publish_arena

__all__ = ["command"]


def run(request: PublishArena, terminal: Terminal) -> None:
    """Write an arena's board as a folder that opens from a file: page, films, and tables to count it again."""
    done = publish_arena(request, terminal.event)
    terminal.show(done.to_json(), done.text)


command = Command(PublishArena, run)
