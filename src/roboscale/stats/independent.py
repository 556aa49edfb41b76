"""Two policies on their own cases, looked at after every trial per arm: the sequential exact unconditional test.

The permitted error is spent evenly over the budget (Lan and DeMets 1983) on the states that Barnard's test (1947)
calls most extreme. Everything is exact: given the successes of both arms, the order in which they came is equally
likely whatever the common rate, so one recursion over "share of orders not yet decided" serves all rates at once, and
the error at a rate is a sum of binomials. It is kept below alpha at every rate of a fine grid, and checked on another.

Knows nothing of pairing: on the same cases `roboscale.stats.sequential` is sharper.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from io import BytesIO
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Decision, Estimate, PairedOutcome, Verdict
from roboscale.stats.barnard import (
    compose_independent,
    critical_value,
    outermost,
    pooled_statistic,
    rates_to_try,
    trials_for_new_comparison,
)
from roboscale.stats.differences import paired_difference_sequence
from roboscale.stats.paired import PairCounts, count_pairs
from roboscale.stats.proportions import beta_confidence_sequence

__all__ = [
    "SHIPPED_BUDGETS",
    "ArmBoundary",
    "ArmOperating",
    "SequentialIndependent",
    "arm_boundary",
    "build_arm_boundary",
    "expected_trials",
    "naive_arm_boundary",
    "power",
    "size",
]

SHIPPED_BUDGETS = (10, 15, 20, 25, 30, 40, 50, 60, 75, 80, 100, 120, 150, 200, 250, 300, 400, 500)
"""Trials per arm for which the boundary at alpha .05 is read from the package; others are built when asked for."""

_TABLE = "independent.npz"
_FORECAST_HORIZON = 200
# Grid points lie so close that the error between two of them exceeds that at the nearer by less than this.
_SLACK = 1e-7


@dataclass(frozen=True, slots=True, eq=False)
class ArmBoundary:
    """How extreme the pooled statistic must be after n trials per arm to decide.

    Args:
        alpha: type-I error that is never exceeded.
        sides: 2 to decide for either policy, 1 for the second only.
        critical: smallest decisive `pooled_statistic` after n trials per arm, infinite where none is; (budget + 1,).
    """

    alpha: float
    sides: Literal[1, 2]
    critical: NDArray[np.float64]

    @property
    def budget(self) -> int:
        return len(self.critical) - 1

    def decisive(self, n: int) -> NDArray[np.bool_]:
        """Which states (successes of first, of second) decide for the second after n trials; (n + 1, n + 1)."""
        return np.asarray(pooled_statistic(n, n) >= self.critical[n])

    def fewest(self, n: int) -> NDArray[np.int64]:
        """Fewest successes of the second that decide, by successes of the first; n + 1 for none; shape (n + 1,)."""
        return np.asarray(n + 1 - self.decisive(n).sum(axis=1), np.int64)

    def decides(self, n: int, first: int, second: int) -> int:
        """1 when the second is shown to be better, -1 when the first is, 0 when the test goes on."""
        lead, total = second - first, first + second
        if lead == 0 or (self.sides == 1 and lead < 0):
            return 0
        # the same float operations as `pooled_statistic`, so that ties stay ties
        return (1 if lead > 0 else -1) if float(lead) ** 2 / float(total * (2 * n - total)) >= self.critical[n] else 0

    def hopeless(self, n: int, first: int, second: int) -> bool:
        """Whether not even a run of wins to the end of the budget could decide."""
        further = np.arange(1, self.budget - n + 1)
        ahead = n + further

        def reachable(lead: int, total: int) -> bool:
            # the best that can come: one arm only succeeds, the other only fails
            gap, successes = lead + further, total + further
            value = np.sign(gap) * gap.astype(float) ** 2 / (successes * (2 * ahead - successes))
            return bool(np.any(value >= self.critical[ahead]))

        if n == self.budget or reachable(second - first, first + second):
            return False
        return self.sides == 1 or not reachable(first - second, first + second)


def arm_boundary(budget: int, alpha: float = 0.05, sides: Literal[1, 2] = 2) -> ArmBoundary:
    """The boundary for at most `budget` trials per arm: read from the package where shipped, built otherwise.

    Building takes .1 s for 50, 1 s for 200 and some 15 s for 500 trials per arm; it is then remembered.

    Raises:
        ValueError: no trial in the budget, alpha outside (0, 1), or sides neither 1 nor 2.
    """
    if budget < 1 or not 0 < alpha < 1 or sides not in (1, 2):
        raise ValueError(f"cannot build a {sides}-sided boundary for {budget} trials per arm at alpha {alpha}")
    key = f"n{budget}_alpha{alpha:g}_sides{sides}"
    critical = _shipped().get(key) if alpha == 0.05 else None
    return build_arm_boundary(budget, alpha, sides) if critical is None else ArmBoundary(alpha, sides, critical)


@lru_cache(maxsize=32)
def build_arm_boundary(budget: int, alpha: float = 0.05, sides: Literal[1, 2] = 2) -> ArmBoundary:
    """Spends alpha n / budget by the n-th trial per arm on whole ties of the pooled statistic.

    Source: Lan and DeMets, Biometrika 70 (1983); Barnard, Biometrika 34 (1947).
    """
    rates = rates_to_try(32 * budget)
    spent = np.zeros(len(rates))
    critical = np.full(budget + 1, np.inf)
    alive = np.ones((1, 1))
    for n in range(1, budget + 1):
        alive = _one_more_trial(alive)
        statistic = pooled_statistic(n, n)
        allowed = max(alpha * n / budget - _SLACK, 0.0) / sides
        critical[n], spent = outermost(statistic, alive, spent, allowed, rates)
        _remove(alive, statistic, float(critical[n]), sides)
    critical.flags.writeable = False
    return ArmBoundary(alpha, sides, critical)


def naive_arm_boundary(budget: int, alpha: float = 0.05, first_look: int = 5) -> ArmBoundary:
    """What peeking does: Barnard's one-sided test at full alpha after every trial per arm; `size` shows its cost."""
    critical = [critical_value(n, alpha) if n >= first_look else np.inf for n in range(budget + 1)]
    return ArmBoundary(alpha, 1, np.array(critical))


