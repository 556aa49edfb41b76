"""What plain counts say, of any number of policies and tasks: rates, differences, claims, what n would tell.

The claims are those of `roboscale.stats.overall`, so that a table of the same counts gets the same ones; what is added
is the p-value of each test alone, and what more trials would tell. What is compared are these checkpoints; nothing
follows for how they were trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from roboscale.core import Decision, Estimate, Outcomes, Stratum
from roboscale.stats.barnard import trials_for_new_comparison
from roboscale.stats.counts import compare_counts
from roboscale.stats.overall import Overall, PairOverTasks, compare_policies
from roboscale.stats.proportions import clopper_pearson
from roboscale.stats.rate_difference import rate_difference
from roboscale.stats.sample_size import smallest_rise

__all__ = ["CountPair", "JudgedCounts", "OverallPair", "TaskCounts", "judge_counts", "outcomes_of_counts"]

_POWER = 0.8
_UNEQUAL = 0.05

TaskTable = Mapping[str, Mapping[str, tuple[int, int]]]
"""Task -> policy -> (successes, trials)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CountPair:
    """Two policies on one task.

    Args:
        difference: rate of the second minus rate of the first.
        p_value: of the test alone; `adjusted` for all pairs and tasks (Holm), which decides.
        needed: trials per policy that a new comparison would need to show a difference of this size; `None` where it
            is within one standard error of zero, or shown already.
        rise: smallest rise from the lower rate that these numbers of trials show with power .8; `None` for none.
    """

    first: str
    second: str
    difference: Estimate
    p_value: float
    adjusted: float
    decision: Decision
    method: str
    needed: int | None
    rise: float | None


