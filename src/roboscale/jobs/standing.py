"""From results of many policies to where they stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Estimate, Outcomes, RoboscaleError
from roboscale.results import Results
from roboscale.stats import beta_confidence_sequence, bounded_mean_sequence
from roboscale.stats.bradley_terry import Comparisons, compare_table, count_comparisons
from roboscale.stats.independent_anytime import compare_in_order
from roboscale.stats.letters import letters
from roboscale.stats.many import ManyVerdict
from roboscale.stats.overall import Overall, compare_policies
from roboscale.stats.rank_sets import Ranking, SetMethod, rank_policies, rank_sets, tie_groups
from roboscale.stats.recipes import recipe_rate, runs_of, unit_of_runs
from roboscale.stats.task_means import task_means

__all__ = ["Basis", "Standing", "choose_basis", "comparisons_of", "mean_sequence", "rates_of", "standing_of"]

Basis = Literal["auto", "success", "progress", "preference"]

_NO_STRENGTHS = "no Bradley-Terry strengths: their intervals count cases, and cases of one training run share its luck"
_MOST_CASES = 20_000
"""Cases up to which strengths are fitted beside the claims; more would take long and say the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where the policies stand.

    Args:
        basis: what was compared: `success`, `progress` or `preference`.
        ranking: its rank sets and groups are made from the same claims as everything else.
        rates: policy -> success rate or mean progress; over tasks where the policies had different mixes of them.
        per_task: (policy, task) -> the same on one task.
        overall: every pair over tasks and task by task, for trials whose number was fixed.
        withdrawn: claims that the counted trials allow and the void ones forbid, a sentence each.
        notes: what the board lacks, and why.
    """

    basis: str
    ranking: Ranking
    rates: Mapping[str, Estimate]
    per_task: Mapping[tuple[str, str], Estimate]
    overall: Overall | None = None
    withdrawn: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> ManyVerdict | None:
        """Pairwise claims with letters, where the number of trials was fixed."""
        return None if self.overall is None else self.overall.verdict

    @property
    def unit(self) -> str:
        """What the claims are about: these checkpoints, or recipes with their training runs."""
        return unit_of_runs(dict.fromkeys(self.ranking.policies, 1)) if self.overall is None else self.overall.unit

    @property
    def letters(self) -> Mapping[str, str]:
        """Policies that share a letter were not shown to differ."""
        if self.verdict is not None:
            return self.verdict.letters
        return letters(list(self.ranking.order) or sorted(self.ranking.policies), self.ranking.claims)


def choose_basis(results: Results, basis: Basis) -> str:
    """What to compare by: `auto` takes preferences where there are any, else what the trials say first."""
    if basis != "auto":
        return basis
    if len(results.preferences):
        return "preference"
    return results.kinds[0] if results.kinds else "success"


def comparisons_of(results: Results, basis: str) -> Comparisons:
    """Wins and ties of each pair; RoboscaleError when the results hold nothing of that kind."""
    if basis == "preference":
        if not len(results.preferences):
            raise RoboscaleError(f"{results.source} holds no preferences; it has {results.columns.tried} trials")
        rows = results.comparisons
        return count_comparisons([r.first for r in rows], [r.second for r in rows], [r.outcome for r in rows])
    return _by_case(_outcomes(results, basis))


def _outcomes(results: Results, basis: str) -> Outcomes:
    if not len(results.columns):
        raise RoboscaleError(f"{results.source} holds no trials; it has {len(results.preferences)} preferences")
    return results.outcomes("progress" if basis == "progress" else "success")


def _by_case(outcomes: Outcomes) -> Comparisons:
    names = tuple(sorted(outcomes.policies))
    return compare_table(names, _sorted_cases(outcomes, names), int(np.isnan(outcomes.value).sum()))


def _sorted_cases(outcomes: Outcomes, names: tuple[str, ...]) -> NDArray[np.float64]:
    """Values of each policy in each case, shape (policies, cases), in an order of their own.

    Sums of floats depend on the order of their terms in the last digits; a board must not depend on that of the rows.
    """
    _, values = outcomes.by_case(names)
    return values[np.lexsort(values.T)].T


def standing_of(
    results: Results, basis: Basis = "auto", level: float = 0.95, sets: SetMethod | None = None
) -> Standing:
    """The board: rank sets, scores, rates and letters, from whatever the results hold.

    Trials whose cases cannot be recognised are compared as independent ones; then there are no scores, only claims.
    Where results decided which trials came next, only anytime-valid sets are honest, and they are the default.
    """
    chosen = choose_basis(results, basis)
    if chosen == "preference":
        ranking = rank_policies(comparisons_of(results, chosen), level, sets=sets or "holm")
        rates, per_task = _rates(results, level) if len(results.columns) else ({}, {})
        return Standing(basis=chosen, ranking=ranking, rates=rates, per_task=per_task)
    outcomes = _outcomes(results, chosen)
    _, per_task = _rates(results, level, outcomes)
    several = any(count > 1 for count in runs_of(outcomes).values())
    if several and sets not in (None, "holm"):
        raise RoboscaleError(f"--sets {sets} counts cases, and these results have training runs: leave --sets out")
    if not outcomes.paired and (sets == "anytime" or (results.adaptive and sets is None)):
        return _in_order(results, outcomes, level)
    if results.adaptive or sets in ("anytime", "bootstrap"):
        return _without_verdict(results, outcomes, chosen, level, sets or "anytime")
    overall = compare_policies(outcomes, round(1 - level, 12), level)
    ranking = _ranking(overall.verdict, level)
    if outcomes.paired and not several and len(outcomes.value) <= _MOST_CASES * len(outcomes.policies):
        scored = rank_policies(_by_case(outcomes), level)
        ranking = replace(
            scored,
            rank_sets=ranking.rank_sets,
            tie_groups=ranking.tie_groups,
            claims=ranking.claims,
            sentence=ranking.sentence,
            method=f"{scored.method.partition('; rank sets')[0]}; {ranking.method}",
        )
    return Standing(
        basis=chosen,
        ranking=ranking,
        rates=dict(overall.verdict.estimates),
        per_task=per_task,
        overall=overall,
        withdrawn=overall.withdrawn,
        notes=(_NO_STRENGTHS,) if several and outcomes.paired else (),
    )


def _in_order(results: Results, outcomes: Outcomes, level: float) -> Standing:
    """Independent trials that were looked at as they came."""
    read = compare_in_order(outcomes, round(1 - level, 12), level)
    _, per_task = _rates(results, level, outcomes)
    sentences = [pair.verdict.sentence for pair in read.verdict.pairs]
    return Standing(
        basis="success",
        ranking=_ranking(read.verdict, level),
        rates=dict(read.verdict.estimates),
        per_task={key: _cell(estimate, True) for key, estimate in per_task.items()},
        withdrawn=read.withdrawn,
        notes=(*read.notes, *(sentences if len(sentences) > 1 else ())),
    )


def _without_verdict(results: Results, outcomes: Outcomes, basis: str, level: float, sets: SetMethod) -> Standing:
    """Where results decided what came next, or another method of rank sets was asked for: claims are the ranking's."""
    worst = _Worst(outcomes, level, sets)
    ranking = rank_policies(_by_case(outcomes), level, sets=sets, stands=worst.stands)
    rates, per_task = _rates(results, level, outcomes)
    return Standing(
        basis=basis, ranking=ranking, rates=rates, per_task=per_task, withdrawn=tuple(dict.fromkeys(worst.withdrawn))
    )


