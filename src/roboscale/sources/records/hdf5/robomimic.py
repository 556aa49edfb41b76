"""robomimic's HDF5 and its relatives: Isaac Lab Mimic, LIBERO, RoboCasa, MimicGen.

One file holds `data/demo_<i>/{obs/<k>, next_obs/<k>, actions, rewards, dones, states}` with `num_samples` of each,
and `env_args` (JSON) of all. A folder of such files, as LIBERO ships them, is one recording.

Layouts: robomimic's docs/datasets/overview, Isaac Lab's utils/datasets/hdf5_dataset_file_handler.py. Neither fixes a
unit or what an action is relative to, so both stay unknown.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py

from roboscale.core import UNKNOWN, BadData, Clip, Field, Finding, Outcome, Pictures, Provenance
from roboscale.dataset.pictures import ArrayPictures
from roboscale.sources.records.hdf5.common import (
    Files,
    Frames,
    Leaf,
    attribute,
    find_group,
    guarded,
    leaves,
    members,
    natural,
    open_file,
    resolve,
)
from roboscale.sources.records.hdf5.rates import said_rate
from roboscale.sources.records.hdf5.recording import (
    Camera,
    Column,
    Facts,
    Hdf5Recording,
    Place,
    ReadingPlan,
    column,
    need_rate,
    ordered,
    survey,
    unfit,
)

__all__ = ["Robomimic", "detect", "open_robomimic"]

_NAMES = {"actions": "action", "rewards": "next.reward", "dones": "next.done", "states": "simulator.state"}


def detect(path: Path) -> str | None:
    """`robomimic`, `isaac-mimic` or None, from names in the first file."""
    files = _files(path)
    if not files or not h5py.is_hdf5(files[0]):
        return None
    with open_file(files[0]) as file, guarded(files[0], "data"):
        data = file.get("data")
        first = next((n for n in data if n.startswith("demo")), None) if isinstance(data, h5py.Group) else None
        if first is None or not isinstance(data[first], h5py.Group):
            return None
        isaac = isinstance(data[first].get("states"), h5py.Group) or "initial_state" in data[first]
        name = str(_json(attribute(files[0], data, "env_args")).get("env_name", ""))
        demos = [one for one in data.values() if isinstance(one, h5py.Group)]
        if not any("actions" in one for one in demos[:8]):
            return None  # demos of an own layout
        return "isaac-mimic" if isaac or name.startswith("Isaac-") else "robomimic"


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return sorted((p for p in path.glob("*") if p.suffix in (".hdf5", ".h5")), key=lambda p: natural(p.name))


def _json(value: Any) -> dict[str, Any]:
    """A JSON object of an attribute; empty where there is none, or a broken one: only facts are taken from it."""
    try:
        parsed = json.loads(value) if isinstance(value, str) else {}
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}


@dataclass(frozen=True)
class Robomimic:
    """Where robomimic's demos lie and what their attributes say."""

    format: str
    places: Mapping[str, Place]

    def place(self, key: str) -> Place:
        return self.places[key]

    def roles(self, key: str) -> Mapping[str, str]:
        return {}

    def pictures(self, files: Files, key: str, camera: Camera, length: int) -> Clip | Pictures:
        place = self.places[key]
        leaf = leaves(place.file, find_group(place.file, files.get(place.file), place.group)).get(camera.source)
        if leaf is None or leaf.dtype != "uint8" or leaf.shape != (length, *camera.field.shape):
            expected = f"uint8{[length, *camera.field.shape]}"
            raise BadData(place.file, f"/{place.group}/{camera.source}", expected, leaf or "nothing")
        frames = Frames(files, place.file, place.group, camera.source)
        return ArrayPictures(place.file, f"{place.group}/{camera.source}", frames, 0, length)

    def facts(self, files: Files, key: str, length: int) -> Facts:
        place = self.places[key]
        file = files.get(place.file)
        group = find_group(place.file, file, place.group)
        read = {name: attribute(place.file, group, name) for name in ("num_samples", "ep_meta", "model_file")}
        read |= {name: attribute(place.file, group, name) for name in ("seed", "success", "roboscale_id")}
        data = find_group(place.file, file, "data")
        read |= {name: attribute(place.file, data, name) for name in ("env_args", "problem_info")}
        if read["num_samples"] is not None and read["num_samples"] != length:
            raise BadData(place.file, f"/{place.group}", f"num_samples {read['num_samples']}", f"{length} rows")
        environment, meta = _json(read["env_args"]), _json(read["ep_meta"])
        instruction = meta.get("lang") or _json(read["problem_info"]).get("language_instruction") or ""
        details: dict[str, Any] = {"file": place.file.name, "demo": place.group}
        details |= {f"{n}_sha256": _digest(read[n]) for n in ("env_args", "model_file") if isinstance(read[n], str)}
        details["masks"] = _masks(place.file, file, place.group.rpartition("/")[2])
        provenance = Provenance(
            f"records.{self.format}",
            embodiment=_robot(environment),
            world=str(environment.get("env_name") or ""),
            task=place.file.stem if instruction else "",
            seed=int(read["seed"]) if _is_integer(read["seed"]) else None,
            details=details,
        )
        id_ = read["roboscale_id"] if isinstance(read["roboscale_id"], str) else ""
        return Facts(
            provenance=provenance, instruction=str(instruction), outcome=_outcome(read["success"], length), id=id_
        )


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()


