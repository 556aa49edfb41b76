"""The two stop rules as a scheduler meets them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roboscale.core import PairedOutcome, StopRule
from roboscale.stats import EProcessPaired, SequentialPaired, boundary, paired_verdict

WIN_A, WIN_B = PairedOutcome("t", True, False), PairedOutcome("t", False, True)
BOTH, NEITHER = PairedOutcome("t", True, True), PairedOutcome("u", False, False)
VOID = PairedOutcome("t", None, True)
kinds = st.lists(st.sampled_from([WIN_A, WIN_B, WIN_B, BOTH, NEITHER]), max_size=60)


def rules():
    return [SequentialPaired(budget=40), EProcessPaired()]


def feed(rule: StopRule, pairs: Sequence[PairedOutcome]):
    used = 0
    for pair in pairs:
        used += 1
        if rule.update(pair):
            break
    return used


@settings(max_examples=40, deadline=None)
@given(kinds, st.lists(st.integers(0, 59), max_size=8))
def test_void_pairs_change_nothing_but_their_count(pairs: Sequence[PairedOutcome], places: list[int]):
    with_void = list(pairs)
    for place in sorted(places, reverse=True):
        with_void.insert(place, VOID)
    for clean, dirty in zip(rules(), rules(), strict=True):
        feed(clean, pairs)
        feed(dirty, with_void)
        a, b = clean.verdict(), dirty.verdict()
        assert (a.decision, a.n, a.discordant, a.p_value, a.needed) == (
            b.decision,
            b.n,
            b.discordant,
            b.p_value,
            b.needed,
        )
        assert a.evidence == b.evidence
        assert (a.estimates["A"].low, a.estimates["A"].high) == (b.estimates["A"].low, b.estimates["A"].high)


@settings(max_examples=40, deadline=None)
@given(kinds)
def test_relabelling_the_policies_flips_the_decision(pairs: Sequence[PairedOutcome]):
    flip = {"first is better": "second is better", "second is better": "first is better"}
    for rule, mirror in zip(rules(), rules(), strict=True):
        feed(rule, pairs)
        feed(mirror, [PairedOutcome(p.stratum, p.second, p.first) for p in pairs])
        ours, theirs = rule.verdict(), mirror.verdict()
        assert theirs.decision == flip.get(ours.decision, ours.decision)
        assert ours.p_value == theirs.p_value
        assert [row["lead"] for row in ours.evidence] == [-row["lead"] for row in theirs.evidence]


@settings(max_examples=40, deadline=None)
@given(kinds, st.randoms())
def test_order_within_the_same_history_changes_no_number(pairs: Sequence[PairedOutcome], random: Random):
    """A reordering under which the rule stops at the same place ends in the same verdict."""
    for rule, other in zip(rules(), rules(), strict=True):
        used = pairs[: feed(rule, pairs)]
        shuffled = list(used)
        random.shuffle(shuffled)
        if feed(other, shuffled) != len(used):
            continue
        a, b = rule.verdict(), other.verdict()
        assert (a.decision, a.sentence, a.needed) == (b.decision, b.sentence, b.needed)
        assert a.estimates == b.estimates


@settings(max_examples=25, deadline=None)
@given(kinds)
def test_verdict_can_be_asked_at_any_time_and_changes_nothing(pairs: Sequence[PairedOutcome]):
    for rule in rules():
        for pair in pairs:
            stopped = rule.update(pair)
            verdict = rule.verdict()
            assert json.loads(json.dumps(verdict.to_json()))["n"] == verdict.n
            assert (verdict.decision == "undecided") <= (not stopped)
            for row in verdict.evidence:
                assert all(type(value) is float and np.isfinite(value) for value in row.values())
            assert len(verdict.evidence) == verdict.n


def test_a_clear_winner_is_found_as_soon_as_the_boundary_allows():
    rule = SequentialPaired(budget=50, names=("ten", "grown"))
    used = feed(rule, [WIN_B] * 50)
    first = next(d for d in range(1, 51) if boundary(50).running[d] <= d)
    assert used == first == 7
    verdict = rule.verdict()
    assert verdict.decision == "second is better"
    assert verdict.p_value == pytest.approx(2 / 2**7)
    assert verdict.needed is None
    assert verdict.sentence == (
        "grown is better than ten: 1.00 [0.52, 1.00] against 0.00 [0.00, 0.48] on 7 paired cases "
        "(7 to 0 discordant; sequential exact paired test, alpha 0.05; intervals are 95 % confidence sequences)"
    )


def test_sentence_counts_void_pairs_and_worst_cases_are_given():
    rule = SequentialPaired(budget=50)
    feed(rule, [VOID, WIN_A, WIN_A, VOID])
    verdict = rule.verdict()
    assert verdict.sentence.startswith("Undecided between A and B so far: 1.00")
    assert verdict.sentence.endswith("2 void pairs)")
    assert verdict.estimates["A, void as failures"].value == 0.5
    assert verdict.estimates["A, void as successes"].value == 1.0
    # B's own trials were valid in the void pairs, so nothing of B is in doubt
    assert verdict.estimates["B, void as failures"].value == verdict.estimates["B, void as successes"].value == 0.5


def test_all_ties_end_without_a_claim():
    rule = SequentialPaired(budget=30)
    used = feed(rule, [BOTH, NEITHER] * 20)
    verdict = rule.verdict()
    assert used == 25  # with five pairs left, even five wins could not decide
    assert (verdict.decision, verdict.discordant, verdict.needed) == ("no difference shown", 0, None)
    assert "stopped when the rest of a budget of 30 could not decide" in verdict.sentence
    assert feed(SequentialPaired(budget=30, curtail=False), [BOTH] * 40) == 30


@pytest.mark.parametrize("budget", [1, 2, 5])
def test_budgets_that_can_never_decide_say_so(budget: int):
    rule = SequentialPaired(budget=budget)
    assert rule.update(WIN_B)
    assert f"cannot decide within a budget of {budget}" in rule.verdict().sentence
    assert rule.verdict().decision == "no difference shown"


def test_nothing_consumed():
    for rule in rules():
        verdict = rule.verdict()
        assert (verdict.decision, verdict.n, verdict.needed, verdict.evidence) == ("undecided", 0, None, ())
        assert "no paired case was counted" in verdict.sentence
        assert verdict.estimates["difference"].low is None


def test_min_pairs_delays_the_stop_and_keeps_the_decision():
    rule = SequentialPaired(budget=50, min_pairs=20)
    used = feed(rule, [WIN_B] * 10 + [WIN_A] * 40)
    verdict = rule.verdict()
    assert used == verdict.n == 20
    assert verdict.decision == "second is better"
    assert verdict.p_value == pytest.approx(2 / 2**7)


def test_pairs_after_the_stop_are_ignored():
    rule = SequentialPaired(budget=50)
    feed(rule, [WIN_B] * 50)
    before = rule.verdict()
    assert rule.update(WIN_A)
    assert rule.verdict() == before


def test_curtailment_never_gives_up_a_reachable_decision():
    """After the stop for futility, no continuation at all would have decided."""
    rng = np.random.default_rng(0)
    budget, checked = 14, 0
    for _ in range(150):
        pairs = [WIN_A if x < 0.3 else WIN_B if x < 0.6 else BOTH for x in rng.random(budget)]
        rule = SequentialPaired(budget=budget)
        used = feed(rule, pairs)
        if rule.decision != "no difference shown" or used == budget:
            continue
        checked += 1
        for wins in range(budget - used + 1):
            for winner in (WIN_A, WIN_B):
                full = SequentialPaired(budget=budget, curtail=False)
                feed(full, pairs[:used] + [winner] * wins + [BOTH] * (budget - used - wins))
                assert full.decision == "no difference shown"
    assert checked > 20


def test_the_last_look_spends_what_is_left():
    """15 of 16 concordant budgets: six wins to none decide at the end of a budget, not before."""
    pairs = [WIN_B] * 6 + [BOTH] * 44
    rule = SequentialPaired(budget=50)
    assert feed(rule, pairs) == 50
    verdict = rule.verdict()
    assert verdict.decision == "second is better"
    assert verdict.p_value == pytest.approx(2 / 2**6)
    assert verdict.evidence[-1]["alpha_spent"] <= 0.05
    assert verdict.evidence[-1]["upper"] == 6 and verdict.evidence[-2]["upper"] == 8


def test_finish_takes_the_last_look_early():
    rule = SequentialPaired(budget=50)
    feed(rule, [WIN_B] * 6 + [BOTH] * 30 + [VOID] * 3)
    assert rule.verdict().decision == "undecided"
    rule.finish()
    rule.finish()
    assert rule.verdict().decision == "second is better"
    assert rule.update(WIN_A) and rule.verdict().n == 36
    empty = SequentialPaired(budget=50)
    empty.finish()
    assert empty.verdict().decision == "no difference shown"


@pytest.mark.parametrize("make", [lambda: SequentialPaired(budget=30), EProcessPaired])
def test_simulated_type_one_error(make: Callable[[], SequentialPaired | EProcessPaired]):
    rng, runs, wrong = np.random.default_rng(7), 1000, 0
    for _ in range(runs):
        rule = make()
        for x in rng.random(30):
            if rule.update(WIN_A if x < 0.4 else WIN_B if x < 0.8 else BOTH):
                break
        wrong += rule.decision in ("first is better", "second is better")
    assert wrong / runs <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)


@pytest.mark.parametrize("make", [lambda: SequentialPaired(budget=30), EProcessPaired])
def test_finish_ends_every_rule(make: Callable[[], SequentialPaired | EProcessPaired]):
    rule = make()
    feed(rule, [WIN_B, BOTH])
    rule.finish()
    assert rule.update(WIN_B) and rule.verdict().n == 2
    assert rule.verdict().decision == "no difference shown"


def test_evidence_of_the_e_process_decides_at_its_boundary():
    rule = EProcessPaired()
    assert feed(rule, [WIN_B] * 40) == 7
    verdict = rule.verdict()
    assert verdict.evidence[-1]["lead"] >= verdict.evidence[-1]["upper"]
    assert verdict.evidence[-1]["log_e_value"] >= np.log(20) > verdict.evidence[-2]["log_e_value"]
    assert verdict.p_value == pytest.approx(np.exp(-verdict.evidence[-1]["log_e_value"]))


def test_needed_forecasts_a_near_decision_and_refuses_to_guess():
    rule = SequentialPaired(budget=100)
    feed(rule, [WIN_B, BOTH, WIN_B, WIN_A, WIN_B, BOTH, WIN_B, WIN_B])
    assert 1 <= rule.verdict().needed <= 20
    tied = SequentialPaired(budget=100)
    feed(tied, [WIN_B, WIN_A] * 30)
    assert tied.verdict().needed is None
    only_ties = EProcessPaired()
    feed(only_ties, [BOTH] * 10)
    assert only_ties.verdict().needed is None


def test_fixed_verdict():
    verdict = paired_verdict([WIN_A] * 12 + [WIN_B] * 2 + [BOTH] * 6 + [VOID], names=("old", "new"))
    assert (verdict.decision, verdict.n, verdict.discordant) == ("first is better", 20, 14)
    assert verdict.sentence.startswith("old is better than new: 0.90 [0.68, 0.99] against 0.40")
    assert "12 to 2 discordant; exact paired test, p 0.013" in verdict.sentence
    assert paired_verdict([]).decision == "no difference shown"


@pytest.mark.parametrize("arguments", [{"budget": 0}, {"budget": 9, "alpha": 2}, {"budget": 9, "names": ("A", "A")}])
def test_impossible_rules_are_refused(arguments: dict[str, Any]):
    with pytest.raises(ValueError):
        SequentialPaired(**arguments)
