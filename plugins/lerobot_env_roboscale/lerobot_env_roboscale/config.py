"""What `--env.type=roboscale` takes; features, rate and horizon are asked of the world."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import gymnasium
from lerobot.configs import FeatureType, PolicyFeature
from lerobot.envs.configs import EnvConfig

from lerobot_env_roboscale.environment import RoboscaleEnv, lerobot_key

__all__ = ["RoboscaleEnvConfig"]

_KINDS = {"observation.environment_state": FeatureType.ENV}


@EnvConfig.register_subclass("roboscale")
@dataclass
class RoboscaleEnvConfig(EnvConfig):
    """A world of roboscale.

    Args:
        world: as for roboscale's `--world`.
        task: one of its tasks; by default the only one.
        cameras: names behind `observation.images.`, separated by commas; `all`; or empty.
        python: an interpreter with roboscale and what the world needs; empty for this one.
    """

    world: str = "pusht"
    task: str | None = None
    cameras: str = "all"
    python: str = ""
    fps: int = 0  # the world's
    episode_length: int = 0  # the world's
    features: dict[str, PolicyFeature] = field(default_factory=dict)
    features_map: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Asks the world what it is; its process ends again."""
        env = RoboscaleEnv(self.world, self.task, self.cameras, self.python)
        try:
            self.task = env.task
            self.fps, self.episode_length = round(env.rate_hz), env._max_episode_steps
            for name, shape in env.shown.items():
                picture = len(shape) == 3
                kind = FeatureType.VISUAL if picture else _KINDS.get(name, FeatureType.STATE)
                self.features[lerobot_key(name)] = PolicyFeature(type=kind, shape=shape)
                self.features_map[lerobot_key(name)] = name
            self.features["action"] = PolicyFeature(type=FeatureType.ACTION, shape=env.action_space.shape)
            self.features_map["action"] = "action"
        finally:
            env.close()

    @property
    def gym_kwargs(self) -> dict[str, Any]:
        return {"world": self.world, "task": self.task, "cameras": self.cameras, "python": self.python}

    def create_envs(self, n_envs: int, use_async_envs: bool = False) -> dict[str, dict[int, Any]]:
        """{suite: {task: environments}}; each environment is a process of its own, in either kind of vector."""
        kwargs = self.gym_kwargs

        def make() -> RoboscaleEnv:
            return RoboscaleEnv(**kwargs)

        kind = gymnasium.vector.AsyncVectorEnv if use_async_envs and n_envs > 1 else gymnasium.vector.SyncVectorEnv
        envs = kind([make] * n_envs, autoreset_mode=gymnasium.vector.AutoresetMode.SAME_STEP)
        return {self.type: {0: envs}}
