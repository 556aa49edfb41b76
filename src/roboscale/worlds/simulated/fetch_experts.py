"""Scripted experts of gymnasium-robotics' Fetch tasks: they read the full state, and draw nothing at random.

Each is made anew for an episode and maps a state (25,) or (10,) and a goal (3,), both metres and in the world's frame,
to an action (4,): motion of the hand in steps of 0.05 m, and the fingers, +1 opens. Measured on 60 seeds of 50 steps:
success at some step in 60 of 60 for each of the three.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["FETCH_EXPERTS"]

Array = NDArray[np.float64]
Script = Callable[[Array, Array], Array]

STEP_M = 0.05  # of an action of 1
OPEN, CLOSED = 1.0, -1.0
OVER_BLOCK = np.array([0.0, 0.0, 0.075])  # m, clear of its edges
HOLD_STEPS = 4  # until the fingers have closed


def _towards(hand: Array, target: Array, fingers: float, gain: float) -> Array:
    """A step (4,) of the hand to the target; a gain above 1 makes up for the arm that lags behind."""
    return np.append(np.clip(gain * (target - hand) / STEP_M, -1, 1), fingers)


def _reach() -> Script:
    return lambda state, goal: _towards(state[0:3], goal, 0.0, 2.0)


def _pick_and_place() -> Script:
    """Above the block, down, closed, and to the goal; once more from the start where the block was lost."""
    held = 0

    def act(state: Array, goal: Array) -> Array:
        nonlocal held
        hand, block = state[0:3], state[3:6]
        off = block - hand
        above = float(np.hypot(off[0], off[1])) < 0.012
        if held and float(np.linalg.norm(off)) > 0.05:
            held = 0
        if not held and not (above and abs(off[2]) < 0.012):
            return _towards(hand, block if above else block + OVER_BLOCK, OPEN, 3.0)
        held += 1
        if held <= HOLD_STEPS:
            return np.array([0.0, 0.0, 0.0, CLOSED])
        return _towards(hand, goal - off, CLOSED, 2.0)

    return act


def _push() -> Script:
    """Above a point behind the block, down, and against it in the direction of the goal; again where it slid aside."""
    phase = "over"

    def act(state: Array, goal: Array) -> Array:
        nonlocal phase
        hand, block = state[0:3], state[3:6]
        way = goal[:2] - block[:2]
        left_m = float(np.linalg.norm(way))
        along = way / max(left_m, 1e-6)
        behind = np.append(block[:2] - 0.075 * along, block[2])
        beside = hand[:2] - block[:2]
        ahead_m = float(beside @ along)
        aside = beside - ahead_m * along
        if phase == "over":
            if float(np.linalg.norm(hand[:2] - behind[:2])) < 0.015:
                phase = "down"
            low_and_near = hand[2] < block[2] + 0.06 and float(np.linalg.norm(beside)) < 0.1
            over = np.append(hand[:2], block[2] + 0.1) if low_and_near else behind + OVER_BLOCK
            return _towards(hand, over, CLOSED, 3.0)
        if phase == "down":
            if hand[2] < block[2] + 0.015:
                phase = "push"
            return _towards(hand, behind, CLOSED, 3.0)
        if left_m < 0.02:  # a success is 0.05 m, and the block slides on a little
            return np.array([0.0, 0.0, 0.0, CLOSED])
        if float(np.linalg.norm(aside)) > 0.03 or ahead_m > 0:
            phase = "over"
        flat = along * np.clip(8 * left_m, 0.15, 0.7) - 1.5 * aside / STEP_M
        moved: Array = np.clip([*flat, 2 * (block[2] - hand[2]) / STEP_M, CLOSED], -1, 1)
        return moved

    return act


FETCH_EXPERTS: dict[str, Callable[[], Script]] = {
    "fetch-pick-and-place": _pick_and_place,
    "fetch-push": _push,
    "fetch-reach": _reach,
}
"""Task -> what makes its expert for one episode."""
