"""The forms a success curve may take, what is believed about them beforehand, and their posterior on a grid.

With n the amount of data (demonstrations, hours, environments, objects), n0 the geometric mean of the measured
amounts and e the failure rate:

    power      e = floor + (1 - floor) min(1, exp(level) (n / n0)^-exponent)
    logistic   e = floor + (1 - floor) / (1 + exp(-level) (n / n0)^exponent)

The floor is the failure that no amount of this data removes. Both forms fall as n^-exponent far out; they differ in
how they leave the plateau where nothing works yet. Knows rates only: no tasks, sources or costs.

What it does not know: curves that fall with more data, and laws that break twice. What a form misses, and what
retraining changes, is a beta-distributed spread around the curve.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln, expit, gammaln, log_expit

__all__ = [
    "DEMONSTRATIONS_PRIOR",
    "DIVERSITY_PRIOR",
    "EXPONENTS",
    "FLOORS",
    "FORMS",
    "RATES",
    "SPREADS",
    "Form",
    "Point",
    "Posterior",
    "ScalingPrior",
    "curve_rates",
    "form_joint",
    "level_grid",
    "levels_for",
    "posterior",
    "reference_amount",
]

Form = Literal["power", "logistic"]

FORMS: tuple[Form, ...] = ("power", "logistic")
EXPONENTS: NDArray[np.float64] = np.linspace(0.0, 3.0, 41)
FLOORS: NDArray[np.float64] = np.append(0.0, (np.arange(12) + 0.5) * 0.075)
RATES: NDArray[np.float64] = np.linspace(0.0005, 0.9995, 1000)
SPREADS: NDArray[np.float64] = np.array([20.0, 80.0, 320.0])
"""Beta concentrations of a retrained policy's rate around its curve (sd .11, .056, .028 at .5), equally likely.

