"""Means of policies by task, and over tasks with the same weight, from outcomes of any kind.

A mean over tasks does not follow the mix of trials: a policy that was tried more often on easy tasks gains nothing.
Knows no tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Estimate, OutcomeKind, Outcomes
from roboscale.stats.distributions import normal_isf, student_isf
from roboscale.stats.proportions import clopper_pearson

__all__ = ["TaskMeans", "task_means"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskMeans:
    """Sums by policy and task.

    Args:
        policies, tasks: those with a counted trial.
        totals, squares, counts: sums of values and of their squares, and numbers of trials, (policies, tasks).
        voids: numbers of void trials, the same shape.
    """

    kind: OutcomeKind
    level: float
    policies: tuple[str, ...]
    tasks: tuple[str, ...]
    totals: Floats = field(repr=False)
    squares: Floats = field(repr=False)
    counts: Floats = field(repr=False)
    voids: Floats = field(repr=False)

    def tried(self, policy: str, task: str) -> bool:
        """Whether a trial of it was counted."""
        return policy in self.policies and task in self.tasks and bool(self.counts[self._at(policy, task)] > 0)

    def cell(self, policy: str, task: str) -> Estimate:
        """Mean of one policy on one task: Clopper-Pearson for success, Student for progress."""
        at = self._at(policy, task)
        total, n, void = float(self.totals[at]), int(self.counts[at]), int(self.voids[at])
        if self.kind == "success":
            return clopper_pearson(round(total), n, self.level, void)
        if n == 0:
            return Estimate(value=None, low=None, high=None, level=self.level, n=0, method=_PROGRESS, void=void)
        mean, error = total / n, self._error(at)
        if n < 2:
            return Estimate(value=mean, low=None, high=None, level=self.level, n=n, method=_PROGRESS, void=void)
        half = student_isf((1 - self.level) / 2, n - 1) * error
        return Estimate(
            value=mean,
            low=max(0.0, mean - half),
            high=min(1.0, mean + half),
            level=self.level,
            n=n,
            method=_PROGRESS,
            void=void,
        )

    def score(self, policy: str, tasks: Sequence[str]) -> tuple[int, int] | Estimate:
        """Mean over tasks, each with the same weight; plain counts where all tasks have as many trials."""
        at = [self._at(policy, task) for task in tasks]
        n = [int(self.counts[one]) for one in at]
        if self.kind == "success" and len(set(n)) == 1:
            return round(sum(float(self.totals[one]) for one in at)), sum(n)
        mean = float(np.mean([self.totals[one] / self.counts[one] for one in at]))
        if self.kind == "progress" and min(n) < 2:  # a single score says nothing of its spread
            return Estimate(
                value=mean,
                low=None,
                high=None,
                level=self.level,
                n=sum(n),
                method="mean over tasks, numbers of trials unknown",
            )
        error = float(np.sqrt(sum(self._error(one) ** 2 for one in at))) / len(at)
        half = normal_isf((1 - self.level) / 2) * error
        method = "mean over tasks, normal interval" if len(at) > 1 else _PROGRESS
        return Estimate(
            value=mean,
            low=max(0.0, mean - half),
            high=min(1.0, mean + half),
            level=self.level,
            n=sum(n),
            method=method,
        )

    def _error(self, at: tuple[int, int]) -> float:
        """Standard error of a cell's mean; for success and for few scores never 0."""
        n, total = float(self.counts[at]), float(self.totals[at])
        if self.kind == "success":
            rate = (total + 1) / (n + 2)
            return float(np.sqrt(rate * (1 - rate) / n))
        # one more score of each end, so that equal scores are not taken for certainty
        mean = (total + 0.5) / (n + 1)
        variance = max((float(self.squares[at]) + 0.5) / (n + 1) - mean**2, 0.0)
        return float(np.sqrt(variance / n))

    def _at(self, policy: str, task: str) -> tuple[int, int]:
        return self.policies.index(policy), self.tasks.index(task)


_PROGRESS = "mean progress, Student (1908)"


def task_means(outcomes: Outcomes, level: float = 0.95) -> TaskMeans:
    """Sums by policy and task; trials in different worlds of one task are added up.

    >>> means = task_means(Outcomes.of_counts({"A": (12, 20), "B": (17, 20)}))
    >>> means.score("B", ["all"])
    (17, 20)
    """
    tasks = list(dict.fromkeys(stratum.task for stratum in outcomes.strata))
    task_of = np.array([tasks.index(stratum.task) for stratum in outcomes.strata], np.int64)
    shape = len(outcomes.policies), len(tasks)
    place = outcomes.policy.astype(np.int64) * shape[1] + task_of[outcomes.stratum]
    counted = ~np.isnan(outcomes.value)
    value, weight = np.where(counted, outcomes.value, 0.0), outcomes.weight.astype(float)

    def total(of: Floats) -> Floats:
        return np.asarray(np.bincount(place, of, shape[0] * shape[1]).reshape(shape), np.float64)

    counts = total(weight * counted)
    kept, held = counts.sum(axis=1) > 0, counts.sum(axis=0) > 0
    grid = np.ix_(kept, held)
    return TaskMeans(
        kind=outcomes.kind,
        level=level,
        policies=tuple(name for name, keep in zip(outcomes.policies, kept, strict=True) if keep),
        tasks=tuple(task for task, keep in zip(tasks, held, strict=True) if keep),
        totals=total(weight * value)[grid],
        squares=total(weight * value**2)[grid],
        counts=counts[grid],
        voids=total(weight * ~counted)[grid],
    )
