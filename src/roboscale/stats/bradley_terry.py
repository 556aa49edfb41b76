"""Strengths from comparisons: the Bradley-Terry model with Davidson's ties, fitted by Newton on aggregated counts.

P(i beats j) = e^(t_i / 2 - t_j / 2) / Z, P(tie) = 2 nu / Z, Z = 2 cosh((t_i - t_j) / 2) + 2 nu, for strengths t and a
tie parameter nu. A million comparisons of 15 policies are 315 counts, so a fit costs the same for any number of them,
and a thousand bootstraps are one batch of small linear systems.

Knows nothing of ranks or of which trial to run next, nor of draws that are not independent given the case.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "ComparisonOutcome",
    "Comparisons",
    "Fit",
    "TieRule",
    "bootstrap_fits",
    "case_covariance",
    "compare_by_case",
    "compare_table",
    "count_comparisons",
    "fit_davidson",
    "has_finite_fit",
    "likelihood_ratio_roots",
    "pair_indices",
    "strong_components",
]

ComparisonOutcome = Literal["first", "second", "tie", "void"]
TieRule = Literal["davidson", "half"]
Floats = NDArray[np.float64]

# What the tie parameter is shrunk to, and only where a ridge was asked for: one comparison of equals in five is a tie.
_PRIOR_LOG_NU = float(np.log(0.25))
_NO_TIES = -40.0
_MAX_STEP = 3.0
_ITERATIONS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparisons:
    """How often each policy beat, lost to and tied with each other one.

    Args:
        policies: their names, sorted (K,).
        counts: weight of each outcome of each pair i < j, in the order of `pair_indices` (P, 3): i won, j won, tie.
        per_pair: number of comparisons of each pair (P,); weights do not change it.
        void: comparisons, or trials, that broke and were not counted.
        by_case: the counts of each case (C, P, 3) where comparisons of one case share trials; `None` where all
            comparisons are independent.
    """

    policies: tuple[str, ...]
    counts: Floats
    per_pair: NDArray[np.int64]
    void: int = 0
    by_case: Floats | None = None

    @property
    def n(self) -> int:
        """Number of comparisons."""
        return int(self.per_pair.sum())

    @property
    def played(self) -> NDArray[np.int64]:
        """Number of comparisons in which each policy took part (K,)."""
        upper = _matrix(self.per_pair, len(self.policies))
        return np.asarray((upper + upper.T).sum(axis=0), np.int64)

    @property
    def wins(self) -> Floats:
        """Weight of the wins of the row's policy over the column's (K, K)."""
        return _matrix(self.counts[:, 0], len(self.policies)) + _matrix(self.counts[:, 1], len(self.policies)).T

    @property
    def ties(self) -> Floats:
        """Weight of the ties of two policies (K, K), symmetric."""
        upper = _matrix(self.counts[:, 2], len(self.policies))
        return upper + upper.T

    def among(self, policies: Sequence[str]) -> Comparisons:
        """The comparisons of these policies with each other."""
        keep = [k for k, name in enumerate(self.policies) if name in set(policies)]
        first, second = pair_indices(len(self.policies))
        inside = np.isin(first, keep) & np.isin(second, keep)
        return Comparisons(
            policies=tuple(self.policies[k] for k in keep),
            counts=self.counts[inside],
            per_pair=self.per_pair[inside],
            void=self.void,
            by_case=None if self.by_case is None else self.by_case[:, inside],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A fitted model; leading axes (...) are independent fits.

    Args:
        strengths: log strengths that sum to 0 (..., K).
        log_nu: log of the tie parameter (...); -40 where there was no tie.
        covariance: of the strengths, the centred pseudo-inverse of the information (..., K, K).
        log_nu_variance: of `log_nu` (...).
        log_likelihood: at the maximum, ridge excluded (...).
        converged: whether the last step was below 1e-9 (...).
    """

    strengths: Floats
    log_nu: Floats
    covariance: Floats
    log_nu_variance: Floats
    log_likelihood: Floats
    converged: NDArray[np.bool_]


