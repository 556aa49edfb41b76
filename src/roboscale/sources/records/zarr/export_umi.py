"""Writes captured poses as UMI's `dataset.zarr.zip`, which zarr 2 and zarr 3 open (format 2 in a zip that is stored).

    data/robot{i}_eef_pos (N, 3), _eef_rot_axis_angle (N, 3), _gripper_width (N, 1), _demo_start_pose and _end_pose
    data/camera{i}_rgb (N, 224, 224, 3), JPEG XL of level 99, one picture a chunk      meta/episode_ends (E,)

There is no action in it: UMI's training takes the next poses for one. Rate, instructions and ids go into `.zattrs`,
which its code does not read.

Source: real-stanford/universal_manipulation_interface, 07_generate_replay_buffer.py (MIT).
"""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData, Field, SpecMismatch, convert_rotation
from roboscale.core.pose import rotation_matrices
from roboscale.dataset import Dataset
from roboscale.sources.records.zarr.export import (
    write_zarr_array,
    write_zarr_chunk,
    write_zarr_json,
    write_zarr_metadata,
)
from roboscale.sources.records.zarr.notes import NOTES_KEY, Notes

__all__ = ["UmiGripper", "export_umi", "umi_grippers"]

SIDE = 224
"""Pixels of a picture, each way: what UMI's policy takes."""

_LEVEL = 99
_ROWS = 1000  # of numbers in a chunk
_STATE = "observation.state"
_SIX = tuple(f"rot6d_rows.{i}" for i in range(6))

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class UmiGripper:
    """Places in the state of one gripper: x, y, z, two rows of its rotation, and its width."""

    position: tuple[int, ...]
    rotation: tuple[int, ...]
    width: int

    def poses(self, rows: NDArray[np.float32]) -> tuple[Array, Array, Array]:
        """(N, 3) metres, (N, 3) rotation vectors and (N, 1) metres of rows of the state (N, D)."""
        turn = rotation_matrices(rows[:, list(self.rotation)].astype(np.float64), "rot6d_rows")
        rotvec = [convert_rotation(one.reshape(9), "matrix", "rotvec") for one in turn]
        place, width = rows[:, list(self.position)], rows[:, [self.width]]
        return place.astype(np.float64), np.stack(rotvec), width.astype(np.float64)


def umi_grippers(dataset: Dataset) -> list[UmiGripper]:
    """Grippers of a captured dataset, in the order of its state.

    Raises:
        SpecMismatch: its poses are no actions, it has none, or a width is missing; says what it has.
    """
    if _STATE not in dataset.spec:
        has = ", ".join(name for name in dataset.spec.names if name.startswith("pretrain.")) or "no state"
        raise SpecMismatch(
            f"{dataset.root}: UMI trains on its poses as actions, so their error has to be stated: expected {_STATE}, "
            f"found {has}; --sigma-position and --sigma-rotation of `collect` state it"
        )
    names = list(dataset.spec[_STATE].layout)
    prefixes = [name.removesuffix(_SIX[0]) for name in names if name.endswith(_SIX[0])]
    if not prefixes:
        raise SpecMismatch(
            f"{dataset.root}: {_STATE}: expected x, y, z, rot6d_rows.0 .. 5 and gripper_width, as `collect handheld` "
            f"and `collect human` write them, found {', '.join(names)[:200] or 'no names'}"
        )
    found = []
    for prefix in prefixes:
        wanted = [f"{prefix}{name}" for name in ("x", "y", "z", *_SIX, "gripper_width")]
        missing = [name for name in wanted if name not in names]
        if missing:
            raise SpecMismatch(f"{dataset.root}: {_STATE}: expected {', '.join(missing)}, which UMI has, found none")
        at = [names.index(name) for name in wanted]
        found.append(UmiGripper(tuple(at[:3]), tuple(at[3:9]), at[9]))
    return found


