"""An environment of LeRobot 0.6 as a world: its own, a `lerobot_env_*` plugin's, or an `env.py` on the disk.

    lerobot06:so101?trust=true&set=random_block_position:true
    lerobot06:/home/me/env.py?trust=true

What is not LeRobot's own runs a stranger's code, and is opened only with `trust=true`. Arrays are called as LeRobot's
policies call them. Success is what LeRobot's own evaluation reads: `is_success` where the episode ends.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np

from roboscale.guests.side.faults import Refusal
from roboscale.guests.side.lerobot_policy import mend_torchvision
from roboscale.guests.side.libero_settings import answer_libero

__all__ = ["LeRobotWorld"]

_NAMES = {"agent_pos": "observation.state", "environment_state": "observation.environment_state"}
_PIXELS = "pixels"


class LeRobotWorld:
    """One task of an environment.

    Args:
        task: a type that LeRobot knows (`pusht`, `so101`), or the path of a file with `make_env(n_envs, ...)`.
        trust: that code which is not LeRobot's own may run.
        set: fields of its configuration, as `name:value,name:value`.
        success: key of the info that says success.
        rate_hz: of an `env.py` that says none.
        number: which of several tasks that it makes, as of a suite of LIBERO.
        assets: folder with LIBERO's meshes and textures.
    """

    def __init__(
        self,
        task: str,
        trust: bool = False,
        set: str = "",
        success: str = "is_success",
        *,
        rate_hz: float = 0.0,
        number: int = -1,
        assets: str = "",
    ) -> None:
        self.task, self.key, self.number, self.assets = task, success, number, assets
        self.notes: list[str] = []
        self.version, self.rate_hz, sentence = "", rate_hz, ""
        if task.endswith(".py"):
            vector = self._from_file(Path(task), trust)
        else:
            vector, sentence = self._from_type(task, _settings(set), trust)
        self.env = _only(vector, task)
        inner = self.env.unwrapped
        self.sentence = str(getattr(inner, "task_description", "") or getattr(inner, "task", "") or sentence or task)
        self.horizon = int(getattr(self.env, "_max_episode_steps", 0) or getattr(inner, "_max_episode_steps", 0) or 0)
        self.rate_hz = self.rate_hz or float(getattr(inner, "metadata", {}).get("render_fps", 0))
        if not self.rate_hz:
            raise Refusal(f"{task}: says no rate: ?rate_hz=10 does")
        if not self.horizon:
            raise Refusal(f"{task}: expected _max_episode_steps, as LeRobot's own evaluation does, found none")
        self.fields = list(_fields(self.env.observation_space))
        states = getattr(inner, "_init_states", None)
        self.initial = 0 if states is None else len(states)
        if self.initial:
            far = f"a case is one of {self.initial} fixed initial states"
            self.notes.append(f"{far}: seeds that far apart are the same case")

    def _from_type(self, kind: str, values: dict[str, Any], trust: bool) -> tuple[Any, str]:
        mend_torchvision()
        from lerobot.envs.configs import EnvConfig
        from lerobot.envs.factory import make_env
        from lerobot.utils.import_utils import register_third_party_plugins

        if trust:
            register_third_party_plugins()
        if kind.startswith("libero"):
            answer_libero(self.assets)
        known = EnvConfig.get_known_choices()
        if kind not in known:
            hint = "" if trust else "; a plugin is looked for with ?trust=true, which runs its code"
            raise Refusal(f"{kind}: there is none; there are {', '.join(sorted(known))}{hint}")
        config = known[kind]()
        for name, text in values.items():
            if name not in {field.name for field in dataclasses.fields(config)}:
                names = ", ".join(field.name for field in dataclasses.fields(config))
                raise Refusal(f"set={name}: there is none; {kind} has {names}")
            values[name] = _converted(getattr(config, name), text, name)
        if self.number >= 0 and hasattr(config, "task_ids"):  # the others are not made at all
            values["task_ids"] = [self.number]
        config = dataclasses.replace(config, **values)
        if steps := [type(step).__name__ for step in config.get_env_processors()[0].steps]:
            self.notes.append(f"LeRobot's own processing of this environment is not applied: {', '.join(steps)}")
        self.version = f"{type(config).__module__} {_version_of(type(config).__module__)}"
        self.rate_hz = self.rate_hz or float(config.fps)
        return _first(make_env(config, n_envs=1), self.number), str(config.task or "")

    def _from_file(self, path: Path, trust: bool) -> Any:
        if not path.is_file():
            raise Refusal(f"{path}: no such file")
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()[:16]
        if not trust:
            facts = f"{len(content)} bytes, SHA-256 {digest}..."
            raise Refusal(f"{path} ({facts}) is run as it is: look at it, then ?trust=true")
        spec = importlib.util.spec_from_file_location("roboscale_env_file", path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["roboscale_env_file"] = module
        spec.loader.exec_module(module)
        if not hasattr(module, "make_env"):
            raise Refusal(f"{path}: expected a function make_env(n_envs, ...), found none")
        self.version = f"{path.name} SHA-256 {digest}"
        self.notes.append("of what the file imports nothing is part of its identity but LeRobot's lock")
        return _first(module.make_env(n_envs=1, use_async_envs=False), self.number)

    def describe(self) -> dict[str, Any]:
        """What it is; nothing was reset for it."""
        space = self.env.action_space
        low, high = (np.asarray(bound, np.float64) for bound in (space.low, space.high))
        action: dict[str, Any] = {"shape": list(space.shape), "dtype": "float32", "unit": "as LeRobot has it"}
        if np.isfinite(low).all() and np.isfinite(high).all():
            action.update(low=low.ravel().tolist(), high=high.ravel().tolist())
        return {
            "version": self.version,
            "tasks": {Path(self.task).stem: self.sentence},
            "observation": [field for field, _ in self.fields],
            "action": action,
            "rate_hz": self.rate_hz,
            "horizon": self.horizon,
            "rule": "end",
            "measures": [{"name": "success", "unit": "bool"}, {"name": "reward", "series": True}],
            "deterministic": False,
            "pictures": "rgb_array" in str(getattr(self.env, "render_mode", "")),
            "success_terms": {self.key: "the environment's own, in the info where the episode ends"},
            "notes": [*self.notes, "what a seed sets, and whether twice the same, is the environment's to keep"],
        }

    def start(self, task: str, start: int, variation: str) -> _LeRobotScene:
        """A case: the seed is given to the environment's reset, and chooses among initial states that are fixed."""
        if self.initial:  # LeRobot goes through them by how often it was reset, whatever the seed
            self.env.unwrapped.init_state_id = start % self.initial
        seen, info = self.env.reset(seed=start)
        return _LeRobotScene(self, seen, info)


