"""The designs of a study besides paired blocks: one arm, the best arm, a crossover, a ladder of checkpoints.

Each is a rule that is fed case by case in schedule order, like those of `roboscale.stats.sequential`, whose tests
and intervals it uses. Successes only. Knows nothing of benches; which trial came first is told with the case.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations, pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from roboscale.core import Case, Decision, Design, Estimate, PairedOutcome, Verdict
from roboscale.stats.betting import beta_log_wealth, mixture_log_wealth
from roboscale.stats.many import Compared, ManyVerdict, assemble
from roboscale.stats.paired import PairCounts
from roboscale.stats.proportions import beta_confidence_sequence, clopper_pearson
from roboscale.stats.sequential import SequentialPaired
from roboscale.stats.verdicts import compose_sentence, p_text, paired_estimates, paired_verdict, rate_with_bounds

__all__ = ["BestArm", "Crossover", "DesignRule", "Ladder", "OneArm", "crossover_p_value", "design_rule"]

_HORIZON = 500  # further cases within which a forecast is worth printing
_LEVEL = 0.95  # of the intervals that are shown beside a claim


class DesignRule(Protocol):
    """What a design does with the cases."""

    @property
    def in_play(self) -> tuple[str, ...]:
        """Arms that the next case needs; empty at the end."""

    def update(self, case: Case, outcomes: Mapping[str, bool | None], first: str) -> None:
        """Consumes the next case; `first` is the arm that was tried first, empty where nobody knows."""

    def finish(self) -> None:
        """No further case will come."""

    def verdict(self) -> Verdict | ManyVerdict:
        """What the cases so far allow to say."""


def design_rule(arms: Sequence[str], design: Design) -> DesignRule | None:
    """The rule of a design; `None` for paired blocks, which have the tests of `roboscale.stats.sequential`.

    Raises:
        ValueError: a number of arms, or an outcome, that the design does not have.
    """
    if design.kind == "paired blocks":
        return None
    if design.outcome != "success":
        raise ValueError(f"the design {design.kind} compares success, not {design.outcome}")
    most = {"one arm": 1, "crossover": 2}.get(design.kind, len(arms))
    if not (1 if design.kind == "one arm" else 2) <= len(arms) <= most:
        raise ValueError(f"the design {design.kind} does not have {len(arms)} arms")
    if design.kind == "one arm":
        return OneArm(arms[0], design)
    if design.kind == "best arm":
        return BestArm(arms, design)
    return Crossover((arms[0], arms[1]), design) if design.kind == "crossover" else Ladder(arms, design)


class OneArm:
    """Does one arm succeed on more, or on less, than a share of the cases that was fixed beforehand?

    Sequential: the threshold lies outside the beta confidence sequence at level 1 - alpha, which holds at every case
    at once. Fixed: outside Clopper and Pearson's interval, at the end. `first is better` is the arm above it.
    """

    def __init__(self, arm: str, design: Design) -> None:
        if design.threshold is None:
            raise ValueError("one arm is compared with a threshold")
        self.arm, self.design, self.threshold = arm, design, design.threshold
        self._won = self._n = self._void = self._rows = 0
        self._decision: Decision = "undecided"
        self._over = False

    @property
    def in_play(self) -> tuple[str, ...]:
        return () if self._over else (self.arm,)

    def update(self, case: Case, outcomes: Mapping[str, bool | None], first: str) -> None:
        outcome = outcomes.get(self.arm)
        self._rows += 1
        self._void += outcome is None
        self._n += outcome is not None
        self._won += bool(outcome)
        if self.design.sequential and self._decision == "undecided":
            self._decision = self._look(self._won, self._n)
        decided = self._decision != "undecided" and self._n >= self.design.min_cases
        if decided or self._rows >= self.design.budget:
            self.finish()

    def finish(self) -> None:
        if self._decision == "undecided":
            self._decision = self._look(self._won, self._n)
        if self._decision == "undecided":
            self._decision = "no difference shown"
        self._over = True

    def _look(self, won: int, n: int) -> Decision:
        """Which side of the threshold the interval lies on."""
        if not n or won == self.threshold * n:
            return "undecided"
        side: Decision = "first is better" if won > self.threshold * n else "second is better"
        if self.design.sequential:  # what `beta_confidence_sequence` inverts, without its search for the bounds
            return side if beta_log_wealth(won, n, self.threshold) >= -math.log(self.design.alpha) else "undecided"
        rate = clopper_pearson(won, n, 1 - self.design.alpha)
        assert rate.low is not None and rate.high is not None, "there are trials"
        return side if not rate.low <= self.threshold <= rate.high else "undecided"

    def _rate(self, won: int, n: int) -> Estimate:
        interval = beta_confidence_sequence if self.design.sequential else clopper_pearson
        return interval(won, n, 1 - self.design.alpha, self._void)

    def verdict(self) -> Verdict:
        rate = self._rate(self._won, self._n)
        than = f"{self.threshold:g} of cases"
        claim = {
            "first is better": f"{self.arm} succeeds on more than {than}",
            "second is better": f"{self.arm} succeeds on less than {than}",
        }.get(self._decision, f"{self.arm} is not shown to succeed on more or on less than {than}")
        void = f", {self._void} void" if self._void else ""
        basis = f"{rate.method}, alpha {self.design.alpha:g}{void}"
        return Verdict(
            decision=self._decision,
            sentence=f"{claim}: {rate_with_bounds(rate)} on {self._n} cases ({basis})",
            alpha=self.design.alpha,
            n=self._n,
            discordant=0,
            p_value=None,
            method=f"one arm against the threshold {self.threshold:g}: {rate.method}",
            needed=self._needed(),
            estimates={self.arm: rate},
        )

    def _needed(self) -> int | None:
        """Further cases at which the interval would leave the threshold, if the rate so far is typical."""
        if self._decision in ("first is better", "second is better") or not self._n:
            return None
        rate = self._won / self._n
        ahead = range(1, _HORIZON + 1)
        return next((k for k in ahead if self._look(round(rate * (self._n + k)), self._n + k) != "undecided"), None)


class BestArm:
    """Which arm is the best, or at most a margin below the best?

    The difference of every pair has a confidence sequence by betting at level 1 - alpha / pairs; with probability
    1 - alpha all of them hold at every case at once. An arm whose difference to another is below zero leaves. An arm
    is named once no arm that is left can be more than the margin above it.

    Source: Even-Dar, Mannor and Mansour, JMLR 7 (2006); Waudby-Smith and Ramdas, JRSS-B 86 (2024) for the bounds.
    """

    def __init__(self, arms: Sequence[str], design: Design) -> None:
        if design.margin is None:
            raise ValueError("the best arm needs a margin of indifference")
        self.arms, self.design, self.margin = tuple(arms), design, design.margin
        self._counts = dict.fromkeys(combinations(self.arms, 2), PairCounts())
        self._trials = {arm: [0, 0, 0] for arm in self.arms}  # failures, successes, void
        self._limit = math.log(len(self._counts) / design.alpha)
        self._worse: dict[str, str] = {}  # arm -> one that is better
        self._near: set[tuple[str, str]] = set()  # the first is at most the margin above the second
        self._rows = 0
        self._over = False

    @property
    def left(self) -> tuple[str, ...]:
        """Arms that no other was shown to be better than."""
        return tuple(arm for arm in self.arms if arm not in self._worse)

    @property
    def winner(self) -> str | None:
        """The arm that is named; `None` while it cannot be said."""
        fits = [a for a in self.left if all((b, a) in self._near for b in self.left if b != a)]
        return max(fits, key=self._share, default=None)

    @property
    def in_play(self) -> tuple[str, ...]:
        return () if self._over else self.left

    def update(self, case: Case, outcomes: Mapping[str, bool | None], first: str) -> None:
        for arm, outcome in outcomes.items():
            self._trials[arm][2 if outcome is None else int(outcome)] += 1
        for a, b in self._counts:
            if a in outcomes and b in outcomes:
                self._counts[a, b] = self._counts[a, b].plus(PairedOutcome("", outcomes[a], outcomes[b]))
                if self.design.sequential:
                    self._look(a, b)
        self._rows += 1
        decided = self.winner is not None and self._rows >= self.design.min_cases
        if decided or self._rows >= self.design.budget:
            self.finish()

    def finish(self) -> None:
        if not self.design.sequential:
            for a, b in self._counts:
                self._look(a, b)
        self._over = True

    def _look(self, a: str, b: str) -> None:
        counts = self._counts[a, b]
        for ahead, behind, wins, losses in (
            (a, b, counts.first_only, counts.second_only),
            (b, a, counts.second_only, counts.first_only),
        ):
            if _above(wins, losses, counts.n, 0.0, self._limit):
                self._worse.setdefault(behind, ahead)
            if _above(wins, losses, counts.n, -self.margin, self._limit):
                self._near.add((behind, ahead))

    def _share(self, arm: str) -> float:
        lost, won, _ = self._trials[arm]
        return won / (won + lost) if won + lost else -1.0

    def verdict(self) -> ManyVerdict:
        estimates = {
            arm: beta_confidence_sequence(won, won + lost, _LEVEL, void)
            for arm, (lost, won, void) in self._trials.items()
        }
        names = sorted(self.arms, key=lambda arm: (-self._share(arm), arm))
        method = (
            f"best arm with a margin of {self.margin:g}: paired differences by betting (Waudby-Smith, Ramdas 2024), "
            "Bonferroni"
        )
        pairs = [self._compared(a, b, method) for a, b in combinations(names, 2)]
        many = assemble(names, estimates, pairs, self.design.alpha, method)
        best = (self.winner,) if self.winner is not None else self.left
        return replace(many, best=best, sentence=self._sentence(names, estimates))

    def _sentence(self, names: Sequence[str], estimates: Mapping[str, Estimate]) -> str:
        winner, left = self.winner, self.left
        if winner is None:
            claim = f"No arm is shown to be at most {self.margin:g} below the best; left are {', '.join(left)}"
        elif len(left) == 1:
            claim = f"{winner} is the best of {len(self.arms)} arms"
        else:
            claim = f"{winner} is the best of {len(self.arms)} arms, or at most {self.margin:g} below it"
        rates = ", ".join(f"{name} {rate_with_bounds(estimates[name])}" for name in names)
        return f"{claim}: {rates} (paired differences by betting, family-wise error {self.design.alpha:g})"

    def _compared(self, a: str, b: str, method: str) -> Compared:
        turned = (a, b) not in self._counts
        counts = self._counts[b, a] if turned else self._counts[a, b]
        if turned:
            counts = PairCounts(tuple(int(c) for c in np.reshape(counts.cells, (3, 3)).T.ravel()))
        decision: Decision = "no difference shown" if self._over else "undecided"
        if self._worse.get(b) == a or _above(counts.first_only, counts.second_only, counts.n, 0.0, self._limit):
            decision = "first is better"
        elif self._worse.get(a) == b or _above(counts.second_only, counts.first_only, counts.n, 0.0, self._limit):
            decision = "second is better"
        estimates = paired_estimates(counts, (a, b), _LEVEL, stopped_by_data=True)
        basis = f"margin {self.margin:g}, family-wise error {self.design.alpha:g}"
        open_ = a in self.left and b in self.left and not {(a, b), (b, a)} & self._near
        return Compared(
            a,
            b,
            Verdict(
                decision=decision,
                sentence=compose_sentence(decision, counts, (a, b), estimates, basis),
                alpha=self.design.alpha,
                n=counts.n,
                discordant=counts.discordant,
                p_value=None,
                method=method,
                needed=self._needed(counts) if open_ else None,
                estimates=estimates,
            ),
        )

    def _needed(self, counts: PairCounts) -> int | None:
        """Further cases after which one would be at most the margin above the other, if these are typical."""
        wins, losses = sorted((counts.first_only, counts.second_only), reverse=True)
        for more in range(1, _HORIZON + 1) if counts.n else ():
            scale = (counts.n + more) / counts.n
            if _above(round(wins * scale), round(losses * scale), counts.n + more, -self.margin, self._limit):
                return more
        return None


def _above(wins: int, losses: int, n: int, value: float, limit: float) -> bool:
    """Whether the mean of n differences, of which `wins` are 1 and `losses` -1, is shown to lie above `value`."""
    if not n or (wins - losses) / n <= value or value <= -1:
        return value <= -1
    return mixture_log_wealth((0.0, 0.5, 1.0), (losses, n - wins - losses, wins), (1 + value) / 2) >= limit


class Ladder:
    """Checkpoints of one training in order: each is compared with the one before it, and with no other.

    The sequential exact paired test (or the exact one, at the end) at alpha divided by the number of steps.
    """

    def __init__(self, arms: Sequence[str], design: Design) -> None:
        self.arms, self.design = tuple(arms), design
        self._steps = tuple(pairwise(self.arms))
        self._alpha = design.alpha / len(self._steps)
        self._rules = {
            step: SequentialPaired(
                budget=design.budget, alpha=self._alpha, names=step, min_pairs=min(design.min_cases, design.budget)
            )
            for step in self._steps
        }
        self._pairs: dict[tuple[str, str], list[PairedOutcome]] = {step: [] for step in self._steps}
        self._trials = {arm: [0, 0, 0] for arm in self.arms}
        self._open = set(self._steps)
        self._rows = 0

    @property
    def in_play(self) -> tuple[str, ...]:
        needed = {arm for step in self._open for arm in step}
        return tuple(arm for arm in self.arms if arm in needed)

    def update(self, case: Case, outcomes: Mapping[str, bool | None], first: str) -> None:
        for arm, outcome in outcomes.items():
            self._trials[arm][2 if outcome is None else int(outcome)] += 1
        for step in self._steps:
            if step in self._open and all(arm in outcomes for arm in step):
                pair = PairedOutcome(case.task, outcomes[step[0]], outcomes[step[1]])
                self._pairs[step].append(pair)
                if self.design.sequential and self._rules[step].update(pair):
                    self._open.discard(step)
        self._rows += 1
        if self._rows >= self.design.budget:
            self.finish()

    def finish(self) -> None:
        for step in self._open:
            self._rules[step].finish()
        self._open.clear()

    def verdict(self) -> ManyVerdict:
        interval = beta_confidence_sequence if self.design.sequential else clopper_pearson
        estimates = {arm: interval(won, won + lost, _LEVEL, void) for arm, (lost, won, void) in self._trials.items()}
        pairs = [Compared(*step, self._of(step)) for step in self._steps]
        method = f"{pairs[0].verdict.method} for each step of the ladder; family-wise error by Bonferroni"
        many = assemble(self.arms, estimates, pairs, self.design.alpha, method)
        # who shares a letter was not shown to differ; of steps that nobody compared, no letter can say so
        return replace(many, letters=dict.fromkeys(self.arms, ""), sentence=self._sentence(pairs, estimates))

    def _of(self, step: tuple[str, str]) -> Verdict:
        if self.design.sequential:
            return self._rules[step].verdict()
        verdict = paired_verdict(self._pairs[step], self._alpha, step)
        return replace(verdict, decision="undecided") if self._open else verdict

    def _sentence(self, pairs: Sequence[Compared], estimates: Mapping[str, Estimate]) -> str:
        said = {
            "first is better": "{1} is worse than {0} before it",
            "second is better": "{1} is better than {0} before it",
        }
        claims = [
            said.get(p.verdict.decision, "no difference is shown between {0} and {1}").format(p.first, p.second)
            for p in pairs
        ]
        rates = ", ".join(f"{arm} {rate_with_bounds(estimates[arm])}" for arm in self.arms)
        return f"{'; '.join(claims)}: {rates} (steps of a ladder, family-wise error {self.design.alpha:g})"


class Crossover:
    """Two arms on scenes that carry over: what the first trial of a pair leaves behind may help or harm the second.

    Half of the cases, drawn, begin with either arm. Of the pairs that one arm alone solved, it is asked whether the
    trial that was first won as often where it was the one arm's as where it was the other's: exact given the draw,
    with any advantage of being first or second that is the same for both arms. Tested once, at the end.

    Source: Mainland (1963); Gart, Biometrika 56 (1969); Senn, Cross-over Trials in Clinical Research (2002), 4.
    """

    def __init__(self, arms: tuple[str, str], design: Design) -> None:
        self.arms, self.design = arms, design
        self._counts = {first: PairCounts() for first in arms}  # by who was tried first
        self._over = False
        self._rows = self._nobody_knows = 0

    @property
    def in_play(self) -> tuple[str, ...]:
        return () if self._over else self.arms

    def update(self, case: Case, outcomes: Mapping[str, bool | None], first: str) -> None:
        a, b = self.arms
        if first in self.arms:
            self._counts[first] = self._counts[first].plus(PairedOutcome(case.task, outcomes.get(a), outcomes.get(b)))
        else:
            self._nobody_knows += 1  # while trials run, only the end is asked for
        self._rows += 1
        self._over = self._over or self._rows >= self.design.budget

    def finish(self) -> None:
        self._over = True

    def verdict(self) -> Verdict:
        if self._nobody_knows:
            raise ValueError("a crossover has to know which arm was tried first")
        a, b = self.arms
        cells = zip(self._counts[a].cells, self._counts[b].cells, strict=True)
        both = PairCounts(tuple(x + y for x, y in cells))
        p_value, ahead = self._test()
        decision: Decision = "no difference shown" if self._over else "undecided"
        if self._over and p_value <= self.design.alpha:
            decision = "first is better" if ahead > 0 else "second is better"
        estimates = paired_estimates(both, self.arms, _LEVEL, stopped_by_data=False) | self._by_place()
        basis = (
            f"crossover, exact test of Mainland and Gart, {p_text(p_value)}, alpha {self.design.alpha:g}; "
            f"intervals are {100 * _LEVEL:g} % Clopper-Pearson"
        )
        return Verdict(
            decision=decision,
            sentence=compose_sentence(decision, both, self.arms, estimates, basis),
            alpha=self.design.alpha,
            n=both.n,
            discordant=both.discordant,
            p_value=p_value,
            method="crossover, exact test of Mainland and Gart (Biometrika 1969)",
            estimates=estimates,
        )

    def _test(self) -> tuple[float, float]:
        """P-value, and by how much more often the first trial won where it was the first arm's."""
        a, b = self._counts[self.arms[0]], self._counts[self.arms[1]]
        first_won = a.first_only, b.second_only
        second_won = a.second_only, b.first_only
        shares = [x / (x + y) if x + y else 0.5 for x, y in zip(first_won, second_won, strict=True)]
        return crossover_p_value(first_won, second_won), shares[0] - shares[1]

    def _by_place(self) -> dict[str, Estimate]:
        """The rate of either arm where it was tried first, and where second: what being second costs it."""
        rates = {}
        for place, arm in enumerate(self.arms):
            for said, first in (("tried first", arm), ("tried second", self.arms[1 - place])):
                won, lost, void = self._counts[first].side("first" if place == 0 else "second")
                rates[f"{arm}, {said}"] = clopper_pearson(won, won + lost, _LEVEL, void)
        return rates


def crossover_p_value(first_won: tuple[int, int], second_won: tuple[int, int]) -> float:
    """Two-sided exact p-value that being first helps as much in both orders (Fisher's test on discordant pairs).

    Args:
        first_won, second_won: of either order, pairs that the trial which came first, or second, alone solved.

    >>> round(crossover_p_value((8, 1), (0, 7)), 4)
    0.0014
    """
    (a, b), (c, d) = first_won, second_won
    total, wins, left = a + b + c + d, a + b, a + c
    if not total:
        return 1.0
    k = np.arange(max(0, wins + left - total), min(wins, left) + 1)
    chances = np.exp(_log_choose(left, k) + _log_choose(total - left, wins - k) - _log_choose(total, np.array([wins])))
    return float(min(1.0, chances[chances <= chances[k == a] * (1 + 1e-9)].sum()))


def _log_choose(n: int, k: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1))
