"""False claims about two equal recipes: `python -m benchmarks.stats_recipes`.

Training runs of one recipe deviate; their trials share the luck of their run. Shown is how often a difference is
claimed at alpha .05: by training runs (three and five a side), and by a plain test of all trials of one run a side.
"""

from __future__ import annotations

import numpy as np

from roboscale.stats.counts import compare_counts
from roboscale.stats.recipes import recipe_difference

DEVIATIONS = (0.02, 0.05, 0.11)
TRIALS = (50, 100, 400, 1000)


def false_claims(deviation: float, trials: int, runs: int, draws: int, seed: int = 0) -> float:
    """Share of `draws` in which two equal recipes (rate .5) are told apart by their training runs."""
    rng = np.random.default_rng(seed)
    rates = np.clip(rng.normal(0.5, deviation, (draws, 2, runs)), 0, 1)
    means = rng.binomial(trials, rates) / trials
    return float(np.mean([recipe_difference(a, b)[0] <= 0.05 for a, b in means]))


def plain_claims(deviation: float, trials: int, draws: int, seed: int = 0) -> float:
    """The same of one run a side, by the test of counts that knows nothing of runs."""
    rng = np.random.default_rng(seed)
    won = rng.binomial(trials, np.clip(rng.normal(0.5, deviation, (draws, 2)), 0, 1))
    p_values = [compare_counts((int(a), trials), (int(b), trials))[0] for a, b in won]
    return float(np.mean(np.array(p_values) <= 0.05))


def main() -> None:
    print("deviation  trials  3 runs  5 runs  plain test, 1 run")
    for deviation in DEVIATIONS:
        for trials in TRIALS:
            three, five = (false_claims(deviation, trials, runs, 4000) for runs in (3, 5))
            plain = plain_claims(deviation, trials, 400)
            print(f"{deviation:9.2f}  {trials:6}  {three:6.3f}  {five:6.3f}  {plain:17.2f}", flush=True)


if __name__ == "__main__":
    main()
