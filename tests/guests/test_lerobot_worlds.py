"""Environments that LeRobot would step: a file on the disk is asked about, and measured as LeRobot measures."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import numpy as np
import pytest

from roboscale.core import Case, RoboscaleError
from roboscale.guests import Guest, open_guest_world, read_guest
from roboscale.guests.side.faults import Refusal
from roboscale.guests.side.libero_settings import answer_libero
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


SUITE = """

class Placed(Point):
    def __init__(self):
        self._init_states, self.init_state_id = [(0.5, 0.5), (-0.5, 0.5), (0.9, 0.0)], 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.point = np.array(self._init_states[self.init_state_id])
        self.init_state_id += 1
        return self.seen(), {}


def make_env(n_envs=1, use_async_envs=False, cfg=None):
    kinds = enumerate([Point, Placed])
    return {"suite": {number: gymnasium.vector.SyncVectorEnv([kind] * n_envs) for number, kind in kinds}}
"""


def test_one_of_several_tasks_is_chosen_and_a_seed_chooses_among_fixed_initial_states(lerobot, tmp_path):
    path = written(tmp_path)
    path.write_text(path.read_text() + SUITE)
    with pytest.raises(RoboscaleError, match="or &number= of one; found 0, 1"):
        opened(lerobot, path, trust="true")
    world = opened(lerobot, path, trust="true", number="1")
    assert any("one of 3 fixed initial states" in note for note in world.notes)
    starts = [world.start(Case("env", seed)).observe()["observation.state"].tolist() for seed in (1, 4, 2, 1)]
    assert starts[0] == starts[1] == starts[3] == [-0.5, 0.5] and starts[2] == pytest.approx([0.9, 0.0])
    world.close()


LIBERO = """
import os
from pathlib import Path

folder = os.environ.get("LIBERO_CONFIG_PATH", "")
if not (folder and Path(folder, "config.yaml").exists()):
    input("Do you want to specify a custom path for the dataset folder? (Y/N): ")
SAID = Path(folder, "config.yaml").read_text()
"""


def test_what_libero_would_ask_is_answered_before_it_is_imported(tmp_path, monkeypatch):
    inside = tmp_path / "libero/libero"
    inside.mkdir(parents=True)
    (tmp_path / "libero/__init__.py").write_text("")
    (inside / "__init__.py").write_text(LIBERO)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delenv("LIBERO_CONFIG_PATH", raising=False)
    monkeypatch.setattr("builtins.input", lambda text: pytest.fail(f"asked {text}"))
    with pytest.raises(Refusal, match="meshes and textures are not in its package: &assets=FOLDER"):
        answer_libero()
    monkeypatch.setenv("LIBERO_CONFIG_PATH", str(answer_libero(str(tmp_path))))
    said = importlib.import_module("libero.libero").SAID

    assert f"assets: '{tmp_path}'" in said and f"bddl_files: '{inside / 'bddl_files'}'" in said


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
