"""Paired cases under two policies: how they are counted, and the exact test on them.

Knows nothing of sequential stopping: the p-value here is valid for a number of pairs fixed in advance, or at least not
chosen by looking at the results. `roboscale.stats.sequential` is for those who look.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from roboscale.core import PairedOutcome
from roboscale.stats.distributions import binomial_isf, binomial_pmf, binomial_sf

__all__ = ["Alternative", "PairCounts", "count_pairs", "exact_counts_test", "exact_paired_test", "fixed_sample_power"]

Alternative = Literal["two-sided", "first is better", "second is better"]

_ORDER: tuple[bool | None, ...] = (False, True, None)


@dataclass(frozen=True, slots=True)
class PairCounts:
    """The nine kinds of pair, counted: each side failed, succeeded or stayed void.

    Args:
        cells: nine counts, row-major, first policy by row and second by column, in the order failure, success, void.
    """

    cells: tuple[int, ...] = (0,) * 9

    def plus(self, pair: PairedOutcome) -> PairCounts:
        """These counts and one more pair."""
        at = 3 * _ORDER.index(pair.first) + _ORDER.index(pair.second)
        return PairCounts(tuple(count + (i == at) for i, count in enumerate(self.cells)))

    def of(self, first: bool | None, second: bool | None) -> int:
        """How many pairs ended so; `None` is a side that stayed void."""
        return self.cells[3 * _ORDER.index(first) + _ORDER.index(second)]

    @property
    def n(self) -> int:
        """Pairs with two valid sides: what every rate and test counts."""
        return self.both + self.neither + self.discordant

    @property
    def both(self) -> int:
        return self.of(True, True)

    @property
    def neither(self) -> int:
        return self.of(False, False)

    @property
    def first_only(self) -> int:
        return self.of(True, False)

    @property
    def second_only(self) -> int:
        return self.of(False, True)

    @property
    def discordant(self) -> int:
        return self.first_only + self.second_only

    @property
    def void(self) -> int:
        """Pairs left out because a side stayed void."""
        return sum(self.cells) - self.n

    def side(self, which: Literal["first", "second"]) -> tuple[int, int, int]:
        """Successes, failures and voids of one policy over *all* its pairs, the void ones of the other included."""
        step, stride = (1, 3) if which == "first" else (3, 1)
        failures, successes, void = (sum(self.cells[stride * row + step * i] for i in range(3)) for row in range(3))
        return successes, failures, void


def count_pairs(pairs: Iterable[PairedOutcome]) -> PairCounts:
    """Counts the nine kinds of pair; the order of the pairs does not matter."""
    counts = PairCounts()
    for pair in pairs:
        counts = counts.plus(pair)
    return counts


def exact_paired_test(pairs: Sequence[PairedOutcome], alternative: Alternative = "two-sided") -> float:
    """The exact McNemar (sign) test: p-value of "the policies do not differ", from the discordant pairs alone.

    Pairs on which both policies did the same say nothing about which is better. Of the D discordant pairs, the number
    W won by the second policy is compared with D tosses of a fair coin.

    Strata (tasks) are pooled, and the test stays exact. The null hypothesis says that in *every* stratum the two
    policies are equally likely to be the one that succeeds alone. Given which pairs were discordant, each of them is
    then a fair coin whatever its stratum and however hard that stratum is: difficulty decides how often a pair is
    discordant, not who wins it. A sum of D independent fair coins is Binomial(D, 1/2), so W is, with nothing to
    estimate. (What pooling can lose is power, when the policies differ in opposite directions in different strata.)

    Args:
        pairs: outcomes in any order; a pair with a void side (`None`) is left out (`PairCounts.void` counts them).
        alternative: the direction that would be of interest, chosen before looking.

    Returns:
        The p-value; 1.0 when no pair is discordant.

    Source: McNemar, Psychometrika 12 (1947); Cochran, Biometrics 10 (1954) for the pooling.
    """
    return exact_counts_test(count_pairs(pairs), alternative)


def exact_counts_test(counts: PairCounts, alternative: Alternative = "two-sided") -> float:
    """`exact_paired_test` where the pairs are counted already."""
    return _sign_test(counts.first_only, counts.second_only, alternative)


def _sign_test(first_only: int, second_only: int, alternative: Alternative) -> float:
    wins = {
        "two-sided": max(first_only, second_only),
        "first is better": first_only,
        "second is better": second_only,
    }
    if alternative not in wins:
        raise ValueError(f"alternative is one of {', '.join(wins)}, not {alternative!r}")
    tail = float(binomial_sf(wins[alternative] - 1, first_only + second_only, 0.5))
    return min(1.0, 2 * tail) if alternative == "two-sided" else tail


def fixed_sample_power(p_first_only: float, p_second_only: float, pairs: int, alpha: float = 0.05) -> float:
    """Probability that the two-sided exact paired test on a fixed number of pairs reports a difference; exact.

    Args:
        p_first_only, p_second_only: probabilities that a pair is won by the first, by the second policy.
        pairs: number of pairs, fixed in advance.
    """
    discordance = p_first_only + p_second_only
    if discordance == 0:
        return 0.0
    tosses, share = np.arange(1, pairs + 1), p_second_only / discordance
    # isf of half of alpha gives the most wins that are still not decisive
    fewest = binomial_isf(alpha / 2, tosses, 0.5) + 1
    reject = binomial_sf(fewest - 1, tosses, share) + binomial_sf(fewest - 1, tosses, 1 - share)
    return float(binomial_pmf(tosses, pairs, discordance) @ reject)
