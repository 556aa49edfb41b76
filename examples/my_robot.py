"""A robot of one's own class as a world, here without hardware: one joint that has to point at a mark.

roboscale eval --policy my_robot.py:towards_the_mark --world my_robot.py:at_the_bench --trials 2 --store bench
roboscale trials judge bench
"""

from typing import ClassVar

import numpy as np

from roboscale import evaluate
from roboscale.core import Case, Field, Spec
from roboscale.worlds.real.robot_world import RobotWorld

RATE_HZ = 50.0
ARM = {"unit": "rad", "frame": "joint", "layout": ("shoulder",)}
JOINT = Field("observation.state", (1,), "float32", **ARM)
TARGET = Field("action", (1,), "float32", **ARM, low=(-1.0,), high=(1.0,))


class OneJoint:
    """Put your driver where the made-up joint is. What changes how it moves is public, and part of its identity."""

    name = "one-joint"
    version = "driver 1"
    tasks: ClassVar = {"point": "point the arm at the red mark"}
    observation_spec = Spec((JOINT,), RATE_HZ)
    action_spec = Spec((TARGET,), RATE_HZ)
    horizon = 10
    hold = (0.0,)

    def __init__(self, speed_limit_rad: float = 0.2) -> None:
        self.speed_limit_rad = speed_limit_rad
        self._joint = 0.0

    def connect(self) -> None:
        """Nothing else touches the hardware before."""

    def read(self) -> dict[str, np.ndarray]:
        return {"observation.state": np.array([self._joint], np.float32)}

    def send(self, action: np.ndarray) -> np.ndarray:
        step = np.clip(action[0] - self._joint, -self.speed_limit_rad, self.speed_limit_rad)
        self._joint += float(step)
        return np.array([self._joint], np.float32)  # what was really sent

    def stop(self) -> None:
        """Holds still: called after every episode and after every error."""

    def disconnect(self) -> None:
        """Ends the connection."""


def put_back(case: Case) -> None:
    """Called while the robot holds still: a person sets up case.seed and presses return, where there is one."""


def at_the_bench() -> RobotWorld:
    return RobotWorld(OneJoint(), put_back)


def towards_the_mark(observation: dict) -> np.ndarray:
    return np.array([0.8], np.float32)


if __name__ == "__main__":
    print(evaluate(towards_the_mark, world=at_the_bench(), trials=2))  # a robot measures no success: a person says it
