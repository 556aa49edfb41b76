"""A state drawn from above, for people: every point a disc, a planar body with its heading, on a plain ground."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from roboscale.worlds.learned.features import TwinFrame

__all__ = ["colour_of", "draw_points"]

Floats = NDArray[np.float64]
GROUND = (246, 246, 243)
COLOURS = ((38, 70, 83), (231, 111, 81), (42, 157, 143), (233, 196, 106), (120, 94, 160), (90, 90, 90))
"""Of points, in their order; they begin again where there are more."""


def draw_points(frame: TwinFrame, state: Floats, width: int, height: int) -> NDArray[np.uint8]:
    """(height, width, 3) RGB: x to the right and y up, over the range of the data; a ring is a point that is held."""
    image = np.empty((height, width, 3), np.uint8)
    image[:] = GROUND
    rows, columns = np.mgrid[0:height, 0:width]
    points = frame.elements.points
    if not points:
        return image
    low, high = _window(frame, list(points.values()))
    scale = min(width / (high[0] - low[0]), height / (high[1] - low[1]))
    radius = 0.035 * min(width, height)
    for number, (name, at) in enumerate(points.items()):
        column, row = (state[at[0]] - low[0]) * scale, height - (state[at[1]] - low[1]) * scale
        apart = np.hypot(columns - column, rows - row)
        held = set(at) <= set(frame.elements.held)
        inside = np.abs(apart - radius) < 2 if held else apart < radius
        image[inside] = COLOURS[number % len(COLOURS)]
        turning = {frame.elements.names[i].rpartition(".")[0]: i for i in frame.elements.angles}
        if name in turning:
            c, s = np.cos(state[turning[name]]), np.sin(state[turning[name]])
            along, across = (columns - column) * c - (rows - row) * s, (columns - column) * s + (rows - row) * c
            image[(along > 0) & (along < 3 * radius) & (np.abs(across) < 0.25 * radius)] = COLOURS[
                number % len(COLOURS)
            ]
    return image


def colour_of(number: int) -> str:
    """The colour of a point, as pages write it.

    >>> colour_of(0)
    '#264653'
    """
    return "#{:02x}{:02x}{:02x}".format(*COLOURS[number % len(COLOURS)])


def _window(frame: TwinFrame, points: list[tuple[int, ...]]) -> tuple[Floats, Floats]:
    """Corners of what is shown: the range of all points in the data."""
    low = np.min([[frame.low[i] for i in at[:2]] for at in points], axis=0)
    high = np.max([[frame.high[i] for i in at[:2]] for at in points], axis=0)
    wide = np.maximum(high - low, 1e-6)
    return low - 0.05 * wide, high + 0.05 * wide
