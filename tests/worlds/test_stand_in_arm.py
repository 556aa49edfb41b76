"""The stand-in arm: where its end is, where its ball lies, how time passes for it, what its camera shows."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from roboscale.worlds.simulated import stand_in_arm
from roboscale.worlds.simulated.stand_in_arm import StandInArm

NEAR, FAR = 0.26, 0.38
"""Metres from the base, between which the ball lies."""


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock of the arm: passes when a test says so."""
    time = [50.0]
    monkeypatch.setattr(stand_in_arm.time, "monotonic", lambda: time[0])
    return time


@pytest.fixture
def arm(now: list[float]) -> StandInArm:
    made = StandInArm(height=0)
    made.connect()
    return made


def pass_time(arm: StandInArm, now: list[float], seconds: float, step_s: float = 0.05) -> None:
    for _ in range(round(seconds / step_s)):
        now[0] += step_s
        arm.stop()


def test_its_end_is_where_the_simulator_has_it(arm: StandInArm):
    """Worked example: stretched forward, it reaches both links from the height of the shoulder."""
    assert StandInArm.flange(np.zeros(3)) == pytest.approx([0.25 + 0.22, 0, 0.12])
    assert StandInArm.flange(np.array([0, math.pi / 2, 0])) == pytest.approx([0, 0, 0.12 + 0.47])
    rng = np.random.default_rng(0)
    for joints in rng.uniform([-1.5, -0.6, -2.6], [1.5, 1.6, 0.2], (40, 3)):
        arm._data.qpos[:3] = joints
        arm._mujoco.mj_forward(arm._model, arm._data)
        assert StandInArm.flange(joints) == pytest.approx(arm._data.site("flange").xpos, abs=1e-9)


def test_the_ball_lies_on_the_table_within_reach_where_the_seed_says(arm: StandInArm):
    places = []
    for seed in range(200):
        arm.arrange(seed)
        x, y, z = arm._data.mocap_pos[0]
        places.append((x, y))
        assert NEAR <= math.hypot(x, y) <= FAR and abs(math.atan2(y, x)) <= 0.8 and z == 0.025
    assert len(set(places)) == 200
    angles = [math.atan2(y, x) for x, y in places]
    reaches = [math.hypot(x, y) for x, y in places]
    assert min(angles) < -0.7 and max(angles) > 0.7 and min(reaches) < NEAR + 0.01 and max(reaches) > FAR - 0.01
    arm.arrange(7)
    again = StandInArm(height=0)
    again.connect()
    again.arrange(7)
    assert again._data.mocap_pos[0].tolist() == [*places[7], 0.025] == arm._data.mocap_pos[0].tolist()


@pytest.mark.parametrize("goal", [(0.5, 0.9, -1.6), (-0.5, 0.3, -1.0), (0.0, 1.2, -2.0)])
def test_it_goes_where_it_is_sent_and_stays(arm: StandInArm, now: list[float], goal: tuple[float, float, float]):
    assert arm.read()["observation.state"] == pytest.approx(arm.home, abs=1e-6)
    sent = np.array(goal)
    assert arm.send(sent) is sent and arm.torque_on()
    pass_time(arm, now, 0.02)
    assert np.abs(arm.read()["observation.state"] - goal).max() > 0.01, "motors take time"
    pass_time(arm, now, 3.0)
    assert arm.read()["observation.state"] == pytest.approx(goal, abs=0.01)
    assert np.abs(arm.read()["observation.effort"]).max() < 0.5, "there is no gravity to hold against"


@pytest.mark.parametrize(("waited_s", "passes_s"), [(0.0, 0.0), (0.1, 0.1), (0.5, 0.5), (2.0, 0.5), (3600.0, 0.5)])
def test_time_passes_on_the_wall_clock_and_half_a_second_at_most(
    arm: StandInArm, now: list[float], waited_s: float, passes_s: float
):
    before = arm._data.time
    now[0] += waited_s
    arm.read()
    assert arm._data.time - before == pytest.approx(passes_s, abs=0.0021)
    now[0] += 0.01
    arm.read()
    assert arm._data.time - before == pytest.approx(passes_s + 0.01, abs=0.0021), (
        "what was left out is not made up for"
    )


def test_looks_that_come_often_lose_no_time(arm: StandInArm, now: list[float]):
    begun = arm._data.time
    for _ in range(700):
        now[0] += 0.0007
        arm.read()
    assert arm._data.time - begun == pytest.approx(0.49, abs=0.0021)


def test_its_picture_has_the_noise_of_a_sensor_and_nothing_else_changes(now: list[float]):
    arm = StandInArm(height=48, width=64)
    arm.connect()
    shown = [arm.read()["observation.images.top"] for _ in range(8)]
    assert all(picture.shape == (48, 64, 3) and picture.dtype == np.uint8 for picture in shown)
    drawn = np.stack(shown).astype(int)
    between = (drawn > 4) & (drawn < 251)
    steady = between.all(axis=0)
    spread = (drawn.max(axis=0) - drawn.min(axis=0))[steady]
    assert spread.max() == 4 and (spread > 0).mean() > 0.9, "two values up or down"
    assert abs(float(np.median(drawn, axis=0)[steady].mean()) - float(drawn.mean(axis=0)[steady].mean())) < 0.2
    arm.disconnect()
    arm.disconnect()
    assert "observation.images.top" not in arm.read()


def _picture(arm: StandInArm, seed: int) -> np.ndarray:
    arm.arrange(seed)
    arm._mujoco.mj_forward(arm._model, arm._data)
    return arm.read()["observation.images.top"].astype(int)


def test_the_camera_sees_the_ball_where_it_lies(now: list[float]):
    arm = StandInArm()
    arm.connect()
    red: Callable[[np.ndarray], np.ndarray] = lambda seen: (seen[:, :, 0] > 120) & (seen[:, :, 1] < 80)  # noqa: E731
    columns, depths = [], []
    for seed in range(6):
        rows, cols = np.nonzero(red(_picture(arm, seed)))
        assert len(rows) > 20
        columns.append((float(cols.mean()), arm._ball[0]))
        depths.append((float(rows.mean()), arm._ball[1]))
    arm.disconnect()
    for seen, sign in ((columns, 1), (depths, -1)):
        pixels, metres = np.array(seen).T
        assert sign * np.corrcoef(pixels, metres)[0, 1] > 0.99
