"""Our worlds as gymnasium environments: `gym.make("roboscale/metaworld-pick-place-v3")` after `register_envs()`.

A gymnasium environment does what a rollout does otherwise: it clips, counts steps and ends an episode by the rule.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from roboscale.core import Case, Field, HasPictures, RoboscaleError, Scene, World, check_action, derive_seed
from roboscale.worlds.catalog import WORLDS, open_world

__all__ = ["WorldEnv", "register_envs"]


def _space(field: Field) -> spaces.Box:
    if field.is_image:
        return spaces.Box(0, 255, field.shape, np.uint8)
    dtype = np.dtype(field.dtype)
    if field.low is not None and field.high is not None:
        low, high = (np.asarray(b, dtype).reshape(field.shape) for b in (field.low, field.high))
        return spaces.Box(low, high, field.shape, dtype.type)
    if np.issubdtype(dtype, np.integer):
        return spaces.Box(np.iinfo(dtype).min, np.iinfo(dtype).max, field.shape, dtype.type)
    return spaces.Box(-np.inf, np.inf, field.shape, dtype.type)


class WorldEnv(gymnasium.Env[dict[str, NDArray[Any]], NDArray[Any]]):
    """One task of a world behind gymnasium's interface.

    Args:
        world: name of the world, a TOML declaration or a class, as for `--world`; or a world, which it closes.
        task: one of its tasks.
        fields: observation fields, all without the cameras by default (rendering costs ten times the physics).
        render_mode: `rgb_array` or `None`.

    Raises:
        UnknownName: no such world, task or field.
        PolicyError: in `step`, an action that is none.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 30}  # noqa: RUF012  # gymnasium's convention

    def __init__(
        self, world: str | World, task: str, fields: tuple[str, ...] | None = None, render_mode: str | None = None
    ) -> None:
        self.world: World = open_world(world) if isinstance(world, str) else world
        self.task, self.render_mode = task, render_mode
        self.info = self.world.info
        self.instruction = self.info.instruction(task)
        spec = self.info.observation_spec
        self.fields = tuple(f.name for f in spec if not f.is_image) if fields is None else fields
        self.observation_space: Any = spaces.Dict({f.name: _space(f) for f in spec.select(self.fields)})
        self.action_space: Any = _space(self.info.action_spec["action"])
        self.metadata = {**self.metadata, "render_fps": round(self.info.rate_hz)}
        self._scene: Scene | None = None
        self._steps = self._streak = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """`seed` is the case's seed; without one, the next seed follows from the generator of the last."""
        super().reset(seed=seed)
        drawn = int(self.np_random.integers(2**31))
        case = Case(self.task, derive_seed("gymnasium", drawn) if seed is None else seed % 2**31)
        self._end()
        self._scene = self.world.start(case)
        self._steps = self._streak = 0
        return dict(self._scene.observe(self.fields)), {"instruction": self.instruction}

    def step(self, action: NDArray[Any]) -> tuple[dict[str, NDArray[Any]], float, bool, bool, dict[str, Any]]:
        """One control step. `info` has `is_success` for this step; in the last one also `success` of the episode by
        the world's rule, and all `measures`. A world that does not measure success leaves both out."""
        if self._scene is None:
            raise RoboscaleError("reset comes before step")
        applied, clipped = check_action(np.asarray(action), self.info.action_spec["action"])
        step = self._scene.step(applied)
        measures = dict(self._scene.measures())
        self._steps += 1
        rule, success = self.info.rule, measures.get("success")
        self._streak = self._streak + 1 if success else 0
        goes_on = bool(success) and not rule.succeeded(self._streak) and self.info.past_success
        terminated = rule.finishes(self._streak) or (step.terminated and not goes_on)
        truncated = not terminated and (step.truncated or self._steps >= self.info.horizon)
        info: dict[str, Any] = {"clipped": clipped}
        if success is not None:
            info["is_success"] = bool(success)
        if terminated or truncated:
            info["measures"] = measures
            if success is not None:
                info["success"] = rule.succeeded(self._streak)
        reward = measures.get("reward")
        return dict(self._scene.observe(self.fields)), reward or 0.0, terminated, truncated, info

    def render(self) -> NDArray[np.uint8] | None:
        """A picture for people; `None` where the world has none or nothing runs yet."""
        scene: object = self._scene
        if self.render_mode == "rgb_array" and self.info.pictures and isinstance(scene, HasPictures):
            return scene.picture(320, 240)
        return None

    def close(self) -> None:
        """Ends the episode and gives the world back."""
        self._end()
        self.world.close()

    def _end(self) -> None:
        scene, self._scene = self._scene, None
        if scene is not None:
            scene.close()


def register_envs() -> list[str]:
    """Registers every task of the built-in worlds; the ids are `roboscale/<world>[-<task>]`."""
    from roboscale.worlds.simulated.metaworld_tasks import TASKS

    wanted = {f"roboscale/metaworld-{task}": ("metaworld", task) for task in TASKS}
    for world in WORLDS.keys() - {"metaworld"}:
        (task,) = WORLDS[world].describe()[0]
        wanted[f"roboscale/{world}"] = (world, task)
    for name, (world, task) in wanted.items():
        if name not in gymnasium.registry:
            gymnasium.register(name, "roboscale.worlds.environments:WorldEnv", kwargs={"world": world, "task": task})
    return sorted(wanted)
