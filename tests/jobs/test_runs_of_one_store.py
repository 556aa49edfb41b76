"""A store with several runs: nobody is shown one of them in the belief that it is all there is."""

import json
from pathlib import Path

import numpy as np
import pytest

import roboscale as rs
from roboscale.core import RoboscaleError

POINT = {"world": "point.toml", "workers": 0, "retries": 0, "store": "run"}


def towards(o):
    return o["observation.environment_state"] - o["observation.state"]


def still(o):
    return np.zeros(2)


@pytest.mark.parametrize(
    "words",
    [
        ("trials", "list", "run"),
        ("trials", "export", "run", "eval_info.json"),
        ("report", "run", "--videos", "0"),
        ("why", "run"),
    ],
)
def test_a_run_that_nobody_chose_is_not_all_there_is(place: Path, here, words: tuple[str, ...]):
    rs.evaluate(towards, trials=2, **POINT)
    alone = here(*words)
    assert "also holds" not in alone.stderr + alone.stdout
    rs.evaluate(still, trials=2, **POINT)
    done = here(*words)
    said = done.stderr + done.stdout
    assert "also holds 1 runs of other trials, such as" in said and "(towards)" in said and "--run ID" in said
    older = _oldest("run")
    chosen = here(*words, "--run", older)
    assert "also holds" not in chosen.stderr + chosen.stdout


def _oldest(store: str) -> str:
    from roboscale.trials.log import open_log

    with open_log(store, read_only=True) as log:
        return log.runs()[0].id


def test_more_trials_of_the_same_are_no_other_run(place: Path, here):
    for trials in (2, 3):
        rs.evaluate(towards, trials=trials, **POINT)
    assert "also holds" not in here("trials", "list", "run").stdout
    listed = json.loads(here("trials", "list", "run", "--json").stdout)
    assert len(listed["trials"]) == 3 and listed["notes"] == []


ARM = """
from my_world import PointScene, PointWorld

class Bench(PointWorld):
    measures = ()

    def start(self, case):
        scene = PointScene(case.seed, self.near_m)
        scene.measures = dict
        return scene
"""


def test_what_waits_in_an_older_run_is_listed_and_finishes_it(place: Path, roboscale, here):
    (place / "my_world.py").write_text((Path(__file__).parents[2] / "examples" / "my_world.py").read_text())
    (place / "bench.py").write_text(ARM)
    (place / "policies.py").write_text("def a(o):\n    return [0.1, 0.0]\n\ndef b(o):\n    return [0.0, 0.1]\n")
    for policy in ("a", "b"):
        words = ("--policy", f"policies.py:{policy}", "--world", "bench.py:Bench", "--trials", "1", "-o", "run")
        roboscale("eval", *words, "--workers", "0")
    listed = rs.judge_trial(rs.JudgeTrial(store="run"))
    assert listed.left == 2 and {"policies.py:a", "policies.py:b"} == {line.split()[1] for line in listed.waiting}
    for left, line in enumerate(listed.waiting):
        done = rs.judge_trial(rs.JudgeTrial(store="run", trial=line.split()[0], success=True, by="ada"))
        assert done.left == 1 - left
    assert "unfinished" not in here("runs", ".").stdout and "finished" in here("runs", ".").stdout


@pytest.mark.parametrize("out", ["run", "nowhere/eval_info.json"])
def test_a_file_that_cannot_be_written_leaves_nothing_behind(place: Path, out: str):
    rs.evaluate(towards, trials=2, **POINT)
    there = {path.name for path in place.iterdir()}
    with pytest.raises(RoboscaleError, match=f"^{out}: (expected a file to write, found a folder|cannot be written)"):
        rs.export_trials(rs.ExportTrials(store="run", out=Path(out)))
    assert {path.name for path in place.iterdir()} == there


def test_stores_that_share_trials_are_told_how_they_become_one(place: Path, here):
    rs.evaluate(towards, trials=2, **POINT)
    rs.compare(towards, still, world="point.toml", workers=0, budget=8, store="more")
    refused = here("rank", "run", "more", code=1)
    advice = "`roboscale trials merge OUT run more`"
    assert advice in refused.stderr
    here(*advice.strip("`").split()[1:])
    assert here("rank", "OUT").stdout
