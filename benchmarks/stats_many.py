"""What comparing several policies costs when every pair stops as soon as it is decided. Simulated, seeded.

    python -m benchmarks.stats_many [--quick]

Cases have a difficulty that all policies share (normal on the logit, sd 1); rates are averages over it.
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="30 runs instead of 300")
    runs = 30 if parser.parse_args().quick else 300
    rows = []
    for rates in SCENARIOS:
        for name, build in RULES.items():
            label = " / ".join(f"{rate:.1f}" for rate in rates)
            rows.append([label, name, *operate(rates, build, runs), str(BUDGET * len(rates))])
    header = ["rates", "rule", "cases", "trials", "unequal pairs decided", "a false claim", "trials without stopping"]
    print(f"<!-- many -->\n{markdown(header, rows)}\n")


if __name__ == "__main__":
    main()
