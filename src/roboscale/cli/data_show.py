"""`roboscale data show`."""

from __future__ import annotations

import shlex

from roboscale.cli.commands import Command
from roboscale.cli.console import say
from roboscale.cli.terminal import Terminal
from roboscale.jobs.data_show import ShowDataset, show_dataset, write_for_viewers

__all__ = ["command"]

_OPEN = {
    "rrd": "rerun {out}/*.rrd",
    "mcap": "files {out}/*.mcap in Foxglove (app.foxglove.dev or its desktop version)",
}
"""Format -> how its files are opened."""


def run(request: ShowDataset, terminal: Terminal) -> None:
    """Look at episodes in the browser: cameras in step with state and action; label them with single keys.

    With --rerun or --foxglove, write files that those viewers open instead.
    """
    if request.rerun or request.foxglove:
        for done in write_for_viewers(request, terminal.event):
            say(f"{done.episodes} episodes, {done.frames} frames in {done.out}")
            say(f"open them: {_OPEN[done.format].format(out=shlex.quote(done.out))}")
        return
    with show_dataset(request, terminal.event) as page:
        say(f"open {page.url}")
        page.wait()


command = Command(ShowDataset, run, json=False)
