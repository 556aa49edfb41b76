"""Which comparisons to run next: those that most lower the chance of a wrong order, per unit of cost.

What is known of the strengths is a normal distribution. One more comparison of two policies would shrink its
covariance along their difference (a rank-1 update) and move its mean; what that does to the chance that each pair is
misordered is summed over all pairs. Costs, budgets, evaluators and cases decide which comparisons can be had.

Knows nothing of how trials are run. Within a batch the believed gaps stay where they are: plan short batches and plan
again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from roboscale.core.plain import Plain
from roboscale.stats.bradley_terry import Comparisons, fit_davidson, pair_indices

__all__ = [
    "CaseRecord",
    "Goal",
    "Knowledge",
    "Pick",
    "PickRule",
    "Plan",
    "Venue",
    "comparison_information",
    "expected_misorder",
    "fixed_gap_drop",
    "knowledge_from_comparisons",
    "knowledge_from_counts",
    "knowledge_from_estimates",
    "misorder_drop",
    "misorder_probability",
    "next_trials",
    "pairs_that_matter",
    "volume_gain",
]

PickRule = Literal["misorder", "fixed gap", "volume"]
Goal = Literal["order", "best"]
"""What is to be learned: the order of all policies, or which of them is the best."""
Floats = NDArray[np.float64]

_DEFAULT_NU = 0.25


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What is believed of the strengths of policies: a normal distribution.

    Args:
        policies: their names (K,).
        mean: log strengths (K,).
        covariance: of the strengths (K, K); only differences matter.
        nu: Davidson's tie parameter.
    """

    policies: tuple[str, ...]
    mean: Floats
    covariance: Floats
    nu: float = _DEFAULT_NU


@dataclass(frozen=True, slots=True)
class Venue:
    """A world in which comparisons can be run now.

    Args:
        world: its name.
        cost: of one comparison (two trials on one case), in the unit of `budget`.
        budget: what may be spent here; `None` for no limit.
        evaluators: how many comparisons each evaluator can run in this batch; empty where nobody is needed.
        worth: information of one comparison here on the order that is asked for, relative to one in the world it is
            asked for; e.g. the squared correlation of case outcomes. 1 for that world itself.
    """

    world: str
    _: KW_ONLY
    cost: float = 1.0
    budget: float | None = None
    evaluators: Mapping[str, int] = field(default_factory=dict)
    worth: float = 1.0

    def __post_init__(self) -> None:
        if not (self.cost > 0 and 0 <= self.worth <= 1 and (self.budget is None or self.budget >= 0)):
            raise ValueError(f"{self.world}: cost > 0, budget >= 0 and worth in 0..1 are needed")
        if any(slots < 0 for slots in self.evaluators.values()):
            raise ValueError(f"{self.world}: an evaluator cannot have fewer than 0 slots")


