"""`roboscale world play`."""

from __future__ import annotations

from roboscale.cli.commands import Command
from roboscale.cli.console import say
from roboscale.cli.terminal import Terminal
from roboscale.jobs.world_play import PlayWorld, play_world

__all__ = ["command"]


def run(request: PlayWorld, terminal: Terminal) -> None:
    """Steer an imagined scene from a browser by keys, beside the simulator's truth with --truth."""
    with play_world(request, terminal.event) as page:
        say(f"open {page.url}")
        page.wait()


command = Command(PlayWorld, run, json=False)
