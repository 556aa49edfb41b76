"""Where pictures lie in the memory that both sides of a guest see: one place for each field, in order.

Knows names, shapes and bytes. Numbers travel in messages; a picture would be copied four times there.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

__all__ = ["PictureMemory", "is_picture"]

_LINE = 64  # bytes of a cache line: two pictures share none


def is_picture(field: Mapping[str, Any]) -> bool:
    """Whether a field of a world's description is a picture: (height, width, channels) `uint8`."""
    return len(field["shape"]) == 3 and field["dtype"] == "uint8"


class PictureMemory:
    """One picture of every field, the newest.

    Args:
        fields: of a world's observation, as it describes them.
        descriptor: of a file of `size` bytes or more that both sides have open; not looked at without a picture.
    """

    def __init__(self, fields: Iterable[Mapping[str, Any]], descriptor: int) -> None:
        shapes = {str(f["name"]): tuple(int(n) for n in f["shape"]) for f in fields if is_picture(f)}
        block = mmap.mmap(descriptor, self.size(fields)) if shapes else None
        self.views: dict[str, Any] = {}
        start = 0
        for name, shape in shapes.items():
            assert block is not None
            self.views[name] = np.frombuffer(block, np.uint8, math.prod(shape), start).reshape(shape)
            start += _padded(shape)

    @staticmethod
    def size(fields: Iterable[Mapping[str, Any]]) -> int:
        """Bytes that the pictures of these fields take."""
        return sum(_padded(f["shape"]) for f in fields if is_picture(f))


def _padded(shape: Iterable[int]) -> int:
    return -(-math.prod(int(n) for n in shape) // _LINE) * _LINE