def _is_integer(value: Any) -> bool:
    return getattr(getattr(value, "dtype", None), "kind", "") in "iu" and getattr(value, "ndim", 1) == 0


def _outcome(success: Any, length: int) -> Outcome | None:
    """Isaac Lab says whether a demo succeeded; robomimic does not."""
    if success is None or getattr(success, "shape", ()) not in ((), (1,)):
        return None
    return Outcome("success" if bool(success) else "failure", steps=length)


def _robot(environment: Mapping[str, Any]) -> str:
    robots = (environment.get("env_kwargs") or {}).get("robots") if isinstance(environment, dict) else None
    if isinstance(robots, list):
        return "+".join(str(robot) for robot in robots)
    return robots if isinstance(robots, str) else ""


def _masks(path: Path, file: h5py.File, demo: str) -> list[str]:
    """Filters, e.g. `train`, that list this demo."""
    with guarded(path, "/mask"):
        if "mask" not in file:
            return []
    group, masks = find_group(path, file, "mask"), []
    for name, leaf in leaves(path, group).items():
        if leaf.shape and leaf.shape[0] <= 10**6 and leaf.dtype in ("text", "other"):
            with guarded(path, f"/mask/{name}"):
                if demo.encode() in {n if isinstance(n, bytes) else str(n).encode() for n in group[name][()].tolist()}:
                    masks.append(name)
    return masks


def open_robomimic(path: Path, format: str, *, fps: float | None = None) -> Hdf5Recording:
    """Opens a file, or a folder of files, of demos.

    Args:
        fps: rate in Hz, where `env_args` has neither `control_freq` nor `sim_args`, and no attribute says it.

    Raises:
        BadData: no file, no demo, or none that can be read.
        RoboscaleError: no rate.
    """
    files = Files()
    places: dict[str, Place] = {}
    paths = _files(path)
    environment: dict[str, Any] = {}
    findings: list[Finding] = []
    for file in paths:
        data = find_group(file, files.get(file), "data")
        demos = sorted((name for name in members(file, data) if name.startswith("demo")), key=natural)
        environment = environment or _json(attribute(file, data, "env_args"))
        for demo in demos:
            places[demo if len(paths) == 1 else f"{file.stem}/{demo}"] = Place(file, f"data/{demo}")
        findings += _wrong_total(file, data, demos)
    if not places:
        raise BadData(path, "data", "demos", "none")
    surveyed = survey(_look(files, places), ("actions",))
    plan = _plan(path, surveyed.common, dict(surveyed.partial), _frame_sizes(files, places))
    first = places[surveyed.first[0]]
    known = _control_rate(environment) or _control_rate(_meta(files, first)) or _attribute_rate(files, first)
    files.close()
    layout = Robomimic(format, places)
    rate, robot = need_rate(path, fps, known), _robot(environment)
    return Hdf5Recording(
        format,
        path,
        layout,
        tuple(places),
        plan=plan,
        rate_hz=rate,
        robot_type=robot,
        findings=findings,
        differing=surveyed.differing,
    )


def _wrong_total(path: Path, data: h5py.Group, demos: list[str]) -> list[Finding]:
    """The file's own sum of frames is all that tells when a whole demo has been lost from it."""
    total = attribute(path, data, "total")
    if not _is_integer(total):
        return []
    lengths = []
    for demo in demos:
        try:
            lengths.append(attribute(path, find_group(path, data, demo), "num_samples"))
        except BadData:
            return []  # reading that demo says why
    if not all(_is_integer(length) for length in lengths) or sum(lengths) == total:
        return []
    text = f"{path.name}: the file claims {int(total)} frames in all, its {len(demos)} demos have {int(sum(lengths))}"
    return [Finding("wrong-totals", "warning", text, field="/data total")]


