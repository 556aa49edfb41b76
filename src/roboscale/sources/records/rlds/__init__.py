"""RLDS: episodes as TFRecords, the format of Open X-Embodiment. Read and written without TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from roboscale.core import Recording
from roboscale.sources.records.rlds.export import export_rlds

__all__ = ["FORMATS", "detect", "export_rlds", "open_path"]

FORMATS = ("rlds",)


def detect(path: Path) -> str | None:
    """`rlds` for a folder with features.json and TFRecords, the folder above its versions, or one shard of it."""
    if path.is_file():
        return "rlds" if ".tfrecord" in path.name and (path.parent / "features.json").is_file() else None
    if not path.is_dir():
        return None
    folders = [path, *(p for p in path.iterdir() if p.is_dir() and p.name[:1].isdigit())]
    return "rlds" if any((p / "features.json").is_file() and any(p.glob("*.tfrecord*")) for p in folders) else None


def open_path(path: Path, format: str = "rlds", **options: Any) -> Recording:
    """Opens an RLDS dataset; `RldsRecording` says which options there are and what goes wrong."""
    from roboscale.sources.records.rlds.reader import RldsRecording

    return RldsRecording(path, **options)