def size(limit: ArmBoundary, rates: NDArray[np.float64] | None = None) -> float:
    """Largest type-I error over common success rates, exact at each of them.

    Args:
        rates: default 999 evenly spaced ones and 400 near 0, none of which the boundary was built on.
    """
    if rates is None:
        rates = np.concatenate([np.geomspace(1e-5, 0.05, 400), np.linspace(0.0007, 0.4993, 999)])
    return float(np.max(limit.sides * sum(_decided_mass(limit, rates))))


def power(p0: float, p1: float, budget: int, alpha: float = 0.05, sides: Literal[1, 2] = 2) -> float:
    """Probability that the sequential test decides for either policy; exact."""
    return expected_trials(p0, p1, budget, alpha, sides=sides).power


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmOperating:
    """What a boundary does at given rates; exact.

    Args:
        trials: expected trials per arm.
        power: probability of deciding.
        first, second: probability of deciding for each policy.
        stops: probability of stopping after exactly n trials per arm, shape (budget + 1,).
    """

    trials: float
    power: float
    first: float
    second: float
    stops: NDArray[np.float64]


def expected_trials(
    p0: float,
    p1: float,
    budget: int,
    alpha: float = 0.05,
    *,
    sides: Literal[1, 2] = 2,
    limit: ArmBoundary | None = None,
) -> ArmOperating:
    """Expected trials per arm and power at success rates p0 and p1, by recursion over (successes, successes).

    Counts E[min(T, budget)], without stopping early where a decision has become impossible.

    Args:
        limit: another boundary; default `arm_boundary(budget, alpha, sides)`.
    """
    if not (0 <= p0 <= 1 and 0 <= p1 <= 1):
        raise ValueError(f"success rates must be in [0, 1], not {p0} and {p1}")
    limit = arm_boundary(budget, alpha, sides) if limit is None else limit
    alive, stops, first, second = np.ones((1, 1)), np.zeros(limit.budget + 1), 0.0, 0.0
    for n in range(1, limit.budget + 1):
        moved = np.zeros((n + 1, n + 1))
        moved[:-1, :-1] = (1 - p0) * (1 - p1) * alive
        moved[1:, :-1] += p0 * (1 - p1) * alive
        moved[:-1, 1:] += (1 - p0) * p1 * alive
        moved[1:, 1:] += p0 * p1 * alive
        over = limit.decisive(n)
        gained = float(moved[over].sum())
        lost = float(moved[over.T].sum()) if limit.sides == 2 else 0.0
        second, first, stops[n] = second + gained, first + lost, gained + lost
        moved[over | (over.T & (limit.sides == 2))] = 0.0
        alive = moved
    stops[-1] += alive.sum()
    return ArmOperating(
        trials=float(stops @ np.arange(len(stops))), power=first + second, first=first, second=second, stops=stops
    )


