"""A mean of values in 0 .. 1 by hedged betting, with or without cheap trials: covers at every n and distribution.

Each real trial takes its own share of the extra cheap trials as control: z = y - w (f - mean of its share) has the
mean of y exactly, whatever the cheap world's bias, and less variance where the cheap world predicts. The weight w of a
trial is fitted to the trials before it. Two gamblers bet against each candidate mean: one on the real outcomes alone,
one on z. The candidate is dropped when their joint capital has ever reached 1 / (1 - level). Because the first gambler
holds more than half of the stake, a useless cheap world costs a few per cent of width.

Knows no policies. Rows are taken in the order given, which must not depend on the outcomes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["betting_interval"]

_GRID = np.linspace(0.0, 1.0, 401)[1:-1]
_REAL_STAKE = 0.6
_CAUTION = 0.99
_SHRINKAGE = 0.5


def betting_interval(
    real: NDArray[np.float64], cheap: NDArray[np.float64], extra: NDArray[np.float64], level: float
) -> tuple[float, float, float, float]:
    """Value, low, high and mean weight of the cheap trials.

    Args:
        real, cheap: outcomes on the same cases in schedule order, shape (n,), in 0 .. 1.
        extra: cheap outcomes on other cases, shape (N,); fewer than n are not used.

    Source: Waudby-Smith and Ramdas, JRSS-B 86 (2024), theorem 3, for the bets and the hedge; SureSim (2025) for
    betting on prediction-powered differences. A convex sum of capitals is a capital (Ville), hence the mixture.

    Raises:
        ValueError: values outside 0 .. 1.
    """
    for name, values in (("real", real), ("cheap", cheap), ("extra", extra)):
        if np.any((values < 0) | (values > 1)):
            raise ValueError(f"betting needs {name} outcomes in 0 .. 1; found {values.min():g} to {values.max():g}")
    n, share = len(real), len(extra) // max(len(real), 1)
    threshold = 1 / (1 - level)
    alone = _capital(real, np.zeros(n), threshold)
    if share == 0:
        low, high = _survivors(alone.max(axis=(0, 1)) / 2 < threshold, alone)
        value = float(real.mean())
        return value, min(low, value), max(high, value), 0.0
    controls = cheap - extra[: share * n].reshape(n, share).mean(axis=1)
    weights = _weights(real, controls)
    fused = _capital(real - weights * controls, np.abs(weights), threshold)
    joint = _REAL_STAKE * alone + (1 - _REAL_STAKE) * fused
    low, high = _survivors(joint.max(axis=(0, 1)) / 2 < threshold, joint)
    value = float(np.clip(np.mean(real - weights * controls), low, high))
    return value, low, high, float(weights.mean())


def _weights(y: NDArray[np.float64], d: NDArray[np.float64]) -> NDArray[np.float64]:
    """Regression of y on d over the trials before each one, shrunk to 0 as by two trials without relation.

    A weight must not know anything of its own or a later trial, nor of its cheap share: the guarantee rests on it.
    """
    seen = np.maximum(np.arange(len(y)), 1)
    sum_y, sum_d, products, squares = (_before(values) for values in (y, d, y * d, d * d))
    below = squares - sum_d**2 / seen + _SHRINKAGE
    above = products - sum_y * sum_d / seen
    return np.asarray(np.clip(above / below, -1, 1))


def _before(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.append(0.0, np.cumsum(values)[:-1])


def _capital(z: NDArray[np.float64], reach: NDArray[np.float64], threshold: float) -> NDArray[np.float64]:
    """Capital of the bets that the mean is larger and smaller than each grid point, shape (2, n, 399).

    Args:
        z: observations of that mean in -reach .. 1 + reach.
    """
    n = len(z)
    steps = np.arange(1, n + 1)
    centre = (0.5 + np.cumsum(z)) / (steps + 1)
    variance = (0.25 + np.cumsum((z - centre) ** 2)) / (steps + 1)
    known = np.append(0.25, variance[:-1])
    bets = np.sqrt(2 * np.log(2 * threshold) / (n * known))[:, None]
    gaps = z[:, None] - _GRID
    larger = 1 + np.minimum(bets, _CAUTION / (_GRID + reach[:, None])) * gaps
    smaller = 1 - np.minimum(bets, _CAUTION / (1 + reach[:, None] - _GRID)) * gaps
    return np.stack([np.cumprod(larger, axis=0), np.cumprod(smaller, axis=0)])


def _survivors(alive: NDArray[np.bool_], capital: NDArray[np.float64]) -> tuple[float, float]:
    """Outer ends of the surviving grid points: the next point that was dropped, so rounding cannot exclude."""
    grid = np.concatenate([[0.0], _GRID, [1.0]])
    kept = np.flatnonzero(alive)
    if not kept.size:
        kept = np.array([int(np.argmin(capital.max(axis=(0, 1))))])
    return float(grid[kept[0]]), float(grid[kept[-1] + 2])
