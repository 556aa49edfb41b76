"""Where the timed metadata of an mp4 lie: sizes, places and times of one track's samples. Reads no picture.

    moov / trak / mdia / hdlr (kind), mdhd (ticks a second), minf / stbl: stsd (format), stts, stsz, stsc, stco or co64

Source: ISO/IEC 14496-12.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData
from roboscale.dataset.unfetched import require_fetched

__all__ = ["Chunk", "metadata_chunks"]

_BOX = struct.Struct(">I4s")
_MOOV_BYTES = 2**28
_MOST = 10_000_000


@dataclass(frozen=True, slots=True)
class Chunk:
    """One sample of a track: when it begins and how long it lasts (s), and its bytes."""

    start_s: float
    duration_s: float
    data: bytes


def metadata_chunks(path: Path, kind: bytes) -> list[Chunk]:
    """Every sample of the first track of a kind, e.g. `b"gpmd"`; none where there is no such track.

    Raises:
        BadData: no mp4, or one that is cut off; names box and place.
    """
    require_fetched(path)
    size = path.stat().st_size
    with path.open("rb") as file:
        moov = _moov(path, file, size)
        for trak in _children(path, moov, b"trak"):
            found = _track(path, trak, kind)
            if found is not None:
                return list(_read(path, file, size, *found))
    return []


def _moov(path: Path, file: BinaryIO, size: int) -> bytes:
    position = 0
    while position + _BOX.size <= size:
        file.seek(position)
        length, name = _BOX.unpack(file.read(_BOX.size))
        head = _BOX.size
        if length == 1:
            length, head = struct.unpack(">Q", file.read(8))[0], 16
        length = length or size - position
        if length < head or position + length > size:
            raise BadData(path, f"box {name!r} at {position}", f"{head} to {size - position} bytes", length)
        if name == b"moov":
            if length > _MOOV_BYTES:
                raise BadData(path, "moov", f"at most {_MOOV_BYTES} bytes", length)
            return file.read(length - head)
        position += length
    raise BadData(path, "moov", "the table of contents of an mp4", "none: the file is cut off, or no mp4")


def _boxes(path: Path, data: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 0
    while position + _BOX.size <= len(data):
        length, name = _BOX.unpack_from(data, position)
        if not _BOX.size <= length <= len(data) - position:
            raise BadData(path, f"box {name!r}", f"{_BOX.size} to {len(data) - position} bytes", length)
        yield name, data[position + _BOX.size : position + length]
        position += length


def _children(path: Path, data: bytes, name: bytes) -> Iterator[bytes]:
    return (content for found, content in _boxes(path, data) if found == name)


def _only(path: Path, data: bytes, *names: bytes) -> bytes:
    """The first box at a path of names; empty where there is none."""
    for name in names:
        data = next(_children(path, data, name), b"")
    return data


def _track(
    path: Path, trak: bytes, kind: bytes
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]] | None:
    """(places, sizes, times) of the samples of a track of this kind; times (N + 1,) in seconds."""
    media = _only(path, trak, b"mdia")
    table = _only(path, media, b"minf", b"stbl")
    if _only(path, table, b"stsd")[12:16] != kind:
        return None
    header = _only(path, media, b"mdhd")
    try:
        ticks = struct.unpack_from(">I", header, 20 if header[:1] == b"\1" else 12)[0]
        sizes = _sizes(_only(path, table, b"stsz"))
        steps = np.frombuffer(_only(path, table, b"stts")[8:], ">u4").reshape(-1, 2).astype(np.int64)
        wide = _only(path, table, b"co64")
        raw = wide[8:] if wide else _only(path, table, b"stco")[8:]
        chunks = np.frombuffer(raw, ">u8" if wide else ">u4").astype(np.int64)
        runs = np.frombuffer(_only(path, table, b"stsc")[8:], ">u4").reshape(-1, 3).astype(np.int64)
    except (struct.error, ValueError, IndexError) as error:
        raise BadData(path, "sample tables", "whole tables", error) from error
    if not ticks or len(sizes) > _MOST or int(steps[:, 0].sum()) != len(sizes):
        raise BadData(path, "stts", f"times of {len(sizes)} samples", int(steps[:, 0].sum()))
    durations = np.repeat(steps[:, 1], steps[:, 0]) / ticks
    times = np.concatenate([[0.0], np.cumsum(durations)])
    return _places(path, chunks, runs, sizes), sizes, times


def _sizes(stsz: bytes) -> NDArray[np.int64]:
    alike, count = struct.unpack_from(">II", stsz, 4)
    if alike:
        return np.full(min(count, _MOST), alike, np.int64)
    return np.frombuffer(stsz[12 : 12 + 4 * count], ">u4").astype(np.int64)


def _places(
    path: Path, chunks: NDArray[np.int64], runs: NDArray[np.int64], sizes: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Where each sample begins: chunks hold several, one behind the other."""
    ends = [*(runs[1:, 0] - 1), len(chunks)]
    each = [np.full(max(end - first + 1, 0), n) for (first, n, _), end in zip(runs.tolist(), ends, strict=True)]
    counts = np.concatenate(each) if each else np.zeros(0, np.int64)
    if len(counts) != len(chunks) or int(counts.sum()) != len(sizes):
        raise BadData(path, "stsc", f"places of {len(sizes)} samples", int(counts.sum()))
    begin = np.concatenate([[0], np.cumsum(sizes)[:-1]]) if len(sizes) else np.zeros(0)
    of_chunk = np.repeat(np.arange(len(chunks)), counts.astype(np.int64))
    first = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64)
    return np.asarray(chunks[of_chunk] + begin - begin[first[of_chunk]], np.int64)


def _read(
    path: Path,
    file: BinaryIO,
    size: int,
    places: NDArray[np.int64],
    sizes: NDArray[np.int64],
    times: NDArray[np.float64],
) -> Iterator[Chunk]:
    for i, (place, length) in enumerate(zip(places.tolist(), sizes.tolist(), strict=True)):
        if place < 0 or place + length > size:
            raise BadData(path, f"metadata sample {i}", f"within {size} bytes", f"{length} bytes at {place}")
        file.seek(place)
        yield Chunk(float(times[i]), float(times[i + 1] - times[i]), file.read(length))
