"""Hands in pictures: palms are found, then 21 points of each hand, by two models that run in this process.

The models are those of MediaPipe (Apache-2.0), which its wheel 0.10.21 ships; `load_hand_models` takes them out of
that file, or a folder, and knows them by their digests. Finding a palm (anchors, suppression) and turning it into the
square that the second model looks at is done here. Nothing is fetched.

    palms     192 x 192 -> (2016, 18): box and 7 points beside each anchor, and (2016, 1) scores
    landmarks 224 x 224 -> 21 points of the square, presence, handedness, 21 points in metres about the hand's middle

The model's handedness is how surely a hand of a mirrored picture is a left one, which is a right one of a plain one.

Source: google-ai-edge/mediapipe, modules/palm_detection and modules/hand_landmark (graphs, Apache-2.0).
"""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData

__all__ = ["HandFinder", "HandModels", "SeenHand", "load_hand_models", "metric_points"]

Array = NDArray[np.float64]

_FILES = {
    "palm_detection/palm_detection_full.tflite": "1b14e9422c6ad006cde6581a46c8b90dd573c07ab7f3934b5589e7cea3f89a54",
    "hand_landmark/hand_landmark_full.tflite": "11c272b891e1a99ab034208e23937a8008388cf11ed2a9d776ed3d01d0ba00e3",
}
_PALM, _HAND = 192, 224
_SURE = 0.5  # of a palm, and of a hand's presence
_SAME = 0.3  # overlap of boxes beyond which two are one
_TRACKED = (0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18)  # points that the next picture's square is made of
_MOST_HANDS = 2
_LOOK = 5  # pictures between two looks for a further palm while one hand is followed


@dataclass(frozen=True, slots=True)
class HandModels:
    """The two models' bytes, palms first."""

    palms: bytes
    landmarks: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenHand:
    """One hand of one picture.

    Args:
        pixels: (21, 2) x and y in the picture.
        points: (21, 3) metres about the hand's middle, axes of the camera: x right, y down, z ahead.
        presence: 0 to 1.
        right: 0 to 1, how surely it is a right hand of a picture that is not mirrored.
    """

    pixels: Array
    points: Array
    presence: float
    right: float


def load_hand_models(path: Path) -> HandModels:
    """From the wheel of mediapipe 0.10.21, or a folder with the two files in it.

    Raises:
        BadData: they are not there, or are others; names the file and both digests.
    """
    held: list[bytes] = []
    for name, digest in _FILES.items():
        raw = _member(path, name)
        found = hashlib.sha256(raw).hexdigest()
        if found != digest:
            raise BadData(path, name, f"sha256 {digest[:16]}, of mediapipe 0.10.21", found[:16])
        held.append(raw)
    return HandModels(*held)


def _member(path: Path, name: str) -> bytes:
    expected = "the wheel of mediapipe 0.10.21 (pip download --no-deps mediapipe==0.10.21), or a folder of its models"
    if path.is_dir():
        file = next(iter(sorted(path.rglob(name.rpartition("/")[2]))), None)
        if file is None:
            raise BadData(path, name, expected, "no such file")
        return file.read_bytes()
    try:
        with zipfile.ZipFile(path) as wheel:
            return wheel.read(f"mediapipe/modules/{name}")
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise BadData(path, name, expected, str(error)[:120]) from error


class HandFinder:
    """Finds hands picture by picture; remembers where they were. Pictures come in order, of one camera."""

    def __init__(self, models: HandModels) -> None:
        self._palms, self._hands = _Model(models.palms), _Model(models.landmarks)
        self._anchors = _anchors()
        self._squares: list[Array] = []
        self._picture = 0

    def find(self, picture: NDArray[np.uint8]) -> list[SeenHand]:
        """At most two hands of a picture (H, W, 3), those that were there before first."""
        squares = list(self._squares)
        if not squares or (len(squares) < _MOST_HANDS and self._picture % _LOOK == 0):
            squares += [new for new in self._palms_of(picture) if not any(_near(new, old) for old in squares)]
        found: list[SeenHand] = []
        kept: list[Array] = []
        for square in squares[:_MOST_HANDS]:
            hand = self._hand_in(picture, square)
            if hand is None:
                continue
            following = _square_of_points(hand.pixels)
            if not any(_near(following, other) for other in kept):
                found.append(hand)
                kept.append(following)
        self._squares, self._picture = kept, self._picture + 1
        return found

    def _palms_of(self, picture: NDArray[np.uint8]) -> list[Array]:
        """Squares around palms, the surest first."""
        height, width = picture.shape[:2]
        side = max(height, width)
        middle = np.array([width / 2, height / 2])
        raw, scores = self._palms.ask(_cut(picture, middle, side, 0.0, _PALM))
        sure = 1 / (1 + np.exp(-np.clip(scores.reshape(-1), -100, 100)))
        rows = np.flatnonzero(sure >= _SURE)
        values = raw.reshape(-1, 18)[rows].astype(np.float64) / _PALM
        places = values[:, [0, 1]] + self._anchors[rows]
        points = values[:, 4:].reshape(-1, 7, 2) + self._anchors[rows][:, None]
        boxes = np.concatenate([places - values[:, 2:4] / 2, places + values[:, 2:4] / 2], axis=1)
        squares = []
        for one in _apart(boxes, sure[rows]):
            corner = middle - side / 2
            size = float((boxes[one, 2:] - boxes[one, :2]).max()) * side
            centre, keys = corner + places[one] * side, corner + points[one] * side
            squares.append(_square(centre, size, keys[0], keys[2], scale=2.6, shift=-0.5))
        return squares

    def _hand_in(self, picture: NDArray[np.uint8], square: Array) -> SeenHand | None:
        """The hand within a square (x, y, side, angle); `None` where none is."""
        x, y, side, angle = square
        pixels, presence, right, metres = self._hands.ask(_cut(picture, np.array([x, y]), side, angle, _HAND))
        if float(presence.reshape(-1)[0]) < _SURE:
            return None
        local = (pixels.reshape(21, 3)[:, :2].astype(np.float64) / _HAND - 0.5) * side
        c, s = np.cos(angle), np.sin(angle)
        turn = np.array([[c, -s], [s, c]])
        points = metres.reshape(21, 3).astype(np.float64)
        points[:, :2] = points[:, :2] @ turn.T
        return SeenHand(
            pixels=local @ turn.T + [x, y],
            points=points,
            presence=float(presence.reshape(-1)[0]),
            right=float(right.reshape(-1)[0]),
        )


