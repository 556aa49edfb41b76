"""Poses that lie in the fields of a recording that roboscale opens: zarr, LeRobot, HDF5, MCAP, ROS bags, own layouts.

Which field is what is a table, ours for known layouts, the user's TOML for any other:

    device = "my gripper"
    frame = "table (z up)"

    [[effector]]
    name = "left"                                  # left out where there is one
    position = "observation.state[0:3]"            # a field, or some of its elements; metres
    rotation = "observation.state[3:7]"
    layout = "quat_xyzw"                           # one of roboscale.LAYOUTS
    joints = ["observation.gripper"]
    joint_names = ["gripper_width"]
    joint_unit = "m"
    sigma_position = "observation.pose_std[0:1]"   # metres and radians, where the recording has them
    sigma_rotation = "observation.pose_std[1:2]"
    valid = "observation.tracked"                  # not 0 where the pose is known
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from roboscale.core import LAYOUTS, BadData, Finding, RecordedEpisode, Recording
from roboscale.core.declared import Key, Limit, Text, read_declared
from roboscale.dataset.streams import FRAME_TIMES
from roboscale.sources.capture.poses import Poses
from roboscale.sources.capture.track import CapturedView, HandDemonstration, PoseTrack, Sigma

__all__ = ["EffectorFields", "FieldSource", "PoseFields", "load_field_map"]

_PART = re.compile(r"^(?P<field>[^\[\]]+)(\[(?P<first>\d+):(?P<last>\d+)\])?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectorFields:
    """One end effector; see the module."""

    name: str = ""
    position: Text
    rotation: Text
    layout: Annotated[str, Limit(f"one of {', '.join(LAYOUTS)}", LAYOUTS.__contains__)]
    joints: tuple[str, ...] = ()
    joint_names: tuple[str, ...] = ()
    joint_unit: Literal["m", "rad"] = "m"
    sigma_position: str = ""
    sigma_rotation: str = ""
    valid: str = ""

    @property
    def fields(self) -> tuple[str, ...]:
        """Every field it names."""
        said = (self.position, self.rotation, *self.joints, self.sigma_position, self.sigma_rotation, self.valid)
        return tuple(part.split("[")[0] for part in said if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class PoseFields:
    """Which fields hold which poses; see the module.

    Args:
        wrist: cameras that sit on the end effector.
        scale: what makes the poses metric, in words.
    """

    effectors: Annotated[tuple[EffectorFields, ...], Key("effector"), Limit("at least one [[effector]]", bool)]
    device: str = ""
    frame: str = "world"
    wrist: tuple[str, ...] = ()
    scale: str = ""


def load_field_map(path: Path) -> PoseFields:
    """The user's TOML; BadData with file, key and both sides."""
    return read_declared(path, PoseFields, limit=2**20)


