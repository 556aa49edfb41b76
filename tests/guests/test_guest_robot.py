"""Robots of LeRobot as drivers: with a fake LeRobot, and with LeRobot's own where it is installed."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import roboscale as rs
from roboscale.core import BadData, Case, InfrastructureError, RoboscaleError
from roboscale.dataset import Dataset
from roboscale.guests import environment_of, find_guest
from roboscale.guests import robot as guest_robot
from roboscale.guests.robot import PER_UNIT, GuestRobot
from roboscale.worlds import open_world
from roboscale.worlds.real.declaration import RobotDeclaration
from roboscale.worlds.real.guarded import GuardedRobot
from roboscale.worlds.simulated.stand_in_motors import StandInMotors

HERE = Path(__file__).parent
PLUGINS = HERE.parents[1] / "plugins"
ARM = """
name = "toy"
driver = "lerobot:toy_arm"
rate_hz = 20.0
horizon = 20
[tasks]
reach = "move the tip of the arm"
[options]
port = "{port}"
[[joints]]
name = "shoulder"
unit = "rad"
low = -1.0
high = 1.0
velocity = 1.0
acceleration = 8.0
jump = 0.5
home = 0.0
[[joints]]
name = "gripper"
unit = "1"
low = 0.0
high = 1.0
velocity = 2.0
acceleration = 20.0
jump = 1.0
home = 0.5
[[cameras]]
name = "top"
height = 8
width = 10
"""
JOINT = """
[[joints]]
name = "{0}"
unit = "rad"
low = -2.5
high = 1.6
velocity = 1.0
acceleration = 8.0
jump = 0.5
home = {1}
"""


@pytest.fixture
def lerobot(toy, monkeypatch: pytest.MonkeyPatch):
    """The toy guest with a fake LeRobot beside it."""
    monkeypatch.setattr("roboscale.guests.process._MORE_PATH", (str(HERE / "fake_lerobot"),))
    monkeypatch.setattr(guest_robot, "find_guest", lambda name: toy)
    return toy


def arm(port: str = "", **changes) -> GuestRobot:
    joints = {"shoulder": "rad", "gripper": "1", **changes}
    return GuestRobot("toy_arm", joints, ("top",), config={"port": port})


def test_it_is_read_and_sent_in_the_units_of_the_declaration_and_says_what_was_sent(lerobot):
    robot = arm()
    robot.connect()
    seen = robot.read()
    assert seen["observation.state"] == pytest.approx([math.radians(10), 0.5])
    assert seen["observation.images.top"].shape == (8, 10, 3) and seen["observation.images.top"].dtype == np.uint8
    assert robot.send(np.array([1.0, 0.25])) == pytest.approx([math.radians(30), 0.25]), "what LeRobot really sent"
    assert robot.read()["observation.state"] == pytest.approx([math.radians(30), 0.25])
    robot.disconnect()
    with pytest.raises(InfrastructureError, match="not connected"):
        robot.read()


@pytest.mark.parametrize(
    ("robot", "said"),
    [
        (lambda: arm(wrist="rad"), r"motors: declared gripper.pos, shoulder.pos, wrist.pos, toy_arm has gripper.pos"),
        (lambda: arm("gone"), "no such port"),
        (lambda: arm("uncalibrated"), "lerobot-calibrate does that, once, with a person at the arm"),
        (lambda: GuestRobot("so999", {"shoulder": "rad"}), "type: expected one of toy_arm, found 'so999'"),
    ],
)
def test_what_does_not_fit_is_said_before_anything_moves(lerobot, robot, said: str):
    made = robot()
    with pytest.raises(RoboscaleError, match=said):
        made.connect()


def test_a_declaration_names_a_type_of_lerobot(lerobot, tmp_path: Path):
    (tmp_path / "arm.toml").write_text(ARM.format(port="somewhere"))
    declared = RobotDeclaration.load(tmp_path / "arm.toml")
    driver = declared.make(tmp_path)
    assert isinstance(driver, GuestRobot) and driver.config == {"port": "somewhere", "type": "toy_arm"}
    known = declared.identity(driver)
    driver.made_of = (*driver.made_of, "lerobot_robot_other-2.0")
    assert declared.identity(driver) != known, "a plugin of another version is another driver"
    box = "[workspace]\nlow = [0, 0, 0]\nhigh = [1, 1, 1]\n"
    (tmp_path / "arm.toml").write_text(ARM.format(port="") + box)
    with pytest.raises(BadData, match="flange: expected file.py:function beside the file"):
        RobotDeclaration.load(tmp_path / "arm.toml")
    (tmp_path / "where.py").write_text("def flange(joints):\n    return (joints[0], 0.0, 0.0)\n")
    (tmp_path / "arm.toml").write_text('flange = "where.py:flange"\n' + ARM.format(port="") + box)
    assert RobotDeclaration.load(tmp_path / "arm.toml").make(tmp_path).flange(np.array([0.3, 0])) == (0.3, 0.0, 0.0)
    (tmp_path / "arm.toml").write_text(ARM.format(port="").replace("lerobot:toy_arm", "ros2:/joint_states"))
    with pytest.raises(BadData, match="robots of ROS 2 are not driven yet"):
        RobotDeclaration.load(tmp_path / "arm.toml")


@pytest.fixture(params=[pytest.param("lerobot", id="0.4.4"), pytest.param("lerobot06", id="0.6.1")])
def version(request: pytest.FixtureRequest) -> str:
    """The guest that has a version of LeRobot."""
    if environment_of(find_guest(request.param)) is None:
        pytest.skip(f"the LeRobot guest is not installed: roboscale guest install {request.param}")
    return str(request.param)


@pytest.fixture
def plugins(version: str) -> Iterator[None]:
    """Our plugins beside LeRobot, as pip installs anybody's; taken away afterwards."""
    made = environment_of(find_guest(version))
    assert made is not None
    pip = [str(made.python), "-m", "pip", "--disable-pip-version-check"]
    names = ["lerobot_robot_roboscale", "lerobot_teleoperator_roboscale"]
    folders = [str(PLUGINS / name) for name in names]
    subprocess.run([*pip, "install", "-q", "--no-deps", *folders], check=True)
    yield
    subprocess.run([*pip, "uninstall", "-q", "-y", *names], check=True)


