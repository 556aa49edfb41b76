"""`roboscale cases check`."""

from __future__ import annotations

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.cases_check import CheckCases, check_cases

__all__ = ["command"]


def run(request: CheckCases, terminal: Terminal) -> None:
    """Check that a file of cases is whole, and that a world can set them all up."""
    made = check_cases(request)
    terminal.show(made.to_json(), f"{len(made.cases)} cases, digest {made.digest[:8]}, split {made.split}: ok")


command = Command(CheckCases, run)
