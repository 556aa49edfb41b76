"""`roboscale trials export`."""

from __future__ import annotations

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.trials_export import ExportTrials, export_trials

__all__ = ["command"]


def run(request: ExportTrials, terminal: Terminal) -> None:
    """Write trials as LeRobot's eval_info.json, or as episodes of a dataset with their outcomes."""
    done = export_trials(request, terminal.event)
    terminal.show(done.to_json(), done.text)


command = Command(ExportTrials, run)
