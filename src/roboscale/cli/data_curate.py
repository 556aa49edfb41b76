"""`roboscale data curate`."""

from __future__ import annotations

from collections.abc import Iterator

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.data_curate import Curated, CurateDataset, curate_dataset

__all__ = ["command"]


def run(request: CurateDataset, terminal: Terminal) -> None:
    """Choose what to learn from, as a selection; --validate says by success whether that helps."""
    done = curate_dataset(request, terminal.event, dry_run=terminal.dry_run)
    terminal.show(done.to_json(), lines(done))


def lines(done: Curated) -> Iterator[str]:
    """For a terminal: how much is kept, the worst that is left out, and what was found."""
    selection = done.selection
    kept = len({row.episode for row in selection.kept})
    share = selection.frames / done.frames
    yield (
        f"{selection.method}: {kept} of {kept + len(selection.dropped)} episodes, {selection.frames} of {done.frames} "
        f"frames ({share:.0%}) are kept"
    )
    worst = sorted(selection.dropped, key=lambda row: row.score or 0.0)[:3]
    for row in worst:
        yield f"  left out: {row.episode}: {row.reason}"
    yield from done.lines
    if done.reading:
        yield done.reading


command = Command(CurateDataset, run, dry_run=True)
