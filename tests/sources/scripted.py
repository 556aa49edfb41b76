"""Demonstrations drawn by hand, so that a test can say what is in them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from roboscale.core import Episode, Field, Provenance, Spec

AXES = ("x", "y", "z")
LAYOUT = (
    *(f"hand.{a}" for a in AXES),
    "gripper.opening",
    *(f"object1.{a}" for a in AXES),
    *(f"object2.{a}" for a in AXES),
    *(f"goal.{a}" for a in AXES),
)
ACTION = Field(
    "action",
    (4,),
    "float32",
    unit="0.01 m; gripper_effort 1",
    frame="world",
    layout=("target.dx", "target.dy", "target.dz", "gripper_effort"),
    mode="relative to previous action",
    low=(-1.0,) * 4,
    high=(1.0,) * 4,
)
STATE = Field("observation.environment_state", (13,), "float32", unit="mixed", frame="world", layout=LAYOUT)
CONTACT = Field("contact.gripper_n", (1,), "float32", unit="N")
SPEC = Spec((STATE, CONTACT, ACTION), 80.0)


def line(*points: tuple[float, float, float], step_m: float = 0.01) -> np.ndarray:
    """(T, 3) positions along straight lines, `step_m` apart."""
    pieces = [np.array([points[0]])]
    for start, end in pairwise(points):
        a, b = np.array(start), np.array(end)
        count = max(1, round(float(np.linalg.norm(b - a)) / step_m))
        pieces.append(a + (b - a) * np.arange(1, count + 1)[:, None] / count)
    return np.concatenate(pieces)


def episode(
    hand: np.ndarray,
    object1: np.ndarray | None = None,
    goal: np.ndarray | None = None,
    touched: np.ndarray | None = None,
    name: str = "drawn",
    spec: Spec = SPEC,
) -> Episode:
    """An episode whose hand follows `hand` (T, 3) exactly; things that are not given are absent (all zero)."""
    steps = len(hand)
    state = np.zeros((steps, 13), np.float32)
    state[:, :3] = hand
    for place, path in ((4, object1), (10, goal)):
        if path is not None:
            state[:, place : place + 3] = path
    force = np.zeros((steps, 1), np.float32) if touched is None else touched.astype(np.float32).reshape(steps, 1)
    state[:, 3] = 1.0 - 0.5 * (np.cumsum(force[:, 0]) > 0)
    action = np.zeros((steps, 4), np.float32)
    action[:-1, :3] = np.diff(hand, axis=0) / 0.01
    arrays = {"observation.environment_state": state, "contact.gripper_n": force, "action": action}
    return Episode(id=name, spec=spec, arrays=arrays, instruction="drawn by hand", provenance=Provenance("test"))
