"""Cameras kept as zarr arrays: uint8 or whole floats, channels last or first."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData
from roboscale.sources.records.zarr.array import ZarrArray

__all__ = ["StoredPictures", "picture_shape"]


def picture_shape(array: ZarrArray) -> tuple[int, ...] | None:
    """(H, W, 3) of an array that may hold pictures by its shape and dtype, or `None`."""
    if len(array.shape) != 4 or (array.dtype != np.uint8 and array.dtype.kind != "f"):
        return None
    if array.shape[3] == 3:
        return array.shape[1:]
    if array.shape[1] == 3:
        return (*array.shape[2:], 3)
    return None


class StoredPictures:
    """Pictures `first` to `first + count - 1` of an array, one decoded at a time.

    Args:
        where, field: for errors.
    """

    def __init__(self, where: object, field: str, array: ZarrArray, first: int, count: int) -> None:
        self._where, self._field, self._array = where, field, array
        self._first, self._count = first, count

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        for number in range(self._first, self._first + self._count):
            image = self._array[number : number + 1][0]
            if image.dtype != np.uint8:
                image = self._whole(image, number)
            yield np.ascontiguousarray(image if image.shape[2] == 3 else image.transpose(1, 2, 0))

    def _whole(self, image: NDArray[np.floating], number: int) -> NDArray[np.uint8]:
        with np.errstate(invalid="ignore"):
            rounded = np.round(image)
            if not ((rounded == image) & (image >= 0) & (image <= 255)).all():
                found = f"{np.nanmin(image):g} to {np.nanmax(image):g}, or fractions"
                raise BadData(self._where, f"{self._field}[{number}]", "whole numbers from 0 to 255", found)
        return np.asarray(rounded, np.uint8)
