"""What a cheap world must show before it is said to rank policies."""

from itertools import permutations

import numpy as np
import pytest

from roboscale.core import Estimate
from roboscale.stats.agreement import mmrv
from roboscale.stats.validity import validity

SIX_REAL = dict(zip("abcdef", (0.01, 0.05, 0.10, 0.85, 0.90, 0.95), strict=True))
SIX_CHEAP = dict(zip("abcdef", (0.10, 0.05, 0.01, 0.95, 0.90, 0.85), strict=True))


def counted(rates: dict[str, float], n: int) -> dict[str, tuple[int, int]]:
    return {name: (round(rate * n), n) for name, rate in rates.items()}


def held(card) -> dict[str, bool | None]:
    return {criterion.name: criterion.held for criterion in card.criteria}


@pytest.mark.parametrize("n", [None, 20, 100, 1000])
def test_two_groups_are_no_order(n: int | None):
    """Three bad policies and three good ones, each group in the reverse order: Pearson alone would say `ranks`."""
    real, cheap = (SIX_REAL, SIX_CHEAP) if n is None else (counted(SIX_REAL, n), counted(SIX_CHEAP, n))
    card = validity(real, cheap)
    assert card.pearson.low > 0.7 and not card.ranks
    assert "separates weak from strong" in card.claims[0] and "ranks" not in card.claims[0]
    assert held(card)["Spearman"] is False
    assert f"k = {6}" in str(card) and "Spearman 0.54 [" in str(card)


def test_an_order_that_is_right_is_said():
    rates = {f"p{i}": 0.05 + 0.09 * i for i in range(11)}
    card = validity(counted(rates, 100), counted({name: rate + 0.02 for name, rate in rates.items()}, 200))
    assert card.ranks and card.claims[0].startswith("The cheap world ranks like the real one: Pearson at least")
    assert all(held(card).values()) and card.criteria[1].value.low > 0.5


def test_a_perfect_order_of_few_is_not_enough():
    """Of five policies the order could be one swap away from perfect, and that bound is below .5."""
    rates = {f"p{i}": 0.1 + 0.2 * i for i in range(5)}
    card = validity(counted(rates, 50), counted(rates, 50))
    assert card.spearman.value == pytest.approx(1) and card.criteria[1].value.low < 0.5 and not card.ranks


def test_the_median_of_shuffled_violations_is_exact_for_few_policies():
    real, cheap = np.array(list(SIX_REAL.values())), np.array(list(SIX_CHEAP.values()))
    median = np.median([mmrv(real, cheap[list(order)]) for order in permutations(range(6))])
    (criterion,) = (c for c in validity(SIX_REAL, SIX_CHEAP).criteria if c.name == "MMRV")
    assert criterion.bar == pytest.approx(median / 2) and criterion.value.value == pytest.approx(mmrv(real, cheap))


def test_regret_is_held_against_what_the_real_trials_can_tell():
    real = {"a": 0.2, "b": 0.4, "c": 0.6, "d": 0.78, "e": 0.8}
    cheap = {**real, "d": 0.85}
    for n, fine in ((30, True), (20_000, False)):
        (criterion,) = (c for c in validity(counted(real, n), counted(cheap, n)).criteria if c.name == "top-1 regret")
        assert criterion.value.value == pytest.approx(0.02, abs=0.02) and criterion.held is fine
    unknown = validity(real, cheap).criteria[-1]
    assert unknown.bar is None and unknown.held is False and "not known without counts" in unknown.asked


def test_means_with_intervals_are_scores_too():
    def mean(value: float) -> Estimate:
        return Estimate(value=value, low=value - 0.05, high=value + 0.05, level=0.95, n=40, method="mean progress")

    card = validity({n: mean(v) for n, v in SIX_REAL.items()}, {n: mean(v) for n, v in SIX_CHEAP.items()})
    assert card.calibration["a"].value == pytest.approx(0.09) and card.calibration["a"].low is not None
    assert card.noise_ceiling is not None and card.criteria[-1].bar is not None
