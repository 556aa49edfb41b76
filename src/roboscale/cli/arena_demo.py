"""`roboscale arena demo`."""

from __future__ import annotations

from roboscale.cli.commands import Command
from roboscale.cli.console import say
from roboscale.cli.terminal import Terminal
from roboscale.jobs.arena_demo import DemoArena, demo_arena

__all__ = ["command"]


def run(request: DemoArena, terminal: Terminal) -> None:
    """Play an arena on this machine: three robots, five policies of known quality; then serve its board."""
    with demo_arena(request, terminal.event, on_ready=lambda url: say(f"board: {url}")) as hosted:
        assert hosted.page is not None, "it is served"
        say(f"{len(hosted.arena.state.finished)} matches are over; the board stays at {hosted.page.url} until Ctrl-C")
        hosted.page.wait()


command = Command(DemoArena, run, json=False)
