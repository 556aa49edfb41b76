"""A candidate against the policy before it: verdicts, what they promise, and which trials are compared how."""

import numpy as np
import pytest
from scipy.stats import binomtest, permutation_test, ttest_ind

from roboscale.core import Outcomes, RoboscaleError, Stratum
from roboscale.stats.barnard import barnard
from roboscale.stats.checkup import check_candidate


def outcomes(rows, *, paired=True, kind="success", policies=("old", "new"), runs=None) -> Outcomes:
    """Rows are (policy, task, case, value) or with a run as the fifth."""
    tasks = list(dict.fromkeys(row[1] for row in rows))
    names = list(runs or policies)
    return Outcomes(
        kind=kind,
        paired=paired,
        policies=tuple(policies),
        strata=tuple(Stratum("", task) for task in tasks),
        runs=tuple(names),
        policy=np.array([policies.index(row[0]) for row in rows], np.int32),
        stratum=np.array([tasks.index(row[1]) for row in rows], np.int32),
        run=np.array([names.index(row[4] if len(row) > 4 else row[0]) for row in rows], np.int32),
        case=np.array([row[2] for row in rows], np.int64),
        value=np.array([row[3] for row in rows], np.float64),
        weight=np.ones(len(rows), np.int64),
    )


def of_rates(tasks: dict[str, tuple[int, int]], n: int = 20, paired: bool = False) -> Outcomes:
    rows = [
        (name, task, case, float(case < won))
        for task, both in tasks.items()
        for name, won in zip(("old", "new"), both, strict=True)
        for case in range(n)
    ]
    return outcomes(rows, paired=paired)


def test_the_four_words():
    found = check_candidate(
        of_rates({"lift": (18, 6), "pour": (9, 9), "stack": (11, 6), "open": (5, 17)}), ["old", "new"]
    )
    assert {c.stratum.task: c.verdict for c in found.checks} == {
        "lift": "worse",
        "pour": "held",
        "stack": "suspect",
        "open": "improved",
    }
    assert [c.verdict for c in found.checks] == ["worse", "suspect", "held", "improved"]
    lift = found.checks[0]
    assert lift.p_value == barnard((18, 20), (6, 20)) and lift.design == "independent" and lift.difference.high < 0


def test_the_same_cases_are_paired_and_few_shared_ones_are_not():
    rng = np.random.default_rng(0)
    rows = [
        (name, "t", case, float(rng.uniform() < rate))
        for name, rate in (("old", 0.7), ("new", 0.5))
        for case in range(40)
    ]
    (paired,) = check_candidate(outcomes(rows), ["old", "new"]).checks
    values = np.array([row[3] for row in rows]).reshape(2, 40)
    won, lost = int(((values[0] == 0) & (values[1] == 1)).sum()), int(((values[0] == 1) & (values[1] == 0)).sum())
    assert paired.design == "paired" and paired.p_value == pytest.approx(binomtest(won, won + lost).pvalue)
    moved = [(name, task, case + (35 if name == "new" else 0), value) for name, task, case, value in rows]
    (alone,) = check_candidate(outcomes(moved), ["old", "new"]).checks
    assert alone.design == "independent" and alone.difference.value == pytest.approx(paired.difference.value)
    twice = [*rows, ("new", "t", 0, 1.0)]
    assert check_candidate(outcomes(twice), ["old", "new"]).checks[0].design == "independent"


def mean_gap(x, y, axis):
    return x.mean(axis=axis) - y.mean(axis=axis)


def test_progress_is_compared_as_progress():
    rng = np.random.default_rng(1)
    old, new = rng.choice([0, 0.25, 0.5, 0.75], 30), rng.choice([0.25, 0.5, 0.75], 30)
    rows = [("old", "t", k, v) for k, v in enumerate(old)] + [("new", "t", k, v) for k, v in enumerate(new)]
    (paired,) = check_candidate(outcomes(rows, kind="progress"), ["old", "new"]).checks
    flipped = permutation_test((new, old), mean_gap, permutation_type="samples", vectorized=True, rng=0)
    assert paired.p_value == pytest.approx(flipped.pvalue, abs=0.02)
    (apart,) = check_candidate(outcomes(rows, kind="progress", paired=False), ["old", "new"]).checks
    known = ttest_ind(new, old, equal_var=False)
    low, high = known.confidence_interval()
    dealt = permutation_test((new, old), mean_gap, vectorized=True, rng=0)
    assert apart.p_value == pytest.approx(dealt.pvalue, abs=0.02)
    assert (apart.difference.low, apart.difference.high) == (pytest.approx(low), pytest.approx(high))


def test_three_runs_a_side_are_what_is_compared():
    rng = np.random.default_rng(2)
    runs = [f"{name}-{k}" for name in ("old", "new") for k in range(3)]
    rates = dict(zip(runs, (0.5, 0.7, 0.9, 0.4, 0.6, 0.8), strict=True))
    rows = [
        (run.split("-")[0], "t", 1000 * k + case, float(rng.uniform() < rates[run]), run)
        for k, run in enumerate(runs)
        for case in range(400)
    ]
    (check,) = check_candidate(outcomes(rows, runs=runs, paired=False), ["old", "new"]).checks
    # 1,200 trials a side would call ten points a fall; three runs a side cannot
    assert check.design == "training runs" and check.verdict == "held" and check.p_value > 0.3
    as_one = outcomes([row[:4] for row in rows], paired=False)
    assert check_candidate(as_one, ["old", "new"]).checks[0].verdict == "worse"


def test_the_newest_earlier_policy_with_the_task_is_what_it_is_held_against():
    rows = [("a", "t", 0, 1.0), ("b", "t", 0, 1.0), ("a", "u", 0, 1.0), ("c", "t", 0, 1.0), ("c", "u", 0, 1.0)]
    rows += [("c", "v", 0, 1.0), ("b", "w", 0, 0.0), ("d", "x", 0, 0.0)]
    found = check_candidate(outcomes(rows, policies=("a", "b", "c", "d")), ["d", "a", "b", "c"])
    assert {c.stratum.task: c.before for c in found.checks} == {"t": "b", "u": "a"}
    assert [s.task for s in found.first_seen] == ["v"] and {s.task for s in found.not_tried} == {"w", "x"}
    assert found.others == ("d",)
    with pytest.raises(RoboscaleError, match="one policy only"):
        check_candidate(outcomes(rows, policies=("a", "b", "c", "d")), ["c"])


def test_claims_are_rarely_false_and_suspicion_is_one_in_ten():
    rng = np.random.default_rng(3)
    false, suspect, tasks = 0, 0, 0
    for _ in range(150):
        rates = {f"t{k}": tuple(int(x) for x in rng.binomial(20, 0.6, 2)) for k in range(8)}
        found = check_candidate(of_rates(rates), ["old", "new"])
        false += found.count("worse") + found.count("improved") > 0
        suspect, tasks = suspect + found.count("suspect"), tasks + 8
    assert false / 150 <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 150)
    assert 0.03 < suspect / tasks < 0.13
