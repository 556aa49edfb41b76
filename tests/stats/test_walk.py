"""Boundaries: the type-I error is counted in paths, simulated beside it, and the operating figures are exact."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roboscale.stats import boundary, expected_pairs, naive_peeking_error, stopping_table, type_one_error
from roboscale.stats.walk import SPENDING, Spending, eprocess_boundary, naive_boundary, null_crossing

BUDGETS = [1, 5, 6, 7, *range(10, 301, 10)]


@pytest.mark.parametrize("budget", BUDGETS)
def test_type_one_error_is_at_most_alpha(budget: int):
    """In whole paths out of 2^D, given any number of discordant pairs: no rate, no stratum, no simulation enters."""
    errors = null_crossing(boundary(budget))
    assert errors.max() <= 0.05
    assert np.allclose(null_crossing(boundary(budget), last=False), boundary(budget).spent, atol=1e-13)
    if budget >= 50:
        assert errors.max() > 0.049


@pytest.mark.parametrize("spending", sorted(SPENDING))
@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.1])
def test_every_spending_keeps_its_alpha(spending: Spending, alpha: float):
    assert type_one_error(boundary(80, alpha, spending)) <= alpha


@pytest.mark.parametrize("budget", BUDGETS)
def test_allowed_losses_grow_with_discordant_pairs(budget: int):
    """Curtailment takes a running maximum; it is exact because this holds."""
    limit = boundary(budget)
    assert np.all(np.diff(np.arange(budget + 1) - limit.final) >= 0)
    assert np.all(limit.final <= limit.running)
    assert np.all(limit.running <= np.arange(budget + 1) + 1)


@pytest.mark.parametrize("discordance", [0.2, 0.7])
def test_simulated_error_agrees_with_the_exact_one(discordance: float):
    budget, runs = 60, 20_000
    rng = np.random.default_rng(4)
    limit = boundary(budget)
    kinds = rng.choice(3, size=(runs, budget), p=[1 - discordance, discordance / 2, discordance / 2])
    first, second = np.cumsum(kinds == 1, axis=1), np.cumsum(kinds == 2, axis=1)
    fewest = limit.running[first + second]
    fewest[:, -1] = limit.final[(first + second)[:, -1]]
    simulated = np.mean(np.any(np.maximum(first, second) >= fewest, axis=1))
    exact = type_one_error(limit, discordance)
    assert abs(simulated - exact) < 4 * np.sqrt(exact * (1 - exact) / runs)
    assert exact <= 0.05
    operated = expected_pairs(discordance / 2, discordance / 2, budget)
    assert operated.power == pytest.approx(exact, abs=1e-12)


def test_strata_of_different_difficulty_keep_the_error():
    """Discordance that alternates between strata: the error given the numbers is an average of null_crossing."""
    budget = 40
    errors = null_crossing(boundary(budget))
    chances = np.ones(1)
    for n in range(budget):
        p = 0.9 if n % 2 else 0.1
        chances = np.append(chances * (1 - p), 0) + np.append(0, chances * p)
    assert chances @ errors <= 0.05


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 40), st.floats(0, 0.5), st.floats(0, 0.5))
def test_operating_figures_are_consistent(budget: int, p_first: float, p_second: float):
    found, mirrored = expected_pairs(p_first, p_second, budget), expected_pairs(p_second, p_first, budget)
    assert found.stops.sum() == pytest.approx(1.0)
    assert found.pairs == pytest.approx(mirrored.pairs) and found.first == pytest.approx(mirrored.second)
    full = expected_pairs(p_first, p_second, budget, curtail=False)
    assert full.power == pytest.approx(found.power, abs=1e-12)
    assert found.pairs <= full.pairs + 1e-9
    assert found.power == pytest.approx(found.first + found.second)


def test_simulated_stopping_time_agrees():
    budget, runs, p_first, p_second = 50, 4000, 0.05, 0.45
    rng = np.random.default_rng(1)
    limit = boundary(budget)
    kinds = rng.choice(3, size=(runs, budget), p=[1 - p_first - p_second, p_first, p_second])
    first, second = np.cumsum(kinds == 1, axis=1), np.cumsum(kinds == 2, axis=1)
    crossed = np.maximum(first, second) >= limit.running[first + second]
    crossed[:, -1] = True
    times = np.argmax(crossed, axis=1) + 1
    exact = expected_pairs(p_first, p_second, budget, curtail=False)
    assert abs(times.mean() - exact.pairs) < 4 * times.std() / np.sqrt(runs)


def test_budgets_too_small_can_never_decide_and_stop_at_once():
    for budget in range(1, 6):
        found = expected_pairs(0.0, 1.0, budget)
        assert (found.power, found.pairs) == (0.0, 1.0)
    assert expected_pairs(0.0, 1.0, 6).power == 1.0


def test_spending_choice_is_the_best_all_round():
    """Three horizons: no slower than the others by more than 6 % at any effect, and faster than linear throughout."""
    effects = [(0.05, 0.45), (0.1, 0.4), (0.1, 0.3)]
    for budget in (50, 100, 200):
        for effect in effects:
            pairs = {
                name: expected_pairs(*effect, budget, limit=boundary(budget, 0.05, name)).pairs for name in SPENDING
            }
            ours = pairs.pop("three horizons")
            assert ours < pairs["linear"]
            assert ours <= 1.06 * min(pairs.values())


def test_peeking_costs_what_the_docs_say():
    assert naive_peeking_error(50, 1.0) == pytest.approx(0.1712, abs=5e-5)
    assert naive_peeking_error(200, 0.4) == pytest.approx(0.2095, abs=5e-5)
    assert naive_peeking_error(5, 1.0) == 0.0
    assert type_one_error(naive_boundary(200)) > 0.28


def test_eprocess_never_exceeds_alpha_however_long():
    assert type_one_error(eprocess_boundary(400)) <= 0.05


def test_table_has_a_row_per_case():
    rows = stopping_table([(0.05, 0.45), (0.1, 0.3)], [50, 100])
    assert [(r["first only"], r["budget"]) for r in rows] == [(0.05, 50), (0.05, 100), (0.1, 50), (0.1, 100)]
    assert all(r["median"] <= r["90 %"] <= r["budget"] for r in rows)


@pytest.mark.parametrize(("budget", "alpha"), [(0, 0.05), (10, 0.0), (10, 1.0)])
def test_impossible_designs_are_refused(budget: int, alpha: float):
    with pytest.raises(ValueError):
        boundary(budget, alpha)


def test_impossible_rates_are_refused():
    with pytest.raises(ValueError):
        expected_pairs(0.7, 0.7, 10)
    with pytest.raises(ValueError, match="10 pairs"):
        expected_pairs(0.1, 0.2, 20, limit=boundary(10))
