"""Which axes of a worse world decide between success and failure when all are drawn at once, and which act together.

A Sobol design asks each row three ways: A, B, and A with one axis taken from B. The share of the variance of success
that an axis explains by itself is its first-order index; with all that it does together with others, its total one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Estimate
from roboscale.core.plain import Plain
from roboscale.stats.proportions import clopper_pearson

__all__ = [
    "CASE",
    "FailureCluster",
    "Sensitivity",
    "SensitivityIndex",
    "failure_clusters",
    "sensitivity",
    "sobol_design",
]

CASE = "case"
"""The factor that stands for which case a row is asked on."""

_METHOD = "Saltelli et al. (2010) by scipy.stats.sobol_indices, percentile bootstrap over rows"
_RESAMPLES = 999


def sobol_design(axes: Sequence[str], points: int, seed: int) -> NDArray[np.float64]:
    """Strengths of every axis in every trial, scrambled Sobol points over 0..3.

    Args:
        points: rows, a power of 2.

    Returns:
        (points, D + 3, D) for D axes: row i as A, as B, as A with axis j from B (j = 1..D), and A once more, which is
        asked on the case of B.
    """
    from scipy.stats import qmc

    count = len(axes)
    drawn = 3.0 * qmc.Sobol(2 * count, seed=seed).random_base2(int(math.log2(points)))
    first, second = drawn[:, :count], drawn[:, count:]
    rows = np.repeat(first[:, None, :], count + 3, axis=1)
    rows[:, 1] = second
    for axis in range(count):
        rows[:, 2 + axis, axis] = second[:, axis]
    return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class SensitivityIndex(Plain):
    """One axis, or the case itself.

    Args:
        first: share of the variance of success that it explains by itself.
        total: the same with all that it does together with others.
        together: total minus first.
    """

    axis: str
    first: Estimate
    total: Estimate
    together: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivity(Plain):
    """What a Sobol design says of one policy.

    Args:
        success: rate over all rows A and B, which are draws of all axes at once.
        indices: of every axis and of the case, the largest total first.
        rows: that were whole, of `asked`.
        clusters: where failures gather, the strongest first.
    """

    success: Estimate
    indices: tuple[SensitivityIndex, ...]
    rows: int
    asked: int
    clusters: tuple[FailureCluster, ...] = ()

    @property
    def sentence(self) -> str:
        """What may be said of all axes together."""
        dropped = f"; {self.asked - self.rows} of {self.asked} rows left out: void, or more than a power of 2"
        left_out = dropped if self.rows < self.asked else ""
        if not self.indices:
            return f"no axis can be told from another: every trial ended alike ({self.rows} rows){left_out}"
        shown = [i for i in self.indices if i.total.low is not None and i.total.low > 0]
        if not shown:
            return f"no axis is shown to matter ({self.rows} rows of a Sobol design){left_out}"
        named = ", ".join(f"{i.axis} {i.total.value:.2f}" for i in shown)
        joint = [i.axis for i in self.indices if i.together.low is not None and i.together.low > 0]
        said = f"; act together with others: {', '.join(joint)}" if joint else "; no interaction is shown"
        return f"total-order indices above 0: {named}{said} ({self.rows} rows){left_out}"


def sensitivity(outcomes: NDArray[np.float64], axes: Sequence[str], seed: int = 0) -> Sensitivity:
    """Sobol indices of success.

    Args:
        outcomes: (rows, D + 3) as in `sobol_design`, 1 success, 0 failure, NaN void.

    >>> rows = np.array([[1, 0, 0, 1, 1], [0, 1, 1, 0, 0], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0]], float)
    >>> sensitivity(np.repeat(rows, 8, axis=0), ("light", "mass")).indices[0].axis
    'light'
    """
    from scipy.stats import sobol_indices

    whole = outcomes[~np.isnan(outcomes).any(axis=1)]
    rows = 2 ** int(math.log2(len(whole))) if len(whole) else 0
    used, asked = whole[:rows], len(outcomes)
    both = outcomes[:, :2].ravel()
    valid = both[~np.isnan(both)]
    success = clopper_pearson(int(valid.sum()), len(valid), void=len(both) - len(valid))
    if rows < 2 or np.ptp(used[:, :2]) == 0:
        return Sensitivity(success=success, indices=(), rows=rows, asked=asked)
    first, second, mixed = used[:, 0], used[:, 1], used[:, 2:]
    with np.errstate(all="ignore"):
        found = sobol_indices(func={"f_A": first[None], "f_B": second[None], "f_AB": mixed.T[:, None]}, n=rows)
        drawn = _resampled(first, second, mixed, seed)
    indices = [
        _index(name, float(found.first_order[k]), float(found.total_order[k]), drawn[:, :, k], rows)
        for k, name in enumerate((*axes, CASE))
    ]
    order = sorted(indices, key=lambda one: -(one.total.value or 0.0))
    return Sensitivity(success=success, indices=tuple(order), rows=rows, asked=asked)


def _resampled(
    first: NDArray[np.float64], second: NDArray[np.float64], mixed: NDArray[np.float64], seed: int
) -> NDArray[np.float64]:
    """First- and total-order indices of resampled rows, (resamples, 2, D + 1)."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, len(first), (_RESAMPLES, len(first)))
    a, b, ab = first[rows], second[rows], mixed[rows]
    spread = np.var(np.concatenate([a, b], axis=1), axis=1)[:, None]
    mean = np.mean(np.concatenate([a, b], axis=1), axis=1)[:, None]
    one = np.mean((b - mean)[..., None] * (ab - a[..., None]), axis=1) / spread
    all_ = 0.5 * np.mean((a[..., None] - ab) ** 2, axis=1) / spread
    return np.stack([one, all_], axis=1)


