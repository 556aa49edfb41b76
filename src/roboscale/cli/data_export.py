"""`roboscale data export`."""

from __future__ import annotations

from collections.abc import Iterator

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.data_export import ExportDataset, Exported, export_dataset, plan_export

__all__ = ["command"]


def run(request: ExportDataset, terminal: Terminal) -> None:
    """Write a dataset in somebody else's format, and verify it by reading it back."""
    if terminal.dry_run:
        planned = plan_export(request)
        what = f"{planned['episodes']} episodes of {request.dataset}"
        return terminal.show(
            planned, f"would write {what}, about {planned['bytes'] / 1e6:.4g} MB, to {request.out} as {request.to}"
        )
    done = export_dataset(request, terminal.event)
    terminal.show(done.to_json(), lines(done))


def lines(done: Exported) -> Iterator[str]:
    what = f"{done.episodes} episodes, {done.frames} frames as {done.format}"
    yield f"{done.out}: {what}; largest difference after reading back:"
    for name, difference in done.largest_difference.items():
        yield f"  {name}: {difference:g}"
    if done.lost:
        yield f"  not in it, as said above: {', '.join(done.lost)}"


command = Command(ExportDataset, run, dry_run=True)
