"""Pictures that arrive otherwise than in training: turned, mirrored, blue for red, channels first, 0..1 for 0..255.

Every way in which a profile can change a picture is tried, and the one under which the world's first pictures look
most like those of the training data is the advice. Knows arrays; a picture is compared after it was shrunk to 24 x 24.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from roboscale.policies.remote.images import resize_stretch
from roboscale.policies.remote.maps import ObservationMap
from roboscale.policies.remote.pitfalls.lines import Line, toml_value

__all__ = ["PictureChange", "alike", "looks_the_same", "picture_changes", "picture_distance"]

SIDE = 24  # pixels
LOUD = 3.0  # grey levels that a change must win at least
RATIO = 0.6  # and what it may leave of the distance
FAR = 255.0

Small = NDArray[np.float32]

PictureChange = tuple[str, str, Line]
"""Check, what is wrong in words, and the line that mends it."""

_NAMES = {
    ("axes", "hwc"): ("channels-first", "pictures arrive with their channels first"),
    ("values", "0..255"): ("picture-range", "pictures arrive as 0..1, and were 0..255 in training"),
    ("values", "0..1"): ("picture-range", "pictures arrive as 0..255, and were 0..1 in training"),
    ("channels", "rgb"): ("bgr", "red and blue are exchanged"),
    ("channels", "bgr"): ("bgr", "red and blue are exchanged"),
}


def picture_changes(place: str, entry: ObservationMap) -> Iterator[PictureChange]:
    """All that can be changed."""
    for key, choices in (
        ("axes", ("hwc",)),
        ("values", ("0..255",)),
        ("channels", ("rgb", "bgr")),
        ("rotate", (0, 90, 180, 270)),
        ("flip", ("none", "horizontal", "vertical")),
    ):
        now = getattr(entry, key)
        for choice in choices:
            if choice == now:
                continue
            turned = ("turned", f"pictures are {'turned' if key == 'rotate' else 'mirrored'}")
            check, text = _NAMES.get((key, str(choice)), turned)
            yield check, text, Line(place, key, toml_value(choice))


def picture_distance(entry: ObservationMap, pictures: Sequence[NDArray[np.uint8]], trained: Sequence[Small]) -> float:
    """Root mean square of grey levels to the nearest training picture, mean over the world's pictures.

    Args:
        pictures: of the world, (H, W, 3) uint8.
        trained: as `alike` makes them.
    """
    apart = []
    for picture in pictures:
        arrived = entry.encode([picture])
        if arrived.ndim != 3 or arrived.shape[-1] != 3:
            return FAR
        small = shrunk(np.clip(arrived, 0, 255).astype(np.uint8))
        apart.append(min(float(np.sqrt(((small - other) ** 2).mean())) for other in trained))
    return float(np.mean(apart))


def alike(pictures: NDArray[np.uint8]) -> list[Small]:
    """Training pictures (n, H, W, 3), ready to be compared with."""
    return [shrunk(picture) for picture in pictures]


def shrunk(picture: NDArray[np.uint8]) -> Small:
    """(H, W, 3) uint8 -> (24, 24, 3) float32."""
    return resize_stretch(np.ascontiguousarray(picture), SIDE, SIDE).astype(np.float32)


def looks_the_same(trained: Sequence[Small]) -> list[str]:
    """What cannot be told from these pictures, since they look alike either way."""
    ways: dict[str, Callable[[Small], Small]] = {
        "bgr (the pictures have no colours)": lambda p: p[..., ::-1],
        "pictures turned by 180 degrees (they look the same)": lambda p: p[::-1, ::-1],
        "pictures mirrored left to right (they look the same)": lambda p: p[:, ::-1],
        "pictures mirrored top to bottom (they look the same)": lambda p: p[::-1],
    }
    same = []
    for name, way in ways.items():
        if max(float(np.sqrt(((p - way(p)) ** 2).mean())) for p in trained) < LOUD:
            same.append(name)
    return same
