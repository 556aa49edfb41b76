"""What a trajectory shows of how it came about: samples that repeat the one before, samples that lie between others.

A tracker that loses its target often writes its last pose again, and a converter fills gaps with straight lines.
Neither was measured. Both are told by the numbers alone, and only where the numbers can tell.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roboscale.sources.capture.poses import Poses

__all__ = ["HELD_S", "Jump", "held_samples", "interpolated_samples", "largest_jump", "longest_run_s", "stretches"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Times = NDArray[np.int64]

HELD_S = 0.2
"""A pose that is repeated for longer was held, not measured."""
_STRAIGHT = 4  # samples in a row that lie on the line of their neighbours; fewer happen by chance
_TELLS = 20.0  # how much further from a line measured motion must be than what rounding alone does
_MOVES_M = 1e-5  # a step below says nothing of lines


@dataclass(frozen=True, slots=True)
class Jump:
    """The largest jump of a trajectory: metres from where the samples before lead to, and the sample that jumped."""

    metres: float
    sample: int


def stretches(mask: Mask) -> list[tuple[int, int]]:
    """(first, last + 1) of every stretch in which a mask (N,) is True.

    >>> stretches(np.array([True, True, False, True]))
    [(0, 2), (3, 4)]
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def held_samples(poses: Poses, valid: Mask) -> Mask:
    """(N,) True where a sample repeats the one before it to the last bit: position and rotation."""
    same = np.zeros(len(poses), bool)
    alike = (poses.translation[1:] == poses.translation[:-1]).all(axis=1)
    alike &= (poses.rotation[1:] == poses.rotation[:-1]).all(axis=(1, 2))
    same[1:] = alike & valid[1:] & valid[:-1]
    return same


def interpolated_samples(poses: Poses, time_ns: Times, valid: Mask) -> Mask | None:
    """(N,) True where at least four samples in a row lie on the straight line between their neighbours.

    `None` where that cannot be told: measured motion at this rate is as straight as rounding leaves it.
    """
    between = np.zeros(len(poses), bool)
    if len(poses) < _STRAIGHT + 2:
        return between
    p, t = poses.translation, time_ns.astype(np.float64)
    share = (t[1:-1] - t[:-2]) / np.maximum(t[2:] - t[:-2], 1)
    off = np.abs(p[1:-1] - (p[:-2] + (p[2:] - p[:-2]) * share[:, None])).max(axis=1)
    moves = (np.linalg.norm(np.diff(p, axis=0), axis=1) > _MOVES_M) & valid[1:] & valid[:-1]
    usable = moves[1:] & moves[:-1]
    if not usable.any():
        return between
    exact = _rounding(p[valid])
    straight = (off <= exact) & usable
    curved = off[usable & ~straight]
    if straight.any() and (not len(curved) or float(np.median(curved)) < _TELLS * exact):
        return None
    for first, last in stretches(straight):
        if last - first >= _STRAIGHT:
            between[first + 1 : last + 1] = True
    return between


def _rounding(positions: Array) -> float:
    """Metres by which a sample may miss a line for the digits it was written with."""
    small = 2.0**-23 * float(np.abs(positions).max(initial=1e-6))  # of float32
    for decimals in range(3, 9):
        if np.allclose(np.round(positions, decimals), positions, rtol=0, atol=1e-12):
            return max(2 * 10.0**-decimals, small)
    return 4 * small


def largest_jump(poses: Poses, time_ns: Times, valid: Mask) -> Jump:
    """The largest step away from where the two samples before lead to, within stretches that are valid.

    At 60 Hz that is a step between frames for all practical motion; at 10 Hz a quick hand is no jump.
    """
    p, worst = poses.translation, Jump(0.0, 0)
    dt = np.diff(time_ns.astype(np.float64))
    for first, last in stretches(valid):
        if last - first < 2:
            continue
        lead = p[first + 1 : last] - p[first : last - 1]
        pace = lead / np.maximum(dt[first : last - 1, None], 1)
        gone = np.linalg.norm(lead, axis=1)
        if last - first > 2:
            expected = pace[:-1] * dt[first + 1 : last - 1, None]
            gone[1:] = np.minimum(gone[1:], np.linalg.norm(lead[1:] - expected, axis=1))
        at = int(np.argmax(gone))
        if gone[at] > worst.metres:
            worst = Jump(float(gone[at]), first + 1 + at)
    return worst


def longest_run_s(mask: Mask, time_ns: Times) -> float:
    """Seconds of the longest stretch in which a mask (N,) is True, from the sample before it."""
    spans = [time_ns[last - 1] - time_ns[max(first - 1, 0)] for first, last in stretches(mask)]
    return float(max(spans, default=0)) * 1e-9
