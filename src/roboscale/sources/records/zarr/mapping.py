"""Which array becomes which field. Knows diffusion_policy's names and what UMI fixes about its own.

UMI's poses are those of the tool centre in the frame of the table's tag (z up), in metres and as rotation vectors; its
gripper's width is in metres. Source: real-stanford/universal_manipulation_interface, scripts_slam_pipeline.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from roboscale.core import UNKNOWN, Field

__all__ = ["field_name", "is_umi", "numeric_field", "picture_field", "source_name"]

_NAMES = {"action": "action", "state": "observation.state", "reward": "next.reward", "done": "next.done"}
_SOURCES = {field: source for source, field in _NAMES.items()}
_UMI = re.compile(r"robot\d+_(eef_pos|eef_rot_axis_angle|gripper_width|demo_start_pose|demo_end_pose)")
_CAMERA = re.compile(r"(camera\d+)_rgb")
_POSITION, _ROTATION = ("x", "y", "z"), ("rotvec.x", "rotvec.y", "rotvec.z")
_UMI_FIELDS: Mapping[str, Mapping[str, Any]] = {
    "eef_pos": {"unit": "m", "frame": "tag", "layout": _POSITION},
    "eef_rot_axis_angle": {"unit": "rad", "frame": "tag", "layout": _ROTATION},
    "gripper_width": {"unit": "m", "layout": ("gripper_width",)},
    "demo_start_pose": {"unit": "mixed", "frame": "tag", "layout": (*_POSITION, *_ROTATION)},
    "demo_end_pose": {"unit": "mixed", "frame": "tag", "layout": (*_POSITION, *_ROTATION)},
}


def is_umi(names: Sequence[str]) -> bool:
    """Whether arrays (by their path below `data`) are called as UMI calls them."""
    return any(_UMI.fullmatch(name) for name in names)


def field_name(name: str, picture: bool) -> str:
    """Our name of an array."""
    if picture:
        match = _CAMERA.fullmatch(name)
        return f"observation.images.{match[1] if match else name.replace('/', '.')}"
    return _NAMES.get(name, f"observation.{name.replace('/', '.')}")


def source_name(field: Field) -> str:
    """The array that a field is written to."""
    if field.is_image:
        return field.name.removeprefix("observation.images.")
    return _SOURCES.get(field.name, field.name.removeprefix("observation."))


def numeric_field(name: str, source: str, shape: Sequence[int], dtype: np.dtype[Any]) -> Field:
    """Field of numbers; only what UMI fixes has a unit."""
    match = _UMI.fullmatch(source)
    known = _UMI_FIELDS[match[1]] if match else None
    if known is not None and tuple(shape) == (len(known["layout"]),):
        return Field(name, tuple(shape), dtype.name, **known)
    return Field(name, tuple(shape) or (1,), dtype.name, unit=UNKNOWN, mode=UNKNOWN)


def picture_field(name: str, source: str, shape: Sequence[int], others: Sequence[str]) -> Field:
    """Field of a camera. UMI numbers the cameras on its grippers as the grippers, and the others after them."""
    match = _CAMERA.fullmatch(source)
    on_gripper = match is not None and f"{match[1].replace('camera', 'robot')}_eef_pos" in others
    axes = ("height", "width", "channel")
    return Field(name, tuple(shape), "uint8", layout=axes, role="wrist" if on_gripper else "")
