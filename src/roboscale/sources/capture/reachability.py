"""Which captured poses an arm could follow: unreachable, too fast, self-colliding, counted and kept for every sample.

A person's hand goes where no arm of a lab goes. The arm is a model (`kinematics.arm_model`); where it stands is what
the user says, or the best of a few places around the path, which is said. Two end effectors are two arms of one
model, each on its own: that they would hit each other, or a table, is not looked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData, Field
from roboscale.core.plain import Plain
from roboscale.kinematics.following import ArmStand, Followed, Tolerance, base_for, follow_path, turns_about_z
from roboscale.sources.capture.track import HandDemonstration

__all__ = ["UNFOLLOWED", "ArmAsked", "ArmCard", "ArmCounts", "ArmFollowing"]

UNFOLLOWED = ("unreachable", "too_fast", "self_colliding")
"""What keeps an arm from a pose: columns `pose.unreachable` and so on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmAsked:
    """Which arm should follow.

    Args:
        arm: one of `kinematics.arm_model.ARMS`, or a file.
        tip: of the model; a usual name is looked for when empty.
        base: x, y, z in metres and the yaw in degrees of its base in the frame of the poses, once for all end
            effectors or once for each; empty looks for one.
        turns: quarters by which each tool is turned about the approach axis; empty looks for the best.
        speed: radians a second of every joint; `None` takes the model's.
        approach: the effector's axis that the tool's z lies along, `z` (a camera looks along it) or `x` (a palm).
    """

    arm: str
    tip: str = ""
    base: tuple[float, ...] = ()
    turns: tuple[int, ...] = ()
    speed: float | None = None
    approach: str = "z"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmCounts(Plain):
    """What an arm made of one track's known poses.

    Args:
        metres, radians: medians of what is left between pose and tip, of the poses that were reached; `None` where
            none was.
    """

    samples: int
    followed: int
    unreachable: int
    too_fast: int
    self_colliding: int
    metres: float | None
    radians: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmCard(Plain):
    """The arm that was asked, and where it stood.

    Args:
        digest: of the compiled model, its tip and its speeds.
        bases: x, y, z in metres and yaw in degrees, one for each end effector, in the frame of the poses.
        turns: degrees about the approach axis by which the tool is held, one for each.
        metres, radians: the tolerance within which a pose counts as reached.
        notes: what was assumed.
    """

    name: str
    origin: str
    digest: str
    joints: tuple[str, ...]
    speeds: tuple[float, ...]
    approach: str
    bases: tuple[tuple[float, float, float, float], ...]
    turns: tuple[float, ...]
    metres: float
    radians: float
    notes: tuple[str, ...]


