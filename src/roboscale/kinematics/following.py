"""Whether an arm can bring its tip along a path of poses: what it cannot reach, cannot do in time, or only by hitting
itself. Knows arrays and functions of joints, no file and no simulator.

Each pose is asked for from the joints of the one before, so that the answer is one motion and not a choice of the best
posture for every pose. Where that does not lead there, other postures are tried; such a change then shows as speed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from roboscale.kinematics.damped import Reached, reach

__all__ = ["ArmStand", "Followed", "JointedArm", "Tolerance", "base_for", "follow_path", "turns_about_z"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

_LEVER_M = 0.15  # a radian weighs as much as so many metres: about a hand's length
_STOP = 1e-3  # of the error in metres and weighed radians: below any tolerance
_POSTURES = 6  # from which a pose is tried again
_FEW = 2  # of them, where only places for a base are compared
_AGAIN = 15  # poses in a row that cannot be reached; then postures are tried once more
_ASKED = 8  # poses of a path that a base is judged by
_REACH_SAMPLES = 200


class JointedArm(Protocol):
    """What is asked of an arm with D joints; `ArmModel` is one.

    Attributes:
        low, high: (D,) limits of the joints.
        speed: (D,) radians (or metres) a second, at most.
    """

    low: Array
    high: Array
    speed: Array

    def forward(self, joints: Array) -> tuple[Array, Array]:
        """Where the tip is in the base frame: (3,) metres and its rotation (3, 3)."""

    def touches_itself(self, joints: Array) -> bool:
        """Whether parts of it overlap."""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far a tip may be from a pose that counts as reached: metres and radians."""

    metres: float = 0.005
    radians: float = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class ArmStand:
    """Where an arm stands and how its tool is turned.

    Args:
        place: (3,) metres, of the base in the frame of the path; z up.
        yaw: radians by which the base is turned about z.
        tool: (3, 3) `effector_from_tip`: how the tip's axes lie in the axes of what was captured.
    """

    place: Array
    yaw: float
    tool: Array

    def seen_from(self, place: Array, rotation: Array) -> tuple[Array, Array]:
        """Positions (N, 3) and rotations (N, 3, 3) of an effector as those of the tip in the base's frame."""
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        world_from_base = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
        return (place - self.place) @ world_from_base, world_from_base.T @ rotation @ self.tool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Followed:
    """What an arm made of N poses; a pose that is not known has no error and is none of the three.

    Args:
        joints: (N, D).
        metres, radians: (N,) from each pose to where the tip came; NaN where the pose is not known.
        unreachable, too_fast, self_colliding: (N,).
    """

    joints: Array
    metres: Array
    radians: Array
    unreachable: Mask
    too_fast: Mask
    self_colliding: Mask

    @property
    def followed(self) -> int:
        """Poses that are known and none of the three."""
        bad = self.unreachable | self.too_fast | self.self_colliding
        return int((np.isfinite(self.metres) & ~bad).sum())


def turns_about_z(approach: str) -> list[Array]:
    """The four `effector_from_tip` (3, 3) whose z lies along an effector's `x` or `z`: the ways to hold a gripper.

    >>> [turn[:, 2].tolist() for turn in turns_about_z("x")[:1]]
    [[1.0, 0.0, 0.0]]
    """
    first = np.eye(3) if approach == "z" else np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    quarter = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    return [np.asarray(first @ np.linalg.matrix_power(quarter, k)) for k in range(4)]


def follow_path(
    arm: JointedArm,
    place: Array,
    rotation: Array,
    *,
    time_s: Array,
    known: Mask,
    base: ArmStand,
    tolerance: Tolerance = Tolerance(),
) -> Followed:
    """Follows a path of N poses of an effector.

    Args:
        place, rotation: (N, 3) metres and (N, 3, 3), in the frame that `base` stands in.
        time_s: (N,) seconds, increasing.
        known: (N,) which of the poses are known.
    """
    count = len(place)
    at, turn = base.seen_from(place, rotation)
    joints = np.tile((arm.low + arm.high) / 2, (count, 1))
    metres, radians = np.full(count, np.nan), np.full(count, np.nan)
    fast, touching = np.zeros(count, bool), np.zeros(count, bool)
    solver, missed, before, reached = _Solver(arm), _AGAIN, -1, -1
    for i in np.flatnonzero(known).tolist():
        # after a stretch out of reach the arm may be bent otherwise than where it left off
        starts = [joints[k] for k in dict.fromkeys((before, reached)) if k >= 0] or [joints[i]]
        fresh = missed == 0 or missed >= _AGAIN
        joints[i] = solver.solve(starts, at[i], turn[i], again=fresh, tolerance=tolerance)
        metres[i], radians[i] = solver.errors(joints[i], at[i], turn[i])
        good = metres[i] <= tolerance.metres and radians[i] <= tolerance.radians
        if good:
            touching[i] = arm.touches_itself(joints[i])
            if before >= 0 and missed == 0:
                pace = np.abs(joints[i] - joints[before]) / (time_s[i] - time_s[before])
                fast[i] = bool((pace > arm.speed).any())
        missed = 0 if good else (1 if missed >= _AGAIN else missed + 1)
        before, reached = i, i if good else reached
    missing = known & ~((metres <= tolerance.metres) & (radians <= tolerance.radians))
    return Followed(
        joints=joints, metres=metres, radians=radians, unreachable=missing, too_fast=fast, self_colliding=touching
    )