A round range and not fitted to curves: published points are means over seeds or best checkpoints, which hides how
much one training differs from the next (fitted to them alone, the spread would come out smaller).
"""

_LOGIT_LEVELS = np.linspace(-6.0, 6.0, 61)
_LOG_LEVELS = np.log(np.append(np.geomspace(0.002, 1.0, 40), np.linspace(1.08, 3.0, 14)))
_BEYOND_PLATEAU = 4.0


@dataclass(frozen=True, slots=True, order=True)
class Point:
    """One trained policy: amount of data, successes, counted trials. A sum of progress scores may stand for successes.

    Raises:
        ValueError: an amount that is not positive, or successes outside 0 .. trials.
    """

    n: float
    k: float
    trials: int

    def __post_init__(self) -> None:
        if not (np.isfinite(self.n) and self.n > 0):
            raise ValueError(f"an amount of data is a positive number, not {self.n}")
        if not 0 <= self.k <= self.trials:
            raise ValueError(f"cannot have {self.k} successes in {self.trials} trials")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingPrior:
    """What is believed about a curve before its own points: the shrinkage constants.

    Args:
        exponent_mean, exponent_sd: normal, cut to 0 .. 3.
        floor_probability: that some failure remains at any amount of data.
        floor_shape: where there is a floor it is Beta(1, shape), cut at .9; larger means lower floors.
        source: the curves it was estimated from, and how.
    """

    exponent_mean: float
    exponent_sd: float
    floor_probability: float
    floor_shape: float
    source: str

    def weights(self) -> NDArray[np.float64]:
        """Probability of each (exponent, floor) on the grid, shape (41, 13); sums to 1."""
        exponents = np.exp(-0.5 * ((EXPONENTS - self.exponent_mean) / self.exponent_sd) ** 2)
        floors = (1 - FLOORS[1:]) ** (self.floor_shape - 1)
        floors = np.append(1 - self.floor_probability, self.floor_probability * floors / floors.sum())
        return np.asarray(np.outer(exponents / exponents.sum(), floors))


DEMONSTRATIONS_PRIOR = ScalingPrior(
    exponent_mean=1.0,
    exponent_sd=0.4,
    floor_probability=0.9,
    floor_shape=4.0,
    source="estimate_prior on 120 curves (5 methods and their variants, 12 MimicGen tasks; 100, 200, 1000 "
    "demonstrations; 150 rollouts a point): Wang et al., Equivariant Diffusion Policy, CoRL 2024",
)

DIVERSITY_PRIOR = ScalingPrior(
    exponent_mean=1.0,
    exponent_sd=0.25,
    floor_probability=0.1,
    floor_shape=8.0,
    source="estimate_prior on 6 curves (2 real tasks; 1 to 32 objects, environments and pairs; 40 rollouts a point): "
    "Lin et al., Data Scaling Laws in Imitation Learning, ICLR 2025",
)


@dataclass(frozen=True, slots=True)
class Posterior:
    """Joint posterior of form, spread, level, exponent and floor, flattened.

    Args:
        weights: probability of each cell; one array per form, shape (spreads, levels, exponents, floors).
        reference: the amount n0.
    """

    weights: dict[Form, NDArray[np.float64]]
    reference: float

    def rate_weights(self, n: float) -> NDArray[np.float64]:
        """Probability of each success rate of `RATES` at amount `n`, by spread, shape (3, 1000)."""
        totals = np.zeros((len(SPREADS), len(RATES)))
        for form, weights in self.weights.items():
            index = curve_rates(form, _key(n, self.reference)).ravel()
            for at, cells in enumerate(weights):
                totals[at] += np.bincount(index, cells.ravel(), len(RATES))
        return totals


def posterior(points: Sequence[Point], prior: ScalingPrior) -> Posterior:
    """The posterior of all forms by direct summation; the forms have equal prior weight.

    Source: Bayesian model averaging (Hoeting et al., Statistical Science 14, 1999), beta-binomial likelihood.
    """
    reference = reference_amount(points)
    logs = {form: np.log(form_joint(form, points, reference)) for form in FORMS}
    top = max(float(joint.max()) for joint in logs.values())
    believed = prior.weights()
    joint = {form: np.exp(log - top) * believed for form, log in logs.items()}
    total = sum(float(cells.sum()) for cells in joint.values())
    return Posterior({form: cells / total for form, cells in joint.items()}, reference)


def form_joint(form: Form, points: Sequence[Point], reference: float) -> NDArray[np.float64]:
    """Likelihood times the prior of the level, shape (spreads, levels, exponents, floors).

    Up to a factor that depends on the points only, the same for both forms.
    """
    level_prior = level_grid(form)[1]
    joint = np.repeat(level_prior[None, :, None, None], len(SPREADS), axis=0) / len(SPREADS)
    for point in points:
        table = _likelihood(float(point.k), point.trials)
        joint = joint * table[:, curve_rates(form, _key(point.n, reference))]
    return np.maximum(joint, 1e-300)


def reference_amount(points: Sequence[Point]) -> float:
    """Geometric mean of the distinct amounts; 1 without points."""
    amounts = sorted({point.n for point in points})
    return float(np.exp(np.mean(np.log(amounts)))) if amounts else 1.0


@lru_cache(maxsize=64)
def curve_rates(form: Form, log_ratio: float) -> NDArray[np.int16]:
    """Index into `RATES` of the success rate at log(n / n0), shape (levels, exponents, floors)."""
    level = level_grid(form)[0][:, None, None] - EXPONENTS[None, :, None] * log_ratio
    reducible = np.minimum(1.0, np.exp(level)) if form == "power" else expit(level)
    success = (1 - FLOORS) * (1 - reducible)
    index = np.rint((success - RATES[0]) / (RATES[1] - RATES[0]))
    return np.asarray(np.clip(index, 0, len(RATES) - 1), np.int16)


def levels_for(form: Form, reducible: NDArray[np.float64]) -> NDArray[np.float64]:
    """The level minus exponent times log ratio at which a form has this reducible failure, in (0, 1)."""
    log = np.log(reducible)
    return log if form == "power" else log - np.log1p(-reducible)


def _key(n: float, reference: float) -> float:
    return round(float(np.log(n / reference)), 9)


@lru_cache(maxsize=4)
def level_grid(form: Form) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Grid of levels, and its prior: the reducible failure at n0 is uniform, with a tail beyond the plateau's end."""
    if form == "power":
        grid = _LOG_LEVELS
        density = np.exp(grid - _BEYOND_PLATEAU * np.maximum(np.expm1(grid), 0.0)) * np.gradient(grid)
    else:
        grid = _LOGIT_LEVELS
        density = np.exp(log_expit(grid) + log_expit(-grid)) * np.gradient(grid)
    return grid, density / density.sum()


@lru_cache(maxsize=256)
def _likelihood(k: float, trials: int) -> NDArray[np.float64]:
    """Beta-binomial probability of k of `trials` for each spread and rate, shape (3, 1000)."""
    a, b = SPREADS[:, None] * RATES, SPREADS[:, None] * (1 - RATES)
    ways = gammaln(trials + 1) - gammaln(k + 1) - gammaln(trials - k + 1)
    return np.asarray(np.exp(ways + betaln(k + a, trials - k + b) - betaln(a, b)))
