"""Several sources of data at once: what another hour of each would buy, and which to collect next.

The amounts h of all sources add up to one effective amount, each with diminishing returns, and failure falls with it:

    D = sum over sources of w h^g,   failure = floor + (1 - floor) / (1 + D^b)   (floor + a D^-b for large D)

Exponents g in 0 .. 1, b near the published ones, and weights w are believed within wide priors, and all statements
are quantiles over posterior draws: weak data give wide intervals, not wrong ones. "The data cannot say" comes with the
measurement that would tell. The law of mixing losses is in `roboscale.stats.mixing_law`.

What it does not know: sources that only help together, or that harm. Where more of a source lowered success beyond
noise, do not use this.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, gammaln

from roboscale.core import Estimate, UnknownName
from roboscale.stats.ensemble import ensemble_draws
from roboscale.stats.scaling import MAX_EXTRAPOLATION
from roboscale.stats.scaling_forms import SPREADS

__all__ = ["MixPoint", "MixtureFit", "fit_mixture"]

_METHOD = "effective data of several sources (Hernandez et al. 2021, additive), posterior draws (Goodman, Weare 2010)"
_WALKERS, _STEPS, _BURN, _THIN = 64, 1200, 400, 8
_FLOOR_SHAPE = 4.0


@dataclass(frozen=True, slots=True)
class MixPoint:
    """One trained policy: the amount from each source, successes, counted trials.

    Args:
        hours: amount by source, in any unit that its costs use; a source that is not named contributed nothing.

    Raises:
        ValueError: negative amounts, no data at all, or successes outside 0 .. trials.
    """

    hours: Mapping[str, float]
    k: float
    trials: int

    def __post_init__(self) -> None:
        if any(not np.isfinite(h) or h < 0 for h in self.hours.values()):
            raise ValueError(f"amounts of data are numbers >= 0, not {dict(self.hours)}")
        if sum(self.hours.values()) == 0:
            raise ValueError("a policy was trained on some data: all amounts are 0")
        if not 0 <= self.k <= self.trials:
            raise ValueError(f"cannot have {self.k} successes in {self.trials} trials")


@dataclass(frozen=True, slots=True, kw_only=True)
class MixtureFit:
    """Posterior draws of the curve over several sources.

    Args:
        sources: names, sorted.
        points: the policies with trials.
        unknown: by source, why the data cannot say what more of it does; sources that are not in it can be judged.
        exponents: diminishing returns g by source; 1 means none.
        floor: failure that no amount of any source removes.
    """

    sources: tuple[str, ...]
    points: tuple[MixPoint, ...]
    unknown: Mapping[str, str]
    exponents: Mapping[str, Estimate]
    floor: Estimate
    _draws: NDArray[np.float64] = field(repr=False, compare=False)
    _scales: NDArray[np.float64] = field(repr=False, compare=False)

    @property
    def trials(self) -> int:
        return sum(point.trials for point in self.points)

    def success(self, hours: Mapping[str, float]) -> NDArray[np.float64]:
        """Success rate of the curve at these amounts, one per posterior draw.

        Raises:
            UnknownName: a source that was not fitted.
        """
        return _success(self._draws, _amounts([hours], self.sources) / self._scales)[:, 0]

    def predict(self, hours: Mapping[str, float], level: float = 0.9) -> Estimate:
        """The success rate expected at these amounts; no value where a source with an unknown effect has changed."""
        values = self.success(hours)
        reason = self.why_not(hours)
        if reason:
            return Estimate(value=None, low=None, high=None, level=level, n=self.trials, method=reason)
        return _estimate(values, level, self.trials)

    def why_not(self, hours: Mapping[str, float]) -> str:
        """Why nothing can be said at these amounts; empty where something can."""
        if len(self.points) < 2:
            return f"the data cannot say: {len(self.points)} trained policies"
        for source, most in zip(self.sources, self._scales, strict=True):
            if hours.get(source, 0.0) > MAX_EXTRAPOLATION * most:
                return f"the data cannot say: over {MAX_EXTRAPOLATION:g} times the most {source} that was measured"
        for source, reason in self.unknown.items():
            seen = {point.hours.get(source, 0.0) for point in self.points}
            if hours.get(source, 0.0) not in seen:
                return reason
        return ""

    def exchange(self, hours: Mapping[str, float], of: str, per: str, level: float = 0.9) -> Estimate:
        """How many units of `of` buy as much, at these amounts, as the next unit of `per`."""
        slopes = [self._slope(hours, source) for source in (per, of)]
        for source in (per, of):
            if source in self.unknown:
                return Estimate(
                    value=None, low=None, high=None, level=level, n=self.trials, method=self.unknown[source]
                )
        return _estimate(slopes[0] / np.maximum(slopes[1], 1e-300), level, self.trials)

    def contributions(self, hours: Mapping[str, float], level: float = 0.9) -> dict[str, Estimate]:
        """By source, its share of the effective amount at these amounts (0..1): w h^g / D.

        No values where nothing can be said at these amounts, and why.
        """
        amounts = _amounts([hours], self.sources) / self._scales
        count = len(self.sources)
        weights, exponents = self._draws[:, :count], expit(self._draws[:, count : 2 * count])
        parts = np.exp(weights) * np.where(amounts > 0, np.maximum(amounts, 1e-300) ** exponents, 0.0)
        shares = parts / np.maximum(parts.sum(axis=1, keepdims=True), 1e-300)
        reason = self.why_not(hours) or next(iter(self.unknown.values()), "")
        nothing = Estimate(value=None, low=None, high=None, level=level, n=self.trials, method=reason)
        return {
            source: nothing if reason else _estimate(shares[:, i], level, self.trials)
            for i, source in enumerate(self.sources)
        }

    def _slope(self, hours: Mapping[str, float], source: str) -> NDArray[np.float64]:
        """Rise of success per unit of a source at these amounts, by a step of a hundredth of what was measured."""
        step = 0.01 * float(self._scales[_position(source, self.sources)])
        more = {**hours, source: hours.get(source, 0.0) + step}
        return (self.success(more) - self.success(hours)) / step


def fit_mixture(points: Sequence[MixPoint], level: float = 0.9, seed: int = 0) -> MixtureFit:
    """Fits the curve over several sources; never fails for lack of data, but then declines to say.

    Args:
        points: in any order; those without trials say nothing. At least one point per source with and one without it,
            or with another amount of it, are needed to judge that source.
        seed: of the posterior draws; the same seed gives the same bytes.
    """
    kept = tuple(sorted((p for p in points if p.trials > 0), key=lambda p: (sorted(p.hours.items()), p.k, p.trials)))
    sources = tuple(sorted({s for p in points for s, h in p.hours.items() if h > 0}))
    amounts = _amounts([point.hours for point in kept], sources)
    scales = amounts.max(axis=0, initial=0.0)
    scales = np.where(scales > 0, scales, 1.0)
    draws = _sample(amounts / scales, kept, len(sources), np.random.default_rng(seed))
    n = sum(point.trials for point in kept)
    unknown = {s: _why_unknown(s, amounts[:, i]) for i, s in enumerate(sources)}
    return MixtureFit(
        sources=sources,
        points=kept,
        unknown={source: reason for source, reason in unknown.items() if reason},
        exponents={
            source: Estimate(value=None, low=None, high=None, level=level, n=n, method=unknown[source])
            if unknown[source]
            else _estimate(expit(draws[:, len(sources) + i]), level, n)
            for i, source in enumerate(sources)
        },
        floor=_estimate(expit(draws[:, -1]), level, n),
        _draws=draws,
        _scales=scales,
    )


def _why_unknown(source: str, amounts: NDArray[np.float64]) -> str:
    if len(np.unique(amounts)) < 2:
        return f"the data cannot say: every policy had the same amount of {source}"
    return ""


def _position(source: str, sources: tuple[str, ...]) -> int:
    if source not in sources:
        raise UnknownName("source", source, sources)
    return sources.index(source)


def _amounts(rows: Sequence[Mapping[str, float]], sources: tuple[str, ...]) -> NDArray[np.float64]:
    """Amount by row and source, shape (rows, sources)."""
    amounts = np.zeros((len(rows), len(sources)))
    for i, row in enumerate(rows):
        for source, amount in row.items():
            if amount > 0:
                amounts[i, _position(source, sources)] = amount
    return amounts


def _success(draws: NDArray[np.float64], amounts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Success by draw and row, shape (draws, rows).

    Args:
        draws: log weight and logit exponent of each source, log b, logit floor; shape (draws, 2 sources + 2).
        amounts: relative to the largest measured of each source, shape (rows, sources).
    """
    s = amounts.shape[1]
    weights, exponents = draws[:, None, :s], expit(draws[:, None, s : 2 * s])
    parts = np.where(amounts > 0, np.exp(weights + exponents * np.log(np.where(amounts > 0, amounts, 1.0))), 0.0)
    with np.errstate(divide="ignore"):
        log_data = np.log(parts.sum(axis=2))
    return np.asarray((1 - expit(draws[:, -1:])) * expit(np.exp(draws[:, -2:-1]) * log_data))


