"""How well two scorers of the same trials agree, beyond what their rates alone would give.

Knows nothing of persons or detectors; a scorer is a list of yes and no.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Estimate

__all__ = ["cohen_kappa"]

_DRAWS = 20_000
_METHOD = "Cohen's kappa (1960); posterior interval of the four shares, Dirichlet(1/2)"


def cohen_kappa(first: Sequence[bool], second: Sequence[bool], level: float = 0.95) -> Estimate:
    """Agreement of two scorers: 1 is full, 0 what chance gives two scorers with these rates, below 0 is less.

    The interval is neither the bootstrap nor the asymptotic one: both have no width where the scorers never differ,
    which is what few trials often show. It is equal-tailed, from the shares of the four kinds of trial (both yes,
    either alone, both no) under Jeffreys' prior, by 20,000 seeded draws.

    Args:
        first, second: success as each said it, trial by trial, (n,).

    Returns:
        Without a value where both said the same of every trial and never anything else: chance explains that, too.

    Example:
        >>> said = cohen_kappa([True] * 12 + [False] * 8, [True] * 10 + [False] * 10)
        >>> f"{said.value:.2f} [{said.low:.2f}, {said.high:.2f}]"
        '0.80 [0.40, 0.94]'

    Source: Cohen, Educ. Psychol. Meas. 20 (1960); Jeffreys' prior for the interval.

    Raises:
        ValueError: lists of different lengths.
    """
    if len(first) != len(second):
        raise ValueError(f"both scorers say something of every trial: {len(first)} and {len(second)} judgements")
    n = len(first)
    cells = np.bincount([2 * bool(a) + bool(b) for a, b in zip(first, second, strict=True)], minlength=4)
    if not n:
        return Estimate(value=None, low=None, high=None, level=level, n=0, method=_METHOD)
    draws = np.random.default_rng(0).dirichlet(cells + 0.5, _DRAWS)
    low, high = np.quantile(_kappa(draws), ((1 - level) / 2, (1 + level) / 2))
    same = cells[0] == n or cells[3] == n
    value = None if same else float(_kappa(cells[None] / n)[0])
    return Estimate(value=value, low=float(low), high=float(high), level=level, n=n, method=_METHOD)


def _kappa(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of shares (m, 4) of neither, the second alone, the first alone, both."""
    first, second = shares[:, 2] + shares[:, 3], shares[:, 1] + shares[:, 3]
    observed = shares[:, 0] + shares[:, 3]
    expected = first * second + (1 - first) * (1 - second)
    return np.asarray((observed - expected) / np.maximum(1 - expected, 1e-12))
