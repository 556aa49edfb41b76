"""`roboscale study lock`."""

from __future__ import annotations

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.study_lock import LockStudy, lock_study

__all__ = ["command"]


def run(request: LockStudy, terminal: Terminal) -> None:
    """Fix a study before its first trial, and draw the order of its arms."""
    done = lock_study(request)
    terminal.show(done.to_json(), done.text)


command = Command(LockStudy, run)