@dataclass(frozen=True, slots=True)
class TaskCounts:
    """What was counted on one task: the rates, in the order given, and all pairs."""

    task: str
    rates: Mapping[str, Estimate]
    pairs: tuple[CountPair, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OverallPair:
    """Two policies over all tasks that both were tried on.

    Args:
        difference: mean over tasks of the second's rate minus the first's.
        adjusted: p-value, adjusted for all pairs (Holm).
        opposite: one is shown better on some tasks and the other on others: then there is no overall statement.
        unequal: p-value of "the difference is the same on every task", where that is doubtful; else `None`.
    """

    first: str
    second: str
    tasks: tuple[str, ...]
    difference: Estimate
    adjusted: float
    decision: Decision
    method: str
    opposite: bool
    unequal: float | None
    better_on: tuple[str, ...]
    worse_on: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class JudgedCounts:
    """All tasks, and all pairs over several.

    Args:
        alpha: probability of even one false claim on a task, and of even one over tasks.
        overall: pairs that share two tasks or more.
    """

    tasks: tuple[TaskCounts, ...]
    alpha: float
    overall: tuple[OverallPair, ...] = ()

    @property
    def comparisons(self) -> int:
        """How many tests on tasks share alpha."""
        return sum(len(task.pairs) for task in self.tasks)


def judge_counts(counts: TaskTable, level: float = 0.95) -> JudgedCounts:
    """Rates, differences and tests of everything that was counted.

    Args:
        counts: each policy with at least one trial.
        level: of the intervals; the family-wise error is 1 - level.

    >>> (task,) = judge_counts({"": {"A": (12, 20), "B": (17, 20)}}).tasks
    >>> pair = task.pairs[0]
    >>> f"{pair.difference.value:.2f}, p {pair.p_value:.3f}: {pair.decision}"
    '0.25, p 0.107: no difference shown'

    Raises:
        ValueError: counts that cannot be, or a level outside (0, 1).
    """
    alpha = round(1 - level, 12)
    names = list(dict.fromkeys(name for policies in counts.values() for name in policies))
    # one order for all tasks, so that a difference has the same sign everywhere
    ordered = {task: {n: policies[n] for n in names if n in policies} for task, policies in counts.items()}
    overall = compare_policies(outcomes_of_counts(ordered), alpha, level)
    over = {frozenset((pair.first, pair.second)): pair for pair in overall.pairs}
    tasks = []
    for task, policies in ordered.items():
        rates = {name: clopper_pearson(*count, level) for name, count in policies.items()}
        pairs = [
            _pair(task, a, b, policies, over[frozenset((a, b))], alpha, level) for a, b in combinations(policies, 2)
        ]
        tasks.append(TaskCounts(task, rates, tuple(pairs)))
    return JudgedCounts(tuple(tasks), alpha, tuple(_over_tasks(overall, names)))


def outcomes_of_counts(counts: TaskTable) -> Outcomes:
    """The counts as outcomes, one stratum a task; an unnamed task is called `all`."""
    names = list(dict.fromkeys(name for policies in counts.values() for name in policies))
    rows = [
        (names.index(name), stratum, value, weight)
        for stratum, policies in enumerate(counts.values())
        for name, (won, tried) in policies.items()
        for value, weight in ((1.0, won), (0.0, tried - won))
        if weight
    ]
    policy = np.array([row[0] for row in rows], np.int32)
    return Outcomes(
        kind="success",
        paired=False,
        policies=tuple(names),
        strata=tuple(Stratum("", task or "all") for task in counts),
        runs=tuple(names),
        policy=policy,
        stratum=np.array([row[1] for row in rows], np.int32),
        run=policy,
        case=np.arange(len(rows), dtype=np.int64),
        value=np.array([row[2] for row in rows], np.float64),
        weight=np.array([row[3] for row in rows], np.int64),
    )


def _pair(
    task: str,
    first: str,
    second: str,
    counts: Mapping[str, tuple[int, int]],
    over: PairOverTasks,
    alpha: float,
    level: float,
) -> CountPair:
    one, two = counts[first], counts[second]
    p_value, method = compare_counts(one, two)
    (claim,) = (claim for claim in over.tasks if claim.task == (task or "all"))
    decision = claim.decision
    if over.first != first:
        decision = _turned(decision)
    lower = min(one[0] / one[1], two[0] / two[1])
    shown = decision != "no difference shown"
    return CountPair(
        first=first,
        second=second,
        difference=rate_difference(one, two, level),
        p_value=p_value,
        adjusted=claim.p_value,
        decision=decision,
        method=method,
        needed=None if shown else trials_for_new_comparison(one, two, alpha, _POWER),
        rise=None if shown else smallest_rise(lower, min(one[1], two[1]), alpha, _POWER),
    )


def _turned(decision: Decision) -> Decision:
    return {"first is better": "second is better", "second is better": "first is better"}.get(decision, decision)  # type: ignore[return-value]


def _over_tasks(overall: Overall, names: list[str]) -> list[OverallPair]:
    """Pairs over two tasks or more, in the order in which the policies were given."""
    pairs = []
    for pair, compared in zip(overall.pairs, overall.verdict.pairs, strict=True):
        if len(pair.tasks) < 2:
            continue
        verdict, turned = compared.verdict, names.index(pair.first) > names.index(pair.second)
        sign = -1 if turned else 1
        gap = verdict.estimates["difference"]
        signs = [(claim.task, sign * (claim.difference.value or 0.0)) for claim in pair.tasks]
        pairs.append(
            OverallPair(
                first=pair.second if turned else pair.first,
                second=pair.first if turned else pair.second,
                tasks=tuple(claim.task for claim in pair.tasks),
                difference=_negated(gap) if turned else gap,
                adjusted=1.0 if verdict.p_value is None else verdict.p_value,
                decision=_turned(verdict.decision) if turned else verdict.decision,
                method=verdict.method,
                opposite=pair.opposite,
                unequal=pair.interaction if pair.interaction is not None and pair.interaction <= _UNEQUAL else None,
                better_on=tuple(task for task, gap in signs if gap > 0),
                worse_on=tuple(task for task, gap in signs if gap < 0),
            )
        )
    return sorted(pairs, key=lambda p: (names.index(p.first), names.index(p.second)))


def _negated(gap: Estimate) -> Estimate:
    value, low, high = (None if end is None else -end for end in (gap.value, gap.high, gap.low))
    return Estimate(value=value, low=low, high=high, level=gap.level, n=gap.n, method=gap.method, void=gap.void)
