"""The bench: a locked study is run, scored, interrupted, corrected and unblinded by a scripted operator."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from pathlib import Path

import httpx
import psutil
import pytest

import roboscale as rs
from roboscale.core import BadData, UnknownName, UsageError
from roboscale.jobs.judged import choose_run, judged_run
from roboscale.jobs.studies import open_study
from roboscale.trials.log import open_log
from roboscale.trials.study import Study
from roboscale.worlds import open_world
from tests.jobs.operator_at_bench import Operator, begin, finish
from tests.worlds.bench_arm import declare, sent
from tests.worlds.test_benches import two_benches

POLICIES = """
import numpy as np


def still(observation):
    return observation["observation.state"]


def right(observation):
    return observation["observation.state"] + np.array([0.012, 0.0], np.float32)


def jumps(observation):
    if observation["observation.state"][0] > 0.03:
        return np.array([7.0, 0.0])
    return right(observation)
"""
STUDY = """
title = "Left <b>or</b> right"
question = "Which one goes right?"
robot = "arm.toml"
tasks = ["reach"]
cases = {cases}
sequential = false
stages = ["moved", "arrived"]
tags = ["slipped", "froze"]
[[arms]]
name = "first"
policy = "arms.py:still"
[[arms]]
name = "second"
policy = "arms.py:{second}"
"""


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    declare(tmp_path)
    (tmp_path / "arms.py").write_text(POLICIES)
    (tmp_path / "study.toml").write_text(STUDY.format(cases=2, second="right"))
    return tmp_path


def counted(folder: Path, store: str = "study.trials"):
    with open_log(str(folder / store), read_only=True) as log:
        return judged_run(log, choose_run(log))


def test_a_study_is_locked_run_scored_corrected_and_unblinded(bench: Path, roboscale):
    study = rs.LockStudy(study=bench / "study.toml")
    rs.lock_study(study)
    process, operator = begin(bench, "study.toml")
    for number in range(1, 5):
        state = operator.until("set up")
        assert state["number"] == number and state["total"] == 4 and state["stages"] == ["moved", "arrived"]
        assert state["initial"] == (number % 2 == 0), "the second of a pair is laid over the first"
        assert operator.click("ready").status_code == 200
        operator.score(number != 2, stage=2, tags=["slipped"], damage=["dropped"], notes=f"note {number}")
        if number == 2:
            operator.until("set up")
            assert operator.click("correct", number=2, success=True).status_code == 200
    out, _ = finish(process)
    assert "the study is over, 4 trials scored: roboscale study unblind study.toml" in out
    assert "still" not in out and "first" not in out
    audit = [json.loads(line) for line in (bench / "study.trials/bench.jsonl").read_text().splitlines()]
    clicks = [one["click"] for one in audit if one["what"] == "click"]
    assert clicks.count("score") == 4 and clicks.count("ready") == 4 and clicks.count("correct") == 1

    with pytest.raises(rs.RoboscaleError, match=r"is blind: roboscale study unblind"):
        rs.list_trials(rs.ListTrials(store=str(bench / "study.trials")))
    with pytest.raises(rs.RoboscaleError, match="is blind"):
        rs.write_report(rs.WriteReport(store=str(bench / "study.trials")))
    told = rs.unblind_study(rs.UnblindStudy(study=bench / "study.toml", by="ada"))
    assert not told.early and sorted(told.trials) == ["first", "first", "second", "second"]
    judged = rs.list_trials(rs.ListTrials(store=str(bench / "study.trials"))).judged
    assert len(judged.used) == 4 and all(c.outcome.success and c.outcome.progress == 1.0 for c in judged.used[:1])
    assert any("[slipped] [dropped] note 1" in c.outcome.reason for c in judged.used)
    assert all("guard jump" in c.outcome.measures for c in judged.used)
    from roboscale.dataset import Dataset

    assert len(Dataset(bench / "study.episodes").episodes) == 4, "every trial is an episode with video"
    wrong = judged.used[-1].trial
    assert wrong is not None
    store = str(bench / "study.trials")
    second = rs.JudgeTrial(store=store, trial=wrong.id, failure=True, by="linus", second=True)
    assert "is a failure to linus, which counts in no rate; a success by person counts" in rs.judge_trial(second).text
    assert all(c.outcome.success for c in counted(bench).used if c.trial.id == wrong.id)
    rs.judge_trial(
        rs.JudgeTrial(store=store, trial=wrong.id, failure=True, progress=0.5, reason="[slipped] [froze]", by="grace")
    )
    why = rs.explain_failures(rs.ExplainFailures(store=store))  # the films are the study's own episodes
    assert sorted((g.reason, g.count) for g in why.data.groups) == [("froze", 1), ("slipped", 1)]
    assert all(g.share.n == 2 and g.mp4 for g in why.data.groups)
    funnel = [(s.stage, s.share.value) for s in why.data.stages if s.policy == why.data.groups[0].policy]
    assert funnel == [("moved", 1.0), ("arrived", 0.5)]
    assert "data:video/mp4" in Path(why.page).read_text() and "slipped" in Path(why.page).read_text()
    rs.write_report(rs.WriteReport(store=str(bench / "study.trials")))
    text = (bench / "study.trials" / "report.html").read_text()
    assert "Which one goes right?" in text and "after the study was over" in text
    assert "Two scorers of the same trials" in text and "person and grace" in text and "0 of 1" in text
    assert "linus and grace" in text or "grace and linus" in text
    assert "Cohen&#x27;s kappa (1960); posterior interval" in text or "Cohen's kappa (1960); posterior" in text


def test_a_study_over_two_benches_splits_no_pair(tmp_path: Path):
    two_benches(tmp_path)
    (tmp_path / "arms.py").write_text(POLICIES)
    text = STUDY.format(cases=2, second="right").replace('robot = "arm.toml"', 'robot = "benches.toml"')
    (tmp_path / "study.toml").write_text(text.replace('["reach"]', '["reach on left", "reach on right"]'))
    rs.lock_study(rs.LockStudy(study=tmp_path / "study.toml"))
    process, operator = begin(tmp_path, "study.toml")
    places = []
    for _ in range(4):
        places.append(operator.until("set up")["place"])
        operator.click("ready")
        operator.score(True)
    finish(process)
    assert places == ["left", "left", "right", "right"], "both arms of a case are tried at one bench"
    rs.unblind_study(rs.UnblindStudy(study=tmp_path / "study.toml"))
    judged = rs.list_trials(rs.ListTrials(store=str(tmp_path / "study.trials"))).judged
    assert sorted((c.case.task, c.policy.name) for c in judged.used) == [
        ("reach on left", "arms.py:right"), ("reach on left", "arms.py:still"),
        ("reach on right", "arms.py:right"), ("reach on right", "arms.py:still"),
    ]  # fmt: skip


def test_a_changed_study_does_not_run_before_it_is_amended(bench: Path):
    file = bench / "study.toml"
    rs.lock_study(rs.LockStudy(study=file))
    file.write_text(file.read_text().replace("cases = 2", "cases = 3"))
    with pytest.raises(
        rs.RoboscaleError, match=r"changed since it was locked \(cases: 2 -> 3\): roboscale study amend"
    ):
        rs.compare(rs.Compare(policies=(str(file),)))
    rs.amend_study(rs.AmendStudy(study=file, reason="the bench is free on Friday", by="ada"))
    with pytest.raises(rs.RoboscaleError, match="nothing in"):
        rs.amend_study(rs.AmendStudy(study=file, reason="again"))
    with pytest.raises(rs.RoboscaleError, match="locked already"):
        rs.lock_study(rs.LockStudy(study=file))


def test_what_the_locked_file_says_is_not_said_by_the_command(bench: Path):
    file = bench / "study.toml"
    with pytest.raises(UsageError, match=r"a study is compared alone.*: roboscale compare study\.toml"):
        rs.Compare(policies=("study.toml", "arms.py:still"))
    with pytest.raises(UsageError, match=r"arm\.toml declares a robot: --world robot:.*arm\.toml") as told:
        rs.compare(rs.Compare(policies=("a", "b"), world=str(bench / "arm.toml")))
    assert open_world(str(told.value).partition("--world ")[2]).info.name == "arm"
    rs.lock_study(rs.LockStudy(study=file))
    with pytest.raises(UsageError, match=r"--tasks, --budget, --no-sequential: .* says this itself; .* study amend"):
        rs.compare(rs.Compare(policies=(str(file),), budget=3, sequential=False, tasks="reach"))
    opened = open_study(rs.Compare(policies=(str(file),), horizon=7))
    assert opened.unlocked == (f"--horizon is not locked: {file} says nothing of it",)
    with pytest.raises(rs.RoboscaleError, match=r"has no trial yet: roboscale compare .*study\.toml"):
        rs.unblind_study(rs.UnblindStudy(study=file))


def test_arms_that_are_exchanged_are_another_study(bench: Path):
    """Else they would be told the wrong way round."""
    file = bench / "study.toml"
    rs.lock_study(rs.LockStudy(study=file))
    (bench / "study.trials").mkdir()
    text = file.read_text()
    file.write_text(text.replace("py:still", "py:x").replace("py:right", "py:still").replace("py:x", "py:right"))
    with pytest.raises(rs.RoboscaleError, match=r"changed since it was locked \(arms: "):
        rs.unblind_study(rs.UnblindStudy(study=file))
    with pytest.raises(rs.RoboscaleError, match=r"expected arms.py:still, arms.py:right, .* other arms are another"):
        rs.amend_study(rs.AmendStudy(study=file, reason="I like it better"))


def answer_with_a_void(operator: Operator) -> None:
    """Sets up, scores and lets go of what is asked for; the first trial is void, the others succeed."""
    scored = 0
    while True:
        state = operator.until("set up", "score", "stopped", "done")
        number = state["number"]
        if state["phase"] == "done":
            return
        if state["phase"] == "set up":
            operator.click("ready")
        elif state["phase"] == "stopped":
            assert "read back: 0.00" in state["hint"]
            operator.click("release")
        else:
            assert operator.click("score", number=number, success=None).status_code == 422
            assert operator.click("void", number=number, reason=" ").json()["error"].startswith("say why")
            scored += 1
            if scored == 1:
                operator.click("void", number=number, reason="the lamp fell over")
            else:
                operator.click("score", number=number, success=True)
        time.sleep(0.03)  # polls a page


def test_a_comparison_without_a_study_a_void_and_a_policy_that_jumps(bench: Path):
    words = ("arms.py:still", "arms.py:jumps", "--world", "robot:arm.toml", "--budget", "2", "--no-sequential")
    process, operator = begin(bench, *words, "--store", "runs")
    with contextlib.suppress(httpx.TransportError):  # the command ends, and its page with it
        answer_with_a_void(operator)
    finish(process)
    judged = counted(bench, "runs")
    reasons = [c.outcome.reason for c in judged.counted]
    assert not judged.pending, "who cannot say does not wait any longer"
    assert reasons.count("the lamp fell over") == 1
    failed = [c for c in judged.counted if c.trial is not None and c.trial.end == "policy error"]
    assert len(failed) == 2 and all("the guard stopped (jump)" in c.trial.reason for c in failed)
    assert all(c.outcome.measures["guard jump"] == 1 for c in failed), "every intervention is damage"


def test_a_bench_that_is_not_ready_costs_no_trial_and_a_person_stops_one_and_says_whose_doing_it_was(bench: Path):
    rs.lock_study(rs.LockStudy(study=bench / "study.toml"))
    (bench / "unplugged").touch()
    process, operator = begin(bench, "study.toml")
    assert operator.until("stopped")["hint"] == "robot arm: connect: OSError: no such port"
    (bench / "unplugged").unlink()
    operator.click("release")
    state = operator.until("set up")
    assert state["number"] == 1 and state["total"] == 4 and not state["trials"]
    operator.click("ready")
    operator.until("running")
    operator.click("stop")
    operator.score(False, stage=0, notes="it went for the window")
    state = operator.until("stopped")
    assert "somebody stopped it" in state["guard"]["text"] and "read back" in state["hint"]
    assert state["trials"][0] == {
        "number": 1, "void": False, "success": False, "reason": "it went for the window", "fixed": False,
    }  # fmt: skip
    operator.click("release")
    operator.until("set up")
    busy = "run by another command, which serves the operator's page"
    with pytest.raises(rs.RoboscaleError, match=busy):
        rs.compare(rs.Compare(policies=(str(bench / "study.toml"),)))
    os.kill(process.pid, signal.SIGINT)
    process.communicate(timeout=30)
    refuse_what_is_not_of_this_study(bench)
    told = rs.unblind_study(rs.UnblindStudy(study=bench / "study.toml", reason="curious"))
    assert told.early and len(told.trials) == 1


def refuse_what_is_not_of_this_study(bench: Path) -> None:
    """Of a study with a trial: another study or comparison in its store, and arms or a robot of another content."""
    study, store = bench / "study.toml", str(bench / "study.trials")
    (bench / "other.toml").write_text(study.read_text().replace("Left", "Other left"))
    rs.lock_study(rs.LockStudy(study=bench / "other.toml"))
    theirs = r"study\.trials.* has trials of the study .*study\.toml"
    with pytest.raises(rs.RoboscaleError, match=theirs):
        rs.compare(rs.Compare(policies=(str(bench / "other.toml"),), store=store))
    with pytest.raises(rs.RoboscaleError, match=f"{theirs}, and none of this one"):
        rs.unblind_study(rs.UnblindStudy(study=bench / "other.toml", store=store))
    arms = tuple(str(bench / f"arms.py:{name}") for name in ("still", "right"))
    with pytest.raises(rs.RoboscaleError, match=theirs):
        rs.compare(rs.Compare(policies=arms, world=f"robot:{bench / 'arm.toml'}", store=store))
    for file, old, new, said in (
        ("arms.py", "0.012", "0.011", r"arms\.py:right: not what this study"),
        ("arm.toml", "acceleration = 4.0", "acceleration = 3.0", "^arm: not what this study"),
    ):
        text = (bench / file).read_text()
        (bench / file).write_text(text.replace(old, new))
        with pytest.raises(rs.RoboscaleError, match=said):
            rs.compare(rs.Compare(policies=(str(study),)))
        (bench / file).write_text(text)


def test_a_command_killed_while_it_waits_for_a_score_loses_nothing_and_counts_nothing_twice(bench: Path):
    rs.lock_study(rs.LockStudy(study=bench / "study.toml"))
    process, operator = begin(bench, "study.toml")
    operator.until("set up")
    operator.click("ready")
    operator.until("score")
    process.kill()
    process.communicate()
    process, operator = begin(bench, "study.toml")
    assert operator.until("score", "set up")["phase"] == "score", "the trial that was made is scored, not made again"
    operator.score(True)
    for _ in range(3):
        operator.until("set up")
        operator.click("ready")
        operator.score(True)
    finish(process)
    assert len(counted(bench).counted) == 4 and not counted(bench).pending


def test_a_study_of_one_arm_stops_above_its_threshold_and_says_so_when_unblinded(bench: Path):
    file = bench / "study.toml"
    text = file.read_text().replace("sequential = false", 'design = "one arm"\nthreshold = 0.2')
    file.write_text(text[: text.rindex("[[arms]]")].replace("cases = 2", "cases = 9"))
    rs.lock_study(rs.LockStudy(study=file))
    process, operator = begin(bench, "study.toml")
    with contextlib.suppress(httpx.TransportError):
        while operator.until("set up", "done")["phase"] != "done":
            operator.click("ready")
            operator.score(True, stage=2)
    finish(process)
    told = rs.unblind_study(rs.UnblindStudy(study=file, by="ada"))
    assert told.sentence.startswith("first succeeds on more than 0.2 of cases: 1.00 [")
    assert not told.early and len(told.trials) < 9, "it stops as soon as the evidence decides"
    rs.write_report(rs.WriteReport(store=str(bench / "study.trials")))
    page = (bench / "study.trials" / "report.html").read_text()
    assert "is above the threshold" in page and "one arm against a threshold of 0.2" in page


def test_a_crossover_begins_with_either_arm_equally_often_and_is_tested_at_its_end(bench: Path):
    file = bench / "study.toml"
    file.write_text(file.read_text().replace("sequential = false", 'sequential = false\ndesign = "crossover"'))
    rs.lock_study(rs.LockStudy(study=file))
    process, operator = begin(bench, "study.toml")
    for _ in range(4):
        operator.until("set up")
        operator.click("ready")
        operator.score(True, stage=2)
    finish(process)
    told = rs.unblind_study(rs.UnblindStudy(study=file))
    assert sorted(told.trials[::2]) == ["first", "second"], "half of the cases begin with either"
    assert told.sentence.startswith("No difference shown between first and second")
    assert "exact test of Mainland and Gart" in told.sentence and not told.early
    assert any(name.endswith(", tried first") for name in counted(bench).decided.verdict.estimates)


def test_a_guard_that_is_killed_voids_its_trial_alone_and_somebody_looks_at_the_bench_first(bench: Path):
    rs.lock_study(rs.LockStudy(study=bench / "study.toml"))
    process, operator = begin(bench, "study.toml")
    operator.until("set up")
    operator.click("ready")
    operator.until("running")
    os.kill(guard_of(process), signal.SIGKILL)
    state = operator.until("stopped")
    assert state["guard"]["text"] == "Guard: its process is gone"
    assert "only its driver's own watchdog does" in state["hint"] and "nothing can be read back" in state["hint"]
    operator.click("release")
    for _ in range(4):
        operator.until("set up")
        operator.click("ready")
        operator.score(True)
    finish(process)
    judged = counted(bench)
    assert len(judged.used) == 4 and all(c.outcome.success for c in judged.used)
    audit = [json.loads(line) for line in (bench / "study.trials/bench.jsonl").read_text().splitlines()]
    assert [one["kind"] for one in audit if one["what"] == "guard" and one["kind"] == "lost"] == ["lost"]


def guard_of(process) -> int:
    """The newest process that the command started."""
    children = psutil.Process(process.pid).children()
    guards = [child for child in children if "spawn_main" in " ".join(child.cmdline())]
    return max(guards, key=lambda child: child.create_time()).pid


def test_a_score_is_in_the_log_before_its_click_is_answered_and_is_filed_once(bench: Path):
    rs.lock_study(rs.LockStudy(study=bench / "study.toml"))
    process, operator = begin(bench, "study.toml")
    operator.until("set up")
    operator.click("ready")
    operator.until("score")
    answers = [operator.click("score", number=1, success=True, stage=2) for _ in range(2)]
    process.kill()
    process.communicate()
    assert answers[0].status_code == 200 and answers[1].status_code in (200, 422)
    with open_log(str(bench / "study.trials"), read_only=True) as log:
        said = [j for judgements in log.judgements().values() for j in judgements if j.state == "decided"]
    assert len(said) == 1 and said[0].success


def move_right(folder: Path) -> bool:
    """What the scripted operator sees: whether the arm stands on the right."""
    return sent(folder)[-1][1] > 0.02


def score_all(folder: Path, operator: Operator) -> int:
    """By what the arm did; how many trials there were."""
    trials = 0
    with contextlib.suppress(httpx.TransportError):
        while operator.until("set up", "done")["phase"] != "done":
            operator.click("ready")
            operator.until("score")
            operator.score(move_right(folder), stage=1)
            trials += 1
    return trials


def write_study(folder: Path, keys: str, policies: list[str]) -> Path:
    """Of many short trials: twelve steps at three times the rate."""
    arm, file = folder / "arm.toml", folder / "study.toml"
    arm.write_text(arm.read_text().replace("rate_hz = 20.0", "rate_hz = 60.0"))
    text = STUDY.format(cases=9, second="right").replace("sequential = false", keys)
    arms = [f'[[arms]]\nname = "arm {k}"\npolicy = "arms.py:{name}"' for k, name in enumerate(policies, 1)]
    file.write_text("\n".join([text[: text.index("[[arms]]")], *arms]))
    return file


COPIES = "".join(
    f"\n\ndef {name}{k}(observation):\n    return {name}(observation)\n" for k in (1, 2) for name in ("still", "right")
)


def test_the_best_arm_with_an_indifference_zone_is_found_by_a_locked_study(bench: Path):
    (bench / "arms.py").write_text(POLICIES + COPIES)
    file = write_study(bench, 'design = "best arm"\nindifference = 0.4', ["still", "right", "still1"])
    rs.lock_study(rs.LockStudy(study=file))
    process, operator = begin(bench, "study.toml")
    trials = score_all(bench, operator)
    finish(process)
    told = rs.unblind_study(rs.UnblindStudy(study=file))
    assert told.sentence.startswith("arm 2 is the best of 3 arms") and not told.early
    assert trials < 27, "it stops as soon as no other can be much better"
    rs.write_report(rs.WriteReport(store=str(bench / "study.trials")))
    assert "the best arm, or one at most 0.4 below it" in (bench / "study.trials" / "report.html").read_text()


def test_a_checkpoint_ladder_is_climbed_by_a_locked_study(bench: Path):
    (bench / "arms.py").write_text(POLICIES + COPIES)
    file = write_study(bench, 'design = "ladder"', ["still", "right", "right1"])
    rs.lock_study(rs.LockStudy(study=file))
    process, operator = begin(bench, "study.toml")
    score_all(bench, operator)
    finish(process)
    told = rs.unblind_study(rs.UnblindStudy(study=file))
    assert told.sentence.startswith(
        "arm 2 is better than arm 1 before it; no difference is shown between arm 2 and arm 3"
    )


def test_recipes_are_compared_by_their_training_runs_in_a_locked_study(bench: Path):
    (bench / "arms.py").write_text(POLICIES + COPIES)
    file = write_study(bench, "sequential = false\nreplicates = 2", ["still", "still1", "right", "right1"])
    file.write_text(file.read_text().replace("cases = 9", "cases = 2"))
    rs.lock_study(rs.LockStudy(study=file))
    process, operator = begin(bench, "study.toml")
    assert score_all(bench, operator) == 8
    out, _ = finish(process)
    assert "still" not in out
    told = rs.unblind_study(rs.UnblindStudy(study=file))
    assert "the recipe of arm 3, arm 4 and the recipe of arm 1, arm 2" in told.sentence
    assert "training runs" in told.sentence and sorted(told.trials)[:2] == ["arm 1", "arm 1"]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("replicates = 2\nsequential = false", "replicates: expected 2 arms for each of two recipes or more, found 3"),
        ("replicates = 3", "sequential: expected false: training runs are counted"),
        ('replicates = 3\nsequential = false\ndesign = "ladder"', "replicates: expected 1 where the design is not"),
    ],
)
def test_replicates_that_do_not_fit_are_one_clear_line(bench: Path, keys: str, said: str):
    with pytest.raises(BadData) as error:
        Study.load(write_study(bench, keys, ["still", "right", "jumps"]))
    assert said in str(error.value)


def test_a_study_says_what_it_would_do_and_tries_nothing(bench: Path, roboscale):
    rs.lock_study(rs.LockStudy(study=bench / "study.toml"))
    said = roboscale("compare", str(bench / "study.toml"), "--dry-run").stdout
    assert "would run up to 4 trials" in said and "on 2 cases of 1 tasks of arm" in said, said
    assert not (bench / "study.trials").exists() and not (bench / "calls.jsonl").exists()
    words = ("compare", str(bench / "arms.py:still"), str(bench / "arms.py:right"), "--dry-run")
    said = roboscale(*words, "--world", f"robot:{bench / 'arm.toml'}", "--budget", "3").stdout
    assert "would run up to 6 trials" in said


def test_a_task_that_the_robot_lacks_is_said_before_the_study_is_locked(bench: Path):
    study = bench / "study.toml"
    text = study.read_text()
    study.write_text(text.replace('["reach"]', '["reach on left"]'))
    with pytest.raises(UnknownName, match=r"arm\.toml in .*study\.toml 'reach on left'.*reach"):
        rs.lock_study(rs.LockStudy(study=study))
    begun = bench / "begun.toml"
    rs.init_study(rs.InitStudy(study=begun, robot=bench / "elsewhere.toml"))
    with pytest.raises(rs.RoboscaleError, match=r"tasks: expected tasks of elsewhere\.toml, found TASK"):
        rs.lock_study(rs.LockStudy(study=begun))
    study.write_text(text.replace("py:right", "py:rihgt"))
    with pytest.raises(UnknownName, match=r"name in .*arms\.py 'rihgt'; did you mean right"):
        rs.lock_study(rs.LockStudy(study=study))
    (bench / "arms.py").write_text(f"{POLICIES}\n\nalias = still\n")
    study.write_text(text.replace("py:right", "py:alias"))
    with pytest.raises(rs.RoboscaleError, match="different policies, found the same content: first, second"):
        rs.lock_study(rs.LockStudy(study=study))
    study.write_text(text.replace("arm.toml", "elsewhere.toml").replace("arms.py:right", "constant"))
    locked = rs.lock_study(rs.LockStudy(study=study))
    assert f"not opened yet: constant; roboscale compare {study} --dry-run opens every arm" in locked.text
    assert "elsewhere.toml is not there: whether it has the study's tasks was not checked" in locked.text[0]