@dataclass(frozen=True, slots=True)
class CaseRecord:
    """A case and how all policies did on it so far: one that nobody, or everybody, solves tells little."""

    case: str
    successes: int = 0
    n: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.successes <= self.n:
            raise ValueError(f"{self.case}: {self.successes} successes in {self.n} trials")

    @property
    def worth(self) -> float:
        """Expected q (1 - q) of its success rate q under a uniform prior, relative to a case never tried."""
        a, b = self.successes + 1, self.n - self.successes + 1
        return 6 * a * b / ((a + b) * (a + b + 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pick:
    """One comparison to run: two policies on one case in one world.

    Args:
        first, second: the policies.
        case, world, evaluator: where and by whom; `evaluator` is empty where nobody is needed.
        cost: of this comparison.
        expected_drop: fall of the expected number of misordered pairs by it, as a share of what comparing this pair
            until the variance of its gap is halved would bring.
        reason: why, in one sentence.
    """

    first: str
    second: str
    case: str
    world: str
    evaluator: str
    cost: float
    expected_drop: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan(Plain):
    """The next comparisons, in order.

    Args:
        picks: to be run in this order.
        misordered_now: expected number of misordered pairs before the first pick, of those that the goal asks for.
        misordered_after: what to expect after the last one, over all that the picks may show.
        spent: cost by world.
        sentence: what the plan buys, and why it ends where it ends.
        method: rule and citation.
    """

    picks: tuple[Pick, ...]
    misordered_now: float
    misordered_after: float
    spent: Mapping[str, float]
    sentence: str
    method: str


_METHODS: dict[PickRule, str] = {
    "misorder": "expected misorder reduction per cost, looking ahead (knowledge gradient, Frazier and Powell 2010)",
    "fixed gap": "misorder reduction per cost if no gap moved",
    "volume": "D-optimal: log volume of the strengths' distribution per cost (Glickman and Jensen 2005)",
}


def knowledge_from_comparisons(comparisons: Comparisons, prior_sd: float = 1.0) -> Knowledge:
    """Belief after a normal prior on the strengths and the comparisons: defined for any data, none included.

    The prior keeps a lucky start from settling the order: after 3 wins of 3 the gap is believed to be near 1, not
    infinite, with an error near 1.
    """
    count = len(comparisons.policies)
    if count < 2:
        return Knowledge(comparisons.policies, np.zeros(count), np.full((count, count), prior_sd**2))
    fit = fit_davidson(comparisons.counts, count, ridge=prior_sd**-2)
    tied = bool(comparisons.counts[:, 2].any())
    nu = float(np.exp(fit.log_nu)) if tied else _DEFAULT_NU
    return Knowledge(comparisons.policies, fit.strengths, fit.covariance, nu)


def knowledge_from_counts(counts: Mapping[str, tuple[int, int]]) -> Knowledge:
    """Belief from successes and trials of each policy, each with a Beta(1, 1) prior, on the scale of log odds.

    If two policies succeed independently with odds e^a and e^b, their win : loss odds are e^(a - b): the Bradley-Terry
    model with the log odds as strengths. Mean and variance of log odds are digamma and trigamma differences.

    Args:
        counts: policy -> (successes, trials).
    """
    from scipy.special import digamma, polygamma

    names = tuple(sorted(counts))
    wins, n = (np.array([counts[name][at] for name in names], float).reshape(len(names)) for at in (0, 1))
    if np.any((wins < 0) | (wins > n)):
        raise ValueError("successes must lie in 0..trials")
    a, b = wins + 1, n - wins + 1
    mean = digamma(a) - digamma(b)
    rate = float((wins.sum() + 1) / (n.sum() + 2))
    nu = (rate**2 + (1 - rate) ** 2) / (2 * rate * (1 - rate))
    return Knowledge(names, mean, np.diag(polygamma(1, a) + polygamma(1, b)), nu)


def knowledge_from_estimates(
    policies: Sequence[str], mean: ArrayLike, covariance: ArrayLike, nu: float | None = None
) -> Knowledge:
    """Belief from a fit made elsewhere, e.g. the scores and the covariance of a `Ranking`.

    Args:
        policies: names (K,).
        mean, covariance: strengths (K,) and their covariance (K, K).
        nu: tie parameter; .25 where unknown.
    """
    knowledge = Knowledge(
        tuple(policies), np.asarray(mean, float), np.asarray(covariance, float), _DEFAULT_NU if nu is None else nu
    )
    count = len(knowledge.policies)
    if knowledge.mean.shape != (count,) or knowledge.covariance.shape != (count, count):
        raise ValueError(f"{count} policies, mean {knowledge.mean.shape}, covariance {knowledge.covariance.shape}")
    if not (np.isfinite(knowledge.mean).all() and np.isfinite(knowledge.covariance).all()):
        raise ValueError("mean and covariance must be finite")
    return knowledge


def comparison_information(gaps: ArrayLike, nu: ArrayLike) -> Floats:
    """Fisher information of one comparison on its gap of strengths (...), in 1 / logit^2; .25 / (1 + nu) at gap 0.

    Source: Davidson, JASA 65 (1970), variance of the score (win - loss) / 2.
    """
    half = np.asarray(gaps, float) / 2
    shift = np.abs(half)
    win, loss = np.exp(half - shift), np.exp(-half - shift)
    tie = 2 * np.asarray(nu, float) * np.exp(-shift)
    total = win + loss + tie
    return np.asarray(((win + loss) / total - ((win - loss) / total) ** 2) / 4)


def misorder_probability(mean: ArrayLike, covariance: ArrayLike) -> Floats:
    """Chance that each pair is ordered wrongly by the mean (..., P): Phi(-|gap| / error)."""
    from scipy.special import ndtr

    gaps, shared = _pairs(mean, covariance)
    error = np.sqrt(np.diagonal(shared, axis1=-2, axis2=-1))
    return np.asarray(ndtr(-np.abs(gaps) / error))


def pairs_that_matter(mean: ArrayLike, goal: Goal) -> Floats:
    """1 for each pair (..., P) whose order is asked for, else 0: all of them, or those with the present leader.

    If no policy is above the leader, it is the best; the order of the others says nothing about that.
    """
    at = np.asarray(mean, float)
    first, second = pair_indices(at.shape[-1])
    if goal == "order":
        return np.ones((*at.shape[:-1], len(first)))
    leader = at.argmax(axis=-1)[..., None]
    return np.asarray((first == leader) | (second == leader), float)


def expected_misorder(
    mean: ArrayLike, covariance: ArrayLike, after: ArrayLike, matters: ArrayLike | None = None
) -> Floats:
    """Expected number of misordered pairs (...) once the covariance has shrunk to `after`, over where the mean may go.

    A gap of mean d and error s now will be estimated at D ~ N(d, s^2 - s'^2) with error s' then, and be misordered
    when the truth and D differ in sign. The chance is 2 T(|d| / s, s' / sqrt(s^2 - s'^2)) with Owen's function T:
    Phi(-|d| / s) if nothing is learned, 0 if everything is.

    Args:
        mean, covariance, after: belief (..., K), (..., K, K), and the covariance to come.
        matters: weight of each pair (..., P); 1 by default.

    Source: Owen, Ann. Math. Stat. 27 (1956), for the two-normal orthant.
    """
    gaps, now = _pairs(mean, covariance)
    _, then = _pairs(mean, after)
    s, rest = np.diagonal(now, axis1=-2, axis2=-1), np.diagonal(then, axis1=-2, axis2=-1)
    weights = 1.0 if matters is None else np.asarray(matters, float)
    return np.asarray((weights * _misorder_after(np.abs(gaps), s, np.maximum(s - rest, 0.0))).sum(axis=-1))


def misorder_drop(
    mean: ArrayLike, covariance: ArrayLike, information: ArrayLike, matters: ArrayLike | None = None
) -> Floats:
    """Fall of the expected number of misordered pairs per comparison of each pair (..., P).

    One comparison alone can hardly turn an order, so its own worth is almost 0 for every pair whose order is not wide
    open. Each pair is therefore judged by as many comparisons as would halve the variance of its gap (at least one):
    the fall of `expected_misorder` by all of them, divided by their number.

    Args:
        mean, covariance: belief (..., K), (..., K, K).
        information: of one comparison of each pair (..., P).
        matters: weight of each pair's order (..., P); 1 by default.

    Source: Frazier and Powell, Decision Analysis 7 (2010), for the look-ahead over repeated measurements.
    """
    gaps, shared = _pairs(mean, covariance)
    variance = np.maximum(np.diagonal(shared, axis1=-2, axis2=-1), 1e-12)
    one = np.asarray(information, float)
    together = np.maximum(1 / variance, one)
    learned = shared**2 * (together / (1 + together * variance))[..., None]
    size = np.abs(gaps)
    weights = np.ones_like(size) if matters is None else np.asarray(matters, float)
    now = (weights * _misorder_after(size, variance, np.zeros_like(variance))).sum(axis=-1)
    then = (weights[..., None, :] * _misorder_after(size[..., None, :], variance[..., None, :], learned)).sum(axis=-1)
    return np.asarray((now[..., None] - then) * one / together)


def fixed_gap_drop(mean: ArrayLike, covariance: ArrayLike, information: ArrayLike) -> Floats:
    """Fall of the number of misordered pairs by one comparison of each pair if no gap moved (..., P).

    sum over pairs q of Phi(-|d_q| / s_q) - Phi(-|d_q| / s'_q). It gives no credit for finding an order wrong, hence
    ignores the pairs whose gap looks closest to 0 and takes about twice the comparisons of `misorder_drop`; here for
    comparison (benchmarks/stats_next_trial.py).
    """
    from scipy.special import ndtr

    gaps, shared = _pairs(mean, covariance)
    variance = np.diagonal(shared, axis1=-2, axis2=-1)
    weight = np.asarray(information, float)
    gain = weight / (1 + weight * variance)
    after = np.maximum(variance[..., None, :] - shared**2 * gain[..., None], 1e-300)
    now = ndtr(-np.abs(gaps) / np.sqrt(variance)).sum(axis=-1)
    return np.asarray(now[..., None] - ndtr(-np.abs(gaps)[..., None, :] / np.sqrt(after)).sum(axis=-1))


def volume_gain(covariance: ArrayLike, information: ArrayLike) -> Floats:
    """Fall of the log volume of the belief by one more comparison of each pair (..., P): log(1 + I v' S v).

    A fifth of the work of `misorder_drop`; it learns all gaps alike, whether or not their order is in doubt.
    """
    _, shared = _pairs(np.zeros(np.shape(covariance)[:-1]), covariance)
    gain: Floats = np.log1p(np.asarray(information, float) * np.diagonal(shared, axis1=-2, axis2=-1))
    return gain


def next_trials(
    known: Knowledge,
    venues: Sequence[Venue],
    cases: Sequence[CaseRecord],
    count: int = 10,
    rule: PickRule = "misorder",
    done: Mapping[tuple[str, str, str, str], int] | None = None,
    repeats: int = 1,
    goal: Goal = "order",
) -> Plan:
    """The next comparisons, greedily by what each is expected to buy per unit of cost.

    After each pick the belief is narrowed as if it had been run, so a batch spreads over the pairs in doubt. Results
    then decide which pairs come next, so claims from them need `rank_policies(..., sets="anytime")`.

    Args:
        known: belief now.
        venues: where comparisons can be run, at which cost, by whom.
        cases: what policies can be tried on.
        count: the most picks.
        rule: `misorder`, the faster `volume`, or `fixed gap` to compare with.
        done: (first, second, case, world), policies sorted, -> comparisons already run.
        repeats: how often one pair may be compared on one case in one world; 1 for worlds that repeat themselves.
        goal: `order` of all, or who is `best`: then only pairs with the present leader count.

    Raises:
        ValueError: two venues or two cases of one name, or another goal than `order` with another rule.
    """
    if goal != "order" and rule != "misorder":
        raise ValueError(f"the goal {goal} needs the rule misorder; found {rule}")
    if len({venue.world for venue in venues}) < len(venues) or len({case.case for case in cases}) < len(cases):
        raise ValueError("every venue and every case must be named once")
    state = _State(known, tuple(venues), tuple(cases), rule=rule, repeats=repeats, done=done, goal=goal)
    wrong = misorder_probability(known.mean, known.covariance) if len(known.policies) > 1 else np.zeros(0)
    now = float(state.matters @ wrong)
    picks: list[Pick] = []
    while len(picks) < count and (pick := state.pick()) is not None:
        picks.append(pick)
    after = float(expected_misorder(known.mean, known.covariance, state.covariance, state.matters)) if now else 0.0
    return Plan(
        picks=tuple(picks),
        misordered_now=now,
        misordered_after=after,
        spent=dict(state.spent),
        sentence=_summary(known, picks, now, after, count, state),
        method=_METHODS[rule],
    )


class _State:
    """What is left to spend while a batch is being picked; the only thing that changes."""

    def __init__(
        self,
        known: Knowledge,
        venues: tuple[Venue, ...],
        cases: tuple[CaseRecord, ...],
        *,
        rule: PickRule,
        repeats: int,
        done: Mapping[tuple[str, str, str, str], int] | None,
        goal: Goal,
    ) -> None:
        self.goal = goal
        self.matters = pairs_that_matter(known.mean, goal) if len(known.policies) > 1 else np.zeros(0)
        self.known, self.venues, self.cases, self.rule, self.repeats = known, venues, cases, rule, repeats
        self.covariance = known.covariance.copy()
        self.used = dict(done or {})
        self.on_case: dict[tuple[str, str], int] = {}
        self.spent = {venue.world: 0.0 for venue in venues}
        self.slots = {venue.world: dict(venue.evaluators) for venue in venues}

    def open(self, venue: Venue) -> bool:
        """Whether budget and evaluators allow one more comparison there."""
        affordable = venue.budget is None or self.spent[venue.world] + venue.cost <= venue.budget * (1 + 1e-12)
        return affordable and (not venue.evaluators or any(self.slots[venue.world].values()))

    def cases_for(self, pairs: Sequence[tuple[str, str]], world: str) -> list[CaseRecord | None]:
        """For each pair the most telling case on which it may still be compared, spread over cases of equal worth."""
        ranked = sorted(
            self.cases, key=lambda c: (-c.worth / (1 + 0.01 * self.on_case.get((c.case, world), 0)), _counted(c.case))
        )
        return [
            next((c for c in ranked if self.used.get((*_sorted(a, b), c.case, world), 0) < self.repeats), None)
            for a, b in pairs
        ]

    def pick(self) -> Pick | None:
        """The best comparison that can be had, booked; `None` when there is none."""
        names = self.known.policies
        first, second = pair_indices(len(names))
        base = comparison_information(self.known.mean[first] - self.known.mean[second], self.known.nu)
        pairs = [(names[i], names[j]) for i, j in zip(first, second, strict=True)]
        best: tuple[float, int, Venue, CaseRecord, float] | None = None
        for venue in (venue for venue in self.venues if self.open(venue)):
            cases = self.cases_for(pairs, venue.world)
            worth = venue.worth * base * np.array([0.0 if case is None else case.worth for case in cases])
            gains = self._gains(worth) / venue.cost
            at = int(np.argmax(gains)) if len(gains) else -1
            case = cases[at] if at >= 0 else None
            if case is not None and gains[at] > 0 and (best is None or gains[at] > best[0]):
                best = float(gains[at]), at, venue, case, float(worth[at])
        if best is None:
            return None
        _, at, venue, case, weight = best
        return self._book(int(first[at]), int(second[at]), venue, case, weight)

    def _gains(self, information: Floats) -> Floats:
        if self.rule == "volume":
            return volume_gain(self.covariance, information)
        if self.rule == "misorder":
            return misorder_drop(self.known.mean, self.covariance, information, self.matters)
        return fixed_gap_drop(self.known.mean, self.covariance, information)

    @property
    def aim(self) -> str:
        """What the picks lower, in words."""
        if self.goal == "order":
            return "the number of misordered pairs"
        return (
            f"the number of policies above {self.known.policies[int(self.known.mean.argmax())]}, the present leader,"
        )

    def _book(self, i: int, j: int, venue: Venue, case: CaseRecord, weight: float) -> Pick:
        names, mean = self.known.policies, self.known.mean
        before = misorder_probability(mean, self.covariance)
        direction = self.covariance[:, i] - self.covariance[:, j]
        variance = float(direction[i] - direction[j])
        pair = _pair_number(i, j, len(names))
        information = np.zeros(len(before))
        information[pair] = weight
        drop = float(misorder_drop(mean, self.covariance, information, self.matters)[pair])
        self.covariance = self.covariance - np.outer(direction, direction) * weight / (1 + weight * variance)
        evaluator = max(self.slots[venue.world], key=lambda name: (self.slots[venue.world][name], name), default="")
        if evaluator:
            self.slots[venue.world][evaluator] -= 1
        self.spent[venue.world] += venue.cost
        a, b = _sorted(names[i], names[j])
        self.used[a, b, case.case, venue.world] = self.used.get((a, b, case.case, venue.world), 0) + 1
        self.on_case[case.case, venue.world] = self.on_case.get((case.case, venue.world), 0) + 1
        ahead, behind = (i, j) if mean[i] >= mean[j] else (j, i)
        reason = (
            f"{names[ahead]} leads {names[behind]} by {abs(mean[i] - mean[j]):.2f} +- {variance**0.5:.2f} logits, so"
            f" their order is wrong with probability {before[pair]:.2f}; one comparison in {venue.world} (cost"
            f" {venue.cost:g}) is expected to lower {self.aim} by {drop:.2g}."
        )
        return Pick(
            first=names[i],
            second=names[j],
            case=case.case,
            world=venue.world,
            evaluator=evaluator,
            cost=venue.cost,
            expected_drop=drop,
            reason=reason,
        )


def _misorder_after(size: Floats, variance: Floats, learned: Floats) -> Floats:
    """Chance that a gap of this size is misordered after `learned` of its variance has been resolved."""
    from scipy.special import owens_t

    variance = np.maximum(variance, 1e-12)
    rest = np.maximum(variance - learned, 0.0)
    return np.asarray(2 * owens_t(size / np.sqrt(variance), np.sqrt(rest / np.maximum(learned, 1e-300))))


def _pairs(mean: ArrayLike, covariance: ArrayLike) -> tuple[Floats, Floats]:
    """Gaps of all pairs (..., P) and their covariance (..., P, P)."""
    at, spread = np.asarray(mean, float), np.asarray(covariance, float)
    first, second = pair_indices(at.shape[-1])
    rows = spread[..., first, :] - spread[..., second, :]
    return at[..., first] - at[..., second], rows[..., first] - rows[..., second]


def _counted(name: str) -> list[str | int]:
    """How names with numbers are put in order: scene 2 before scene 10."""
    return [int(part) if k % 2 else part for k, part in enumerate(re.split(r"(\d+)", name))]


def _sorted(first: str, second: str) -> tuple[str, str]:
    return (first, second) if first <= second else (second, first)


def _pair_number(i: int, j: int, policies: int) -> int:
    """Position of the pair i < j in `pair_indices`."""
    return i * (2 * policies - i - 1) // 2 + j - i - 1


_NOTHING = 0.005
"""A gain that two digits do not show."""


def _summary(known: Knowledge, picks: list[Pick], now: float, after: float, count: int, state: _State) -> str:
    """What the picks buy and what ended them."""
    if len(known.policies) < 2:
        return "Fewer than two policies: there is no order to learn."
    if not picks:
        why = "no world has budget and evaluators left" if not any(map(state.open, state.venues)) else ""
        return f"Nothing to run: {why or 'every pair has been compared on every case, or no comparison would tell'}."
    if now - after < _NOTHING:
        return f"No comparison is needed: {len(picks)} more would lower {state.aim} from {now:.2f} by less than 0.005."
    said = (
        f"{len(picks)} comparison{'s' * (len(picks) > 1)} for {sum(pick.cost for pick in picks):g} cost units are"
        f" expected to lower {state.aim} from {now:.2f} to {after:.2f}."
    )
    if len(picks) == count:
        return said
    if not any(map(state.open, state.venues)):
        return f"{said} Then budget or evaluators are used up."
    return f"{said} Then every pair has been compared on every case, or no comparison would tell."
