"""A policy of one's own, a function in a file, in the world of my_world.py.

roboscale policy check my_policy.py:act --world my_world.py:PointWorld
roboscale eval --policy my_policy.py:act --world my_world.py:PointWorld --trials 20
roboscale compare my_policy.py:act my_policy.py:hasty --world my_world.py:PointWorld --budget 40
"""

from pathlib import Path

import numpy as np

from roboscale import compare, evaluate


def act(observation: dict) -> np.ndarray:
    point, goal = observation["observation.state"].reshape(2, 2)  # metres
    return (goal - point).clip(-0.1, 0.1)


def hasty(observation: dict) -> np.ndarray:
    return 3 * act(observation)  # goes past the goal, and back


if __name__ == "__main__":
    world = f"{Path(__file__).with_name('my_world.py')}:PointWorld"
    print(evaluate(act, world=world, trials=20, workers=0))
    print(compare(act, hasty, world=world, budget=40, workers=0).sentence)