class SequentialIndependent:
    """A stop rule for two policies on their own cases; type-I error at most alpha at every common success rate.

    The i-th valid trial of each arm counts together, so a void trial of one arm only delays a look. It stops when the
    statistic crosses, when the budget ends, or when no continuation could cross.

    Args:
        budget: most counted trials per arm.
        alpha: type-I error.
        names: of the first and the second policy.
        sides: 2 for either direction; 1 when only "second is better" would be of interest, said before looking.
        min_trials: do not stop before so many counted trials per arm. Never changes alpha.
        level: of the intervals, which are confidence sequences.
        curtail: stop when a decision has become impossible.
    """

    def __init__(
        self,
        *,
        budget: int,
        alpha: float = 0.05,
        names: tuple[str, str] = ("A", "B"),
        sides: Literal[1, 2] = 2,
        min_trials: int = 1,
        level: float = 0.95,
        curtail: bool = True,
    ) -> None:
        if names[0] == names[1]:
            raise ValueError(f"the two policies need different names, both are {names[0]!r}")
        self.limit = arm_boundary(budget, alpha, sides)
        self.names, self.min_trials, self.level, self.curtail = names, min_trials, level, curtail
        self._valid: tuple[list[bool], list[bool]] = ([], [])
        self._void = [0, 0]
        self._n = 0
        self._decision: Decision = "undecided"
        self._p_value: float | None = None
        self._evidence: list[dict[str, float]] = []
        self._over = False

    @property
    def decision(self) -> Decision:
        """What `verdict()` will decide, without composing it."""
        return self._decision

    @property
    def successes(self) -> tuple[int, int]:
        """Of the counted trials of each arm."""
        return sum(self._valid[0][: self._n]), sum(self._valid[1][: self._n])

    def update(self, pair: PairedOutcome) -> bool:
        """Consumes the next trial of each arm, in schedule order; True when no further trial can be needed."""
        if self._over:
            return True
        for arm, outcome in enumerate((pair.first, pair.second)):
            if outcome is None:
                self._void[arm] += 1
            else:
                self._valid[arm].append(outcome)
        while not self._over and self._n < min(map(len, self._valid)):
            self._n += 1
            self._look()
        return self._over

    def finish(self) -> None:
        """No further trial will come, for a reason unrelated to who was winning; takes the last look at full alpha."""
        if not self._over and self._n and self._decision == "undecided":
            self._p_value = self._stagewise_p_value()
            first, second = self.successes
            if self._p_value <= self.limit.alpha and (second > first or self.limit.sides == 2):
                self._decision = self._leader()
        self._end()

    def verdict(self) -> Verdict:
        """What the trials so far allow to say; valid at any time, also before the stop."""
        decided = self._decision not in ("undecided", "no difference shown")
        estimates = self._estimates()
        basis = f"sequential exact unconditional test, alpha {self.limit.alpha:g}"
        if self.limit.sides == 1:
            basis += f", one-sided for {self.names[1]}"
        basis += f"; intervals are {100 * self.level:g} % confidence sequences"
        if any(self._void):
            basis += f"; {sum(self._void)} void"
        return Verdict(
            decision=self._decision,
            sentence=compose_independent(self._decision, self.names, estimates, basis),
            alpha=self.limit.alpha,
            n=self._n,
            discordant=self._together().discordant,
            p_value=self._p_value,
            method="sequential exact unconditional test (Barnard 1947, Lan-DeMets 1983 spending)",
            needed=None if decided else self._needed(),
            estimates=estimates,
            evidence=tuple(self._evidence),
        )

    def _look(self) -> None:
        side = self.limit.decides(self._n, *self.successes)
        self._record()
        if side and self._decision == "undecided":
            self._decision = "second is better" if side > 0 else "first is better"
            self._p_value = self._stagewise_p_value()
        settled = self._decision != "undecided" or (self.curtail and self.limit.hopeless(self._n, *self.successes))
        if self._n >= self.limit.budget or (settled and self._n >= self.min_trials):
            self._end()

    def _end(self) -> None:
        self._over = True
        if self._decision == "undecided":
            self._decision = "no difference shown"
            if self._n:
                self._p_value = self._stagewise_p_value()

    def _leader(self) -> Decision:
        first, second = self.successes
        return "second is better" if second > first else "first is better"

    def _record(self) -> None:
        (first, second), n = self.successes, self._n
        fewest = self.limit.fewest(n)
        row = {
            "n": n,
            "wins_first": first,
            "wins_second": second,
            "lead": second - first,
            "upper": fewest[first] - first,
            "alpha_spent": self.limit.alpha * n / self.limit.budget,
        }
        if self.limit.sides == 2:
            row["lower"] = second - fewest[second]
        self._evidence.append({name: float(value) for name, value in row.items()})

    def _stagewise_p_value(self) -> float:
        """P(a decision this early, or after as many trials a statistic this large | equal rates), worst rate."""
        return _stagewise(self.limit, self._n, *self.successes)

    def _estimates(self) -> dict[str, Estimate]:
        counts = self.successes
        estimates = {
            name: beta_confidence_sequence(counts[arm], self._n, self.level, self._void[arm])
            for arm, name in enumerate(self.names)
        }
        # betting on i-th minus i-th trial needs no pairing, only that rates stay; sharper than the two intervals apart
        return estimates | {"difference": paired_difference_sequence(self._together(), self.level)}

    def _together(self) -> PairCounts:
        sides = (valid[: self._n] for valid in self._valid)
        return count_pairs(PairedOutcome("", first, second) for first, second in zip(*sides, strict=True))

    def _needed(self) -> int | None:
        (first, second), n = self.successes, self._n
        if self._over:
            return trials_for_new_comparison((first, n), (second, n), self.limit.alpha)
        return _trials_until_decision(self.limit, n, first, second) if n else None


