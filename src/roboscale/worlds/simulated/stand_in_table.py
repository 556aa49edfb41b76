"""A stand-in for hardware whose time passes only when it is sent something: a tip on a table that carries a block.

Two joints move the tip along and across a table; it holds a red block, which belongs on a green square. It is the
driver of a declared robot (`stand_in_table.toml`) and needs numpy alone, so that hundreds of trials with a camera take
a minute. Its camera has a sensor's noise, as a guard expects of one that is alive.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Measure, Observation

__all__ = ["StandInTable"]

_SIDE_M = 0.6
_HALF_M = 0.03


class StandInTable:
    """Joints `x` and `y` (m), the camera `top`, and `progress`: the share of the way that the block has come.

    Args:
        size: of the picture, pixels a side.
        shade: grey of the table, so that sites look different.
    """

    def __init__(self, size: int = 96, shade: int = 150) -> None:
        self.size, self.shade = size, shade
        self.measured = (Measure(name="progress", unit="1"),)
        self._tip = np.array([0.3, 0.3])
        self._start, self._goal = self._tip.copy(), np.array([0.5, 0.3])
        self._noise = np.random.default_rng(0)

    def connect(self) -> None:
        """Nothing to switch on."""

    def read(self) -> Observation:
        """`observation.state` (2,) m, and the picture."""
        picture = np.full((self.size, self.size, 3), self.shade, np.int16)
        self._draw(picture, self._goal, 1.5 * _HALF_M, (40, 170, 70))
        self._draw(picture, self._tip, _HALF_M, (200, 40, 40))
        self._draw(picture, self._tip, 0.4 * _HALF_M, (30, 30, 40))
        picture += self._noise.integers(-3, 4, picture.shape, np.int16)
        return {
            "observation.state": self._tip.astype(np.float32),
            "observation.images.top": np.clip(picture, 0, 255).astype(np.uint8),
        }

    def send(self, action: NDArray[Any]) -> NDArray[Any]:
        """Puts the tip where it is sent, (2,) m; the guard sends no more than it can go."""
        self._tip = np.clip(np.asarray(action, np.float64), 0.0, _SIDE_M)
        return np.asarray(action)

    def measure(self) -> dict[str, float | None]:
        """`progress`: 0 where the block began, 1 on its square."""
        way = float(np.linalg.norm(self._goal - self._start))
        left = float(np.linalg.norm(self._goal - self._tip))
        return {"progress": float(np.clip(1 - left / way, 0.0, 1.0))}

    def stop(self) -> None:
        """Keeps still: it goes nowhere by itself."""

    def torque_on(self) -> bool:
        """Its motors cannot be switched off."""
        return True

    def disconnect(self) -> None:
        """Nothing to switch off."""

    def arrange(self, seed: int) -> None:
        """Puts block and square where the seed says, at least 25 cm apart."""
        draw = np.random.default_rng(seed)
        while True:
            self._start, self._goal = draw.uniform(0.08, _SIDE_M - 0.08, (2, 2))
            if np.linalg.norm(self._goal - self._start) >= 0.25:
                break
        self._tip = self._start.copy()
        self._noise = np.random.default_rng(seed)

    def _draw(self, picture: NDArray[np.int16], at: NDArray[np.float64], half: float, colour: Any) -> None:
        """A square, its middle at a point of the table; x to the right, y upwards."""
        scale = self.size / _SIDE_M
        left, right = ((at[0] + d) * scale for d in (-half, half))
        top, bottom = ((_SIDE_M - at[1] + d) * scale for d in (-half, half))
        rows = slice(max(0, round(top)), max(0, round(bottom)))
        picture[rows, slice(max(0, round(left)), max(0, round(right)))] = colour
