"""`roboscale collect augment`."""

from __future__ import annotations

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.collect_augment import AugmentEpisodes, augment_episodes

__all__ = ["command"]


def run(request: AugmentEpisodes, terminal: Terminal) -> None:
    """Render episodes of a simulated world again, in other light, from elsewhere, in other colours."""
    done = augment_episodes(request, terminal.event)
    terminal.show(done.to_json(), done.lines)


command = Command(AugmentEpisodes, run)
