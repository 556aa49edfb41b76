"""Intervals for the difference of two paired rates: against a direct optimiser, and their coverage by enumeration."""

from __future__ import annotations

from collections.abc import Callable
from math import lgamma

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from roboscale.core import Estimate, PairedOutcome
from roboscale.stats import PairCounts, paired_difference, paired_difference_sequence
from roboscale.stats.betting import mixture_log_wealth
from roboscale.stats.differences import _score

METHODS = [paired_difference, paired_difference_sequence]


def table(first_only: int, second_only: int, concordant: int, void: int = 0):
    # row-major, order failure, success, void; all concordant pairs put on "both failed"
    return PairCounts((concordant, second_only, void, first_only, 0, 0, 0, 0, 0))


counts = st.tuples(st.integers(0, 20), st.integers(0, 20), st.integers(0, 20)).filter(any)


@pytest.mark.parametrize("function", METHODS)
def test_no_pairs_give_no_bounds(function: Callable[..., Estimate]):
    found = function([PairedOutcome("t", None, True)])
    assert (found.value, found.low, found.high, found.n, found.void) == (None, None, None, 0, 1)


@given(counts)
def test_relabelling_mirrors_the_interval(kinds: tuple[int, int, int]):
    for function in METHODS:
        ours, mirrored = function(table(*kinds)), function(table(kinds[1], kinds[0], kinds[2]))
        assert ours.value == -mirrored.value
        assert ours.low == pytest.approx(-mirrored.high, abs=1e-9)
        assert -1 <= ours.low <= ours.value <= ours.high <= 1


@given(counts)
def test_sequence_is_wider_and_level_widens(kinds: tuple[int, int, int]):
    score, sequence = paired_difference(table(*kinds)), paired_difference_sequence(table(*kinds))
    wider = paired_difference_sequence(table(*kinds), 0.99)
    assert wider.low <= sequence.low and sequence.high <= wider.high
    if sum(kinds) >= 5:
        assert sequence.low <= score.low + 1e-9 and score.high <= sequence.high + 1e-9


@given(st.integers(0, 15), st.integers(0, 15), st.integers(0, 15), st.floats(-0.9, 0.9))
def test_score_uses_the_constrained_likelihood(first_only: int, second_only: int, concordant: int, delta: float):
    """Tango's closed form for the nuisance rate, against a direct search of the trinomial likelihood."""
    n = first_only + second_only + concordant
    if n == 0:
        return

    def loss(q: float) -> float:
        probabilities = np.array([q, q + delta, 1 - 2 * q - delta])
        seen = np.array([first_only, second_only, concordant])
        return -np.sum(seen * np.log(np.maximum(probabilities, 1e-300)))

    low, high = max(0.0, -delta), (1 - delta) / 2
    best = minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-10}).x
    variance = n * (2 * best + delta - delta**2)
    if variance < 1e-4:
        return
    expected = (second_only - first_only - n * delta) / np.sqrt(variance)
    assert _score(table(first_only, second_only, concordant), delta) == pytest.approx(expected, rel=1e-3, abs=1e-3)


def trinomial(n: int, p_first: float, p_second: float):
    """Probability of (first only, second only), shape (n + 1, n + 1)."""
    found = np.zeros((n + 1, n + 1))
    rates = np.log([p_first, p_second, 1 - p_first - p_second])
    for a in range(n + 1):
        for b in range(n + 1 - a):
            ways = lgamma(n + 1) - lgamma(a + 1) - lgamma(b + 1) - lgamma(n - a - b + 1)
            found[a, b] = np.exp(ways + np.array([a, b, n - a - b]) @ rates)
    return found


def test_score_interval_covers_about_its_level():
    n = 20
    bounds = {(a, b): paired_difference(table(a, b, n - a - b)) for a in range(n + 1) for b in range(n + 1 - a)}
    covered = []
    for p_first in (0.02, 0.05, 0.1, 0.2, 0.3):
        for p_second in (0.05, 0.1, 0.3, 0.5):
            weights = trinomial(n, p_first, p_second)
            delta = p_second - p_first
            covered.append(sum(weights[ab] for ab, e in bounds.items() if e.low <= delta <= e.high))
    assert np.mean(covered) == pytest.approx(0.955, abs=0.015)
    assert min(covered) > 0.92


@pytest.mark.parametrize(("p_first", "p_second"), [(0.1, 0.1), (0.05, 0.45), (0.3, 0.4), (0.02, 0.1)])
def test_sequence_covers_at_all_times_at_once(p_first: float, p_second: float):
    """Exact probability that the true difference is ever excluded within 24 pairs."""
    horizon, delta = 24, p_second - p_first
    limit = np.log(20)
    alive = np.zeros((horizon + 1, horizon + 1))
    alive[0, 0] = 1.0
    ever_out = 0.0
    for n in range(1, horizon + 1):
        moved = (1 - p_first - p_second) * alive
        moved[1:] += p_first * alive[:-1]
        moved[:, 1:] += p_second * alive[:, :-1]
        for a, b in zip(*np.nonzero(moved), strict=True):
            if mixture_log_wealth((0, 0.5, 1), (a, n - a - b, b), (1 + delta) / 2) >= limit:
                ever_out += moved[a, b]
                moved[a, b] = 0.0
        alive = moved
    assert 0 < ever_out <= 0.05


@settings(max_examples=30)
@given(counts)
def test_sequence_bounds_are_where_the_capital_is_twenty(kinds: tuple[int, int, int]):
    first, second, concordant = kinds
    found = paired_difference_sequence(table(*kinds))
    for bound in (found.low, found.high):
        if -1 < bound < 1:
            capital = mixture_log_wealth((0, 0.5, 1), (first, concordant, second), (1 + bound) / 2)
            assert capital == pytest.approx(np.log(20), abs=1e-5)
