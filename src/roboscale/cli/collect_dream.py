"""`roboscale collect dream`."""

from __future__ import annotations

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.collect_dream import DreamEpisodes, dream_episodes

__all__ = ["command"]


def run(request: DreamEpisodes, terminal: Terminal) -> None:
    """Turn videos that a model made up into episodes, where a world or two models agree with the actions in them."""
    done = dream_episodes(request, terminal.event)
    terminal.show(done.to_json(), done.lines)


command = Command(DreamEpisodes, run)
