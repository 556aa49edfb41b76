"""Where the next hour of data buys most: curves for each task and source, and the decision for each task."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from roboscale.core import Estimate, RoboscaleError
from roboscale.core.plain import to_plain
from roboscale.jobs.plan_answers import CheckedCurve, Planning, TaskAnswer, TaskPlan, answer_of
from roboscale.results import AS_THEY_ARE, ReadOptions, Trained, TrainedTable, trained_table
from roboscale.stats import clopper_pearson
from roboscale.stats.decide import SourceDecision, decide_source
from roboscale.stats.mixture import MixPoint, MixtureFit, fit_mixture
from roboscale.stats.scaling import ScalingFit, fit_curve
from roboscale.stats.scaling_checks import MISFIT, CurveCheck, check_curve, rates_between_runs, replicated_misfit
from roboscale.stats.scaling_forms import Point

__all__ = [
    "CheckedPrediction",
    "Planned",
    "load_points",
    "parse_amounts",
    "plan_tasks",
    "read_predictions",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedPrediction:
    """A prediction made from the smaller amounts, and what was measured afterwards."""

    task: str
    source: str
    amount: float
    predicted: Estimate
    measured: Estimate

    @property
    def inside(self) -> bool | None:
        """Whether the measured rate lies in the predicted interval; `None` where nothing was predicted."""
        if self.predicted.low is None or self.predicted.high is None or self.measured.value is None:
            return None
        return self.predicted.low <= self.measured.value <= self.predicted.high


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """The answer, task by task; where a table tells policies apart, `task, policy` stands for a task.

    Args:
        fits: (task, source) -> its curve.
        curve_checks: (task, source) -> what the curve is worth by its own points.
        now: task -> amounts that the decision starts from, and the success rate there.
        decisions: task -> where the budget buys most; absent where no source may be advised.
        answers: task -> what may be said, a sentence or several.
        checks: predictions against measurements, where there were some.
        runs: (task, source) -> deviation between training runs, and how many; absent where each amount has one.
        notes: how the tables were read, and what was left out.
    """

    unit: str
    asked: Planning
    costs: Mapping[str, float]
    fits: Mapping[tuple[str, str], ScalingFit]
    curve_checks: Mapping[tuple[str, str], CurveCheck]
    now: Mapping[str, tuple[Mapping[str, float], Estimate]]
    decisions: Mapping[str, SourceDecision]
    answers: Mapping[str, TaskAnswer]
    checks: tuple[CheckedPrediction, ...] = ()
    runs: Mapping[tuple[str, str], tuple[float, int]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def sentences(self) -> list[str]:
        """The answer in words, one task after the other."""
        return [answer.sentence for answer in self.answers.values()]

    def to_json(self) -> dict[str, Any]:
        """A row a curve, with what `plan` worked out beside it: what is needed, and the curve's own test."""
        curves = [
            {
                "task": task,
                "source": source,
                "points": [[p.n, p.k, p.trials] for p in fit.points],
                "forms": fit.forms,
                "exponent": to_plain(fit.exponent),
                "floor": to_plain(fit.floor),
                "target": self.asked.target,
                "needed": fit.needed(self.asked.target, self.asked.level).to_json(),
                "check": to_plain(self.curve_checks[task, source]),
                "between_runs": self.runs.get((task, source), (None, 0))[0],
            }
            for (task, source), fit in self.fits.items()
        ]
        checks = [
            {
                "task": c.task,
                "source": c.source,
                "amount": c.amount,
                "predicted": c.predicted.to_json(),
                "measured": c.measured.to_json(),
                "inside": c.inside,
            }
            for c in self.checks
        ]
        return {
            "unit": self.unit,
            "costs": dict(self.costs),
            "budget": self.asked.budget,
            "target": self.asked.target,
            "answers": self.sentences(),
            "decisions": {task: decision.to_json() for task, decision in self.decisions.items()},
            "curves": curves,
            "checks": checks,
            "methods_used": ["posterior predictive checks", "trend in proportions"],
        }


def load_points(paths: Sequence[Path], options: ReadOptions = AS_THEY_ARE) -> TrainedTable:
    """Points of one or more files; a folder of `--measure` has them in `points.csv`."""
    tables = [trained_table(path / "points.csv" if path.is_dir() else path, options) for path in paths]
    points = [point for table in tables for point in table.points]
    units = {point.unit for point in points}
    if len(units) > 1:
        raise RoboscaleError(f"amounts in different units: {', '.join(sorted(units))}")
    return TrainedTable(tuple(points), tuple(note for table in tables for note in table.notes))


def parse_amounts(texts: Sequence[str], option: str) -> dict[str, float]:
    """`NAME=NUMBER` for each, numbers above 0."""
    amounts = {}
    for text in texts:
        name, sign, number = text.rpartition("=")
        try:
            value = float(number)
        except ValueError:
            value = -1.0
        if not sign or not name or not 0 < value < float("inf"):
            raise RoboscaleError(f"{option}: expected NAME=NUMBER with a number above 0, found {text!r}")
        amounts[name] = value
    return amounts


