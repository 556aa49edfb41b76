"""`roboscale arena serve`."""

from __future__ import annotations

from roboscale.cli.commands import Command
from roboscale.cli.console import say
from roboscale.cli.terminal import Terminal
from roboscale.jobs.arena_serve import ServeArena, serve_arena

__all__ = ["command"]


def run(request: ServeArena, terminal: Terminal) -> None:
    """Host an arena: many labs, many robots, one board. Ctrl-C ends it."""
    with serve_arena(request, terminal.event, on_ready=lambda url: say(f"board: {url}")) as hosted:
        assert hosted.page is not None, "it is served"
        hosted.page.wait()


command = Command(ServeArena, run, json=False)
