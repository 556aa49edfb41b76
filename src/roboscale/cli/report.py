"""`roboscale report`."""

from __future__ import annotations

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.report import WriteReport, write_report

__all__ = ["command"]


def run(request: WriteReport, terminal: Terminal) -> None:
    """Write one self-contained HTML page: verdict, rates, films, evidence, damage, data, versions."""
    if terminal.dry_run:
        plan = {"page": str(request.page), "store": request.store}
        return terminal.show(plan, f"would write {request.page} from {request.store}")
    data = write_report(request, terminal.event)
    return terminal.show(data.to_json(), str(request.page))


command = Command(WriteReport, run, dry_run=True)
