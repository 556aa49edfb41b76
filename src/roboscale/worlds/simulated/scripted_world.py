"""A declared gymnasium environment that brings a scripted expert, which a file of words cannot say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import ActionChunk, Identity, Observation, Session, Spec, WorldInfo, combine, identify
from roboscale.worlds.simulated.declaration import WorldDeclaration
from roboscale.worlds.simulated.gymnasium_world import GymnasiumWorld

__all__ = ["ScriptedExpert", "ScriptedWorld"]

Array = NDArray[np.float64]
Script = Callable[[Array, Array], Array]

_STATE, _GOAL = "observation.state", "observation.environment_state"


class ScriptedWorld(GymnasiumWorld):
    """`GymnasiumWorld` with an expert of its one task.

    Args:
        scripts: task -> what makes the script of an episode: (state, goal) -> action, all (n,) float64.
    """

    def __init__(
        self, declaration: WorldDeclaration, path: Path, scripts: Mapping[str, Callable[[], Script]] | None = None
    ) -> None:
        super().__init__(declaration, path)
        self._script = (scripts or {})[declaration.tasks[0].name]
        self._with_expert: WorldInfo | None = None

    @property
    def info(self) -> WorldInfo:
        """As of the declaration, with an expert."""
        if self._with_expert is None:
            self._with_expert = replace(super().info, expert=True)
        return self._with_expert

    def expert(self) -> ScriptedExpert:
        """A policy that reads state and goal, and no picture."""
        info = self.info
        seen = info.observation_spec.select([_STATE, _GOAL])
        return ScriptedExpert(info.identity, self._script, seen, info.action_spec)


class ScriptedExpert:
    """A script behind the policy protocol; known by its code."""

    name = "expert"
    history = 1

    def __init__(
        self, world: Identity, script: Callable[[], Script], observation_spec: Spec, action_spec: Spec
    ) -> None:
        self.identity = combine("expert", world, identify(script))
        self.observation_spec: Spec | None = observation_spec
        self.action_spec: Spec | None = action_spec
        self._script = script

    def start(self, instruction: str, seed: int) -> Session:
        """The script draws nothing at random, so `seed` changes nothing."""
        script = self._script()

        def act(observation: Observation) -> ActionChunk:
            return ActionChunk(np.asarray(script(_of(observation, _STATE), _of(observation, _GOAL)), np.float32)[None])

        return act


def _of(observation: Observation, name: str) -> Array:
    values: Any = observation[name]
    return np.asarray(values, np.float64)
