"""Which fields of known layouts hold poses: UMI's zarr, Grabette's LeRobot sets, FastUMI's HDF5.

UMI       robotI_eef_pos (3), robotI_eef_rot_axis_angle (3), robotI_gripper_width (1)      table tag's frame, z up
Grabette  action or observation.state (8): x, y, z, ax, ay, az, proximal, distal          absolute, rotation vector
FastUMI   observations/qpos (N, 7): x, y, z, qx, qy, qz, qw; action is a copy of it, and no width is in it
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from roboscale.core import BadData, Spec
from roboscale.sources.capture.fields import EffectorFields, PoseFields

__all__ = ["FASTUMI", "FASTUMI_HZ", "UMI_HZ", "fastumi_mapping", "grabette_map", "umi_map"]

UMI_HZ = 60_000 / 1001
"""Of UMI's cameras; its zarr stores no rate."""
FASTUMI_HZ = 20.0
"""Of FastUMI's recorder; its HDF5 stores no rate."""

_ROBOT = re.compile(r"observation\.robot(\d+)_eef_pos")


def umi_map(spec: Spec) -> PoseFields:
    """Of UMI's zarr, with one or two grippers."""
    numbers = sorted(int(m[1]) for name in spec.names if (m := _ROBOT.fullmatch(name)))
    effectors = tuple(
        EffectorFields(
            name=f"gripper{i}" if len(numbers) > 1 else "",
            position=f"observation.robot{i}_eef_pos",
            rotation=f"observation.robot{i}_eef_rot_axis_angle",
            layout="rotvec",
            joints=(f"observation.robot{i}_gripper_width",),
            joint_names=("gripper_width",),
        )
        for i in numbers
    )
    said = "of the table's tag, by UMI's pipeline: the size that was printed is taken on trust"
    return PoseFields(effectors=effectors, device="umi", frame="tag (z up)", scale=said)


def grabette_map(spec: Spec) -> PoseFields | None:
    """Of a LeRobot set whose action is Grabette's eight numbers; `None` for any other."""
    for field in ("observation.state", "action"):
        if field in spec and [n.split(".")[-1] for n in spec[field].layout] == [
            *("x", "y", "z", "ax", "ay", "az", "proximal", "distal")
        ]:
            effector = EffectorFields(
                position=f"{field}[0:3]",
                rotation=f"{field}[3:6]",
                layout="rotvec",
                joints=(f"{field}[6:8]",),
                joint_names=("gripper_proximal", "gripper_distal"),
                joint_unit="rad",
            )
            scale = "visual odometry of a stereo depth camera"
            return PoseFields(effectors=(effector,), device="grabette", frame="start of the recording", scale=scale)
    return None


FASTUMI = PoseFields(
    effectors=(
        EffectorFields(
            position="observation.qpos[0:3]",
            rotation="observation.qpos[3:7]",
            layout="quat_xyzw",
        ),
    ),
    device="fastumi",
    frame="start of the tracking camera",
    scale="a tracking camera of two lenses of known distance",
)


def fastumi_mapping(path: Path, sources: Any, fps: float | None) -> dict[str, Any]:
    """The own layout of FastUMI's HDF5, as a mapping; 20 frames a second, as its recorder has them."""
    names = list(sources)
    if "observations/qpos" not in names:
        raise BadData(path, "observations/qpos", "(N, 7) positions and quaternions", ", ".join(names)[:300])
    cameras = [name for name in names if name.startswith("observations/images/")]
    fields: dict[str, Any] = {"observation.qpos": {"source": "observations/qpos", "unit": "mixed"}}
    fields |= {f"observation.images.{name.rpartition('/')[2]}": {"source": name, "role": "wrist"} for name in cameras}
    return {
        "episodes": "*.hdf5" if path.is_dir() else "",
        "fps": fps or FASTUMI_HZ,
        "fields": fields,
        "robot": "fastumi",
    }
