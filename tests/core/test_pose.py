"""Rotations by the conventions: the golden asymmetric pose in every layout, and the laws of the group."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from roboscale.core import Pose, SpecMismatch, UnknownName
from roboscale.core.pose import LAYOUTS, canonical_quat_wxyz, convert_rotation, rotation_matrix

# 30 deg about z, then 50 about y, then 70 about x (fixed axes), t = (1, 2, 3)
ORACLE = Rotation.from_euler("zyx", [30, 50, 70], degrees=True)
GOLDEN = Pose(ORACLE.as_matrix(), np.array([1.0, 2.0, 3.0]))
EXPECTED = {
    "matrix": ORACLE.as_matrix().reshape(9),
    "quat_xyzw": ORACLE.as_quat(canonical=True),
    "quat_wxyz": ORACLE.as_quat(canonical=True)[[3, 0, 1, 2]],
    "rotvec": ORACLE.as_rotvec(),
    "rpy": ORACLE.as_euler("xyz"),
    "rot6d_rows": ORACLE.as_matrix()[:2].reshape(6),
    "rot6d_columns": ORACLE.as_matrix()[:, :2].T.reshape(6),
}


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_golden_pose_in_every_layout_matches_scipy(layout: str):
    np.testing.assert_allclose(GOLDEN.as_layout(layout), EXPECTED[layout], atol=1e-12)
    np.testing.assert_allclose(rotation_matrix(EXPECTED[layout], layout), ORACLE.as_matrix(), atol=1e-12)


def test_no_two_layouts_of_the_golden_pose_read_alike():
    same_size = [(a, b) for a in EXPECTED for b in EXPECTED if a < b and LAYOUTS[a] == LAYOUTS[b]]
    assert same_size
    for a, b in same_size:
        assert np.abs(EXPECTED[a] - EXPECTED[b]).max() > 0.05, f"{a} read as {b} would go unnoticed"


unit = st.lists(st.floats(-1, 1), min_size=4, max_size=4).filter(lambda q: np.linalg.norm(q) > 0.1)
vector = st.lists(st.floats(-5, 5), min_size=3, max_size=3)
poses = st.builds(lambda q, t: Pose.make(t, q), unit, vector)


@given(poses, poses, poses)
def test_composition_is_associative(a: Pose, b: Pose, c: Pose):
    assert ((a @ b) @ c).close_to(a @ (b @ c), 1e-7)


@given(poses)
def test_identity_and_inverse(a: Pose):
    assert (a @ a.inverse()).close_to(Pose.identity(), 1e-7)
    assert (a @ Pose.identity()).close_to(a, 1e-7)


@given(poses, poses, vector)
def test_product_applies_right_to_left(a: Pose, b: Pose, point: list[float]):
    np.testing.assert_allclose((a @ b).apply(np.array(point)), a.apply(b.apply(np.array(point))), atol=1e-9)


@given(unit, st.sampled_from(sorted(LAYOUTS)))
def test_every_layout_round_trips(quat_wxyz: list[float], layout: str):
    there = convert_rotation(quat_wxyz, "quat_wxyz", layout)
    np.testing.assert_allclose(rotation_matrix(there, layout), rotation_matrix(quat_wxyz, "quat_wxyz"), atol=1e-7)


@given(unit)
def test_rotation_vector_agrees_with_scipy(quat_wxyz: list[float]):
    w, x, y, z = quat_wxyz
    ours = rotation_matrix(convert_rotation(quat_wxyz, "quat_wxyz", "rotvec"), "rotvec")
    np.testing.assert_allclose(ours, Rotation.from_quat([x, y, z, w]).as_matrix(), atol=1e-7)


def test_canonical_quaternion_has_w_not_negative():
    np.testing.assert_allclose(canonical_quat_wxyz([-0.5, 0.5, 0.5, 0.5]), [0.5, -0.5, -0.5, -0.5])
    np.testing.assert_allclose(canonical_quat_wxyz([0, -1, 0, 0]), [0, 1, 0, 0])


def test_gimbal_lock_still_gives_the_same_rotation():
    matrix = rotation_matrix([0.3, np.pi / 2, 0.2], "rpy")
    np.testing.assert_allclose(
        rotation_matrix(convert_rotation(matrix.reshape(9), "matrix", "rpy"), "rpy"), matrix, atol=1e-9
    )


def test_errors_name_the_layout():
    with pytest.raises(UnknownName, match="quat_wxyz"):
        rotation_matrix([1, 0, 0, 0], "quat")
    with pytest.raises(SpecMismatch, match="quat_wxyz: expected 4"):
        rotation_matrix([1, 0, 0], "quat_wxyz")
    with pytest.raises(SpecMismatch, match="zero quaternion"):
        rotation_matrix([0, 0, 0, 0], "quat_wxyz")
