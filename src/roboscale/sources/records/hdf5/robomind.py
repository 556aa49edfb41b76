"""RoboMIND: one HDF5 file per trajectory, `h5_<embodiment>/<task>/success_episodes/<split>/<id>/data/trajectory.hdf5`.

`puppet/*` is what the robot did, `master/*` what its operator's device said, `observations/rgb_images/<camera>` one
blob per frame. Layouts and units: the project's all_robot_h5_info_v1.2.md, quick_start.ipynb and robomind.yaml.

Not known: the rate (no file and no document says it), and how the simulated embodiments' arrays line up, which run
at about four times the rate of their pictures and in lengths of their own: those trajectories are refused.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData, Clip, Field, Finding, Pictures, Provenance, RoboscaleError
from roboscale.dataset.pictures import EncodedPictures, decode_picture
from roboscale.sources.records.hdf5.common import (
    Files,
    Leaf,
    blob_reader,
    check_stored,
    guarded,
    leaves,
    open_file,
    resolve_dataset,
)
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

__all__ = ["Robomind", "detect", "open_robomind"]

_RGB = "observations/rgb_images/"
_DEPTH = "observations/depth_images/"
_ROBOTS = ("puppet", "franka", "tiangong")  # the last two are simulated
_BGR_ARRAYS = ("franka_1rgb", "franka_3rgb", "franka_fr3_dual", "ur_1rgb")
_RAW_SIZES = {
    480 * 640 * 3: (480, 640, 3),
    720 * 1280 * 3: (720, 1280, 3),
}  # without compression

_ARM = tuple(f"joint_{i}_rad" for i in range(7))
_SIDES = {side: tuple(f"{side}_{n}" for n in _ARM) for side in ("left", "right")}
_LAYOUTS: Mapping[str, tuple[str, ...]] = {
    "franka": (*_ARM, "gripper"),
    "ur": (*_ARM[:6], "gripper"),
    "sim_franka": (*_ARM, "gripper"),
    "simulation": (*_ARM, "gripper"),
    "franka_fr3": tuple(n for s, arm in _SIDES.items() for n in (*arm, f"{s}_gripper")),
    "tienkung_gello": tuple(n for s, arm in _SIDES.items() for n in (*arm, f"{s}_hand_closure")),
    "tienkung_prod1": tuple(n for s, arm in _SIDES.items() for n in (*arm, f"{s}_hand_closure")),
    "tienkung_xsens": tuple(n for arm in _SIDES.values() for n in arm),
    "agilex": tuple(n for s, arm in _SIDES.items() for n in (*arm[:6], f"{s}_gripper")),
}
"""Embodiment (its name up to the cameras) -> names of `joint_position`, left before right."""


def detect(path: Path) -> str | None:
    """`robomind` when the first HDF5 file below has a robot's group and `observations/rgb_images`."""
    file = path if path.is_file() else first_file(path, (".hdf5",))
    if file is None or not h5py.is_hdf5(file):
        return None
    with open_file(file) as opened, guarded(file, "/"):
        return "robomind" if any(r in opened for r in _ROBOTS) and _RGB.rstrip("/") in opened else None


@dataclass(frozen=True)
class Robomind:
    """Where RoboMIND's trajectories lie.

    Args:
        instructions: task -> what was asked.
        bgr_arrays: whether the recorder held its pictures in OpenCV's order.
    """

    paths: Mapping[str, Path]
    embodiment: str
    instructions: Mapping[str, str]
    bgr_arrays: bool

    def place(self, key: str) -> Place:
        return Place(self.paths[key])

    def roles(self, key: str) -> Mapping[str, str]:
        return {}

    def pictures(self, files: Files, key: str, camera: Camera, length: int) -> Clip | Pictures:
        path = self.paths[key]
        dataset, field = resolve_dataset(path, files.get(path), camera.source)
        leaf = check_stored(path, field, dataset)
        if not leaf.shape or leaf.shape[0] != length:
            raise BadData(path, field, f"{length} pictures", leaf)
        read = blob_reader(files, path, "", camera.source)
        decode = colour_decoder(self.bgr_arrays)
        return EncodedPictures(path, field, read, length, camera.field.shape, decode=decode)

    def facts(self, files: Files, key: str, length: int) -> Facts:
        parts = self.paths[key].parts
        task = next((parts[i - 1] for i, p in enumerate(parts) if p.endswith("_episodes") and i), "")
        split = next((p for p in parts if p in ("train", "val")), "")
        details = {"trajectory": key, "split": split}
        provenance = Provenance("records.robomind", embodiment=self.embodiment, task=task, details=details)
        return Facts(provenance=provenance, instruction=self.instructions.get(task, ""))


