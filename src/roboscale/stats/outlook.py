"""How many further pairs would probably decide: forecasts, not claims. Nothing here touches a type-I error."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from roboscale.stats.paired import PairCounts

__all__ = ["Thresholds", "pairs_for_new_comparison", "pairs_until_decision"]

# Jeffreys' prior over (first only, second only, concordant).
_PRIOR = 0.5


class Thresholds(Protocol):
    """Fewest wins among D discordant pairs that decide, index D."""

    @property
    def running(self) -> NDArray[np.int64]: ...

    @property
    def final(self) -> NDArray[np.int64]: ...


def pairs_until_decision(
    counts: PairCounts, limit: Thresholds, horizon: int, ends: bool, chance: float = 0.5
) -> int | None:
    """Fewest further pairs within which a decision falls with probability `chance`; exact predictive recursion.

    The next pair is drawn from the posterior predictive of the three kinds of pair (first only, second only,
    concordant) under a Dirichlet(1/2, 1/2, 1/2) prior.

    Args:
        counts: what was seen; `None` is returned before the first discordant pair, when nothing can be known.
        limit: thresholds up to `counts.discordant + horizon` discordant pairs.
        horizon: most further pairs.
        ends: whether the last of them is the last of the budget, where the final thresholds hold.

    Returns:
        The number of further pairs, or `None` when it is unknowable or the horizon is too short.
    """
    if counts.discordant == 0 or horizon < 1:
        return None
    seen = np.arange(horizon + 1)
    wins = counts.second_only + seen[None, :]
    losses = counts.first_only + seen[:, None] - seen[None, :]
    at = slice(counts.discordant, counts.discordant + horizon + 1)
    alive = np.zeros((horizon + 1, horizon + 1))
    alive[0, 0] = 1.0
    decided = 0.0
    for further in range(1, horizon + 1):
        total = counts.n + further - 1 + 3 * _PRIOR
        to_first, to_second = alive * (losses + _PRIOR) / total, alive * (wins + _PRIOR) / total
        alive = alive - to_first - to_second
        alive[1:] += to_first[:-1]
        alive[1:, 1:] += to_second[:-1, :-1]
        fewest = (limit.final if ends and further == horizon else limit.running)[at][:, None]
        over = (wins >= fewest) | (losses >= fewest)
        decided += float(alive[over].sum())
        if decided >= chance:
            return further
        alive[over] = 0.0
    return None


def pairs_for_new_comparison(counts: PairCounts, alpha: float, power: float = 0.8) -> int | None:
    """Pairs of a new fixed-size comparison that would detect the difference seen here, if it is the true one.

    For when this comparison has ended: its alpha is used up, so further pairs need a test of their own.

    Returns:
        The number of pairs, or `None` while the difference is within one standard error of zero, when any answer
        would be a guess.

    Source: Connor, Biometrics 43 (1987), at the posterior mean rates.
    """
    wins, losses = counts.second_only, counts.first_only
    if abs(wins - losses) <= np.sqrt(wins + losses):
        return None
    total = counts.n + 3 * _PRIOR
    discordance = (wins + losses + 2 * _PRIOR) / total
    gap = abs(wins - losses) / total
    root = norm.isf(alpha / 2) * np.sqrt(discordance) + norm.ppf(power) * np.sqrt(discordance - gap**2)
    return int(np.ceil((root / gap) ** 2))
