"""What users get wrong is said, and is never a number: mistakes of policies, worlds and commands."""

import json
from pathlib import Path

import numpy as np
import pytest

import roboscale as rs
from roboscale.core import Case, RoboscaleError
from tests.toy_world import ToyScene, ToyWorld

POINT = {"world": "point.toml", "workers": 0}


def towards(o):
    return o["observation.environment_state"] - o["observation.state"]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda o: {"action": towards(o)},
        lambda o: None,
        lambda o: towards(o)[None, None],
        lambda o: "left",
        lambda o: np.array([np.nan, 0.0]),
        lambda o: np.zeros(3),
    ],
    ids=["dict", "None", "one axis too many", "text", "NaN", "three values"],
)
def test_a_policy_that_never_acts_stops_with_the_reason(place: Path, wrong):
    with pytest.raises(RoboscaleError, match="never acted"):
        rs.evaluate(wrong, trials=4, out="x", **POINT)
    with pytest.raises(RoboscaleError, match="never acted"):
        rs.compare(towards, wrong, budget=6, out="y", **POINT)


def test_an_answer_as_stable_baselines_gives_it_is_understood(place: Path):
    class Model:
        def predict(self, observation, deterministic=False):
            return towards(observation), None

    assert rs.evaluate(Model(), trials=2, out="x", **POINT).value == 1.0
    assert rs.evaluate(Model().predict, trials=2, out="x", **POINT).value == 1.0


def test_an_exception_of_the_policy_is_a_failure_with_its_reason(place: Path):
    def breaks(o):
        return o["no such field"]

    with pytest.raises(RoboscaleError, match="KeyError"):
        rs.evaluate(breaks, trials=3, out="x", **POINT)

    def breaks_late(o):
        if abs(o["observation.state"]).max() > 0.3:
            raise ValueError("too far")
        return towards(o)

    with pytest.warns(UserWarning, match="breaks_late: . failed by its own mistake: .*ValueError: too far") as warned:
        done = rs.evaluate(breaks_late, trials=8, out="x", **POINT)
    said = [one for one in warned if one.category is UserWarning]  # not what another test left for the collector
    assert all(Path(one.filename) == Path(__file__) for one in said), "it is said where it was called"
    rs.evaluate(breaks_late, lambda event: None, trials=8, out="x", **POINT)
    assert done.value is not None and 0 < done.value < 1 and any("ValueError: too far" in n for n in done.notes)


def test_out_of_memory_is_void_and_the_bounds_stand_beside_the_rate(place: Path):
    def crashes(o):
        if abs(o["observation.environment_state"]).max() > 0.7:
            raise MemoryError("no room")
        return towards(o)

    done = rs.evaluate(crashes, trials=12, out="x", **POINT)
    assert done.success.void > 0 and done.value == 1.0
    assert any("MemoryError" in note for note in done.notes)
    assert any("void as failures" in line or "if failed" in line for line in done.lines)
    policy = next(iter(done.to_json()["policies"].values()))
    assert policy["void_bounds"]["as_failures"]["value"] < 1.0


def test_a_side_whose_conclusion_rests_on_its_voids_gets_no_claim(place: Path):
    def crashes_when_hard(o):
        if abs(o["observation.environment_state"]).max() > 0.5:
            raise MemoryError("no room")
        return towards(o)

    def fails_when_easy(o):
        return towards(o) if abs(o["observation.environment_state"]).max() > 0.5 else np.zeros(2)

    done = rs.compare(crashes_when_hard, fails_when_easy, budget=90, sequential=False, out="x", **POINT)
    assert done.verdict.decision == "undecided" and "void" in done.sentence


def test_a_run_without_any_result_fails(place: Path, roboscale):
    (place / "down.py").write_text("def act(o):\n    raise ConnectionError('server gone')\n")
    done = roboscale("eval", "--policy", "down.py:act", "--world", "point.toml", "--trials", "2", code=1)
    assert "no trial could be counted" in done.stderr and "server gone" in done.stderr


def test_a_comparison_without_a_counted_case_fails(place: Path):
    def down(o):
        raise ConnectionError("server gone")

    with pytest.raises(RoboscaleError, match="no case could be counted under two policies: down: 3 void: .*gone"):
        rs.compare(towards, down, budget=3, out="x", **POINT)
    done = rs.compare(towards, down, lambda o: np.zeros(2), budget=3, sequential=False, out="x", **POINT)
    assert any("down: 3 void" in note for note in done.notes), "two of three were compared"


