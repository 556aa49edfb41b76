"""Evaluators whose votes say little, or say it for somebody. A flag is a question for organisers, never a verdict.

What the others' votes lead to expect of a match is one probability of each outcome; an evaluator's own votes are left
out of it. Four suspicions are tested against that, the first three one-sided, at a third of the flagging level each:

    always one side      decided votes for A are a fair coin's, because the order was drawn
    for an owner         votes for one group's policies beyond what the others' votes lead to expect
    against its scores   votes for one group's policies that the evaluator scored clearly lower, more than others do
    at random            votes that follow the expected ones no better than coins would

The last is the other way round: honest votes are no null there, so a flag is a likelihood ratio, not a p-value. The
third finds whoever favours a policy that wins nearly always anyway, and nobody whose scores are made up as well.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import betabinom

from roboscale.arena.match import Match
from roboscale.arena.state import ArenaState
from roboscale.core.plain import Plain
from roboscale.stats.bradley_terry import ComparisonOutcome, Comparisons, count_comparisons
from roboscale.stats.distributions import binomial_sf, normal_sf
from roboscale.stats.next_trial import Knowledge, knowledge_from_comparisons

__all__ = ["FLAG_LEVEL", "LEAST_MATCHES", "EvaluatorFlag", "flag_evaluators"]

FLAG_LEVEL = 0.03
"""Share of honest evaluators that may be flagged for a side or an owner, all their groups together."""

LEAST_MATCHES = 15
"""Votes before an evaluator is looked at."""

CLEAR_GAP = 5.0
"""Points of progress (of 100) by which a side is clearly lower."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class EvaluatorFlag(Plain):
    """A suspicion.

    Args:
        account: whose votes.
        what: `always one side`, `for an owner`, `against its scores` or `at random`.
        about: the letter or the group.
        value: p-value, or the ratio of likelihoods (coins : the others' expectation).
        n: votes that were looked at.
    """

    account: str
    what: str
    about: str
    value: float
    n: int
    method: str


@dataclass(frozen=True, kw_only=True)
class _Vote:
    """One decided or tied vote: policies in their order, 1, 0 or .5 for the first, and by how many points of progress
    the same evaluator scored the first higher."""

    first: str
    second: str
    value: float
    gap: float = 0.0

    @property
    def clear(self) -> bool:
        """Decided, between sides that were scored apart."""
        return self.value != 0.5 and abs(self.gap) >= CLEAR_GAP

    @property
    def against(self) -> bool:
        """For the side that was scored clearly lower."""
        return self.clear and (self.value > 0.5) != (self.gap > 0)


def flag_evaluators(state: ArenaState) -> list[EvaluatorFlag]:
    """Suspicions of everybody with enough votes, the strongest first; nothing is said of who has too few."""
    votes: dict[str, list[_Vote]] = defaultdict(list)
    for id_ in state.finished:
        match = state.matches[id_]
        if len(match.sides) == 2:
            votes[match.evaluator].append(_vote_of(match))
    groups = {p.id: p.group for p in state.policies.values()}
    counted = {account: _counted(mine, [*groups]) for account, mine in votes.items()}
    scored = {a: (sum(v.clear for v in mine), sum(v.against for v in mine)) for a, mine in votes.items()}
    found: list[EvaluatorFlag] = []
    while True:  # whoever is flagged is no witness against the others: the worst first, then everybody else anew
        flagged = {flag.account for flag in found}
        suspects: list[list[EvaluatorFlag]] = []
        for account, mine in votes.items():
            if account not in flagged and len(mine) >= LEAST_MATCHES:
                away = {account, *flagged}
                others = [some for other, some in counted.items() if other not in away]
                said = _of_one(account, mine, _together(others), groups)
                theirs = [sum(n[k] for other, n in scored.items() if other not in away) for k in (0, 1)]
                said += _against_scores(account, mine, theirs, groups)
                if said:
                    suspects.append(said)
        if not suspects:
            return found
        found += max(suspects, key=_weight)


def _weight(flags: Iterable[EvaluatorFlag]) -> float:
    """How strong the strongest suspicion is: nats of evidence, about."""
    return max(math.log(f.value) if f.what == "at random" else -math.log(max(f.value, 1e-300)) for f in flags)


def _vote_of(match: Match) -> _Vote:
    ((a, b, outcome),) = match.comparisons()
    value = {"first": 1.0, "second": 0.0, "tie": 0.5}[outcome]
    scored = [match.scores[letter].progress for letter in (a, b) if letter in match.scores]
    gap = scored[0] - scored[1] if len(scored) == 2 else 0.0
    return _Vote(first=match.policy_of(a), second=match.policy_of(b), value=value, gap=gap)


def _of_one(
    account: str, mine: Sequence[_Vote], others: Comparisons | None, groups: Mapping[str, str]
) -> list[EvaluatorFlag]:
    found = []
    level = FLAG_LEVEL / 3
    values = np.array([vote.value for vote in mine])
    first, decided = int((values == 1).sum()), int((values != 0.5).sum())
    for letter, won in (("A", first), ("B", decided - first)):
        p = float(binomial_sf(won - 1, decided, 0.5)) if decided else 1.0
        if p < level / 2:
            method = "binomial test of decided votes for a side (order was drawn)"
            found.append(_flag(account, "always one side", letter, p, decided, method))
    if others is None or others.n < LEAST_MATCHES:
        return found
    belief = knowledge_from_comparisons(others, prior_sd=2.0)
    expected, spread = _expected(belief, mine)
    found += _for_an_owner(account, mine, groups, (values, expected, spread), level)
    found += _at_random(account, mine, belief)
    return found


