"""What comparing several policies costs when every pair stops as soon as it is decided. Simulated, seeded.

    python -m benchmarks.stats_many [--quick]
    python -m benchmarks.stats_many --strata [--quick]

Cases have a difficulty that all policies share (normal on the logit, sd 1); rates are averages over it.
With `--strata`: how often three equal policies, whose tasks are mixed unequally, are told apart by `compare_policies`:
any pair overall, any pair on a task, and by tests of the sums over tasks that know nothing of the mix (Holm).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit

from benchmarks.stats_sequential import markdown
from roboscale.core import Outcomes, Stratum
from roboscale.stats.counts import compare_counts
from roboscale.stats.many import holm
from roboscale.stats.overall import compare_policies
from roboscale.stats.proportions import wilson
from roboscale.stats.sequential_many import SequentialMany

BUDGET = 200
SCENARIOS = ((0.9, 0.7, 0.4), (0.8, 0.6, 0.6), (0.6, 0.6, 0.6), (0.9, 0.7, 0.5, 0.3), (0.8, 0.8, 0.8, 0.5))
_DIFFICULTY = np.random.default_rng(0).standard_normal(20_000)

RULES: dict[str, Callable[[str], SequentialMany]] = {
    "Holm, budget 200": lambda names: SequentialMany(names, budget=BUDGET),
    "Shaffer, budget 200": lambda names: SequentialMany(names, budget=BUDGET, correction="shaffer"),
    "Shaffer, no budget (stopped at 200)": lambda names: SequentialMany(names, correction="shaffer"),
}


def skills(rates: tuple[float, ...]) -> NDArray[np.float64]:
    """Logits whose mean success over the cases are these rates."""
    return np.array([brentq(lambda a, rate=rate: expit(a + _DIFFICULTY).mean() - rate, -9, 9) for rate in rates])


def operate(rates: tuple[float, ...], build: Callable[[str], SequentialMany], runs: int) -> list[str]:
    """Mean cases, mean trials over all policies, share of unequal pairs decided, and runs with a false claim."""
    rng, names, logits = np.random.default_rng(7), "ABCDEFG"[: len(rates)], skills(rates)
    unequal = {pair for pair in combinations(names, 2) if rates[names.index(pair[0])] != rates[names.index(pair[1])]}
    cases = trials = found = wrong = 0
    for _ in range(runs):
        rule = build(names)
        for _ in range(BUDGET):
            chance = expit(logits + rng.standard_normal())
            drawn = dict(zip(names, (rng.random(len(names)) < chance).tolist(), strict=True))
            active = rule.active
            cases, trials = cases + 1, trials + len(active)
            if rule.update({name: drawn[name] for name in active}):
                break
        decided = {tuple(sorted((pair.first, pair.second))) for pair in rule.verdict().pairs if pair.decided}
        found += len(decided & unequal)
        wrong += bool(decided - unequal)
    power = f"{found / (runs * len(unequal)):.3f}" if unequal else "-"
    return [f"{cases / runs:.0f}", f"{trials / runs:.0f}", power, f"{wrong / runs:.3f}"]


MIXES = {
    "equal, 20 each": ((20, 20, 20), (20, 20, 20), (20, 20, 20)),
    "unequal, 40 : 10 : 10, turned": ((40, 10, 10), (10, 40, 10), (10, 10, 40)),
    "unequal, 160 : 40 : 40, turned": ((160, 40, 40), (40, 160, 40), (40, 40, 160)),
    "unequal, 76 : 2 : 2, turned": ((76, 2, 2), (2, 76, 2), (2, 2, 76)),
}
TASK_RATES = (0.9, 0.5, 0.2)


def of_tasks(won: NDArray[np.int64], tried: NDArray[np.int64]) -> Outcomes:
    """Counts, shape (policies, tasks), as outcomes."""
    policy, stratum = (index.ravel().repeat(2) for index in np.indices(won.shape))
    return Outcomes(
        kind="success",
        paired=False,
        policies=tuple("ABC"[: len(won)]),
        strata=tuple(Stratum("", f"task {k}") for k in range(won.shape[1])),
        runs=tuple("ABC"[: len(won)]),
        policy=policy.astype(np.int32),
        stratum=stratum.astype(np.int32),
        run=policy.astype(np.int32),
        case=np.arange(len(policy), dtype=np.int64),
        value=np.tile([1.0, 0.0], won.size),
        weight=np.stack([won, tried - won], axis=-1).ravel(),
    )


def false_families(mix: tuple[tuple[int, ...], ...], runs: int, seed: int = 3) -> tuple[int, int, int]:
    """Runs of equal policies in which anything is claimed: overall, on a task, and by sums over tasks."""
    rng, tried = np.random.default_rng(seed), np.array(mix)
    stratified = single = pooled = 0
    for _ in range(runs):
        won = rng.binomial(tried, TASK_RATES)
        overall = compare_policies(of_tasks(won, tried))
        alone = [task.decision for pair in overall.pairs for task in pair.tasks]
        stratified += any(pair.decided for pair in overall.verdict.pairs)
        single += any(decision.endswith("is better") for decision in alone)
        sums = list(zip(won.sum(axis=1).tolist(), tried.sum(axis=1).tolist(), strict=True))
        pooled += bool(holm([compare_counts(a, b)[0] for a, b in combinations(sums, 2)]).any())
    return stratified, single, pooled


def strata(runs: int) -> str:
    """A family with a false claim, of all runs, with 95% intervals of the simulation."""
    rows = []
    for name, mix in MIXES.items():
        shown = []
        for false in false_families(mix, runs):
            share = wilson(false, runs)
            shown.append(f"{share.value:.3f} ({share.low:.3f} to {share.high:.3f})")
        rows.append([name, str(runs), *shown])
    return markdown(["trials of the tasks", "runs", "a false claim overall", "on a task", "by sums over tasks"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="30 runs instead of 300")
    parser.add_argument("--strata", action="store_true", help="equal policies at unequal mixes of tasks instead")
    asked = parser.parse_args()
    runs = 30 if asked.quick else 300
    if asked.strata:
        print(f"<!-- strata -->\n{strata(10 * runs)}\n")
        return
    rows = []
    for rates in SCENARIOS:
        for name, build in RULES.items():
            label = " / ".join(f"{rate:.1f}" for rate in rates)
            rows.append([label, name, *operate(rates, build, runs), str(BUDGET * len(rates))])
    header = ["rates", "rule", "cases", "trials", "unequal pairs decided", "a false claim", "trials without stopping"]
    print(f"<!-- many -->\n{markdown(header, rows)}\n")


if __name__ == "__main__":
    main()
