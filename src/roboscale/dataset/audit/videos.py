"""The video files of a v3 folder against its metadata, from their headers and indices; nothing is decoded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from roboscale.dataset.unfetched import unfetched

__all__ = ["VideoEvidence", "examine_video"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoEvidence:
    """One video file.

    Args:
        frames: pictures whose bytes are there.
        gop: largest distance between key frames, in pictures.
        off_s: largest distance of a picture from a multiple of 1 / rate.
    """

    path: Path
    error: str = ""
    frames: int = 0
    codec: str = ""
    pix_fmt: str = ""
    height: int = 0
    width: int = 0
    rate: float = 0.0
    gop: int = 0
    off_s: float = 0.0


def examine_video(path: Path) -> VideoEvidence:
    """Reads the header and the index of one file."""
    import av

    from roboscale.dataset.pyav import READING

    why = unfetched(path)
    if why is not None:
        return VideoEvidence(path=path, error=str(why))
    if not path.is_file():
        return VideoEvidence(path=path, error="missing")
    size = path.stat().st_size
    try:
        with av.open(str(path), "r", **READING) as container:
            if not container.streams.video or container.streams.video[0].codec_context is None:
                return VideoEvidence(path=path, error="no video stream that can be decoded")
            return _evidence(path, container.streams.video[0], size)
    except (av.FFmpegError, OSError) as error:
        return VideoEvidence(path=path, error=(getattr(error, "strerror", None) or str(error)) if size else "empty")


def _evidence(path: Path, stream: Any, size: int) -> VideoEvidence:
    from roboscale.dataset.pyav import fraction, index_of

    entries = [(time, is_key) for time, is_key, end in index_of(path, stream) if end <= size]
    rate = float(fraction(stream.average_rate) or 0)
    times = np.sort(np.array([t for t, _ in entries], np.float64)) * float(fraction(stream.time_base) or 1)
    # A file that was written over and over keeps its time base, but not its first time.
    off = np.abs((times - times[0]) - np.arange(len(times)) / rate).max() if len(times) and rate else 0.0
    keys = [i for i, (_, key) in enumerate(entries) if key]
    return VideoEvidence(
        path=path,
        error="",
        frames=len(entries),
        codec=_codec(str(stream.codec_context.name)),
        pix_fmt=str(stream.codec_context.pix_fmt or ""),
        height=int(stream.height),
        width=int(stream.width),
        rate=rate,
        gop=int(np.diff([*keys, len(entries)]).max()) if keys else len(entries),
        off_s=float(off),
    )


def _codec(name: str) -> str:
    """The codec behind a decoder's name: `libdav1d` decodes av1."""
    return {"libdav1d": "av1", "libaom-av1": "av1", "av1_cuvid": "av1", "hevc": "hevc"}.get(name, name)
