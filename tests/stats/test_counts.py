"""Plain counts: against brute force, other formulas, and each other."""

import json
from math import comb

import numpy as np
import pytest

from roboscale.jobs.count import WeighCounts, parse_counts, weigh_counts
from roboscale.stats.barnard import EXACT_SIDE, barnard
from roboscale.stats.counts import compare_counts, mid_p_test, trials_for_width
from roboscale.stats.judged_counts import judge_counts, outcomes_of_counts
from roboscale.stats.overall import compare_policies
from roboscale.stats.proportions import clopper_pearson


def one_task(**counts):
    return judge_counts({"": counts}).tasks[0]


def test_the_example_that_everybody_asks():
    task = one_task(A=(12, 20), B=(17, 20))
    (pair,) = task.pairs
    assert (task.rates["A"].low, task.rates["A"].high) == pytest.approx((0.360543, 0.808810), abs=1e-6)
    assert (pair.difference.low, pair.difference.high) == pytest.approx((-0.027682, 0.484690), abs=1e-6)
    assert pair.p_value == barnard((12, 20), (17, 20)) and pair.decision == "no difference shown"
    assert pair.needed == 56 and pair.rise == 0.35


def test_order_and_names_change_nothing_but_the_sign():
    (one,), (other,) = one_task(A=(3, 10), B=(9, 10)).pairs, one_task(B=(9, 10), A=(3, 10)).pairs
    assert one.p_value == other.p_value and one.decision == "second is better" and other.decision == "first is better"
    assert one.difference.value == -other.difference.value and one.difference.low == pytest.approx(
        -other.difference.high
    )


def test_all_tests_of_a_call_share_one_error():
    alone = one_task(A=(5, 20), B=(12, 20)).pairs[0]
    assert alone.decision == "second is better" and alone.p_value > 0.01
    same = {f"task {k}": {"A": (5, 20), "B": (12, 20)} for k in range(5)}
    many = judge_counts(same)
    assert many.comparisons == 5
    assert [p.adjusted for t in many.tasks for p in t.pairs] == pytest.approx([5 * alone.p_value] * 5)
    assert all(p.decision == "no difference shown" for t in many.tasks for p in t.pairs)
    # five tasks that say the same are one claim over all of them
    assert many.overall[0].decision == "second is better" and many.overall[0].adjusted < 0.001


def test_unequal_mixes_of_tasks_make_no_overall_claim():
    """Pooled, `ours` has 47 of 60 and the baseline 30 of 60; on both tasks the baseline is better."""
    counts = {"easy": {"ours": (45, 50), "base": (10, 10)}, "hard": {"ours": (2, 10), "base": (20, 50)}}
    (pair,) = judge_counts(counts).overall
    assert pair.difference.value > 0 and pair.better_on == ("easy", "hard") and pair.decision != "first is better"


def test_a_table_of_the_same_counts_gets_the_same_claims():
    rng = np.random.default_rng(5)
    for _ in range(20):
        counts = {t: {p: (int(rng.binomial(20, rng.uniform())), 20) for p in "ABC"} for t in ("lift", "pour")}
        ours, theirs = judge_counts(counts), compare_policies(outcomes_of_counts(counts))
        claimed = {
            (p.second, p.first) if p.decision == "second is better" else (p.first, p.second)
            for p in ours.overall
            if "better" in p.decision
        }
        assert claimed == {
            (p.second, p.first) if p.verdict.decision == "second is better" else (p.first, p.second)
            for p in theirs.verdict.pairs
            if p.decided
        }


def test_opposite_signs_are_no_overall_statement():
    counts = {"carrot": {"A": (86, 200), "B": (57, 200)}, "spoon": {"A": (56, 200), "B": (90, 200)}}
    done = weigh_counts(*(f"{t}:{p}={k}/{n}" for t, policies in counts.items() for p, (k, n) in policies.items()))
    (pair,) = done.judged.overall
    assert pair.opposite and pair.decision == "no difference shown"
    said = " ".join(str(done).split())
    assert "better on spoon, worse on carrot: no overall statement" in said


@pytest.mark.parametrize("first, second", [((2, 7), (6, 9)), ((0, 5), (5, 5)), ((3, 3), (1, 4))])
def test_mid_p_against_a_sum_of_whole_numbers(first, second):
    (k0, n0), (k1, n1) = first, second
    total = k0 + k1
    ways = {x: comb(n1, x) * comb(n0, total - x) for x in range(n1 + 1) if 0 <= total - x <= n0}
    below = sum(w for x, w in ways.items() if x < k1) + ways[k1] / 2
    above = sum(w for x, w in ways.items() if x > k1) + ways[k1] / 2
    assert mid_p_test(first, second) == pytest.approx(min(1.0, 2 * min(below, above) / sum(ways.values())))


def test_counts_of_a_million_are_quick_and_say_which_test():
    p_value, method = compare_counts((500_000, 10**6), (502_000, 10**6))
    assert "mid-p" in method and p_value == pytest.approx(0.00468, abs=1e-4)
    assert "unconditional" in compare_counts((1, EXACT_SIDE), (2, EXACT_SIDE))[1]


def test_how_many_trials_narrow_an_interval():
    n = trials_for_width(0.6, 0.1)
    e = clopper_pearson(round(0.6 * n), n)
    assert (e.high - e.low) / 2 <= 0.1 and n == 100


def test_false_claims_stay_rare():
    rng = np.random.default_rng(0)
    wrong = 0
    for _ in range(400):
        counts = {name: (int(rng.binomial(15, 0.6)), 15) for name in "ABC"}
        wrong += any("better" in pair.decision for pair in judge_counts({"": counts}).tasks[0].pairs)
    assert wrong / 400 <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 400)


def test_how_counts_are_written():
    assert parse_counts(("12/20", "17/20")) == {"": {"A": (12, 20), "B": (17, 20)}}
    assert parse_counts(("lift:ours=3/5", "pour:ours=4/5")) == {"lift": {"ours": (3, 5)}, "pour": {"ours": (4, 5)}}
    assert parse_counts(("lift:3/5", "lift:4/5", "7/9")) == {
        "lift": {"A": (3, 5), "B": (4, 5)},
        "": {"A": (7, 9)},
    }


def test_the_text_is_short_and_says_the_unit():
    done = weigh_counts("old=12/20", "new=17/20")
    said = str(done)
    assert "new − old: +25 points [−3, +48]; not shown to differ (p 0.11)" in said
    assert "one training run each" in said and said.count("Barnard") == 1 and len(done.lines) <= 12
    json.dumps(done.to_json(), allow_nan=False)


def test_many_policies_are_not_printed_pair_by_pair():
    done = weigh_counts(*(f"{k}/20" for k in range(1, 20)))
    assert len(done.lines) < 60 and "pairs differ" in str(done)


def test_a_policy_that_misses_a_task_is_named():
    notes = []
    weigh_counts(WeighCounts(counts=("a:A=1/2", "a:B=1/2", "b:A=2/2")), on_event=notes.append)
    assert [note.text for note in notes] == ["b: no count of B, not compared there"]
