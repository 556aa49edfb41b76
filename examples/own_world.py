"""A gymnasium environment of one's own as a world: checked, then a policy evaluated in it."""

from pathlib import Path

import numpy as np

from roboscale import evaluate
from roboscale.testing.world_checks import check_world
from roboscale.worlds import open_world

WORLD = str(Path(__file__).with_name("own_world.toml"))


def lean_on_the_block(observation: dict) -> np.ndarray:
    """Puts the finger where the block is: it pushes, but knows no outline."""
    return observation["observation.environment_state"][2:4]


if __name__ == "__main__":
    world = open_world(WORLD)
    problems = [finding.text for finding in check_world(world, "push-t-and-hold")]
    print(f"{world.info.name}: {'; '.join(problems) or 'keeps its promises, same bytes twice'}")
    world.close()
    print(evaluate(lean_on_the_block, world=WORLD, trials=5))