class ArmFollowing:
    """An arm that follows the tracks of a capture's demonstrations. Places itself once, from all of them.

    Args:
        asked: which arm.
        demonstrations: those that are kept, at least one.

    Raises:
        BadData: no such arm, or poses in a frame that moves, in which nothing can stand.
        UnknownName: the model has no such tip.
        RoboscaleError: the arm's model is not installed.
    """

    def __init__(self, asked: ArmAsked, demonstrations: Sequence[HandDemonstration], where: object) -> None:
        from roboscale.kinematics.arm_model import load_arm

        self._asked, self._tolerance = asked, Tolerance()
        first = demonstrations[0]
        if "moves with" in first.frame:
            expected = "poses in a frame that stands still, for an arm to stand in (--arm)"
            raise BadData(where, "frame", expected, first.frame)
        self._arm = load_arm(asked.arm, tip=asked.tip, speed=asked.speed)
        if len(asked.base) not in (0, 4, 4 * len(first.tracks)):
            expected = f"4 numbers, or 4 for each of {len(first.tracks)} end effectors"
            raise BadData(where, "--arm-base", expected, len(asked.base))
        self._tools = turns_about_z(asked.approach)
        self._turns: list[int] = []
        self._said_bases: list[tuple[float, ...]] = []
        self._bases = tuple(self._base(number, demonstrations) for number in range(len(first.tracks)))
        self._names = tuple(track.name for track in first.tracks)
        self._done: dict[str, tuple[Followed, ...]] = {}
        self.notes = (*self._arm.notes, *self._said(first))

    def _base(self, number: int, demonstrations: Sequence[HandDemonstration]) -> ArmStand:
        """Where the arm of one track stands, in numbers short enough to be said and asked for again."""
        said = self._asked.base
        said = said[4 * number : 4 * number + 4] if len(said) > 4 else said
        if not self._asked.turns or not said:
            tracks = [one.tracks[number] for one in demonstrations]
            place = np.concatenate([t.poses.translation[t.valid] for t in tracks])
            turn = np.concatenate([t.poses.rotation[t.valid] for t in tracks])
            where = (np.array(said[:3]), float(np.radians(said[3]))) if said else None
            best = base_for(self._arm, place, turn, tools=self._tools, where=where, tolerance=self._tolerance)
            said = said or (*np.round(best.place, 4).tolist(), round(float(np.degrees(best.yaw)), 2))
            self._turns.append(next(k for k, tool in enumerate(self._tools) if tool is best.tool))
        else:
            self._turns.append(self._asked.turns[number])
        self._said_bases.append(said)
        return ArmStand(np.array(said[:3]), float(np.radians(said[3])), self._tools[self._turns[number]])

    def _said(self, first: HandDemonstration) -> list[str]:
        """What was assumed of this arm, one sentence each."""
        notes = []
        if "z up" not in first.frame:
            notes.append(f"--arm: the frame of the poses ({first.frame}) is taken to have z up")
        if not self._asked.base:
            at = ",".join(f"{value:.8g}" for base in self._said_bases for value in base)
            notes.append(
                "--arm: nothing says where the arm stands; the best of a few places around the poses is taken: "
                f"--arm-base={at}"
            )
        if len(self._names) > 1:
            notes.append("--arm: each arm is looked at alone; whether they would hit each other is not")
        return notes

    @property
    def placed(self) -> ArmAsked:
        """The same arm where it was put, so that whoever opens the capture again need not look for a place."""
        base = tuple(value for one in self._said_bases for value in one)
        return replace(self._asked, base=base, turns=tuple(self._turns))

    @property
    def card(self) -> ArmCard:
        arm = self._arm
        return ArmCard(
            name=arm.name,
            origin=arm.origin,
            digest=arm.digest,
            joints=arm.joints,
            speeds=tuple(float(v) for v in arm.speed),
            approach=self._asked.approach,
            bases=tuple((x, y, z, yaw) for x, y, z, yaw in self._said_bases),
            turns=tuple(90.0 * turn for turn in self._turns),
            metres=self._tolerance.metres,
            radians=self._tolerance.radians,
            notes=self.notes,
        )

    def followed(self, one: HandDemonstration) -> tuple[Followed, ...]:
        """Every track of a demonstration, followed from its first to its last sample."""
        if one.key not in self._done:
            time_s = (one.time_ns - one.time_ns[0]) * 1e-9
            self._done[one.key] = tuple(
                follow_path(
                    self._arm,
                    track.poses.translation,
                    track.poses.rotation,
                    time_s=time_s,
                    known=track.valid,
                    base=base,
                    tolerance=self._tolerance,
                )
                for track, base in zip(one.tracks, self._bases, strict=True)
            )
        return self._done[one.key]

    def counts(self, one: HandDemonstration) -> tuple[ArmCounts, ...]:
        """Counts of every track of a demonstration."""
        return tuple(_counts(done) for done in self.followed(one))

    def fields(self) -> list[Field]:
        """The columns that `arrays` fills."""
        tracks = tuple(name or "effector" for name in self._names)
        pairs = tuple(f"{_prefix(name)}{what}" for name in self._names for what in ("position_m", "rotation_rad"))
        joints = tuple(f"{_prefix(name)}{joint}" for name in self._names for joint in self._arm.joints)
        return [
            *(Field(f"pose.{what}", (len(tracks),), "bool", layout=tracks) for what in UNFOLLOWED),
            Field("arm.residual", (len(pairs),), "float32", unit="mixed", layout=pairs),
            Field("arm.joints", (len(joints),), "float32", unit="rad", layout=joints),
        ]

    def arrays(self, one: HandDemonstration, rows: NDArray[np.int64]) -> Mapping[str, NDArray[Any]]:
        """Samples `rows` of a demonstration."""
        done = self.followed(one)
        made = {f"pose.{what}": np.stack([getattr(d, what)[rows] for d in done], axis=1) for what in UNFOLLOWED}
        left = [values[rows] for d in done for values in (d.metres, d.radians)]
        made["arm.residual"] = np.stack(left, axis=1).astype(np.float32)
        made["arm.joints"] = np.concatenate([d.joints[rows] for d in done], axis=1).astype(np.float32)
        return made


def _counts(done: Followed) -> ArmCounts:
    known = np.isfinite(done.metres)
    reached = known & ~done.unreachable
    some = bool(reached.any())
    return ArmCounts(
        samples=int(known.sum()),
        followed=done.followed,
        unreachable=int(done.unreachable.sum()),
        too_fast=int(done.too_fast.sum()),
        self_colliding=int(done.self_colliding.sum()),
        metres=float(np.median(done.metres[reached])) if some else None,
        radians=float(np.median(done.radians[reached])) if some else None,
    )


def _prefix(name: str) -> str:
    return f"{name}." if name else ""
