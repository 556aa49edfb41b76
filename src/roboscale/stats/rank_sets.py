"""A ranking that claims no more than the comparisons show: scores, the ranks each policy may have, and tie groups.

A board that prints 1, 2, 3 claims an order. Here every policy gets the *set* of ranks that the data leave open, all
sets being right together with probability `level`, and policies that cannot be told apart share a group. Where the
model has no finite fit (an undefeated policy, groups that never met) the ranking says so and leaves the score out.

Knows nothing of where comparisons come from; the model is in `roboscale.stats.bradley_terry`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Estimate, UnknownName
from roboscale.core.plain import Plain
from roboscale.stats.betting import beta_log_wealth
from roboscale.stats.bradley_terry import (
    Comparisons,
    Fit,
    TieRule,
    bootstrap_fits,
    case_covariance,
    fit_davidson,
    has_finite_fit,
    likelihood_ratio_roots,
    pair_indices,
    strong_components,
)
from roboscale.stats.distributions import binomial_sf, normal_sf

__all__ = ["Ranking", "SetMethod", "rank_policies", "rank_sets", "tie_groups"]

SetMethod = Literal["holm", "anytime", "bootstrap"]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

_MODELS = {
    "davidson": "Bradley-Terry with Davidson ties (JASA 1970)",
    "half": "Bradley-Terry (Biometrika 1952), ties as half wins",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking(Plain):
    """What comparisons allow to say about the order of policies.

    Args:
        policies: all names, sorted.
        scores: log strength of each policy, centred over `scored`; its value is `None` where it is not identified.
            n is the number of comparisons of that policy.
        tie_parameter: Davidson's nu; equals tie with probability nu / (1 + nu). No value where ties were not modelled.
        scored: the policies whose scores can be compared with each other, sorted (S,).
        covariance: of the scores (S, S), in the order of `scored`.
        order: best first by point estimate, empty where the comparisons order nothing or not all of them.
        rank_sets: lowest and highest rank that is left open for each policy, 1 is best; all hold together at `level`.
        tie_groups: groups, best first; every policy is shown better than all policies of later groups.
        components: groups within which wins and ties lead from each policy to each other one. More than one means
            that strengths across groups have no finite estimate.
        n, void: comparisons counted, and comparisons or trials that broke.
        level: confidence level of scores and rank sets.
        method: model, ridge, and how the rank sets were made.
        sentence: what may be said, and why some scores are missing.
        bootstrap_share: share of resamples with a finite fit; `None` without bootstrap.
        claims: (better, worse) of every pair that was shown to differ: what rank sets and groups are made from.
    """

    policies: tuple[str, ...]
    scores: Mapping[str, Estimate]
    tie_parameter: Estimate
    scored: tuple[str, ...]
    covariance: Floats
    order: tuple[str, ...]
    rank_sets: Mapping[str, tuple[int, int]]
    tie_groups: tuple[tuple[str, ...], ...]
    components: tuple[tuple[str, ...], ...]
    n: int
    void: int
    level: float
    method: str
    sentence: str
    bootstrap_share: float | None = None
    claims: tuple[tuple[str, str], ...] = ()

    def difference(self, first: str, second: str) -> Estimate:
        """Log strength of `first` minus that of `second`, with a Wald interval for this one pair.

        No value where the two cannot be compared; UnknownName for a policy that is not there.
        """
        for name in (first, second):
            if name not in self.policies:
                raise UnknownName("policy", name, self.policies)
        a, b = self.scores[first], self.scores[second]
        n = min(a.n, b.n)
        if a.value is None or b.value is None:
            return Estimate(value=None, low=None, high=None, level=self.level, n=n, method=self.method)
        v = np.zeros(len(self.scored))
        v[self.scored.index(first)] += 1
        v[self.scored.index(second)] -= 1
        half = _z(self.level) * math.sqrt(max(float(v @ self.covariance @ v), 0.0))
        gap = a.value - b.value
        return Estimate(value=gap, low=gap - half, high=gap + half, level=self.level, n=n, method=self.method)


def rank_policies(
    comparisons: Comparisons,
    level: float = 0.95,
    ties: TieRule = "davidson",
    ridge: float = 0.0,
    sets: SetMethod = "holm",
    bootstraps: int = 1000,
    rng: np.random.Generator | None = None,
    stands: Callable[[str, str], bool] | None = None,
) -> Ranking:
    """Fits strengths and says which ranks the comparisons leave open.

    Args:
        comparisons: counted comparisons; with `by_case`, intervals take the case as the independent unit (with a
            ridge they do not, and `method` says so).
        ties: `davidson`, or `half` (shrinks the strengths; for comparison with boards that do so).
        ridge: 0, or the inverse variance of a normal prior on the strengths: then every policy gets a score, and
            `method` says that a prior made it.
        sets: `holm` on pairwise likelihood-ratio tests, with exact sign tests of direct comparisons for pairs without
            finite fit and for shared cases. `anytime`: Holm on e-values of direct comparisons, valid also when the
            results decided when to stop or which pair came next (`next_trials`). `bootstrap` of the largest
            studentised difference, which says nothing of policies without a score.
        bootstraps: resamples for `bootstrap`.
        rng: for `bootstrap`; seed 0 by default.
        stands: asked for each claim (ahead, behind); what it refuses is not claimed.
    """
    if not (0 < level < 1 and 0 <= ridge < np.inf and bootstraps >= 1):
        raise ValueError(f"level must be in (0, 1), ridge >= 0, bootstraps >= 1: {level}, {ridge}, {bootstraps}")
    names, share = comparisons.policies, None
    components = strong_components((comparisons.wins > 0) | (comparisons.ties > 0))
    scored = _scored(comparisons, components, ties, ridge)
    inside = comparisons.among([names[k] for k in scored])
    model = _fit(inside, scored, ties, ridge)
    if sets == "bootstrap":
        above, share = _above_by_bootstrap(comparisons, inside, model, level, bootstraps, rng)
        how = f"rank sets by bootstrap max-|t|, {bootstraps} resamples (Mogstad et al. 2024)"
    else:
        tests = _anytime_tests(comparisons) if sets == "anytime" else _pairwise_tests(comparisons, inside, model)
        above, how = _above_by_holm(*tests, level), f"rank sets by Holm (1979) on {_tests(comparisons, ridge, sets)}"
    above = _standing(above, names, stands)
    method = _model_name(comparisons, ties, ridge)
    groups = tie_groups(above)
    return Ranking(
        policies=names,
        scores=_scores(comparisons, model, level, method),
        tie_parameter=_tie_parameter(inside, model, level, method),
        scored=inside.policies,
        covariance=model.covariance,
        order=tuple(names[k] for k in _order(components, model, comparisons, groups)),
        rank_sets=dict(zip(names, rank_sets(above), strict=True)),
        tie_groups=tuple(tuple(names[k] for k in group) for group in groups),
        components=tuple(tuple(names[k] for k in group) for group in components),
        n=comparisons.n,
        void=comparisons.void,
        level=level,
        method=f"{method}; {how}",
        sentence=_sentence(comparisons, components, scored, groups, level, share) + _within(groups, above),
        bootstrap_share=share,
        claims=tuple((names[i], names[j]) for i, j in np.argwhere(above).tolist()),
    )


def _standing(above: Flags, names: Sequence[str], stands: Callable[[str, str], bool] | None) -> Flags:
    """The claims that `stands` does not refuse."""
    if stands is None:
        return above
    kept = np.zeros_like(above)
    for i, j in np.argwhere(above).tolist():
        kept[i, j] = stands(names[i], names[j])
    return kept


def rank_sets(above: Flags) -> tuple[tuple[int, int], ...]:
    """Lowest and highest rank left open for each policy, from which policies are shown above which (K, K).

    Source: Mogstad, Romano, Shaikh and Wilhelm, Rev. Econ. Studies 91 (2024), section 3.
    """
    better, worse = above.sum(axis=0), above.sum(axis=1)
    return tuple((1 + b, len(above) - w) for b, w in zip(better.tolist(), worse.tolist(), strict=True))


def tie_groups(above: Flags) -> tuple[tuple[int, ...], ...]:
    """The finest split, best first, in which each policy is shown above all policies of later groups (K, K)."""
    if len(above) == 0:
        return ()
    return strong_components(~above.T & ~np.eye(len(above), dtype=bool))


def _scored(
    comparisons: Comparisons, components: tuple[tuple[int, ...], ...], ties: TieRule, ridge: float
) -> list[int]:
    """Policies whose scores can be compared: of the one largest component, if that has a finite fit."""
    everyone = list(range(len(comparisons.policies)))
    if ridge > 0:
        return everyone if len(everyone) > 1 and comparisons.n else []
    largest = max((len(group) for group in components), default=0)
    candidates = [list(group) for group in components if len(group) == largest]
    if largest < 2 or len(candidates) > 1:
        return []
    inside = comparisons.among([comparisons.policies[k] for k in candidates[0]])
    return candidates[0] if has_finite_fit(inside.counts, largest, ties) else []


@dataclass(frozen=True, slots=True, kw_only=True)
class _Model:
    """The fit of the scored policies, if there is one, with the covariance that is believed."""

    scored: list[int]
    fit: Fit | None
    covariance: Floats
    ties: TieRule
    ridge: float


def _fit(inside: Comparisons, scored: list[int], ties: TieRule, ridge: float) -> _Model:
    count = len(scored)
    if count < 2:
        return _Model(scored=scored, fit=None, covariance=np.zeros((0, 0)), ties=ties, ridge=ridge)
    fit = fit_davidson(inside.counts, count, ties, ridge)
    covariance = fit.covariance
    if inside.by_case is not None and ridge == 0:
        covariance = case_covariance(fit, inside.by_case, count, ties)
    return _Model(scored=scored, fit=fit, covariance=covariance, ties=ties, ridge=ridge)


def _model_name(comparisons: Comparisons, ties: TieRule, ridge: float) -> str:
    prior = f", normal prior of sd {1 / math.sqrt(ridge):g}" if ridge else ""
    shared = ", comparisons taken as independent" if ridge else ", case-clustered"
    return f"{_MODELS[ties]}{prior}{shared if comparisons.by_case is not None else ''}"


def _tests(comparisons: Comparisons, ridge: float, sets: SetMethod) -> str:
    """The tests under Holm's procedure."""
    if sets == "anytime":
        return "anytime-valid e-values of direct comparisons (Robbins 1970)"
    if comparisons.by_case is not None:
        return "exact paired sign tests"
    return "pairwise Wald tests" if ridge else "pairwise likelihood ratios, exact sign tests without finite fit"


