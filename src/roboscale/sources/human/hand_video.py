"""Videos of hands as captures: 21 points of each hand in every picture, followed over time. One camera, no depth.

Hands are told apart by where they were in the picture before; left and right by all pictures of one hand together, for
a single picture may err. A hand that is out of view is missing. Nothing is smoothed and nothing is filled in.

How far away a hand is follows from a model's guess of its size: tens of millimetres are usual, so that nobody's error
is stated and the poses are auxiliary targets, unless the user has measured it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData, Finding
from roboscale.dataset.video import probe
from roboscale.sources.capture.poses import Poses
from roboscale.sources.capture.showing import video_camera
from roboscale.sources.capture.track import CapturedView, HandDemonstration, ViewLens
from roboscale.sources.human.choosing import SIDES, choose_hands
from roboscale.sources.human.hand import Side, hand_track, mirrored
from roboscale.sources.human.joints import ORDERS
from roboscale.sources.human.landmarks import HandFinder, SeenHand, load_hand_models, metric_points
from roboscale.sources.records.own.pictures import PickedFrames

__all__ = ["VIDEOS", "Finder", "FollowedHand", "HandVideo", "follow_hands"]

VIDEOS = (".mp4", ".mov", ".mkv", ".avi", ".webm")
_NAMES = ORDERS["mediapipe"]
_JUMP = 0.5  # of a hand's size: farther from where it was it is another hand
_GONE = 10  # pictures; a hand that comes back later is a new one
_LEAST = 5  # pictures of a hand; fewer are a mistake


class Finder(Protocol):
    """What looks at pictures in order; `HandFinder` is one."""

    def find(self, picture: NDArray[np.uint8]) -> list[SeenHand]:
        """Hands of the next picture (H, W, 3)."""


@dataclass(slots=True)
class FollowedHand:
    """One hand over a video: picture -> what was seen of it."""

    seen: dict[int, SeenHand] = field(default_factory=dict)

    @property
    def side(self) -> Side:
        """By all of its pictures together."""
        return "right" if float(np.mean([hand.right for hand in self.seen.values()])) >= 0.5 else "left"

    def takes(self, hand: SeenHand, picture: int) -> float:
        """How far a hand of a later picture is from here, in hands; infinity where it is none of this one."""
        last = max(self.seen)
        before = self.seen[last].pixels
        size = float(np.linalg.norm(np.ptp(before, axis=0)))
        far = float(np.linalg.norm(hand.pixels.mean(axis=0) - before.mean(axis=0))) / max(size, 1.0)
        return far if far < _JUMP and 0 < picture - last <= _GONE else float("inf")


def follow_hands(pictures: Iterator[list[SeenHand]]) -> list[FollowedHand]:
    """Hands over the pictures of a video; those that are seen in fewer than five pictures are left out."""
    every: list[FollowedHand] = []
    for number, hands in enumerate(pictures):
        for hand in hands:
            near = min(every, key=lambda one: one.takes(hand, number), default=None)
            if near is None or near.takes(hand, number) == float("inf"):
                near = FollowedHand()
                every.append(near)
            near.seen[number] = hand
    return [one for one in every if len(one.seen) >= _LEAST]


class HandVideo:
    """See the module, and `CaptureSource` for what is promised. Each video is a demonstration.

    Args:
        path: a video, or a folder of them.
        models: wheel or folder of the models; see `landmarks.load_hand_models`.
        hands: see `choose_hands`; decided by the first video.
        lens: fx, fy, cx, cy in pixels; empty assumes a field of view of 60 degrees, which is said.
        video: whether pictures are taken: they show whoever was there.
        finder: makes what looks at the pictures of one video.
    """

    format, device, licence = "video", "camera", ""

    def __init__(
        self, path: Path, models: Path, *, hands: str = "seen", lens: Sequence[float] = (), video: bool = False
    ) -> None:
        self.root, self._asked, self._lens, self._video = path, hands, tuple(lens), video
        files = [path] if path.is_file() else sorted(f for f in path.rglob("*") if f.suffix.lower() in VIDEOS)
        if not files or any(f.suffix.lower() not in VIDEOS for f in files):
            raise BadData(path, "videos", f"files of {', '.join(VIDEOS)}", path.suffix or "none")
        base = path if path.is_dir() else path.parent
        self._files = {str(f.relative_to(base).with_suffix("")): f for f in files}
        self._models = load_hand_models(models)
        self.keys: Sequence[str] = tuple(self._files)
        self._chosen: tuple[Side, ...] = ()
        self.unmapped: Mapping[str, str] = (
            {} if video else {"pictures": "of people are taken only with --video: faces in them are not looked for"}
        )
        self.origins: Mapping[str, str] = {
            "poses": "the palm of 21 points, found in the pictures",
            "points": "landmark model, placed where its size fits the pictures",
            "time": "frame number over the video's rate",
        }
        self.findings: Sequence[Finding] = ()

    def finder(self) -> Finder:
        """What looks at one video."""
        return HandFinder(self._models)

    def demonstration(self, key: str) -> HandDemonstration:
        """One video. `CaptureSource` says what is promised."""
        file = self._files[key]
        header = probe(file)
        view = video_camera(file, np.arange(header.frames, dtype=np.int64), "front")
        finder = self.finder()
        pictures = PickedFrames(file, np.arange(header.frames, dtype=np.int64), view.shape)
        sightings = follow_hands(finder.find(np.asarray(picture)) for picture in pictures)
        findings: list[Finding] = []
        lens = self._lens_of(view, findings)
        points, twice = _by_side(sightings, header.frames, lens)
        valid = {side: np.asarray(np.isfinite(points[side]).all(axis=(1, 2))) for side in SIDES}
        if twice:
            text = f"{file.name}: in {twice} pictures two hands were both called one side; the surer one is kept"
            findings.append(Finding("hand-twice", "warning", text, evidence={"pictures": twice}))
        if not self._chosen:
            self._chosen, more = choose_hands(valid, self._asked, file)
            findings += more
        for side in self._chosen:
            findings += mirrored(points[side], _NAMES, side, file.name)
        several = len(self._chosen) > 1
        tracks = tuple(
            hand_track(points[side], _NAMES, side, name=side if several else "", where=file) for side in self._chosen
        )
        camera = replace(view, lens=lens, poses=Poses.identity(header.frames))
        return HandDemonstration(
            key=key,
            time_ns=np.round(np.arange(header.frames) * (1e9 / float(header.fps))).astype(np.int64),
            tracks=tracks,
            cameras={"scene": camera} if self._video else {},
            frame="camera (moves with it)",
            scale="a model's guess of the size of a hand",
            findings=tuple(findings),
        )

    def _lens_of(self, view: CapturedView, findings: list[Finding]) -> ViewLens:
        height, width = view.shape[:2]
        if self._lens:
            fx, fy, cx, cy = self._lens
            return ViewLens(width=width, height=height, fx=fx, fy=fy, cx=cx, cy=cy)
        focal = width / 2 / np.tan(np.radians(30))
        text = (
            f"nobody says how the camera sees: a field of view of 60 degrees is assumed, {focal:.0f} pixels (--lens "
            "takes fx,fy,cx,cy); a wrong one scales every depth"
        )
        findings.append(Finding("assumed-lens", "warning", text, evidence={"focal": float(focal)}))
        return ViewLens(width=width, height=height, fx=focal, fy=focal, cx=(width - 1) / 2, cy=(height - 1) / 2)


def _by_side(
    sightings: Sequence[FollowedHand], frames: int, lens: ViewLens
) -> tuple[dict[Side, NDArray[np.float64]], int]:
    """Points (N, 21, 3) of each side, NaN where it is not seen; and in how many pictures there were two of one."""
    points = {side: np.full((frames, 21, 3), np.nan) for side in SIDES}
    surest: dict[tuple[Side, int], float] = {}
    twice = 0
    for one in sightings:
        for number, hand in one.seen.items():
            place = (one.side, number)
            twice += place in surest
            if hand.presence > surest.get(place, 0.0):
                surest[place] = hand.presence
                points[one.side][number] = metric_points(hand, lens.fx, lens.fy, lens.cx, lens.cy)
    return points, twice
