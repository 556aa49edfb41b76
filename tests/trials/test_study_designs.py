"""A study's file: what each design needs, what is a mistake, and that older locks still hold."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from roboscale.core import BadData, Design, cases, combine
from roboscale.trials import Schedule
from roboscale.trials.study import Study, StudyLock

HEAD = """
title = "T"
question = "Q?"
robot = "arm.toml"
tasks = ["reach"]
"""
ARMS = '[[arms]]\nname = "a{0}"\npolicy = "p.py:f{0}"\n'


def study(path: Path, keys: str, arms: int = 2) -> Study:
    file = path / "study.toml"
    file.write_text(HEAD + keys + "\n" + "".join(ARMS.format(k) for k in range(arms)))
    return Study.load(file)


@pytest.mark.parametrize(
    ("keys", "arms", "wanted"),
    [
        ('design = "one arm"\nthreshold = 0.8', 1, {"kind": "one arm", "threshold": 0.8}),
        ('design = "best arm"\nindifference = 0.1', 3, {"kind": "best arm", "margin": 0.1}),
        ('design = "crossover"\nsequential = false', 2, {"kind": "crossover"}),
        ('design = "ladder"', 4, {"kind": "ladder"}),
        ("", 2, {}),
    ],
)
def test_a_study_says_how_it_is_decided(tmp_path: Path, keys: str, arms: int, wanted):
    made = study(tmp_path, "cases = 20\n" + keys, arms)
    expected = Design(budget=20, **{"sequential": wanted.get("kind") != "crossover", **wanted})
    assert made.decided_by == expected


@pytest.mark.parametrize(
    ("keys", "arms", "said"),
    [
        ("cases = 4", 1, r'arms: expected at least two, or design = "one arm" with a threshold, found 1'),
        (
            'cases = 4\ndesign = "one arm"',
            1,
            "threshold: expected a number between 0 and 1 where the design is one arm",
        ),
        ('cases = 4\ndesign = "one arm"\nthreshold = 0.8', 2, "arms: expected one where one arm"),
        ("cases = 4\nthreshold = 0.8", 2, "threshold: expected only of one arm, found 0.8"),
        ('cases = 4\ndesign = "best arm"', 2, "indifference: expected a number between 0 and 1"),
        ('cases = 4\ndesign = "crossover"\nsequential = false', 3, "arms: expected two of a crossover, found 3"),
        ('cases = 4\ndesign = "crossover"', 2, "sequential: expected false: a crossover is tested once"),
        ('cases = 5\ndesign = "crossover"\nsequential = false', 2, "cases: expected an even number"),
        ('cases = 4\ndesign = "ladder"\noutcome = "progress"\nstages = ["s"]', 2, "outcome: expected success"),
        ('cases = 4\ndesign = "latin square"', 2, "design"),
    ],
)
def test_what_a_design_does_not_have_is_one_clear_line(tmp_path: Path, keys: str, arms: int, said: str):
    with pytest.raises(BadData, match=said):
        study(tmp_path, keys, arms)


def test_a_study_that_was_locked_before_there_were_designs_still_holds(tmp_path: Path):
    made = study(tmp_path, "cases = 20")
    assert not {"design", "threshold", "indifference"} & set(made.content)
    assert made.digest == hashlib.sha256(json.dumps(made.content, sort_keys=True).encode()).hexdigest()
    lock = StudyLock.make(tmp_path / "study.toml")
    changed = study(tmp_path, 'cases = 20\nsequential = false\ndesign = "crossover"')
    assert 'design: null -> "crossover"' in lock.changes(changed)


def test_half_of_the_cases_of_a_crossover_begin_with_either_arm_and_nobody_knows_which():
    first, second = combine("first", 1), combine("second", 2)
    seen = set()
    for order in range(12):
        made = Schedule(policies=(first, second), cases=cases("t", 10, 0, "eval"), order=order, balanced=True)
        begins = [policy for k, (_, policy) in enumerate(made.pairs()) if k % 2 == 0]
        assert begins.count(first) == begins.count(second) == 5
        seen.add(tuple(begins))
    assert len(seen) > 8
