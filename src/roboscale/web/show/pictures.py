"""Pictures for the page: decoded here, sent as JPEG, so that every codec plays in every browser, frame by frame.

Blocks of 16 frames are made in one go, because going on is cheaper for a decoder than seeking. Memory is bounded:
one decoded picture per request, a fixed number of bytes of finished blocks, a fixed number of open videos.
"""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from roboscale.core.errors import BadData, RoboscaleError, UnknownName
from roboscale.dataset.lerobot.catalog import Catalog
from roboscale.dataset.video import VideoReader
from roboscale.web.show.framing import pack_parts

__all__ = ["BLOCK", "WIDTHS", "PictureBlocks"]

BLOCK = 16
"""Frames of a block."""
WIDTHS = (160, 320, 480, 640, 960, 1280, 1920)
"""Widths, in pixels, to which pictures are shrunk on demand. A few, so that the cache is hit."""

_QUALITY = 85
_CACHE_BYTES = 128 * 2**20
_OPEN_VIDEOS = 16


class PictureBlocks:
    """JPEGs of the frames of a dataset. Safe to share between threads.

    Args:
        cache_bytes: how much of what was made is kept.
    """

    def __init__(self, catalog: Catalog, cache_bytes: int = _CACHE_BYTES) -> None:
        self._catalog, self._limit = catalog, cache_bytes
        self._videos = _Videos(catalog.info.fps)
        self._lock = threading.Lock()
        self._blocks: OrderedDict[tuple[int, str, int, int], bytes] = OrderedDict()
        self._bytes = 0

    @property
    def cached_bytes(self) -> int:
        return self._bytes

    def picture(self, episode: int, camera: str, frame: int, width: int = 0) -> bytes:
        """One frame as JPEG.

        Args:
            frame: its number in the episode.
            width: one of `WIDTHS` at most, in pixels; 0 as recorded. Never enlarged.

        Raises:
            UnknownName: no such camera.
            BadData: there is no such frame, or its video is broken.
        """
        path, first = self._place(episode, camera)
        if not 0 <= frame < self._catalog.episodes[episode].length:
            raise BadData(f"episode {episode}", "frame", f"below {self._catalog.episodes[episode].length}", frame)
        with self._videos.reader(path) as reader:
            return _jpeg(reader, first + frame, width)

    def block(self, episode: int, camera: str, number: int, width: int = 0) -> bytes:
        """Frames `16 * number` to at most `16 * number + 15`, as `framing.pack` lays it out.

        The head is `{"first", "lengths", "error"}`: a length 0 stands for a frame that cannot be read, and `error`
        says why; the others are there.
        """
        path, first = self._place(episode, camera)
        frames = range(number * BLOCK, min((number + 1) * BLOCK, self._catalog.episodes[episode].length))
        if not frames:
            raise BadData(f"episode {episode}", "block", f"below {-(-frames.stop // BLOCK)}", number)
        key = (episode, camera, number, width)
        made = self._cached(key)
        if made is None:
            with self._videos.turn(path):
                made = self._cached(key)  # another request may have made it while this one waited
                if made is None:
                    made, error = self._make(path, first, frames, width)
                    if not error:
                        self._keep(key, made)
        return made

    def _place(self, episode: int, camera: str) -> tuple[Path, int]:
        videos = self._catalog.locations[episode].videos
        shown = [name for name in self._catalog.info.colour_cameras if name in videos]
        if camera not in shown:
            raise UnknownName("camera", camera, shown)
        return videos[camera]

    def _make(self, path: Path, first: int, frames: range, width: int) -> tuple[bytes, str]:
        parts, error, failed = [], "", 0
        for frame in frames:
            part = b""
            if failed < 2:  # a video that is cut off fails from here on, and each failure costs a seek
                try:
                    with self._videos.reader(path) as reader:
                        part = _jpeg(reader, first + frame, width)
                    failed = 0
                except (RoboscaleError, OSError) as problem:
                    error, failed = error or str(problem), failed + 1
            parts.append(part)
        head = {"first": frames.start, "lengths": [len(part) for part in parts], "error": error}
        return pack_parts(head, parts), error

    def _cached(self, key: tuple[int, str, int, int]) -> bytes | None:
        with self._lock:
            block = self._blocks.get(key)
            if block is not None:
                self._blocks.move_to_end(key)
            return block

    def _keep(self, key: tuple[int, str, int, int], block: bytes) -> None:
        with self._lock:
            self._blocks[key] = block
            self._bytes += len(block)
            while self._bytes > self._limit and len(self._blocks) > 1:
                self._bytes -= len(self._blocks.popitem(last=False)[1])


class _Shared:
    """An open video and whose turn it is: a decoder has one position."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.reader: VideoReader | None = None
        self.users = 0


class _Videos:
    """Open videos, the longest unused closed first."""

    def __init__(self, fps: float) -> None:
        self._fps = fps
        self._lock = threading.Lock()
        self._open: OrderedDict[Path, _Shared] = OrderedDict()

    @contextmanager
    def turn(self, path: Path) -> Iterator[_Shared]:
        """Holds one video against other threads, without opening it yet."""
        shared = self._enter(path)
        try:
            with shared.lock:
                yield shared
        finally:
            with self._lock:
                shared.users -= 1

    @contextmanager
    def reader(self, path: Path) -> Iterator[VideoReader]:
        """A reader for this thread alone; BadData when the file is broken."""
        with self.turn(path) as shared:
            if shared.reader is None:
                shared.reader = VideoReader(path, self._fps)
            yield shared.reader

    def _enter(self, path: Path) -> _Shared:
        with self._lock:
            shared = self._open.setdefault(path, _Shared())
            self._open.move_to_end(path)
            shared.users += 1
            unused = [p for p, s in self._open.items() if not s.users]
            for old in unused[: max(0, len(self._open) - _OPEN_VIDEOS)]:
                reader = self._open.pop(old).reader
                if reader is not None:
                    reader.close()
            return shared


def _jpeg(reader: VideoReader, number: int, width: int) -> bytes:
    image = Image.fromarray(reader.read([number])[0])
    if 0 < width < image.width:
        height = max(1, round(image.height * width / image.width))
        image = image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()
