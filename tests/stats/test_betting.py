"""Laws of the capital processes: fair under the null, convex, and the mixture agrees with the closed form."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roboscale.stats.betting import (
    beta_log_wealth,
    bounded_mean_sequence,
    mixture_log_wealth,
    proportion_sequence,
)


@given(st.integers(0, 30), st.integers(0, 30), st.floats(0.01, 0.99))
def test_beta_capital_is_a_fair_game(successes: int, failures: int, rate: float):
    n = successes + failures
    now = np.exp(beta_log_wealth(successes, n, rate))
    up, down = np.exp(beta_log_wealth(successes + 1, n + 1, rate)), np.exp(beta_log_wealth(successes, n + 1, rate))
    assert rate * up + (1 - rate) * down == pytest.approx(now, rel=1e-9)


@given(
    st.lists(st.integers(0, 12), min_size=3, max_size=3),
    st.floats(0.05, 0.9),
    st.floats(0.01, 0.99),
)
def test_mixture_capital_is_a_fair_game(counts: list[int], mean: float, tie_share: float):
    values = (0.0, 0.5, 1.0)
    tie = tie_share * 2 * min(mean, 1 - mean)
    chances = (1 - mean - tie / 2, tie, mean - tie / 2)
    now = np.exp(mixture_log_wealth(values, counts, mean))
    after = [np.exp(mixture_log_wealth(values, np.add(counts, np.eye(3)[i]), mean)) for i in range(3)]
    assert np.dot(chances, after) == pytest.approx(now, rel=1e-9)


@given(st.integers(0, 60), st.integers(0, 60), st.floats(0.05, 0.95))
def test_mixture_on_binary_values_is_the_beta_mixture(successes: int, failures: int, rate: float):
    discrete = mixture_log_wealth((0.0, 1.0), (failures, successes), rate)
    assert discrete == pytest.approx(beta_log_wealth(successes, successes + failures, rate), abs=1e-6)


@given(st.lists(st.integers(0, 20), min_size=3, max_size=3).filter(any))
def test_mixture_is_log_convex_in_the_mean(counts: list[int]):
    means = np.linspace(0.02, 0.98, 49)
    capital = [mixture_log_wealth((0.0, 0.5, 1.0), counts, float(mean)) for mean in means]
    assert np.diff(capital, 2).min() > -1e-9


def test_bounds_are_where_the_capital_is_twenty():
    low, high = proportion_sequence(17, 20, 0.95)
    assert beta_log_wealth(17, 20, low) == pytest.approx(np.log(20), abs=1e-6)
    assert beta_log_wealth(17, 20, high) == pytest.approx(np.log(20), abs=1e-6)


def test_no_observation_says_nothing():
    assert proportion_sequence(0, 0, 0.95) == (0.0, 1.0)
    assert bounded_mean_sequence((0.0, 1.0), (0, 0), 0.95) == (0.0, 1.0)


def test_progress_scores_are_bounded_tighter_than_binary_ones_of_the_same_mean():
    binary = bounded_mean_sequence((0.0, 1.0), (15, 15), 0.95)
    progress = bounded_mean_sequence((0.4, 0.6), (15, 15), 0.95)
    assert progress[0] > binary[0] and progress[1] < binary[1]
    assert progress[0] < 0.5 < progress[1]


def test_values_outside_the_unit_interval_are_refused():
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        bounded_mean_sequence((-1.0, 1.0), (1, 1), 0.95)
