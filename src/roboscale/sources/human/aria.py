"""What Project Aria's machine perception services wrote, generation 1 and 2: trajectories and hands, as CSV.

    */closed_loop_trajectory.csv        tracking_timestamp_us, tx_world_device .. qw_world_device, quality_score
    */hand_tracking_results*.csv        21 key points a hand in the device's frame, confidence -1 where there is none
    */wrist_and_palm_poses*.csv         wrist and palm alone (generation 1), with normals in a later version

The order of the 21 is Aria's own: tips from thumb to little finger, wrist, ..., palm. Files of one recording share a
clock; hands and a trajectory whose times do not meet are two recordings and are not joined.

Source: facebookresearch/projectaria_tools, mps data formats (Apache-2.0).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData, Finding, RoboscaleError
from roboscale.sources.capture.poses import Poses
from roboscale.sources.capture.tables import LogTable, read_log
from roboscale.sources.capture.track import HandDemonstration, PoseTrack
from roboscale.sources.human.choosing import SIDES, choose_hands
from roboscale.sources.human.hand import Side, hand_track, mirrored
from roboscale.sources.human.joints import ORDERS

__all__ = ["AriaMps", "find_aria"]

_TIME = "tracking_timestamp_us"
_HANDS = re.compile(r"hand_tracking_results(_v\d+)?\.csv")
_PALMS = re.compile(r"wrist_and_palm_poses(_v\d+)?\.csv")
_WORLD = ("closed_loop_trajectory.csv", "open_loop_trajectory.csv")
_PALM_JOINTS = ("wrist", "palm")
_SLACK_NS = 50_000_000  # a hand up to this long before or after the trajectory still has a place in it


def find_aria(path: Path) -> dict[str, list[Path]]:
    """Files of each kind below a folder, or the one file: `hands`, `palms`, `world`, `vrs`; empty where none is."""
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    kinds: dict[str, list[Path]] = {}
    for file in files:
        if _HANDS.fullmatch(file.name):
            kinds.setdefault("hands", []).append(file)
        elif _PALMS.fullmatch(file.name):
            kinds.setdefault("palms", []).append(file)
        elif file.name in _WORLD:
            kinds.setdefault("world", []).append(file)
        elif file.suffix == ".vrs":
            kinds.setdefault("vrs", []).append(file)
    return kinds


class AriaMps:
    """See the module, and `CaptureSource` for what is promised. One recording: one demonstration.

    Args:
        path: a recording's folder, or one of its files alone.
        hands: see `choose_hands`.

    Raises:
        BadData: files of recordings that do not overlap, with the time range of each.
    """

    format, device, licence = "aria-mps", "aria", ""

    def __init__(self, path: Path, *, hands: str = "seen") -> None:
        self.root, self._asked = path, hands
        kinds = find_aria(path)
        self._hands, self._palms = _newest(kinds.get("hands", [])), _newest(kinds.get("palms", []))
        closed = [f for f in kinds.get("world", []) if f.name == _WORLD[0]]
        self._world = next(iter(closed or kinds.get("world", [])), None)
        used = [f for f in (self._hands, self._palms, self._world) if f is not None]
        if not used:
            raise BadData(path, "files", "hand_tracking_results.csv or a trajectory", "a VRS file alone holds neither")
        self._tables = {file: read_log(file) for file in used}
        self._refuse_strangers(kinds.get("vrs", []))
        self.keys: Sequence[str] = (path.stem if path.is_file() else path.name or "aria",)
        others = [f for files in kinds.values() for f in files if f not in used]
        self.unmapped: Mapping[str, str] = {
            str(f.relative_to(path)) if path.is_dir() else f.name: _why_not(f) for f in others
        }
        self.origins: Mapping[str, str] = {
            "poses": ", ".join(f.name for f in used),
            "time": _TIME,
            "points": (self._hands or self._palms or used[0]).name,
        }
        self.findings: Sequence[Finding] = ()

    def demonstration(self, key: str) -> HandDemonstration:
        """The whole recording. `CaptureSource` says what is promised."""
        file = self._hands or self._palms
        if file is None:
            return self._device_only(key)
        columns = self._tables[file]
        time_ns = _times_ns(columns)
        world, known, frame = self._device_poses(time_ns)
        points, valid = self._points(columns, world, known)
        chosen, findings = choose_hands(valid, self._asked, file)
        names = ORDERS["aria"] if file == self._hands else _PALM_JOINTS
        tracks = tuple(
            self._track(points[side], names, side, side if len(chosen) > 1 else "", columns, file) for side in chosen
        )
        for side in chosen:
            findings += mirrored(points[side], names, side, file.name)
        return HandDemonstration(
            key=key,
            time_ns=time_ns,
            tracks=tracks,
            frame=frame,
            scale="two cameras of known distance and an inertial sensor",
            findings=tuple(findings),
        )

    def _refuse_strangers(self, vrs: Sequence[Path]) -> None:
        """BadData where the files are not of one recording."""
        from roboscale.sources.human.vrs import vrs_range_s

        ranges = {}
        for file, columns in self._tables.items():
            times = columns[_TIME].astype(np.float64) * 1e-6
            ranges[file] = (float(times.min()), float(times.max()))
        for file in vrs:
            try:
                ranges[file] = vrs_range_s(file)
            except RoboscaleError as error:
                raise BadData(file, "records", "a complete VRS file", error) from error
        places = list(ranges.items())
        for i, (one, (a, b)) in enumerate(places):
            for other, (c, d) in places[i + 1 :]:
                if max(a, c) > min(b, d):
                    raise BadData(
                        self.root,
                        "recordings",
                        "files of one recording, whose times meet; name one of them alone",
                        f"{one.name} from {a:.3f} to {b:.3f} s and {other.name} from {c:.3f} to {d:.3f} s",
                    )

    def _device_only(self, key: str) -> HandDemonstration:
        assert self._world is not None
        columns = self._tables[self._world]
        poses, valid = _device(columns)
        track = PoseTrack(name="", poses=poses, valid=valid, effector=np.zeros((len(columns), 0)))
        text = "no hands: the trajectory of the glasses alone, whose motion is that of a head"
        return HandDemonstration(
            key=key,
            time_ns=_times_ns(columns),
            tracks=(track,),
            frame="world (z up)",
            scale="two cameras of known distance and an inertial sensor",
            findings=(Finding("no-hands", "info", text),),
        )

    def _device_poses(self, time_ns: NDArray[np.int64]) -> tuple[Poses, NDArray[np.bool_], str]:
        """`world_from_device` at the times of the hands: of each the nearest that was recorded."""
        if self._world is None:
            return Poses.identity(len(time_ns)), np.ones(len(time_ns), bool), "device (moves with the head)"
        columns = self._tables[self._world]
        poses, valid = _device(columns)
        times = _times_ns(columns)
        after = np.searchsorted(times, time_ns).clip(1, len(times) - 1)
        nearest = np.where(time_ns - times[after - 1] < times[after] - time_ns, after - 1, after)
        near = np.abs(times[nearest] - time_ns) <= _SLACK_NS
        return poses[nearest], valid[nearest] & near, "world (z up)"

    def _points(
        self, columns: LogTable, world: Poses, known: NDArray[np.bool_]
    ) -> tuple[dict[Side, NDArray[np.float64]], dict[Side, NDArray[np.bool_]]]:
        """Key points of both hands in the world, NaN where the file says -1."""
        points: dict[Side, NDArray[np.float64]] = {}
        valid: dict[Side, NDArray[np.bool_]] = {}
        for side in SIDES:
            if f"{side}_tracking_confidence" not in columns:
                continue
            seen = (columns[f"{side}_tracking_confidence"].astype(np.float64) >= 0) & known
            if f"tx_{side}_landmark_0_device" in columns:
                parts = [f"t{a}_{side}_landmark_{i}_device" for i in range(21) for a in "xyz"]
            else:
                parts = [f"t{a}_{side}_{joint}_device" for joint in _PALM_JOINTS for a in "xyz"]
            found = world.apply(columns.stack(parts).reshape(len(columns), -1, 3))
            found[~seen] = np.nan
            points[side], valid[side] = found, seen
        return points, valid

    def _track(
        self, points: NDArray[np.float64], names: Sequence[str], side: Side, name: str, columns: LogTable, file: Path
    ) -> PoseTrack:
        if len(names) == 21:
            return hand_track(points, names, side, name=name, where=file)
        return _palm_track(points, side, name, columns, file)


def _palm_track(points: NDArray[np.float64], side: Side, name: str, columns: LogTable, file: Path) -> PoseTrack:
    """Wrist and palm: x from one to the other, z along the palm's normal where the file has it."""
    normals = [f"n{a}_{side}_palm_device" for a in "xyz"]
    if not all(n in columns for n in normals):
        raise BadData(
            file,
            "columns",
            "normals of the palm, or hand_tracking_results.csv: two points have no orientation",
            "none",
        )
    known = np.isfinite(points).all(axis=(1, 2))
    wrist, palm = np.nan_to_num(points[:, 0]), np.nan_to_num(points[:, 1])
    forward, out = palm - wrist, -columns.stack(normals)  # Aria's normal leaves the palm, ours the back of the hand
    known &= (np.linalg.norm(forward, axis=1) > 1e-4) & (np.linalg.norm(out, axis=1) > 1e-4)
    rotation = np.tile(np.eye(3), (len(points), 1, 1))
    x = forward[known] / np.linalg.norm(forward[known], axis=1, keepdims=True)
    z = out[known] - np.einsum("ni,ni->n", out[known], x)[:, None] * x
    z /= np.maximum(np.linalg.norm(z, axis=1, keepdims=True), 1e-9)
    rotation[known] = np.stack([x, np.cross(z, x), z], axis=2)
    return PoseTrack(
        name=name,
        poses=Poses(rotation, palm),
        valid=known,
        effector=np.zeros((len(points), 0)),
        points=points,
        point_names=_PALM_JOINTS,
    )


