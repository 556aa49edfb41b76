"""A camera's lens: pixels to directions, by the fisheye model of four coefficients (Kannala and Brandt 2006) or none.

    theta_d = theta (1 + k1 theta^2 + k2 theta^4 + k3 theta^6 + k4 theta^8),  pixel = f theta_d (x, y) / r + centre

Reads OpenImuCameraCalibrator's JSON, which UMI keeps beside its recordings, and says at which size it holds: numbers
of one size used at another put a tag centimetres away.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData
from roboscale.core.declared import Count, Positive, read_declared

__all__ = ["Lens", "load_lens"]

Array = NDArray[np.float64]

_STEPS = 12  # Newton steps; five reach a float's precision within 90 degrees


@dataclass(frozen=True, slots=True, kw_only=True)
class _Intrinsics:
    focal_length: Positive
    principal_pt_x: float
    principal_pt_y: float
    aspect_ratio: Positive = 1.0
    skew: float = 0.0
    radial_distortion_1: float = 0.0
    radial_distortion_2: float = 0.0
    radial_distortion_3: float = 0.0
    radial_distortion_4: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    intrinsic_type: str = "FISHEYE"
    image_width: Count
    image_height: Count
    intrinsics: _Intrinsics
    final_reproj_error: float | None = None
    fps: float | None = None
    nr_calib_images: int | None = None
    stabelized: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lens:
    """A calibrated lens.

    Args:
        width, height: pixels of the pictures that it was calibrated on.
        fx, fy, cx, cy: pixels.
        k: the four coefficients.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    k: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)

    def at(self, width: int, height: int) -> Lens:
        """For pictures of another size with the same field of view.

        Raises:
            BadData: another shape: such pictures were cropped, and nothing says where.
        """
        factor = width / self.width
        if abs(height / self.height - factor) > 0.002 * factor:
            raise BadData(
                "--intrinsics", "size", f"{self.width} x {self.height} or a multiple of it", f"{width} x {height}"
            )
        return Lens(
            width=width,
            height=height,
            fx=self.fx * factor,
            fy=self.fy * factor,
            cx=(self.cx + 0.5) * factor - 0.5,
            cy=(self.cy + 0.5) * factor - 0.5,
            k=self.k,
        )

    def directions(self, pixels: Array) -> Array:
        """(N, 2) pixels as points (N, 2) of the plane one metre ahead."""
        x = (np.asarray(pixels, np.float64) - [self.cx, self.cy]) / [self.fx, self.fy]
        distorted = np.linalg.norm(x, axis=-1)
        theta = distorted.copy()
        for _ in range(_STEPS):
            value, slope = self._bent(theta)
            theta = theta - (value - distorted) / slope
        scale = np.where(distorted > 1e-9, np.tan(theta) / np.maximum(distorted, 1e-9), 1.0)
        return np.asarray(x * scale[..., None])

    def pixels(self, points: Array) -> Array:
        """Points (N, 3) in front of the camera as pixels (N, 2)."""
        plane = points[..., :2] / points[..., 2:]
        radius = np.linalg.norm(plane, axis=-1)
        bent, _ = self._bent(np.arctan(radius))
        scale = np.where(radius > 1e-9, bent / np.maximum(radius, 1e-9), 1.0)
        return np.asarray(plane * scale[..., None] * [self.fx, self.fy] + [self.cx, self.cy])

    def _bent(self, theta: Array) -> tuple[Array, Array]:
        """The distorted angle and its slope."""
        square, value, slope, power = theta**2, np.ones_like(theta), np.ones_like(theta), np.ones_like(theta)
        for i, k in enumerate(self.k, 1):
            power = power * square
            value, slope = value + k * power, slope + (2 * i + 1) * k * power
        return theta * value, slope


def load_lens(path: Path) -> Lens:
    """A lens from a calibration's JSON; BadData with file, key and both sides."""
    said = read_declared(path, _File, limit=2**20)
    if said.intrinsic_type != "FISHEYE":
        raise BadData(path, "intrinsic_type", "FISHEYE", said.intrinsic_type)
    i = said.intrinsics
    return Lens(
        width=said.image_width,
        height=said.image_height,
        fx=i.focal_length,
        fy=i.focal_length * i.aspect_ratio,
        cx=i.principal_pt_x,
        cy=i.principal_pt_y,
        k=(i.radial_distortion_1, i.radial_distortion_2, i.radial_distortion_3, i.radial_distortion_4),
    )
