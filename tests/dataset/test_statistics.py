from __future__ import annotations

import functools
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from roboscale.dataset.statistics import (
    QUANTILES,
    Histogram,
    PixelCounts,
    Statistics,
    episode_entry,
    sample_indices,
    shrink,
    summary,
)

finite = st.floats(allow_nan=False, allow_infinity=False, width=64, min_value=-1e300, max_value=1e300)
parts = st.lists(npst.arrays(np.float64, st.integers(1, 30), elements=finite), min_size=1, max_size=5)


@settings(max_examples=60, deadline=None)
@given(parts, st.randoms())
def test_histograms_merge_to_that_of_the_whole_in_any_order(arrays: list[np.ndarray], random: Random):
    whole = Histogram.of(np.concatenate(arrays))
    pieces = [Histogram.of(a) for a in arrays]
    random.shuffle(pieces)
    left = functools.reduce(Histogram.merge, pieces)
    right = functools.reduce(lambda a, b: b.merge(a), reversed(pieces))
    assert left == whole
    assert right == whole


@settings(max_examples=50, deadline=None)
@given(parts, parts, parts)
def test_merging_is_associative_and_commutative(a: list[np.ndarray], b: list[np.ndarray], c: list[np.ndarray]):
    x, y, z = (Histogram.of(np.concatenate(p)) for p in (a, b, c))
    assert x.merge(y).merge(z) == x.merge(y.merge(z))
    assert x.merge(y) == y.merge(x)


@settings(max_examples=60, deadline=None)
@given(npst.arrays(np.float64, st.integers(1, 400), elements=st.floats(-1e6, 1e6)))
def test_quantiles_are_within_a_twentieth_of_a_percent_of_the_range(values: np.ndarray):
    histogram = Histogram.of(values)
    # the last term is the smallest difference of two doubles: a twentieth of a percent of it is no number
    allowed = 0.0005 * np.ptp(values) + 1e-12 * np.abs(values).max() + np.nextafter(0, 1)
    for q in QUANTILES.values():
        assert abs(histogram.quantile(q) - np.quantile(values, q)) <= allowed
    assert len(histogram.counts) <= 8192
    assert histogram.counts.sum() == len(values)


def test_a_wide_range_takes_at_least_half_of_the_bins():
    for high in (1.0, 1.3, 1.999, 1e-300, 1e300, 12345.678):
        assert 4095 <= len(Histogram.of(np.array([-high, high])).counts) <= 8192


def test_a_constant_is_exact():
    for value in (0.0, 1.7e18, -1e-310, 0.1):
        histogram = Histogram.of(np.full(5, value))
        assert histogram.quantile(0.5) == value
    both = Histogram.of(np.zeros(3)).merge(Histogram.of(np.array([-2.0, 5.0])))
    assert both == Histogram.of(np.array([0.0, 0.0, 0.0, -2.0, 5.0]))


def test_moments_of_parts_are_those_of_the_whole():
    rng = np.random.default_rng(0)
    whole = rng.normal(1e6, 3.0, size=(5000, 2, 3))
    merged = functools.reduce(Statistics.merge, [Statistics.of(p) for p in np.array_split(whole, 17)])
    assert merged.count == 5000
    np.testing.assert_allclose(merged.mean.reshape(2, 3), whole.mean(0), rtol=1e-14)
    np.testing.assert_allclose(merged.std, whole.std(0), rtol=1e-9)
    np.testing.assert_array_equal(merged.low, whole.min(0))
    np.testing.assert_array_equal(merged.high, whole.max(0))
    assert merged.quantile(0.01).shape == (2, 3)


def test_a_weighted_mean_of_quantiles_would_be_caught():
    """The mistake of LeRobot 0.4: episodes that live in different places."""
    episodes = [np.linspace(k, k + 0.1, 200)[:, None] for k in range(10)]
    merged = functools.reduce(Statistics.merge, [Statistics.of(e) for e in episodes])
    exact = np.quantile(np.concatenate(episodes), 0.01)
    averaged = np.mean([np.quantile(e, 0.01) for e in episodes])
    assert abs(merged.quantile(0.01)[0] - exact) < 0.0005 * 9.1
    assert abs(averaged - exact) > 0.4 * 9.1


def test_statistics_come_back_from_arrays():
    statistics = Statistics.of(np.random.default_rng(1).normal(size=(50, 3)))
    back = Statistics.from_arrays(statistics.to_arrays())
    assert back.to_lerobot() == statistics.to_lerobot()
    assert back.histograms == statistics.histograms


