"""Video: encode one take, join takes without encoding again, and read single frames back.

Everything is a frame number; seconds appear only as presentation times inside the files. Two consecutive key
frames bound at most one other picture (`g=2`, no B-frames), so reading any frame decodes at most two.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from roboscale.core.errors import BadData, SpecMismatch

__all__ = ["Codec", "Encoder", "VideoCache", "VideoReader", "check_size", "join", "probe", "video_info"]

Codec = Literal["h264", "av1"]
Images = NDArray[np.uint8]

_ENCODERS: Mapping[Codec, tuple[str, Mapping[str, str]]] = MappingProxyType(
    {
        # crf 20 keeps rendered 96x96 robot scenes above 33 dB; the rest of the error is chroma subsampling.
        "h264": ("libx264", {"preset": "veryfast", "crf": "20", "g": "2", "bf": "0", "threads": "1"}),
        # LeRobot's settings but for its preset 12, which falls to 26 dB on pictures of 48x48; 9 stays above 32.
        "av1": ("libsvtav1", {"preset": "9", "crf": "30", "g": "2", "svtav1-params": "lp=1"}),
    }
)


def check_size(name: str, shape: Sequence[int]) -> None:
    """SpecMismatch unless a picture of this shape (H, W, C) can be encoded."""
    height, width, channels = shape
    if channels != 3 or height % 2 or width % 2 or min(height, width) < 16:
        raise SpecMismatch(f"{name}: video needs RGB of even height and width from 16 pixels, found {list(shape)}")


def video_info(codec: Codec, shape: Sequence[int], fps: int) -> dict[str, Any]:
    """What LeRobot's `info.json` says of a camera."""
    return {
        "video.height": shape[0],
        "video.width": shape[1],
        "video.codec": codec,
        "video.pix_fmt": "yuv420p",
        "video.is_depth_map": False,
        "video.fps": fps,
        "video.channels": 3,
        "has_audio": False,
    }


class Encoder:
    """Encodes the pictures of one camera of one take into an mp4, as they come.

    Raises:
        OSError: the disk is full or gone.
    """

    def __init__(self, path: Path, shape: Sequence[int], fps: int, codec: Codec) -> None:
        name, options = _ENCODERS[codec]
        if codec == "av1":
            os.environ.setdefault("SVT_LOG", "1")  # the library writes a banner to stderr and has no other switch
        self.frames = 0
        self._time_base = Fraction(1, fps)
        self._converter = VideoReformatter()  # shared and single-threaded: six times less work than one per frame
        self._container = av.open(str(path), "w", format="mp4")
        self._stream = self._container.add_stream(name, rate=fps, options=dict(options))
        self._stream.height, self._stream.width = shape[0], shape[1]
        self._stream.pix_fmt = "yuv420p"
        self._stream.time_base = self._time_base

    def add(self, image: Images) -> None:
        """Appends one picture (H, W, 3) RGB."""
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        frame = self._converter.reformat(frame, format="yuv420p", threads=1)
        frame.pts, frame.time_base = self.frames, self._time_base
        self._container.mux(self._stream.encode(frame))
        self.frames += 1

    def close(self) -> None:
        """Flushes the encoder and writes the index of the file."""
        self._container.mux(self._stream.encode(None))
        self._container.close()

    def abort(self) -> None:
        """Lets go of the file, whatever state it is in; the caller deletes it."""
        with contextlib.suppress(av.FFmpegError):
            self._stream.encode(None)  # an encoder that is dropped before its end complains on stderr
        with contextlib.suppress(av.FFmpegError):  # a broken file was to be expected
            self._container.close()


@dataclass(frozen=True, slots=True)
class Probe:
    """What the header of a video file says."""

    frames: int
    fps: Fraction
    height: int
    width: int


def _open(path: Path) -> Any:
    try:
        container = av.open(str(path), "r")
    except FileNotFoundError:
        raise BadData(path, "file", "to exist", "nothing") from None
    except av.FFmpegError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE, errno.EACCES):
            raise
        raise BadData(path, "video", "a complete mp4", _text(error)) from error
    if not container.streams.video or container.streams.video[0].codec_context is None:
        container.close()
        raise BadData(path, "video", "a video stream that can be decoded", "none")
    return container


def _text(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error)


def probe(path: Path) -> Probe:
    """Reads the header of a video; BadData when it is cut off."""
    with _open(path) as container:
        return _probe(path, container)


def _probe(path: Path, container: Any) -> Probe:
    stream = container.streams.video[0]
    if stream.average_rate is None:
        raise BadData(path, "frames", "a rate", "none")
    return Probe(int(stream.frames), Fraction(stream.average_rate), int(stream.height), int(stream.width))


def extradata(path: Path) -> bytes:
    """The decoder's parameters; only files that agree on them can be joined."""
    with _open(path) as container:
        return bytes(container.streams.video[0].codec_context.extradata or b"")