def _above_by_holm(lead: Floats, p_values: Floats, level: float) -> Flags:
    """Which policy is shown above which (K, K), at family-wise error 1 - level over all pairs.

    Args:
        lead: its sign says who is ahead (K, K).
        p_values: two-sided, above the diagonal (K, K).
    """
    count = len(lead)
    pairs = np.argwhere(np.triu(np.ones((count, count), bool), 1)).tolist()
    above = np.zeros((count, count), bool)
    for step, (i, j) in enumerate(sorted(pairs, key=lambda pair: p_values[pair[0], pair[1]])):
        if p_values[i, j] > (1 - level) / (len(pairs) - step):
            break
        above[(i, j) if lead[i, j] > 0 else (j, i)] = True
    return above


def _pairwise_tests(comparisons: Comparisons, inside: Comparisons, model: _Model) -> tuple[Floats, Floats]:
    """Leads and p-values (K, K): of the model for scored pairs, of direct comparisons for the others."""
    lead, p_values = _sign_tests(comparisons)
    if model.fit is not None:
        at = np.ix_(model.scored, model.scored)
        gaps, errors = _gaps(model.fit.strengths, model.covariance)
        z = np.triu(gaps / errors, 1)
        if model.ridge == 0 and comparisons.by_case is None:
            z[pair_indices(len(z))] = likelihood_ratio_roots(model.fit, inside.counts, len(z), model.ties)
        # cases shared by many policies: where a pair met, its own sign test is exact and needs no model
        met = comparisons.wins + comparisons.wins.T + comparisons.ties > 0
        modelled = ~met[at] | (comparisons.by_case is None)
        lead[at] = np.where(modelled, gaps, lead[at])
        p_values[at] = np.where(modelled, 2 * normal_sf(np.abs(z)), p_values[at])
    return lead, p_values


