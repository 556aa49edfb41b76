"""ALOHA and ACT: one HDF5 file per episode, `/action`, `/observations/{qpos, qvel, effort, images/<camera>}`.

Layouts: ACT's record_sim_episodes.py, ALOHA's and Mobile ALOHA's record_episodes.py and constants.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from roboscale.core import BadData, Clip, Field, Finding, Pictures, Provenance
from roboscale.dataset.pictures import ArrayPictures, EncodedPictures, decode_picture
from roboscale.sources.records.hdf5.common import (
    Files,
    Frames,
    Leaf,
    attribute,
    blob_reader,
    guarded,
    leaves,
    natural,
    open_file,
    read_array,
)
from roboscale.sources.records.hdf5.rates import recorded_clock, said_rate
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
    survey,
    unfit,
)

__all__ = ["Aloha", "detect", "open_aloha"]

_RATE_HZ = 50.0  # constants.py of ACT, ALOHA and Mobile ALOHA: DT = 0.02
_APART = 0.02  # of the rate: by how much a clock may run apart from what is said
_IMAGES = "observations/images/"
_ARM = ("waist", "shoulder", "elbow", "forearm_roll", "wrist_angle", "wrist_rotate")


def _names(unit: str, gripper: str) -> tuple[str, ...]:
    return tuple(f"{s}_{n}" for s in ("left", "right") for n in (*(f"{joint}_{unit}" for joint in _ARM), gripper))


_POSITIONS = _names("rad", "gripper_openness")  # constants.py: 0 closed, 1 open
_VELOCITIES = _names("rad_per_s", "gripper_openness_per_s")


def detect(path: Path) -> str | None:
    """`aloha` when the first file has `/action` and `/observations/qpos`."""
    files = _files(path)
    if not files or not h5py.is_hdf5(files[0]):
        return None
    with open_file(files[0]) as file, guarded(files[0], "/"):
        is_aloha = isinstance(file.get("action"), h5py.Dataset) and "observations/qpos" in file
        return "aloha" if is_aloha else None


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return sorted((p for p in path.glob("*") if p.suffix in (".hdf5", ".h5")), key=lambda p: natural(p.name))


@dataclass(frozen=True)
class Aloha:
    """Where ALOHA's episodes lie.

    Args:
        swap: encoded pictures decode with red and blue exchanged.
    """

    paths: Mapping[str, Path]
    swap: bool

    def place(self, key: str) -> Place:
        return Place(self.paths[key])

    def roles(self, key: str) -> Mapping[str, str]:
        return {}

    def pictures(self, files: Files, key: str, camera: Camera, length: int) -> Clip | Pictures:
        path, name, shape = self.paths[key], camera.source, camera.field.shape
        file = files.get(path)
        leaf = leaves(path, file).get(name)
        if leaf is None or not leaf.shape or leaf.shape[0] != length:
            raise BadData(path, f"/{name}", f"{length} pictures", leaf or "nothing")
        if len(leaf.shape) == 4:
            if leaf.shape[1:] != shape or leaf.dtype != "uint8":
                raise BadData(path, f"/{name}", f"uint8{[length, *shape]}", leaf)
            return ArrayPictures(path, f"/{name}", Frames(files, path, "", name), 0, length)
        read, lengths = blob_reader(files, path, "", name), _padded_lengths(path, file, length)

        def blob(number: int) -> bytes:
            data = read(number).rstrip(b"\0")  # a JPEG ends with FF D9, so the padding is all that goes
            if lengths is not None and len(data) not in lengths[:, number]:
                expected = f"a blob of {sorted(set(lengths[:, number].tolist()))} bytes as compress_len has it"
                raise BadData(path, f"/{name}[{number}]", expected, f"{len(data)} bytes before the padding")
            return data

        return EncodedPictures(path, f"/{name}", blob, length, shape, bgr=self.swap)

    def facts(self, files: Files, key: str, length: int) -> Facts:
        path = self.paths[key]
        file = files.get(path)
        simulated = attribute(path, file, "sim")
        details = {"file": path.name}
        if simulated is not None and np.ndim(simulated) == 0:
            details["sim"] = str(bool(simulated))
        for name in _attributes(path, file):
            value = attribute(path, file, name)
            if np.ndim(value) == 0:
                details[f"attribute {name}"] = str(value)
        return Facts(provenance=Provenance("records.aloha", details=details))


def _attributes(path: Path, file: h5py.File) -> list[str]:
    """Names of the file's own attributes that nothing else here reads; the first sixteen."""
    with guarded(path, "/"):
        return [str(name) for name in file.attrs if name not in ("sim", "compress")][:16]


def _padded_lengths(path: Path, file: h5py.File, length: int) -> np.ndarray | None:
    """(cameras, T) lengths of the blobs before padding; None where the file has none.

    The rows follow the recorder's order of cameras, which HDF5 does not keep: a blob may have the length that any
    row gives.
    """
    with guarded(path, "/compress_len"):
        if "compress_len" not in file:
            return None
    lengths = read_array(path, file, "compress_len")
    if lengths.ndim != 2 or lengths.shape[1] != length:
        raise BadData(path, "/compress_len", f"[cameras, {length}]", list(lengths.shape))
    return lengths


