"""The e-process for independent rates: its error whenever one looks, and the published numbers of trials."""

import math

import numpy as np
import pytest

from roboscale.stats.independent_anytime import EProcessIndependent


def stopped(rng, p0: float, p1: float, limit: int, alpha: float = 0.05) -> tuple[int, str]:
    test = EProcessIndependent(alpha=alpha)
    for n in range(1, limit + 1):
        if test.update(bool(rng.random() < p0), bool(rng.random() < p1)):
            return n, test.decision
    return limit, test.decision


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_equal_rates_are_told_apart_at_most_alpha_of_the_time_however_often_one_looks(p: float):
    rng = np.random.default_rng(int(10 * p))
    false = [stopped(rng, p, p, 200)[1] != "undecided" for _ in range(400)]
    assert np.mean(false) <= 0.05 + 0.02


@pytest.mark.parametrize(
    ("p0", "p1", "limit", "trials", "power"),
    [(0.56, 0.92, 50, 22.2, 0.943), (0.28, 0.80, 50, 14.0, 0.998), (0.60, 0.90, 100, 31.8, 0.986)],
)
def test_the_published_numbers_of_trials(p0: float, p1: float, limit: int, trials: float, power: float):
    """Published one-sided at .05, which is one direction of ours at .1."""
    rng = np.random.default_rng(7)
    runs = [stopped(rng, p0, p1, limit, alpha=0.1) for _ in range(600)]
    assert np.mean([n for n, _ in runs]) == pytest.approx(trials, rel=0.08)
    assert np.mean([said == "second is better" for _, said in runs]) == pytest.approx(power, abs=0.03)


def test_the_first_bets_by_hand():
    """Predictions 1/3 and 2/3, then 1/4 and 3/4, against 1/2: (4/3)^2 (3/2)^2 = 4, and half of alpha is spent."""
    test = EProcessIndependent()
    test.update(False, True)
    assert test.verdict().p_value == 1.0, "16/9 is below 2"
    test.update(False, True)
    assert test.verdict().p_value == pytest.approx(2 / 4)


def test_names_turn_round_with_the_sides():
    rng = np.random.default_rng(3)
    outcomes = [(bool(rng.random() < 0.4), bool(rng.random() < 0.9)) for _ in range(60)]
    straight, turned = EProcessIndependent(), EProcessIndependent(names=("B", "A"))
    for first, second in outcomes:
        straight.update(first, second)
        turned.update(second, first)
    assert straight.decision == "second is better" and turned.decision == "first is better"
    assert straight.verdict().p_value == turned.verdict().p_value


def test_voids_are_left_out_and_a_minimum_is_kept():
    test = EProcessIndependent(min_steps=40)
    for _ in range(39):
        assert not test.update(False, True)
        test.update(None, True)
    assert test.update(False, True)
    verdict = test.verdict()
    assert verdict.n == 40 and verdict.estimates["A"].void == 39 and "independent trials" in verdict.sentence


@pytest.mark.parametrize("outcome", [0.5, "yes", math.nan])
def test_what_is_no_outcome_is_refused(outcome):
    with pytest.raises(ValueError, match="true, false or None"):
        EProcessIndependent().update(outcome, True)


def test_nothing_seen_says_nothing():
    verdict = EProcessIndependent().verdict()
    assert verdict.decision == "undecided" and verdict.p_value is None and verdict.n == 0
    with pytest.raises(ValueError, match="different names"):
        EProcessIndependent(names=("A", "A"))
    with pytest.raises(ValueError, match="alpha"):
        EProcessIndependent(alpha=0)
