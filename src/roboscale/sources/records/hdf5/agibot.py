"""AgiBot World: `proprio_stats/<task>/<episode>/proprio_stats.h5` beside videos, depth and one JSON per task.

Layout and units: the README of AgiBotWorld-Alpha and -Beta. AgiBot's simulated "Digital World" has the same folders
with 34 joints and quaternions in another order: where the joints are not 14, nothing is declared.

Known defects of the published data, each an error that names both sides: actions longer than states, videos of zero
bytes or cut off.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roboscale.core import BadData, Clip, Field, Pictures, Provenance, RoboscaleError
from roboscale.sources.records.hdf5.clips import open_clip, video_header
from roboscale.sources.records.hdf5.common import Files, Leaf, leaves, load_any_json, natural, open_file
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

__all__ = ["Agibot", "detect", "open_agibot"]

_H5 = "proprio_stats.h5"
_ARMS = tuple(f"{side}_arm_{i}" for side in ("left", "right") for i in range(7))
_XYZ = tuple(f"{side}_{axis}" for side in ("left", "right") for axis in "xyz")
_GRIPPERS = ("left_gripper", "right_gripper")

_NEEDED = ("state/", "action/")  # every episode has every dataset, if only an empty one

_MEANINGS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "state/joint/position": ("rad", _ARMS),
    "action/joint/position": ("rad", _ARMS),
    "state/effector/position": ("mm", tuple(f"{n}_width" for n in _GRIPPERS)),
    "action/effector/position": ("1", tuple(f"{n}_closedness" for n in _GRIPPERS)),
    "state/end/position": ("m", ()),
    "action/end/position": ("m", ()),
    "state/end/orientation": ("1", ()),
    "action/end/orientation": ("1", ()),
    "state/head/position": ("rad", ("yaw", "pitch")),
    "action/head/position": ("rad", ("yaw", "pitch")),
    "state/waist/position": ("mixed", ("pitch_rad", "lift_m")),
    "action/waist/position": ("mixed", ("pitch_rad", "lift_m")),
    "state/robot/position": ("m", ("x", "y", "z")),
    "state/robot/orientation": ("1", ("x", "y", "z", "w")),
    "action/robot/velocity": ("mixed", ("x_m_per_s", "yaw_rad_per_s")),
}
"""What the README fixes: unit and names. The flange's orientation is a quaternion xyzw, left arm first."""


def detect(path: Path) -> str | None:
    """`agibot` when the folder has `proprio_stats/<task>/<episode>/proprio_stats.h5`."""
    return "agibot" if path.is_dir() and next((path / "proprio_stats").glob(f"*/*/{_H5}"), None) else None


@dataclass(frozen=True)
class Agibot:
    """Where AgiBot World's episodes lie: key `<task>/<episode>`."""

    root: Path
    rate_hz: float
    tasks: Mapping[str, Mapping[str, Mapping[str, Any]]]

    def place(self, key: str) -> Place:
        return Place(self.root / "proprio_stats" / key / _H5)

    def roles(self, key: str) -> Mapping[str, str]:
        return {}

    def pictures(self, files: Files, key: str, camera: Camera, length: int) -> Clip | Pictures:
        video = self.root / "observations" / key / "videos" / camera.source.rpartition("/")[2]
        return open_clip(video, length, self.rate_hz, camera.field.shape)

    def facts(self, files: Files, key: str, length: int) -> Facts:
        task, episode = key.split("/")
        said = self.tasks.get(task, {}).get(episode, {})
        details = {"task_id": task, "episode_id": episode}
        details |= {name: said[name] for name in ("init_scene_text", "label_info", "lable_info") if name in said}
        provenance = Provenance("records.agibot", task=f"task_{task}", details=details)
        return Facts(provenance=provenance, instruction=str(said.get("task_name") or ""))


def open_agibot(
    path: Path, format: str = "agibot", *, fps: float | None = None, task: str | int | None = None
) -> Hdf5Recording:
    """Opens a folder that holds `proprio_stats`, `observations` and `task_info`.

    `observation.state` is the joints' and the effectors' positions side by side, `action` their commands; everything
    else keeps a column of its own, commands as `commanded.<name>`.

    Args:
        fps: rate in Hz; by default that of the videos.
        task: one task of several, e.g. 327; needed where their robots differ (gripper or hand).

    Raises:
        BadData: no episode, or none that can be read.
        RoboscaleError: no rate, or tasks that differ.
    """
    stats = path / "proprio_stats"
    keys = sorted((f"{p.parts[-3]}/{p.parts[-2]}" for p in stats.glob(f"*/*/{_H5}")), key=natural)
    keys = [key for key in keys if task is None or key.split("/")[0] == str(task)]
    if not keys:
        raise BadData(path, "episodes", f"proprio_stats/{task or '<task>'}/<episode>/{_H5}", "none")
    tasks = sorted({key.split("/")[0] for key in keys}, key=natural)
    _require_same_robot(path, keys, tasks)
    surveyed = survey(_look(stats, spread(keys)), _NEEDED)
    headers = _headers(path, keys)
    rate = need_rate(path, fps, next((header[1] for header in headers.values()), None))
    layout = Agibot(path, rate, {name: _episodes(path / "task_info" / f"task_{name}.json") for name in tasks})
    plan = _plan(surveyed, stats / surveyed.first[0] / _H5, headers)
    missing = {
        c.field.name: [k for k in keys if not (path / c.source.replace("{episode}", k)).is_file()]
        for c in plan.cameras
    }
    return Hdf5Recording(
        "agibot", path, layout, keys, plan=plan, rate_hz=rate, missing=missing, differing=surveyed.differing
    )


