"""Two policies on several tasks: claims that no mix of tasks can make, and what the tasks say by themselves.

Pooling is a trap: who was tried more often on easy tasks looks better (Simpson's paradox). Here trials are compared
with trials of the same stratum, a task in a world, and evidence is added up over strata. Beside each sum stands
whether the difference is the same everywhere: an average of better here and worse there is no overall statement.

Counts are given as arrays of successes and trials, shape (2, strata), first policy first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtrc, gammaln

from roboscale.core import Estimate
from roboscale.stats.barnard import EXACT_SIDE
from roboscale.stats.distributions import normal_isf, normal_sf, student_isf

__all__ = [
    "StratifiedScores",
    "cmh_test",
    "interaction_test",
    "mean_difference",
    "paired_interaction_test",
    "stratified_difference",
    "stratified_permutation_test",
]

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

DRAWS = 9_999
"""Tables drawn where enumerating them all would take too long; p-values are then multiples of 1 / (DRAWS + 1)."""

_MOST_PRODUCTS = 300_000_000
"""Multiplications of the convolution up to which distributions of sums are exact."""

_FEWEST_EXPECTED = 5
_CHI_SQUARE_OF_PAIRS = "chi-square test of interaction on discordant cases (Pearson 1900)"
"""Expected in every cell where a chi-square limit is believed (Cochran 1954)."""


def cmh_test(won: ArrayLike, tried: ArrayLike) -> tuple[float, str]:
    """Two-sided p-value of "in no stratum do the two differ", and the name of the test.

    Given the margins of every stratum, the second policy's successes are hypergeometric, and their sum over strata is
    a convolution. Exact up to 2,000 trials a side; beyond, with mid-p; beyond what can be convolved, the normal
    approximation of Mantel and Haenszel.

    Args:
        won, tried: successes and trials, (2, S). Strata where one side has no trial say nothing.

    Source: Cochran, Biometrics 10 (1954); Mantel and Haenszel, JNCI 22 (1959); Mehta, Patel and Gray, JASA 80 (1985).

    >>> p, test = cmh_test([[45, 2], [10, 20]], [[50, 10], [10, 50]])
    >>> f"{p:.2f}", test
    ('0.21', 'exact Cochran-Mantel-Haenszel test (Mehta, Patel, Gray 1985)')
    """
    k, n = _shared(won, tried)
    if not k.size:
        return 1.0, "no stratum in common"
    lows, masses = _conditional(k, n)
    seen = int(k[1].sum() - sum(lows))
    if _products(masses) > _MOST_PRODUCTS:
        return _normal_cmh(k, n), "Cochran-Mantel-Haenszel test, normal approximation (Mantel, Haenszel 1959)"
    total = _convolved(masses)
    below, at, above = total[:seen].sum(), total[seen], total[seen + 1 :].sum()
    if n.sum(axis=1).max() > EXACT_SIDE:
        p = 2 * min(below + at / 2, above + at / 2)
        return float(min(1.0, p)), "Cochran-Mantel-Haenszel test with mid-p (Lancaster 1961)"
    p = 2 * min(below + at, above + at)
    return float(min(1.0, p)), "exact Cochran-Mantel-Haenszel test (Mehta, Patel, Gray 1985)"


def stratified_difference(won: ArrayLike, tried: ArrayLike, level: float = 0.95) -> Estimate:
    """Rate of the second policy minus rate of the first, averaged over strata by Mantel-Haenszel weights.

    The interval joins each side's stratified Wilson limits as Newcombe does; it does not collapse where nobody or
    everybody succeeds. Approximate, near `level`.

    Source: Yan and Su, Statistics in Biopharmaceutical Research 2 (2010).

    >>> e = stratified_difference([[43, 28], [28, 45]], [[100, 100], [100, 100]])
    >>> f"{e.value:+.2f}"
    '+0.01'
    """
    k, n = _shared(won, tried)
    method = "difference over strata, Mantel-Haenszel weights, Newcombe limits (Yan, Su 2010)"
    counted = int(n.sum(axis=1).min()) if k.size else 0
    if not counted:
        return Estimate(value=None, low=None, high=None, level=level, n=0, method=method)
    weights = n[0] * n[1] / n.sum(axis=0)
    weights = weights / weights.sum()
    rates = (k / n) @ weights
    (low0, high0), (low1, high1) = (_stratified_wilson(k[i], n[i], weights, level) for i in (0, 1))
    z = normal_isf((1 - level) / 2)
    spread = (weights**2 / n).sum(axis=1)
    value = float(rates[1] - rates[0])
    down = z * np.sqrt(spread[1] * low1 * (1 - low1) + spread[0] * high0 * (1 - high0))
    up = z * np.sqrt(spread[1] * high1 * (1 - high1) + spread[0] * low0 * (1 - low0))
    return Estimate(
        value=value, low=max(-1.0, value - down), high=min(1.0, value + up), level=level, n=counted, method=method
    )


def interaction_test(won: ArrayLike, tried: ArrayLike, seed: int = 0) -> tuple[float, str]:
    """P-value of "the odds of the two differ by the same factor in every stratum", and the name of the test.

    Zelen's exact test: given all margins and the total, how probable are tables no more probable than the one seen.
    The tables are drawn from that distribution, DRAWS of them, always the same for one seed. Beyond 2,000 trials a
    side the chi-square limit of Breslow and Day with Tarone's correction, where it expects at least 5 in every cell
    or drawing would take too long.

    Source: Zelen, Biometrika 58 (1971); Tarone, Biometrika 72 (1985).
    """
    k, n = _shared(won, tried)
    name = f"Zelen's exact test of interaction ({DRAWS:,} tables drawn)"
    if k.shape[1] < 2:
        return 1.0, name
    if n.sum(axis=1).max() > EXACT_SIDE:
        fitted = _equal_odds(k, n)
        if (
            fitted.min() >= _FEWEST_EXPECTED
            or _products([np.empty(least + 1) for least in _widths(k, n)]) > _MOST_PRODUCTS
        ):
            return _breslow_day(k, fitted), "chi-square test of interaction (Breslow, Day, Tarone 1985)"
    lows, masses = _conditional(k, n)
    return _given_total(masses, k[1] - np.array(lows), seed), name


def paired_interaction_test(first_only: ArrayLike, second_only: ArrayLike, seed: int = 0) -> tuple[float, str]:
    """The same for pairs: is the share of discordant cases that the second policy won the same in every stratum?

    Beyond 2,000 discordant cases Pearson's chi-square, where it expects at least 5 on either side of every stratum or
    drawing would take too long.

    Args:
        first_only, second_only: discordant cases, (S,).

    Source: Pearson, Philosophical Magazine 50 (1900).

    >>> paired_interaction_test([900, 300], [800, 500])[1]
    'chi-square test of interaction on discordant cases (Pearson 1900)'
    """
    lost, gained = np.asarray(first_only, np.int64), np.asarray(second_only, np.int64)
    name = f"exact test of interaction on discordant cases ({DRAWS:,} tables drawn)"
    kept = lost + gained > 0
    if kept.sum() < 2:
        return 1.0, name
    table = np.stack([lost, gained])[:, kept]
    sizes = table.sum(axis=0)
    if sizes.sum() > EXACT_SIDE:
        expected = np.outer(table.sum(axis=1), sizes) / sizes.sum()
        if expected.min() >= _FEWEST_EXPECTED or _products([np.empty(d + 1) for d in sizes]) > _MOST_PRODUCTS:
            statistic = float(((table - expected) ** 2 / np.maximum(expected, 1e-300)).sum())
            return float(chdtrc(len(sizes) - 1, statistic)), _CHI_SQUARE_OF_PAIRS
    masses = []
    for d in sizes:
        logs = _log_choose(int(d), np.arange(d + 1))
        masses.append(np.exp(logs - d * np.log(2)))
    return _given_total(masses, gained[kept], seed), name


@dataclass(frozen=True, slots=True)
class StratifiedScores:
    """Scores in 0..1 of both policies in each stratum, as one row a score: value, side (0 or 1) and stratum, (n,)."""

    value: Floats
    side: NDArray[np.int8]
    stratum: NDArray[np.int32]

    def groups(self) -> Iterator[tuple[Floats, Floats]]:
        """Scores of the first and of the second policy, for every stratum that has both."""
        order = np.argsort(self.stratum, kind="stable")
        ends = np.flatnonzero(np.diff(self.stratum[order], prepend=-1))
        for rows in np.split(order, ends[1:]):
            one, two = self.value[rows][self.side[rows] == 0], self.value[rows][self.side[rows] == 1]
            if len(one) and len(two):
                yield one, two


def stratified_permutation_test(scores: StratifiedScores, seed: int = 0) -> tuple[float, str]:
    """Two-sided p-value of "within a stratum, scores do not depend on the policy", and the name of the test.

    Scores are dealt to the policies anew within each stratum, DRAWS times, always the same for one seed; the statistic
    is the difference of means, weighted as in `mean_difference`.
    """
    groups = list(scores.groups())
    name = f"permutation test within strata ({DRAWS:,} permutations)"
    if not groups:
        return 1.0, "no stratum in common"
    rng = np.random.default_rng(seed)
    weights = _weights(groups)
    drawn = np.zeros(DRAWS)
    for (one, two), weight in zip(groups, weights, strict=True):
        both = np.concatenate([one, two])
        for start in range(0, DRAWS, 500):  # so that large strata need little memory
            count = min(500, DRAWS - start)
            dealt = rng.permuted(np.broadcast_to(both, (count, len(both))), axis=1)
            drawn[start : start + count] += weight * (dealt[:, len(one) :].mean(1) - dealt[:, : len(one)].mean(1))
    seen = float(sum(w * (two.mean() - one.mean()) for (one, two), w in zip(groups, weights, strict=True)))
    return float((1 + np.count_nonzero(np.abs(drawn) >= abs(seen) - 1e-12)) / (DRAWS + 1)), name


def mean_difference(scores: StratifiedScores, level: float = 0.95) -> Estimate:
    """Mean score of the second policy minus that of the first over strata, with Welch's interval.

    Source: Welch, Biometrika 34 (1947), the variances of all strata and both sides with Satterthwaite's degrees.
    """
    groups = [(a, b) for a, b in scores.groups()]
    method = "difference of means over strata, Welch (Biometrika 1947)"
    n = min((sum(len(a) for a, _ in groups), sum(len(b) for _, b in groups)), default=0)
    if not n:
        return Estimate(value=None, low=None, high=None, level=level, n=0, method=method)
    weights = _weights(groups)
    value = float(sum(w * (b.mean() - a.mean()) for (a, b), w in zip(groups, weights, strict=True)))
    parts = [
        (w**2 * float(side.var(ddof=1)) / len(side), len(side) - 1)
        for (a, b), w in zip(groups, weights, strict=True)
        for side in (a, b)
        if len(side) > 1
    ]
    if len(parts) < 2 * len(groups):
        return Estimate(value=value, low=None, high=None, level=level, n=n, method=method)
    variance = sum(part for part, _ in parts)
    degrees = variance**2 / sum(part**2 / df for part, df in parts) if variance else 1.0
    half = student_isf((1 - level) / 2, degrees) * float(np.sqrt(variance)) if variance else 0.0
    return Estimate(
        value=value, low=max(-1.0, value - half), high=min(1.0, value + half), level=level, n=n, method=method
    )


def _weights(groups: list[tuple[Floats, Floats]]) -> Floats:
    """Mantel-Haenszel's: strata count by the harmonic size of their smaller side."""
    weights = np.array([len(a) * len(b) / (len(a) + len(b)) for a, b in groups])
    return np.asarray(weights / weights.sum())


