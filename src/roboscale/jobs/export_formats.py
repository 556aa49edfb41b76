"""Datasets in somebody else's format: writes them, opens what was written and compares it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import numpy as np

from roboscale.core import BadData, Recording
from roboscale.dataset import Dataset
from roboscale.jobs.losses import lost_of_episode
from roboscale.sources.records import open_recording

__all__ = ["TARGETS", "VIEWERS", "ReadBack", "compare_umi", "read_back"]

_FLOAT32 = 1e-5  # metres and radians: rotation vectors of float32 are a few units of 3e-7 off

Progress = Callable[[int, int], None]
"""Called with how much is written, and of how much."""


def _lerobot_v21(dataset: Dataset, out: Path, progress: Progress) -> Recording:
    from roboscale.sources.records.lerobot.export import export_v21

    export_v21(dataset, out, progress=progress)
    return open_recording(out, "lerobot-v2.1")


def _gr00t(dataset: Dataset, out: Path, progress: Progress) -> Recording:
    from roboscale.sources.records.lerobot.export import export_gr00t

    export_gr00t(dataset, out, progress=progress)
    return open_recording(out, "gr00t")


def _rlds(dataset: Dataset, out: Path, progress: Progress) -> Recording:
    from roboscale.sources.records.rlds.export import export_rlds

    export_rlds(dataset, out, progress=progress)
    return open_recording(out, "rlds", fps=dataset.fps)


def _robomimic(dataset: Dataset, out: Path, progress: Progress) -> Recording:
    from roboscale.sources.records.hdf5.export import export_robomimic

    export_robomimic(dataset, out, progress=progress)
    return open_recording(out, "robomimic", fps=dataset.fps)


def _zarr(dataset: Dataset, out: Path, progress: Progress) -> Recording:
    from roboscale.sources.records.zarr.export import export_zarr

    export_zarr(dataset, out, progress=progress)
    return open_recording(out, "zarr", fps=dataset.fps)


TARGETS: Mapping[str, Callable[[Dataset, Path, Progress], Recording]] = MappingProxyType(
    {
        "lerobot-v2.1": _lerobot_v21,
        "gr00t": _gr00t,
        "rlds": _rlds,
        "hdf5-robomimic": _robomimic,
        "zarr": _zarr,
    }
)
"""Format -> writes a dataset in it and opens the result with our own reader."""


def _mcap(dataset: Dataset, out: Path, progress: Progress) -> dict[str, float]:
    from roboscale.sources.records.mcap.export import compare_mcap, export_mcap

    export_mcap(dataset, out, progress=progress)
    return compare_mcap(dataset, out)


def _rrd(dataset: Dataset, out: Path, progress: Progress) -> dict[str, float]:
    from roboscale.sources.records.rrd.export import compare_rrd, export_rrd

    export_rrd(dataset, out, progress=progress)
    return compare_rrd(dataset, out)


VIEWERS: Mapping[str, Callable[[Dataset, Path, Progress], dict[str, float]]] = MappingProxyType(
    {"mcap": _mcap, "rrd": _rrd}
)
"""Format that is looked at -> writes a dataset in it and compares what the viewer's own reader finds."""


@dataclass(slots=True)
class ReadBack:
    """What reading an export back showed.

    Args:
        worst: field -> largest difference, for the fields that are in both.
        instructions: episodes that have their instruction.
        lost: what episodes held and do not hold now -> in how many.
    """

    worst: dict[str, float]
    instructions: int = 0
    lost: dict[str, int] = field(default_factory=dict)


def compare_umi(dataset: Dataset, out: Path) -> tuple[dict[str, float], int]:
    """The largest difference of a pose (metres or radians, on the group) or width after reading UMI's layout back.

    Gives how many instructions came back, too.

    Raises:
        BadData: a pose or width is not what was written, to what float32 can hold.
    """
    from roboscale.core.pose import rotation_matrices
    from roboscale.sources.records.zarr.export_umi import umi_grippers

    recording = open_recording(out, "umi-zarr")
    try:
        if len(recording.keys) != len(dataset.episodes):
            raise BadData(out, "episodes", len(dataset.episodes), len(recording.keys))
        worst, texts = 0.0, 0
        for info, key in zip(dataset.episodes, recording.keys, strict=True):
            new = recording.read(key, ())
            rows = dataset.arrays("observation.state")[info.from_index : info.from_index + info.length]
            for number, gripper in enumerate(umi_grippers(dataset)):
                place, rotvec, width = gripper.poses(rows)
                got = {n: new.arrays[f"observation.robot{number}_{n}"] for n in ("eef_pos", "gripper_width")}
                turned = rotation_matrices(new.arrays[f"observation.robot{number}_eef_rot_axis_angle"], "rotvec")
                off = np.swapaxes(rotation_matrices(rotvec, "rotvec"), 1, 2) @ turned - np.eye(3)
                differences = (got["eef_pos"] - place, got["gripper_width"] - width, off)
                worst = max(worst, *(float(np.abs(d).max(initial=0.0)) for d in differences))
            texts += new.instruction == info.instruction
    finally:
        recording.close()
    if worst > _FLOAT32:
        raise BadData(out, "poses", f"what was written, within {_FLOAT32:g}", f"a difference of {worst:g}")
    return {"observation.state": worst}, texts


def read_back(dataset: Dataset, before: Recording, recording: Recording, out: Path) -> ReadBack:
    """Compares every number of a dataset with a recording of it in another format; each episode is read once.

    Args:
        before: the dataset as a recording.

    Raises:
        BadData: episodes or frames are missing, or an action or state is not what was written.
    """
    names = [f.name for f in dataset.spec if not f.is_image]
    common = [name for name in names if name in recording.spec]
    read = ReadBack(dict.fromkeys(common, 0.0))
    if len(recording.keys) != len(dataset.episodes):
        raise BadData(out, "episodes", len(dataset.episodes), len(recording.keys))
    for info, mine, its in zip(dataset.episodes, before.keys, recording.keys, strict=True):
        old, new = before.read(mine, ()), recording.read(its, ())
        if len(new) != info.length:
            raise BadData(out, f"frames of {its}", info.length, len(new))
        rows = slice(info.from_index, info.from_index + info.length)
        for name in common:
            was, now = (one.reshape(info.length, -1) for one in (dataset.arrays(name)[rows], new.arrays[name]))
            was, now = was.astype(np.float64), now.astype(np.float64)
            read.worst[name] = max(read.worst[name], float(np.abs(was - now).max(initial=0.0)))
        read.instructions += new.instruction == info.instruction
        for name in lost_of_episode(old, new):
            read.lost[name] = read.lost.get(name, 0) + 1
    for name in ("action", "observation.state"):
        if read.worst.get(name, 0.0) != 0.0:
            raise BadData(out, name, "what was written", f"a difference of {read.worst[name]:g}")
    return read
