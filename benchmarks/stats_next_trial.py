"""How many comparisons a full order takes: chosen by expected misorder reduction, D-optimally, or uniformly.

    python -m benchmarks.stats_next_trial [--quick] [--runs N] [--scenario NAME ...] [--prior-sd SD]
    python -m benchmarks.stats_next_trial --claims [--quick]

Outcomes are drawn from Davidson's model (nu .22). All runs of a scenario advance together;
every rule ranks by the same posterior mean. Printed is the smallest number of comparisons from which on at least 95 %
of the runs have the order right (on a running mean), so it carries a Monte-Carlo error of some 10 %.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from roboscale.stats.bradley_terry import Comparisons, fit_davidson, pair_indices
from roboscale.stats.next_trial import comparison_information, fixed_gap_drop, misorder_drop, volume_gain
from roboscale.stats.rank_sets import SetMethod, rank_policies

NU = 0.22
ROBOARENA = (0.409, 0.220, 0.210, 0.162, 0.140, -0.121, -2.759)
RULES = ("uniform", "balanced", "volume", "fixed gap", "misorder")


@dataclass(frozen=True)
class Scenario:
    """True strengths, the smallest gap that must be ordered right, and where to stop."""

    strengths: tuple[float, ...]
    least_gap: float
    horizon: int


SCENARIOS = {
    "gaps .6": Scenario(tuple(0.6 * np.arange(6, -1, -1.0)), 0.0, 1100),
    "gaps .3": Scenario(tuple(0.3 * np.arange(6, -1, -1.0)), 0.0, 3200),
    "normal sd .6": Scenario(tuple(0.6 * norm.ppf((np.arange(7, 0, -1) - 0.375) / 7.25)), 0.0, 4000),
    "RoboArena, pairs >= .1": Scenario(ROBOARENA, 0.1, 5000),
}


@dataclass(frozen=True)
class Curve:
    """Share of runs with the right order after each number of comparisons (T,), and the last counts (runs, P, 3)."""

    comparisons: NDArray[np.int64]
    right: NDArray[np.float64]
    counts: NDArray[np.float64]

    def reaches(self, share: float = 0.95) -> float | None:
        """The first number of comparisons from which on a running mean stays at the share; `None` if it does not."""
        width = max(len(self.right) // 40, 1)
        mean = np.convolve(self.right, np.ones(width) / width, mode="valid")
        at = self.comparisons[width // 2 : width // 2 + len(mean)]
        below = np.flatnonzero(mean < share)
        if len(below) == 0:
            return float(at[0])
        return None if below[-1] + 1 >= len(at) else float(at[below[-1] + 1])


def simulate(
    scenario: Scenario,
    rule: str,
    runs: int,
    seed: int,
    horizon: int | None = None,
    prior_sd: float = 1.0,
    step: int = 1,
) -> Curve:
    """Runs one rule on many independent copies of a scenario.

    Args:
        rule: one of RULES; `balanced` goes through all pairs in a random order, round after round.
        step: comparisons between two choices (the batch of `misorder` and `volume` then repeats one pair).
    """
    rng = np.random.default_rng(seed)
    truth = np.array(scenario.strengths)
    policies = len(truth)
    first, second = pair_indices(policies)
    gaps = truth[first] - truth[second]
    must = np.abs(gaps) > scenario.least_gap - 1e-9
    odds = np.stack([np.exp(gaps / 2), np.exp(-gaps / 2), np.full_like(gaps, 2 * NU)], axis=-1)
    chance = np.cumsum(odds / odds.sum(axis=-1, keepdims=True), axis=-1)
    counts, everyone = np.zeros((runs, len(first), 3)), np.arange(runs)
    mean, log_nu = np.zeros((runs, policies)), np.full(runs, np.log(0.25))
    at, right = [], []
    deck = np.argsort(rng.random((runs, len(first))), axis=1)
    for t in range(0, horizon or scenario.horizon, step):
        found = fit_davidson(counts, policies, ridge=prior_sd**-2, start=(mean, log_nu))
        mean, log_nu = found.strengths, found.log_nu
        lead = mean[:, first] - mean[:, second]
        at.append(t)
        right.append(np.mean(np.all((lead * np.sign(gaps) > 0) | ~must, axis=1)))
        turn = t // step
        if turn % len(first) == 0:
            deck = np.argsort(rng.random((runs, len(first))), axis=1)
        information = comparison_information(lead, np.exp(np.where(log_nu < -30, np.log(0.25), log_nu))[:, None])
        if rule == "uniform":
            pair = rng.integers(len(first), size=runs)
        elif rule == "balanced":
            pair = deck[:, turn % len(first)]
        elif rule == "volume":
            pair = np.argmax(volume_gain(found.covariance, information), axis=1)
        elif rule == "fixed gap":
            pair = np.argmax(fixed_gap_drop(mean, found.covariance, information), axis=1)
        else:
            pair = np.argmax(misorder_drop(mean, found.covariance, information), axis=1)
        for _ in range(step):
            outcome = (rng.random(runs)[:, None] > chance[pair]).sum(axis=1)
            counts[everyone, pair, np.minimum(outcome, 2)] += 1
    return Curve(np.array(at), np.array(right), counts)


def table(names: Sequence[str], rules: Sequence[str], runs: int, seed: int, prior_sd: float, step: int) -> None:
    """Prints, row by row, comparisons to a full order at 95 %, and relative to uniform pairing."""
    print("| scenario | " + " | ".join(rules) + " |\n| --- |" + " --- |" * len(rules))
    for name in names:
        found = [simulate(SCENARIOS[name], rule, runs, seed, None, prior_sd, step).reaches() for rule in rules]
        base = found[0]
        cells = [
            "not reached" if n is None else f"{n:.0f}" if base is None or n == base else f"{n:.0f} ({n / base:.2f})"
            for n in found
        ]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def claims(runs: int, seed: int, prior_sd: float) -> str:
    """Share of studies with a false order claimed by rank sets (nominal: .05), and the mean size of a set."""
    methods: tuple[SetMethod, ...] = ("holm", "anytime")
    lines = ["| five policies, 240 comparisons | rule | Holm: false, ranks | anytime: false, ranks |"]
    lines.append("| --- | --- | --- | --- |")
    for gap in (0.0, 0.3, 1.0):
        strengths = tuple(gap * np.arange(4, -1, -1.0))
        for rule in ("uniform", "misorder"):
            counts = simulate(Scenario(strengths, 0.0, 240), rule, runs, seed, None, prior_sd, 2).counts
            cells = [f"{false:.3f}, {ranks:.2f}" for false, ranks in (_false_orders(counts, gap, m) for m in methods)]
            lines.append(f"| gaps {gap:g} | {rule} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _false_orders(counts: NDArray[np.float64], gap: float, method: SetMethod) -> tuple[float, float]:
    """Of studies (runs, P, 3) of policies in falling order: share with a wrong set, and mean size of a set."""
    names = tuple("abcde")
    truth = [(k, k) if gap else (1, 5) for k in range(1, 6)]
    false, sizes = [], []
    for study in counts:
        found = rank_policies(
            Comparisons(policies=names, counts=study, per_pair=study.sum(axis=1).astype(np.int64)), sets=method
        ).rank_sets
        sets = [found[name] for name in names]
        false.append(any(low > best or high < worst for (low, high), (best, worst) in zip(sets, truth, strict=True)))
        sizes.append(np.mean([high - low + 1 for low, high in sets]))
    return float(np.mean(false)), float(np.mean(sizes))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="100 runs, choosing every 8 comparisons")
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--step", type=int, default=4, help="comparisons of one pair per choice")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--prior-sd", type=float, default=1.0, help="of the normal prior on the strengths")
    parser.add_argument("--scenario", choices=list(SCENARIOS), action="append", help="only this one; repeatable")
    parser.add_argument("--rule", choices=RULES, action="append", help="only this one; repeatable")
    parser.add_argument("--claims", action="store_true", help="false orders in rank sets after such a choice of pairs")
    asked = parser.parse_args()
    runs, step = (100, 8) if asked.quick else (asked.runs, asked.step)
    rules = asked.rule or RULES
    if asked.claims:
        print(claims(runs, asked.seed, asked.prior_sd))
        return
    table(asked.scenario or list(SCENARIOS), rules, runs, asked.seed, asked.prior_sd, step)


if __name__ == "__main__":
    main()
