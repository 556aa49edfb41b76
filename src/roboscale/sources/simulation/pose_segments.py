"""Cuts demonstrations in poses where a thing is taken and let go, and finds what each stretch is relative to.

What moves rigidly with a closed gripper is carried. The stretch before is relative to it. Where it is carried to can
be relative to another thing, to where it was taken from, or to the world: of several demonstrations, to that about
which its last places lie closest together. Knows no task.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from roboscale.sources.simulation.pose_demonstration import TIP, PoseDemonstration
from roboscale.sources.simulation.segments import WORLD

__all__ = ["ORIGIN", "PoseSegment", "find_pose_segments"]

Array = NDArray[np.float64]
ORIGIN = "where it was taken"

CARRIED_M = 0.004  # what moves by less while the gripper is closed, or alone while the tip stands, was not carried
RIGID_M = 0.03  # a carried thing stays within this of its place in the hand
BESIDE_M = 0.15  # of one demonstration alone: a thing this close to where another is put is what it is put at
MOVED_M = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class PoseSegment:
    """A stretch of a demonstration with one reference.

    Args:
        start, end: first step and the step after the last.
        reference: thing that the path is relative to (to where it was at first, where it is pushed); `world`; or
            `where it was taken`.
        front: thing that has to follow the path: `tip`, or the object that is carried.
        kind: `approach`, `carry`, `leave` (after letting go), `move` (pushes or pulls), `reach` (touches nothing).
        evidence: what in the demonstrations says so, for people.
    """

    start: int
    end: int
    reference: str
    front: str
    kind: Literal["approach", "carry", "leave", "move", "reach"]
    evidence: str


@dataclass(frozen=True, slots=True)
class _Carry:
    """A thing in the hand from step `start` to before `end`."""

    thing: str
    start: int
    end: int
    moved_m: float


def find_pose_segments(demonstrations: Sequence[PoseDemonstration]) -> list[tuple[PoseSegment, ...]]:
    """The segments of each demonstration, in order; they cover all of its steps without overlap."""
    carries = [_carries(one) for one in demonstrations]
    return [_segments(one, own, demonstrations, carries) for one, own in zip(demonstrations, carries, strict=True)]


def _closed(demonstration: PoseDemonstration) -> list[tuple[int, int]]:
    """Stretches in which the gripper is told to close, as (first, after last)."""
    edges = np.diff(np.concatenate([[False], demonstration.closing, [False]]).astype(int))
    return list(zip(np.flatnonzero(edges == 1).tolist(), np.flatnonzero(edges == -1).tolist(), strict=True))


def _carries(demonstration: PoseDemonstration) -> list[_Carry]:
    carries = []
    for first, last in _closed(demonstration):
        found = [_carry(demonstration, thing, first, last) for thing in demonstration.objects]
        best = max((one for one in found if one is not None), key=lambda one: one.moved_m, default=None)
        if best is not None:
            carries.append(best)
    return carries


def _carry(demonstration: PoseDemonstration, thing: str, first: int, last: int) -> _Carry | None:
    """The thing in a closed gripper, or `None` where it stays behind or slips away."""
    path = demonstration.places(thing)
    moved = np.linalg.norm(path[first:last] - path[first], axis=1)
    if len(moved) < 2 or moved.max() < CARRIED_M:
        return None
    tips = demonstration.paths[TIP][first:last]
    gone = [float(np.linalg.norm(tip.translation - tips[0].translation)) for tip in tips]
    if max(gone) < CARRIED_M:
        return None
    places = zip(tips, path[first:last], strict=True)
    in_hand = np.array([tip.rotation.T @ (place - tip.translation) for tip, place in places])
    off = np.linalg.norm(in_hand - in_hand[len(in_hand) // 2], axis=1) > RIGID_M
    if off[len(off) // 2 :].any():
        return None
    loose = np.flatnonzero(off)
    start = int(np.argmax((moved > CARRIED_M / 2) & (np.array(gone) > CARRIED_M / 2)))  # held once it goes along
    start = max(start, int(loose[-1]) + 1 if len(loose) else 0)
    return _Carry(thing, first + start, last, float(moved.max()))


def _segments(
    demonstration: PoseDemonstration,
    own: Sequence[_Carry],
    demonstrations: Sequence[PoseDemonstration],
    carries: Sequence[Sequence[_Carry]],
) -> tuple[PoseSegment, ...]:
    if not own:
        return (_without_hand(demonstration),)
    made, start, reference = [], 0, WORLD
    for number, carry in enumerate(own):
        told = f"{carry.thing} goes {carry.moved_m:.3f} m with the closed gripper from step {carry.start}"
        if carry.start - start >= 2:
            made.append(
                PoseSegment(
                    start=start,
                    end=carry.start,
                    reference=carry.thing,
                    front=TIP,
                    kind="approach",
                    evidence=told,
                )
            )
            start = carry.start
        reference, why = _destination(number, carry.thing, demonstrations, carries)
        made.append(
            PoseSegment(start=start, end=carry.end, reference=reference, front=carry.thing, kind="carry", evidence=why)
        )
        start = carry.end
    if start < len(demonstration):
        made.append(
            PoseSegment(
                start=start,
                end=len(demonstration),
                reference=reference,
                front=TIP,
                kind="leave",
                evidence=f"the gripper opens at step {start}",
            )
        )
    return tuple(made)


def _without_hand(demonstration: PoseDemonstration) -> PoseSegment:
    """Nothing is carried: the thing that is moved most, or the world."""
    moved = {
        thing: float(np.linalg.norm(demonstration.places(thing)[-1] - demonstration.places(thing)[0]))
        for thing in demonstration.objects
    }
    most = max(moved, key=lambda thing: moved[thing])
    pushes = moved[most] >= MOVED_M
    return PoseSegment(
        start=0,
        end=len(demonstration),
        reference=most if pushes else WORLD,
        front=TIP,
        kind="move" if pushes else "reach",
        evidence=f"nothing is carried; {most} is moved by {moved[most]:.3f} m",
    )


def _destination(
    number: int, thing: str, demonstrations: Sequence[PoseDemonstration], carries: Sequence[Sequence[_Carry]]
) -> tuple[str, str]:
    """What the place is relative to where the `number`-th carried thing ends, with the evidence."""
    alike = [
        (one, own[number])
        for one, own in zip(demonstrations, carries, strict=True)
        if number < len(own) and own[number].thing == thing
    ]
    ends = np.array([one.places(thing)[carry.end - 1] for one, carry in alike])
    others = [name for name in demonstrations[0].objects if name != thing]
    if len(alike) == 1:
        one, carry = alike[0]
        apart = {name: float(np.linalg.norm(ends[0] - one.places(name)[carry.end - 1])) for name in others}
        near = min(apart, key=lambda name: apart[name], default=None)
        if near is not None and apart[near] < BESIDE_M:
            return near, f"one demonstration: {thing} ends {apart[near]:.3f} m from {near}"
        return WORLD, f"one demonstration: {thing} ends near nothing else"
    starts = np.array([one.places(thing)[carry.start] for one, carry in alike])
    spread = {WORLD: _spread(ends), ORIGIN: _spread(ends - starts)}
    for name in others:
        spread[name] = _spread(ends - np.array([one.places(name)[carry.end - 1] for one, carry in alike]))
    best = min(spread, key=lambda name: spread[name])
    told = ", ".join(f"{value:.3f} m about {name}" for name, value in spread.items())
    return best, f"last places of {thing} in {len(alike)} demonstrations lie {told}"


def _spread(places: Array) -> float:
    """Root of the summed variances of (N, 3) places, metres."""
    return float(np.sqrt(np.sum(np.var(places, axis=0))))
