"""The designs of a study besides paired blocks: what they claim, when they stop, and how often they err."""

from __future__ import annotations

from itertools import product
from math import comb

import numpy as np
import pytest

from roboscale.core import Case, Design, Evidence, EvidenceRow, Verdict
from roboscale.stats.deciding import decide
from roboscale.stats.designs import crossover_p_value
from roboscale.stats.many import ManyVerdict


def decided(rates, cases, seed=0, *, first=(), **design):
    """A study of arms that succeed independently at these rates on `cases` cases."""
    draws = np.random.default_rng(seed).random((cases, len(rates))) < np.asarray(rates)
    return of_outcomes(draws, first=first, **design)


def of_outcomes(outcomes, *, first=(), **design):
    arms = tuple("ABCDE"[: len(outcomes[0])])
    rows = []
    for k, row in enumerate(outcomes):
        values = {arm: None if value is None else float(value) for arm, value in zip(arms, row, strict=True)}
        rows.append(EvidenceRow(Case("t", k), values, first[k] if first else arms[0]))
    made = Design(**{"budget": len(rows), **design})
    return decide(Evidence(policies=arms, rows=tuple(rows), design=made))


def test_one_arm_stops_above_or_below_its_threshold_and_says_so():
    above = decided([0.95], 100, kind="one arm", threshold=0.6)
    assert isinstance(above.verdict, Verdict) and above.verdict.decision == "first is better" and above.used < 40
    assert above.verdict.sentence.startswith("A succeeds on more than 0.6 of cases: ")
    below = decided([0.2], 100, kind="one arm", threshold=0.6)
    assert below.verdict.decision == "second is better" and "on less than 0.6" in below.verdict.sentence
    open_ = decided([0.6], 30, kind="one arm", threshold=0.6)
    assert open_.verdict.decision == "no difference shown" and "is not shown to succeed" in open_.verdict.sentence
    soon = of_outcomes([[True]] * 8, kind="one arm", threshold=0.8, budget=100)
    assert soon.verdict.needed is not None and 1 <= soon.verdict.needed < 30


@pytest.mark.parametrize("sequential", [True, False])
def test_one_arm_at_its_threshold_errs_seldom(sequential: bool):
    runs = [decided([0.7], 60, seed, kind="one arm", threshold=0.7, sequential=sequential) for seed in range(300)]
    wrong = sum(run.verdict.decision != "no difference shown" for run in runs)
    assert wrong <= 22, "5 % of 300, and three standard errors"


def test_the_claim_of_one_arm_does_not_rest_on_void_trials():
    kept = of_outcomes([[True]] * 30 + [[None]], kind="one arm", threshold=0.6)
    assert kept.verdict.decision == "first is better" and not kept.withdrawn
    lost = of_outcomes([[None]] * 20 + [[True]] * 30, kind="one arm", threshold=0.8)
    assert lost.verdict.decision == "undecided" and "rests on void trials (20 of A)" in lost.withdrawn[0]


def test_the_best_arm_is_named_once_no_other_can_be_more_than_the_margin_above_it():
    clear = decided([0.2, 0.9, 0.3], 200, kind="best arm", margin=0.1, min_cases=50)
    assert isinstance(clear.verdict, ManyVerdict) and clear.verdict.best == ("B",) and clear.used == 50
    assert clear.verdict.sentence.startswith("B is the best of 3 arms: ")
    equal = decided([0.8, 0.8], 2000, kind="best arm", margin=0.2)
    assert len(equal.verdict.best) == 1 and equal.used < 1000
    assert "or at most 0.2 below it" in equal.verdict.sentence
    few = decided([0.8, 0.8], 20, kind="best arm", margin=0.05)
    assert few.verdict.best == ("A", "B") and few.verdict.sentence.startswith("No arm is shown to be at most 0.05")


def test_the_best_arm_is_seldom_one_that_is_worse_by_more_than_the_margin():
    wrong = 0
    for seed in range(50):
        run = decided([0.5, 0.72, 0.5], 120, seed, kind="best arm", margin=0.2)
        wrong += len(run.verdict.best) == 1 and run.verdict.best[0] != "B"
    assert wrong <= 7, "5 % of 50, and three standard errors"


def test_an_arm_that_was_shown_to_be_worse_is_not_tried_any_longer():
    from roboscale.stats.deciding import Decider

    decider = Decider(("A", "B", "C"), Design(budget=200, kind="best arm", margin=0.02))
    for k in range(40):
        still = decider.update(
            Case("t", k), {"A": 1.0, "B": float(k % 9 > 0), "C": 0.0} if k < 20 else {"A": 1.0, "B": float(k % 9 > 0)}
        )
        if k == 19:
            assert still == ("A", "B")
    assert decider.in_play == ("A", "B")


