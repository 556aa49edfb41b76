"""`roboscale data merge`."""

from __future__ import annotations

from collections.abc import Iterator

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.data_merge import Merged, MergeDatasets, merge_datasets, plan_merge

__all__ = ["command"]


def run(request: MergeDatasets, terminal: Terminal) -> None:
    """Pool datasets: one robot becomes one dataset, several robots a collection that is read as one."""
    job, did = (plan_merge, "would make") if terminal.dry_run else (merge_datasets, "made")
    merged = job(request, terminal.event)
    terminal.show(merged.to_json(), lines(merged, did))


def lines(merged: Merged, did: str) -> Iterator[str]:
    robots = ", ".join(merged.robots) or "unknown robot"
    yield f"{did} a {merged.kind} of {merged.episodes} episodes, {robots}: {merged.out}"
    for name, episodes in merged.members.items():
        yield f"  {name}: {episodes}"


command = Command(MergeDatasets, run, dry_run=True)
