"""The environments of a declaration: found, loaded once, made as often as scenes need them, and known by content."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import inspect
import re
import sys
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gymnasium
from gymnasium.envs.registration import EnvSpec, load_env_creator

from roboscale.core import BadData, Identity, RoboscaleError, UnknownName, combine, identify
from roboscale.core.errors import near_names
from roboscale.core.loading import load_module, load_object
from roboscale.core.origins import module_origin
from roboscale.worlds.simulated.declaration import TaskTable, WorldDeclaration

__all__ = ["Maker", "close_quietly"]

WITHOUT_LIMIT = 10**9  # steps; the horizon belongs to the rollout, not to a wrapper of the environment
SIMULATORS = frozenset(
    {"ale-py", "box2d", "box2d-py", "brax", "dm-control", "genesis-world", "gymnasium", "gymnasium-robotics"}
    | {"mani-skill", "metaworld", "mujoco", "mujoco-mjx", "panda-gym", "pybullet", "pygame", "pymunk", "robosuite"}
    | {"sapien"}
)
"""Distributions whose version can change what an environment does."""
EXTRAS = {"gym_pusht": "gym", "gymnasium_robotics": "gym", "metaworld": "sim", "mujoco": "sim"}
_CALLED = ("reset", "step", "render", "close")
_OURS = {"max_episode_steps": "horizon", "disable_env_checker": "no such key", "id": "environment"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """What makes one kind of environment.

    Args:
        name: as the file calls it.
        creator: the class or function.
        spec: gymnasium's entry, where it has one.
    """

    name: str
    creator: Callable[..., Any]
    spec: EnvSpec | None = None

    @property
    def version(self) -> str:
        """Name and version of the distribution that brings it; empty for the user's own."""
        module = sys.modules.get(getattr(self.creator, "__module__", ""))
        return "" if module is None else module_origin(module).version


