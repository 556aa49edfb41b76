"""A claim about a recipe counts training runs, however many trials each of them had."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from benchmarks.stats_recipes import DEVIATIONS, TRIALS, false_claims
from roboscale.core import Outcomes, Stratum
from roboscale.stats.overall import compare_policies
from roboscale.stats.recipes import recipe_difference, run_means, runs_of


def of_runs(runs, trials: int) -> Outcomes:
    """(policy, run, task) -> successes of `trials`."""
    names = [tuple(dict.fromkeys(key[k] for key in runs)) for k in range(3)]
    rows = [
        (*(names[k].index(key[k]) for k in range(3)), value, weight)
        for key, won in runs.items()
        for value, weight in ((1.0, won), (0.0, trials - won))
        if weight
    ]
    policy, run, stratum, value, weight = (np.array(column) for column in zip(*rows, strict=True))
    return Outcomes(
        kind="success",
        paired=False,
        policies=names[0],
        strata=tuple(Stratum("", task) for task in names[2]),
        runs=names[1],
        policy=policy.astype(np.int32),
        stratum=stratum.astype(np.int32),
        run=run.astype(np.int32),
        case=np.arange(len(rows)),
        value=value,
        weight=weight,
    )


def drawn(rng, sd: float, runs: int, trials: int, lift: float = 0.0) -> Outcomes:
    """Two recipes whose runs deviate by `sd`."""
    return of_runs(
        {
            (recipe, f"{recipe}{k}", "x"): int(rng.binomial(trials, np.clip(rng.normal(0.5 + up, sd), 0, 1)))
            for recipe, up in (("A", 0.0), ("B", lift))
            for k in range(runs)
        },
        trials,
    )


@pytest.mark.parametrize("sd", [0.02, 0.05, 0.11])
@pytest.mark.parametrize("trials", [50, 1000])
def test_equal_recipes_are_not_told_apart(sd: float, trials: int):
    rng = np.random.default_rng(int(1000 * sd) + trials)
    claimed = [compare_policies(drawn(rng, sd, 3, trials)).verdict.pairs[0].decided for _ in range(250)]
    assert np.mean(claimed) <= 0.05 + 0.02  # two standard errors of 250 draws


@pytest.mark.parametrize("sd", DEVIATIONS)
@pytest.mark.parametrize("trials", TRIALS)
@pytest.mark.parametrize("runs", [3, 5])
def test_false_claims_of_recipes_stay_below_alpha(sd: float, trials: int, runs: int):
    assert false_claims(sd, trials, runs, 1000) <= 0.05 + 0.014  # two standard errors of 1,000 draws


def test_one_run_a_side_would_be_fooled_and_says_what_it_is_about():
    rng = np.random.default_rng(1)
    made = [compare_policies(drawn(rng, 0.05, 1, 1000)) for _ in range(40)]
    assert np.mean([one.verdict.pairs[0].decided for one in made]) > 0.3, "each is a claim about two checkpoints"
    assert all("these two checkpoints; one training run each" in one.unit for one in made)


def test_a_better_recipe_is_found():
    overall = compare_policies(drawn(np.random.default_rng(2), 0.03, 5, 200, lift=0.2))
    pair = overall.verdict.pairs[0]
    assert pair.decided and "training runs" in overall.unit and "Welch" in overall.verdict.method
    assert pair.verdict.n == 5, "runs are counted"


def test_two_runs_are_too_few_for_a_recipe():
    overall = compare_policies(drawn(np.random.default_rng(3), 0.03, 2, 100))
    assert "not about recipes" in overall.unit and "A has 2" in overall.unit


def test_welch_is_scipy_s():
    one, two = [0.5, 0.55, 0.48], [0.71, 0.66, 0.74, 0.7]
    p, e = recipe_difference(one, two)
    theirs = scipy_stats.ttest_ind(two, one, equal_var=False)
    whole = theirs.confidence_interval(0.95)
    assert (p, e.low, e.high) == pytest.approx((theirs.pvalue, whole.low, whole.high))


def test_runs_alike_are_not_certain():
    p, e = recipe_difference([1.0, 1.0, 1.0], [0.99, 0.99, 0.99])
    assert p > 0.05 and e.low < -0.01 < e.high
    assert recipe_difference([0.4], [0.9])[0] == 1.0 and recipe_difference([], [0.5])[1].value is None


def test_a_run_that_misses_a_task_has_no_mean():
    runs = {("A", "a0", "x"): 5, ("A", "a0", "y"): 10, ("A", "a1", "x"): 1, ("B", "b0", "x"): 3}
    outcomes = of_runs(runs, 10)
    assert run_means(outcomes, "A", [0, 1]).tolist() == [0.75]
    assert run_means(outcomes, "A", [0]).tolist() == [0.5, 0.1]
    assert runs_of(outcomes) == {"A": 2, "B": 1}
