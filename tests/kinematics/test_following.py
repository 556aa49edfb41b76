"""An arm follows a path of poses: reached, out of reach, too fast, or only by touching itself."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from roboscale.core import BadData, RoboscaleError, UnknownName
from roboscale.kinematics.arm_model import ArmModel, load_arm
from roboscale.kinematics.following import ArmStand, base_for, follow_path, turns_about_z
from tests.samples.arm import write_arm_mjcf, write_arm_urdf

HOME = np.array([0.2, 0.5, 0.9, 0.1, 0.6, -0.2])
AT = ArmStand(np.array([0.4, -0.3, 0.2]), 0.7, turns_about_z("z")[1])


@pytest.fixture(scope="module")
def arm(tmp_path_factory: pytest.TempPathFactory) -> ArmModel:
    return load_arm(str(write_arm_mjcf(tmp_path_factory.mktemp("arm") / "arm.xml")))


def effector(arm: ArmModel, joints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where a person would have held the effector for the arm at AT to stand so: the inverse of `seen_from`."""
    c, s = np.cos(AT.yaw), np.sin(AT.yaw)
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    tips = [arm.forward(row) for row in joints]
    place = np.stack([turn @ at + AT.place for at, _ in tips])
    return place, np.stack([turn @ rotation @ AT.tool.T for _, rotation in tips])


def swing(count: int, far: float = 0.4) -> np.ndarray:
    return HOME + far * np.sin(np.linspace(0, 2, count))[:, None] * np.array([1, 0.5, -0.5, 0.8, 0.6, 1])


def followed(arm: ArmModel, joints: np.ndarray, rate_hz: float = 30.0, known: np.ndarray | None = None):
    place, turn = effector(arm, joints)
    known = np.ones(len(joints), bool) if known is None else known
    return follow_path(arm, place, turn, time_s=np.arange(len(joints)) / rate_hz, known=known, base=AT)


def test_a_path_that_the_arm_made_is_followed_and_the_tip_comes_there(arm: ArmModel):
    joints = swing(40)
    made = followed(arm, joints)
    assert made.followed == 40 and made.metres.max() < 1e-3 and made.radians.max() < 0.01
    place, turn = AT.seen_from(*effector(arm, joints))
    for row in (0, 17, 39):
        at, rotation = arm.forward(made.joints[row])
        assert np.linalg.norm(at - place[row]) == pytest.approx(made.metres[row])
        assert (np.trace(rotation.T @ turn[row]) - 1) / 2 == pytest.approx(np.cos(made.radians[row]), abs=1e-9)


def test_a_pose_beyond_the_arm_is_out_of_reach_and_one_that_is_not_known_is_nothing(arm: ArmModel):
    place, turn = effector(arm, swing(20))
    place[8:12] += [0.0, 0.0, 2.0]
    known = np.ones(20, bool)
    known[3] = False
    made = follow_path(arm, place, turn, time_s=np.arange(20) / 10, known=known, base=AT)
    assert np.flatnonzero(made.unreachable).tolist() == [8, 9, 10, 11]
    assert np.isnan(made.metres[3]) and made.metres[9] > 0.5 and made.followed == 15


def test_the_same_path_in_a_tenth_of_the_time_is_too_fast(arm: ArmModel):
    joints = swing(20, far=0.8)
    assert not followed(arm, joints, 15).too_fast.any()
    fast = followed(arm, joints, 150)
    assert fast.too_fast[1:10].all() and not fast.unreachable.any() and not fast.too_fast[0]


def test_a_posture_in_which_the_hand_meets_the_arm_is_seen(arm: ArmModel):
    folded = np.array([0.2, 0.5, 0.9, 0.1, 2.6, -0.2])
    assert arm.touches_itself(folded) and not arm.touches_itself(HOME)
    joints = HOME + np.linspace(0, 1, 60)[:, None] * (folded - HOME)
    made = followed(arm, joints, 5)
    assert made.self_colliding[-1] and not made.self_colliding[0] and made.followed < 60


