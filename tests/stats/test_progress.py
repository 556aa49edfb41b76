"""The e-process on paired progress: a fair game, its error, and the rule as a scheduler meets it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roboscale.stats.betting import beta_log_wealth
from roboscale.stats.progress import EProcessProgress, plug_in_log_capital, progress_log_e

scores = st.sampled_from([0.0, 0.25, 1 / 3, 0.5, 0.7, 1.0])
pairs_of_scores = st.lists(st.tuples(scores, scores), max_size=40)


def feed(rule: EProcessProgress, pairs):
    used = 0
    for pair in pairs:
        used += 1
        if rule.update(*pair):
            break
    return used


@given(st.lists(st.sampled_from([-1.0, -0.5, -0.25, 0.0, 0.3, 1.0]), max_size=15), st.floats(0.05, 1))
def test_capital_is_a_fair_game_at_mean_zero(past: list[float], size: float):
    for log_e in (progress_log_e, lambda d: plug_in_log_capital(d)[-1] if len(d) else 0.0):
        now, after = np.exp(log_e(past)), [np.exp(log_e([*past, d])) for d in (-size, size)]
        assert np.mean(after) == pytest.approx(now, rel=1e-8)


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 9))
def test_on_binary_outcomes_it_is_the_e_process_of_success(wins: int, losses: int, ties: int):
    differences = [1.0] * wins + [-1.0] * losses + [0.0] * ties
    assert progress_log_e(differences) == pytest.approx(beta_log_wealth(wins, wins + losses, 0.5), abs=1e-6)


@given(st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.3, 1.0]), max_size=20), st.randoms())
def test_order_of_pairs_changes_no_evidence_and_relabelling_none_either(differences: list[float], random):
    value = progress_log_e(differences)
    random.shuffle(differences)
    assert progress_log_e(differences) == value
    assert progress_log_e([-d for d in differences]) == pytest.approx(value, abs=1e-9)


def test_type_one_error_of_looking_300_times():
    """Both policies uniform over quarters of progress; measured elsewhere for the plug-in stakes: .0235."""
    rng, runs, mixture, plug_in = np.random.default_rng(0), 200, 0, 0
    nodes = np.cos((2 * np.arange(256) + 1) * np.pi / 512)
    for _ in range(runs):
        d = (rng.integers(0, 5, 300) - rng.integers(0, 5, 300)) / 4
        capital = np.logaddexp.reduce(np.cumsum(np.log1p(np.outer(d, nodes)), axis=0), axis=1) - np.log(256)
        assert capital[-1] == pytest.approx(progress_log_e(d), abs=1e-8)
        mixture += capital.max() >= np.log(20)
        plug_in += plug_in_log_capital(d).max() >= np.log(20)
    margin = 3 * np.sqrt(0.05 * 0.95 / runs)
    assert 0 < mixture / runs <= 0.05 + margin and 0 < plug_in / runs <= 0.05 + margin


def test_progress_decides_where_success_cannot():
    """Both policies always fail; one comes half way, the other mostly not."""
    rule = EProcessProgress(names=("old", "new"))
    used = feed(rule, [(0.0, 0.5), (0.25, 0.5), (0.0, 0.25), (0.25, 0.25)] * 20)
    verdict = rule.verdict()
    assert verdict.decision == "second is better" and verdict.n == used < 60
    assert verdict.p_value <= 0.05 and verdict.needed is None
    assert verdict.sentence.startswith("new makes more progress than old: mean progress 0.3")
    assert verdict.estimates["difference"].low > 0


@settings(max_examples=30, deadline=None)
@given(pairs_of_scores, st.lists(st.integers(0, 39), max_size=5))
def test_void_pairs_change_nothing_but_their_count(pairs, places: list[int]):
    dirty = list(pairs)
    for place in places:
        dirty.insert(place, (None, 0.5))
    a, b = EProcessProgress(), EProcessProgress()
    feed(a, pairs)
    feed(b, dirty)
    ours, theirs = a.verdict(), b.verdict()
    assert (ours.decision, ours.p_value, ours.n, ours.needed) == (
        theirs.decision,
        theirs.p_value,
        theirs.n,
        theirs.needed,
    )
    assert ours.evidence == theirs.evidence
    assert json.loads(json.dumps(theirs.to_json()))["n"] == theirs.n


@settings(max_examples=30, deadline=None)
@given(pairs_of_scores)
def test_relabelling_the_policies_flips_the_decision(pairs):
    flip = {"first is better": "second is better", "second is better": "first is better"}
    a, b = EProcessProgress(), EProcessProgress()
    assert feed(a, pairs) == feed(b, [pair[::-1] for pair in pairs])
    ours, theirs = a.verdict(), b.verdict()
    assert theirs.decision == flip.get(ours.decision, ours.decision)
    assert theirs.p_value == pytest.approx(ours.p_value) and theirs.needed == ours.needed


def test_equal_scores_no_pairs_and_bad_input_are_said():
    ties = EProcessProgress()
    feed(ties, [(0.5, 0.5)] * 30)
    assert ties.verdict().decision == "undecided" and ties.verdict().p_value == 1.0 and ties.verdict().needed is None
    ties.finish()
    assert ties.verdict().decision == "no difference shown" and ties.update(0.0, 1.0)
    nothing = EProcessProgress().verdict()
    assert nothing.p_value is None and nothing.estimates["A"].low is None and nothing.n == 0
    assert "no paired case was counted" in nothing.sentence
    for bad in ((1.2, 0.0), (0.0, -0.1), (float("nan"), 0.0)):
        with pytest.raises(ValueError, match="progress is in"):
            EProcessProgress().update(*bad)
    with pytest.raises(ValueError, match=r"\[-1, 1\]"):
        progress_log_e([1.5])
    with pytest.raises(ValueError, match="names"):
        EProcessProgress(names=("A", "A"))
    assert plug_in_log_capital([]).shape == (0,) and progress_log_e([]) == 0.0


def test_needed_is_about_what_more_of_the_same_takes():
    cycle = [(0.0, 0.5), (0.5, 0.5), (1.0, 0.5), (0.0, 0.5)]
    rule = EProcessProgress()
    feed(rule, cycle * 4)
    needed = rule.verdict().needed
    assert needed == pytest.approx(feed(rule, cycle * 100), rel=0.35)
    assert rule.verdict().decision == "second is better"
