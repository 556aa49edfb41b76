"""`roboscale arena invite`."""

from __future__ import annotations

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.arena_invite import InviteToArena, invite_to_arena

__all__ = ["command"]


def run(request: InviteToArena, terminal: Terminal) -> None:
    """Make an invitation to an arena, on the machine that has its store."""
    done = invite_to_arena(request, terminal.event)
    terminal.show(done.to_json(), done.text)


command = Command(InviteToArena, run)
