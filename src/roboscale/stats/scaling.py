"""Success against the amount of data: where a curve goes, how much data a target takes, and what would tell.

One curve is one task, one recipe and one kind of data (demonstrations, hours, environments, objects) from one source.
Its forms are averaged by their evidence under a binomial likelihood with a spread for retraining; the exponent is
shrunk to published curves. Knows no costs and no other source: that is `roboscale.stats.mixture`.

Back-tested (benchmarks/stats_scaling.py) up to five times the largest measured amount; beyond ten times it declines.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaln, gammaln

from roboscale.core import Estimate
from roboscale.stats.scaling_forms import (
    DEMONSTRATIONS_PRIOR,
    EXPONENTS,
    FLOORS,
    RATES,
    SPREADS,
    Form,
    Point,
    Posterior,
    ScalingPrior,
    level_grid,
    levels_for,
    posterior,
)

__all__ = ["MAX_EXTRAPOLATION", "Experiment", "ScalingFit", "fit_curve"]

MAX_EXTRAPOLATION = 10.0
"""No statement beyond this multiple of the largest measured amount (or below its inverse of the smallest)."""

_METHOD = "power law and logistic with floor, averaged by evidence (Hoeting et al. 1999), shrunk to published curves"
_DRAWS = 4000
_OUTCOMES = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """A measurement that could still be made, and what it would be worth.

    Args:
        n: amount of data to train on.
        trials: rollouts to try the policy for.
        width_now, width_after: width of the interval at the amount of interest, now and as expected afterwards;
            `None` where nothing can be said now.
        sentence: the proposal in words.
    """

    n: float
    trials: int
    width_now: float | None
    width_after: float | None
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingFit:
    """What the points of one curve say.

    Args:
        points: sorted by amount; those without trials are dropped.
        unit: what n counts, for sentences.
        prior: the shrinkage constants used.
        forms: probability of each form.
        exponent, floor: posterior median and interval; no bounds before there are two amounts.
    """

    points: tuple[Point, ...]
    unit: str
    prior: ScalingPrior
    forms: dict[Form, float]
    exponent: Estimate
    floor: Estimate
    _posterior: Posterior = field(repr=False, compare=False)

    @property
    def trials(self) -> int:
        return sum(point.trials for point in self.points)

    @property
    def amounts(self) -> tuple[float, ...]:
        """Distinct measured amounts, ascending."""
        return tuple(sorted({point.n for point in self.points}))

    def why_not(self, n: float) -> str:
        """Why nothing can be said at an amount; empty where something can."""
        if not (np.isfinite(n) and n > 0):
            raise ValueError(f"an amount of data is a positive number, not {n}")
        amounts = self.amounts
        if not amounts:
            return "the data cannot say: no trials"
        if len(amounts) == 1 and n != amounts[0]:
            return f"the data cannot say: one amount ({amounts[0]:g} {self.unit}) shows no trend"
        if n > MAX_EXTRAPOLATION * amounts[-1] or n * MAX_EXTRAPOLATION < amounts[0]:
            return f"the data cannot say: {n:g} is over {MAX_EXTRAPOLATION:g} times away from what was measured"
        return ""

    def predict(self, n: float, level: float = 0.9, trials: int | None = None) -> Estimate:
        """The success rate of a policy trained anew on an amount of data.

        Args:
            n: amount of data, in the unit of the points.
            trials: the interval is then for the rate that so many rollouts of that policy would show.

        Returns:
            The posterior median of the curve and the central interval around it; no value and no bounds where
            `why_not` gives a reason.
        """
        _check_level(level)
        reason = self.why_not(n)
        if reason:
            return Estimate(value=None, low=None, high=None, level=level, n=self.trials, method=reason)
        weights = self._posterior.rate_weights(n)
        value = _quantile(RATES, weights.sum(axis=0), 0.5)
        tails = ((1 - level) / 2, (1 + level) / 2)
        bounds = _trained_quantiles(weights, tails) if trials is None else _shown_quantiles(weights, tails, trials)
        low, high = min(bounds[0], value), max(bounds[1], value)
        return Estimate(value=value, low=low, high=high, level=level, n=self.trials, method=_METHOD)

    def needed(self, success: float, level: float = 0.9) -> Estimate:
        """The amount of data at which the curve reaches a success rate.

        Returns:
            Median and central interval. An end is `None` where the data cannot say, which includes amounts over
            `MAX_EXTRAPOLATION` times the largest measured one and targets that may never be reached.

        Raises:
            ValueError: a success rate outside (0, 1).
        """
        _check_level(level)
        if not 0 < success < 1:
            raise ValueError(f"a success rate to reach is inside (0, 1), not {success}")
        amounts = self.amounts
        if len(amounts) < 2:
            return Estimate(
                value=None,
                low=None,
                high=None,
                level=level,
                n=self.trials,
                method=self.why_not(2 * amounts[0] if amounts else 1.0),
            )
        found, weights = self._amounts_reaching(success)
        limit = MAX_EXTRAPOLATION * amounts[-1]
        shown = [_quantile(found, weights, q) for q in (0.5, (1 - level) / 2, (1 + level) / 2)]
        value, low, high = (amount if amount <= limit else None for amount in shown)
        return Estimate(value=value, low=low, high=high, level=level, n=self.trials, method=_METHOD)

    def what_would_tell(self, n: float | None = None, trials: int = 50) -> tuple[Experiment, ...]:
        """Measurements that would narrow the prediction at an amount, best first.

        Args:
            n: the amount of interest; default twice the largest measured one.
            trials: rollouts of each proposed measurement.

        Source: expected posterior interval by preposterior analysis (Raiffa and Schlaifer 1961, chapter 5).
        """
        amounts = self.amounts
        if len(amounts) < 2:
            return (self._first_experiment(trials),)
        target = 2 * amounts[-1] if n is None else n
        if self.why_not(target):
            target = MAX_EXTRAPOLATION * amounts[-1]
        rows = self._draws((target, *self._candidates(target)))
        now = _spread(rows[0], np.full(_DRAWS, 1 / _DRAWS))
        experiments = []
        for candidate, rates in zip(self._candidates(target), rows[1:], strict=True):
            after = _expected_spread(rows[0], rates, trials)
            again = "again" if candidate in amounts else "a new amount"
            experiments.append(
                Experiment(
                    n=candidate,
                    trials=trials,
                    width_now=now,
                    width_after=after,
                    sentence=f"Train on {candidate:g} {self.unit} ({again}) and try it {trials} times: the 90 % "
                    f"interval of the curve at {target:g} would shrink from {now:.2f} to about {after:.2f}",
                )
            )
        return tuple(sorted(experiments, key=lambda e: (e.width_after or 0.0, e.n)))

    def _first_experiment(self, trials: int) -> Experiment:
        amounts = self.amounts
        n = 2 * amounts[0] if amounts else 1.0
        have = f"There is one amount only ({amounts[0]:g} {self.unit})" if amounts else "There are no trials"
        what = f"{n:g} {self.unit}" if amounts else f"three amounts of {self.unit}, each twice the one before,"
        return Experiment(
            n=n,
            trials=trials,
            width_now=None,
            width_after=None,
            sentence=f"{have}: train on {what} and try each policy {trials} times",
        )

    def _candidates(self, target: float) -> tuple[float, ...]:
        """Half the smallest amount, every measured one, twice and four times the largest: not beyond the target."""
        amounts = self.amounts
        proposed = {amounts[0] / 2, *amounts, 2 * amounts[-1], 4 * amounts[-1]}
        return tuple(sorted(n for n in proposed if n <= max(target, amounts[-1])))

    def _draws(self, amounts: Sequence[float]) -> NDArray[np.float64]:
        """Success rate of the curve at each amount for equally likely curves, shape (amounts, 4000); deterministic."""
        cells = [(form, w.sum(axis=0)) for form, w in self._posterior.weights.items()]
        cumulative = np.cumsum(np.concatenate([w.ravel() for _, w in cells]))
        at = np.searchsorted(cumulative, (np.arange(_DRAWS) + 0.5) / _DRAWS * cumulative[-1])
        rows = []
        for n in amounts:
            ratio = float(np.log(n / self._posterior.reference))
            rates = np.concatenate([_success(form, ratio).ravel() for form, _ in cells])
            rows.append(rates[np.minimum(at, len(rates) - 1)])
        return np.array(rows)

    def _amounts_reaching(self, success: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The amount at which each curve reaches a success rate, infinite if never; and the weight of the curve."""
        amounts, weights = [], []
        for form, joint in self._posterior.weights.items():
            reducible = (1 - success - FLOORS) / (1 - FLOORS)
            reachable = reducible > 0
            need = levels_for(form, np.where(reachable, reducible, 0.5))
            gap = level_grid(form)[0][:, None, None] - need[None, None, :]
            with np.errstate(divide="ignore", invalid="ignore"):
                log_ratio = np.where(gap == 0, 0.0, gap / EXPONENTS[None, :, None])
            log_ratio = np.where(reachable, log_ratio, np.inf)
            amounts.append(np.exp(np.minimum(log_ratio, 700.0)).ravel() * self._posterior.reference)
            weights.append(joint.sum(axis=0).ravel())
        return np.concatenate(amounts), np.concatenate(weights)


