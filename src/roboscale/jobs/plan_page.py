"""A plan as a page: fills the report's data from fits, decisions and back-tests."""

from __future__ import annotations

from pathlib import Path

from roboscale.jobs.files import write_text
from roboscale.jobs.planning import Planned
from roboscale.jobs.versions import versions
from roboscale.report.plan import PlanAnswer, PlanData, plan_page
from roboscale.report.plan_figures import BackTest, Curve

__all__ = ["write_plan_page"]


def write_plan_page(planned: Planned, page: Path, sources: tuple[str, ...], command: str) -> None:
    """Writes the plan as one offline HTML page, in one step; `command` makes it again."""
    checks = {(c.task, c.source): c for c in planned.checks}
    curves = []
    for (task, source), fit in planned.fits.items():
        check = checks.get((task, source))
        own = planned.curve_checks[task, source]
        tested = None
        if check is not None:
            tested = BackTest(check.amount, check.predicted, check.measured)
        elif own.amount is not None and own.predicted is not None and own.measured is not None:
            tested = BackTest(own.amount, own.predicted, own.measured)
        curves.append(Curve(task, source, fit, tested))
    answers = tuple(PlanAnswer(answer.sentence, known=answer.known) for answer in planned.answers.values())
    data = PlanData(
        answers=answers,
        curves=tuple(curves),
        decisions=planned.decisions,
        costs=planned.costs,
        unit=planned.unit,
        level=planned.asked.level,
        sources=sources,
        notes=planned.notes,
        command=command,
        versions=versions(),
    )
    write_text(page, plan_page(data))
