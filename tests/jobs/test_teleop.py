"""Driving from end to end: a scripted operator at the socket of the page, a simulated world and a stand-in arm."""

from __future__ import annotations

import json
import random
import re
import shlex
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from typer.testing import CliRunner

import roboscale as rs
from benchmarks.teleop_kills import measure, table
from roboscale.cli.app import app
from roboscale.core import BadData, InfrastructureError, SpecMismatch, UsageError
from roboscale.curate.selection import read_selection
from roboscale.dataset import AttemptLog, Dataset
from roboscale.dataset.layout import Layout
from tests.driven_world import GOAL, STATE
from tests.jobs.operator_driving import SIM, WORLD, Driver, driving, serve
from tests.worlds.bench_arm import calls, declare, declare_many, sent


def asked(out: Path, **words: Any) -> rs.Teleoperate:
    return rs.Teleoperate(**{"out": out, "robot": SIM, "episodes": 2, "driven_hz": 40, **words})


def ids(out: Path) -> list[str]:
    return [episode.id for episode in Dataset(out).episodes]


def test_a_person_records_fails_discards_takes_back_and_ends(tmp_path: Path):
    with driving(asked(tmp_path / "set", episodes=3, practice=1)) as (driver, done):
        state = driver.phase("ready")
        assert state["practice"] == {"wanted": 1, "scores": [], "best": None, "due": True}
        driver.act("begin")
        driver.phase("recording")
        driver.act("success")
        state = driver.until(lambda state: state["phase"] == "ready" and not state["practice"]["due"])
        assert state["practice"]["scores"] == [0] and state["counts"]["kept"] == 0, (
            "the world says no, and nothing is kept"
        )
        assert state["sentence"] == "bring the hand to the red point" and state["counts"]["kept"] == 0
        assert state["cameras"] == ["top"] and state["lease"]["mine"]
        driver.motion = [1.0, 0.5, 0.0]
        driver.record("success", steps=20)
        driver.motion = [0.0, 0.0, 0.0]
        driver.record("fail")
        start = driver.phase("ready")["counts"]["start"]
        driver.record("discard")
        assert driver.phase("ready")["counts"]["start"] == start, "a discarded start comes again"
        driver.record("success")
        driver.act("undo")
        driver.until(lambda state: state["counts"]["kept"] == 1 and state["phase"] == "ready")
        assert any("taken back" in note for note in driver.state["notes"])
        driver.act("stop")
    (result,) = done
    assert (result.kept, result.failed, result.discarded, result.undone) == (1, 1, 1, 1)
    assert result.totals == {"reach": 1}
    assert any("1 kept, 1 failures kept, 1 discarded, 1 taken back" in line for line in result.lines)
    assert result.lines[-1] == "practice of ada: 0 of 100, the best 0"
    dataset = Dataset(tmp_path / "set")
    first, second = dataset.episodes
    assert [e.outcome.status for e in dataset.episodes] == ["success", "failure"]
    known = first.provenance
    assert (known.source, known.operator, known.task) == ("teleop", "ada", "reach")
    assert known.details["driven_hz"] == 40 and known.seed != second.provenance.seed
    episode = dataset.episode(first.index)
    arrays = episode.arrays
    moved = arrays["observation.state"][-1, :3] - arrays["observation.state"][0, :3]
    np.testing.assert_allclose(moved[1] / moved[0], 0.5, atol=0.02)
    assert moved[0] > 0.05, "the hand went where the operator said"
    spans = np.diff(arrays["time.step_ns"][:, 0]) / 1e9
    assert np.median(spans) > 0.02, "driven at 40 Hz, or slower on a busy machine, never faster"
    assert np.median(arrays["operator.age_s"][8:]) < 0.3, "once the page was heard"
    attempts = [(one.operator, one.kind, one.result) for one in AttemptLog(tmp_path / "set").attempts]
    results = ("success", "failure", "discarded", "success", "taken back")
    assert attempts == [("ada", "practice", "success"), *(("ada", "recorded", result) for result in results)]
    assert len(list((Layout(tmp_path / "set").quarantine).glob("*"))) == 2, "the episode and the log"
    found = rs.audit_dataset(rs.AuditDataset(dataset=tmp_path / "set", workers=0))
    assert found.report.count("error") == 0, found.report


