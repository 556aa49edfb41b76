"""A dataset in somebody else's format, read back and compared before anyone relies on it."""

from __future__ import annotations

import contextlib
import math
import shutil
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np

from roboscale.core import BadData, extras_of
from roboscale.core.plain import Plain
from roboscale.jobs import options
from roboscale.jobs.events import Note, OnEvent, ignore, progressing
from roboscale.jobs.request import Argument, Option, Request

if TYPE_CHECKING:
    from roboscale.dataset import Dataset

__all__ = ["ExportDataset", "Exported", "export_dataset", "plan_export"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportDataset(Request):
    """Asks for a dataset in another format; `out` must not exist."""

    words: ClassVar[tuple[str, ...]] = ("data", "export")

    dataset: Annotated[Path, Argument("A LeRobotDataset v3.0.")]
    out: Annotated[Path, Argument("A new file or folder.")]
    to: Annotated[
        Literal["lerobot-v2.1", "gr00t", "rlds", "hdf5-robomimic", "zarr", "umi", "rrd", "mcap"],
        Option("lerobot-v2.1, gr00t, rlds, hdf5-robomimic, zarr or umi; rrd for Rerun's viewer, mcap for Foxglove's."),
    ]
    selection: options.SelectionFile = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported(Plain):
    """What was written, and what reading it back showed.

    Args:
        largest_difference: field -> largest difference after reading back.
        not_there: fields that the format, or its reader, has under no such name.
        instructions: episodes whose text came back as it was; `None` where the format has no text.
        lost: what the dataset holds and this format does not -> why.
    """

    out: str
    format: str
    episodes: int
    frames: int
    largest_difference: Mapping[str, float] = field(default_factory=dict)
    not_there: tuple[str, ...] = ()
    instructions: int | None = None
    lost: Mapping[str, str] = field(default_factory=dict)


def export_dataset(request: ExportDataset, on_event: OnEvent = ignore) -> Exported:
    """Writes the dataset in the other format and compares every number with what is read back.

    >>> done = export_dataset(ExportDataset(dataset=Path("recorded"), out=Path("old"), to="lerobot-v2.1"))
    >>> done.episodes, done.largest_difference["action"]
    (3, 0.0)

    Raises:
        BadData: `out` exists, or what was read back is not what was written.
    """
    from roboscale.dataset.streams import FRAME_TIMES
    from roboscale.jobs.export_formats import TARGETS, VIEWERS, read_back
    from roboscale.jobs.losses import lost_between, lost_by_reading
    from roboscale.jobs.recordings import open_source

    if request.selection is not None:
        return _selected(request, on_event)
    dataset = _opened(request)
    size = _size(dataset, request)
    on_event(Note(f"{request.to}: about {size / 1e6:.4g} MB for pictures and numbers of {len(dataset)} frames"))
    if request.to in VIEWERS:
        on_event(Note("pictures are JPEG of quality 95 in files for viewers; numbers are exact"))
        worst = VIEWERS[request.to](dataset, request.out, progressing(on_event, "writing"))
        names = [f.name for f in dataset.spec if not f.is_image and f.name not in worst]
        lost = {name: "not read back under this name" for name in names if name != FRAME_TIMES}  # times of messages
        with contextlib.closing(open_source(request.dataset).recording) as before:
            lost |= lost_by_reading(before)
            lost |= dict.fromkeys(extras_of(before).names, "files for viewers hold curves, pictures and texts")
        lost["splits, outcomes and provenance"] = "files for viewers hold curves, pictures and texts"
        return _exported(request, dataset, (worst, len(dataset.episodes)), lost, on_event)
    if request.to == "umi":
        return _exported(request, dataset, *_as_umi(dataset, request.out, on_event), on_event)
    recording = TARGETS[request.to](dataset, request.out, progressing(on_event, "writing"))
    try:
        with contextlib.closing(open_source(request.dataset).recording) as before:
            read = read_back(dataset, before, recording, request.out)
            lost = lost_between(before, recording, read.lost)
    finally:
        recording.close()
    return _exported(request, dataset, (read.worst, read.instructions), lost, on_event)


def _as_umi(dataset: Dataset, out: Path, on_event: OnEvent) -> tuple[tuple[dict[str, float], int], dict[str, str]]:
    """Writes UMI's layout and reads its poses back: what differs, and what has no place in it."""
    from roboscale.jobs.export_formats import compare_umi
    from roboscale.sources.records.zarr.export_umi import SIDE, export_umi

    export_umi(dataset, out, progress=progressing(on_event, "writing"))
    read = compare_umi(dataset, out)
    lost = {
        f.name: "UMI's layout has no place for it" for f in dataset.spec if not f.is_image and f.name not in read[0]
    }
    for name in lost:
        if name == "action" or name == "pose.target":
            lost[name] = "UMI stores no action: its training takes the next poses for it"
        elif name == "sigma":
            lost[name] = "UMI's layout cannot say how accurate a pose is"
    lost |= {f.name: f"the middle square at {SIDE} x {SIDE}, JPEG XL of level 99" for f in dataset.spec.images}
    return read, lost | {"splits, outcomes and provenance": "UMI's layout has no place for them"}


def _selected(request: ExportDataset, on_event: OnEvent) -> Exported:
    """By way of a copy of what is kept, beside `out`, which is removed when all is written."""
    from roboscale.jobs.data_fix import FixDataset
    from roboscale.jobs.fixing import fix_copy

    if request.out.exists() or request.out.is_symlink():
        raise BadData(request.out, "path", "nothing there", "a file or folder")
    with tempfile.TemporaryDirectory(dir=request.out.absolute().parent, prefix=f".{request.out.name}.") as folder:
        copy = Path(folder) / request.dataset.absolute().name
        asked = FixDataset(dataset=request.dataset, out=copy, selection=request.selection)
        fixed = fix_copy(asked, copy, on_event)
        on_event(Note(f"{request.selection}: {fixed.episodes} episodes, {fixed.frames} frames are taken"))
        return export_dataset(replace(request, dataset=copy, selection=None), on_event)


def _exported(
    request: ExportDataset,
    dataset: Dataset,
    read: tuple[Mapping[str, float], int],
    lost: Mapping[str, str],
    on_event: OnEvent,
) -> Exported:
    """What is said of it; `read` is the largest difference of each field and how many texts came back."""
    from roboscale.jobs.losses import tell_lost

    tell_lost(lost, on_event)
    worst, instructions = read
    return Exported(
        out=str(request.out),
        format=request.to,
        episodes=len(dataset.episodes),
        frames=len(dataset),
        largest_difference=worst,
        not_there=tuple(f.name for f in dataset.spec if not f.is_image and f.name not in worst),
        lost=lost,
        instructions=instructions if any(e.instruction for e in dataset.episodes) else None,
    )


def plan_export(request: ExportDataset) -> dict[str, Any]:
    """What would be written; JSON types only. Errors are those of `export_dataset`."""
    dataset = _opened(request)
    episodes, frames = len(dataset.episodes), len(dataset)
    size = _size(dataset, request)
    if request.selection is not None:
        from roboscale.curate.selection import read_selection

        parts = read_selection(request.selection).of(dataset)
        kept = sum(part.last - part.first + 1 for part in parts)
        episodes, frames, size = len({part.index for part in parts}), kept, round(size * kept / frames)
    return {"out": str(request.out), "format": request.to, "episodes": episodes, "frames": frames, "bytes": size}


_PACKED = {"rlds": 0.5, "hdf5-robomimic": 0.5, "zarr": 0.5, "umi": 0.5, "rrd": 0.12, "mcap": 0.16}
"""Bytes of packed pictures for each of their own: lossless from renders (.1) to noise (1), or JPEG (in base64)."""


def _size(dataset: Dataset, request: ExportDataset) -> int:
    """Bytes that will be written, about; BadData where the disk has less room than that.

    LeRobot's own formats keep the videos; the others keep every picture by itself.
    """
    numbers = sum(np.dtype(f.dtype).itemsize * math.prod(f.shape or (1,)) for f in dataset.spec if not f.is_image)
    size = numbers * len(dataset)
    if request.to in _PACKED:
        size += int(_PACKED[request.to] * sum(math.prod(f.shape) for f in dataset.spec.images) * len(dataset))
    else:
        size += sum(path.stat().st_size for path in (dataset.root / "videos").rglob("*.mp4"))
    there = next(parent for parent in request.out.absolute().parents if parent.exists())
    free = shutil.disk_usage(there).free
    if size > free:
        raise BadData(there, "free space", f"about {size / 1e9:.4g} GB", f"{free / 1e9:.4g} GB")
    return size


def _opened(request: ExportDataset) -> Dataset:
    from roboscale.dataset import Dataset
    from roboscale.jobs.recordings import require_ours

    require_ours(request.dataset)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # cameras that are not read are told with all else that is lost
        dataset = Dataset(request.dataset)
    if request.out.exists() or request.out.is_symlink():
        raise BadData(request.out, "path", "nothing there", "a file or folder")
    return dataset