class Maker:
    """Makes environments of a declaration. The user's modules are executed once, however many it makes.

    Args:
        path: of the file; modules and classes are looked for beside it, then in the current folder.
    """

    def __init__(self, declaration: WorldDeclaration, path: Path) -> None:
        self.declaration, self.path = declaration, path
        self._sources: dict[str, _Source] = {}
        self._module: object = None

    def make(self, task: TaskTable) -> Any:
        """One environment for a task.

        Raises:
            RoboscaleError: it cannot be found or made; says what is missing.
            BadData: its arguments do not fit, or it is no gymnasium environment.
        """
        source = self.source(task.environment)
        self._check_arguments(source, task.arguments)
        try:
            with _overriding():
                if source.spec is None:
                    env = source.creator(**task.arguments)
                else:
                    limit = {"max_episode_steps": WITHOUT_LIMIT, "disable_env_checker": True}
                    spec = replace(source.spec, entry_point=source.creator)  # not imported anew, maybe from elsewhere
                    env = gymnasium.make(spec, **limit, **task.arguments)  # type: ignore[arg-type]
        except RoboscaleError:
            raise
        except (ImportError, gymnasium.error.Error) as error:
            raise RoboscaleError(f"{self._cannot(source.name)}: {error}{_advice(str(error))}") from error
        except (Exception, SystemExit) as error:
            raise BadData(self.path, "environment", f"{source.name} to be made", _said(error)) from error
        self._check(env, source.name)
        return env

    def source(self, name: str) -> _Source:
        """What makes the environment of this name; looked for once."""
        if name not in self._sources:
            with _overriding():
                self._sources[name] = self._find(name)
        return self._sources[name]

    def _find(self, name: str) -> _Source:
        module, _, rest = name.rpartition(":")
        if module and (module.endswith(".py") or rest.isidentifier()):
            made = self._load(name)
            if not callable(made):
                expected = "a class or function that makes an environment"
                raise BadData(self.path, "environment", expected, f"{name}, a {type(made).__name__}")
            return _Source(name=name, creator=made)
        self._register(module)
        if rest not in gymnasium.registry:
            near = near_names(rest, gymnasium.registry)
            meant = f"; did you mean {', '.join(near)}?" if near else ""
            hint = "" if self.declaration.module or module else f"; {_registering(rest)}"
            raise RoboscaleError(f"{self._cannot(name)}: no such id is registered{meant}{hint}{_advice(name)}")
        spec = gymnasium.registry[rest]
        try:
            creator = self._creator(spec.entry_point)
        except (ImportError, AttributeError) as error:
            raise RoboscaleError(f"{self._cannot(name)}: {error}{_advice(str(error))}") from error
        if creator is None:
            raise BadData(self.path, "environment", "one that can be made by itself", f"{name}: only in vectors")
        return _Source(name=name, creator=creator, spec=spec)

    def _load(self, name: str) -> object:
        try:
            return load_object(name, "environment", self.path.parent)
        except UnknownName as error:
            raise RoboscaleError(f"{self._cannot(name)}: {error}") from error
        except BadData as error:
            raise RoboscaleError(f"{self._cannot(name)}: {error}{_advice(str(error))}") from error

    def _creator(self, entry: object) -> Any:
        """What an entry of gymnasium's registry makes environments with; from the file's own module where it is in
        that one, which may share its name with another."""
        if not isinstance(entry, str):
            return entry
        module, _, name = entry.partition(":")
        if module == self.declaration.module and hasattr(self._module, name):
            return getattr(self._module, name)
        return load_env_creator(entry)

    def _register(self, beside: str) -> None:
        """Imports the module of the file, and the one that stands before the id, which register environments."""
        if self.declaration.module and self._module is None:
            self._module = self._import(self.declaration.module)
        if beside:
            self._import(beside)

    def _import(self, module: str) -> object:
        try:
            return load_module(module, "module of an environment", self.path.parent)
        except UnknownName as error:
            looked = f"; looked for beside {self.path}, in the current folder and among what is installed"
            raise RoboscaleError(f"{self._cannot(module)}: {error}{_advice(module) or looked}") from error
        except BadData as error:
            raise RoboscaleError(f"{self._cannot(module)}: {error}{_advice(str(error))}") from error

    def _cannot(self, what: str) -> str:
        return f"{self.path}: cannot make {what}"

    def _check_arguments(self, source: _Source, arguments: Mapping[str, Any]) -> None:
        for key, instead in _OURS.items():
            if key in arguments and source.spec is not None:
                raise BadData(self.path, f"arguments.{key}", f"{instead} instead: it is not the environment's", key)
        try:
            known = inspect.signature(source.creator).parameters
        except (ValueError, TypeError):
            return
        if any(p.kind is p.VAR_KEYWORD for p in known.values()):
            return
        for key in arguments:
            if key not in known:
                raise UnknownName(f"key in {self.path}: arguments (of {source.name}):", key, known)

    def _check(self, env: Any, name: str) -> None:
        """BadData unless it is one environment of gymnasium's."""

        def refuse(expected: str, found: str) -> None:
            close_quietly(env)
            raise BadData(self.path, "environment", expected, found)

        lacking = [needed for needed in ("reset", "step", "action_space") if not hasattr(env, needed)]
        if lacking:
            refuse("a gymnasium environment", f"{name}, a {type(env).__name__} without {', '.join(lacking)}")
        if isinstance(env, gymnasium.vector.VectorEnv):
            refuse("one environment", f"{name}, a vector of {env.num_envs}")
        layer = env
        while isinstance(layer, gymnasium.Wrapper):
            if type(layer).__name__ in ("Autoreset", "AutoResetWrapper"):
                refuse("an environment that waits to be reset", f"{name} within {type(layer).__name__}")
            layer = layer.env

    def notes(self, task: TaskTable) -> Iterator[str]:
        """What gymnasium chose or lets differ from the file."""
        spec = self.source(task.environment).spec
        if spec is None:
            return
        limit = spec.max_episode_steps
        if limit is not None and limit < self.declaration.horizon:
            yield f"horizon is {self.declaration.horizon}, and {spec.id} is registered with {limit} steps"

    def identity(self) -> Identity:
        """The declaration, what makes the environments, and the versions of what they run on."""
        sources = [self.source(name) for name in dict.fromkeys(t.environment for t in self.declaration.tasks)]
        parts: list[object] = [_plain(self.declaration.content), *(_facts(source) for source in sources)]
        if self._module is not None:
            parts.append(identify(self._module, self.declaration.module))
        parts.append(sorted({version for source in sources for version in _versions(source)}))
        parts.append(_files([[t.arguments, t.options, t.starts] for t in self.declaration.tasks]))
        return combine(self.declaration.name, *parts)

    def version(self) -> str:
        """What the first environment is made of, for people."""
        source = self.source(self.declaration.tasks[0].environment)
        return ", ".join(dict.fromkeys([source.name, source.version or "of one's own", *_versions(source)]))


