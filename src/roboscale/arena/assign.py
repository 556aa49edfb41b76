"""Which policies meet next: by what a comparison is expected to teach, drawn so that each draw's chance is known.

The gain of a pair is the planner's (`stats.next_trial.misorder_drop`). A share of the draws is uniform, so that no
pair is ever impossible and nobody who sees the board can foresee the next one. Who may not meet is said with why.

Knows nothing of who asks beyond their group, and takes no wish of theirs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import RoboscaleError
from roboscale.core.plain import Plain
from roboscale.core.seeds import generator
from roboscale.stats.bradley_terry import Comparisons
from roboscale.stats.next_trial import comparison_information, knowledge_from_comparisons, misorder_drop

__all__ = ["UNIFORM_SHARE", "DrawnSides", "draw_sides", "pair_gains"]

UNIFORM_SHARE = 0.5
"""Of the draws, so many do not look at what is known: the planner alone stays with equals that nobody can separate."""


@dataclass(frozen=True, kw_only=True)
class DrawnSides(Plain):
    """Who meets, in order, and how that came about.

    Args:
        policies: in the order in which they run, which is the order of the letters.
        probability: of these policies in this order.
        gains: of each set of policies that was allowed, `a|b`, and its probability whatever the order.
        uniform: share of the draws that do not look at the gains.
    """

    policies: tuple[str, ...]
    probability: float
    seed: int
    gains: Mapping[str, tuple[float, float]]
    uniform: float = UNIFORM_SHARE

    def told(self, left_out: Mapping[str, str]) -> dict[str, Any]:
        """What the log keeps of it, with why others were left out; JSON types."""
        candidates = {name: [round(p, 9), float(f"{gain:.6g}")] for name, (p, gain) in self.gains.items()}
        return {"candidates": candidates, "uniform": self.uniform, "left_out": dict(left_out)}


def draw_sides(
    known: Comparisons,
    allowed: Collection[str],
    seed: int,
    sides: int = 2,
    uniform: float = UNIFORM_SHARE,
    *,
    spent: Mapping[tuple[str, str], int] | None = None,
    most: float = float("inf"),
) -> DrawnSides:
    """Draws who meets next.

    Args:
        known: what was preferred so far; its policies may be more than those that are allowed.
        allowed: who may meet now.
        seed: of the draw: the same again gives the same.
        sides: how many meet in one scene.
        spent: how often each two, sorted, have met.
        most: two that have met more often than that meet again only where all who may have.

    Raises:
        RoboscaleError: fewer are allowed than are to meet.

    >>> from roboscale.stats.bradley_terry import count_comparisons
    >>> known = count_comparisons(["a"] * 20, ["b"] * 20, ["first"] * 20, policies=("a", "b", "c"))
    >>> drawn = draw_sides(known, ("a", "b", "c"), seed=1)
    >>> drawn.gains["a|b"][0] < drawn.gains["b|c"][0]  # a and b are settled
    True
    """
    names = sorted(set(allowed))
    if len(names) < sides:
        raise RoboscaleError(f"{sides} policies are to meet, and {len(names)} may: {', '.join(names) or 'none'}")
    sets = list(combinations(names, sides))
    met = spent or {}
    rare = [one for one in sets if all(met.get(pair, 0) <= most for pair in combinations(one, 2))]
    sets = rare or sets
    gains = _gains(known, sets)
    total = gains.sum()
    share = gains / total if total > 0 else np.full(len(sets), 1 / len(sets))
    chances = uniform / len(sets) + (1 - uniform) * share
    rng = generator("arena", seed)
    at = int(np.searchsorted(np.cumsum(chances), rng.uniform() * chances.sum(), side="right").clip(0, len(sets) - 1))
    order = rng.permutation(sides)
    return DrawnSides(
        policies=tuple(sets[at][k] for k in order),
        probability=float(chances[at]) / float(np.prod(np.arange(1, sides + 1))),
        seed=seed,
        gains={"|".join(one): (float(p), float(g)) for one, p, g in zip(sets, chances, gains, strict=True)},
        uniform=uniform,
    )


def pair_gains(known: Comparisons) -> NDArray[np.float64]:
    """What each two policies are expected to teach by meeting; shape (policies, policies), symmetric, read-only.

    It is most of a draw's work and depends on the comparisons alone: the last few are kept by content, so that an
    arena may ask before it takes its lock.
    """
    return _pair_gains(known.policies, np.asarray(known.counts, np.float64).tobytes())


@lru_cache(maxsize=8)
def _pair_gains(policies: tuple[str, ...], table: bytes) -> NDArray[np.float64]:
    counts = np.frombuffer(table, np.float64).reshape(-1, 3)
    belief = knowledge_from_comparisons(
        Comparisons(policies=policies, counts=counts, per_pair=counts.sum(axis=1).astype(np.int64))
    )
    count = len(policies)
    first, second = np.triu_indices(count, 1)
    information = comparison_information(belief.mean[first] - belief.mean[second], belief.nu)
    drops = np.maximum(misorder_drop(belief.mean, belief.covariance, information), 0.0)
    matrix = np.zeros((count, count))
    matrix[first, second] = matrix[second, first] = drops
    matrix.flags.writeable = False
    return matrix


def _gains(known: Comparisons, sets: Sequence[tuple[str, ...]]) -> NDArray[np.float64]:
    """What each set of policies is expected to teach: the sum over its pairs; shape (sets,)."""
    matrix = pair_gains(known)
    place = {name: k for k, name in enumerate(known.policies)}
    return np.array([sum(matrix[place[a], place[b]] for a, b in combinations(one, 2)) for one in sets], np.float64)
