"""Where a camera was by printed tags alone: the pose that puts the corners of one sheet where a picture shows them.

A single flat tag that is seen from afar may be tilted either way; a picture that cannot tell has no pose.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from roboscale.sources.capture.poses import Poses
from roboscale.sources.handheld.lens import Lens
from roboscale.sources.handheld.mapping.layout import SheetTags
from roboscale.sources.handheld.mapping.metric import tag_middle

__all__ = ["TagPoses", "focal_by_tags", "poses_by_tags"]

Array = NDArray[np.float64]

_WORST_PX = 2.0  # rms of the corners
_TELLS = 1.5  # how much worse the other tilt has to fit
_LEAST_PX = 0.15  # error of a corner that is assumed at least
_INSET_PX = 0.4  # error that corners of a picture share, for refining pulls them inwards
_VIEWS = 40  # pictures from which a focal length is found


@dataclass(frozen=True, slots=True, kw_only=True)
class TagPoses:
    """Poses of N pictures: `sheet_from_camera`, metres.

    Args:
        sigma_m, sigma_rad: (N,) one standard deviation along an axis.
        residual_px: rms distance of corners over all pictures.
    """

    poses: Poses
    valid: NDArray[np.bool_]
    sigma_m: Array
    sigma_rad: Array
    residual_px: float


def poses_by_tags(seen: Sequence[Mapping[int, Array]], lens: Lens, sheet: SheetTags) -> TagPoses:
    """The pose of every picture.

    Args:
        seen: of each picture, number -> corners (4, 2) in pixels.
    """
    count = len(seen)
    poses, valid = Poses.identity(count), np.zeros(count, bool)
    metres, radians, squares = np.zeros(count), np.zeros(count), []
    for k, tags in enumerate(seen):
        numbers = sorted(tags.keys() & sheet.sizes.keys())
        if not numbers:
            continue
        points = np.concatenate([sheet.corners(n) for n in numbers])
        plane = lens.directions(np.concatenate([tags[n] for n in numbers]))
        made = _solved(points, plane, lens.fx)
        if made is None:
            continue
        turn, shift, rms, spread = made
        poses.rotation[k], poses.translation[k] = turn.T, -turn.T @ shift
        valid[k], radians[k], metres[k] = True, spread[0], spread[1]
        squares.append(rms**2)
    residual = float(np.sqrt(np.mean(squares))) if squares else 0.0
    return TagPoses(poses=poses, valid=valid, sigma_m=metres, sigma_rad=radians, residual_px=residual)


def _solved(points: Array, plane: Array, focal: float) -> tuple[Array, Array, float, tuple[float, float]] | None:
    """`camera_from_sheet`, rms in pixels, and the standard deviations of turn and place."""
    import cv2

    eye: Any = np.eye(3)
    done, turns, shifts, errors = cv2.solvePnPGeneric(
        points, plane.reshape(-1, 1, 2), eye, None, flags=cv2.SOLVEPNP_IPPE
    )
    if not done:
        return None
    order = np.argsort(errors.reshape(-1))
    if len(order) > 1 and errors.reshape(-1)[order[1]] < _TELLS * errors.reshape(-1)[order[0]]:
        return None
    best = int(order[0])
    turn, shift = cv2.solvePnPRefineLM(points, plane.reshape(-1, 1, 2), eye, None, turns[best], shifts[best])
    there, slopes = cv2.projectPoints(points, turn, shift, eye, None)
    off = (there.reshape(-1, 2) - plane) * focal
    rms = float(np.sqrt((off**2).sum(axis=1).mean()))
    if rms > _WORST_PX or float(shift[2, 0]) <= 0:
        return None
    rotation = cv2.Rodrigues(turn)[0]
    covariance = np.linalg.inv(slopes[:, :6].T @ slopes[:, :6] * focal**2) * max(rms / np.sqrt(2), _LEAST_PX) ** 2
    radians = float(np.sqrt(np.trace(covariance[:3, :3]) / 3))
    away = float(np.linalg.norm(shift))
    edge = float(np.median(np.linalg.norm(plane[0::4] - plane[1::4], axis=1))) * focal
    pulled = away * _INSET_PX / max(edge, 1.0) / (len(points) / 4)  # what an inset of all corners does to the distance
    across = np.sqrt(np.trace(covariance[3:, 3:]) / 3 + (away * radians) ** 2 + pulled**2)
    return rotation, shift.reshape(3), rms, (radians, float(across))


def focal_by_tags(seen: Sequence[Mapping[int, Array]], lens: Lens, sheet: SheetTags) -> float | None:
    """The focal length with which the middles of a sheet's tags fit best, as a share of the lens's; `None` where fewer
    than five pictures show four of them."""
    views = []
    for tags in seen:
        numbers = sorted(tags.keys() & sheet.sizes.keys())
        if len(numbers) >= 4:
            corners = np.concatenate([tags[n] for n in numbers])
            views.append((np.stack([sheet.centres[n] for n in numbers]), corners))
    if len(views) < 5:
        return None
    some = [views[i] for i in np.unique(np.linspace(0, len(views) - 1, _VIEWS).astype(int))]

    def misfit(share: float) -> float:
        other = replace(lens, fx=lens.fx * share, fy=lens.fy * share)
        return float(sum(_misfit(points, other.directions(corners)) * share**2 for points, corners in some))

    return float(minimize_scalar(misfit, bounds=(0.9, 1.1), method="bounded", options={"xatol": 1e-4}).x)


def _misfit(points: Array, plane: Array) -> float:
    """Sum of squares that is left of the middles of tags, in the plane one metre ahead."""
    import cv2

    middles = np.stack([tag_middle(four) for four in plane.reshape(-1, 4, 2)])
    eye: Any = np.eye(3)
    _, turns, shifts, errors = cv2.solvePnPGeneric(points, middles[:, None], eye, None, flags=cv2.SOLVEPNP_IPPE)
    best = int(np.argmin(errors))
    turn, shift = cv2.solvePnPRefineLM(points, middles[:, None], eye, None, turns[best], shifts[best])
    there, _ = cv2.projectPoints(points, turn, shift, eye, None)
    return float(((there.reshape(-1, 2) - middles) ** 2).sum())
