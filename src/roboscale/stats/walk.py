"""Boundaries for the walk of discordant pairs, and what they cost: exact by dynamic programming.

Only discordant pairs (one policy succeeds, the other fails) tell two policies apart. Under the null hypothesis each
is a fair coin, whatever the concordant rate and whatever the task, so the number W of D discordant pairs that the
second policy won is a fair random walk. A boundary says for every D how many wins decide; its type-I error is a count
of paths and does not depend on any unknown rate.

Knows nothing of estimates or verdicts; `roboscale.stats.sequential` walks.

By hand, for six pairs, alpha = 1/4, spent in proportion (1/24 a pair). `alive` is P(W = w, not decided yet); a toss
sends half of each entry to w and half to w + 1; both tails are made decisive as far as the allowance goes:

    D  alive before deciding             allowed  cheapest tails              fewest wins  spent
    1  1/2  1/2                          1/24     w = 1 costs 2/2             none (2)     0
    2  1/4  2/4  1/4                     2/24     w = 2 costs 2/4             none (3)     0
    3  1/8  3/8  3/8  1/8                3/24     w = 3 costs 2/8             none (4)     0
    4  1/16 4/16 6/16 4/16 1/16          4/24     w = 4 costs 2/16 = 3/24     4            1/8
    5  0    4/32 10/32 10/32 4/32 0      5/24     w = 4 costs 8/32 more       5 (no cost)  1/8
    6  0 0  4/64.. are 0 4 14 20 14 4 0  6/24     w = 5 costs 8/64 = 1/8      5            1/4

At the last pair of the budget all that is left may be spent, whatever D is by then: had only three pairs been
discordant, three wins would cost 1/4 and decide (`final[3]`), although they did not while more pairs could come.

>>> limit = boundary(6, alpha=0.25, spending="linear")
>>> limit.running.tolist(), limit.final.tolist()
([1, 2, 3, 4, 4, 5, 5], [1, 2, 3, 3, 4, 5, 5])
>>> limit.spent.tolist()
[0.0, 0.0, 0.0, 0.0, 0.125, 0.125, 0.25]
>>> limit.survivors(5).tolist()  # in 32nds: 0 4 10 10 4 0
[0.0, 0.125, 0.3125, 0.3125, 0.125, 0.0]

Who wins every pair decides at the fourth; of two equal policies on pairs that are all discordant, one is called better
with probability 1/4 = alpha, and not more at any other rate:

>>> expected_pairs(0.0, 1.0, 6, limit=limit).pairs
4.0
>>> null_crossing(limit).tolist()
[0.0, 0.0, 0.0, 0.25, 0.125, 0.125, 0.25]
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln

from roboscale.stats.distributions import binomial_isf, binomial_pmf

__all__ = [
    "SPENDING",
    "Boundary",
    "Operating",
    "Spending",
    "boundary",
    "eprocess_boundary",
    "eprocess_thresholds",
    "expected_pairs",
    "naive_boundary",
    "naive_peeking_error",
    "null_crossing",
    "stopping_table",
    "type_one_error",
]

Spending = Literal["linear", "square root", "Pocock", "three horizons"]


def _pocock(t: float) -> float:
    return float(np.log1p((np.e - 1) * t))


def _three_horizons(t: float) -> float:
    # Nobody knows in advance which share of the budget will be discordant: a third of alpha is spent as if a
    # quarter would be, a third as if half, a third as if all.
    return (_pocock(min(1.0, 4 * t)) + _pocock(min(1.0, 2 * t)) + _pocock(t)) / 3


SPENDING: Mapping[Spending, Callable[[float], float]] = MappingProxyType(
    {
        "linear": lambda t: t,
        "square root": lambda t: float(np.sqrt(t)),
        "Pocock": _pocock,
        "three horizons": _three_horizons,
    }
)
"""Share of alpha that may be spent when the share t of the largest possible number of discordant pairs is seen."""


@dataclass(frozen=True, slots=True, eq=False)
class Boundary:
    """Fewest wins of one policy among D discordant pairs that decide for it; D + 1 where none do. Symmetric.

    Args:
        alpha: two-sided type-I error that is never exceeded.
        running: thresholds at every discordant pair, shape (m + 1,), index D.
        final: thresholds at the last pair of the budget, when what is left of alpha may be spent, shape (m + 1,).
        spent: exact probability under the null of having crossed `running` by the D-th discordant pair, (m + 1,).
    """

    alpha: float
    running: NDArray[np.int64]
    final: NDArray[np.int64]
    spent: NDArray[np.float64]

    @property
    def max_discordant(self) -> int:
        return len(self.running) - 1

    def threshold(self, discordant: int, last: bool) -> int:
        """Fewest wins that decide now; `last` at the last pair of the budget."""
        return int(self.final[discordant] if last else self.running[discordant])

    def allowed_losses(self) -> NDArray[np.int64]:
        """Most losses with which a policy can still win when at most D pairs are discordant; -1 for none; (m + 1,)."""
        return np.maximum.accumulate(np.arange(len(self.final)) - self.final)

    def survivors(self, discordant: int) -> NDArray[np.float64]:
        """P(`running` not crossed and W = w | no difference) after D discordant pairs, shape (D + 1,)."""
        alive = np.ones(1)
        for tosses in range(1, discordant + 1):
            alive = _without_decided(_toss(alive), int(self.running[tosses]))
        return alive


@lru_cache(maxsize=64)
def boundary(max_discordant: int, alpha: float = 0.05, spending: Spending = "three horizons") -> Boundary:
    """The boundary that spends alpha over at most `max_discordant` discordant pairs.

    At each discordant pair the outermost states of the walk are made decisive as long as the exact probability of
    having decided stays within the share of alpha that may be spent. `final` spends the rest at the last pair: the
    number of discordant pairs by then is unknown before but carries no information on who wins them, so the error
    is at most alpha given *any* number of them.

    Args:
        max_discordant: the budget in pairs, since every pair could be discordant; at least 1.
        alpha: two-sided, inside (0, 1).
        spending: a name in `SPENDING`.

    Source: Lan and DeMets, Biometrika 70 (1983), applied to the exact walk of McNemar's discordant pairs.
    """
    if max_discordant < 1:
        raise ValueError(f"a budget has at least 1 pair, not {max_discordant}")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must be inside (0, 1), not {alpha}")
    share = SPENDING[spending]
    running, final, spent = [1], [1], [0.0]
    alive = np.ones(1)
    for tosses in range(1, max_discordant + 1):
        alive = _toss(alive)
        fewest = _outermost(alive, alpha * share(tosses / max_discordant) - spent[-1])
        spent.append(spent[-1] + 2 * float(alive[fewest:].sum()))
        alive = _without_decided(alive, fewest)
        running.append(fewest)
        final.append(min(fewest, _outermost(alive, alpha - spent[-1])))
    return _frozen(alpha, running, final, spent)


@lru_cache(maxsize=64)
def naive_boundary(max_discordant: int, alpha: float = 0.05) -> Boundary:
    """What peeking does: the fixed-sample exact test at full alpha after every pair. `spent` shows what it costs."""
    tosses = np.arange(max_discordant + 1)
    fewest = np.minimum(binomial_isf(alpha / 2, tosses, 0.5) + 1, tosses + 1)
    return _with_spent(alpha, fewest)


@lru_cache(maxsize=64)
def eprocess_boundary(max_discordant: int, alpha: float = 0.05) -> Boundary:
    """The thresholds of the e-process as a boundary, to compare with the others; no budget enters them."""
    return _with_spent(alpha, eprocess_thresholds(max_discordant, alpha))


@lru_cache(maxsize=64)
def eprocess_thresholds(max_discordant: int, alpha: float = 0.05) -> NDArray[np.int64]:
    """Fewest wins at which the beta-mixture e-process on D discordant pairs reaches 1 / alpha; shape (m + 1,).

    E = 2^D B(w + 1/2, D - w + 1/2) / B(1/2, 1/2). For D wins in a row each one multiplies it by 2 (D - 1/2) / D, so it
    runs 1, 3/2, 5/2, 35/8 = 4.375: at alpha = 1/4, which needs 4, four in a row decide.

    >>> eprocess_thresholds(5, alpha=0.25).tolist()
    [1, 2, 3, 4, 4, 5]
    """
    fewest = [1]
    for tosses in range(1, max_discordant + 1):
        wins = np.arange(tosses // 2 + 1, tosses + 1)
        log_e = betaln(wins + 0.5, tosses - wins + 0.5) - betaln(0.5, 0.5) + tosses * np.log(2)
        decisive = wins[log_e >= -np.log(alpha)]
        fewest.append(int(decisive[0]) if decisive.size else tosses + 1)
    thresholds = np.array(fewest, np.int64)
    thresholds.flags.writeable = False
    return thresholds


def null_crossing(limit: Boundary, last: bool = True) -> NDArray[np.float64]:
    """P(decide | D discordant pairs, no difference) for D = 0 .. m, counted in whole paths, so without rounding.

    Args:
        limit: any symmetric boundary.
        last: whether the thresholds of the last pair are used at D; otherwise only the running ones.
    """
    alive = [1]
    crossed = Fraction(0)
    errors = [0.0]
    for tosses in range(1, limit.max_discordant + 1):
        alive = [a + b for a, b in zip([*alive, 0], [0, *alive], strict=True)]
        fewest = int(limit.running[tosses])
        crossed += Fraction(2 * sum(alive[fewest:]), 2**tosses)
        alive = [paths if tosses - fewest < wins < fewest else 0 for wins, paths in enumerate(alive)]
        at_end = Fraction(2 * sum(alive[int(limit.final[tosses]) :]), 2**tosses) if last else Fraction(0)
        errors.append(float(crossed + at_end))
    return np.array(errors)


def type_one_error(limit: Boundary, discordance: float | None = None) -> float:
    """Probability of deciding when there is no difference, exact.

    Args:
        limit: the boundary; its budget is `limit.max_discordant` pairs.
        discordance: probability that a pair is discordant; `None` for the worst case over all of them, and over any
            mixture or order of strata.
    """
    errors = null_crossing(limit)
    if discordance is None:
        return float(errors.max())
    budget = limit.max_discordant
    return float(binomial_pmf(np.arange(budget + 1), budget, discordance) @ errors)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operating:
    """What a boundary does at given rates; exact.

    Args:
        pairs: expected number of pairs used.
        power: probability of deciding for either policy.
        first, second: probability of deciding for each.
        stops: probability of stopping at exactly n pairs, n = 0 .. budget, shape (budget + 1,).
    """

    pairs: float
    power: float
    first: float
    second: float
    stops: NDArray[np.float64]


def expected_pairs(
    p_first_only: float,
    p_second_only: float,
    budget: int,
    alpha: float = 0.05,
    *,
    limit: Boundary | None = None,
    curtail: bool = True,
) -> Operating:
    """Expected number of pairs and power of the sequential paired test, by recursion over (pairs, D, W).

    Args:
        p_first_only, p_second_only: probabilities that a pair is won by the first, by the second policy alone.
        budget: most pairs.
        limit: another boundary of the same budget; default `boundary(budget, alpha)`.
        curtail: stop as soon as no continuation can decide.
    """
    if min(p_first_only, p_second_only) < 0 or p_first_only + p_second_only > 1:
        raise ValueError(f"{p_first_only} and {p_second_only} are no probabilities of exclusive events")
    limit = boundary(budget, alpha) if limit is None else limit
    if limit.max_discordant != budget:
        raise ValueError(f"the boundary is for {limit.max_discordant} pairs, the budget is {budget}")
    return _operate(limit, p_first_only, p_second_only, curtail)


def _operate(limit: Boundary, p_first: float, p_second: float, curtail: bool) -> Operating:
    budget = limit.max_discordant
    wins = np.arange(budget + 1)[None, :]
    losses = np.arange(budget + 1)[:, None] - wins
    allowed = limit.allowed_losses()
    alive = np.zeros((budget + 1, budget + 1))
    alive[0, 0] = 1.0
    stops, first, second = np.zeros(budget + 1), 0.0, 0.0
    for n in range(1, budget + 1):
        moved = (1 - p_first - p_second) * alive
        moved[1:] += p_first * alive[:-1]
        moved[1:, 1:] += p_second * alive[:-1, :-1]
        fewest = (limit.final if n == budget else limit.running)[:, None]
        for_first, for_second = losses >= fewest, wins >= fewest
        first, second = first + float(moved[for_first].sum()), second + float(moved[for_second].sum())
        over = for_first | for_second | (n == budget)
        if curtail:
            reach = allowed[np.minimum(np.arange(budget + 1) + budget - n, budget)][:, None]
            over |= np.minimum(wins, losses) > reach
        stops[n] = moved[over].sum()
        moved[over] = 0.0
        alive = moved
    return Operating(
        pairs=float(stops @ np.arange(budget + 1)), power=first + second, first=first, second=second, stops=stops
    )


def stopping_table(
    effects: Sequence[tuple[float, float]], budgets: Sequence[int], alpha: float = 0.05
) -> tuple[dict[str, float], ...]:
    """Expected pairs and power for each (first only, second only) and budget: a row each, exact."""
    rows = []
    for p_first, p_second in effects:
        for budget in budgets:
            expected = expected_pairs(p_first, p_second, budget, alpha)
            rows.append(
                {
                    "first only": p_first,
                    "second only": p_second,
                    "budget": float(budget),
                    "expected pairs": expected.pairs,
                    "power": expected.power,
                    "median": float(np.searchsorted(np.cumsum(expected.stops), 0.5)),
                    "90 %": float(np.searchsorted(np.cumsum(expected.stops), 0.9)),
                }
            )
    return tuple(rows)


def naive_peeking_error(pairs: int, discordance: float, alpha: float = 0.05) -> float:
    """Type-I error of testing at `alpha` after every one of `pairs` pairs and stopping at the first p <= alpha; exact.

    Args:
        discordance: probability that a pair is discordant; half of them go to each policy.
    """
    return type_one_error(naive_boundary(pairs, alpha), discordance)


def _toss(alive: NDArray[np.float64]) -> NDArray[np.float64]:
    """The walk after one more fair coin: index is the number of wins.

    >>> _toss(np.array([0.5, 0.5])).tolist()  # 1/2 1/2 becomes 1/4 2/4 1/4
    [0.25, 0.5, 0.25]
    """
    moved = np.zeros(len(alive) + 1)
    moved[:-1] += alive / 2
    moved[1:] += alive / 2
    return moved


def _without_decided(alive: NDArray[np.float64], fewest: int) -> NDArray[np.float64]:
    """The walk restricted to the states in which neither policy has `fewest` wins.

    >>> _without_decided(np.array([0.25, 0.5, 0.25]), 2).tolist()  # two wins of two decided, for either
    [0.0, 0.5, 0.0]
    """
    wins = np.arange(len(alive))
    return np.where((wins < fewest) & (wins[::-1] < fewest), alive, 0.0)


def _outermost(alive: NDArray[np.float64], room: float) -> int:
    """Fewest wins, above half, such that both tails from there on hold at most `room` probability.

    >>> _outermost(np.array([1, 4, 6, 4, 1]) / 16, 2 / 16), _outermost(np.array([1, 4, 6, 4, 1]) / 16, 1 / 16)
    (4, 5)
    """
    tosses = len(alive) - 1
    tails = 2 * np.append(np.cumsum(alive[::-1])[::-1], 0.0)
    fits = np.flatnonzero(tails <= room)
    return max(int(fits[0]) if fits.size else tosses + 1, tosses // 2 + 1)


def _with_spent(alpha: float, fewest: NDArray[np.int64]) -> Boundary:
    blank = _frozen(alpha, fewest, fewest, np.zeros(len(fewest)))
    return _frozen(alpha, fewest, fewest, null_crossing(blank, last=False))


def _frozen(
    alpha: float,
    running: Sequence[int] | NDArray[np.int64],
    final: Sequence[int] | NDArray[np.int64],
    spent: Sequence[float] | NDArray[np.float64],
) -> Boundary:
    arrays = (np.array(running, np.int64), np.array(final, np.int64), np.array(spent, np.float64))
    for array in arrays:
        array.flags.writeable = False
    return Boundary(alpha, *arrays)