def _look(files: Files, places: Mapping[str, Place]) -> Iterator[tuple[str, Mapping[str, Leaf] | BadData]]:
    for key, place in places.items():
        try:
            group = find_group(place.file, files.get(place.file), place.group)
            yield key, leaves(place.file, group)
        except BadData as error:
            yield key, error


def _frame_sizes(files: Files, places: Mapping[str, Place]) -> set[tuple[int, ...]]:
    """Sizes of the simulator's state, which may differ between scenes."""
    sizes = set()
    for place in places.values():
        try:
            states = resolve(place.file, find_group(place.file, files.get(place.file), place.group), "states")
        except BadData:
            continue
        if isinstance(states, h5py.Dataset):
            with guarded(place.file, f"/{place.group}/states"):
                sizes.add(tuple(int(n) for n in states.shape[1:]))
    return sizes


def _meta(files: Files, place: Place) -> dict[str, Any]:
    return _json(attribute(place.file, find_group(place.file, files.get(place.file), place.group), "ep_meta"))


def _control_rate(environment: Mapping[str, Any]) -> float | None:
    """Hz: robosuite's `control_freq`, or Isaac Lab's physics step and decimation."""
    try:
        if "control_freq" in environment.get("env_kwargs", {}):
            return float(environment["env_kwargs"]["control_freq"])
        arguments = environment["sim_args"]
        return 1 / (float(arguments["dt"]) * int(arguments["decimation"]))
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None


def _attribute_rate(files: Files, place: Place) -> float | None:
    file = files.get(place.file)
    said = said_rate(place.file, (file, *(find_group(place.file, file, name) for name in ("data", place.group))))
    return said[0] if said is not None else None


def _plan(
    path: Path, common: Mapping[str, Leaf], unmapped: dict[str, str], state_sizes: set[tuple[int, ...]]
) -> ReadingPlan:
    columns, cameras = [], []
    vectors = [n for n, leaf in common.items() if n.startswith("obs/") and not unfit(leaf)]
    for name, leaf in common.items():
        if name.startswith("next_obs/"):
            unmapped[name] = "the next row of obs"
        elif leaf.dtype == "uint8" and len(leaf.frame) == 3 and leaf.frame[2] == 3 and name.startswith("obs/"):
            field = Field(f"observation.images.{_dotted(name[4:])}", leaf.frame, "uint8")
            cameras.append(Camera(field, name, "pictures encoded"))
        elif name == "states" and len(state_sizes) > 1:
            unmapped[name] = f"its size differs between demos: {sorted(state_sizes)}"
        elif reason := unfit(leaf) or ("one value per episode" if name.startswith("initial_state/") else ""):
            unmapped[name] = reason
        else:
            columns.append(_column(name, leaf, alone=vectors == [name]))
    unmapped["/mask"] = "kept as provenance.details.masks"
    unmapped["attributes env_args, model_file"] = "kept as hashes and names in provenance"
    if not any(c.field.name == "action" for c in columns):
        raise BadData(path, "actions", "a numeric dataset in every demo", unmapped.get("actions", "none"))
    return ReadingPlan(ordered(columns), tuple(cameras), unmapped)


def _dotted(name: str) -> str:
    return name.replace("/", ".")


def _column(name: str, leaf: Leaf, *, alone: bool) -> Column:
    if name in ("rewards", "dones"):
        return column(_NAMES[name], name, leaf, unit="1", mode="absolute")
    if name in _NAMES:
        return column(_NAMES[name], name, leaf)
    top, _, rest = name.partition("/")
    if top == "obs":
        return column("observation.state" if alone else f"observation.{_dotted(rest)}", name, leaf)
    if top == "states":
        return column(f"simulator.state.{_dotted(rest)}", name, leaf)
    if top.startswith(("action", "processed_action")):
        return column(f"commanded.{_dotted(name)}", name, leaf)
    # a name with a dot is a column's own: what an export of ours wrote beside robomimic's
    return column(name if "." in name and "/" not in name else f"recorded.{_dotted(name)}", name, leaf, unit=UNKNOWN)