def test_the_last_one_is_taken_back_the_same_command_goes_on_and_another_world_is_refused(tmp_path: Path):
    out = tmp_path / "set"
    with driving(asked(out, episodes=1)) as (driver, done):
        driver.content = False
        driver.record()
        driver.phase("complete")
        driver.act("undo")
        driver.record()
        driver.phase("complete")
        driver.act("stop")
    assert (done[0].kept, done[0].undone) == (1, 1) and len(ids(out)) == 1
    before, events = ids(out), []
    with driving(asked(out, episodes=2), events) as (driver, done):
        state = driver.phase("ready")
        assert (state["counts"]["kept"], state["counts"]["wanted"]) == (1, 2)
        driver.record()
    assert done[0].totals == {"reach": 2} and ids(out)[:1] == before
    assert any("found 1 episodes" in getattr(e, "text", "") for e in events)
    with driving(asked(out, episodes=2)) as (_, done):
        pass
    assert done[0].kept == 0, "the total is there: nothing is asked for"
    changed = tmp_path / "other_world.py"
    changed.write_text(WORLD.read_text().replace('combine("reaching", 1)', 'combine("reaching", 2)'))
    with pytest.raises(SpecMismatch, match=r"(?s)was collected with reaching.*digest: collected with .*, now "):
        rs.teleoperate(asked(out, robot=f"sim:{changed}:Reaching/reach", episodes=3))
    with pytest.raises(SpecMismatch, match=r"driven_hz: collected with 40\.0, now 20\.0"):
        rs.teleoperate(asked(out, driven_hz=20))
    look_before_and_merge(tmp_path, out)


def look_before_and_merge(tmp_path: Path, out: Path) -> None:
    """A dry run reads all of it, refuses what a session would, and writes nothing; attempts survive a merge."""
    state = sorted(path.stat().st_mtime_ns for path in tmp_path.rglob("*"))
    plan = rs.plan_teleoperation(asked(out, episodes=3))
    assert [(one.task, one.have, one.wanted) for one in plan.tasks] == [("reach", 2, 3)] and plan.recorded == 2
    assert plan.cameras == {"top": (32, 32)} and {"action", "operator.age_s"} < set(plan.fields)
    assert "one hand" in "\n".join(plan.lines) and "not looked at: the scene" in "\n".join(plan.lines)
    with pytest.raises(SpecMismatch, match=r"driven_hz: collected with 40\.0, now 20\.0"):
        rs.plan_teleoperation(asked(out, driven_hz=20))
    with pytest.raises(InfrastructureError, match=r"GB are free, 9\d+ episodes and the reserve take"):
        rs.plan_teleoperation(asked(out, episodes=10**12))
    fresh = rs.plan_teleoperation(asked(tmp_path / "new" / "set"))
    assert fresh.recorded == 0 and fresh.room.endswith("GB free")
    assert state == sorted(path.stat().st_mtime_ns for path in tmp_path.rglob("*"))
    events: list[Any] = []
    rs.merge_datasets(rs.MergeDatasets(members=(out,), out=tmp_path / "merged", same=True, workers=0), events.append)
    assert AttemptLog(tmp_path / "merged").attempts == AttemptLog(out).attempts
    assert any(getattr(e, "text", "").startswith("carried over: 4 attempts of operators") for e in events)
    assert rs.plan_teleoperation(asked(tmp_path / "merged", episodes=3)).tasks[0].have == 2, "as it was collected"


def test_the_worlds_own_success_can_end_an_episode_and_the_horizon_asks(tmp_path: Path):
    with driving(asked(tmp_path / "set", world_ends=True, episodes=1, horizon=30)) as (driver, done):
        driver.phase("ready")
        driver.act("begin")
        driver.phase("judge")  # the horizon, with the hand at rest
        driver.act("discard")
        driver.phase("ready")
        driver.act("begin")
        driver.until(lambda state: state["phase"] == "recording" and GOAL.name in state["numbers"])
        while driver.state["phase"] == "recording":
            numbers = driver.state["numbers"]
            way = np.subtract(numbers[GOAL.name], numbers[STATE.name][:3])
            driver.motion = np.clip(way / 0.01, -1, 1).tolist()
            time.sleep(0.01)  # as often as a page would
    assert done[0].kept == 1 and done[0].discarded == 1
    (episode,) = Dataset(tmp_path / "set").episodes
    assert episode.outcome.measures["success"] == 1.0 and not episode.outcome.truncated


