"""Video: encode one take, join takes without encoding again, and read single frames back.

Everything is a frame number; seconds appear only as presentation times inside the files. Two consecutive key
frames bound at most one other picture (`g=2`, no B-frames), so reading any frame decodes at most two.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from roboscale.dataset.pyav import READING, convert, fraction, open_encoder
from roboscale.dataset.rates import exact_rate, fps_number, is_rate, same_rate
from roboscale.dataset.remote import is_remote, source_of
from roboscale.dataset.statistics import PixelCounts, sample_indices
from roboscale.dataset.unfetched import require_fetched

__all__ = [
    "Codec",
    "Encoder",
    "VideoCache",
    "VideoReader",
    "check_size",
    "cut",
    "join",
    "join_key",
    "probe",
    "video_info",
]

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
_LEVELS = np.float32(255)
_COPIED = frozenset({"av1", "h264", "hevc", "mpeg4", "vp9"})  # what an mp4 holds and players read


def check_size(name: str, shape: Sequence[int]) -> None:
    """SpecMismatch unless a picture of this shape (H, W, C) can be encoded."""
    height, width, channels = shape
    if channels != 3 or height % 2 or width % 2 or min(height, width) < 16:
        raise SpecMismatch(f"{name}: video needs RGB of even height and width from 16 pixels, found {list(shape)}")


def video_info(codec: Codec, shape: Sequence[int], fps: float) -> dict[str, Any]:
    """What LeRobot's `info.json` says of a camera."""
    return {
        "video.height": shape[0],
        "video.width": shape[1],
        "video.codec": codec,
        "video.pix_fmt": "yuv420p",
        "video.is_depth_map": False,
        "video.fps": fps_number(fps),
        "video.channels": 3,
        "has_audio": False,
    }


class Encoder:
    """Encodes the pictures of one camera of one take into an mp4, as they come.

    Raises:
        OSError: the disk is full or gone.
    """

    def __init__(self, path: Path, shape: Sequence[int], fps: float, codec: Codec) -> None:
        name, options = _ENCODERS[codec]
        if codec == "av1":
            os.environ.setdefault("SVT_LOG", "1")  # the library writes a banner to stderr and has no other switch
        self.frames = 0
        rate = exact_rate(fps)
        self._time_base = 1 / rate
        self._converter = VideoReformatter()
        self._container = av.open(str(path), "w", format="mp4")
        self._stream = self._container.add_stream(name, rate=rate, options=dict(options))
        self._stream.height, self._stream.width = shape[0], shape[1]
        self._stream.pix_fmt = "yuv420p"
        self._stream.time_base = self._time_base
        open_encoder(self._stream.codec_context)

    def add(self, image: Images) -> None:
        """Appends one picture (H, W, 3) RGB."""
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        frame = convert(self._converter, frame, "yuv420p")
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What the header of a video file says; `copied` where its packets can be taken over."""

    frames: int
    fps: Fraction
    height: int
    width: int
    sound: bool = False
    copied: bool = False


def open_video(path: Path) -> Any:
    try:
        container = av.open(source_of(path), "r", **READING)
    except FileNotFoundError:
        require_fetched(path)
        raise BadData(path, "file", "to exist", "nothing") from None
    except av.FFmpegError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE, errno.EACCES):
            raise
        require_fetched(path)
        empty = not is_remote(path) and path.is_file() and path.stat().st_size == 0
        raise BadData(path, "video", "a complete mp4", "an empty file" if empty else _text(error)) from error
    if not container.streams.video or container.streams.video[0].codec_context is None:
        container.close()
        raise BadData(path, "video", "a video stream that can be decoded", "none")
    return container


def _text(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error)


def probe(path: Path) -> Probe:
    """Reads the header of a video; BadData when it is cut off."""
    with open_video(path) as container:
        return _probe(path, container)


def _probe(path: Path, container: Any) -> Probe:
    stream = container.streams.video[0]
    rate = fraction(stream.average_rate)
    if rate is None:
        raise BadData(path, "frames", "a rate", "none")
    sound = bool(container.streams.audio)
    return Probe(
        frames=int(stream.frames) or _counted(path, container),
        fps=rate,
        height=int(stream.height),
        width=int(stream.width),
        sound=sound,
        copied=stream.codec.canonical_name in _COPIED,
    )


def _counted(path: Path, container: Any) -> int:
    """Frames of a file whose header does not say how many: one written in fragments, or no mp4."""
    try:
        count: int = sum(1 for packet in container.demux(video=0) if packet.size)  # the demuxer's end mark is empty
        container.seek(0)
    except av.FFmpegError as error:
        raise BadData(path, "video", "readable packets", _text(error)) from error
    return count


def join_key(path: Path) -> tuple[bytes, float]:
    """The decoder's parameters, and by how many seconds it decodes before it shows: files that agree can be joined."""
    with open_video(path) as container:
        stream = container.streams.video[0]
        parameters, unit = bytes(stream.codec_context.extradata or b""), float(fraction(stream.time_base) or 0)
        try:
            first: Any = next(container.demux(stream), None)
        except av.FFmpegError as error:
            raise BadData(path, "video", "readable packets", _text(error)) from error
        known = first is not None and first.pts is not None and first.dts is not None
        return parameters, round((first.pts - first.dts) * unit, 6) if known else 0.0


