"""From results of many policies to where they stand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from typing import Literal

import numpy as np

from roboscale.core import Case, Counted, Design, Estimate, Evidence, EvidenceRow, RoboscaleError
from roboscale.jobs.result_files import trials_by_policy
from roboscale.results import Results
from roboscale.stats import beta_confidence_sequence, clopper_pearson
from roboscale.stats.bradley_terry import Comparisons, compare_by_case, count_comparisons
from roboscale.stats.deciding import rests_on_voids, without_void_claims
from roboscale.stats.letters import letters
from roboscale.stats.many import ManyVerdict, assemble, compare_many, compare_many_paired
from roboscale.stats.rank_sets import Ranking, SetMethod, rank_policies, rank_sets, tie_groups

__all__ = ["Basis", "Standing", "choose_basis", "comparisons_of", "standing_of"]

Basis = Literal["auto", "success", "progress", "preference"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where the policies stand.

    Args:
        basis: what was compared: `success`, `progress` or `preference`.
        verdict: pairwise claims with letters, where successes were counted and their number was fixed.
        rates: policy -> success rate; empty where nobody counted successes.
        per_task: (policy, task) -> success rate.
        withdrawn: claims that the counted trials allow and the void ones forbid, a sentence each.
    """

    basis: str
    ranking: Ranking
    rates: Mapping[str, Estimate]
    per_task: Mapping[tuple[str, str], Estimate]
    verdict: ManyVerdict | None = None
    withdrawn: tuple[str, ...] = ()

    @property
    def letters(self) -> Mapping[str, str]:
        """Policies that share a letter were not shown to differ."""
        if self.verdict is not None:
            return self.verdict.letters
        names = list(self.ranking.order) or sorted(self.ranking.policies)
        sets = self.ranking.rank_sets
        apart = [(a, b) for a, b in combinations(names, 2) if sets[a][1] < sets[b][0] or sets[b][1] < sets[a][0]]
        return letters(names, apart)


def _rate(trials: Sequence[Counted], level: float, adaptive: bool) -> Estimate:
    """The success rate; a confidence sequence where results decided how many trials there are."""
    counted = [t.outcome.success for t in trials if t.outcome.success is not None]
    interval = beta_confidence_sequence if adaptive else clopper_pearson
    return interval(sum(counted), len(counted), level, len(trials) - len(counted))


def _key(trial: Counted) -> str:
    return f"{trial.world.name}/{trial.case.id}"


def _final(results: Results) -> dict[str, dict[str, Counted]]:
    """Policy -> case -> its last attempt."""
    final: dict[str, dict[str, Counted]] = {}
    for name, trials in trials_by_policy(results).items():
        final[name] = {_key(t): t for t in sorted(trials, key=lambda t: t.attempt)}
    return final


def choose_basis(results: Results, basis: Basis) -> str:
    """What to compare by: `auto` takes preferences where there are any, successes otherwise."""
    if basis != "auto":
        return basis
    if results.comparisons:
        return "preference"
    return "success"


def comparisons_of(results: Results, basis: str) -> Comparisons:
    """Wins and ties of each pair; RoboscaleError when the results hold nothing of that kind."""
    if basis == "preference":
        if not results.comparisons:
            raise RoboscaleError(f"{results.source} holds no preferences; it has {len(results.trials)} trials")
        rows = results.comparisons
        return count_comparisons([r.first for r in rows], [r.second for r in rows], [r.outcome for r in rows])
    if not results.trials:
        raise RoboscaleError(f"{results.source} holds no trials; it has {len(results.comparisons)} preferences")
    return compare_by_case(_scores(results, basis))


Scores = Mapping[str, Mapping[str, float | None]]
"""Policy -> case -> success as 0 or 1, or progress; `None` where void."""


def _scores(results: Results, basis: str) -> Scores:
    if basis == "progress":
        return {p: {c: t.outcome.progress for c, t in trials.items()} for p, trials in _final(results).items()}
    return {p: {c: t.outcome.success for c, t in trials.items()} for p, trials in _final(results).items()}


class _Worst:
    """Whether claims stand when the void trials of who is ahead count as failures, and the other's as successes."""

    def __init__(self, scores: Scores, level: float, sets: SetMethod) -> None:
        pairs = len(scores) * (len(scores) - 1) / 2
        self._scores, self._level, self._sets = scores, 1 - (1 - level) / max(pairs, 1), sets
        self.withdrawn: list[str] = []

    def stands(self, ahead: str, behind: str) -> bool:
        """Asked for each claim."""
        shared = self._scores[ahead].keys() & self._scores[behind].keys()
        void = {p: sum(self._scores[p][case] is None for case in shared) for p in (ahead, behind)}
        if not any(void.values()):
            return True
        worst = {ahead: 0.0, behind: 1.0}
        imputed = {
            p: {case: worst[p] if self._scores[p][case] is None else self._scores[p][case] for case in shared}
            for p in (ahead, behind)
        }
        ranking = rank_policies(compare_by_case(imputed), self._level, sets=self._sets)
        if ranking.rank_sets[ahead] == (1, 1):
            return True
        self.withdrawn.append(rests_on_voids(ahead, behind, void))
        return False


