"""A new policy against the one before it, task by task: improved, worse, suspect or held.

    improved   better than before, at a family-wise error over all tasks
    worse      worse than before, at the same error
    suspect    lower than before, and chance alone would do so in one of ten: worth more trials, no claim
    held       none of these: no sign of a fall, which is not a proof that there is none

Each task in each world is compared by itself; nothing is pooled. Where the same cases were tried they are paired;
where recipes have several training runs a side, the runs are what is compared. Knows neither files nor times.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Estimate, Outcomes, RoboscaleError, Stratum
from roboscale.stats.counts import compare_counts
from roboscale.stats.differences import paired_difference
from roboscale.stats.distributions import binomial_sf, student_isf
from roboscale.stats.many import adjusted
from roboscale.stats.overall import sign_flips
from roboscale.stats.paired import PairCounts
from roboscale.stats.proportions import clopper_pearson
from roboscale.stats.rate_difference import rate_difference
from roboscale.stats.recipes import FEWEST_RUNS, RECIPE_TEST, are_run_means, recipe_difference, run_means
from roboscale.stats.sample_size import smallest_rise
from roboscale.stats.strata import StratifiedScores, mean_difference, stratified_permutation_test

__all__ = ["SUSPECT", "TaskCheck", "TaskChecks", "TaskDesign", "TaskVerdict", "check_candidate"]

TaskVerdict = Literal["improved", "worse", "suspect", "held"]
TaskDesign = Literal["paired", "independent", "training runs"]

SUSPECT = 0.2
"""Two-sided p-value, not adjusted, at which a lower score is suspect: one in ten, one-sided."""

_FEW_SHARED = 0.5

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCheck:
    """One task in one world.

    Args:
        before: name of the policy that it is held against.
        old, new: scores of both; `difference` is new minus old.
        p_value: two-sided; `adjusted` for all tasks, which decides `improved` and `worse`.
        design: `paired`, `independent` or `training runs`.
        fall: smallest fall that so many trials show with power .8; `None` where none could be seen.
    """

    stratum: Stratum
    before: str
    old: Estimate
    new: Estimate
    difference: Estimate
    p_value: float
    adjusted: float
    verdict: TaskVerdict
    design: TaskDesign
    method: str
    fall: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskChecks:
    """All tasks of the candidate.

    Args:
        checks: worst first.
        first_seen: strata on which no earlier policy was tried.
        not_tried: strata of earlier policies on which the candidate was not tried.
        others: earlier policies that nothing was held against.
    """

    candidate: str
    checks: tuple[TaskCheck, ...]
    first_seen: tuple[Stratum, ...]
    not_tried: tuple[Stratum, ...]
    others: tuple[str, ...]

    def count(self, verdict: TaskVerdict) -> int:
        """On how many tasks the verdict is so."""
        return sum(check.verdict == verdict for check in self.checks)


def check_candidate(outcomes: Outcomes, order: Sequence[str], alpha: float = 0.05) -> TaskChecks:
    """Holds the last policy of `order` against the newest earlier one that was tried on the same task.

    Args:
        order: policies, oldest first.
        alpha: probability of even one false `improved` or `worse` among all tasks.

    Raises:
        RoboscaleError: fewer than two policies.

    >>> both = Outcomes.of_counts({"old": (18, 20), "new": (8, 20)})
    >>> check_candidate(both, ["old", "new"]).checks[0].verdict
    'worse'
    """
    if len(order) < 2:
        raise RoboscaleError(f"there is nothing to hold {order[0] if order else 'nobody'} against: one policy only")
    *earlier, candidate = order
    place = {name: number for number, name in enumerate(outcomes.policies)}
    tried = outcomes.counts()[1] > 0
    now = np.asarray(tried[place[candidate]])
    checks, first_seen = [], []
    for number, stratum in enumerate(outcomes.strata):
        if not now[number]:
            continue
        before = next((name for name in reversed(earlier) if tried[place[name], number]), None)
        if before is None:
            first_seen.append(stratum)
            continue
        rows = outcomes.where(outcomes.stratum == number)
        checks.append(_check(rows, stratum, before, candidate, 1 - alpha))
    decided = _decided(checks, alpha)
    seen = np.asarray(tried[[place[name] for name in earlier]].any(axis=0))
    used = {check.before for check in checks}
    return TaskChecks(
        candidate=candidate,
        checks=decided,
        first_seen=tuple(first_seen),
        not_tried=tuple(s for number, s in enumerate(outcomes.strata) if seen[number] and not now[number]),
        others=tuple(name for name in earlier if name not in used),
    )


_ORDER: tuple[TaskVerdict, ...] = ("worse", "suspect", "held", "improved")


def _decided(checks: Sequence[TaskCheck], alpha: float) -> tuple[TaskCheck, ...]:
    """With p-values adjusted for all tasks, and what follows; worst first."""
    corrected = adjusted([check.p_value for check in checks], "holm")
    decided = []
    for check, p in zip(checks, corrected, strict=True):
        gap = check.difference.value or 0.0
        verdict: TaskVerdict = "held"
        if p <= alpha and gap:
            verdict = "improved" if gap > 0 else "worse"
        elif gap < 0 and check.p_value <= SUSPECT:
            verdict = "suspect"
        decided.append(replace(check, adjusted=float(p), verdict=verdict))
    return tuple(sorted(decided, key=lambda c: (_ORDER.index(c.verdict), c.difference.value or 0.0, c.stratum)))


def _check(rows: Outcomes, stratum: Stratum, before: str, candidate: str, level: float) -> TaskCheck:
    old, new = (rows.where(rows.policy == rows.policies.index(name)) for name in (before, candidate))
    design: TaskDesign = "independent"
    averaged = False
    runs = [run_means(rows, name, [rows.strata.index(stratum)]) for name in (before, candidate)]
    pairs = None if min(map(len, runs)) >= FEWEST_RUNS else _pairs(rows, before, candidate)
    if min(map(len, runs)) >= FEWEST_RUNS:
        design = "training runs"
        p_value, difference = recipe_difference(runs[0], runs[1], level)
    elif pairs is not None:
        design = "paired"
        averaged = are_run_means(pairs)
        difference, p_value = _paired(pairs, "progress" if averaged else rows.kind, level)
    elif rows.kind == "success":
        one, two = _counts(old), _counts(new)
        difference = rate_difference(one, two, level)
        p_value = compare_counts(one, two)[0]
    else:
        difference, p_value = _unpaired(_values(old), _values(new), level)
    scores = [_score(side, level) for side in (old, new)]
    return TaskCheck(
        stratum=stratum,
        before=before,
        old=scores[0],
        new=scores[1],
        difference=difference,
        p_value=p_value,
        adjusted=p_value,
        verdict="held",
        design=design,
        method=_method(design, rows.kind, old, new) if not averaged else _AVERAGED,
        fall=(
            _smallest_fall(scores[0], scores[1], 1 - level)
            if rows.kind == "success" and design != "training runs"  # trials of one run share its luck
            else None
        ),
    )


_AVERAGED = "sign-flip test on means over training runs, paired by case"


def _method(design: str, kind: str, old: Outcomes, new: Outcomes) -> str:
    if design == "training runs":
        return RECIPE_TEST
    if kind == "progress":
        return "sign-flip test on paired progress" if design == "paired" else "permutation test on progress"
    if design == "paired":
        return "exact paired test (McNemar 1947)"
    return compare_counts(_counts(old), _counts(new))[1]


def _pairs(rows: Outcomes, before: str, candidate: str) -> Floats | None:
    """Values of both policies on the cases of both, (cases, 2); `None` where cases are not known or hardly shared."""
    if not rows.paired:
        return None
    try:
        _, values = rows.by_case([before, candidate])
    except RoboscaleError:
        return None  # several trials of one case: they are compared as independent ones
    both = values[~np.isnan(values).any(axis=1)]
    fewer = int((~np.isnan(values)).sum(axis=0).min())
    return both if len(both) and len(both) >= _FEW_SHARED * fewer else None


def _paired(pairs: Floats, kind: str, level: float) -> tuple[Estimate, float]:
    """Second minus first on the same cases, and the two-sided p-value."""
    if kind == "success":
        first, second = pairs[:, 0] >= 1, pairs[:, 1] >= 1
        cells = [
            int((first == a).astype(int) @ (second == b).astype(int)) for a in (False, True) for b in (False, True)
        ]
        counts = PairCounts((cells[0], cells[1], 0, cells[2], cells[3], 0, 0, 0, 0))
        tail = float(binomial_sf(max(counts.first_only, counts.second_only) - 1, counts.discordant, 0.5))
        return paired_difference(counts, level), min(1.0, 2 * tail) if counts.discordant else 1.0
    gaps = pairs[:, 1] - pairs[:, 0]
    n, mean = len(gaps), float(gaps.mean())
    method = "mean of paired differences, Student (1908)"
    if n < 2:
        return Estimate(value=mean, low=None, high=None, level=level, n=n, method=method), 1.0
    half = float(student_isf((1 - level) / 2, n - 1) * gaps.std(ddof=1) / np.sqrt(n))
    return Estimate(
        value=mean, low=max(-1.0, mean - half), high=min(1.0, mean + half), level=level, n=n, method=method
    ), sign_flips(gaps)


def _unpaired(old: Floats, new: Floats, level: float) -> tuple[Estimate, float]:
    """New minus old mean progress of independent trials, and the two-sided p-value."""
    side = np.repeat(np.array([0, 1], np.int8), [len(old), len(new)])
    scores = StratifiedScores(np.concatenate([old, new]), side, np.zeros(len(side), np.int32))
    return mean_difference(scores, level), stratified_permutation_test(scores)[0]


def _values(side: Outcomes) -> Floats:
    counted = ~np.isnan(side.value)
    return np.asarray(np.repeat(side.value[counted], side.weight[counted]))


def _counts(side: Outcomes) -> tuple[int, int]:
    counted = ~np.isnan(side.value)
    return int(side.weight[counted & (side.value >= 1)].sum()), int(side.weight[counted].sum())


def _score(side: Outcomes, level: float) -> Estimate:
    """Rate with its exact interval, or mean progress with Student's."""
    void = int(side.weight[np.isnan(side.value)].sum())
    if side.kind == "success":
        return clopper_pearson(*_counts(side), level, void)
    values, method = _values(side), "mean progress, Student (1908)"
    mean, n = float(values.mean()), len(values)
    if n < 2:
        return Estimate(value=mean, low=None, high=None, level=level, n=n, method=method, void=void)
    half = float(student_isf((1 - level) / 2, n - 1) * values.std(ddof=1) / np.sqrt(n))
    return Estimate(
        value=mean, low=max(0.0, mean - half), high=min(1.0, mean + half), level=level, n=n, method=method, void=void
    )


def _smallest_fall(old: Estimate, new: Estimate, alpha: float) -> float | None:
    """A fall of successes is a rise of failures; from the old rate, a half trial away from certainty."""
    n = min(old.n, new.n)
    if n == 0 or old.value is None:
        return None
    rate = min(old.value, 1 - 0.5 / max(old.n, 1))
    return smallest_rise(round(1 - rate, 2), n, round(alpha, 12))
