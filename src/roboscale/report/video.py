"""Videos and film strips that every browser plays, as bytes. The only file of the room that needs PyAV."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from roboscale.core.errors import SpecMismatch

__all__ = ["encode_mp4", "encode_png", "film_strip", "side_by_side"]

# One thread: x264's output depends on the number of threads, and the same frames must give the same bytes.
_X264 = {"profile": "baseline", "preset": "veryfast", "crf": "23", "threads": "1"}


def encode_mp4(frames: NDArray[np.uint8], fps: float) -> bytes:
    """H.264 baseline, yuv420p, index first: what a browser plays from a data URI.

    Args:
        frames: RGB, shape (T, H, W, 3), T >= 1. Odd sides are repeated by one pixel, as 4:2:0 needs even ones.
        fps: frames a second, > 0.

    Returns:
        An MP4 file; the same frames give the same bytes.

    Raises:
        SpecMismatch: another shape or dtype, or a rate that is not positive.
    """
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or not len(frames):
        raise SpecMismatch(f"video: expected uint8 (T >= 1, H, W, 3), found {frames.dtype} {frames.shape}")
    if not fps > 0:
        raise SpecMismatch(f"video: expected fps > 0, found {fps}")
    odd_h, odd_w = frames.shape[1] % 2, frames.shape[2] % 2
    frames = np.pad(frames, ((0, 0), (0, odd_h), (0, odd_w), (0, 0)), mode="edge")
    rate = Fraction(fps).limit_denominator(1001)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "video.mp4"  # FFmpeg reads the file again to move its index, so it needs a name
        _write_mp4(file, frames, rate)
        return file.read_bytes()


def _write_mp4(file: Path, frames: NDArray[np.uint8], rate: Fraction) -> None:
    with av.open(str(file), "w", options={"movflags": "+faststart", "fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=rate, options=_X264)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for index, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame.pts, frame.time_base = index, 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def encode_png(image: NDArray[np.uint8]) -> bytes:
    """One RGB picture, shape (H, W, 3), as a PNG file; SpecMismatch for another shape or dtype."""
    if image.ndim != 3 or image.shape[-1] != 3 or image.dtype != np.uint8 or not image.size:
        raise SpecMismatch(f"picture: expected uint8 (H, W, 3), found {image.dtype} {image.shape}")
    codec = av.CodecContext.create("png", "w")
    codec.height, codec.width = image.shape[:2]
    codec.pix_fmt, codec.time_base = "rgb24", Fraction(1, 1)
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
    return b"".join(bytes(packet) for packet in (*codec.encode(frame), *codec.encode(None)))


def side_by_side(pictures: Sequence[NDArray[np.uint8]], gap: int = 4) -> NDArray[np.uint8]:
    """Pictures (H, W, 3) of one height in a row, with white columns between them."""
    white = np.full((len(pictures[0]), gap, 3), 255, np.uint8)
    return np.concatenate([part for one in pictures for part in (one, white)][:-1], axis=1)


def film_strip(frames: NDArray[np.uint8], count: int = 6) -> bytes:
    """At most `count` frames of (T, H, W, 3), first and last among them, side by side in one PNG file."""
    chosen = np.unique(np.linspace(0, len(frames) - 1, min(count, len(frames))).round().astype(int))
    return encode_png(np.concatenate(list(frames[chosen]), axis=1))