def metric_points(hand: SeenHand, fx: float, fy: float, cx: float, cy: float) -> Array:
    """(21, 3) metres in the camera's frame: where the hand has to be for its points to fall on its pixels.

    The hand's shape and size are the model's guess, and so is its distance: errors of several centimetres in depth
    are usual (see docs/capture.md). Three unknowns, 42 linear equations.
    """
    u, v = (hand.pixels[:, 0] - cx) / fx, (hand.pixels[:, 1] - cy) / fy
    x, y, z = hand.points.T
    one, none = np.ones(21), np.zeros(21)
    left = np.concatenate([np.stack([one, none, -u], axis=1), np.stack([none, one, -v], axis=1)])
    shift = np.linalg.lstsq(left, np.concatenate([u * z - x, v * z - y]), rcond=None)[0]
    return np.asarray(hand.points + shift)


class _Model:
    """One model: a square picture in, arrays out, in the order that the graphs have them."""

    def __init__(self, raw: bytes) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._run: Any = Interpreter(model_content=raw, num_threads=1)
        self._run.allocate_tensors()
        self._in = self._run.get_input_details()[0]["index"]
        self._out = [one["index"] for one in self._run.get_output_details()]

    def ask(self, picture: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Outputs for a picture (side, side, 3) from 0 to 1."""
        self._run.set_tensor(self._in, picture[None])
        self._run.invoke()
        return [self._run.get_tensor(index) for index in self._out]


def _anchors() -> Array:
    """(2016, 2) places of the palm model's anchors: two on a grid of 24, six on one of 12."""
    grids = []
    for cells, each in ((24, 2), (12, 6)):
        at = (np.arange(cells) + 0.5) / cells
        y, x = np.meshgrid(at, at, indexing="ij")
        grids.append(np.stack([x, y], axis=2).reshape(-1, 2).repeat(each, axis=0))
    return np.concatenate(grids)


def _apart(boxes: Array, scores: Array) -> list[int]:
    """Boxes (N, 4) that are not one with a surer one, the surest first."""
    kept: list[int] = []
    for i in np.argsort(-scores, kind="stable").tolist():
        if all(_overlap(boxes[i], boxes[k]) < _SAME for k in kept):
            kept.append(i)
    return kept


def _overlap(a: Array, b: Array) -> float:
    both = np.maximum(0, np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])).prod()
    return float(both / max((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - both, 1e-12))


def _near(a: Array, b: Array) -> bool:
    """Whether two squares (x, y, side, angle) lie on one hand."""
    return float(np.hypot(*(a[:2] - b[:2]))) < 0.35 * float(min(a[2], b[2]))


def _square(centre: Array, size: float, wrist: Array, up: Array, *, scale: float, shift: float) -> Array:
    """x, y, side and angle of a square in which the fingers point upwards, moved along them by a share of `size`."""
    angle = float(np.pi / 2 - np.arctan2(-(up[1] - wrist[1]), up[0] - wrist[0]))
    moved = centre + shift * size * np.array([-np.sin(angle), np.cos(angle)])
    return np.array([*moved, scale * size, angle])


def _square_of_points(pixels: Array) -> Array:
    """The square of the next picture, from the points (21, 2) of this one."""
    knuckles = ((pixels[5] + pixels[13]) / 2 + pixels[9]) / 2
    angle = _square(pixels[0], 1.0, pixels[0], knuckles, scale=1, shift=0)[3]
    c, s = np.cos(angle), np.sin(angle)
    turn = np.array([[c, -s], [s, c]])
    local = pixels[list(_TRACKED)] @ turn
    low, high = local.min(axis=0), local.max(axis=0)
    size = float((high - low).max())
    return _square((low + high) / 2 @ turn.T, size, pixels[0], knuckles, scale=2.0, shift=-0.1)


def _cut(picture: NDArray[np.uint8], centre: Array, side: float, angle: float, pixels: int) -> NDArray[np.float32]:
    """A turned square of a picture as (pixels, pixels, 3) from 0 to 1, black where the picture ends."""
    from PIL import Image

    c, s, scale = np.cos(angle), np.sin(angle), side / pixels
    x = centre[0] - scale * pixels / 2 * (c - s)
    y = centre[1] - scale * pixels / 2 * (s + c)
    data = (scale * c, -scale * s, x, scale * s, scale * c, y)
    size = (pixels, pixels)
    made = Image.fromarray(picture).transform(size, Image.Transform.AFFINE, data, Image.Resampling.BILINEAR)
    return np.asarray(made, np.float32) / np.float32(255)