class _Solver:
    """Joints for one pose: by `reach` on nine numbers, the position and two weighed columns of the rotation."""

    def __init__(self, arm: JointedArm, postures: int = _POSTURES) -> None:
        self._arm = arm
        rng = np.random.default_rng(0)
        self._postures = rng.uniform(
            0.8 * arm.low + 0.2 * arm.high, 0.2 * arm.low + 0.8 * arm.high, (postures, len(arm.low))
        )

    def solve(self, starts: Sequence[Array], place: Array, turn: Array, *, again: bool, tolerance: Tolerance) -> Array:
        """The joints (D,) nearest to the pose; other starts, with `again` postures too, are tried where one fails."""
        target = self._nine(place, turn)
        best = self._from(starts[0], target, 20)
        for posture in (*starts[1:], *(self._postures if again else ())):
            metres, radians = self.errors(best.joints, place, turn)
            if metres <= tolerance.metres and radians <= tolerance.radians:
                break
            other = self._from(posture, target, 60)
            best = other if other.error < best.error else best
        return best.joints

    def errors(self, joints: Array, place: Array, turn: Array) -> tuple[float, float]:
        """Metres and radians between where joints (D,) bring the tip and a pose."""
        at, is_turn = self._arm.forward(joints)
        cosine = (float(np.sum(is_turn * turn)) - 1) / 2
        return float(np.linalg.norm(at - place)), float(np.arccos(np.clip(cosine, -1, 1)))

    def _from(self, start: Array, target: Array, iterations: int) -> Reached:
        arm = self._arm
        return reach(
            lambda joints: self._nine(*arm.forward(joints)),
            start,
            target,
            low=arm.low,
            high=arm.high,
            iterations=iterations,
            tolerance=_STOP,
        )

    @staticmethod
    def _nine(place: Array, turn: Array) -> Array:
        return np.concatenate([place, _LEVER_M * turn[:, 0], _LEVER_M * turn[:, 1]])


def base_for(
    arm: JointedArm,
    place: Array,
    rotation: Array,
    *,
    tools: Sequence[Array],
    where: tuple[Array, float] | None = None,
    tolerance: Tolerance = Tolerance(),
) -> ArmStand:
    """A base from which most of some poses are reached: of a handful of places around them the best.

    Nothing says that there is none better; it is one that a person could have chosen.

    Args:
        place, rotation: (N, 3) metres and (N, 3, 3) of known poses, z up; a few of them are tried.
        tools: the `effector_from_tip` to choose from.
        where: place (3,) and yaw of the base where they are known; only the tool is chosen then.
    """
    rows = np.unique(np.linspace(0, len(place) - 1, _ASKED).round().astype(int))
    some, turns = place[rows], rotation[rows]
    middle = np.asarray(np.median(place, axis=0))
    length = _length(arm)

    def standing(far: float, under: float, yaw: float, tool: Array) -> ArmStand:
        away = length * np.array([far * np.cos(yaw), far * np.sin(yaw), under])
        return ArmStand(middle - away, yaw, tool)

    if where is not None:
        tried = [ArmStand(where[0], where[1], tool) for tool in tools]
        return max(tried, key=lambda base: _score(arm, base, some, turns, tolerance))
    yaws = [k * np.pi / 3 for k in range(6)]
    rough = [standing(0.5, 0.15, yaw, tool) for yaw, tool in product(yaws, tools)]
    best = max(rough, key=lambda base: _score(arm, base, some, turns, tolerance))
    finer = [standing(far, under, best.yaw, best.tool) for far, under in product((0.35, 0.5, 0.65), (0.0, 0.15, 0.35))]
    return max((best, *finer), key=lambda base: _score(arm, base, some, turns, tolerance))


def _length(arm: JointedArm) -> float:
    """Metres from the base to the farthest of some tips."""
    rng = np.random.default_rng(0)
    return max(float(np.linalg.norm(arm.forward(rng.uniform(arm.low, arm.high))[0])) for _ in range(_REACH_SAMPLES))


def _score(arm: JointedArm, base: ArmStand, place: Array, rotation: Array, tolerance: Tolerance) -> tuple[int, float]:
    """Poses reached without touching itself, then how near the others were, in metres (negative)."""
    at, turn = base.seen_from(place, rotation)
    solver, joints = _Solver(arm, _FEW), (arm.low + arm.high) / 2
    good, missed = 0, 0.0
    for i in range(len(at)):
        joints = solver.solve([joints], at[i], turn[i], again=i == 0, tolerance=tolerance)
        metres, radians = solver.errors(joints, at[i], turn[i])
        good += metres <= tolerance.metres and radians <= tolerance.radians and not arm.touches_itself(joints)
        missed += metres + _LEVER_M * radians
    return good, -missed