def test_a_page_that_closes_while_a_key_is_held_leaves_a_hand_that_holds(tmp_path: Path):
    with driving(asked(tmp_path / "set", episodes=1)) as (driver, done):
        driver.phase("ready")
        driver.motion = [1.0, 0.0, 0.0]
        driver.act("begin")
        driver.until(lambda state: state["phase"] == "recording" and state["numbers"][STATE.name][0] > 0.02)
        url = driver.socket.request.headers["Host"]
        driver.close()
        time.sleep(1.0)  # the hand has time to run away
        with Driver(f"http://{url}/") as again:
            first = again.phase("recording")["numbers"][STATE.name]
            time.sleep(0.3)
            assert again.state["numbers"][STATE.name] == first, "it moved without an operator"
            again.act("success")
            again.phase("done", "ready", "complete")
    episode = Dataset(tmp_path / "set").episode(0)
    x, age = episode.arrays[STATE.name][:, 0], episode.arrays["operator.age_s"][:, 0]
    assert (age > 0.3).sum() > 10, "frames without an operator are marked"
    still = np.flatnonzero((age > 0.3) & (x > 0.01))[1:]
    assert np.abs(np.diff(x[still])).max() < 1e-6
    assert done[0].unattended == Dataset(tmp_path / "set").episodes[0].outcome.measures["unattended"] > 10


def test_a_person_takes_over_from_a_policy_without_a_jump(tmp_path: Path):
    policy = f"{WORLD}:straight"
    with driving(asked(tmp_path / "set", episodes=1, policy=policy)) as (driver, done):
        driver.phase("ready")
        driver.act("begin")
        driver.until(lambda state: state["phase"] == "recording" and state["numbers"][STATE.name][0] > 0.01)
        driver.motion = [0.0, -1.0, 0.0]
        driver.act("take")
        driver.until(lambda state: state["intervening"])
        shown = driver.state["shown"]
        driver.until(lambda state: state["shown"] > shown + 10)
        driver.act("take")
        driver.until(lambda state: not state["intervening"])
        shown = driver.state["shown"]
        driver.until(lambda state: state["shown"] > shown + 5)
        driver.act("success")
    assert done[0].interventions > 8
    arrays = Dataset(tmp_path / "set").episode(0).arrays
    theirs = arrays["is_intervention"][:, 0]
    assert theirs.dtype == bool and theirs.any() and not theirs[0] and not theirs[-1]
    np.testing.assert_array_equal(arrays["action"][~theirs], arrays["policy.action"][~theirs])
    assert (np.abs(arrays["action"][theirs] - arrays["policy.action"][theirs]).max(axis=1) > 0.05).all()
    np.testing.assert_array_equal(arrays["action"], arrays["applied.action"])
    sideways = arrays["action"][theirs][2:, 1]  # 0 where what the person wanted had expired: a busy machine is late
    assert (sideways <= 0).all() and (sideways < 0).sum() > 4, "the person drove to the right"


def test_a_full_disk_ends_the_episode_and_begins_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from roboscale.sources.teleop import DiskSpace

    problem = [""]
    monkeypatch.setattr(DiskSpace, "problem", lambda self: problem[0])
    with driving(asked(tmp_path / "set", episodes=2)) as (driver, done):
        driver.phase("ready")
        driver.act("begin")
        driver.phase("recording")
        problem[0] = "0.1 GB are free: make room"
        driver.phase("judge")
        driver.act("success")
        driver.phase("ready")
        driver.act("begin")
        driver.until(lambda state: state["notes"].count(problem[0]) == 2)
        assert driver.state["phase"] == "ready"
        driver.act("stop")
    assert done[0].kept == 1
    monkeypatch.setattr(DiskSpace, "require", lambda *_: (_ for _ in ()).throw(InfrastructureError("no room")))
    with pytest.raises(InfrastructureError, match="no room"):
        rs.teleoperate(asked(tmp_path / "set"))


