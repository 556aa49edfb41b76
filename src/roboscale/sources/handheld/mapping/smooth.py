"""From keyframes to every frame: a cubic spline of places and one of rotations, and what it misses.

What it misses between two keyframes is measured: every other one is left out and asked for. An error of a cubic falls
with the fourth power of the step, so an eighth of it is more than what is left at the full rate, noise aside.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation, RotationSpline

from roboscale.sources.capture.motion import stretches
from roboscale.sources.capture.poses import Poses, angles

__all__ = ["EveryFrame", "every_frame"]

Array = NDArray[np.float64]

_LEAST = 4  # keyframes that a cubic needs
_LEFT = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EveryFrame:
    """Poses of N frames.

    Args:
        valid: (N,) between keyframes that are near enough.
        missed_m, missed_rad: (N,) one standard deviation of what the spline misses; 0 at a keyframe.
    """

    poses: Poses
    valid: NDArray[np.bool_]
    missed_m: Array
    missed_rad: Array


def every_frame(frames: NDArray[np.int64], poses: Poses, count: int, widest: float) -> EveryFrame:
    """Poses of all `count` frames of a clip from K keyframes.

    Args:
        frames: (K,) numbers of the keyframes, increasing.
        widest: frames between two keyframes, at most; wider gaps stay without a pose.
    """
    made, valid = Poses.identity(count), np.zeros(count, bool)
    metres, radians = np.zeros(count), np.zeros(count)
    near = np.diff(frames) <= widest
    for first, last in stretches(near):
        rows = np.arange(first, last + 1)
        if len(rows) < _LEAST:
            continue
        at = np.arange(frames[rows[0]], frames[rows[-1]] + 1)
        between = _spline(frames[rows], poses[rows], at)
        made.rotation[at], made.translation[at], valid[at] = between.rotation, between.translation, True
        off_m, off_rad = _left_out(frames[rows], poses[rows])
        share = _between(frames[rows], at)
        metres[at], radians[at] = off_m / _LEFT * share, off_rad / _LEFT * share
    return EveryFrame(poses=made, valid=valid, missed_m=metres, missed_rad=radians)


def _spline(frames: NDArray[np.int64], poses: Poses, at: NDArray[np.int64]) -> Poses:
    times = frames.astype(np.float64)
    turns = RotationSpline(times, Rotation.from_matrix(poses.rotation))(at.astype(np.float64)).as_matrix()
    return Poses(turns, CubicSpline(times, poses.translation)(at.astype(np.float64)))


def _left_out(frames: NDArray[np.int64], poses: Poses) -> tuple[float, float]:
    """Rms of what a spline through every other keyframe misses of the others, metres and radians."""
    some = np.unique(np.concatenate([np.arange(0, len(frames), 2), [len(frames) - 1]]))
    rest = np.setdiff1d(np.arange(len(frames)), some)
    if len(some) < _LEAST or not len(rest):
        some, rest = np.array([0, len(frames) - 1]), np.arange(1, len(frames) - 1)
        guess = Poses(
            np.repeat(poses.rotation[:1], len(rest), axis=0),
            np.stack([np.interp(frames[rest], frames[some], poses.translation[some, i]) for i in range(3)], axis=1),
        )
    else:
        guess = _spline(frames[some], poses[some], frames[rest])
    off = np.linalg.norm(guess.translation - poses.translation[rest], axis=1)
    turn = angles(np.swapaxes(guess.rotation, -1, -2) @ poses.rotation[rest])
    return float(np.sqrt((off**2).mean() / 3)), float(np.sqrt((turn**2).mean() / 3))


def _between(frames: NDArray[np.int64], at: NDArray[np.int64]) -> Array:
    """(N,) 0 at a keyframe, 1 in the middle between two."""
    after = np.searchsorted(frames, at, side="left").clip(1, len(frames) - 1)
    share = (at - frames[after - 1]) / (frames[after] - frames[after - 1])
    return np.asarray(np.sin(np.pi * share))
