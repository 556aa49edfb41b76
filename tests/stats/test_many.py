"""Many policies: corrections against closed testing by brute force, letters, and the rule that stops each pair."""

from __future__ import annotations

import csv
import json
import os
from collections import defaultdict
from itertools import combinations, permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roboscale.stats.barnard import barnard
from roboscale.stats.letters import letters
from roboscale.stats.many import (
    adjusted,
    compare_many,
    compare_many_paired,
    e_holm,
    graphical,
    holm,
    nulls_left,
)
from roboscale.stats.sequential import EProcessPaired, SequentialPaired
from roboscale.stats.sequential_many import SequentialMany, _levels

TABLE = Path(os.environ.get("ROBOSCALE_TEST_DATA", "../shared/data")) / "tables" / "lbm_success_counts_cld.csv"
p_values = st.lists(st.floats(0, 1) | st.floats(0, 0.06), min_size=1, max_size=6)
cases = st.lists(st.tuples(*[st.sampled_from([True, False, None])] * 3), max_size=30)


def test_holm_on_a_worked_example():
    """Holm 1979 steps: .005 <= .05/4, .01 <= .05/3, .03 > .05/2, so the rest stand though .04 <= .05."""
    p = [0.01, 0.04, 0.03, 0.005]
    assert holm(p).tolist() == [True, False, False, True]
    assert adjusted(p).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert adjusted(p, "bonferroni").tolist() == pytest.approx([0.04, 0.16, 0.12, 0.02])


@given(p_values)
def test_holm_is_closed_testing_with_bonferroni(p: list[float]):
    """A hypothesis falls when Bonferroni rejects every intersection that holds it."""
    places = range(len(p))
    sets = [s for size in range(1, len(p) + 1) for s in combinations(places, size)]
    expected = [all(min(p[j] for j in s) * len(s) <= 0.05 for s in sets if i in s) for i in places]
    assert holm(p).tolist() == expected


@given(p_values, st.randoms())
def test_order_and_relabelling_change_nothing(p: list[float], random):
    order = list(range(len(p)))
    random.shuffle(order)
    shuffled = [p[i] for i in order]
    assert holm(shuffled).tolist() == [holm(p).tolist()[i] for i in order]
    m = len(p)
    equal, full = np.full(m, 1 / m), (np.ones((m, m)) - np.eye(m)) / max(1, m - 1)
    assert graphical(shuffled, equal, full).tolist() == [graphical(p, equal, full).tolist()[i] for i in order]


@given(p_values)
def test_graph_with_equal_shares_is_holm(p: list[float]):
    m = len(p)
    # away from exact ties with a threshold, where the last bit decides
    if min(abs(v * k - 0.05) for v in p for k in range(1, m + 1)) > 1e-9:
        full = (np.ones((m, m)) - np.eye(m)) / max(1, m - 1)
        assert graphical(p, np.full(m, 1 / m), full).tolist() == holm(p).tolist()


@given(p_values)
def test_graph_as_a_chain_is_a_fixed_order(p: list[float]):
    m = len(p)
    chain = np.eye(m, k=1)
    first = next((i for i, value in enumerate(p) if value > 0.05), m)
    assert graphical(p, np.eye(m)[0], chain).tolist() == [i < first for i in range(m)]


def test_graph_of_two_primary_and_two_secondary_endpoints():
    """Bretz et al. 2009, figure 3 design: primary hands alpha to its secondary, that to the other primary."""
    graph = [[0, 0, 1, 0], [0, 0, 0, 1], [0, 1, 0, 0], [1, 0, 0, 0]]
    weights = [0.5, 0.5, 0, 0]
    # H1 at .025, then H3 at .025, its alpha to H2: .05 >= .04, then H4 at .05
    assert graphical([0.02, 0.04, 0.01, 0.05], weights, graph).tolist() == [True, True, True, True]
    assert graphical([0.02, 0.04, 0.03, 0.05], weights, graph).tolist() == [True, False, False, False]
    assert graphical([0.03, 0.03, 0.0, 0.0], weights, graph).tolist() == [False] * 4


