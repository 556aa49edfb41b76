"""Whether a curve of success against data describes its own points: does success rise at all, does the fit hold them,
and was the last point foretold by the others?

A fit always gives an answer; these checks say when not to believe it. All of them allow for what retraining changes:
they compare the points with what policies trained anew on the same amounts would show. Knows one curve at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Estimate
from roboscale.core.plain import Plain
from roboscale.stats.proportions import clopper_pearson
from roboscale.stats.scaling import ScalingFit, fit_curve
from roboscale.stats.scaling_forms import EXPONENTS, FLOORS, SPREADS, Form, Point, level_grid

__all__ = ["CurveCheck", "check_curve", "rates_between_runs", "replicated_misfit"]

FALLS, MISFIT = 0.02, 0.01
"""Predictive probabilities below which success is said to fall with data, and a fit not to describe its points."""
FLAT = 0.2
"""Predictive probability above which a rise is not taken for one."""

_DRAWS = 4000

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveCheck(Plain):
    """What a curve is worth by its own points.

    Args:
        falls: probability that success which never falls with data would show so strong a fall; `None` for one amount.
        rises: probability that success which does not change with data would show so strong a rise.
        misfit: probability that the fitted curve would show points as far from it.
        amount, predicted, measured: the largest amount, what the smaller ones foretell of its rollouts, and what was
            measured; `None` with fewer than three amounts.
        verdict: `falls` and `misfit` forbid advice, `flat` is no rise that chance does not explain, `missed` warns,
            `fits` is none of them, `unknown` is one amount.
    """

    falls: float | None
    rises: float | None
    misfit: float | None
    amount: float | None
    predicted: Estimate | None
    measured: Estimate | None
    verdict: Literal["falls", "misfit", "flat", "missed", "fits", "unknown"]

    json_also: ClassVar = ("inside",)

    @property
    def inside(self) -> bool | None:
        """Whether the last point lies in the predicted interval; `None` where nothing was predicted."""
        return _held(self.predicted, self.measured)

    @property
    def advises(self) -> bool:
        """Whether the curve may say what to collect."""
        return self.verdict in ("fits", "missed")

    @property
    def forbids(self) -> bool:
        """Whether nothing may be concluded from a rising curve."""
        return self.verdict in ("falls", "misfit")


def check_curve(fit: ScalingFit, level: float = 0.9, seed: int = 0) -> CurveCheck:
    """Checks one curve against its own points.

    Args:
        level: of the interval in which the last point should lie.
        seed: of the simulated points.

    Source: posterior predictive checks (Gelman, Meng and Stern, Statistica Sinica 6, 1996); trend in proportions
    (Armitage, Biometrics 11, 1955) as the statistic of the first.

    >>> points = [Point(30, 51, 96), Point(106, 20, 96), Point(517, 2, 96)]
    >>> check_curve(fit_curve(points)).verdict
    'falls'
    """
    if len(fit.amounts) < 2:
        nothing = CurveCheck(
            falls=None, rises=None, misfit=None, amount=None, predicted=None, measured=None, verdict="unknown"
        )
        return nothing
    rates, spreads = _drawn_rates(fit, seed)
    falls, rises, misfit = _predictive(fit.points, rates, spreads, seed)
    amount, predicted, measured = _last_point(fit, level)
    verdict: Literal["falls", "misfit", "flat", "missed", "fits"] = "fits"
    if _held(predicted, measured) is False:
        verdict = "missed"
    if rises > FLAT:
        verdict = "flat"
    if misfit <= MISFIT:
        verdict = "misfit"
    if falls <= FALLS:
        verdict = "falls"
    return CurveCheck(
        falls=falls,
        rises=rises,
        misfit=misfit,
        amount=amount,
        predicted=predicted,
        measured=measured,
        verdict=verdict,
    )


def replicated_misfit(points: Sequence[tuple[float, int]], rates: Floats, seed: int = 0) -> float:
    """Probability that a model of any kind would show points as far from it as these.

    Args:
        points: (successes, trials) of each trained policy.
        rates: success rates of the model at these points by posterior draw, shape (draws, points).
    """
    rng = np.random.default_rng(seed)
    chosen = rates[rng.integers(0, len(rates), _DRAWS)]
    spreads = SPREADS[rng.integers(0, len(SPREADS), _DRAWS)]
    k, n = (np.array(column, float) for column in zip(*points, strict=True))
    shown = _replicated(chosen, spreads, n, rng)
    return float((_distance(shown, n, chosen, spreads) >= _distance(k[None] / n, n, chosen, spreads)).mean())


def rates_between_runs(points: Sequence[Point]) -> tuple[float, int] | None:
    """Standard deviation of the success rate between training runs on the same amount, and of how many runs.

    What the trials' own noise would show is taken out; 0 where they explain it all. `None` without an amount that was
    trained on twice.
    """
    groups = [[p for p in points if p.n == n] for n in sorted({p.n for p in points})]
    groups = [group for group in groups if len(group) > 1]
    if not groups:
        return None
    between, freedom = 0.0, 0
    for group in groups:
        rates = np.array([p.k / p.trials for p in group])
        pooled = sum(p.k for p in group) / sum(p.trials for p in group)
        noise = float(np.mean([pooled * (1 - pooled) / p.trials for p in group]))
        between += (len(group) - 1) * (float(rates.var(ddof=1)) - noise)
        freedom += len(group) - 1
    return float(np.sqrt(max(between / freedom, 0.0))), sum(map(len, groups))


def _drawn_rates(fit: ScalingFit, seed: int) -> tuple[Floats, Floats]:
    """Success rates of equally likely curves at the points, (draws, points), and the spread of each, (draws,)."""
    posterior = fit._posterior
    rng = np.random.default_rng(seed)
    forms: list[Form] = list(posterior.weights)
    flat = np.concatenate([posterior.weights[form].ravel() for form in forms])
    cumulative = np.cumsum(flat)
    chosen = np.minimum(np.searchsorted(cumulative, rng.random(_DRAWS) * cumulative[-1]), len(flat) - 1)
    ratios = np.log([point.n / posterior.reference for point in fit.points])
    rates, spreads, begin = np.empty((_DRAWS, len(fit.points))), np.empty(_DRAWS), 0
    for form in forms:
        shape = posterior.weights[form].shape
        here = (chosen >= begin) & (chosen < begin + int(np.prod(shape)))
        s, at, e, f = np.unravel_index(chosen[here] - begin, shape)
        level = level_grid(form)[0][at][:, None] - EXPONENTS[e][:, None] * ratios
        reducible = np.minimum(1.0, np.exp(level)) if form == "power" else 1 / (1 + np.exp(-level))
        rates[here] = (1 - FLOORS[f])[:, None] * (1 - reducible)
        spreads[here] = SPREADS[s]
        begin += int(np.prod(shape))
    return rates, spreads


def _predictive(points: Sequence[Point], rates: Floats, spreads: Floats, seed: int) -> tuple[float, float, float]:
    """Predictive probabilities of so strong a fall, of so strong a rise, and of points so far from the curve."""
    rng = np.random.default_rng(seed + 1)
    n = np.array([point.trials for point in points], float)
    seen = np.array([point.k / point.trials for point in points])
    shown = _replicated(rates, spreads, n, rng)
    amounts = np.log([point.n for point in points])
    lever = n * (amounts - (n * amounts).sum() / n.sum())
    falls = float((shown @ lever <= seen @ lever).mean())
    # the rise is held against one and the same rate at all amounts
    level = np.full_like(rates, (seen * n).sum() / n.sum())
    rises = float((_replicated(level, spreads, n, rng) @ lever >= seen @ lever).mean())
    misfit = float((_distance(shown, n, rates, spreads) >= _distance(seen[None], n, rates, spreads)).mean())
    return falls, rises, misfit


def _replicated(rates: Floats, spreads: Floats, n: Floats, rng: np.random.Generator) -> Floats:
    """Rates that policies trained anew would show, (draws, points)."""
    kept = np.clip(rates, 1e-4, 1 - 1e-4)
    trained = rng.beta(spreads[:, None] * kept, spreads[:, None] * (1 - kept))
    return np.asarray(rng.binomial(n.astype(np.int64), trained) / n)


def _distance(shown: Floats, n: Floats, rates: Floats, spreads: Floats) -> Floats:
    """Squared distance from the curve in units of what trials and retraining explain, (draws,)."""
    kept = np.clip(rates, 1e-4, 1 - 1e-4)
    variance = kept * (1 - kept) * (1 / n + (1 - 1 / n) / (spreads[:, None] + 1))
    return np.asarray(((shown - kept) ** 2 / variance).sum(axis=1))


def _held(predicted: Estimate | None, measured: Estimate | None) -> bool | None:
    if predicted is None or measured is None:
        return None
    if predicted.low is None or predicted.high is None or measured.value is None:
        return None
    return predicted.low <= measured.value <= predicted.high


def _last_point(fit: ScalingFit, level: float) -> tuple[float | None, Estimate | None, Estimate | None]:
    """The largest amount, what the smaller ones foretell, and what it gave; `None` below three amounts."""
    if len(fit.amounts) < 3:
        return None, None, None
    last = fit.amounts[-1]
    before = fit_curve([p for p in fit.points if p.n < last], fit.prior, fit.unit, level)
    top = [p for p in fit.points if p.n == last]
    k, n = sum(p.k for p in top), sum(p.trials for p in top)
    measured = clopper_pearson(round(k), n, level)
    if not float(k).is_integer():
        measured = Estimate(value=k / n, low=None, high=None, level=level, n=n, method="mean progress")
    return last, before.predict(last, level, trials=n), measured
