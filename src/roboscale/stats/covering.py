"""Success against the amounts of several sources that each cover a part of the scenes: what a campaign believes.

Each source s covers, with h episodes of it, a share of the scenes that grows to a ceiling of its own, and a scene
that one source leaves uncovered may be covered by another:

    covered by s    ceiling_s x / (1 + x)      with x = (h / half_s)^b
    success         (1 - floor) (1 - product over s of (1 - covered by s))

So a source may plateau, help nothing at all, or be worth its price only beside another one. Ceilings, half amounts, b
and the floor are believed within wide priors, and everything is said by posterior draws. A source that nobody has
tried yet has its prior, for a campaign has to decide about it, too.

What it does not know: data that harms. Whoever uses it asks `scaling_checks.check_curve` whether success falls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, gammaln

from roboscale.core import Estimate, UnknownName
from roboscale.stats.ensemble import ensemble_draws
from roboscale.stats.scaling_forms import SPREADS

__all__ = ["BELIEFS", "CoverBelief", "CoverFit", "CoverPoint", "fit_cover", "shown_interval"]

_METHOD = "sources that cover parts of the scenes, posterior draws (Goodman, Weare 2010)"
_WALKERS, _STEPS, _BURN, _THIN = 48, 900, 300, 36
_EXPONENT_SD = 0.35  # of log b; published exponents lie around 1 (see DEMONSTRATIONS_PRIOR)
_FLOOR = (0.5, 20.0)

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class CoverBelief:
    """What is believed of a source before it was tried.

    Args:
        ceiling: shapes (a, b) of the beta prior of the share of scenes that any amount of it covers.
        half: median of the amount that covers half of its ceiling; the log deviates by `spread`.
    """

    ceiling: tuple[float, float]
    half: float = 5.0
    spread: float = 1.2


BELIEFS: Mapping[str, CoverBelief] = {
    "demonstrated": CoverBelief((3.0, 0.4)),
    "made": CoverBelief((1.2, 0.6)),
}
"""Of episodes that somebody demonstrates at the robot, and of those that are made from others. Round numbers: people
show most scenes (ceiling .88 on average), what is made from them may cover fewer (.67). Half of it with about 5
episodes is what the built-in policy needs on seven Meta-World tasks (median .75 from 10)."""


@dataclass(frozen=True, slots=True)
class CoverPoint:
    """One training run: amount from each source, successes, counted trials."""

    amounts: Mapping[str, float]
    k: int
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverFit:
    """Posterior draws of one task's curve.

    Args:
        sources: names, in the order of the parameters.
        points: the training runs that were counted.
    """

    sources: tuple[str, ...]
    points: tuple[CoverPoint, ...]
    _draws: Floats = field(repr=False, compare=False)

    @property
    def draws(self) -> int:
        """How many equally likely curves there are."""
        return len(self._draws)

    def success(self, amounts: Sequence[Mapping[str, float]]) -> Floats:
        """Success rate of every curve at each of these amounts, shape (amounts, draws)."""
        return _rates(self._draws, _matrix(amounts, self.sources)).T

    def ceilings(self) -> dict[str, Floats]:
        """Source -> success that any amount of it alone would reach, by draw."""
        top = expit(self._draws[:, : len(self.sources)]) * (1 - expit(self._draws[:, -1:]))
        return {source: top[:, i] for i, source in enumerate(self.sources)}

    def estimate(self, amounts: Mapping[str, float], level: float = 0.9) -> Estimate:
        """The success rate of the recipe at these amounts, as believed."""
        return _estimate(self.success([amounts])[0], level, sum(point.n for point in self.points))


def fit_cover(points: Sequence[CoverPoint], sources: Mapping[str, CoverBelief], seed: int = 0) -> CoverFit:
    """The posterior of one task's curve; without points the prior.

    Args:
        points: training runs, in any order; those without trials say nothing.
        sources: what is believed of each, before.
        seed: of the draws; the same seed gives the same bytes.

    Raises:
        UnknownName: a point has an amount of a source that is not in `sources`.

    >>> points = [CoverPoint({"made": n}, k, 20) for n, k in ((10, 9), (40, 13), (160, 14))]
    >>> fit = fit_cover(points, {"made": BELIEFS["made"]})
    >>> bool(np.mean(fit.ceilings()["made"] > 0.9) < 0.2)
    True
    """
    names = tuple(sources)
    kept = tuple(sorted((p for p in points if p.n > 0), key=lambda p: (sorted(p.amounts.items()), p.k, p.n)))
    amounts = tuple(map(tuple, _matrix([p.amounts for p in kept], names).tolist()))
    outcomes = tuple((p.k, p.n) for p in kept)
    return CoverFit(sources=names, points=kept, _draws=_drawn(tuple(sources.values()), amounts, outcomes, seed))


@lru_cache(maxsize=32)
def _drawn(
    beliefs: tuple[CoverBelief, ...],
    amounts: tuple[tuple[float, ...], ...],
    outcomes: tuple[tuple[int, int], ...],
    seed: int,
) -> Floats:
    """The draws of a posterior, kept: a campaign asks for the same curve at every one of its steps."""
    rows = np.array(amounts, float).reshape(len(amounts), len(beliefs))
    k, n = np.array(outcomes, float).reshape(-1, 2).T
    rng = np.random.default_rng(seed)
    draws = ensemble_draws(
        lambda walkers: _log_posterior(walkers, beliefs, rows, k, n),
        _start(beliefs, rng),
        rng,
        steps=_STEPS,
        burn=_BURN,
        thin=_THIN,
    )
    draws.flags.writeable = False
    return draws


def shown_interval(rates: Floats, runs: int, trials: int, level: float = 0.9, seed: int = 0) -> Estimate:
    """What `trials` of each of `runs` trainings would show on average, where the recipe's rate is one of `rates`.

    The interval holds what the curve leaves open, what retraining changes, and the luck of the trials.
    """
    rng = np.random.default_rng(seed)
    many = np.repeat(rates, max(1, 4000 // len(rates)))
    spread = rng.choice(SPREADS, len(many))[:, None]
    middle = np.clip(many, 1e-4, 1 - 1e-4)[:, None]
    each = rng.beta(np.repeat(middle * spread, runs, 1), np.repeat((1 - middle) * spread, runs, 1))
    shown = rng.binomial(trials, each).mean(axis=1) / trials
    return _estimate(shown, level, runs * trials)


def _start(beliefs: Sequence[CoverBelief], rng: np.random.Generator) -> Floats:
    """Walkers as the prior has them, a little drawn together."""
    many, s = _WALKERS, len(beliefs)
    walkers = rng.normal(size=(many, 2 * s + 2)) * 0.5
    walkers[:, :s] += [np.log(b.ceiling[0] / b.ceiling[1]) for b in beliefs]
    walkers[:, s : 2 * s] += [np.log(b.half) for b in beliefs]
    walkers[:, -1] -= 3.0
    return np.asarray(walkers)


def _matrix(rows: Sequence[Mapping[str, float]], sources: tuple[str, ...]) -> Floats:
    """Amount by row and source, shape (rows, sources)."""
    amounts = np.zeros((len(rows), len(sources)))
    for i, row in enumerate(rows):
        for source, amount in row.items():
            if source not in sources:
                raise UnknownName("source", source, sources)
            amounts[i, sources.index(source)] = amount
    return amounts


def _rates(draws: Floats, amounts: Floats) -> Floats:
    """Success by draw and row.

    Args:
        draws: logit ceiling and log half amount of each source, log b, logit floor; shape (draws, 2 sources + 2).
        amounts: shape (rows, sources).
    """
    s = amounts.shape[1]
    with np.errstate(divide="ignore"):
        logs = np.log(amounts)
    level = np.exp(draws[:, None, -2:-1]) * (logs[None] - draws[:, None, s : 2 * s])
    covered = expit(draws[:, None, :s]) * expit(level)
    return np.asarray((1 - expit(draws[:, -1:])) * (1 - np.prod(1 - covered, axis=2)))


def _log_posterior(draws: Floats, beliefs: Sequence[CoverBelief], amounts: Floats, k: Floats, n: Floats) -> Floats:
    s = len(beliefs)
    logs = _log_beta(draws[:, -1], *_FLOOR) - 0.5 * (draws[:, -2] / _EXPONENT_SD) ** 2
    for i, belief in enumerate(beliefs):
        logs = logs + _log_beta(draws[:, i], *belief.ceiling)
        logs = logs - 0.5 * ((draws[:, s + i] - np.log(belief.half)) / belief.spread) ** 2
    if not len(k):
        return np.asarray(logs)
    rates = np.clip(_rates(draws, amounts), 1e-6, 1 - 1e-6)[..., None]
    a, b = rates * SPREADS, (1 - rates) * SPREADS
    each = gammaln(k[:, None] + a) + gammaln((n - k)[:, None] + b) - gammaln(a) - gammaln(b)
    by_spread = each.sum(axis=1) + (gammaln(SPREADS) - gammaln(n[:, None] + SPREADS)).sum(axis=0)
    return np.asarray(logs + np.logaddexp.reduce(by_spread, axis=1))


def _log_beta(logit: Floats, a: float, b: float) -> Floats:
    """Log density of a beta variable on the logit scale, up to a constant."""
    return np.asarray(-a * np.logaddexp(0, -logit) - b * np.logaddexp(0, logit))


def _estimate(values: Floats, level: float, n: int) -> Estimate:
    low, value, high = np.quantile(values, ((1 - level) / 2, 0.5, (1 + level) / 2))
    return Estimate(value=float(value), low=float(low), high=float(high), level=level, n=n, method=_METHOD)
