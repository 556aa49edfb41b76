"""LeRobot datasets: v2.0, v2.1, v3, and GR00T's flavour of v2.1."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from roboscale.core import BadData, Recording, UnknownName
from roboscale.sources.records.lerobot.metadata import load_object
from roboscale.sources.records.lerobot.v2 import open_v2
from roboscale.sources.records.lerobot.v3 import open_v3

__all__ = ["FORMATS", "detect", "open_path"]

FORMATS = ("lerobot-v3", "lerobot-v2.1", "lerobot-v2.0", "gr00t")


def detect(path: Path) -> str | None:
    """The version of a folder with `meta/info.json`; by its files where that is broken, so that opening says why."""
    meta = path / "meta"
    if not (meta / "info.json").is_file():
        return None
    try:
        version = str(load_object(meta / "info.json").get("codebase_version"))
    except BadData:
        version = "v3." if (meta / "episodes").is_dir() else "v2.1"
    if version.startswith("v2.") and (meta / "modality.json").is_file():
        return "gr00t"
    known = {"v3.": "lerobot-v3", "v2.1": "lerobot-v2.1", "v2.0": "lerobot-v2.0"}
    return next((format for start, format in known.items() if version.startswith(start)), None)


def open_path(path: Path, format: str, **options: Any) -> Recording:
    """Opens a dataset; metadata only is read.

    Raises:
        BadData: the metadata is broken or of another version; names file, field and both sides.
        UnknownName: another format, or an option: there are none.
    """
    if format not in FORMATS:
        raise UnknownName("format", format, FORMATS)
    for name in options:
        raise UnknownName(f"option of {format}", name, ())
    return open_v3(path) if format == "lerobot-v3" else open_v2(path, format)
