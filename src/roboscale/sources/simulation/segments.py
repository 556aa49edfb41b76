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
STARTED_M = 0.02  # a hand that is nearer to its start has touched nothing
GAP_S = 0.1  # pauses inside one motion
RIGID_M = 0.03  # a carried object stays within this of its place in the hand,
SLIP_M = 0.015  # and within this of it when it is grasped


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A stretch of a demonstration with one reference.

    Args:
        start, end: first step and the step after the last.
        reference: thing that the path is relative to: an object, `goal`, or `world`.
        front: thing that has to follow the path: `hand`, or the object that is carried.
        holds: the object in the hand, or empty.
        kind: `approach` (the free hand goes to an object), `carry` (with an object in the hand), `move` (pushes or
            pulls what it does not hold), `reach` (touches nothing).
        evidence: what in the demonstration made the cut, for people.
    """

    start: int
    end: int
    reference: str
    front: str
    holds: str
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
    """When the robot first moves a thing.

    A motion that begins before the hand has gone anywhere is the scene settling. Of the others the first in which the
    gripper touches something counts; where none has a touch, the first: a gripper does not feel what the arm pushes.
    """
    path, hand = demonstration.paths[thing], demonstration.paths[HAND]
    moving = np.linalg.norm(np.diff(path, axis=0), axis=1) * demonstration.rate_hz > MOVING_M_S
    moving[0] &= moving[1:2].any()  # a lone first jump is a pose that was reported before the scene was set up
    awake = int(np.argmax(np.linalg.norm(hand - hand[0], axis=1) > STARTED_M))
    onsets = []
    for first, last in _runs(moving, round(GAP_S * demonstration.rate_hz)):
        if first >= awake and float(np.linalg.norm(path[last] - path[first])) >= MOVED_M:
            onsets.append((first, last, bool(demonstration.contact_n[first : last + 1].any())))
    if not onsets:
        return None
    begin, last, _ = next((run for run in onsets if run[2]), onsets[0])
    moved_m, force_n = np.linalg.norm(path[last] - path[begin]), demonstration.contact_n[begin : last + 1].max()
    where = f"{thing} moves {moved_m:.3f} m from step {begin}"
    return _Onset(begin, thing, f"{where} (gripper force {force_n:.0f} N, opening {demonstration.opening[begin]:.2f})")


def _grasp(demonstration: Demonstration, thing: str, start: int, end: int) -> int | None:
    """The step from which a touching gripper keeps a thing in its place, or None where it is not carried."""
    if end - start < 2:
        return None
    middle = (start + end) // 2
    in_hand = demonstration.paths[thing] - demonstration.paths[HAND]
    slip_m = np.linalg.norm(in_hand - in_hand[middle], axis=1)
    touched = float(np.mean(demonstration.contact_n[middle:end] > 0))
    if np.linalg.norm(in_hand[middle:end] - in_hand[end - 1], axis=1).max() >= RIGID_M or touched <= 0.5:
        return None
    loose = np.flatnonzero(slip_m[start:middle] > SLIP_M)
    return start + (int(loose[-1]) + 1 if len(loose) else 0)


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
    starts = [_onset(demonstration, thing) for thing in demonstration.objects]
    onsets = sorted((o for o in starts if o is not None), key=lambda o: o.step)
    end = len(demonstration)
    if not onsets:
        reference, text = _last_reference(demonstration, 0, HAND, WORLD)
        return (
            Segment(
                start=0,
                end=end,
                reference=reference,
                front=HAND,
                holds="",
                kind="reach",
                evidence=f"nothing is moved; {text}",
            ),
        )
    segments, start, holds = [], 0, ""
    for i, onset in enumerate(onsets):
        stop, held, evidence = onset.step, holds, onset.evidence
        if not holds:
            grasp = _grasp(demonstration, onset.thing, stop, onsets[i + 1].step if i + 1 < len(onsets) else end)
            if grasp is not None:
                stop, held, evidence = grasp, onset.thing, f"{evidence}, held from step {grasp}"
        if stop - start >= 2:
            kind: Literal["approach", "carry"] = "carry" if holds else "approach"
            segments.append(
                Segment(
                    start=start,
                    end=stop,
                    reference=onset.thing,
                    front=holds or HAND,
                    holds=holds,
                    kind=kind,
                    evidence=evidence,
                )
            )
            start = stop
        holds = held
    mover = onsets[-1].thing
    reference, text = _last_reference(demonstration, start, mover, mover)
    segments.append(
        Segment(
            start=start,
            end=end,
            reference=reference,
            front=holds or HAND,
            holds=holds,
            kind="carry" if holds else "move",
            evidence=text,
        )
    )
    return tuple(segments)