def test_shapes_that_differ_do_not_merge():
    with pytest.raises(ValueError, match=r"\(2,\) and \(3,\)"):
        Statistics.of(np.zeros((4, 2))).merge(Statistics.of(np.zeros((4, 3))))


def test_summary_of_one_row_has_zero_deviation():
    entry = summary(np.array([[1.0, 2.0]]))
    assert entry["std"] == [0.0, 0.0]
    assert entry["q99"] == [1.0, 2.0]
    assert entry["count"] == [1]


def test_pixel_statistics_are_exact():
    rng = np.random.default_rng(2)
    images = rng.integers(0, 200, (7, 20, 30, 3), np.uint8)
    counts = PixelCounts.total(PixelCounts.of_frame(i) for i in images)
    entry, pixels = counts.to_lerobot(), images.reshape(-1, 3) / 255
    assert entry["count"] == [7]
    for name, value in {
        "min": pixels.min(0),
        "max": pixels.max(0),
        "mean": pixels.mean(0),
        "std": pixels.std(0),
    }.items():
        np.testing.assert_allclose(np.ravel(entry[name]), value, rtol=1e-12)
        assert np.shape(entry[name]) == (3, 1, 1)
    for name, q in QUANTILES.items():
        np.testing.assert_allclose(np.ravel(entry[name]), np.quantile(pixels, q, axis=0), rtol=1e-12)
    halves = [PixelCounts.total(PixelCounts.of_frame(i) for i in part) for part in (images[:3], images[3:])]
    assert halves[0].merge(halves[1]).to_lerobot() == entry


@pytest.mark.parametrize("length", [1, 99, 100, 101, 500, 1777])
def test_pixels_are_counted_in_the_sampled_frames_however_they_are_cut_into_blocks(length: int):
    rng = np.random.default_rng(length)
    frames = rng.integers(0, 2**16, (length, 3, 256), np.uint16)
    direct = PixelCounts.total(frames[i].astype(np.uint32) for i in sample_indices(length))
    for size in (1, 7, 100, 2000):
        counts = PixelCounts.sampled(length, (frames[i : i + size] for i in range(0, length, size)))
        assert counts.frames == direct.frames
        np.testing.assert_array_equal(counts.counts, direct.counts)


@pytest.mark.parametrize("shape", [(48, 48, 3), (299, 299, 3), (480, 640, 3), (301, 16, 3)])
def test_the_counts_of_a_picture_fit_into_a_row(shape: tuple[int, ...]):
    counts, dtype = PixelCounts.of_frame(np.zeros(shape, np.uint8)), PixelCounts.row(shape)[1]
    assert counts.shape == PixelCounts.row(shape)[0]
    np.testing.assert_array_equal(counts.astype(dtype), counts)


def test_frames_are_sampled_as_lerobot_does():
    assert sample_indices(1).tolist() == [0]
    assert sample_indices(100).tolist() == list(range(100))
    assert len(sample_indices(1000)) == 177
    assert len(sample_indices(2000)) == 299
    assert sample_indices(2000)[[0, -1]].tolist() == [0, 1999]


def test_large_pictures_are_thinned_as_lerobot_does():
    assert shrink(np.zeros((299, 299, 3), np.uint8)).shape == (299, 299, 3)
    assert shrink(np.zeros((480, 640, 3), np.uint8)).shape == (120, 160, 3)
    assert shrink(np.zeros((640, 480, 3), np.uint8)).shape == (160, 120, 3)


def test_matrices_are_written_over_their_last_axis_as_lerobot_writes_them():
    """LeRobot merges statistics by stacking them: others of one element each end its recording in an error."""
    rows = np.random.default_rng(2).normal(size=(50, 4, 3)) * [1.0, 10.0, 100.0]
    flat, entry = rows.reshape(-1, 3), Statistics.of(rows).to_lerobot()
    assert entry["count"] == episode_entry(rows)["count"] == [50]
    for name, value in (("min", flat.min(0)), ("max", flat.max(0)), ("mean", flat.mean(0)), ("std", flat.std(0))):
        assert np.allclose(entry[name], value)
        assert np.allclose(episode_entry(rows)[name], value)
    assert np.allclose(entry["q90"], np.quantile(flat, 0.9, axis=0), rtol=1e-3)
    halves = [Statistics.of(rows[:20]), Statistics.of(rows[20:])]
    assert halves[0].merge(halves[1]).to_lerobot()["q90"] == entry["q90"]
    assert np.shape(Statistics.of(rows).per_element()["mean"]) == (4, 3)
