"""GoPro's telemetry inside a real mp4: payloads as the camera packs them, in a track of their own.

Written from the public description; shares no code with our reader.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["add_telemetry"]

Array = NDArray[np.float64]


def _klv(key: bytes, kind: bytes, size: int, data: bytes) -> bytes:
    count = len(data) // size if size else 0
    return struct.pack(">4scBH", key, kind, size, count) + data + b"\0" * (-len(data) % 4)


def _nested(key: bytes, data: bytes) -> bytes:
    return struct.pack(">4scBH", key, b"\0", 1, len(data)) + data


def _stream(key: bytes, unit: bytes, scale: int, values: Array, total: int) -> bytes:
    raw = np.round(values * scale).astype(">i2").tobytes()
    return _nested(
        b"STRM",
        _klv(b"TSMP", b"L", 4, struct.pack(">I", total))
        + _klv(b"SIUN", b"c", len(unit), unit)
        + _klv(b"SCAL", b"s", 2, struct.pack(">h", scale))
        + _klv(key, b"s", 6, raw),
    )


def _box(name: bytes, *parts: bytes) -> bytes:
    data = b"".join(parts)
    return struct.pack(">I4s", len(data) + 8, name) + data


def add_telemetry(video: Path, accl: Array, gyro: Array, *, seconds: float, rate_hz: float = 200.0) -> Path:
    """Adds accelerometer (N, 3) m/s2 and gyroscope (N, 3) rad/s to an mp4 whose table of contents comes last.

    A payload begins every 1.001 s and has the samples since then; `seconds` is how long the video lasts.
    """
    content = video.read_bytes()
    payloads, seen = [], 0
    starts = np.arange(0, seconds, 1.001)
    for start in starts:
        end = min(round((start + 1.001) * rate_hz), len(gyro))
        parts = [(b"ACCL", b"m/s\xb2", 418, accl), (b"GYRO", b"rad/s", 939, gyro)]
        streams = b"".join(_stream(k, u, scale, v[seen:end], end) for k, u, scale, v in parts)
        payloads.append(_nested(b"DEVC", _klv(b"DVNM", b"c", 6, b"Camera") + streams))
        seen = end
    place = content.rindex(b"moov") - 4
    moov = content[place + 8 :]
    assert struct.unpack_from(">I", content, place)[0] == len(moov) + 8, "the table of contents is not the last box"
    data = b"".join(payloads)
    first = place + 8
    offsets = first + np.concatenate([[0], np.cumsum([len(p) for p in payloads])[:-1]])
    full = b"\0" * 4
    table = _box(
        b"stbl",
        _box(b"stsd", full, struct.pack(">I", 1), _box(b"gpmd", b"\0" * 8)),
        _box(b"stts", full, struct.pack(">III", 1, len(payloads), 1001)),
        _box(b"stsz", full, struct.pack(">II", 0, len(payloads)), *(struct.pack(">I", len(p)) for p in payloads)),
        _box(b"stsc", full, struct.pack(">IIII", 1, 1, 1, 1)),
        _box(b"co64", full, struct.pack(">I", len(payloads)), *(struct.pack(">Q", int(o)) for o in offsets)),
    )
    media = _box(
        b"mdia",
        _box(b"mdhd", full, struct.pack(">IIIII", 0, 0, 1000, 1001 * len(payloads), 0)),
        _box(b"hdlr", full, b"\0" * 4, b"meta", b"\0" * 13),
        _box(b"minf", table),
    )
    video.write_bytes(content[:place] + _box(b"mdat", data) + _box(b"moov", moov, _box(b"trak", media)))
    return video
