"""Frames of a video by their numbers, in an order that never goes back: some shown again, some not at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData
from roboscale.dataset.packets import decode_in_order

__all__ = ["PickedFrames"]


class PickedFrames:
    """Pictures `numbers` (T,), not decreasing, of a video file, each of `shape` (H, W, 3)."""

    def __init__(self, path: Path, numbers: NDArray[np.int64], shape: Sequence[int]) -> None:
        self._path, self._numbers, self._shape = path, numbers, tuple(shape)

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        wanted = self._numbers.tolist()
        place = 0
        first = wanted[0] if wanted else 0
        for number, image in enumerate(decode_in_order(self._path, first, wanted[-1] - first + 1), first):
            while place < len(wanted) and wanted[place] == number:
                if image.shape != self._shape:
                    raise BadData(self._path, f"frame {number}", list(self._shape), list(image.shape))
                yield image
                place += 1