def _device(columns: LogTable) -> tuple[Poses, NDArray[np.bool_]]:
    """Poses of the glasses, and where the file calls them good."""
    frame = "world_device" if "tx_world_device" in columns else "odometry_device"
    place = columns.stack([f"t{a}_{frame}" for a in "xyz"])
    turn = columns.stack([f"q{a}_{frame}" for a in "xyzw"])
    valid = np.linalg.norm(turn, axis=1) > 1e-6
    if "quality_score" in columns:
        valid &= columns["quality_score"].astype(np.float64) > 0
    turn[~valid] = (0, 0, 0, 1)
    return Poses.make(place, turn, "quat_xyzw", columns.path), valid


def _times_ns(columns: LogTable) -> NDArray[np.int64]:
    """Integer nanoseconds, exactly: the file has whole microseconds."""
    values = columns[_TIME]
    if values.dtype.kind != "i":
        raise BadData(columns.path, _TIME, "whole microseconds", values[0])
    back = np.flatnonzero(np.diff(values) <= 0)
    if len(back):
        row = int(back[0]) + 1
        raise BadData(columns.path, f"{_TIME} in row {row + 1}", f"after {values[row - 1]}", values[row])
    return np.asarray(values * 1000, np.int64)


def _newest(files: Sequence[Path]) -> Path | None:
    """Of several versions of one table the last: it has more columns."""
    return sorted(files, key=lambda f: f.name)[-1] if files else None


def _why_not(file: Path) -> str:
    if file.suffix == ".vrs":
        return "pictures and inertial sensors of the glasses are not read"
    if file.name == _WORLD[1]:
        return "the closed loop is used, which drifts less"
    return "another version of a table that is used"
