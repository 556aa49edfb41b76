"""What a capture is worth, counted: samples measured, held and interpolated, dropped demonstrations, stated errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from roboscale.core.plain import Plain
from roboscale.sources.capture.gates import Gate
from roboscale.sources.capture.reachability import ArmCard, ArmCounts

__all__ = ["CARD", "CaptureCard", "DemonstrationCard", "TrackCard"]

CARD = "meta/roboscale/capture.json"
"""Where a dataset keeps its card."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackCard(Plain):
    """One end effector of one demonstration.

    Args:
        samples: all of them; `missing` have no pose, `held` repeat the pose before, `interpolated` lie on a line
            between others; what is left was measured. `interpolated` is `None` where the numbers cannot tell.
        sigma_position_m: median of the stated error, metres; `None` where nobody states one.
        sigma_rotation_rad: likewise.
        effector: the joints of the end effector that were measured.
        closed: samples in which a hand pinches; `None` for what is no hand. `pinches`: how often it closes.
        arm: what an arm made of its poses; `None` where none was asked, or the demonstration was dropped.
    """

    name: str
    samples: int
    missing: int
    held: int
    held_longest_s: float
    interpolated: int | None
    sigma_position_m: float | None
    sigma_rotation_rad: float | None
    sigma_how: str
    effector: tuple[str, ...]
    closed: int | None = None
    pinches: int | None = None
    arm: ArmCounts | None = None

    json_also: ClassVar = ("measured",)

    @property
    def measured(self) -> int:
        return self.samples - self.missing - self.held - (self.interpolated or 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemonstrationCard(Plain):
    """One demonstration: its gates, its end effectors, and the episodes that were cut from it.

    Args:
        kept: whether it passed every gate.
        path_m: x, y, z of at most 200 samples of the first end effector, and whether each has a pose.
        marks_m: x, y, z of the samples at which gates were missed.
        note: why nothing is left of it where it could not even be read.
    """

    key: str
    kept: bool
    seconds: float
    gates: tuple[Gate, ...]
    tracks: tuple[TrackCard, ...]
    episodes: tuple[str, ...]
    scale: str
    path_m: tuple[tuple[float, float, float, bool], ...] = ()
    marks_m: tuple[tuple[float, float, float], ...] = ()
    note: str = ""

    json_also: ClassVar = ("why",)

    @property
    def why(self) -> str:
        """Why it was dropped; empty where it was not."""
        return self.note or "; ".join(str(gate) for gate in self.gates if not gate.passed)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureCard(Plain):
    """One source.

    Args:
        device: what recorded it.
        frame: the frame of its poses.
        pretrain_only: why its poses are no actions; empty where they are.
        ahead: how many samples an action looks ahead.
        demonstrations: all of them, dropped ones too.
        assumed: what was guessed or assumed, one sentence each.
        arm: the arm that was asked to follow; `None` where none was.
    """

    source: str
    format: str
    device: str
    frame: str
    rate_hz: float
    ahead: int
    pretrain_only: str
    demonstrations: tuple[DemonstrationCard, ...]
    origins: Mapping[str, str] = field(default_factory=dict)
    unmapped: Mapping[str, str] = field(default_factory=dict)
    assumed: tuple[str, ...] = ()
    arm: ArmCard | None = None

    json_also: ClassVar = ("kept",)

    @property
    def kept(self) -> int:
        return sum(one.kept for one in self.demonstrations)

    def arm_count(self, what: str) -> int:
        """Poses of the kept demonstrations that the arm was asked for: `samples`, `followed`, `unreachable`, ..."""
        counts = [t.arm for one in self.demonstrations if one.kept for t in one.tracks if t.arm is not None]
        return sum(getattr(count, what) for count in counts)

    def count(self, what: str) -> int:
        """Samples of all end effectors of the kept demonstrations: `samples`, `measured`, `held`, ..."""
        return sum(getattr(track, what) or 0 for one in self.demonstrations if one.kept for track in one.tracks)