def _counted(votes: Sequence[_Vote], policies: Sequence[str]) -> Comparisons:
    """How often each policy beat each other one, whether or not they met."""
    named: dict[float, ComparisonOutcome] = {1.0: "first", 0.0: "second", 0.5: "tie"}
    first, second = [v.first for v in votes], [v.second for v in votes]
    return count_comparisons(first, second, [named[v.value] for v in votes], policies=tuple(policies))


def _together(some: Sequence[Comparisons]) -> Comparisons | None:
    """The sum of counts of the same policies; `None` of none."""
    if not some:
        return None
    counts = np.sum([one.counts for one in some], axis=0)
    return replace(some[0], counts=counts, per_pair=np.sum([one.per_pair for one in some], axis=0))


def _chances(belief: Knowledge, votes: Sequence[_Vote]) -> Floats:
    """Chances of first, second and tie, (n, 3), averaged over what is believed of the gap by three points."""
    place = {name: k for k, name in enumerate(belief.policies)}
    i = np.array([place[v.first] for v in votes])
    j = np.array([place[v.second] for v in votes])
    gap = belief.mean[i] - belief.mean[j]
    cov = belief.covariance
    sd = np.sqrt(np.maximum(cov[i, i] + cov[j, j] - 2 * cov[i, j], 0.0))
    total = np.zeros((len(votes), 3))
    for node, weight in ((-math.sqrt(3), 1 / 6), (0.0, 2 / 3), (math.sqrt(3), 1 / 6)):  # Gauss and Hermite
        half = (gap + node * sd) / 2
        parts = np.stack([np.exp(half), np.exp(-half), np.full_like(half, 2 * belief.nu)], axis=1)
        total += weight * parts / parts.sum(axis=1, keepdims=True)
    return total


def _expected(belief: Knowledge, votes: Sequence[_Vote]) -> tuple[Floats, Floats]:
    """Expected value of each vote and its variance, (n,), (n,)."""
    chances = _chances(belief, votes)
    mean = chances[:, 0] + 0.5 * chances[:, 2]
    return mean, chances[:, 0] + 0.25 * chances[:, 2] - mean**2


def _for_an_owner(
    account: str,
    mine: Sequence[_Vote],
    groups: Mapping[str, str],
    table: tuple[Floats, Floats, Floats],
    level: float,
) -> list[EvaluatorFlag]:
    """Votes for a group's policies against what is expected of them; both sides of one group say nothing."""
    values, expected, spread = table
    found = []
    counted = Counter(g for v in mine for g in {groups[v.first], groups[v.second]})
    for group in sorted(counted):
        sign = np.array([(groups[v.first] == group) - float(groups[v.second] == group) for v in mine])
        used = sign != 0
        if used.sum() < 5:
            continue
        excess = float((sign * (values - expected))[used].sum())
        variance = float(spread[used].sum())
        p = float(normal_sf((excess - 0.25) / math.sqrt(max(variance, 1e-9))))  # half a step towards the honest
        if p < level / len(counted):
            method = "normal test of votes for a group's policies against the other evaluators' Bradley-Terry fit"
            found.append(_flag(account, "for an owner", group, p, int(used.sum()), method))
    return found


def _against_scores(
    account: str, mine: Sequence[_Vote], theirs: Sequence[int], groups: Mapping[str, str]
) -> list[EvaluatorFlag]:
    """Votes for a group's policy that was scored clearly lower, against how often others vote so for either side.

    Args:
        theirs: how many clear votes the others gave, and how many of them against their scores.
    """
    if theirs[0] < LEAST_MATCHES:
        return []
    sides, odd = 2 * theirs[0], theirs[1]
    apart = [v for v in mine if v.clear and groups[v.first] != groups[v.second]]
    counted = Counter(groups[policy] for vote in apart for policy in (vote.first, vote.second))
    favoured = Counter(groups[v.first if v.value > 0.5 else v.second] for v in apart if v.against)
    found = []
    for group, k in sorted(favoured.items()):
        p = float(betabinom.sf(k - 1, counted[group], odd + 0.5, sides - odd + 0.5))
        if p < FLAG_LEVEL / 3 / len(counted):
            method = "beta-binomial test of votes against the evaluator's own scores, at the other evaluators' rate"
            found.append(_flag(account, "against its scores", group, p, counted[group], method))
    return found


def _at_random(account: str, mine: Sequence[_Vote], belief: Knowledge) -> list[EvaluatorFlag]:
    """Coins against what the others lead to expect: above a ratio of 1 coins explain the votes better."""
    chances = _chances(belief, mine)
    column = np.array([{1.0: 0, 0.0: 1, 0.5: 2}[v.value] for v in mine])
    decided = column != 2
    share = (chances[:, 0] / (chances[:, 0] + chances[:, 1]))[decided]
    won = column[decided] == 0
    informative = float(np.abs(share - 0.5).sum())
    if informative < 3:  # the others know too little, or the pairs were too equal, to tell coins from eyes
        return []
    ratio = float(np.sum(np.log(0.5) - np.log(np.where(won, share, 1 - share))))
    if ratio > 0:
        method = "likelihood of decided votes as coins over that by the other evaluators' Bradley-Terry fit, above 1"
        found = math.exp(min(ratio, 300.0))
        return [_flag(account, "at random", "", found, int(decided.sum()), method)]
    return []


def _flag(account: str, what: str, about: str, value: float, n: int, method: str) -> EvaluatorFlag:
    return EvaluatorFlag(account=account, what=what, about=about, value=value, n=n, method=method)
