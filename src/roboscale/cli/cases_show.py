"""`roboscale cases show`."""

from __future__ import annotations

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.cases_show import ShowCases, show_cases

__all__ = ["command"]


def run(request: ShowCases, terminal: Terminal) -> None:
    """Show the cases of a file, in the order in which they count."""
    made = show_cases(request)
    head = f"{made.name}: {len(made.cases)} cases, digest {made.digest[:8]}, split {made.split}"
    terminal.show(made.to_json(), [head, *(f"  {case.id}" for case in made.cases)])


command = Command(ShowCases, run)
