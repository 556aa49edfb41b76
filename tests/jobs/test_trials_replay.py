"""One trial again: bit by bit from its actions, or with one value moved and the policy acting anew."""

from pathlib import Path

import pytest

import roboscale as rs
from roboscale.core import BadData, RoboscaleError, UnknownName
from roboscale.jobs.trials_replay import ReplayTrial, replay_trial


@pytest.fixture
def tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An expert's trial in Meta-World, in the current folder."""
    monkeypatch.chdir(tmp_path)
    done = rs.evaluate(rs.Evaluate(policy="expert", tasks="push-v3", trials=1, store="run", workers=0))
    (counted,) = done.judged.counted
    assert counted.trial is not None and counted.outcome.success
    return counted.trial


def test_it_repeats_and_the_store_is_found(tried):
    done = replay_trial(ReplayTrial(trial=tried.id[:10]))
    assert (done.before, done.now) == ("success", "success") and done.now_steps == tried.steps
    assert "repeated bit by bit" in done.text


def test_a_value_is_moved_and_nothing_is_filed(tried, roboscale):
    """What hardly rubs slides away from who pushes it: the policy goes another way, and the log stays as it was."""
    before = len(rs.list_trials(rs.ListTrials(store="run")).trials)
    shown = roboscale("trials", "replay", tried.id[:8], "--set", "friction.factor=0.05", "--film", "moved.mp4")
    assert "friction.factor=0.05" in shown.stdout and "success after" in shown.stdout
    assert Path("moved.mp4").read_bytes()[4:8] == b"ftyp"
    assert "not filed" in shown.stderr
    assert len(rs.list_trials(rs.ListTrials(store="run")).trials) == before
    same = replay_trial(ReplayTrial(trial=tried.id, set=("friction.factor=1",), store="run"))
    assert (same.now, same.now_steps) == ("success", tried.steps), "a factor of 1 changes nothing"
    moved = replay_trial(ReplayTrial(trial=tried.id, set=("friction.factor=0.05",), store="run"))
    assert moved.now_steps != tried.steps and moved.case.endswith(f"friction.factor:0.05/{tried.case.start}")


def test_a_perturbed_trial_keeps_the_rest_of_its_variation(tried):
    done = rs.evaluate(
        rs.Evaluate(policy="expert", tasks="push-v3", trials=1, store="worse", workers=0, perturb="friction:1")
    )
    worse = next(c.trial for c in done.judged.counted if c.case.variation == "friction:1" and c.trial is not None)
    moved = replay_trial(ReplayTrial(trial=worse.id, set=("mass.factor=2",), store="worse"))
    assert "/friction:1,mass.factor:2/" in moved.case


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        ({"set": ("camera.yaw",)}, RoboscaleError, "expected NAME=NUMBER"),
        ({"set": ("camera.yaww=3",)}, UnknownName, "camera.yaww:3"),
        ({"trial": "ffffffffff"}, BadData, "one store with a trial"),
    ],
)
def test_what_cannot_be_done_is_said(tried, asked: dict, error: type[Exception], words: str):
    with pytest.raises(error, match=words):
        replay_trial(ReplayTrial(**{"trial": tried.id, **asked}))
