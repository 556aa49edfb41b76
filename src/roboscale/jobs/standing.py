"""From results of many policies to where they stand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import Literal

import numpy as np

from roboscale.core import Counted, Estimate, RoboscaleError
from roboscale.jobs.result_files import trials_by_policy
from roboscale.results import Results
from roboscale.stats import beta_confidence_sequence, clopper_pearson
from roboscale.stats.bradley_terry import Comparisons, compare_by_case, count_comparisons
from roboscale.stats.letters import letters
from roboscale.stats.many import ManyVerdict, compare_many, compare_many_paired
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
    """

    basis: str
    ranking: Ranking
    rates: Mapping[str, Estimate]
    per_task: Mapping[tuple[str, str], Estimate]
    verdict: ManyVerdict | None = None

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
    final = _final(results)
    if basis == "progress":
        return compare_by_case({p: {c: t.outcome.progress for c, t in found.items()} for p, found in final.items()})
    return compare_by_case({p: {c: t.outcome.success for c, t in found.items()} for p, found in final.items()})


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
    if chosen != "success":
        ranking = rank_policies(comparisons_of(results, chosen), level, sets=sets)
        return told(ranking=ranking)
    if not results.paired:
        counts = {name: (round((e.value or 0) * e.n), e.n) for name, e in rates.items()}
        verdict = compare_many(counts, 1 - level, level=level)
        return told(ranking=_unpaired_ranking(verdict, level), verdict=verdict)
    ranking = rank_policies(comparisons_of(results, chosen), level, sets=sets)
    if results.adaptive:
        return told(ranking=ranking)
    final = _final(results)
    cases = sorted({case for found in final.values() for case in found})
    outcomes = {p: [found[c].outcome.success if c in found else None for c in cases] for p, found in final.items()}
    verdict = compare_many_paired(outcomes, 1 - level, level=level)
    return told(ranking=ranking, verdict=verdict)


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
