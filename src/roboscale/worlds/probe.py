"""Whether a world sets the same case up twice: asked when a run starts, for no world is taken at its word.

A pair of policies is compared on the same case. Where `reset` ignores the seed there are no same cases, and pairing
gains nothing.
"""

from __future__ import annotations

import numpy as np

from roboscale.core import Case, Observation, World

__all__ = ["probe_resets"]


def probe_resets(world: World, case: Case) -> bool:
    """Whether two scenes of a case begin with the same bytes, another case being set up in between.

    Nothing is stepped. Numbers are compared; pictures only where there are no numbers, because they follow from the
    same state and cost ten times as much. Not for a robot, whose scenes somebody has to set up.

    Args:
        case: with a seed as its start, so that another can be set up in between; of other starts it is the same case.

    Raises:
        What the world's `start` and `observe` raise.
    """
    first = _first_look(world, case)
    if case.seed is not None:
        _first_look(world, Case(case.task, (case.seed + 1) % 2**31, case.variation))
    second = _first_look(world, case)
    return all(_same(first[name], second[name]) for name in first)


def _first_look(world: World, case: Case) -> Observation:
    spec = world.info.observation_spec
    names = [f.name for f in spec if not f.name.startswith("time.")]
    numbers = [name for name in names if not spec[name].is_image]
    scene = world.start(case)
    try:
        return {name: np.array(array) for name, array in scene.observe(numbers or names).items()}
    finally:
        scene.close()


def _same(first: object, second: object) -> bool:
    one, other = np.asarray(first), np.asarray(second)
    return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
