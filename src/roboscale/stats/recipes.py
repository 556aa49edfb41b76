"""Claims about recipes: what was trained again, and not only tried again.

Two checkpoints differ by how they were made and by the luck of their training. Trials of one training run share that
luck, so a thousand of them say much of the checkpoint and little of the recipe. Here the independent unit is the
training run: its mean over tasks is one number, and recipes are compared by these numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr

from roboscale.core import Estimate, Outcomes
from roboscale.stats.distributions import student_isf

__all__ = ["FEWEST_RUNS", "RECIPE_TEST", "are_run_means", "recipe_difference", "run_means", "runs_of"]

FEWEST_RUNS = 3
"""Training runs of each side without which nothing is claimed of recipes."""

RECIPE_TEST = "Welch's t test on training runs (Biometrika 1947)"


def runs_of(outcomes: Outcomes) -> dict[str, int]:
    """How many training runs of each policy have a counted trial."""
    counted = ~np.isnan(outcomes.value)
    return {
        name: len(np.unique(outcomes.run[counted & (outcomes.policy == number)]))
        for number, name in enumerate(outcomes.policies)
    }


def are_run_means(values: ArrayLike) -> bool:
    """Whether any of these outcomes by case is a mean over training runs, thus neither success nor failure."""
    given = np.asarray(values, np.float64)
    return bool(np.any((given > 0) & (given < 1)))


def run_means(outcomes: Outcomes, policy: str, strata: Sequence[int]) -> NDArray[np.float64]:
    """The mean of every training run of a policy over these strata, each stratum with the same weight.

    Runs that were not tried on all of them are left out: their mean would be one over other tasks.
    """
    kept = outcomes.where((outcomes.policy == outcomes.policies.index(policy)) & ~np.isnan(outcomes.value))
    means = []
    for run in np.unique(kept.run):
        mine = kept.where(kept.run == run)
        each = [mine.stratum == stratum for stratum in strata]
        if all(rows.any() for rows in each):
            means.append(np.mean([np.average(mine.value[rows], weights=mine.weight[rows]) for rows in each]))
    return np.array(means, np.float64)


def recipe_difference(first: ArrayLike, second: ArrayLike, level: float = 0.95) -> tuple[float, Estimate]:
    """P-value of "both recipes train equally good policies", and the mean of the second minus that of the first.

    Args:
        first, second: one number for each training run, at least `FEWEST_RUNS` of each for a claim.

    Returns:
        1 and no interval with fewer than two runs a side. Runs that are all alike are taken to deviate by half a
        point, never by nothing.

    Source: Welch, Biometrika 34 (1947). Runs, not trials, are counted in `n`.

    >>> p, e = recipe_difference([0.50, 0.55, 0.48], [0.71, 0.66, 0.74])
    >>> f"{e.value:.2f} [{e.low:.2f}, {e.high:.2f}], p {p:.3f}"
    '0.19 [0.11, 0.28], p 0.004'
    """
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    n = min(len(a), len(b))
    method = f"difference of training runs, {RECIPE_TEST}"
    if n == 0:
        return 1.0, Estimate(value=None, low=None, high=None, level=level, n=0, method=method)
    value = float(b.mean() - a.mean())
    if n < 2:
        return 1.0, Estimate(value=value, low=None, high=None, level=level, n=n, method=method)
    parts = np.array([max(float(side.var(ddof=1)), _LEAST**2) / len(side) for side in (a, b)])
    error = float(np.sqrt(parts.sum()))
    degrees = float(parts.sum() ** 2 / (parts**2 / (np.array([len(a), len(b)]) - 1)).sum())
    p_value = float(2 * stdtr(degrees, -abs(value) / error))
    half = student_isf((1 - level) / 2, degrees) * error
    return p_value, Estimate(
        value=value, low=max(-1.0, value - half), high=min(1.0, value + half), level=level, n=n, method=method
    )


_LEAST = 0.005
"""Least deviation from run to run that is believed: three runs at 1.00 were lucky, not identical."""
