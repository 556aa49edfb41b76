"""Whether a camera turned its own pictures: the gyroscope against the rotation that the pictures show.

The part of the gyroscope's rotation that the pictures do not share is a ratio: near 0 for pictures as the lens saw
them, near 1 where the camera stabilised them. From .3 on an inertial sensor says nothing of such pictures: scale from
it would be a number without meaning.

Source: the ratio and its bar were measured on rendered recordings (.03) and a stabilised clip (.96).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from roboscale.core import SpecMismatch
from roboscale.core.plain import Plain

__all__ = ["RESIDUAL_BAR", "GyroFit", "fit_gyro"]

Array = NDArray[np.float64]

RESIDUAL_BAR = 0.3
_MOST_OFFSET_S = 0.1
_OFFSETS = 81
_LEAST = 12  # steps between pictures
_STILL = 0.02  # rad/s; slower motion says nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class GyroFit(Plain):
    """How a gyroscope and the pictures agree.

    Args:
        residual_ratio: rms of what is left of the gyroscope's rates over their rms.
        offset_s: what has to be added to the times of the pictures to be on the gyroscope's clock.
        camera_from_imu: (3, 3) as rows, the rotation between both.
        steps: between pictures that were compared.
    """

    residual_ratio: float
    offset_s: float
    camera_from_imu: tuple[tuple[float, ...], ...]
    steps: int

    @property
    def usable(self) -> bool:
        """Whether the inertial sensor may say anything of the pictures."""
        return self.residual_ratio < RESIDUAL_BAR


def fit_gyro(picture_s: Array, rotations: Array, gyro_s: Array, rates: Array) -> GyroFit:
    """The rotation and the delay between a gyroscope and pictures, and what neither explains.

    Args:
        picture_s: (N,) times of the pictures.
        rotations: (N, 3, 3) `world_from_camera` from the pictures alone; the scale of a map does not matter.
        gyro_s: (M,) times of the gyroscope.
        rates: (M, 3) rad/s.

    Raises:
        SpecMismatch: too few pictures, or a recording that hardly turns: nothing can be compared.
    """
    steps = np.diff(picture_s)
    if len(steps) < _LEAST or not (steps > 0).all():
        raise SpecMismatch(
            f"a gyroscope is compared with {_LEAST + 1} or more pictures in order, not with {len(picture_s)}"
        )
    turned = Rotation.from_matrix(np.swapaxes(rotations[:-1], 1, 2) @ rotations[1:]).as_rotvec()
    seen = turned / steps[:, None]
    summed = np.concatenate(
        [np.zeros((1, 3)), np.cumsum((rates[1:] + rates[:-1]) / 2 * np.diff(gyro_s)[:, None], axis=0)]
    )
    best: tuple[float, float, Array] | None = None
    for offset in np.linspace(-_MOST_OFFSET_S, _MOST_OFFSET_S, _OFFSETS):
        at = picture_s + offset
        inside = (at[:-1] >= gyro_s[0]) & (at[1:] <= gyro_s[-1])
        if inside.sum() < _LEAST:
            continue
        mean = np.stack([np.diff(np.interp(at, gyro_s, summed[:, i])) / steps for i in range(3)], axis=1)[inside]
        mine = seen[inside]
        mean, mine = mean - mean.mean(axis=0), mine - mine.mean(axis=0)  # a constant bias is nobody's motion
        size = float(np.sqrt(np.square(mean).sum()))
        if size / np.sqrt(len(mean)) < _STILL:
            continue
        turn, _ = Rotation.align_vectors(mine, mean)
        left = float(np.sqrt(np.square(mine - turn.apply(mean)).sum())) / size
        if best is None or left < best[0]:
            best = left, float(offset), turn.as_matrix()
            count = int(inside.sum())
    if best is None:
        raise SpecMismatch("the recording hardly turns, or the clocks do not meet: nothing can be compared")
    rows = tuple(tuple(map(float, row)) for row in best[2])
    return GyroFit(residual_ratio=best[0], offset_s=best[1], camera_from_imu=rows, steps=count)
