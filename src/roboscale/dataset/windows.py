"""Windows around a frame, as LeRobot's `delta_timestamps` has them: clamped at the ends of the episode, and marked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core.errors import SpecMismatch

__all__ = ["Window"]


class Window:
    """Frames relative to a frame.

    Args:
        offsets: (W,) int64, in frames.
    """

    def __init__(self, offsets: NDArray[np.int64]) -> None:
        self.offsets = offsets
        self._low, self._high = (int(offsets.min()), int(offsets.max())) if len(offsets) else (0, -1)
        self._is_run = len(offsets) > 0 and bool((np.diff(offsets) == 1).all())

    @classmethod
    def of_seconds(cls, key: str, seconds: Sequence[float], fps: float, tolerance_s: float) -> Window:
        """SpecMismatch when a delta is further than the tolerance from a multiple of 1/fps."""
        steps = np.asarray(seconds, np.float64) * fps
        off = np.abs(steps - np.round(steps)) / fps > tolerance_s
        if off.any():
            wrong = np.asarray(seconds)[off].tolist()
            raise SpecMismatch(f"delta_timestamps: {key}: expected multiples of 1/{fps:g} s, found {wrong}")
        return cls(np.round(steps).astype(np.int64))

    def frames(self, frame: int, length: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """(W,) frames of an episode, clamped, and (W,) True where they had to be."""
        wanted = self.offsets + frame
        inside = np.minimum(np.maximum(wanted, 0), length - 1)
        return inside, wanted != inside

    def take(
        self, column: NDArray[Any], first: int, frame: int, length: int
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Copies of the rows around `frame` of an episode that begins at row `first`: (W, ...), and (W,) padded."""
        low, high = frame + self._low, frame + self._high
        if self._is_run and low >= 0 and high < length:
            return column[first + low : first + high + 1].copy(), np.zeros(len(self.offsets), np.bool_)
        inside, padded = self.frames(frame, length)
        return column[first + inside], padded