def _log_posterior(
    draws: NDArray[np.float64], amounts: NDArray[np.float64], k: NDArray[np.float64], n: NDArray[np.float64]
) -> NDArray[np.float64]:
    s = amounts.shape[1]
    logs = -0.5 * ((draws[:, :s] / 2.0) ** 2).sum(axis=1)
    logs -= 0.5 * ((draws[:, s : 2 * s] - 2.0) ** 2).sum(axis=1)
    logs -= 0.5 * (draws[:, -2] / 0.4) ** 2
    floor = draws[:, -1]
    logs += -np.logaddexp(0, -floor) - _FLOOR_SHAPE * np.logaddexp(0, floor)  # Beta(1, 4) on the logit scale
    if not len(k):
        return np.asarray(logs)
    rates = np.clip(_success(draws, amounts), 1e-6, 1 - 1e-6)[..., None]
    a, b = rates * SPREADS, (1 - rates) * SPREADS
    # B(k + a, n - k + b) / B(a, b); a + b is the spread, whatever the rate
    each = gammaln(k[:, None] + a) + gammaln((n - k)[:, None] + b) - gammaln(a) - gammaln(b)
    by_spread = each.sum(axis=1) + (gammaln(SPREADS) - gammaln(n[:, None] + SPREADS)).sum(axis=0)
    return np.asarray(logs + np.logaddexp.reduce(by_spread, axis=1))


def _sample(
    amounts: NDArray[np.float64], points: Sequence[MixPoint], sources: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draws from the posterior by the affine-invariant ensemble sampler, shape (6400, 2 sources + 2)."""
    k, n = (np.array([getattr(p, name) for p in points], float) for name in ("k", "trials"))
    size = 2 * sources + 2
    walkers = rng.normal(size=(_WALKERS, size)) * 0.3
    walkers[:, sources : 2 * sources] += 2.0
    walkers[:, -1] -= 1.5
    return ensemble_draws(
        lambda draws: _log_posterior(draws, amounts, k, n), walkers, rng, steps=_STEPS, burn=_BURN, thin=_THIN
    )


def _estimate(values: NDArray[np.float64], level: float, n: int) -> Estimate:
    low, value, high = np.quantile(values, ((1 - level) / 2, 0.5, (1 + level) / 2))
    return Estimate(value=float(value), low=float(low), high=float(high), level=level, n=n, method=_METHOD)
