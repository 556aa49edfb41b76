"""One look at every picture of a clip: which tags are where, and how sharp it is; then which pictures to keep.

Of each stretch of time the sharpest picture is a keyframe: a hand blurs some and not others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roboscale.dataset.packets import decode_in_order
from roboscale.sources.capture.showing import video_camera
from roboscale.sources.handheld.finger_tags import tag_detector, tags_found

__all__ = ["Look", "keyframes_of", "look_at"]

Array = NDArray[np.float64]

_WINDOW = 0.8  # of a cell: middles of rendered tags of 20 pixels are off by .17 pixels rms; by .39 with OpenCV's .3


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What the N pictures of a clip show.

    Args:
        tags: of each picture, number -> corners (4, 2) in pixels.
        sharpness: (N,) variance of the Laplacian.
        shape: (H, W, 3).
    """

    video: Path
    tags: tuple[Mapping[int, Array], ...]
    sharpness: Array
    shape: tuple[int, int, int]
    rate_hz: float


def look_at(video: Path) -> Look:
    """Looks at all of a clip once.

    Raises:
        BadData: it is no video, or is cut off.
    """
    import cv2

    view = video_camera(video, np.zeros(0, np.int64))
    count = len(view.pictures)
    detector, tags, sharpness = tag_detector(_WINDOW), [], []
    for picture in decode_in_order(video, 0, count):
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        tags.append(tags_found(detector, grey))
        sharpness.append(float(cv2.Laplacian(grey, cv2.CV_32F).var()))
    return Look(video=video, tags=tuple(tags), sharpness=np.array(sharpness), shape=view.shape, rate_hz=view.rate_hz)


def keyframes_of(sharpness: Array, rate_hz: float, wanted_hz: float) -> NDArray[np.int64]:
    """(K,) numbers of the sharpest picture of every 1 / `wanted_hz` seconds, with the first and the last of all.

    >>> keyframes_of(np.array([1, 5, 2, 1, 1, 9, 3.0]), 30, 10).tolist()
    [0, 1, 5, 6]
    """
    step = max(rate_hz / wanted_hz, 1.0)
    group = (np.arange(len(sharpness)) / step + 1e-9).astype(int)
    picked = {int(np.flatnonzero(group == g)[np.argmax(sharpness[group == g])]) for g in np.unique(group)}
    return np.array(sorted(picked | {0, len(sharpness) - 1}), np.int64)
