"""Recordings in HDF5: robomimic and Isaac Lab Mimic, ALOHA/ACT, RoboMIND, AgiBot World, DROID raw."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from roboscale.core import BadData, Recording, RoboscaleError
from roboscale.sources.records.hdf5.agibot import detect as detect_agibot
from roboscale.sources.records.hdf5.agibot import open_agibot
from roboscale.sources.records.hdf5.aloha import detect as detect_aloha
from roboscale.sources.records.hdf5.aloha import open_aloha
from roboscale.sources.records.hdf5.droid import detect as detect_droid
from roboscale.sources.records.hdf5.droid import open_droid
from roboscale.sources.records.hdf5.export import export_robomimic
from roboscale.sources.records.hdf5.robomimic import detect as detect_robomimic
from roboscale.sources.records.hdf5.robomimic import open_robomimic
from roboscale.sources.records.hdf5.robomind import detect as detect_robomind
from roboscale.sources.records.hdf5.robomind import open_robomind

__all__ = ["FORMATS", "detect", "export_robomimic", "open_path"]

_OPEN: Mapping[str, Callable[..., Recording]] = MappingProxyType(
    {
        "robomimic": open_robomimic,
        "isaac-mimic": open_robomimic,
        "aloha": open_aloha,
        "robomind": open_robomind,
        "agibot": open_agibot,
        "droid-raw": open_droid,
    }
)

FORMATS: tuple[str, ...] = tuple(_OPEN)
"""Names this room answers for."""


def detect(path: Path) -> str | None:
    """Which of `FORMATS` a file or folder is in, from names and headers; None when it is none of them."""
    for detector in (detect_droid, detect_agibot, detect_robomimic, detect_aloha, detect_robomind):
        try:
            layout = detector(path)
        except BadData:  # too broken to say what it was
            continue
        if layout is not None:
            return layout
    return None


def open_path(path: Path, format: str, **options: Any) -> Recording:
    """Opens a recording; metadata only is read.

    Args:
        options: `fps` for all; `action` for `droid-raw`; `task` for `agibot`; `swap_red_blue` for `aloha`;
            `embodiment` and `instructions` for `robomind`.

    Raises:
        BadData: nothing there, or broken; names file, field and both sides.
        RoboscaleError: an option is needed, or not known to this format.
    """
    if not path.exists():
        raise BadData(path, "source", "a file or folder", "nothing")
    reader = _OPEN[format]
    known = {n for n in reader.__annotations__ if n not in ("path", "format", "return")}
    if unknown := sorted(set(options) - known):
        raise RoboscaleError(f"{format} does not take {', '.join(unknown)}; it takes {', '.join(sorted(known))}")
    return reader(path, format, **options)
