"""Claims about recipes: what was trained again, and not only tried again.

Two checkpoints differ by how they were made and by the luck of their training. Trials of one training run share that
luck, so a thousand of them say much of the checkpoint and little of the recipe. Here the independent unit is the
training run: its mean over tasks is one number, and recipes are compared by these numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr

from roboscale.core import Estimate, Outcomes
from roboscale.stats.distributions import student_isf
from roboscale.stats.proportions import clopper_pearson

__all__ = [
    "FEWEST_RUNS",
    "RECIPE_TEST",
    "are_run_means",
    "checkpoints_text",
    "recipe_bounds",
    "recipe_difference",
    "recipe_rate",
    "run_means",
    "runs_of",
    "unit_of_runs",
]

FEWEST_RUNS = 3
"""Training runs of each side without which nothing is claimed of recipes."""

RECIPE_TEST = "Welch's t test on training runs (Biometrika 1947)"


def checkpoints_text(count: int) -> str:
    """What claims are about where every policy was trained once.

    >>> checkpoints_text(2)
    'these two checkpoints; one training run each'
    """
    if count < 2:
        return "this checkpoint; one training run"
    return f"these {'two' if count == 2 else count} checkpoints; one training run each"


def unit_of_runs(runs: Mapping[str, int]) -> str:
    """What claims are about, in words, from how many training runs each policy has.

    >>> unit_of_runs({"A": 3, "B": 4})
    'claims are about recipes, and count training runs: A 3, B 4'
    """
    tried = {name: count for name, count in runs.items() if count}
    if all(count == 1 for count in tried.values()):
        return f"claims are about {checkpoints_text(len(tried))}, so nothing is said of how they were made"
    if all(count >= FEWEST_RUNS for count in tried.values()):
        return f"claims are about recipes, and count training runs: {_some([f'{n} {c}' for n, c in tried.items()])}"
    few = _some([f"{name} has {count}" for name, count in tried.items() if count < FEWEST_RUNS])
    need = f"that takes {FEWEST_RUNS} training runs of each, and {few}"
    return f"claims are about these checkpoints, not about recipes: {need}"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


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


def recipe_rate(outcomes: Outcomes, policy: str, strata: Sequence[int], level: float = 0.95) -> Estimate | None:
    """Mean of a recipe's training runs with Student's interval; `None` with fewer than two on all strata.

    Trials of one training run share its luck, so an interval that counts trials would be too narrow. `n` are trials.
    """
    means = run_means(outcomes, policy, strata)
    if len(means) < 2:
        return None
    mine = (outcomes.policy == outcomes.policies.index(policy)) & np.isin(outcomes.stratum, strata)
    missing = np.isnan(outcomes.value)
    value, deviation = float(means.mean()), max(float(means.std(ddof=1)), _LEAST)
    half = student_isf((1 - level) / 2, len(means) - 1) * deviation / len(means) ** 0.5
    return Estimate(
        value=value,
        low=max(0.0, value - half),
        high=min(1.0, value + half),
        level=level,
        n=int(outcomes.weight[mine & ~missing].sum()),
        method=f"mean of {len(means)} training runs, Student (1908)",
        void=int(outcomes.weight[mine & missing].sum()),
    )


_LEAST = 0.005
"""Least deviation from run to run that is believed: three runs at 1.00 were lucky, not identical."""


def recipe_bounds(counts: Sequence[tuple[int, int]], level: float = 0.95) -> Estimate:
    """The mean success of a recipe's training runs, with bounds that both its runs and its trials allow.

    Args:
        counts: (successes, trials) of each training run.

    Returns:
        The wider of Student's interval over the runs' rates and the exact interval of all trials, on either side:
        three runs that were alike by luck do not hide how few trials there were, nor a thousand trials that there was
        one run. No bounds with fewer than two runs. `n` are trials.

    Source: Student, Biometrika 6 (1908); Clopper and Pearson, Biometrika 26 (1934).

    >>> e = recipe_bounds([(19, 20), (20, 20), (18, 20)])
    >>> f"{e.value:.2f} [{e.low:.2f}, {e.high:.2f}] n {e.n}"
    '0.95 [0.83, 1.00] n 60'
    """
    tried = [(k, n) for k, n in counts if n > 0]
    total = sum(n for _, n in tried)
    method = (
        f"mean of {len(tried)} training runs, Student (1908), no narrower than Clopper-Pearson (1934) on all trials"
    )
    if not tried:
        return Estimate(value=None, low=None, high=None, level=level, n=0, method=method)
    means = np.array([k / n for k, n in tried])
    value = float(means.mean())
    if len(tried) < 2:
        return Estimate(value=value, low=None, high=None, level=level, n=total, method=method)
    half = student_isf((1 - level) / 2, len(means) - 1) * max(float(means.std(ddof=1)), _LEAST) / len(means) ** 0.5
    exact = clopper_pearson(sum(k for k, _ in tried), total, level)
    assert exact.low is not None and exact.high is not None
    low, high = min(exact.low, value - half), max(exact.high, value + half)
    return Estimate(value=value, low=max(0.0, low), high=min(1.0, high), level=level, n=total, method=method)