def export_umi(dataset: Dataset, out: Path, *, progress: Callable[[int, int], None] | None = None) -> None:
    """Writes every episode.

    Args:
        out: zip file to make; must not exist.
        progress: called with the number of frames whose pictures are written and of all.

    Raises:
        BadData: `out` exists.
        SpecMismatch: see `umi_grippers`; or there is no episode.
    """
    if out.exists():
        raise BadData(out, "file", "nothing there yet", "a file or folder")
    if not dataset.episodes:
        raise SpecMismatch(f"{dataset.root}: expected at least one episode, found none")
    grippers = umi_grippers(dataset)
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    packed = out.with_name(f".{out.name}.{os.getpid()}.zip")
    try:
        _write_numbers(part, dataset, grippers)
        _write_cameras(part, dataset, progress)
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
            for file in sorted(path for path in part.rglob("*") if path.is_file()):
                archive.write(file, file.relative_to(part).as_posix())
        packed.rename(out)
    finally:
        shutil.rmtree(part, ignore_errors=True)
        packed.unlink(missing_ok=True)


def _write_numbers(part: Path, dataset: Dataset, grippers: Sequence[UmiGripper]) -> None:
    for folder in (part, part / "data", part / "meta"):
        folder.mkdir(parents=True, exist_ok=True)
        write_zarr_json(folder / ".zgroup", {"zarr_format": 2})
    episodes = dataset.episodes
    texts, ids = [one.instruction for one in episodes], [one.id for one in episodes]
    notes = Notes(rate_hz=float(dataset.fps), instructions=texts, ids=ids)
    write_zarr_json(part / ".zattrs", {NOTES_KEY: notes.to_json()})
    ends = np.cumsum([one.length for one in episodes]).astype(np.int64)
    write_zarr_array(part / "meta" / "episode_ends", ends, len(ends))
    rows = dataset.arrays(_STATE)
    for number, gripper in enumerate(grippers):
        place, rotvec, width = gripper.poses(rows)
        whole = np.concatenate([place, rotvec], axis=1)
        starts = np.concatenate([[0], ends[:-1]])
        lengths = np.diff(ends, prepend=0)
        made: Mapping[str, Array] = {
            "eef_pos": place,
            "eef_rot_axis_angle": rotvec,
            "gripper_width": width,
            "demo_start_pose": np.repeat(whole[starts], lengths, axis=0),
            "demo_end_pose": np.repeat(whole[ends - 1], lengths, axis=0),
        }
        for name, values in made.items():
            write_zarr_array(part / "data" / f"robot{number}_{name}", values.astype(np.float32), _ROWS)


def _write_cameras(part: Path, dataset: Dataset, progress: Callable[[int, int], None] | None) -> None:
    """Frame by frame; cameras on grippers come first, for UMI numbers them as their grippers."""
    from imagecodecs.numcodecs import Jpegxl

    cameras: list[Field] = sorted(dataset.spec.images, key=lambda field: (field.role != "wrist", field.name))
    codec, shape = Jpegxl(level=_LEVEL, numthreads=1), (len(dataset), SIDE, SIDE, 3)
    for number in range(len(cameras)):
        write_zarr_metadata(part / "data" / f"camera{number}_rgb", shape, 1, np.dtype(np.uint8), codec)
    frames = dataset.as_recorded()
    for index in range(len(dataset)) if cameras else ():
        frame = frames[index]
        for number, field in enumerate(cameras):
            picture = _square(np.asarray(frame[field.name]))
            write_zarr_chunk(part / "data" / f"camera{number}_rgb" / f"{index}.0.0.0", picture[None], codec)
        if progress is not None:
            progress(index + 1, len(dataset))


def _square(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The middle square of a picture at UMI's size; one of that size stays as it is."""
    from PIL import Image

    height, width = picture.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    middle = picture[top : top + side, left : left + side]
    if side == SIDE:
        return middle
    resized = Image.fromarray(middle).resize(
        (SIDE, SIDE), Image.Resampling.BOX if side > SIDE else Image.Resampling.BILINEAR
    )
    return np.asarray(resized, np.uint8)
