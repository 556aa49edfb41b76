"""Trials as columns: counts by stratum, cases side by side, and what cannot be said."""

from dataclasses import replace

import numpy as np
import pytest

from roboscale.core import Outcomes, RoboscaleError, Stratum

NAN = float("nan")


def of_rows(rows, paired=True):
    """From (policy, task, case, value)."""
    policies, tasks = (tuple(dict.fromkeys(row[k] for row in rows)) for k in (0, 1))
    policy = np.array([policies.index(row[0]) for row in rows], np.int32)
    return Outcomes(
        kind="success",
        paired=paired,
        policies=policies,
        strata=tuple(Stratum("", task) for task in tasks),
        runs=policies,
        policy=policy,
        stratum=np.array([tasks.index(row[1]) for row in rows], np.int32),
        run=policy,
        case=np.array([row[2] for row in rows], np.int64),
        value=np.array([row[3] for row in rows], np.float64),
        weight=np.ones(len(rows), np.int64),
    )


ROWS = [("A", "lift", 7, 1), ("B", "lift", 7, 0), ("B", "stack", 7, 1), ("A", "stack", 9, NAN), ("A", "stack", 7, 0)]


def test_counts_by_policy_and_stratum():
    won, tried, void = of_rows(ROWS).counts()
    assert won.tolist() == [[1, 0], [0, 1]]
    assert tried.tolist() == [[1, 1], [1, 1]]
    assert void.tolist() == [[0, 1], [0, 0]]


def test_cases_stand_side_by_side_in_the_order_of_the_source():
    strata, values = of_rows(ROWS).by_case(["B", "A"])
    assert strata.tolist() == [0, 1, 1]
    np.testing.assert_array_equal(values, [[0, 1], [1, 0], [NAN, NAN]])


def test_the_same_number_in_two_tasks_is_two_cases():
    strata, values = of_rows([("A", "lift", 1, 1), ("B", "stack", 1, 1)]).by_case()
    assert strata.tolist() == [0, 1]
    np.testing.assert_array_equal(values, [[1, NAN], [NAN, 1]])


def test_millions_are_two_rows():
    many = Outcomes.of_counts({"A": (500_000, 1_000_000), "B": (1_000_000, 1_000_000)}, voids={"B": 3})
    won, tried, void = many.counts()
    assert len(many.value) == 4
    assert (won[:, 0].tolist(), tried[:, 0].tolist(), void[:, 0].tolist()) == (
        [500_000, 1_000_000],
        [1_000_000, 1_000_000],
        [0, 3],
    )


def test_independent_trials_have_no_cases():
    with pytest.raises(RoboscaleError, match="not known"):
        Outcomes.of_counts({"A": (1, 2)}).by_case()


def test_two_trials_of_one_case_are_refused():
    with pytest.raises(RoboscaleError, match="two trials of one case"):
        of_rows([("A", "lift", 1, 1), ("A", "lift", 1, 0)]).by_case()


def test_training_runs_on_one_case_are_averaged():
    rows = of_rows([("A", "lift", 1, 1), ("A", "lift", 1, 0), ("A", "lift", 2, NAN), ("A", "lift", 2, 1)])
    runs = replace(rows, runs=("first", "second"), run=np.array([0, 1, 0, 1], np.int32))
    np.testing.assert_array_equal(runs.by_case()[1], [[0.5], [1.0]])


def test_impossible_counts_and_ragged_columns_are_refused():
    with pytest.raises(RoboscaleError, match="3 of 2"):
        Outcomes.of_counts({"A": (3, 2)})
    good = of_rows(ROWS)
    with pytest.raises(RoboscaleError, match="one length"):
        Outcomes(**{f: getattr(good, f) for f in good.__slots__} | {"case": good.case[:2]})
