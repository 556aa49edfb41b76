"""A world to be driven: a hand in a box has to reach a point. Its picture shows both; physics costs nothing."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from roboscale.core import Case, Field, Identity, Measure, Observation, Spec, Step, WorldInfo, combine, generator

SIZE = 32
STATE = Field("observation.state", (4,), "float32", unit="m", frame="world", layout=("x", "y", "z", "gripper_width"))
GOAL = Field("observation.environment_state", (3,), "float32", unit="m", frame="world", layout=("gx", "gy", "gz"))
IMAGE = Field("observation.images.top", (SIZE, SIZE, 3), "uint8", layout=("height", "width", "channel"))
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
NEAR_M = 0.03


class Reaching:
    """A point of a unit box; `reach` is solved when the hand is near the goal, whose place the seed says."""

    def __init__(self) -> None:
        self.info = WorldInfo(
            name="reaching",
            kind="simulated",
            version="1",
            identity=self._identity(),
            embodiment="point",
            tasks={"reach": "bring the hand to the red point", "other": "bring the hand to the red point, again"},
            observation_spec=Spec((STATE, GOAL, IMAGE), 40.0),
            action_spec=Spec((ACTION,), 40.0),
            horizon=400,
            measures=(Measure(name="success", unit="bool", series=True),),
            deterministic=True,
            scenes=None,
            hold=(0.0,) * 4,
            past_success=True,
        )

    @staticmethod
    def _identity() -> Identity:
        return combine("reaching", 1)

    def start(self, case: Case) -> ReachingScene:
        self.info.require(case)
        assert case.seed is not None
        return ReachingScene(case.seed)

    def close(self) -> None:
        pass


class ReachingScene:
    def __init__(self, seed: int) -> None:
        rng = generator("reaching", seed)
        self.at = np.array([0.0, 0.0, 0.2])
        self.goal = np.array([*rng.uniform(0.05, 0.12, 2), 0.2])
        self.width, self.steps = 0.1, 0

    def observe(self, names: Collection[str] | None = None) -> Observation:
        seen: dict[str, Any] = {
            STATE.name: np.array([*self.at, self.width], np.float32),
            GOAL.name: self.goal.astype(np.float32),
        }
        if names is None or IMAGE.name in names:
            seen[IMAGE.name] = self._picture()
        return seen if names is None else {name: seen[name] for name in names}

    def _picture(self) -> np.ndarray:
        picture = np.full(IMAGE.shape, 90 + self.steps % 2, np.uint8)
        for place, colour in ((self.goal, (220, 30, 30)), (self.at, (30, 60, 220))):
            row, column = (np.clip(SIZE / 2 - place[[1, 0]] * SIZE * (1, -1) * 2, 1, SIZE - 2)).astype(int)
            picture[row - 1 : row + 2, column - 1 : column + 2] = colour
        return picture

    def step(self, action: np.ndarray) -> Step:
        self.at = np.clip(self.at + 0.01 * np.asarray(action[:3], float), -0.5, 0.5)
        self.width = 0.0 if action[3] > 0 else 0.1
        self.steps += 1
        return Step()

    def measures(self) -> dict[str, float | None]:
        return {"success": float(np.linalg.norm(self.at - self.goal) < NEAR_M)}

    def close(self) -> None:
        pass


class Straight:
    """A policy that goes straight to the goal, for a person to take over from; it overshoots in x on purpose."""

    def __call__(self, observation: Observation) -> np.ndarray:
        way = observation[GOAL.name] + np.array([0.2, 0, 0]) - observation[STATE.name][:3]
        return np.append(np.clip(20 * way, -0.5, 0.5), -1.0).astype(np.float32)


def straight(observation: Observation) -> np.ndarray:
    return Straight()(observation)
