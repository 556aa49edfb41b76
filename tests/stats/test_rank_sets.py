"""Rank sets and tie groups: what they claim, what they leave open, and that nothing becomes infinite."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from roboscale.core import UnknownName
from roboscale.stats.bradley_terry import Comparisons, compare_by_case, count_comparisons, pair_indices
from roboscale.stats.rank_sets import rank_policies, rank_sets, tie_groups

outcomes = st.sampled_from(["first", "second", "tie", "void"])
pair = st.sampled_from([(a, b) for a in "abcd" for b in "abcd" if a != b])
rows = st.lists(st.builds(lambda names, outcome: (*names, outcome), pair, outcomes), max_size=60)


def ranked(rows, policies="", **more):
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    return rank_policies(count_comparisons(*columns, policies=policies), **more)


def drawn(strengths, each, seed, nu=0.22):
    first, second = pair_indices(len(strengths))
    half = (np.array(strengths)[first] - np.array(strengths)[second]) / 2
    chance = np.stack([np.exp(half), np.exp(-half), np.full_like(half, 2 * nu)], axis=1)
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(each, chance / chance.sum(axis=1, keepdims=True)).astype(float)
    return Comparisons(
        policies=tuple("abcdefgh"[: len(strengths)]), counts=counts, per_pair=counts.sum(axis=1).astype(np.int64)
    )


def test_sets_and_groups_from_known_claims():
    above = np.zeros((4, 4), bool)
    above[0, 2] = above[0, 3] = above[1, 3] = True
    assert rank_sets(above) == ((1, 2), (1, 3), (2, 4), (3, 4))
    assert tie_groups(above) == ((0, 1, 2, 3),)
    above[1, 2] = True
    assert tie_groups(above) == ((0, 1), (2, 3))
    # a claim that contradicts others joins them instead of inventing an order
    circle = np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]], bool)
    assert tie_groups(circle) == ((0, 1, 2),)


def test_much_data_gives_the_order_and_little_data_does_not():
    strengths = [1.2, 0.4, -0.4, -1.2]
    much = rank_policies(drawn(strengths, 2000, 0))
    assert much.order == tuple("abcd") and much.tie_groups == (("a",), ("b",), ("c",), ("d",))
    assert [much.rank_sets[name] for name in "abcd"] == [(1, 1), (2, 2), (3, 3), (4, 4)]
    assert much.tie_parameter.low < 0.22 < much.tie_parameter.high
    for name, truth in zip("abcd", strengths, strict=True):
        assert much.scores[name].low - 0.03 < truth < much.scores[name].high + 0.03
    little = rank_policies(drawn(strengths, 4, 0))
    assert little.tie_groups == (tuple("abcd"),) and len(little.order) == 4
    assert "1 tie group among 4 policies at 95 %" in little.sentence


@pytest.mark.parametrize("sets", ["holm", "bootstrap"])
def test_equal_policies_are_rarely_told_apart(sets):
    false = 0
    for seed in range(80):
        found = rank_policies(drawn([0.0] * 5, 10, seed), sets=sets, bootstraps=200, rng=np.random.default_rng(seed))
        false += any(ranks != (1, 5) for ranks in found.rank_sets.values())
    assert false <= 10  # nominal 4 of 80; P(more than 10) is .002


def test_anytime_sets_survive_a_choice_of_pairs_that_chases_results():
    rng, false = np.random.default_rng(0), {"holm": 0, "anytime": 0}
    for _ in range(40):
        counts, wrong = np.zeros((6, 3)), dict.fromkeys(false, False)
        for trial in range(240):
            decided = counts[:, 0] + counts[:, 1] + 1
            pair = int(np.argmin(np.abs(counts[:, 0] - counts[:, 1]) / np.sqrt(decided)))  # the pair most in doubt
            counts[pair, rng.integers(2)] += 1
            if trial % 80 == 79:
                compared = Comparisons(
                    policies=tuple("abcd"), counts=counts, per_pair=counts.sum(axis=1).astype(np.int64)
                )
                for sets in false:
                    ranks = rank_policies(compared, sets=sets).rank_sets.values()
                    wrong[sets] |= any(found != (1, 4) for found in ranks)
        false = {sets: false[sets] + wrong[sets] for sets in false}
    assert false["anytime"] <= 6 < false["holm"]  # nominal 2 of 40; P(more than 6) is .003
    clear = ranked([("a", "b", "first")] * 20 + [("a", "b", "second")] * 2, sets="anytime")
    assert clear.tie_groups == (("a",), ("b",)) and "anytime-valid" in clear.method


def test_difference_and_its_wald_interval():
    found = ranked([("a", "b", "first")] * 30 + [("a", "b", "second")] * 10)
    gap = found.difference("a", "b")
    assert gap.value == pytest.approx(np.log(3), abs=1e-9)
    half = 1.959964 * np.sqrt(1 / 30 + 1 / 10)
    assert (gap.low, gap.high) == pytest.approx((np.log(3) - half, np.log(3) + half), abs=1e-6)
    assert found.difference("b", "a").value == pytest.approx(-np.log(3), abs=1e-9)
    with pytest.raises(UnknownName, match="valid: a, b"):
        found.difference("a", "z")


def test_no_policy_one_policy_no_comparison():
    assert ranked([]).sentence == "No policy, so nothing to rank."
    one = ranked([], policies="a")
    assert one.sentence == "One policy (a): nothing to rank." and one.rank_sets == {"a": (1, 1)}
    none = ranked([("a", "b", "void")] * 3)
    assert none.sentence == "No comparison was counted (3 void): nothing is known of the order."
    assert none.order == () and none.rank_sets == {"a": (1, 2), "b": (1, 2)} and none.scores["a"].value is None


def test_all_ties():
    found = ranked([("a", "b", "tie")] * 30)
    assert "every comparison was a tie" in found.sentence and found.tie_groups == (("a", "b"),)
    assert found.scores["a"].value is None and found.scores["a"].low is None


def test_undefeated_policy_is_ranked_first_without_a_score():
    rows = [("a", "b", "first")] * 20 + [("a", "c", "first")] * 20
    rows += [("b", "c", "first")] * 10 + [("b", "c", "second")] * 9
    found = ranked(rows)
    assert found.scores["a"].value is None and found.scored == ("b", "c")
    assert found.components == (("a",), ("b", "c"))
    assert found.rank_sets == {"a": (1, 1), "b": (2, 3), "c": (2, 3)}
    assert found.order == ("a", "b", "c")
    assert "No score for a: {a} never lost to or tied with the others" in found.sentence
    asked = ranked(rows, ridge=0.25)
    assert asked.scores["a"].value > 2 and "normal prior of sd 2" in asked.scores["a"].method


def test_disconnected_groups_are_named_and_not_compared():
    rows = [("a", "b", "first")] * 9 + [("a", "b", "second")] * 3
    rows += [("c", "d", "first")] * 30 + [("c", "d", "second")] * 3
    found = ranked(rows)
    assert found.components == (("a", "b"), ("c", "d"))
    assert "{a, b} never met the others; {c, d} never met the others" in found.sentence
    assert found.order == () and all(score.value is None for score in found.scores.values())
    assert found.rank_sets == {"a": (1, 4), "b": (1, 4), "c": (1, 3), "d": (2, 4)}  # c and d by their own sign test
    larger = ranked([*rows, ("b", "e", "first"), ("b", "e", "second")])
    assert larger.scored == ("a", "b", "e") and larger.scores["c"].value is None


def test_a_tie_band_that_explains_everything():
    found = ranked([("a", "b", "first")] * 12 + [("a", "b", "tie")])
    assert "one ladder of strengths with a tie band explains every outcome" in found.sentence
    assert found.tie_groups == (("a",), ("b",)) and found.order == ("a", "b")  # the sign test still stands


def test_nearly_hopeless_policy_is_last_although_its_wald_interval_is_wide():
    rows = [(x, "z", "first") for x in "abcd" for _ in range(3)] + [("z", "a", "tie")]
    rows += [(x, y, o) for x in "abcd" for y in "abcd" if x < y for o in ("first", "second", "tie")] * 2
    found = ranked(rows)
    gap = found.difference("a", "z")
    assert gap.high - gap.low > 8
    wald = 2 * norm.sf(gap.value / (gap.high - gap.low) * 2 * 1.96)
    assert wald > 0.05 / 10  # the first hurdle of Holm, which the likelihood ratio takes
    assert found.rank_sets["z"] == (5, 5)


def test_bootstrap_says_when_resamples_have_no_fit():
    found = ranked([("a", "b", "first")] * 20 + [("a", "b", "second")], sets="bootstrap", bootstraps=300)
    assert found.bootstrap_share < 0.8 and "% of the resamples had no finite fit" in found.sentence
    assert found.rank_sets == {"a": (1, 2), "b": (1, 2)}


def test_bootstrap_is_seeded():
    compared = drawn([0.5, 0.2, -0.2, -0.5], 40, 3)
    first, second = (rank_policies(compared, sets="bootstrap", rng=np.random.default_rng(5)) for _ in range(2))
    assert first.to_json() == second.to_json()
    assert first.rank_sets["a"][0] == 1 and "max-|t|" in first.method


def test_shared_cases_use_exact_paired_tests():
    rng = np.random.default_rng(0)
    success = rng.random((3, 60)) < np.array([0.9, 0.45, 0.4])[:, None]
    scores = {name: {str(c): bool(success[k, c]) for c in range(60)} for k, name in enumerate("abc")}
    found = rank_policies(compare_by_case(scores))
    assert found.tie_groups == (("a",), ("b", "c"))
    assert "case-clustered" in found.method and "exact paired sign tests" in found.method


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from("abc"),
        st.dictionaries(st.sampled_from([str(c) for c in range(12)]), st.sampled_from([None, False, True, 0.5])),
    ),
    st.sampled_from(["holm", "anytime", "bootstrap"]),
    st.sampled_from([0.0, 1.0]),
)
def test_nothing_is_infinite_or_nan_on_shared_cases(scores, sets, ridge):
    found = rank_policies(compare_by_case(scores), sets=sets, ridge=ridge, bootstraps=50)
    json.dumps(found.to_json(), allow_nan=False)
    for name in found.scored:
        assert found.scores[name].high - found.scores[name].low > 0.1


def test_few_shared_cases_give_no_false_certainty():
    scores = {"a": {"1": True, "2": False}, "b": {"1": False, "2": True}, "c": {"1": True, "2": True}}
    found = rank_policies(compare_by_case(scores))
    assert found.tie_groups == (tuple("abc"),)
    circle = {"a": 3, "b": 2, "c": 1}
    turned = {"a": 1, "b": 3, "c": 2}
    last = {"a": 2, "b": 1, "c": 3}
    progress = {name: {str(c): (circle, turned, last)[c % 3][name] / 3 for c in range(30)} for name in "abc"}
    assert rank_policies(compare_by_case(progress)).tie_groups == (tuple("abc"),)


@settings(max_examples=60, deadline=None)
@given(rows, st.sampled_from(["holm", "anytime", "bootstrap"]), st.sampled_from([0.0, 1.0]))
def test_nothing_is_infinite_or_nan_whatever_the_comparisons(rows, sets, ridge):
    found = ranked(rows, policies="abcd", sets=sets, ridge=ridge, bootstraps=50)
    json.dumps(found.to_json(), allow_nan=False)
    for low, high in found.rank_sets.values():
        assert 1 <= low <= high <= 4
    assert sorted(sum(found.tie_groups, ())) == sorted(sum(found.components, ())) == list("abcd")
    missing = [name for name in "abcd" if found.scores[name].value is None]
    assert set(missing) == set("abcd") - set(found.scored)
    assert found.n == 0 or not missing or all(name in found.sentence for name in missing)


@settings(max_examples=40, deadline=None)
@given(rows, st.randoms(use_true_random=False), st.integers(0, 4))
def test_order_labels_and_voids_change_nothing(rows, random, voids):
    base = ranked(rows, policies="abcd")
    label = dict(zip("abcd", "cadb", strict=True))
    turned = [(label[a], label[b], o) for a, b, o in rows] + [("a", "b", "void")] * voids
    random.shuffle(turned)
    found = ranked(turned, policies="abcd")
    for name in "abcd":
        assert found.rank_sets[label[name]] == base.rank_sets[name]
        assert found.scores[label[name]].n == base.scores[name].n
        assert found.scores[label[name]].value == pytest.approx(base.scores[name].value, abs=1e-8)
    relabelled = {frozenset(label[name] for name in group) for group in base.tie_groups}
    assert {frozenset(group) for group in found.tie_groups} == relabelled
    assert found.n == base.n and found.void == base.void + voids


def test_bad_arguments():
    for bad in ({"level": 1.0}, {"ridge": -1.0}, {"ridge": np.inf}, {"bootstraps": 0}):
        with pytest.raises(ValueError, match="level must be in"):
            ranked([("a", "b", "tie")], **bad)
