"""One task of a roboscale world as a gymnasium environment that calls its arrays as LeRobot does."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from roboscale.guests import open_lent_world
from roboscale.worlds.environments import WorldEnv

__all__ = ["RoboscaleEnv", "lerobot_key"]

_PICTURES = "observation.images."
_LEROBOT = {"observation.state": "agent_pos", "observation.environment_state": "environment_state"}


def lerobot_key(name: str) -> str:
    """What LeRobot's environments call a field: `pixels/front` for a picture, `agent_pos` for the state."""
    return f"pixels/{name.removeprefix(_PICTURES)}" if name.startswith(_PICTURES) else _LEROBOT[name]


class RoboscaleEnv(gymnasium.Env[dict[str, Any], Any]):
    """A world in a process of its own.

    Args:
        world: as for roboscale's `--world`.
        task: one of its tasks; `None` for the only one.
        cameras: names behind `observation.images.`, separated by commas; `all`; or empty.
        python: an interpreter with roboscale and what the world needs; empty for this one.

    Raises:
        ValueError: the world has several tasks and none was chosen, or no such camera.
    """

    def __init__(self, world: str, task: str | None = None, cameras: str = "all", python: str = "") -> None:
        lent = open_lent_world(Path(python or sys.executable), world)
        try:
            self._env = self._opened(lent, world, task, cameras)
        except BaseException:
            lent.close()
            raise
        self.rate_hz = lent.info.rate_hz
        self.task, self.task_description = self._env.task, self._env.instruction
        self._max_episode_steps = lent.info.horizon
        self.metadata = {"render_modes": ["rgb_array"], "render_fps": round(self.rate_hz)}
        self.render_mode = "rgb_array"
        shown = lent.info.observation_spec.select(self._env.fields)
        self.shown = {field.name: tuple(field.shape) for field in shown}
        self.action_space = self._env.action_space
        self.observation_space = self._spaces()

    @staticmethod
    def _opened(lent: Any, world: str, task: str | None, cameras: str) -> WorldEnv:
        tasks = list(lent.info.tasks)
        if task is None and len(tasks) > 1:
            raise ValueError(f"world {world}: expected --env.task, one of {', '.join(tasks[:10])} ..., found none")
        names = [field.name for field in lent.info.observation_spec]
        pictures = [name for name in names if name.startswith(_PICTURES)]
        wanted = pictures if cameras == "all" else [_PICTURES + one for one in cameras.split(",") if one]
        if missing := sorted(set(wanted) - set(pictures)):
            raise ValueError(f"world {world}: expected cameras among {pictures}, found {missing}")
        fields = (*(name for name in names if name in _LEROBOT), *wanted)
        return WorldEnv(lent, task or tasks[0], fields=fields, render_mode="rgb_array")

    def _spaces(self) -> spaces.Dict:
        inner = self._env.observation_space.spaces
        found: dict[str, Any] = {_LEROBOT[name]: space for name, space in inner.items() if name in _LEROBOT}
        pictures = {n.removeprefix(_PICTURES): space for n, space in inner.items() if n.startswith(_PICTURES)}
        return spaces.Dict({**found, **({"pixels": spaces.Dict(pictures)} if pictures else {})})

    def _named(self, seen: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {_LEROBOT[name]: np.array(seen[name]) for name in seen if name in _LEROBOT}
        pictures = {n.removeprefix(_PICTURES): np.array(seen[n]) for n in seen if n.startswith(_PICTURES)}
        return {**found, **({"pixels": pictures} if pictures else {})}

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """A case: its seed is the episode's."""
        seen, info = self._env.reset(seed=seed)
        return self._named(seen), {**info, "is_success": False}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """One control step. `is_success` is of the episode by the world's rule where it ends, of the step before."""
        seen, reward, terminated, truncated, info = self._env.step(np.asarray(action))
        told = {"is_success": bool(info.get("success", info.get("is_success", False))), "clipped": info["clipped"]}
        return self._named(seen), reward, terminated, truncated, told

    def render(self) -> Any:
        """A picture for people."""
        return self._env.render()

    def close(self) -> None:
        """Ends the process."""
        self._env.close()
