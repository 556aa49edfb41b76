"""A hand's key points as an end effector: a frame on the palm between thumb and index, and how far these are apart.

    origin  midpoint of the tips of thumb and index: where something that is pinched is
    x       from the wrist to between the knuckles of index and little finger
    z       out of the back of the hand, for a left hand too
    joint   distance of the two tips, metres: the width of a gripper

The frame is that of the palm and not of the line between the tips, which vanishes when the pinch closes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData, Finding
from roboscale.sources.capture.poses import Poses
from roboscale.sources.capture.track import PoseTrack, Sigma
from roboscale.sources.human.joints import NEEDED

__all__ = ["Side", "chirality", "hand_track", "mirrored", "palm_poses"]

Side = Literal["left", "right"]
Array = NDArray[np.float64]

_SMALLEST_M = 0.02  # from wrist to knuckles, and from knuckle to knuckle; less is no hand in metres
_LARGEST_M = 0.25
_SURELY = 0.5  # three samples of four


def palm_poses(points: Array, names: Sequence[str], side: Side) -> tuple[Poses, Array, NDArray[np.bool_]]:
    """The end effector's frame of every sample.

    Args:
        points: (N, J, 3) metres; NaN where missing.
        names: of the J joints.

    Returns:
        Poses (N), distance of the tips (N,) in metres, and (N,) whether all of it is known.
    """
    at = {name: points[:, list(names).index(name)] for name in NEEDED}
    known = np.isfinite(np.concatenate([at[name] for name in NEEDED], axis=1)).all(axis=1)
    wrist, index, little, thumb, tip = (np.where(known[:, None], at[name], 0.0) for name in NEEDED)
    forward = (index + little) / 2 - wrist
    across = index - little if side == "right" else little - index
    along, span = np.linalg.norm(forward, axis=1), np.linalg.norm(across, axis=1)
    known &= (along > 1e-4) & (span > 1e-4)
    rotation = np.tile(np.eye(3), (len(points), 1, 1))
    x = forward[known] / along[known, None]
    y = across[known] - np.einsum("ni,ni->n", across[known], x)[:, None] * x
    y /= np.linalg.norm(y, axis=1, keepdims=True)
    rotation[known] = np.stack([x, y, np.cross(x, y)], axis=2)
    return Poses(rotation, (thumb + tip) / 2), np.linalg.norm(thumb - tip, axis=1), known


def chirality(points: Array, names: Sequence[str]) -> float:
    """How surely a hand is a right one, from its shape alone: above 0 for a right hand, below for a left one.

    Fingers bend towards the palm and the thumb stands on the index's side: the triple product of forward, across and
    the way the finger tips are bent has one sign for each hand. 0 where a flat or unknown hand does not tell.

    Args:
        points: (N, J, 3) metres; NaN where missing.
    """
    at = {name: points[:, list(names).index(name)] for name in NEEDED}
    forward = (at["index.mcp"] + at["little.mcp"]) / 2 - at["wrist"]
    across = at["index.mcp"] - at["little.mcp"]
    back = np.cross(forward, across)  # out of the back of a right hand, out of the palm of a left one
    back /= np.maximum(np.linalg.norm(back, axis=1, keepdims=True), 1e-12)
    bent = np.stack([at["thumb.tip"], at["index.tip"]], axis=1).mean(axis=1) - (at["wrist"] + forward)
    height = -np.einsum("ni,ni->n", back, bent)
    told = height[np.isfinite(height) & (np.abs(height) > 0.005)]
    return float(np.mean(np.sign(told))) if len(told) else 0.0


def mirrored(points: Array, names: Sequence[str], side: Side, where: object) -> list[Finding]:
    """A finding where a hand has the shape of the other one; nothing where its shape agrees or does not tell.

    Landmark models name the hands of a mirrored picture: a right hand in a plain one is called left.

    Args:
        points: (N, J, 3) metres; NaN where missing.
        where: file, for the text.
    """
    if any(joint not in names for joint in NEEDED):
        return []
    told = chirality(points, names) * (1 if side == "right" else -1)
    if told > -_SURELY:
        return []
    other = "left" if side == "right" else "right"
    text = (
        f"{where}: the {side} hand has the shape of a {other} one in {50 * (1 - told):.0f} % of its samples: its "
        "label or its picture is mirrored, and its frame is wrong"
    )
    return [Finding("mirrored-hand", "warning", text, evidence={"side": side, "agrees": told})]


def hand_track(
    points: Array,
    names: Sequence[str],
    side: Side,
    *,
    name: str = "",
    sigma_m: Array | None = None,
    how: str = "",
    where: object = "hand",
) -> PoseTrack:
    """One hand as a track.

    Args:
        points: (N, J, 3) metres in the world; NaN where missing.
        names: of the J joints; see `joints`.
        name: of the track; empty where there is one hand.
        sigma_m: (N,) metres of one standard deviation of each key point along an axis.
        how: who says so.
        where: file, for errors.

    Raises:
        BadData: joints that the frame is made of are not among them, or the hand has no size of a hand.
    """
    missing = [joint for joint in NEEDED if joint not in names]
    if missing:
        raise BadData(where, f"{side} hand", f"the joints {', '.join(NEEDED)}", f"none called {', '.join(missing)}")
    poses, width, known = palm_poses(points, names, side)
    sigma = None
    if known.any():
        index, little, wrist = (points[known, list(names).index(n)] for n in ("index.mcp", "little.mcp", "wrist"))
        length = float(np.median(np.linalg.norm((index + little) / 2 - wrist, axis=1)))
        if not _SMALLEST_M <= length <= _LARGEST_M:
            text = f"{_SMALLEST_M:g} to {_LARGEST_M:g} m from wrist to knuckles"
            raise BadData(where, f"{side} hand", text, f"{length:.4g} m: is the unit another (--unit)?")
        if sigma_m is not None:
            span = float(np.median(np.linalg.norm(index - little, axis=1)))
            # Errors of one estimate share their depth, so a midpoint is not better than a point; a frame turns by
            # the error of two points over the distance between them.
            turn = np.sqrt(2) * sigma_m / max(min(length, span), _SMALLEST_M)
            sigma = Sigma(position=sigma_m, rotation=turn, how=how)
    return PoseTrack(
        name=name,
        poses=poses,
        valid=known,
        effector=width[:, None],
        effector_names=("gripper_width",),
        sigma=sigma,
        points=points,
        point_names=tuple(names),
    )
