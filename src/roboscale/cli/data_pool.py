"""`roboscale data pool`."""

from __future__ import annotations

from collections.abc import Iterator

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.data_pool import PoolDatasets, PooledDatasets, pool_datasets

__all__ = ["command"]

SHOWN = 40
"""Datasets that a terminal lists; `--json` and the page have all."""


def run(request: PoolDatasets, terminal: Terminal) -> None:
    """Keep an index of many datasets, search it, and make a collection of what was found."""
    done = pool_datasets(request, terminal.event)
    terminal.show(done.to_json(), lines(done))


def lines(done: PooledDatasets) -> Iterator[str]:
    """For a terminal: one line a dataset."""
    hours = sum(entry.hours for entry in done.entries)
    yield f"{done.pool}: {len(done.entries)} of {done.total} datasets, {hours:.3g} hours"
    width = max(len(entry.name) for entry in done.entries)
    for entry in done.entries[:SHOWN]:
        licence, robot = entry.licence or "licence not said", entry.robot or "robot not said"
        yield (
            f"  {entry.name:<{width}}  {entry.episodes} episodes, {entry.hours:.3g} h, {robot}, {licence}, "
            f"{entry.action}, {entry.errors} errors, {entry.warnings} warnings"
        )
    if len(done.entries) > SHOWN:
        yield f"  and {len(done.entries) - SHOWN} more: --find, --json or --html"
    if done.collection is not None:
        yield f"collection: {done.collection}"


command = Command(PoolDatasets, run)