def _index(name: str, first: float, total: float, drawn: NDArray[np.float64], rows: int) -> SensitivityIndex:
    def estimate(value: float, values: NDArray[np.float64]) -> Estimate:
        finite = values[np.isfinite(values)]
        low, high = (float(q) for q in np.quantile(finite, (0.025, 0.975))) if len(finite) else (None, None)
        return Estimate(value=value, low=low, high=high, level=0.95, n=rows, method=_METHOD)

    return SensitivityIndex(
        axis=name,
        first=estimate(first, drawn[:, 0]),
        total=estimate(total, drawn[:, 1]),
        together=estimate(total - first, drawn[:, 1] - drawn[:, 0]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureCluster(Plain):
    """A corner of the design in which failures gather.

    Args:
        where: axis -> strength from which on.
        failures: rate of failure within it.
        lift: that rate, divided by the rate everywhere; its bounds are those of `failures`.
    """

    where: Mapping[str, float]
    failures: Estimate
    lift: Estimate

    @property
    def text(self) -> str:
        return " and ".join(f"{axis} of {strength:g} or more" for axis, strength in self.where.items())


def failure_clusters(
    strengths: NDArray[np.float64], failed: NDArray[np.bool_], axes: Sequence[str], alpha: float = 0.05, most: int = 5
) -> tuple[FailureCluster, ...]:
    """Single axes and pairs, from strength 1.5 on, whose failure rate is shown to be above the overall one.

    Intervals are Clopper and Pearson's at `1 - alpha / corners`, so that all corners hold at once.

    Args:
        strengths: (trials, D). failed: (trials,).
    """
    from itertools import combinations

    base = float(failed.mean()) if len(failed) else 0.0
    corners = [pair for size in (1, 2) for pair in combinations(range(len(axes)), size)]
    found = []
    for corner in corners if base else ():
        inside = (strengths[:, list(corner)] >= 1.5).all(axis=1)
        rate = clopper_pearson(int(failed[inside].sum()), int(inside.sum()), level=1 - alpha / len(corners))
        if rate.value is None or rate.low is None or rate.high is None or rate.low <= base:
            continue
        lift = Estimate(
            value=rate.value / base,
            low=rate.low / base,
            high=rate.high / base,
            level=rate.level,
            n=rate.n,
            method=f"{rate.method}, divided by the overall rate {base:.2f}",
        )
        where = {axes[k]: 1.5 for k in corner}
        found.append(FailureCluster(where=where, failures=rate, lift=lift))
    return tuple(sorted(found, key=lambda one: -(one.lift.value or 0.0))[:most])
