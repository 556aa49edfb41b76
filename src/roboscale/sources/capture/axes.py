"""Which way the axes of phones, headsets and engines point, and ours: right-handed, x forward, z up.

    arkit, arcore, openxr, webxr   right-handed, y up, the device looks along -z
    unity                          left-handed, y up, the device looks along +z
    opencv                         z up already; the device looks along +z, its y points down
    as-recorded                    nothing is turned

A left-handed world is mirrored together with its rotations, so that a right hand stays one.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from roboscale.core import UnknownName
from roboscale.sources.capture.poses import Poses

__all__ = ["CONVENTIONS", "points_to_z_up", "require_axes", "to_z_up"]

Array = NDArray[np.float64]

_Y_UP = np.array([[0.0, 0.0, -1.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
_UNITY = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])  # determinant -1
_GL_FROM_CV = np.diag([1.0, -1.0, -1.0])
_UNITY_FROM_CV = np.diag([1.0, -1.0, 1.0])

CONVENTIONS: Mapping[str, tuple[Array, Array]] = MappingProxyType(
    {
        **dict.fromkeys(("arkit", "arcore", "openxr", "webxr"), (_Y_UP, _GL_FROM_CV)),
        "unity": (_UNITY, _UNITY_FROM_CV),
        "opencv": (np.eye(3), np.eye(3)),
        "as-recorded": (np.eye(3), np.eye(3)),
    }
)
"""Convention -> (our world from theirs, their device from OpenCV's axes), both 3 x 3."""


def require_axes(axes: str) -> str:
    """The same; UnknownName when it is no convention of `CONVENTIONS`."""
    if axes not in CONVENTIONS:
        raise UnknownName("axes", axes, CONVENTIONS)
    return axes


def to_z_up(poses: Poses, axes: str) -> Poses:
    """Poses of a device in a convention of `CONVENTIONS`, with z up and the device's axes as OpenCV has them."""
    world, device = CONVENTIONS[require_axes(axes)]
    return Poses(world @ poses.rotation @ device, poses.translation @ world.T)


def points_to_z_up(points: Array, axes: str) -> Array:
    """Points (..., 3) of a world in a convention of `CONVENTIONS`, with z up."""
    return np.asarray(points @ CONVENTIONS[require_axes(axes)][0].T)
