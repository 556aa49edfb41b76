"""`roboscale cases make`."""

from __future__ import annotations

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.cases_make import MakeCases, make_cases

__all__ = ["command"]


def run(request: MakeCases, terminal: Terminal) -> None:
    """Write down which cases are to be tried, before anything is."""
    made = make_cases(request, terminal.event)
    terminal.show(made.to_json(), f"{len(made.cases)} cases, digest {made.digest[:8]}, split {made.split}")


command = Command(MakeCases, run)
