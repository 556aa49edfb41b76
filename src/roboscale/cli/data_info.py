"""`roboscale data info`."""

from __future__ import annotations

from collections.abc import Iterator

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.data_info import DescribeDataset, DescribedDataset, describe_dataset

__all__ = ["command"]


def run(request: DescribeDataset, terminal: Terminal) -> None:
    """Say what a recording holds, from metadata alone; of an address nothing else is fetched."""
    info = describe_dataset(request, terminal.event)
    terminal.show(info.to_json(), lines(info))


def lines(info: DescribedDataset) -> Iterator[str]:
    frames = f", {info.frames} frames, {info.frames / info.rate_hz:.0f} s" if info.frames and info.rate_hz else ""
    rate = f" at {info.rate_hz:g} Hz" if info.rate_hz else ", rate not said"
    yield f"{info.source}: {info.format}, {info.episodes} episodes{frames}{rate}"
    yield f"  robot: {info.robot or 'not said'}; licence: {info.licence or 'not said'}; {info.megabytes:.4g} MB"
    for name, what in info.fields.items():
        yield f"  {name}: {what}"
    for name, why in info.left_out.items():
        yield f"  not carried over by an import: {name}: {why}"
    if info.splits:
        yield f"  splits: {', '.join(f'{name} {count}' for name, count in info.splits.items())}"
    if info.languages:
        yield f"  languages: {', '.join(info.languages)}"
    for text in info.tasks[:5]:
        yield f"  task: {text}"
    if len(info.tasks) > 5:
        yield f"  and {len(info.tasks) - 5} more tasks"
    for finding in info.findings:
        yield f"  {finding.severity} {finding.check}: {finding.text}"


command = Command(DescribeDataset, run)
