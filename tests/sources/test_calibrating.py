"""A lens from a rendered board: right where it was seen, refused where it was not, with the delay of the gyroscope."""

from pathlib import Path

import numpy as np
import pytest

from roboscale.core import BadData, UsageError
from roboscale.jobs.collect_calibrate import CalibrateCamera, calibrate_camera
from roboscale.sources.handheld.lens import load_lens
from tests.samples.gopro import add_telemetry
from tests.samples.table_scene import SMALL, BoardScene, Nodding, felt_motion, write_clip

SECONDS = 4.0


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("board") / "board.mp4"
    write_clip(file, BoardScene(), Nodding(), SMALL, seconds=SECONDS, fps=10)
    felt = felt_motion(Nodding(), SECONDS, late_s=0.03, rate_hz=100)
    return add_telemetry(file, *felt, seconds=SECONDS, rate_hz=100)


def test_a_board_gives_the_lens_and_how_late_the_gyroscope_is(clip: Path, tmp_path: Path):
    done = calibrate_camera(CalibrateCamera(board=clip, out=tmp_path / "lens.json"))
    lens = load_lens(tmp_path / "lens.json")
    assert (lens.width, lens.height) == (320, 240)
    assert lens.fx == pytest.approx(SMALL.fx, rel=0.005) and lens.fy == pytest.approx(SMALL.fy, rel=0.005)
    assert abs(lens.cx - SMALL.cx) < 1 and abs(lens.cy - SMALL.cy) < 1
    ways = np.array([[x, y, 1.0] for x in (-0.5, 0.1, 0.6) for y in (-0.4, 0.0, 0.4)])
    assert np.abs(lens.pixels(ways) - SMALL.pixels(ways)).max() < 1, "the same picture, whatever the coefficients are"
    assert done.fit.left_out_px < 0.6 and done.fit.focal_halves < 0.01 and done.fit.views >= 10
    assert done.fit.latency_s == pytest.approx(-0.03, abs=0.01)


def test_a_clip_without_the_board_is_refused(clip: Path, tmp_path: Path):
    with pytest.raises(BadData, match=r"a board of 9 x 6 squares in at least 10 frames, found 0 of 40"):
        calibrate_camera(CalibrateCamera(board=clip, out=tmp_path / "l.json", squares="9x6", dictionary="DICT_5X5_50"))
    with pytest.raises(UsageError, match="--squares: expected two whole numbers"):
        CalibrateCamera(board=clip, out=tmp_path / "lens.json", squares="7").check()
    with pytest.raises(UsageError, match="--marker: expected less than the square's 0.03 m"):
        CalibrateCamera(board=clip, out=tmp_path / "lens.json", marker=0.04).check()