def _shared(won: ArrayLike, tried: ArrayLike) -> tuple[Counts, Counts]:
    """Counts of the strata in which both were tried."""
    k, n = np.asarray(won, np.int64), np.asarray(tried, np.int64)
    if k.shape != n.shape or k.ndim != 2 or k.shape[0] != 2 or (k < 0).any() or (k > n).any():
        raise ValueError("successes and trials have shape (2, strata), with 0 <= successes <= trials")
    both = (n > 0).all(axis=0)
    return k[:, both], n[:, both]


def _conditional(k: Counts, n: Counts) -> tuple[list[int], list[Floats]]:
    """For every stratum the fewest successes that the second side can have given the margins, and how probable each
    number from there is."""
    lows, masses = [], []
    for (_, _), (n0, n1), total in zip(k.T, n.T, k.sum(axis=0), strict=True):
        low = max(0, int(total - n0))
        seen = np.arange(low, min(int(n1), int(total)) + 1)
        logs = _log_choose(int(n1), seen) + _log_choose(int(n0), total - seen)
        mass = np.exp(logs - logs.max())
        lows.append(low)
        masses.append(mass / mass.sum())
    return lows, masses


def _log_choose(n: int, k: Counts) -> Floats:
    return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1), np.float64)


def _products(masses: list[Floats]) -> int:
    """How much work the convolution is."""
    size, work = 1, 0
    for mass in sorted(masses, key=len):
        work += size * len(mass)
        size += len(mass) - 1
    return work


