"""The difference of two success rates measured on the same cases: second minus first, so positive favours the second.

Two intervals: one for a number of pairs fixed in advance, one that survives stopping when one likes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from roboscale.core import Estimate, PairedOutcome
from roboscale.stats.betting import bounded_mean_sequence
from roboscale.stats.distributions import normal_isf, root_between
from roboscale.stats.paired import PairCounts, count_pairs

__all__ = ["leaves_zero_out", "paired_difference", "paired_difference_sequence"]


def paired_difference(pairs: Sequence[PairedOutcome] | PairCounts, level: float = 0.95) -> Estimate:
    """Rate of the second policy minus rate of the first on the same cases, with Tango's score interval.

    For a number of pairs that was fixed in advance. Approximate: its coverage is near `level` on average and can fall
    somewhat below for few pairs with rare discordance (tests enumerate it).

    Args:
        pairs: outcomes in any order, or their counts; pairs with a void side are counted in `void` only.

    Source: Tango, Statistics in Medicine 17 (1998), equations 3 to 5.
    """
    counts = _counts(pairs)
    method = "Tango score interval for paired rates (Stat. Med. 1998)"
    if counts.n == 0:
        return Estimate(value=None, low=None, high=None, level=level, n=0, method=method, void=counts.void)
    value = (counts.second_only - counts.first_only) / counts.n
    z = normal_isf((1 - level) / 2)
    low = _score_root(counts, value, -1.0, z)
    high = _score_root(counts, value, 1.0, -z)
    return Estimate(value=value, low=low, high=high, level=level, n=counts.n, method=method, void=counts.void)


def paired_difference_sequence(pairs: Sequence[PairedOutcome] | PairCounts, level: float = 0.95) -> Estimate:
    """Rate of the second policy minus rate of the first, with bounds that hold at all sample sizes at once.

    Bets on d in {-1, 0, 1} (second minus first of a pair), rescaled to [0, 1]; depends on the counts alone, so the
    order of the pairs before the stop does not matter.

    Source: Waudby-Smith and Ramdas, JRSS-B 86 (2024), with a universal-portfolio mixture of bets.
    """
    counts = _counts(pairs)
    method = "confidence sequence by betting on paired differences (Waudby-Smith, Ramdas 2024)"
    if counts.n == 0:
        return Estimate(value=None, low=None, high=None, level=level, n=0, method=method, void=counts.void)
    seen = (counts.first_only, counts.both + counts.neither, counts.second_only)
    low, high = bounded_mean_sequence((0.0, 0.5, 1.0), seen, level)
    value = (counts.second_only - counts.first_only) / counts.n
    return Estimate(
        value=value, low=2 * low - 1, high=2 * high - 1, level=level, n=counts.n, method=method, void=counts.void
    )


def leaves_zero_out(difference: Estimate) -> bool:
    """Whether the interval of a difference has 0 on its outside; not where there is no interval.

    >>> leaves_zero_out(Estimate(value=0.25, low=0.05, high=0.47, level=0.95, n=20, method="any"))
    True
    """
    return (difference.low or 0.0) > 0 or (difference.high or 0.0) < 0


def _counts(pairs: Sequence[PairedOutcome] | PairCounts) -> PairCounts:
    return pairs if isinstance(pairs, PairCounts) else count_pairs(pairs)


def _score(counts: PairCounts, delta: float) -> float:
    """Tango's score statistic for the hypothesis that second minus first is `delta`; decreasing in `delta`."""
    n, wins, losses = counts.n, counts.second_only, counts.first_only
    # Probability of "first only" under the hypothesis: the larger root of the constrained likelihood equation.
    a = 2.0 * n
    b = -wins - losses + (2 * n - wins + losses) * delta
    c = -losses * delta * (1 - delta)
    first_only = (np.sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a)
    variance = n * (2 * first_only + delta * (1 - delta))
    gap = wins - losses - n * delta
    if variance <= 0:
        return 0.0 if gap == 0 else float(np.copysign(np.inf, gap))
    return float(gap / np.sqrt(variance))


def _score_root(counts: PairCounts, value: float, end: float, z: float) -> float:
    """Where the score falls to `z` between the estimate and an end of [-1, 1]; the end where it never does."""
    near = value + np.copysign(1e-12, end)
    far = end - np.copysign(1e-12, end)
    if abs(near) >= abs(far) and near * end > 0:
        return end
    if (_score(counts, far) - z) * np.copysign(1.0, end) >= 0:
        return end
    return root_between(lambda delta: _score(counts, delta) - z, min(near, far), max(near, far), xtol=1e-12)
