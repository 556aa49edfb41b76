"""From counted pairs to a `Verdict`: the estimates it quotes and the sentence that states it.

Knows nothing of how a decision was reached; the rules hand it in.
"""

from __future__ import annotations

from collections.abc import Sequence

from roboscale.core import Decision, Estimate, PairedOutcome, Verdict
from roboscale.stats.differences import paired_difference, paired_difference_sequence
from roboscale.stats.outlook import pairs_for_new_comparison
from roboscale.stats.paired import PairCounts, count_pairs, exact_paired_test
from roboscale.stats.proportions import beta_confidence_sequence, clopper_pearson, worst_case_bounds

__all__ = ["compose_sentence", "p_text", "paired_estimates", "paired_verdict", "rate_with_bounds"]


def paired_estimates(
    counts: PairCounts, names: tuple[str, str], level: float, stopped_by_data: bool
) -> dict[str, Estimate]:
    """Both rates over complete pairs, their difference (second minus first) and, with void pairs, the worst cases.

    The worst cases count all trials of a policy, those whose other side stayed void included: keys
    `"<name>, void as failures"` and `"<name>, void as successes"`.

    Args:
        stopped_by_data: whether the number of pairs depended on the results; then all bounds are confidence sequences.
    """
    interval = beta_confidence_sequence if stopped_by_data else clopper_pearson
    difference = paired_difference_sequence if stopped_by_data else paired_difference
    estimates = {
        names[0]: interval(counts.both + counts.first_only, counts.n, level, counts.void),
        names[1]: interval(counts.both + counts.second_only, counts.n, level, counts.void),
        "difference": difference(counts, level),
    }
    if counts.void:
        for name, side in ((names[0], counts.side("first")), (names[1], counts.side("second"))):
            worst = worst_case_bounds(*side, level, interval)
            estimates[f"{name}, void as failures"] = worst.as_failures
            estimates[f"{name}, void as successes"] = worst.as_successes
    return estimates


def compose_sentence(
    decision: Decision, counts: PairCounts, names: tuple[str, str], estimates: dict[str, Estimate], basis: str
) -> str:
    """One plain sentence: claim, both rates, pairs, discordant pairs, basis, void pairs; the winner comes first.

    Args:
        basis: test and intervals, e.g. `exact paired test, alpha 0.05; intervals are 95 % Clopper-Pearson`.
    """
    first, second = names
    wins = (counts.first_only, counts.second_only)
    if decision == "second is better":
        first, second, wins = second, first, wins[::-1]
    claim = {
        "undecided": f"Undecided between {first} and {second} so far",
        "no difference shown": f"No difference shown between {first} and {second}",
    }.get(decision, f"{first} is better than {second}")
    if counts.n == 0:
        return f"{claim}: no paired case was counted ({_plural(counts.void, 'void pair')})"
    both = " against ".join(rate_with_bounds(estimates[name]) for name in (first, second))
    rates = f"{both} on {_plural(counts.n, 'paired case')}"
    void = f", {_plural(counts.void, 'void pair')}" if counts.void else ""
    return f"{claim}: {rates} ({wins[0]} to {wins[1]} discordant; {basis}{void})"


def paired_verdict(
    pairs: Sequence[PairedOutcome], alpha: float = 0.05, names: tuple[str, str] = ("A", "B"), level: float = 0.95
) -> Verdict:
    """The verdict of the exact paired test on a number of pairs that was fixed before looking at any result.

    Args:
        pairs: outcomes in any order; void ones are reported and not counted.
        alpha: two-sided type-I error.
        names: of the first and the second policy.
        level: of the intervals (Clopper-Pearson for the rates, Tango for the difference).
    """
    counts = count_pairs(pairs)
    p_value = exact_paired_test(pairs)
    decision: Decision = "no difference shown"
    if p_value <= alpha:
        decision = "second is better" if counts.second_only > counts.first_only else "first is better"
    estimates = paired_estimates(counts, names, level, stopped_by_data=False)
    basis = f"exact paired test, {p_text(p_value)}, alpha {alpha:g}; intervals are {100 * level:g} % Clopper-Pearson"
    return Verdict(
        decision=decision,
        sentence=compose_sentence(decision, counts, names, estimates, basis),
        alpha=alpha,
        n=counts.n,
        discordant=counts.discordant,
        p_value=p_value,
        method="exact paired test (McNemar 1947)",
        needed=None if p_value <= alpha else pairs_for_new_comparison(counts, alpha),
        estimates=estimates,
    )


def p_text(p_value: float) -> str:
    """`p 0.023`; below what floating point can tell apart from 0, a bound.

    >>> p_text(0.0234), p_text(0.0)
    ('p 0.023', 'p < 1e-15')
    """
    return f"p {p_value:.2g}" if p_value >= 1e-15 else "p < 1e-15"


def rate_with_bounds(estimate: Estimate) -> str:
    """`0.80 [0.44, 0.97]`, or `no data`."""
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return "no data"
    return f"{estimate.value:.2f} [{estimate.low:.2f}, {estimate.high:.2f}]"


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
