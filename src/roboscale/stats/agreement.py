"""How well the scores of one world agree with those of another over the same policies: the measures.

Arrays are aligned by policy, `real` first. Knows neither trials nor names; what a set of measures allows to say is
`roboscale.stats.validity`. Two habits of the field are avoided: a correlation without its number of policies, and MMRV
without saying which world weighs the violations.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from math import factorial
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from roboscale.core import Estimate
from roboscale.stats.distributions import average_ranks, normal_isf

__all__ = [
    "EXACT_POLICIES",
    "Agreement",
    "PermutationTest",
    "correlation",
    "drop_one",
    "mmrv",
    "permutation_test",
    "policies_for_correlation",
    "top_one_regret",
]

Agreement = Literal["Pearson", "Spearman"]

EXACT_POLICIES = 8
"""Up to so many policies all orders are enumerated (8! = 40,320)."""

_SHUFFLES = 20_000


@dataclass(frozen=True, slots=True)
class PermutationTest:
    """How often chance alone agrees as well.

    Args:
        p_value: share of the orders of the policies that agree at least as well, one-sided; `None` where a
            world gives all policies the same score.
        floor: the smallest p-value that this number of policies can ever give, 1 / k! (more with ties).
        chance: correlation that an unrelated world reaches in 5 % of all orders.
        exact: whether all orders were enumerated.
    """

    p_value: float | None
    floor: float
    chance: float | None
    exact: bool


def mmrv(weighing: ArrayLike, judged: ArrayLike) -> float | None:
    """Mean maximum rank violation: what wrongly ordered policies cost, in points of the weighing world.

    mean over i of max over j of |w_i - w_j| where (w_i < w_j) differs from (s_i < s_j). A tie in one world only counts
    in one direction. NOT symmetric: mmrv(real, cheap) weighs each violation by the real difference and is what the
    paper defines; mmrv(cheap, real) weighs by the cheap one. On SIMPLER's move-near .111 and .002667.

    Returns:
        The value, 0 is best; `None` below two policies.

    Source: Li et al., SIMPLER (2024), equation 1.
    """
    w, s = _aligned(weighing, judged)
    if len(w) < 2:
        return None
    violated = (w[:, None] < w[None, :]) != (s[:, None] < s[None, :])
    return float((np.abs(w[:, None] - w[None, :]) * violated).max(axis=1).mean())


def correlation(real: ArrayLike, cheap: ArrayLike, kind: Agreement = "Pearson", level: float = 0.95) -> Estimate:
    """Correlation over policies with its Fisher-z interval.

    Returns:
        No value below two policies or where one world scores all policies alike; no bounds below four policies (the
        interval is then all of -1 .. 1) or at a perfect correlation, whose interval would have no width.

    Source: Fisher, Metron 1 (1921); Bonett and Wright, Psychometrika 65 (2000) for Spearman's variance.
    """
    x, y = _aligned(real, cheap)
    k = len(x)
    method = "Pearson, Fisher z (Metron 1921)" if kind == "Pearson" else "Spearman, Fisher z (Bonett, Wright 2000)"
    if not 0 < level < 1:
        raise ValueError(f"level must be inside (0, 1), not {level}")
    r = _correlate(x, y, kind)
    if r is None or k < 4 or abs(r) >= 1 - 1e-12:
        return Estimate(value=r, low=None, high=None, level=level, n=k, method=method)
    variance = (1 + r**2 / 2) / (k - 3) if kind == "Spearman" else 1 / (k - 3)
    half = float(normal_isf((1 - level) / 2) * np.sqrt(variance))
    return Estimate(
        value=r,
        low=float(np.tanh(np.arctanh(r) - half)),
        high=float(np.tanh(np.arctanh(r) + half)),
        level=level,
        n=k,
        method=method,
    )


def drop_one(real: ArrayLike, cheap: ArrayLike, kind: Agreement = "Pearson") -> tuple[float, float] | None:
    """Smallest and largest correlation when one policy is left out; `None` below four policies or where undefined."""
    x, y = _aligned(real, cheap)
    if len(x) < 4:
        return None
    left = [_correlate(np.delete(x, i), np.delete(y, i), kind) for i in range(len(x))]
    known = [r for r in left if r is not None]
    return (min(known), max(known)) if known else None


def permutation_test(real: ArrayLike, cheap: ArrayLike, kind: Agreement = "Pearson", seed: int = 0) -> PermutationTest:
    """Correlation against that of all orders of the cheap scores: exact up to 8 policies, else 20,000 shuffles.

    Source: Pitman, Suppl. JRSS 4 (1937); the +1 of Phipson and Smyth (2010) for shuffles.
    """
    x, y = _aligned(real, cheap)
    k = len(x)
    exact = k <= EXACT_POLICIES
    seen = _correlate(x, y, kind)
    if seen is None:
        return PermutationTest(None, 1.0 if k < 2 else 1 / factorial(k), None, exact)
    if exact:
        orders = np.array(list(permutations(range(k))))
    else:
        rng = np.random.default_rng(seed)
        # sorted first: the shuffles, hence the p-value, do not depend on the order of the policies
        order = np.lexsort((y, x))
        x, y = x[order], y[order]
        orders = rng.permuted(np.tile(np.arange(k), (_SHUFFLES, 1)), axis=1)
    a, b = (average_ranks(x), average_ranks(y)) if kind == "Spearman" else (x, y)
    a, b = (a - a.mean()) / a.std(), (b - b.mean()) / b.std()
    chance = b[orders] @ a / k
    as_good = int((chance >= seen - 1e-9).sum())
    best = int((chance >= chance.max() - 1e-9).sum()) if exact else 1
    p_value = as_good / len(orders) if exact else (as_good + 1) / (len(orders) + 1)
    floor = best / len(orders) if exact else 1 / (len(orders) + 1)
    return PermutationTest(p_value, floor, float(np.quantile(chance, 0.95, method="higher")), exact)


def top_one_regret(real: ArrayLike, cheap: ArrayLike) -> float | None:
    """Real rate lost by deploying the policy that the cheap world ranks first; the mean where several are first."""
    x, y = _aligned(real, cheap)
    if not len(x):
        return None
    return float(x.max() - x[y == y.max()].mean())


def policies_for_correlation(r: float, at_least: float, level: float = 0.95) -> int | None:
    """Policies at which the Fisher-z interval of an observed r would stay above a value; `None` if it never would."""
    if not at_least < r < 1:
        return 4 if r >= 1 else None
    gap = float(np.arctanh(r) - np.arctanh(at_least))
    return max(4, int(np.ceil((normal_isf((1 - level) / 2) / gap) ** 2 + 3)))


def _correlate(x: NDArray[np.float64], y: NDArray[np.float64], kind: Agreement) -> float | None:
    if kind not in ("Pearson", "Spearman"):
        raise ValueError(f"kind is Pearson or Spearman, not {kind!r}")
    if len(x) < 2 or np.ptp(x) < 1e-12 or np.ptp(y) < 1e-12:
        return None
    a, b = (average_ranks(x), average_ranks(y)) if kind == "Spearman" else (x, y)
    return float(np.clip(np.corrcoef(a, b)[0, 1], -1, 1))


def _aligned(first: ArrayLike, second: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x, y = np.asarray(first, float), np.asarray(second, float)
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"need one score per policy from both worlds, found shapes {x.shape} and {y.shape}")
    if not (np.all(np.isfinite(x)) and np.all(np.isfinite(y))):
        raise ValueError("scores must be finite numbers; leave out policies without trials")
    return x, y
