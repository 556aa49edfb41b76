"""Plain videos of a handheld gripper's camera, whose trajectory is computed here.

    <folder>/*.mp4, <folder>/raw_videos/*.mp4, <folder>/demos/*/raw_video.mp4   one demonstration each, but
    mapping*                 a slow look around, mapped together with every demonstration
    gripper_calibration*     the gripper opens and closes fully; its widths are the range

The lens is that of a calibration (`load_lens`), the printed tags those of `collect tags`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData, Finding, Pose, Stream
from roboscale.sources.capture.poses import Poses
from roboscale.sources.capture.showing import video_camera
from roboscale.sources.capture.track import CapturedView, HandDemonstration, PoseTrack, Sigma, SourceFigure, ViewLens
from roboscale.sources.handheld.finger_tags import (
    FingerTags,
    Widths,
    bridged_widths,
    said_of_widths,
    widths_seen,
)
from roboscale.sources.handheld.inertial import read_inertial
from roboscale.sources.handheld.lens import load_lens
from roboscale.sources.handheld.mapping.kept import Arrays, clip_digest, kept
from roboscale.sources.handheld.mapping.layout import TagLayout, load_layout
from roboscale.sources.handheld.mapping.looking import Look, look_at
from roboscale.sources.handheld.mapping.trajectory import CameraPath, path_by_map, path_by_tags
from roboscale.sources.handheld.umi import CAMERA_TO_TIP

__all__ = ["HandheldClips", "MappingOptions", "find_clips"]

_VIDEOS = (".mp4", ".mov")
_MAPPING, _GRIPPER = "mapping", "gripper_calibration"
_VERSION = "1"  # of what is kept: another one for whatever changes a trajectory


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingOptions:
    """How trajectories are computed.

    Args:
        intrinsics: calibration of the camera (JSON).
        layout: tags.json of `collect tags`; `None` leaves scale to an accelerometer.
        by: a map of the pictures, or the tags alone.
        keyframes_hz: of the map.
        mask: a picture, black where every frame shows what moves with the camera.
        folder: where trajectories are kept; `None` computes them at every opening.
        tip: metres from the camera to the tool's tip, in the camera's axes; UMI's where left out.
        opens: metres that the gripper truly opens to; 0 where nobody measured it.
        video: whether the pictures are taken.
    """

    intrinsics: Path | None = None
    layout: Path | None = None
    by: Literal["map", "tags"] = "map"
    keyframes_hz: float = 10.0
    mask: Path | None = None
    folder: Path | None = None
    tip: tuple[float, ...] = ()
    opens: float = 0.0
    video: bool = True


def find_clips(path: Path) -> list[Path]:
    """Every video of a folder of recordings, in order, or the one file."""
    if path.is_file():
        return [path] if path.suffix.lower() in _VIDEOS else []
    patterns = ("*", "raw_videos/*", "demos/*/raw_video.*")
    return sorted(f for p in patterns for f in path.glob(p) if f.is_file() and f.suffix.lower() in _VIDEOS)


def _key(file: Path) -> str:
    return file.parent.name if file.stem == "raw_video" else file.stem


def _left(root: Path, clips: Sequence[Path], options: MappingOptions) -> dict[str, str]:
    """Files of a folder that nobody reads, by their endings."""
    known = {*clips, *(p for p in (options.intrinsics, options.layout, options.mask) if p is not None)}
    files = sorted(f for f in root.rglob("*") if f.is_file() and f not in known) if root.is_dir() else []
    left: dict[str, list[str]] = {}
    for file in files:
        left.setdefault(file.suffix.lower() or "files without an ending", []).append(str(file.relative_to(root)))
    return {suffix: f"{len(names)} that are no videos, e.g. {names[0]}" for suffix, names in left.items()}


class HandheldClips:
    """See the module, and `CaptureSource` for what is promised.

    Args:
        path: folder of recordings, or one video.

    Raises:
        BadData: there is no video but those that help, or the calibration, the layout or the mask is broken.
    """

    format, licence, device = "clips", "", "handheld camera"

    def __init__(self, path: Path, options: MappingOptions) -> None:
        self.root, self._options = path, options
        clips = find_clips(path)
        demonstrations = [f for f in clips if not _key(f).startswith((_MAPPING, _GRIPPER))]
        self._files = {_key(f): f for f in demonstrations}
        if twice := sorted(str(f) for f in demonstrations if self._files[_key(f)] != f):
            raise BadData(
                path, "videos", "a name of its own for each", f"{twice[0]} and {self._files[_key(Path(twice[0]))]}"
            )
        self._helpers = [f for f in clips if _key(f).startswith(_MAPPING)]
        self._gripper = [f for f in clips if _key(f).startswith(_GRIPPER)]
        if not self._files:
            raise BadData(path, "videos", f"one that is not called {_MAPPING} or {_GRIPPER}", len(clips))
        if options.intrinsics is None:
            raise BadData("--intrinsics", "intrinsics", "a calibration of the clips' camera (JSON)", "none")
        self._lens = load_lens(options.intrinsics)
        self._layout: TagLayout | None = None if options.layout is None else load_layout(options.layout)
        if options.by == "tags" and self._layout is None:
            raise BadData("--layout", "layout", "tags.json of `collect tags`, for --by tags", "none")
        self._tip = Pose.make(options.tip or CAMERA_TO_TIP)
        self.keys: Sequence[str] = tuple(self._files)
        self.unmapped: Mapping[str, str] = _left(path, clips, options)
        self.origins: Mapping[str, str] = {
            "poses": f"the video, by {'a map of keyframes' if options.by == 'map' else 'printed tags'}, at the tip",
            "time": "the video's frames at its rate",
            "camera wrist": "the video",
            "camera pose": "the video",
        }
        self.findings: Sequence[Finding] = self._said()

    def demonstration(self, key: str) -> HandDemonstration:
        """One video with its trajectory. `CaptureSource` says what is promised."""
        file = self._files[key]
        view = video_camera(file, np.zeros(0, np.int64), "wrist")
        lens = self._lens.at(view.shape[1], view.shape[0])
        arrays, said = kept(self._place(file), lambda: self._made(file))
        count, frames = len(arrays["valid"]), np.arange(len(arrays["valid"]))
        time_ns = np.round(frames * 1e9 / view.rate_hz).astype(np.int64)
        camera = Poses(arrays["rotation"], arrays["translation"])
        valid = arrays["valid"].astype(bool)
        findings = [Finding.from_json(one) for one in said["findings"]]
        effector, names, share = self._effector(arrays, time_ns, findings)
        valid = valid & np.isfinite(effector).all(axis=1)
        track = PoseTrack(
            name="",
            poses=camera @ self._tip,
            valid=valid,
            effector=np.nan_to_num(effector),
            effector_names=names,
            sigma=self._sigma(arrays, said["how"]),
        )
        shown = ViewLens(
            width=lens.width, height=lens.height, fx=lens.fx, fy=lens.fy, cx=lens.cx, cy=lens.cy, k=lens.k
        )
        view = replace(view, frames=frames, lens=shown, poses=camera)
        cameras: dict[str, CapturedView] = {"wrist": view} if self._options.video else {}
        streams: Mapping[str, Stream] = read_inertial(file, time_ns[:0], camera[:0], valid[:0]).streams
        assert count == len(view.pictures)
        return HandDemonstration(
            key=key,
            time_ns=time_ns,
            tracks=(track,),
            cameras=cameras,
            streams=streams,
            frame=said["frame"],
            scale=said["scale"],
            rate_hz=view.rate_hz,
            sync_s=said["sync_s"],
            tags_seen=share,
            figures=tuple(SourceFigure(**one) for one in said["figures"]),
            drop=said["drop"],
            findings=tuple(findings),
        )

    def _sigma(self, arrays: Arrays, how: str) -> Sigma:
        """At the tip, which a turn of the camera moves."""
        lever = float(np.linalg.norm(self._tip.translation)) * arrays["sigma_rad"]
        return Sigma(position=np.hypot(arrays["sigma_m"], lever), rotation=arrays["sigma_rad"], how=how)

    def _place(self, file: Path) -> Path | None:
        """Where the trajectory of a clip is kept: its name has all that it follows from."""
        folder, o = self._options.folder, self._options
        if folder is None:
            return None
        facts = repr((_VERSION, self._lens, self._layout, o.by, o.keyframes_hz))
        others = self._helpers if o.by == "map" else []
        masked = [o.mask] if o.mask is not None else []
        return folder / f"{_key(file)}-{clip_digest(facts, file, *others, *masked)}.npz"

    def _made(self, file: Path) -> tuple[Arrays, dict[str, Any]]:
        look, o = look_at(file), self._options
        lens = self._lens.at(look.shape[1], look.shape[0])
        if o.by == "tags":
            assert self._layout is not None
            path = path_by_tags(look, lens, self._layout)
        else:
            path = path_by_map(
                [look, *self._helping(look)],
                lens,
                self._layout,
                keyframes_hz=o.keyframes_hz,
                mask=_mask(o.mask, look.shape),
                fingers=(self._fingers.left, self._fingers.right),
            )
        widths = widths_seen(look.tags, lens, FingerTags())
        return _arrays(path, widths), _said_of(path)

    def _helping(self, look: Look) -> list[Look]:
        for other in self._mapped:
            if other.shape != look.shape:
                raise BadData(
                    other.video, "pictures", f"{list(look.shape)} as in {look.video.name}", list(other.shape)
                )
        return self._mapped

    @cached_property
    def _mapped(self) -> list[Look]:
        return [look_at(file) for file in self._helpers]

    @cached_property
    def _fingers(self) -> FingerTags:
        """What the tags on the fingers show when the gripper is closed, and how much too large they look."""
        if not self._gripper:
            return FingerTags()
        look = look_at(self._gripper[0])
        seen = widths_seen(look.tags, self._lens.at(look.shape[1], look.shape[0]), FingerTags())
        both = seen.metres[seen.both]
        if len(both) < 10:
            expected = "both finger tags in at least 10 frames"
            raise BadData(self._gripper[0], "gripper calibration", expected, f"{len(both)} of {len(look.tags)}")
        closed, opened = (float(v) for v in np.percentile(both, (2, 98)))
        opens = self._options.opens
        return FingerTags(closed_m=closed, scale=opens / (opened - closed) if opens else 1.0)

    def _effector(
        self, arrays: Arrays, time_ns: NDArray[np.int64], findings: list[Finding]
    ) -> tuple[NDArray[np.float64], tuple[str, ...], float | None]:
        """Widths (N, 1), their name and the share of frames that show a finger's tag; (N, 0) where none ever does."""
        apart = Widths(metres=arrays["apart"], both=arrays["both"].astype(bool))
        if not np.isfinite(apart.metres).any():
            text = "no tag of the fingers is seen: the width is not known, the effector has 0 joints"
            findings.append(Finding("no-width", "warning", text))
            return np.zeros((len(time_ns), 0)), (), None
        fingers = self._fingers
        widths = Widths(metres=(apart.metres - fingers.closed_m) * fingers.scale, both=apart.both)
        filled = bridged_widths(widths.metres, time_ns)
        findings += said_of_widths(widths, filled)
        return filled[:, None], ("gripper_width",), widths.share

    def _said(self) -> list[Finding]:
        found, o = [], self._options
        if not o.tip:
            text = f"the tip is taken to be where UMI's gripper has it, {list(CAMERA_TO_TIP)} m from the camera: --tip"
            found.append(Finding("assumed-tip", "warning", text))
        if not self._gripper:
            text = f"no {_GRIPPER}* clip: widths are distances of the finger tags' middles, not from closed"
            found.append(Finding("width-range", "warning", text))
        elif not o.opens:
            text = "widths are by the printed size of the tags alone: --opens says how far the gripper truly opens"
            found.append(Finding("width-scale", "warning", text))
        if self._helpers and o.by == "tags":
            text = f"{', '.join(f.name for f in self._helpers)}: --by tags makes no map, the clip is not used"
            found.append(Finding("clip-not-used", "warning", text))
        return found