def fit_curve(
    points: Sequence[Point],
    prior: ScalingPrior = DEMONSTRATIONS_PRIOR,
    unit: str = "demonstrations",
    level: float = 0.9,
) -> ScalingFit:
    """Fits one curve; never fails for lack of data, but then declines to say.

    Args:
        points: in any order; points without trials say nothing. Policies trained several times on the same amount
            are several points.
        prior: `DEMONSTRATIONS_PRIOR` allows for failure that no amount removes; `DIVERSITY_PRIOR` for environments
            and objects doubts it; `estimate_prior` makes one from your own curves.
        level: of the intervals of exponent and floor.
    """
    _check_level(level)
    kept = tuple(sorted(point for point in points if point.trials > 0))
    after = posterior(kept, prior)
    pairs = np.sum([w.sum(axis=(0, 1)) for w in after.weights.values()], axis=0)
    known = len({point.n for point in kept}) > 1
    n = sum(point.trials for point in kept)
    return ScalingFit(
        points=kept,
        unit=unit,
        prior=prior,
        forms={form: float(w.sum()) for form, w in after.weights.items()},
        exponent=_marginal(EXPONENTS, pairs.sum(axis=1), level, n, known),
        floor=_marginal(FLOORS, pairs.sum(axis=0), level, n, known),
        _posterior=after,
    )