class FieldSource:
    """See the module, and `CaptureSource` for what is promised.

    Args:
        open: opens the recording.
        format: what the layout is called.
        assumed: what was guessed to open it.
    """

    def __init__(
        self, open: Callable[[], Recording], said: PoseFields, format: str, assumed: Sequence[Finding] = ()
    ) -> None:
        self._recording, self._said = open(), said
        self.format, self.root, self.licence = format, self._recording.root, self._recording.licence
        self.device = said.device or self._recording.robot_type
        self.keys: Sequence[str] = tuple(self._recording.keys)
        used = {name for one in said.effectors for name in one.fields}
        spec = self._recording.spec
        for name in used:
            if name not in spec:
                raise BadData(self.root, "fields", f"one called {name}", ", ".join(spec.names))
        kept = used | {f.name for f in spec.images} | {FRAME_TIMES}
        left = {f.name: "no end effector is read from it" for f in spec if f.name not in kept}
        self.unmapped: Mapping[str, str] = {**self._recording.unmapped, **left}
        places = {o.field: o.source for o in self._recording.origins}
        cameras = {f"camera {_location(f.name)}": places.get(f.name, f.name) for f in spec.images}
        poses = ", ".join(dict.fromkeys(places.get(name, name) for name in sorted(used)))
        self.origins: Mapping[str, str] = {"poses": poses, **cameras}
        self.findings: Sequence[Finding] = [*assumed, *(f for f in self._recording.findings if f.check != "no-action")]

    def demonstration(self, key: str) -> HandDemonstration:
        """One episode of the recording. `CaptureSource` says what is promised."""
        episode = self._recording.read(key)
        spec, count = self._recording.spec, len(episode)
        if FRAME_TIMES in episode.arrays:
            time_ns = np.asarray(episode.arrays[FRAME_TIMES], np.int64).reshape(-1)
        else:
            time_ns = np.round(np.arange(count) * (1e9 / spec.rate_hz)).astype(np.int64)
        return HandDemonstration(
            key=key,
            time_ns=time_ns,
            tracks=tuple(self._track(one, episode) for one in self._said.effectors),
            cameras={
                _location(f.name): CapturedView(
                    pictures=episode.pictures[f.name],
                    frames=np.arange(count, dtype=np.int64),
                    shape=(f.shape[0], f.shape[1], 3),
                    role=f.role or ("wrist" if _location(f.name) in self._said.wrist else ""),
                    rate_hz=spec.rate_hz,
                )
                for f in spec.images
            },
            streams=episode.streams,
            frame=self._said.frame,
            instruction=episode.instruction,
            licence=episode.provenance.licence,
            scale=self._said.scale,
            rate_hz=spec.rate_hz,
            findings=episode.findings,
        )

    def _track(self, one: EffectorFields, episode: RecordedEpisode) -> PoseTrack:
        where = f"{self.root} episode {episode.key}"

        def part(name: str, width: int | None) -> NDArray[np.float64]:
            return _part(episode.arrays, name, width, where)

        poses = Poses.make(part(one.position, 3), part(one.rotation, LAYOUTS[one.layout]), one.layout, where)
        joints = [part(name, None) for name in one.joints]
        effector = np.concatenate(joints, axis=1) if joints else np.zeros((len(episode), 0))
        names = one.joint_names or tuple(f"joint_{i}" for i in range(effector.shape[1]))
        if len(names) != effector.shape[1]:
            raise BadData(where, "joint_names", f"{effector.shape[1]} names", len(names))
        sigma = None
        if one.sigma_position and one.sigma_rotation:
            sigma = Sigma(
                position=part(one.sigma_position, 1)[:, 0],
                rotation=part(one.sigma_rotation, 1)[:, 0],
                how=f"measured: {one.sigma_position} and {one.sigma_rotation} of the recording",
            )
        valid = part(one.valid, 1)[:, 0] != 0 if one.valid else np.ones(len(episode), bool)
        return PoseTrack(
            name=one.name,
            poses=poses,
            valid=valid,
            effector=effector,
            effector_names=names,
            effector_unit=one.joint_unit,
            sigma=sigma,
        )


def _location(field: str) -> str:
    return field.removeprefix("observation.images.")


def _part(arrays: Mapping[str, NDArray[Any]], name: str, width: int | None, where: object) -> NDArray[np.float64]:
    """(T, width) of a field, or of some of its elements."""
    match = _PART.fullmatch(name)
    if match is None or match["field"] not in arrays:
        raise BadData(where, "fields", f"{name} (a field, or FIELD[first:last])", ", ".join(arrays))
    values = np.asarray(arrays[match["field"]], np.float64)
    values = values.reshape(len(values), -1)
    if match["first"] is not None:
        values = values[:, int(match["first"]) : int(match["last"])]
    if width is not None and values.shape[1] != width:
        raise BadData(where, name, f"{width} elements", values.shape[1])
    if not np.isfinite(values).all():
        row = int(np.argwhere(~np.isfinite(values).all(axis=1))[0, 0])
        raise BadData(where, f"{name} in row {row}", "finite numbers", values[row].tolist())
    return values
