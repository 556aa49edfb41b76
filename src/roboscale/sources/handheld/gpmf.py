"""GoPro's telemetry (GPMF): accelerometer, gyroscope and others with the time of every sample, read by ourselves.

    key (4 letters)  type (1 letter)  size of a sample (u8)  samples (u16, big endian)  data, padded to 4 bytes
    DEVC { STRM { STNM SIUN or UNIT SCAL TSMP TMPC ACCL } STRM { .. GYRO } }   type 0: more of the same inside

A payload holds the samples of about a second, some more or fewer, and the last of a recording those that are left. The
sensor's clock is even and payloads are not, so a line through the begins of all gives the times. `TSMP` counts
all samples up to and with a payload; one that is missing is noticed. Axes come in the order of the camera; `ORIN`,
where it is there, says which is which.

Source: gopro/gpmf-parser, docs (Apache-2.0 or MIT).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData, Stream
from roboscale.sources.handheld.mp4 import metadata_chunks

__all__ = ["Telemetry", "TelemetryStream", "read_telemetry"]

_HEAD = struct.Struct(">4scBH")
_DTYPES = {
    b"b": "i1",
    b"B": "u1",
    b"s": ">i2",
    b"S": ">u2",
    b"l": ">i4",
    b"L": ">u4",
    b"f": ">f4",
    b"d": ">f8",
    b"j": ">i8",
    b"J": ">u8",
}
_FIXED = {b"q": (">i4", 2.0**-16), b"Q": (">i8", 2.0**-32)}
_SENSORS = ("ACCL", "GYRO", "MAGN", "CORI", "IORI", "GRAV")
_DEPTH = 5
_UNITS = {"m/s²": "m/s2", "m/s2": "m/s2", "rad/s": "rad/s", "µT": "uT"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetryStream:
    """One sensor of a recording.

    Args:
        key: GoPro's four letters, e.g. `GYRO`.
        name: what the camera calls it.
        unit: as the camera says it.
        axes: `ORIN`, e.g. `ZXY`: which axis each column is, small letters negative; empty where the camera is silent.
        time_s: (N,) seconds from the begin of the video; even, as the sensor's own clock is.
        jitter_s: how far the begin of a payload lies from its first sample at most: what the times are good for.
        values: (N, k), scaled.
    """

    key: str
    name: str
    unit: str
    axes: str
    time_s: NDArray[np.float64]
    jitter_s: float
    values: NDArray[np.float64]

    @property
    def rate_hz(self) -> float:
        """Samples a second over the whole recording."""
        span = float(self.time_s[-1] - self.time_s[0]) if len(self.time_s) > 1 else 0.0
        return (len(self.time_s) - 1) / span if span > 0 else 0.0

    def as_stream(self) -> Stream:
        """On a clock of nanoseconds that begins with the video."""
        layout = tuple(self.axes) if len(self.axes) == self.values.shape[1] else ()
        return Stream(
            np.round(self.time_s * 1e9).astype(np.int64), self.values, _UNITS.get(self.unit, self.unit), layout
        )


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Everything that a video's telemetry track says.

    Args:
        device: the camera's name.
        streams: key -> sensor.
    """

    path: Path
    device: str
    streams: Mapping[str, TelemetryStream]

    def need(self, key: str) -> TelemetryStream:
        """The sensor; BadData when the recording does not have it."""
        if key not in self.streams:
            raise BadData(self.path, f"telemetry {key}", "a stream of it", ", ".join(self.streams) or "none")
        return self.streams[key]


def read_telemetry(path: Path) -> Telemetry:
    """Every sensor of a GoPro's mp4.

    Raises:
        BadData: no mp4, a broken one, or one without telemetry (it was cut or re-encoded); names key and place.
    """
    chunks = metadata_chunks(path, b"gpmd")
    if not chunks:
        found = "none: an editor or a messenger has removed it, or another camera made the video"
        raise BadData(path, "telemetry", "a track of GPMF", found)
    parts: dict[str, list[_Part]] = {}
    device = ""
    for number, chunk in enumerate(chunks):
        for said in _devices(path, chunk.data, number):
            device = device or said.device
            for part in said.parts:
                parts.setdefault(part.key, []).append(part)
    ends = {i: (c.start_s, c.start_s + c.duration_s) for i, c in enumerate(chunks)}
    streams = {key: _joined(path, key, several, ends) for key, several in parts.items()}
    return Telemetry(path, device, streams)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """One sensor in one payload: its samples, and how many there were up to the end of it."""

    key: str
    name: str
    unit: str
    axes: str
    chunk: int
    total: int
    values: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Device:
    device: str
    parts: Sequence[_Part]


