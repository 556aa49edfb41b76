"""One success rate: point estimate and interval from counted successes.

Void trials are never counted; they are only carried along, so that no rate is ever shown without them.
Knows nothing of policies, cases or stopping; which interval fits which question is in docs/statistics.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv

from roboscale.core import Estimate
from roboscale.stats.betting import proportion_sequence
from roboscale.stats.distributions import normal_isf

__all__ = [
    "WorstCase",
    "beta_confidence_sequence",
    "beta_posterior",
    "clopper_pearson",
    "jeffreys",
    "wilson",
    "worst_case_bounds",
]


def clopper_pearson(successes: int, n: int, level: float = 0.95, void: int = 0) -> Estimate:
    """The exact interval: covers the true rate with probability at least `level`, for every n and every rate.

    Source: Clopper and Pearson, Biometrika 26 (1934).

    Raises:
        ValueError: counts that cannot be, or a level outside (0, 1).
    """
    tail = _check(successes, n, level, void)
    failures = n - successes
    low = _beta_quantile(tail, successes, failures + 1) if successes else 0.0
    high = _beta_quantile(1 - tail, successes + 1, failures) if failures else 1.0
    return _estimate(successes, n, low, high, level, "Clopper-Pearson (Biometrika 1934)", void)


def wilson(successes: int, n: int, level: float = 0.95, void: int = 0) -> Estimate:
    """The score interval: `level` on average over rates, but as low as .84 (95 %, n = 10) near 0 and 1.

    Source: Wilson, JASA 22 (1927).
    """
    z = normal_isf(_check(successes, n, level, void))
    if n == 0:
        return _estimate(successes, n, 0.0, 1.0, level, "Wilson (JASA 1927)", void)
    rate = successes / n
    centre = rate + z**2 / (2 * n)
    half = z * np.sqrt(rate * (1 - rate) / n + z**2 / (4 * n**2))
    low = float((centre - half) / (1 + z**2 / n)) if successes else 0.0
    high = float((centre + half) / (1 + z**2 / n)) if successes < n else 1.0
    return _estimate(successes, n, low, high, level, "Wilson (JASA 1927)", void)


def jeffreys(successes: int, n: int, level: float = 0.95, void: int = 0) -> Estimate:
    """Equal-tailed posterior interval under the Beta(1/2, 1/2) prior, closed at 0 and 1 where the data touch them.

    Source: Brown, Cai and DasGupta, Statistical Science 16 (2001), section 4.1.2.
    """
    tail = _check(successes, n, level, void)
    failures = n - successes
    low = _beta_quantile(tail, successes + 0.5, failures + 0.5) if successes else 0.0
    high = _beta_quantile(1 - tail, successes + 0.5, failures + 0.5) if failures else 1.0
    return _estimate(successes, n, low, high, level, "Jeffreys (Brown, Cai, DasGupta 2001)", void)


def beta_posterior(successes: int, n: int, level: float = 0.95, void: int = 0) -> Estimate:
    """Posterior mean (s + 1) / (n + 2) and equal-tailed interval under a uniform prior: what violin plots show.

    A statement of belief: near 0 and 1 its coverage goes to 0, since it never contains either.

    Source: Bayes-Laplace; as used by TRI LBM Team (2025).
    """
    tail = _check(successes, n, level, void)
    if n == 0:
        return _estimate(successes, n, 0.0, 1.0, level, "Beta(1, 1) posterior (Laplace)", void)
    shape = (successes + 1, n - successes + 1)
    low, high = _beta_quantile(tail, *shape), _beta_quantile(1 - tail, *shape)
    return Estimate(
        value=(successes + 1) / (n + 2),
        low=low,
        high=high,
        level=level,
        n=n,
        method="Beta(1, 1) posterior (Laplace)",
        void=void,
    )


def beta_confidence_sequence(successes: int, n: int, level: float = 0.95, void: int = 0) -> Estimate:
    """An interval that holds at all sample sizes at once, so also at one chosen by looking at the results.

    The rates against which a Beta(1/2, 1/2) mixture of bettors has not multiplied its stake by 1 / (1 - level). Wider
    than Clopper-Pearson by a fifth (n = 10) to a half (n = 50): the price of being allowed to stop when one likes.

    Source: Robbins, Ann. Math. Stat. 41 (1970); Howard et al., Ann. Stat. 49 (2021).
    """
    _check(successes, n, level, void)
    low, high = proportion_sequence(successes, n, level)
    return _estimate(successes, n, low, high, level, "confidence sequence, beta mixture (Robbins 1970)", void)


@dataclass(frozen=True, slots=True)
class WorstCase:
    """A rate if every void trial had been a failure, and if every one had been a success."""

    as_failures: Estimate
    as_successes: Estimate


def worst_case_bounds(
    successes: int,
    failures: int,
    void: int,
    level: float = 0.95,
    interval: Callable[[int, int, float], Estimate] = clopper_pearson,
) -> WorstCase:
    """What the void trials could hide (Manski bounds): they count first as failures, then as successes.

    A server that hangs on hard cases gains nothing by it: `as_failures.low` holds whatever the hung cases would
    have been.

    Args:
        successes, failures, void: all trials of one policy.
        interval: how to bound each of the two rates.
    """
    n = successes + failures + void
    return WorstCase(interval(successes, n, level), interval(successes + void, n, level))


def _check(successes: int, n: int, level: float, void: int) -> float:
    """The probability of one tail; ValueError for counts that cannot be."""
    if not 0 <= successes <= n or void < 0:
        raise ValueError(f"cannot have {successes} successes in {n} trials with {void} void")
    if not 0 < level < 1:
        raise ValueError(f"level must be inside (0, 1), not {level}")
    return (1 - level) / 2


def _beta_quantile(probability: float, a: float, b: float) -> float:
    return float(betaincinv(a, b, probability))


def _estimate(successes: int, n: int, low: float, high: float, level: float, method: str, void: int) -> Estimate:
    if n == 0:
        return Estimate(value=None, low=None, high=None, level=level, n=0, method=method, void=void)
    return Estimate(value=successes / n, low=low, high=high, level=level, n=n, method=method, void=void)
