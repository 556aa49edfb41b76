"""Successes of trials, as plain counts, on one task or several: every rate, every difference, and what n would tell.

The trials are independent: counts do not say which of them were the same case. All tests of one call share one
family-wise error (Holm). What is compared are these checkpoints; nothing follows for how they were trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from roboscale.core import Decision, Estimate
from roboscale.stats.barnard import barnard, trials_for_new_comparison
from roboscale.stats.many import adjusted
from roboscale.stats.proportions import clopper_pearson
from roboscale.stats.rate_difference import rate_difference
from roboscale.stats.sample_size import smallest_rise

__all__ = [
    "EXACT_SIDE",
    "CountPair",
    "JudgedCounts",
    "TaskCounts",
    "compare_counts",
    "judge_counts",
    "mid_p_test",
    "trials_for_width",
]

EXACT_SIDE = 2000
"""Up to so many trials a side the exact unconditional test; beyond, the conditional one with mid-p."""

_POWER = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class CountPair:
    """Two policies on one task.

    Args:
        difference: rate of the second minus rate of the first.
        p_value: of the test alone; `adjusted` for all pairs and tasks at once, which decides.
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


@dataclass(frozen=True, slots=True)
class JudgedCounts:
    """All tasks; `alpha` is the probability of even one false claim among all pairs and tasks."""

    tasks: tuple[TaskCounts, ...]
    alpha: float

    @property
    def comparisons(self) -> int:
        """How many tests share alpha."""
        return sum(len(task.pairs) for task in self.tasks)


def judge_counts(counts: Mapping[str, Mapping[str, tuple[int, int]]], level: float = 0.95) -> JudgedCounts:
    """Rates, differences and tests of everything that was counted.

    Args:
        counts: task -> policy -> (successes, trials).
        level: of the intervals; the family-wise error is 1 - level.

    >>> (task,) = judge_counts({"": {"A": (12, 20), "B": (17, 20)}}).tasks
    >>> pair = task.pairs[0]
    >>> f"{pair.difference.value:.2f}, p {pair.p_value:.3f}: {pair.decision}"
    '0.25, p 0.107: no difference shown'

    Raises:
        ValueError: counts that cannot be, or a level outside (0, 1).
    """
    alpha = round(1 - level, 12)
    tasks = [
        TaskCounts(
            task,
            {name: clopper_pearson(*count, level) for name, count in policies.items()},
            tuple(_pair(a, b, policies[a], policies[b], level) for a, b in combinations(policies, 2)),
        )
        for task, policies in counts.items()
    ]
    corrected = iter(adjusted([pair.p_value for task in tasks for pair in task.pairs], "holm"))
    decided = [
        replace(
            task, pairs=tuple(_decided(pair, counts[task.task], float(next(corrected)), alpha) for pair in task.pairs)
        )
        for task in tasks
    ]
    return JudgedCounts(tuple(decided), alpha)


def _pair(first: str, second: str, one: tuple[int, int], two: tuple[int, int], level: float) -> CountPair:
    p_value, method = compare_counts(one, two)
    return CountPair(
        first=first,
        second=second,
        difference=rate_difference(one, two, level),
        p_value=p_value,
        adjusted=p_value,
        decision="no difference shown",
        method=method,
        needed=None,
        rise=None,
    )


def _decided(pair: CountPair, counts: Mapping[str, tuple[int, int]], corrected: float, alpha: float) -> CountPair:
    if corrected <= alpha and pair.difference.value:
        better: Decision = "second is better" if pair.difference.value > 0 else "first is better"
        return replace(pair, adjusted=corrected, decision=better)
    one, two = counts[pair.first], counts[pair.second]
    if not (one[1] and two[1]):
        return replace(pair, adjusted=corrected)
    lower = min(one[0] / one[1], two[0] / two[1])
    rise = smallest_rise(lower, min(one[1], two[1]), alpha, _POWER)
    needed = trials_for_new_comparison(one, two, alpha, _POWER)
    return replace(pair, adjusted=corrected, needed=needed, rise=rise)


def compare_counts(first: tuple[int, int], second: tuple[int, int]) -> tuple[float, str]:
    """The two-sided p-value of "both have the same rate", and which test it is."""
    if max(first[1], second[1]) <= EXACT_SIDE:
        return barnard(first, second), "exact unconditional test, pooled z (Barnard 1947; Suissa, Shuster 1985)"
    return mid_p_test(
        first, second
    ), f"conditional test with mid-p (Lancaster 1961), for over {EXACT_SIDE} trials a side"


def mid_p_test(first: tuple[int, int], second: tuple[int, int]) -> float:
    """Fisher's conditional test with mid-p, two-sided: twice the smaller tail with half of what was seen.

    Source: Lancaster, JASA 56 (1961); Hirji, Exact Analysis of Discrete Data (2006), chapter 7.
    """
    (k0, n0), (k1, n1) = first, second
    if n0 == 0 or n1 == 0:
        return 1.0
    total = k0 + k1
    seen = np.arange(max(0, total - n0), min(n1, total) + 1)
    logs = _log_choose(n1, seen) + _log_choose(n0, total - seen)
    mass = np.exp(logs - logs.max())
    mass /= mass.sum()
    at = int(k1 - seen[0])
    tails = (mass[:at].sum() + mass[at] / 2, mass[at + 1 :].sum() + mass[at] / 2)
    return float(min(1.0, 2 * min(tails)))


def trials_for_width(rate: float, half_width: float, level: float = 0.95) -> int:
    """Fewest trials at which the exact interval around this rate is at most so wide to either side, on average.

    >>> trials_for_width(0.6, 0.1)
    100
    """
    low, high = 1, 2
    while _half_width(rate, high, level) > half_width:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _half_width(rate, middle, level) <= half_width else (middle, high)
    return high


def _half_width(rate: float, n: int, level: float) -> float:
    e = clopper_pearson(round(rate * n), n, level)
    assert e.low is not None and e.high is not None
    return (e.high - e.low) / 2


def _log_choose(n: int, k: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1))
