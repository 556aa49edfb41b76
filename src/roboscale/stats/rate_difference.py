"""The difference of two success rates from independent trials: second minus first, with its interval.

On the same cases `roboscale.stats.differences` is sharper.
"""

from __future__ import annotations

import math

from roboscale.core import Estimate
from roboscale.stats.proportions import wilson

__all__ = ["rate_difference"]


def rate_difference(first: tuple[int, int], second: tuple[int, int], level: float = 0.95) -> Estimate:
    """Rate of the second minus rate of the first, with Newcombe's hybrid score interval.

    For numbers of trials that were fixed in advance. Approximate, near `level` on average; the test beside it is
    `roboscale.stats.barnard`, which is exact, so that at the border of a claim the two may differ.

    Args:
        first, second: (successes, trials) of each policy.

    Returns:
        No value where a side has no trials; `n` is the smaller number of trials.

    Source: Newcombe, Statistics in Medicine 17 (1998), 873-890, method 10.

    >>> e = rate_difference((12, 20), (17, 20))
    >>> f"{e.value:.2f} [{e.low:.3f}, {e.high:.3f}]"
    '0.25 [-0.028, 0.485]'
    """
    method = "difference of rates, Newcombe hybrid score (Stat. Med. 1998)"
    (k0, n0), (k1, n1) = first, second
    a, b = wilson(k0, n0, level), wilson(k1, n1, level)
    if a.value is None or b.value is None or a.low is None or a.high is None or b.low is None or b.high is None:
        return Estimate(value=None, low=None, high=None, level=level, n=min(n0, n1), method=method)
    value = b.value - a.value
    low = value - math.hypot(b.value - b.low, a.high - a.value)
    high = value + math.hypot(b.high - b.value, a.value - a.low)
    return Estimate(value=value, low=max(-1.0, low), high=min(1.0, high), level=level, n=min(n0, n1), method=method)
