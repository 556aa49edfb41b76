"""From evidence to a verdict, the same way while trials run, in a report and after a merge.

`decide` walks the cases in schedule order with the rule that the design names. It consumes a case when every policy
that is still in play has an outcome there, and no case behind the first that is incomplete.

Void trials are no evidence, but they can hide some: a policy whose hard cases break would gain from it. So a claim is
made only when it also holds in the worst case for it, with the winner's void trials counted as failures and the
loser's as successes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from roboscale.core import Case, Decision, Design, Estimate, Evidence, EvidenceRow, OutcomeKind, PairedOutcome, Verdict
from roboscale.stats.betting import bounded_mean_sequence
from roboscale.stats.designs import design_rule
from roboscale.stats.many import Compared, ManyVerdict, assemble, compare_many_paired
from roboscale.stats.progress import EProcessProgress
from roboscale.stats.proportions import beta_confidence_sequence, clopper_pearson
from roboscale.stats.sequential import SequentialPaired
from roboscale.stats.sequential_many import SequentialMany
from roboscale.stats.verdicts import paired_verdict

__all__ = ["AnyVerdict", "Decided", "Decider", "decide", "rate_of", "rests_on_voids", "without_void_claims"]

AnyVerdict = Verdict | ManyVerdict
"""Of two policies, or of all pairs of several."""
_CLAIMS = ("first is better", "second is better")
_TURNED: Mapping[Decision, Decision] = {"first is better": "second is better", "second is better": "first is better"}


@dataclass(frozen=True, slots=True)
class Decided:
    """A verdict and how much of the evidence it rests on.

    Args:
        verdict: what may be claimed.
        used: cases consumed, from the first of the schedule; what was tried behind them does not count.
        stopped: whether the rule needed no further case.
        withdrawn: claims that the counted trials allow and the void ones forbid, a sentence each.
    """

    verdict: AnyVerdict
    used: int
    stopped: bool
    withdrawn: tuple[str, ...] = ()


class Decider:
    """A stop rule for 2..N policies, made from a design.

    Two policies are compared by the sequential exact paired test, more by the same test on every pair with Holm's
    share of alpha; progress by an e-process on paired differences, with more than two policies at alpha divided by
    the number of pairs (Bonferroni). A design that is not sequential tests once, at the end. Other kinds of design
    have rules of their own (`roboscale.stats.designs`).

    Args:
        policies: labels, in the order of the question.
        design: how it is decided.
    """

    def __init__(self, policies: Sequence[str], design: Design) -> None:
        self.policies, self.design = tuple(policies), design
        self._rows: list[Mapping[str, float | None]] = []
        self._pairs = tuple(combinations(self.policies, 2))
        self._over = False
        self._own = design_rule(self.policies, design)
        self._rule = None if self._own is not None else self._make_rule()

    def _make_rule(self) -> SequentialPaired | SequentialMany | None:
        design = self.design
        if design.outcome == "progress":
            share = design.alpha / len(self._pairs)
            self._progress = {
                pair: EProcessProgress(alpha=share, names=pair, min_pairs=design.min_cases) for pair in self._pairs
            }
            return None
        if not design.sequential:
            return None
        if len(self.policies) == 2:
            names = (self.policies[0], self.policies[1])
            return SequentialPaired(budget=design.budget, alpha=design.alpha, names=names, min_pairs=design.min_cases)
        return SequentialMany(self.policies, budget=design.budget, alpha=design.alpha, min_cases=design.min_cases)

    @property
    def in_play(self) -> tuple[str, ...]:
        """Policies that the next case needs; empty at the end."""
        if self._over or len(self._rows) >= self.design.budget:
            return ()
        if self._own is not None:
            return self._own.in_play
        if isinstance(self._rule, SequentialMany):
            return self._rule.active
        if self.design.outcome == "progress" and self.design.sequential:
            enough = len(self._rows) >= self.design.min_cases
            open_ = {name for pair, rule in self._progress.items() if rule.decision == "undecided" for name in pair}
            return tuple(p for p in self.policies if p in open_) if enough else self.policies
        return self.policies

    def update(self, case: Case, outcomes: Mapping[str, float | None], first: str = "") -> tuple[str, ...]:
        """Consumes the next case of the schedule; the policies still in play.

        Args:
            first: the policy that was tried first, which a crossover is about.
        """
        if not self.in_play:
            return ()
        self._rows.append(dict(outcomes))
        if self._own is not None:
            self._own.update(case, {name: _flag(value) for name, value in outcomes.items()}, first)
        elif self.design.outcome == "progress":
            for (first, second), rule in self._progress.items():
                if first in outcomes and second in outcomes:
                    rule.update(outcomes[first], outcomes[second])
        elif self._rule is not None:
            self._over = self._consume(case, {name: _flag(value) for name, value in outcomes.items()})
        return self.in_play

    def _consume(self, case: Case, flags: Mapping[str, bool | None]) -> bool:
        if isinstance(self._rule, SequentialMany):
            return self._rule.update(flags)
        assert self._rule is not None, "a fixed design has no rule"
        first, second = self.policies
        return self._rule.update(PairedOutcome(case.task, flags[first], flags[second]))

    def finish(self) -> None:
        """No further case will come, for a reason unrelated to who was winning."""
        if self._own is not None:
            self._own.finish()
        elif self.design.outcome == "progress":
            for rule in self._progress.values():
                rule.finish()
        elif self._rule is not None:
            self._rule.finish()
        self._over = True

    def verdict(self) -> AnyVerdict:
        """What the cases so far allow to say."""
        if self._own is not None:
            return self._own.verdict()
        if self.design.outcome == "progress":
            return self._progress_verdict()
        if self._rule is not None:
            return self._rule.verdict()
        flags = {p: [_flag(row.get(p)) for row in self._rows] for p in self.policies}
        if len(self.policies) > 2:
            return compare_many_paired(flags, self.design.alpha)
        first, second = self.policies
        pairs = [PairedOutcome("", a, b) for a, b in zip(flags[first], flags[second], strict=True)]
        return paired_verdict(pairs, self.design.alpha, (first, second))

    def _progress_verdict(self) -> AnyVerdict:
        verdicts = {pair: rule.verdict() for pair, rule in self._progress.items()}
        if len(self._pairs) == 1:
            return verdicts[self._pairs[0]]
        values = {p: [row.get(p) for row in self._rows if p in row] for p in self.policies}
        estimates = {p: rate_of(values[p], kind="progress", sequential=True) for p in self.policies}
        names = sorted(self.policies, key=lambda p: -(estimates[p].value or 0.0))
        compared = [_ordered(a, b, verdicts) for a, b in combinations(names, 2)]
        method = f"{compared[0].verdict.method} for each pair; family-wise error by Bonferroni"
        return assemble(names, estimates, compared, self.design.alpha, method)


def _ordered(first: str, second: str, verdicts: Mapping[tuple[str, str], Verdict]) -> Compared:
    """The verdict on a pair, turned where it was computed the other way round."""
    if (first, second) in verdicts:
        return Compared(first, second, verdicts[first, second])
    verdict = verdicts[second, first]
    return Compared(first, second, replace(verdict, decision=_TURNED.get(verdict.decision, verdict.decision)))


def _flag(value: float | None) -> bool | None:
    return None if value is None else bool(value)


def decide(evidence: Evidence, *, final: bool = True) -> Decided:
    """What the evidence allows to say.

    Args:
        evidence: with a design.
        final: no further case will come. Otherwise an unfinished comparison stays undecided.

    Raises:
        ValueError: the evidence has no design.
    """
    if evidence.design is None:
        raise ValueError("evidence without a design compares nothing")
    decider, used = _walk(evidence.policies, evidence.design, evidence.rows)
    stopped = not decider.in_play
    if final:
        decider.finish()
    verdict, withdrawn = without_void_claims(decider.verdict(), evidence, used)
    return Decided(verdict, used, stopped, withdrawn)


def _walk(policies: Sequence[str], design: Design, rows: Sequence[EvidenceRow]) -> tuple[Decider, int]:
    """Feeds the rows in order, up to the stop or to the first case that is not complete."""
    decider = Decider(policies, design)
    used = 0
    for row in rows:
        needed = decider.in_play
        if not needed or any(p not in row.outcomes for p in needed):
            break
        decider.update(row.case, {p: row.outcomes[p] for p in needed}, row.first)
        used += 1
    return decider, used


def without_void_claims(verdict: AnyVerdict, evidence: Evidence, used: int) -> tuple[AnyVerdict, tuple[str, ...]]:
    """The verdict without the claims that its void trials could overturn, and a sentence for each of those.

    Args:
        used: rows that the verdict rests on.
    """
    rows = evidence.rows[:used]
    if not any(value is None for row in rows for value in row.outcomes.values()):
        return verdict, ()
    assert evidence.design is not None, "a claim has a design"
    if evidence.design.kind != "paired blocks":
        verdict, why = _checked_design(verdict, evidence, rows)
        if isinstance(verdict, Verdict) or why:
            return verdict, (why,) if why else ()
    if isinstance(verdict, Verdict):
        first, second = evidence.policies
        kept, why = _checked(Compared(first, second, verdict), evidence, rows)
        return kept.verdict, (why,) if why else ()
    checked = [_checked(pair, evidence, rows) for pair in verdict.pairs]
    withdrawn = tuple(why for _, why in checked if why)
    if not withdrawn:
        return verdict, ()
    pairs = [pair for pair, _ in checked]
    kept_pairs = assemble(verdict.names, verdict.estimates, pairs, verdict.alpha, verdict.method)
    if evidence.design.kind == "ladder":
        kept_pairs = replace(kept_pairs, letters=verdict.letters)
    return kept_pairs, withdrawn


def _checked_design(verdict: AnyVerdict, evidence: Evidence, rows: Sequence[EvidenceRow]) -> tuple[AnyVerdict, str]:
    """What a design claims as a whole, or the verdict without it and why: void trials are turned against the claim."""
    assert evidence.design is not None, "a claim has a design"
    design = replace(evidence.design, min_cases=len(rows))
    ahead = _claimed(verdict, evidence.policies)
    if ahead is None:
        return verdict, ""
    below = isinstance(verdict, Verdict) and len(evidence.policies) == 1 and verdict.decision == "second is better"
    against = {p: float(below if p == ahead else True) for p in evidence.policies}
    imputed = [
        EvidenceRow(r.case, {p: against[p] if v is None else v for p, v in r.outcomes.items()}, r.first) for r in rows
    ]
    decider, _ = _walk(evidence.policies, design, imputed)
    decider.finish()
    again = decider.verdict()
    same = _claimed(again, evidence.policies) == ahead
    if same and (
        isinstance(verdict, ManyVerdict) or (isinstance(again, Verdict) and again.decision == verdict.decision)
    ):
        return verdict, ""
    void = {p: sum(r.outcomes.get(p, 0.0) is None for r in rows) for p in evidence.policies}
    counts = ", ".join(f"{count} of {p}" for p, count in void.items() if count)
    reason = f"what is claimed of {ahead} rests on void trials ({counts}): counted against it, nothing is shown"
    if isinstance(verdict, Verdict):
        return replace(verdict, decision="undecided", sentence=f"Undecided: {reason}"), reason
    return replace(verdict, best=verdict.names, sentence=f"Undecided: {reason}"), reason


def _claimed(verdict: AnyVerdict, policies: Sequence[str]) -> str | None:
    """Whom a design as a whole claims something of; a ladder claims its steps alone."""
    if isinstance(verdict, ManyVerdict):
        return verdict.best[0] if verdict.method.startswith("best arm") and len(verdict.best) == 1 else None
    if verdict.decision not in _CLAIMS:
        return None
    return policies[-1] if verdict.decision == "second is better" else policies[0]


def _checked(pair: Compared, evidence: Evidence, rows: Sequence[EvidenceRow]) -> tuple[Compared, str]:
    """A pair's claim, or the pair without it and why."""
    if not pair.decided:
        return pair, ""
    ahead, behind = pair.first, pair.second
    if pair.verdict.decision == "second is better":
        ahead, behind = behind, ahead
    worst = {ahead: 0.0, behind: 1.0}
    imputed = [
        EvidenceRow(r.case, {p: worst[p] if v is None else v for p, v in r.outcomes.items() if p in worst})
        for r in rows
        if ahead in r.outcomes and behind in r.outcomes
    ]
    void = {p: sum(r.outcomes.get(p, 0.0) is None for r in rows) for p in (ahead, behind)}
    if not any(void.values()):
        return pair, ""
    assert evidence.design is not None, "a claim has a design"
    many = len(evidence.policies)
    pairs = many - 1 if evidence.design.kind == "ladder" else many * (many - 1) // 2
    design = replace(
        evidence.design, kind="paired blocks", alpha=evidence.design.alpha / pairs, min_cases=len(imputed)
    )
    decider, _ = _walk((ahead, behind), design, imputed)
    decider.finish()
    again = decider.verdict()
    assert isinstance(again, Verdict), "two policies have one verdict"
    if again.decision == "first is better":
        return pair, ""
    reason = rests_on_voids(ahead, behind, void)
    sentence = f"Undecided between {pair.first} and {pair.second}: {reason}"
    return replace(pair, verdict=replace(pair.verdict, decision="undecided", sentence=sentence)), reason


