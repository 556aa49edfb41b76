"""From results of many policies to a board and to the trials that would say more."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Literal

import numpy as np

from roboscale.core import BadData, Estimate, RoboscaleError, Trial
from roboscale.stats import beta_confidence_sequence, clopper_pearson
from roboscale.stats.bradley_terry import Comparisons, compare_by_case, count_comparisons
from roboscale.stats.letters import letters
from roboscale.stats.many import ManyVerdict, compare_many, compare_many_paired
from roboscale.stats.next_trial import CaseRecord, Plan, Venue, knowledge_from_comparisons, knowledge_from_counts
from roboscale.stats.next_trial import next_trials as pick_trials
from roboscale.stats.rank_sets import Ranking, SetMethod, rank_policies, rank_sets, tie_groups
from roboscale.trials.results import Results, read_results

__all__ = ["Basis", "Standing", "load_results", "next_picks", "parse_venue", "standing_of"]

Basis = Literal["auto", "success", "progress", "preference"]


@dataclass(frozen=True, slots=True)
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
    verdict: ManyVerdict | None
    rates: Mapping[str, Estimate]
    per_task: Mapping[tuple[str, str], Estimate]

    @property
    def letters(self) -> Mapping[str, str]:
        """Policies that share a letter were not shown to differ."""
        if self.verdict is not None:
            return self.verdict.letters
        names = list(self.ranking.order) or sorted(self.ranking.policies)
        sets = self.ranking.rank_sets
        apart = [(a, b) for a, b in combinations(names, 2) if sets[a][1] < sets[b][0] or sets[b][1] < sets[a][0]]
        return letters(names, apart)


def load_results(sources: Sequence[str]) -> Results:
    """Reads `PATH` or `NAME=PATH` for each; NAME is the policy of files that do not say."""
    found: Results | None = None
    for text in sources:
        name, sign, path = text.partition("=")
        whole = not sign or Path(text).exists()
        one = read_results(Path(text)) if whole else read_results(Path(path), name)
        found = one if found is None else found.merged(one)
    if found is None or not (found.trials or found.comparisons):
        raise BadData(", ".join(sources), "results", "at least one trial or comparison", "none")
    return found


def _by_policy(results: Results) -> dict[str, list[Trial]]:
    grouped: dict[str, list[Trial]] = defaultdict(list)
    for trial in results.trials:
        grouped[trial.policy].append(trial)
    return dict(sorted(grouped.items()))


def _rate(trials: Sequence[Trial], level: float, adaptive: bool) -> Estimate:
    """The success rate; a confidence sequence where results decided how many trials there are."""
    counted = [t.outcome.success for t in trials if t.outcome.success is not None]
    interval = beta_confidence_sequence if adaptive else clopper_pearson
    return interval(sum(counted), len(counted), level, len(trials) - len(counted))


def _key(trial: Trial) -> str:
    return f"{trial.world}/{trial.case.id}"


def _final(results: Results) -> dict[str, dict[str, Trial]]:
    """Policy -> case -> its last attempt."""
    final: dict[str, dict[str, Trial]] = {}
    for name, trials in _by_policy(results).items():
        final[name] = {_key(t): t for t in sorted(trials, key=lambda t: t.attempt)}
    return final


def _pick_basis(results: Results, basis: Basis) -> str:
    if basis != "auto":
        return basis
    if results.comparisons:
        return "preference"
    return "success"


def _comparisons(results: Results, basis: str) -> Comparisons:
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
    chosen = _pick_basis(results, basis)
    rates = {name: _rate(trials, level, results.adaptive) for name, trials in _by_policy(results).items()}
    tasks: dict[tuple[str, str], list[Trial]] = defaultdict(list)
    for trial in results.trials:
        tasks[trial.policy, trial.case.task].append(trial)
    per_task = {key: _rate(trials, level, results.adaptive) for key, trials in tasks.items()}
    if chosen != "success":
        ranking = rank_policies(_comparisons(results, chosen), level, sets=sets)
        return Standing(chosen, ranking, None, rates, per_task)
    if not results.paired:
        counts = {name: (round((e.value or 0) * e.n), e.n) for name, e in rates.items()}
        verdict = compare_many(counts, 1 - level, level=level)
        return Standing(chosen, _unpaired_ranking(verdict, level), verdict, rates, per_task)
    ranking = rank_policies(_comparisons(results, chosen), level, sets=sets)
    if results.adaptive:
        return Standing(chosen, ranking, None, rates, per_task)
    final = _final(results)
    cases = sorted({case for found in final.values() for case in found})
    outcomes = {p: [found[c].outcome.success if c in found else None for c in cases] for p, found in final.items()}
    verdict = compare_many_paired(outcomes, 1 - level, level=level)
    return Standing(chosen, ranking, verdict, rates, per_task)


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


def parse_venue(text: str) -> Venue:
    """`NAME:COST[:WORTH[:BUDGET]]`, e.g. `real:1` or `sim:0.02:0.5`."""
    name, *numbers = text.split(":")
    try:
        values = [float(number) for number in numbers]
        cost, worth, *rest = [*values, *(1.0, 1.0)[len(values) :]]
        return Venue(name, cost, rest[0] if rest else None, {}, worth)
    except ValueError as error:
        expected = "NAME:COST[:WORTH[:BUDGET]] with COST above 0 and WORTH in 0..1"
        raise RoboscaleError(f"--world: expected {expected}, found {text!r}: {error}") from error


def next_picks(
    results: Results,
    venues: Sequence[Venue],
    *,
    count: int,
    evaluators: Sequence[str] = (),
    tasks: int = 0,
    basis: Basis = "auto",
) -> Plan:
    """The next comparisons to run, in order, from what the results say so far.

    Args:
        evaluators: `NAME:SLOTS`, who can run how many in every venue.
        tasks: how many fresh scenes of each task may be added; by default as many as there are picks.
    """
    people = dict(_evaluator(text) for text in evaluators)
    if people:
        venues = [Venue(v.world, v.cost, v.budget, people, v.worth) for v in venues]
    chosen = _pick_basis(results, basis)
    if chosen == "success" and not results.paired:
        counts = {n: _counts(t) for n, t in _by_policy(results).items()}
        known = knowledge_from_counts(counts)
    else:
        known = knowledge_from_comparisons(_comparisons(results, chosen))
    return pick_trials(known, venues, _cases(results, tasks or count), count)


def _evaluator(text: str) -> tuple[str, int]:
    name, _, slots = text.partition(":")
    if not (name and slots.isdigit()):
        raise RoboscaleError(f"--evaluator: expected NAME:SLOTS such as ada:10, found {text!r}")
    return name, int(slots)


def _counts(trials: Sequence[Trial]) -> tuple[int, int]:
    won = [t.outcome.success for t in trials if t.outcome.success is not None]
    return sum(won), len(won)


def _cases(results: Results, fresh: int) -> list[CaseRecord]:
    """Fresh scenes of every task: a scene that was tried already says less about the rest."""
    tried: dict[str, list[Trial]] = defaultdict(list)
    for trial in results.trials:
        tried[trial.case.task].append(trial)
    names = sorted(tried) or ["all"]
    return [
        CaseRecord(f"{task}, new scene {k + 1}", *_typical(tried.get(task, [])))
        for task in names
        for k in range(fresh)
    ]


def _typical(trials: Sequence[Trial]) -> tuple[int, int]:
    """What to expect of one more scene of a task: its rate, as if from two trials."""
    won, n = _counts(trials)
    return (round(2 * won / n), 2) if n else (0, 0)
