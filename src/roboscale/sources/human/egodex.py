"""EgoDex: hands, arms and head of a person with a headset, one HDF5 with one video a demonstration.

    <task>/N.hdf5   transforms/<joint> (T, 4, 4)   world_from_joint, ARKit's world: y up
                    confidences/<joint> (T,)       in newer files
                    camera/intrinsic (3, 3)        attributes: llm_description, task, environment ...
    <task>/N.mp4    1080p, 30 Hz

A joint is called by its name and nothing else; there are 25 a hand. Confidences lie near 0 or near 1.

Source: apple/ml-egodex, README (code MIT; data under the terms of its own licence).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData, Finding
from roboscale.sources.capture.axes import CONVENTIONS, points_to_z_up
from roboscale.sources.capture.poses import Poses
from roboscale.sources.capture.showing import video_camera
from roboscale.sources.capture.track import CapturedView, HandDemonstration, ViewLens
from roboscale.sources.human.choosing import SIDES, choose_hands
from roboscale.sources.human.hand import Side, hand_track, mirrored
from roboscale.sources.human.joints import EGODEX_JOINTS, NEEDED
from roboscale.sources.records.hdf5.common import attribute, guarded, natural, open_file

__all__ = ["EGODEX_HZ", "EgoDex", "find_egodex"]

EGODEX_HZ = 30.0
_LEAST = 0.1  # confidence; below it nothing was seen
_MOST = 100_000
_WIDTH = 1920  # pixels of the pictures that the intrinsics are for


def find_egodex(path: Path) -> list[Path]:
    """Files of its layout at a path, in natural order."""
    files = [path] if path.is_file() else sorted(path.rglob("*.hdf5"), key=lambda p: natural(str(p)))
    return [file for file in files[:_MOST] if file.suffix in (".hdf5", ".h5") and _is_one(file)]


def _is_one(file: Path) -> bool:
    if not h5py.is_hdf5(file):
        return False
    with open_file(file) as opened:
        group = opened.get("transforms")
        return isinstance(group, h5py.Group) and any(f"{side}Hand" in group for side in SIDES)


class EgoDex:
    """See the module, and `CaptureSource` for what is promised.

    Args:
        path: one file, a task's folder, or several.
        hands: see `choose_hands`; decided once, by the first file that can be read.
        video: whether pictures are taken; they show whoever was there.
    """

    format, device, licence = "egodex", "headset", ""

    def __init__(self, path: Path, *, hands: str = "seen", video: bool = False) -> None:
        self.root, self._asked, self._video = path, hands, video
        base = path if path.is_dir() else path.parent
        self._files = {str(f.relative_to(base).with_suffix("")): f for f in find_egodex(path)}
        self.keys: Sequence[str] = tuple(self._files)
        self._chosen: tuple[Side, ...] = ()
        self.unmapped: Mapping[str, str] = {
            "transforms of arms, spine, neck and hip": "of the hands only",
        }
        if not video:
            self.unmapped = {
                **self.unmapped,
                "camera/intrinsic, transforms/camera": "of the pictures, which are not taken",
                "N.mp4": "pictures of people are taken only with --video: faces in them are not looked for",
            }
        self.origins: Mapping[str, str] = {
            "poses": "transforms/<side>Hand and the key points of palm, thumb and index",
            "points": "transforms/<side><joint>",
            "time": f"frame number at {EGODEX_HZ:g} Hz",
            "camera head": "N.mp4",
            "camera pose": "transforms/camera",
        }
        self.findings: Sequence[Finding] = ()

    def demonstration(self, key: str) -> HandDemonstration:
        """One file. `CaptureSource` says what is promised."""
        file = self._files[key]
        with open_file(file) as opened, guarded(file, "transforms"):
            points, valid, names = _hands(file, opened)
            seen = self._seen(file, opened)
            text = _instruction(file, opened)
        findings: list[Finding] = []
        if not self._chosen:
            self._chosen, findings = choose_hands(valid, self._asked, file)
        count = len(next(iter(points.values())))
        for side in self._chosen:
            points[side][~valid[side]] = np.nan
        for side in self._chosen:
            findings += mirrored(points[side], names, side, file.name)
        tracks = tuple(
            hand_track(points[side], names, side, name=side if len(self._chosen) > 1 else "", where=file)
            for side in self._chosen
        )
        time_ns = np.round(np.arange(count) * (1e9 / EGODEX_HZ)).astype(np.int64)
        return HandDemonstration(
            key=key,
            time_ns=time_ns,
            tracks=tracks,
            cameras=self._camera(file, count, seen),
            frame="world (z up)",
            instruction=text,
            scale="the headset's cameras and inertial sensor",
            findings=tuple(findings),
        )

    def _camera(
        self, file: Path, count: int, seen: tuple[NDArray[np.float64], Poses] | None
    ) -> dict[str, CapturedView]:
        video = file.with_suffix(".mp4")
        if not self._video or not video.exists():
            return {}
        view = video_camera(video, np.arange(count, dtype=np.int64), "head")
        if seen is None or len(seen[1]) != count:
            return {"head": view}
        (fx, _, cx), (_, fy, cy), _ = (tuple(float(v) for v in row) for row in seen[0])
        factor = view.shape[1] / _WIDTH
        lens = ViewLens(
            width=view.shape[1], height=view.shape[0], fx=fx * factor, fy=fy * factor, cx=cx * factor, cy=cy * factor
        )
        return {"head": replace(view, lens=lens, poses=seen[1])}

    def _seen(self, file: Path, opened: h5py.File) -> tuple[NDArray[np.float64], Poses] | None:
        """Intrinsics (3, 3) at 1080p and `world_from_camera`, where the file has both and pictures are taken.

        The set's own projection multiplies camera coordinates by the intrinsics as they are: x right, y down, z ahead.
        """
        held = opened.get("camera/intrinsic")
        if not self._video or held is None or "camera" not in opened["transforms"]:
            return None
        inner = np.asarray(held[()], np.float64)
        if inner.shape != (3, 3) or not np.isfinite(inner).all():
            raise BadData(file, "camera/intrinsic", "(3, 3) finite numbers", list(inner.shape))
        matrix = _matrix(file, opened, "camera")
        if not np.isfinite(matrix).all():
            raise BadData(file, "transforms/camera", "finite numbers", "NaN or infinity")
        world = CONVENTIONS["arkit"][0]
        return inner, Poses(world @ matrix[:, :3, :3], matrix[:, :3, 3] @ world.T)


def _hands(
    file: Path, opened: h5py.File
) -> tuple[dict[Side, NDArray[np.float64]], dict[Side, NDArray[np.bool_]], tuple[str, ...]]:
    """Key points (T, 25, 3) of each hand with z up, where each hand is known, and the names of the 25."""
    points: dict[Side, NDArray[np.float64]] = {}
    valid: dict[Side, NDArray[np.bool_]] = {}
    names = tuple(EGODEX_JOINTS.values())
    for side in SIDES:
        parts, known = [], []
        for theirs, ours in EGODEX_JOINTS.items():
            name = f"{side}{theirs}"
            matrix = _matrix(file, opened, name)
            parts.append(matrix[:, :3, 3])
            confidence = opened.get(f"confidences/{name}")
            sure = np.ones(len(matrix), bool)
            if confidence is not None:
                values = np.asarray(confidence[()], np.float64).reshape(-1)
                if len(values) != len(matrix):
                    raise BadData(file, f"confidences/{name}", f"{len(matrix)} values, one a frame", len(values))
                sure = values >= _LEAST
            parts[-1] = np.where(sure[:, None] & np.isfinite(parts[-1]), parts[-1], np.nan)
            if ours in NEEDED:
                known.append(np.isfinite(parts[-1]).all(axis=1))
        lengths = {len(part) for part in parts}
        if len(lengths) > 1:
            raise BadData(file, f"transforms/{side}*", "as many frames for every joint", sorted(lengths))
        points[side] = points_to_z_up(np.stack(parts, axis=1), "arkit")
        valid[side] = np.logical_and.reduce(known)
    return points, valid, names


def _matrix(file: Path, opened: h5py.File, name: str) -> NDArray[np.float64]:
    """(T, 4, 4) of a joint."""
    held = opened.get(f"transforms/{name}")
    if held is None:
        there = ", ".join(sorted(n for n in opened["transforms"] if n.startswith(name[:4])))[:300]
        raise BadData(file, f"transforms/{name}", "(T, 4, 4)", f"no such joint; there are {there}")
    if held.ndim != 3 or held.shape[1:] != (4, 4) or held.dtype.kind != "f":
        raise BadData(file, f"transforms/{name}", "(T, 4, 4) floats", f"{held.dtype}{list(held.shape)}")
    return np.asarray(held[()], np.float64)


def _instruction(file: Path, opened: h5py.File) -> str:
    """The description that the file says is right, else its task with spaces."""
    which = attribute(file, opened, "which_llm_description")
    right = "llm_description2" if which is not None and str(which).strip() == "2" else "llm_description"
    for name in (right, "llm_description"):
        said = attribute(file, opened, name)
        if said is not None and str(said).strip():
            return str(said).strip()
    return file.parent.name.replace("_", " ")
