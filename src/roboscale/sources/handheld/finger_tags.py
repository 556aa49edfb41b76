"""How far a gripper is open, from the printed tags on its fingers as its own camera sees them.

    width = (x of the right tag - x of the left tag - what that is when the gripper is closed) * scale

x is across the camera's picture. A tag counts where its depth is that of the fingers; where only one is seen, the
other is taken as its mirror image, as the fingers are coupled. Tag sizes and numbers are UMI's: 16 mm, 0 left and 1
right (6 and 7 on a second gripper), of the dictionary of 4 x 4 bits with 50 members.

Source: real-stanford/universal_manipulation_interface, scripts_slam_pipeline/06 (MIT).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Finding
from roboscale.sources.capture.motion import stretches
from roboscale.sources.handheld.lens import Lens

__all__ = [
    "DICTIONARY",
    "FINGER_TAG_M",
    "FingerTags",
    "Widths",
    "bridged_widths",
    "said_of_widths",
    "tag_detector",
    "tags_found",
    "widths_of",
    "widths_seen",
]

Array = NDArray[np.float64]

DICTIONARY = "DICT_4X4_50"
FINGER_TAG_M = 0.016
_DEPTH_M = 0.072  # of the fingers, from the camera
_SLACK_M = 0.008
_BRIDGED_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class FingerTags:
    """The tags of one gripper.

    Args:
        left, right: numbers of the tags.
        size_m: edge of the black square.
        closed_m: distance of both when the gripper is closed; what a width is measured from.
        scale: metres a metre that the tags show: refined corners lie a little inside of a tag, which makes it look
            smaller, further away, and distances 1 % too large; what the gripper truly opens to says how much.
        depth_m: of the fingers, from the camera.
    """

    left: int = 0
    right: int = 1
    size_m: float = FINGER_TAG_M
    closed_m: float = 0.0
    scale: float = 1.0
    depth_m: float = _DEPTH_M


@dataclass(frozen=True, slots=True, kw_only=True)
class Widths:
    """Widths of N pictures.

    Args:
        metres: (N,), NaN where no tag was seen.
        both: (N,) where both tags were seen.
    """

    metres: Array
    both: NDArray[np.bool_]

    @property
    def share(self) -> float:
        """Of pictures in which a tag was seen."""
        return float(np.isfinite(self.metres).mean()) if len(self.metres) else 0.0


def tag_detector(window: float = 0.3) -> Any:
    """OpenCV's detector, which finds corners to a fraction of a pixel.

    Args:
        window: half the edge of the square in which a corner is refined, in cells of its tag; at most 5 pixels.
    """
    import cv2

    parameters = cv2.aruco.DetectorParameters()
    parameters.relativeCornerRefinmentWinSize = window
    parameters.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
    return cv2.aruco.ArucoDetector(cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, DICTIONARY)), parameters)


def widths_of(pictures: Iterable[NDArray[np.uint8]], lens: Lens, tags: FingerTags) -> Widths:
    """The width of a gripper in every picture (H, W, 3) of its own camera.

    Args:
        lens: of these pictures, at their size.
    """
    detector = tag_detector()
    return widths_seen((tags_found(detector, picture) for picture in pictures), lens, tags)


def widths_seen(seen: Iterable[Mapping[int, Array]], lens: Lens, tags: FingerTags) -> Widths:
    """The width of a gripper by tags that were found: of each picture, number -> corners (4, 2) in pixels."""
    metres, both = [], []
    for found in seen:
        places = _places(found, lens, tags)
        left, right = places.get(tags.left), places.get(tags.right)
        both.append(left is not None and right is not None)
        if left is not None and right is not None:
            metres.append((right - left - tags.closed_m) * tags.scale)
        elif left is not None or right is not None:
            one = right if right is not None else left
            metres.append((2 * abs(float(one or 0.0)) - tags.closed_m) * tags.scale)
        else:
            metres.append(float("nan"))
    return Widths(metres=np.array(metres, np.float64), both=np.array(both, bool))


def tags_found(detector: Any, picture: NDArray[np.uint8]) -> dict[int, Array]:
    """Number -> corners (4, 2) in pixels, from the tag's top left clockwise."""
    corners, numbers, _ = detector.detectMarkers(picture)
    told = numbers.reshape(-1).tolist() if numbers is not None else ()
    return {n: four.reshape(4, 2).astype(np.float64) for n, four in zip(told, corners, strict=True)}


def _places(seen: Mapping[int, Array], lens: Lens, tags: FingerTags) -> dict[int, float]:
    """Number of each finger's tag -> x of its centre, metres, where its depth is that of the fingers."""
    found: dict[int, float] = {}
    for number in (tags.left, tags.right):
        if number in seen:
            centre = _centre(lens.directions(seen[number]), tags.size_m)
            if centre is not None and abs(centre[2] - tags.depth_m) <= _SLACK_M:
                found[number] = float(centre[0])
    return found


def _centre(plane: Array, size_m: float) -> Array | None:
    """(3,) centre of a square tag from its corners (4, 2) in the plane one metre ahead."""
    import cv2

    half = size_m / 2
    corners = np.array([[-half, half, 0], [half, half, 0], [half, -half, 0], [-half, -half, 0]])
    done, _, places, _ = cv2.solvePnPGeneric(
        corners, plane.reshape(4, 1, 2), np.eye(3), None, flags=cv2.SOLVEPNP_IPPE_SQUARE
    )
    return np.asarray(places[0], np.float64).reshape(3) if done else None


def bridged_widths(metres: NDArray[np.float64], time_ns: NDArray[np.int64]) -> NDArray[np.float64]:
    """Widths with gaps of up to .2 s on a straight line; longer ones, and those at the ends, stay unknown."""
    known = np.isfinite(metres)
    filled = metres.copy()
    for first, last in stretches(~known):
        if first and last < len(metres) and (time_ns[last] - time_ns[first - 1]) * 1e-9 <= _BRIDGED_S:
            share = (time_ns[first:last] - time_ns[first - 1]) / (time_ns[last] - time_ns[first - 1])
            filled[first:last] = metres[first - 1] + share * (metres[last] - metres[first - 1])
    return filled


def said_of_widths(widths: Widths, filled: NDArray[np.float64]) -> list[Finding]:
    """What of the widths was not measured with both tags."""
    bridged = int((np.isfinite(filled) & ~np.isfinite(widths.metres)).sum())
    single = int((np.isfinite(widths.metres) & ~widths.both).sum())
    if not bridged and not single:
        return []
    text = (
        f"of {len(filled)} widths {single} were measured by one tag alone, taking the fingers for coupled, and "
        f"{bridged} lie on a line between others, over at most {_BRIDGED_S:g} s"
    )
    return [Finding("width-not-measured", "warning", text, evidence={"one tag": single, "between": bridged})]
