"""What a reader of captures gives: one end effector's poses over time with their error, and a demonstration of them.

Knows no file format. A missing sample is not valid; nothing stands in for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Clip, Finding, Pictures, SpecMismatch, Stream
from roboscale.core.plain import Plain
from roboscale.sources.capture.poses import Poses

__all__ = ["CaptureSource", "CapturedView", "HandDemonstration", "PoseTrack", "Sigma", "SourceFigure", "ViewLens"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sigma:
    """One standard deviation of every sample, and who says so.

    Args:
        position: (N,) metres, of the distance along each axis.
        rotation: (N,) radians.
        how: `declared` or `measured`, with the source, e.g. `declared: --sigma-position .003`.
    """

    position: Array
    rotation: Array
    how: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PoseTrack:
    """One end effector over the N samples of a demonstration.

    Args:
        name: tells it from the others, e.g. `left`; empty where there is one.
        poses: `world_from_effector`.
        valid: (N,) where the recording knows the pose; elsewhere the numbers mean nothing.
        effector: (N, n) what the n joints of the effector do, n = 1 for a gripper; n = 0 where nobody measured.
        effector_names: of the n joints, e.g. `gripper_width`.
        effector_unit: `m` or `rad`.
        sigma: `None` where nobody has said how accurate it is.
        points: (N, J, 3) metres in the same frame: key points of a hand; NaN where missing.
        point_names: of the J points.
    """

    name: str
    poses: Poses
    valid: Mask
    effector: Array
    effector_names: tuple[str, ...] = ()
    effector_unit: str = "m"
    sigma: Sigma | None = None
    points: Array | None = None
    point_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        lengths = {len(self.poses), len(self.valid), len(self.effector)}
        if len(lengths) > 1 or self.effector.shape[1:] != (len(self.effector_names),):
            raise SpecMismatch(f"track {self.name!r}: {lengths} samples, effector {list(self.effector.shape)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewLens(Plain):
    """How a camera sees, in pixels of pictures of this width and height.

    Args:
        k: four coefficients of a fisheye (Kannala and Brandt 2006); empty for a lens without distortion.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    k: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CapturedView:
    """Pictures that belong to the N samples of a demonstration.

    Args:
        pictures: all of them; of a video the whole file.
        frames: (N,) int64, not decreasing: which of the pictures each sample shows.
        shape: (H, W, 3).
        role: where it looks from, e.g. `wrist`.
        rate_hz: of a video; 0 where pictures have no rate of their own.
        lens: how it sees; `None` where nobody says.
        poses: `world_from_camera` of every sample in the frame of the tracks, OpenCV axes; `None` where unknown.
    """

    pictures: Clip | Pictures
    frames: NDArray[np.int64]
    shape: tuple[int, int, int]
    role: str = ""
    rate_hz: float = 0.0
    lens: ViewLens | None = None
    poses: Poses | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFigure(Plain):
    """What only the source of a demonstration can measure, beside the most that it may be.

    Args:
        name: of its gate. text: what it means, for people.
    """

    name: str
    value: float
    bar: float
    unit: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HandDemonstration:
    """What was recorded in one go.

    Args:
        key: names it within its source.
        time_ns: (N,) int64, when each sample was taken, on the clock of the source; increasing.
        tracks: the end effectors, at least one.
        cameras: location -> pictures.
        streams: sensors at their own rates, on the same clock.
        frame: the frame of the poses, e.g. `world (z up)`.
        licence: SPDX id, or empty.
        rate_hz: samples a second, where the source says it; 0 where only the times do.
        scale: what makes the poses metric, as the source says it; empty where nothing does.
        sync_s: seconds by which camera and inertial sensor differ; `None` where nothing tells.
        tags_seen: share of pictures in which a finger's tag was seen; `None` where nobody looked.
        figures: what the source measured of it, each a gate of its own.
        drop: why the source itself says that it must not be used; empty where it may.
    """

    key: str
    time_ns: NDArray[np.int64]
    tracks: tuple[PoseTrack, ...]
    cameras: Mapping[str, CapturedView] = field(default_factory=dict)
    streams: Mapping[str, Stream] = field(default_factory=dict)
    frame: str = "world"
    instruction: str = ""
    licence: str = ""
    scale: str = ""
    rate_hz: float = 0.0
    sync_s: float | None = None
    tags_seen: float | None = None
    figures: tuple[SourceFigure, ...] = ()
    drop: str = ""
    findings: tuple[Finding, ...] = ()


class CaptureSource(Protocol):
    """A capture that was opened: its demonstrations by name. Reading one leaves the others alone.

    Attributes:
        format: e.g. `umi-session`.
        root: file or folder.
        device: what recorded it; empty where nothing says.
        licence: SPDX id, or empty.
        keys: of the demonstrations.
        origins: what is kept -> where it lies in the source.
        unmapped: part of the source -> why it is not carried over.
        findings: about the whole.
    """

    format: str
    root: Path
    device: str
    licence: str
    keys: Sequence[str]
    origins: Mapping[str, str]
    unmapped: Mapping[str, str]
    findings: Sequence[Finding]

    def demonstration(self, key: str) -> HandDemonstration:
        """BadData when it is broken; names file, field and both sides."""