def _items(path: Path, data: bytes, where: str) -> Iterator[tuple[str, bytes, int, int, bytes]]:
    """(key, type, size, count, content) of every item."""
    position = 0
    while position + _HEAD.size <= len(data):
        key, kind, size, count = _HEAD.unpack_from(data, position)
        if key == b"\0\0\0\0":
            return
        length = size * count
        content = data[position + _HEAD.size : position + _HEAD.size + length]
        if len(content) < length:
            raise BadData(path, f"{where} {key!r}", f"{length} bytes", f"{len(content)}: the telemetry is cut off")
        yield key.decode("latin-1"), kind, size, count, content
        position += _HEAD.size + -(-length // 4) * 4


def _devices(path: Path, data: bytes, chunk: int) -> Iterator[_Device]:
    where = f"telemetry payload {chunk}"
    for key, kind, _, _, content in _items(path, data, where):
        if key != "DEVC" or kind != b"\0":
            continue
        name, parts = "", []
        for inner, kind_, _, _, held in _items(path, content, where):
            if inner == "DVNM":
                name = _text(held)
            elif inner == "STRM" and kind_ == b"\0":
                parts += list(_stream(path, held, chunk))
        yield _Device(name, parts)


def _stream(path: Path, data: bytes, chunk: int) -> Iterator[_Part]:
    said: dict[str, Any] = {}
    for key, kind, size, count, content in _items(path, data, f"telemetry payload {chunk}"):
        if key in ("STNM", "SIUN", "UNIT", "ORIN", "ORIO"):
            said[key] = _text(content)
        elif key == "SCAL":
            said[key] = _numbers(path, key, kind, size, count, content).reshape(-1)
        elif key == "TSMP":
            said[key] = int(_numbers(path, key, kind, size, count, content).reshape(-1)[0])
        elif key in _SENSORS and count:
            values = _numbers(path, key, kind, size, count, content)
            scale = said.get("SCAL", np.ones(1))
            if len(scale) not in (1, values.shape[1]) or not (scale != 0).all():
                raise BadData(path, f"{key} SCAL", f"1 or {values.shape[1]} divisors", scale.tolist())
            unit = said.get("SIUN") or said.get("UNIT", "")
            yield _Part(
                key=key,
                name=said.get("STNM", ""),
                unit=unit,
                axes=said.get("ORIN", ""),
                chunk=chunk,
                total=said.get("TSMP", 0),
                values=values / scale,
            )


def _numbers(path: Path, key: str, kind: bytes, size: int, count: int, content: bytes) -> NDArray[np.float64]:
    """(count, k) of an item."""
    dtype, factor = (_DTYPES[kind], 1.0) if kind in _DTYPES else _FIXED.get(kind, ("", 1.0))
    if not dtype:
        raise BadData(path, f"telemetry {key}", f"numbers of a type in {b''.join((*_DTYPES, *_FIXED)).decode()}", kind)
    each = np.dtype(dtype).itemsize
    if not size or size % each:
        raise BadData(path, f"telemetry {key}", f"samples of whole {each} bytes", size)
    return np.frombuffer(content, dtype).reshape(count, size // each).astype(np.float64) * factor


def _text(content: bytes) -> str:
    return content.split(b"\0")[0].decode("latin-1").strip()


def _joined(path: Path, key: str, parts: Sequence[_Part], spans: Mapping[int, tuple[float, float]]) -> TelemetryStream:
    """One sensor from all payloads."""
    widths = {part.values.shape[1] for part in parts}
    if len(widths) > 1:
        raise BadData(path, f"telemetry {key}", "as many axes in every payload", sorted(widths))
    seen, starts = 0, []
    for part in parts:
        starts.append((spans[part.chunk][0], seen))
        seen += len(part.values)
        if part.total and part.total != seen:
            text = f"{part.total} up to payload {part.chunk}"
            raise BadData(path, f"telemetry {key} samples", text, f"{seen}: some were lost")
    time_s, jitter = _even_times(starts, seen, spans[parts[-1].chunk][1])
    first = parts[0]
    return TelemetryStream(
        key=key,
        name=first.name,
        unit=first.unit,
        axes=first.axes,
        time_s=time_s,
        jitter_s=jitter,
        values=np.concatenate([part.values for part in parts]),
    )


def _even_times(starts: Sequence[tuple[float, int]], count: int, end_s: float) -> tuple[NDArray[np.float64], float]:
    """(count,) times on an even clock through (s, number of its first sample) of every payload, and how far these lie
    from it; with a single payload its samples share its time."""
    begins, numbers = (np.array(column, np.float64) for column in zip(*starts, strict=True))
    if len(starts) < 3:
        step = (end_s - begins[0]) / max(count, 1)
        return begins[0] + step * np.arange(count), 0.0
    step, first = np.polyfit(numbers, begins, 1)
    return first + step * np.arange(count), float(np.abs(begins - first - step * numbers).max())