def join(sources: Sequence[Path], frames: Sequence[int], target: Path, fps: float) -> None:
    """Joins mp4s into one by copying their packets; `frames` is how many each must hold.

    Source k's first frame lands at exactly `sum(frames[:k]) / fps` seconds: times are counted in frames, so there
    is no drift however many are joined.
    """
    with av.open(str(target), "w", format="mp4", options={"movflags": "faststart"}) as output:
        stream, first = None, 0
        for path, count in zip(sources, frames, strict=True):
            with open_video(path) as container:
                source = container.streams.video[0]
                if stream is None:
                    stream = output.add_stream_from_template(source, opaque=True)  # the decoder's codec has no encoder
                    stream.time_base = source.time_base
                unit = fraction(source.time_base)
                if unit is None:
                    raise BadData(path, "video", "a time base", "none")
                _copy(path, container, output, stream, round(first / (exact_rate(fps) * unit)), count)
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


def cut(source: Path, first: int, length: int, target: Path, fps: float) -> bool:
    """Copies the packets of frames `first` to `first + length - 1` into an mp4 of their own; frame k lies at k/fps.

    Returns:
        False, with nothing written, when the frames cannot be copied: the first is no key frame, decoding them needs
        frames outside, times are off the grid of `fps` by more than a quarter of a frame, or mp4 is not for the
        codec.

    Raises:
        BadData: the file has fewer frames than claimed, or is broken.
    """
    if first < 0 or length < 1 or not is_rate(fps):
        raise BadData(source, "frames", "a first from 0, a length from 1 and a rate", f"{first}, {length}, {fps}")
    with open_video(source) as container:
        stream = container.streams.video[0]
        if 0 < stream.frames < first + length:
            raise BadData(source, "frames", f"at least {first + length}", int(stream.frames))
        if stream.codec.canonical_name not in _COPIED or fraction(stream.time_base) is None:
            return False
        numbers = _numbers(_packets(source, container, first, length, fps), first, length)
        if numbers is None:
            return False
        with av.open(str(target), "w", format="mp4", options={"movflags": "faststart"}) as output:
            _copy_numbered(_packets(source, container, first, length, fps), numbers, output, stream, fps)
    return True


def _packets(path: Path, container: Any, first: int, length: int, fps: float) -> Iterator[tuple[Any, Fraction]]:
    """Packets in decoding order, from the first that is not shown before `first`, with their times in frames.

    BadData at the end of the file: the caller stops when it has what it wants.
    """
    stream = container.streams.video[0]
    start, base = stream.start_time or 0, fraction(stream.time_base)
    if base is None:
        raise BadData(path, "video", "a time base", "none")
    unit = base * exact_rate(fps)
    begun = False
    try:
        container.seek(round(first / unit) + start, stream=stream)
        for packet in container.demux(stream):
            if packet.dts is None and not packet.size:  # the demuxer's end mark; Matroska has pictures without dts
                break
            if packet.pts is None or packet.is_corrupt:
                at = float((packet.dts or 0) * base)
                raise BadData(path, "video", "complete packets", f"a broken one at {at:g} s")
            time = (packet.pts - start) * unit
            begun = begun or round(time) >= first
            if begun:
                yield packet, time
    except av.FFmpegError as error:
        raise BadData(path, "video", "readable packets", _text(error)) from error
    raise BadData(path, "frames", f"at least {first + length}", "the end of the data before")