@pytest.mark.parametrize("version", ["lerobot"], indirect=True)
def test_a_plugin_of_lerobot_drives_the_stand_in_behind_the_guard(plugins, tmp_path: Path):
    motors = start_motors(tmp_path)
    options = f'address = "{tmp_path / "m.sock"}"\nheight = 24\nwidth = 32'
    head = ARM[: ARM.index("[[joints]]")].replace('port = "{port}"', options)
    camera = '[[cameras]]\nname = "top"\nheight = 24\nwidth = 32\n'
    text = head + "".join(JOINT.format(*joint) for joint in (("turn", 0.0), ("lift", 0.9), ("bend", -1.6))) + camera
    (tmp_path / "arm.toml").write_text(text.replace("lerobot:toy_arm", "lerobot:roboscale_stand_in"))
    try:
        world = open_world(f"robot:{tmp_path / 'arm.toml'}")
        scene = world.start(Case("reach", 0))
        here = scene.observe()["observation.state"]
        assert here == pytest.approx([0.0, 0.9, -1.6], abs=0.05), "radians, though LeRobot says degrees"
        for _ in range(20):
            scene.step(scene.observe()["observation.state"] + np.array([0.04, 0, 0], np.float32))
            time.sleep(0.04)  # a control period
        assert scene.observe()["observation.state"][0] > 0.05
        robot = world.robot
        assert isinstance(robot, GuardedRobot) and robot.reason is None
        scene.close()
        world.close()
    finally:
        motors.kill()
        motors.wait()


@pytest.mark.parametrize("version", ["lerobot"], indirect=True)
def test_an_arm_follows_a_teleoperator_of_lerobots_own(plugins, tmp_path: Path):
    """`collect teleop --input lerobot:TYPE` with the real package: what is recorded is where its file led the arm."""
    followed_script(tmp_path)


def followed_script(folder: Path) -> None:
    """One episode, led by the plugin that reads positions of a file; in LeRobot's units, as it stands there."""
    from tests.jobs.operator_driving import driving
    from tests.worlds.bench_arm import declare

    file = declare(folder)
    file.write_text(file.read_text().replace("horizon = 12", "horizon = 400"))
    (folder / "way.json").write_text(json.dumps([{"x.pos": 0.2 * PER_UNIT["m"], "y.pos": -0.05 * PER_UNIT["m"]}]))
    words = {"input": "lerobot:roboscale_script", "leader": (f"file={folder / 'way.json'}",)}
    with driving(rs.Teleoperate(out=folder / "set", robot=str(file), episodes=1, **words)) as (driver, done):
        driver.phase("ready", seconds=120)
        driver.act("begin")
        driver.until(lambda state: state["phase"] == "recording" and state["numbers"]["observation.state"][0] > 0.19)
        driver.act("success")
    assert done[0].kept == 1 and done[0].unattended < done[0].steps
    episode = Dataset(folder / "set").episode(0)
    assert episode.arrays["action"][-1] == pytest.approx([0.2, -0.05])
    found = rs.audit_dataset(rs.AuditDataset(dataset=folder / "set", workers=0)).report.findings
    assert [one.check for one in found if one.severity == "error"] == ["black-camera"], "the camera is a stand-in, too"


