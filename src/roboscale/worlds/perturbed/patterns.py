"""Colours and patterns that a scene never had: drawn from a generator, so that a case has its own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["blotches", "random_colour", "stripes"]


def random_colour(rng: np.random.Generator) -> NDArray[np.float64]:
    """(3,) RGB in 0..1, neither black nor white."""
    return rng.uniform(0.1, 0.9, 3)


def stripes(rng: np.random.Generator, height: int, width: int) -> NDArray[np.uint8]:
    """(height, width, 3) stripes or checks of two colours."""
    first, second = random_colour(rng), random_colour(rng)
    rows, columns = np.mgrid[0:height, 0:width] / max(1, min(height, width))
    count = rng.integers(3, 9)
    where = np.floor(rows * count).astype(int)
    if rng.random() < 0.5:
        where = where + np.floor(columns * count).astype(int)
    mixed = np.where((where % 2 == 0)[..., None], first, second)
    return np.asarray(np.rint(255 * mixed), np.uint8)


def blotches(rng: np.random.Generator, height: int, width: int) -> NDArray[np.uint8]:
    """(height, width, 3) clouds of three colours: waves of random direction and length, added."""
    rows, columns = np.mgrid[0:height, 0:width] / max(1, min(height, width))
    field = np.zeros((height, width, 3))
    for _ in range(6):
        turn, length, phase = rng.uniform(0, np.pi), rng.uniform(2, 12), rng.uniform(0, 2 * np.pi, 3)
        wave = 2 * np.pi * length * (rows * np.cos(turn) + columns * np.sin(turn))
        field += np.sin(wave[..., None] + phase) / 6
    base, reach = random_colour(rng), rng.uniform(0.2, 0.5, 3)
    return np.asarray(np.rint(255 * np.clip(base + reach * 2 * field, 0, 1)), np.uint8)
