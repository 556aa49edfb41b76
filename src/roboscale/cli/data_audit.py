"""`roboscale data audit`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.data_audit import AuditDataset, AuditedDataset, audit_dataset

__all__ = ["command"]


def run(request: AuditDataset, terminal: Terminal) -> int:
    """Recompute what a dataset claims, and look for what training would trip over."""
    done = audit_dataset(request, terminal.event)
    terminal.show(done.to_json(), lines(request.dataset, done))
    return 2 if done.failed else 0


def lines(dataset: Path, done: AuditedDataset) -> Iterator[str]:
    report = done.report
    counts = ", ".join(f"{report.count(s)} {s}s" for s in ("error", "warning", "info"))
    yield f"{dataset}: {report.episodes} episodes, {report.frames} frames, {len(report.checked)} checks: {counts}"
    for finding in report.findings:
        yield f"  {finding.severity:7} {finding.check}: {finding.text}"
        if finding.repair:
            yield f"          repair: {finding.repair}"
    for reason in dict.fromkeys(report.skipped.values()):
        checks = [check for check, why in report.skipped.items() if why == reason]
        yield f"  not checked: {checks[0] if len(checks) == 1 else f'{len(checks)} checks'}: {reason}"


command = Command(AuditDataset, run)
