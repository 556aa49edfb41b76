"""Draws from a posterior that is known up to a factor, by many walkers that stretch towards and away from each other.

Needs no gradients and no tuning, whatever the scales of the parameters. Knows no model: curves over sources use it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["LogPosterior", "ensemble_draws"]

LogPosterior = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""(walkers, parameters) -> log posterior of each walker, up to a constant."""


def ensemble_draws(
    log_posterior: LogPosterior,
    walkers: NDArray[np.float64],
    rng: np.random.Generator,
    *,
    steps: int,
    burn: int,
    thin: int,
) -> NDArray[np.float64]:
    """The walkers of every `thin`-th step after the first `burn`, shape (kept steps x walkers, parameters).

    Args:
        walkers: where they start, an even number of them, shape (walkers, parameters); moved in place.

    Source: Goodman and Weare, Comm. App. Math. Comp. Sci. 5 (2010), stretch move with a = 2.

    >>> start = np.random.default_rng(0).normal(size=(64, 1))
    >>> rng = np.random.default_rng(1)
    >>> draws = ensemble_draws(lambda x: -0.5 * (x[:, 0] - 3) ** 2, start, rng, steps=600, burn=200, thin=4)
    >>> abs(float(draws.mean()) - 3) < 0.1
    True
    """
    many, size = walkers.shape
    logs = log_posterior(walkers)
    halves = (slice(0, many // 2), slice(many // 2, many))
    kept = []
    for step in range(steps):
        for mine, others in (halves, halves[::-1]):
            count = many // 2
            stretch = (1 + rng.random(count)) ** 2 / 2
            partners = walkers[others][rng.integers(0, count, count)]
            proposed = partners + stretch[:, None] * (walkers[mine] - partners)
            log_proposed = log_posterior(proposed)
            accepted = np.log(rng.random(count)) < (size - 1) * np.log(stretch) + log_proposed - logs[mine]
            walkers[mine] = np.where(accepted[:, None], proposed, walkers[mine])
            logs[mine] = np.where(accepted, log_proposed, logs[mine])
        if step >= burn and step % thin == 0:
            kept.append(walkers.copy())
    return np.concatenate(kept)
