"""GoPro's telemetry: values and times of the real clip, of made ones, and what broken ones say."""

import os
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from roboscale.core import BadData, SpecMismatch
from roboscale.sources.capture.poses import Poses
from roboscale.sources.handheld.gpmf import read_telemetry
from roboscale.sources.handheld.inertial import read_inertial
from roboscale.sources.handheld.stabilised import fit_gyro
from tests.samples.capture import motion, write_video
from tests.samples.gopro import add_telemetry

REAL = (
    Path(os.environ.get("ROBOSCALE_TEST_DATA", Path(__file__).parents[2] / "../shared/data")) / "gopro" / "karma.mp4"
)
real = pytest.mark.skipif(not REAL.is_file(), reason=f"no real clip at {REAL}; set ROBOSCALE_TEST_DATA")


@real
def test_the_real_clip():
    """First samples as two public packages read them (telemetry-parser 0.3.0, py-gpmf-parser 0.1.1)."""
    found = read_telemetry(REAL)
    accl, gyro = found.need("ACCL"), found.need("GYRO")
    assert (accl.values.shape, gyro.values.shape) == ((2397, 3), (4795, 3))
    assert np.allclose(accl.values[0], [10.157894736842104, -0.8516746411483254, -3.700956937799043], atol=0)
    assert np.allclose(np.rad2deg(gyro.values[0]), [2.6244671308256082, 1.0680970881267011, 1.9073162287976806])
    assert np.allclose(np.rad2deg(gyro.values[-1]), [-45.51619448402785, -0.549307073893732, 0.33568765626839175])
    assert (accl.unit, gyro.unit) == ("m/s²", "rad/s")


@real
def test_times_of_the_real_clip_are_even_and_end_with_its_video():
    for key, oracle_hz in (("ACCL", 2396 / 12.0589), ("GYRO", 4794 / 12.0589)):
        stream = read_telemetry(REAL).need(key)
        assert np.ptp(np.diff(stream.time_s)) < 1e-9, "the last payload holds 14 samples and claims a second"
        assert abs(stream.time_s[-1] - 1087086 / 90000) < 0.01
        assert stream.rate_hz == pytest.approx(oracle_hz, rel=0.002)
        assert 0 < stream.jitter_s < 0.02


def moving(seconds: float, rate_hz: float = 200.0, delay_s: float = 0.0, seed: int = 0):
    """Rotations at 30 Hz and the gyroscope (N, 3) that turned with them, in axes of its own."""
    count = int(seconds * 30)
    _, turn = motion(count, 30, seed)
    fine = int(seconds * rate_hz)
    _, dense = motion(fine, rate_hz, seed)
    rates = Rotation.from_matrix(np.swapaxes(dense[:-1], 1, 2) @ dense[1:]).as_rotvec() * rate_hz
    own = Rotation.from_euler("zyx", [0.5, 0.9, 1.2]).inv().apply(np.vstack([rates, rates[-1:]]))
    shift = round(delay_s * rate_hz)
    return turn, np.roll(own, shift, axis=0)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory):
    turn, gyro = moving(6)
    video = write_video(tmp_path_factory.mktemp("gopro") / "raw_video.mp4", 180)
    accl = np.tile([0.0, 0.0, 9.81], (len(gyro), 1))
    return add_telemetry(video, accl, gyro, seconds=6), turn, gyro


def test_telemetry_in_a_made_mp4_comes_back(clip):
    video, _, gyro = clip
    stream = read_telemetry(video).need("GYRO")
    assert np.abs(stream.values - gyro).max() < 1 / 939
    assert stream.rate_hz == pytest.approx(200, rel=0.002)
    assert np.abs(stream.time_s - np.arange(len(gyro)) / 200).max() < 0.006


def test_a_gyroscope_that_shares_the_motion_agrees_and_its_axes_are_found(clip):
    video, turn, _ = clip
    time_ns = np.round(np.arange(len(turn)) * 1e9 / 30).astype(np.int64)
    found = read_inertial(video, time_ns, Poses(turn, np.zeros((len(turn), 3))), np.ones(len(turn), bool))
    assert found.fit.residual_ratio < 0.1 and abs(found.sync_s) < 0.01
    away = Rotation.from_matrix(found.fit.camera_from_imu) * Rotation.from_euler("zyx", [0.5, 0.9, 1.2]).inv()
    assert away.magnitude() < np.deg2rad(1)
    assert set(found.streams) == {"imu.accl", "imu.gyro"} and found.streams["imu.gyro"].unit == "rad/s"


def test_a_stabilised_clip_is_known_by_what_the_pictures_do_not_share(clip):
    video, turn, _ = clip
    still = Rotation.from_rotvec(0.05 * Rotation.from_matrix(turn).as_rotvec()[::-1]).as_matrix()
    time_ns = np.round(np.arange(len(turn)) * 1e9 / 30).astype(np.int64)
    found = read_inertial(video, time_ns, Poses(still, np.zeros((len(turn), 3))), np.ones(len(turn), bool))
    assert found.fit.residual_ratio > 0.3 and found.sync_s is None
    assert [f.check for f in found.findings] == ["stabilised-clip"]


@pytest.mark.parametrize("delay_s", [-0.04, 0.03])
def test_a_delay_of_the_clocks_is_measured(delay_s: float):
    turn, gyro = moving(6, delay_s=delay_s)
    fit = fit_gyro(np.arange(len(turn)) / 30, turn, np.arange(len(gyro)) / 200, gyro)
    assert fit.offset_s == pytest.approx(delay_s, abs=0.006)


def test_what_hardly_turns_is_not_compared():
    still = np.tile(np.eye(3), (60, 1, 1))
    with pytest.raises(SpecMismatch, match="hardly turns"):
        fit_gyro(np.arange(60) / 30, still, np.arange(400) / 200, np.zeros((400, 3)))


def test_a_clip_without_telemetry_says_so(tmp_path: Path):
    with pytest.raises(BadData, match="a track of GPMF.*editor or a messenger"):
        read_telemetry(write_video(tmp_path / "a.mp4", 10))


@pytest.mark.parametrize("kept", [0.3, 0.9, 0.999])
def test_a_clip_that_is_cut_off_is_one_error(clip, tmp_path: Path, kept: float):
    content = clip[0].read_bytes()
    (tmp_path / "cut.mp4").write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(BadData, match=r"cut\.mp4"):
        read_telemetry(tmp_path / "cut.mp4")


def test_lost_samples_are_noticed(clip, tmp_path: Path):
    content = bytearray(clip[0].read_bytes())
    at = content.index(b"TSMP", content.index(b"TSMP") + 4)
    content[at + 8 : at + 12] = (9999).to_bytes(4, "big")
    (tmp_path / "a.mp4").write_bytes(bytes(content))
    with pytest.raises(BadData, match="9999 up to payload"):
        read_telemetry(tmp_path / "a.mp4")
