"""Cameras whose pictures lie one by one in a source: encoded (JPEG, PNG) or as raw arrays. Decoded when asked for."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from roboscale.core import BadData

__all__ = ["ArrayPictures", "EncodedPictures", "decode_picture"]

_MAX_PIXELS = 64 * 2**20  # a broken header may claim gigabytes


def is_deep(blob: bytes) -> bool:
    """Whether a picture has more than 8 bits a pixel, as depth has; a broken one has not."""
    try:
        with Image.open(io.BytesIO(blob), formats=("JPEG", "PNG")) as image:
            return bool(image.mode.startswith(("I", "F")))
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return False


def decode_picture(blob: bytes, where: object, field: str) -> NDArray[np.uint8]:
    """A JPEG or PNG as (H, W, 3) uint8 RGB; BadData names `where` and `field` when it is broken or cut off."""
    try:
        with Image.open(io.BytesIO(blob), formats=("JPEG", "PNG")) as image:
            if image.width * image.height > _MAX_PIXELS:
                raise BadData(where, field, f"at most {_MAX_PIXELS} pixels", f"{image.width}x{image.height}")
            if image.mode.startswith(("I", "F")):
                deep = f"more than 8 bits a pixel (mode {image.mode}), such as depth, which no colour picture holds"
                raise BadData(where, field, "a picture of 8 bits", deep)
            return np.asarray(image.convert("RGB"), np.uint8)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise BadData(where, field, "a complete JPEG or PNG", str(error)[:120]) from error


class EncodedPictures:
    """Pictures kept as one compressed blob each.

    Args:
        where: file, for errors.
        field: the source's name of the camera, for errors.
        blob: number of a frame -> its bytes.
        count: how many there are.
        shape: (H, W, 3) that every picture must have.
        bgr: the bytes were written with OpenCV's channel order and decode with red and blue exchanged.
    """

    def __init__(
        self,
        where: object,
        field: str,
        blob: Callable[[int], bytes],
        count: int,
        shape: Sequence[int],
        *,
        bgr: bool = False,
        decode: Callable[[bytes, object, str], NDArray[np.uint8]] = decode_picture,
    ) -> None:
        self._where, self._field, self._blob, self._count = where, field, blob, count
        self._shape, self._bgr, self._decode = tuple(shape), bgr, decode

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        for number in range(self._count):
            field = f"{self._field}[{number}]"
            image = self._decode(self._blob(number), self._where, field)
            if image.shape != self._shape:
                raise BadData(self._where, field, list(self._shape), list(image.shape))
            yield np.ascontiguousarray(image[..., ::-1]) if self._bgr else image


class ArrayPictures:
    """Pictures in something that slices like an array (N, H, W, 3) uint8: numpy, h5py, zarr.

    Args:
        first, count: which of them belong to the episode.
    """

    _BLOCK = 32  # pictures read at once: chunked stores decode a chunk however little is asked of it

    def __init__(self, where: object, field: str, array: Any, first: int, count: int, *, bgr: bool = False) -> None:
        self._where, self._field, self._array = where, field, array
        self._first, self._count, self._bgr = first, count, bgr

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        for begin in range(self._first, self._first + self._count, self._BLOCK):
            end = min(begin + self._BLOCK, self._first + self._count)
            try:
                block = np.asarray(self._array[begin:end])
            except (OSError, RuntimeError, ValueError, KeyError) as error:
                raise BadData(self._where, f"{self._field}[{begin}:{end}]", "readable pictures", error) from error
            if block.dtype != np.uint8 or block.shape[-1] != 3:
                raise BadData(self._where, self._field, "uint8 (N, H, W, 3)", f"{block.dtype}{list(block.shape)}")
            yield from np.ascontiguousarray(block[..., ::-1]) if self._bgr else block
