"""The guard in a process of its own: leases, stops, and what happens when either side is killed. In real time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from roboscale.core import Case, InfrastructureError, PolicyError, SpecMismatch
from roboscale.worlds import open_world
from roboscale.worlds.real.guard_process import _owned as owned
from roboscale.worlds.real.guarded import GuardedRobot
from roboscale.worlds.real.robot_world import PersonStopped, RobotWorld
from tests.worlds.bench_arm import calls, declare, sent


@pytest.fixture
def robot(tmp_path: Path):
    made = GuardedRobot(declare(tmp_path))
    made.connect()
    made.release()
    yield made
    made.disconnect()


def drive(robot: GuardedRobot, steps: int, by: float = 0.012) -> float:
    """Some control periods to the right; the time of the last command."""
    for _ in range(steps):
        robot.send(robot.read()["observation.state"] + np.array([by, 0], np.float32))
        at = time.monotonic()
        time.sleep(0.05)  # a control period of a policy, in real time
    return at


def until(fits, seconds: float = 30) -> None:
    """Until it is so: another process needs its time."""
    deadline = time.monotonic() + seconds
    while not fits():
        assert time.monotonic() < deadline, "never"
        time.sleep(0.01)


def test_it_goes_home_and_where_it_is_sent_and_gives_the_robot_back(tmp_path: Path):
    world = open_world(f"robot:{declare(tmp_path)}")
    assert isinstance(world, RobotWorld) and world.info.kind == "real" and world.info.identity.verified
    assert "guard jump" in world.info.measures_about("damage")
    scene = world.start(Case("reach", 0))
    assert np.abs(scene.observe()["observation.state"]).max() < 0.03, "home"
    for _ in range(4):
        scene.step(scene.observe()["observation.state"] + np.array([0.01, 0], np.float32))
        time.sleep(0.04)
    assert set(scene.measures().values()) == {0.0}
    scene.step(scene.observe()["observation.state"] + np.array([0.15, 0], np.float32))
    assert scene.measures()["guard velocity"] >= 1
    scene.close()
    world.close()
    assert calls(tmp_path)[0] == "connect" and calls(tmp_path)[-2:] == ["stop", "disconnect"]


@pytest.mark.parametrize(("off", "home"), [(0.0, True), (0.015, True), (-0.015, True), (0.03, False), (-0.5, False)])
def test_home_is_within_a_hundredth_of_the_range(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, off: float, home: bool
):
    """An encoder's noise is no reason to go on for ever; an arm that stands beside its home is told where it is."""
    robot, now = GuardedRobot(declare(tmp_path)), [0.0]
    commands: list[np.ndarray] = []
    monkeypatch.setattr("roboscale.worlds.real.guarded.time.monotonic", lambda: now[0])
    monkeypatch.setattr("roboscale.worlds.real.guarded.time.sleep", lambda s: now.__setitem__(0, now[0] + s))
    monkeypatch.setattr(robot, "read", lambda: {"observation.state": np.array([off, 0.0], np.float32)})
    monkeypatch.setattr(robot, "send", lambda goal: commands.append(goal) or goal)
    monkeypatch.setattr(robot, "stop", lambda: commands.append(np.zeros(0)))
    if home:
        robot.go_home()
        assert [len(c) for c in commands] == [0], "it is stopped and sent nowhere"
        return
    with pytest.raises(InfrastructureError, match=rf"not home within 30 s: it stands at \[{off:g}"):
        robot.go_home()
    step = 0.25 / 20  # at its velocity for a control period
    assert len(commands) == pytest.approx(600, abs=2)
    assert all(c == pytest.approx([max(0, off - step) if off > 0 else min(0, off + step), 0]) for c in commands)


def test_commands_expire_when_the_policy_hangs(robot: GuardedRobot, tmp_path: Path):
    last = drive(robot, 5)
    path: list[float] = []
    until(lambda: robot.read() and robot.mode == "holding")
    while len(path) < 60:
        time.sleep(0.1)
        path = [x for at, x in sent(tmp_path) if at >= last]
    assert robot.measure()["guard expired"] >= 1, "once, or more often where this machine was late before"
    assert path[-1] - path[0] <= 0.020 and path[-1] == path[-10], "at most 20 mm, then still"


