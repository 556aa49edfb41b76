"""Rigid transforms, and the only place that knows quaternion order and rotation layouts.

A `Pose` named `a_from_b` maps coordinates in b to coordinates in a; adjacent names meet in a product:
`world_from_camera @ camera_from_tag`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from roboscale.core.errors import SpecMismatch, UnknownName

__all__ = ["LAYOUTS", "Pose", "canonical_quat_wxyz", "convert_rotation", "rotation_matrices", "rotation_matrix"]

Array = NDArray[np.float64]

LAYOUTS = {
    "matrix": 9,
    "quat_wxyz": 4,
    "quat_xyzw": 4,
    "rot6d_columns": 6,
    "rot6d_rows": 6,
    "rotvec": 3,
    "rpy": 3,
}
"""Rotation layouts and their number of elements. `matrix` is row-major; `rot6d_columns` is x axis then y axis
(Zhou et al. 2019), `rot6d_rows` the first two rows; `rpy` is Rz(yaw) Ry(pitch) Rx(roll), radians."""


def _require(values: ArrayLike, layout: str) -> Array:
    if layout not in LAYOUTS:
        raise UnknownName("rotation layout", layout, LAYOUTS)
    array = np.asarray(values, np.float64).reshape(-1)
    if array.shape != (LAYOUTS[layout],) or not np.isfinite(array).all():
        raise SpecMismatch(f"{layout}: expected {LAYOUTS[layout]} finite values, found {array.tolist()}")
    return array


def _from_quat_wxyz(quat_wxyz: Array) -> Array:
    norm = np.linalg.norm(quat_wxyz)
    if norm < 1e-12:
        raise SpecMismatch("quat_wxyz: a zero quaternion is no rotation")
    w, x, y, z = quat_wxyz / norm
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def _from_rotvec(rotvec: Array) -> Array:
    angle = float(np.linalg.norm(rotvec))
    half = angle / 2
    # sin(a/2)/a tends to 1/2; the series keeps full precision where the quotient loses it
    scale = 0.5 - angle**2 / 48 if angle < 1e-4 else np.sin(half) / angle
    return _from_quat_wxyz(np.array([np.cos(half), *(scale * rotvec)]))


def _from_two(first: Array, second: Array) -> Array:
    """Orthonormal rows from two vectors by Gram-Schmidt."""
    a = first / np.linalg.norm(first)
    b = second - a @ second * a
    b = b / np.linalg.norm(b)
    return np.stack([a, b, np.cross(a, b)])


def _axis(index: int, angle: float) -> Array:
    return _from_rotvec(angle * np.eye(3)[index])


def rotation_matrix(values: ArrayLike, layout: str) -> Array:
    """(3, 3) rotation matrix from values in a layout of `LAYOUTS`; SpecMismatch on a wrong size or NaN."""
    array = _require(values, layout)
    match layout:
        case "matrix":
            return array.reshape(3, 3)
        case "quat_wxyz":
            return _from_quat_wxyz(array)
        case "quat_xyzw":
            return _from_quat_wxyz(array[[3, 0, 1, 2]])
        case "rotvec":
            return _from_rotvec(array)
        case "rot6d_rows":
            return _from_two(array[:3], array[3:])
        case "rot6d_columns":
            return _from_two(array[:3], array[3:]).T
        case _:
            roll, pitch, yaw = array
            return _axis(2, yaw) @ _axis(1, pitch) @ _axis(0, roll)


def rotation_matrices(values: ArrayLike, layout: str) -> Array:
    """(N, 3, 3) rotation matrices from N rows in a layout of `LAYOUTS`; quaternions of a recording all at once.

    >>> rotation_matrices([[0, 0, 0, 1]], "quat_xyzw")[0].tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]

    Raises:
        SpecMismatch: a row of a wrong size, one that is not finite, or a quaternion of length zero; says which row.
    """
    if layout not in LAYOUTS:
        raise UnknownName("rotation layout", layout, LAYOUTS)
    rows = np.asarray(values, np.float64)
    if rows.ndim != 2 or rows.shape[1] != LAYOUTS[layout]:
        raise SpecMismatch(f"{layout}: expected rows of {LAYOUTS[layout]} values, found {list(rows.shape)}")
    if not layout.startswith("quat"):
        made = [rotation_matrix(row, layout) for row in rows]
        return np.stack(made) if made else np.zeros((0, 3, 3))
    norms = np.linalg.norm(rows, axis=1)
    broken = np.flatnonzero(~(norms > 1e-12))  # a NaN is not above anything either
    if len(broken):
        raise SpecMismatch(f"{layout}: row {broken[0]} is no rotation: {rows[broken[0]].tolist()}")
    w, x, y, z = (rows / norms[:, None])[:, [3, 0, 1, 2] if layout == "quat_xyzw" else [0, 1, 2, 3]].T
    flat = (
        *(1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        *(2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        *(2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return np.stack(flat, axis=1).reshape(-1, 3, 3)


def canonical_quat_wxyz(quat_wxyz: ArrayLike) -> Array:
    """Unit quaternion with w >= 0 (at w = 0, the first non-zero of x, y, z positive)."""
    array = _require(quat_wxyz, "quat_wxyz")
    array = array / np.linalg.norm(array)
    first = array[np.flatnonzero(np.abs(array) > 1e-12)[0]]
    return -array if first < 0 else array


def _to_quat_wxyz(m: Array) -> Array:
    """Shepperd's method: divide by the largest of the four candidates, so never by a small number."""
    trace = float(np.trace(m))
    scores = np.array([trace, m[0, 0], m[1, 1], m[2, 2]])
    best = int(np.argmax(scores))
    if best == 0:
        q = np.array([1 + trace, m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]])
    else:
        i, j, k = best - 1, best % 3, (best + 1) % 3
        q = np.zeros(4)
        q[0] = m[k, j] - m[j, k]
        q[1 + i] = 1 + m[i, i] - m[j, j] - m[k, k]
        q[1 + j] = m[j, i] + m[i, j]
        q[1 + k] = m[k, i] + m[i, k]
    return canonical_quat_wxyz(q)


