"""What a plan may say of one task: what to collect, or why nothing may be advised, and what the target takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from roboscale.core import Estimate
from roboscale.stats.decide import SourceDecision, SourceOption
from roboscale.stats.proportions import wilson
from roboscale.stats.scaling import MAX_EXTRAPOLATION, ScalingFit
from roboscale.stats.scaling_checks import CurveCheck, rates_between_runs

__all__ = ["WORTH_IT", "CheckedCurve", "Planning", "TaskAnswer", "TaskPlan", "answer_of"]

WORTH_IT = 0.02
"""A rise of success that is expected to be smaller is not advised: hardly anybody could tell it from none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planning:
    """What the plan is for.

    Args:
        costs: of one unit of data, by source; sources without one are not on offer.
        budget: to be spent on one task, in the unit of the costs.
        have: amount by source that there is already; by default the largest of the source that did best.
        target: success rate to reach, for the amount it would take.
    """

    costs: Mapping[str, float] = field(default_factory=dict)
    budget: float = 100.0
    have: Mapping[str, float] = field(default_factory=dict)
    target: float = 0.9
    level: float = 0.9


@dataclass(frozen=True, slots=True)
class CheckedCurve:
    """One source's curve, and what it is worth by its own points."""

    fit: ScalingFit
    check: CurveCheck


@dataclass(frozen=True, slots=True)
class TaskAnswer:
    """What may be said, and whether it says what to collect."""

    sentence: str
    known: bool


@dataclass(frozen=True, slots=True)
class TaskPlan:
    """Everything about one task."""

    curves: Mapping[str, CheckedCurve]
    now: tuple[Mapping[str, float], Estimate]
    decision: SourceDecision | None
    answer: TaskAnswer


def answer_of(
    task: str,
    curves: Mapping[str, CheckedCurve],
    decision: SourceDecision | None,
    now: tuple[Mapping[str, float], Estimate],
    asked: Planning,
    unit: str,
    misfit: float | None,
) -> TaskAnswer:
    """The answer for one task: advice or why there is none, doubts about the curves, and the target.

    Args:
        misfit: of the curve over a mixture of sources, where there is one.
    """
    said, known = _advice(decision, now, unit, misfit, curves)
    said += [line for source, curve in curves.items() for line in _doubts(source, curve, unit)]
    said += [
        _target(source, curve, asked, unit) if curve.check.advises else _measured(source, curve, asked, unit)
        for source, curve in curves.items()
    ]
    said += [line for source, curve in curves.items() for line in _runs(source, curve)]
    return TaskAnswer(f"{task}: {'. '.join(line.rstrip('.') for line in said if line)}", known)


def _advice(
    decision: SourceDecision | None,
    now: tuple[Mapping[str, float], Estimate],
    unit: str,
    misfit: float | None,
    curves: Mapping[str, CheckedCurve],
) -> tuple[list[str], bool]:
    """What to collect, or why nothing is advised; and whether it says what to collect."""
    have, before = now
    if decision is None:
        why = "" if misfit is None else f" (a curve over the mixture shows such points with probability {misfit:.2g})"
        return [f"this data does not behave like more is better{why}, so no more of it is advised"], False
    if decision.best is None:
        owned = " and ".join(f"{amount:g} {unit} by {source}" for source, amount in have.items())
        told = decision.experiments[0].sentence if decision.experiments else "Measure another amount"
        tell = [] if told.rstrip(".") in decision.sentence else [told]
        return [f"with {owned}: {decision.sentence}", *tell], False
    best = next(option for option in decision.options if option.source == decision.best)
    what = f"{best.hours:.0f} more {unit} by {best.source}"
    start = "unknown" if before.value is None else f"{before.value:.2f}"
    curve = curves.get(best.source)
    if curve is not None and curve.check.verdict == "flat":
        points = ", ".join(f"{p.k / p.trials:.2f} with {p.n:g}" for p in curve.fit.points)
        tell = [e.sentence for e in curve.fit.what_would_tell()[:1]]
        shown = f"more {best.source} is not shown to help: {points} {unit} (such a rise by chance: "
        return [f"{shown}{_probability(curve.check.rises)}), so no more of it is advised", *tell], False
    if not _helps(best):
        gain = best.gain
        ends = "" if gain.low is None or gain.high is None else f" [{100 * gain.low:+.0f}, {100 * gain.high:+.0f}]"
        brought = f"{what} would bring {100 * (gain.value or 0):+.0f} points{ends}"
        return [f"more does not help enough to be advised: {brought}"], False
    sure = f", best with probability {best.probability_best:.2f}" if len(decision.options) > 1 else ""
    return [f"collect {what}: expected success {start} to {_rate(best.success)}{sure}"], True


