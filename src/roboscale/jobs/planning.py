"""Where the next hour of data buys most: curves for each task and source, and the decision for each task."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from roboscale.core import Estimate, RoboscaleError
from roboscale.results import Trained, read_trained
from roboscale.stats import clopper_pearson
from roboscale.stats.decide import SourceDecision, decide_source
from roboscale.stats.mixture import MixPoint, fit_mixture
from roboscale.stats.scaling import ScalingFit, fit_curve
from roboscale.stats.scaling_forms import Point

__all__ = [
    "CheckedPrediction",
    "Planned",
    "Planning",
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """The answer, task by task.

    Args:
        fits: (task, source) -> its curve.
        now: task -> amounts that the decision starts from, and the success rate there.
        decisions: task -> where the budget buys most.
        checks: predictions against measurements, where there were some.
    """

    unit: str
    asked: Planning
    costs: Mapping[str, float]
    fits: Mapping[tuple[str, str], ScalingFit]
    now: Mapping[str, tuple[Mapping[str, float], Estimate]]
    decisions: Mapping[str, SourceDecision]
    checks: tuple[CheckedPrediction, ...] = ()

    def sentences(self) -> list[str]:
        """The answer in words, one task after the other."""
        return [self._sentence(task) for task in self.decisions]

    def _sentence(self, task: str) -> str:
        decision, (have, before) = self.decisions[task], self.now[task]
        owned = " and ".join(f"{amount:g} {self.unit} by {source}" for source, amount in have.items())
        if decision.best is None:
            told = decision.experiments[0].sentence if decision.experiments else "Measure another amount"
            said = (
                decision.sentence
                if told.rstrip(".") in decision.sentence
                else f"{decision.sentence.rstrip('.')}. {told}"
            )
            return f"{task}: with {owned}: {said}"
        best = next(option for option in decision.options if option.source == decision.best)
        start = "unknown" if before.value is None else f"{before.value:.2f}"
        after = best.success
        bounds = "no interval" if after.low is None or after.high is None else f"{after.low:.2f}, {after.high:.2f}"
        reached = "unknown" if after.value is None else f"{after.value:.2f}"
        sure = f", best with probability {best.probability_best:.2f}" if len(decision.options) > 1 else ""
        what = f"{best.hours:.0f} more {self.unit} by {best.source}"
        return f"{task}: collect {what}: expected success {start} to {reached} [{bounds}]{sure}"

    def to_json(self) -> dict[str, Any]:
        curves = [
            {
                "task": task,
                "source": source,
                "points": [[p.n, p.k, p.trials] for p in fit.points],
                "forms": fit.forms,
                "exponent": fit.exponent.to_json(),
                "floor": fit.floor.to_json(),
                "target": self.asked.target,
                "needed": fit.needed(self.asked.target, self.asked.level).to_json(),
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
            "answers": self.sentences(),
            "decisions": {task: decision.to_json() for task, decision in self.decisions.items()},
            "curves": curves,
            "checks": checks,
        }


def load_points(paths: Sequence[Path]) -> list[Trained]:
    """Points of one or more files; a folder of `--measure` has them in `points.csv`."""
    points = []
    for path in paths:
        points += read_trained(path / "points.csv" if path.is_dir() else path)
    units = {point.unit for point in points}
    if len(units) > 1:
        raise RoboscaleError(f"amounts in different units: {', '.join(sorted(units))}")
    return points


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
    """Fits every curve and decides for every task.

    RoboscaleError when there is no point, or `have` names a source that nobody measured.
    """
    if not points:
        raise RoboscaleError("no trained policy to learn from: give a table, or --measure")
    tasks = list(dict.fromkeys(p.task for p in points))
    sources = list(dict.fromkeys(p.source for p in points))
    for name in (*asked.costs, *asked.have):
        if name not in sources:
            raise RoboscaleError(f"unknown source {name!r}; measured: {', '.join(sources)}")
    costs = {source: asked.costs.get(source, 1.0) for source in sources}
    fits, now, decisions = {}, {}, {}
    for task in tasks:
        mine = [p for p in points if p.task == task]
        for source in sources:
            curve = [Point(p.amount, p.successes, p.trials) for p in mine if p.source == source]
            fits[task, source] = fit_curve(curve, unit=points[0].unit, level=asked.level)
        have = dict(asked.have) or _best_owned(mine)
        mixture = fit_mixture([MixPoint({p.source: p.amount}, p.successes, p.trials) for p in mine])
        offered = {source: costs[source] for source in mixture.sources if source in costs}
        decisions[task] = decide_source(mixture, have, offered, asked.budget, level=asked.level)
        now[task] = (have, mixture.predict(have, asked.level))
    return Planned(
        unit=points[0].unit, asked=asked, costs=costs, fits=fits, now=now, decisions=decisions, checks=tuple(checks)
    )


def _best_owned(points: Sequence[Trained]) -> dict[str, float]:
    """The largest amount of the source whose largest amount did best: what a lab would go on from."""
    largest: dict[str, Trained] = {}
    for point in points:
        if point.trials and (point.source not in largest or point.amount > largest[point.source].amount):
            largest[point.source] = point
    if not largest:
        return {points[0].source: points[0].amount}
    best = max(largest.values(), key=lambda p: (p.successes / p.trials, -p.amount))
    return {best.source: best.amount}


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
            rate = clopper_pearson(point.successes, point.trials)
            predicted = Estimate(**row["predicted"])
            checks.append(
                CheckedPrediction(
                    task=row["task"], source=row["source"], amount=point.amount, predicted=predicted, measured=rate
                )
            )
    return checks