def start_motors(folder: Path) -> subprocess.Popen:
    """The stand-in's motors, as a user starts them."""
    words = [
        "-m",
        "roboscale.worlds.simulated.stand_in_motors",
        str(folder / "m.sock"),
        "--size",
        "24",
        "32",
        "--idle",
        "900",
    ]
    made = subprocess.Popen([sys.executable, *words])
    for _ in range(600):
        if (folder / "m.sock").exists():
            return made
        time.sleep(0.05)
    raise AssertionError("the motors do not listen")


def turn(address: Path, *, back: bool) -> float:
    """How far the stand-in's first joint is turned, rad; first back at its home where asked."""
    arm = StandInMotors(str(address), 24, 32)
    arm.connect()
    for _ in range(200 if back else 0):
        arm.send(np.array([0.0, 0.9, -1.6]))
        time.sleep(0.01)  # a guard's tick
    angle = float(arm.read()["observation.state"][0])
    arm.disconnect()
    return angle


MENDED = """
import sys
import torch
try:
    import torchvision
except RuntimeError:  # built for another torch; LeRobot's commands call none of these
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    KEPT = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        KEPT.define(name + "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
"""


@pytest.fixture
def commands(version: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What LeRobot's commands import and the guest, which runs none of them, does not have."""
    made = environment_of(find_guest(version))
    assert made is not None
    folder = tmp_path_factory.mktemp("commands")
    words = [str(made.python), "-m", "pip", "install", "-q", "--no-deps", "--disable-pip-version-check"]
    subprocess.run([*words, "--target", str(folder), "rerun-sdk==0.26.2"], check=True)
    (folder / "sitecustomize.py").write_text(MENDED)
    return folder


def test_lerobots_own_commands_run_with_our_plugins_unmodified(version, plugins, commands: Path, tmp_path: Path):
    made = environment_of(find_guest(version))
    assert made is not None
    motors, turned = start_motors(tmp_path), []
    swing = [(0.3 * k + 3 * math.sin(k / 6), 8 * math.sin(k / 7), 12 * math.sin(k / 8)) for k in range(200)]
    way = [{"turn.pos": a, "lift.pos": 51.6 + b, "bend.pos": -91.7 + c} for a, b, c in swing]
    (tmp_path / "way.json").write_text(json.dumps(way))
    environment = {
        **os.environ, "PYTHONPATH": f"{commands}:{commands / 'rerun_sdk'}",
        "HF_LEROBOT_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1",
        "HF_LEROBOT_CALIBRATION": str(tmp_path / "calibration"),
    }  # fmt: skip
    robot = [
        "--robot.type=roboscale_stand_in",
        f"--robot.address={tmp_path / 'm.sock'}",
        "--robot.height=24",
        "--robot.width=32",
    ]
    teleop = ["--teleop.type=roboscale_script", f"--teleop.file={tmp_path / 'way.json'}"]
    data = [f"--dataset.root={tmp_path / 'set'}", "--dataset.repo_id=me/stand-in"]
    try:
        for command in (
            ["lerobot-teleoperate", *robot, *teleop, "--fps=20", "--teleop_time_s=2"],
            [
                "lerobot-record", *robot, *teleop, *data, "--dataset.single_task=move the tip to the red ball",
                "--dataset.num_episodes=2", "--dataset.episode_time_s=3", "--dataset.reset_time_s=0.1",
                "--dataset.fps=20", "--dataset.push_to_hub=false", "--play_sounds=false", "--display_data=false",
            ],
            ["lerobot-replay", *robot, *data, "--dataset.episode=0", "--play_sounds=false"],
        ):  # fmt: skip
            if command[0] == "lerobot-replay":
                turned.append(turn(tmp_path / "m.sock", back=True))
            words = [str(made.python.parent / command[0]), *command[1:]]
            done = subprocess.run(
                words, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=400, check=False
            )
            assert done.returncode == 0, f"{command[0]}: {done.stdout[-1500:]}\n{done.stderr[-3000:]}"
        turned.append(turn(tmp_path / "m.sock", back=False))
    finally:
        motors.kill()
        motors.wait()
    found = rs.audit_dataset(rs.AuditDataset(dataset=tmp_path / "set", workers=0))
    assert found.report.count("error") == 0, found.report
    assert json.loads((tmp_path / "set/meta/info.json").read_text())["total_episodes"] == 2
    last = math.radians(Dataset(tmp_path / "set").episode(0, images=False).arrays["action"][-1, 0])
    assert turned == pytest.approx([0.0, last], abs=0.05) and abs(last) > 0.06, "replay moved the arm again"
