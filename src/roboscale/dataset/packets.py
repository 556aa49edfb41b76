"""What lies in a video file before it is decoded: digests of its packets, and what its header says."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from roboscale.core.errors import BadData
from roboscale.dataset.pyav import fraction
from roboscale.dataset.video import open_video

__all__ = ["decode_in_order", "key_frame_before", "packet_digests", "video_facts"]

# Names of codecs as LeRobot's `info.json` has them.
_CODECS = {"libdav1d": "av1", "libaom-av1": "av1", "mpeg4": "mpeg4"}


def packet_digests(path: Path, lengths: Sequence[int]) -> list[str]:
    """One digest for each run of `lengths` packets, of their payloads in the order of the file.

    BadData unless the file holds exactly that many packets.
    """
    digests: list[str] = []
    with open_video(path) as container:
        packets = _payloads(path, container)
        for length in lengths:
            digest = hashlib.blake2b(digest_size=16)
            for number in range(length):
                payload = next(packets, None)
                if payload is None:
                    raise BadData(path, "packets", sum(lengths), sum(lengths[: len(digests)]) + number)
                digest.update(payload)
            digests.append(digest.hexdigest())
        if next(packets, None) is not None:
            raise BadData(path, "packets", sum(lengths), "more")
    return digests


def _payloads(path: Path, container: Any) -> Iterator[bytes]:
    try:
        for packet in container.demux(video=0):
            if packet.dts is not None:  # else the demuxer's end mark
                yield bytes(packet)
    except av.FFmpegError as error:
        raise BadData(path, "video", "readable packets", error.strerror) from error


def video_facts(path: Path) -> dict[str, Any]:
    """What LeRobot's `info.json` says of a camera, from the file itself."""
    with open_video(path) as container:
        stream = container.streams.video[0]
        name = stream.codec_context.codec.canonical_name
        return {
            "video.height": int(stream.height),
            "video.width": int(stream.width),
            "video.codec": _CODECS.get(name, name),
            "video.pix_fmt": stream.codec_context.pix_fmt or "yuv420p",
        }


def decode_in_order(path: Path, first: int, length: int) -> Iterator[NDArray[np.uint8]]:
    """Pictures `first` to `first + length - 1` of a file, counted in the order of showing, whatever their times.

    BadData when the file ends before, or does not decode.
    """
    with open_video(path) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        shown = 0
        try:
            for frame in container.decode(stream):
                if shown >= first:
                    yield np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
                shown += 1
                if shown == first + length:
                    return
        except av.FFmpegError as error:
            raise BadData(path, f"frame {shown}", "decodable data", error.strerror) from error
    raise BadData(path, "frames", f"at least {first + length}", shown)


def key_frame_before(path: Path, number: int) -> int:
    """Number of the last key frame shown at or before frame `number`, by presentation times and the file's rate."""
    with open_video(path) as container:
        stream = container.streams.video[0]
        base, rate = fraction(stream.time_base), fraction(stream.average_rate)
        if base is None or rate is None:
            raise BadData(path, "video", "a rate", "none")
        start, unit = stream.start_time or 0, base * rate
        try:
            container.seek(round(number / unit) + start, stream=stream)
            for packet in container.demux(stream):
                if packet.pts is not None and packet.is_keyframe:
                    number_ = round((packet.pts - start) * unit)
                    return max(0, int(number_))
        except av.FFmpegError as error:
            raise BadData(path, f"frame {number}", "to exist", error.strerror) from error
    return 0
