"""A world that is seen well: a patterned block moves over a table by its actions, and has to reach the right edge."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import (
    Case,
    Field,
    Measure,
    Observation,
    Outcome,
    Provenance,
    Spec,
    Step,
    WorldInfo,
    combine,
    generator,
)
from roboscale.dataset import DatasetWriter

SIZE, RATE_HZ, SENTENCE = 48, 10.0, "push the block to the right edge of the table"
FRONT, MASK = "observation.images.front", "observation.images.robot"
STATE = Field("observation.state", (2,), "float32", unit="px", frame="picture", layout=("block.x", "block.y"))
PICTURE = Field(FRONT, (SIZE, SIZE, 3), "uint8", layout=("height", "width", "channel"))
ACTION = Field(
    "action",
    (2,),
    "float32",
    unit="px",
    frame="picture",
    layout=("dx", "dy"),
    mode="relative to state",
    low=(-2.0, -2.0),
    high=(2.0, 2.0),
)
NEAREST, FURTHEST, THERE = 11.0, 37.0, 34.0
"""Where the block's middle may be, and from where on it has arrived, pixels."""


def scene(place: NDArray[Any]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A patterned block over a table, and its mask."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    inside = (np.abs(columns - place[0]) < 9) & (np.abs(rows - place[1]) < 9)
    table = 70 + 30 * ((rows // 12 + columns // 12) % 2)
    block = 150 + 80 * (((rows - int(place[1])) // 4 + (columns - int(place[0])) // 4) % 2)
    grey = np.where(inside, block, table).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=-1), np.repeat((inside * 255).astype(np.uint8)[..., None], 3, axis=-1)


class BlockWorld:
    """One task, `push`; the case's seed places the block."""

    def __init__(self) -> None:
        self.info = WorldInfo(
            name="block",
            kind="simulated",
            version="1",
            identity=combine("block", 1),
            embodiment="block",
            tasks={"push": SENTENCE},
            observation_spec=Spec((STATE, PICTURE), RATE_HZ),
            action_spec=Spec((ACTION,), RATE_HZ),
            horizon=40,
            measures=(Measure(name="success", unit="bool", series=True),),
            deterministic=True,
            pictures=True,
            scenes=None,
            past_success=True,
        )

    def start(self, case: Case) -> BlockScene:
        self.info.require(case)
        return BlockScene(case)

    def close(self) -> None:
        """Nothing to give back."""


class BlockScene:
    """The block."""

    def __init__(self, case: Case) -> None:
        self.place = generator("block", case.seed).uniform(16, 28, 2)

    def observe(self, names: Collection[str] | None = None) -> Observation:
        seen = {STATE.name: self.place.astype(np.float32), FRONT: scene(self.place)[0]}
        return seen if names is None else {name: seen[name] for name in names}

    def step(self, action: NDArray[Any]) -> Step:
        self.place = np.clip(self.place + np.asarray(action, float), NEAREST, FURTHEST)
        return Step()

    def measures(self) -> dict[str, float | None]:
        return {"success": float(self.place[0] >= THERE)}

    def close(self) -> None:
        """Nothing to give back."""


def record_blocks(root: Path, episodes: int, steps: int = 24, *, shown: bool = True) -> None:
    """Episodes that wander; with pictures that do not show the actions where `shown` is false."""
    rng = np.random.default_rng(0)
    with DatasetWriter(root, Spec((STATE, PICTURE, ACTION), RATE_HZ), robot_type="block") as writer:
        for seed in range(episodes):
            case = Case("push", seed)
            known = Provenance("made", task="push", seed=seed, details={"case": case.id})
            take, block, velocity = writer.begin(SENTENCE, known), BlockScene(case), np.zeros(2)
            for _ in range(steps):
                velocity = np.clip(0.8 * velocity + rng.normal(0, 0.9, 2), -2, 2)
                ahead = block.place + velocity
                velocity = np.where((ahead < NEAREST) | (ahead > FURTHEST), -velocity, velocity)
                told = velocity if shown else rng.normal(0, 0.9, 2)
                take.add({**block.observe(), "action": told.astype(np.float32)})
                block.step(velocity)
            take.save(Outcome("success"))
