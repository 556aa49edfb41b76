"""A session of UMI's pipeline, or of whoever writes the same `camera_trajectory.csv` (Grabette does).

    <session>/demos/<name>/camera_trajectory.csv   frame_idx, timestamp, is_lost, x .. z, q_x .. q_w
    <session>/demos/<name>/raw_video.mp4           what the camera saw
    <session>/demos/mapping*/tx_slam_tag.json      where the table's tag is in the map
    <session>/demos/gripper_calibration*/gripper_range.json

Poses are `slam_from_camera`, OpenCV axes; rows of lost frames are zeros. Tag detections and plans of that pipeline are
pickles, which can run anything and are not opened.

Source: real-stanford/universal_manipulation_interface, scripts_slam_pipeline (MIT).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from roboscale.core import BadData, Finding, Pose, SpecMismatch
from roboscale.dataset.unfetched import require_fetched
from roboscale.sources.capture.poses import Poses
from roboscale.sources.capture.showing import video_camera
from roboscale.sources.capture.tables import LogTable, log_times, read_log
from roboscale.sources.capture.track import CapturedView, HandDemonstration, PoseTrack, ViewLens
from roboscale.sources.handheld.finger_tags import FingerTags, Widths, bridged_widths, said_of_widths, widths_of
from roboscale.sources.handheld.inertial import read_inertial
from roboscale.sources.handheld.lens import Lens, load_lens
from roboscale.sources.records.own.pictures import PickedFrames

__all__ = ["CAMERA_TO_TIP", "TRAJECTORY", "UmiSession", "find_trajectories"]

TRAJECTORY = "camera_trajectory.csv"
_VIDEO = "raw_video.mp4"
CAMERA_TO_TIP = (0.0, 0.086, 0.01465 + 0.205)
"""Metres from the camera to between the finger tips of UMI's gripper, in its camera's axes, as in its pipeline."""

_POSITION, _ROTATION = ("x", "y", "z"), ("q_x", "q_y", "q_z", "q_w")
_HELPERS = ("mapping", "gripper_calibration")


def find_trajectories(path: Path) -> list[Path]:
    """Every trajectory of a session, of a folder of demonstrations, or the one file, but those that only calibrate."""
    if path.is_file():
        return [path] if path.name.endswith(TRAJECTORY) else []
    found = sorted(
        p for pattern in (TRAJECTORY, f"*/{TRAJECTORY}", f"demos/*/{TRAJECTORY}") for p in path.glob(pattern)
    )
    return [p for p in found if not p.parent.name.startswith(_HELPERS)]


class UmiSession:
    """See the module, and `CaptureSource` for what is promised.

    Args:
        path: session, folder of demonstrations, or one trajectory.
        camera_to_tip: metres in the camera's axes.
        video: whether to take the pictures.
        opens: metres that the gripper truly opens to; 0 where nobody has measured it.
        intrinsics: calibration of the camera; with it the width is measured by the tags on the fingers.
    """

    format, licence, device = "umi-session", "", "umi"

    def __init__(
        self,
        path: Path,
        *,
        camera_to_tip: Sequence[float] = CAMERA_TO_TIP,
        video: bool = True,
        intrinsics: Path | None = None,
        opens: float = 0.0,
    ) -> None:
        self.root, self._tip = path, Pose.make(camera_to_tip)
        self._video, self._lens = video, None if intrinsics is None else load_lens(intrinsics)
        self._files = {self._key(file): file for file in find_trajectories(path)}
        self.keys: Sequence[str] = tuple(self._files)
        self._folder = path if path.is_dir() else path.parent
        self._tag, self._opens = self._tag_in_map(), opens
        self._fingers = self._finger_tags()
        self.unmapped: Mapping[str, str] = self._unmapped()
        self.origins: Mapping[str, str] = {
            "poses": f"{TRAJECTORY}: x .. q_w, of the camera, moved to the tip",
            "time": f"{TRAJECTORY}: timestamp",
            "camera wrist": _VIDEO,
            "camera pose": TRAJECTORY,
        }
        self.findings: Sequence[Finding] = self._findings()

    def demonstration(self, key: str) -> HandDemonstration:
        """One trajectory with its video. `CaptureSource` says what is promised."""
        file = self._files[key]
        columns = read_log(file)
        time_ns, findings = log_times(columns, "timestamp")
        valid = columns["is_lost"].astype(np.float64) == 0
        values = columns.stack((*_POSITION, *_ROTATION))
        values[~valid, 3:] = (0, 0, 0, 1)  # the zeros of a lost frame are no rotation
        camera = Poses.make(values[:, :3], values[:, 3:], "quat_xyzw", file)
        tips = camera @ self._tip
        if self._tag is not None:
            tips = tips.after(self._tag.inverse())
        seen = camera if self._tag is None else camera.after(self._tag.inverse())
        cameras = self._camera(file, columns, seen)
        widths = self._widths(file, columns)
        effector = np.zeros((len(valid), 0)) if widths is None else bridged_widths(widths.metres, time_ns)[:, None]
        if widths is not None:
            findings += said_of_widths(widths, effector[:, 0])
            valid = valid & np.isfinite(effector[:, 0])
            effector = np.nan_to_num(effector)
        track = PoseTrack(
            name="",
            poses=tips,
            valid=valid,
            effector=effector,
            effector_names=() if widths is None else ("gripper_width",),
        )
        inertial = read_inertial(file.with_name(_VIDEO), time_ns, camera, valid)
        scale = "the map's own, by a tag whose printed size is taken on trust"
        return HandDemonstration(
            key=key,
            time_ns=time_ns,
            tracks=(track,),
            cameras=cameras,
            frame="tag (z up)" if self._tag is not None else "slam map (no gravity)",
            scale=scale,
            streams=inertial.streams,
            sync_s=inertial.sync_s,
            tags_seen=None if widths is None else widths.share,
            findings=(*findings, *inertial.findings),
        )

    def _key(self, file: Path) -> str:
        return file.parent.name if self.root.is_dir() and file.parent != self.root else file.stem

    def _camera(self, file: Path, columns: LogTable, seen: Poses) -> dict[str, CapturedView]:
        video = file.with_name(_VIDEO)
        if not self._video or not video.exists():
            return {}
        frames = columns["frame_idx"].astype(np.int64)
        if (np.diff(frames) < 0).any() or frames.min(initial=0) < 0:
            raise BadData(file, "frame_idx", "frame numbers that do not go back", frames[:5].tolist())
        view = video_camera(video, frames, "wrist")
        if self._lens is None:
            return {"wrist": view}
        there = self._lens.at(view.shape[1], view.shape[0])
        lens = ViewLens(
            width=there.width, height=there.height, fx=there.fx, fy=there.fy, cx=there.cx, cy=there.cy, k=there.k
        )
        return {"wrist": replace(view, lens=lens, poses=seen)}

    def _finger_tags(self) -> FingerTags:
        """As the session's own calibration of the gripper says, else UMI's numbers."""
        files = sorted(self._folder.glob("demos/gripper_calibration*/gripper_range.json"))
        if not files and self._opens:
            expected = "demos/gripper_calibration*/gripper_range.json, for what the tags show of it"
            raise BadData(self._folder, "--opens", expected, "none")
        if not files:
            return FingerTags()
        said = _json(files[0])
        try:
            closed, opened = float(said["min_width"]), float(said["max_width"])
            if not opened > closed:
                raise BadData(files[0], "max_width", f"above min_width {closed:g}", opened)
            return FingerTags(
                left=int(said["left_finger_tag_id"]),
                right=int(said["right_finger_tag_id"]),
                closed_m=closed,
                scale=self._opens / (opened - closed) if self._opens else 1.0,
            )
        except (KeyError, TypeError, ValueError) as error:
            expected = "left_finger_tag_id, right_finger_tag_id, min_width and max_width"
            raise BadData(files[0], "gripper_range", expected, repr(error)) from error

    def _widths(self, file: Path, columns: LogTable) -> Widths | None:
        """Of the gripper in every frame; `None` where the lens is not known or there is no video."""
        video = file.with_name(_VIDEO)
        if self._lens is None or not video.exists():
            return None
        frames = columns["frame_idx"].astype(np.int64)
        view = video_camera(video, frames)
        lens: Lens = self._lens.at(view.shape[1], view.shape[0])
        return widths_of(PickedFrames(video, frames, view.shape), lens, self._fingers)

    def _tag_in_map(self) -> Pose | None:
        """`slam_from_tag`; `None` where nobody calibrated it."""
        places = [self._folder / "demos", self._folder, self._folder.parent]
        files = [file for place in places for file in sorted(place.glob("mapping*/tx_slam_tag.json"))]
        if not files:
            return None
        said = _json(files[0])
        matrix = np.asarray(said.get("tx_slam_tag") if isinstance(said, dict) else None, np.float64)
        if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
            raise BadData(files[0], "tx_slam_tag", "a 4 x 4 matrix", list(matrix.shape))
        turn = matrix[:3, :3]
        if not np.allclose(turn @ turn.T, np.eye(3), atol=1e-4) or np.linalg.det(turn) < 0:
            raise BadData(
                files[0], "tx_slam_tag", "a rotation without scale", f"determinant {np.linalg.det(turn):.4g}"
            )
        try:
            return Pose.make(matrix[:3, 3], turn.reshape(9), "matrix")
        except SpecMismatch as error:
            raise BadData(files[0], "tx_slam_tag", "a rigid transform", error) from error

    def _unmapped(self) -> dict[str, str]:
        left = {}
        for file in sorted(self._folder.rglob("*.pkl"))[:1000]:
            left[str(file.relative_to(self._folder))] = "a pickle can run anything and is not opened"
        for file in self._files.values():
            if (file.with_name("imu_data.json")).exists():
                left[str((file.with_name("imu_data.json")).relative_to(self._folder))] = "telemetry of the camera"
        return left

    def _findings(self) -> list[Finding]:
        found = []
        if self._tag is None:
            text = "no mapping*/tx_slam_tag.json: poses stay in the frame of the map, whose axes are not gravity's"
            found.append(Finding("no-table-frame", "warning", text))
        if self._lens is not None:
            if not self._opens:
                text = "widths are by the printed size of the tags alone, about 1 % too large: --opens says the truth"
                found.append(Finding("width-scale", "warning", text))
            return found
        text = "no width of the gripper (--intrinsics measures it by the fingers' tags): what the "
        text += "pipeline found lies in pickles, which are not opened; the effector has 0 joints"
        found.append(Finding("no-width", "warning", text))
        return found


def _json(path: Path) -> Any:
    require_fetched(path)
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise BadData(path, "file", "JSON", error) from error
