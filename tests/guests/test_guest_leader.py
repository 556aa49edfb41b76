"""Leader arms of LeRobot: with a fake LeRobot, driven from end to end with a stand-in that follows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import roboscale as rs
from roboscale.core import InfrastructureError, RoboscaleError, SpecMismatch, UsageError
from roboscale.dataset import Dataset
from roboscale.guests import leader as guest_leader
from roboscale.guests.leader import GuestLeader
from roboscale.sources.teleop import LeaderReader
from tests.jobs.operator_driving import SIM, driving
from tests.worlds.bench_arm import declare, sent

HERE = Path(__file__).parent
JOINTS = {"x": "m", "y": "m"}


@pytest.fixture
def lerobot(toy, monkeypatch: pytest.MonkeyPatch):
    """The toy guest with a fake LeRobot beside it."""
    monkeypatch.setattr("roboscale.guests.process._MORE_PATH", (str(HERE / "fake_lerobot"),))
    monkeypatch.setattr(guest_leader, "find_guest", lambda name: toy)
    return toy


def test_what_does_not_fit_is_said_before_anything_moves(lerobot, tmp_path: Path):
    for arm, said in (
        (GuestLeader("toy_leader", {**JOINTS, "wrist": "rad"}), r"follows has wrist\.pos, .* gives x\.pos, y\.pos"),
        (GuestLeader("toy_leader", JOINTS, {"port": "uncalibrated"}), "lerobot-calibrate does that"),
        (GuestLeader("so999", JOINTS), "type: expected one of toy_leader, found 'so999'"),
    ):
        with pytest.raises(RoboscaleError, match=said):
            arm.connect()
    with pytest.raises(RoboscaleError, match="unit of a joint: expected one of rad, m, 1, found 0.01 m"):
        GuestLeader("toy_leader", {"x": "0.01 m"})
    for words, said in (
        ({"input": "mouse"}, "unknown input 'mouse'"),
        ({"leader": ("port=1",)}, "it is said of --input lerobot:TYPE"),
        ({"input": "lerobot:toy_leader", "leader": ("port",)}, "expected NAME=VALUE, found 'port'"),
    ):
        with pytest.raises(UsageError, match=said):
            rs.Teleoperate(out=tmp_path / "set", robot=SIM, **words).check()
    deltas = rs.Teleoperate(out=tmp_path / "set", robot=SIM, input="lerobot:toy_leader")
    with pytest.raises((SpecMismatch, RoboscaleError)):
        rs.teleoperate(deltas)


def test_positions_are_read_in_a_thread_and_expire_when_it_hangs(lerobot):
    arm = GuestLeader("toy_leader", {"x": "rad", "y": "1"}, {"hangs_after": 30})
    with LeaderReader(arm) as leader:
        ages = []
        while not leader.problem:
            ages.append(leader.newest()[1])
            leader._over.wait(0.02)
        positions, age = leader.newest()
        assert positions == pytest.approx([np.radians(0.03), -0.0005]) and age > 0.3
        assert min(ages) < 0.3 and "toy" in leader.problem


def test_an_arm_follows_a_leader_at_the_joints_own_speed(lerobot, tmp_path: Path):
    """The leader stands at (.2, -.05) in the end; the arm starts at home, (0, 0), and is not thrown there."""
    file = declare(tmp_path)
    file.write_text(file.read_text().replace("horizon = 12", "horizon = 400"))
    asked = rs.Teleoperate(out=tmp_path / "set", robot=str(file), episodes=1, input="lerobot:toy_leader")
    with driving(asked) as (driver, done):
        driver.phase("ready")
        assert driver.state["leader"] == "toy_leader" and driver.state["devices"] == []
        driver.motion = [0.0, 0.0, 1.0]  # nobody's: the page drives nothing
        driver.silent = True
        driver.act("begin")
        driver.until(lambda state: state["phase"] == "recording" and state["numbers"]["observation.state"][0] > 0.19)
        driver.until(lambda state: state["attended"])
        driver.act("success")
    assert done[0].kept == 1
    arrays = Dataset(tmp_path / "set").episode(0).arrays
    assert arrays["action"][-1] == pytest.approx([0.2, -0.05])
    assert np.median(arrays["operator.age_s"]) < 0.3
    assert np.abs(np.diff(arrays["action"], axis=0)).max() <= 0.25 / 20 + 1e-6
    ticks = np.array(sent(tmp_path))
    assert np.abs(np.diff(ticks[:, 1])).max() < 0.25 / 100 * 1.5
    known = Dataset(tmp_path / "set").episodes[0].provenance
    assert known.details["input"] == "lerobot:toy_leader"


def test_a_leader_takes_over_from_a_policy_and_when_it_is_gone_the_arm_holds(lerobot, tmp_path: Path):
    """The policy keeps the arm at home; the leader may be gone before it takes over, and nothing jumps either way."""
    file = declare(tmp_path)
    file.write_text(file.read_text().replace("horizon = 12", "horizon = 400"))
    (tmp_path / "still.py").write_text("def still(seen):\n    return [0.0, 0.0]\n")
    policy = f"{tmp_path / 'still.py'}:still"
    words = {"input": "lerobot:toy_leader", "leader": ("hangs_after=120",), "policy": policy}
    with driving(rs.Teleoperate(out=tmp_path / "set", robot=str(file), episodes=1, **words)) as (driver, done):
        driver.phase("ready")
        driver.act("begin")
        driver.phase("recording")
        driver.act("take")
        driver.until(lambda state: state["intervening"] and not state["attended"])
        shown = driver.state["shown"]
        driver.until(lambda state: state["shown"] > shown + 20)
        driver.act("success")
    assert done[0].unattended > 10
    arrays = Dataset(tmp_path / "set").episode(0).arrays
    late = arrays["operator.age_s"][:, 0] > 0.3
    assert np.abs(np.diff(arrays["action"][late], axis=0)).max() == 0, "the goal stays"
    theirs = arrays["is_intervention"][:, 0]
    assert theirs.any() and not theirs[0] and done[0].interventions == theirs.sum()
    np.testing.assert_array_equal(arrays["policy.action"], 0)
    np.testing.assert_array_equal(arrays["action"][~theirs], 0)
    assert arrays["applied.action"].shape == arrays["action"].shape
    assert np.abs(np.diff(arrays["action"], axis=0)).max() <= 0.25 / 20 + 1e-6, "no jump"


def test_a_leader_that_says_nonsense_is_no_goal(monkeypatch: pytest.MonkeyPatch):
    class Nonsense:
        alive = True

        def ask(self, what, message):
            return {"x.pos": float("nan"), "y.pos": 0.0}

    arm = GuestLeader.__new__(GuestLeader)
    arm.kind, arm.joints, arm._process = "toy", JOINTS, Nonsense()  # type: ignore[assignment]
    arm._per_unit = np.ones(2)
    with pytest.raises(InfrastructureError, match="expected finite positions"):
        arm.positions()
