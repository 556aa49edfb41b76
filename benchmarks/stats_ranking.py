"""Time to fit and bootstrap a ranking, beside choix and evalica, on the same comparisons in one run.

    python -m benchmarks.stats_ranking [--quick] [--policies 15] [--comparisons 1000000] [--bootstraps 1000]
    python -m benchmarks.stats_ranking --coverage [--quick]

Peers get the fastest input they accept: choix a dense matrix of wins, evalica one weighted row per kind of outcome.
Both count ties as half wins, and so does the line `half` of ours, while `davidson` models them; only ours computes a
covariance. Bootstraps of all of them refit the same number of multinomial resamples. Medians over repeats; ratios are
peer / ours (`half` for a like-for-like model).

`--coverage` simulates how often all rank sets hold together (nominal: 95 %), and how many ranks a set has on average.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import choix
import evalica
import numpy as np
from numpy.typing import NDArray

from roboscale.stats.bradley_terry import (
    ComparisonOutcome,
    Comparisons,
    TieRule,
    bootstrap_fits,
    count_comparisons,
    fit_davidson,
    pair_indices,
)
from roboscale.stats.rank_sets import SetMethod, rank_policies

NU = 0.22
COVERAGE = {
    "five equal": (0.0,) * 5,
    "two groups of three": (0.5,) * 3 + (-0.5,) * 3,
    "gaps .6, five": tuple(0.6 * np.arange(5)),
    "four equal, one hopeless": (0.0, 0.0, 0.0, 0.0, -4.0),
}
OUTCOMES: tuple[ComparisonOutcome, ...] = ("first", "second", "tie")


def draw(policies: int, comparisons: int, seed: int) -> tuple[list[str], list[str], list[ComparisonOutcome]]:
    """Columns of comparisons between policies of normal strengths (sd .6)."""
    rng = np.random.default_rng(seed)
    strengths = rng.normal(0, 0.6, policies)
    first = rng.integers(policies, size=comparisons)
    second = (first + rng.integers(1, policies, size=comparisons)) % policies
    half = (strengths[first] - strengths[second]) / 2
    weights = np.stack([np.exp(half), np.exp(-half), np.full(comparisons, 2 * NU)], axis=1).cumsum(axis=1)
    result = (rng.random(comparisons)[:, None] * weights[:, -1:] > weights).sum(axis=1)
    names = [f"policy {k:02d}" for k in range(policies)]
    return [names[k] for k in first], [names[k] for k in second], [OUTCOMES[k] for k in np.minimum(result, 2)]


def median_s(function: Callable[[], object], repeats: int) -> float:
    """Median wall-clock seconds of a call."""
    found = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        found.append(time.perf_counter() - start)
    return float(np.median(found))


def choix_fit(counts: NDArray[np.float64], policies: int) -> NDArray[np.float64]:
    """Strengths by choix from counts (P, 3); ties are half wins."""
    first, second = pair_indices(policies)
    wins = np.zeros((policies, policies))
    wins[first, second] = counts[:, 0] + counts[:, 2] / 2
    wins[second, first] = counts[:, 1] + counts[:, 2] / 2
    return choix.ilsr_pairwise_dense(wins)


def evalica_fit(counts: NDArray[np.float64], policies: int) -> NDArray[np.float64]:
    """Strengths by evalica from counts (P, 3), one weighted row per cell; ties are half wins."""
    first, second = (np.repeat(index, 3).tolist() for index in pair_indices(policies))
    winners = [evalica.Winner.X, evalica.Winner.Y, evalica.Winner.Draw] * (policies * (policies - 1) // 2)
    found = evalica.bradley_terry(first, second, winners, weights=counts.ravel().tolist(), tolerance=1e-8, limit=1000)
    strengths = np.log(found.scores.loc[list(range(policies))].to_numpy())
    return strengths - strengths.mean()


def report(policies: int, comparisons: int, bootstraps: int, repeats: int, peer_bootstraps: int) -> str:
    """The table, as markdown."""
    columns = draw(policies, comparisons, seed=0)
    counted = count_comparisons(*columns)
    counting = median_s(lambda: count_comparisons(*columns), repeats)
    rng = np.random.default_rng(1)
    flat = counted.counts.ravel() / counted.n
    resamples = rng.multinomial(counted.n, flat, size=peer_bootstraps).reshape(-1, *counted.counts.shape).astype(float)
    ours = {rule: time_ours(counted, rule, bootstraps, repeats) for rule in ("half", "davidson")}
    rows = [("count the rows", counting, float("nan"))]
    rows += [(f"roboscale, {rule}", *times) for rule, times in ours.items()]
    reference = fit_davidson(counted.counts, policies, "half").strengths
    lines = []
    for name, peer in (("choix, half", choix_fit), ("evalica, half", evalica_fit)):
        gap = np.abs(peer(counted.counts, policies) - reference).max()
        fit = median_s(lambda peer=peer: peer(counted.counts, policies), max(repeats, 5))
        boot = median_s(lambda peer=peer: [peer(counts, policies) for counts in resamples], repeats)
        boot *= bootstraps / peer_bootstraps
        rows.append((name, fit, boot))
        lines.append(
            f"{name.split(',')[0]}: largest difference of strengths {gap:.1e}; {fit / ours['half'][0]:.1f}x our time"
            f" for a fit, {boot / ours['half'][1]:.1f}x for the bootstraps"
        )
    table = ["| | fit, ms | " + f"{bootstraps} bootstraps, s |", "| --- | --- | --- |"]
    table += [f"| {name} | {1e3 * fit:.2f} | {'' if boot != boot else f'{boot:.3f}'} |" for name, fit, boot in rows]
    total = counting + ours["davidson"][0] + ours["davidson"][1]
    lines.append(f"{policies} policies, {comparisons} comparisons, all of ours with Davidson ties: {total:.2f} s")
    return "\n".join([*table, "", *lines])


def time_ours(counted: Comparisons, rule: TieRule, bootstraps: int, repeats: int) -> tuple[float, float]:
    """Seconds of one fit and of all bootstraps."""
    policies = len(counted.policies)
    fit = median_s(lambda: fit_davidson(counted.counts, policies, rule), max(repeats, 5))
    boot = median_s(lambda: bootstrap_fits(counted, bootstraps, np.random.default_rng(2), rule), repeats)
    return fit, boot


def coverage(simulations: int) -> str:
    """Share of simulations in which no false order was claimed, and the mean number of ranks in a set."""
    lines = [
        "| strengths | comparisons a pair | Holm: right, ranks | bootstrap: right, ranks |",
        "| --- | --- | --- | --- |",
    ]
    for label, strengths in COVERAGE.items():
        for each in (4, 10, 40):
            cells = [f"{right:.3f}, {ranks:.2f}" for right, ranks in _covered(np.array(strengths), each, simulations)]
            lines.append(f"| {label} | {each} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _covered(strengths: NDArray[np.float64], each: int, simulations: int) -> list[tuple[float, float]]:
    """For either kind of rank set: how often all hold, and how many ranks a set has."""
    rng = np.random.default_rng(0)
    first, second = pair_indices(len(strengths))
    half = (strengths[first] - strengths[second]) / 2
    chance = np.stack([np.exp(half), np.exp(-half), np.full_like(half, 2 * NU)], axis=1)
    chance /= chance.sum(axis=1, keepdims=True)
    # the highest and the lowest rank that a policy has under any order of its equals
    best = 1 + (strengths[None, :] > strengths[:, None] + 1e-9).sum(axis=1)
    worst = len(strengths) - (strengths[None, :] < strengths[:, None] - 1e-9).sum(axis=1)
    names = tuple(f"policy {k}" for k in range(len(strengths)))
    methods: tuple[SetMethod, ...] = ("holm", "bootstrap")
    found: dict[str, list[tuple[bool, float]]] = {method: [] for method in methods}
    for _ in range(simulations):
        counts = rng.multinomial(each, chance).astype(float)
        compared = Comparisons(policies=names, counts=counts, per_pair=counts.sum(axis=1).astype(np.int64))
        for method in methods:
            ranking = rank_policies(compared, sets=method, bootstraps=400, rng=rng)
            low, high = np.array([ranking.rank_sets[name] for name in names]).T
            found[method].append((bool(np.all((low <= best) & (worst <= high))), float((high - low + 1).mean())))
    return [(float(np.mean([r for r, _ in f])), float(np.mean([w for _, w in f]))) for f in found.values()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="20,000 comparisons, 100 bootstraps, once")
    parser.add_argument("--policies", type=int, default=15)
    parser.add_argument("--comparisons", type=int, default=1_000_000)
    parser.add_argument("--bootstraps", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--coverage", action="store_true", help="simulate rank sets instead of timing")
    asked = parser.parse_args()
    if asked.coverage:
        print(coverage(100 if asked.quick else 1000))
    elif asked.quick:
        print(report(asked.policies, 20_000, 100, 1, 100))
    else:
        print(report(asked.policies, asked.comparisons, asked.bootstraps, asked.repeats, asked.bootstraps))


if __name__ == "__main__":
    main()
