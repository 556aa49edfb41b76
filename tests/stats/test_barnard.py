"""Barnard's exact test: published values, the definition in whole numbers, and the edges."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import barnard_exact, binom

from roboscale.stats.barnard import (
    barnard,
    barnard_power,
    barnard_verdict,
    probability_better,
    smallest_difference,
    trials_for_new_comparison,
)

arm = st.integers(1, 30).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def by_definition(first: tuple[int, int], second: tuple[int, int], two_sided: bool):
    """Largest probability, over a dense grid of rates, of the states that are as extreme in exact fractions."""
    (k0, n0), (k1, n1) = first, second

    def statistic(x0: int, x1: int):
        pooled = Fraction(x0 + x1, n0 + n1)
        if pooled in (0, 1):
            return Fraction(0)
        gap = Fraction(x1, n1) - Fraction(x0, n0)
        squared = gap**2 / (pooled * (1 - pooled))
        return abs(squared) if two_sided or gap > 0 else -squared

    seen = statistic(k0, k1)
    region = np.array([[statistic(i, j) >= seen for j in range(n1 + 1)] for i in range(n0 + 1)], float)
    rates = np.sin(np.linspace(0, np.pi / 2, 4001)) ** 2
    mass = binom.pmf(np.arange(n0 + 1)[:, None], n0, rates) * (
        region @ binom.pmf(np.arange(n1 + 1)[:, None], n1, rates)
    )
    return float(mass.sum(axis=0).max())


@pytest.mark.parametrize(
    ("first", "second", "p_value"),
    [
        ((28, 50), (46, 50), 1.7307476e-5),
        ((14, 50), (40, 50), 5.9471e-8),
        ((0, 3), (3, 3), 0.015625),
    ],
)
def test_golden_p_values(first: tuple[int, int], second: tuple[int, int], p_value: float):
    assert barnard(first, second, "second is better") == pytest.approx(p_value, rel=2e-6)
    assert barnard(second, first, "first is better") == pytest.approx(p_value, rel=2e-6)


def test_states_that_tie_in_exact_arithmetic_are_counted():
    """7/15 against 12/15: scipy gives .0340767, because rounding drops the mirror image 3/15 against 8/15, a tie."""
    ours = barnard((7, 15), (12, 15), "second is better")
    theirs = float(barnard_exact([[7, 12], [8, 3]], alternative="less").pvalue)
    assert theirs == pytest.approx(0.0340767, abs=1e-6)
    assert ours == pytest.approx(0.0341092, abs=1e-6)
    assert ours == pytest.approx(by_definition((7, 15), (12, 15), two_sided=False), rel=1e-6)


@pytest.mark.parametrize(("first", "second"), [((8, 20), (14, 20)), ((3, 12), (9, 17)), ((1, 9), (5, 6))])
def test_agrees_with_scipy_where_no_tie_is_lost(first: tuple[int, int], second: tuple[int, int]):
    table = [[first[0], second[0]], [first[1] - first[0], second[1] - second[0]]]
    theirs = float(barnard_exact(table, alternative="less", n=64).pvalue)
    assert barnard(first, second, "second is better") == pytest.approx(theirs, rel=1e-6)


@settings(max_examples=25, deadline=None)
@given(arm, arm)
def test_agrees_with_the_definition(first: tuple[int, int], second: tuple[int, int]):
    for side, two_sided in (("second is better", False), ("two-sided", True)):
        found, defined = barnard(first, second, side), by_definition(first, second, two_sided)
        # the definition is on a grid, ours is refined: never below, and above by no more than the grid misses
        assert defined * (1 - 1e-9) <= found <= min(1.0, defined * (1 + 1e-5) + 1e-12)


@settings(max_examples=60, deadline=None)
@given(arm, arm)
def test_relabelling_and_swapping_success_with_failure_change_nothing(first: tuple[int, int], second: tuple[int, int]):
    p_value = barnard(first, second)
    assert barnard(second, first) == pytest.approx(p_value, rel=1e-9)
    flipped = [(n - k, n) for k, n in (first, second)]
    assert barnard(*flipped) == pytest.approx(p_value, rel=1e-9)
    assert barnard(*flipped, "first is better") == pytest.approx(barnard(first, second, "second is better"), rel=1e-9)


@pytest.mark.parametrize("n", [5, 12, 25])
def test_exact_size_is_at_most_alpha(n: int):
    p_values = np.array([[barnard((i, n), (j, n)) for j in range(n + 1)] for i in range(n + 1)])
    rates = np.linspace(0, 1, 801)
    chance = binom.pmf(np.arange(n + 1)[:, None], n, rates)
    size = np.einsum("ip,ij,jp->p", chance, (p_values <= 0.05).astype(float), chance)
    assert 0.02 < size.max() <= 0.05


def test_many_trials_are_the_sum_over_blocks(monkeypatch: pytest.MonkeyPatch):
    whole = barnard((30, 90), (45, 100))
    monkeypatch.setattr("roboscale.stats.barnard._BLOCK", 1000)
    barnard.cache_clear()
    assert barnard((30, 90), (45, 100)) == pytest.approx(whole, rel=1e-12)


def test_nothing_to_say_is_one():
    assert barnard((0, 0), (3, 3)) == barnard((5, 5), (9, 9)) == barnard((0, 4), (0, 9)) == 1.0
    assert barnard((4, 8), (10, 20)) == 1.0


@pytest.mark.parametrize("bad", [((3, 2), (1, 2)), ((-1, 2), (1, 2))])
def test_impossible_counts_are_refused(bad: tuple[tuple[int, int], ...]):
    with pytest.raises(ValueError):
        barnard(*bad)
    with pytest.raises(ValueError, match="alternative"):
        barnard((1, 2), (1, 2), "less")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rate", "n", "difference"),
    [
        *((0.5, n, difference) for n, difference in ((10, 0.46), (20, 0.38), (50, 0.25), (100, 0.18), (200, 0.13))),
        *((0.7, n, difference) for n, difference in ((20, 0.28), (50, 0.20), (100, 0.15), (200, 0.11))),
    ],
)
def test_smallest_difference_with_80_percent_power(rate: float, n: int, difference: float):
    assert smallest_difference(rate, n) == pytest.approx(difference)
    assert barnard_power(rate, rate + difference, n) >= 0.8 > barnard_power(rate, rate + difference - 0.01, n)
    assert smallest_difference(0.9, 5) is None


@pytest.mark.parametrize(
    ("first", "second", "belief"),
    [
        ((28, 50), (46, 50), 0.9999847461),
        ((8, 10), (5, 10), 0.0913312693),
        ((7, 20), (12, 20), 0.9392635353),
        ((0, 0), (0, 0), 0.5),
    ],
)
def test_belief_that_the_second_is_better(first: tuple[int, int], second: tuple[int, int], belief: float):
    assert probability_better(first, second) == pytest.approx(belief, abs=1e-9)
    assert probability_better(second, first) == pytest.approx(1 - belief, abs=1e-9)


def test_verdict_names_the_winner_and_what_it_would_take():
    shown = barnard_verdict((28, 50), (46, 50), names=("old", "new"))
    assert shown.decision == "second is better" and shown.needed is None
    assert shown.sentence.startswith("new is better than old: 0.92 [0.81, 0.98] (n=50) against 0.56")
    turned = barnard_verdict((46, 50), (28, 50), names=("new", "old"))
    assert turned.decision == "first is better" and turned.p_value == pytest.approx(shown.p_value)
    close = barnard_verdict((10, 20), (14, 20))
    assert close.decision == "no difference shown" and 60 < close.needed < 120
    none = barnard_verdict((0, 0), (3, 5))
    assert none.decision == "no difference shown" and none.needed is None and none.estimates["A"].low is None


def test_a_new_comparison_of_the_size_named_has_the_power_named():
    n = trials_for_new_comparison((50, 100), (65, 100), 0.05)
    assert barnard_power(50.5 / 101, 65.5 / 101, n, 0.025) == pytest.approx(0.8, abs=0.02)
    assert trials_for_new_comparison((5, 10), (5, 10), 0.05) is None
