"""Which capture of hands a file or folder holds, and opens it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from roboscale.core import BadData, UnknownName
from roboscale.sources.capture.recording import CaptureOptions, CaptureRecording
from roboscale.sources.capture.track import CaptureSource

__all__ = ["HUMAN", "detect_human", "open_human"]

HUMAN: Mapping[str, str] = MappingProxyType(
    {
        "aria-mps": "hand_tracking_results.csv, wrist_and_palm_poses.csv or a trajectory of Project Aria",
        "egodex": "HDF5 with transforms/leftHand and the like",
        "video": "videos of hands, with the models that find them (--models)",
        "key-points": "estimates of hands in any file of arrays, with a TOML that says the order (--declare)",
    }
)
"""Format -> what it is, in words."""

_VIDEOS = (".mp4", ".mov", ".mkv", ".avi", ".webm")


def detect_human(path: Path) -> str:
    """One of `HUMAN`; BadData when nothing is there, or no reader knows it; says what lies there instead."""
    from roboscale.sources.human.aria import find_aria
    from roboscale.sources.human.egodex import find_egodex

    if not path.exists():
        raise BadData(path, "SOURCE", "a file or folder", "nothing")
    kinds = find_aria(path)
    if set(kinds) - {"vrs"}:
        return "aria-mps"
    if kinds:
        raise BadData(
            path,
            "capture",
            "hand_tracking_results.csv or a trajectory, which Aria's services make of a recording",
            f"{kinds['vrs'][0].name}, a recording of pictures and sensors without either",
        )
    if find_egodex(path):
        return "egodex"
    known = "; ".join(f"{name}: {what}" for name, what in HUMAN.items())
    if path.suffix.lower() in _VIDEOS:
        found = (
            "a video alone: --models names the models that find hands in it (the wheel that `pip download --no-deps "
            "mediapipe==0.10.21` fetches), --declare an estimator's key points"
        )
        raise BadData(path, "capture", f"one of {known}", found)
    raise BadData(path, "capture", f"one of {known}", "nothing of the kind")


def open_human(
    path: Path,
    options: CaptureOptions,
    *,
    format: str = "",
    hands: str = "seen",
    declare: Path | None = None,
    video: bool = False,
    models: Path | None = None,
    lens: tuple[float, ...] = (),
) -> CaptureRecording:
    """Opens a capture of hands; all poses are read, no picture is.

    Args:
        format: one of `HUMAN`; detected when empty.
        hands: `seen`, `left`, `right` or `both`.
        declare: TOML that says which arrays are which hand; see `keypoints`.
        video: whether pictures are taken: they show whoever was there.
        models: of a video, what finds hands in it: the wheel of mediapipe 0.10.21 or a folder.
        lens: of a video, fx, fy, cx, cy in pixels.

    Raises:
        BadData: the capture is broken or not known; names file, field and both sides.
        UnknownName: no such format, order or joint.
    """
    if not path.exists():
        raise BadData(path, "SOURCE", "a file or folder", "nothing")
    if not format:
        known = "key-points" if declare is not None else "video" if models is not None else ""
        format = known or detect_human(path)
    if format == "video":
        from roboscale.sources.human.hand_video import HandVideo

        if models is None:
            raise BadData(path, "models", "the models that find hands in a video (--models)", "none")
        return CaptureRecording(HandVideo(path, models, hands=hands, lens=lens, video=video), options)
    return CaptureRecording(_source(path, format, hands, declare, video), options)


def _source(path: Path, format: str, hands: str, declare: Path | None, video: bool) -> CaptureSource:
    if format == "aria-mps":
        from roboscale.sources.human.aria import AriaMps

        return AriaMps(path, hands=hands)
    if format == "egodex":
        from roboscale.sources.human.egodex import EgoDex

        return EgoDex(path, hands=hands, video=video)
    if format == "key-points":
        from roboscale.sources.human.keypoints import KeyPoints

        if declare is None:
            raise BadData(path, "declaration", "a TOML that says the order of the joints (--declare)", "none")
        return KeyPoints(path, declare, hands=hands, video=video)
    raise UnknownName("format", format, HUMAN)
