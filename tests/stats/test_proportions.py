"""Reference values to six digits, exact coverage by enumeration, and the edges."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binom

from roboscale.core import Estimate
from roboscale.stats import (
    beta_confidence_sequence,
    beta_posterior,
    clopper_pearson,
    jeffreys,
    wilson,
    worst_case_bounds,
)

INTERVALS = [clopper_pearson, wilson, jeffreys, beta_posterior, beta_confidence_sequence]
TABLE = Path(os.environ.get("ROBOSCALE_TEST_DATA", "../shared/data")) / "tables" / "intervals.json"

counts = st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def test_published_table_to_six_digits():
    if not TABLE.exists():
        pytest.skip(f"no reference table at {TABLE}; set ROBOSCALE_TEST_DATA")
    for row in json.loads(TABLE.read_text()):
        k, n, level = row["k"], row["n"], 1 - row["alpha"]
        for function, key in ((clopper_pearson, "cp"), (wilson, "wilson"), (beta_posterior, "beta11")):
            found = function(k, n, level)
            assert found.low == pytest.approx(row[f"{key}_lo"], abs=5e-7), (key, k, n)
            assert found.high == pytest.approx(row[f"{key}_hi"], abs=5e-7), (key, k, n)
        assert beta_posterior(k, n, level).value == pytest.approx(row["beta11_mean"], abs=5e-7)


@pytest.mark.parametrize(
    ("function", "k", "n", "low", "high"),
    [
        (clopper_pearson, 8, 10, 0.443905, 0.974789),
        (wilson, 8, 10, 0.490162, 0.943318),
        (beta_posterior, 8, 10, 0.482244, 0.939782),
        (clopper_pearson, 46, 50, 0.807657, 0.977772),
        (wilson, 46, 50, 0.811618, 0.968450),
        (beta_posterior, 46, 50, 0.811194, 0.967394),
        (clopper_pearson, 0, 10, 0.0, 0.308497),
        (wilson, 0, 10, 0.0, 0.277533),
        (beta_posterior, 0, 10, 0.002299, 0.284914),
        (clopper_pearson, 14, 50, 0.162311, 0.424905),
        # Brown, Cai, DasGupta 2001, table 5 (n = 7), printed to three digits
        (jeffreys, 1, 7, 0.016, 0.501),
        (jeffreys, 0, 7, 0.0, 0.292),
    ],
)
def test_golden_values(function: Callable[..., Estimate], k: int, n: int, low: float, high: float):
    found = function(k, n)
    digits = 5e-4 if function is jeffreys else 1e-6
    assert (found.low, found.high) == (pytest.approx(low, abs=digits), pytest.approx(high, abs=digits))


@pytest.mark.parametrize("function", INTERVALS)
def test_no_trials_give_no_bounds(function: Callable[..., Estimate]):
    found = function(0, 0, void=3)
    assert (found.value, found.low, found.high, found.n, found.void) == (None, None, None, 0, 3)
    assert "no data" in str(found)


@pytest.mark.parametrize("function", INTERVALS)
@pytest.mark.parametrize("arguments", [(3, 2), (-1, 2), (1, 2, 0.0), (1, 2, 1.0), (1, 2, 0.95, -1)])
def test_impossible_counts_are_refused(function: Callable[..., Estimate], arguments: tuple[float, ...]):
    with pytest.raises(ValueError):
        function(*arguments)


@given(counts, st.integers(0, 9))
def test_void_trials_change_nothing_but_their_count(kn: tuple[int, int], void: int):
    for function in INTERVALS:
        clean, dirty = function(*kn), function(*kn, void=void)
        assert (clean.value, clean.low, clean.high, clean.n) == (dirty.value, dirty.low, dirty.high, dirty.n)
        assert dirty.void == void


@given(counts)
def test_success_and_failure_mirror(kn: tuple[int, int]):
    k, n = kn
    for function in INTERVALS:
        ours, mirrored = function(k, n), function(n - k, n)
        assert ours.low == pytest.approx(1 - mirrored.high, abs=1e-9)
        assert ours.value == pytest.approx(1 - mirrored.value)


@given(counts)
def test_bounds_enclose_and_grow_with_successes_and_level(kn: tuple[int, int]):
    k, n = kn
    for function in INTERVALS:
        found, wider = function(k, n), function(k, n, 0.99)
        assert 0 <= found.low <= found.value <= found.high <= 1
        assert wider.low <= found.low and found.high <= wider.high
        if k < n:
            more = function(k + 1, n)
            assert more.low >= found.low and more.high >= found.high


def coverage(function: Callable[..., Estimate], n: int, rates: NDArray[np.float64]):
    found = [function(k, n) for k in range(n + 1)]
    low, high = np.array([e.low for e in found]), np.array([e.high for e in found])
    inside = (low <= rates[:, None]) & (rates[:, None] <= high)
    return (binom.pmf(np.arange(n + 1), n, rates[:, None]) * inside).sum(axis=1)


@pytest.mark.parametrize(("n", "minimum"), [(10, 0.961), (20, 0.958), (50, 0.951), (100, 0.950)])
def test_clopper_pearson_covers_everywhere(n: int, minimum: float):
    found = coverage(clopper_pearson, n, np.linspace(0, 1, 4001))
    assert found.min() >= 0.95
    assert found.min() == pytest.approx(minimum, abs=1.5e-3)


@pytest.mark.parametrize(("n", "mean"), [(10, 0.954), (20, 0.953), (50, 0.952)])
def test_wilson_covers_on_average_only(n: int, mean: float):
    found = coverage(wilson, n, np.linspace(0.0005, 0.9995, 4000))
    assert 0.83 < found.min() < 0.85
    assert found.mean() == pytest.approx(mean, abs=2e-3)


@pytest.mark.parametrize(("n", "exact", "score"), [(10, 0.505, 0.433), (50, 0.2335, 0.2149), (100, 0.164, 0.154)])
def test_expected_width_at_a_rate_of_80_percent(n: int, exact: float, score: float):
    chance = binom.pmf(np.arange(n + 1), n, 0.8)
    for function, reference in ((clopper_pearson, exact), (wilson, score)):
        widths = np.array([found.high - found.low for found in (function(k, n) for k in range(n + 1))])
        assert chance @ widths == pytest.approx(reference, abs=6e-4)


@pytest.mark.parametrize("n", [10, 20, 50])
def test_beta_posterior_covers_on_average_and_never_at_the_ends(n: int):
    found = coverage(beta_posterior, n, np.linspace(0.0005, 0.9995, 4000))
    assert found.mean() == pytest.approx(0.950, abs=1.5e-3)
    assert coverage(beta_posterior, n, np.array([0.0, 1.0])).max() == 0.0


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.5, 0.83, 0.97])
def test_confidence_sequence_covers_at_all_times_at_once(rate: float):
    """Exact probability that the true rate is ever outside within 60 trials, by recursion over successes."""
    horizon, alive, ever_out = 60, np.ones(1), 0.0
    for n in range(1, horizon + 1):
        alive = np.append(alive * (1 - rate), 0.0) + np.append(0.0, alive * rate)
        out = np.array([not (e.low <= rate <= e.high) for e in (beta_confidence_sequence(k, n) for k in range(n + 1))])
        ever_out += alive[out].sum()
        alive[out] = 0.0
    assert 0 < ever_out <= 0.05


@pytest.mark.parametrize("tasks", [(0.1, 0.9), (0.02, 0.3, 0.6), (0.5, 1.0)])
def test_confidence_sequence_covers_the_mean_of_tasks_tried_in_turn(tasks: tuple[float, ...]):
    """Unequal tasks in a fixed rotation are not one coin; the interval holds for their running mean all the same."""
    alive, ever_out, total = np.ones(1), 0.0, 0.0
    for n in range(1, 61):
        rate = tasks[(n - 1) % len(tasks)]
        total += rate
        alive = np.append(alive * (1 - rate), 0.0) + np.append(0.0, alive * rate)
        bounds = [beta_confidence_sequence(k, n) for k in range(n + 1)]
        out = np.array([not (e.low <= total / n <= e.high) for e in bounds])
        ever_out += alive[out].sum()
        alive[out] = 0.0
    assert ever_out <= 0.05


def test_repeated_clopper_pearson_does_not_cover_at_all_times():
    """Why the sequence is needed: the fixed-n interval, looked at after every trial, misses far too often."""
    rate, alive, ever_out = 0.5, np.ones(1), 0.0
    for n in range(1, 61):
        alive = (np.append(alive, 0.0) + np.append(0.0, alive)) / 2
        out = np.array([not (e.low <= rate <= e.high) for e in (clopper_pearson(k, n) for k in range(n + 1))])
        ever_out += alive[out].sum()
        alive[out] = 0.0
    assert ever_out > 0.12


def test_worst_case_bounds_enclose_every_filling():
    worst = worst_case_bounds(6, 2, 2)
    assert (worst.as_failures.value, worst.as_successes.value) == (0.6, 0.8)
    assert (worst.as_failures.n, worst.as_successes.n) == (10, 10)
    for hidden in range(3):
        filled = clopper_pearson(6 + hidden, 10)
        assert worst.as_failures.low <= filled.low and filled.high <= worst.as_successes.high
    assert worst_case_bounds(0, 0, 0).as_failures.value is None
