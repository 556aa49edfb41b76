"""The few distributions, ranks and roots that the statistics need, from `scipy.special` alone.

`scipy.stats` and `scipy.optimize` know them as well, but importing the two takes a second of processor time, which
every command that prints a rate would pay. Each function here is compared with theirs in tests/stats, to the last bit
where the arithmetic is the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainc, gammaln, ndtr, ndtri, stdtrit, xlog1py, xlogy

__all__ = [
    "average_ranks",
    "binomial_isf",
    "binomial_pmf",
    "binomial_sf",
    "normal_cdf",
    "normal_isf",
    "normal_sf",
    "root_between",
    "student_isf",
]

Floats = NDArray[np.float64]

_EPSILON = float(np.finfo(float).eps)
_ITERATIONS = 100


def normal_cdf(x: ArrayLike) -> Floats:
    """P(Z <= x) of a standard normal variable."""
    return np.asarray(ndtr(x))


def normal_sf(x: ArrayLike) -> Floats:
    """P(Z > x) of a standard normal variable."""
    return np.asarray(ndtr(-np.asarray(x, float)))


def normal_isf(tail: float) -> float:
    """The value that a standard normal variable exceeds with probability `tail`."""
    return -float(ndtri(tail))


def student_isf(tail: float, freedom: float) -> float:
    """The value that Student's t with `freedom` degrees of freedom exceeds with probability `tail`."""
    return -float(stdtrit(freedom, tail))


def binomial_pmf(k: ArrayLike, n: ArrayLike, p: float) -> Floats:
    """P(K = k) of a binomial variable, for 0 <= k <= n; relative error below 1e-10 up to n = 10,000."""
    k, n = np.asarray(k, float), np.asarray(n, float)
    ways = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    return np.asarray(np.exp(ways + xlogy(k, p) + xlog1py(n - k, -p)))


def binomial_sf(k: ArrayLike, n: ArrayLike, p: float) -> Floats:
    """P(K > k) of a binomial variable; any whole k."""
    k, n = np.broadcast_arrays(np.asarray(k, float), np.asarray(n, float))
    inside = (k >= 0) & (k < n)
    a, b = np.where(inside, k + 1, 1.0), np.where(inside, n - k, 1.0)
    return np.where(inside, betainc(a, b, p), np.where(k < 0, 1.0, 0.0))


def binomial_isf(tail: float, n: ArrayLike, p: float) -> NDArray[np.int64]:
    """The smallest k with P(K > k) <= tail, for 0 <= tail < 1; shape of `n`."""
    high = np.asarray(n, np.int64)
    whole, low = high, np.full_like(high, -1)  # P(K > -1) is 1, P(K > n) is 0
    while (high - low > 1).any():
        middle = (low + high) // 2
        enough = binomial_sf(middle, whole, p) <= tail
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return high


def average_ranks(values: ArrayLike) -> Floats:
    """Ranks from 1 of values (N,); equal ones share the mean of theirs."""
    _, place, counts = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[place])


def root_between(
    f: Callable[[float], Any], a: float, b: float, *, xtol: float = 2e-12, rtol: float = 4 * _EPSILON
) -> float:
    """A zero of a continuous function between two points where it has different signs.

    Raises:
        ValueError: its signs at `a` and `b` are equal.

    Source: Brent, Algorithms for Minimization Without Derivatives (1973), chapter 4, as SciPy's `brentq` does it.
    """
    before, now, other = float(a), float(b), 0.0  # the last two guesses, and the end on the other side of the zero
    f_before, f_now, f_other = float(f(before)), float(f(now)), 0.0
    if f_before == 0 or f_now == 0:
        return before if f_before == 0 else now
    if (f_before < 0) == (f_now < 0):
        raise ValueError(f"the function has the same sign at {a:g} and {b:g}: {f_before:g} and {f_now:g}")
    last_step = step = 0.0
    for _ in range(_ITERATIONS):
        if f_before != 0 and f_now != 0 and (f_before < 0) != (f_now < 0):
            other, f_other = before, f_before
            last_step = step = now - before
        if abs(f_other) < abs(f_now):
            before, now, other = now, other, now
            f_before, f_now, f_other = f_now, f_other, f_now
        allowed, half = (xtol + rtol * abs(now)) / 2, (other - now) / 2
        if f_now == 0 or abs(half) < allowed:
            return now
        last_step, step = _step(before, now, other, f_before, f_now, f_other, last_step, step, allowed)
        before, f_before = now, f_now
        now += step if abs(step) > allowed else math.copysign(allowed, half)
        f_now = float(f(now))
    return now


def _step(
    before: float,
    now: float,
    other: float,
    f_before: float,
    f_now: float,
    f_other: float,
    last_step: float,
    step: float,
    allowed: float,
) -> tuple[float, float]:
    """The step before and the next: interpolated where that is short enough, else half of what is left."""
    half = (other - now) / 2
    if abs(last_step) > allowed and abs(f_now) < abs(f_before):
        if before == other:
            tried = -f_now * (now - before) / (f_now - f_before)
        else:
            slope, slope_other = (f_before - f_now) / (before - now), (f_other - f_now) / (other - now)
            scale = slope_other * slope * (f_other - f_before)
            tried = -f_now * (f_other * slope_other - f_before * slope) / scale if scale else math.inf
        if 2 * abs(tried) < min(abs(last_step), 3 * abs(half) - allowed):
            return step, tried
    return half, half
