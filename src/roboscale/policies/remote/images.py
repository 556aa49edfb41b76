"""Pictures as vision-language-action policies want them: resized, padded.

Plain numpy. The filter is Pillow's antialiased `BILINEAR` (a triangle as wide as the scale), which is what openpi's
`resize_with_pad` uses; results agree within one grey level, so that a policy sees what it was trained on.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

__all__ = ["resize_stretch", "resize_with_pad"]


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
