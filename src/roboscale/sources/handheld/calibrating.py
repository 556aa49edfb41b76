"""A camera's lens from a clip of a ChArUco board: fitted on some views, judged on others.

Corners of a chessboard are crossings, which refining does not pull to one side. Two fits on halves of the views say
how far the focal length may be off, and the views that were left out how well the lens predicts. Where the clip has a
gyroscope, the board's rotation and it are one motion seen twice: their delay is the latency between both clocks.

Source: Kannala and Brandt 2006, in OpenCV's cv2.fisheye.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData
from roboscale.core.plain import Plain
from roboscale.dataset.packets import decode_in_order
from roboscale.sources.capture.poses import Poses
from roboscale.sources.capture.showing import video_camera
from roboscale.sources.handheld.finger_tags import DICTIONARY
from roboscale.sources.handheld.inertial import read_inertial
from roboscale.sources.handheld.lens import Lens

__all__ = ["Board", "LensFit", "fit_lens"]

Array = NDArray[np.float64]

_LEAST_CORNERS = 8
_LEAST_VIEWS = 10
_MOST_VIEWS = 40
_SLACK_PX = 1.0  # of views that were left out, rms
_HALVES = 0.01  # between the focal lengths of two halves


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """A ChArUco board: squares across and down, edges of a square and of the tags in it, metres."""

    columns: int
    rows: int
    square_m: float
    marker_m: float
    dictionary: str = DICTIONARY


@dataclass(frozen=True, slots=True, kw_only=True)
class LensFit(Plain):
    """A lens and how far it may be believed.

    Args:
        views, corners: that it was fitted on.
        residual_px: rms of these; `left_out_px`: of the views that were left out.
        focal_halves: difference of the focal lengths of two halves of the views, as a share.
        reach: how far from the middle corners were seen, as a share of the way into a corner of the picture.
        latency_s: what has to be added to the times of the pictures to be on the gyroscope's clock; `None` where there
            is no gyroscope, or it is not of these pictures (`said`).
    """

    lens: tuple[float, ...]
    width: int
    height: int
    fps: float
    views: int
    corners: int
    residual_px: float
    left_out_px: float
    focal_halves: float
    reach: float
    latency_s: float | None
    said: tuple[str, ...] = ()

    def to_calibration(self) -> dict[str, Any]:
        """As OpenImuCameraCalibrator writes it and `load_lens` reads it."""
        fx, fy, cx, cy, *k = self.lens
        return {
            "intrinsic_type": "FISHEYE",
            "image_width": self.width,
            "image_height": self.height,
            "fps": self.fps,
            "nr_calib_images": self.views,
            "final_reproj_error": self.residual_px,
            "intrinsics": {
                "focal_length": fx,
                "aspect_ratio": fy / fx,
                "principal_pt_x": cx,
                "principal_pt_y": cy,
                "skew": 0.0,
                **{f"radial_distortion_{i}": value for i, value in enumerate(k, 1)},
            },
        }


def fit_lens(video: Path, board: Board) -> LensFit:
    """Fits a lens to a clip in which a board is seen from all sides and in all parts of the picture.

    Raises:
        BadData: the board is hardly seen, or the fit does not hold for views that were left out; names both sides.
    """
    view = video_camera(video, np.zeros(0, np.int64))
    height, width, _ = view.shape
    seen = _seen(video, len(view.pictures), board)
    if len(seen) < _LEAST_VIEWS:
        expected = f"a board of {board.columns} x {board.rows} squares in at least {_LEAST_VIEWS} frames"
        raise BadData(video, "board", expected, f"{len(seen)} of {len(view.pictures)}")
    frames = sorted(seen)
    some = [frames[i] for i in np.unique(np.linspace(0, len(frames) - 1, _MOST_VIEWS).astype(int))]
    left_out, used = some[3::4], [f for i, f in enumerate(some) if i % 4 != 3]
    lens, residual = _fitted(video, [seen[f] for f in used], width, height)
    halves = [_fitted(video, [seen[f] for f in used[i::2]], width, height)[0].fx for i in (0, 1)]
    off = float(np.sqrt(np.mean([_left(lens, *seen[f]) ** 2 for f in left_out])))
    apart = abs(halves[0] - halves[1]) / lens.fx
    if not off < _SLACK_PX or not apart < _HALVES:
        expected = (
            f"views that were left out within {_SLACK_PX:g} px, halves within {100 * _HALVES:g} % of focal length"
        )
        raise BadData(video, "calibration", expected, f"{off:.2f} px and {100 * apart:.2f} %: more and other views")
    pixels = np.concatenate([seen[f][1] for f in used])
    reach = np.linalg.norm(pixels - [width / 2, height / 2], axis=1).max() / np.hypot(width / 2, height / 2)
    latency, said = _latency(video, view.rate_hz, lens, seen)
    return LensFit(
        lens=(lens.fx, lens.fy, lens.cx, lens.cy, *lens.k),
        width=width,
        height=height,
        fps=view.rate_hz,
        views=len(used),
        corners=sum(len(seen[f][0]) for f in used),
        residual_px=residual,
        left_out_px=off,
        focal_halves=apart,
        reach=float(reach),
        latency_s=latency,
        said=said,
    )


def _seen(video: Path, count: int, board: Board) -> dict[int, tuple[Array, Array]]:
    """Frame -> corners (N, 3) in metres and (N, 2) in pixels."""
    import cv2

    dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, board.dictionary))
    made = cv2.aruco.CharucoBoard((board.columns, board.rows), board.square_m, board.marker_m, dictionary)
    detector, found = cv2.aruco.CharucoDetector(made), {}
    places = np.asarray(made.getChessboardCorners(), np.float64)
    for number, picture in enumerate(decode_in_order(video, 0, count)):
        corners, ids, _, _ = detector.detectBoard(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))
        if ids is not None and len(ids) >= _LEAST_CORNERS:
            found[number] = (places[ids.reshape(-1)], corners.reshape(-1, 2).astype(np.float64))
    return found


def _fitted(video: Path, views: Sequence[tuple[Array, Array]], width: int, height: int) -> tuple[Lens, float]:
    import cv2

    start = np.array([[0.5 * width, 0, (width - 1) / 2], [0, 0.5 * width, (height - 1) / 2], [0, 0, 1]])
    flags = cv2.fisheye.CALIB_RECOMPUTE_EXTRINSIC | cv2.fisheye.CALIB_FIX_SKEW | cv2.fisheye.CALIB_USE_INTRINSIC_GUESS
    try:
        rms, matrix, k, _, _ = cv2.fisheye.calibrate(
            [points[None] for points, _ in views],
            [pixels[None] for _, pixels in views],
            (width, height),
            start,
            np.zeros(4),
            flags=flags,
        )
    except cv2.error as error:
        raise BadData(video, "calibration", "views from all sides", f"no solution ({error.err})") from error
    numbers = [float(value) for value in np.asarray(k).reshape(-1)]
    lens = Lens(
        width=width,
        height=height,
        fx=float(matrix[0, 0]),
        fy=float(matrix[1, 1]),
        cx=float(matrix[0, 2]),
        cy=float(matrix[1, 2]),
        k=(numbers[0], numbers[1], numbers[2], numbers[3]),
    )
    return lens, float(rms)


def _pose(lens: Lens, points: Array, pixels: Array) -> tuple[Array, Array]:
    """`camera_from_board`."""
    import cv2

    plane = lens.directions(pixels)
    eye: Any = np.eye(3)
    _, turns, shifts, errors = cv2.solvePnPGeneric(points, plane[:, None], eye, None, flags=cv2.SOLVEPNP_IPPE)
    best = int(np.argmin(errors))
    turn, shift = cv2.solvePnPRefineLM(points, plane[:, None], eye, None, turns[best], shifts[best])
    return np.asarray(cv2.Rodrigues(turn)[0]), np.asarray(shift).reshape(3)


def _left(lens: Lens, points: Array, pixels: Array) -> float:
    """Rms of a view's corners in pixels, with the pose that fits them best."""
    turn, shift = _pose(lens, points, pixels)
    off = lens.pixels(points @ turn.T + shift) - pixels
    return float(np.sqrt((off**2).sum(axis=1).mean()))


def _latency(
    video: Path, rate_hz: float, lens: Lens, seen: dict[int, tuple[Array, Array]]
) -> tuple[float | None, tuple[str, ...]]:
    """Seconds between pictures and gyroscope, by the longest stretch of frames that show the board."""
    frames = np.array(sorted(seen))
    run = max(np.split(frames, np.flatnonzero(np.diff(frames) > 1) + 1), key=len)
    turns = np.stack([_pose(lens, *seen[f])[0].T for f in run.tolist()])
    poses, time_ns = Poses(turns, np.zeros((len(run), 3))), np.round(run * 1e9 / rate_hz).astype(np.int64)
    inertial = read_inertial(video, time_ns, poses, np.ones(len(run), bool))
    if inertial.felt is None and not inertial.findings:
        return None, ("the clip has no telemetry: the latency of its sensor is not measured",)
    return inertial.sync_s, tuple(one.text for one in inertial.findings)
