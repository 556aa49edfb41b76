"""`roboscale study init`."""

from __future__ import annotations

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.study_init import InitStudy, init_study

__all__ = ["command"]


def run(request: InitStudy, terminal: Terminal) -> None:
    """Write the file of a new study, which is valid as it stands."""
    done = init_study(request)
    terminal.show(done.to_json(), done.text)


command = Command(InitStudy, run)
