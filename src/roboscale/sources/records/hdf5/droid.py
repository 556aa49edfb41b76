"""DROID as recorded: a folder per trajectory with `trajectory.h5`, `metadata_<uuid>.json` and `recordings/MP4`.

Layouts: the project's schema note, droid/trajectory_utils/trajectory_writer.py and droid/robot_env.py. The rate is
15 Hz (`control_hz`). Joint positions are radians, `gripper_position` is 0 open to 1 closed (robot_env.py opens the
gripper with 0 and resets the joints to fractions of pi). Velocities are what the controller was sent, scaled to
-1..1; their unit stays unknown.

Not read: SVO recordings, which need the camera maker's library, and `<serial>-stereo.mp4`, two views in one picture.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roboscale.core import BadData, Clip, Field, Finding, Outcome, Pictures, Provenance, UnknownName
from roboscale.sources.records.hdf5.clips import open_clip, video_header
from roboscale.sources.records.hdf5.common import Files, Leaf, attribute, guarded, leaves, load_any_json, open_file
from roboscale.sources.records.hdf5.recording import (
    Camera,
    Column,
    Facts,
    Hdf5Recording,
    Place,
    ReadingPlan,
    Survey,
    column,
    need_rate,
    ordered,
    spread,
    stack,
    survey,
    unfit,
)
from roboscale.sources.records.hdf5.walk import first_file, walk_files

__all__ = ["Droid", "detect", "open_droid"]

_H5 = "trajectory.h5"
_RATE_HZ = 15.0
_ROBOT = "observation/robot_state"
_CAMERAS = {"wrist": "wrist", "ext1": "external", "ext2": "external"}  # name in the metadata -> role
_SERIAL = re.compile(r"[A-Za-z0-9-]{1,40}")
_JOINTS = tuple(f"joint_{i}_rad" for i in range(7))
_POSE = ("x_m", "y_m", "z_m", "roll_rad", "pitch_rad", "yaw_rad")  # scipy's Euler "xyz"
_GRIPPER = "gripper_closedness"

_POSITIONS: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "joint_position": ("rad", "absolute", _JOINTS),
    "cartesian_position": ("mixed", "absolute", _POSE),
    "gripper_position": ("1", "absolute", (_GRIPPER,)),
}
"""What the project documents -> unit, mode and names, of states and commands alike."""

_ACTIONS: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "joint_position": ("mixed", "absolute", (*_JOINTS, _GRIPPER)),
    "cartesian_position": ("mixed", "absolute", (*_POSE, _GRIPPER)),
    "joint_velocity": ("unknown", "unknown", (*(f"joint_{i}_velocity" for i in range(7)), "gripper_velocity")),
    "cartesian_velocity": (
        "unknown",
        "unknown",
        (*(f"{n}_velocity" for n in ("x", "y", "z", "roll", "pitch", "yaw")), "gripper_velocity"),
    ),
}
"""Option `action` -> unit, mode and names; each goes with the gripper command that DROID replays it with."""


def detect(path: Path) -> str | None:
    """`droid-raw` when the first `trajectory.h5` below lies beside metadata, recordings or other trajectories."""
    file = path if path.is_file() else first_file(path, (_H5,))
    if file is None or file.name != _H5:
        return None
    with open_file(file) as opened, guarded(file, "/"):
        is_droid = "action" in opened and "observation" in opened
    return "droid-raw" if is_droid else None


@dataclass(frozen=True)
class Droid:
    """Where DROID's trajectories lie."""

    folders: Mapping[str, Path]
    rate_hz: float

    def place(self, key: str) -> Place:
        return Place(self.folders[key] / _H5)

    def roles(self, key: str) -> Mapping[str, str]:
        """Camera -> its serial number, which is different on every robot."""
        folder = self.folders[key]
        metadata = _metadata(folder)
        if metadata is None:
            raise BadData(folder, "metadata_<uuid>.json", "one, as every complete trajectory has", "none")
        return _serials(folder, metadata)

    def pictures(self, files: Files, key: str, camera: Camera, length: int) -> Clip | Pictures:
        name = camera.field.name.rpartition(".")[2]
        serial = self.roles(key).get(name)
        if serial is None:
            raise BadData(self.folders[key], f"{name}_cam_serial", "a serial number in the metadata", "none")
        return open_clip(_video(self.folders[key], serial), length, self.rate_hz, camera.field.shape)

    def facts(self, files: Files, key: str, length: int) -> Facts:
        folder = self.folders[key]
        metadata = _metadata(folder) or {}
        file = files.get(folder / _H5)
        success = metadata.get("success", attribute(folder / _H5, file, "success"))
        said = metadata.get("trajectory_length", length)
        findings: tuple[Finding, ...] = ()
        if said != length:
            text = f"the metadata of {key} claims {said} steps, {_H5} has {length}: kept what is there"
            findings = (Finding("wrong-length", "warning", text, evidence={"claimed": str(said), "found": length}),)
        keep = ("uuid", "lab", "user_id", "date", "timestamp", "building", "scene_id", "robot_serial", "r2d2_version")
        details = {name: metadata[name] for name in keep if isinstance(metadata.get(name), (str, int, float))}
        task = str(metadata.get("current_task") or attribute(folder / _H5, file, "current_task") or "")
        outcome = None if success is None else Outcome("success" if bool(success) else "failure", steps=length)
        provenance = Provenance("records.droid-raw", embodiment="franka", operator="human", details=details)
        return Facts(provenance=provenance, instruction=task, outcome=outcome, findings=findings)