@pytest.mark.parametrize(
    ("weights", "graph"),
    [
        ([0.6, 0.6], np.zeros((2, 2))),
        ([0.5, 0.5], np.eye(2)),
        ([1.0], np.zeros((2, 2))),
        ([-0.1, 1], np.zeros((2, 2))),
    ],
)
def test_graphs_that_give_away_more_than_alpha_are_refused(weights: list[float], graph: np.ndarray):
    with pytest.raises(ValueError):
        graphical([0.01, 0.02], weights, graph)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=6))
def test_e_holm_rejects_while_the_largest_is_enough(e: list[float]):
    expected = [False] * len(e)
    for rank, place in enumerate(sorted(range(len(e)), key=lambda i: -e[i])):
        if e[place] * 0.05 < (len(e) - rank) * (1 - 1e-12):
            break
        expected[place] = True
    assert e_holm(e).tolist() == expected


@pytest.mark.parametrize("bad", [[-0.1], [1.2], [float("nan")], [[0.1, 0.2]]])
def test_what_is_no_p_value_is_refused(bad: list[float]):
    with pytest.raises(ValueError, match="p-values"):
        holm(bad)
    with pytest.raises(ValueError, match="e-values"):
        e_holm([-1.0])
    with pytest.raises(ValueError, match="all pairs"):
        adjusted([0.1, 0.2], "shaffer", 3)
    with pytest.raises(ValueError, match="correction"):
        adjusted([0.1], "none")  # type: ignore[arg-type]


def test_nothing_to_test_rejects_nothing():
    assert holm([]).shape == e_holm([]).shape == (0,)
    assert nulls_left(1) == ()


def test_nulls_left_are_those_of_shaffer():
    """Shaffer 1986, table 1: possible numbers of true equalities among 3, 4 and 5 means."""
    assert nulls_left(3) == (3, 1, 1)
    assert nulls_left(4) == (6, 3, 3, 3, 2, 1)
    assert nulls_left(5) == (10, 6, 6, 6, 6, 4, 4, 3, 2, 1)


@pytest.mark.parametrize("policies", [2, 3, 4, 5])
def test_nulls_left_by_listing_all_partitions(policies: int):
    pairs = list(combinations(range(policies), 2))
    counts = {sum(group[i] == group[j] for i, j in pairs) for group in np.ndindex(*[policies] * policies)}
    assert nulls_left(policies) == tuple(max(c for c in counts if c <= len(pairs) - k) for k in range(len(pairs)))


@pytest.mark.parametrize("means", [(0, 0, 0), (0, 0, 0.9), (0, 0.9, 0.9)])
@pytest.mark.parametrize("correction", ["holm", "shaffer"])
def test_family_wise_error_is_kept(means: tuple[float, ...], correction: str):
    """Three policies whose estimates share a scene effect and their own noise; z-tests on all pairs."""
    rng, runs, wrong = np.random.default_rng(3), 2000, 0
    pairs = list(combinations(range(3), 2))
    from scipy.stats import norm

    for draw in rng.normal(means, 0.3, (runs, 3)):
        p = [2 * norm.sf(abs(draw[i] - draw[j]) / (0.3 * np.sqrt(2))) for i, j in pairs]
        rejected = adjusted(p, correction, 3) <= 0.05
        wrong += any(r and means[i] == means[j] for r, (i, j) in zip(rejected, pairs, strict=True))
    assert wrong / runs <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)


names_and_pairs = st.integers(1, 7).flatmap(
    lambda n: st.tuples(st.just(n), st.sets(st.sampled_from([*combinations(range(n), 2)] or [(0, 0)]), max_size=21))
)


@given(names_and_pairs, st.randoms())
def test_policies_share_a_letter_exactly_when_no_difference_was_shown(drawn: tuple[int, set[tuple[int, int]]], random):
    count, chosen = drawn
    names = [f"policy {i}" for i in range(count)]
    pairs = [(names[i], names[j]) for i, j in chosen if i != j]
    found = letters(names, pairs)
    assert list(found) == names and found[names[0]].startswith("a") and all(found.values())
    for first, second in combinations(names, 2):
        assert bool(set(found[first]) & set(found[second])) == ((first, second) not in pairs)
    random.shuffle(pairs)
    assert letters(names, [(b, a) for a, b in pairs]) == found