def open_aloha(
    path: Path, format: str = "aloha", *, fps: float | None = None, swap_red_blue: bool | None = None
) -> Hdf5Recording:
    """Opens a file, or a folder of `episode_<i>.hdf5`.

    Plain arrays are RGB: visualize_episodes.py exchanges red and blue before it hands them to OpenCV. The project's
    compressed recordings went through `cv2.imencode` as they were, and its readers use what `cv2.imdecode` returns
    without exchanging anything; OpenCV takes arrays for BGR, so any other decoder gets red and blue exchanged. They
    are exchanged back here.

    Args:
        fps: rate in Hz; by default what an attribute of the first file says, else what its recorded times say, else
            the 50 Hz that the project's recorders have as a constant.
        swap_red_blue: whether encoded pictures are exchanged after decoding; by default they are.

    Raises:
        BadData: no episode, or none that can be read.
    """
    paths = {p.stem: p for p in _files(path)}
    if not paths:
        raise BadData(path, "episodes", "files *.hdf5", "none")
    surveyed = survey(_look(paths), ("action", "observations/qpos", _IMAGES))
    swap = True if swap_red_blue is None else swap_red_blue
    plan = _plan(surveyed, paths[surveyed.first[0]], swap)
    rate, findings = (fps, []) if fps is not None else _rate(paths[surveyed.first[0]])
    return Hdf5Recording(
        "aloha",
        path,
        Aloha(paths, swap),
        tuple(paths),
        plan=plan,
        rate_hz=need_rate(path, rate),
        robot_type="aloha",
        findings=findings,
        differing=surveyed.differing,
    )


def _rate(path: Path) -> tuple[float, list[Finding]]:
    """What the first file says of its rate, and what is to be said of that."""
    with open_file(path) as file, guarded(path, "/"):
        said = said_rate(path, (node for node in (file, *file.values()) if isinstance(node, h5py.Group)))
        clock = recorded_clock(path, file, len(file["action"]) if "action" in file else 0)
    measured = f"{clock[1]}: {clock[0]} in the first file" if clock is not None else ""
    if said is not None:
        off = clock is not None and abs(clock[0].mean_hz / said[0] - 1) > _APART
        text = f"{said[1]} says {said[0]:g} Hz; {measured}"
        return said[0], [Finding("recorded-clock", "warning", text, evidence={"fps": said[0]})] if off else []
    if clock is not None:
        whole = float(round(clock[0].mean_hz))
        rate = whole if whole and abs(clock[0].mean_hz / whole - 1) < 5e-3 else clock[0].mean_hz
        text = f"no attribute says a rate; {measured}, taken for {rate:.6g} Hz"
        return rate, [Finding("recorded-clock", "info", text, evidence={"fps": rate})]
    text = "the files hold no rate: 50 Hz is the constant DT = 0.02 of the project's recorders"
    return _RATE_HZ, [Finding("assumed-rate", "info", text, evidence={"fps": _RATE_HZ})]


def _look(paths: Mapping[str, Path]) -> Iterator[tuple[str, Mapping[str, Leaf] | BadData]]:
    for key in spread(tuple(paths)):
        try:
            with open_file(paths[key]) as file:
                yield key, leaves(paths[key], file)
        except BadData as error:
            yield key, error


def _plan(surveyed: Survey, example: Path, swap: bool) -> ReadingPlan:
    columns, cameras, unmapped = [], [], dict(surveyed.partial)
    for name, leaf in surveyed.common.items():
        if name == "compress_len":
            unmapped[name] = "lengths of the encoded pictures, needed to read them and then used up"
        elif name.startswith(_IMAGES) and (camera := _camera(name, leaf, example, swap)):
            cameras.append(camera)
        elif reason := unfit(leaf):
            unmapped[name] = reason
        else:
            columns.append(_column(name, leaf))
    if not any(c.field.name == "action" for c in columns):
        raise BadData(example, "/action", "a numeric dataset", unmapped.get("action", "none"))
    unmapped["attribute sim"] = "kept as provenance.details.sim"
    with open_file(example) as file:
        others = _attributes(example, file)
    if others:
        unmapped[f"attributes {', '.join(others)}"] = "one value each is kept in provenance.details"
    return ReadingPlan(ordered(columns), tuple(cameras), unmapped)


def _camera(name: str, leaf: Leaf, example: Path, swap: bool) -> Camera | None:
    field = f"observation.images.{name.removeprefix(_IMAGES).replace('/', '.')}"
    if leaf.dtype == "uint8" and len(leaf.frame) == 3 and leaf.frame[2] == 3:
        return Camera(Field(field, leaf.frame, "uint8"), name, "pictures encoded")
    if leaf.dtype == "bytes" or (leaf.dtype == "uint8" and len(leaf.frame) == 1):
        files = Files()
        blob = blob_reader(files, example, "", name)(0).rstrip(b"\0")
        shape = decode_picture(blob, example, f"/{name}[0]").shape
        files.close()
        done = "JPEG decoded, red and blue exchanged, encoded" if swap else "JPEG decoded, encoded"
        return Camera(Field(field, shape, "uint8"), name, done)
    return None


def _column(name: str, leaf: Leaf) -> Column:
    """Two arms of six joints and a gripper are what the project documents; anything else keeps unknown units."""
    both_arms = leaf.frame == (len(_POSITIONS),)
    unit = "mixed" if both_arms else "unknown"
    if name == "action":
        return column("action", name, leaf, unit=unit, mode="absolute", layout=_POSITIONS)
    if name == "observations/qpos":
        return column("observation.state", name, leaf, unit=unit, mode="absolute", layout=_POSITIONS)
    if name == "observations/qvel":
        return column("observation.velocity", name, leaf, unit=unit, mode="absolute", layout=_VELOCITIES)
    if name.startswith("observations/"):
        return column(f"observation.{name.removeprefix('observations/').replace('/', '.')}", name, leaf)
    if name == "base_action":
        return column("commanded.base_action", name, leaf)
    return column(f"recorded.{name.replace('/', '.')}", name, leaf)
