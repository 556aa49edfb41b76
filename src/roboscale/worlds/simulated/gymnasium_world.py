"""Any registered gymnasium environment as a world, by declaration: a small TOML file says what its arrays mean.

The file names the environment, the task and its instruction, where each field comes from in the environment's
observation, and what success is. Nothing is guessed: what the file does not declare is not observed. See
`pusht.toml` and `fetch_push.toml` beside this module.
"""

from __future__ import annotations

import importlib
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import (
    BadData,
    Capabilities,
    Case,
    Field,
    Observation,
    Outcome,
    RoboscaleError,
    Spec,
    Step,
    SuccessRule,
    UnknownName,
    WorldKind,
    check_action,
)
from roboscale.worlds.simulated.headless import import_mujoco
from roboscale.worlds.simulated.progress import Account

__all__ = ["Declaration", "GymnasiumWorld"]

_FIELD_KEYS = {"name", "from", "unit", "frame", "layout", "mode", "side"}


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a TOML file says of an environment.

    Args:
        name: the world's name.
        environment: gymnasium id, e.g. `gym_pusht/PushT-v0`; `module` is imported to register it.
        fields: field name -> dotted path in the observation; an empty path is the whole observation, `render` a
            rendered picture.
        success: key of `info` that holds success.
        progress: key of `info` that holds progress in 0..1; empty when there is none.
    """

    name: str
    environment: str
    module: str
    task: str
    instruction: str
    embodiment: str
    rate_hz: float
    horizon: int
    rule: SuccessRule
    success: str
    progress: str
    arguments: Mapping[str, Any]
    fields: tuple[Mapping[str, Any], ...]
    action: Mapping[str, Any]

    @classmethod
    def load(cls, path: Path) -> Declaration:
        """Reads a TOML file; BadData names the file and the key that is wrong."""
        try:
            data = tomllib.loads(path.read_text())
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise BadData(path, "file", "a TOML declaration of a world", error) from error
        needed = ("name", "environment", "task", "instruction", "rate_hz", "horizon", "success", "field")
        for key in needed:
            if key not in data:
                raise BadData(path, key, f"one of the keys {', '.join(needed)}", "nothing")
        for field in data["field"]:
            if wrong := set(field) - _FIELD_KEYS:
                raise BadData(path, f"field {field.get('name')}", f"keys {sorted(_FIELD_KEYS)}", sorted(wrong))
        return cls(
            name=data["name"],
            environment=data["environment"],
            module=data.get("module", ""),
            task=data["task"],
            instruction=data["instruction"],
            embodiment=data.get("embodiment", ""),
            rate_hz=float(data["rate_hz"]),
            horizon=int(data["horizon"]),
            rule=SuccessRule(data.get("rule", "first"), int(data.get("hold", 1))),
            success=data["success"],
            progress=data.get("progress", ""),
            arguments=data.get("arguments", {}),
            fields=tuple(data["field"]),
            action=data.get("action", {}),
        )


def _installed(module: str) -> str:
    """Name and version of the distribution that holds a module."""
    names = packages_distributions().get(module.split(".")[0], [])
    return f"{names[0]} {version(names[0])}" if names else module


class GymnasiumWorld:
    """One task of one gymnasium environment. Damage beyond clipping is not measured and says `None`."""

    kind: WorldKind = "simulated"

    def __init__(self, declaration: Declaration) -> None:
        import_mujoco()  # sets up rendering before the environment's module imports MuJoCo
        import gymnasium

        self.declaration = d = declaration
        self.name, self.embodiment = d.name, d.embodiment
        self.tasks: Sequence[str] = (d.task,)
        self.success_rule, self.horizon = d.rule, d.horizon
        try:
            if d.module:
                importlib.import_module(d.module)
            self._env = gymnasium.make(
                d.environment, disable_env_checker=True, max_episode_steps=d.horizon + 1, **d.arguments
            )
        except (ImportError, gymnasium.error.Error) as error:
            raise RoboscaleError(f"world {d.name}: cannot make {d.environment}: {error}") from error
        self.version = f"{d.environment}, {_installed(d.module)}, gymnasium {gymnasium.__version__}"
        self._raw, _ = self._env.reset(seed=0)
        self._info: Mapping[str, Any] = {}
        self._account = Account(d.rule, d.horizon)
        self.observation_spec = self._observation_spec()
        self.action_spec = self._action_spec()
        self.capabilities = Capabilities(rendering=self._env.render_mode == "rgb_array", deterministic=True)

    def _observation_spec(self) -> Spec:
        fields = []
        for declared in self.declaration.fields:
            array = self._extract(declared)
            rest: dict[str, Any] = {k: v for k, v in declared.items() if k not in ("name", "from", "layout")}
            layout = tuple(declared.get("layout", ()))
            fields.append(Field(declared["name"], array.shape, str(array.dtype), layout=layout, **rest))
        fields.append(Field("time.observation_ns", (1,), "int64", "ns"))
        return Spec(tuple(fields), self.declaration.rate_hz)

    def _action_spec(self) -> Spec:
        from gymnasium.spaces import Box

        space = self._env.action_space
        if not isinstance(space, Box):
            raise RoboscaleError(f"world {self.name}: a world takes a Box of actions, found {space}")
        rest: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in self.declaration.action.items()}
        low, high = (tuple(float(x) for x in bound.reshape(-1)) for bound in (space.low, space.high))
        return Spec((Field("action", space.shape, "float32", low=low, high=high, **rest),), self.declaration.rate_hz)

    def _extract(self, declared: Mapping[str, Any]) -> NDArray[Any]:
        path = declared.get("from", "")
        if path == "render":
            return np.asarray(self._env.render(), np.uint8)
        value: Any = self._raw
        for key in filter(None, path.split(".")):
            if not isinstance(value, Mapping) or key not in value:
                names = value if isinstance(value, Mapping) else ()
                raise UnknownName(f"observation of {self.declaration.environment}", path, names)
            value = value[key]
        array = np.asarray(value)
        return array if array.dtype == np.uint8 else array.astype(np.float32)

    def instruction(self, task: str) -> str:
        if task != self.declaration.task:
            raise UnknownName(f"task of {self.name}", task, self.tasks)
        return self.declaration.instruction

    def reset(self, case: Case) -> None:
        self.instruction(case.task)
        if case.scene != "default":
            raise UnknownName(f"scene of {self.name}", case.scene, ["default"])
        self._raw, self._info = self._env.reset(seed=case.seed)
        self._account = Account(self.success_rule, self.horizon)

    def step(self, action: NDArray[Any]) -> Step:
        applied, clipped = check_action(action, self.action_spec["action"])
        self._raw, reward, ended, cut, self._info = self._env.step(applied.astype(self._env.action_space.dtype))
        if self.declaration.success not in self._info:
            raise UnknownName(f"success key in the info of {self.name}", self.declaration.success, self._info)
        success = bool(self._info[self.declaration.success])
        progress = float(self._info[self.declaration.progress]) if self.declaration.progress else None
        account = self._account
        account.add(success=success, clipped=clipped, progress=progress, ended=ended or cut)
        return Step(applied, clipped, float(reward), success, account.terminated, account.truncated)

    def observe(self, names: Collection[str] | None = None) -> Observation:
        wanted = self.observation_spec.names if names is None else names
        declared = {d["name"]: d for d in self.declaration.fields}
        found: dict[str, NDArray[Any]] = {}
        for name in wanted:
            if name == "time.observation_ns":
                found[name] = np.array([round(self._account.steps * 1e9 / self.declaration.rate_hz)], np.int64)
            else:
                self.observation_spec[name]
                found[name] = self._extract(declared[name]).copy()
        return found

    def picture(self, width: int, height: int) -> NDArray[np.uint8]:
        """The environment's own rendering, at whatever size it has; `width` and `height` are wishes."""
        return np.asarray(self._env.render(), np.uint8)

    def outcome(self) -> Outcome:
        return self._account.outcome()

    def close(self) -> None:
        self._env.close()