def test_an_arm_is_driven_by_kinematics_stopped_released_and_holds_without_a_page(tmp_path: Path):
    file = declare(tmp_path)
    text = file.read_text().replace("horizon = 12", "horizon = 400")
    file.write_text(text)
    with driving(rs.Teleoperate(out=tmp_path / "set", robot=str(file), episodes=1)) as (driver, done):
        driver.phase("ready")
        driver.motion = [0.0, 1.0, 0.0]
        driver.act("begin")
        driver.until(lambda state: state["phase"] == "recording" and state["numbers"]["observation.state"][1] > 0.03)
        driver.act("stop the arm")
        driver.phase("judge")
        driver.act("discard")
        driver.phase("stopped")
        assert "somebody stopped it" in driver.state["guard"]
        driver.motion = [0.0, 0.0, 0.0]
        driver.act("release")
        driver.phase("ready")
        driver.motion = [1.0, 0.0, 0.0]
        driver.act("begin")
        driver.until(lambda state: state["phase"] == "recording" and state["numbers"]["observation.state"][0] > 0.03)
        driver.silent = True  # the line is dead, and the last word was to go on
        shown = driver.until(lambda state: not state["attended"])["shown"]
        driver.until(lambda state: state["shown"] > shown + 20)
        driver.act("success")
    assert done[0].kept == 1, done
    assert calls(tmp_path)[-2:] == ["stop", "disconnect"]
    episode = Dataset(tmp_path / "set").episode(0)
    moved = episode.arrays["observation.state"][-1] - episode.arrays["observation.state"][0]
    assert moved[0] > 0.03 and abs(moved[1]) < 0.01
    ticks = np.array(sent(tmp_path))
    assert np.abs(np.diff(ticks[:, 1])).max() < 0.25 / 100 * 1.5, "never faster than the guard allows"
    assert len(ticks) > 20 and np.ptp(ticks[-10:, 1]) == 0, "the arm holds"
    silent = np.flatnonzero(episode.arrays["operator.age_s"][:, 0] > 0.3)
    silent = silent[silent > len(episode) - 30]  # since the line was dead, whatever else was late
    assert len(silent) > 10 and np.ptp(episode.arrays["action"][silent, 0]) == 0, "no farther than the goal there was"


def test_two_arms_of_seven_joints_and_a_hand_of_twenty_are_driven_and_recorded(tmp_path: Path):
    """The two arms by two clutches, the hand joint by joint, since nobody says where it is."""
    arms, hand = tmp_path / "arms", tmp_path / "hand"
    arms.mkdir(), hand.mkdir()
    sides = [f"{side}_{k}" for side in ("left", "right") for k in (*range(6), "gripper")]
    robot = declare_many(arms, sides, two_hands=True)
    with driving(rs.Teleoperate(out=arms / "set", robot=str(robot), episodes=1)) as (driver, done):
        state = driver.phase("ready")
        assert state["hands"] == 2 and state["joints"] == []
        driver.motion = [0.0, 0.0, 0.0, 1.0, 0.0, 0.0]
        driver.act("begin")
        driver.phase("recording")
        driver.act("gripper", hand=0)
        driver.until(lambda state: state["numbers"]["observation.state"][7] > 0.02 and state["grips"] == [True, False])
        driver.act("success")
    assert done[0].kept == 1, done
    moved = np.ptp(Dataset(arms / "set").episode(0).arrays["action"], axis=0)
    assert moved.shape == (14,) and moved[7] > 0.02 and moved[:6].max() < 1e-3, "the left arm stays"
    fingers = [f"finger_{k}" for k in range(20)]
    robot = declare_many(hand, fingers, two_hands=False)
    with driving(rs.Teleoperate(out=hand / "set", robot=str(robot), episodes=1)) as (driver, done):
        assert driver.phase("ready")["joints"] == fingers
        driver.motion, driver.joints = [0.0, 0.0, 1.0], [4, 19]
        driver.act("begin")
        driver.until(lambda state: state["phase"] == "recording" and state["numbers"]["observation.state"][19] > 0.02)
        driver.act("success")
    assert done[0].kept == 1, done
    moved = np.ptp(Dataset(hand / "set").episode(0).arrays["applied.action"], axis=0)
    assert np.flatnonzero(moved > 0.01).tolist() == [4, 19]


def kill(driver: Driver, which: str) -> None:
    psutil.Process(driver.session.process_ids[which]).kill()


