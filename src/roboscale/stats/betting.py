"""Confidence sequences: intervals that stay valid however often one looks and whenever one stops.

All are built one way. A bettor who doubts that the mean is m stakes part of his capital on each observation at odds
that are fair if it is m; his capital exceeds 1/alpha with probability at most alpha, ever (Ville). The interval is the
set of all m against which he has not become that rich. Averaging over bettors keeps this true, so no tuning is needed.

Knows nothing of policies or pairs; values are numbers in [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betaln, xlog1py, xlogy

from roboscale.stats.distributions import root_between

__all__ = ["beta_log_wealth", "bounded_mean_sequence", "mixture_log_wealth", "proportion_sequence"]

# Weight 1/2 on each side is the Krichevsky-Trofimov mixture: regret log(n)/2 at every rate, 0 and 1 included.
_PRIOR = 0.5
_BETTORS = 256
_EDGE = 1e-12


def beta_log_wealth(successes: int, n: int, rate: float) -> float:
    """Log capital of the Beta(1/2, 1/2) mixture of bettors against success rate `rate`.

    log B(s + 1/2, n - s + 1/2) / B(1/2, 1/2) - s log(rate) - (n - s) log(1 - rate); infinite where `rate` is refuted.

    Source: Robbins, Ann. Math. Stat. 41 (1970); Krichevsky and Trofimov, IEEE Trans. Inf. Theory 27 (1981).
    """
    failures = n - successes
    evidence = betaln(_PRIOR + successes, _PRIOR + failures) - betaln(_PRIOR, _PRIOR)
    return float(evidence - xlogy(successes, rate) - xlog1py(failures, -rate))


def proportion_sequence(successes: int, n: int, level: float) -> tuple[float, float]:
    """Bounds of a success rate that hold at all times at once, from the counts now; (0, 1) for n = 0."""
    return _invert(lambda rate: beta_log_wealth(successes, n, rate), successes / n if n else 0.5, level)


def mixture_log_wealth(values: ArrayLike, counts: ArrayLike, mean: float) -> float:
    """Log capital of a mixture of bettors against the mean of values in [0, 1] being `mean`.

    A bettor q multiplies its capital by x q/m + (1 - x)(1 - q)/(1 - m) on seeing x: a non-negative factor of mean 1
    when x has mean m. The bettors are 256 Chebyshev nodes of equal weight (the arcsine prior), so the mixture is
    exactly what it says and no quadrature error enters. Each factor is log-convex in m, hence so is the mixture, and
    the set of means that are not refuted is an interval. For x in {0, 1} this is `beta_log_wealth`, discretised.

    Args:
        values: distinct observed values (K,), each in [0, 1].
        counts: how often each was observed (K,).
        mean: the mean that is doubted, in (0, 1).

    Source: Waudby-Smith and Ramdas, JRSS-B 86 (2024); Cover, Math. Finance 1 (1991) for the mixture.
    """
    x, seen = np.asarray(values, float), np.asarray(counts, float)
    q = (1 + np.cos((2 * np.arange(_BETTORS) + 1) * np.pi / (2 * _BETTORS))) / 2
    factors = np.outer(q / mean, x) + np.outer((1 - q) / (1 - mean), 1 - x)
    wealth = np.log(factors) @ seen
    most = wealth.max()  # SciPy's logsumexp says the same in four times the time, and a board asks thousands of times
    if not np.isfinite(most):
        return float(most)
    return float(most + np.log(np.exp(wealth - most).sum()) - np.log(_BETTORS))


def bounded_mean_sequence(values: ArrayLike, counts: ArrayLike, level: float) -> tuple[float, float]:
    """Bounds of the mean of values in [0, 1] that hold at all times at once; (0, 1) without observations."""
    x, seen = np.asarray(values, float), np.asarray(counts, float)
    if np.any((x < 0) | (x > 1)):
        raise ValueError(f"values must be in [0, 1]; found {x.min():g} to {x.max():g}")
    return _bounds_of_mean(x.tobytes(), seen.tobytes(), level)


@lru_cache(maxsize=4096)
def _bounds_of_mean(values: bytes, counts: bytes, level: float) -> tuple[float, float]:
    """The same from float64 in bytes: a board that is made again asks anew only where something was observed."""
    x, seen = np.frombuffer(values), np.frombuffer(counts)
    total = float(seen.sum())
    centre = float(x @ seen) / total if total else 0.5
    return _invert(lambda mean: mixture_log_wealth(x, seen, mean), centre, level)


def _invert(log_wealth: Callable[[float], float], centre: float, level: float) -> tuple[float, float]:
    """The interval around `centre` in which a log-convex capital stays below 1 / (1 - level)."""
    limit = -float(np.log1p(-level))

    def root(edge: float) -> float:
        inside = min(max(centre, _EDGE), 1 - _EDGE)
        at_edge = min(max(edge, _EDGE), 1 - _EDGE)
        if log_wealth(at_edge) < limit or log_wealth(inside) >= limit:
            return edge
        return root_between(lambda at: log_wealth(at) - limit, at_edge, inside, xtol=1e-13, rtol=1e-13)

    return root(0.0), root(1.0)
