"""How many further pairs would probably decide: forecasts, not claims. Nothing here touches a type-I error."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from roboscale.stats.distributions import normal_isf
from roboscale.stats.paired import PairCounts

__all__ = ["pairs_for_new_comparison", "pairs_until_decision"]

# Jeffreys' prior over (first only, second only, concordant).
_PRIOR = 0.5


def pairs_until_decision(
    counts: PairCounts,
    running: NDArray[np.int64],
    final: NDArray[np.int64] | None,
    horizon: int,
    chance: float = 0.5,
) -> int | None:
    """Fewest further pairs within which a decision falls with probability `chance`; exact predictive recursion.

    The next pair is drawn from the posterior predictive of the three kinds of pair (first only, second only,
    concordant) under a Dirichlet(1/2, 1/2, 1/2) prior.

    Args:
        counts: what was seen; `None` is returned before the first discordant pair, when nothing can be known.
        running: fewest wins that decide, by discordant pairs, up to `counts.discordant + horizon`.
        final: the same at the last pair of the budget, if that is the last of the horizon; otherwise `None`.
        horizon: most further pairs; the recursion takes about horizon^3 / 3 steps.

    Returns:
        The number of further pairs, or `None` when it is unknowable or the horizon is too short.
    """
    if counts.discordant == 0 or horizon < 1:
        return None
    alive = np.ones((1, 1))  # by further discordant pairs and, of those, wins of the second policy
    decided = 0.0
    for further in range(1, horizon + 1):
        seen = np.arange(further)
        wins = counts.second_only + seen[None, :]
        losses = counts.first_only + seen[:, None] - seen[None, :]
        total = counts.n + further - 1 + 3 * _PRIOR
        to_first, to_second = alive * (losses + _PRIOR) / total, alive * (wins + _PRIOR) / total
        moved = np.zeros((further + 1, further + 1))
        moved[:-1, :-1] = alive - to_first - to_second
        moved[1:, :-1] += to_first
        moved[1:, 1:] += to_second
        over = _decisive(counts, further, final if final is not None and further == horizon else running)
        decided += float(moved[over].sum())
        if decided >= chance:
            return further
        moved[over] = 0.0
        alive = moved
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
    root = normal_isf(alpha / 2) * np.sqrt(discordance) - normal_isf(power) * np.sqrt(discordance - gap**2)
    return int(np.ceil((root / gap) ** 2))


def _decisive(counts: PairCounts, further: int, thresholds: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which states decide after up to `further` more discordant pairs, shape (further + 1, further + 1)."""
    seen = np.arange(further + 1)
    fewest = thresholds[counts.discordant : counts.discordant + further + 1][:, None]
    wins = counts.second_only + seen[None, :]
    losses = counts.first_only + seen[:, None] - seen[None, :]
    return (wins >= fewest) | (losses >= fewest)