def plan_tasks(points: Sequence[Trained], asked: Planning, checks: Sequence[CheckedPrediction] = ()) -> Planned:
    """Fits every curve, checks it against its own points, and decides for every task.

    RoboscaleError when there is no point, or `costs` or `have` names a source that nobody measured.
    """
    if not points:
        raise RoboscaleError("no trained policy to learn from: give a table, or --measure")
    groups: dict[str, list[Trained]] = {}
    for point in points:
        groups.setdefault(f"{point.task}, {point.policy}" if point.policy else point.task, []).append(point)
    sources = list(dict.fromkeys(source for point in points for source in point.amounts))
    for name in (*asked.costs, *asked.have):
        if name not in sources:
            raise RoboscaleError(f"unknown source {name!r}; measured: {', '.join(sources)}")
    costs = {source: asked.costs.get(source, 1.0) for source in sources}
    made = {task: _plan_one(task, mine, asked, costs, sources) for task, mine in groups.items()}
    curves = {(task, source): curve for task, one in made.items() for source, curve in one.curves.items()}
    between = {key: rates_between_runs(curve.fit.points) for key, curve in curves.items()}
    return Planned(
        unit=points[0].unit,
        asked=asked,
        costs=costs,
        fits={key: curve.fit for key, curve in curves.items()},
        curve_checks={key: curve.check for key, curve in curves.items()},
        now={task: one.now for task, one in made.items()},
        decisions={task: one.decision for task, one in made.items() if one.decision is not None},
        answers={task: one.answer for task, one in made.items()},
        checks=tuple(checks),
        runs={key: told for key, told in between.items() if told is not None},
    )


def _plan_one(
    task: str, points: Sequence[Trained], asked: Planning, costs: Mapping[str, float], sources: Sequence[str]
) -> TaskPlan:
    """The curves, the decision and the answer of one task; sources whose curve forbids it are not on offer."""
    curves = {}
    for source in sources:
        own = [Point(p.amount, p.successes, p.trials) for p in points if p.source == source and not p.mixture]
        if own or not any(source in p.amounts for p in points):
            fit = fit_curve(own, unit=points[0].unit, level=asked.level)
            curves[source] = CheckedCurve(fit, check_curve(fit, asked.level))
    barred = {source for source, curve in curves.items() if curve.check.forbids}
    kept = [p for p in points if not barred & set(p.amounts)]
    offered = {s: cost for s, cost in costs.items() if any(s in p.amounts for p in kept)}
    have = dict(asked.have) or _best_owned(points)
    decision, now, misfit = (
        None,
        Estimate(value=None, low=None, high=None, level=asked.level, n=0, method="no curve to go by"),
        None,
    )
    if offered:
        mixture = fit_mixture([MixPoint(p.amounts, p.successes, p.trials) for p in kept])
        start = {source: amount for source, amount in have.items() if source in mixture.sources}
        misfit = _mixture_misfit(mixture) if any(p.mixture for p in kept) else None
        now = mixture.predict(start, asked.level)
        if misfit is None or misfit > MISFIT:
            decision = decide_source(mixture, start, offered, asked.budget, level=asked.level)
        have = start or have
    answer = answer_of(task, curves, decision, (have, now), asked, points[0].unit, misfit)
    return TaskPlan(curves, (have, now), decision, answer)


def _mixture_misfit(mixture: MixtureFit) -> float | None:
    """How well the curve over several sources describes its own points; `None` for fewer than three."""
    if len(mixture.points) < 3:
        return None
    rates = np.array([mixture.success(point.hours) for point in mixture.points]).T
    return replicated_misfit([(point.k, point.trials) for point in mixture.points], rates)


def _best_owned(points: Sequence[Trained]) -> dict[str, float]:
    """The largest amounts of the source or mixture whose largest did best: what a lab would go on from."""
    largest: dict[str, Trained] = {}
    for point in points:
        if point.trials and (point.source not in largest or point.amount > largest[point.source].amount):
            largest[point.source] = point
    if not largest:
        return points[0].amounts
    return max(largest.values(), key=lambda p: (p.successes / p.trials, -p.amount)).amounts


def read_predictions(folder: Path, points: Sequence[Trained]) -> list[CheckedPrediction]:
    """What `--measure` predicted of the largest size before trying it, beside what was then measured."""
    path = folder / "prediction.json"
    if not path.is_file():
        return []
    measured = {(p.task, p.source, p.amount): p for p in points}
    checks = []
    for row in json.loads(path.read_text("utf-8"))["predictions"]:
        point = measured.get((row["task"], row["source"], float(row["amount"])))
        if point is not None:
            rate = clopper_pearson(round(point.successes), point.trials)
            predicted = Estimate(**row["predicted"])
            checks.append(
                CheckedPrediction(
                    task=row["task"], source=row["source"], amount=point.amount, predicted=predicted, measured=rate
                )
            )
    return checks
