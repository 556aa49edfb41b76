"""More than two policies: all pairs compared at one family-wise error, with letters, and a rule that stops each pair.

The family-wise error is the probability of even one false claim among all pairs. Holm's procedure keeps it below alpha
whatever the dependence between the tests, which share policies and cases.

Knows nothing of ranks; `significant` differences are claims, an order of the means is not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from roboscale.core import Decision, Estimate, PairedOutcome, Verdict
from roboscale.core.plain import Plain
from roboscale.stats.barnard import Counts, barnard_verdict
from roboscale.stats.letters import letters
from roboscale.stats.proportions import clopper_pearson
from roboscale.stats.verdicts import p_text, paired_verdict, rate_with_bounds

__all__ = [
    "Compared",
    "Correction",
    "ManyVerdict",
    "adjusted",
    "assemble",
    "compare_many",
    "compare_many_paired",
    "e_holm",
    "graphical",
    "holm",
    "nulls_left",
]

Correction = Literal["holm", "shaffer", "bonferroni"]

_NAMED = 6
"""Pairs and policies that a sentence names one by one; of more it says how many. Table and JSON have them all."""

_CITED: Mapping[Correction, str] = {
    "holm": "Holm 1979",
    "shaffer": "Shaffer 1986",
    "bonferroni": "Bonferroni",
}


def holm(p: ArrayLike, alpha: float = 0.05) -> NDArray[np.bool_]:
    """Which hypotheses are rejected: the smallest p-value while it is at most alpha / (number not yet rejected).

    Args:
        p: one p-value per hypothesis, (m,); any dependence.

    Source: Holm, Scand. J. Stat. 6 (1979).
    """
    return adjusted(p, "holm") <= alpha


def e_holm(e: ArrayLike, alpha: float = 0.05) -> NDArray[np.bool_]:
    """Holm's procedure on e-values: rejects the largest while it is at least (number not yet rejected) / alpha.

    With the running maxima of e-processes it holds at every time at once, since 1 / maximum is an anytime p-value.

    Args:
        e: one e-value per hypothesis, (m,), >= 0; any dependence.

    Source: Vovk and Wang, Ann. Stat. 49 (2021); Ramdas et al., Statistical Science 38 (2023).
    """
    values = np.asarray(e, float)
    if np.any(values < 0) or np.any(np.isnan(values)):
        raise ValueError("e-values are at least 0")
    return holm(1 / np.maximum(values, 1.0), alpha)


def graphical(p: ArrayLike, weights: ArrayLike, transitions: ArrayLike, alpha: float = 0.05) -> NDArray[np.bool_]:
    """Which hypotheses are rejected when each rejection hands its share of alpha on along a graph.

    Equal weights and transitions 1 / (m - 1) are Holm's procedure; weights (1, 0, ...) with a chain are a fixed order.

    Args:
        p: p-values, (m,).
        weights: share of alpha of each hypothesis at the start, (m,), >= 0, sum at most 1.
        transitions: share of i's alpha that j receives when i is rejected, (m, m), diagonal 0, rows sum to at most 1.

    Source: Bretz, Maurer, Brannath and Posch, Statistics in Medicine 28 (2009), algorithm 1.

    Raises:
        ValueError: shapes that differ, or weights or transitions that are no such shares.
    """
    values, share, graph = (np.array(part, float) for part in (p, weights, transitions))
    _check_graph(values, share, graph)
    open_ = np.ones(len(values), bool)
    while True:
        ready = np.flatnonzero(open_ & (share > 0) & (values <= share * alpha * (1 + 1e-12)))
        if not ready.size:
            return ~open_
        gone = int(ready[np.argmin(values[ready] / share[ready])])
        open_[gone] = False
        share = np.where(open_, share + share[gone] * graph[gone], 0.0)
        graph = _without(graph, gone, open_)


def _check_graph(p: NDArray[np.float64], share: NDArray[np.float64], graph: NDArray[np.float64]) -> None:
    m = len(p)
    _check_p_values(p)
    if share.shape != (m,) or graph.shape != (m, m):
        raise ValueError(f"{m} p-values need {m} weights and {m} x {m} transitions, not {share.shape}, {graph.shape}")
    limit = 1 + 1e-9
    if np.any(share < 0) or share.sum() > limit:
        raise ValueError("weights must be at least 0 and sum to at most 1")
    if np.any(graph < 0) or np.any(np.diag(graph) != 0) or np.any(graph.sum(axis=1) > limit):
        raise ValueError("transitions must be at least 0, 0 on the diagonal, and sum to at most 1 in each row")


def _without(graph: NDArray[np.float64], gone: int, open_: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The graph in which every path through the rejected hypothesis is a direct edge."""
    back = graph[:, gone] * graph[gone, :]
    through = graph + np.outer(graph[:, gone], graph[gone, :])
    room = (1 - back)[:, None]
    passed = np.divide(through, room, out=np.zeros_like(through), where=room > 1e-12)
    np.fill_diagonal(passed, 0.0)
    return np.where(open_[:, None] & open_[None, :], passed, 0.0)


