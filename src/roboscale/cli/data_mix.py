"""`roboscale data mix`."""

from __future__ import annotations

from collections.abc import Iterator

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.data_mix import MixDataset, MixedDataset, mix_dataset

__all__ = ["command"]


def run(request: MixDataset, terminal: Terminal) -> None:
    """Choose how often each source is drawn in training; --validate says by success whether that helps."""
    done = mix_dataset(request, terminal.event, dry_run=terminal.dry_run)
    terminal.show(done.to_json(), lines(done, dry_run=terminal.dry_run))


def lines(done: MixedDataset, *, dry_run: bool) -> Iterator[str]:
    """For a terminal: a group a line, and what was found."""
    for name, share in done.shares.items():
        frames = f"{done.frames[name]:.2f} of the frames"
        yield f"{name}: {frames}" if dry_run else f"{name}: {share:.2f} of the draws, {frames}"
    yield from done.reading


command = Command(MixDataset, run, dry_run=True)
