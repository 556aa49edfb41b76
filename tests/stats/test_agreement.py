"""Agreement of worlds: SIMPLER's published values to six digits, exact permutations, and what few policies forbid."""

from __future__ import annotations

import csv
import json
import os
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr, spearmanr

from roboscale.stats.agreement import (
    correlation,
    drop_one,
    mmrv,
    permutation_test,
    policies_for_correlation,
    top_one_regret,
)
from roboscale.stats.validity import validity

TABLES = Path(os.environ.get("ROBOSCALE_TEST_DATA", Path(__file__).parents[2] / "../shared/data")) / "tables"

# Li et al., SIMPLER (2024): MMRV (real, sim) and Pearson r, from the counts of the repository
SIMPLER = {
    "google_robot_pick_coke_can": (0.031333, 0.975434),
    "google_robot_move_near": (0.111, 0.856097),
    "google_robot_open_drawer": (0.0, 0.983167),
    "google_robot_close_drawer": (0.123333, 0.771233),
    "google_robot_place_apple_in_closed_top_drawer": (0.0, 0.969172),
    "widowx_spoon_on_towel": (0.0, 0.826944),
    "widowx_carrot_on_plate": (0.111333, 0.571368),
    "widowx_stack_cube": (0.0, 1.0),
    "widowx_put_eggplant_in_basket": (0.0, 0.989415),
}
MOVE_NEAR = ((0.733, 0.633, 0.583, 0.45, 0.017, 0.35), (0.779, 0.442, 0.354, 0.317, 0.05, 0.042))

scores = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=2, max_size=7)


def simpler():
    path = TABLES / "simpler_tables.csv"
    if not path.exists():
        pytest.skip(f"no table at {path}; set ROBOSCALE_TEST_DATA")
    found: dict[str, dict[str, tuple[float, float]]] = {}
    with path.open() as file:
        for row in csv.DictReader(line for line in file if not line.startswith("#")):
            found.setdefault(row["task"], {})[row["policy"]] = (float(row["real"]), float(row["sim"]))
    return found


def test_simpler_to_six_digits():
    tables = simpler()
    assert set(tables) == set(SIMPLER)
    for task, (violation, r) in SIMPLER.items():
        real, cheap = zip(*tables[task].values(), strict=True)
        assert mmrv(real, cheap) == pytest.approx(violation, abs=5e-7)
        assert correlation(real, cheap).value == pytest.approx(r, abs=5e-7)


def test_mmrv_has_an_orientation():
    """The two argument orders in use give .111 and .002667 on the same data; ties count in one direction."""
    assert mmrv(*MOVE_NEAR) == pytest.approx(0.111, abs=5e-7)
    assert mmrv(*MOVE_NEAR[::-1]) == pytest.approx(0.002667, abs=5e-7)
    card = validity(*(dict(zip("abcdef", world, strict=True)) for world in MOVE_NEAR))
    assert (card.mmrv, card.mmrv_swapped) == (pytest.approx(0.111), pytest.approx(0.0026666667))
    assert mmrv([0.2, 0.8], [0.5, 0.5]) == pytest.approx(0.3)  # the worse policy is charged .6, the better nothing
    assert mmrv([0.5, 0.5], [0.2, 0.8]) == 0
    assert mmrv([0.5], [0.1]) is None


def test_correlations_agree_with_scipy():
    real, cheap = MOVE_NEAR
    pearson, spearman = pearsonr(real, cheap), spearmanr(real, cheap)
    interval = pearson.confidence_interval(0.9)
    found = correlation(real, cheap, "Pearson", 0.9)
    assert (found.value, found.low, found.high) == pytest.approx((pearson.statistic, interval.low, interval.high))
    assert correlation(real, cheap, "Spearman").value == pytest.approx(spearman.statistic)
    wider = correlation(real, cheap, "Spearman", 0.9)
    assert wider.low < np.tanh(
        np.arctanh(wider.value) - 1.644854 / np.sqrt(3)
    )  # Bonett, Wright: more than 1 / (k - 3)


@pytest.mark.parametrize("kind", ["Pearson", "Spearman"])
def test_permutations_are_exact(kind):
    real, cheap = MOVE_NEAR
    seen = correlation(real, cheap, kind).value
    all_orders = [correlation(real, order, kind).value for order in permutations(cheap)]
    found = permutation_test(real, cheap, kind)
    assert found.exact and found.p_value == pytest.approx(np.mean(np.array(all_orders) >= seen - 1e-12))
    assert found.floor == pytest.approx(1 / 720)
    if kind == "Pearson":
        assert found.p_value == pytest.approx(2 / 720)


def test_shuffles_beyond_eight_policies_do_not_depend_on_order():
    rng = np.random.default_rng(0)
    real = rng.random(12)
    cheap = real + 0.3 * rng.random(12)
    order = rng.permutation(12)
    ours, theirs = permutation_test(real, cheap), permutation_test(real[order], cheap[order])
    assert not ours.exact and ours == theirs
    assert 0 < ours.p_value < 0.01


