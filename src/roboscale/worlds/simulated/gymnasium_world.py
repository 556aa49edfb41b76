"""Any registered gymnasium environment as a world, by declaration: a small TOML file says what its arrays mean.

The file names the environment, its tasks with their instructions, where each field comes from in the environment's
observation, and what success is. Nothing is guessed: what the file does not declare is not observed, and that is said.
See `pusht.toml` and `fetch_push.toml` beside this module, and `declaration` for the grammar.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import (
    BadData,
    Case,
    Field,
    Identity,
    InfrastructureError,
    Measure,
    Observation,
    RoboscaleError,
    Spec,
    Step,
    WorldInfo,
    combine,
    identify,
)
from roboscale.core.loading import load_module, load_object
from roboscale.worlds.simulated.declaration import Declaration, FieldTable, ScoreTable, TaskTable
from roboscale.worlds.simulated.headless import prepare_rendering
from roboscale.worlds.simulated.readings import (
    as_array,
    as_number,
    as_picture,
    check_reading,
    follow,
    read_progress,
    read_success,
)

__all__ = ["Declaration", "GymnasiumScene", "GymnasiumWorld"]

TIME = "time.observation_ns"
WITHOUT_LIMIT = 10**9  # steps; the horizon belongs to the rollout, not to a wrapper of the environment
SIMULATORS = ("gymnasium", "mujoco", "pymunk", "pygame", "box2d", "pybullet")
EXTRAS = {"gym_pusht": "gym", "gymnasium_robotics": "gym", "metaworld": "sim"}


class GymnasiumWorld:
    """The tasks of one declaration. Any number of scenes at once: each has an environment of its own.

    Args:
        declaration: what the file says.
        path: of the file; modules and classes are looked for beside it.
    """

    def __init__(self, declaration: Declaration, path: Path = Path("declaration")) -> None:
        prepare_rendering()  # before the environment's module imports MuJoCo
        self.declaration, self.path = declaration, path
        self.tasks = {task.name: task for task in declaration.tasks}
        self.notes: tuple[str, ...] = ()
        self._free: dict[str, list[Any]] = {}
        self._info: WorldInfo | None = None
        self.scales: dict[str, float] = {}

    @property
    def info(self) -> WorldInfo:
        """Known from the environment's spaces; only a rendered picture without `shape` needs one reset."""
        if self._info is None:
            self._info = self._describe()
        return self._info

    def start(self, case: Case) -> GymnasiumScene:
        """Resets an environment; the seed is the case's, or the one of `seeds` that it chooses."""
        self.info.require(case)
        task = self.tasks[case.task]
        env = self._take(task)
        seeds = task.seeds or self.declaration.seeds
        seed = case.seed if not seeds else seeds[(case.seed or 0) % len(seeds)]
        options = {**self.declaration.options, **task.options} or None
        try:
            raw, info = self._reset(env, seed, options)
        except BaseException:
            self._drop(env)
            raise
        return GymnasiumScene(self, task, env, raw, info)

    def success_terms(self, task: str) -> Mapping[str, str]:
        """The key that success is read from, and the condition on it."""
        table = self.declaration.success_of(self.tasks[task])
        return {table.key or table.source: table.text}

    def give_back(self, task: TaskTable, env: Any) -> None:
        """Takes an environment back for the next scene. Called by scenes."""
        self._free.setdefault(task.name, []).append(env)

    def close(self) -> None:
        """Closes every environment that no scene has."""
        for envs in self._free.values():
            for env in envs:
                self._drop(env)
        self._free.clear()

    def _take(self, task: TaskTable) -> Any:
        free = self._free.get(task.name)
        return free.pop() if free else self._make(task)

    def _drop(self, env: Any) -> None:
        with contextlib.suppress(Exception):  # whatever it raises, it is not needed any more
            env.close()

    def _make(self, task: TaskTable) -> Any:
        """One environment of a task."""
        import gymnasium

        d = self.declaration
        name = task.environment or d.environment
        arguments = {**d.arguments, **task.arguments}
        try:
            if d.module:
                load_module(d.module, "module of an environment", self.path.parent)
            if ":" in name:
                made = load_object(name, "environment", self.path.parent)
                env = made(**arguments) if callable(made) else made
            else:
                env = gymnasium.make(name, disable_env_checker=True, max_episode_steps=WITHOUT_LIMIT, **arguments)
        except (RoboscaleError, ImportError, gymnasium.error.Error) as error:
            raise RoboscaleError(f"world {d.name}: cannot make {name}: {error}{_advice(d.module or name)}") from error
        except Exception as error:
            what = "arguments" if isinstance(error, TypeError) else "environment"
            raise BadData(self.path, what, f"what makes {name}", f"{type(error).__name__}: {error}") from error
        for needed in ("reset", "step", "action_space"):
            if not hasattr(env, needed):
                raise BadData(self.path, "environment", "a gymnasium environment", f"{name} without {needed}")
        return env

    def _reset(self, env: Any, seed: int | None, options: Mapping[str, Any] | None) -> tuple[Any, Mapping[str, Any]]:
        try:
            answer = env.reset(seed=seed, options=options)
        except RoboscaleError:
            raise
        except TypeError as error:
            raise BadData(self.path, "environment", "reset(seed=..., options=...)", str(error)) from error
        except Exception as error:
            raise InfrastructureError(
                f"{self.declaration.name}: reset raised {type(error).__name__}: {error}"
            ) from error
        if not isinstance(answer, tuple) or len(answer) != 2 or not isinstance(answer[1], Mapping):
            found = f"{type(answer).__name__}" + (f" of {len(answer)}" if isinstance(answer, tuple) else "")
            raise BadData(self.path, "environment", "reset to return (observation, info)", found)
        return answer

    def _describe(self) -> WorldInfo:
        d = self.declaration
        task = next(iter(self.tasks.values()))
        env = self._take(task)
        try:
            notes: list[str] = []
            observation_spec = self._observation_spec(env, notes)
            action_spec = self._action_spec(env)
            tasks = {t.name: self._sentence(t, env) for t in self.tasks.values()}
            self._compare_rates(env, notes)
            self._name_unseen(env, notes)
            identity = self._identity(env)
        except BaseException:
            self._drop(env)
            raise
        self.give_back(task, env)
        deterministic = d.deterministic
        if deterministic is None:
            deterministic = True
            notes.append("it is assumed that a seed gives the same episode again: say deterministic = true or false")
        self.notes = tuple(f"world {d.name}: {note}" for note in notes)
        return WorldInfo(
            name=d.name,
            kind="simulated",
            version=self._versions(env),
            identity=identity,
            embodiment=d.embodiment,
            tasks=tasks,
            observation_spec=observation_spec,
            action_spec=action_spec,
            horizon=d.horizon,
            rule=d.success_rule,
            measures=self._measures(),
            deterministic=deterministic,
            pictures=getattr(env, "render_mode", None) == "rgb_array",
            scenes=None,
            hold=None if d.action.hold is None else tuple(d.action.hold),
            past_success=True,
        )

    def _measures(self) -> tuple[Measure, ...]:
        d = self.declaration
        progress = (Measure(name="progress", series=True),) if d.progress else ()
        own = (
            Measure(name=name, unit=table.unit, about=table.about, series=table.series)
            for name, table in d.measures.items()
        )
        success = Measure(name="success", unit="bool", series=True)
        return (success, *progress, Measure(name="reward", series=True), *own)

    def _sentence(self, task: TaskTable, env: Any) -> str:
        """The instruction, or the environment's own where the file points to an attribute of it."""
        if not task.instruction.startswith("attribute."):
            return task.instruction
        name = task.instruction.removeprefix("attribute.")
        own = env if task.name == next(iter(self.tasks)) else self._take(task)
        said = getattr(own.unwrapped, name, None)
        if own is not env:
            self.give_back(task, own)
        if not isinstance(said, str) or not said.strip():
            raise BadData(
                self.path, f"task {task.name}: instruction", f"a sentence in the attribute {name}", repr(said)
            )
        return said

    def _identity(self, env: Any) -> Identity:
        """The declaration, the environment's code or version, and the simulators that it may use."""
        import msgspec

        classes = [type(e) for e in self._own_classes(env)]
        code = [identify(c, f"{c.__module__}.{c.__qualname__}") for c in classes]
        given = getattr(getattr(env, "spec", None), "kwargs", {}) or {}
        return combine(
            self.declaration.name,
            msgspec.to_builtins(self.declaration),
            [_version(name) for name in SIMULATORS],
            {str(k): repr(v) for k, v in given.items()},
            *code,
        )

    def _own_classes(self, env: Any) -> list[Any]:
        """The environment without gymnasium's wrappers, and one of every other task that has its own."""
        others = [t for t in self.tasks.values() if t.environment]
        inner = [env.unwrapped if hasattr(env, "unwrapped") else env]
        for task in others:
            other = self._take(task)
            inner.append(other.unwrapped if hasattr(other, "unwrapped") else other)
            self.give_back(task, other)
        return inner

    def _versions(self, env: Any) -> str:
        inner = env.unwrapped if hasattr(env, "unwrapped") else env
        module = type(inner).__module__.split(".")[0]
        names = packages_distributions().get(module, [])
        holder = f"{names[0]} {version(names[0])}" if names else f"{self.declaration.environment} of one's own"
        return f"{self.declaration.environment}, {holder}, gymnasium {_version('gymnasium')}"

    def _observation_spec(self, env: Any, notes: list[str]) -> Spec:
        fields = []
        for table in self.declaration.fields:
            array, done = self._template(env, table)
            if done:
                notes.append(f"{table.name}: {done}")
            fields.append(self._field(table, array))
        fields.append(Field(TIME, (1,), "int64", "ns"))
        return Spec(tuple(fields), self.declaration.rate_hz)

    def _field(self, table: FieldTable, array: NDArray[Any]) -> Field:
        layout = tuple(table.layout)
        if layout == ("channel", "height", "width"):
            layout = ("height", "width", "channel")
        try:
            return Field(
                table.name,
                array.shape,
                str(array.dtype),
                unit=table.unit,
                frame=table.frame,
                layout=layout,
                mode=table.mode,
                side=table.side,
                role=table.role,
            )
        except RoboscaleError as error:
            raise BadData(self.path, f"field {table.name}", "a layout that fits", error) from error

    def _template(self, env: Any, table: FieldTable) -> tuple[NDArray[Any], str]:
        """An array as the field will have it: from the environment's spaces where they say it, else from one look."""
        where = f"{self.path}: field {table.name}"
        if table.source == "render":
            return self._rendered(env, table, where)
        sources = table.source if isinstance(table.source, list) else [table.source]
        parts, done = [], ""
        for source in sources:
            value, high = self._sample(env, source)
            if high is not None and np.asarray(value).ndim == 3 and np.asarray(value).dtype.kind == "f":
                self.scales[table.name] = 255.0 if high <= 1 else 1.0
            array, done = as_array(value, table.layout, where, self.scales.get(table.name, 1.0))
            parts.append(array)
        return _joined(parts, where), done

    def _sample(self, env: Any, source: str) -> tuple[Any, float | None]:
        """Zeros as the space of a part of the observation, and its largest value; a real look where no space tells."""
        space = getattr(env, "observation_space", None)
        with contextlib.suppress(RoboscaleError, AttributeError):
            for key in filter(None, source.split(".")):
                spaces = getattr(space, "spaces", None)
                space = follow(spaces, key, "observation space")
            shape, dtype = getattr(space, "shape", None), getattr(space, "dtype", None)
            if shape is not None and dtype is not None and not hasattr(space, "spaces"):
                high = getattr(space, "high", None)
                return np.zeros(shape, dtype), None if high is None or not np.size(high) else float(np.max(high))
        raw, _ = self._reset(env, 0, self.declaration.options or None)
        value = follow(raw, source, f"observation of {self.declaration.environment}")
        array = np.asarray(value) if not isinstance(value, Mapping) else value
        if isinstance(array, Mapping):
            raise BadData(self.path, f"from = {source!r}", "a part of the observation", f"one of {', '.join(array)}")
        high = float(array.max()) if array.dtype.kind in "biuf" and array.size else None
        return array, high

    def _rendered(self, env: Any, table: FieldTable, where: str) -> tuple[NDArray[Any], str]:
        if getattr(env, "render_mode", None) != "rgb_array":
            expected = 'render_mode = "rgb_array" in [arguments], since a field comes from render'
            raise BadData(self.path, f"field {table.name}", expected, repr(getattr(env, "render_mode", None)))
        if table.shape:
            if len(table.shape) != 3 or min(table.shape) < 1:
                raise BadData(self.path, f"field {table.name}: shape", "height, width, 3", table.shape)
            return np.zeros(table.shape, np.uint8), ""
        self._reset(env, 0, self.declaration.options or None)
        picture = np.asarray(env.render())
        if picture.dtype.kind == "f":
            self.scales[table.name] = 255.0 if picture.max() <= 1 else 1.0
        return as_array(picture, table.layout, where, self.scales.get(table.name, 1.0))

    def _action_spec(self, env: Any) -> Spec:
        from gymnasium import spaces

        table, space = self.declaration.action, env.action_space
        if isinstance(space, spaces.Box):
            shape, dtype = space.shape, "float32"
            low, high = (tuple(float(x) for x in bound.reshape(-1)) for bound in (space.low, space.high))
            bounds: tuple[Any, Any] = (
                low if np.isfinite(low).any() else None,
                high if np.isfinite(high).any() else None,
            )
        elif isinstance(space, spaces.Discrete):
            shape, dtype = (1,), "int64"
            bounds = ((float(space.start),), (float(space.start + space.n - 1),))
        elif isinstance(space, (spaces.MultiDiscrete, spaces.MultiBinary)):
            shape, dtype = (int(np.prod(space.shape)),), "int64"
            most = np.ones(shape) if isinstance(space, spaces.MultiBinary) else np.reshape(space.nvec, -1) - 1
            bounds = (tuple(np.zeros(shape)), tuple(float(x) for x in most))
        else:
            kinds = "Box, Discrete, MultiDiscrete or MultiBinary"
            raise BadData(self.path, "environment", f"actions of {kinds}", f"{type(space).__name__}: wrap it")
        try:
            field = Field(
                "action",
                shape,
                dtype,
                unit=table.unit,
                frame=table.frame,
                layout=tuple(table.layout),
                mode=table.mode,
                side=table.side,
                low=bounds[0],
                high=bounds[1],
            )
        except RoboscaleError as error:
            raise BadData(self.path, "action", "a layout that fits", error) from error
        if table.hold is not None and len(table.hold) != int(np.prod(shape)):
            raise BadData(self.path, "action.hold", f"{int(np.prod(shape))} numbers", len(table.hold))
        return Spec((field,), self.declaration.rate_hz)

    def _compare_rates(self, env: Any, notes: list[str]) -> None:
        told = (getattr(env, "metadata", None) or {}).get("render_fps")
        if isinstance(told, (int, float)) and told > 0 and told != self.declaration.rate_hz:
            notes.append(f"rate_hz is {self.declaration.rate_hz:g}, and the environment's render_fps is {told:g}")

    def _name_unseen(self, env: Any, notes: list[str]) -> None:
        """Says which parts of the observation no field takes."""
        spaces = getattr(getattr(env, "observation_space", None), "spaces", None)
        if not isinstance(spaces, Mapping):
            return
        taken = set()
        for table in self.declaration.fields:
            for source in table.source if isinstance(table.source, list) else [table.source]:
                taken.add(source.split(".")[0])
        unseen = [str(key) for key in spaces if key not in taken]
        if unseen and "" not in taken:
            notes.append(f"not observed, since no field declares it: {', '.join(unseen)}")


