"""Which format a file or folder is in, and who reads it.

Knows names of modules, not formats. A module that reads formats has `FORMATS`, the names it answers for;
`detect(path) -> str | None`, which looks at names and headers only; and `open_path(path, format, **options)`.
"""

from __future__ import annotations

import importlib
import itertools
import re
import shlex
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

from roboscale.core import BadData, Recording, RoboscaleError, UnknownName
from roboscale.dataset.unfetched import find_unfetched, lance_tables, unfetched

__all__ = ["FORMATS", "detect", "open_recording"]

_ROOM = "roboscale.sources.records"
_OWN = "own"  # whatever no other module knows
_TAKES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "rlds": ("action", "fps", "instruction", "split"),
        "zarr": ("absent", "fps"),
        "mcap": ("fps", "mapping"),
        "own": ("fps", "mapping"),
    }
)
"""Module -> options of its reader; the others look at theirs themselves."""
_PICKLED = (".pkl", ".pickle", ".pt", ".pth")
_EMPTY = "an empty folder"
_LOOKED = 10_000  # files of a folder of which nothing is known

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
        "own-layout": "own",
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
        hub = re.fullmatch(r"(?:hf:/{1,2})?([\w.-]+/[\w.-]+)", str(path))
        where = f"nothing; a dataset of the Hub is named hf://datasets/{hub[1]}" if hub else "nothing"
        raise BadData(path, "source", "a file or folder", where)
    for name in dict.fromkeys(FORMATS.values()):
        layout: str | None = _module(name).detect(path) if name != _OWN else None
        if layout is not None:
            return layout
    unknown = _unknown(path)
    own: str | None = _module(_OWN).detect(path) if unknown.field == "format" else None
    if own is None:
        raise unknown
    return own


def _unknown(path: Path) -> BadData:
    """Why nothing is known of what lies there, as exactly as its files tell."""
    lost = list(find_unfetched(path)) if path.is_dir() else [(path, why)] if (why := unfetched(path)) else []
    if lost:
        file, why = lost[0]
        more = f" ({len(lost)} files like it)" if len(lost) > 1 else ""
        return BadData(file, "file", "its content", f"{why}{more}")
    for outer in path.absolute().parents:
        if (outer / "meta/info.json").is_file():
            return BadData(path, "source", "a dataset", f"a part of one; the whole is {outer}")
    for bag in [path] if path.suffix == ".bag" else sorted(path.glob("*.bag"))[:1]:
        convert = shlex.join(("rosbags-convert", "--src", str(bag), "--dst", str(bag.with_suffix(""))))
        return BadData(bag, "source", "a bag of ROS 2", f"one of ROS 1, which can be made one: {convert}")
    if path.suffix in _PICKLED or (path.is_dir() and _all_pickled(path)):
        found = "a pickle, which runs code when it is read; numpy.savez writes arrays alone"
        return BadData(path, "source", "arrays without code", found)
    packed = [path] if path.is_file() else sorted(p for p in path.glob("**/*.zst*") if p.is_file())[:1]
    if packed and packed[0].suffix in (".zst", ".zstd"):
        unpack = f"zstd -d --rm {shlex.quote(str(packed[0]))}"
        return BadData(packed[0], "compression", "an unpacked file", f"one that is packed as a whole: {unpack}")
    if tables := lance_tables(path):
        found = f"Lance tables ({', '.join(tables[:4])}), which are not read"
        return BadData(path, "storage", "rows in parquet and pictures in mp4", found)
    if inner := _datasets_within(path):
        some = ", ".join(str(one) for one in inner[:4]) + (", ..." if len(inner) > 4 else "")
        found = (
            f"a folder that holds {len(inner)}: {some}" if len(inner) > 1 else f"a folder around it; it is {inner[0]}"
        )
        return BadData(path, "source", "a dataset", found)
    seen = _seen(path)
    way = "" if seen == _EMPTY else "; name it with --format"
    return BadData(path, "format", f"one of {', '.join(FORMATS)}", f"{seen}{way}")


def _all_pickled(folder: Path) -> bool:
    files = [p for _, p in zip(range(_LOOKED), folder.rglob("*"), strict=False) if p.is_file() and p.name[0] != "."]
    return bool(files) and all(p.suffix in _PICKLED for p in files)


def _datasets_within(path: Path) -> list[Path]:
    """Folders below that are datasets with metadata of their own: LeRobot's and RLDS' one or two levels down, bags."""
    marks = ("meta/info.json", "features.json", "dataset_info.json")
    inner = {
        place.parents[mark.count("/")]
        for depth in ("*", "*/*")
        for mark in marks
        for place in path.glob(f"{depth}/{mark}")
    }
    listed = itertools.islice(path.rglob("metadata.yaml"), _LOOKED)
    inner |= {one.parent for one in listed if any(one.parent.glob("*.mcap")) or any(one.parent.glob("*.db3"))}
    return sorted(inner)


def _seen(path: Path) -> str:
    """What lies there, for people: the endings of its files, the most frequent first."""
    if path.is_file():
        return f"a file {path.name}"
    endings = Counter(p.suffix or p.name for _, p in zip(range(_LOOKED), path.rglob("*"), strict=False) if p.is_file())
    return f"a folder with {', '.join(f'{n} x {e}' for e, n in endings.most_common(4))}" if endings else _EMPTY


def open_recording(path: Path, format: str | None = None, **options: Any) -> Recording:
    """Opens what others recorded; metadata only is read.

    Args:
        format: one of `FORMATS`; detected when left out.
        options: what the format's reader takes, e.g. `mapping` for bags.

    Raises:
        BadData: the source is broken; names file, field and both sides.
        UnknownName: no such format, or an option that its reader does not take.
    """
    path = Path(path)
    name = detect(path) if format is None else format
    if name not in FORMATS:
        raise UnknownName("format", name, FORMATS)
    takes = _TAKES.get(FORMATS[name])
    for option in options if takes is not None else ():
        if option not in takes:  # type: ignore[operator]
            raise UnknownName(f"option of {name}", option, takes or ())
    recording: Recording = _module(FORMATS[name]).open_path(path, name, **options)
    return recording
