"""Environments that LeRobot would step: a file on the disk is asked about, and measured as LeRobot measures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from roboscale.core import Case, RoboscaleError
from roboscale.guests import Guest, open_guest_world, read_guest
from roboscale.testing.world_checks import check_world

pytest.importorskip("gymnasium")

ENV = """
import gymnasium
import numpy as np


class Point(gymnasium.Env):
    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}
    task_description = "move the point to the middle of the field"
    _max_episode_steps = 20
    action_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
    observation_space = gymnasium.spaces.Dict(
        {
            "agent_pos": gymnasium.spaces.Box(-9, 9, (2,), np.float64),
            "pixels": gymnasium.spaces.Dict({"top": gymnasium.spaces.Box(0, 255, (32, 32, 3), np.uint8)}),
        }
    )

    def seen(self):
        picture = np.full((32, 32, 3), 30, np.uint8)
        picture[16, 16] = 255
        picture[:2, : 2 + self.steps % 20] = 90
        return {"agent_pos": self.point.copy(), "pixels": {"top": picture}}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps, self.point = 0, self.np_random.uniform(-1, 1, 2)
        return self.seen(), {"is_success": False}

    def step(self, action):
        self.steps += 1
        self.point = self.point + 0.2 * action
        near = bool(np.linalg.norm(self.point) < 0.1)
        return self.seen(), -float(np.linalg.norm(self.point)), near, False, {KEY: near}


def make_env(n_envs=1, use_async_envs=False, cfg=None):
    return {"points": {0: gymnasium.vector.SyncVectorEnv([Point] * n_envs)}}
"""


@pytest.fixture
def lerobot(toy: Guest, folder: Path) -> Guest:
    """Something that opens worlds as the guest of LeRobot does."""
    file = toy.folder / "guest.toml"
    opener = "roboscale.guests.side.lerobot_world:LeRobotWorld"
    file.write_text(file.read_text().replace("toy_guest_world:World", opener))
    guest, state = read_guest(toy.folder), folder / "toy/state.json"
    state.write_text(json.dumps({**json.loads(state.read_text()), "digest": guest.identity.digest}))
    return guest


def written(folder: Path, key: str = '"is_success"') -> Path:
    path = folder / "env.py"
    path.write_text(ENV.replace("KEY", key))
    return path


def opened(guest: Guest, path: Path, **options: str):
    return open_guest_world(guest, str(path), options, start_s=60, answer_s=20)


def test_a_file_is_run_only_where_it_is_trusted(lerobot, tmp_path):
    path = written(tmp_path)
    with pytest.raises(
        RoboscaleError, match=r"env.py \(\d+ bytes, SHA-256 [0-9a-f]{16}...\) is run as it is: look at it"
    ):
        opened(lerobot, path)
    world = opened(lerobot, path, trust="true")
    assert check_world(world, "env", images=True) == []
    assert world.info.tasks == {"env": "move the point to the middle of the field"}
    assert (world.info.horizon, world.info.rate_hz, world.info.rule.kind) == (20, 10.0, "end")
    world.close()


def test_it_is_seen_as_lerobots_policies_see_it_and_succeeds_where_it_ends(lerobot, tmp_path):
    world = opened(lerobot, written(tmp_path), trust="true")
    assert world.info.observation_spec.names == ("observation.state", "observation.images.top")
    scene = world.start(Case("env", 4))
    for _ in range(20):
        state = scene.observe(["observation.state"])["observation.state"]
        step = scene.step(np.clip(-5 * state, -1, 1).astype(np.float32))
        if step.terminated:
            break
    assert step.terminated and scene.measures()["success"] == 1
    world.close()


def test_success_that_nobody_says_is_nothing_and_a_key_may_be_named(lerobot, tmp_path):
    path = written(tmp_path, '"succeed"')
    for options, expected in (({}, None), ({"success": "succeed"}, 0.0)):
        world = opened(lerobot, path, trust="true", **options)
        scene = world.start(Case("env", 4))
        scene.step(np.zeros(2, np.float32))
        assert scene.measures()["success"] == expected
        world.close()


def test_another_content_is_another_world(lerobot, tmp_path):
    path = written(tmp_path)
    first = opened(lerobot, path, trust="true")
    path.write_text(path.read_text() + "\n# looked at\n")
    second = opened(lerobot, path, trust="true")
    assert first.info.identity != second.info.identity
    first.close(), second.close()


@pytest.mark.parametrize(
    ("text", "options", "error"),
    [
        ("nowhere.py", {"trust": "true"}, "no such file"),
        ("env.py", {"trust": "yes"}, "option trust: expected bool as False, found 'yes'"),
        ("empty.py", {"trust": "true"}, r"expected a function make_env\(n_envs, ...\), found none"),
    ],
)
def test_what_cannot_be_opened_says_why(lerobot, tmp_path, text, options, error):
    written(tmp_path)
    (tmp_path / "empty.py").write_text("")
    with pytest.raises(RoboscaleError, match=error):
        opened(lerobot, tmp_path / text, **options)
