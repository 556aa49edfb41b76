"""`roboscale watch`."""

from __future__ import annotations

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.watch import WatchFolder, watch_folder

__all__ = ["command"]


def run(request: WatchFolder, terminal: Terminal) -> None:
    """Evaluate checkpoints as a training writes them; claims hold over all that ever appear."""
    done = watch_folder(request, terminal.event)
    terminal.show(done.to_json(), done.lines)


command = Command(WatchFolder, run)
