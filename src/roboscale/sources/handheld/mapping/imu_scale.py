"""How large a map is by an accelerometer, and which way is down.

Of three moments h apart, whatever the speed is,

    p(t + h) - 2 p(t) + p(t - h) = integral over tau from -h to h of (h - |tau|) a(t + tau)

a is what the sensor feels, turned into the map's axes, plus gravity; p is the map's place times its scale, plus the
turned lever from camera to sensor. So scale, gravity, lever and the sensor's bias follow from linear equations.

Source: the alignment of VINS-Mono (Qin, Li, Shen 2018), here without velocities, which second differences cancel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation, Slerp

from roboscale.sources.capture.poses import Poses

__all__ = ["GRAVITY", "InertialScale", "scale_by_imu"]

Array = NDArray[np.float64]

GRAVITY = 9.81
_HALF_S = 0.2
_LEAST = 20  # triples of moments
_STEP_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class InertialScale:
    """Metres of a map by an accelerometer.

    Args:
        scale: metres a unit of the map. spread: one standard deviation, as a share.
        up: (3,) unit vector of the map.
        gravity: m/s2 that was found; far from 9.81 the rest is worth nothing.
    """

    scale: float
    spread: float
    up: Array
    gravity: float

    @property
    def believed(self) -> bool:
        """Whether gravity came out as it is on earth, within 3 %."""
        return abs(self.gravity / GRAVITY - 1) < 0.03 and self.scale > 0

    def level(self, poses: Poses, first: int) -> Poses:
        """Poses of the map in metres with z up, the one of row `first` at the origin, x where it looked."""
        forward = poses.rotation[first] @ np.array([0.0, 0.0, 1.0])
        x = forward - self.up * (forward @ self.up)
        if np.linalg.norm(x) < 0.1:  # it looked straight down: along the top of its picture
            forward = poses.rotation[first] @ np.array([0.0, -1.0, 0.0])
            x = forward - self.up * (forward @ self.up)
        x = x / np.linalg.norm(x)
        turn = np.stack([x, np.cross(self.up, x), self.up])
        return Poses(turn @ poses.rotation, self.scale * (poses.translation - poses.translation[first]) @ turn.T)


def scale_by_imu(
    time_s: Array, poses: Poses, imu_s: Array, felt: Array, camera_from_imu: Array
) -> InertialScale | None:
    """Scale and gravity; `None` where a recording is too short or hardly accelerates.

    Args:
        time_s: (N,) of the poses, on the sensor's clock.
        poses: (N) `map_from_camera`.
        imu_s: (M,) times; `felt` (M, 3) m/s2 as an accelerometer gives it: +g upwards at rest.
        camera_from_imu: (3, 3).
    """
    middle = np.arange(time_s[0] + _HALF_S, time_s[-1] - _HALF_S, _STEP_S)
    middle = middle[(middle - _HALF_S >= imu_s[0]) & (middle + _HALF_S <= imu_s[-1])]
    if len(middle) < _LEAST:
        return None
    place, turn = CubicSpline(time_s, poses.translation), Slerp(time_s, Rotation.from_matrix(poses.rotation))
    taus = np.linspace(-_HALF_S, _HALF_S, 81)
    weights = (_HALF_S - np.abs(taus)) * (taus[1] - taus[0])
    rows, sides = [], []
    for t in middle:
        at = t + taus
        turned = turn(at.clip(time_s[0], time_s[-1])).as_matrix() @ camera_from_imu
        force = np.stack([np.interp(at, imu_s, felt[:, i]) for i in range(3)], axis=1)
        pushed = np.einsum("t,tij,tj->i", weights, turned, force)
        three = np.stack([t - _HALF_S, t, t + _HALF_S])
        bend = place(three[2]) - 2 * place(three[1]) + place(three[0])
        ends = turn(three).as_matrix() @ camera_from_imu
        lever = ends[2] - 2 * ends[1] + ends[0]
        bias = np.einsum("t,tij->ij", weights, turned)
        rows.append(np.concatenate([bend[:, None], lever, bias, -np.eye(3) * weights.sum()], axis=1))
        sides.append(pushed)
    a, b = np.concatenate(rows), np.concatenate(sides)
    # what is known beforehand keeps what motion cannot tell apart: a lever of decimetres, a bias of .2 m/s2
    prior = np.diag([0.0, *[0.1] * 3, *[5.0] * 3, *[0.0] * 3]) * 1e-3
    a, b = np.concatenate([a, prior]), np.concatenate([b, np.zeros(10)])
    whole = a.T @ a
    if np.linalg.cond(whole) > 1e14:
        return None
    x = np.linalg.solve(whole, a.T @ b)
    left = b - a @ x
    overlap = 2 * _HALF_S / _STEP_S  # equations that share samples are not independent
    variance = float((left**2).sum() / max(len(b) - 10, 1)) * overlap
    spread = float(np.sqrt(variance * np.linalg.inv(whole)[0, 0]) / max(abs(x[0]), 1e-12))
    down = float(np.linalg.norm(x[7:]))
    return InertialScale(scale=float(x[0]), spread=spread, up=-x[7:] / max(down, 1e-9), gravity=down)