def rests_on_voids(ahead: str, behind: str, void: Mapping[str, int]) -> str:
    """Why a claim is withdrawn; `void` holds the number of void trials of both."""
    return (
        f"{ahead} did better than {behind} where both were counted, but that rests on {void[ahead]} void trials of "
        f"{ahead} and {void[behind]} of {behind}: counted against it, nothing is shown"
    )


def rate_of(
    outcomes: Sequence[float | None],
    *,
    kind: OutcomeKind = "success",
    sequential: bool = False,
    level: float = 0.95,
) -> Estimate:
    """The success rate, or mean progress, with the interval that fits how the trials came to an end.

    Args:
        outcomes: one for every trial; `None` is void.
        sequential: whether their number depended on the results; then the interval is a confidence sequence.

    Source: Clopper and Pearson 1934; Waudby-Smith and Ramdas, JRSS-B 86 (2024).
    """
    counted = [value for value in outcomes if value is not None]
    void = len(outcomes) - len(counted)
    if kind == "success":
        interval = beta_confidence_sequence if sequential else clopper_pearson
        return interval(round(sum(counted)), len(counted), level, void)
    method = "mean progress; confidence sequence by betting (Waudby-Smith, Ramdas 2024)"
    if not counted:
        return Estimate(value=None, low=None, high=None, level=level, n=0, method=method, void=void)
    low, high = bounded_mean_sequence(counted, [1] * len(counted), level)
    return Estimate(
        value=sum(counted) / len(counted), low=low, high=high, level=level, n=len(counted), method=method, void=void
    )
