"""Invented data for the pictures of docs/statistics.md, seeded; move-near is published. Knows nothing of drawing."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from roboscale.core import PairedOutcome
from roboscale.stats import EProcessPaired
from roboscale.stats.betting import bounded_mean_sequence
from roboscale.stats.bradley_terry import count_comparisons, fit_davidson, pair_indices
from roboscale.stats.independent import expected_trials
from roboscale.stats.many import ManyVerdict
from roboscale.stats.mixture import MixPoint
from roboscale.stats.next_trial import comparison_information, misorder_drop, volume_gain
from roboscale.stats.rank_sets import Ranking, rank_policies
from roboscale.stats.sequential_many import SequentialMany
from roboscale.stats.walk import naive_peeking_error

FOUR = ("base", "best", "newer", "older")
SCORED = {"alpha": 1.5, "beta": 0.9, "gamma": 0.8, "delta": 0.1, "epsilon": -0.6}
MOVE_NEAR = ((0.733, 0.633, 0.583, 0.45, 0.017, 0.35), (0.779, 0.442, 0.354, 0.317, 0.05, 0.042))
"""Real and simulated rates of six policies on SIMPLER's move-near (Li et al. 2024)."""


def paired_draws(seed: int, first: float, second: float, n: int) -> list[PairedOutcome]:
    """Pairs in which the first alone succeeds with this probability, and the second alone with that one."""
    drawn = np.random.default_rng(seed).choice(4, size=n, p=[first, second, 0.3, 0.7 - first - second])
    kinds = ((True, False), (False, True), (True, True), (False, False))
    return [PairedOutcome("", *kinds[k]) for k in drawn]


def evalue_path(pairs: Sequence[PairedOutcome]) -> NDArray[np.float64]:
    rule = EProcessPaired(names=("old", "new"), min_pairs=len(pairs) + 1)
    for pair in pairs:
        rule.update(pair)
    return np.exp([row["log_e_value"] for row in rule.verdict().evidence])


def decided(p0: float, p1: float) -> NDArray[np.float64]:
    """Probability of a decision after exactly n trials per policy, two-sided, budget 200."""
    found = expected_trials(p0, p1, 200)
    at = found.stops.copy()
    at[-1] -= 1 - found.power  # those that reach the budget without a decision
    return at


def naive(discordance: float, looks: Sequence[int]) -> list[float]:
    return [naive_peeking_error(n, discordance) for n in looks]


def right_orders(rule: str, runs: int, comparisons: int, step: int) -> NDArray[np.float64]:
    """Share of simulated studies of seven policies .6 logits apart whose order is right, every `step` comparisons."""
    rng, truth, (first, second) = np.random.default_rng(0), 0.6 * np.arange(6, -1, -1.0), pair_indices(7)
    gaps = truth[first] - truth[second]
    odds = np.stack([np.exp(gaps / 2), np.exp(-gaps / 2), np.full_like(gaps, 0.44)], axis=-1)
    chance = np.cumsum(odds / odds.sum(axis=-1, keepdims=True), axis=-1)
    counts, everyone, right = np.zeros((runs, len(gaps), 3)), np.arange(runs), []
    for _ in range(0, comparisons, step):
        found = fit_davidson(counts, 7, ridge=1.0)
        lead = found.strengths[:, first] - found.strengths[:, second]
        right.append(float(np.mean(np.all(lead > 0, axis=1))))
        information = comparison_information(lead, 0.25)
        if rule == "uniform":
            pair = rng.integers(len(gaps), size=runs)
        elif rule == "volume":
            pair = np.argmax(volume_gain(found.covariance, information), axis=1)
        else:
            pair = np.argmax(misorder_drop(found.strengths, found.covariance, information), axis=1)
        for _ in range(step):
            outcome = (rng.random(runs)[:, None] > chance[pair]).sum(axis=1)
            counts[everyone, pair, np.minimum(outcome, 2)] += 1
    return np.array(right)