def _helps(option: SourceOption) -> bool:
    return option.gain.value is not None and option.gain.value >= WORTH_IT


def _rate(rate: Estimate) -> str:
    bounds = "no interval" if rate.low is None or rate.high is None else f"{rate.low:.2f}, {rate.high:.2f}"
    return f"{'unknown' if rate.value is None else f'{rate.value:.2f}'} [{bounds}]"


def _doubts(source: str, curve: CheckedCurve, unit: str) -> list[str]:
    """What the curve's own points say against it."""
    check, points = curve.check, curve.fit.points
    if check.verdict == "falls":
        first, last = points[0], points[-1]
        return [
            f"By {source}, success falls from {first.k / first.trials:.2f} with {first.n:g} to "
            f"{last.k / last.trials:.2f} with {last.n:g} {unit} (so strong a fall by chance: "
            f"{_probability(check.falls)}); look for what else changed before collecting more of it"
        ]
    if check.verdict == "misfit":
        return [
            f"no curve of rising success describes the points of {source} (chance of points so far from it: "
            f"{_probability(check.misfit)}), so nothing is said of more of it"
        ]
    if check.verdict == "missed" and check.predicted is not None and check.measured is not None:
        p, m = check.predicted, check.measured
        return [
            f"the smaller amounts of {source} foretold {_rate(p)} at {check.amount:g} and {m.value:.2f} was measured: "
            "lean on its curve with care"
        ]
    return []


def _runs(source: str, curve: CheckedCurve) -> list[str]:
    """How far training runs on the same amount differ, where there are any."""
    between = rates_between_runs(curve.fit.points)
    if between is None:
        return []
    return [
        f"Training runs of {source} differ by {100 * between[0]:.0f} points beyond their trials ({between[1]} runs)"
    ]


def _probability(p: float | None) -> str:
    return "unknown" if p is None else "below 0.001" if p < 0.001 else f"{p:.2g}"


def _target(source: str, curve: CheckedCurve, asked: Planning, unit: str) -> str:
    """What the target takes, as far as the curve can tell."""
    fit, goal = curve.fit, f"{100 * asked.target:g} %"
    needed, most = fit.needed(asked.target, asked.level), fit.amounts[-1]
    reach = f"{MAX_EXTRAPOLATION * most:,.0f}"
    below = needed.low is not None and needed.low < fit.amounts[0]
    low = f"below {fit.amounts[0]:g}" if below else _amount(needed.low)
    if needed.value is None:
        earliest = "" if needed.low is None else f"; at the earliest with {low}"
        return f"{goal} is out of reach with {source}, as far as can be told: not within {reach} {unit}{earliest}"
    high = f"beyond {reach}" if needed.high is None else _amount(needed.high)
    takes = f"about {_amount(needed.value)} {unit} by {source} [{low}, {high}]"
    return f"{goal} takes {takes}, which you have" if needed.value <= most else f"{goal} needs {takes}"


def _measured(source: str, curve: CheckedCurve, asked: Planning, unit: str) -> str:
    """What the measured points say of the target, where no curve may be trusted beyond them."""
    goal, points = f"{100 * asked.target:g} %", curve.fit.points
    best = max(points, key=lambda p: p.k / p.trials)
    rate = wilson(round(best.k), round(best.trials), asked.level)
    at = f"{_rate(rate)} with {best.n:g} {unit} by {source}, {best.trials:g} trials"
    if rate.low is None or rate.high is None or rate.value is None:
        return ""
    if rate.low >= asked.target:
        return f"{goal} is reached: {at}"
    if rate.value >= asked.target:
        return f"{goal} may be reached, which these trials do not show: {at}"
    if rate.high < asked.target:
        return f"{goal} is out of reach with {source}, as far as was measured: at best {at}"
    return f"{goal} is not reached, as far as was measured: at best {at}"


def _amount(value: float | None) -> str:
    return "unknown" if value is None else f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
