"""Many policies on many tasks, from the trials of any table: one list of claims, from which all else is told.

Every pair is compared within strata (a task in a world) and over those that both were tried on. A pair that is better
here and worse there gets no overall statement. Letters, ranks, sentences and pages are made from these claims and
decide nothing themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Decision, Estimate, Outcomes, RoboscaleError, Verdict
from roboscale.stats.barnard import trials_for_new_comparison
from roboscale.stats.counts import compare_counts
from roboscale.stats.deciding import rests_on_voids
from roboscale.stats.differences import leaves_zero_out, paired_difference
from roboscale.stats.distributions import student_isf
from roboscale.stats.many import Compared, ManyVerdict, adjusted, assemble
from roboscale.stats.outlook import pairs_for_new_comparison
from roboscale.stats.paired import PairCounts, exact_counts_test
from roboscale.stats.proportions import clopper_pearson
from roboscale.stats.recipes import (
    FEWEST_RUNS,
    RECIPE_TEST,
    are_run_means,
    recipe_difference,
    recipe_rate,
    run_means,
    runs_of,
    unit_of_runs,
)
from roboscale.stats.strata import (
    DRAWS,
    StratifiedScores,
    cmh_test,
    interaction_test,
    mean_difference,
    paired_interaction_test,
    stratified_difference,
    stratified_permutation_test,
)
from roboscale.stats.task_means import task_means
from roboscale.stats.verdicts import p_text

__all__ = ["Overall", "PairOverTasks", "TaskClaim", "compare_policies", "points", "unit_of"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskClaim:
    """Two policies on one task.

    Args:
        difference: second minus first.
        p_value: adjusted for all pairs and tasks (Holm).
    """

    task: str
    difference: Estimate
    p_value: float
    decision: Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class PairOverTasks:
    """Two policies over the tasks that both were tried on.

    Args:
        tasks: what each says by itself, in the order of the table.
        left_out: tasks that only one of them was tried on.
        interaction: p-value of "the difference is the same on every task"; `None` with fewer than two.
        interaction_method: the test that gave it.
        opposite: one is shown better on some tasks and the other on others: then nothing is claimed overall.
    """

    first: str
    second: str
    tasks: tuple[TaskClaim, ...]
    left_out: tuple[str, ...]
    interaction: float | None
    opposite: bool
    interaction_method: str = ""

    @property
    def headline(self) -> str:
        """What stands in place of an overall statement, where signs are opposite."""
        better = [t.task for t in self.tasks if t.decision == "second is better"]
        worse = [t.task for t in self.tasks if t.decision == "first is better"]
        return (
            f"{self.second} against {self.first}: better on {_few(better)}, worse on {_few(worse)}: "
            "no overall statement"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Overall:
    """All that is claimed.

    Args:
        verdict: every pair, over tasks.
        pairs: the same pairs task by task, in the verdict's order.
        notes: what was left out, and where the average hides a difference between tasks.
        withdrawn: claims that the counted trials allow and the void ones forbid, a sentence each.
        unit: what the claims are about: these checkpoints, or recipes with their training runs.
    """

    verdict: ManyVerdict
    pairs: tuple[PairOverTasks, ...]
    notes: tuple[str, ...]
    withdrawn: tuple[str, ...] = ()
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tested:
    """One pair before all pairs share their error."""

    first: str
    second: str
    p_value: float
    method: str
    difference: Estimate
    discordant: int
    needed: int | None
    strata: tuple[int, ...]
    left_out: tuple[int, ...]
    task_p: tuple[float, ...]
    task_difference: tuple[Estimate, ...]
    interaction: tuple[float, str] | None


def compare_policies(outcomes: Outcomes, alpha: float = 0.05, level: float = 0.95, seed: int = 0) -> Overall:
    """Every pair of policies, with the probability of even one false overall claim at most `alpha`.

    Claims on single tasks are a family of their own, at the same level. For numbers of trials fixed in advance.

    Args:
        outcomes: success or progress, paired or not.
        level: of the intervals, each by itself.
        seed: of the tests that draw tables or permutations.

    >>> counts = {"A": (12, 20), "B": (19, 20)}
    >>> compare_policies(Outcomes.of_counts(counts)).verdict.pairs[0].verdict.decision
    'first is better'

    Raises:
        RoboscaleError: nothing was counted.
    """
    rates = _rates(outcomes, level)
    names = sorted(rates, key=lambda name: (-_value(rates[name]), name))
    if not any(rate.n for rate in rates.values()):
        raise RoboscaleError("no trial was counted: all are void")
    tester = _tester(outcomes, level)
    tested = [tester.test(a, b, seed) for a, b in combinations(names, 2)]
    over = adjusted([t.p_value for t in tested], "holm", len(names)) if tested else np.zeros(0)
    each = adjusted([p for t in tested for p in t.task_p], "holm") if any(t.task_p for t in tested) else np.zeros(0)
    position, pairs, compared, withdrawn = 0, [], [], []
    for one, p_value in zip(tested, over, strict=True):
        pair = _over_tasks(one, outcomes, each[position : position + len(one.task_p)].tolist(), alpha)
        position += len(one.task_p)
        claim = _compared(one, pair, float(p_value), rates, alpha, outcomes)
        reason = _rests_on_voids(claim, outcomes, alpha / len(tested), level, seed) if claim.decided else ""
        if reason:
            withdrawn.append(reason)
            said = f"Undecided between {one.first} and {one.second}: {reason}"
            claim = replace(claim, verdict=replace(claim.verdict, decision="undecided", sentence=said))
        pairs.append(pair)
        compared.append(claim)
    methods = list(dict.fromkeys(one.method for one in tested))
    method = f"{'; '.join(methods) or 'no test'}; family-wise error by Holm (1979)"
    verdict = assemble(names, rates, compared, alpha, method)
    return Overall(
        verdict=verdict,
        pairs=tuple(pairs),
        notes=(*_notes(pairs, outcomes), *_beside_zero(compared)),
        withdrawn=tuple(withdrawn),
        unit=unit_of(outcomes),
    )


def _rests_on_voids(claim: Compared, outcomes: Outcomes, alpha: float, level: float, seed: int) -> str:
    """Why a claim does not stand when the winner's void trials are failures and the loser's successes; "" if it does.

    What breaks in its hard cases must not gain from it.
    """
    ahead, behind = (claim.first, claim.second)
    if claim.verdict.decision == "second is better":
        ahead, behind = behind, ahead
    at = {name: outcomes.policies.index(name) for name in (ahead, behind)}
    missing = np.isnan(outcomes.value)
    void = {name: int(outcomes.weight[missing & (outcomes.policy == k)].sum()) for name, k in at.items()}
    if not any(void.values()):
        return ""
    value = np.where(missing & (outcomes.policy == at[ahead]), 0.0, outcomes.value)
    value = np.where(missing & (outcomes.policy == at[behind]), 1.0, value)
    worst = _tester(replace(outcomes, value=value), level).test(behind, ahead, seed)
    stands = worst.p_value <= alpha and (worst.difference.value or 0.0) > 0
    return "" if stands else rests_on_voids(ahead, behind, void)


# ---- what is known of one pair


def unit_of(outcomes: Outcomes) -> str:
    """What claims from these trials are about."""
    return unit_of_runs(runs_of(outcomes))


def _tester(outcomes: Outcomes, level: float) -> _Tester:
    kind = _Pairs if outcomes.paired else _Counts if outcomes.kind == "success" else _Independent
    inner = kind(outcomes, level)
    runs = runs_of(outcomes)
    return _Recipes(inner) if all(count >= FEWEST_RUNS for count in runs.values() if count) else inner


class _Tester(Protocol):
    """Tests one pair."""

    outcomes: Outcomes
    level: float

    def test(self, first: str, second: str, seed: int) -> _Tested: ...


class _Recipes:
    """Policies that were trained several times: training runs are compared, whatever their trials are."""

    def __init__(self, inner: _Tester) -> None:
        self.inner, self.outcomes, self.level = inner, inner.outcomes, inner.level

    def test(self, first: str, second: str, seed: int) -> _Tested:
        within = self.inner.test(first, second, seed)

        def compare(strata: Sequence[int]) -> tuple[float, Estimate]:
            means = [run_means(self.outcomes, name, strata) for name in (first, second)]
            p_value, difference = recipe_difference(means[0], means[1], self.level)
            return (p_value if min(map(len, means)) >= FEWEST_RUNS else 1.0), difference

        singles = [compare([stratum]) for stratum in within.strata]
        p_value, difference = compare(within.strata) if within.strata else (1.0, within.difference)
        return replace(
            within,
            p_value=p_value,
            method=RECIPE_TEST,
            difference=difference,
            needed=None,
            task_p=tuple(p for p, _ in singles),
            task_difference=tuple(d for _, d in singles),
        )


class _Counts:
    """Successes of independent trials."""

    def __init__(self, outcomes: Outcomes, level: float) -> None:
        self.outcomes, self.level = outcomes, level
        self.won, self.tried, _ = outcomes.counts()

    def test(self, first: str, second: str, seed: int) -> _Tested:
        rows = [self.outcomes.policies.index(name) for name in (first, second)]
        won, tried = self.won[rows], self.tried[rows]
        shared = np.flatnonzero((tried > 0).all(axis=0))
        k, n = won[:, shared], tried[:, shared]
        columns = range(len(shared))
        singles = [((int(k[0, s]), int(n[0, s])), (int(k[1, s]), int(n[1, s]))) for s in columns]
        task_p = tuple(compare_counts(*single)[0] for single in singles)
        if len(shared) == 1:
            p_value, method = compare_counts(*singles[0])
        else:
            p_value, method = cmh_test(k, n)
        return _Tested(
            first=first,
            second=second,
            p_value=p_value,
            method=method,
            difference=stratified_difference(k, n, self.level),
            discordant=0,
            needed=_needed_counts(k, n),
            strata=tuple(int(s) for s in shared),
            left_out=tuple(int(s) for s in np.flatnonzero((tried > 0).any(axis=0) & ~(tried > 0).all(axis=0))),
            task_p=task_p,
            task_difference=tuple(stratified_difference(k[:, [s]], n[:, [s]], self.level) for s in columns),
            interaction=interaction_test(k, n, seed) if len(shared) > 1 else None,
        )


def _needed_counts(won: NDArray[np.int64], tried: NDArray[np.int64]) -> int | None:
    """Trials of each for a new comparison, at the mix of tasks seen here."""
    if not won.size:
        return None
    weights = tried.min(axis=0) / tried.min(axis=0).sum()
    rates = (won / tried) @ weights
    sizes = tried.sum(axis=1)
    sides = [(round(float(rate) * int(n)), int(n)) for rate, n in zip(rates, sizes, strict=True)]
    return trials_for_new_comparison(sides[0], sides[1], 0.05)


class _Pairs:
    """Both policies on the same cases.

    A case that several training runs of a policy were tried on is one pair member, their mean: trials of one case
    are not independent.
    """

    def __init__(self, outcomes: Outcomes, level: float) -> None:
        self.outcomes, self.level = outcomes, level
        self.stratum, self.values = outcomes.by_case()
        self.success = outcomes.kind == "success" and not are_run_means(self.values)
        if self.success:
            code = np.where(np.isnan(self.values), 2, self.values)
            self.codes = code.astype(np.int8).T.copy()

    def test(self, first: str, second: str, seed: int) -> _Tested:
        at = [self.outcomes.policies.index(name) for name in (first, second)]
        return self._success(first, second, at, seed) if self.success else self._progress(first, second, at, seed)

    def _success(self, first: str, second: str, at: Sequence[int], seed: int) -> _Tested:
        """From counts alone: no copy of the trials is made for a pair."""
        cell = self.stratum * np.int32(9) + 3 * self.codes[at[0]] + self.codes[at[1]]
        counts = np.bincount(cell, minlength=9 * len(self.outcomes.strata)).reshape(-1, 9)
        seen = counts.copy()
        seen[:, 8] = 0  # nobody was tried
        counts[:, [2, 5, 6, 7, 8]] = 0
        shared = np.flatnonzero(counts.any(axis=1))
        whole, *singles = (PairCounts(tuple(int(c) for c in row)) for row in (counts.sum(axis=0), *counts[shared]))
        lost, gained = counts[shared, 3], counts[shared, 1]
        return _Tested(
            first=first,
            second=second,
            p_value=exact_counts_test(whole),
            method="exact paired test (McNemar 1947)",
            difference=paired_difference(whole, self.level),
            discordant=int(lost.sum() + gained.sum()),
            needed=pairs_for_new_comparison(whole, 0.05),
            strata=tuple(int(s) for s in shared),
            left_out=tuple(int(s) for s in np.setdiff1d(np.flatnonzero(seen.any(axis=1)), shared)),
            task_p=tuple(exact_counts_test(single) for single in singles),
            task_difference=tuple(paired_difference(single, self.level) for single in singles),
            interaction=paired_interaction_test(lost, gained, seed) if len(shared) > 1 else None,
        )

    def _progress(self, first: str, second: str, at: Sequence[int], seed: int) -> _Tested:
        a, b = (self.values[:, k] for k in at)
        both = ~(np.isnan(a) | np.isnan(b))
        gap, stratum = (b - a)[both], self.stratum[both]
        shared = np.unique(stratum)
        any_one = np.unique(self.stratum[~np.isnan(a) | ~np.isnan(b)])
        parts = [gap[stratum == s] for s in shared]
        lost, gained = (np.array([np.sum(sign * part > 0) for part in parts], np.int64) for sign in (-1, 1))
        return _Tested(
            first=first,
            second=second,
            p_value=sign_flips(gap),
            method=f"sign-flip test on {self._scale} ({DRAWS:,} draws)",
            difference=_paired_mean(gap, self.level),
            discordant=int(np.count_nonzero(gap)),
            needed=None,
            strata=tuple(int(s) for s in shared),
            left_out=tuple(int(s) for s in np.setdiff1d(any_one, shared)),
            task_p=tuple(sign_flips(part) for part in parts),
            task_difference=tuple(_paired_mean(part, self.level) for part in parts),
            interaction=paired_interaction_test(lost, gained, seed) if len(shared) > 1 else None,
        )

    @property
    def _scale(self) -> str:
        return "paired progress" if self.outcomes.kind == "progress" else "means over training runs, paired by case"


class _Independent:
    """Progress of trials that cannot be paired."""

    def __init__(self, outcomes: Outcomes, level: float) -> None:
        if (outcomes.weight != 1).any():
            raise RoboscaleError("progress is compared trial by trial, and these rows stand for several trials each")
        self.outcomes, self.level = outcomes, level

    def test(self, first: str, second: str, seed: int) -> _Tested:
        at = [self.outcomes.policies.index(name) for name in (first, second)]
        kept = self.outcomes.where(np.isin(self.outcomes.policy, at) & ~np.isnan(self.outcomes.value))
        side = (kept.policy == at[1]).astype(np.int8)
        one, two = (set(kept.stratum[side == s].tolist()) for s in (0, 1))
        shared = sorted(one & two)
        parts = [kept.stratum == s for s in shared]
        scores = StratifiedScores(kept.value, side, kept.stratum)
        p_value, method = stratified_permutation_test(scores, seed)
        singles = [StratifiedScores(kept.value[rows], side[rows], kept.stratum[rows]) for rows in parts]
        return _Tested(
            first=first,
            second=second,
            p_value=p_value,
            method=method,
            difference=mean_difference(scores, self.level),
            discordant=0,
            needed=None,
            strata=tuple(shared),
            left_out=tuple(sorted(one ^ two)),
            task_p=tuple(stratified_permutation_test(single, seed)[0] for single in singles),
            task_difference=tuple(mean_difference(single, self.level) for single in singles),
            interaction=None,
        )


def sign_flips(gap: Floats, seed: int = 0) -> float:
    """Two-sided p-value of "each case's difference might as well have the other sign", strata or not.

    All signs where there are at most 13 differences other than 0; otherwise DRAWS of them, the same for one seed.
    """
    moved = gap[np.abs(gap) > 1e-12]
    if not len(moved):
        return 1.0
    seen = abs(float(moved.sum()))
    if len(moved) <= 13:
        signs = 1 - 2 * ((np.arange(2 ** len(moved))[:, None] >> np.arange(len(moved))) & 1)
        return float(np.mean(np.abs(signs @ moved) >= seen - 1e-12))
    rng = np.random.default_rng(seed)
    hits = 0
    for start in range(0, DRAWS, 500):
        count = min(500, DRAWS - start)
        signs = 1 - 2 * rng.integers(0, 2, (count, len(moved)), np.int8)
        hits += int(np.count_nonzero(np.abs(signs @ moved) >= seen - 1e-12))
    return (1 + hits) / (DRAWS + 1)


def _paired_mean(gap: Floats, level: float) -> Estimate:
    """Mean of paired differences with Student's interval."""
    method = "mean paired difference, Student (1908)"
    n = len(gap)
    if n < 2:
        return Estimate(value=float(gap[0]) if n else None, low=None, high=None, level=level, n=n, method=method)
    half = student_isf((1 - level) / 2, n - 1) * float(gap.std(ddof=1)) / n**0.5
    mean = float(gap.mean())
    return Estimate(
        value=mean, low=max(-1.0, mean - half), high=min(1.0, mean + half), level=level, n=n, method=method
    )


