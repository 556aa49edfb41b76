"""A robot's file: read strictly, every mistake at once, with both sides."""

from pathlib import Path

import pytest

from roboscale.core import BadData, RoboscaleError
from roboscale.worlds.real.declaration import RobotDeclaration

ARM = """
name = "arm"
driver = "driver.py:Arm"
rate_hz = 20.0
horizon = 40
[tasks]
reach = "move the tip of the arm to the red ball"
[[joints]]
name = "shoulder"
unit = "rad"
low = -1.0
high = 1.0
velocity = 1.0
acceleration = 8.0
jump = 0.5
home = 0.0
"""


def written(folder: Path, text: str) -> Path:
    (folder / "arm.toml").write_text(text)
    return folder / "arm.toml"


def test_the_specs_follow_from_the_joints_and_cameras(tmp_path: Path):
    camera = '[[cameras]]\nname = "front"\nheight = 96\nwidth = 128\n'
    robot = RobotDeclaration.load(written(tmp_path, ARM + camera))
    assert robot.action_spec["action"].low == (-1.0,) and robot.action_spec["action"].unit == "rad"
    assert robot.observation_spec["observation.images.front"].shape == (96, 128, 3)
    assert robot.watchdog.lease_s > 1 / robot.rate_hz


def test_all_mistakes_are_said_at_once_with_both_sides(tmp_path: Path):
    text = ARM.replace("home = 0.0", "home = 3.0").replace('"rad"', '"degrees"').replace("rate_hz = 20.0", "")
    with pytest.raises(BadData) as error:
        RobotDeclaration.load(written(tmp_path, text + "[watchdog]\nlease_s = 0.01\ntick_hertz = 5.0\n"))
    said = str(error.value)
    for part in ("arm.toml", "rate_hz", "joints[0].unit: expected one of rad, m, 1, found 'degrees'", "tick_hertz"):
        assert part in said, said


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("low = -1.0", "low = 2.0", "joints[0].low: expected less than high, 1, found 2"),
        ("home = 0.0", "home = 3.0", "joints[0].home: expected a position from -1 to 1, found 3"),
        ("horizon = 40", "horizon = 40\n[watchdog]\nlease_s = 0.01\n[tasks]", "watchdog.lease_s: expected more than"),
        ('"driver.py:Arm"', '"ros2:/arm"', "robots of ROS 2 are not driven yet"),
        ("low = -1.0\nhigh = 1.0", "low = -80\nhigh = 80", "found -80 to 80, which looks like degrees"),
        ("velocity = 1.0", "velocity = nan", "joints[0].velocity: expected a number above 0"),
    ],
)
def test_a_mistake_names_the_key_and_both_sides(tmp_path: Path, old: str, new: str, said: str):
    text = ARM.replace(old, new)
    if new.endswith("[tasks]"):
        text = text.replace("[tasks]\n[tasks]", "[tasks]")
    with pytest.raises(BadData) as error:
        RobotDeclaration.load(written(tmp_path, text))
    assert said in str(error.value)


WORKING = "".join(f"    def {name}(self, *_): ...\n" for name in ("connect", "read", "send", "stop", "disconnect"))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("    def __init__(self): raise OSError('no file')\n", r"driver.py:Arm: made with \[\]: OSError: no file"),
        ("    def __init__(self): raise SystemExit('no licence')\n", "SystemExit: no licence"),
        ("    def flange(self, q): return 1 / 0\n", r"flange of the home pose, \[0.0\]: ZeroDivisionError"),
        ("    def flange(self, q): return [0.3, 0.1]\n", r"expected \(x, y, z\) in metres, .* found \[0.3, 0.1\]"),
        ("    def flange(self, q): return [3, 0, 0]\n", r"stands at \[3.0, 0.0, 0.0\] m, and the workspace is from"),
    ],
)
def test_a_driver_that_cannot_be_made_or_does_not_know_its_home_is_one_clear_line(
    tmp_path: Path, more: str, said: str
):
    (tmp_path / "driver.py").write_text(f"class Arm:\n{WORKING}{more}")
    text = ARM + "[workspace]\nlow = [-1, -1, -1]\nhigh = [1, 1, 1]\n"
    with pytest.raises(RoboscaleError, match=said):
        RobotDeclaration.load(written(tmp_path, text)).make(tmp_path)


def test_a_driver_without_a_flange_cannot_have_a_workspace(tmp_path: Path):
    methods = "\n".join(f"    def {m}(self, *_): ..." for m in ("connect", "read", "send", "stop", "disconnect"))
    (tmp_path / "driver.py").write_text(f"class Arm:\n{methods}\n")
    robot = RobotDeclaration.load(written(tmp_path, ARM + "[workspace]\nlow = [0, 0, 0]\nhigh = [1, 1, 1]\n"))
    with pytest.raises(RoboscaleError, match="lacks flange"):
        robot.make(tmp_path)
    assert RobotDeclaration.load(written(tmp_path, ARM)).make(tmp_path) is not None
