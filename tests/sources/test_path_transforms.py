"""Moving and joining paths: the laws that the mathematics must keep."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roboscale.core import Pose
from roboscale.sources.simulation.transform import blend, displacement, interpolate, nearest_order, transfer_weight

numbers = st.floats(-1, 1, allow_nan=False)
vectors = st.tuples(numbers, numbers, numbers).map(np.array)
poses = st.builds(lambda t, r: Pose.make(t, r, "rotvec"), vectors, vectors)
golden = Pose.make((1, 2, 3), np.deg2rad([70, 50, 30]), "rpy")


@given(poses, poses, poses)
def test_a_pose_fixed_to_its_reference_stays_fixed_to_it(then: Pose, now: Pose, hand: Pose):
    moved = displacement(then, now) @ hand
    assert (now.inverse() @ moved).close_to(then.inverse() @ hand, 1e-6)


@given(poses)
def test_a_reference_that_did_not_move_moves_nothing(pose: Pose):
    assert displacement(pose, pose).close_to(Pose.identity(), 1e-6)


@given(poses, poses, poses)
def test_a_blend_starts_and_ends_at_its_two_displacements(pose: Pose, before: Pose, after: Pose):
    assert blend(pose, before, after, 0.0).close_to(before @ pose, 1e-6)
    assert blend(pose, before, after, 1.0).close_to(after @ pose, 1e-6)


@given(poses, poses, st.floats(0, 1))
def test_a_blend_of_equal_displacements_is_that_displacement(pose: Pose, both: Pose, weight: float):
    assert blend(pose, both, both, weight).close_to(both @ pose, 1e-6)


def test_interpolation_turns_at_a_constant_rate_about_the_shortest_way():
    start, end = Pose.identity(), golden
    whole_m, whole_rad = start.distance(end)
    for weight in (0.25, 0.5, 0.75):
        assert start.distance(interpolate(start, end, weight)) == pytest.approx((weight * whole_m, weight * whole_rad))


def test_a_displacement_turns_about_its_reference_not_about_the_origin():
    turned = Pose.make((1, 0, 0), np.array([0, 0, np.pi / 2]), "rotvec")
    moved = displacement(Pose.make((1, 0, 0)), turned) @ Pose.make((1.1, 0, 0))
    assert moved.translation == pytest.approx([1, 0.1, 0])


paths = st.lists(vectors, min_size=2, max_size=30).map(np.array)


@given(paths, st.floats(0, 0.5), st.floats(0.01, 0.5))
@settings(max_examples=60)
def test_the_weight_grows_from_one_reference_to_the_other(path: np.ndarray, leave_m: float, arrive_m: float):
    weight = transfer_weight(path, leave_m, arrive_m)
    assert weight.shape == (len(path),) and np.all(np.diff(weight) >= 0)
    assert np.all((weight >= 0) & (weight <= 1)) and weight[-1] == 1
    assert weight[0] == 0 or np.ptp(path, axis=0).max() < 1e-6


def test_the_path_is_not_distorted_near_its_references():
    path = np.linspace([0, 0, 0], [0.5, 0, 0], 51)
    weight = transfer_weight(path, 0.05, 0.1)
    assert not weight[:6].any() and np.all(weight[40:] == 1) and 0 < weight[20] < 1


def test_the_nearest_demonstration_comes_first_and_tedium_counts_as_distance():
    now = {"object1": np.zeros(3), "goal": np.ones(3)}
    far, near = ({"object1": np.full(3, d), "goal": np.ones(3)} for d in (0.3, 0.1))
    assert nearest_order([far, near], now) == (1, 0)
    assert nearest_order([far, near], now, [0.0, 1.0]) == (0, 1)
