"""The check before recording: joints that slipped, cameras that were bumped, and nothing that is not so."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from roboscale.core import BadData
from roboscale.sources.teleop.lags import LagMeter, lag_between
from roboscale.sources.teleop.views import ReferenceViews, compare_views
from roboscale.worlds.simulated import stand_in_arm
from roboscale.worlds.simulated.stand_in_arm import StandInArm

HOME = (0.0, 0.9, -1.6)
CAMERA = 'pos="0.25 0 1" xyaxes="1 0 0 0 1 0"'
LIGHT = 'ambient=".45 .45 .45" diffuse=".3 .3 .3"'
PLANTED = 20


def picture(joints=HOME, camera: str = CAMERA, light: str = LIGHT, seed: int = 0) -> np.ndarray:
    """What the stand-in's camera shows at the home pose."""
    patch = pytest.MonkeyPatch()
    patch.setattr(stand_in_arm, "_MODEL", stand_in_arm._MODEL.replace(CAMERA, camera).replace(LIGHT, light))
    arm = StandInArm(home=joints)
    arm._noise = np.random.default_rng(seed)
    arm.connect()
    arm._passed_s = time.monotonic()
    seen = arm.read()["observation.images.top"]
    arm.disconnect()
    patch.undo()
    return seen


@pytest.fixture(scope="module")
def before() -> np.ndarray:
    return picture()


def offset(degrees: float, number: int) -> tuple[float, float, float]:
    """A slip of the first joint, this way or that."""
    return (HOME[0] + np.radians(degrees) * (1 if number % 2 else -1) * (1 + 0.02 * number), *HOME[1:])


def found(before: np.ndarray, pictures) -> int:
    return sum(compare_views("top", before, one).found for one in pictures)


def test_a_joint_that_slipped_is_found(before: np.ndarray):
    large = found(before, (picture(offset(17, k), seed=k + 1) for k in range(PLANTED)))
    small = found(before, (picture(offset(5, k), seed=k + 1) for k in range(PLANTED)))
    print(f"17 degrees: {large} of {PLANTED}; 5 degrees: {small} of {PLANTED}")
    assert large == PLANTED and small >= 15
    text = compare_views("top", before, picture(offset(17, 1))).text
    assert "top: the camera, the arm, or something in view stands elsewhere (" in text


def test_a_camera_that_was_bumped_is_found(before: np.ndarray):
    """By 2 cm to some side, or turned by 3 degrees about its axis or another."""
    moved = []
    for k in range(PLANTED):
        angle = 2 * np.pi * k / PLANTED
        if k % 2:
            x, y = 0.25 + 0.02 * np.cos(angle), 0.02 * np.sin(angle)
            moved.append(f'pos="{x} {y} 1" xyaxes="1 0 0 0 1 0"')
        else:
            c, s = np.cos(np.radians(3)), np.sin(np.radians(3)) * (1 if k % 4 else -1)
            axes = (f"{c} {s} 0 {-s} {c} 0", f"{c} 0 {s} 0 1 0", f"1 0 0 0 {c} {s}")[k // 2 % 3]
            moved.append(f'pos="0.25 0 1" xyaxes="{axes}"')
    seen = found(before, (picture(camera=camera, seed=k) for k, camera in enumerate(moved)))
    print(f"a camera moved by 2 cm or turned by 3 degrees: {seen} of {PLANTED}")
    assert seen == PLANTED


def test_the_same_scene_in_another_light_is_no_finding(before: np.ndarray):
    draw = np.random.default_rng(3)
    lights = [
        f'ambient="{a} {a} {a}" diffuse="{d} {d} {d}"'
        for a, d in zip(draw.uniform(0.35, 0.55, PLANTED), draw.uniform(0.25, 0.35, PLANTED), strict=True)
    ]
    alike = found(before, (picture(light=light, seed=k + 50) for k, light in enumerate(lights)))
    print(f"the same scene in other light, found: {alike} of {PLANTED}")
    assert alike == 0


def test_pictures_are_kept_and_what_was_accepted_stays_on_record(before: np.ndarray, tmp_path: Path):
    views = ReferenceViews(tmp_path)
    assert views.pictures == {} and views.compare({"top": before}) == []
    views.keep({"top": before}, HOME, [])
    np.testing.assert_array_equal(views.pictures["top"], before)
    (same,) = views.compare({"top": before, "side": before})
    assert not same.found and "as the last time" in same.text
    (other,) = views.compare({"top": np.roll(before, 9, axis=1)})
    assert other.found and "stands elsewhere" in other.text and len(other.boxes) == other.changed
    views.keep({"top": before}, HOME, [other])
    assert '"accepted"' in (tmp_path / "meta/roboscale/views/views.json").read_text()
    with pytest.raises(BadData, match="the size of the last time"):
        views.compare({"top": before[:100]})
    assert compare_views("top", np.zeros_like(before), np.zeros_like(before)).text.endswith("it cannot be compared")
    (tmp_path / "meta/roboscale/views/top.png").write_text("nonsense")
    with pytest.raises(BadData, match="a PNG of the home pose"):
        views.compare({"top": before})


@pytest.mark.parametrize("late_s", [0.0, 0.07, 0.15, 0.4])
def test_lags_are_found_within_half_a_frame(late_s: float):
    """An arm that follows its commands so late, and a camera that shows it 60 ms later still, at 30 Hz."""
    times, rate = np.arange(240) / 30, 30.0
    way = lambda t: np.stack([np.sin(1.7 * t) * np.sin(0.4 * t), np.cos(1.1 * t)], axis=1)  # noqa: E731
    meter = LagMeter()
    for k, t in enumerate(times):
        shown = way(np.array([t - late_s - 0.06]))[0]
        image = np.full((64, 64, 3), 30, np.uint8)
        column = int(32 + 20 * shown[0])
        image[:, column : column + 8] = 220
        frame = {"action": way(times[k : k + 1])[0], "observation.state": way(np.array([t - late_s]))[0]}
        meter.add({**frame, "observation.images.top": image})
    lags = meter.lags(rate)
    assert lags["command"] is not None
    assert abs(lags["command"].seconds - late_s) <= 0.5 / rate and lags["command"].correlation > 0.9


def test_nothing_is_said_of_an_arm_that_stands_still():
    meter = LagMeter()
    for _ in range(100):
        meter.add({"action": np.zeros(2), "observation.state": np.zeros(2)})
    assert meter.lags(30.0) == {"command": None} and LagMeter().lags(30.0) == {}
    assert lag_between(np.arange(5), np.arange(5), 30.0) is None
