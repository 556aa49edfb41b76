"""Cameras that OpenCV opens: pictures are RGB of the declared size, and one that stops is frozen."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from roboscale.core import Case, InfrastructureError
from roboscale.worlds import open_world
from roboscale.worlds.real.cameras import OpenCvCamera
from roboscale.worlds.real.guarded import GuardedRobot
from tests.worlds.bench_arm import declare

cv2 = pytest.importorskip("cv2")


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Five seconds that get brighter, red in the left half."""
    file = tmp_path / "film.avi"
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter_fourcc(*"MJPG"), 30, (48, 32))
    for k in range(150):
        picture = np.full((32, 48, 3), k, np.uint8)
        picture[:, :24] = (0, 0, 200)  # OpenCV's order is blue, green, red
        writer.write(picture)
    writer.release()
    return file


def test_a_picture_is_rgb_and_of_the_declared_size(film: Path):
    camera = OpenCvCamera(str(film), 32, 48)
    seen = camera.newest()
    assert seen.shape == (32, 48, 3) and seen[:, 4].mean(axis=0) == pytest.approx([200, 0, 0], abs=12)
    camera.close()


def test_a_camera_that_cannot_be_opened_or_is_another_size_is_named(film: Path, tmp_path: Path):
    with pytest.raises(InfrastructureError, match="cannot open it"):
        OpenCvCamera(str(tmp_path / "none.avi"), 32, 48)
    with pytest.raises(InfrastructureError, match=r"expected pictures of 64 x 48, found \(32, 48, 3\)"):
        OpenCvCamera(str(film), 64, 48)


def test_a_declared_camera_is_seen_beside_the_drivers_own_and_its_end_stops_the_arm(film: Path, tmp_path: Path):
    declaration = declare(tmp_path)
    text = declaration.read_text()
    more = f'[[cameras]]\nname = "side"\nheight = 32\nwidth = 48\ndevice = "{film}"\n'
    declaration.write_text(text.replace("[workspace]", more + "[workspace]"))
    world = open_world(f"robot:{declaration}")
    scene = world.start(Case("reach", 0))
    seen = scene.observe()
    assert seen["observation.images.side"].shape == (32, 48, 3) and seen["observation.images.front"].shape == (
        16,
        18,
        3,
    )
    robot = world.robot
    assert isinstance(robot, GuardedRobot)
    until = time.monotonic() + 10
    while robot.reason is None and time.monotonic() < until:  # the film ends, and the last picture stays
        robot.read()
        time.sleep(0.05)
    assert robot.reason is not None and "side has shown the same picture" in robot.reason.text
    world.close()
