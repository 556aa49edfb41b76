"""The e-process for independent rates: its error whenever one looks, and the published numbers of trials."""

import math
import os
from pathlib import Path

import numpy as np
import pytest

from roboscale.core import Outcomes, RoboscaleError, Stratum
from roboscale.stats.independent_anytime import EProcessIndependent, compare_in_order

SEQUENCE = Path(os.environ.get("ROBOSCALE_TEST_DATA", "../shared/data")) / "tables" / "TRI_FOLD_RED_TOWEL.npy"
"""Published beside the paper on STEP (TRI-ML/sequentialized_barnard_tests, tests/eval_data): 50 trials, 2 policies."""


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


@pytest.mark.parametrize(("alpha", "steps"), [(0.05, 21), (0.1, 20)])
def test_the_published_sequence_fold_red_towel_stops(alpha: float, steps: int):
    """Exact, in the order of its rows; alpha .1 is the published one-sided .05."""
    if not SEQUENCE.exists():
        pytest.skip(f"no published sequence at {SEQUENCE}; set ROBOSCALE_TEST_DATA")
    rows = np.load(SEQUENCE).astype(bool).tolist()
    assert (len(rows), sum(a for a, _ in rows), sum(b for _, b in rows)) == (50, 28, 46)
    test = EProcessIndependent(alpha=alpha)
    assert next(n for n, row in enumerate(rows, 1) if test.update(*row)) == steps
    assert test.decision == "second is better"


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


def in_order(*rows: tuple[int, float], kind: str = "success", weight: int = 1, strata: int = 1) -> Outcomes:
    """One trial for each (policy, value), in this order."""
    policy = np.array([p for p, _ in rows], np.int32)
    names = tuple("ABC"[: policy.max() + 1])
    return Outcomes(
        kind=kind,
        paired=False,
        policies=names,
        strata=tuple(Stratum("", f"task {k}") for k in range(strata)),
        runs=names,
        policy=policy,
        stratum=(np.arange(len(rows)) % strata).astype(np.int32),
        run=policy,
        case=np.arange(len(rows), dtype=np.int64),
        value=np.array([v for _, v in rows], np.float64),
        weight=np.full(len(rows), weight, np.int64),
    )


def test_trials_in_their_order_are_what_the_process_reads():
    rng = np.random.default_rng(5)
    pairs = [(float(rng.random() < 0.2), float(rng.random() < 0.9)) for _ in range(40)]
    rows = [row for a, b in pairs for row in ((0, a), (1, b))]
    test = EProcessIndependent(names=("A", "B"))
    for a, b in pairs:
        test.update(bool(a), bool(b))
    read = compare_in_order(in_order(*rows))
    assert read.verdict.names == ("B", "A") and read.verdict.best == ("B",)
    assert read.verdict.pairs[0].verdict.p_value == pytest.approx(test.verdict().p_value)
    late = compare_in_order(in_order(*rows, (0, 1.0), (0, 1.0)))
    assert late.verdict.pairs[0].verdict.n == 40 and "A pair ends with its shorter row of trials: B 40" in late.notes


def test_pairs_of_three_share_alpha():
    rows = [(k, v) for i in range(60) for k, v in enumerate((1.0, 0.0, float(i % 2)))]
    read = compare_in_order(in_order(*rows))
    assert read.verdict.names == ("A", "C", "B") and len(read.verdict.pairs) == 3
    assert "alpha 0.0166667" in read.verdict.pairs[0].verdict.sentence
    alone = EProcessIndependent(alpha=0.05 / 3)
    for _ in range(60):
        alone.update(True, False)
    assert read.verdict.pairs[1].verdict.p_value == pytest.approx(3 * alone.verdict().p_value)


def test_a_claim_in_order_does_not_rest_on_void_trials():
    rows = [row for _ in range(15) for row in ((0, 1.0), (1, 0.0))]
    assert compare_in_order(in_order(*rows)).verdict.best == ("A",)
    broken = compare_in_order(in_order(*[(0, math.nan)] * 15, *[(1, math.nan)] * 15, *rows))
    assert broken.verdict.best == ("A", "B") and "15 void trials of A and 15 of B" in broken.withdrawn[0]


@pytest.mark.parametrize(
    ("given", "words"),
    [({"kind": "progress"}, "not progress"), ({"weight": 2}, "these are counts"), ({"strata": 2}, "task 0, task 1")],
)
def test_what_has_no_order_or_several_rates_is_refused(given: dict, words: str):
    with pytest.raises(RoboscaleError, match=words):
        compare_in_order(in_order((0, 1.0), (0, 0.0), (1, 1.0), (1, 0.0), **given))


def test_equal_policies_are_told_apart_in_order_at_most_alpha_of_the_time():
    rng = np.random.default_rng(11)
    false = 0
    for _ in range(200):
        won = (rng.random((60, 3)) < 0.5).astype(float)
        rows = [(k, v) for row in won.tolist() for k, v in enumerate(row)]
        false += any(pair.decided for pair in compare_in_order(in_order(*rows)).verdict.pairs)
    assert false / 200 <= 0.05 + 0.03
