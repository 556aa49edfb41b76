"""Changes of recorded pictures without a simulator: colour, blur, crop, background. A draw holds for a whole episode.

What a picture-space change can say is less than what a renderer can: light does not move, nothing new is seen behind
anything. A crop is geometry, and intrinsics must follow it: see `picture_from_parent`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData

__all__ = ["CHANGE_SIZES", "PICTURE_CHANGES", "Repaint", "changed_intrinsics", "draw_change"]

CHANGE_SIZES: Mapping[str, Mapping[str, tuple[float, float, float]]] = {
    "colour": {
        "brightness": (1.15, 1.3, 1.5),
        "contrast": (1.15, 1.3, 1.5),
        "saturation": (1.2, 1.5, 2.0),
        "hue": (4.0, 10.0, 20.0),
    },
    "blur": {"sigma": (0.005, 0.01, 0.02)},
    "crop": {"lost": (0.05, 0.1, 0.2)},
    "background": {"set": (0.0, 0.0, 0.0)},
}
"""Change -> value -> its size at level 1, 2 and 3: factors, degrees of hue, shares of the picture's width."""

PICTURE_CHANGES = tuple(CHANGE_SIZES)

_GREY = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
_YIQ = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])  # NTSC


@dataclass(frozen=True, slots=True, kw_only=True)
class Repaint:
    """What is done to every picture of one copy of an episode.

    Args:
        values: name of a value -> what it is, e.g. `colour.hue` in degrees; what is not there is left alone.
        places: camera -> where its crop begins, shares of what the crop leaves over, x and y in 0..1.
    """

    values: Mapping[str, float]
    places: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def apply(
        self,
        camera: str,
        picture: NDArray[np.uint8],
        *,
        kept: NDArray[np.bool_] | None = None,
        behind: NDArray[np.uint8] | None = None,
    ) -> NDArray[np.uint8]:
        """A picture (H, W, 3) as it is after the change.

        Args:
            kept: (H, W), where the background is not replaced. behind: (H, W, 3), what takes its place.
        """
        if kept is not None and behind is not None:
            picture = np.where(kept[..., None], picture, behind)
        if any(name.startswith("colour.") for name in self.values):
            picture = self._recoloured(picture)
        if sigma := self.values.get("blur.sigma", 0.0):
            picture = _blurred(picture, sigma * picture.shape[1])
        return self.cropped(camera, picture)

    def cropped(self, camera: str, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The geometry alone, which masks follow too: a part of the picture, resized to the whole."""
        from PIL import Image

        if "crop.lost" not in self.values:
            return picture
        height, width = picture.shape[:2]
        left, top, wide, high = self._box(camera, width, height)
        whole = Image.fromarray(picture).resize(
            (width, height), Image.Resampling.BILINEAR, box=(left, top, left + wide, top + high)
        )
        return np.asarray(whole)

    def picture_from_parent(self, camera: str, width: int, height: int) -> NDArray[np.float64]:
        """Where a pixel of the parent went, homogeneous (3, 3): intrinsics are multiplied by it from the left.

        Pixels are counted as OpenCV does: the centre of the first is (0, 0).
        """
        left, top, wide, high = self._box(camera, width, height)
        grow_x, grow_y = width / wide, height / high
        return np.array(
            [
                [grow_x, 0.0, (0.5 - left) * grow_x - 0.5],
                [0.0, grow_y, (0.5 - top) * grow_y - 0.5],
                [0.0, 0.0, 1.0],
            ]
        )

    def _box(self, camera: str, width: int, height: int) -> tuple[float, float, float, float]:
        """Left, top, width and height of the part that is kept, in pixels."""
        lost = self.values.get("crop.lost", 0.0)
        x, y = self.places.get(camera, (0.5, 0.5))
        return x * lost * width, y * lost * height, (1 - lost) * width, (1 - lost) * height

    def _recoloured(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        def value(name: str, neutral: float) -> float:
            return self.values.get(f"colour.{name}", neutral)

        pixels = picture.astype(np.float64) / 255 * value("brightness", 1.0)
        pixels = (pixels - pixels.mean()) * value("contrast", 1.0) + pixels.mean()
        grey = (pixels @ _GREY)[..., None]
        pixels = grey + value("saturation", 1.0) * (pixels - grey)
        if turn := math.radians(value("hue", 0.0)):
            rotation = np.array([[1, 0, 0], [0, math.cos(turn), -math.sin(turn)], [0, math.sin(turn), math.cos(turn)]])
            pixels = pixels @ (np.linalg.inv(_YIQ) @ rotation @ _YIQ).T
        recoloured: NDArray[np.uint8] = np.clip(np.rint(255 * pixels), 0, 255).astype(np.uint8)
        return recoloured


def _blurred(picture: NDArray[np.uint8], sigma: float) -> NDArray[np.uint8]:
    from PIL import Image, ImageFilter

    return np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(sigma)))


def draw_change(
    changes: tuple[str, ...], strongest: float, cameras: tuple[str, ...], rng: np.random.Generator
) -> Repaint:
    """One copy's change: a strength of each, 0 to `strongest`, and the direction and place of each value.

    >>> change = draw_change(("colour", "crop"), 2.0, ("observation.images.front",), np.random.default_rng(0))
    >>> sorted(change.values)
    ['colour.brightness', 'colour.contrast', 'colour.hue', 'colour.saturation', 'crop.lost']
    """
    values: dict[str, float] = {}
    for change in changes:
        for name, sizes in CHANGE_SIZES[change].items():
            strength, up = float(rng.uniform(0, strongest)), bool(rng.random() < 0.5)
            factor = sizes[0] > 1 and name != "hue"
            size = float(np.interp(strength, [0, 1, 2, 3], [1.0 if factor else 0.0, *sizes]))
            if name == "set":
                size = float(rng.integers(10_000))
            elif factor:
                size = size if up else 1 / size
            elif name == "hue":
                size = size if up else -size
            values[f"{change}.{name}"] = float(f"{size:.4g}")
    places = {camera: (float(f"{x:.4g}"), float(f"{y:.4g}")) for camera in cameras for x, y in [rng.random(2)]}
    return Repaint(values=values, places=places if "crop" in changes else {})


def changed_intrinsics(
    matrix: NDArray[np.floating[Any]], picture_from_parent: NDArray[np.float64], where: str
) -> NDArray[np.floating[Any]]:
    """Intrinsics after a change of geometry, in the same form: (..., 3, 3), (..., 9), or fx, fy, cx, cy (..., 4).

    Raises:
        BadData: another form, of which it is not known what its numbers are.

    >>> double = np.diag([2.0, 2.0, 1.0])
    >>> changed_intrinsics(np.array([100.0, 90.0, 50.0, 40.0]), double, "camera").tolist()
    [200.0, 180.0, 100.0, 80.0]
    """
    shape = matrix.shape
    if shape[-2:] == (3, 3) or shape[-1] == 9:
        whole = matrix.reshape(*shape[: -2 if shape[-2:] == (3, 3) else -1], 3, 3)
        return (picture_from_parent @ whole).reshape(shape).astype(matrix.dtype)
    if shape[-1] != 4:
        raise BadData(where, "intrinsics", "a matrix of 3 x 3, or fx, fy, cx, cy", f"shape {shape}")
    scale = picture_from_parent[[0, 1], [0, 1]]
    moved = np.concatenate([matrix[..., :2] * scale, matrix[..., 2:] * scale + picture_from_parent[:2, 2]], axis=-1)
    return moved.astype(matrix.dtype)