def rates_of(results: Results, basis: str, level: float) -> Mapping[str, Estimate]:
    """Success rate or mean progress of every policy: those of `standing_of`, without where the policies stand."""
    return _rates(results, level, _outcomes(results, basis))[0]


def _rates(
    results: Results, level: float, outcomes: Outcomes | None = None
) -> tuple[dict[str, Estimate], dict[tuple[str, str], Estimate]]:
    """Of every policy, and of every policy on every task; confidence sequences where results decided the numbers."""
    outcomes = results.outcomes() if outcomes is None else outcomes
    means = task_means(outcomes, level)
    per_task = {
        (policy, task): _cell(means.cell(policy, task), results.adaptive and outcomes.kind == "success")
        for policy in means.policies
        for task in means.tasks
        if means.tried(policy, task)
    }
    for policy in (name for name, count in runs_of(outcomes).items() if count > 1):
        for task in means.tasks:
            strata = [k for k, stratum in enumerate(outcomes.strata) if stratum.task == task]
            if (policy, task) in per_task and (clustered := recipe_rate(outcomes, policy, strata, level)) is not None:
                per_task[policy, task] = clustered
    rates = {}
    for number, policy in enumerate(outcomes.policies):
        value = outcomes.value[outcomes.policy == number]
        weight = outcomes.weight[outcomes.policy == number]
        void = int(weight[np.isnan(value)].sum())
        n = int(weight.sum()) - void
        total = float(np.nansum(value * weight))
        if outcomes.kind == "success":
            rates[policy] = beta_confidence_sequence(round(total), n, level, void)
        else:
            rates[policy] = mean_sequence(value[~np.isnan(value)], level, void, weight[~np.isnan(value)])
    return rates, per_task


