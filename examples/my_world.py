"""A world of one's own class, checked: a point on a table that has to reach a goal.

roboscale world check my_world.py:PointWorld
roboscale eval --policy my_policy.py:act --world my_world.py:PointWorld
"""

from typing import ClassVar

import numpy as np

from roboscale.core import Case, Field, Spec, Step
from roboscale.testing.world_checks import check_world, success_rule
from roboscale.worlds import as_world

RATE_HZ = 10.0
STATE = Field(
    "observation.state", (4,), "float32", unit="m", frame="table", layout=("point.x", "point.y", "goal.x", "goal.y")
)
ACTION = Field(
    "action", (2,), "float32", unit="m", frame="table", layout=("dx", "dy"), low=(-0.1, -0.1), high=(0.1, 0.1)
)


class PointWorld:
    """What it is stands in attributes; what it does not say is assumed as `roboscale.core.WorldInfo` has it."""

    name = "point"
    tasks: ClassVar = {"reach": "move the point to the goal on the table"}
    observation_spec = Spec((STATE,), RATE_HZ)
    action_spec = Spec((ACTION,), RATE_HZ)
    horizon = 50
    measures = ("success", "progress")
    deterministic = True
    scenes = None  # any number at once

    def __init__(self, near_m: float = 0.05) -> None:
        self.near_m = near_m

    def start(self, case: Case) -> "PointScene":
        return PointScene(case.seed, self.near_m)


class PointScene:
    """One case: the seed places the goal."""

    def __init__(self, seed: int, near_m: float) -> None:
        self.point, self.near_m = np.zeros(2), near_m
        self.goal = np.random.default_rng(seed).uniform(0.2, 0.5, 2)

    @property
    def distance(self) -> float:
        return float(np.linalg.norm(self.goal - self.point))

    def observe(self, names: list[str] | None = None) -> dict[str, np.ndarray]:
        every = {"observation.state": np.concatenate([self.point, self.goal]).astype(np.float32)}
        return {f.name: every[f.name] for f in PointWorld.observation_spec.select(every if names is None else names)}

    def step(self, action: np.ndarray) -> Step:
        self.point = self.point + action
        return Step()

    def measures(self) -> dict[str, float | None]:
        start = float(np.linalg.norm(self.goal))
        return {"success": self.distance < self.near_m, "progress": max(0.0, 1 - self.distance / start)}

    def close(self) -> None:
        """Nothing to give back."""


if __name__ == "__main__":
    world = as_world(PointWorld)
    print(success_rule(world, "reach").text)
    findings = check_world(world, "reach")
    print("\n".join(f"{f.severity}: {f.text}" for f in findings) or f"{world.info.name} keeps its promises")
