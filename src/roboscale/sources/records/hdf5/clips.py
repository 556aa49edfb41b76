"""Video files beside an HDF5 file: copied where their frames fall on the recording's grid, decoded where not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData, Clip, Pictures
from roboscale.dataset.rates import same_rate
from roboscale.dataset.unfetched import require_fetched
from roboscale.dataset.video import probe
from roboscale.sources.records.hdf5.common import guarded

__all__ = ["VideoPictures", "open_clip", "video_header"]


def video_header(path: Path) -> tuple[int, float, tuple[int, int, int]]:
    """Frames, rate (Hz) and shape (H, W, 3) that a video's header claims.

    Raises:
        BadData: no file, an empty one, one that is cut off, or one without a size or a rate.
    """
    require_fetched(path)
    if not path.is_file():
        raise BadData(path, "video", "a file", "nothing")
    if not path.stat().st_size:
        raise BadData(path, "video", "a complete mp4", "an empty file (0 bytes)")
    with guarded(path, "video", av.FFmpegError):
        header = probe(path)
    if header.width <= 0 or header.height <= 0 or header.fps <= 0:
        raise BadData(path, "video", "a size and a rate", f"{header.width} x {header.height} at {header.fps} Hz")
    return header.frames, float(header.fps), (header.height, header.width, 3)


def open_clip(path: Path, length: int, rate_hz: float, shape: Sequence[int]) -> Clip | Pictures:
    """The video of an episode of `length` frames.

    A file that plays at another rate than it was recorded at (DROID's are written for viewing) has one picture per
    frame all the same, but its time stamps are of no use: it is decoded instead of copied.

    Raises:
        BadData: another number of frames or size than the episode needs; names both.
    """
    frames, fps, found = video_header(path)
    if frames != length:
        raise BadData(path, "frames", f"{length}, one for each row of the episode", frames)
    if found != tuple(shape):
        raise BadData(path, "size", list(shape), list(found))
    return Clip(path, 0, length) if same_rate(fps, rate_hz) else VideoPictures(path, length, shape)


class VideoPictures:
    """Pictures of a video file, first to last, by their number and not by their time."""

    def __init__(self, path: Path, length: int, shape: Sequence[int]) -> None:
        self._path, self._length, self._shape = path, length, tuple(shape)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        number = 0
        for image in self._decode():
            if image.shape != self._shape or number >= self._length:
                raise BadData(self._path, f"frame {number}", f"{self._length} of {list(self._shape)}", image.shape)
            yield image
            number += 1
        if number != self._length:
            raise BadData(self._path, "frames", self._length, f"{number} that can be decoded")

    def _decode(self) -> Iterator[NDArray[np.uint8]]:
        with guarded(self._path, "video", av.FFmpegError), av.open(str(self._path), "r") as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            frames = container.decode(stream)
            while True:
                with guarded(self._path, "video", av.FFmpegError):
                    frame = next(frames, None)
                    image = None if frame is None else np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
                if image is None:
                    return
                yield image
