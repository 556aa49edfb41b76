"""`roboscale data fix`."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.data_fix import FixDataset, Fixed, Mended, Recovered, Undone, fix_dataset

__all__ = ["command"]


def run(request: FixDataset, terminal: Terminal) -> None:
    """Make a dataset whole: after a kill, where metadata lies, or where episodes should be cut or left out.

    Nothing is deleted: leftovers go to a quarantine, replaced metadata to an undo folder, the rest into a new dataset.
    """
    done = fix_dataset(request, terminal.event, dry_run=terminal.dry_run)
    if isinstance(done, Fixed):
        lines = fixed_lines(done)
    elif isinstance(done, Mended):
        lines = mended_lines(request, done)
    elif isinstance(done, Undone):
        lines = iter([f"{'would put back' if done.dry_run else 'put back'}: {', '.join(done.files)}"])
    else:
        lines = recovered_lines(request, done)
    terminal.show(done.to_json(), lines)


def fixed_lines(done: Fixed) -> Iterator[str]:
    yield f"{done.out}: {done.episodes} episodes, {done.frames} frames"
    for change in done.metadata:
        yield f"  mended: {change}"
    for key, reason in done.dropped.items():
        yield f"  left out {key}: {reason}"
    yield f"  trimmed: {len(done.trimmed)} episodes; relabelled: {done.relabelled}"
    if done.joined:
        pieces = sum(done.joined.values())
        yield f"  joined: {len(done.joined)} episodes, of {pieces} pieces; their clocks show the gaps"


def mended_lines(request: FixDataset, done: Mended) -> Iterator[str]:
    what = str(request.dataset) if request.out is None else f"{request.dataset} -> {request.out}"
    did, files = "would mend" if done.dry_run else "mended", done.plan["files"]
    rows = f"{done.plan['rows_before']} rows before, {done.plan['rows_after']} after"
    yield f"{what}: {done.plan['kept']} episodes verified; {did} {len(files)} files; {rows}"
    for change in done.plan["changes"]:
        yield f"  {change}"
    for name in done.plan["kept_as_they_are"]:
        yield f"  {name}: not colour pictures; its metadata and statistics stay as their writer left them"
    if files and not done.dry_run:
        yield f"  undo with: roboscale data fix {shlex.quote(str(request.dataset))} --undo"


def recovered_lines(request: FixDataset, done: Recovered) -> Iterator[str]:
    report = done.report
    did = "would change" if report.dry_run else "changed"
    yield f"{request.dataset}: {report.episodes} episodes, {report.frames} frames readable; {did}: {report.changed}"
    for name in ("finished", "sealed", "quarantined"):
        yield f"  {name}: {getattr(report, name)}"


command = Command(FixDataset, run, dry_run=True, formerly="repair")