def _arrays(path: CameraPath, widths: Widths) -> Arrays:
    return {
        "rotation": path.poses.rotation,
        "translation": path.poses.translation,
        "valid": path.valid,
        "sigma_m": path.sigma.position,
        "sigma_rad": path.sigma.rotation,
        "apart": widths.metres,
        "both": widths.both,
    }


def _said_of(path: CameraPath) -> dict[str, Any]:
    return {
        "how": path.sigma.how,
        "frame": path.frame,
        "scale": path.scale,
        "drop": path.drop,
        "sync_s": path.inertial.sync_s,
        "figures": [one.to_json() for one in path.figures],
        "findings": [one.to_json() for one in path.findings],
    }


def _mask(file: Path | None, shape: tuple[int, int, int]) -> NDArray[np.bool_] | None:
    """(H, W) True where features may be; BadData for a picture of another size."""
    if file is None:
        return None
    from PIL import Image

    try:
        with Image.open(file) as opened:
            made = np.asarray(opened.convert("L")) >= 128
    except OSError as error:
        raise BadData(file, "mask", "a picture", error) from error
    if made.shape != shape[:2]:
        raise BadData(file, "mask", f"{shape[1]} x {shape[0]}, as the video", f"{made.shape[1]} x {made.shape[0]}")
    return made