def _anytime_tests(comparisons: Comparisons) -> tuple[Floats, Floats]:
    """Wins minus losses, and p-values that hold at any time (above the diagonal) of direct comparisons (K, K).

    Whoever chose the pair, given the past a decided comparison of equals is a fair coin, so a bettor's capital against
    it is a fair game. Of the two-sided mixture 2 E - 1 is left for the side that leads (the other side never exceeds
    1), and two sides are tried.
    """
    wins = comparisons.wins
    p_values = np.ones_like(wins)
    for i, j in zip(*pair_indices(len(wins)), strict=True):
        won, lost = int(wins[i, j]), int(wins[j, i])
        wealth = math.exp(min(beta_log_wealth(won, won + lost, 0.5), 700.0))
        if wealth > 1.5:
            p_values[i, j] = 2 / (2 * wealth - 1)
    return wins - wins.T, p_values


def _sign_tests(comparisons: Comparisons) -> tuple[Floats, Floats]:
    """Wins minus losses, and the exact p-value (above the diagonal) of direct comparisons (K, K).

    Given that a comparison was decided, Davidson's model gives the better policy more than one half: a fair coin tests
    it whatever the other strengths are. Weights are rounded down.
    """
    wins = comparisons.wins
    p_values = np.ones_like(wins)
    for i, j in zip(*pair_indices(len(wins)), strict=True):
        won, lost = int(wins[i, j]), int(wins[j, i])
        if won + lost:
            p_values[i, j] = min(1.0, 2 * float(binomial_sf(max(won, lost) - 1, won + lost, 0.5)))
    return wins - wins.T, p_values