def test_letters_of_the_published_example():
    """Piepho 2004: a chain in which only the ends differ, and a clear winner."""
    assert letters("ABC", [("A", "C")]) == {"A": "a", "B": "ab", "C": "b"}
    assert letters("ABCD", [("A", "B"), ("A", "C"), ("A", "D")]) == {"A": "a", "B": "b", "C": "b", "D": "b"}
    assert letters(["only"], []) == {"only": "a"} and letters([], []) == {}
    many = [f"p{i}" for i in range(60)]
    assert letters(many, combinations(many, 2))["p59"] == "(60)"


@pytest.mark.parametrize("bad", [("A", "A"), ("A", "Z")])
def test_pairs_of_no_two_policies_are_refused(bad: tuple[str, str]):
    with pytest.raises(ValueError):
        letters("AB", [bad])
    with pytest.raises(ValueError, match="twice"):
        letters("AA", [])


def test_pairwise_decisions_agree_with_the_published_letters():
    """TRI LBM 2025: two-sided Barnard at .05 / m agrees on 445 of 471 pairs of at most 300 trials a side."""
    if not TABLE.exists():
        pytest.skip(f"no table at {TABLE}; set ROBOSCALE_TEST_DATA")
    groups = defaultdict(list)
    with TABLE.open() as lines:
        for row in csv.DictReader(lines):
            groups[row["figure"], row["panel"], row["fraction"], row["task"]].append(row)
    pairs = agree = 0
    for rows in groups.values():
        counts = {f"{i} {row['method']}": (int(row["successes"]), int(row["rollouts"])) for i, row in enumerate(rows)}
        published = dict(zip(counts, (row["cld"] for row in rows), strict=True))
        if all(n > 300 for _, n in counts.values()):
            continue
        small = {name: count for name, count in counts.items() if count[1] <= 300}
        assert len(small) == len(counts)  # a group is small or large, so m is that of the publication
        found = compare_many(small, correction="bonferroni")
        for pair in found.pairs:
            pairs += 1
            agree += pair.decided == (not set(published[pair.first]) & set(published[pair.second]))
            shared = set(found.letters[pair.first]) & set(found.letters[pair.second])
            assert pair.decided == (not shared)
    assert (pairs, agree) == (471, 445)
    assert agree / pairs >= 0.94


def test_verdict_on_three_policies_in_words():
    found = compare_many({"old": (28, 50), "new": (46, 50), "newer": (47, 50)})
    assert found.names == ("newer", "new", "old") and found.best == ("newer", "new")
    assert found.letters == {"newer": "a", "new": "a", "old": "b"}
    assert found.sentence == (
        "2 of 3 pairs differ at family-wise error 0.05: newer is better than old; new is better than old. "
        "Not shown to differ: newer and new"
    )
    assert [(pair.first, pair.second) for pair in found.undecided] == [("newer", "new")]
    p = barnard((28, 50), (46, 50))
    by_pair = {(pair.first, pair.second): pair.verdict for pair in found.pairs}
    assert by_pair["new", "old"].p_value == pytest.approx(2 * p)
    assert json.loads(json.dumps(found.to_json()))["letters"]["old"] == "b"


def test_of_many_pairs_a_sentence_says_how_many_and_which_comes_first():
    """Twenty policies of a public table filled 240 lines of a terminal with the names of 182 pairs."""
    counts = {f"p{k}": (won, 40) for k, won in enumerate((40, 39, 30, 12, 11, 10, 9, 8, 7, 6))}
    found = compare_many(counts)
    assert len(found.undecided) > 6 and len(found.sentence) < 500
    assert "p0 is better than p2, p3, p4, p5, p6 and 3 more" in found.sentence
    rest = found.sentence.partition("Not shown to differ: ")[2]
    needed = [p.verdict.needed for p in found.undecided if p.verdict.needed]
    assert rest.startswith(f"{len(found.undecided)} pairs, those that share a letter; soonest told apart: ")
    assert f"about {min(needed)} trials each" in rest and rest.count(" and ") == 1


def test_what_an_undecided_pair_would_need_is_named():
    found = compare_many({"A": (33, 50), "B": (40, 50), "C": (5, 50)})
    (pair,) = found.undecided
    assert 100 < pair.verdict.needed < 250
    assert f"A (a new comparison of about {pair.verdict.needed} trials each would tell)" in found.sentence


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 12), st.integers(12, 25)), min_size=1, max_size=4), st.randoms())
def test_order_of_policies_changes_nothing(rows: list[tuple[int, int]], random):
    counts = {f"p{i}": row for i, row in enumerate(rows)}
    shuffled = list(counts.items())
    random.shuffle(shuffled)
    assert compare_many(dict(shuffled)) == compare_many(counts)


