"""Pose logs of phones, headsets and trackers (ARKit, ARCore, OpenXR, WebXR, Unity, TUM): one row a pose.

A table with a time, a position and a quaternion, by whatever names. Which way the axes point is nothing that numbers
can say: it is asked for (see `capture.axes`). What is kept is right-handed with z up and x forward.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData, Finding
from roboscale.sources.capture.axes import CONVENTIONS, require_axes, to_z_up
from roboscale.sources.capture.poses import Poses
from roboscale.sources.capture.showing import video_camera
from roboscale.sources.capture.tables import LogTable, is_table, log_times, read_header, read_log
from roboscale.sources.capture.track import CapturedView, HandDemonstration, PoseTrack, Sigma

__all__ = ["PoseLog", "find_logs"]

_NAMES: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("x", "y", "z"), ("qx", "qy", "qz", "qw")),
    (("tx", "ty", "tz"), ("qx", "qy", "qz", "qw")),
    (("px", "py", "pz"), ("qx", "qy", "qz", "qw")),
    (("x", "y", "z"), ("q_x", "q_y", "q_z", "q_w")),
    (("pos_x", "pos_y", "pos_z"), ("rot_x", "rot_y", "rot_z", "rot_w")),
    (("pos_x", "pos_y", "pos_z"), ("quat_x", "quat_y", "quat_z", "quat_w")),
    (("position.x", "position.y", "position.z"), tuple(f"orientation.{a}" for a in "xyzw")),
    (("position.x", "position.y", "position.z"), tuple(f"rotation.{a}" for a in "xyzw")),
    (("position.0", "position.1", "position.2"), tuple(f"orientation.{i}" for i in range(4))),
    (("position.0", "position.1", "position.2"), tuple(f"rotation.{i}" for i in range(4))),
)
_STATES = ("tracking", "tracking_state", "trackingState", "is_tracked", "valid", "confidence")
_SIGMAS = (("sigma_position", "sigma_rotation"), ("position_std", "rotation_std"))
_JOINTS = ("gripper_width", "width", "gripper")


@dataclass(frozen=True, slots=True)
class _Named:
    position: tuple[str, ...]
    rotation: tuple[str, ...]


def _named(names: Sequence[str]) -> _Named | None:
    """Which columns are position and quaternion; `None` where no known pair of names is there."""
    for position, rotation in _NAMES:
        if set(position) <= set(names) and set(rotation) <= set(names):
            return _Named(position, rotation)
    for frame in ("world_device", "odometry_device"):
        axes = tuple(f"t{a}_{frame}" for a in "xyz"), tuple(f"q{a}_{frame}" for a in "xyzw")
        if set(axes[0]) <= set(names) and set(axes[1]) <= set(names):
            return _Named(*axes)
    return None


def find_logs(path: Path) -> list[Path]:
    """Tables with poses: the file itself, or every one in a folder."""
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if is_table(p))
    return [file for file in files if is_table(file) and _named(read_header(file)) is not None]


class PoseLog:
    """See the module, and `CaptureSource` for what is promised.

    Args:
        axes: one of `CONVENTIONS`; needed, for nothing in the numbers says it.
        video: whether to take a video of the same name that lies beside a log.
    """

    format, licence = "pose-log", ""

    def __init__(self, path: Path, *, axes: str = "", video: bool = True) -> None:
        self.root, self._video = path, video
        files = find_logs(path)
        if not axes:
            choice = ", ".join(CONVENTIONS)
            raise BadData(path, "axes", f"which way they point (--axes, one of {choice})", "nothing that says it")
        self._axes, self.device = require_axes(axes), {"as-recorded": "", "opencv": ""}.get(axes, axes)
        base = path if path.is_dir() else path.parent
        self._files = {str(file.relative_to(base).with_suffix("")): file for file in files}
        self.keys: Sequence[str] = tuple(self._files)
        first = next(iter(files), None)
        names = read_header(first) if first is not None else ()
        used = _named(names)
        known = {*used.position, *used.rotation} if used else set()
        self.unmapped: Mapping[str, str] = {n: "no pose, no time" for n in names if not self._is_used(n, known)}
        self.origins: Mapping[str, str] = {
            "poses": ", ".join((*used.position, *used.rotation)) if used else "",
            "time": "the column of times",
        }
        self.findings: Sequence[Finding] = ()

    @staticmethod
    def _is_used(name: str, known: set[str]) -> bool:
        return name in known or "time" in name.lower() or name in (*_STATES, *_JOINTS, *sum(_SIGMAS, ()))

    def demonstration(self, key: str) -> HandDemonstration:
        """One log. `CaptureSource` says what is promised."""
        file = self._files[key]
        columns = read_log(file)
        used = _named(columns.names)
        if used is None:
            raise BadData(file, "columns", "a position and a quaternion", ", ".join(columns.names)[:300])
        time_ns, findings = log_times(columns)
        valid = _tracked(columns)
        place, turn = (
            np.stack([columns[n].astype(np.float64) for n in names], axis=1)
            for names in (used.position, used.rotation)
        )
        finite = np.isfinite(place).all(axis=1) & np.isfinite(turn).all(axis=1)
        valid &= finite & (np.linalg.norm(np.nan_to_num(turn), axis=1) > 1e-6)
        place[~valid], turn[~valid] = 0, (0, 0, 0, 1)
        poses = to_z_up(Poses.make(place, turn, "quat_xyzw", file), self._axes)
        joints = [name for name in _JOINTS if name in columns][:1]
        track = PoseTrack(
            name="",
            poses=poses,
            valid=valid,
            effector=columns.stack(joints) if joints else np.zeros((len(columns), 0)),
            effector_names=("gripper_width",) if joints else (),
            sigma=_sigma(columns),
        )
        return HandDemonstration(
            key=key,
            time_ns=time_ns,
            tracks=(track,),
            cameras=self._camera(file, time_ns),
            frame="as recorded" if self._axes == "as-recorded" else "world (z up)",
            scale="the tracker's own: cameras with an inertial sensor",
            findings=tuple(findings),
        )

    def _camera(self, file: Path, time_ns: NDArray[np.int64]) -> dict[str, CapturedView]:
        video = next((v for s in (".mp4", ".mov", ".MP4", ".MOV") if (v := file.with_suffix(s)).exists()), None)
        if video is None or not self._video:
            return {}
        return {"wrist": video_camera(video, np.arange(len(time_ns), dtype=np.int64), "wrist")}


def _tracked(columns: LogTable) -> NDArray[np.bool_]:
    """Where the tracker says that it knows: a state that is `normal`, `tracking`, true or above 0."""
    name = next((n for n in _STATES if n in columns), None)
    if name is None:
        return np.ones(len(columns), bool)
    values = columns[name]
    if values.dtype.kind in "US":
        return np.isin(np.char.lower(values.astype(str)), ["normal", "tracking", "tracked", "true", "high"])
    return np.asarray(values.astype(np.float64) > 0)


def _sigma(columns: LogTable) -> Sigma | None:
    for position, rotation in _SIGMAS:
        if position in columns and rotation in columns:
            values = columns.stack((position, rotation))
            how = f"measured: {position} and {rotation} of the log"
            return Sigma(position=values[:, 0], rotation=values[:, 1], how=how)
    return None
