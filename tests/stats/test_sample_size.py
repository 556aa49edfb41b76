"""Sizes of comparisons: against brute force, simulation, and what must hold whatever the rates."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roboscale.core import RoboscaleError, UsageError
from roboscale.jobs.power import SizeComparison, size_comparison
from roboscale.stats.barnard import barnard
from roboscale.stats.recipes import recipe_difference
from roboscale.stats.sample_size import (
    agreement_range,
    discordance,
    independent_power,
    independent_trials,
    paired_power,
    paired_trials,
    run_power,
    runs_needed,
    sequential_independent,
    sequential_paired,
    smallest_rise,
    trials_per_run,
)


def test_the_power_is_that_of_the_two_sided_test():
    """Every outcome of 12 against 12 trials, decided by the p-value itself."""
    n, p, q = 12, 0.3, 0.8
    k = np.arange(n + 1)
    ways = np.array([float(np.prod([(n - i) / (i + 1) for i in range(j)])) for j in k])
    mass = [ways * rate**k * (1 - rate) ** (n - k) for rate in (p, q)]
    shown = sum(mass[0][a] * mass[1][b] for a in k for b in k if b > a and barnard((int(a), n), (int(b), n)) <= 0.05)
    assert independent_power(p, q, n) == pytest.approx(shown, abs=1e-12)


@pytest.mark.parametrize("p, q", [(0.5, 0.7), (0.7, 0.9), (0.2, 0.8), (0.6, 0.4)])
def test_the_number_reaches_the_power_and_stays_there(p: float, q: float):
    design = independent_trials(p, q)
    assert design.exact and all(independent_power(p, q, n) >= 0.8 for n in range(design.trials, design.trials + 4))
    assert independent_power(p, q, design.trials - 1) < 0.8
    assert independent_trials(q, p) == design


def test_pairing_helps_the_more_the_policies_are_alike():
    sizes = [paired_trials(0.5, 0.7, a).trials for a in (0.5, 0.6, 0.7, 0.8)]
    assert sizes == sorted(sizes, reverse=True) and sizes[0] > 90 and sizes[-1] < 45
    assert paired_power(0.5, 0.7, 0.8, sizes[-1]) >= 0.8


@settings(max_examples=60, deadline=None)
@given(st.floats(0.01, 0.99), st.floats(0.01, 0.99), st.floats(0, 1))
def test_agreement_and_rates_give_the_discordant_pairs(p: float, q: float, share: float):
    low, high = agreement_range(p, q)
    agreement = low + share * (high - low)
    first, second = discordance(p, q, agreement)
    assert first >= 0 and second >= 0 and first + second <= 1 + 1e-9
    assert second - first == pytest.approx(q - p, abs=1e-9) and 1 - first - second == pytest.approx(
        agreement, abs=1e-9
    )


def test_looking_on_the_way_takes_fewer_trials_on_average():
    for looked, fixed in (
        (sequential_independent(0.5, 0.7), independent_trials(0.5, 0.7)),
        (sequential_paired(0.5, 0.7, 0.6), paired_trials(0.5, 0.7, 0.6)),
    ):
        assert looked.expected < fixed.trials <= looked.trials and looked.power >= 0.8


def test_what_so_many_trials_show():
    rise = smallest_rise(0.6, 20)
    assert independent_power(0.6, 0.6 + rise, 20) >= 0.8 > independent_power(0.6, 0.6 + rise - 0.01, 20)
    assert smallest_rise(0.9, 10) is None
    assert smallest_rise(0.5, 100_000) == pytest.approx(0.00626, abs=1e-4)


def test_no_number_of_trials_repairs_few_training_runs():
    assert trials_per_run(0.5, 0.7, runs=3, run_sd=0.11) is None
    assert runs_needed(0.5, 0.7, run_sd=0.11) == 7
    assert trials_per_run(0.5, 0.7, runs=3, run_sd=0.05) == 307
    assert run_power(0.5, 0.7, 3, np.inf, 0.0) == 1.0


@pytest.mark.parametrize("runs, trials, sd", [(3, 133, 0.05), (5, 30, 0.08)])
def test_power_with_runs_is_that_of_the_test_on_recipes(runs: int, trials: int, sd: float):
    rng = np.random.default_rng(0)
    shown, draws = 0, 1500
    for _ in range(draws):
        sides = [rng.binomial(trials, np.clip(rng.normal(p, sd, runs), 0, 1)) / trials for p in (0.5, 0.7)]
        shown += recipe_difference(*sides)[0] <= 0.05
    assert run_power(0.5, 0.7, runs, trials, sd) == pytest.approx(shown / draws, abs=0.035)


def test_the_band_and_one_agreement():
    band = size_comparison(0.5, 0.7)
    assert {a for name, a in band.designs if name == "paired"} == {0.5, 0.8}
    assert "narrows it" in str(band) and "5 points is an example" in str(band)
    one = size_comparison(0.5, 0.7, agreement=0.7, run_sd=0.11, trials=50)
    assert {a for name, a in one.designs if name == "paired"} == {0.7}
    assert "at most power" in str(one) and one.shown["independent", None] == independent_power(0.5, 0.7, 50)
    assert "example" not in str(one)


def test_large_sizes_say_that_they_are_approximate():
    assert "normal approximations" in str(size_comparison(0.5, 0.53))
    assert size_comparison(0.5, 0.53).designs["independent", None].trials == 4356


@pytest.mark.parametrize(
    "asked, said",
    [
        ({"first": 0.5, "second": 0.5}, "no number of trials shows a difference of 0"),
        ({"first": 0.5, "second": 0.7, "agreement": 0.95}, "agree on 0.2 to 0.8 of the cases, found 0.95"),
    ],
)
def test_what_cannot_be_is_said(asked: dict, said: str):
    with pytest.raises(UsageError, match=said):
        SizeComparison(**asked)


def test_a_percentage_is_no_rate():
    with pytest.raises(RoboscaleError, match="--from: expected at least 0 and at most 1, found 50"):
        SizeComparison(first=50, second=70)