def nulls_left(policies: int) -> tuple[int, ...]:
    """Most pairs that can still be equal once 0, 1, ... of all pairs are known to differ; one entry per pair.

    Equality is transitive: if A differs from B, then C cannot equal both. For three policies (3, 1, 1), where Holm has
    (3, 2, 1). Needs hypotheses "same rate on every case", which is what the tests of this package doubt.

    Source: Shaffer, JASA 81 (1986), procedure S1.
    """
    possible: list[set[int]] = [{0}]
    for k in range(1, policies + 1):
        possible.append({j * (j - 1) // 2 + rest for j in range(1, k + 1) for rest in possible[k - j]})
    m = policies * (policies - 1) // 2
    return tuple(max(count for count in possible[policies] if count <= m - known) for known in range(m))


def adjusted(p: ArrayLike, correction: Correction = "holm", policies: int | None = None) -> NDArray[np.float64]:
    """P-values that may be compared with alpha directly, in the order given; shape (m,).

    Args:
        p: one p-value per hypothesis.
        correction: `shaffer` is for all pairs of `policies`, and never weaker than `holm`.

    Raises:
        ValueError: p-values outside [0, 1], an unknown correction, or pairs that are not all pairs of `policies`.
    """
    values = np.asarray(p, float)
    _check_p_values(values)
    left = _multipliers(correction, len(values), policies)
    order = np.argsort(values, kind="stable")
    p_values = np.empty(len(values))
    scaled = np.minimum(1.0, values[order] * left)
    p_values[order] = scaled if correction == "bonferroni" else np.maximum.accumulate(scaled)
    return p_values


def _multipliers(correction: Correction, m: int, policies: int | None) -> NDArray[np.int64]:
    """By how much the smallest, the next ... p-value is multiplied; shape (m,)."""
    if correction == "holm":
        return np.arange(m, 0, -1)
    if correction == "bonferroni":
        return np.full(m, m)
    if correction != "shaffer":
        raise ValueError(f"correction is one of {', '.join(_CITED)}, not {correction!r}")
    if policies is None or policies * (policies - 1) // 2 != m:
        raise ValueError(f"shaffer needs all pairs of the policies; {m} p-values are not those of {policies}")
    return np.array(nulls_left(policies), np.int64)


def _check_p_values(p: NDArray[np.float64]) -> None:
    if p.ndim != 1 or np.any(np.isnan(p)) or np.any((p < 0) | (p > 1)):
        raise ValueError("p-values are a list of numbers in [0, 1]")


@dataclass(frozen=True, slots=True)
class Compared:
    """Two policies of a larger comparison; the verdict's p-value is adjusted for all pairs."""

    first: str
    second: str
    verdict: Verdict

    @property
    def decided(self) -> bool:
        return self.verdict.decision in ("first is better", "second is better")


@dataclass(frozen=True, slots=True, kw_only=True)
class ManyVerdict(Plain):
    """What trials of several policies allow to say about every pair.

    Args:
        names: the policies, highest rate first (a display order, not a claim); without trials last.
        estimates: success rate of each.
        letters: policies that share a letter were not shown to differ.
        pairs: each pair with its verdict, in the order of `names`.
        best: policies that were not shown to be worse than any other.
        alpha: family-wise error: probability of even one false claim.
        sentence: what is claimed and what is not, in one sentence.
        method: tests and correction, with citations.
    """

    names: tuple[str, ...]
    estimates: Mapping[str, Estimate]
    letters: Mapping[str, str]
    pairs: tuple[Compared, ...]
    best: tuple[str, ...]
    alpha: float
    sentence: str
    method: str

    @property
    def undecided(self) -> tuple[Compared, ...]:
        """Pairs without a claim; `verdict.needed` of each says about how many more trials would bring one."""
        return tuple(pair for pair in self.pairs if not pair.decided)


def compare_many(
    counts: Mapping[str, Counts],
    alpha: float = 0.05,
    *,
    correction: Correction = "holm",
    level: float = 0.95,
) -> ManyVerdict:
    """All pairs of policies on independent trials, their numbers fixed in advance: Barnard's test, corrected.

    Args:
        counts: (successes, trials) by policy; void trials are not among them.
        alpha: family-wise error.
        correction: for all pairs at once; see `adjusted`.
        level: of the Clopper-Pearson intervals, each by itself.
    """
    estimates = {name: clopper_pearson(k, n, level) for name, (k, n) in counts.items()}
    names = _best_first(estimates)
    verdicts = [
        barnard_verdict(counts[a], counts[b], _share(alpha, correction, len(names)), (a, b), level)
        for a, b in combinations(names, 2)
    ]
    return _corrected(names, estimates, verdicts, alpha, correction)


def compare_many_paired(
    outcomes: Mapping[str, Sequence[bool | None]],
    alpha: float = 0.05,
    *,
    correction: Correction = "holm",
    level: float = 0.95,
) -> ManyVerdict:
    """All pairs of policies on the same cases, their number fixed in advance: the exact paired test, corrected.

    Args:
        outcomes: by policy, one outcome per case in the same order of cases; `None` is void.
        alpha, correction, level: as for `compare_many`.

    Raises:
        ValueError: lists of different lengths.
    """
    if len({len(row) for row in outcomes.values()}) > 1:
        raise ValueError("every policy needs one outcome per case, None where it is void")
    estimates = {}
    for name, row in outcomes.items():
        valid = [outcome for outcome in row if outcome is not None]
        estimates[name] = clopper_pearson(sum(valid), len(valid), level, len(row) - len(valid))
    names = _best_first(estimates)
    share = _share(alpha, correction, len(names))
    verdicts = []
    for a, b in combinations(names, 2):
        pairs = [PairedOutcome("", x, y) for x, y in zip(outcomes[a], outcomes[b], strict=True)]
        verdicts.append(paired_verdict(pairs, share, (a, b), level))
    return _corrected(names, estimates, verdicts, alpha, correction)


def assemble(
    names: Sequence[str], estimates: Mapping[str, Estimate], pairs: Sequence[Compared], alpha: float, method: str
) -> ManyVerdict:
    """The verdict on all pairs from the verdicts on each.

    Args:
        names: highest rate first.
        pairs: every pair once, in the order of `names`.
    """
    shown = [_winner_first(pair) for pair in pairs if pair.decided]
    beaten = {loser for _, loser in shown}
    best = tuple(name for name in names if name not in beaten)
    return ManyVerdict(
        names=tuple(names),
        estimates={name: estimates[name] for name in names},
        letters=letters(names, shown),
        pairs=tuple(pairs),
        best=best,
        alpha=alpha,
        sentence=_sentence(names, estimates, pairs, alpha),
        method=method,
    )


def _corrected(
    names: tuple[str, ...],
    estimates: Mapping[str, Estimate],
    verdicts: Sequence[Verdict],
    alpha: float,
    correction: Correction,
) -> ManyVerdict:
    values = [1.0 if verdict.p_value is None else verdict.p_value for verdict in verdicts]
    corrected = adjusted(values, correction, len(names))
    pairs = []
    for (a, b), verdict, p_value in zip(combinations(names, 2), verdicts, corrected, strict=True):
        # a is the one with the higher rate; on paired cases with void sides the discordant pairs may say otherwise
        decision: Decision = "no difference shown"
        if p_value <= alpha:
            decision = _leader(verdict, a, b)
        pairs.append(Compared(a, b, _with_decision(verdict, decision, (a, b), float(p_value), alpha, correction)))
    tests = verdicts[0].method if verdicts else "no test"
    return assemble(names, estimates, pairs, alpha, f"{tests}; family-wise error by {_CITED[correction]}")


def _leader(verdict: Verdict, first: str, second: str) -> Decision:
    if "difference" in verdict.estimates:
        gap = verdict.estimates["difference"].value or 0.0
    else:
        gap = (verdict.estimates[second].value or 0.0) - (verdict.estimates[first].value or 0.0)
    return "second is better" if gap > 0 else "first is better"


def _with_decision(
    verdict: Verdict, decision: Decision, names: tuple[str, str], p_value: float, alpha: float, correction: Correction
) -> Verdict:
    ahead, behind = names[::-1] if decision == "second is better" else names
    decided = decision in ("first is better", "second is better")
    claim = f"{ahead} is better than {behind}" if decided else f"No difference shown between {ahead} and {behind}"
    rates = f"{rate_with_bounds(verdict.estimates[ahead])} against {rate_with_bounds(verdict.estimates[behind])}"
    basis = f"adjusted {p_text(p_value)}, family-wise error {alpha:g} by {_CITED[correction]}"
    needed = None if decided else verdict.needed
    sentence = f"{claim}: {rates} ({basis})"
    return replace(verdict, decision=decision, sentence=sentence, alpha=alpha, p_value=p_value, needed=needed)


def _share(alpha: float, correction: Correction, policies: int) -> float:
    """The level at which the last pair to be decided is tested at worst: what `needed` should be computed for."""
    return alpha / max(1, policies * (policies - 1) // 2)


def _best_first(estimates: Mapping[str, Estimate]) -> tuple[str, ...]:
    return tuple(sorted(estimates, key=lambda name: (-_value(estimates[name]), name)))


def _value(estimate: Estimate) -> float:
    return -1.0 if estimate.value is None else estimate.value


def _winner_first(pair: Compared) -> tuple[str, str]:
    return (pair.first, pair.second) if pair.verdict.decision == "first is better" else (pair.second, pair.first)


def _sentence(names: Sequence[str], estimates: Mapping[str, Estimate], pairs: Sequence[Compared], alpha: float) -> str:
    if len(names) < 2:
        return f"{names[0]} is the only policy: nothing to compare" if names else "No policy was given"
    empty = [name for name in names if estimates[name].n == 0]
    wins: dict[str, list[str]] = {name: [] for name in names}
    for pair in pairs:
        if pair.decided:
            winner, loser = _winner_first(pair)
            wins[winner].append(loser)
    claims = [f"{name} is better than {_few_of(losers)}" for name, losers in wins.items() if losers]
    rest = [pair for pair in pairs if not pair.decided]
    head = f"{len(pairs) - len(rest)} of {len(pairs)} pairs differ at family-wise error {alpha:g}"
    parts = [head + (": " + "; ".join(claims) if claims else "")]
    parts += [f"not shown to differ: {_undecided(rest)}"] if rest else []
    parts += [f"no trials of {_listed(empty)}"] if empty else []
    return ". ".join(part[0].upper() + part[1:] for part in parts)


def _undecided(rest: Sequence[Compared]) -> str:
    """The pairs that nothing was shown of; of many how many they are, and which one would be told apart first."""
    named = [f"{pair.first} and {pair.second}{_more(pair.verdict)}" for pair in rest]
    if len(rest) <= _NAMED:
        return "; ".join(named)
    first = min(range(len(rest)), key=lambda k: rest[k].verdict.needed or math.inf)
    tell = f"; soonest told apart: {named[first]}" if rest[first].verdict.needed is not None else ""
    return f"{len(rest)} pairs, those that share a letter{tell}"


def _few_of(names: Sequence[str]) -> str:
    if len(names) <= _NAMED:
        return _listed(names)
    return f"{', '.join(names[: _NAMED - 1])} and {len(names) - _NAMED + 1} more"


def _more(verdict: Verdict) -> str:
    if verdict.needed is None:
        return ""
    if verdict.decision == "undecided":
        return f" (about {verdict.needed} more cases would tell)"
    return f" (a new comparison of about {verdict.needed} trials each would tell)"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
