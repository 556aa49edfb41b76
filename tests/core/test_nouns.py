"""Actions, chunks, cases, seeds and the JSON forms of the nouns."""

import json
import math

import numpy as np
import pytest

from roboscale.core import (
    ActionChunk,
    BadData,
    Case,
    Estimate,
    Field,
    Finding,
    Outcome,
    PolicyError,
    Provenance,
    SuccessRule,
    cases,
    check_action,
    derive_seed,
)

ACTION = Field("action", (3,), "float32", low=(-1.0, -1.0, 0.0), high=(1.0, 1.0, 2.0))


def test_a_finite_action_out_of_range_is_clipped_and_counted():
    applied, clipped = check_action(np.array([2.0, -3.0, 1.0]), ACTION)
    assert clipped and applied.tolist() == [1.0, -1.0, 1.0] and applied.dtype == np.float32
    assert check_action(np.array([0.5, 0.5, 0.5]), ACTION)[1] is False


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (np.array([np.nan, 0, 0]), "expected finite"),
        (np.array([np.inf, 0, 0]), "expected finite"),
        (np.zeros(4), r"expected shape \[3\], found \[4\]"),
        (np.zeros((1, 3)), r"found \[1, 3\]"),
        (np.array(["a", "b", "c"]), "expected float32"),
    ],
)
def test_what_is_no_action_is_the_policys_error(action: np.ndarray, message: str):
    with pytest.raises(PolicyError, match=message):
        check_action(action, ACTION)


CHOICE = Field("action", (1,), "int64", low=(0.0,), high=(4.0,))


@pytest.mark.parametrize(
    ("action", "applied", "clipped"), [([2], 2, False), ([2.0], 2, False), ([9.0], 4, True), ([-3], 0, True)]
)
def test_a_whole_number_may_come_as_a_float(action: list[float], applied: int, clipped: bool):
    taken, was_clipped = check_action(np.array(action), CHOICE)
    assert (taken.tolist(), taken.dtype, was_clipped) == ([applied], np.int64, clipped)


@pytest.mark.parametrize("action", [0.7, 1e-9, np.nan, np.inf])
def test_a_fraction_is_no_choice(action: float):
    with pytest.raises(PolicyError, match="expected whole numbers|expected finite"):
        check_action(np.array([action]), CHOICE)


def test_integers_without_bounds_stay_as_they_are():
    free = Field("action", (2,), "int64")
    assert check_action(np.array([2**40, -7]), free)[0].tolist() == [2**40, -7]


def test_chunk_rows_are_those_to_execute():
    actions = np.arange(12.0).reshape(4, 3)
    assert ActionChunk(actions, 2).rows.tolist() == actions[:2].tolist()
    assert len(ActionChunk(actions).rows) == 4


@pytest.mark.parametrize(
    "chunk", [ActionChunk(np.zeros(3)), ActionChunk(np.zeros((0, 3))), ActionChunk(np.zeros((2, 3)), 3)]
)
def test_a_chunk_that_is_none_is_refused(chunk: ActionChunk):
    with pytest.raises(PolicyError):
        _ = chunk.rows


def test_cases_of_different_splits_share_no_seed():
    splits = {split: {c.seed for c in cases("t", 300, 0, split)} for split in ("collect", "generate", "eval")}
    assert not (splits["eval"] & (splits["collect"] | splits["generate"])) and len(splits["eval"]) == 300


def test_cases_can_be_continued():
    assert cases("t", 5, 0, "eval")[3:] == cases("t", 2, 0, "eval", first=3)


def test_seeds_are_stable_across_versions():
    assert derive_seed("case", "eval", 0, "reach-v3", 0) == 1746094093


def test_outcome_and_provenance_survive_json():
    outcome = Outcome(
        "failure",
        "late",
        progress=0.5,
        steps=7,
        terminated=False,
        truncated=True,
        measures={"peak_force": 3.0, "dropped": None},
    )
    assert Outcome.from_json(outcome.to_json()) == outcome
    known = Provenance("simulation.generate", parents=("a", "b"), details={"k": [1]})
    assert Provenance.from_json(known.to_json()) == known


def test_a_number_that_is_none_is_another_thing_than_no_measurement():
    said = Outcome("failure", measures={"force": math.nan, "speed": -math.inf, "height": None, "width": 0.5}).to_json()
    assert said["measures"] == {"force": "nan", "speed": "-inf", "height": None, "width": 0.5}
    read = Outcome.from_json(json.loads(json.dumps(said, allow_nan=False))).measures
    assert math.isnan(read["force"]) and read["speed"] == -math.inf
    assert read["height"] is None and read["width"] == 0.5
    finding = Finding("jump", "error", "a jump", evidence={"sides": [math.nan, np.float32(2)], "claimed": None})
    kept = Finding.from_json(json.loads(json.dumps(finding.to_json(), allow_nan=False)))
    assert kept.evidence == {"sides": ["nan", 2.0], "claimed": None}


def test_void_is_neither_success_nor_failure():
    assert Outcome("void", "server hung").success is None


@pytest.mark.parametrize(
    ("rule", "streak", "finishes", "succeeded"),
    [
        (SuccessRule("first"), 1, True, True),
        (SuccessRule("end"), 5, False, True),
        (SuccessRule("end"), 0, False, False),
        (SuccessRule("hold", 3), 2, False, False),
        (SuccessRule("hold", 3), 3, True, True),
    ],
)
def test_success_rules(rule: SuccessRule, streak: int, finishes: bool, succeeded: bool):
    assert (rule.finishes(streak), rule.succeeded(streak)) == (finishes, succeeded)


def test_an_estimate_without_data_says_so():
    assert (
        str(Estimate(value=None, low=None, high=None, level=0.95, n=0, method="CP", void=2)) == "no data (n=0, 2 void)"
    )
    assert "0.50 [0.10..0.90] (n=4, 1 void, 95 %, CP)" in str(
        Estimate(value=0.5, low=0.1, high=0.9, level=0.95, n=4, method="CP", void=1)
    )


def test_outcomes_of_earlier_versions_are_read():
    data = {"status": "failure", "damage": {"peak_force_n": 3.0, "dropped": True, "off_table": None}}
    assert Outcome.from_json(data).measures == {"peak_force": 3.0, "dropped": 1.0, "off_table": None}


@pytest.mark.parametrize("case", [Case("t", 7), Case("t", "episode:ab@3"), Case("t", "picture:ff", "light:2")])
def test_the_id_of_a_case_says_all_of_it(case: Case):
    assert Case.parse(case.id) == case


@pytest.mark.parametrize("text", ["", "t", "t/nominal", "t//3", "/nominal/3", "t/nominal/"])
def test_what_is_no_case_is_refused(text: str):
    with pytest.raises(BadData, match="task/variation/start"):
        Case.parse(text)
