"""Which handheld capture a file or folder holds, and opens it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from roboscale.core import BadData, Finding, Recording, UnknownName
from roboscale.sources.capture.fields import FieldSource, PoseFields, load_field_map
from roboscale.sources.capture.recording import CaptureOptions, CaptureRecording
from roboscale.sources.capture.track import CaptureSource
from roboscale.sources.handheld.known import FASTUMI, FASTUMI_HZ, UMI_HZ, fastumi_mapping, grabette_map, umi_map
from roboscale.sources.handheld.mapping.clips import HandheldClips, MappingOptions, find_clips
from roboscale.sources.handheld.pose_log import PoseLog, find_logs
from roboscale.sources.handheld.umi import CAMERA_TO_TIP, UmiSession, find_trajectories
from roboscale.sources.records import detect, open_recording

__all__ = ["HANDHELD", "detect_handheld", "open_handheld"]

HANDHELD: Mapping[str, str] = MappingProxyType(
    {
        "clips": "videos of a handheld gripper's camera, to be mapped here (--intrinsics, --layout)",
        "umi-session": "camera_trajectory.csv of UMI's pipeline or of Grabette",
        "umi-zarr": "UMI's dataset.zarr.zip",
        "grabette": "a LeRobot set with Grabette's eight numbers",
        "fastumi": "FastUMI's episode_N.hdf5",
        "pose-log": "a table of poses of a phone, a headset or a tracker",
        "fields": "any recording that roboscale opens, with a TOML that says where the poses are (--declare)",
    }
)
"""Format -> what it is, in words."""


def detect_handheld(path: Path) -> str:
    """One of `HANDHELD`.

    Raises:
        BadData: nothing is there, or no reader knows it; says what lies there instead.
    """
    if not path.exists():
        raise BadData(path, "RECORDINGS", "a file or folder", "nothing")
    if find_trajectories(path):
        return "umi-session"
    if find_clips(path):
        return "clips"
    if _is_fastumi(path):
        return "fastumi"
    logs = find_logs(path)
    if logs:
        return "pose-log"
    known = "; ".join(f"{name}: {what}" for name, what in HANDHELD.items())
    try:
        format = detect(path)
    except BadData as error:
        raise BadData(path, "capture", f"one of {known}", error.found) from error
    if format == "umi-zarr":
        return format
    if format.startswith("lerobot") and grabette_map(open_recording(path, format).spec) is not None:
        return "grabette"
    raise BadData(
        path, "capture", f"one of {known}", f"a recording in format {format}; --declare says where its poses are"
    )


def _is_fastumi(path: Path) -> bool:
    file = path if path.is_file() else next(iter(sorted(path.glob("**/episode_*.hdf5"))), None)
    if file is None or file.suffix not in (".hdf5", ".h5"):
        return False
    from roboscale.sources.records.hdf5.common import open_file

    with open_file(file) as opened:
        qpos = opened.get("observations/qpos")
        return getattr(qpos, "ndim", 0) == 2 and qpos.shape[1] == 7 and "observations/qvel" not in opened


def open_handheld(
    path: Path,
    options: CaptureOptions,
    *,
    format: str = "",
    axes: str = "",
    declare: Path | None = None,
    tip: tuple[float, ...] = (),
    fps: float | None = None,
    video: bool = True,
    intrinsics: Path | None = None,
    opens: float = 0.0,
    mapping: MappingOptions | None = None,
) -> CaptureRecording:
    """Opens a capture; all poses are read, no picture is.

    Args:
        format: one of `HANDHELD`; detected when empty.
        axes: of a pose log; see `pose_log.CONVENTIONS`.
        declare: TOML that says which fields hold the poses of any other recording.
        tip: metres from a camera to the tool's tip, in the camera's axes; UMI's where left out.
        fps: of a recording that does not store it, Hz.
        video: whether pictures are taken.
        intrinsics: calibration of the camera (JSON), to map clips, and to measure a session's widths by tags.
        opens: metres that a session's gripper truly opens to.
        mapping: how clips are mapped; without, what the arguments above say, kept nowhere.

    Raises:
        BadData: the capture is broken or not known; names file, field and both sides.
        UnknownName: no such format.
    """
    if len(tip) not in (0, 3):
        raise BadData("--tip", "tip", "three numbers in metres", list(tip))
    if not path.exists():
        raise BadData(path, "RECORDINGS", "a file or folder", "nothing")
    format = format or ("fields" if declare is not None else detect_handheld(path))
    if format not in HANDHELD:
        raise UnknownName("format", format, HANDHELD)
    if format == "umi-session":
        session = UmiSession(path, camera_to_tip=tip or CAMERA_TO_TIP, video=video, intrinsics=intrinsics, opens=opens)
        return CaptureRecording(session, options)
    if format == "clips":
        asked = mapping or MappingOptions(intrinsics=intrinsics, tip=tip, opens=opens, video=video)
        return CaptureRecording(HandheldClips(path, asked), options)
    source = _source(path, format, axes, declare, fps, video)
    return CaptureRecording(source, options)


def _source(path: Path, format: str, axes: str, declare: Path | None, fps: float | None, video: bool) -> CaptureSource:
    if format == "pose-log":
        return PoseLog(path, axes=axes, video=video)
    raw, said = _fields(path, format, declare, fps)
    return FieldSource(raw, said, format, _assumed(format, fps))


def _assumed(format: str, fps: float | None) -> list[Finding]:
    """A rate that the format does not store and nobody gave."""
    rate = {"umi-zarr": UMI_HZ, "fastumi": FASTUMI_HZ}.get(format)
    if rate is None or fps is not None:
        return []
    text = f"{format} stores no rate; {rate:g} Hz, that of its recorder, is assumed (--fps takes another)"
    return [Finding("assumed-rate", "warning", text, evidence={"rate_hz": rate})]


def _fields(
    path: Path, format: str, declare: Path | None, fps: float | None
) -> tuple[Callable[[], Recording], PoseFields]:
    given: dict[str, Any] = {}
    if format == "fastumi":
        from roboscale.sources.records.own.bundle import find_episodes

        first = next(iter(find_episodes(path, "*.hdf5" if path.is_dir() else "")), None)
        if first is None:
            raise BadData(path, "episodes", "episode_N.hdf5", "none")
        given["mapping"] = fastumi_mapping(path, first.sources(), fps)
        return partial(open_recording, path, "own-layout", **given), FASTUMI
    if format == "umi-zarr":
        raw = partial(open_recording, path, "umi-zarr", fps=fps or UMI_HZ)
        return raw, umi_map(raw().spec)
    given = {"fps": fps} if fps and not _says_rate(path) else {}
    raw = partial(open_recording, path, **given)
    if format == "grabette":
        found = grabette_map(raw().spec)
        if found is None:
            raise BadData(path, "action", "x, y, z, ax, ay, az, proximal, distal", list(raw().spec.names))
        return raw, found
    if declare is None:
        raise BadData(path, "declaration", "a TOML that says where the poses are (--declare)", "none")
    return raw, load_field_map(declare)


def _says_rate(path: Path) -> bool:
    return detect(path).startswith(("lerobot", "gr00t", "mcap"))
