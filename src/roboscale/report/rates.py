"""Rates of policies for a terminal: every rate with its interval, its void trials, their bounds and its doubts."""

from __future__ import annotations

from collections.abc import Sequence

from roboscale.core import Estimate, OutcomeKind
from roboscale.report import text
from roboscale.report.model import PolicyResult
from roboscale.report.terminal import text_table, wrapped

__all__ = ["rates_text"]


def rates_text(policies: Sequence[PolicyResult], outcome: OutcomeKind = "success") -> str:
    """A table of every policy on every task and on all of them, and below it why trials failed by mistake or broke.

    Args:
        policies: as on the page.
        outcome: success rates, or mean progress.
    """
    rows: list[list[str]] = []
    for policy in policies:
        tasks = [(r.task, r.rate(outcome)) for r in policy.tasks]
        tasks = tasks if len(tasks) > 1 else []
        for task, rate in (("all tasks", policy.rate(outcome)), *tasks):
            rows.append([policy.name, task, *_cells(rate), text.mark(policy.unverified)])
    what = "success" if outcome == "success" else "progress"
    columns = ["policy", "task", what, "interval", "n", "void", "if failed", "if succeeded", ""]
    kept = [i for i, name in enumerate(columns) if i < 6 or any(row[i] for row in rows)]
    shown = [[row[i] for i in kept] for row in rows]
    right = [place for place, i in enumerate(kept) if i in (2, 4, 5, 6, 7)]
    lines = text_table([columns[i] for i in kept], shown, right)
    for policy in policies:
        lines += [line for said in _reasons(policy) for line in wrapped(said)]
    return "\n".join(lines) + "\n"


def _cells(rate: Estimate | None) -> list[str]:
    """Value, interval, n, void, and the value if the void trials had failed, and if they had succeeded."""
    if rate is None:
        return ["not tried", "", "", "", "", ""]
    worst = text.void_range(rate)
    value = ["no data", ""] if rate.value is None else [text.percent(rate.value), text.interval(rate.low, rate.high)]
    return [*value, text.count(rate.n), text.count(rate.void), *(map(text.percent, worst) if worst else ("", ""))]


def _reasons(policy: PolicyResult) -> list[str]:
    counted = text.count(policy.success.n)
    said = [f"{text.count(m.count)} of {counted} failed by its own mistake: {m.reason}" for m in policy.mistakes]
    said += [f"{text.count(one.count)} void: {one.reason}" for one in policy.voids]
    if policy.pending:
        said.append(f"{text.plural(policy.pending, 'trial')} await a judgement, not counted")
    return [text.full_stop(f"{policy.name}: {line}") for line in said]
