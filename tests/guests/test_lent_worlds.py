"""A world of ours in another environment is the same world: what LeRobot's evaluation of our worlds stands on."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from roboscale.core import Case, InfrastructureError, RoboscaleError
from roboscale.guests import open_lent_world
from roboscale.testing.world_checks import check_world
from roboscale.worlds import open_world
from roboscale.worlds.environments import WorldEnv

pytest.importorskip("gym_pusht")
WORLD = str(Path(__file__).parents[2] / "examples" / "own_world.toml")
TASK = "push-t-and-hold"


@pytest.fixture
def lent():
    world = open_lent_world(Path(sys.executable), WORLD)
    yield world
    world.close()


def test_it_says_and_keeps_what_the_world_says(lent):
    here = open_world(WORLD)
    said, own = lent.info, here.info
    assert (said.tasks, said.horizon, said.rate_hz, said.rule) == (own.tasks, own.horizon, own.rate_hz, own.rule)
    assert said.observation_spec == own.observation_spec and said.action_spec == own.action_spec
    assert said.measures == own.measures and said.deterministic == own.deterministic
    assert str(own.identity) in said.version, "another declaration is another world there, too"
    assert check_world(lent, TASK) == []
    here.close()


def test_it_shows_moves_and_measures_the_same(lent):
    here = open_world(WORLD)
    scenes = [world.start(Case(TASK, 7)) for world in (here, lent)]
    draw = np.random.default_rng(1)
    for _ in range(20):
        action = draw.uniform(100, 400, 2).astype(np.float32)
        for scene in scenes:
            scene.step(action)
        seen = [scene.observe() for scene in scenes]
        assert seen[0].keys() == seen[1].keys()
        for name, array in seen[0].items():
            np.testing.assert_array_equal(array, seen[1][name])
        assert scenes[0].measures() == pytest.approx(scenes[1].measures())
    here.close()


def test_gymnasium_steps_it_by_the_worlds_rule(lent):
    env = WorldEnv(lent, TASK)
    _, info = env.reset(seed=3)
    assert info["instruction"] == lent.info.instruction(TASK)
    steps, ended = 0, False
    while not ended:
        _, _, terminated, truncated, info = env.step(np.array([256, 256], np.float32))
        steps, ended = steps + 1, terminated or truncated
    assert steps == lent.info.horizon and info["success"] is False
    env.close()


def test_what_cannot_be_opened_says_why():
    with pytest.raises(RoboscaleError, match="unknown world 'nowhere'"):
        open_lent_world(Path(sys.executable), "nowhere")
    with pytest.raises((InfrastructureError, OSError)):
        open_lent_world(Path("/bin/false"), "pusht", start_s=20)