def test_a_jump_is_the_policys_mistake_and_stays_stopped(robot: GuardedRobot):
    with pytest.raises(PolicyError, match=r"the guard stopped \(jump\): x from 0.100 to 5, at most 0.2 away"):
        robot.send(np.array([5.0, 0.0]))
    with pytest.raises(PolicyError):
        robot.send(np.array([0.1, 0.0]))
    robot.release()
    robot.send(np.array([0.1, 0.0]))
    assert robot.mode == "moving"


def test_a_person_stops_it_from_another_thread_and_it_says_what_was_read_back(robot: GuardedRobot, tmp_path: Path):
    drive(robot, 3)
    robot.protective_stop()
    until(lambda: robot.read() and robot.mode == "stopped")
    with pytest.raises(PersonStopped):
        robot.send(robot.peek(9)["observation.state"])
    time.sleep(0.1)
    back = robot.readback(0.1)
    assert back.mode == "stopped" and back.moved == 0 and "cannot say whether torque is on" in back.text
    with pytest.raises(InfrastructureError, match="still stands stopped"):
        robot.prepare(Case("reach", 0))


def test_a_peek_reads_again_only_when_what_was_read_is_old(robot: GuardedRobot):
    first = robot.read()
    robot.send(first["observation.state"] + np.array([0.012, 0], np.float32))
    time.sleep(0.1)
    assert robot.peek(60) is first, "whoever only looks on does not disturb"
    until(lambda: robot.peek(0.0)["observation.state"][0] > first["observation.state"][0] + 0.005)
    newer = robot.peek(60)
    robot.disconnect()
    time.sleep(0.06)
    assert robot.peek(0.05) is newer, "what was seen last, when nobody can look"


def test_a_file_stops_it_and_it_is_not_released_before_the_file_is_gone(robot: GuardedRobot, tmp_path: Path):
    file = tmp_path / "arm.toml.stop"
    file.touch()
    until(lambda: robot.read() and robot.reason is not None)
    assert robot.reason is not None and "arm.toml.stop is there" in robot.reason.text
    with pytest.raises(InfrastructureError, match="remove it"):
        robot.release()
    file.unlink()
    robot.release()
    assert robot.mode == "holding"


def test_a_frozen_camera_stops_it_and_makes_the_trial_void(tmp_path: Path):
    robot = GuardedRobot(declare(tmp_path, "camera"))
    robot.connect()
    robot.release()
    with pytest.raises(InfrastructureError, match="front has shown the same picture for 0.3"):
        drive(robot, 12)
    robot.disconnect()


def test_a_driver_that_fails_is_void_and_named(tmp_path: Path):
    robot = GuardedRobot(declare(tmp_path, "connect"))
    with pytest.raises(InfrastructureError, match="connect: OSError: no such port"):
        robot.connect()
    assert not robot.lost and robot.process_id is None, "nothing was connected, and nothing may be moving"
    robot.stop(), robot.disconnect()


def test_a_driver_that_fails_while_it_moves_is_told_to_stop_and_the_reason_is_told(tmp_path: Path):
    robot = GuardedRobot(declare(tmp_path, "send"))
    robot.connect()
    robot.release()
    said = "the guard has ended: the driver raised OSError: motor 3 is hot; it was told to stop, and disconnected"
    with pytest.raises(InfrastructureError, match=said):
        drive(robot, 12)
    assert robot.lost.startswith(said) and calls(tmp_path)[-2:] == ["stop", "disconnect"]
    robot.disconnect()


def test_a_declaration_that_is_not_the_robots_is_no_void_trial(tmp_path: Path):
    file = declare(tmp_path)
    file.write_text(file.read_text().replace('name = "front"', 'name = "top"'))
    world = open_world(f"robot:{file}")
    with pytest.raises(
        SpecMismatch, match=r"robot arm: driver driver.py:Arm: what it reads .*\n.*images.top: declared"
    ):
        world.start(Case("reach", 0))
    world.close()
    assert calls(tmp_path) == ["connect", "stop", "disconnect"]


def test_when_the_guard_is_killed_everybody_is_told_who_holds_the_arm(robot: GuardedRobot, tmp_path: Path):
    drive(robot, 3)
    assert robot.process_id is not None
    os.kill(robot.process_id, signal.SIGKILL)
    with pytest.raises(InfrastructureError, match=r"exit code -9\).*driver's own watchdog"):
        drive(robot, 3)
    assert "disconnect" not in calls(tmp_path)