def _above_by_bootstrap(
    comparisons: Comparisons,
    inside: Comparisons,
    model: _Model,
    level: float,
    count: int,
    rng: np.random.Generator | None,
) -> tuple[Flags, float | None]:
    """Which policy is shown above which (K, K): |gap| / error beyond the bootstrap quantile of its maximum.

    A resample without a finite fit may have any gap, so it counts as one beyond every limit. Also returns the share
    of resamples with a finite fit.
    """
    above = np.zeros((len(comparisons.policies),) * 2, bool)
    if model.fit is None:
        return above, None
    draws, finite = bootstrap_fits(inside, count, rng or np.random.default_rng(0), model.ties, model.ridge)
    gaps, errors = _gaps(model.fit.strengths, model.covariance)
    deviation = np.abs(draws[:, :, None] - draws[:, None, :] - gaps) / errors
    largest = np.sort(np.nan_to_num(deviation.max(axis=(1, 2)), nan=np.inf))
    rank = int(np.ceil(level * (count + 1)))
    limit = largest[rank - 1] if rank <= count else np.inf
    above[np.ix_(model.scored, model.scored)] = gaps / errors > limit
    return above, float(finite.mean())


def _gaps(strengths: Floats, covariance: Floats) -> tuple[Floats, Floats]:
    """Differences of strengths, row minus column, and their standard errors (S, S); the diagonal's is 1."""
    variances = np.diag(covariance)
    squared = variances[:, None] + variances[None, :] - 2 * covariance
    np.fill_diagonal(squared, 1.0)
    return strengths[:, None] - strengths[None, :], np.sqrt(np.maximum(squared, 1e-300))


def _scores(comparisons: Comparisons, model: _Model, level: float, method: str) -> dict[str, Estimate]:
    """A Wald interval for each scored policy, no value for the others."""
    names, played = comparisons.policies, [int(n) for n in comparisons.played]
    scores = {
        name: Estimate(value=None, low=None, high=None, level=level, n=n, method=method)
        for name, n in zip(names, played, strict=True)
    }
    if model.fit is not None:
        half = _z(level) * np.sqrt(np.diag(model.covariance))
        for k, value, h in zip(model.scored, model.fit.strengths.tolist(), half.tolist(), strict=True):
            scores[names[k]] = Estimate(
                value=value, low=value - h, high=value + h, level=level, n=played[k], method=method
            )
    return scores


def _tie_parameter(inside: Comparisons, model: _Model, level: float, method: str) -> Estimate:
    """Davidson's nu with an interval on the log scale; 0 without an interval where no comparison was a tie."""
    if model.fit is None or model.ties == "half":
        return Estimate(value=None, low=None, high=None, level=level, n=inside.n, method=method)
    if not inside.counts[:, 2].any():
        return Estimate(value=0.0, low=None, high=None, level=level, n=inside.n, method=method)
    half = _z(level) * float(np.sqrt(model.fit.log_nu_variance))
    at = float(model.fit.log_nu)
    nu, low, high = (float(np.exp(x)) for x in (at, at - half, at + half))
    return Estimate(value=nu, low=low, high=high, level=level, n=inside.n, method=method)


