"""A folder with what a user might have: an environment of one file, a declaration, policies, a robot."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from roboscale.cli.app import app

ENVIRONMENT = '''
import gymnasium, numpy as np

class Point(gymnasium.Env):
    """A point that must reach a goal; quirks are one-line changes."""
    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}
    observation_space = gymnasium.spaces.Dict(
        observation=gymnasium.spaces.Box(-2, 2, (2,), np.float32), goal=gymnasium.spaces.Box(-2, 2, (2,), np.float32))
    action_space = gymnasium.spaces.Box(-0.2, 0.2, (2,), np.float32)
    def __init__(self, render_mode=None, speed=1.0):
        self.render_mode, self.speed = render_mode, speed
    def _see(self):
        return {"observation": self.at.astype(np.float32), "goal": self.goal.astype(np.float32)}
    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        self.at, self.goal = np.zeros(2), self.np_random.uniform(-1, 1, 2)
        return self._see(), {}
    def step(self, action):
        self.at = self.at + self.speed * np.asarray(action)
        near = bool(np.linalg.norm(self.at - self.goal) < 0.1)
        return self._see(), -float(np.linalg.norm(self.at - self.goal)), near, False, {"is_success": near}
    def render(self):
        return np.full((48, 64, 3), 128, np.uint8)
'''

DECLARATION = """
name = "point"
environment = "my_env.py:Point"
task = "reach"
instruction = "move the point to the goal"
rate_hz = 10.0
horizon = 30
success = "is_success"

[[field]]
name = "observation.state"
from = "observation"
unit = "m"

[[field]]
name = "observation.environment_state"
from = "goal"
unit = "m"

[action]
unit = "m"
"""

POLICIES = """
import numpy as np

GAIN = 1.0

def good(observation):
    return GAIN * (observation["observation.environment_state"] - observation["observation.state"])

def bad(observation):
    return -good(observation)

def still(observation):
    return np.zeros(2)
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder; it is the current one."""
    (tmp_path / "my_env.py").write_text(ENVIRONMENT)
    (tmp_path / "point.toml").write_text(DECLARATION)
    (tmp_path / "policies.py").write_text(POLICIES)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def roboscale(place: Path):
    """Runs the command in a process of its own, as a user does."""

    def run(*words: str, code: int = 0, timeout: float = 120) -> subprocess.CompletedProcess:
        done = subprocess.run(
            [sys.executable, "-m", "roboscale.cli", *words],
            cwd=place,
            env={**os.environ, "COLUMNS": "200", "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    return run


@pytest.fixture
def here(place: Path):
    """The same in this process, where a process of its own is not what is looked at: it takes a second to start."""

    def run(*words: str, code: int = 0) -> Any:
        done = CliRunner(env={"COLUMNS": "200"}).invoke(app, list(words))
        assert done.exit_code == code, f"{words}: {done.exit_code}\n{done.stdout}\n{done.stderr}\n{done.exception!r}"
        return done

    return run
