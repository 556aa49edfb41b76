"""`roboscale data align`."""

from __future__ import annotations

from collections.abc import Iterator

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.data_align import AlignDatasets, AlignedDatasets, align_datasets

__all__ = ["command"]


def run(request: AlignDatasets, terminal: Terminal) -> None:
    """Put the actions of different robots into one space, by what they declare."""
    done = align_datasets(request, terminal.event, dry_run=terminal.dry_run)
    terminal.show(done.to_json(), lines(done, written=not terminal.dry_run))


def lines(done: AlignedDatasets, *, written: bool = True) -> Iterator[str]:
    """For a terminal: what is in it, how exactly it goes back, and what was refused."""
    would = "" if written else "would be "
    compared = "every episode was compared" if written else "no other was compared, and nothing was written"
    yield f"{done.out}: {would}{sum(done.members.values())} episodes of {len(done.members)} datasets in {done.space}"
    yield f"  going back is off by at most {done.error:.2g} (first episode of each; {compared})"
    for name, why in done.refused.items():
        yield f"  refused: {name}: {why}"


command = Command(AlignDatasets, run, dry_run=True)
