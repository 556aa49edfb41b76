"""Inverse kinematics by damped least squares on any forward function.

A plain pseudo-inverse asks for endless joint rates where the arm is stretched out; damping trades accuracy there for
joints that stay calm (Wampler, IEEE Trans. Systems, Man, and Cybernetics 16, 1986; Nakamura and Hanafusa, ASME J.
Dynamic Systems 108, 1986).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Reached", "jacobian", "reach"]

Vector = NDArray[np.float64]
Forward = Callable[[Vector], Any]

_HALVINGS = 8
_DIFFERENCE = 1e-5  # of a joint, in its unit: small against any joint, large against rounding


@dataclass(frozen=True, slots=True)
class Reached:
    """Joints (D,), and how far the tip is from where it was wanted, in the unit of the forward function."""

    joints: Vector
    error: float


def jacobian(forward: Forward, joints: NDArray[Any]) -> NDArray[np.float64]:
    """The derivative of `forward` by each joint, (M, D), by central differences.

    Args:
        forward: joints (D,) -> (M,).
        joints: where, (D,).

    >>> jacobian(lambda q: [2 * q[0], q[0] + q[1]], np.array([0.3, 0.1])).round(6).tolist()
    [[2.0, 0.0], [1.0, 1.0]]
    """
    here = np.asarray(joints, np.float64)
    columns = []
    for number in range(len(here)):
        aside = np.zeros_like(here)
        aside[number] = _DIFFERENCE
        ahead, behind = (np.asarray(forward(here + sign * aside), np.float64) for sign in (1, -1))
        columns.append((ahead - behind) / (2 * _DIFFERENCE))
    return np.stack(columns, axis=1)


def reach(
    forward: Forward,
    joints: NDArray[Any],
    target: NDArray[Any],
    *,
    low: NDArray[Any],
    high: NDArray[Any],
    damping: float = 0.03,
    iterations: int = 20,
    tolerance: float = 1e-4,
) -> Reached:
    """The joints near `joints` that bring the tip to `target`, or as near as limits and damping let it come.

    Args:
        forward: joints (D,) -> where the tip is (M,), e.g. metres in the robot's base frame.
        joints: where to begin, (D,); the answer is the near one of several.
        target: where the tip is wanted, (M,).
        low, high: limits of the joints, (D,); a joint that stands at one and would pass it is left out of the step.
        damping: in the unit of `forward` per joint unit: what a singular value is compared with.
        tolerance: the error at which it stops, in the unit of `forward`.

    >>> arm = lambda q: [np.cos(q[0]) + np.cos(q[0] + q[1]), np.sin(q[0]) + np.sin(q[0] + q[1])]
    >>> there = reach(arm, np.array([0.3, 0.9]), np.array([1.2, 0.9]), low=-np.ones(2) * 3, high=np.ones(2) * 3)
    >>> there.error < 1e-4, np.allclose(arm(there.joints), [1.2, 0.9], atol=1e-3)
    (True, True)
    """
    low, high = np.asarray(low, np.float64), np.asarray(high, np.float64)
    at = np.clip(np.asarray(joints, np.float64), low, high)
    wanted = np.asarray(target, np.float64)
    best = Reached(at, float(np.linalg.norm(wanted - forward(at))))
    for _ in range(iterations):
        if best.error <= tolerance:
            break
        step = _step(forward, best.joints, wanted, low=low, high=high, damping=damping)
        for _ in range(_HALVINGS):  # a long step of a far target bends past it
            tried = np.clip(best.joints + step, low, high)
            error = float(np.linalg.norm(wanted - forward(tried)))
            if error < best.error:
                break
            step = step / 2
        else:
            break
        best = Reached(tried, error)
    return best


def _step(forward: Forward, joints: Vector, wanted: Vector, *, low: Vector, high: Vector, damping: float) -> Vector:
    """One damped step; joints that it would push through a limit are frozen, and the others asked again."""
    matrix = jacobian(forward, joints)
    missing = wanted - np.asarray(forward(joints), np.float64)
    free = np.ones(len(joints), bool)
    step = np.zeros(len(joints))
    for _ in range(len(joints)):
        part = matrix * free
        # J^T (J J^T + lambda^2 I)^-1 e: the unknowns are the tip's few coordinates, not the joints
        step = part.T @ np.linalg.solve(part @ part.T + damping**2 * np.eye(len(missing)), missing)
        blocked = free & (((joints <= low) & (step < 0)) | ((joints >= high) & (step > 0)))
        if not blocked.any():
            break
        free &= ~blocked
    return np.asarray(step)