POLICY_SIDE = """
import sys, time
from pathlib import Path
import numpy as np
from roboscale.worlds.real.guarded import GuardedRobot

if __name__ == "__main__":
    robot = GuardedRobot(Path("arm.toml"))
    robot.connect()
    robot.release()
    for _ in range(200):
        robot.send(robot.read()["observation.state"] + np.array([0.0125, 0.0]))
        print(time.monotonic(), flush=True)
        time.sleep(0.05)
"""


def kill_while_moving(folder: Path, after: int) -> tuple[float, float]:
    """Kills the process that sends commands after some of them; what the arm went after the last one (m), and its
    speed before (m/s)."""
    (folder / "policy.py").write_text(POLICY_SIDE)
    process = subprocess.Popen([sys.executable, "policy.py"], cwd=folder, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    last = 0.0
    for _ in range(after):
        last = float(process.stdout.readline())
    process.kill()
    rest = process.communicate()[0].split()
    last = float(rest[-1]) if rest else last
    until = time.monotonic() + 10
    while "disconnect" not in calls(folder) and time.monotonic() < until:
        time.sleep(0.02)  # the guard is no child of ours: its file is all that can be watched
    path = sent(folder)
    before = [x for at, x in path if last - 0.1 <= at <= last]
    behind = [x for at, x in path if at >= last]
    return behind[-1] - behind[0], (before[-1] - before[0]) / 0.1


def test_when_its_other_side_is_killed_the_arm_holds_within_20_mm(tmp_path: Path):
    declare(tmp_path)
    travel, speed = kill_while_moving(tmp_path, 8)
    assert speed > 0.02, "it was moving"
    assert travel <= 0.020 and calls(tmp_path)[-2:] == ["stop", "disconnect"]


def test_after_a_guard_that_is_gone_another_takes_over_from_where_the_arm_stands(robot: GuardedRobot, tmp_path: Path):
    drive(robot, 3)
    first = robot.process_id
    assert first is not None and robot.lost == ""
    os.kill(first, signal.SIGKILL)
    with pytest.raises(InfrastructureError):
        drive(robot, 2)
    assert "is gone" in robot.lost and robot.reason is None
    with pytest.raises(InfrastructureError, match="is gone"):
        robot.read()
    robot.protective_stop()  # nothing that a killed process holds keeps a stop from being asked for
    robot.connect()
    assert robot.process_id != first and robot.lost == "" and robot.mode == "off"
    robot.release()
    drive(robot, 2)
    assert robot.mode == "moving" and calls(tmp_path).count("connect") == 2


def test_a_guard_that_hangs_is_left_and_its_late_answer_is_nobodys(
    robot: GuardedRobot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("roboscale.worlds.real.guarded._ANSWER_S", 0.3)
    assert robot.process_id is not None
    os.kill(robot.process_id, signal.SIGSTOP)
    with pytest.raises(InfrastructureError, match=r"did not answer read within 0.3 s and was left.*own watchdog"):
        robot.read()
    hung = robot.process_id
    robot.connect()
    robot.release()
    assert robot.read()["observation.state"].shape == (2,) and robot.process_id != hung
    with pytest.raises(ProcessLookupError):
        os.kill(hung, 0)


def test_one_arm_has_one_guard_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The second command at an arm waits until the first has given it back, and is refused where it does not."""
    monkeypatch.setattr("roboscale.worlds.real.guard_process._FREE_S", 0.2)
    declaration = declare(tmp_path)
    with owned(declaration), pytest.raises(InfrastructureError, match=r"another command drives .*arm\.toml"):
        owned(declaration)
    owned(declaration).close()


def test_what_a_driver_measures_belongs_to_the_trial(tmp_path: Path):
    declaration = declare(tmp_path)
    driver = tmp_path / "driver.py"
    more = '\nfrom roboscale.core import Measure\nArm.measured = (Measure(name="x", unit="m"),)\n'
    driver.write_text(driver.read_text() + more + 'Arm.measure = lambda self: {"x": float(self.at[0]), "y": 1.0}\n')
    robot = GuardedRobot(declaration)
    assert robot.measured[-1].name == "x" and robot.measure()["x"] is None, "nobody has looked"
    robot.connect()
    robot.release()
    robot.read()
    assert robot.measure()["x"] == pytest.approx(0.1) and "y" not in robot.measure()
    assert "x" not in robot.interventions()
    robot.disconnect()
