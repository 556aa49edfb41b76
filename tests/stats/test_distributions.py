"""Our few distributions, ranks and roots are those of scipy.stats and scipy.optimize."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from roboscale.stats.distributions import (
    average_ranks,
    binomial_isf,
    binomial_pmf,
    binomial_sf,
    normal_cdf,
    normal_isf,
    normal_sf,
    root_between,
    student_isf,
)

TAILS = [1e-12, 1e-4, 0.005, 0.025, 0.05, 0.2, 0.5, 0.8, 0.975]


def test_the_normal_and_student_are_equal_to_the_last_bit():
    x = np.random.default_rng(0).normal(size=500) * 4
    np.testing.assert_array_equal(normal_cdf(x), stats.norm.cdf(x))
    np.testing.assert_array_equal(normal_sf(x), stats.norm.sf(x))
    for tail in TAILS:
        assert normal_isf(tail) == stats.norm.isf(tail) and -normal_isf(tail) == stats.norm.ppf(tail)
        for freedom in (1, 2, 3.7, 12, 400):
            assert student_isf(tail, freedom) == stats.t.isf(tail, freedom)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.87])
def test_the_binomial_is_equal(p: float):
    n = np.array([n for n in (0, 1, 2, 9, 40, 333, 2000) for _ in range(n + 2)])
    k = np.concatenate([np.arange(-1, n + 1) for n in (0, 1, 2, 9, 40, 333, 2000)])
    np.testing.assert_array_equal(binomial_sf(k, n, p), stats.binom.sf(k, n, p))
    at = np.maximum(k, 0)
    np.testing.assert_allclose(binomial_pmf(at, n, p), stats.binom.pmf(at, n, p), rtol=1e-10)
    tosses = np.arange(600)
    for tail in (1e-9, 0.005, 0.025, 0.05, 0.5):
        np.testing.assert_array_equal(binomial_isf(tail, tosses, p), stats.binom.isf(tail, tosses, p))


def test_a_coin_that_never_or_always_falls_on_one_side():
    assert binomial_pmf(np.arange(4), 3, 0.0).tolist() == [1, 0, 0, 0]
    assert binomial_pmf(np.arange(4), 3, 1.0).tolist() == [0, 0, 0, 1]
    assert binomial_sf(np.arange(-1, 4), 3, 0.0).tolist() == [1, 0, 0, 0, 0]
    assert binomial_sf(np.arange(-1, 4), 3, 1.0).tolist() == [1, 1, 1, 1, 0]


@given(st.lists(st.integers(0, 6), min_size=1, max_size=30))
def test_equal_values_share_their_ranks(values: list[int]):
    np.testing.assert_array_equal(average_ranks(values), stats.rankdata(values))


@given(st.lists(st.floats(-3, 3), min_size=2, max_size=5), st.floats(-4, 4), st.floats(-4, 4))
def test_roots_are_brents_to_the_last_bit(coefficients: list[float], a: float, b: float):
    def f(x: float) -> float:
        return float(np.polyval(coefficients, x) + np.tanh(3 * x))

    for tolerance in ({}, {"xtol": 1e-13, "rtol": 1e-13}, {"xtol": 1e-12}):
        if f(a) * f(b) < 0:
            assert root_between(f, a, b, **tolerance) == optimize.brentq(f, a, b, **tolerance)
        elif f(a) * f(b) > 0:
            with pytest.raises(ValueError, match="same sign"):
                root_between(f, a, b, **tolerance)


@pytest.mark.parametrize("step", [math.inf, 1.0])
def test_roots_of_jumps(step: float):
    """Flat on both sides, where interpolation divides by nothing; infinite, as a score at an edge can be."""

    def f(x: float) -> float:
        return math.copysign(step, x - 0.3)

    assert root_between(f, -1, 1) == optimize.brentq(f, -1, 1) == pytest.approx(0.3)