class _LeRobotScene:
    """One case being run."""

    def __init__(self, world: LeRobotWorld, seen: Any, info: dict[str, Any]) -> None:
        self._world, self._seen, self._info, self._reward = world, seen, info, 0.0

    def observe(self, names: list[str]) -> dict[str, Any]:
        """The named fields."""
        found = {}
        for field, path in self._world.fields:
            if field["name"] in names:
                value = self._seen
                for key in path:
                    value = value[key]
                found[field["name"]] = np.asarray(value)
        return found

    def step(self, action: Any) -> dict[str, Any]:
        """One control step."""
        self._seen, reward, terminated, truncated, self._info = self._world.env.step(np.asarray(action, np.float32))
        self._reward = float(reward)
        return {"terminated": bool(terminated), "truncated": bool(truncated)}

    def measures(self) -> dict[str, Any]:
        """Success is nothing where the environment does not say it; LeRobot's own evaluation counts a failure."""
        said = self._info.get(self._world.key)
        return {"success": None if said is None else bool(np.asarray(said).all()), "reward": self._reward}

    def picture(self, width: int, height: int) -> Any:
        """For people."""
        from PIL import Image

        return np.asarray(Image.fromarray(np.asarray(self._world.env.render())).resize((width, height)))


def _settings(text: str) -> dict[str, Any]:
    pairs = [part.partition(":") for part in text.split(",") if part]
    if wrong := [name for name, colon, _ in pairs if not colon]:
        raise Refusal(f"set: expected name:value,name:value, found {', '.join(wrong)}")
    return {name.strip(): value.strip() for name, _, value in pairs}


def _converted(now: Any, text: str, name: str) -> Any:
    """As the default is: `true` where that is a truth value, a number where that is one."""
    kind = str if now is None else type(now)
    try:
        return {"true": True, "false": False}[text] if kind is bool else kind(text)
    except (KeyError, ValueError, TypeError):
        raise Refusal(f"set={name}: expected {kind.__name__} as {now!r}, found {text!r}") from None


def _version_of(module: str) -> str:
    from importlib.metadata import packages_distributions, version

    top = module.partition(".")[0]
    return version(packages_distributions().get(top, ["lerobot"])[0])


def _first(made: Any, number: int) -> Any:
    """The environment of what `make_env` returns: `{suite: {task: environments}}`, environments, or one."""
    while isinstance(made, dict):
        if len(made) != 1 and number not in made:
            raise Refusal(f"expected one suite with one task, or &number= of one; found {', '.join(map(str, made))}")
        made = made[number] if number in made else next(iter(made.values()))
    return made


def _only(made: Any, task: str) -> Any:
    """The one environment of a vector of one: whoever steps many at once is not there yet."""
    if hasattr(made, "env_fns"):  # made when it is first used
        return made.env_fns[0]()
    if hasattr(made, "envs"):
        (env,) = made.envs
        return env
    if hasattr(made, "num_envs"):
        raise Refusal(f"{task}: expected environments that run one by one, found {type(made).__name__}")
    return made


def _fields(space: Any) -> list[tuple[dict[str, Any], tuple[str, ...]]]:
    """Field and the path at which it is found, of every array in an observation space."""
    found: list[tuple[dict[str, Any], tuple[str, ...]]] = []
    for key, inner in space.spaces.items():
        pictures, nested = key == _PIXELS, hasattr(inner, "spaces")
        head = "observation.images" if pictures and nested else "observation.image" if pictures else ""
        found += _leaves(head or _NAMES.get(key, f"observation.{key}"), inner, (key,))
    return found


def _leaves(name: str, space: Any, path: tuple[str, ...]) -> list[tuple[dict[str, Any], tuple[str, ...]]]:
    """Every array below a part of an observation space."""
    if not hasattr(space, "spaces"):
        return [(_field(name, space), path)]
    parts = space.spaces.items()
    return [leaf for key, inner in parts for leaf in _leaves(f"{name}.{key}", inner, (*path, key))]


def _field(name: str, space: Any) -> dict[str, Any]:
    picture = np.dtype(space.dtype) == np.uint8 and len(space.shape) == 3
    return {"name": name, "shape": list(space.shape), "dtype": "uint8" if picture else "float32"}
