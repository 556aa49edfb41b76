"""What a declaration says, and what it does not say, as the world and gymnasium see it."""

import dataclasses
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from roboscale.core import BadData, Case, RoboscaleError
from roboscale.worlds import as_world
from roboscale.worlds.environments import WorldEnv
from roboscale.worlds.simulated.declaration import SuccessTable, WorldDeclaration
from roboscale.worlds.simulated.gymnasium_world import GymnasiumWorld
from roboscale.worlds.simulated.readings import AfterStep, read_success
from tests.toy_world import ToyScene, ToyWorld
from tests.worlds.point_env import CASE, DECLARATION, edited, opened, write


@pytest.mark.parametrize("terminated", [True, False])
def test_termination_may_be_success_or_its_opposite(terminated: bool):
    step = AfterStep(
        where="own.toml", info={}, reward=0.0, total=0.0, terminated=terminated, ended=terminated, last=False
    )
    assert read_success(SuccessTable(source="terminated"), step) is terminated
    assert read_success(SuccessTable(source="terminated", negate=True), step) is not terminated


def declared(folder: Path, success: str) -> WorldDeclaration:
    (folder / "own.toml").write_text(edited(DECLARATION, (('success = "is_success"', f"success = {success}"),)))
    return WorldDeclaration.load(folder / "own.toml")


def test_two_thresholds_leave_something_between_them(tmp_path: Path):
    table = declared(tmp_path, '{key = "distance", at_least = 1, at_most = 1}').tasks[0].condition
    assert table.thresholds == {"at_least": 1.0, "at_most": 1.0}
    for nothing in ("above = 1, at_most = 1", "at_least = 1, below = 1", "at_least = 2, at_most = 1"):
        with pytest.raises(BadData, match=r"own\.toml: success\.(below|at_most): expected more than [12], found 1"):
            declared(tmp_path, f'{{key = "distance", {nothing}}}')


def test_actions_are_absolute_where_nothing_is_said(tmp_path: Path):
    assert opened(tmp_path).info.action_spec["action"].mode == "relative to state"
    silent = opened(tmp_path, ('mode = "relative to state"\n', ""))
    assert silent.info.action_spec["action"].mode == "absolute"
    assert any("mode (absolute)" in note for note in silent.notes)


def test_cameras_in_gymnasium_have_the_whole_range_of_a_byte(tmp_path: Path):
    picture = (
        '[[field]]\nname = "observation.images.front"\nfrom = "render"\n\n[arguments]\nrender_mode = "rgb_array"\n'
    )
    path = write(tmp_path, ("#last", picture))
    env = WorldEnv(str(path), "reach", fields=("observation.images.front",))
    space = env.observation_space["observation.images.front"]
    assert space == gymnasium.spaces.Box(0, 255, (24, 32, 3), np.uint8)
    env.close()


def test_an_id_whose_environment_is_gone_is_one_line(tmp_path: Path):
    path = write(tmp_path, ('"my_env.py:Point"', '"Gone-v0"'))
    for entry in ("json:NoSuchEnvironment", "no_such_module_anywhere:Env"):
        gymnasium.register("Gone-v0", entry)
        try:
            with pytest.raises(RoboscaleError, match=r"point\.toml: cannot make Gone-v0: .*[Nn]o"):
                _ = opened(path.parent, ('"my_env.py:Point"', '"Gone-v0"')).info
        finally:
            del gymnasium.registry["Gone-v0"]


def test_the_version_of_a_world_is_that_of_its_first_environment(tmp_path: Path):
    one = 'task = "reach"\ninstruction = "move the point to the goal"\n'
    tasks = (
        '[[task]]\nname = "near"\ninstruction = "move the point to the near goal"\n'
        '[[task]]\nname = "far"\ninstruction = "move the point to the far goal"\nenvironment = "my_env.py:Far"\n'
    )
    path = write(tmp_path, (one, ""), ("#last", tasks))
    with (tmp_path / "my_env.py").open("a") as file:
        file.write("\ndef Far():\n    return Point(speed=2.0)\n")
    info = GymnasiumWorld.load(path).info
    assert info.version.startswith("my_env.py:Point") and set(info.tasks) == {"near", "far"}