def test_one_policy_none_or_no_trials_is_said():
    assert compare_many({"A": (3, 5)}).sentence == "A is the only policy: nothing to compare"
    assert compare_many({}).sentence == "No policy was given"
    found = compare_many({"A": (3, 5), "B": (0, 0), "C": (0, 0)})
    assert found.letters == {"A": "a", "B": "a", "C": "a"}
    assert found.sentence.endswith("No trials of B and C") and found.estimates["B"].low is None
    assert all(pair.verdict.needed is None and pair.verdict.p_value == 1.0 for pair in found.pairs)


def test_same_cases_tell_more_than_the_counts():
    hard = [True] * 20 + [False] * 20
    better = [True] * 28 + [False] * 12
    outcomes = {"A": hard, "B": better}
    paired = compare_many_paired(outcomes)
    apart = compare_many({name: (sum(row), 40) for name, row in outcomes.items()})
    assert paired.pairs[0].decided and not apart.pairs[0].decided
    assert paired.pairs[0].verdict.p_value == pytest.approx(2 / 2**8)
    with pytest.raises(ValueError, match="one outcome per case"):
        compare_many_paired({"A": hard, "B": better[:-1]})


@settings(max_examples=25, deadline=None)
@given(cases, st.permutations([0, 1, 2]), st.randoms())
def test_order_of_cases_and_void_cases_change_nothing_at_a_fixed_number(rows, order, random):
    names = ["A", "B", "C"]
    plain = compare_many_paired({name: [row[i] for row in rows] for i, name in enumerate(names)})
    dirty = [*rows, (None, None, None)]
    random.shuffle(dirty)
    other = compare_many_paired({names[i]: [row[i] for row in dirty] for i in order})
    assert (plain.letters, plain.names, plain.best) == (other.letters, other.names, other.best)
    assert [p.verdict.p_value for p in plain.pairs] == [p.verdict.p_value for p in other.pairs]


def feed(rule: SequentialMany, rows: list[tuple[bool | None, ...]], skip: bool = True):
    used = 0
    for row in rows:
        used += 1
        wanted = rule.active if skip else rule.names
        if rule.update({name: value for name, value in zip(rule.names, row, strict=True) if name in wanted}):
            break
    return used


def simulated(rates: tuple[float, ...], count: int, seed: int):
    rng = np.random.default_rng(seed)
    return [tuple(bool(u < rate) for u, rate in zip(rng.random(len(rates)), rates, strict=True)) for _ in range(count)]


@pytest.mark.parametrize("budget", [60, None])
@settings(max_examples=20, deadline=None)
@given(rows=st.lists(st.tuples(st.booleans(), st.booleans()), max_size=60))
def test_with_two_policies_it_is_the_paired_rule(budget: int | None, rows: list[tuple[bool, bool]]):
    from roboscale.core import PairedOutcome

    two = SequentialPaired(budget=budget) if budget else EProcessPaired()
    many = SequentialMany(["A", "B"], budget=budget)
    for row in rows:
        assert many.update(dict(zip("AB", row, strict=True))) == two.update(PairedOutcome("", *row))
    ours = {(p.first, p.second): p.verdict for p in many.verdict().pairs}
    theirs = two.verdict()
    flip = {"first is better": "second is better", "second is better": "first is better"}
    found = (
        ours["A", "B"].decision if ("A", "B") in ours else flip.get(ours["B", "A"].decision, ours["B", "A"].decision)
    )
    assert found == theirs.decision


@pytest.mark.parametrize("budget", [100, None])
@pytest.mark.parametrize("correction", ["holm", "shaffer"])
def test_a_bad_policy_is_dropped_and_the_close_ones_go_on(budget: int | None, correction: str):
    rule = SequentialMany(["good", "fine", "bad"], budget=budget, correction=correction)
    rows = simulated((0.9, 0.85, 0.1), 60, 1)
    feed(rule, rows)
    assert rule.active == ("good", "fine")
    found = rule.verdict()
    assert found.letters["bad"] == "b" and set(found.best) == {"good", "fine"}
    assert found.estimates["bad"].n < 30 <= found.estimates["good"].n == 60
    (open_pair,) = found.undecided
    assert open_pair.verdict.decision == "undecided"
    rule.finish()
    assert rule.active == () and rule.verdict().undecided[0].verdict.decision == "no difference shown"
    assert rule.update({"good": True}) is True