def _metadata(folder: Path) -> dict[str, Any] | None:
    files = sorted(folder.glob("metadata_*.json"))
    if not files:
        return None
    data = load_any_json(files[0])
    if not isinstance(data, dict):
        raise BadData(files[0], "file", "an object", type(data).__name__)
    return data


def _serials(folder: Path, metadata: Mapping[str, Any]) -> dict[str, str]:
    """Only the serial numbers are believed: the paths that the metadata holds are never followed."""
    serials = {}
    for name in _CAMERAS:
        serial = metadata.get(f"{name}_cam_serial")
        if serial is None:
            continue
        if not _SERIAL.fullmatch(str(serial)):
            raise BadData(folder, f"{name}_cam_serial", "a serial number", repr(serial)[:60])
        serials[name] = str(serial)
    return serials


def _video(folder: Path, serial: str) -> Path:
    return folder / "recordings" / "MP4" / f"{serial}.mp4"


def open_droid(
    path: Path, format: str = "droid-raw", *, fps: float | None = None, action: str = "joint_position"
) -> Hdf5Recording:
    """Opens a trajectory, or every one below a folder, e.g. a day, a lab, or all of it.

    `observation.state` is the joints' and the gripper's position side by side. Of the commands that DROID records
    for the same step, one becomes `action`; all others are kept as `commanded.<name>`. Camera streams and their
    time stamps are named by what the camera looks at, not by its serial number.

    Args:
        fps: rate in Hz; by default the project's 15.
        action: `joint_position` (7 joints and the gripper's position), `cartesian_position`, `joint_velocity` or
            `cartesian_velocity` (with the gripper's velocity, as DROID replays them).

    Raises:
        BadData: no trajectory, or none that can be read.
        UnknownName: no such action.
    """
    if action not in _ACTIONS:
        raise UnknownName("action", action, _ACTIONS)
    root = path.parent if path.is_file() else path
    folders = {p.parent.relative_to(root).as_posix(): p.parent for p in walk_files(root, (_H5,)) if p.name == _H5}
    folders = {root.name if key == "." else key: folder for key, folder in folders.items()}
    if not folders:
        raise BadData(path, "trajectories", f"folders with a {_H5}", "none")
    layout = Droid(folders, need_rate(path, fps, _RATE_HZ))
    surveyed = survey(_look(layout, spread(tuple(folders))), (f"action/{action}", f"{_ROBOT}/joint_positions"))
    shapes = _shapes(layout, tuple(folders))
    plan = _plan(surveyed, folders[surveyed.first[0]], shapes, action)
    missing = {c.field.name: _missing(layout, c.field.name.rpartition(".")[2]) for c in plan.cameras}
    return Hdf5Recording(
        "droid-raw",
        path,
        layout,
        tuple(folders),
        plan=plan,
        rate_hz=layout.rate_hz,
        robot_type="franka",
        missing=missing,
        differing=surveyed.differing,
    )


def _look(layout: Droid, keys: Sequence[str]) -> Iterator[tuple[str, Mapping[str, Leaf] | BadData]]:
    """Datasets by name, with serial numbers replaced by `{wrist}`, `{ext1}`, `{ext2}`."""
    for key in keys:
        file = layout.place(key).file
        try:
            roles = layout.roles(key)
            with open_file(file) as opened:
                arrays = leaves(file, opened)
            yield key, {_by_role(name, roles): leaf for name, leaf in arrays.items()}
        except BadData as error:
            yield key, error


