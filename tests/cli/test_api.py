"""The Python API asks the same questions as the commands and gets the same answers."""

from pathlib import Path

import numpy as np
import pytest

from roboscale.api import compare, evaluate
from roboscale.core import RoboscaleError, UnknownName
from roboscale.policies.wrappers import constant
from roboscale.trials.log import open_log
from tests.toy_world import ToyWorld

STATE = "observation.environment_state"


def to_goal(observation):
    assert list(observation) == [STATE]
    return np.append(10 * (observation[STATE][36:39] - observation[STATE][:3]), 0).clip(-1, 1)


def test_functions_objects_and_texts_are_policies_and_are_kept(tmp_path: Path):
    assert evaluate(to_goal, observes=[STATE], task="reach-v3", trials=3, out=tmp_path).value == 1
    assert evaluate(constant([0, 0, 0, 0]), task="reach-v3", trials=1, out=tmp_path).success.n == 1
    assert evaluate("expert", task="reach-v3", trials=2, out=tmp_path).success.n == 2
    with open_log(tmp_path, read_only=True) as log:
        names = sorted(t.policy.name for t in log.trials(light=True))
    assert names == sorted(["to_goal"] * 3 + ["constant:0,0,0,0"] + ["expert"] * 2)


def test_compare_stops_when_it_is_decided(tmp_path: Path):
    verdict = compare("constant", to_goal, observes=[STATE], task="reach-v3", budget=20, out=tmp_path).verdict
    assert verdict.decision == "second is better" and verdict.n < 20
    again = compare("constant", to_goal, observes=[STATE], task="reach-v3", budget=20, out=tmp_path).verdict
    assert again == verdict


def near(observation):
    if observation["observation.state"][0] > 1e6:
        return observation["observation.images.front"].reshape(-1)[:1]
    return (observation["observation.state"][1:] - observation["observation.state"][:1]).clip(-0.1, 0.1)


def far(observation):
    return (observation["observation.state"][1:] - observation["observation.state"][:1]).clip(-0.1, 0.1)


def whole(observation):
    shown = dict(observation)
    return (shown["observation.state"][1:] - shown["observation.state"][:1]).clip(-0.1, 0.1)


@pytest.mark.parametrize("policy, shown, said", [(near, True, 0), (far, False, 1), (whole, True, 0)])
def test_a_function_is_shown_what_its_code_can_read(policy, shown, said, tmp_path: Path):
    told, world = [], ToyWorld()
    done = evaluate(policy, world=world, task="near", trials=2, out=tmp_path, on_event=told.append)
    assert done.value == 1 and ("observation.images.front" in world.looks) == shown
    assert sum("its code reads observation.state alone" in str(event) for event in told) == said


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: compare("expert", "expert", task="reach-v3"), RoboscaleError, "compare different policies"),
        (lambda: evaluate("expert", task="reech-v3"), UnknownName, "did you mean reach-v3"),
        (lambda: evaluate("expret", task="reach-v3"), UnknownName, "unknown policy"),
        (lambda: evaluate(to_goal, task="reach-v3", observes=["state"]), UnknownName, "unknown field 'state'"),
    ],
)
def test_mistakes_are_found_before_the_first_trial(call, error, message):
    with pytest.raises(error, match=message):
        call()
