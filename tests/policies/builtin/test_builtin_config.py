"""The settings of a training run and the sentences it is told."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roboscale.core import BadData, RoboscaleError, UnknownName
from roboscale.jobs.training import training_config
from roboscale.policies.builtin import TrainConfig
from roboscale.policies.builtin.sentences import SENTENCE_SIZE, embed_sentence


def test_config_survives_json():
    config = TrainConfig(inputs="state", auxiliary=("a", "b"), lr=0.1)
    assert TrainConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


def test_unknown_setting_is_refused_and_the_near_one_named():
    with pytest.raises(UnknownName, match="chunk"):
        TrainConfig.from_json({"chunks": 8})


@pytest.mark.parametrize("name", ["inputs", "head", "precision"])
def test_unknown_choice_is_refused(name: str):
    with pytest.raises(UnknownName, match=f"unknown {name} 'nonsense'"):
        TrainConfig(**{name: "nonsense"})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "value"), [("execute", 17), ("execute", 0), ("steps", 0), ("lr", 0.0), ("ema", 1.0), ("shift", -1)]
)
def test_value_out_of_range_is_refused(name: str, value: float):
    with pytest.raises(BadData, match=f"TrainConfig: {name}"):
        TrainConfig(**{name: value})  # type: ignore[arg-type]


def test_config_needs_no_torch():
    code = "import sys, roboscale.policies.builtin; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@given(st.text())
def test_any_sentence_has_a_vector_of_unit_length_or_none(text: str):
    vector = embed_sentence(text)
    assert vector.shape == (SENTENCE_SIZE,) and vector.dtype == np.float32
    length = np.linalg.norm(vector)
    assert length == pytest.approx(1, abs=1e-5) or length == 0  # two n-grams of a short word may cancel
    np.testing.assert_array_equal(vector, embed_sentence(text))


def test_sentences_differ_by_task_and_not_by_case():
    push, pick = embed_sentence("push the puck to the goal"), embed_sentence("pick up the puck at the goal")
    other = embed_sentence("open the drawer by its handle")
    assert push @ pick < 0.95
    assert push @ pick > push @ other
    np.testing.assert_array_equal(push, embed_sentence("Push  the puck to the goal "))


def test_sentence_vector_is_the_same_everywhere():
    assert np.flatnonzero(embed_sentence("push")).tolist() == [1, 25, 27, 47, 58]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("intervention_weight=four", "intervention_weight: expected a finite number, found 'four'"),
        ("intervention_weight=Infinity", "intervention_weight: expected a finite number, found inf"),
        ("steps=2.5", "steps: expected a whole number, found 2.5"),
        ("batch=true", "batch: expected a whole number, found True"),
        ("auxiliary=arm", "auxiliary: expected a list of names"),
        ("precision=16", "precision: expected a word, found 16"),
    ],
)
def test_a_setting_of_another_type_is_refused_by_name(said: str, expected: str):
    with pytest.raises(BadData, match=re.escape(f"TrainConfig: {expected}")):
        TrainConfig.from_json(training_config("state", "", 0, 0, [said]))


def test_a_setting_that_is_said_twice_is_refused():
    with pytest.raises(RoboscaleError, match="expected each setting once, found batch twice"):
        training_config("state", "", 0, 0, ["batch=8", "batch=16"])