def board() -> Ranking:
    """Five policies of known strengths and one that lost every comparison, 24 comparisons a pair."""
    rng, rows = np.random.default_rng(4), []
    for a, b in combinations((*SCORED, "zeta"), 2):
        lead = SCORED[a] - SCORED.get(b, -30.0)
        odds = np.array([np.exp(lead / 2), np.exp(-lead / 2), 0.44 if b in SCORED else 0.0])
        rows += [(a, b, o) for o in rng.choice(["first", "second", "tie"], size=24, p=odds / odds.sum())]
    first, second, outcome = zip(*rows, strict=True)
    return rank_policies(count_comparisons(first, second, outcome))


def study(
    rng: np.random.Generator, n: int, extra: int, rate: float, rho: float
) -> tuple[list[float], list[float], list[float]]:
    """Real outcomes on n cases; cheap outcomes of this correlation on the same cases, and on further ones."""
    cheap = rng.random(n + extra) < rate
    chance = np.where(cheap[:n], rate + rho * (1 - rate), rate - rho * rate)
    return (
        (rng.random(n) < chance).astype(float).tolist(),
        cheap[:n].astype(float).tolist(),
        cheap[n:].astype(float).tolist(),
    )


def four_policies() -> tuple[ManyVerdict, int, dict[tuple[str, str], tuple[int, str]]]:
    """Policies of rate .35, .92, .65 and .6: the verdict, cases tried, and when each pair was decided and for whom."""
    rng, rule = np.random.default_rng(13), SequentialMany(FOUR, budget=200, correction="shaffer")
    ends: dict[tuple[str, str], tuple[int, str]] = {}
    case, over = 0, False
    while not over:
        case += 1
        drawn = dict(zip(FOUR, (rng.random(4) < (0.35, 0.92, 0.65, 0.6)).tolist(), strict=True))
        over = rule.update({name: drawn[name] for name in rule.active})
        for pair in rule.verdict().pairs if over or case % 4 == 0 else ():
            if pair.decided:
                first, second = sorted((pair.first, pair.second))
                winner = pair.first if pair.verdict.decision == "first is better" else pair.second
                ends.setdefault((first, second), (case, f"{winner} is better"))
    return rule.verdict(), case, ends


def trained_policies() -> list[MixPoint]:
    """Eight policies trained on robot and simulated hours, 100 rollouts each."""
    amounts = ((5, 0), (10, 0), (20, 0), (40, 0), (10, 50), (10, 200), (20, 100), (40, 400))
    found = []
    for robot, sim in amounts:
        worth = robot**0.9 / 12 + sim**0.6 / 30  # simulation helps, and wears out sooner
        found.append(MixPoint({"robot": robot, "sim": sim}, round(95 * worth / (1 + worth)), 100))
    return found


def mixed_runs() -> list[tuple[dict[str, float], dict[str, float]]]:
    """Shares of two sources, and the losses of two domains, in seven runs."""
    rng, found = np.random.default_rng(3), []
    for s in np.linspace(0.1, 0.9, 7).tolist():
        kitchen, office = 0.3 + np.exp(-2.2 * s), 0.25 + np.exp(-1.6 * (1 - s))
        noise = 0.01 * rng.standard_normal(2)
        found.append(({"robot": s, "sim": 1 - s}, {"kitchen": kitchen + noise[0], "office": office + noise[1]}))
    return found


def scored_policies() -> list[tuple[str, NDArray[np.float64], NDArray[np.float64]]]:
    """Two policies of mean progress .6: kind of score, and both ends of the confidence sequence after each trial."""
    rng, found = np.random.default_rng(6), []
    kinds = (("0 or 1", (0.0, 1.0), (0.4, 0.6)), ("thirds", (0.0, 1 / 3, 2 / 3, 1.0), (0.2, 0.2, 0.2, 0.4)))
    for label, values, chances in kinds:
        drawn = rng.choice(len(values), size=100, p=chances)
        counts = np.cumsum(np.eye(len(values), dtype=int)[drawn], axis=0)
        low, high = np.array([bounded_mean_sequence(values, seen, 0.95) for seen in counts]).T
        found.append((label, low, high))
    return found
