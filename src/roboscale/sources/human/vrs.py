"""From when to when a VRS file was recorded. Pictures and sensors in it are not read.

    file header    80 bytes: "VisionRe" .. size of the header (u32), size of a record's header (u32)
    record header  size (u32), size of the one before (u32), type of device (i32), format (u32), time (f64, s), ...

Source: facebookresearch/vrs, FileFormat.h (Apache-2.0).
"""

from __future__ import annotations

import struct
from pathlib import Path

from roboscale.core import BadData
from roboscale.dataset.unfetched import require_fetched

__all__ = ["vrs_range_s"]

_MAGIC = b"VisionRe"
_RECORD = struct.Struct("<IIiIdHBBI")
_DATA = 3
_MOST = 50_000_000


def vrs_range_s(path: Path) -> tuple[float, float]:
    """Seconds of the first and the last record of data, on the clock of the device.

    Raises:
        BadData: no VRS file, one without data, or one that is cut off.
    """
    require_fetched(path)
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(24)
        if head[:8] != _MAGIC or len(head) < 24:
            raise BadData(path, "signature", _MAGIC.decode(), repr(head[:8]))
        begin, record = struct.unpack_from("<II", head, 16)
        if record < _RECORD.size or begin < 24:
            raise BadData(path, "header", f"records with headers of {_RECORD.size} bytes", record)
        times: list[float] = []
        position = begin
        for _ in range(_MOST):
            if position + record > size:
                break
            file.seek(position)
            length, _, _, _, time, _, kind, _, _ = _RECORD.unpack(file.read(_RECORD.size))
            if length < record or position + length > size:
                raise BadData(path, f"record at {position}", f"{record} to {size - position} bytes", length)
            if kind == _DATA and abs(time) < 1e12:
                times.append(time)
            position += length
    if not times:
        raise BadData(path, "records", "some with data", "none")
    return min(times), max(times)
