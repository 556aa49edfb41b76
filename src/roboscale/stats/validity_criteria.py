"""What a cheap world must show before it may be said to rank policies: four criteria, each with value and interval.

    Pearson     lower bound at least .7: weak policies are told from strong ones
    Spearman    lower bound at least .5: so is the order within either group
    MMRV        below half of what chance reaches: wrong orders cost little
    regret      of deploying the cheap favourite, at most what the real table itself can tell apart

One of them alone is not enough: a world that knows two good policies from two bad ones has a Pearson near 1 whatever
it does within the pairs. Arrays are aligned by policy, `real` first. Knows neither names nor trials.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Estimate
from roboscale.stats.agreement import EXACT_POLICIES, mmrv, top_one_regret
from roboscale.stats.distributions import normal_isf

__all__ = ["PEARSON", "SPEARMAN", "Criterion", "criteria"]

PEARSON, SPEARMAN = 0.7, 0.5
"""Lower bounds of the correlations from which a world is said to rank policies."""

_SHUFFLES, _DRAWS = 4000, 1000
_NEAR_PERFECT = 0.999

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """One measure, and whether it is good enough.

    Args:
        name: Pearson, Spearman, MMRV or top-1 regret.
        value: with its interval; `n` is the number of policies.
        bar: what the lower bound must reach, or the value must not exceed; `None` where nobody can say.
        asked: the same in words.
        held: whether it does; `None` where the data cannot say.
    """

    name: str
    value: Estimate
    bar: float | None
    asked: str
    held: bool | None


def criteria(
    real: Floats,
    cheap: Floats,
    noise: tuple[Floats, Floats] | None,
    pearson: Estimate,
    spearman: Estimate,
    seed: int = 0,
) -> tuple[Criterion, ...]:
    """The four criteria, in order; none below two policies.

    Args:
        real, cheap: scores, shape (k,), sorted by the names of the policies so that their order changes nothing.
        noise: standard errors of both, shape (k,) each; `None` where they are not known.
        pearson, spearman: the correlations.
        seed: of shuffles and resampled trials.
    """
    k = len(real)
    if k < 2:
        return ()
    rng = np.random.default_rng(seed)
    drawn = None
    if noise is not None:
        drawn = [
            np.clip(s + e * rng.standard_normal((_DRAWS, k)), 0, 1) for s, e in zip((real, cheap), noise, strict=True)
        ]
    return (
        _correlation("Pearson", pearson, PEARSON, _bounded(pearson, _NEAR_PERFECT, 1.0)),
        _correlation("Spearman", spearman, SPEARMAN, _bounded(spearman, 1 - 12 / (k * (k**2 - 1)), 1.5)),
        _violations(real, cheap, drawn, pearson.level, rng),
        _regret(real, cheap, noise, drawn, pearson.level),
    )


def _bounded(r: Estimate, nearly: float, variance: float) -> Estimate:
    """A perfect correlation has no interval of its own: that of the nearest one that is not perfect stands for it.

    Args:
        nearly: for Spearman the correlation of a single swap of neighbours.
        variance: of Fisher's z, times k - 3.
    """
    if r.value is None or r.low is not None or r.n < 4 or r.value < 0:
        return r
    half = normal_isf((1 - r.level) / 2) * np.sqrt(variance / (r.n - 3))
    return Estimate(
        value=r.value, low=float(np.tanh(np.arctanh(nearly) - half)), high=1.0, level=r.level, n=r.n, method=r.method
    )


def _correlation(name: str, told: Estimate, bar: float, bounded: Estimate) -> Criterion:
    held = None if told.value is None else bounded.low is not None and bounded.low >= bar
    return Criterion(name=name, value=bounded, bar=bar, asked=f"lower bound at least {bar:g}", held=held)


def _violations(
    real: Floats, cheap: Floats, drawn: list[Floats] | None, level: float, rng: np.random.Generator
) -> Criterion:
    value, chance = mmrv(real, cheap), _median_violation(real, cheap, rng)
    assert value is not None
    low, high = _quantiles([mmrv(x, y) or 0.0 for x, y in zip(*drawn, strict=True)], level) if drawn else (None, None)
    method = "MMRV (Li et al. 2024); interval by resampling trials"
    estimate = Estimate(value=value, low=low, high=high, level=level, n=len(real), method=method)
    asked = f"below half of {chance:.3g}, its median over shuffled policies"
    return Criterion(name="MMRV", value=estimate, bar=chance / 2, asked=asked, held=value < chance / 2)


def _median_violation(real: Floats, cheap: Floats, rng: np.random.Generator) -> float:
    """Median of MMRV over orders of the policies: all up to 8 policies, else 4,000 shuffles."""
    k = len(real)
    if k <= EXACT_POLICIES:
        orders = np.array(list(permutations(range(k))))
    else:
        orders = rng.permuted(np.tile(np.arange(k), (_SHUFFLES, 1)), axis=1)
    gap, above = np.abs(real[:, None] - real), real[:, None] < real
    worst = []
    for block in np.array_split(orders, max(1, len(orders) * k * k // 4_000_000)):
        shuffled = cheap[block]
        violated = (shuffled[:, :, None] < shuffled[:, None, :]) != above
        worst.append((violated * gap).max(axis=2).mean(axis=1))
    return float(np.median(np.concatenate(worst)))


def _regret(
    real: Floats,
    cheap: Floats,
    noise: tuple[Floats, Floats] | None,
    drawn: list[Floats] | None,
    level: float,
) -> Criterion:
    """The real points that the cheap favourite costs, against the smallest difference that the real trials show."""
    value = top_one_regret(real, cheap)
    assert value is not None
    resolution = None
    if noise is not None:
        favourite, best = int(cheap.argmax()), int(real.argmax())
        resolution = float(normal_isf((1 - level) / 2) * np.hypot(noise[0][favourite], noise[0][best]))
    low, high = (None, None)
    if drawn is not None:
        # the best is best by the measured means, so that the noise of the maximum is no regret
        best = int(real.argmax())
        lost = [max(0.0, float(x[best] - x[y == y.max()].mean())) for x, y in zip(*drawn, strict=True)]
        low, high = _quantiles(lost, level)
    method = "top-1 regret; interval by resampling trials"
    estimate = Estimate(value=value, low=low, high=high, level=level, n=len(real), method=method)
    if resolution is None:
        asked = "0, as what the real trials can tell apart is not known without counts"
        return Criterion(name="top-1 regret", value=estimate, bar=None, asked=asked, held=value == 0)
    asked = f"at most {100 * resolution:.0f} points, what the real trials can tell apart"
    return Criterion(name="top-1 regret", value=estimate, bar=resolution, asked=asked, held=value <= resolution)


def _quantiles(values: list[float], level: float) -> tuple[float, float]:
    low, high = np.quantile(values, ((1 - level) / 2, (1 + level) / 2))
    return float(low), float(high)
