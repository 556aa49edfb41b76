"""How many trials a comparison takes, before it begins: designs by their exact power, where that can be computed.

Three designs for two policies whose success rates are guessed: independent trials, the same cases under both, and
either of them looked at after every trial. And the number of training runs, where a claim is to be about a recipe.

Knows no data: every number here follows from what was assumed. A guess of the rates that is wrong by ten points can
double the number; give a range of guesses rather than one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import betaincinv, nctdtr, stdtrit

from roboscale.stats.barnard import barnard_power
from roboscale.stats.distributions import normal_cdf, normal_isf
from roboscale.stats.independent import SHIPPED_BUDGETS, expected_trials
from roboscale.stats.paired import fixed_sample_power
from roboscale.stats.walk import expected_pairs

__all__ = [
    "EXACT_TRIALS",
    "SizedDesign",
    "agreement_range",
    "approximate_power",
    "approximate_trials",
    "discordance",
    "independent_power",
    "independent_trials",
    "largest_budget",
    "paired_power",
    "paired_trials",
    "run_power",
    "runs_needed",
    "sequential_independent",
    "sequential_paired",
    "smallest_rise",
    "trials_per_run",
]

EXACT_TRIALS = 300
"""Up to so many trials per policy, or pairs, the power is a sum over all outcomes; beyond, a normal approximation."""

_MOST = 100_000_000


def largest_budget(alpha: float) -> int:
    """Largest budget of a sequential design that is tried: beyond the shipped tables, building one takes long."""
    return 500 if alpha == 0.05 else 200


@dataclass(frozen=True, slots=True, kw_only=True)
class SizedDesign:
    """A design for two policies.

    Args:
        trials: per policy, or pairs; the budget of a sequential design; `None` where no number reaches the power.
        expected: trials that a sequential design takes on average; the same as `trials` otherwise.
        power: that is then reached.
        exact: whether the power is a sum over all outcomes.
    """

    trials: int | None
    expected: float | None
    power: float | None
    exact: bool


def approximate_trials(p0: float, p1: float, alpha: float = 0.05, power: float = 0.8) -> int:
    """Trials per policy of the two-sided pooled z test, by the normal approximation.

    Source: Fleiss, Levin and Paik, Statistical Methods for Rates and Proportions (2003), section 4.2.

    >>> approximate_trials(0.5, 0.7)
    93
    """
    pooled, gap = (p0 + p1) / 2, abs(p1 - p0)
    root = normal_isf(alpha / 2) * np.sqrt(2 * pooled * (1 - pooled))
    root -= normal_isf(power) * np.sqrt(p0 * (1 - p0) + p1 * (1 - p1))
    return int(np.ceil((root / gap) ** 2 - 1e-9))


def approximate_power(p0: float, p1: float, n: int, alpha: float = 0.05) -> float:
    """Power of the two-sided pooled z test with `n` trials per policy, by the normal approximation."""
    pooled, gap = (p0 + p1) / 2, abs(p1 - p0)
    own = p0 * (1 - p0) + p1 * (1 - p1)
    if own == 0:
        return 1.0
    critical = normal_isf(alpha / 2) * np.sqrt(2 * pooled * (1 - pooled))
    return float(sum(normal_cdf((side * gap * np.sqrt(n) - critical) / np.sqrt(own)) for side in (1, -1)))


def independent_power(p0: float, p1: float, n: int, alpha: float = 0.05) -> float:
    """Probability that the two-sided exact unconditional test on `n` trials per policy shows the better to be so.

    With equal numbers of trials the two-sided p-value is twice the one-sided one. Beyond `EXACT_TRIALS` the normal
    approximation stands for it.
    """
    if n > EXACT_TRIALS:
        return approximate_power(p0, p1, n, alpha)
    return barnard_power(min(p0, p1), max(p0, p1), n, alpha / 2)


def independent_trials(p0: float, p1: float, alpha: float = 0.05, power: float = 0.8) -> SizedDesign:
    """Fewest trials per policy from which on the exact unconditional test has at least this power.

    >>> independent_trials(0.5, 0.7).trials
    95
    """
    guess = approximate_trials(p0, p1, alpha, power)
    if guess > EXACT_TRIALS - 10:
        return SizedDesign(trials=guess, expected=guess, power=approximate_power(p0, p1, guess, alpha), exact=False)
    return _fewest(lambda n: independent_power(p0, p1, n, alpha), guess, power)


def discordance(p0: float, p1: float, agreement: float) -> tuple[float, float]:
    """P(only the first succeeds), P(only the second) on a case, from the share of cases on which both do the same.

    Raises:
        ValueError: no two policies of these rates can agree so often, or so rarely.
    """
    low, high = agreement_range(p0, p1)
    if not low - 1e-9 <= agreement <= high + 1e-9:
        raise ValueError(
            f"policies of {p0:g} and {p1:g} agree on {100 * low:.0f} to {100 * high:.0f} % of the cases, "
            f"not on {100 * agreement:g}"
        )
    apart = 1 - agreement
    return max(0.0, (apart - (p1 - p0)) / 2), max(0.0, (apart + (p1 - p0)) / 2)


def agreement_range(p0: float, p1: float) -> tuple[float, float]:
    """The smallest and the largest share of cases on which two policies of these rates can do the same."""
    return abs(p0 + p1 - 1), 1 - abs(p1 - p0)


def paired_power(p0: float, p1: float, agreement: float, n: int, alpha: float = 0.05) -> float:
    """Power of the two-sided exact paired test on `n` cases; beyond `EXACT_TRIALS` by the normal approximation."""
    first, second = discordance(p0, p1, agreement)
    if n <= EXACT_TRIALS:
        return fixed_sample_power(first, second, n, alpha)
    apart, gap = first + second, abs(second - first)
    spread = np.sqrt(max(apart - gap**2, 1e-12))
    return float(normal_cdf((gap * np.sqrt(n) - normal_isf(alpha / 2) * np.sqrt(apart)) / spread))


def paired_trials(p0: float, p1: float, agreement: float, alpha: float = 0.05, power: float = 0.8) -> SizedDesign:
    """Fewest cases from which on the exact paired test has at least this power.

    Source: Connor, Biometrics 43 (1987), for the approximation where the search begins.

    >>> paired_trials(0.5, 0.7, agreement=0.8).trials
    39
    """
    first, second = discordance(p0, p1, agreement)
    apart, gap = first + second, abs(second - first)
    root = normal_isf(alpha / 2) * np.sqrt(apart) - normal_isf(power) * np.sqrt(max(apart - gap**2, 0.0))
    guess = int(np.ceil((root / gap) ** 2 - 1e-9))
    if guess > EXACT_TRIALS - 20:
        reached = paired_power(p0, p1, agreement, guess, alpha)
        return SizedDesign(trials=guess, expected=guess, power=reached, exact=False)
    return _fewest(lambda n: paired_power(p0, p1, agreement, n, alpha), guess, power)


def _fewest(power_of: Callable[[int], float], guess: int, power: float) -> SizedDesign:
    """Fewest trials from which on the power stays; it goes up in a saw, so that a few further numbers are tried."""
    start = max(1, min(guess, EXACT_TRIALS))
    while start > 1 and power_of(start) >= power:
        start -= 1
    for n in range(max(1, start - 4), EXACT_TRIALS + 1):
        if all(power_of(more) >= power for more in range(n, min(n + 4, EXACT_TRIALS + 1))):
            return SizedDesign(trials=n, expected=n, power=power_of(n), exact=True)
    return SizedDesign(trials=None, expected=None, power=None, exact=True)


def sequential_independent(p0: float, p1: float, alpha: float = 0.05, power: float = 0.8) -> SizedDesign:
    """The smallest shipped budget per policy at which the sequential exact test has this power, and what it takes.

    Source: as `roboscale.stats.independent`; exact by recursion.
    """
    low, high = min(p0, p1), max(p0, p1)
    fixed = independent_trials(p0, p1, alpha, power).trials or 1
    for budget in (b for b in SHIPPED_BUDGETS if 0.9 * fixed <= b <= largest_budget(alpha)):
        run = expected_trials(low, high, budget, alpha)
        if run.second >= power:
            return SizedDesign(trials=budget, expected=run.trials, power=run.second, exact=True)
    return SizedDesign(trials=None, expected=None, power=None, exact=True)


def sequential_paired(p0: float, p1: float, agreement: float, alpha: float = 0.05, power: float = 0.8) -> SizedDesign:
    """The smallest budget of pairs at which the sequential paired test has this power, and what it takes on average.

    Budgets are tried in fives, above 150 in fifties.

    Source: as `roboscale.stats.walk`; exact by recursion.
    """
    first, second = sorted(discordance(p0, p1, agreement))
    fixed = paired_trials(p0, p1, agreement, alpha, power).trials or 1
    step = 5 if fixed <= 150 else 50  # the recursion takes budget^3 steps
    for budget in range(step * (fixed // step + 1), min(2 * fixed + 10, largest_budget(alpha)) + 1, step):
        run = expected_pairs(first, second, budget, alpha)
        if run.second >= power:
            return SizedDesign(trials=budget, expected=run.pairs, power=run.second, exact=True)
    return SizedDesign(trials=None, expected=None, power=None, exact=True)


@lru_cache(maxsize=256)
def smallest_rise(p0: float, n: int, alpha: float = 0.05, power: float = 0.8) -> float | None:
    """Smallest p1 - p0 that `n` trials per policy show with this power, to .01 where exact; `None` where none can.

    >>> smallest_rise(0.6, 20)
    0.35
    """
    if n > EXACT_TRIALS:
        if approximate_power(p0, 1.0, n, alpha) < power:
            return None
        low, high = 0.0, 1 - p0
        for _ in range(30):
            middle = (low + high) / 2
            low, high = (low, middle) if approximate_power(p0, p0 + middle, n, alpha) >= power else (middle, high)
        return high
    steps = (step / 100 for step in range(1, round((1 - p0) * 100) + 1))
    return next((s for s in steps if independent_power(p0, min(1.0, p0 + s), n, alpha) >= power), None)


def run_power(p0: float, p1: float, runs: int, trials: float, run_sd: float, alpha: float = 0.05) -> float:
    """Power of the two-sided Welch test on the success rates of training runs, for a claim about a recipe.

    A run's true rate is normal around its recipe's with standard deviation `run_sd`; each is tried `trials` times.
    With as many runs a side, Welch's statistic has a noncentral t distribution with 2 (runs - 1) degrees of freedom,
    whatever the two sample variances are to each other; that ratio, a beta variable, decides the critical value. Exact
    where both recipes vary alike.

    Args:
        runs: trained independently, per recipe; at least 2.
        trials: per run; infinity for "as many as one likes".

    Source: Welch, Biometrika 34 (1947); see `roboscale.stats.recipes` for the test.
    """
    variance = [run_sd**2 + p * (1 - p) / trials for p in (p0, p1)]
    spread = np.sqrt(sum(variance) / runs)
    if spread == 0:
        return 1.0
    share = betaincinv((runs - 1) / 2, (runs - 1) / 2, (np.arange(_QUANTILES) + 0.5) / _QUANTILES)
    degrees = (runs - 1) / (share**2 + (1 - share) ** 2)
    critical = -stdtrit(degrees, alpha / 2)
    return float(np.mean(1 - nctdtr(2 * (runs - 1), abs(p1 - p0) / spread, critical)))


_QUANTILES = 200


def trials_per_run(
    p0: float, p1: float, runs: int, run_sd: float, alpha: float = 0.05, power: float = 0.8
) -> int | None:
    """Fewest trials of each of `runs` training runs per recipe; `None` where no number of trials would do."""
    if run_power(p0, p1, runs, np.inf, run_sd, alpha) < power:
        return None
    low, high = 0, 1
    while run_power(p0, p1, runs, high, run_sd, alpha) < power:
        low, high = high, 2 * high
        if high > _MOST:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if run_power(p0, p1, runs, middle, run_sd, alpha) >= power else (middle, high)
    return high


def runs_needed(
    p0: float, p1: float, run_sd: float, alpha: float = 0.05, power: float = 0.8, most: int = 100
) -> int | None:
    """Fewest training runs per recipe, at least 3, that have this power with as many trials as one likes."""
    each = range(3, most + 1)
    return next((r for r in each if run_power(p0, p1, r, np.inf, run_sd, alpha) >= power), None)
