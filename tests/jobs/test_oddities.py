"""What a rate with its interval hides is said beside it: in the text, in the JSON and on the page."""

import json
from pathlib import Path

import numpy as np
import pytest

import roboscale as rs

POINT = {"world": "point.toml", "workers": 0, "retries": 0}
GOAL = "self.np_random.uniform(-1, 1, 2)"


def towards(o):
    return o["observation.environment_state"] - o["observation.state"]


def in_millimetres(o):
    return -1000 * towards(o)


class Shaky:
    """Steps of its own in every episode: no trial of it is another one again."""

    def reset(self, seed):
        self.random = np.random.default_rng(seed)

    def __call__(self, o):
        return towards(o) + self.random.normal(0, 0.01, 2)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text, old
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("goal", "how"),
    [
        ("np.array([0.5, 0.5])", "6 trials are one and the same"),
        ("np.array([0.5, 0.3 + 0.1 * (seed % 2)])", "6 trials are 2 different ones"),
    ],
)
def test_a_case_that_is_the_same_again_is_no_further_evidence(place: Path, roboscale, goal: str, how: str):
    edit(place / "my_env.py", GOAL, goal)
    (place / "mine.py").write_text(
        'def act(o):\n    return o["observation.environment_state"] - o["observation.state"]\n'
    )
    words = ("eval", "--policy", "mine.py:act", "--world", "point.toml", "--trials", "6", "-o", "run")
    done = roboscale(*words, "--workers", "0", "--json")
    assert f"mine.py:act: its {how}" in done.stderr
    assert any(how in reason for reason in json.loads(done.stdout)["reasons"])
    assert how in roboscale(*words, "--workers", "0").stdout
    roboscale("report", "run")
    assert how in (place / "run" / "report.html").read_text()


def test_trials_that_differ_are_what_they_are(place: Path):
    assert not any("trials are" in note for note in rs.evaluate(towards, trials=6, **POINT).notes)
    edit(place / "my_env.py", GOAL, "np.array([0.5, 0.5])")
    done = rs.evaluate(Shaky, trials=6, **POINT)
    assert not any("trials are" in note for note in done.notes)


def test_pictures_may_differ_where_numbers_do_not(place: Path):
    """A constant policy in a world whose numbers say nothing of the case: nobody can tell that two cases are one."""
    edit(place / "point.toml", 'name = "observation.environment_state"\nfrom = "goal"\nunit = "m"', PICTURE)
    edit(place / "point.toml", "[action]", '[arguments]\nrender_mode = "rgb_array"\n\n[action]')
    edit(place / "my_env.py", "-float(np.linalg.norm(self.at - self.goal)), near", "0.0, near")
    done = rs.evaluate(lambda o: np.zeros(2), trials=4, **POINT)
    assert not any("trials are" in note for note in done.notes)


STARTS = "starts = [{goal = [0.5, 0.5]}, {goal = [0.6, 0.1]}, {goal = [0.1, 0.7]}]"
PICTURE = 'name = "observation.images.top"\nfrom = "render"'


def test_a_success_that_holds_at_once_is_said(place: Path):
    edit(place / "point.toml", 'success = "is_success"', 'success = {from = "return", at_least = -200}')
    done = rs.evaluate(lambda o: np.zeros(2), trials=3, **POINT)
    assert done.value == 1.0
    assert any("3 of 3 successes held after the first step" in note for note in done.notes)


def test_an_episode_that_the_world_cuts_itself_is_said(place: Path):
    edit(place / "my_env.py", "near, False, {", "near, abs(self.at).max() > 0.3, {")
    done = rs.evaluate(lambda o: np.full(2, -0.2), trials=3, **POINT)
    assert any("cut 3 of 3 trials after 2 steps, before the horizon of 30" in note for note in done.notes)


def test_actions_in_another_unit_are_said(place: Path):
    said = rs.evaluate(in_millimetres, trials=3, **POINT).notes
    assert any("90 of 90 actions were outside the action's range and clipped, and no trial" in note for note in said)
    assert not any("clipped" in note for note in rs.evaluate(towards, trials=3, **POINT).notes)


def test_initial_states_say_how_each_is_tried_once(place: Path):
    edit(place / "my_env.py", GOAL, "np.array(options['goal'])")
    edit(place / "point.toml", "horizon = 30", f"horizon = 30\n{STARTS}")
    said = rs.evaluate(towards, trials=3, **POINT).notes
    assert any("--seeds 0:3 goes through each once" in note for note in said)
    once = rs.evaluate(towards, seeds="0:3", **POINT)
    assert once.success.n == 3 and not any("trials are" in note for note in once.notes)


@pytest.mark.parametrize(
    ("success", "rule", "said"),
    [
        (
            '{from = "return", at_least = -200}',
            "first",
            "success (return at least -200) is looked at after every step",
        ),
        ('{from = "terminated", negate = true}', "first", "success (not terminated) is looked at after every step"),
        ('{from = "terminated", negate = true}', "end", ""),
        ('{from = "reward", at_least = 1}', "first", ""),
    ],
)
def test_a_condition_that_may_hold_from_the_start_is_said(place: Path, success: str, rule: str, said: str):
    edit(place / "point.toml", 'success = "is_success"', f'rule = "{rule}"\nsuccess = {success}')
    notes = [note for note in rs.evaluate(towards, trials=1, **POINT).notes if "looked at after every step" in note]
    assert len(notes) == bool(said) and all(said in note for note in notes)