def close_quietly(env: Any) -> None:
    """Closes an environment that nobody needs any more, whatever it raises."""
    with suppress(Exception):
        env.close()


@contextmanager
def _overriding() -> Iterator[None]:
    """A user's module that is executed anew registers its environments again, which is meant."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*Overriding environment .* already in registry")
        yield


def _facts(source: _Source) -> object:
    """What makes an environment, by content, and what gymnasium gives it."""
    made: list[object] = [identify(source.creator, source.name, calls=_CALLED)]
    if source.spec is not None:
        made += [source.spec.id, _plain(source.spec.kwargs), _plain(source.spec.additional_wrappers)]
    return made


def _plain(value: object) -> object:
    """A value as `combine` takes it: what is no plain value, by its content."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    try:
        combine("", value)
    except TypeError:
        return identify(value)
    return value


def _versions(source: _Source) -> list[str]:
    """Names and versions of the simulators that an environment's distribution asks for, or of all that are installed
    where it is of no distribution."""
    wanted: Collection[str] = SIMULATORS
    if source.version:
        with suppress(importlib.metadata.PackageNotFoundError):
            asked = importlib.metadata.requires(source.version.split(" ")[0]) or []
            names = {re.split(r"[^\w.-]", text, maxsplit=1)[0] for text in asked}
            wanted = {"gymnasium"} | (SIMULATORS & {re.sub(r"[-_.]+", "-", name).lower() for name in names})
    versions = []
    for name in sorted(wanted):
        with suppress(importlib.metadata.PackageNotFoundError):
            versions.append(f"{name} {importlib.metadata.version(name)}")
    return versions


def _files(value: object) -> dict[str, bytes]:
    """Digests of the files that arguments and options name."""
    if isinstance(value, Mapping):
        return {k: v for item in value.values() for k, v in _files(item).items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return {k: v for item in value for k, v in _files(item).items()}
    if not isinstance(value, str) or not value:
        return {}
    with suppress(OSError, ValueError):  # a text that no path can be
        if Path(value).is_file():
            with Path(value).open("rb") as file:
                return {value: hashlib.file_digest(file, "blake2b").digest()}
    return {}


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _registering(name: str) -> str:
    """How to say which module registers an id."""
    package = name.partition("/")[0]
    known = "/" in name and package.isidentifier() and importlib.util.find_spec(package) is not None
    return f'say module = "{package}"' if known else 'say module = "..." for the package that registers it'


def _advice(text: str) -> str:
    """Which extra brings the package that a message is about, where it is not installed."""
    named = (package for package in EXTRAS if package in text.replace("-", "_"))
    package = next((p for p in named if importlib.util.find_spec(p) is None), None)
    return f"; pip install 'roboscale[{EXTRAS[package]}]' brings it" if package else ""