def test_a_base_is_found_from_which_a_path_is_reached(arm: ArmModel):
    place, turn = effector(arm, swing(30))
    found = base_for(arm, place, turn, tools=turns_about_z("z"))
    known = np.ones(30, bool)
    made = follow_path(arm, place, turn, time_s=np.arange(30) / 30, known=known, base=found)
    assert made.unreachable.sum() == 0
    said = base_for(arm, place, turn, tools=turns_about_z("z"), where=(AT.place, AT.yaw))
    assert said.yaw == AT.yaw and np.array_equal(said.place, AT.place)


def test_urdf_and_mjcf_of_one_arm_agree_and_the_urdf_has_speeds(arm: ArmModel, tmp_path: Path):
    other = load_arm(str(write_arm_urdf(tmp_path / "arm.urdf", mesh="hand.dae")))
    assert other.joints == arm.joints == ("yaw", "lift", "elbow", "roll", "pitch", "turn")
    for a, b in zip(other.forward(HOME), arm.forward(HOME), strict=True):
        assert np.abs(a - b).max() < 1e-9
    assert np.allclose(other.low, arm.low) and set(other.speed) == {2.5} and set(arm.speed) == {2.0}
    assert any("hand.dae" in note for note in other.notes) and any("no shapes" in note for note in other.notes)
    assert any("--joint-speed" in note for note in arm.notes)


def test_another_model_speed_or_tip_is_another_identity(arm: ArmModel, tmp_path: Path):
    same, moved = write_arm_mjcf(tmp_path / "other.xml"), tmp_path / "moved.xml"
    moved.write_text(same.read_text().replace('pos="0 0 0.08"', 'pos="0 0 0.09"'))
    assert load_arm(str(same)).digest == arm.digest
    others = (load_arm(str(moved)), load_arm(str(same), speed=1.0), load_arm(str(same), tip="turn_link"))
    assert len({one.digest for one in (arm, *others)}) == 4


@cache
def has_kitchen() -> bool:
    from importlib.util import find_spec

    return find_spec("gymnasium_robotics") is not None


def test_a_panda_of_a_package_that_is_installed_is_an_arm_of_seven():
    if not has_kitchen():
        pytest.skip("gymnasium-robotics is not installed")
    panda = load_arm("panda")
    assert len(panda.joints) == 7 and panda.speed[0] == pytest.approx(2.175)
    assert 0.8 < max(float(np.linalg.norm(panda.forward(q)[0])) for q in (panda.low, panda.high, 0 * panda.low)) < 1.5


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("arm.xml", "<mujoco><worldbody/></mujoco>", "a site or body called one of end_effector"),
        ("arm.xml", "<mujoco><worldbody><site name='tcp'/></worldbody></mujoco>", "no joint before the tip"),
        ("arm.xml", "<mujoco><worldbody><geom/></worldbody></mujoco>", "an arm that MuJoCo reads"),
        ("arm.xml", "<scene/>", "whose root is mujoco or robot"),
        ("arm.urdf", "no xml", "no XML"),
        ("arm.stl", "solid", "MJCF"),
    ],
)
def test_a_file_that_is_no_arm_is_one_clear_line(tmp_path: Path, name: str, text: str, says: str):
    (tmp_path / name).write_text(text)
    with pytest.raises(BadData, match=says):
        load_arm(str(tmp_path / name))


def test_an_arm_that_is_not_there_says_what_brings_it(arm: ArmModel):
    with pytest.raises(BadData, match="panda, ur5"):
        load_arm("pandaa")
    with pytest.raises(UnknownName, match="tcp"):
        load_arm(arm.origin, tip="tpc")
    try:
        load_arm("ur5")
    except RoboscaleError as error:
        assert "pip install example-robot-data" in str(error)