# ---- what all pairs come to


def _rates(outcomes: Outcomes, level: float) -> dict[str, Estimate]:
    """Rate of every policy: of all its trials where all have the same mix of tasks, else the mean over tasks."""
    _, tried, void = outcomes.counts()
    means = task_means(outcomes, level)
    mixes = {tuple(row) for row in tried.tolist() if any(row)}
    same = len(mixes) < 2 or all(len(set(np.flatnonzero(row).tolist())) == 1 for row in np.array(list(mixes)))
    rates = {}
    runs = runs_of(outcomes)
    for number, name in enumerate(outcomes.policies):
        strata = np.flatnonzero(tried[number]).tolist()
        clustered = recipe_rate(outcomes, name, strata, level) if runs[name] > 1 else None
        if clustered is not None:
            rates[name] = clustered
            continue
        tasks = [task for task in means.tasks if means.tried(name, task)]
        lost = int(void[number].sum())
        if not tasks:
            rates[name] = Estimate(
                value=None, low=None, high=None, level=level, n=0, method="no trial was counted", void=lost
            )
        elif outcomes.kind == "success" and same:
            won = round(sum((means.cell(name, t).value or 0.0) * means.cell(name, t).n for t in tasks))
            rates[name] = clopper_pearson(won, int(tried[number].sum()), level, lost)
        elif len(tasks) == 1:
            rates[name] = means.cell(name, tasks[0])
        else:
            score = means.score(name, tasks)
            whole = score if isinstance(score, Estimate) else clopper_pearson(*score, level)
            rates[name] = replace(whole, void=lost)
    return rates


