"""`roboscale why`."""

from __future__ import annotations

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.why import ExplainFailures, explain_failures

__all__ = ["command"]


def run(request: ExplainFailures, terminal: Terminal) -> None:
    """Say what went wrong, policy by policy: stages that were reached, failures by reason, what the guard did."""
    done = explain_failures(request, terminal.event)
    terminal.show(done.to_json(), done.text)


command = Command(ExplainFailures, run)
