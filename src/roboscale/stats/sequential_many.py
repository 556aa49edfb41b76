"""A stop rule for more than two policies on the same cases: each pair stops when it is decided.

Every pair is walked on its own discordant pairs, exactly as two policies are (`roboscale.stats.walk`), and Holm's
procedure shares alpha: the first claim needs the evidence of alpha / m, the next that of alpha / (m - 1), and so on.
A policy whose pairs are all decided needs no further trials; the others go on. With a budget the boundaries spend
alpha; without one the evidence is an e-process and one may stop or go on for any reason.

Cases come in the order of the schedule. With a budget, leave a policy out only once it is not `active`; the e-process
allows it for any reason.

By hand, three policies without a budget, alpha = 1/4. There are m = 3 pairs, so the first claim needs evidence
e >= 3 / alpha = 12, the second 2 / alpha = 8, the third 1 / alpha = 4. A pair's e-process is 1, 1.5, 2.5, 4.375, 7.875
and 14.4375 after 0 or 1, 2, 3, 4, 5 and 6 discordant cases that all went one way. `a` fails everything, `c` solves
everything, `b` fails in the sixth case only:

    case  a-b               a-c               b-c               claims
    5     7.875             7.875             1 (none differ)   none: nobody reaches 12
    6     7.875             14.4375           1                 a-c, with 12; a-b is just below the 8 of the next
    7     14.4375           26.8              1                 a-b, with 8; `a` needs no further case

>>> rule = SequentialMany(["a", "b", "c"], alpha=0.25)
>>> for case in range(1, 8):
...     over = rule.update({"a": False, "b": case != 6, "c": True})
...     if case >= 5:
...         print(case, [f"{p.first} {p.second}" for p in rule.verdict().pairs if p.decided], rule.active)
5 [] ('a', 'b', 'c')
6 ['c a'] ('a', 'b', 'c')
7 ['c a', 'b a'] ('b', 'c')
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Decision, PairedOutcome, Verdict
from roboscale.stats.betting import beta_log_wealth
from roboscale.stats.many import Compared, ManyVerdict, adjusted, assemble, nulls_left
from roboscale.stats.outlook import pairs_for_new_comparison, pairs_until_decision
from roboscale.stats.paired import PairCounts
from roboscale.stats.proportions import beta_confidence_sequence
from roboscale.stats.verdicts import compose_sentence, paired_estimates
from roboscale.stats.walk import boundary, eprocess_thresholds

__all__ = ["SequentialMany"]

_FORECAST_HORIZON = 120


class SequentialMany:
    """All pairs of several policies, looked at after every case; family-wise error at most alpha.

    Args:
        names: of the policies; at least one.
        budget: most cases; `None` for none, which needs more cases and promises nothing.
        alpha: probability of even one claim between two policies that do not differ.
        correction: `holm`, or `shaffer`, which also uses that equality is transitive and is never weaker.
        min_cases: do not stop before so many cases. Never changes alpha.
        level: of the intervals, which are confidence sequences, each by itself.
        curtail: with a budget, give up pairs that no continuation can decide; False to spend it all on the rates.

    Source: Holm, Scand. J. Stat. 6 (1979); Maurer and Bretz, Stat. Biopharm. Res. 5 (2013) for boundaries by level;
    Ville (1939) and Ramdas et al., Statistical Science 38 (2023) for the e-process.
    """

    def __init__(
        self,
        names: Sequence[str],
        *,
        budget: int | None = None,
        alpha: float = 0.05,
        correction: Literal["holm", "shaffer"] = "holm",
        min_cases: int = 1,
        level: float = 0.95,
        curtail: bool = True,
    ) -> None:
        if not names or len(set(names)) != len(names):
            raise ValueError(f"the policies need different names, and there must be one: {', '.join(names)}")
        if not 0 < alpha < 1 or (budget is not None and budget < 1):
            raise ValueError(f"alpha {alpha} must be inside (0, 1) and a budget at least 1, not {budget}")
        self.names, self.budget, self.alpha = tuple(names), budget, alpha
        self.correction, self.min_cases, self.level, self.curtail = correction, min_cases, level, curtail
        pairs = tuple(combinations(self.names, 2))
        m = len(pairs)
        self._left = nulls_left(len(names)) if correction == "shaffer" else tuple(range(m, 0, -1))
        self._counts = dict.fromkeys(pairs, PairCounts())
        self._strength = dict.fromkeys(pairs, 0)
        self._log_e = dict.fromkeys(pairs, 0.0)
        self._ahead: dict[tuple[str, str], Decision] = {}
        self._decisions: dict[tuple[str, str], Decision] = {}
        self._trials = {name: [0, 0, 0] for name in names}  # failures, successes, void
        self._hopeless: frozenset[tuple[str, str]] = frozenset()
        self._cases = 0
        self._over = m == 0

    @property
    def active(self) -> tuple[str, ...]:
        """Policies with a pair that can still be decided: the only ones that the next case needs; empty at the end."""
        if self._over:
            return ()
        undecided = {name for pair in self._counts.keys() - self._settled() for name in pair}
        return tuple(name for name in self.names if name in undecided) or self.names

    def update(self, outcomes: Mapping[str, bool | None]) -> bool:
        """Consumes the next case of the schedule; True when no further trial can be needed.

        Args:
            outcomes: by policy; `None` is void, a policy that was not tried is absent.

        Raises:
            ValueError: an unknown policy.
        """
        unknown = set(outcomes) - set(self.names)
        if unknown:
            raise ValueError(f"{', '.join(sorted(unknown))} are not among the policies {', '.join(self.names)}")
        if self._over:
            return True
        for name, outcome in outcomes.items():
            self._trials[name][2 if outcome is None else int(outcome)] += 1
        # a case counts once two policies have an outcome in it; void ones only show up as void
        valid = {name for name, outcome in outcomes.items() if outcome is not None}
        self._cases += len(valid) > 1
        last = self.budget is not None and self._cases >= self.budget
        for pair in self._counts:
            if pair[0] in outcomes and pair[1] in outcomes:
                now = PairedOutcome("", outcomes[pair[0]], outcomes[pair[1]])
                self._counts[pair] = self._counts[pair].plus(now)
        self._look(last)
        self._hopeless = self._find_hopeless()
        settled = len(self._settled()) == len(self._counts) and self._cases >= self.min_cases
        self._over = last or settled
        return self._over

    def finish(self) -> None:
        """No further case will come, for a reason unrelated to who was winning; with a budget, takes the last look."""
        if not self._over:
            self._look(last=True)
        self._over = True

    def verdict(self) -> ManyVerdict:
        """What the cases so far allow to say about every pair; valid at any time, also before the stop."""
        estimates = {
            name: beta_confidence_sequence(won, won + lost, self.level, void)
            for name, (lost, won, void) in self._trials.items()
        }
        names = sorted(self.names, key=lambda name: (-_or_less(estimates[name].value), name))
        corrected = self._adjusted()
        pairs = [self._compared(a, b, corrected) for a, b in combinations(names, 2)]
        cited = "Shaffer 1986" if self.correction == "shaffer" else "Holm 1979"
        method = f"{self._test} for each pair; family-wise error by {cited}"
        return assemble(names, estimates, pairs, self.alpha, method)

    @property
    def _test(self) -> str:
        if self.budget is None:
            return "beta-mixture e-process (Ville 1939)"
        return "sequential exact paired test (McNemar walk, Lan-DeMets 1983 spending)"

    def _look(self, last: bool) -> None:
        for pair, counts in self._counts.items():
            if counts.n and pair not in self._decisions:
                self._log_e[pair] = max(self._log_e[pair], _log_e(counts))
                strength = self._strength_of(counts, last)
                if strength > self._strength[pair]:
                    # the side is that of the evidence, not that of the later moment at which alpha became free
                    self._strength[pair], self._ahead[pair] = strength, _leader(counts)
        for rank, pair in enumerate(sorted(self._counts, key=lambda pair: -self._strength[pair])):
            if self._strength[pair] < self._left[rank]:
                break
            self._decisions.setdefault(pair, self._ahead[pair])

    def _settled(self) -> set[tuple[str, str]]:
        return self._decisions.keys() | self._hopeless

    def _find_hopeless(self) -> frozenset[tuple[str, str]]:
        """Undecided pairs that no continuation can decide, at the level that is left when all others are decided."""
        if self.budget is None or not self.curtail:
            return frozenset()
        allowed, left = _levels(self.budget, self.alpha, len(self._counts))[2], self.budget - self._cases
        hopeless: frozenset[tuple[str, str]] = frozenset()
        while len(hopeless) < len(self._counts):
            # a pair that stays undecided keeps its share of alpha, so the others end at a smaller level
            level = self._left[len(self._counts) - 1 - len(hopeless)]
            more = frozenset(
                pair
                for pair, counts in self._counts.items()
                if pair not in self._decisions
                and min(counts.first_only, counts.second_only) > allowed[level - 1, counts.discordant + left]
            )
            if more == hopeless:
                break
            hopeless = more
        return hopeless

    def _strength_of(self, counts: PairCounts, last: bool) -> int:
        """The largest k for which the test of this pair at level alpha / k rejects now; 0 for none.

        At alpha = 1/4, e = 14.4 gives k = floor(14.4 / 4) = 3, e = 7.9 gives 1, e = 3 gives 0.
        """
        if self.budget is None:
            # a relative 1e-12, so that e = k / alpha exactly is enough
            return min(len(self._counts), int(self.alpha * np.exp(min(_log_e(counts), 500.0)) * (1 + 1e-12)))
        levels = _levels(self.budget, self.alpha, len(self._counts))[int(last)]
        return int((max(counts.first_only, counts.second_only) >= levels[:, counts.discordant]).sum())

    def _adjusted(self) -> dict[tuple[str, str], float]:
        """Adjusted anytime p-values; empty with a budget, whose test has none."""
        if self.budget is not None:
            return {}
        values = [min(1.0, float(np.exp(-log_e))) for log_e in self._log_e.values()]
        return dict(zip(self._log_e, adjusted(values, self.correction, len(self.names)), strict=True))

    def _compared(self, first: str, second: str, corrected: Mapping[tuple[str, str], float]) -> Compared:
        pair = (first, second) if (first, second) in self._counts else (second, first)
        counts, decision = self._counts[pair], self._decisions.get(pair, "undecided")
        if decision == "undecided" and self._over:
            decision = "no difference shown"
        if pair != (first, second):
            counts, decision = _turned(counts), _FLIP.get(decision, decision)
        estimates = paired_estimates(counts, (first, second), self.level, stopped_by_data=True)
        decided = decision in _FLIP
        basis = f"family-wise error {self.alpha:g}; intervals are {100 * self.level:g} % confidence sequences"
        verdict = Verdict(
            decision=decision,
            sentence=compose_sentence(decision, counts, (first, second), estimates, basis),
            alpha=self.alpha,
            n=counts.n,
            discordant=counts.discordant,
            p_value=float(corrected[pair]) if pair in corrected else None,
            method=self._test,
            needed=None if decided else self._needed(counts),
            estimates=estimates,
        )
        return Compared(first, second, verdict)

    def _needed(self, counts: PairCounts) -> int | None:
        """Further cases that would probably decide the pair, if the evidence had to be what the next claim needs."""
        level = self._left[min(len(self._decisions), len(self._left) - 1)]
        if self._over:
            return pairs_for_new_comparison(counts, self.alpha / level)
        if self.budget is None:
            reach = 100 * ((counts.discordant + _FORECAST_HORIZON) // 100 + 1)
            running = eprocess_thresholds(reach, self.alpha / level)
            horizon, final = _FORECAST_HORIZON, None
        else:
            running, at_end = (rows[level - 1] for rows in _levels(self.budget, self.alpha, len(self._counts))[:2])
            horizon = min(self.budget - self._cases, _FORECAST_HORIZON)
            final = at_end if horizon == self.budget - self._cases else None
        return pairs_until_decision(counts, running, final, horizon)


_FLIP: Mapping[Decision, Decision] = {
    "first is better": "second is better",
    "second is better": "first is better",
}


@lru_cache(maxsize=16)
def _levels(budget: int, alpha: float, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Fewest wins that decide at levels alpha / 1 .. alpha / count: running and at the last case, (count, budget + 1).

    The third are the most losses with which a policy can still win when at most D pairs are discordant, same shape.

    Made nested: a smaller level never decides where a larger one does not. Raising a threshold can only lower its
    error, and with nested tests Holm's argument holds at every case at once.

    For six cases and alpha = 1/4 one pair needs 5 wins of 5 or 6 discordant cases, one of two pairs (alpha = 1/8) all
    of 6. Who may win in the end with at most D discordant cases may lose as often as the third says (-1: never):

    >>> running, final, allowed = _levels(6, 0.25, 2)
    >>> final.tolist()
    [[1, 2, 3, 3, 4, 5, 5], [1, 2, 3, 4, 4, 5, 6]]
    >>> allowed.tolist()
    [[-1, -1, -1, 0, 0, 0, 1], [-1, -1, -1, -1, 0, 0, 0]]
    """
    limits = [boundary(budget, alpha / k) for k in range(1, count + 1)]
    running = np.maximum.accumulate([limit.running for limit in limits], axis=0)
    final = np.maximum.accumulate([limit.final for limit in limits], axis=0)
    allowed = np.maximum.accumulate(np.arange(budget + 1) - final, axis=1)
    return running, final, allowed


def _log_e(counts: PairCounts) -> float:
    return beta_log_wealth(max(counts.first_only, counts.second_only), counts.discordant, 0.5)


def _leader(counts: PairCounts) -> Decision:
    return "second is better" if counts.second_only > counts.first_only else "first is better"


def _turned(counts: PairCounts) -> PairCounts:
    """The same pairs with the policies in the other order."""
    cells = np.reshape(counts.cells, (3, 3)).T.ravel()
    return PairCounts(tuple(int(cell) for cell in cells))


def _or_less(value: float | None) -> float:
    return -1.0 if value is None else value