def colour_decoder(bgr_arrays: bool) -> Callable[[bytes, object, str], NDArray[np.uint8]]:
    """Decodes a blob of RoboMIND to RGB.

    The project's quick_start.ipynb and robomind.yaml (`bgr2rgb`) exchange red and blue of what `cv2.imdecode` returns
    for the Franka and UR embodiments, and leave that of the others as it is, "recorded in RGB". OpenCV returns the
    three planes of a JPEG as blue, green, red. So a Franka or UR blob is an ordinary JPEG, and any other decoder
    gives RGB; the others' recorders handed RGB arrays to OpenCV as if they were BGR, and any other decoder gives
    them with red and blue exchanged. Blobs without compression are the recorder's array as it was.

    Args:
        bgr_arrays: the recorder held BGR arrays (Franka, UR).
    """

    def decode(blob: bytes, where: object, field: str) -> NDArray[np.uint8]:
        if blob[:2] == b"\xff\xd8" or blob[:4] == b"\x89PNG":
            image = decode_picture(blob, where, field)
            return image if bgr_arrays else np.ascontiguousarray(image[..., ::-1])
        if len(blob) not in _RAW_SIZES:
            raise BadData(where, field, f"a JPEG, a PNG or {sorted(_RAW_SIZES)} bytes", f"{len(blob)} other bytes")
        image = np.frombuffer(blob, np.uint8).reshape(_RAW_SIZES[len(blob)])
        return np.ascontiguousarray(image[..., ::-1]) if bgr_arrays else image

    return decode


def open_robomind(
    path: Path,
    format: str = "robomind",
    *,
    fps: float | None = None,
    embodiment: str | None = None,
    instructions: Path | None = None,
) -> Hdf5Recording:
    """Opens a trajectory, a task, or all tasks of one embodiment.

    Args:
        fps: rate in Hz; needed, for the source does not say it.
        embodiment: e.g. `franka_3rgb`; by default from the folder `h5_<embodiment>`. It decides the colour order.
        instructions: the project's table RoboMIND_v1_2_instr.csv with columns `task` and `instruction`; by default
            one of such a name in the folder.

    Raises:
        BadData: no trajectory, or none that can be read.
        RoboscaleError: no rate, or no single embodiment.
    """
    files = [path] if path.is_file() else walk_files(path, (".hdf5",))
    keys = {_key(path, file): file for file in files}
    if not keys:
        raise BadData(path, "trajectories", "files trajectory.hdf5", "none")
    name = embodiment or _embodiment(files)
    rate = need_rate(path, fps)
    surveyed = survey(_look(keys), ("master/joint_position", "puppet/joint_position", _RGB))
    layout = Robomind(keys, name, _instructions(path, instructions), name in _BGR_ARRAYS)
    plan = _plan(surveyed, layout)
    missing = {c.field.name: _missing(keys, c.source) for c in plan.cameras}
    return Hdf5Recording(
        "robomind",
        path,
        layout,
        tuple(keys),
        plan=plan,
        rate_hz=rate,
        robot_type=name,
        missing=missing,
        findings=_findings(plan, layout),
        differing=surveyed.differing,
    )


def _key(root: Path, file: Path) -> str:
    if root == file:
        return file.stem
    parts = file.relative_to(root).parts[:-1]
    return "/".join(parts[:-1] if parts[-1:] == ("data",) else parts) or file.stem


def _embodiment(files: Sequence[Path]) -> str:
    names = {p.removeprefix("h5_") for file in files for p in file.parts if p.startswith("h5_")}
    if len(names) != 1:
        found = f"found {', '.join(sorted(names))}" if names else "no folder h5_<embodiment> says it"
        raise RoboscaleError(
            f"RoboMIND: the colour order of the pictures depends on the embodiment and {found}; name it with the "
            "option embodiment, e.g. franka_3rgb, and import each embodiment by itself"
        )
    return names.pop()


def _look(keys: Mapping[str, Path]) -> Iterator[tuple[str, Mapping[str, Leaf] | BadData]]:
    for key in spread(tuple(keys)):
        try:
            with open_file(keys[key]) as file:
                yield key, leaves(keys[key], file)
        except BadData as error:
            yield key, error


def _missing(keys: Mapping[str, Path], source: str) -> list[str]:
    """Trajectories that have no such camera, or a first blob without bytes, as the project documents for 675."""
    missing = []
    for key, path in keys.items():
        try:
            with open_file(path) as file, guarded(path, source):
                if source not in file or not file[source].shape[0]:
                    missing.append(key)
                    continue
                check_stored(path, source, file[source])
                if not len(file[source][0]):
                    missing.append(key)
        except BadData:
            continue  # a broken file is no missing camera: reading it says what is wrong
    return missing


