"""The pictures that belong to samples: copied where they follow one another, decoded one by one where not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData, Clip, Pictures
from roboscale.dataset.rates import same_rate
from roboscale.dataset.unfetched import require_fetched
from roboscale.dataset.video import probe
from roboscale.sources.capture.track import CapturedView
from roboscale.sources.records.own.pictures import PickedFrames

__all__ = ["frames_shown", "video_camera"]


def video_camera(path: Path, frames: NDArray[np.int64], role: str = "") -> CapturedView:
    """A camera whose pictures lie in a video file.

    Args:
        frames: (N,) which frame of the file each sample shows.

    Raises:
        BadData: there is no such file, it is cut off, or it is shorter than the samples need.
    """
    require_fetched(path)
    if not path.is_file() or not path.stat().st_size:
        raise BadData(path, "video", "a complete video", "an empty file" if path.is_file() else "nothing")
    header = probe(path)
    needed = int(frames.max(initial=-1)) + 1
    if header.frames < needed:
        raise BadData(path, "frames", f"{needed}, one for each sample", header.frames)
    shape = (header.height, header.width, 3)
    clip = Clip(path, 0, header.frames)
    return CapturedView(pictures=clip, frames=frames, shape=shape, role=role, rate_hz=float(header.fps))


class _Picked:
    """Some pictures of many that are read in order, by their numbers (T,), not decreasing."""

    def __init__(self, pictures: Pictures, numbers: NDArray[np.int64]) -> None:
        self._pictures, self._numbers = pictures, numbers.tolist()

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        place = 0
        for number, image in enumerate(self._pictures):
            while place < len(self._numbers) and self._numbers[place] == number:
                yield image
                place += 1
            if place == len(self._numbers):
                return


def frames_shown(
    pictures: Clip | Pictures, frames: NDArray[np.int64], shape: tuple[int, int, int], rate_hz: float
) -> Clip | Pictures:
    """Pictures `frames` (T,), not decreasing; a clip where they follow one another at the video's own rate (Hz)."""
    if not isinstance(pictures, Clip):
        return _Picked(pictures, frames)
    plain = len(frames) and bool((np.diff(frames) == 1).all())
    if plain and same_rate(float(probe(pictures.path).fps), rate_hz):
        return pictures.cut(int(frames[0]), len(frames))
    return PickedFrames(pictures.path, frames + pictures.first, shape)
