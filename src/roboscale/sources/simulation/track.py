"""A demonstration made ready to be followed in another scene: segments, weights, and what comes after its last step.

Everything here is computed once per demonstration. Knows no world.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.sources.simulation.demonstration import HAND, Demonstration
from roboscale.sources.simulation.segments import GAP_S, WORLD, Segment, find_segments
from roboscale.sources.simulation.transform import transfer_weight

__all__ = ["Track", "hand_lag", "make_track"]

Array = NDArray[np.float64]

LEAVE_M = 0.02  # a path keeps its first reference for this far, unless it begins in free space,
ARRIVE_M = 0.12  # and its last one for this far: the neighbourhood of a reference is what must not be distorted
FOLLOW_ON_S = 0.4  # how long a motion that success cut short goes on,
DECAY_S = 0.12  # slowing down with this time constant
MOST_LAG_STEPS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """What to follow; N >= T steps, the last N - T of them extrapolated.

    Args:
        source: the demonstration.
        segments: its segments; the last one ends at N.
        paths: thing -> (N, 3) metres.
        motion: (N, 3) translation commands, in units of the action.
        others: (N, D - 3) the action's other elements.
        opening: (N,) opening of the gripper.
        weights: (N,) how far each step has gone over to its segment's reference.
        touched: (N,) whether the gripper touches anything.
        lag_steps: how many steps the hand is behind its set point, see `hand_lag`.
        references: reference -> (3,) where it was when the hand first came to it, metres.
    """

    source: Demonstration
    segments: tuple[Segment, ...]
    paths: Mapping[str, Array]
    motion: Array
    others: Array
    opening: Array
    weights: Array
    touched: NDArray[np.bool_]
    references: Mapping[str, Array]
    lag_steps: float

    def __len__(self) -> int:
        return len(self.motion)


def hand_lag(demonstration: Demonstration) -> float:
    """Time constant, in steps, with which the hand follows its set point, from the motion before the first touch.

    The set point is the sum of the commands. For a first-order lag it is ahead of the hand by the constant times the
    hand's velocity; this is the least-squares fit, kept between 0 and `MOST_LAG_STEPS`.
    """
    touches = np.flatnonzero(demonstration.contact_n > 0)
    last = max(3, min(int(touches[0]) if len(touches) else len(demonstration), len(demonstration)) - 1)
    hand = demonstration.paths[HAND][: last + 1]
    motion = demonstration.actions[:last, list(demonstration.action.motion)] * demonstration.action.metres
    ahead = np.cumsum(motion, axis=0) - (hand[1:] - hand[0])
    velocity = np.gradient(hand, axis=0)[1:]
    power = float(np.sum(velocity**2))
    return float(np.clip(np.sum(velocity * ahead) / power, 0.0, MOST_LAG_STEPS)) if power > 0 else 0.0


def _arrival(demonstration: Demonstration, segment: Segment) -> int:
    """The step at which a segment has reached its reference: where the touch begins that lasts to its end."""
    if segment.kind != "approach":
        return segment.end - 1
    gap = round(GAP_S * demonstration.rate_hz)
    step = quiet = segment.end - 1
    while quiet > segment.start and step - quiet <= gap:
        if demonstration.contact_n[quiet] > 0:
            step = quiet
        quiet -= 1
    return step


def _weights(demonstration: Demonstration, segments: tuple[Segment, ...]) -> Array:
    weights = np.ones(len(demonstration))
    for segment in segments:
        last = _arrival(demonstration, segment)
        path = demonstration.paths[segment.front][segment.start : last + 1]
        free = segment.start == 0 and not segment.holds
        weights[segment.start : last + 1] = transfer_weight(path, 0.0 if free else LEAVE_M, ARRIVE_M)
    return weights


def _follow_on(path: Array, steps: int, decay: float) -> Array:
    """A path continued at its last velocity, which decays."""
    velocity = (path[-1] - path[max(0, len(path) - 4)]) / min(3, len(path) - 1)
    gone = decay * (1 - np.exp(-np.arange(1, steps + 1) / decay))
    return np.concatenate([path, path[-1] + gone[:, None] * velocity])


def _settled(path: Array) -> Array:
    """A path without its first position, which can be from before the scene was set up."""
    return np.concatenate([path[1:2], path[1:]])


def _hold(values: NDArray[Any], steps: int) -> NDArray[Any]:
    return np.concatenate([values, np.repeat(values[-1:], steps, axis=0)])


def make_track(demonstration: Demonstration) -> Track:
    """Finds the segments of a demonstration and prepares it to be followed."""
    steps = round(FOLLOW_ON_S * demonstration.rate_hz)
    decay = DECAY_S * demonstration.rate_hz
    segments = find_segments(demonstration)
    motion = demonstration.actions[:, list(demonstration.action.motion)]
    ebbing = motion[-1] * np.exp(-np.arange(1, steps + 1) / decay)[:, None]
    fronts = {HAND, *(s.front for s in segments), *(s.holds for s in segments if s.holds)}
    references = {s.reference: s.end - 1 for s in reversed(segments) if s.reference != WORLD}
    return Track(
        source=demonstration,
        segments=(*segments[:-1], replace(segments[-1], end=len(demonstration) + steps)),
        paths={thing: _follow_on(_settled(demonstration.paths[thing]), steps, decay) for thing in sorted(fronts)}
        | {thing: _hold(_settled(demonstration.paths[thing]), steps) for thing in sorted(set(references) - fronts)},
        motion=np.concatenate([motion, ebbing]),
        others=_hold(demonstration.actions[:, list(demonstration.action.others)], steps),
        opening=_hold(demonstration.opening, steps),
        weights=_hold(_weights(demonstration, segments), steps),
        touched=_hold(demonstration.contact_n > 0, steps),
        references={thing: demonstration.paths[thing][step] for thing, step in references.items()},
        lag_steps=hand_lag(demonstration),
    )