def _instructions(root: Path, table: Path | None) -> dict[str, str]:
    if table is None:
        folder = root if root.is_dir() else root.parent
        table = next(iter(sorted(folder.glob("RoboMIND*instr*.csv"))), None)
    if table is None:
        return {}
    try:
        with table.open(newline="", encoding="utf-8-sig", errors="replace") as lines:
            rows = list(csv.DictReader(lines))
    except (OSError, csv.Error) as error:
        raise BadData(table, "file", "a table of instructions", error) from error
    if rows and not {"task", "instruction"} <= set(rows[0]):
        raise BadData(table, "columns", "task and instruction", ", ".join(map(str, rows[0])))
    return {row["task"]: row["instruction"] for row in rows if row["task"] and row["instruction"]}


def _layout_of(embodiment: str) -> tuple[str, ...]:
    names = [n for n in _LAYOUTS if embodiment.startswith(n)]
    return _LAYOUTS[max(names, key=len)] if names else ()


def _plan(surveyed: Survey, layout: Robomind) -> ReadingPlan:
    columns, cameras, unmapped = [], [], dict(surveyed.partial)
    rest = dict(surveyed.common)
    for group, name in (("master", "action"), *((robot, "observation.state") for robot in _ROBOTS)):
        if taken := _joints(group, rest):
            columns.append(_joint_column(name, taken, layout.embodiment))
            for part in taken:
                del rest[part]
    for name, leaf in rest.items():
        if name.startswith(_DEPTH):
            unmapped[name] = "depth pictures"
        elif name.startswith(_RGB):
            camera = _camera(name, layout)
            cameras += [camera] if camera else []
            unmapped |= {} if camera else {name: "its pictures have no bytes"}
        elif reason := unfit(leaf):
            unmapped[name] = reason
        else:
            columns.append(_column(name, leaf))
    if not columns:
        raise BadData(layout.paths[surveyed.first[0]], "puppet/joint_position", "a numeric dataset", "none")
    return ReadingPlan(ordered(columns), tuple(cameras), unmapped)


def _joints(group: str, rest: Mapping[str, Leaf]) -> dict[str, Leaf]:
    one = [n for n in (f"{group}/joint_position",) if n in rest]
    both = [n for n in (f"{group}/joint_position_left", f"{group}/joint_position_right") if n in rest]
    return {n: rest[n] for n in one or (both if len(both) == 2 else ()) if not unfit(rest[n])}


def _joint_column(name: str, parts: Mapping[str, Leaf], embodiment: str) -> Column:
    names = _layout_of(embodiment)
    unit = "rad" if names and all(n.endswith("_rad") for n in names) else "mixed"
    made = stack(name, parts, names, unit=unit, mode="absolute")
    return made if made.field.layout else stack(name, parts, ())


def _column(name: str, leaf: Leaf) -> Column:
    top, _, rest = name.partition("/")
    dotted = rest.replace("/", ".")
    if top == "master":
        return column(f"commanded.{dotted}", name, leaf)
    if top in _ROBOTS:
        return column(f"observation.{dotted}", name, leaf)
    return column(f"recorded.{name.replace('/', '.')}", name, leaf)


def _camera(name: str, layout: Robomind) -> Camera | None:
    """None when no trajectory has a picture; the size is that of the first that has."""
    files = Files()
    for path in layout.paths.values():
        try:
            blob = blob_reader(files, path, "", name)(0)
            shape = colour_decoder(layout.bgr_arrays)(blob, path, f"/{name}[0]").shape if blob else None
        except BadData:
            continue
        if shape is not None:
            files.close()
            field = Field(f"observation.images.{name.removeprefix(_RGB).replace('/', '.')}", shape, "uint8")
            done = "decoded, encoded" if layout.bgr_arrays else "decoded, red and blue exchanged, encoded"
            return Camera(field, name, done)
    return None


def _findings(plan: ReadingPlan, layout: Robomind) -> list[Finding]:
    findings = []
    names = {c.field.name for c in plan.columns}
    if "action" not in names:
        text = "there is no master: what was commanded was not recorded"
        findings.append(Finding("missing-action", "warning", text, field="action"))
    elif layout.bgr_arrays:
        text = "the project trains on the next puppet/joint_position as action; carried over is master/joint_position"
        findings.append(Finding("other-action", "info", text, field="action"))
    if not layout.instructions:
        text = "no table of instructions: put RoboMIND_v1_2_instr.csv beside the tasks, or name it with instructions"
        findings.append(Finding("missing-task", "warning", text, field="task"))
    return findings