def test_three_policies_can_claim_nothing():
    """Perfect agreement of three policies is one of six orders."""
    card = validity({"a": 0.1, "b": 0.5, "c": 0.9}, {"a": 0.2, "b": 0.5, "c": 0.8})
    assert card.permutation.floor == pytest.approx(1 / 6)
    assert "too few for any claim" in card.claims[0]
    assert card.pearson.low is None and card.pearson_drop_one is None


def test_few_policies_say_how_many_would_do():
    card = validity(*(dict(zip("abcdef", world, strict=True)) for world in MOVE_NEAR))
    assert card.pearson.low == pytest.approx(0.145910, abs=1e-6)
    assert card.policies_needed == 26 and "26 policies" in card.claims[0]
    r = card.pearson.value
    assert np.tanh(np.arctanh(r) - 1.959964 / np.sqrt(26 - 3)) > 0.7 > np.tanh(np.arctanh(r) - 1.959964 / np.sqrt(22))
    assert policies_for_correlation(0.5, 0.7) is None
    assert "cannot be told" in str(card)  # optimism


def test_a_good_judge_of_many_policies_is_named_one():
    rates = {f"policy {i}": (i * 5 + 2, 100) for i in range(19)}
    cheap = {name: (k + 4, 100) for name, (k, _) in rates.items()}
    card = validity(rates, cheap)
    assert card.claims[0].startswith("The cheap world ranks like the real one") or card.pearson.low is None
    assert card.optimism.value == pytest.approx(0.04)
    assert card.top_one_regret == 0
    assert 0.95 < card.noise_ceiling < 1


def test_sign_of_optimism_and_calibration():
    real = {"a": (10, 50), "b": (20, 50), "c": (30, 50), "d": (35, 50), "e": (22, 50)}
    cheap = {name: (min(50, k + 10 + i), 50) for i, (name, (k, _)) in enumerate(real.items())}
    card = validity(real, cheap)
    assert card.optimism.low > 0 and card.optimistic == 5
    assert "is optimistic by 24.0 points" in str(card)
    # Newcombe 1998, method 10, worked by hand from Wilson's limits
    assert card.calibration["a"].value == pytest.approx(0.2)
    assert (card.calibration["a"].low, card.calibration["a"].high) == pytest.approx((0.019, 0.363), abs=2e-3)


def test_degenerate_worlds_get_sentences():
    for real, cheap, said in (
        ({}, {}, "0 policies"),
        ({"a": 0.5}, {"a": 0.5}, "1 policy"),
        ({"a": (0, 0), "b": (1, 2)}, {"a": (1, 2), "b": (1, 2)}, "1 policy"),
        ({"a": 0.5, "b": 0.5, "c": 0.5}, {"a": 0.1, "b": 0.2, "c": 0.3}, "same score"),
    ):
        card = validity(real, cheap)
        assert "cannot say" in card.claims[0] and said in card.claims[0]
        assert card.pearson.value is None and card.pearson.low is None
        json.dumps(card.to_json(), allow_nan=False)
    assert validity({"a": 0.1, "b": 0.2}, {"a": 0.3, "c": 0.2}).left_out == ("b", "c")


def test_drop_one_finds_the_policy_that_makes_the_correlation():
    real, cheap = [0.4, 0.5, 0.45, 0.55, 0.0], [0.5, 0.45, 0.55, 0.4, 0.0]
    assert correlation(real, cheap).value > 0.8
    low, high = drop_one(real, cheap)
    assert low == pytest.approx(-1.0, abs=0.5) and high > 0.8
    assert top_one_regret(real, cheap) == pytest.approx(0.1)


@settings(max_examples=20, deadline=None)
@given(scores, st.randoms(use_true_random=False))
def test_order_and_names_change_nothing(pairs, random):
    names = [f"p{i}" for i in range(len(pairs))]
    real = {name: (k, 20) for name, (k, _) in zip(names, pairs, strict=True)}
    cheap = {name: (k, 20) for name, (_, k) in zip(names, pairs, strict=True)}
    ours = validity(real, cheap)
    order = names[:]
    random.shuffle(order)
    assert validity({n: real[n] for n in order}, {n: cheap[n] for n in reversed(order)}) == ours
    renamed = dict(zip(names, order, strict=True))
    theirs = validity({renamed[n]: real[n] for n in names}, {renamed[n]: cheap[n] for n in names})
    for measure in ("mmrv", "mmrv_swapped", "top_one_regret"):
        assert getattr(theirs, measure) == pytest.approx(getattr(ours, measure))
    assert theirs.permutation.p_value == ours.permutation.p_value
    assert (ours.pearson.value is None) == (theirs.pearson.value is None)
    void = validity({**real, "void": (0, 0)}, {**cheap, "void": (0, 0)})
    assert (void.pearson, void.mmrv, void.permutation) == (ours.pearson, ours.mmrv, ours.permutation)
    json.dumps(ours.to_json(), allow_nan=False)


@pytest.mark.parametrize("bad", [({"a": 1.2}, {"a": 0.2}), ({"a": (3, 2)}, {"a": 0.2}), ({"a": -0.1}, {"a": 0.2})])
def test_impossible_scores_are_refused(bad):
    with pytest.raises(ValueError):
        validity(*bad)
