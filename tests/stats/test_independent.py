"""The sequential test on independent arms: exact size, reference stopping times, and the rule in a scheduler."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roboscale.core import PairedOutcome, StopRule
from roboscale.stats.independent import (
    SHIPPED_BUDGETS,
    ArmBoundary,
    SequentialIndependent,
    arm_boundary,
    build_arm_boundary,
    expected_trials,
    naive_arm_boundary,
    power,
    size,
)

TABLE = Path(os.environ.get("ROBOSCALE_TEST_DATA", "../shared/data")) / "tables" / "sequential_expected_n.json"
WIN_A, WIN_B = PairedOutcome("", True, False), PairedOutcome("", False, True)
BOTH, NEITHER = PairedOutcome("", True, True), PairedOutcome("", False, False)
VOIDS = (PairedOutcome("", None, True), PairedOutcome("", False, None), PairedOutcome("", None, None))
histories = st.lists(st.sampled_from([WIN_A, WIN_B, WIN_B, BOTH, NEITHER]), max_size=45)


def feed(rule: StopRule, pairs: Sequence[PairedOutcome]):
    used = 0
    for pair in pairs:
        used += 1
        if rule.update(pair):
            break
    return used


@pytest.mark.parametrize("sides", [1, 2])
@pytest.mark.parametrize("budget", [b for b in SHIPPED_BUDGETS if b <= 120])
def test_type_one_error_is_at_most_alpha_at_every_rate(budget: int, sides: int):
    found = size(arm_boundary(budget, sides=sides))
    assert 0.046 < found <= 0.05


@pytest.mark.parametrize(("budget", "reference"), [(50, 0.04981), (100, 0.04997), (200, 0.04996)])
def test_reference_sizes(budget: int, reference: float):
    assert size(arm_boundary(budget, sides=1)) == pytest.approx(reference, abs=5e-5)


@pytest.mark.parametrize("sides", [1, 2])
def test_size_agrees_with_the_forward_recursion(sides: int):
    """`size` uses shares of orders and binomials, `expected_trials` carries probabilities: two roads to one number."""
    limit = arm_boundary(40, sides=sides)
    for rate in (0.04, 0.2, 0.5, 0.77):
        forward = expected_trials(rate, rate, 40, limit=limit)
        assert forward.power == pytest.approx(size(limit, np.array([rate])), abs=1e-12)
        assert forward.stops.sum() == pytest.approx(1)


def test_size_is_a_count_of_all_histories():
    """Every history of 4 trials per arm at rate 1/2, walked through the rule."""
    limit = build_arm_boundary(4, 0.3, 2)
    decided = 0
    for history in product([WIN_A, WIN_B, BOTH, NEITHER], repeat=4):
        rule = SequentialIndependent(budget=4, alpha=0.3)
        feed(rule, history)
        decided += rule.decision in ("first is better", "second is better")
    assert decided / 4**4 == pytest.approx(size(limit, np.array([0.5])))
    assert decided > 0


@pytest.mark.parametrize("budget", [10, 50, 100])
@pytest.mark.parametrize("sides", [1, 2])
def test_shipped_boundaries_are_what_the_builder_builds(budget: int, sides: int):
    np.testing.assert_array_equal(
        arm_boundary(budget, sides=sides).critical, build_arm_boundary(budget, 0.05, sides).critical
    )


def test_every_named_budget_is_shipped():
    for budget in SHIPPED_BUDGETS:
        for sides in (1, 2):
            limit = arm_boundary(budget, sides=sides)
            assert limit.budget == budget and np.isfinite(limit.critical[-1])


def test_expected_stopping_times_are_those_of_the_reference_table():
    if not TABLE.exists():
        pytest.skip(f"no reference table at {TABLE}; set ROBOSCALE_TEST_DATA")
    rows = [row for row in json.loads(TABLE.read_text()) if "ASB_E" in row]
    assert len(rows) == 14
    for row in rows:
        found = expected_trials(row["p0"], row["p1"], int(row["Nmax"]), row["alpha"], sides=1)
        assert found.trials == pytest.approx(row["ASB_E"], rel=1e-3)
        assert found.power == pytest.approx(row["ASB_pow"], abs=1e-3)


def test_the_example_of_the_documentation():
    found = expected_trials(0.5, 0.7, 200, sides=1)
    assert found.trials == pytest.approx(75.06, abs=0.05)
    assert found.power == power(0.5, 0.7, 200, sides=1) == pytest.approx(0.985, abs=5e-4)


def test_naive_peeking_costs_more_than_three_times_alpha():
    """Measured elsewhere by simulation: .182 with looks after each of 5 to 50 trials per arm."""
    limit = naive_arm_boundary(50)
    assert size(limit, np.array([0.5])) == pytest.approx(0.182, abs=0.005)
    assert size(limit) == pytest.approx(0.188, abs=0.001)
    assert size(naive_arm_boundary(30, first_look=30)) <= 0.05


@pytest.mark.parametrize("rates", [(0.3, 0.6), (0.05, 0.2), (0.9, 0.9), (0.0, 1.0), (0.0, 0.0)])
def test_relabelling_mirrors_the_operating_characteristics(rates: tuple[float, float]):
    ours, theirs = expected_trials(*rates, 50), expected_trials(*rates[::-1], 50)
    assert ours.trials == pytest.approx(theirs.trials)
    assert (ours.first, ours.second) == (pytest.approx(theirs.second), pytest.approx(theirs.first))


@pytest.mark.parametrize("budget", [1, 2])
def test_a_budget_that_can_never_decide_says_so(budget: int):
    rule = SequentialIndependent(budget=budget)
    feed(rule, [WIN_B] * budget)
    assert rule.verdict().decision == "no difference shown"


@pytest.mark.parametrize("bad", [{"budget": 0}, {"budget": 5, "alpha": 1.0}, {"budget": 5, "sides": 3}])
def test_impossible_rules_are_refused(bad: dict[str, float]):
    with pytest.raises(ValueError):
        SequentialIndependent(**bad)
    with pytest.raises(ValueError, match="names"):
        SequentialIndependent(budget=5, names=("A", "A"))
    with pytest.raises(ValueError, match="rates"):
        expected_trials(-0.1, 0.5, 10)


def test_scalar_and_table_agree_on_every_state():
    for sides in (1, 2):
        limit = arm_boundary(20, sides=sides)
        for n in (5, 11, 20):
            decisive, fewest = limit.decisive(n), limit.fewest(n)
            for first, second in product(range(n + 1), repeat=2):
                expected = 1 if decisive[first, second] else -1 if sides == 2 and decisive[second, first] else 0
                assert limit.decides(n, first, second) == expected
                assert (second >= fewest[first]) == bool(decisive[first, second])


def reachable(limit: ArmBoundary, n: int, first: int, second: int):
    """Whether any continuation decides, by trying all."""
    if limit.decides(n, first, second):
        return True
    if n == limit.budget:
        return False
    return any(reachable(limit, n + 1, first + i, second + j) for i in (0, 1) for j in (0, 1))


@pytest.mark.parametrize("sides", [1, 2])
def test_hopeless_is_when_no_continuation_decides(sides: int):
    limit = arm_boundary(10, sides=sides)
    seen = set()
    for first, second in product(range(7), repeat=2):
        if not limit.decides(6, first, second):
            verdict = limit.hopeless(6, first, second)
            assert verdict == (not reachable(limit, 6, first, second))
            seen.add(verdict)
    assert seen == {True, False}


@settings(max_examples=30, deadline=None)
@given(histories, st.lists(st.integers(0, 44), max_size=6))
def test_void_trials_change_nothing_but_their_count(pairs: list[PairedOutcome], places: list[int]):
    dirty_pairs = list(pairs)
    for place in places:
        dirty_pairs.insert(place, VOIDS[2])
    clean, dirty = SequentialIndependent(budget=40), SequentialIndependent(budget=40)
    feed(clean, pairs)
    feed(dirty, dirty_pairs)
    a, b = clean.verdict(), dirty.verdict()
    assert (a.decision, a.n, a.p_value, a.needed, a.evidence) == (b.decision, b.n, b.p_value, b.needed, b.evidence)
    assert (a.estimates["A"].low, a.estimates["B"].high) == (b.estimates["A"].low, b.estimates["B"].high)


def test_a_void_side_only_delays_the_look():
    rule, clean = SequentialIndependent(budget=20), SequentialIndependent(budget=20)
    feed(clean, [WIN_B] * 4)
    feed(rule, [PairedOutcome("", None, True), PairedOutcome("", False, None), WIN_B, WIN_B, WIN_B])
    assert rule.verdict().evidence == clean.verdict().evidence
    assert rule.verdict().estimates["A"].void == rule.verdict().estimates["B"].void == 1
    assert "2 void" in rule.verdict().sentence


@settings(max_examples=30, deadline=None)
@given(histories)
def test_relabelling_the_policies_flips_the_decision(pairs: list[PairedOutcome]):
    flip = {"first is better": "second is better", "second is better": "first is better"}
    ours, theirs = SequentialIndependent(budget=40), SequentialIndependent(budget=40)
    used = feed(ours, pairs)
    assert feed(theirs, [PairedOutcome("", pair.second, pair.first) for pair in pairs]) == used
    a, b = ours.verdict(), theirs.verdict()
    assert b.decision == flip.get(a.decision, a.decision)
    assert a.p_value == b.p_value and a.needed == b.needed
    assert [row["lead"] for row in a.evidence] == [-row["lead"] for row in b.evidence]


@settings(max_examples=25, deadline=None)
@given(histories)
def test_verdict_is_valid_json_at_any_time_and_decides_with_p_below_alpha(pairs: list[PairedOutcome]):
    rule = SequentialIndependent(budget=40)
    for pair in pairs:
        stopped = rule.update(pair)
        verdict = rule.verdict()
        assert json.loads(json.dumps(verdict.to_json()))["n"] == verdict.n == len(verdict.evidence)
        assert (verdict.decision == "undecided") == (not stopped)
        if verdict.decision in ("first is better", "second is better"):
            assert verdict.p_value <= verdict.alpha
        elif verdict.n == 40:
            assert verdict.p_value > verdict.alpha


def test_a_clear_winner_and_what_is_said_of_it():
    rule = SequentialIndependent(budget=50, names=("old", "new"))
    used = feed(rule, [WIN_B] * 50)
    verdict = rule.verdict()
    assert used == verdict.n < 12
    assert verdict.decision == "second is better" and verdict.needed is None
    assert verdict.sentence.startswith("new is better than old: 1.00 [")
    assert verdict.estimates["difference"].value == 1.0
    assert verdict.evidence[-1]["lead"] >= verdict.evidence[-1]["upper"]
    assert rule.update(WIN_A) and rule.verdict() == verdict


def test_one_sided_never_claims_the_first():
    rule = SequentialIndependent(budget=50, sides=1)
    feed(rule, [WIN_A] * 50)
    assert rule.verdict().decision == "no difference shown"
    assert rule.verdict().p_value == 1.0
    assert "one-sided for B" in rule.verdict().sentence


def test_all_ties_and_nothing_at_all_end_without_a_claim():
    ties = SequentialIndependent(budget=15, curtail=False)
    assert feed(ties, [BOTH, NEITHER] * 10) == 15
    assert ties.verdict().decision == "no difference shown" and ties.verdict().needed is None
    nothing = SequentialIndependent(budget=15)
    feed(nothing, VOIDS[:1] * 3)
    nothing.finish()
    verdict = nothing.verdict()
    assert verdict.decision == "no difference shown" and verdict.n == 0 and verdict.p_value is None
    assert verdict.estimates["A"].low is None and verdict.estimates["difference"].low is None
    assert verdict.sentence.startswith("No difference shown between A and B: no data (n=0) against no data (n=0)")


def test_finish_takes_the_last_look_with_what_is_left_of_alpha():
    late, ended = SequentialIndependent(budget=200), SequentialIndependent(budget=200)
    history = [WIN_B, BOTH, WIN_B, NEITHER, WIN_B, WIN_B]
    feed(late, history)
    feed(ended, history)
    ended.finish()
    assert late.verdict().decision == "undecided"
    assert ended.verdict().decision == "second is better" and ended.verdict().p_value <= 0.05


def test_min_trials_goes_on_but_the_decision_stands():
    rule = SequentialIndependent(budget=50, min_trials=20)
    assert feed(rule, [WIN_B] * 10 + [WIN_A] * 40) == 20
    assert rule.verdict().decision == "second is better"


def test_needed_is_a_forecast_within_the_budget():
    rule = SequentialIndependent(budget=100)
    feed(rule, [WIN_B, BOTH, NEITHER, BOTH, WIN_B, NEITHER])
    assert 1 <= rule.verdict().needed <= 94
    assert SequentialIndependent(budget=100).verdict().needed is None
