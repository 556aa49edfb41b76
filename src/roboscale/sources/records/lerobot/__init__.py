"""LeRobot datasets: v2.0, v2.1, v3, and GR00T's flavour of v2.1."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from roboscale.core import BadData, Recording, UnknownName
from roboscale.dataset.lerobot.folder import lerobot_format
from roboscale.dataset.lerobot.info import read_object, version_of
from roboscale.dataset.lerobot.opening import open_lerobot

__all__ = ["FORMATS", "detect", "open_path"]

_OPTIONS = frozenset({"data_path", "video_path"})
_BESIDE = ("meta/episodes.jsonl", "meta/tasks.jsonl", "meta/tasks.parquet", "meta/episodes/chunk-000")
"""What no other format has: where it is, and `meta/info.json` is not, that was lost."""
FORMATS = ("lerobot-v3", "lerobot-v2.1", "lerobot-v2.0", "gr00t")


def detect(path: Path) -> str | None:
    """The version of a folder with `meta/info.json`; by its files where that is broken, so that opening says why."""
    info = path / "meta/info.json"
    if not info.is_file() and not any((path / name).exists() for name in _BESIDE):
        return None
    by_files = "v3." if (path / "meta/episodes").is_dir() else "v2.1"
    try:
        version = str(version_of(path, read_object(info).get("codebase_version", by_files)))
    except BadData:
        version = by_files
    stand_in = "lerobot-v3" if by_files == "v3." else "lerobot-v2.1"
    return lerobot_format(path, version) or stand_in  # opening one of a version that is not read says so


def open_path(path: Path, format: str, **options: Any) -> Recording:
    """Opens a dataset; metadata only is read.

    Raises:
        BadData: the metadata is broken or of another version; names file, field and both sides.
        UnknownName: another format, or an option that is not `data_path` or `video_path`.
    """
    if format not in FORMATS:
        raise UnknownName("format", format, FORMATS)
    for name in options.keys() - _OPTIONS:
        raise UnknownName(f"option of {format}", name, _OPTIONS)
    recording = open_lerobot(path, **options)
    if (format == "lerobot-v3") != (recording.format == "lerobot-v3"):
        version = recording.folder.head.version
        raise BadData(path / "meta/info.json", "codebase_version", f"that of {format}", version)
    return recording
