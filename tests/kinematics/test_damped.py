"""Damped least squares: finds joints, keeps to limits, stays calm where an arm is stretched out."""

import numpy as np
import pytest

from roboscale.kinematics import jacobian, reach
from roboscale.worlds.simulated.stand_in_arm import StandInArm

LOW, HIGH = np.array([-1.4, -0.5, -2.5]), np.array([1.4, 1.5, 0.1])


def test_the_jacobian_is_the_derivative():
    """Of the stand-in's arm, by its trigonometry, at a pose where no two joints are alike."""
    turn, lift, bend = at = np.array([0.4, 0.7, -1.3])
    reach_, up = 0.25 * np.cos(lift) + 0.22 * np.cos(lift + bend), 0.25 * np.sin(lift) + 0.22 * np.sin(lift + bend)
    fore = 0.22 * np.sin(lift + bend)
    expected = np.array(
        [
            [-reach_ * np.sin(turn), -up * np.cos(turn), -fore * np.cos(turn)],
            [reach_ * np.cos(turn), -up * np.sin(turn), -fore * np.sin(turn)],
            [0.0, reach_, 0.22 * np.cos(lift + bend)],
        ]
    )
    np.testing.assert_allclose(jacobian(StandInArm.flange, at), expected, atol=1e-8)


def test_it_reaches_what_can_be_reached_and_keeps_to_the_limits():
    rng = np.random.default_rng(0)
    missed = 0
    for _ in range(300):
        goal, start = rng.uniform(LOW, HIGH), rng.uniform(LOW, HIGH)
        near = goal + np.clip(start - goal, -0.3, 0.3)
        found = reach(StandInArm.flange, np.clip(near, LOW, HIGH), StandInArm.flange(goal), low=LOW, high=HIGH)
        assert (found.joints >= LOW).all() and (found.joints <= HIGH).all()
        assert found.error == pytest.approx(np.linalg.norm(StandInArm.flange(found.joints) - StandInArm.flange(goal)))
        missed += found.error > 2e-3
    assert missed <= 15, "more than 5 % of targets that are near"


def test_a_target_out_of_reach_is_approached_and_nothing_runs_away():
    at = np.array([0.1, 0.3, -0.2])
    found = reach(StandInArm.flange, at, np.array([3.0, 0.5, 0.4]), low=LOW, high=HIGH)
    before = np.linalg.norm(StandInArm.flange(at) - [3.0, 0.5, 0.4])
    assert found.error < before
    assert (found.joints >= LOW).all() and (found.joints <= HIGH).all()
    again = reach(StandInArm.flange, found.joints, np.array([3.0, 0.5, 0.4]), low=LOW, high=HIGH)
    assert again.error <= found.error


def test_a_stretched_arm_takes_small_steps():
    """Straight out, a pseudo-inverse would ask for endless joint rates towards the base."""
    straight = np.array([0.0, 0.0, -1e-4])
    towards = StandInArm.flange(straight) - [0.005, 0, 0]
    matrix = jacobian(StandInArm.flange, straight)
    undamped = np.linalg.pinv(matrix, rcond=1e-12) @ (towards - StandInArm.flange(straight))
    step = reach(StandInArm.flange, straight, towards, low=LOW, high=HIGH, iterations=1).joints - straight
    assert np.abs(undamped).max() > 10 > 0.5 > np.abs(step).max()
    assert reach(StandInArm.flange, straight, towards, low=LOW, high=HIGH).error < 0.005