def join(sources: Sequence[Path], frames: Sequence[int], target: Path, fps: int) -> None:
    """Joins mp4s into one by copying their packets; `frames` is how many each must hold.

    Source k's first frame lands at exactly `sum(frames[:k]) / fps` seconds: times are counted in frames, so there
    is no drift however many are joined.
    """
    with av.open(str(target), "w", format="mp4", options={"movflags": "faststart"}) as output:
        stream, first = None, 0
        for path, count in zip(sources, frames, strict=True):
            with _open(path) as container:
                source = container.streams.video[0]
                if stream is None:
                    stream = output.add_stream_from_template(source, opaque=True)  # the decoder's codec has no encoder
                    stream.time_base = source.time_base
                ticks = Fraction(1, fps) / source.time_base
                _copy(path, container, output, stream, round(first * ticks), count)
            first += count


def _copy(path: Path, container: Any, output: Any, stream: Any, offset: int, count: int) -> None:
    copied = 0
    try:
        for packet in container.demux(video=0):
            if packet.dts is None:  # the demuxer's end mark
                continue
            packet.pts, packet.dts = packet.pts + offset, packet.dts + offset
            packet.stream = stream
            output.mux(packet)
            copied += 1
    except av.InvalidDataError as error:
        raise BadData(path, "video", "readable packets", _text(error)) from error
    if copied != count:
        raise BadData(path, "frames", count, copied)


class VideoReader:
    """Frames of one video file by number."""

    _RUN = 8  # frames that are cheaper to decode on the way than to seek over

    def __init__(self, path: Path, fps: int) -> None:
        self._path, self._fps = path, fps
        self._container = _open(path)
        self._stream = self._container.streams.video[0]
        self._stream.codec_context.thread_count = 1
        self.probe = _probe(path, self._container)
        if self.probe.fps != fps:
            raise BadData(path, "fps", fps, f"{float(self.probe.fps):g}")
        self._converter = VideoReformatter()
        self._start = self._stream.start_time or 0
        self._frames: Iterator[Any] = iter(())
        self._next = -1  # number of the frame that decoding on would give; -1: unknown

    def read(self, numbers: Sequence[int]) -> Images:
        """The numbered frames, (n, H, W, 3) RGB, in the order asked; BadData when one is not there."""
        found: dict[int, Images] = {}
        for number in sorted(set(numbers)):
            found[number] = self._frame(number)
        return np.stack([found[number] for number in numbers])

    def _frame(self, number: int) -> Images:
        if not 0 <= number - self._next <= self._RUN or self._next < 0:
            self._seek(number)
        try:
            for frame in self._frames:
                at = self._number(frame)
                self._next = at + 1
                if at == number:
                    rgb = self._converter.reformat(frame, format="rgb24", threads=1)
                    return np.asarray(rgb.to_ndarray(), np.uint8)
                if at > number:
                    break
        except av.FFmpegError as error:
            self._next = -1
            raise BadData(self._path, f"frame {number}", "decodable data", _text(error)) from error
        self._next = -1
        found = f"the end of the data; the file's header counts {self.probe.frames} frames"
        raise BadData(self._path, f"frame {number}", "to be there", found)

    def _seek(self, number: int) -> None:
        ticks = round(Fraction(number, self._fps) / self._stream.time_base) + self._start
        try:
            self._container.seek(ticks, stream=self._stream)
        except av.FFmpegError as error:
            raise BadData(self._path, f"frame {number}", "to exist", _text(error)) from error
        self._frames = self._container.decode(self._stream)

    def _number(self, frame: Any) -> int:
        return round(Fraction((frame.pts - self._start) * self._stream.time_base * self._fps))

    def close(self) -> None:
        self._container.close()


class VideoCache:
    """Open readers of one process.

    A decoder that crosses a fork shares its file offset with the parent, and both then read garbage; so each
    process opens its own. Pickling drops them.
    """

    def __init__(self, fps: int, size: int = 16) -> None:
        self._fps, self._size = fps, size
        self._pid = os.getpid()
        self._readers: OrderedDict[Path, VideoReader] = OrderedDict()
        self._inherited: list[OrderedDict[Path, VideoReader]] = []

    def get(self, path: Path) -> VideoReader:
        """A reader that belongs to this process."""
        if self._pid != os.getpid():
            self._inherited.append(self._readers)  # kept: closing them is the parent's business
            self._readers, self._pid = OrderedDict(), os.getpid()
        reader = self._readers.pop(path, None) or VideoReader(path, self._fps)
        self._readers[path] = reader
        while len(self._readers) > self._size:
            self._readers.popitem(last=False)[1].close()
        return reader

    def __getstate__(self) -> dict[str, Any]:
        return {"_fps": self._fps, "_size": self._size}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["_fps"], state["_size"])  # type: ignore[misc]
