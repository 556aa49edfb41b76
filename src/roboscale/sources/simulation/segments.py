"""Cuts a demonstration where what the hand acts relative to changes, on evidence in the demonstration alone.

An object that is set in motion was what the hand was going for, so the stretch before is relative to it. What moves
rigidly with a closed gripper is carried, and is from then on what has to arrive. The last stretch is relative to the
goal if it ends nearer to it. Knows no task and no table of subtasks; MimicGen (Mandlekar et al. 2023) asks a person
for the same information.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from roboscale.sources.simulation.demonstration import GOAL, HAND, Demonstration

__all__ = ["WORLD", "Segment", "find_segments"]

Array = NDArray[np.float64]
WORLD = "world"

MOVING_M_S = 0.03  # slower is settling, or a gripper centring what it closes on
MOVED_M = 0.01
GAP_S = 0.1  # pauses inside one motion
RIGID_M = 0.03  # a carried object stays within this of its place in the hand


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a demonstration with one reference.

    Args:
        start, end: first step and the step after the last.
        reference: thing that the path is relative to: an object, `goal`, or `world`.
        front: thing that has to follow the path: `hand`, or the object that is carried.
        kind: what happens.
        evidence: what in the demonstration made the cut, for people.
    """

    start: int
    end: int
    reference: str
    front: str
    kind: Literal["approach", "carry", "move", "reach"]
    evidence: str


@dataclass(frozen=True, slots=True)
class _Onset:
    """An object that starts to move."""

    step: int
    thing: str
    evidence: str


def _runs(flags: NDArray[np.bool_], gap: int) -> list[tuple[int, int]]:
    """Stretches of True, as (first, after last), with pauses of at most `gap` closed."""
    runs: list[tuple[int, int]] = []
    for step in np.flatnonzero(flags):
        if runs and step - runs[-1][1] <= gap:
            runs[-1] = (runs[-1][0], int(step) + 1)
        else:
            runs.append((int(step), int(step) + 1))
    return runs


def _onset(demonstration: Demonstration, thing: str) -> _Onset | None:
    """When the robot first moves a thing: in the first motion with a touch, or the first after the scene settled.

    A gripper does not feel what the arm behind it pushes, so a motion without a touch counts where none has one.
    """
    path = demonstration.paths[thing]
    speed_m_s = np.linalg.norm(np.diff(path, axis=0), axis=1) * demonstration.rate_hz
    moving = speed_m_s > MOVING_M_S
    still = np.flatnonzero(~moving)
    settled = int(still[0]) if len(still) else 0
    touched = demonstration.contact_n > 0
    found = []
    for first, last in _runs(moving, round(GAP_S * demonstration.rate_hz)):
        felt = np.flatnonzero(touched[first : last + 1])
        begin = first + int(felt[0]) if first <= settled and len(felt) else max(first, settled)
        if float(np.linalg.norm(path[last] - path[begin])) >= MOVED_M:
            found.append((begin, last, bool(len(felt))))
    if not found:
        return None
    begin, last, _ = next((run for run in found if run[2]), found[0])
    moved_m, force_n = np.linalg.norm(path[last] - path[begin]), demonstration.contact_n[begin : last + 1].max()
    where = f"{thing} moves {moved_m:.3f} m from step {begin}"
    return _Onset(begin, thing, f"{where} (gripper force {force_n:.0f} N, opening {demonstration.opening[begin]:.2f})")


def _carried(demonstration: Demonstration, thing: str, start: int, end: int) -> bool:
    """Whether a thing keeps its place in a gripper that touches it, in the second half of the stretch."""
    middle = (start + end) // 2
    in_hand = demonstration.paths[thing][middle:end] - demonstration.paths[HAND][middle:end]
    touched = float(np.mean(demonstration.contact_n[middle:end] > 0))
    return bool(np.linalg.norm(in_hand - in_hand[-1], axis=1).max() < RIGID_M and touched > 0.5)


def _last_reference(demonstration: Demonstration, start: int, front: str, otherwise: str) -> tuple[str, str]:
    """The goal if the stretch ends nearer to it, with the evidence."""
    if GOAL not in demonstration.paths:
        return otherwise, "no goal in the state"
    goal, path = demonstration.paths[GOAL], demonstration.paths[front]
    before = float(np.linalg.norm(path[start] - goal[start]))
    after = float(np.linalg.norm(path[-1] - goal[-1]))
    text = f"{front} goes from {before:.3f} to {after:.3f} m from goal"
    return (GOAL if after < before else otherwise), text


def find_segments(demonstration: Demonstration) -> tuple[Segment, ...]:
    """The demonstration's segments in order; they cover all of its steps without overlap."""
    found = [_onset(demonstration, thing) for thing in demonstration.objects]
    onsets = sorted((o for o in found if o is not None), key=lambda o: o.step)
    end = len(demonstration)
    if not onsets:
        reference, text = _last_reference(demonstration, 0, HAND, WORLD)
        return (Segment(0, end, reference, HAND, "reach", f"nothing is moved; {text}"),)
    segments, start, front = [], 0, HAND
    for onset in onsets:
        if onset.step - start >= 2:
            kind: Literal["approach", "carry"] = "approach" if front == HAND else "carry"
            segments.append(Segment(start, onset.step, onset.thing, front, kind, onset.evidence))
            start = onset.step
        following = [o.step for o in onsets if o.step > onset.step]
        stretch_end = following[0] if following else end
        if front == HAND and _carried(demonstration, onset.thing, onset.step, stretch_end):
            front = onset.thing
    mover = onsets[-1].thing
    reference, text = _last_reference(demonstration, start, mover, mover)
    segments.append(Segment(start, end, reference, front, "move" if front == HAND else "carry", text))
    return tuple(segments)
