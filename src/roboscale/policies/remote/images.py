"""Pictures as vision-language-action policies want them: resized, padded, as PNG.

Plain numpy. The filter is Pillow's antialiased `BILINEAR` (a triangle as wide as the scale), which is what openpi's
`resize_with_pad` uses; results agree within one grey level, so that a policy sees what it was trained on.
"""

from __future__ import annotations

import functools
import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from roboscale.core import SpecMismatch

__all__ = ["png_of", "resize_stretch", "resize_with_pad"]


def resize_stretch(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """(H, W, C) uint8 -> (height, width, C) uint8, whatever that does to the aspect."""
    pixels = image.astype(np.float32)
    if width != image.shape[1]:
        pixels = _resize_rows(pixels.transpose(1, 0, 2), width).transpose(1, 0, 2)
    if height != image.shape[0]:
        pixels = _resize_rows(pixels, height)
    return np.clip(pixels, 0, 255).astype(np.uint8)


def resize_with_pad(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """(H, W, C) uint8 -> (height, width, C) uint8: the aspect is kept, the rest is black, the picture centred."""
    ratio = max(image.shape[1] / width, image.shape[0] / height)
    inner_height, inner_width = max(1, int(image.shape[0] / ratio)), max(1, int(image.shape[1] / ratio))
    padded = np.zeros((height, width, image.shape[2]), np.uint8)
    top, left = (height - inner_height) // 2, (width - inner_width) // 2
    padded[top : top + inner_height, left : left + inner_width] = resize_stretch(image, inner_height, inner_width)
    return padded


def _resize_rows(pixels: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """(H, W, C) -> (size, W, C); Pillow rounds after each of its two passes."""
    flat = np.ascontiguousarray(pixels).reshape(len(pixels), -1)
    resized: NDArray[np.float32] = np.rint(_weights(len(pixels), size) @ flat)
    return resized.reshape(size, *pixels.shape[1:])


@functools.lru_cache(maxsize=32)
def _weights(size_in: int, size_out: int) -> NDArray[np.float32]:
    """(size_out, size_in) matrix whose rows sum to one."""
    scale = size_in / size_out
    reach = max(scale, 1.0)
    centres = (np.arange(size_out) + 0.5) * scale
    distance = np.abs(np.arange(size_in)[None] + 0.5 - centres[:, None]) / reach
    weights = np.maximum(0.0, 1.0 - distance)
    weights /= weights.sum(axis=1, keepdims=True)
    result = weights.astype(np.float32)
    result.flags.writeable = False
    return result


def png_of(image: NDArray[np.uint8]) -> bytes:
    """(H, W, 3) or (H, W, 1) uint8 -> a PNG; the standard library is enough."""
    height, width, depth = image.shape
    if depth not in (1, 3):
        raise SpecMismatch(f"a picture with {depth} channels has no PNG here: expected 1 or 3")
    rows = np.concatenate([np.zeros((height, 1), np.uint8), image.reshape(height, -1)], axis=1)  # filter 0: as it is

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0 if depth == 1 else 2, 0, 0, 0)
    body = zlib.compress(rows.tobytes(), 6)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