def test_a_meta_world_holds_still_with_relaxed_fingers():
    from roboscale.worlds.simulated.metaworld import MetaWorld

    world = MetaWorld()
    assert tuple(world.info.hold or ()) == (0.0, 0.0, 0.0, 0.0)
    world.close()


def test_a_scene_of_a_declared_world_begins_where_its_case_says(tmp_path: Path):
    world = opened(tmp_path)
    goals = [world.start(case).observe()["observation.environment_state"] for case in (CASE, Case("reach", 4), CASE)]
    assert np.array_equal(goals[0], goals[2]) and not np.array_equal(goals[0], goals[1])
    world.close()


@pytest.mark.parametrize(
    ("bounds", "holds"),
    [
        ({"above": 1.0}, (False, False, True)),
        ({"at_least": 1.0}, (False, True, True)),
        ({"below": 1.0}, (True, False, False)),
        ({"at_most": 1.0}, (True, True, False)),
        ({"equals": 1.0}, (False, True, False)),
    ],
)
def test_what_each_threshold_means(bounds: dict[str, float], holds: tuple[bool, ...]):
    for reward, expected in zip((0.5, 1.0, 1.5), holds, strict=True):
        step = AfterStep(
            where="own.toml", info={}, reward=reward, total=9.0, terminated=False, ended=False, last=False
        )
        assert read_success(SuccessTable(source="reward", **bounds), step) is expected
        assert read_success(SuccessTable(source="reward", negate=True, **bounds), step) is not expected


def test_lists_in_a_class_are_read_as_what_they_mean():
    class Lists:
        tasks = {"near": "move the point to the near goal"}
        observation_spec, action_spec = ToyWorld().info.observation_spec, ToyWorld().info.action_spec
        horizon, variations, hold = 5, ["light", "table"], [0]

        def start(self, case: Case) -> ToyScene:
            return ToyWorld().start(case)

    info = as_world(Lists()).info
    assert (info.variations, info.hold) == (("light", "table"), (0.0,)) and hash(info.variations)


def test_a_float_may_be_held_at_a_fraction(tmp_path: Path):
    info = opened(tmp_path, ("[action]", "[action]\nhold = [0.125, -0.0625]")).info
    assert info.hold == (0.125, -0.0625)


def test_what_is_declared_cannot_be_changed(tmp_path: Path):
    declared = opened(tmp_path).declaration
    with pytest.raises(dataclasses.FrozenInstanceError):
        declared.horizon = 3


@pytest.mark.parametrize("reward", [0.0, -0.5, 2.0])
def test_the_reward_of_an_environment_is_its_own(tmp_path: Path, reward: float):
    path = write(tmp_path, environment=(("self.see(), -distance, near", f"self.see(), {reward}, near"),))
    env = WorldEnv(str(path), "reach", fields=("observation.state",))
    env.reset(seed=1)
    assert env.step(np.zeros(2, np.float32))[1] == reward
    env.close()


@pytest.mark.parametrize("shown", ["self.at[:1]", "np.zeros((1, 2))", "np.zeros(3)", "np.zeros((2, 1))"])
def test_a_shape_that_changes_is_no_observation(tmp_path: Path, shown: str):
    later = f"{shown} if self.steps else self.at"
    world = opened(tmp_path, environment=(('"at": self.at.astype', f'"at": ({later}).astype'),))
    scene = world.start(CASE)
    scene.observe(["observation.state"])
    scene.step(np.zeros(2, np.float32))
    with pytest.raises(RoboscaleError, match=r"observation\.state: expected float32\[2\], found "):
        scene.observe(["observation.state"])
    world.close()


def test_a_file_that_is_no_python_is_named(tmp_path: Path):
    path = write(tmp_path)
    (tmp_path / "my_env.py").write_text("class Point(:\n")
    with pytest.raises(RoboscaleError, match=r"point\.toml: cannot make my_env\.py:Point: .*my_env\.py"):
        _ = GymnasiumWorld.load(path).info
