"""Sobol indices of success: against known answers, and never of what nothing says."""

import numpy as np
import pytest

from roboscale.stats.sensitivity import CASE, failure_clusters, sensitivity, sobol_design

AXES = ("light", "mass", "camera")


def asked(function, points: int = 256) -> np.ndarray:
    """Outcomes of a function of the strengths (and of nothing else), as a run would have them."""
    return function(sobol_design(AXES, points, seed=1)).astype(float)


def test_the_design_takes_one_axis_from_the_second_draw_at_a_time():
    design = sobol_design(AXES, 8, seed=2)
    assert design.shape == (8, 6, 3) and design.min() >= 0 and design.max() <= 3
    first, second = design[:, 0], design[:, 1]
    for axis in range(3):
        mixed = design[:, 2 + axis]
        np.testing.assert_array_equal(mixed[:, axis], second[:, axis])
        others = [k for k in range(3) if k != axis]
        np.testing.assert_array_equal(mixed[:, others], first[:, others])
    np.testing.assert_array_equal(design[:, 5], first)
    np.testing.assert_array_equal(design, sobol_design(AXES, 8, seed=2))
    assert not np.array_equal(design, sobol_design(AXES, 8, seed=3))


def test_an_axis_that_decides_alone_explains_all_and_the_others_nothing():
    found = sensitivity(asked(lambda s: s[..., 1] < 1.5), AXES)
    by_name = {one.axis: one for one in found.indices}
    assert found.indices[0].axis == "mass"
    assert by_name["mass"].first.value == pytest.approx(1, abs=0.1)
    assert by_name["mass"].total.value == pytest.approx(1, abs=0.1)
    for other in ("light", "camera", CASE):
        assert by_name[other].total.value == 0
    assert "total-order indices above 0: mass" in found.sentence and "no interaction is shown" in found.sentence


def test_two_axes_that_only_fail_together_are_named_as_acting_together():
    """Exclusive or: neither explains anything by itself, each everything together with the other."""
    found = sensitivity(asked(lambda s: (s[..., 0] < 1.5) ^ (s[..., 2] < 1.5)), AXES)
    by_name = {one.axis: one for one in found.indices}
    for axis in ("light", "camera"):
        low = by_name[axis].together.low
        assert by_name[axis].first.value == pytest.approx(0, abs=0.15)
        assert low is not None and low > 0.5
    assert "act together with others" in found.sentence


def test_rows_with_a_void_trial_are_left_out_and_that_is_said():
    outcomes = asked(lambda s: s[..., 1] < 1.5, 64)
    outcomes[3, 4] = np.nan
    found = sensitivity(outcomes, AXES)
    assert (found.rows, found.asked) == (32, 64)
    assert "32 of 64 rows left out" in found.sentence


def test_nothing_is_said_where_every_trial_ended_alike():
    found = sensitivity(np.ones((16, 6)), AXES)
    assert found.indices == () and "every trial ended alike" in found.sentence
    assert sensitivity(np.full((4, 6), np.nan), AXES).indices == ()


def test_failures_gather_where_they_were_put():
    strengths = np.random.default_rng(0).uniform(0, 3, (400, 3))
    failed = (strengths[:, 0] > 1.5) & (strengths[:, 2] > 1.5)
    clusters = failure_clusters(strengths, failed, AXES)
    assert clusters[0].text == "light of 1.5 or more and camera of 1.5 or more"
    assert clusters[0].lift.value == pytest.approx(1 / failed.mean())
    low = clusters[0].lift.low
    assert low is not None and low > 1


def test_failures_that_lie_anywhere_gather_nowhere():
    draw, found = np.random.default_rng(1), 0
    for _ in range(100):
        strengths, failed = draw.uniform(0, 3, (120, 3)), draw.random(120) < 0.3
        found += bool(failure_clusters(strengths, failed, AXES))
    assert found <= 12