def _one_more_trial(alive: NDArray[np.float64]) -> NDArray[np.float64]:
    """P(not decided | successes of both arms after n trials) from the same after n - 1; any order is as likely."""
    n = len(alive)
    share = np.arange(n + 1) / n
    rows = np.zeros((n + 1, n))
    rows[1:] = alive * share[1:, None]
    rows[:-1] += alive * (1 - share[:-1, None])
    moved = np.zeros((n + 1, n + 1))
    moved[:, 1:] = rows * share[1:]
    moved[:, :-1] += rows * (1 - share[:-1])
    return moved


def _remove(alive: NDArray[np.float64], statistic: NDArray[np.float64], critical: float, sides: int) -> None:
    """Takes the decided states out, in place."""
    if np.isfinite(critical):
        alive[statistic >= critical] = 0.0
        if sides == 2:
            alive[statistic <= -critical] = 0.0


def _decided_mass(
    limit: ArmBoundary, rates: NDArray[np.float64], until: int | None = None, seen: float = np.inf
) -> Iterator[NDArray[np.float64]]:
    """P(decided for the second at the n-th trial per arm) at each common rate, for n = 1 .. `until`; (P,) each.

    Args:
        seen: at the last of them, states as extreme as this count as decided too.
    """
    last = limit.budget if until is None else until
    alive, nothing = np.ones((1, 1)), np.zeros(len(rates))
    for n in range(1, last + 1):
        alive = _one_more_trial(alive)
        statistic = pooled_statistic(n, n)
        critical = min(limit.critical[n], seen) if n == last else limit.critical[n]
        if not np.isfinite(critical):
            continue
        decided = np.where(statistic >= critical, alive, 0.0)
        yield outermost(np.where(decided > 0, statistic, 0.0), decided, nothing, np.inf, rates)[1]
        _remove(alive, statistic, float(critical), limit.sides)


def _stagewise(limit: ArmBoundary, n: int, first: int, second: int) -> float:
    lead = second - first if limit.sides == 1 else abs(second - first)
    if lead <= 0:
        return 1.0
    seen = float(lead) ** 2 / float((first + second) * (2 * n - first - second))
    mass = sum(_decided_mass(limit, rates_to_try(32 * n), n, seen))
    return min(1.0, float(np.max(limit.sides * mass)))


def _trials_until_decision(limit: ArmBoundary, n: int, first: int, second: int, chance: float = 0.5) -> int | None:
    """Fewest further trials per arm within which a decision falls with probability `chance`; `None` beyond 200.

    The next trials are drawn from the posterior predictive under independent Beta(1/2, 1/2) priors.
    """
    alive, decided = np.ones((1, 1)), 0.0
    for further in range(1, min(limit.budget - n, _FORECAST_HORIZON) + 1):
        seen, total = np.arange(further), n + further
        win0, win1 = (first + seen + 0.5)[:, None] / total, (second + seen + 0.5)[None, :] / total
        moved = np.zeros((further + 1, further + 1))
        moved[:-1, :-1] = alive * (1 - win0) * (1 - win1)
        moved[1:, :-1] += alive * win0 * (1 - win1)
        moved[:-1, 1:] += alive * (1 - win0) * win1
        moved[1:, 1:] += alive * win0 * win1
        over = limit.decisive(total)
        over = over | over.T if limit.sides == 2 else over
        window = over[first : first + further + 1, second : second + further + 1]
        decided += float(moved[window].sum())
        if decided >= chance:
            return further
        moved[window] = 0.0
        alive = moved
    return None


@lru_cache(maxsize=1)
def _shipped() -> dict[str, NDArray[np.float64]]:
    """Boundaries in the package by key; empty in a source tree in which they were not built."""
    table = files("roboscale.stats") / "tables" / _TABLE
    if not table.is_file():
        return {}
    with np.load(BytesIO(table.read_bytes())) as stored:
        tables = {key: stored[key] for key in stored.files}
    for critical in tables.values():
        critical.flags.writeable = False
    return tables
