"""Which format a file or folder is in, and who reads it.

Knows names of modules, not formats. A module that reads formats has `FORMATS`, the names it answers for;
`detect(path) -> str | None`, which looks at names and headers only; and `open_path(path, format, **options)`.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

from roboscale.core import BadData, Recording, RoboscaleError, UnknownName

__all__ = ["FORMATS", "detect", "open_recording"]

_ROOM = "roboscale.sources.records"

FORMATS: Mapping[str, str] = MappingProxyType(
    {
        "lerobot-v3": "lerobot",
        "lerobot-v2.1": "lerobot",
        "lerobot-v2.0": "lerobot",
        "gr00t": "lerobot",
        "rlds": "rlds",
        "robomimic": "hdf5",
        "isaac-mimic": "hdf5",
        "aloha": "hdf5",
        "robomind": "hdf5",
        "agibot": "hdf5",
        "droid-raw": "hdf5",
        "zarr": "zarr",
        "umi-zarr": "zarr",
        "mcap": "mcap",
        "rosbag-db3": "mcap",
    }
)
"""Format -> module of this room that reads it. The order is the order of detection."""


def _module(name: str) -> ModuleType:
    try:
        return importlib.import_module(f"{_ROOM}.{name}")
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("roboscale"):
            raise
        raise RoboscaleError(f"reading {name} needs {error.name}: pip install 'roboscale[records]'") from error


def detect(path: Path) -> str:
    """The format of a file or folder.

    Raises:
        BadData: nothing is there, or no reader knows it; lists the formats.
    """
    if not path.exists():
        raise BadData(path, "source", "a file or folder", "nothing")
    for name in dict.fromkeys(FORMATS.values()):
        found: str | None = _module(name).detect(path)
        if found is not None:
            return found
    raise BadData(path, "format", f"one of {', '.join(FORMATS)}", "none of them; name it with --format")


def open_recording(path: Path, format: str | None = None, **options: Any) -> Recording:
    """Opens what others recorded; metadata only is read.

    Args:
        format: one of `FORMATS`; detected when left out.
        options: what the format's reader takes, e.g. `mapping` for bags.

    Raises:
        BadData: the source is broken; names file, field and both sides.
        UnknownName: no such format.
    """
    path = Path(path)
    name = detect(path) if format is None else format
    if name not in FORMATS:
        raise UnknownName("format", name, FORMATS)
    recording: Recording = _module(FORMATS[name]).open_path(path, name, **options)
    return recording