def test_a_killed_guard_costs_the_take_and_another_is_started(tmp_path: Path):
    file = declare(tmp_path)
    with driving(rs.Teleoperate(out=tmp_path / "set", robot=str(file), episodes=2)) as (driver, done):
        driver.record()
        driver.phase("ready")
        driver.act("begin")
        driver.phase("recording")
        kill(driver, "guard")
        driver.phase("stopped")
        assert "the guard's process is gone" in driver.state["guard"]
        assert "nothing can be read back" in driver.state["guard"]
        driver.act("release")
        driver.record()
    assert (done[0].kept, done[0].discarded) == (2, 1)
    assert [e.outcome.status for e in Dataset(tmp_path / "set").episodes] == ["success", "success"]


def test_a_session_can_end_with_an_arm_that_nothing_holds_and_says_so(tmp_path: Path):
    file = declare(tmp_path)
    asked_ = rs.Teleoperate(out=tmp_path / "set", robot=str(file), episodes=2)
    with pytest.raises(InfrastructureError, match="IT MAY STILL BE MOVING"), driving(asked_) as (driver, done):
        driver.record()
        driver.phase("ready")
        driver.act("begin")
        driver.phase("recording")
        kill(driver, "guard")
        driver.phase("stopped")
        driver.act("stop")
    assert done[0].kept == 1 and len(Dataset(tmp_path / "set").episodes) == 1


def test_a_killed_page_and_a_killed_recording_cost_no_saved_episode(tmp_path: Path):
    with driving(asked(tmp_path / "set", episodes=3)) as (driver, done):
        driver.record()
        driver.phase("ready")
        driver.act("begin")
        driver.phase("recording")
        kill(driver, "recording")
        driver.until(lambda state: state["phase"] == "ready" and any("is lost" in note for note in state["notes"]))
        driver.record()
        driver.act("begin")
        driver.phase("recording")
        url, session_processes = driver.url, driver.session.process_ids
        kill(driver, "page")
        with Driver(url) as again:
            again.phase("recording")
            assert again.state["lease"]["mine"] and again.state["counts"]["kept"] == 2
            assert any("the page's process was gone" in note for note in again.state["notes"])
            again.act("success")
            again.phase("complete", "done")
    assert len(set(session_processes.values())) == len(session_processes)
    assert (done[0].kept, done[0].discarded) == (3, 1)
    assert len(Dataset(tmp_path / "set").episodes) == 3


def test_a_recording_that_is_gone_when_an_episode_is_to_be_saved_costs_that_one(tmp_path: Path):
    with driving(asked(tmp_path / "set", episodes=1, horizon=3)) as (driver, done):
        driver.phase("ready")
        driver.act("begin")
        driver.phase("judge")
        psutil.Process(driver.session.process_ids["recording"]).kill()
        driver.act("success")
        driver.until(lambda state: any("discarded: the recording's process is gone" in n for n in state["notes"]))
        driver.phase("ready")
        driver.act("begin")
        driver.phase("judge")
        driver.act("success")
    assert (done[0].kept, done[0].discarded) == (1, 1) and len(Dataset(tmp_path / "set").episodes) == 1


def test_a_killed_session_and_a_killed_camera_lose_no_saved_episode(tmp_path: Path):
    """`python -m benchmarks.teleop_kills` kills many more; the instants are random, and the seed is said."""
    pytest.importorskip("cv2")
    seed = random.SystemRandom().randrange(10**6)
    first = measure(tmp_path, {"session": 2}, seed)
    kills = measure(tmp_path, {"session": 2, "camera": 1}, seed)
    assert kills[:2] == first and [row[:2] for row in table(kills)] == [["session", "2"], ["camera", "1"]]
    assert sum(kill.lost for kill in kills) == 0 and kills[-1].said > 1, f"seed {seed}: {kills}"


def test_the_command_prints_its_result_and_ends_with_what_it_recorded(tmp_path: Path):
    process, url, _ = serve(tmp_path, "set", "--robot", SIM, "--episodes", "1", "--json")
    with Driver(url) as driver:
        driver.record()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    result = json.loads(out)
    assert result["kept"] == 1 and result["totals"] == {"reach": 1} and result["steps"] > 0
    assert any("20 of its 40 control steps a second" in note for note in result["notes"])
    assert result["rested"] == result["steps"], "no key was held"


