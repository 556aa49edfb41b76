"""An environment of one file and its declaration, as a user writes them; quirks are one-line changes of both."""

from pathlib import Path

from roboscale.core import Case
from roboscale.worlds.simulated.gymnasium_world import GymnasiumWorld

ENVIRONMENT = """
import gymnasium
import numpy as np

NEAR = 0.1

class Point(gymnasium.Env):
    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}
    observation_space = gymnasium.spaces.Dict(
        at=gymnasium.spaces.Box(-9, 9, (2,), np.float32), goal=gymnasium.spaces.Box(-9, 9, (2,), np.float32)
    )
    action_space = gymnasium.spaces.Box(-0.2, 0.2, (2,), np.float32)

    def __init__(self, render_mode=None, speed=1.0):
        self.render_mode, self.speed, self.steps = render_mode, speed, 0

    def see(self):
        return {"at": self.at.astype(np.float32), "goal": self.goal.astype(np.float32)}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.at, self.goal, self.steps = np.zeros(2), self.np_random.uniform(-1, 1, 2), 0
        if options:
            self.goal = np.array(options["goal"])
        return self.see(), {"sentence": "move the point to the goal"}

    def step(self, action):
        self.at, self.steps = self.at + self.speed * np.asarray(action), self.steps + 1
        distance = float(np.linalg.norm(self.at - self.goal))
        near = distance < NEAR
        info = {"is_success": near, "distance": distance, "final": {"near": near}}
        return self.see(), -distance, near, False, info

    def render(self):
        return np.full((24, 32, 3), 128, np.uint8)
"""

DECLARATION = """
name = "point"
environment = "my_env.py:Point"
task = "reach"
instruction = "move the point to the goal"
embodiment = "point"
rate_hz = 10.0
horizon = 30
deterministic = true
success = "is_success"
#more

[[field]]
name = "observation.state"
from = "at"
unit = "m"

[[field]]
name = "observation.environment_state"
from = "goal"
unit = "m"

[action]
unit = "m"
mode = "relative to state"
#last
"""

Edit = tuple[str, str]

CASE = Case("reach", 3)


def write(folder: Path, *edits: Edit, environment: tuple[Edit, ...] = ()) -> Path:
    """Both files in a folder, each with its edits; the path of the declaration."""
    (folder / "my_env.py").write_text(edited(ENVIRONMENT, environment))
    path = folder / "point.toml"
    path.write_text(edited(DECLARATION, edits))
    return path


def edited(text: str, edits: tuple[Edit, ...]) -> str:
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new)
    return text


def opened(folder: Path, *edits: Edit, environment: tuple[Edit, ...] = ()) -> GymnasiumWorld:
    """The world of both files."""
    return GymnasiumWorld.load(write(folder, *edits, environment=environment))