def test_an_attempt_that_is_made_again_is_no_further_trial(place: Path):
    from roboscale.jobs.events import Progress

    def down(o):
        raise ConnectionError("server gone")

    told = []
    with pytest.raises(RoboscaleError, match="no trial could be counted"):
        rs.evaluate(down, told.append, trials=3, retries=2, out="x", **POINT)
    progress = [event for event in told if isinstance(event, Progress)]
    assert [event.done for event in progress] == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert progress[-1].note.endswith("3 void") and len(progress) == 9


def test_voids_that_fall_on_hard_cases_are_called_out(place: Path):
    def fails(o):
        return towards(o) if o["observation.environment_state"][0] > 0 else np.zeros(2)

    def crashes(o):
        if o["observation.environment_state"][0] <= 0:
            raise MemoryError("no room")
        return towards(o)

    done = rs.compare(fails, crashes, budget=16, sequential=False, out="x", **POINT)
    assert any("fall on cases that fails failed" in note and "hard cases" in note for note in done.notes)
    same = rs.compare(towards, crashes, budget=16, sequential=False, out="y", **POINT)
    assert not any("hard cases" in note for note in same.notes)


class Odd(ToyWorld):
    """One measure of it is given as `value` after every step."""

    def __init__(self, measure: str, value: object) -> None:
        super().__init__()
        self.odd = {measure: value}

    def start(self, case: Case) -> ToyScene:
        scene = super().start(case)
        measures = scene.measures
        scene.measures = lambda: {**measures(), **self.odd}
        return scene


@pytest.mark.parametrize("value", [float("nan"), "False", 0.3, 2, {"task": False}, np.array([True, False])])
def test_a_success_that_is_no_truth_value_is_refused_in_a_world_of_ones_own(value: object):
    with pytest.raises(RoboscaleError, match="measure success: expected true, false, 0 or 1, found "):
        rs.evaluate(lambda o: [0.0], world=Odd("success", value), task="near", trials=2, workers=0)


@pytest.mark.parametrize("value", [True, np.bool_(True), 1, 1.0, np.float32(1)])
def test_what_is_a_truth_value_is_one(value: object):
    done = rs.evaluate(lambda o: [0.0], world=Odd("success", value), task="near", trials=2, workers=0)
    assert done.value == 1.0


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_measure_that_is_no_number_is_said_and_not_averaged(tmp_path: Path):
    how = {"world": Odd("progress", float("nan")), "task": "near", "workers": 0}
    done = rs.compare(
        lambda o: [0.0], lambda o: [0.01], budget=4, outcome="progress", out=str(tmp_path / "run"), **how
    )
    assert any("4 trials with progress nan: counted as not measured" in note for note in done.notes)
    assert "no paired case was counted" in str(done)
    said = json.loads((tmp_path / "run" / "verdict.json").read_text())
    for policy in said["policies"].values():
        assert policy["measures"]["progress"] == {"unit": "1", "mean": None, "n": 0, "not_measured": 4}


def test_objects_that_cannot_act_are_refused_before_the_first_trial(place: Path):
    with pytest.raises(RoboscaleError):
        rs.evaluate(3, trials=2, out="x", **POINT)
    with pytest.raises(RoboscaleError):
        rs.evaluate(lambda first, second, third: None, trials=2, out="x", **POINT)
    assert not Path("x").exists()


@pytest.mark.parametrize("trials", [0, -1])
def test_no_trials_are_no_evaluation(place: Path, trials: int):
    with pytest.raises(RoboscaleError, match="at least 1"):
        rs.evaluate(towards, trials=trials, **POINT)


def test_state_in_an_object_does_not_run_into_the_next_episode(place: Path):
    class Queue:
        def __init__(self):
            self.left = []

        def reset(self):
            self.left = []

        def __call__(self, o):
            if not self.left:
                self.left = [towards(o) / 7] * 7
            return self.left.pop()

    assert rs.evaluate(Queue(), trials=6, out="x", **POINT).value == 1.0
    assert rs.evaluate(Queue, trials=6, out="x", worlds=3, **POINT).value == 1.0


def test_observations_cannot_be_changed_by_a_policy(place: Path):
    def scribbles(o):
        o["observation.state"][:] = 9
        return np.zeros(2)

    with pytest.raises(RoboscaleError, match="read-only"):
        rs.evaluate(scribbles, trials=2, out="x", **POINT)