def test_what_rests_is_said_at_the_end_and_the_command_leaves_it_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with driving(rs.Teleoperate(out=Path("a set"), robot=SIM, episodes=1, driven_hz=40)) as (driver, done):
        driver.phase("ready")
        driver.act("begin")
        driver.until(lambda state: state["phase"] == "recording" and state["shown"] > 6)
        driver.motion = [1.0, 0.0, 0.0]
        driver.until(lambda state: state["numbers"]["observation.state"][0] > 0.02)
        driver.motion = [0.0, 0.0, 0.0]
        shown = driver.state["shown"]
        driver.until(lambda state: state["shown"] > shown + 20)
        driver.act("success")
    said = next(line for line in done[0].lines if line.startswith("rest: "))
    command = re.search(r"roboscale (data curate .* --method rest)", said)
    assert command is not None and f"in {done[0].rested} of {done[0].steps} steps" in said
    result = CliRunner().invoke(app, shlex.split(command[1]))
    assert result.exit_code == 0, result.stderr
    whole, (measures,) = Dataset("a set"), [e.outcome.measures for e in Dataset("a set").episodes]
    moving = read_selection(Path("rest.json")).of(whole)
    assert sum(part.last - part.first + 1 for part in moving) == done[0].steps - measures["rested"]
    assert (np.abs(whole.arrays("action")[moving[0].first, :3]) > 0).any(), "the first frame that moves"


def test_a_bench_that_looks_otherwise_than_the_last_time_is_looked_at_first(tmp_path: Path):
    file = declare(tmp_path)
    driver_file, text = tmp_path / "driver.py", (tmp_path / "driver.py").read_text()
    shown = "picture = np.full((32, 48, 3), 20, np.uint8); picture[8:24, 8:24] = 200"
    shown += "; picture[0, 0] = time.monotonic_ns() % 251"
    plain = re.sub(r"        picture = .*\n", f"        {shown}\n", text)
    driver_file.write_text(plain)
    file.write_text(file.read_text().replace("height = 16", "height = 32").replace("width = 18", "width = 48"))
    out, events = tmp_path / "set", []
    with driving(rs.Teleoperate(out=out, robot=str(file), episodes=1), events) as (driver, done):
        driver.record(steps=12)
    assert any("are kept, to be compared" in getattr(e, "text", "") for e in events)
    measures = Dataset(out).episodes[0].outcome.measures
    assert {"lag of command, s", "lag of front, s"} <= set(measures), "None where too little moved"
    with driving(rs.Teleoperate(out=out, robot=str(file), episodes=2)) as (driver, done):
        driver.record(steps=3)
    assert done[0].kept == 1, "as the last time: nobody is asked"
    views = out / "meta/roboscale/views"
    from PIL import Image

    moved = np.roll(np.asarray(Image.open(views / "front.png")), 12, axis=1)
    Image.fromarray(moved).save(views / "front.png")
    with driving(rs.Teleoperate(out=out, robot=str(file), episodes=3)) as (driver, done):
        driver.phase("check")
        driver.until(lambda state: any("front: the camera, the arm" in note for note in state["notes"]))
        driver.act("again")
        driver.until(lambda state: sum("front: the camera" in note for note in state["notes"]) == 2)
        driver.act("accept")
        driver.record(steps=3)
    assert done[0].kept == 1
    assert len(json.loads((views / "views.json").read_text())["accepted"]) == 1


def test_what_is_asked_of_another_robot_is_refused(tmp_path: Path):
    with pytest.raises(UsageError, match="--tasks: it is said of a declared robot"):
        rs.Teleoperate(out=tmp_path / "d", robot=SIM, tasks="reach")
    leader = rs.Teleoperate(out=tmp_path / "d", robot=SIM, input="lerobot:so101_leader")
    with pytest.raises(SpecMismatch, match="a leader arm gives positions of joints in rad, m, 1, and .* takes "):
        rs.teleoperate(leader)
    assert not (tmp_path / "d").exists()
    (tmp_path / "two.toml").write_text('name = "two"\n[benches]\na = "a.toml"\nb = "b.toml"\n')
    with pytest.raises(BadData, match="expected the declaration of one arm, .* found a file of several benches"):
        rs.teleoperate(rs.Teleoperate(out=tmp_path / "d", robot=str(tmp_path / "two.toml")))