def _look(stats: Path, keys: Sequence[str]) -> Iterator[tuple[str, Mapping[str, Leaf] | BadData]]:
    for key in keys:
        try:
            with open_file(stats / key / _H5) as file:
                arrays = leaves(stats / key / _H5, file)
            _check_lengths(stats / key / _H5, arrays)
            yield key, arrays
        except BadData as error:
            yield key, error


def _check_lengths(path: Path, arrays: Mapping[str, Leaf]) -> None:
    """Actions must be as long as states: the published data has episodes where they are not."""
    states = next((leaf.shape[0] for n, leaf in arrays.items() if n.startswith("state/") and not unfit(leaf)), 0)
    for name, leaf in arrays.items():
        if name.startswith("action/") and not name.endswith("/index") and not unfit(leaf) and leaf.shape[0] != states:
            raise BadData(path, name, f"{states} rows as the states have", f"{leaf.shape[0]} rows")


def _require_same_robot(path: Path, keys: Sequence[str], tasks: Sequence[str]) -> None:
    sizes: dict[str, list[str]] = {}
    for task in tasks:
        mine = [key for key in keys if key.split("/")[0] == task]
        for _, arrays in _look(path / "proprio_stats", mine):
            if isinstance(arrays, BadData):
                continue
            widths = {n: arrays[n].frame for n in ("state/joint/position", "state/effector/position") if n in arrays}
            sizes.setdefault(str(widths), []).append(task)
            break
    if len(sizes) > 1:
        lines = "; ".join(f"{widths} in task {', '.join(names)}" for widths, names in sizes.items())
        raise RoboscaleError(f"{path}: the tasks have different robots: {lines}; name one with the option task")


def _headers(path: Path, keys: Sequence[str]) -> dict[str, tuple[int, float, tuple[int, int, int]]]:
    """Video file name -> header of the first such video that can be opened, whichever episode it belongs to."""
    headers: dict[str, tuple[int, float, tuple[int, int, int]]] = {}
    for key in keys:
        for video in sorted((path / "observations" / key / "videos").glob("*.mp4")):
            if video.name not in headers:
                with contextlib.suppress(BadData):  # reading its episode says what is wrong
                    headers[video.name] = video_header(video)
    return dict(sorted(headers.items()))


def _episodes(table: Path) -> dict[str, dict[str, Any]]:
    """Episode id -> what `task_info` says of it."""
    if not table.is_file():
        return {}
    rows = load_any_json(table)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise BadData(table, "file", "a list of episodes", type(rows).__name__)
    return {str(row.get("episode_id")): row for row in rows}


def _plan(
    surveyed: Survey, example: Path, headers: Mapping[str, tuple[int, float, tuple[int, int, int]]]
) -> ReadingPlan:
    columns, unmapped, rest = [], dict(surveyed.partial), dict(surveyed.common)
    arms = rest.get("state/joint/position")
    known = arms is not None and arms.frame == (len(_ARMS),)
    for name, top in (("action", "action"), ("observation.state", "state")):
        parts = {n: rest[n] for n in (f"{top}/joint/position", f"{top}/effector/position") if n in rest}
        parts = {n: leaf for n, leaf in parts.items() if not unfit(leaf)}
        if not parts:
            raise BadData(example, f"{top}/joint/position", "a numeric dataset", "none")
        columns.append(_stacked(name, parts, known))
        for part in parts:
            del rest[part]
    for name, leaf in rest.items():
        if name.endswith("/index"):
            unmapped[name] = "rows at which a command was sent, not one value per frame"
        elif reason := unfit(leaf):
            unmapped[name] = reason
        else:
            columns.append(_column(name, leaf, known))
    cameras = tuple(_camera(name, header[2]) for name, header in headers.items())
    unmapped |= {"observations/*/depth": "depth pictures", "parameters": "camera calibration files"}
    unmapped["task_info"] = "kept as instruction and provenance.details"
    return ReadingPlan(ordered(columns), cameras, unmapped)


def _stacked(name: str, parts: Mapping[str, Leaf], known: bool) -> Column:
    names: list[str] = []
    for part, leaf in parts.items():
        width = leaf.frame[0] if leaf.frame else 1
        unit, meaning = _MEANINGS[part]
        short = part.split("/")[1]
        own = meaning if known and len(meaning) == width else tuple(f"{short}_{i}" for i in range(width))
        names += [f"{n}_{unit}" if own is meaning and unit in ("rad", "mm") else n for n in own]
    mode = "absolute" if known else "unknown"
    return stack(name, parts, names, unit="mixed" if known else "unknown", mode=mode)


def _column(name: str, leaf: Leaf, known: bool) -> Column:
    top, _, rest = name.partition("/")
    dotted = rest.replace("/", ".")
    ours = {"state": f"observation.{dotted}", "action": f"commanded.{dotted}"}.get(top, f"recorded.{name}")
    if name == "timestamp" and leaf.dtype == "int64":
        return column("time.frame_ns", name, leaf, unit="ns", mode="absolute")
    unit, names = _MEANINGS.get(name, ("", ()))
    if not known or not unit or (names and leaf.frame != (len(names),)):
        return column(ours.replace("/", "."), name, leaf)
    return column(ours, name, leaf, unit=unit, mode="absolute", layout=names)


def _camera(video: str, shape: tuple[int, int, int]) -> Camera:
    name = video.removesuffix(".mp4").removesuffix("_color")
    source = "observations/{episode}/videos/" + video
    return Camera(Field(f"observation.images.{name}", shape, "uint8"), source, "remuxed")