@lru_cache(maxsize=64)  # making them took most of a fit's time
def pair_indices(count: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Indices (P,), (P,) of all pairs i < j of `count` policies, row by row; P = count (count - 1) / 2. Read-only."""
    first, second = np.triu_indices(count, 1)
    first.flags.writeable = second.flags.writeable = False
    return first, second


def count_comparisons(
    first: Sequence[str],
    second: Sequence[str],
    outcome: Sequence[ComparisonOutcome],
    weights: ArrayLike | None = None,
    policies: Sequence[str] = (),
) -> Comparisons:
    """Counts independent comparisons given as columns; their order does not matter.

    Args:
        first, second: names of the two policies (N,).
        outcome: who won, or `tie`, or `void` (N,); void ones are only carried along.
        weights: weight of each comparison (N,), not negative; 1 by default. A weight counts like so many repeats, so
            covariances are right only for weights that are numbers of comparisons.
        policies: further policies to list although nobody compared them.

    Raises:
        ValueError: columns of different lengths, an unknown outcome, a negative weight, a policy against itself.
    """
    total = len(first)
    weight = np.ones(total) if weights is None else np.asarray(weights, float)
    if not len(second) == len(outcome) == len(weight) == total:
        raise ValueError(f"columns of {total}, {len(second)}, {len(outcome)} and {len(weight)} comparisons")
    if not np.all(np.isfinite(weight) & (weight >= 0)):
        raise ValueError("weights must be finite and not negative")
    names = tuple(sorted({*first, *second, *policies}))
    index = {name: k for k, name in enumerate(names)}
    code = {"first": 0, "second": 1, "tie": 2, "void": 3}
    if unknown := {str(o) for o in set(outcome)} - set(code):
        raise ValueError(f"unknown outcomes {sorted(unknown)}; valid: {', '.join(code)}")
    a, b = (np.fromiter((index[name] for name in column), np.intp, total) for column in (first, second))
    if np.any(a == b):
        raise ValueError(f"policy {names[a[a == b][0]]!r} was compared with itself")
    result = np.fromiter((code[o] for o in outcome), np.intp, total)
    counted = (result < 3) & (weight > 0)
    void = int((result == 3).sum())
    columns = a[counted], b[counted], result[counted]
    per_cell = _aggregate(*columns, None, len(names))
    counts = per_cell if weights is None else _aggregate(*columns, weight[counted], len(names))
    return Comparisons(policies=names, counts=counts, per_pair=per_cell.sum(axis=1).astype(np.int64), void=void)


def compare_by_case(scores: Mapping[str, Mapping[str, float | bool | None]], margin: float = 0.0) -> Comparisons:
    """Compares all policies that were tried on the same case, by success or by progress.

    With K policies on a case its K (K - 1) / 2 comparisons share K trials, so `by_case` is kept: intervals and
    bootstraps then treat the case, not the comparison, as the independent unit.

    Args:
        scores: policy -> case id -> success, or progress in 0..1; `None` where the trial stayed void.
        margin: differences up to it are ties.
    """
    names = tuple(sorted(scores))
    cases = sorted({case for of_policy in scores.values() for case in of_policy})
    table = np.full((len(names), len(cases)), np.nan)
    column = {case: c for c, case in enumerate(cases)}
    void = 0
    for k, name in enumerate(names):
        for case, score in scores[name].items():
            if score is None:
                void += 1
            else:
                table[k, column[case]] = float(score)
    return compare_table(names, table, void, margin)


def compare_table(names: Sequence[str], table: ArrayLike, void: int = 0, margin: float = 0.0) -> Comparisons:
    """`compare_by_case` for scores that are a table already.

    Args:
        names: the policies, sorted (K,).
        table: score of each policy on each case (K, C), NaN where there is none.
        void: trials among these that broke.
    """
    table = np.asarray(table, np.float64)
    first, second = pair_indices(len(names))
    lead = table[first] - table[second]
    by_case = np.stack([lead > margin, lead < -margin, np.abs(lead) <= margin], axis=-1).astype(float)
    by_case = by_case.transpose(1, 0, 2)
    counts = by_case.sum(axis=0)
    return Comparisons(
        policies=tuple(names), counts=counts, per_pair=counts.sum(axis=1).astype(np.int64), void=void, by_case=by_case
    )


def strong_components(reaches: ArrayLike) -> tuple[tuple[int, ...], ...]:
    """Strongly connected components of a directed graph, in an order in which edges only lead forward.

    Args:
        reaches: adjacency (K, K), true where there is an edge from row to column.
    """
    closure = _closure(np.asarray(reaches, bool))
    mutual = closure & closure.T
    groups = {tuple(int(k) for k in np.flatnonzero(row)) for row in mutual}
    return tuple(sorted(groups, key=lambda group: (-int(closure[group[0]].sum()), group)))


def has_finite_fit(counts: ArrayLike, policies: int, ties: TieRule = "davidson") -> NDArray[np.bool_]:
    """Whether the likelihood of counts (..., P, 3) has a finite maximum (...); exact, no numerical threshold.

    Without ties: when wins lead from every policy to every other one (Ford, Am. Math. Monthly 64, 1957). With ties
    (a tie leads both ways) also when no ladder of strengths explains all outcomes at once: "wins lie at least one
    rung apart, ties at most one" can be followed to an infinite nu. It is a system of difference constraints, feasible
    when no cycle is negative.
    """
    n = np.asarray(counts, float)
    win = _matrix(n[..., 0], policies) + np.swapaxes(_matrix(n[..., 1], policies), -1, -2) > 0
    upper = _matrix(n[..., 2], policies)
    tie = upper + np.swapaxes(upper, -1, -2) > 0
    closure = _closure(win | tie)
    connected = np.asarray(np.all(closure & np.swapaxes(closure, -1, -2), axis=(-1, -2)))
    if ties == "half":
        return connected
    distance = np.where(win, -1.0, np.where(tie, 1.0, np.inf))
    distance[..., np.arange(policies), np.arange(policies)] = 0.0
    for k in range(policies):
        distance = np.minimum(distance, distance[..., :, k, None] + distance[..., None, k, :])
    ladder = np.all(np.diagonal(distance, axis1=-2, axis2=-1) >= 0, axis=-1)
    return np.asarray(connected & ~(ladder & tie.any(axis=(-1, -2))))


def fit_davidson(
    counts: ArrayLike,
    policies: int,
    ties: TieRule = "davidson",
    ridge: float = 0.0,
    start: tuple[ArrayLike, ArrayLike] | None = None,
) -> Fit:
    """Maximises the likelihood of counts (..., P, 3), minus ridge / 2 times the squared strengths.

    Args:
        counts: as in `Comparisons.counts`; leading axes are fitted independently.
        policies: their number K >= 2.
        ties: `davidson` models them; `half` counts each as half a win of either side, which shrinks the strengths.
        ridge: 0 demands counts with `has_finite_fit`. Positive: a normal prior of variance 1 / ridge on the strengths
            and, where a tie was seen, on log nu around log 1/4.
        start: strengths (..., K) and log nu (...) to begin at.

    Source: Bradley and Terry, Biometrika 39 (1952); Davidson, JASA 65 (1970), eq. 3.
    """
    n = _ruled(counts, ties)
    tied = n[..., 2].sum(axis=-1) > 0
    batch = n.shape[:-2]
    at = np.zeros((*batch, policies + 1))
    if start is not None:
        at[..., :policies], at[..., policies] = start
    at[..., policies] = np.where(tied, at[..., policies] if start is not None else _PRIOR_LOG_NU, _NO_TIES)
    value = _objective(at, n, tied, ridge)
    converged = np.zeros(batch, bool)
    for _ in range(_ITERATIONS):
        gradient, information = _derivatives(at, n, tied, ridge)
        step = np.linalg.solve(information, gradient[..., None])[..., 0]
        largest = np.abs(step).max(axis=-1)
        converged = largest < 1e-9
        at, value = _ascend(at, step / np.maximum(1.0, largest / _MAX_STEP)[..., None], value, n, tied, ridge)
        if converged.all():
            break
    inverse = np.asarray(np.linalg.inv(_derivatives(at, n, tied, ridge)[1]), float)
    covariance = inverse[..., :policies, :policies]
    centre = np.eye(policies) - 1 / policies
    centred: Floats = centre @ covariance @ centre
    return Fit(
        strengths=at[..., :policies],
        log_nu=at[..., policies],
        covariance=centred,
        log_nu_variance=inverse[..., policies, policies],
        log_likelihood=_objective(at, n, tied, 0.0),
        converged=converged,
    )


def case_covariance(fit: Fit, by_case: ArrayLike, policies: int, ties: TieRule = "davidson") -> Floats:
    """Covariance of the strengths (K, K) when only cases are independent: the sandwich over the gradients of cases.

    With no more than 2 K cases the sandwich is too narrow; then the covariance of independent comparisons is
    multiplied by the most comparisons of one case, which bounds it whatever their dependence (Cauchy-Schwarz).

    Args:
        found: the fit of the summed counts (no leading axes).
        by_case: counts of each case (C, P, 3).

    Source: Liang and Zeger, Biometrika 73 (1986), eq. 6, with the factor C / (C - K) for few cases.
    """
    n = _ruled(by_case, ties)
    n = n[n.any(axis=(1, 2))]
    if len(n) <= 2 * policies:
        return fit.covariance * float(n.sum(axis=(1, 2)).max())
    at = np.append(fit.strengths, fit.log_nu)
    tied = np.asarray(n[..., 2].sum() > 0)
    gradients, _ = _derivatives(np.broadcast_to(at, (len(n), policies + 1)), n, tied, 0.0)
    _, information = _derivatives(at, n.sum(axis=0), tied, 0.0)
    bread = np.linalg.inv(information)
    spread = bread @ (gradients.T @ gradients) @ bread * len(n) / (len(n) - policies)
    centre = np.eye(policies) - 1 / policies
    # cases that happen to agree have no spread at all; one more case, as the model expects it, keeps it positive
    return np.asarray(centre @ spread[:policies, :policies] @ centre + fit.covariance / len(n))


def likelihood_ratio_roots(fit: Fit, counts: ArrayLike, policies: int, ties: TieRule = "davidson") -> Floats:
    """Signed root of the likelihood ratio of "these two strengths are equal" for all pairs (P,); normal if they are.

    Unlike gap / error it keeps growing when a policy comes close to losing everything. Each pair is refitted with the
    comparisons of its second policy handed to the first; what the two did against each other is made symmetric, which
    holds both strengths equal and leaves the likelihood of an equal pair as it is.

    Args:
        found: the fit of `counts` (P, 3) without ridge.

    Source: Davison, Statistical Models (2003), section 4.5 for the root; Hauck and Donner, JASA 72 (1977).
    """
    n = _ruled(counts, ties)
    first, second = pair_indices(policies)
    wins = _matrix(n[:, 0], policies) + _matrix(n[:, 1], policies).T
    upper = _matrix(n[:, 2], policies)
    merged = np.zeros((len(first), len(first), 3))
    for q, (i, j) in enumerate(zip(first, second, strict=True)):
        one = np.eye(policies)
        one[i, j], one[j, j] = 1.0, 0.0
        beat, tied = one @ wins @ one.T, one @ (upper + upper.T) @ one.T
        # a thousandth of a comparison ties two policies that never met together without moving any estimate
        own = max((wins[i, j] + wins[j, i]) / 2, 1e-3)
        beat[i, j] = beat[j, i] = own
        tied[i, j] = upper[i, j]
        merged[q] = np.stack([beat[first, second], beat[second, first], tied[first, second]], axis=-1)
    equal = fit_davidson(merged, policies, ties)
    spare = np.where(n[:, 0] + n[:, 1] > 0, 0.0, 2e-3) * np.log(2 + 2 * np.exp(equal.log_nu))
    drop = np.maximum(fit.log_likelihood - (equal.log_likelihood + spare), 0.0)
    return np.asarray(np.sign(fit.strengths[first] - fit.strengths[second]) * np.sqrt(2 * drop))


def bootstrap_fits(
    comparisons: Comparisons,
    count: int,
    rng: np.random.Generator,
    ties: TieRule = "davidson",
    ridge: float = 0.0,
) -> tuple[Floats, NDArray[np.bool_]]:
    """Strengths (count, K) refitted to resampled comparisons, and which resamples (count,) had a finite fit.

    Independent comparisons are resampled by one multinomial draw over the 3 P cells; comparisons of shared cases by
    drawing cases. Rows without a finite fit are NaN.

    Args:
        rng: the same generator state gives the same bytes.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 6.
    """
    k = len(comparisons.policies)
    counts = _resample(comparisons, count, rng)
    finite = has_finite_fit(counts, k, ties) if ridge == 0 else np.ones(count, bool)
    strengths = np.full((count, k), np.nan)
    if finite.any():
        strengths[finite] = fit_davidson(counts[finite], k, ties, ridge).strengths
    return strengths, finite


def _resample(comparisons: Comparisons, count: int, rng: np.random.Generator) -> Floats:
    """Counts (count, P, 3) of resampled comparisons, or cases."""
    shape = comparisons.counts.shape
    if comparisons.by_case is not None:
        # a case that compared nothing (only one policy, or all void) is no unit: it would only dilute the draw
        cells = comparisons.by_case.reshape(len(comparisons.by_case), -1)
        cells = cells[cells.any(axis=1)]
        drawn = rng.multinomial(len(cells), np.full(len(cells), 1 / len(cells)), size=count)
        return np.asarray(drawn @ cells).reshape(count, *shape)
    flat = comparisons.counts.ravel()
    drawn = rng.multinomial(comparisons.n, flat / flat.sum(), size=count)
    return np.asarray(drawn * (flat.sum() / comparisons.n)).reshape(count, *shape)


def _ruled(counts: ArrayLike, ties: TieRule) -> Floats:
    """The counts (..., P, 3), each tie turned into half a win of either side where the rule says so."""
    n = np.asarray(counts, float)
    if ties == "davidson":
        return n
    return np.stack([n[..., 0] + n[..., 2] / 2, n[..., 1] + n[..., 2] / 2, np.zeros_like(n[..., 2])], axis=-1)


def _probabilities(at: Floats, policies: int) -> tuple[Floats, Floats, Floats, Floats]:
    """Of all pairs (..., P): half the gap, log Z, P(first wins) - P(second wins), P(tie)."""
    first, second = pair_indices(policies)
    half = (at[..., first] - at[..., second]) / 2
    log_nu = np.broadcast_to(at[..., policies, None], half.shape)
    log_z = np.logaddexp(np.abs(half) + np.log1p(np.exp(-2 * np.abs(half))), np.log(2) + log_nu)
    return half, log_z, np.exp(half - log_z) - np.exp(-half - log_z), np.exp(np.log(2) + log_nu - log_z)


def _objective(at: Floats, n: Floats, tied: NDArray[np.bool_], ridge: float) -> Floats:
    """Log likelihood minus the ridge (...)."""
    policies = at.shape[-1] - 1
    half, log_z, _, _ = _probabilities(at, policies)
    tie_term = np.where(tied[..., None], np.log(2) + at[..., policies, None], 0.0)
    cells = (n[..., 0] - n[..., 1]) * half + n[..., 2] * tie_term - n.sum(axis=-1) * log_z
    penalty = (at[..., :policies] ** 2).sum(axis=-1) + np.where(tied, (at[..., policies] - _PRIOR_LOG_NU) ** 2, 0.0)
    return np.asarray(cells.sum(axis=-1) - ridge / 2 * penalty)


def _derivatives(at: Floats, n: Floats, tied: NDArray[np.bool_], ridge: float) -> tuple[Floats, Floats]:
    """Gradient (..., K + 1) and information (..., K + 1, K + 1), the direction of a common shift made regular."""
    policies = at.shape[-1] - 1
    first, second = pair_indices(policies)
    design = np.zeros((len(first), policies))
    design[np.arange(len(first)), first], design[np.arange(len(first)), second] = 1.0, -1.0
    _, _, lead, tie = _probabilities(at, policies)
    total = n.sum(axis=-1)
    by_gap = total * (1 - tie - lead**2) / 4
    cross = -total * tie * lead / 2 * tied[..., None]
    gradient = np.concatenate(
        [
            ((n[..., 0] - n[..., 1] - total * lead) / 2) @ design - ridge * at[..., :policies],
            (((n[..., 2] - total * tie).sum(axis=-1) - ridge * (at[..., policies] - _PRIOR_LOG_NU)) * tied)[..., None],
        ],
        axis=-1,
    )
    products = (design[:, :, None] * design[:, None, :]).reshape(len(first), policies**2)
    information = np.zeros((*gradient.shape, policies + 1))
    shift = np.maximum(by_gap.sum(axis=-1), 1.0)[..., None, None] / policies**2
    block = (by_gap @ products).reshape(*gradient.shape[:-1], policies, policies)
    information[..., :policies, :policies] = block + ridge * np.eye(policies) + shift
    information[..., :policies, policies] = cross @ design
    information[..., policies, :policies] = information[..., :policies, policies]
    by_tie = (total * tie * (1 - tie)).sum(axis=-1) + ridge
    information[..., policies, policies] = np.where(tied, by_tie, 1.0)
    return gradient, information


def _ascend(
    at: Floats, step: Floats, value: Floats, n: Floats, tied: NDArray[np.bool_], ridge: float
) -> tuple[Floats, Floats]:
    """The step, halved wherever it would lower the objective."""
    scale = np.ones(at.shape[:-1])
    slack = 1e-12 * (1 + np.abs(value))
    for _ in range(40):
        moved = at + scale[..., None] * step
        higher = _objective(moved, n, tied, ridge)
        worse = higher < value - slack
        if not np.any(worse):
            break
        scale = np.where(worse, scale / 2, scale)
    return moved, higher


def _aggregate(
    a: NDArray[np.intp], b: NDArray[np.intp], result: NDArray[np.intp], weight: Floats | None, policies: int
) -> Floats:
    """Weights (1 for `None`) summed into cells (P, 3), each pair turned so that the lower index comes first."""
    low, high = np.minimum(a, b), np.maximum(a, b)
    pair = low * (2 * policies - low - 1) // 2 + high - low - 1
    turned = np.where((a > b) & (result < 2), 1 - result, result)
    size = policies * (policies - 1) // 2
    return np.bincount(3 * pair + turned, weights=weight, minlength=3 * size).reshape(size, 3).astype(float)


def _matrix(pairs: NDArray[Any], policies: int) -> Floats:
    """Values of pairs (..., P) in the upper triangle of (..., K, K)."""
    matrix = np.zeros((*pairs.shape[:-1], policies, policies))
    first, second = pair_indices(policies)
    matrix[..., first, second] = pairs
    return matrix


def _closure(edges: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which node reaches which (..., K, K), itself included."""
    policies = edges.shape[-1]
    closure: NDArray[Any] = edges | np.eye(policies, dtype=bool)
    for _ in range(max(policies - 1, 1).bit_length()):
        closure = (closure.astype(np.float32) @ closure.astype(np.float32)) > 0
    return closure