def _numbers(packets: Iterator[tuple[Any, Fraction]], first: int, length: int) -> list[int] | None:
    """Numbers of the frames to copy, from 0, in decoding order; None when they do not stand alone on the grid."""
    numbers: list[int] = []
    left = set(range(length))
    while left:
        packet, time = next(packets)
        number = round(time) - first
        if number not in left or abs(time - first - number) > Fraction(1, 4):
            return None
        if not numbers and (number != 0 or not packet.is_keyframe):
            return None
        numbers.append(number)
        left.remove(number)
    return numbers


def _copy_numbered(
    packets: Iterator[tuple[Any, Fraction]], numbers: Sequence[int], output: Any, source: Any, fps: float
) -> None:
    stream = output.add_stream_from_template(source, opaque=True)
    stream.time_base = tick = 1 / exact_rate(fps)
    delay = max(place - number for place, number in enumerate(numbers))  # decoded before it is shown, in frames
    for place, number in enumerate(numbers):
        packet, _ = next(packets)
        packet.time_base = tick
        packet.pts, packet.dts, packet.duration = number, place - delay, 1
        packet.stream = stream
        output.mux(packet)


class VideoReader:
    """Frames of one video file by number.

    Decodes on where that is cheaper than going to a key frame, so frames asked in order cost one decoding each.

    Args:
        fps: that the file must have; `None` for whichever it has.
    """

    _RUN = 8  # frames to decode on the way where the file's index cannot be asked for key frames
    _KEPT = 4  # decoded frames
    _BACK = 64  # frames; with B-frames a key frame may be shown after a picture that follows it in the file

    def __init__(self, path: Path, fps: float | None) -> None:
        self._path = path
        self._container = open_video(path)
        self._stream = self._container.streams.video[0]
        self._stream.codec_context.thread_count = 1
        self.probe = _probe(path, self._container)
        rate = exact_rate(self.probe.fps if fps is None else fps)
        if fps is not None and not same_rate(self.probe.fps, rate):
            raise BadData(path, "fps", f"{fps:.7g}", f"{float(self.probe.fps):.7g}")
        self._converter = VideoReformatter()
        self._start = int(self._stream.start_time or 0)
        # Frame number = ticks * _up / _down; in integers, because this is asked for every picture.
        self._up = int(self._stream.time_base.numerator) * rate.numerator
        self._down = int(self._stream.time_base.denominator) * rate.denominator
        self._index = getattr(self._stream, "index_entries", None)  # PyAV 15 has none
        self._frames: Iterator[Any] = iter(())
        self._next = -1  # number of the frame that decoding on would give; -1: unknown
        self._recent: OrderedDict[int, Any] = OrderedDict()  # a window of two frames moves on by one

    def read(self, numbers: Sequence[int]) -> Images:
        """The numbered frames, (n, H, W, 3) RGB, in the order asked; BadData when one is not there."""
        images = np.empty((len(numbers), self.probe.height, self.probe.width, 3), np.uint8)
        for number, places in _places(numbers):
            images[places] = self._rgb(self._frame(number))
        return images

    def each(self, numbers: Iterable[int], step: int = 1) -> Iterator[Images]:
        """The numbered frames, (H, W, 3) RGB, one in memory at a time; BadData when one is not there.

        Args:
            step: of 2 and more, about every so-manyth pixel of each side, which costs that much less to convert.
        """
        if step == 1:
            return (self._rgb(self._frame(number)) for number in numbers)
        size = (-(-self.probe.height // step), -(-self.probe.width // step))
        return (self._rgb(self._frame(number), size) for number in numbers)

    def count_pixels(self, first: int, length: int) -> PixelCounts:
        """How often each level is there in what LeRobot samples of an episode: frames, pixels. BadData as for `read`.

        Args:
            first, length: the frames of the episode.
        """
        numbers = (np.unique(sample_indices(length)) + first).tolist()
        return PixelCounts.total(map(PixelCounts.of_frame, self.each(numbers)))

    def read_planes(self, numbers: Sequence[int], dtype: type[np.uint8 | np.float32]) -> NDArray[Any]:
        """As `read`, but (n, 3, H, W): levels as uint8, or 0..1 as float32."""
        images = np.empty((len(numbers), 3, self.probe.height, self.probe.width), dtype)
        for number, places in _places(numbers):
            first = images[places[0]]
            for plane, target in zip(self._planes(self._frame(number)), first, strict=True):
                if dtype is np.uint8:
                    target[:] = plane
                else:
                    np.divide(plane, _LEVELS, out=target)
            images[places[1:]] = first
        return images

    def _rgb(self, frame: Any, size: tuple[int, int] | None = None) -> Images:
        return np.asarray(convert(self._converter, frame, "rgb24", size).to_ndarray(), np.uint8)

    def _planes(self, frame: Any) -> Sequence[Images]:
        """Red, green and blue, (H, W) each."""
        height, width = self.probe.height, self.probe.width
        if frame.format.name != "yuv420p" or width % 16:  # where the two conversions do not agree to the last bit
            return list(np.moveaxis(self._rgb(frame), -1, 0))
        planes = convert(self._converter, frame, "gbrp").planes
        lines = [np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size) for plane in planes]
        green, blue, red = (line[:height, :width] for line in lines)
        return red, green, blue

    def key_frame(self, number: int) -> int:
        """The last key frame at or before a frame: it is decoded alone. The frame itself where no index tells."""
        if self._index is None:
            return number
        entry = self._index.search_timestamp(self._ticks(number))
        return number if entry < 0 else min(number, self._number(self._index[entry].timestamp))

    def key_bytes(self, number: int) -> int:
        """What a key frame takes in the file; 0 where the frame is none, or no index tells."""
        if self._index is None or self.key_frame(number) != number:
            return 0
        entry = self._index.search_timestamp(self._ticks(number))
        return int(self._index[entry].size) if entry >= 0 else 0

    def _frame(self, number: int) -> Any:
        if number in self._recent:
            return self._recent[number]
        if not self._is_ahead(number):
            self._seek(number)
        frame = self._decode_to(number)
        if frame is None:
            self._seek(max(0, number - self._BACK))
            frame = self._decode_to(number)
        if frame is None:
            raise BadData(self._path, f"frame {number}", "to be there", "a gap in the times of the frames")
        return frame

    def _is_ahead(self, number: int) -> bool:
        """True when decoding on reaches a frame no later than starting at its key frame would."""
        ahead = number - self._next
        if self._next < 0 or ahead <= 0:
            return self._next >= 0 and ahead == 0
        if self._index is None:
            return ahead <= self._RUN
        entry = self._index.search_timestamp(self._ticks(number))
        return entry < 0 or self._number(self._index[entry].timestamp) <= self._next

    def _decode_to(self, number: int) -> Any | None:
        """The frame, decoding on; `None` when a later one came first. BadData at the end of the file."""
        try:
            for frame in self._frames:
                if frame.pts is None or (frame.height, frame.width) != (self.probe.height, self.probe.width):
                    raise BadData(self._path, f"frame {number}", "a time and the header's size", frame)
                at = self._number(frame.pts)
                self._next = at + 1
                self._recent[at] = frame
                if len(self._recent) > self._KEPT:
                    self._recent.popitem(last=False)
                if at == number:
                    return frame
                if at > number:
                    return None
        except av.FFmpegError as error:
            self._next = -1
            raise BadData(self._path, f"frame {number}", "decodable data", _text(error)) from error
        self._next = -1
        ended = f"the end of the data; the file's header counts {self.probe.frames} frames"
        raise BadData(self._path, f"frame {number}", "to be there", ended)

    def _seek(self, number: int) -> None:
        try:
            self._container.seek(self._ticks(number), stream=self._stream)
        except av.FFmpegError as error:
            self._next = -1
            raise BadData(self._path, f"frame {number}", "to exist", _text(error)) from error
        self._frames = self._container.decode(self._stream)

    def _ticks(self, number: int) -> int:
        return (2 * number * self._down + self._up) // (2 * self._up) + self._start

    def _number(self, ticks: int) -> int:
        return (2 * (ticks - self._start) * self._up + self._down) // (2 * self._down)

    def close(self) -> None:
        self._container.close()


def _places(numbers: Sequence[int]) -> list[tuple[int, list[int]]]:
    """Each distinct number, rising, with the positions that ask for it."""
    places: dict[int, list[int]] = {}
    for position, number in enumerate(numbers):
        places.setdefault(number, []).append(position)
    return sorted(places.items())


class VideoCache:
    """Open readers of one process.

    A decoder that crosses a fork shares its file offset with the parent, and both then read garbage; so each
    process opens its own. Pickling drops them.
    """

    def __init__(self, fps: float, size: int = 32) -> None:
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
