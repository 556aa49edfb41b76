"""Meta-World's arm as a stand-in for hardware: it goes where it is sent, in real time, behind the guard."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from roboscale.core import Case
from roboscale.worlds import open_world
from roboscale.worlds.real.guarded import GuardedRobot
from roboscale.worlds.simulated import stand_in_sawyer

pytest.importorskip("metaworld")
FILE = Path(stand_in_sawyer.__file__).parent / "stand_in_bench" / "sawyer.toml"


def test_it_goes_where_it_is_sent_in_real_time_and_is_scored_by_a_person(tmp_path: Path):
    shutil.copyfile(FILE, tmp_path / "sawyer.toml")
    world = open_world(f"robot:{tmp_path / 'sawyer.toml'}")
    info = world.info
    assert info.horizon / info.observation_spec.rate_hz == 30 and info.pace == "wall"
    assert not any(measure.name == "success" for measure in info.measures), "at a bench a person decides"
    scene = world.start(Case("reach", 3))
    begun, here = time.monotonic(), scene.observe()["observation.state"]
    assert scene.observe()["observation.images.front"].shape == (96, 96, 3)
    while (gone := scene.observe()["observation.state"] - here)[0] < 0.06:
        assert time.monotonic() - begun < 60, "never"
        scene.step(here + np.array([max(gone[0], 0) + 0.03, 0, 0, 0], np.float32))  # sideways from where it began
        time.sleep(0.05)  # a control period
    took = time.monotonic() - begun
    assert gone[0] < 0.25 * took + 0.02 and abs(gone[1:3]).max() < 0.05
    robot = world.robot
    assert isinstance(robot, GuardedRobot) and robot.measure()["condition"] in (0.0, 1.0)
    assert robot.reason is None
    scene.close()
    world.close()
