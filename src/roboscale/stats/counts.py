"""Plain counts: which test compares two of them whatever their size, and how many trials narrow an interval.

The trials are independent: counts do not say which of them were the same case.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from roboscale.stats.barnard import EXACT_SIDE, barnard
from roboscale.stats.proportions import clopper_pearson

__all__ = ["compare_counts", "mid_p_test", "trials_for_width"]


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