def _to_rotvec(m: Array) -> Array:
    quat_wxyz = _to_quat_wxyz(m)
    sine = float(np.linalg.norm(quat_wxyz[1:]))
    angle = 2 * np.arctan2(sine, quat_wxyz[0])
    return quat_wxyz[1:] * (2.0 if sine < 1e-9 else angle / sine)


def _to_rpy(m: Array) -> Array:
    pitch = np.arctan2(-m[2, 0], np.hypot(m[0, 0], m[1, 0]))
    if np.hypot(m[0, 0], m[1, 0]) < 1e-9:  # gimbal lock: yaw and roll share an axis, so yaw is set to 0
        return np.array([np.arctan2(-m[1, 2], m[1, 1]), pitch, 0.0])
    return np.array([np.arctan2(m[2, 1], m[2, 2]), pitch, np.arctan2(m[1, 0], m[0, 0])])


def convert_rotation(values: ArrayLike, layout: str, to: str) -> Array:
    """One rotation in another layout, flat; quaternions come out canonical."""
    m = rotation_matrix(values, layout)
    match to:
        case "matrix":
            return m.reshape(9)
        case "quat_wxyz":
            return _to_quat_wxyz(m)
        case "quat_xyzw":
            return _to_quat_wxyz(m)[[1, 2, 3, 0]]
        case "rotvec":
            return _to_rotvec(m)
        case "rot6d_rows":
            return m[:2].reshape(6)
        case "rot6d_columns":
            return m[:, :2].T.reshape(6)
        case "rpy":
            return _to_rpy(m)
        case _:
            raise UnknownName("rotation layout", to, LAYOUTS)


@dataclass(frozen=True, slots=True, eq=False)
class Pose:
    """A rigid transform. `rotation` is (3, 3), `translation` (3,) in metres."""

    rotation: Array
    translation: Array

    @classmethod
    def identity(cls) -> Pose:
        return cls(np.eye(3), np.zeros(3))

    @classmethod
    def make(cls, translation: ArrayLike, rotation: ArrayLike = (1, 0, 0, 0), layout: str = "quat_wxyz") -> Pose:
        """From a translation in metres and a rotation in any layout of `LAYOUTS`."""
        t = np.asarray(translation, np.float64).reshape(-1)
        if t.shape != (3,) or not np.isfinite(t).all():
            raise SpecMismatch(f"translation: expected 3 finite values, found {t.tolist()}")
        return cls(rotation_matrix(rotation, layout), t)

    def as_layout(self, layout: str) -> Array:
        """The rotation, flat, in a layout of `LAYOUTS`."""
        return convert_rotation(self.rotation.reshape(9), "matrix", layout)

    def __matmul__(self, other: Pose) -> Pose:
        return Pose(self.rotation @ other.rotation, self.rotation @ other.translation + self.translation)

    def inverse(self) -> Pose:
        return Pose(self.rotation.T, -self.rotation.T @ self.translation)

    def apply(self, points: NDArray[Any]) -> Array:
        """Maps points of shape (..., 3)."""
        return np.asarray(np.asarray(points, np.float64) @ self.rotation.T + self.translation)

    def distance(self, other: Pose) -> tuple[float, float]:
        """Metres and radians between two poses, on the group."""
        delta = self.inverse() @ other
        return float(np.linalg.norm(delta.translation)), float(np.linalg.norm(_to_rotvec(delta.rotation)))

    def close_to(self, other: Pose, tolerance: float = 1e-9) -> bool:
        return max(self.distance(other)) <= tolerance