def standing_of(
    results: Results, basis: Basis = "auto", level: float = 0.95, sets: SetMethod | None = None
) -> Standing:
    """The board: rank sets, scores, rates and letters, from whatever the results hold.

    Trials whose cases cannot be recognised are compared as independent ones; then there are no scores, only claims.
    Where results decided which trials came next, only anytime-valid sets are honest, and they are the default.
    """
    sets = sets or ("anytime" if results.adaptive else "holm")
    chosen = choose_basis(results, basis)
    rates = {name: _rate(trials, level, results.adaptive) for name, trials in trials_by_policy(results).items()}
    tasks: dict[tuple[str, str], list[Counted]] = defaultdict(list)
    for name, trials in trials_by_policy(results).items():
        for trial in trials:
            tasks[name, trial.case.task].append(trial)
    per_task = {key: _rate(trials, level, results.adaptive) for key, trials in tasks.items()}
    told = partial(Standing, basis=chosen, rates=rates, per_task=per_task)
    if chosen == "preference":
        return told(ranking=rank_policies(comparisons_of(results, chosen), level, sets=sets))
    worst = _Worst(_scores(results, chosen), level, sets)
    if chosen != "success":
        ranking = rank_policies(comparisons_of(results, chosen), level, sets=sets, stands=worst.stands)
        return told(ranking=ranking, withdrawn=tuple(worst.withdrawn))
    if not results.paired:
        counts = {name: (round((e.value or 0) * e.n), e.n) for name, e in rates.items()}
        verdict, withdrawn = _independent(counts, {name: e.void for name, e in rates.items()}, level)
        return told(ranking=_unpaired_ranking(verdict, level), verdict=verdict, withdrawn=withdrawn)
    ranking = rank_policies(comparisons_of(results, chosen), level, sets=sets, stands=worst.stands)
    if results.adaptive:
        return told(ranking=ranking, withdrawn=tuple(worst.withdrawn))
    scores = _scores(results, chosen)
    cases = sorted({case for tried in scores.values() for case in tried})
    outcomes = {p: [None if (v := tried.get(c)) is None else bool(v) for c in cases] for p, tried in scores.items()}
    claimed = compare_many_paired(outcomes, 1 - level, level=level)
    left, withdrawn = without_void_claims(claimed, _evidence(scores, cases, level), len(cases))
    assert isinstance(left, ManyVerdict), "what was said of many stays so"
    return told(ranking=ranking, verdict=left, withdrawn=tuple(dict.fromkeys((*worst.withdrawn, *withdrawn))))


def _independent(
    counts: Mapping[str, tuple[int, int]], void: Mapping[str, int], level: float
) -> tuple[ManyVerdict, tuple[str, ...]]:
    """What independent trials show of every pair, without the claims that their void ones could overturn."""
    verdict = compare_many(counts, 1 - level, level=level)
    kept, withdrawn = [], []
    for pair in verdict.pairs:
        ahead, behind = (pair.first, pair.second)
        if pair.verdict.decision == "second is better":
            ahead, behind = behind, ahead
        if pair.decided and void[ahead] + void[behind]:
            (won, n), (lost, m) = counts[ahead], counts[behind]
            worst = {ahead: (won, n + void[ahead]), behind: (lost + void[behind], m + void[behind])}
            again = compare_many(worst, (1 - level) / len(verdict.pairs), level=level)
            if again.best != (ahead,):
                withdrawn.append(rests_on_voids(ahead, behind, void))
                said = f"Undecided between {pair.first} and {pair.second}: {withdrawn[-1]}"
                pair = replace(pair, verdict=replace(pair.verdict, decision="undecided", sentence=said))
        kept.append(pair)
    if not withdrawn:
        return verdict, ()
    return assemble(verdict.names, verdict.estimates, kept, verdict.alpha, verdict.method), tuple(withdrawn)


def _evidence(scores: Scores, cases: Sequence[str], level: float) -> Evidence:
    """The same trials as evidence, a row for each case; who did not try one is absent there."""
    rows = [
        EvidenceRow(Case("any", seed), {p: tried[case] for p, tried in scores.items() if case in tried})
        for seed, case in enumerate(cases)
    ]
    design = Design(budget=max(len(cases), 1), alpha=1 - level, sequential=False)
    return Evidence(policies=tuple(scores), rows=tuple(rows), design=design)


def _unpaired_ranking(verdict: ManyVerdict, level: float) -> Ranking:
    """Rank sets from the pairwise claims alone: independent trials have no comparisons to fit strengths to."""
    names = tuple(sorted(verdict.names))
    place = {name: k for k, name in enumerate(names)}
    above = np.zeros((len(names), len(names)), bool)
    for pair in verdict.pairs:
        if pair.decided:
            ahead, behind = (
                (pair.first, pair.second) if pair.verdict.decision == "first is better" else (pair.second, pair.first)
            )
            above[place[ahead], place[behind]] = True
    nothing = Estimate(None, None, None, level, 0, "no comparisons on the same cases")
    groups = tie_groups(above)
    return Ranking(
        names,
        dict.fromkeys(names, nothing),
        nothing,
        (),
        np.zeros((0, 0)),
        verdict.names,
        dict(zip(names, rank_sets(above), strict=True)),
        tuple(tuple(names[k] for k in group) for group in groups),
        tuple((name,) for name in names),
        sum(estimate.n for estimate in verdict.estimates.values()),
        sum(estimate.void for estimate in verdict.estimates.values()),
        level,
        f"{verdict.method}; rank sets from its claims (Mogstad et al. 2024)",
        verdict.sentence,
    )