def _over_tasks(one: _Tested, outcomes: Outcomes, p_values: Sequence[float], alpha: float) -> PairOverTasks:
    claims = [
        TaskClaim(
            task=outcomes.strata[s].text,
            difference=difference,
            p_value=float(p),
            decision=_decision(difference, float(p), alpha),
        )
        for s, difference, p in zip(one.strata, one.task_difference, p_values, strict=True)
    ]
    said = {claim.decision for claim in claims}
    return PairOverTasks(
        first=one.first,
        second=one.second,
        tasks=tuple(claims),
        left_out=tuple(outcomes.strata[s].text for s in one.left_out),
        interaction=None if one.interaction is None else one.interaction[0],
        interaction_method="" if one.interaction is None else one.interaction[1],
        opposite={"first is better", "second is better"} <= said,
    )


def _decision(difference: Estimate, p_value: float, alpha: float) -> Decision:
    if p_value > alpha or not difference.value:
        return "no difference shown"
    return "second is better" if difference.value > 0 else "first is better"


def _compared(
    one: _Tested, pair: PairOverTasks, p_value: float, rates: Mapping[str, Estimate], alpha: float, outcomes: Outcomes
) -> Compared:
    decision: Decision = "no difference shown" if pair.opposite else _decision(one.difference, p_value, alpha)
    decided = decision != "no difference shown"
    ahead, behind = (one.second, one.first) if decision == "second is better" else (one.first, one.second)
    better = "makes more progress than" if outcomes.kind == "progress" else "is better than"
    claim = f"{ahead} {better} {behind}" if decided else f"no difference shown between {ahead} and {behind}"
    gap = one.difference
    size = "no task in common" if gap.value is None else f"{points(gap)} points, n = {gap.n}"
    on = f" on these {len(pair.tasks)} tasks" if len(pair.tasks) > 1 else ""
    claim = claim[0].upper() + claim[1:] if not decided else claim
    sentence = f"{claim}{on}: {one.first} − {one.second} {size} (adjusted {p_text(p_value)})"
    if pair.opposite:
        sentence = pair.headline
    estimates = {one.first: rates[one.first], one.second: rates[one.second], "difference": gap}
    return Compared(
        one.first,
        one.second,
        Verdict(
            decision=decision,
            sentence=sentence,
            alpha=alpha,
            n=gap.n,
            discordant=one.discordant,
            p_value=p_value,
            method=one.method,
            needed=None if decided or pair.opposite else one.needed,
            estimates=estimates,
        ),
    )


