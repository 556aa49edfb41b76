"""`roboscale study amend`."""

from __future__ import annotations

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.study_amend import AmendStudy, amend_study

__all__ = ["command"]


def run(request: AmendStudy, terminal: Terminal) -> None:
    """Take a change of a locked study on record; the report lists it."""
    done = amend_study(request)
    terminal.show(done.to_json(), done.text)


command = Command(AmendStudy, run)