def _marginal(grid: NDArray[np.float64], weights: NDArray[np.float64], level: float, n: int, known: bool) -> Estimate:
    if not known:
        return Estimate(
            value=None, low=None, high=None, level=level, n=n, method="the data cannot say: fewer than two amounts"
        )
    value, low, high = (_quantile(grid, weights, q) for q in (0.5, (1 - level) / 2, (1 + level) / 2))
    return Estimate(value=value, low=low, high=high, level=level, n=n, method=_METHOD)


def _success(form: Form, log_ratio: float) -> NDArray[np.float64]:
    """As `curve_rates`, without rounding to the grid of rates."""
    level = level_grid(form)[0][:, None, None] - EXPONENTS[None, :, None] * log_ratio
    reducible = np.minimum(1.0, np.exp(level)) if form == "power" else 1 / (1 + np.exp(-level))
    return np.asarray((1 - FLOORS) * (1 - reducible))


def _quantile(values: NDArray[np.float64], weights: NDArray[np.float64], q: float) -> float:
    order = np.argsort(values, kind="stable")
    cumulative = np.cumsum(weights[order])
    at = int(np.searchsorted(cumulative, q * cumulative[-1]))
    return float(values[order[min(at, len(values) - 1)]])


def _trained_quantiles(weights: NDArray[np.float64], tails: tuple[float, float]) -> tuple[float, float]:
    """Quantiles of a retrained policy's rate: beta around each curve, by the spread that its points suggest."""
    a, b = SPREADS[:, None] * RATES, SPREADS[:, None] * (1 - RATES)
    low, high = (_bisect(lambda y: float((weights * betainc(a, b, y)).sum()), q) for q in tails)
    return low, high


def _shown_quantiles(weights: NDArray[np.float64], tails: tuple[float, float], trials: int) -> tuple[float, float]:
    """Quantiles of the rate shown by `trials` rollouts of a retrained policy (beta-binomial)."""
    if trials < 1:
        raise ValueError(f"a measured rate needs at least one trial, not {trials}")
    a, b = SPREADS[:, None] * RATES, SPREADS[:, None] * (1 - RATES)
    chance = np.empty(trials + 1)
    for k in range(trials + 1):
        ways = gammaln(trials + 1) - gammaln(k + 1) - gammaln(trials - k + 1)
        chance[k] = (weights * np.exp(ways + betaln(k + a, trials - k + b) - betaln(a, b))).sum()
    low, high = (_quantile(np.arange(trials + 1) / trials, chance, q) for q in tails)
    return low, high


def _bisect(cumulative: Callable[[float], float], q: float) -> float:
    low, high = 0.0, 1.0
    for _ in range(24):
        middle = (low + high) / 2
        low, high = (middle, high) if cumulative(middle) < q else (low, middle)
    return (low + high) / 2


def _spread(rates: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    """Width of the central 90 % interval."""
    return _quantile(rates, weights, 0.95) - _quantile(rates, weights, 0.05)


def _expected_spread(target: NDArray[np.float64], rates: NDArray[np.float64], trials: int) -> float:
    """Expected width at the target after `trials` rollouts of a policy whose rate is one of `rates`."""
    rates = np.clip(rates, 1e-4, 1 - 1e-4)
    a, b = SPREADS[1] * rates, SPREADS[1] * (1 - rates)
    total, mass = 0.0, 0.0
    for k in np.unique(np.round(np.linspace(0, trials, min(trials, _OUTCOMES) + 1))):
        ways = gammaln(trials + 1) - gammaln(k + 1) - gammaln(trials - k + 1)
        chance = np.exp(ways + betaln(k + a, trials - k + b) - betaln(a, b))
        if chance.sum() > 1e-9 * len(rates):
            total, mass = total + float(chance.sum()) * _spread(target, chance), mass + float(chance.sum())
    return total / mass


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"level must be inside (0, 1), not {level}")
