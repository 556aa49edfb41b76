"""`roboscale study unblind`."""

from __future__ import annotations

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.study_unblind import UnblindStudy, unblind_study

__all__ = ["command"]


def run(request: UnblindStudy, terminal: Terminal) -> None:
    """Say which arm is which. That somebody was told, and whether early, is on record."""
    done = unblind_study(request)
    terminal.show(done.to_json(), done.text)


command = Command(UnblindStudy, run)
