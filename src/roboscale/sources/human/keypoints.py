"""Estimates of hands as files: key points in 3D with a declared order of joints, or MANO's wrist and joint angles.

What a file holds is said by a small TOML beside it (`--declare`). Arrays are found by name in npz, npy, HDF5, zarr,
CSV, Parquet or JSON, as in `data import`:

    device = "WiLoR on a phone"
    rate_hz = 30                       # or time = "t" and time_unit = "s"
    axes = "arkit"                     # of the world; see capture.axes
    frame = "camera"                   # world, or camera: then it moves with it and nothing removes that
    unit = "m"                         # or mm
    video = "*.mp4"                    # beside each file; taken with --video only
    lens = [700, 700, 320, 240]        # fx, fy, cx, cy in pixels of it, where the frame is the camera
    instruction = "Pick up the cup."

    [hand.right]
    points = "right_xyz"               # (T, J, 3) or (T, 3 J)
    order = "mediapipe"                # one of the known orders, or the names of the J joints
    confidence = "right_score"         # (T,) or (T, J)
    least = 0.1
    sigma = 0.004                      # metres of one standard deviation, or the name of an array (T,)

    [hand.left]                        # MANO: the wrist and the angles of the fingers; no model is needed for these
    position = "left_transl"           # (T, 3)
    rotation = "left_global_orient"    # (T, k)
    layout = "rotvec"
    joints = "left_hand_pose"          # (T, n) radians

An estimate of one camera knows sizes up to a guess. Without `sigma` its poses are auxiliary targets and no actions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from roboscale.core import LAYOUTS, BadData, Finding
from roboscale.core.declared import Limit, Mistake, Positive, Text, read_declared
from roboscale.sources.capture.axes import CONVENTIONS, points_to_z_up, to_z_up
from roboscale.sources.capture.poses import Poses
from roboscale.sources.capture.showing import video_camera
from roboscale.sources.capture.track import CapturedView, HandDemonstration, PoseTrack, ViewLens
from roboscale.sources.human.choosing import SIDES, choose_hands
from roboscale.sources.human.hand import Side, hand_track, mirrored
from roboscale.sources.human.joints import order_of
from roboscale.sources.records.own.bundle import Bundle, find_episodes
from roboscale.sources.records.own.held import Held

__all__ = ["DeclaredHand", "DeclaredHands", "KeyPoints", "load_hands"]

_UNITS = {"m": 1.0, "mm": 1e-3}
_TIMES = {"s": 1e9, "ms": 1e6, "us": 1e3, "ns": 1.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredHand:
    """`[hand.left]` or `[hand.right]`; see the module."""

    points: str = ""
    order: str | tuple[str, ...] = ""
    confidence: str = ""
    least: float = 0.1
    sigma: str | Positive = ""
    position: str = ""
    rotation: str = ""
    layout: str = "rotvec"
    joints: str = ""

    def mistakes(self) -> Iterator[Mistake]:
        """Either key points with their order, or a wrist's position and rotation."""
        if bool(self.points) == bool(self.position):
            yield "points", "points, or position and rotation", "both" if self.points else "neither"
        if self.points and not self.order:
            yield "order", "the order of the joints: none is guessed", "nothing"
        if self.position and not self.rotation:
            yield "rotation", "the wrist's rotation", "nothing"
        if self.layout not in LAYOUTS:
            yield "layout", f"one of {', '.join(LAYOUTS)}", self.layout


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredHands:
    """The whole file; see the module."""

    hand: Annotated[Mapping[Literal["left", "right"], DeclaredHand], Limit("[hand.left] or [hand.right]", bool)]
    rate_hz: Positive | None = None
    time: str = ""
    time_unit: Literal["s", "ms", "us", "ns"] = "s"
    axes: Annotated[str, Limit(f"one of {', '.join(CONVENTIONS)}", CONVENTIONS.__contains__)] = "as-recorded"
    frame: Text = "world"
    unit: Literal["m", "mm"] = "m"
    episodes: str = ""
    groups: str = ""
    video: str = ""
    lens: tuple[float, ...] = ()
    instruction: str = ""
    device: str = ""
    licence: str = ""

    def mistakes(self) -> Iterator[Mistake]:
        """Something has to say when a frame was."""
        if self.rate_hz is None and not self.time:
            yield "rate_hz", "frames a second, or time = the array of times", "neither"
        if self.lens and len(self.lens) != 4:
            yield "lens", "fx, fy, cx, cy in pixels of the video", f"{len(self.lens)} numbers"
        if self.lens and (self.frame != "camera" or self.axes not in ("as-recorded", "opencv")):
            yield "lens", 'frame = "camera" with OpenCV axes: nothing else says where the camera is', self.frame


def load_hands(path: Path) -> DeclaredHands:
    """The user's TOML; BadData with file, key and both sides, UnknownName for an unknown order or joint."""
    said = read_declared(path, DeclaredHands, limit=2**20)
    for one in said.hand.values():
        if one.points:
            order_of(one.order)
    return said


