"""`roboscale arena join`."""

from __future__ import annotations

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.arena_join import JoinArena, join_arena

__all__ = ["command"]


def run(request: JoinArena, terminal: Terminal) -> None:
    """Join an arena with an invitation: prints the token of the new account, once."""
    done = join_arena(request)
    terminal.show(done.to_json(), done.text)


command = Command(JoinArena, run)