def _order(
    components: tuple[tuple[int, ...], ...],
    model: _Model,
    comparisons: Comparisons,
    groups: tuple[tuple[int, ...], ...],
) -> list[int]:
    """Best first; empty unless wins put every component above the next one and each is itself in order."""
    if groups and all(len(group) == 1 for group in groups):
        return [k for (k,) in groups]
    scores = {} if model.fit is None else dict(zip(model.scored, model.fit.strengths.tolist(), strict=True))
    if scores and len(scores) == len(comparisons.policies):
        return sorted(scores, key=lambda k: (-scores[k], k))
    chained = all(comparisons.wins[np.ix_(a, b)].any() for a, b in pairwise(components))
    resolved = all(len(group) == 1 or group[0] in scores for group in components)
    if not chained or not resolved or comparisons.n == 0:
        return []
    return [k for group in components for k in sorted(group, key=lambda k: (-scores.get(k, 0.0), k))]


def _within(groups: tuple[tuple[int, ...], ...], above: Flags) -> str:
    """What a group hides: it cannot be split as a whole, and may hold pairs that were told apart."""
    apart = sum(int(above[np.ix_(group, group)].sum()) for group in groups)
    pairs = f"{apart} pair{'s' * (apart > 1)} within a group"
    return f" {pairs} {'are' if apart > 1 else 'is'} told apart: ranks say which." if apart else ""


def _sentence(
    comparisons: Comparisons,
    components: tuple[tuple[int, ...], ...],
    scored: list[int],
    groups: tuple[tuple[int, ...], ...],
    level: float,
    share: float | None,
) -> str:
    """The claim, then what the comparisons cannot say."""
    names = comparisons.policies
    if len(names) < 2:
        return "No policy, so nothing to rank." if not names else f"One policy ({names[0]}): nothing to rank."
    if comparisons.n == 0:
        return f"No comparison was counted ({comparisons.void} void): nothing is known of the order."
    said = [f"{len(groups)} tie group{'s' * (len(groups) > 1)} among {len(names)} policies at {100 * level:g} %"]
    said[0] += f" (n={comparisons.n}, {comparisons.void} void): "
    said[0] += " > ".join("{" + ", ".join(names[k] for k in group) + "}" for group in groups) + "."
    missing = [names[k] for k in range(len(names)) if k not in scored]
    if missing:
        said.append(f"No score for {', '.join(missing)}: {_why(comparisons, components, scored)}.")
    if share is not None and share < 1:
        said.append(
            f"{100 * (1 - share):.0f} % of the resamples had no finite fit and count against every claim;"
            " rank sets by Holm do not depend on them."
        )
    return " ".join(said)


def _why(comparisons: Comparisons, components: tuple[tuple[int, ...], ...], scored: list[int]) -> str:
    """Why some policies have no finite score."""
    names, wins, met = comparisons.policies, comparisons.wins, comparisons.wins + comparisons.ties
    if len(components) == 1:
        if not wins.any():
            return "every comparison was a tie, so nothing tells the policies apart"
        return "one ladder of strengths with a tie band explains every outcome, so they have no finite estimate"
    reasons = []
    for group in components:
        rest = [k for k in range(len(names)) if k not in group]
        label = "{" + ", ".join(names[k] for k in group) + "}"
        lost, won = wins[np.ix_(rest, group)].any(), wins[np.ix_(group, rest)].any()
        if not met[np.ix_(rest, group)].any() and not met[np.ix_(group, rest)].any():
            reasons.append(f"{label} never met the others")
        elif not lost:
            reasons.append(f"{label} never lost to or tied with the others")
        elif not won:
            reasons.append(f"{label} never won against or tied with the others")
        elif list(group) != scored:
            reasons.append(f"{label} only lost to some and only won against others")
    return "; ".join(reasons)


def _z(level: float) -> float:
    """The normal quantile of a two-sided interval."""
    from scipy.special import ndtri

    return float(ndtri((1 + level) / 2))
