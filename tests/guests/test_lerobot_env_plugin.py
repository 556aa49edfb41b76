"""What an unmodified `lerobot-eval` steps: our worlds, called as LeRobot calls them. LeRobot itself: `make guests`."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from roboscale.core import Case
from roboscale.worlds import open_world

pytest.importorskip("gym_pusht")
FILE = Path(__file__).parents[2] / "plugins/lerobot_env_roboscale/lerobot_env_roboscale/environment.py"


@pytest.fixture(scope="module")
def plugin():
    """The part of it that needs no LeRobot."""
    spec = importlib.util.spec_from_file_location("plugin_environment", FILE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def env(plugin):
    made = plugin.RoboscaleEnv("pusht")
    yield made
    made.close()


def test_arrays_are_called_as_lerobots_environments_call_them(plugin, env):
    seen, _ = env.reset(seed=1000)
    assert env.observation_space.contains(seen) and set(seen) == {"agent_pos", "pixels"}
    assert seen["pixels"]["top"].shape == (96, 96, 3) and seen["pixels"]["top"].dtype == np.uint8
    assert plugin.lerobot_key("observation.images.top") == "pixels/top"
    assert plugin.lerobot_key("observation.state") == "agent_pos"
    assert env.task_description and env._max_episode_steps == open_world("pusht").info.horizon


def test_a_seed_is_the_case_of_that_seed(env):
    here = open_world("pusht")
    scene = here.start(Case(env.task, 1003))
    env.reset(seed=1003)
    for action in np.random.default_rng(0).uniform(100, 400, (10, 2)).astype(np.float32):
        scene.step(action)
        seen, reward, terminated, truncated, info = env.step(action)
        np.testing.assert_array_equal(seen["agent_pos"], scene.observe(["observation.state"])["observation.state"])
        assert reward == pytest.approx(scene.measures()["reward"])
        assert not terminated and not truncated and info["is_success"] is False
    here.close()


def test_cameras_are_chosen_and_a_task_among_several_has_to_be(plugin):
    blind = plugin.RoboscaleEnv("pusht", cameras="")
    assert "pixels" not in blind.observation_space.spaces and blind.shown == {"observation.state": (2,)}
    blind.close()
    with pytest.raises(ValueError, match="expected cameras among .*top.*, found .*wrist"):
        plugin.RoboscaleEnv("pusht", cameras="wrist")
    pytest.importorskip("metaworld")
    with pytest.raises(ValueError, match="expected --env.task, one of"):
        plugin.RoboscaleEnv("metaworld")