class KeyPoints:
    """See the module, and `CaptureSource` for what is promised.

    Args:
        declare: the TOML.
        hands: see `choose_hands`; decided once, by the first file.
    """

    format = "key-points"

    def __init__(self, path: Path, declare: Path, *, hands: str = "seen", video: bool = False) -> None:
        self._said, self._video, self._asked = load_hands(declare), video, hands
        self.root, self.device, self.licence = path, self._said.device, self._said.licence
        bundles = find_episodes(path, self._said.episodes, self._said.groups)
        self._bundles = {b.key: b for b in map(self._uncut, bundles)}
        self.keys: Sequence[str] = tuple(self._bundles)
        if not self.keys:
            raise BadData(path, "episodes", "files with arrays", "none")
        self._chosen: tuple[Side, ...] = ()
        names = [str(n) for one in self._said.hand.values() for n in _named(one) if n]
        sources = list(self._bundles[self.keys[0]].sources())
        self.unmapped: Mapping[str, str] = {
            name: "the declaration does not name it" for name in sources if name not in (*names, self._said.time)
        }
        self.origins: Mapping[str, str] = {
            "poses": ", ".join(names),
            "points": ", ".join(one.points for one in self._said.hand.values() if one.points),
            "time": self._said.time or f"frame number at {self._said.rate_hz or 0:g} Hz",
            "camera scene": self._said.video,
        }
        self.findings: Sequence[Finding] = ()

    def demonstration(self, key: str) -> HandDemonstration:
        """One file or group. `CaptureSource` says what is promised."""
        bundle = self._bundles[key]
        sources = bundle.sources()
        made = {side: self._track(side, bundle, sources) for side in SIDES if side in self._said.hand}
        counts = {side: len(track.valid) for side, track in made.items()}
        if len(set(counts.values())) > 1:
            raise BadData(bundle.path, "frames", "as many for each hand", counts)
        findings: list[Finding] = []
        if not self._chosen:
            valid = {side: track.valid for side, track in made.items()}
            self._chosen, findings = choose_hands(valid, self._asked, bundle.path)
        for side in self._chosen:
            if (points := made[side].points) is not None:
                findings = [*findings, *mirrored(points, made[side].point_names, side, bundle.path.name)]
        tracks = tuple(_renamed(made[side], side if len(self._chosen) > 1 else "") for side in self._chosen)
        count = len(tracks[0].valid)
        return HandDemonstration(
            key=key,
            time_ns=self._times(bundle, sources, count),
            tracks=tracks,
            cameras=self._camera(bundle, count),
            frame=self._frame(),
            instruction=self._said.instruction,
            licence=self.licence,
            findings=tuple(findings),
        )

    def _uncut(self, bundle: Bundle) -> Bundle:
        """The whole file where the first axis of its key points is time: a short clip looks like many episodes."""
        if bundle.cut is None or bundle.cut[0] != "axis":
            return bundle
        whole = replace(bundle, key=bundle.key.rpartition("/")[0], cut=None)
        held = whole.sources()
        for one in self._said.hand.values():
            joints = len(order_of(one.order)) if one.points in held else 0
            if joints and tuple(held[one.points].shape) in ((joints, 3), (3 * joints,)):
                return whole
        return bundle

    def _frame(self) -> str:
        if self._said.frame == "camera":
            return "camera (moves with it)"
        return self._said.frame if self._said.axes == "as-recorded" else f"{self._said.frame} (z up)"

    def _track(self, side: Side, bundle: Bundle, sources: Mapping[str, Held]) -> PoseTrack:
        one = self._said.hand[side]
        if one.position:
            return self._wrist(one, bundle, sources)
        names = order_of(one.order)
        where = f"{bundle.path}: {one.points}"
        points = _numbers(bundle, sources, one.points)
        points = points.reshape(len(points), -1)
        if points.shape[1] != 3 * len(names):
            raise BadData(where, f"joints of the {side} hand", f"{len(names)} x 3 numbers", points.shape[1])
        points = points_to_z_up(points.reshape(len(points), len(names), 3) * _UNITS[self._said.unit], self._said.axes)
        if one.confidence:
            sure = _numbers(bundle, sources, one.confidence)
            sure = sure.reshape(len(sure), -1)
            if len(sure) != len(points) or sure.shape[1] not in (1, len(names)):
                expected = f"{len(points)} rows of 1 or {len(names)}"
                raise BadData(bundle.path, one.confidence, expected, list(sure.shape))
            points = np.where((sure >= one.least)[:, :, None], points, np.nan)
        sigma, how = self._sigma(one, bundle, sources, len(points))
        return hand_track(points, names, side, sigma_m=sigma, how=how, where=where)

    def _sigma(
        self, one: DeclaredHand, bundle: Bundle, sources: Mapping[str, Held], count: int
    ) -> tuple[NDArray[np.float64] | None, str]:
        if one.sigma == "":
            return None, ""
        if isinstance(one.sigma, float | int):
            return np.full(count, float(one.sigma)), f"declared: {one.sigma:g} m a key point"
        values = _numbers(bundle, sources, one.sigma).reshape(-1) * _UNITS[self._said.unit]
        if len(values) != count or not (values > 0).all():
            raise BadData(bundle.path, one.sigma, f"{count} errors above 0", f"{len(values)}, least {values.min():g}")
        return values, f"measured: {one.sigma} of the file"

    def _wrist(self, one: DeclaredHand, bundle: Bundle, sources: Mapping[str, Held]) -> PoseTrack:
        place = _numbers(bundle, sources, one.position).reshape(-1, 3) * _UNITS[self._said.unit]
        turn = _numbers(bundle, sources, one.rotation)
        turn = turn.reshape(len(turn), -1)
        if len(turn) != len(place):
            raise BadData(bundle.path, one.rotation, f"{len(place)} rows, as {one.position} has", len(turn))
        known = np.asarray(np.isfinite(place).all(axis=1) & np.isfinite(turn).all(axis=1))
        place[~known], turn[~known] = 0, turn[known][0] if known.any() else 0
        poses = Poses.make(place, turn, one.layout, bundle.path)
        if self._said.axes != "as-recorded":
            poses = to_z_up(poses, self._said.axes)
        joints = _numbers(bundle, sources, one.joints) if one.joints else np.zeros((len(place), 0))
        joints = joints.reshape(len(joints), -1)
        if len(joints) != len(place):
            raise BadData(bundle.path, one.joints, f"{len(place)} rows, as {one.position} has", len(joints))
        sigma, how = self._sigma(one, bundle, sources, len(place))
        names = tuple(f"finger_{i}" for i in range(joints.shape[1]))
        said = None
        if sigma is not None:
            text = (
                f"{one.position}: sigma says metres, and a wrist needs radians too: --sigma-position, --sigma-rotation"
            )
            raise BadData(bundle.path, "sigma", "none for a wrist without key points", f"{how}; {text}")
        return PoseTrack(
            name="",
            poses=poses,
            valid=known,
            effector=np.nan_to_num(joints),
            effector_names=names,
            effector_unit="rad",
            sigma=said,
        )

    def _times(self, bundle: Bundle, sources: Mapping[str, Held], count: int) -> NDArray[np.int64]:
        said = self._said
        if not said.time:
            return np.round(np.arange(count) * (1e9 / float(said.rate_hz or 1))).astype(np.int64)
        values = _held(bundle, sources, said.time)
        values = np.asarray(values).reshape(-1)
        if len(values) != count:
            raise BadData(bundle.path, said.time, f"{count} times, one a frame", len(values))
        if values.dtype.kind == "i":
            time_ns = values.astype(np.int64) * np.int64(_TIMES[said.time_unit])
        else:
            time_ns = np.round(values * _TIMES[said.time_unit]).astype(np.int64)
        back = np.flatnonzero(np.diff(time_ns) <= 0)
        if len(back):
            row = int(back[0]) + 1
            raise BadData(bundle.path, f"{said.time} in row {row}", f"after {values[row - 1]}", values[row])
        return time_ns

    def _camera(self, bundle: Bundle, count: int) -> dict[str, CapturedView]:
        if not self._video or not self._said.video:
            return {}
        folder = bundle.path if bundle.path.is_dir() else bundle.path.parent
        files = sorted(folder.glob(self._said.video))
        own = [f for f in files if f.stem == bundle.path.stem] or files
        if len(own) != 1:
            expected = f"one file {self._said.video} for {bundle.path.name}"
            raise BadData(folder, "video", expected, ", ".join(f.name for f in own) or "none")
        view = video_camera(own[0], np.arange(count, dtype=np.int64), "front")
        if not self._said.lens:
            return {"scene": view}
        fx, fy, cx, cy = self._said.lens
        lens = ViewLens(width=view.shape[1], height=view.shape[0], fx=fx, fy=fy, cx=cx, cy=cy)
        return {"scene": replace(view, lens=lens, poses=Poses.identity(count))}


def _renamed(track: PoseTrack, name: str) -> PoseTrack:
    return replace(track, name=name)


def _named(one: DeclaredHand) -> tuple[Any, ...]:
    sigma = one.sigma if isinstance(one.sigma, str) else ""
    return (one.points, one.confidence, one.position, one.rotation, one.joints, sigma)


def _held(bundle: Bundle, sources: Mapping[str, Held], name: str) -> NDArray[Any]:
    if name not in sources:
        raise BadData(bundle.path, "arrays", f"one called {name}", ", ".join(sources)[:300])
    return np.asarray(sources[name].load())


def _numbers(bundle: Bundle, sources: Mapping[str, Held], name: str) -> NDArray[np.float64]:
    values = _held(bundle, sources, name)
    if values.dtype.kind not in "fiub":
        raise BadData(bundle.path, name, "numbers", str(values.dtype))
    return np.asarray(values, np.float64)