class GymnasiumScene:
    """One episode of one environment."""

    def __init__(self, world: GymnasiumWorld, task: TaskTable, env: Any, raw: Any, info: Mapping[str, Any]) -> None:
        self._world, self._task, self._env = world, task, env
        self._raw, self._env_info = raw, info
        self._steps = 0
        self._reward: float | None = None
        self._success: float = 0.0
        self._progress: float | None = None
        self._broken = self._ended = False
        d = world.declaration
        self._fields = {table.name: table for table in d.fields}
        self._success_table = d.success_of(task)
        self._score = ScoreTable(key=d.progress) if isinstance(d.progress, str) else d.progress
        self._where = f"world {d.name}"

    def observe(self, names: Collection[str] | None = None) -> Observation:
        """The named fields now; InfrastructureError when one is not what it was when the world was opened."""
        spec = self._world.info.observation_spec
        seen: dict[str, NDArray[Any]] = {}
        for name in spec.names if names is None else names:
            field = spec[name]
            if name == TIME:
                seen[name] = np.array([round(self._steps * 1e9 / spec.rate_hz)], np.int64)
                continue
            where = f"{self._where}: {name}"
            try:
                array = self._read(self._fields[name], where)
            except (BadData, RoboscaleError) as error:
                raise InfrastructureError(f"{where}: {error}") from error
            seen[name] = check_reading(array, field.shape, field.dtype, where).copy()
        return seen

    def _read(self, table: FieldTable, where: str) -> NDArray[Any]:
        scale = self._world.scales.get(table.name, 1.0)
        if table.source == "render":
            return as_array(self._render(), table.layout, where, scale)[0]
        sources = table.source if isinstance(table.source, list) else [table.source]
        told = f"observation of {self._world.declaration.environment}"
        return _joined([as_array(follow(self._raw, s, told), table.layout, where, scale)[0] for s in sources], where)

    def _render(self) -> Any:
        try:
            return self._env.render()
        except Exception as error:
            raise InfrastructureError(f"{self._where}: render raised {type(error).__name__}: {error}") from error

    def step(self, action: NDArray[Any]) -> Step:
        """One step of the environment. BadData when its answer is not gymnasium's, or its success is no success."""
        from gymnasium import spaces

        space = self._env.action_space
        command: Any = action.astype(space.dtype)
        if isinstance(space, spaces.Discrete):
            command = int(action.reshape(-1)[0])
        elif isinstance(space, (spaces.MultiDiscrete, spaces.MultiBinary)):
            command = command.reshape(space.shape)
        try:
            answer = self._env.step(command)
        except RoboscaleError:
            raise
        except Exception as error:
            self._broken = True
            after = " after its own termination" if self._ended else ""
            raise InfrastructureError(f"{self._where}: step raised{after} {type(error).__name__}: {error}") from error
        if not isinstance(answer, tuple) or len(answer) != 5:
            found = f"{len(answer)} values" if isinstance(answer, tuple) else type(answer).__name__
            expected = "step to return (observation, reward, terminated, truncated, info)"
            raise BadData(self._world.path, "environment", expected, found)
        self._raw, reward, terminated, truncated, self._env_info = answer
        self._steps += 1
        self._judge(reward, bool(terminated), bool(truncated))
        return Step(terminated=bool(terminated), truncated=bool(truncated))

    def _judge(self, reward: Any, terminated: bool, truncated: bool) -> None:
        self._reward = None if reward is None else as_number(reward, self._where, "reward")
        ended = self._ended = terminated or truncated
        info = self._env_info
        if not isinstance(info, Mapping):
            raise BadData(self._world.path, "environment", "an info that is a dictionary", type(info).__name__)
        held = read_success(self._success_table, info, self._reward, terminated, ended, self._where)
        self._success = float(held)
        if self._score.key or self._score.source == "reward":
            self._progress = read_progress(self._score, info, self._reward, self._where)

    def measures(self) -> dict[str, float | None]:
        """Success, reward, progress and whatever the file declares, after the last step."""
        d = self._world.declaration
        measured: dict[str, float | None] = {"success": self._success, "reward": self._reward}
        if d.progress:
            measured["progress"] = self._progress
        for name, table in d.measures.items():
            try:
                value = follow(self._env_info, table.key, "info")
            except RoboscaleError:
                measured[name] = None
                continue
            measured[name] = as_number(value, self._where, table.key)
        return measured

    def picture(self, width: int, height: int) -> NDArray[np.uint8]:
        """The environment's own rendering, at whatever size it has; `width` and `height` are wishes."""
        picture = np.asarray(self._render())
        scale = 255.0 if picture.dtype.kind == "f" and picture.max() <= 1 else 1.0
        return as_picture(picture, self._where, scale)[0]

    def close(self) -> None:
        """Gives the environment back, or closes it when it broke."""
        if self._broken:
            self._world._drop(self._env)
        else:
            self._world.give_back(self._task, self._env)


def _joined(parts: list[NDArray[Any]], where: str) -> NDArray[Any]:
    """Several parts end to end; one as it is."""
    if len(parts) == 1:
        return parts[0]
    if any(part.ndim != 1 for part in parts):
        shapes = ", ".join(str(list(part.shape)) for part in parts)
        raise BadData(where, "from", "parts of one axis, to be joined", f"shapes {shapes}")
    return np.concatenate(parts)


def _version(package: str) -> str:
    """`name version`, or that it is not there."""
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"no {package}"


def _advice(module: str) -> str:
    """Which extra brings a package, where one of ours does."""
    extra = EXTRAS.get(module.split("/")[0].split(".")[0])
    return f"; pip install 'roboscale[{extra}]' brings it" if extra else ""
