"""Two independent success rates: Barnard's unconditional exact test, for numbers of trials fixed in advance.

Both arms may have their own cases and their own number of trials. On the same cases `roboscale.stats.paired` is
sharper; for those who look before the end `roboscale.stats.independent` is valid and this is not.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln, gammaln, xlog1py, xlogy

from roboscale.core import Decision, Estimate, Verdict
from roboscale.stats.distributions import normal_isf
from roboscale.stats.proportions import clopper_pearson
from roboscale.stats.verdicts import p_text, rate_with_bounds

__all__ = [
    "EXACT_SIDE",
    "Counts",
    "Sides",
    "barnard",
    "barnard_power",
    "barnard_verdict",
    "compose_independent",
    "critical_value",
    "outermost",
    "pooled_statistic",
    "probability_better",
    "rates_to_try",
    "smallest_difference",
    "trials_for_new_comparison",
]

EXACT_SIDE = 2000
"""Up to so many trials a side the exact test is taken where a choice is left; beyond, a conditional one with mid-p."""

Counts = tuple[int, int]
"""Successes and trials of one policy."""

Sides = Literal["two-sided", "first is better", "second is better"]

_ZOOMS = 8
_BLOCK = 1 << 20


@lru_cache(maxsize=4096)
def barnard(first: Counts, second: Counts, alternative: Sides = "two-sided") -> float:
    """The p-value of "both policies have the same success rate", or of "the alternative is false".

    The largest probability, over the unknown common rate, of a pooled z statistic at least as large as the one seen.
    It is the exact size of the test, so it holds at every rate; nothing is approximated but the position of the
    maximum (a grid that is finer than the function varies, then refined).

    Args:
        first, second: (successes, trials) of each policy.
        alternative: the direction of interest, chosen before looking.

    Returns:
        The p-value; 1.0 when a policy has no trials or the rates do not differ.

    Source: Barnard, Biometrika 34 (1947); Suissa and Shuster, JRSS-A 148 (1985) for the pooled z ordering.

    Raises:
        ValueError: counts that cannot be, or an unknown alternative.
    """
    (k0, n0), (k1, n1) = first, second
    if not (0 <= k0 <= n0 and 0 <= k1 <= n1):
        raise ValueError(f"cannot have {k0} successes in {n0} trials and {k1} in {n1}")
    if alternative not in ("two-sided", "first is better", "second is better"):
        raise ValueError(f"alternative is two-sided, first is better or second is better, not {alternative!r}")
    if n0 == 0 or n1 == 0:
        return 1.0
    return _largest_mass(_share_as_extreme(first, second, alternative))


def barnard_power(p0: float, p1: float, n: int, alpha: float = 0.05) -> float:
    """Probability that the one-sided test ("second is better") on `n` trials per arm has p <= alpha; exact."""
    region = pooled_statistic(n, n) >= critical_value(n, alpha)
    return float(_binomial(n, p0) @ region @ _binomial(n, p1))


def smallest_difference(p0: float, n: int, alpha: float = 0.05, power: float = 0.8) -> float | None:
    """Smallest p1 - p0, to .01, that the one-sided test finds with probability `power`; `None` where none can be."""
    steps = np.arange(1, int(np.floor((1 - p0) * 100 + 1e-9)) + 1) / 100
    enough = (float(step) for step in steps if barnard_power(p0, min(1.0, p0 + float(step)), n, alpha) >= power)
    return next(enough, None)


def probability_better(first: Counts, second: Counts) -> float:
    """P(rate of the second > rate of the first) under independent uniform priors: a belief, not a test.

    A finite sum of positive terms over i <= k1: B(a0 + i, b0 + b1) / ((b1 + i) B(1 + i, b1) B(a0, b0)),
    with a = k + 1 and b = n - k + 1.

    Source: Bayes-Laplace; Cook (2005) for the sum.
    """
    (k0, n0), (k1, n1) = first, second
    a0, b0, b1 = k0 + 1, n0 - k0 + 1, n1 - k1 + 1
    i = np.arange(k1 + 1)
    logs = betaln(a0 + i, b0 + b1) - np.log(b1 + i) - betaln(1 + i, b1) - betaln(a0, b0)
    return float(np.exp(logs).sum())


def barnard_verdict(
    first: Counts, second: Counts, alpha: float = 0.05, names: tuple[str, str] = ("A", "B"), level: float = 0.95
) -> Verdict:
    """The verdict of the two-sided exact test on numbers of trials that were fixed before looking at any result."""
    p_value = barnard(first, second)
    gap = second[0] * first[1] - first[0] * second[1]
    decision: Decision = "no difference shown"
    if p_value <= alpha:
        decision = "second is better" if gap > 0 else "first is better"
    estimates = {names[0]: clopper_pearson(*first, level), names[1]: clopper_pearson(*second, level)}
    basis = f"exact unconditional test, {p_text(p_value)}, alpha {alpha:g}; intervals are {100 * level:g} %"
    return Verdict(
        decision=decision,
        sentence=compose_independent(decision, names, estimates, f"{basis} Clopper-Pearson"),
        alpha=alpha,
        n=min(first[1], second[1]),
        discordant=0,
        p_value=p_value,
        method="exact unconditional test, pooled z (Barnard 1947; Suissa, Shuster 1985)",
        needed=None if p_value <= alpha else trials_for_new_comparison(first, second, alpha),
        estimates=estimates,
    )


def compose_independent(decision: Decision, names: tuple[str, str], estimates: dict[str, Estimate], basis: str) -> str:
    """One plain sentence on two independent rates; the winner comes first."""
    ahead, behind = names[::-1] if decision == "second is better" else names
    claim = {
        "undecided": f"Undecided between {ahead} and {behind} so far",
        "no difference shown": f"No difference shown between {ahead} and {behind}",
    }.get(decision, f"{ahead} is better than {behind}")
    rates = " against ".join(
        f"{rate_with_bounds(estimates[name])} (n={estimates[name].n})" for name in (ahead, behind)
    )
    return f"{claim}: {rates}, independent trials ({basis})"


def trials_for_new_comparison(first: Counts, second: Counts, alpha: float, power: float = 0.8) -> int | None:
    """Trials per arm of a new fixed-size comparison that would show the difference seen here, if it is the true one.

    Returns:
        The number, or `None` while the difference is within one standard error of zero, when any answer is a guess.

    Source: Fleiss, Statistical Methods for Rates and Proportions (1981), section 3.2, at posterior mean rates.
    """
    (k0, n0), (k1, n1) = first, second
    if n0 == 0 or n1 == 0:
        return None
    p0, p1 = (k0 + 0.5) / (n0 + 1), (k1 + 0.5) / (n1 + 1)
    gap = abs(p1 - p0)
    if gap <= np.sqrt(p0 * (1 - p0) / n0 + p1 * (1 - p1) / n1):
        return None
    pooled = (p0 + p1) / 2
    root = normal_isf(alpha / 2) * np.sqrt(2 * pooled * (1 - pooled))
    root -= normal_isf(power) * np.sqrt(p0 * (1 - p0) + p1 * (1 - p1))
    return int(np.ceil((root / gap) ** 2))


def pooled_statistic(n0: int, n1: int, rows: range | None = None) -> NDArray[np.float64]:
    """Signed square of the pooled z statistic up to a constant, positive where the second rate is higher.

    (x1 n0 - x0 n1)^2 / (s (n0 + n1 - s)) with s = x0 + x1, from whole numbers, so that states that tie in exact
    arithmetic tie here; shape (n0 + 1, n1 + 1), or only the given rows of it.
    """
    common = int(np.gcd(n0, n1))
    x0, x1 = np.array(range(n0 + 1) if rows is None else rows)[:, None], np.arange(n1 + 1)
    gap = (x1 * (n0 // common) - x0 * (n1 // common)).astype(float)
    pooled = ((x0 + x1) * (n0 + n1 - x0 - x1)).astype(float)
    return np.asarray(np.sign(gap) * gap**2 / np.maximum(pooled, 1.0))


def rates_to_try(trials: int) -> NDArray[np.float64]:
    """Common rates in (0, .5], evenly spaced where a binomial of so many trials varies evenly; ascending."""
    angles = np.linspace(0, np.pi / 4, 30 + 6 * int(np.ceil(np.sqrt(trials))))[1:]
    return np.asarray(np.sin(angles) ** 2)


def outermost(
    statistic: NDArray[np.float64],
    alive: NDArray[np.float64],
    spent: NDArray[np.float64],
    allowed: float,
    rates: NDArray[np.float64],
) -> tuple[float, NDArray[np.float64]]:
    """Makes the most extreme states decisive, tie by tie, while the error stays within `allowed` at every rate.

    Args:
        statistic: of equal arms, positive towards the decision, shape (n + 1, n + 1).
        alive: P(not decided before | this state) of each state, same shape.
        spent: error already spent at each rate, shape (P,).
        allowed: the most that may be spent by now.
        rates: common success rates, shape (P,).

    Returns:
        The smallest decisive statistic (infinite where none is) and the error spent by then, shape (P,).
    """
    n = len(statistic) - 1
    x0, x1 = np.nonzero((statistic > 0) & (alive > 0))
    order = np.argsort(-statistic[x0, x1], kind="stable")
    x0, x1 = x0[order], x1[order]
    value, total = statistic[x0, x1], x0 + x1
    last_of_tie = np.append(value[1:] != value[:-1], True)
    paths = _log_choose(n)
    log_rates, log_misses = np.log(rates), np.log1p(-rates)
    critical, begin = np.inf, 0
    while begin < len(value):
        end = min(begin + 256, len(value))
        end += int(np.argmax(last_of_tie[end - 1 :]))
        part = slice(begin, end)
        logs = (paths[x0[part]] + paths[x1[part]])[:, None]
        logs = logs + total[part, None] * log_rates + (2 * n - total[part, None]) * log_misses
        reached = spent + np.cumsum(alive[x0[part], x1[part], None] * np.exp(logs), axis=0)
        ties = np.flatnonzero(last_of_tie[part])
        fits = reached[ties].max(axis=1) <= allowed
        count = len(ties) if fits.all() else int(np.argmin(fits))
        if count:
            critical, spent = float(value[part][ties[count - 1]]), reached[ties[count - 1]]
        if count < len(ties):
            break
        begin = end
    return critical, spent


@lru_cache(maxsize=256)
def critical_value(n: int, alpha: float) -> float:
    """Smallest pooled statistic with a one-sided p-value of at most alpha on `n` trials per arm; infinite for none."""
    rates = rates_to_try(2 * n)
    return outermost(pooled_statistic(n, n), np.ones((n + 1, n + 1)), np.zeros(len(rates)), alpha, rates)[0]


def _share_as_extreme(first: Counts, second: Counts, alternative: Sides) -> NDArray[np.float64]:
    """P(as extreme as seen | s successes in both arms together), hypergeometric; shape (n0 + n1 + 1,)."""
    (k0, n0), (k1, n1) = first, second
    seen = float(pooled_statistic(n0, n1, range(k0, k0 + 1))[0, k1])
    paths0, paths1, paths = _log_choose(n0), _log_choose(n1), _log_choose(n0 + n1)
    share = np.zeros(n0 + n1 + 1)
    rows_at_once = max(1, _BLOCK // (n1 + 1))
    for begin in range(0, n0 + 1, rows_at_once):
        rows = range(begin, min(begin + rows_at_once, n0 + 1))
        statistic = pooled_statistic(n0, n1, rows)
        if alternative == "second is better":
            region = statistic >= seen
        elif alternative == "first is better":
            region = statistic <= seen
        else:
            region = np.abs(statistic) >= abs(seen)
        x0, x1 = np.nonzero(region)
        x0 += begin
        total = x0 + x1
        share += np.bincount(total, np.exp(paths0[x0] + paths1[x1] - paths[total]), n0 + n1 + 1)
    return share


def _largest_mass(share: NDArray[np.float64]) -> float:
    """Largest value over the common rate p of sum_s Binomial(s; N, p) share[s]."""
    trials = len(share) - 1
    angles = np.linspace(0, np.pi / 2, 61 + 12 * int(np.ceil(np.sqrt(trials))))
    mass = _mass(share, angles)
    peaks = np.argsort(mass)[::-1][:6]
    width = angles[1] - angles[0]
    best, around = float(mass.max()), angles[peaks]
    for _ in range(_ZOOMS):
        near = np.clip(around[:, None] + width * np.linspace(-1, 1, 9), 0, np.pi / 2)
        values = _mass(share, near.ravel()).reshape(near.shape)
        around, best = near[np.arange(len(near)), values.argmax(axis=1)], max(best, float(values.max()))
        width /= 4
    return min(1.0, best)


def _mass(share: NDArray[np.float64], angles: NDArray[np.float64]) -> NDArray[np.float64]:
    trials = len(share) - 1
    totals = np.flatnonzero(share)
    rates = np.sin(angles)[:, None] ** 2
    logs = _log_choose(trials)[totals] + xlogy(totals, rates) + xlog1py(trials - totals, -rates)
    return np.asarray(np.exp(logs) @ share[totals])


@lru_cache(maxsize=64)
def _log_choose(n: int) -> NDArray[np.float64]:
    """log C(n, k) for k = 0 .. n."""
    k = np.arange(n + 1)
    return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1))


def _binomial(n: int, rate: float) -> NDArray[np.float64]:
    k = np.arange(n + 1)
    return np.asarray(np.exp(_log_choose(n) + xlogy(k, rate) + xlog1py(n - k, -rate)))
