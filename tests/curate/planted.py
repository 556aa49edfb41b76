"""Demonstrations of one robot in a plane that goes to a goal, and what can be wrong with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Field, Outcome, Provenance, Spec
from roboscale.dataset import DatasetWriter

STATE = "observation.environment_state"
CAMERA = "observation.images.front"


@dataclass(frozen=True)
class Demonstration:
    """States (T, 4): where the hand is and where it is to go; actions (T, 2): its next motion."""

    states: NDArray[np.float32]
    actions: NDArray[np.float32]
    instruction: str = "go to the goal"
    success: bool | None = None
    source: str = "test"


def reach(rng: np.random.Generator, frames: int = 40, instruction: str = "go to the goal") -> Demonstration:
    """Straight from about the left to about the right, with a little noise of the hand."""
    at, goal = rng.normal((-0.8, 0.0), 0.1), rng.normal((0.8, 0.0), 0.1)
    states, actions = [], []
    for left in range(frames, 0, -1):
        motion = (goal - at) / left + rng.normal(0, 0.002, 2)
        states.append([*at, *goal])
        actions.append(motion)
        at = at + motion
    return Demonstration(np.array(states, np.float32), np.array(actions, np.float32), instruction)


def noisy(rng: np.random.Generator, one: Demonstration, size: float = 0.1) -> Demonstration:
    """The same states, and actions that jitter."""
    return replace(one, actions=(one.actions + rng.normal(0, size, one.actions.shape)).astype(np.float32))


def dawdling(one: Demonstration, frames: int = 60) -> Demonstration:
    """Halfway it goes back to its start and comes again."""
    half = len(one.actions) // 2
    order = [*range(half), *np.linspace(half, 0, frames).astype(int), *range(len(one.actions))]
    return replace(one, states=one.states[order], actions=one.actions[order])


def write(root: Path, demonstrations: Sequence[Demonstration], *, camera: bool = False) -> Path:
    """A dataset of them at 20 Hz; with `camera` each frame has a picture of its own brightness."""
    fields = [
        Field(STATE, (4,), "float32", unit="m"),
        Field("observation.state", (2,), "float32", unit="m"),
        Field("action", (2,), "float32", unit="m", mode="delta"),
    ]
    fields += [Field(CAMERA, (32, 32, 3), "uint8")] if camera else []
    with DatasetWriter(root, Spec(tuple(fields), 20.0)) as writer:
        for number, one in enumerate(demonstrations):
            take = writer.begin(one.instruction, Provenance(one.source))
            for frame, (state, action) in enumerate(zip(one.states, one.actions, strict=True)):
                values = {STATE: state, "observation.state": state[:2], "action": action}
                if camera:
                    values[CAMERA] = np.full((32, 32, 3), 40 * number + 5 * frame, np.uint8)
                take.add(values)
            status = {True: "success", False: "failure", None: None}[one.success]
            take.save(Outcome(status, steps=len(one.actions)) if status else None)
    return root
