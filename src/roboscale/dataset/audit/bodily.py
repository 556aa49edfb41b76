"""An action that says where to go as seen from the state, as a change of the state: what an audit can compare."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Field

__all__ = ["as_world_change"]

Floats = NDArray[np.float64]

_POSE = ("x", "y", "z", *(f"rot6d_rows.{i}" for i in range(6)))


def as_world_change(action: Field, state: Field, values: Floats, states: Floats) -> Floats:
    """(T, D) of an action in its body's frame as the change of the state's elements of the same names.

    Poses compose, `T_t @ A_t - T_t`; what is called alike and is no pose is taken as where that element shall be.
    Values come back as they are where the action is not relative to a body.

    Args:
        values: (T, D) of the action.
        states: (T, S) at the same frames.
    """
    if action.side != "body" or not action.mode.startswith("relative"):
        return values
    places = {name: i for i, name in enumerate(state.layout)}
    changed, done = values.copy(), set()
    for prefix in {name.removesuffix("rot6d_rows.0") for name in action.layout if name.endswith("rot6d_rows.0")}:
        names = [f"{prefix}{part}" for part in _POSE]
        if not all(name in places and name in action.layout for name in names):
            continue
        mine, theirs = [action.layout.index(n) for n in names], [places[n] for n in names]
        turn, go = _matrix(states[:, theirs[3:]]), values[:, mine[:3]]
        changed[:, mine[:3]] = np.einsum("tij,tj->ti", turn, go)
        after = turn @ _matrix(values[:, mine[3:]])
        changed[:, mine[3:]] = after[:, :2].reshape(-1, 6) - states[:, theirs[3:]]
        done |= set(mine)
    for i, name in enumerate(action.layout):
        if i not in done and name in places:
            changed[:, i] = values[:, i] - states[:, places[name]]
    return changed


def _matrix(rot6d_rows: Floats) -> Floats:
    """(T, 3, 3) from the first two rows of each; rows that are no rotation give one that means nothing."""
    first, second = rot6d_rows[:, :3], rot6d_rows[:, 3:]
    a = first / np.maximum(np.linalg.norm(first, axis=1, keepdims=True), 1e-9)
    b = second - np.einsum("ti,ti->t", a, second)[:, None] * a
    b = b / np.maximum(np.linalg.norm(b, axis=1, keepdims=True), 1e-9)
    return np.stack([a, b, np.cross(a, b)], axis=1)
