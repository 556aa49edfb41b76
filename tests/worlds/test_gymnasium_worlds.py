"""Gymnasium environments as worlds by declaration, and our worlds as gymnasium environments."""

import warnings
from pathlib import Path

import numpy as np
import pytest

from roboscale.core import BadData, PolicyError, UnknownName, cases
from roboscale.testing.world_checks import check_world
from roboscale.worlds import open_world, world_id
from roboscale.worlds.environments import register_envs

pytest.importorskip("gym_pusht", reason="the extra `gym` is not installed")
PUSHT = Path(open_world.__code__.co_filename).parent / "simulated" / "pusht.toml"


@pytest.mark.parametrize(("name", "task"), [("pusht", "push-t"), ("fetch-push", "fetch-push")])
def test_a_declared_world_keeps_its_promises(name: str, task: str):
    world = open_world(name)
    assert check_world(world, task, determinism=True) == []
    assert world.outcome().damage.peak_force_n is None  # not measured is not zero
    world.close()


def test_a_file_of_ones_own_declares_a_world(tmp_path: Path):
    mine = tmp_path / "mine.toml"
    mine.write_text(PUSHT.read_text().replace('name = "pusht"', 'name = "mine"').replace("300", "5"))
    world = open_world(str(mine))
    assert world.horizon == 5 and world_id(world).startswith("mine (gym_pusht/PushT-v0, gym-pusht 0.1.8")
    world.reset(cases("push-t", 1, 0, "eval")[0])
    for _ in range(5):
        step = world.step(np.array([256.0, 256.0]))
    assert step.truncated and not step.terminated
    with pytest.raises(PolicyError):
        world.step(np.zeros(3))
    world.close()


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (("success = ", "succes = "), "success: expected one of the keys"),
        (('unit = "pixel"', 'units = "pixel"'), "field observation.state: expected keys"),
        (("rate_hz = 10.0", "rate_hz ="), "a TOML declaration"),
    ],
)
def test_a_broken_declaration_names_file_and_key(tmp_path: Path, edit: tuple[str, str], message: str):
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(PUSHT.read_text().replace(*edit, 1))
    with pytest.raises(BadData, match=message) as error:
        open_world(str(wrong))
    assert "wrong.toml" in str(error.value)


def test_a_path_that_the_environment_lacks_lists_what_it_has(tmp_path: Path):
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(PUSHT.read_text().replace('"agent_pos"', '"agent_position"'))
    with pytest.raises(UnknownName, match="agent_pos"):
        open_world(str(wrong))


@pytest.mark.parametrize("name", ["roboscale/metaworld-reach-v3", "roboscale/pusht", "roboscale/fetch-push"])
def test_gymnasium_accepts_our_environments(name: str):
    import gymnasium
    from gymnasium.utils.env_checker import check_env

    assert len(register_envs()) == 52
    env = gymnasium.make(name, render_mode="rgb_array", disable_env_checker=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the checker warns of spaces that are not symmetric
        check_env(env.unwrapped)
    env.reset(seed=0)
    assert env.render().ndim == 3
    env.close()