def _notes(pairs: Sequence[PairOverTasks], outcomes: Outcomes) -> list[str]:
    """What a reader of the overall claims must know beside them."""
    notes = [pair.headline for pair in pairs if pair.opposite]
    apart = [f"{pair.first} and {pair.second}" for pair in pairs if not pair.tasks]
    if apart:
        more = f" and {len(apart) - 5} more pairs" if len(apart) > 5 else ""
        notes.append(f"{'; '.join(apart[:5])}{more} were tried on no task in common: they are not compared")
    partly = [pair for pair in pairs if pair.tasks and pair.left_out]
    lines = [
        f"{pair.first} and {pair.second} are compared on {len(pair.tasks)} task{'s' if len(pair.tasks) > 1 else ''}; "
        f"left out, tried by one of them only: {_few(pair.left_out)}"
        for pair in partly
    ]
    if len(lines) > 3:  # a line a pair would bury what else is said: 37 policies are 666 pairs
        tasks = dict.fromkeys(task for pair in partly for task in pair.left_out)
        each = f"each of {len(lines)} pairs is compared on the tasks that both tried"
        lines = [f"{each}; left out of some: {_few(list(tasks))}"]
    notes += lines
    unequal = [p for p in pairs if p.interaction is not None and p.interaction <= 0.05 and not p.opposite]
    if unequal:
        who = [f"{p.first} and {p.second} ({p_text(p.interaction or 0.0)})" for p in unequal]
        how = ", ".join(dict.fromkeys(p.interaction_method for p in unequal))
        notes.append(f"the difference is not the same on every task, read them one by one: {_few(who)}; {how}")
    return notes