def test_a_ladder_compares_each_checkpoint_with_the_one_before_it_and_no_other():
    run = decided([0.1, 0.6, 0.6, 0.95], 120, kind="ladder")
    assert isinstance(run.verdict, ManyVerdict)
    said = {(p.first, p.second): p.verdict.decision for p in run.verdict.pairs}
    assert said == {("A", "B"): "second is better", ("B", "C"): "no difference shown", ("C", "D"): "second is better"}
    assert all(p.verdict.alpha == pytest.approx(0.05 / 3) for p in run.verdict.pairs)
    assert run.verdict.sentence.startswith(
        "B is better than A before it; no difference is shown between B and C; D is"
    )
    assert set(run.verdict.letters.values()) == {""}, "A and C were not compared, and share no letter"
    fixed = decided([0.1, 0.6, 0.95], 120, kind="ladder", sequential=False)
    assert {p.verdict.method for p in fixed.verdict.pairs} == {
        "exact paired test (McNemar 1947)"
    } and fixed.used == 120


def test_the_exact_test_of_a_crossover_is_that_of_all_draws():
    """Under "the arms do not differ" each pair has its result by place, and the draw decides whose it is."""
    places = [1, 1, 1, -1, 1, 0, 1, 1]  # which trial of the pair alone succeeded: the first (1), the second (-1)
    draws = [d for d in product((0, 1), repeat=8) if sum(d) == 4]
    rejected = 0
    for draw in draws:
        first = [sum(p == 1 for p, d in zip(places, draw, strict=True) if d == o) for o in (0, 1)]
        second = [sum(p == -1 for p, d in zip(places, draw, strict=True) if d == o) for o in (0, 1)]
        rejected += crossover_p_value((first[0], first[1]), (second[0], second[1])) <= 0.3
    assert rejected / len(draws) <= 0.3 and len(draws) == comb(8, 4)
    assert crossover_p_value((0, 0), (0, 0)) == 1.0
    assert crossover_p_value((5, 0), (0, 5)) == pytest.approx(2 / comb(10, 5))


def test_a_crossover_is_not_misled_by_an_advantage_of_being_first():
    """The scene is spoilt for whoever is second: the paired test of unequal orders would claim that A is better."""
    helped = [[True, False]] * 12 + [[False, True]] * 4
    first = ["A"] * 12 + ["B"] * 4
    assert of_outcomes(helped, sequential=False).verdict.decision == "no difference shown"
    spoilt = of_outcomes(helped, first=first, kind="crossover", sequential=False)
    assert spoilt.verdict.decision == "no difference shown" and spoilt.verdict.p_value == 1.0
    assert spoilt.verdict.estimates["A, tried first"].value == 1.0
    assert spoilt.verdict.estimates["B, tried second"].value == 0.0
    real = of_outcomes([[False, True]] * 16, first=["A", "B"] * 8, kind="crossover", sequential=False)
    assert real.verdict.decision == "second is better" and real.verdict.sentence.startswith("B is better than A")
    with pytest.raises(ValueError, match="tried first"):
        of_outcomes([[True, False]], first=["nobody"], kind="crossover", sequential=False)


def test_designs_refuse_what_they_do_not_have():
    for rates, design in (([0.5, 0.5], {"kind": "one arm", "threshold": 0.5}), ([0.5], {"kind": "ladder"})):
        with pytest.raises(ValueError, match="does not have"):
            decided(rates, 4, **design)
    with pytest.raises(ValueError, match="compares success"):
        decided([0.5, 0.5], 4, kind="ladder", outcome="progress")


def test_paired_blocks_keep_the_json_and_so_the_digest_that_they_had():
    assert set(Design(budget=3).to_json()) == {"budget", "alpha", "min_cases", "sequential", "outcome"}
    made = Design(budget=3, kind="best arm", margin=0.1)
    assert Design(**made.to_json()) == made


def test_the_claims_of_a_ladder_and_of_the_best_arm_do_not_rest_on_void_trials():
    outcomes = [[False, True, True]] * 12 + [[None, None, True]] * 30
    ladder = of_outcomes(outcomes, kind="ladder", sequential=False)
    assert ladder.verdict.pairs[0].verdict.decision == "undecided"
    assert set(ladder.verdict.letters.values()) == {""} and "30 void trials of B and 30 of A" in ladder.withdrawn[0]
    kept = of_outcomes([[None, True]] * 40 + [[False, True]] * 20, kind="best arm", margin=0.1, min_cases=60)
    assert kept.verdict.best == ("B",), "had A succeeded wherever it was void, B would be no worse"
    lost = of_outcomes([[True, None]] * 40 + [[False, True]] * 20, kind="best arm", margin=0.1, min_cases=60)
    assert lost.verdict.best != ("B",) and "rests on void trials (40 of B)" in lost.withdrawn[0]
