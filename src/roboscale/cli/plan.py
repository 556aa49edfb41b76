"""`roboscale plan`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from roboscale.cli.commands import Command
from roboscale.cli.terminal import Terminal
from roboscale.jobs.plan import PlanCollection, experiment_of, plan_collection

if TYPE_CHECKING:
    from roboscale.jobs.planning import Planned

__all__ = ["command"]


def run(request: PlanCollection, terminal: Terminal) -> None:
    """Say where the next hour of data buys most, from success at several amounts of several sources."""
    if terminal.dry_run and request.measure:
        policies = experiment_of(request).policies
        text = f"would train and try {policies} policies into {request.out}"
        return terminal.show({"policies": policies, "out": str(request.out)}, text)
    if terminal.dry_run:
        sources = [str(path) for path in request.sources]
        return terminal.show({"sources": sources}, f"would plan from {', '.join(sources) or 'nothing'}")
    planned = plan_collection(request, terminal.event)
    terminal.show(planned.to_json(), lines(planned))


def lines(planned: Planned) -> Iterator[str]:
    yield from planned.sentences()
    for check in planned.checks:
        verdict = {True: "inside", False: "outside", None: "nothing was predicted"}[check.inside]
        yield f"  {check.task}, {check.source}, {check.amount:g} {planned.unit}: {verdict}"
        yield f"    predicted {check.predicted}"
        yield f"    measured  {check.measured}"


command = Command(PlanCollection, run, dry_run=True, methods=True)
