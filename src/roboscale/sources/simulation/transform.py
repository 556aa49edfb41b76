"""Moves a demonstrated path to where its reference is now, and joins pieces that were moved differently.

Pure functions on poses and paths; knows no demonstration and no world.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Pose

__all__ = ["blend", "displacement", "interpolate", "nearest_order", "transfer_weight"]

Array = NDArray[np.float64]


def displacement(world_from_reference_then: Pose, world_from_reference_now: Pose) -> Pose:
    """The motion of the world that takes a reference from where it was demonstrated to where it is now.

    A path that is fixed to the reference moves by it: `world_from_hand_now = displacement @ world_from_hand_then`
    (MimicGen, Mandlekar et al. 2023, section 4.2).
    """
    return world_from_reference_now @ world_from_reference_then.inverse()


def interpolate(start: Pose, end: Pose, weight: float) -> Pose:
    """The pose at `weight` in 0..1 between two: a straight line, and the shortest rotation at constant rate."""
    translation = (1 - weight) * start.translation + weight * end.translation
    if np.array_equal(start.rotation, end.rotation):
        return Pose(start.rotation, translation)
    rotvec = Pose(start.rotation.T @ end.rotation, np.zeros(3)).as_layout("rotvec")
    return Pose(start.rotation @ Pose.make(np.zeros(3), weight * rotvec, "rotvec").rotation, translation)


def blend(pose: Pose, before: Pose, after: Pose, weight: float) -> Pose:
    """A pose moved by `before` at weight 0, by `after` at weight 1, and in between in between.

    The moved poses are interpolated, not the displacements: the origin that a rotation happens to turn about must
    not matter.
    """
    return interpolate(before @ pose, after @ pose, weight)


def transfer_weight(path: Array, leave_m: float, arrive_m: float) -> Array:
    """How far each point of a path has gone over from its first reference to its second, (T,) in 0..1.

    The path stays fixed to the first reference for its first `leave_m` metres and to the second for its last
    `arrive_m`; in between the weight grows smoothly with the length travelled. At least half of the path is between:
    a displacement that is squeezed into a few steps saturates the commands and cannot be told from where the hand is.

    Args:
        path: (T, 3) positions, metres.
    """
    gone = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    length = float(gone[-1])
    if length < 1e-9:
        return np.ones(len(path))
    share = min(1.0, 0.5 * length / (leave_m + arrive_m)) if leave_m + arrive_m > 0 else 1.0
    first, last = share * leave_m, length - share * arrive_m
    u = np.clip((gone - first) / (last - first), 0.0, 1.0)
    return np.asarray(u * u * (3 - 2 * u))


def nearest_order(
    references: Sequence[Mapping[str, Array]], now: Mapping[str, Array], extra_m: Sequence[float] = ()
) -> tuple[int, ...]:
    """Demonstrations in the order of how little the references of each would have to move, nearest first.

    Args:
        references: per demonstration, reference -> (3,) position where it was demonstrated.
        now: reference -> (3,) position now.
        extra_m: per demonstration, what else counts against it, in metres of displacement.
    """
    costs = [sum(float(np.linalg.norm(now[name] - then)) for name, then in each.items()) for each in references]
    total = np.asarray(costs) + (np.asarray(extra_m) if len(extra_m) else 0.0)
    return tuple(int(i) for i in np.argsort(total, kind="stable"))
