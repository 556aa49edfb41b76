"""`roboscale data audit`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.core import Finding
from roboscale.jobs.data_audit import AuditDataset, AuditedDataset, audit_dataset

__all__ = ["command"]

WIDTH = 190
"""Characters that a finding may take on the terminal."""


def run(request: AuditDataset, terminal: Terminal) -> int:
    """Recompute what a dataset claims, and look for what training would trip over."""
    done = audit_dataset(request, terminal.event)
    terminal.show(done.to_json(), lines(request.dataset, done))
    return 2 if done.failed else 0


def lines(dataset: Path, done: AuditedDataset) -> Iterator[str]:
    """One line a kind of finding, its worst case first; all of them are in `--json` and on the page."""
    report = done.report
    counts = ", ".join(f"{report.count(s)} {s}s" for s in ("error", "warning", "info"))
    yield f"{dataset}: {report.episodes} episodes, {report.frames} frames, {len(report.checked)} checks: {counts}"
    for (severity, check), same in _kinds(report.findings).items():
        others = ", ".join(dict.fromkeys(one.field for one in same[1:] if one.field))
        more = f"; {len(same) - 1} more" + (f": {others}" if others else "") if len(same) > 1 else ""
        yield f"  {severity:7} {_short(f'{check}: {same[0].text}', WIDTH - len(more[:60]))}{_short(more, 60)}"
        for repair in dict.fromkeys(one.repair for one in same if one.repair):
            yield f"          repair: {repair}"
    yield from (f"  operator {line}" for line in report.operators)
    for name, role in report.facts.get("roles", {}).items():
        if role["kind"] in ("action", "state", "gripper", "pose") and role["confidence"] < 0.9:
            yield f"  taken for {role['kind']}: {name} ({role['why']}); --role {name}=KIND says otherwise"
    unread = report.facts.get("not looked at", {})
    for reason in dict.fromkeys(unread.values()):
        names = [name for name, why in unread.items() if why == reason]
        yield _short(f"  not looked at: {', '.join(names)}: {reason}", WIDTH)
    for reason in dict.fromkeys(report.skipped.values()):
        checks = [check for check, why in report.skipped.items() if why == reason]
        yield f"  not checked: {checks[0] if len(checks) == 1 else f'{len(checks)} checks'}: {reason}"


def _kinds(findings: Sequence[Finding]) -> dict[tuple[str, str], list[Finding]]:
    kinds: dict[tuple[str, str], list[Finding]] = {}
    for one in findings:
        kinds.setdefault((one.severity, one.check), []).append(one)
    return kinds


def _short(text: str, width: int) -> str:
    """The text, its middle left out where it is longer: how it begins says what, how it ends says how many."""
    if len(text) <= width:
        return text
    start, end = text[: width - 45].rpartition(" ")[0], text[-40:].partition(" ")[2]
    return f"{start} ... {end}"


command = Command(AuditDataset, run)
