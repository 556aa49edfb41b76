"""Laws of the audit's signal functions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roboscale.dataset.audit import signals
from roboscale.dataset.audit.evidence import EpisodeEvidence
from roboscale.dataset.audit.tables import wrong_statistics
from roboscale.dataset.audit.texts import judge_texts
from roboscale.dataset.statistics import summary


def wander(rng: np.random.Generator, length: int, size: int) -> np.ndarray:
    """Smooth random motion (T, D)."""
    t = np.arange(length)[:, None] / 20
    waves = [np.sin(2 * np.pi * (f * t * rng.uniform(0.6, 1.4, size) + rng.uniform(0, 1, size))) for f in (0.3, 0.7)]
    return sum(waves)


@settings(max_examples=30, deadline=None)
@given(st.integers(-4, 12), st.integers(0, 10_000), st.booleans())
def test_the_delay_that_was_put_in_comes_out(lag: int, seed: int, relative: bool):
    rng = np.random.default_rng(seed)
    path = wander(rng, 160, 4)
    state = path[20 - lag : 140 - lag]
    action = np.diff(path, axis=0)[20:140] if relative else path[20:140]
    motion = signals.delay(action, state, [(i, i) for i in range(4)], 20.0, relative)
    assert abs(motion.lag - lag) <= (1 if relative else 0)
    assert motion.score > 0.95


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_noise_explains_nothing(seed: int):
    rng = np.random.default_rng(seed)
    pairs = [(i, i) for i in range(6)]
    motion = signals.delay(rng.normal(size=(100, 6)), wander(rng, 100, 6), pairs, 20.0, relative=False)
    assert motion.score < 0.5


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 10_000))
def test_idle_ends_are_counted(lead: int, tail: int, seed: int):
    rng = np.random.default_rng(seed)
    rows = wander(rng, 100, 3)
    still = rows[np.clip(np.arange(-lead, 100 + tail), 0, 99)] + rng.normal(0, 1e-3, (100 + lead + tail, 3))
    found = signals.idle_ends([still])
    assert lead <= found[0] <= lead + 4 and tail <= found[1] <= tail + 4
    assert signals.idle_ends([still[::-1]]) == found[::-1], "the mirrored episode has the mirrored ends"


def test_an_episode_that_never_moves_has_no_idle_ends():
    assert signals.idle_ends([np.zeros((50, 3))]) == (0, 0)
    assert signals.idle_ends([]) == (0, 0)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 90), st.floats(8, 50), st.sampled_from([-1, 1]), st.integers(0, 10_000))
def test_a_spike_is_found_where_it_is_and_a_step_is_none(frame: int, size: float, sign: int, seed: int):
    rng = np.random.default_rng(seed)
    rows = wander(rng, 93, 2) + rng.normal(0, 1e-3, (93, 2))
    assert signals.spikes(rows) == []
    step = rows.copy()
    step[frame:, 0] += sign * size
    assert signals.spikes(step) == [], "a gripper that closes is no spike"
    rows[frame, 1] += sign * size
    (spike,) = signals.spikes(rows)
    assert (spike.dimension, spike.frame) == (1, frame)
    assert spike.jump == pytest.approx(size, rel=0.3)


@given(st.lists(st.booleans(), max_size=40))
def test_runs_cover_exactly_what_is_true(mask: list[bool]):
    covered = np.zeros(len(mask), np.bool_)
    for first, last in signals.true_runs(np.array(mask, np.bool_)):
        assert not covered[max(0, first - 1) : last + 2].any(), "runs neither touch nor overlap"
        covered[first : last + 1] = True
    assert covered.tolist() == mask


def test_a_part_of_an_episode_has_most_of_its_sketch():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(200, 7)).astype(np.float32)
    whole, part, other = (signals.row_sketch([r]) for r in (rows, rows[10:195], rng.normal(size=(200, 7))))
    assert len(np.intersect1d(whole, part)) > 0.7 * len(whole)
    assert len(np.intersect1d(whole, other)) == 0
    assert np.array_equal(whole, signals.row_sketch([rows[::-1].astype(np.float64)])), "order and dtype do not matter"


@given(st.integers(2, 300))
def test_the_course_keeps_the_ends_and_straight_lines(length: int):
    line = np.linspace(0, 1, length)[:, None] * [1.0, -2.0]
    course = signals.course(line)
    assert course.shape == (signals.COURSE, 2)
    assert np.allclose(course, np.linspace(0, 1, signals.COURSE)[:, None] * [1.0, -2.0], atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["min", "max", "mean", "std", "q01", "q50", "q99", "count"]))
def test_true_statistics_pass_and_changed_ones_do_not(seed: int, name: str):
    rows = np.random.default_rng(seed).normal(size=(50, 3)) * [1e-3, 1, 1e4]
    truth = summary(rows)
    assert list(wrong_statistics(truth, truth)) == []
    rounded = {k: np.asarray(v, np.float32).tolist() for k, v in truth.items()}
    assert list(wrong_statistics(rounded, truth)) == [], "float32 is no error"
    changed = {**truth, name: [v + 0.05 * s for v, s in zip(truth[name], np.ptp(rows, axis=0), strict=False)]}
    if name == "count":
        changed[name] = [51]
    assert list(wrong_statistics(changed, truth)) == [name]
    assert list(wrong_statistics({name: ["x"]}, truth)) == [name]
    assert list(wrong_statistics({"mean": [float("nan")] * 3}, truth)) == ["mean"]


@pytest.mark.parametrize(
    ("text", "nothing"),
    [
        ("Unitree G1 teleoperation", True),
        ("so101 teleop", True),
        ("Franka Panda demonstration 12", True),
        ("data collection with the SO-100 follower arm", True),
        ("record test", True),
        ("Move the arm to the left.", False),
        ("pick cube", False),
        ("teleoperate the gripper shut", False),
        ("Rear 1, front 2", False),
        ("2 3", False),
    ],
)
def test_a_text_that_tells_only_how_it_was_recorded_says_nothing(text: str, nothing: bool):
    one = EpisodeEvidence(position=0, key="episode_000000", length=9, instruction=text)
    assert [f.check for f in judge_texts([one])] == (["task-placeholder"] if nothing else [])