def mean_sequence(
    values: NDArray[np.float64], level: float, void: int = 0, weights: NDArray[np.int64] | None = None
) -> Estimate:
    """Mean of values in 0..1, (n,), with bounds that hold however often one looks; no value where there is none."""
    seen = np.ones(len(values), np.int64) if weights is None else weights
    n = int(seen.sum())
    method = "mean progress; confidence sequence by betting (Waudby-Smith, Ramdas 2024)"
    if not n:
        return Estimate(value=None, low=None, high=None, level=level, n=0, method=method, void=void)
    distinct, place = np.unique(values, return_inverse=True)
    counts = np.bincount(place, seen)
    low, high = bounded_mean_sequence(distinct, counts, level)
    value = float(distinct @ counts) / n
    return Estimate(value=value, low=low, high=high, level=level, n=n, method=method, void=void)


def _cell(estimate: Estimate, adaptive: bool) -> Estimate:
    if not adaptive or estimate.value is None:
        return estimate
    return beta_confidence_sequence(round(estimate.value * estimate.n), estimate.n, estimate.level, estimate.void)


class _Worst:
    """Whether claims stand when the void trials of who is ahead count as failures, and the other's as successes."""

    def __init__(self, outcomes: Outcomes, level: float, sets: SetMethod) -> None:
        policies = len(outcomes.policies)
        self._outcomes, self._sets = outcomes, sets
        self._level = 1 - (1 - level) / max(policies * (policies - 1) / 2, 1)
        self.withdrawn: list[str] = []

    def stands(self, ahead: str, behind: str) -> bool:
        """Asked for each claim."""
        from roboscale.stats.deciding import rests_on_voids

        at = {name: self._outcomes.policies.index(name) for name in (ahead, behind)}
        missing = np.isnan(self._outcomes.value)
        void = {name: int((missing & (self._outcomes.policy == k)).sum()) for name, k in at.items()}
        if not any(void.values()):
            return True
        value = np.where(missing & (self._outcomes.policy == at[ahead]), 0.0, self._outcomes.value)
        value = np.where(missing & (self._outcomes.policy == at[behind]), 1.0, value)
        both = replace(self._outcomes, value=value).where(np.isin(self._outcomes.policy, list(at.values())))
        names = tuple(sorted(at))
        ranking = rank_policies(compare_table(names, _sorted_cases(both, names)), self._level, sets=self._sets)
        if ranking.rank_sets[ahead] == (1, 1):
            return True
        self.withdrawn.append(rests_on_voids(ahead, behind, void))
        return False


def _ranking(verdict: ManyVerdict, level: float) -> Ranking:
    """Rank sets and groups from the claims alone, without scores."""
    names = tuple(sorted(verdict.names))
    place = {name: k for k, name in enumerate(names)}
    above = np.zeros((len(names), len(names)), bool)
    for pair in verdict.pairs:
        if pair.decided:
            ahead, behind = (
                (pair.first, pair.second) if pair.verdict.decision == "first is better" else (pair.second, pair.first)
            )
            above[place[ahead], place[behind]] = True
    nothing = Estimate(value=None, low=None, high=None, level=level, n=0, method="no comparisons on the same cases")
    groups = tie_groups(above)
    return Ranking(
        policies=names,
        scores=dict.fromkeys(names, nothing),
        tie_parameter=nothing,
        scored=(),
        covariance=np.zeros((0, 0)),
        order=verdict.names,
        rank_sets=dict(zip(names, rank_sets(above), strict=True)),
        tie_groups=tuple(tuple(names[k] for k in group) for group in groups),
        components=tuple((name,) for name in names),
        n=sum(estimate.n for estimate in verdict.estimates.values()),
        void=sum(estimate.void for estimate in verdict.estimates.values()),
        level=level,
        method=f"{verdict.method}; rank sets from its claims (Mogstad et al. 2024)",
        sentence=verdict.sentence,
        bootstrap_share=None,
        claims=tuple((names[i], names[j]) for i, j in np.argwhere(above).tolist()),
    )