def test_equal_policies_are_given_up_when_no_continuation_can_decide():
    stopped = SequentialMany("ABC", budget=60)
    used = feed(stopped, simulated((0.5, 0.5, 0.5), 60, 4))
    whole = SequentialMany("ABC", budget=60, curtail=False)
    assert feed(whole, simulated((0.5, 0.5, 0.5), 60, 4)) == 60 > used
    assert stopped.verdict().letters == {"A": "a", "B": "a", "C": "a"}
    assert all(pair.verdict.decision == "no difference shown" for pair in stopped.verdict().pairs)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(*[st.sampled_from([True, True, False])] * 3), min_size=40, max_size=40))
def test_giving_up_never_changes_a_decision(rows: list[tuple[bool, ...]]):
    """With all policies tried on all 40 cases, the claims are those of the rule that gives nothing up."""
    early, whole = SequentialMany("ABC", budget=40), SequentialMany("ABC", budget=40, curtail=False)
    feed(early, rows)
    feed(whole, rows)
    assert early._decisions == whole._decisions


def test_shaffer_decides_no_later_than_holm():
    for seed in range(5):
        rows = simulated((0.9, 0.5, 0.3), 150, seed)
        used = {
            correction: feed(SequentialMany("ABC", budget=150, correction=correction), rows)
            for correction in ("shaffer", "holm")
        }
        assert used["shaffer"] <= used["holm"]


@pytest.mark.parametrize("budget", [40, None])
@settings(max_examples=20, deadline=None)
@given(rows=cases)
def test_relabelling_and_void_cases_change_nothing(budget: int | None, rows):
    names = ("A", "B", "C")
    plain = SequentialMany(names, budget=budget)
    feed(plain, rows, skip=False)
    expected = plain.verdict()
    for order in list(permutations(range(3)))[1:3]:
        other = SequentialMany([names[i] for i in order], budget=budget)
        feed(other, [(None,) * 3, *(tuple(row[i] for i in order) for row in rows)], skip=False)
        found = other.verdict()
        assert (found.letters, found.best, found.sentence) == (expected.letters, expected.best, expected.sentence)
        assert [p.verdict.decision for p in found.pairs] == [p.verdict.decision for p in expected.pairs]
        assert [p.verdict.p_value for p in found.pairs] == [p.verdict.p_value for p in expected.pairs]


def test_levels_are_nested_and_never_above_alpha():
    from roboscale.stats.walk import Boundary, null_crossing

    running, final, _ = _levels(50, 0.05, 6)
    assert (np.diff(running, axis=0) >= 0).all() and (np.diff(final, axis=0) >= 0).all()
    for k in range(6):
        limit = Boundary(0.05, running[k], final[k], np.zeros(51))
        assert null_crossing(limit).max() <= 0.05 / (k + 1)


@pytest.mark.parametrize("budget", [30, None])
def test_family_wise_error_of_the_rule_with_equal_policies(budget: int | None):
    """Three equal policies, looked at after every case, 400 runs; a claim about any pair is wrong."""
    wrong = 0
    for seed in range(400):
        rule = SequentialMany("ABC", budget=budget, correction="shaffer")
        feed(rule, simulated((0.5, 0.5, 0.5), 30, seed))
        wrong += any(rule._decisions)
    assert wrong / 400 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)


def test_one_policy_no_cases_and_bad_input_are_said():
    one = SequentialMany(["A"])
    assert one.update({"A": True}) is True and one.verdict().sentence.startswith("A is the only policy")
    none = SequentialMany("AB").verdict()
    assert none.estimates["A"].low is None and none.pairs[0].verdict.needed is None
    with pytest.raises(ValueError, match="not among"):
        SequentialMany("AB").update({"Z": True})
    for bad in ({"names": []}, {"names": "AA"}, {"names": "AB", "alpha": 0}, {"names": "AB", "budget": 0}):
        with pytest.raises(ValueError):
            SequentialMany(**bad)
