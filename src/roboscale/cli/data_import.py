"""`roboscale data import`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.data_import import ImportDataset, Imported, explain_recording, import_dataset, plan_import

__all__ = ["command"]


def run(request: ImportDataset, terminal: Terminal) -> None:
    """Turn a recording of any known format into a LeRobotDataset v3.0, and prove what was done to it."""
    if request.explain:
        explained = explain_recording(request, terminal.event)
        return terminal.show(explained.to_json(), explained.text)
    if terminal.dry_run:
        planned = plan_import(request, terminal.event)
        return terminal.show(planned, planned_lines(planned))
    done = import_dataset(request, terminal.event)
    terminal.show(done.to_json(), lines(done))


def lines(done: Imported) -> Iterator[str]:
    proof = done.proof
    numeric = [row for row in proof.fields if row.shape[2:] == () or row.dtype != "uint8"]
    exact = sum(row.difference == 0 for row in numeric)
    yield f"{done.out}: {len(proof.episodes)} episodes, {proof.frames} frames from {proof.format} {proof.source}"
    yield f"  numeric fields equal to the source, read back: {exact} of {len(numeric)}"
    for camera in proof.cameras:
        worst = "" if camera.worst_psnr_db is None else f", PSNR at least {camera.worst_psnr_db:.1f} dB"
        yield f"  {camera.name}: {camera.remuxed} episodes remuxed, {camera.encoded} encoded{worst}"
    if proof.carried:
        yield f"  carried as they are, not looked into: {', '.join(proof.carried)}"
    lost = {name: why for name, why in proof.unmapped.items() if not why.startswith("regenerated")}
    yield f"  left out: {len(proof.dropped)} episodes, {len(lost)} columns or cameras: {', '.join(lost) or 'none'}"
    counts = ", ".join(f"{sum(f.severity == s for f in proof.findings)} {s}s" for s in ("error", "warning", "info"))
    yield f"  findings: {counts}; each is said above and stands in the proof"
    if proof.undeclared:
        yield f"  not declared: {', '.join(proof.undeclared)} (--explain shows evidence, --declare says it)"


def planned_lines(planned: dict[str, Any]) -> Iterator[str]:
    what = f"{planned['episodes']} episodes of {planned['format']} {planned['source']}"
    yield f"would import {what} to {planned['out']}"
    yield f"  fields at {planned['rate_hz']:g} Hz: {', '.join(planned['fields'])}"
    if planned["carried"]:
        yield f"  carried as they are, not looked into: {', '.join(planned['carried'])}"
    yield f"  left out: {planned['left_out']} episodes or cameras without video"
    for name, reason in planned["unmapped"].items():
        yield f"  not carried over: {name}: {reason}"
    if planned["undeclared"]:
        yield f"  meaning not declared: {', '.join(planned['undeclared'])}"


command = Command(ImportDataset, run, dry_run=True)
