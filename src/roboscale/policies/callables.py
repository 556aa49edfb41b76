"""A user's own function becomes a policy.

Knows functions, modules and files. Does not know robots, worlds or checkpoints.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import numpy as np

from roboscale.core import (
    ActionChunk,
    BadData,
    InfrastructureError,
    Observation,
    Policy,
    PolicyError,
    RoboscaleError,
    Session,
    Spec,
    SpecMismatch,
    UnknownName,
)

__all__ = ["from_callable", "load_callable"]


class _CallablePolicy:
    """Calls `fn(observation)` or `fn(observation, instruction)`; whatever state `fn` has is its own."""

    def __init__(self, fn: Callable[..., Any], name: str, spec: Spec | None) -> None:
        self.name = name
        self.observation_spec = spec
        self.action_spec: Spec | None = None
        self._fn = fn
        self._takes_instruction = _takes_instruction(fn)

    def start(self, instruction: str, seed: int) -> Session:
        """A session that passes `instruction` on; `seed` has nothing to act on in a plain function."""
        extra = (instruction,) if self._takes_instruction else ()

        def session(observation: Observation) -> ActionChunk:
            try:
                result = self._fn(observation, *extra)
            except RoboscaleError:
                raise
            except Exception as error:
                raise InfrastructureError(f"policy {self.name} raised {type(error).__name__}: {error}") from error
            return _chunk(result, self.name)

        return session


def from_callable(fn: Callable[..., Any], name: str = "", spec: Spec | None = None) -> Policy:
    """Makes a policy of `fn(observation)` or `fn(observation, instruction)`.

    Args:
        fn: returns an action (D,) or a chunk of actions (H, D). An exception in it makes the trial void
            (InfrastructureError, the original chained); something that is no action is a PolicyError.
        name: what results call it; by default the function's own name.
        spec: the observation it needs; `None` means whatever the world has.

    Raises:
        SpecMismatch: `fn` takes no observation.
    """
    name = name or getattr(fn, "__name__", type(fn).__name__)
    if not _positional(fn, required=False):
        raise SpecMismatch(
            f"policy {name}: expected fn(observation) or fn(observation, instruction), found no argument"
        )
    return _CallablePolicy(fn, name, spec)


def load_callable(text: str) -> Policy:
    """The policy named by `module:name` or `path/to/file.py:name`.

    A module is looked for in the current directory, then among the installed ones. `name` may be a `Policy`, a class
    or a function without arguments that makes one, or a function for `from_callable`.

    Raises:
        UnknownName: no such file, module or name; says the near ones.
        BadData: the module does not import, or the name is nothing that can act.
    """
    where, _, name = text.rpartition(":")
    if not where or not name:
        raise UnknownName("policy", text, ["module:callable", "file.py:callable"])
    module = _load(where)
    if not hasattr(module, name):
        raise UnknownName(f"name in {where}", name, [n for n in vars(module) if not n.startswith("_")])
    made = getattr(module, name)
    if _is_factory(made):
        try:
            made = made()
        except Exception as error:
            raise BadData(where, name, "a policy", f"{type(error).__name__}: {error}") from error
    if _is_policy(made):
        return cast(Policy, made)
    if not callable(made):
        raise BadData(where, name, "a policy or a function", type(made).__name__)
    return from_callable(made, text)


def _chunk(result: object, name: str) -> ActionChunk:
    if isinstance(result, ActionChunk):
        return result
    try:
        actions = np.asarray(result)
    except ValueError as error:  # ragged lists
        raise PolicyError(f"policy {name} returned no action: {error}") from error
    if actions.dtype.kind not in "biuf" or actions.ndim not in (1, 2) or actions.size == 0:
        raise PolicyError(
            f"policy {name}: expected an action of shape (D,) or (H, D), found {actions.dtype}{list(actions.shape)}"
        )
    return ActionChunk(np.atleast_2d(actions))


def _positional(fn: Callable[..., Any], *, required: bool) -> list[str]:
    """Names of the positional arguments of `fn`, those with a default left out where `required`."""
    try:
        parameters = inspect.signature(fn).parameters.values()
    except (ValueError, TypeError):  # a builtin without signature
        return ["observation"]
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return ["observation", "instruction"]
    return [p.name for p in parameters if p.kind in kinds and not (required and p.default is not p.empty)]


def _takes_instruction(fn: Callable[..., Any]) -> bool:
    """A second argument with a default is an option of the function, unless it is called `instruction`."""
    return len(_positional(fn, required=True)) >= 2 or "instruction" in _positional(fn, required=False)[1:2]


def _is_policy(thing: object) -> bool:
    return not isinstance(thing, type) and all(
        hasattr(thing, a) for a in ("name", "observation_spec", "action_spec", "start")
    )


def _is_factory(thing: object) -> bool:
    if _is_policy(thing) or not callable(thing):
        return False
    return isinstance(thing, type) or not _positional(thing, required=True)


def _load(where: str) -> ModuleType:
    path = Path(where if where.endswith(".py") else where.replace(".", "/") + ".py")
    if path.is_file():
        return _import_file(path)
    if where.endswith(".py"):
        raise UnknownName("policy file", where, (str(p) for p in path.parent.glob("*.py")))
    unknown = UnknownName("module", where, [p.stem for p in Path().glob("*.py")])
    if not all(part.isidentifier() for part in where.split(".")):
        raise unknown
    try:
        return importlib.import_module(where)
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and f"{where}.".startswith(f"{error.name}."):
            raise unknown from error
        raise BadData(where, "import", "a module that imports", f"{type(error).__name__}: {error}") from error


def _import_file(path: Path) -> ModuleType:
    name = f"_roboscale_user_{path.stem}_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise BadData(path, "import", "a Python file", "something importlib cannot load")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up by name while it is being executed
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise BadData(path, "import", "a module that imports", f"{type(error).__name__}: {error}") from error
    return module