def _convolved(masses: list[Floats]) -> Floats:
    """Distribution of the sum over strata."""
    total = np.ones(1)
    for mass in sorted(masses, key=len):
        total = np.convolve(total, mass)
    return total


def _normal_cmh(k: Counts, tried: Counts) -> float:
    n = tried.astype(np.float64)  # products of four counts leave int64
    total, size = k.sum(axis=0), n.sum(axis=0)
    expected = n[1] * total / size
    variance = n[0] * n[1] * total * (size - total) / (size**2 * np.maximum(size - 1, 1))
    if variance.sum() <= 0:
        return 1.0
    gap = max(0.0, abs(float(k[1].sum() - expected.sum())) - 0.5)
    return min(1.0, 2 * float(normal_sf(gap / np.sqrt(variance.sum()))))


def _given_total(masses: list[Floats], seen: Counts, seed: int) -> float:
    """Share of tables with this total that are no more probable than the one seen, by drawing them one by one."""
    total = int(seen.sum())
    masses = _tilted(masses, total)
    sums = [np.ones(1)]  # of the first strata, none to all but the last
    for mass in masses[:-1]:
        sums.append(np.convolve(sums[-1], mass))
    rng = np.random.default_rng(seed)
    left = np.full(DRAWS, total)
    logs, seen_log = np.zeros(DRAWS), 0.0
    for mass, before, value in zip(masses[::-1], sums[::-1], seen[::-1], strict=True):
        log_mass = np.log(np.maximum(mass, 1e-300))
        seen_log += float(log_mass[value])
        for rest in np.unique(left):  # everybody with the same rest draws from the same distribution
            who = np.flatnonzero(left == rest)
            values = np.arange(len(mass))
            other = rest - values
            fits = (other >= 0) & (other < len(before))
            chance = np.where(fits, mass * before[np.clip(other, 0, len(before) - 1)], 0.0)
            drawn = rng.choice(len(mass), size=len(who), p=chance / chance.sum())
            logs[who] += log_mass[drawn]
            left[who] -= drawn
    return float((1 + np.count_nonzero(logs <= seen_log + 1e-9)) / (DRAWS + 1))