def _by_role(name: str, roles: Mapping[str, str]) -> str:
    for role, serial in roles.items():
        name = re.sub(rf"(?<=/){re.escape(serial)}(?=[_/]|$)", "{" + role + "}", name)
    return name


def _shapes(layout: Droid, keys: Sequence[str]) -> dict[str, tuple[int, int, int]]:
    """Camera -> its pictures' shape, from the first video that can be opened."""
    shapes: dict[str, tuple[int, int, int]] = {}
    for key in keys:
        try:
            roles = layout.roles(key)
        except BadData:
            continue
        for name, serial in roles.items():
            if name not in shapes and (video := _video(layout.folders[key], serial)).is_file():
                try:
                    shapes[name] = video_header(video)[2]
                except BadData:
                    continue
        if len(shapes) == len(_CAMERAS):
            break
    return shapes


def _missing(layout: Droid, name: str) -> list[str]:
    missing = []
    for key, folder in layout.folders.items():
        try:
            serial = layout.roles(key).get(name)
        except BadData:
            continue  # reading it says what is wrong
        if serial is None or not _video(folder, serial).is_file():
            missing.append(key)
    return missing


def _plan(surveyed: Survey, example: Path, shapes: Mapping[str, tuple[int, int, int]], action: str) -> ReadingPlan:
    rest, unmapped = dict(surveyed.common), dict(surveyed.partial)
    unit, mode, names = _ACTIONS[action]
    gripper = "gripper_velocity" if "velocity" in action else "gripper_position"
    wanted = (
        ("action", (f"action/{action}", f"action/{gripper}"), unit, mode, names),
        ("observation.state", (f"{_ROBOT}/joint_positions", f"{_ROBOT}/gripper_position"), "mixed", "absolute", None),
    )
    columns = []
    for name, parts, unit, mode, names_ in wanted:
        columns.append(_taken(name, parts, rest, example, unit, mode, names_ or (*_JOINTS, _GRIPPER)))
    for name, leaf in rest.items():
        if reason := unfit(leaf):
            unmapped[name] = reason
        elif name.startswith("observation/camera_type/"):
            unmapped[name] = "0 wrist, 1 external: used up in the cameras' names"
        elif "/videos/" in name:
            unmapped[name] = "a video inside HDF5"
        elif "{" not in name and re.search(r"/\d{6,}", name):
            unmapped[name] = "of a camera that the metadata does not name"
        else:
            columns.append(_column(name, leaf))
    cameras = tuple(_camera(name, shapes[name]) for name in _CAMERAS if name in shapes)
    unmapped |= {"recordings/SVO": "needs the camera maker's library"}
    unmapped |= {"recordings/MP4/*-stereo.mp4": "two views side by side in one picture"}
    unmapped |= {"metadata_*.json": "kept as instruction, outcome and provenance.details"}
    return ReadingPlan(ordered(columns), cameras, unmapped)


def _taken(
    name: str,
    parts: Sequence[str],
    rest: dict[str, Leaf],
    example: Path,
    unit: str,
    mode: str,
    names: Sequence[str],
) -> Column:
    """A stacked column; its parts are gone from `rest`."""
    for part in parts:
        if part not in rest or unfit(rest[part]):
            raise BadData(example / _H5, part, "a numeric dataset", unfit(rest[part]) if part in rest else "none")
    return stack(name, {part: rest.pop(part) for part in parts}, names, unit=unit, mode=mode)


def _column(name: str, leaf: Leaf) -> Column:
    top, _, below = name.partition("/")
    dotted = below.replace("/", ".").replace("{", "").replace("}", "")
    unit, mode, names = _POSITIONS.get(name.rpartition("/")[2].removesuffix("s"), ("unknown", "unknown", ()))
    if top == "action":
        return column(f"commanded.{dotted}", name, leaf, unit=unit, mode=mode, layout=names)
    if below.startswith("robot_state/"):
        ours = f"observation.{dotted.removeprefix('robot_state.')}"
        return column(ours, name, leaf, unit=unit, mode=mode, layout=names)
    if below.startswith("timestamp/") and not below.endswith("skip_action"):
        return column(f"time.{dotted.removeprefix('timestamp.')}", name, leaf, mode="absolute")
    return column(f"recorded.{dotted}", name, leaf)


def _camera(name: str, shape: tuple[int, int, int]) -> Camera:
    field = Field(f"observation.images.{name}", shape, "uint8", role=_CAMERAS[name])
    return Camera(
        field, f"recordings/MP4/{{{name}}}.mp4", "remuxed where it plays at the recording's rate, else encoded"
    )