def test_a_world_that_ignores_its_seed_is_called_out(place: Path, roboscale, here):
    text = (place / "my_env.py").read_text().replace("self.np_random.uniform", "np.random.default_rng().uniform")
    (place / "my_env.py").write_text(text)
    done = roboscale(
        "compare", "policies.py:good", "policies.py:still", "--world", "point.toml", "--budget", "6", "--out", "x"
    )
    assert "the cases are not the same" in done.stderr
    here("report", "x", "--videos", "0")
    assert "the cases are not the same" in (place / "x" / "report.html").read_text()


def test_a_world_that_prints_does_not_break_json(place: Path, roboscale):
    text = (place / "my_env.py").read_text().replace("        near =", "        print('debug')\n        near =")
    (place / "my_env.py").write_text(text)
    done = roboscale(
        "eval", "--policy", "policies.py:good", "--world", "point.toml", "--trials", "2", "--workers", "0", "--json"
    )
    assert json.loads(done.stdout)["success"]["n"] == 2 and "debug" in done.stderr


@pytest.mark.parametrize("how", ["os._exit(3)", "os.kill(os.getpid(), 11)"])
def test_a_world_that_dies_does_not_take_the_command_with_it(place: Path, roboscale, how: str):
    text = (place / "my_env.py").read_text()
    text = text.replace("        near =", f"        import os\n        if self.goal[0] > 0: {how}\n        near =")
    (place / "my_env.py").write_text(text)
    done = roboscale(
        "eval", "--policy", "policies.py:good", "--world", "point.toml", "--trials", "4", "--retries", "0", "--json"
    )
    rate = json.loads(done.stdout)["success"]
    assert rate["void"] > 0 and rate["n"] + rate["void"] == 4 and rate["value"] == 1.0


def test_a_world_that_crashes_while_it_is_opened_says_where(place: Path, roboscale):
    text = (place / "my_env.py").read_text()
    crash = "import ctypes; ctypes.string_at(0)"
    (place / "my_env.py").write_text(
        text.replace("        self.render_mode,", f"        {crash}\n        self.render_mode,")
    )
    done = roboscale("world", "check", "point.toml", code=-11)
    assert "Segmentation fault" in done.stderr and "my_env.py" in done.stderr


def test_a_script_without_a_main_guard_gets_one_clear_line(place: Path):
    import subprocess
    import sys

    (place / "script.py").write_text(
        "import roboscale\n"
        "print(roboscale.evaluate('policies.py:good', world='point.toml', trials=4, workers=2, out='x'))\n"
    )
    done = subprocess.run([sys.executable, "script.py"], cwd=place, capture_output=True, text=True, timeout=120)
    (said,) = done.stderr.splitlines()
    assert done.returncode == 1 and "script.py, line 2: worker processes import the script: " in said
    assert 'if __name__ == "__main__":' in said and "workers=0" in said


def test_films_of_a_script_without_a_main_guard_end(place: Path):
    import subprocess
    import sys

    edit = ("[[field]]", '[arguments]\nrender_mode = "rgb_array"\n\n[[field]]', 1)
    (place / "point.toml").write_text((place / "point.toml").read_text().replace(*edit))
    (place / "script.py").write_text(
        "import roboscale as rs\n"
        "from roboscale.jobs import films\n"
        "rs.evaluate('policies.py:good', world='point.toml', trials=5, workers=0, store='x')\n"
        "films.os.sched_getaffinity = lambda pid: {0, 1}\n"
        "rs.write_report(rs.WriteReport(store='x'))\n"
    )
    done = subprocess.run([sys.executable, "script.py"], cwd=place, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "script.py, line 5: worker processes import the script: " in done.stderr.splitlines()[-1]


def test_a_voided_run_is_tried_again_by_the_same_command(place: Path, roboscale, here):
    (place / "server.py").write_text("UP = False\ndef act(o):\n    raise ConnectionError('down')\n")
    words = ("eval", "--policy", "server.py:act", "--world", "point.toml", "--trials", "2", "--out", "x", "--json")
    roboscale(*words, code=1)
    roboscale(*words, code=1)
    listed = json.loads(here("trials", "list", "x", "--json").stdout)
    assert all(one["status"] == "void" for one in listed["trials"])
