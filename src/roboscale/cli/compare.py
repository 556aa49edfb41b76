"""`roboscale compare`."""

from __future__ import annotations

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.compare import Compare, compare

__all__ = ["command"]


def run(request: Compare, terminal: Terminal) -> None:
    """Try policies on the same held-out cases, in turn, until a test decides or the budget ends.

    At a guarded robot (--world robot:FILE.toml, or a locked study STUDY.toml instead of policies) the operator's page
    is where scenes are set up, trials run and scored, blind.
    """
    if terminal.dry_run:
        from roboscale.jobs.running import planned
        from roboscale.jobs.studies import open_study

        policies, design = request.policies, None
        if request.is_study:
            opened = open_study(request)
            request, policies, design = opened.request, opened.policies, opened.plan.design
        plan = planned(request, policies, request.budget, design)
        return terminal.show(plan.to_json(), plan.text)
    done = compare(request, on_event=terminal.event)
    return terminal.show(done.to_json(), done.lines)


command = Command(Compare, run, dry_run=True, methods=True)