def _tilted(masses: list[Floats], total: int) -> list[Floats]:
    """The same distributions given the total, tilted by one odds ratio so that the total is where they expect it.

    Otherwise a total far out in the tail would be a sum of numbers too small to be written down.
    """

    def tilt(by: float) -> list[Floats]:
        tilted = []
        for mass in masses:
            logs = np.log(np.maximum(mass, 1e-300)) + by * np.arange(len(mass))
            raised = np.exp(logs - logs.max())
            tilted.append(raised / raised.sum())
        return tilted

    low, high = -60.0, 60.0
    for _ in range(60):
        middle = (low + high) / 2
        expected = sum(float(mass @ np.arange(len(mass))) for mass in tilt(middle))
        low, high = (middle, high) if expected < total else (low, middle)
    return tilt((low + high) / 2)


def _widths(k: Counts, n: Counts) -> list[int]:
    """How far the second side's successes can range in every stratum, given the margins."""
    total = k.sum(axis=0)
    return [int(width) for width in np.minimum(n[1], total) - np.maximum(0, total - n[0])]


def _equal_odds(k: Counts, n: Counts) -> Floats:
    """Tables with these margins and one odds ratio, Mantel and Haenszel's: (success or failure, side, stratum)."""
    tried = n.astype(np.float64)
    total, size = k.sum(axis=0), tried.sum(axis=0)
    up, down = (k[1] * (tried[0] - k[0]) / size).sum(), (k[0] * (tried[1] - k[1]) / size).sum()
    if up == 0 or down == 0:
        return np.zeros((2, 2, k.shape[1]))
    odds = up / down
    # x (n0 - total + x) = odds (n1 - x) (total - x), the root that leaves no cell below 0
    square, linear = 1 - odds, tried[0] - total + odds * (tried[1] + total)
    root = np.sqrt(np.maximum(0.0, linear**2 + 4 * square * odds * tried[1] * total))
    second = 2 * odds * tried[1] * total / np.maximum(linear + root, 1e-300)
    won = np.stack([total - second, second])
    return np.stack([won, tried - won])


def _breslow_day(k: Counts, fitted: Floats) -> float:
    """P-value of the distance between the tables seen and those of one odds ratio, with Tarone's correction."""
    told = (fitted > 0).all(axis=(0, 1))  # a stratum of nothing but successes, or failures, says nothing
    if told.sum() < 2:
        return 1.0
    gap = k[1, told] - fitted[0, 1, told]
    variance = 1 / (1 / fitted[:, :, told]).sum(axis=(0, 1))
    statistic = float((gap**2 / variance).sum() - gap.sum() ** 2 / variance.sum())
    return float(chdtrc(told.sum() - 1, max(0.0, statistic)))


def _stratified_wilson(k: Counts, n: Counts, weights: Floats, level: float) -> tuple[float, float]:
    """Limits of a weighted rate: Wilson's limits of every stratum at the level that makes their sum right."""
    z = normal_isf((1 - level) / 2)
    rate = (k + 2) / (n + 4)  # never 0 or 1, so that no stratum is taken for certain
    deviations = np.sqrt(rate * (1 - rate) / n)
    inner = z * float(np.sqrt((weights**2 * deviations**2).sum()) / (weights * deviations).sum())
    centre = (k + inner**2 / 2) / (n + inner**2)
    half = inner / (n + inner**2) * np.sqrt(k * (n - k) / n + inner**2 / 4)
    return max(0.0, float(weights @ (centre - half))), min(1.0, float(weights @ (centre + half)))