def _beside_zero(compared: Sequence[Compared]) -> list[str]:
    """Why an interval may leave 0 out where the test shows nothing; else one of them would be taken for wrong."""
    gaps = [(c, c.verdict.estimates["difference"]) for c in compared if c.verdict.decision == "no difference shown"]
    pairs = [f"{c.first} and {c.second}" for c, gap in gaps if leaves_zero_out(gap)]
    if not pairs:
        return []
    over = f", corrected for {len(compared)} pairs," if len(compared) > 1 else ""
    return [f"{_few(pairs)}: the interval leaves 0 out, yet it is of one pair and approximate; the test{over} decides"]


def points(difference: Estimate) -> str:
    """First minus second, in points, from a difference that is second minus first: `+12 [+3, +21]`."""
    if difference.value is None:
        return "no data"
    value = _signed(-100 * difference.value)
    if difference.low is None or difference.high is None:
        return f"{value} [no interval]"
    return f"{value} [{_signed(-100 * difference.high)}, {_signed(-100 * difference.low)}]"


def _signed(number: float) -> str:
    """Rounded, with its sign; zero has none."""
    return f"{round(number):+d}" if round(number) else "0"


def _value(estimate: Estimate) -> float:
    return -1.0 if estimate.value is None else estimate.value


def _few(names: Sequence[str]) -> str:
    """At most five names."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
