"""`roboscale data show`."""

from __future__ import annotations

from roboscale.cli.commands import Command
from roboscale.cli.console import say
from roboscale.cli.terminal import Terminal
from roboscale.jobs.data_show import ShowDataset, show_dataset

__all__ = ["command"]


def run(request: ShowDataset, terminal: Terminal) -> None:
    """Look at episodes in the browser: cameras in step with state and action; label them with single keys."""
    with show_dataset(request, terminal.event) as page:
        say(f"open {page.url}")
        page.wait()


command = Command(ShowDataset, run, json=False)
