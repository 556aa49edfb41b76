"""The part of a page that says how quick trials were, and what their time went into."""

from __future__ import annotations

from roboscale.core.timing import TIME_PARTS, TimeSpent
from roboscale.report import text
from roboscale.report.blocks import Head, Inline, Rows, num
from roboscale.report.model import ReportData
from roboscale.report.page import Section

__all__ = ["time_section"]


def time_section(data: ReportData) -> Section:
    """Throughput of the run, and a row a policy; no block where nobody measured it."""
    spent = data.time
    rows = [(policy.name, policy.time) for policy in data.policies if policy.time is not None]
    if spent is None or not rows:
        return Section(anchor="time", title="Where the time went", blocks=())
    columns: tuple[str | Head, ...] = ("policy", *map(num, ("trials", "seconds a trial", *TIME_PARTS)))
    table = Rows(
        caption="Time by policy", columns=columns, rows=tuple(_row(name, one) for name, one in rows), kind="stack"
    )
    return Section(anchor="time", title="Where the time went", nav="Time", lead=_lead(spent), blocks=(table,))


def _lead(spent: TimeSpent) -> str:
    unknown = f" {text.plural(spent.unmeasured, 'further trial')} not measured." if spent.unmeasured else ""
    work = ", ".join(f"{part} {text.percent(share)}" for part, share in spent.work_shares.items())
    return (
        f"{text.plural(spent.trials, 'trial')} in {text.number(spent.busy_s)} s, in which at least one ran: "
        f"{text.number(spent.trials_per_hour)} an hour, {text.number(spent.steps_per_s)} control steps a second."
        f"{unknown} Shares are of the time of a trial, which waits for other trials, processes and the control rate. "
        f"Of the work alone: {work}."
    )


def _row(name: str, spent: TimeSpent) -> tuple[Inline, ...]:
    shares = (text.percent(share) for share in spent.shares.values())
    return (name, text.count(spent.trials), text.number(spent.total_s / spent.trials), *shares)
