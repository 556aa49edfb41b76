"""A check as a page."""

from __future__ import annotations

from roboscale.jobs.check import CheckedResults, CheckResults
from roboscale.jobs.files import write_text
from roboscale.jobs.versions import versions
from roboscale.report.check import CheckData, CheckRow, check_page

__all__ = ["write_check_page"]


def write_check_page(done: CheckedResults, request: CheckResults) -> None:
    """Writes the page in one step."""
    assert request.html is not None
    rows = tuple(
        CheckRow(
            verdict=check.verdict,
            task=check.stratum.text,
            before=check.before,
            old=check.old,
            new=check.new,
            difference=check.difference,
            p_value=check.p_value,
            design=check.design,
        )
        for check in done.checks.checks
    )
    data = CheckData(
        candidate=done.checks.candidate,
        sentence=done.sentence,
        outcome=done.outcome,
        rows=rows,
        meanings=done.meanings,
        unseen=done.unseen,
        ages=tuple((name, done.ages[name].text) for name in reversed(done.order) if name in done.ages),
        methods=tuple(dict.fromkeys(check.method for check in done.checks.checks)),
        sources=(f"{done.files} file{'' if done.files == 1 else 's'} below {request.folder}",),
        json=done.to_json(),
        command=request.command,
        notes=done.notes,
        versions=versions(),
    )
    write_text(request.html, check_page(data))
