"""How a user's object is asked: which of its methods, with or without the instruction, as a mapping or one array.

All of it is known from the object and its signature before the first trial; what cannot be asked is refused there.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np

from roboscale.core import Observation, SpecMismatch
from roboscale.policies.callables.reading import fields_read

__all__ = ["CALLS", "METHODS", "Ask", "DoesNotFit", "Way", "libraries", "way_of"]

CALLS = "fn(observation) or fn(observation, instruction)"

METHODS = ("predict", "select_action")
"""Methods that are asked where an object cannot be called itself."""

Ask = Callable[[Observation], object]
"""What one session calls."""

_WORDS = {"command", "description", "instruction", "instructions", "lang", "language", "prompt", "query", "sentence"}
_WORDS |= {"language_instruction", "task", "task_description", "text", ""}


class DoesNotFit(SpecMismatch):
    """What a model takes and what it is shown are not the same: the user's to mend, and no answer of the model."""


class Way:
    """How objects of one kind are asked.

    Args:
        method: of the object; empty for the object itself.
        instruction: whether and how the instruction is passed.
        options: names of the arguments of stable-baselines3's `predict` that are passed.
    """

    def __init__(
        self, method: str, instruction: Literal["", "positional", "keyword"] = "", options: tuple[str, ...] = ()
    ) -> None:
        self.method, self.instruction, self.options = method, instruction, options

    @property
    def notes(self) -> tuple[str, ...]:
        """What is decided here and not by the user."""
        return ("predict is asked with deterministic=True",) if "deterministic" in self.options else ()

    def reads(self, target: Any) -> frozenset[str] | None:
        """Names of the observation's fields that `target` can read, by its code; `None` where that is open.

        Args:
            target: the object, or the class of which one is made for every session.
        """
        if self.method == "predict":
            return None
        if isinstance(target, types.FunctionType):
            return fields_read(target)
        kind = target if isinstance(target, type) else type(target)
        own = {} if isinstance(target, type) else getattr(target, "__dict__", {})
        fn = inspect.getattr_static(kind, self.method or "__call__", None)
        if self.method in own or not isinstance(fn, types.FunctionType):
            return None
        return fields_read(types.MethodType(fn, target))

    def ask(self, target: Any, instruction: str) -> Ask:
        """What a session calls, for the object `target`."""
        fn = getattr(target, self.method) if self.method else target
        if self.method == "predict":
            return _Predict(fn, getattr(target, "observation_space", None), self.options)
        if self.instruction == "positional":
            return lambda observation: fn(observation, instruction)
        if self.instruction == "keyword":
            return lambda observation: fn(observation, instruction=instruction)
        return fn  # type: ignore[no-any-return]


class _Predict:
    """A model's `predict`: an array where the model takes one, its memory given back, only the action returned."""

    def __init__(self, predict: Callable[..., Any], space: Any, options: tuple[str, ...]) -> None:
        self._predict, self._space, self._options = predict, space, options
        self._state: Any = None
        self._first = True

    def __call__(self, observation: Observation) -> object:
        given = {"deterministic": True, "state": self._state, "episode_start": np.array([self._first])}
        answer = self._predict(_for_space(observation, self._space), **{k: given[k] for k in self._options})
        self._first = False
        if isinstance(answer, tuple) and len(answer) == 2:
            answer, self._state = answer
        chosen = np.ndim(answer) == 0 and np.issubdtype(getattr(answer, "dtype", type(answer)), np.integer)
        return np.array([answer]) if chosen else answer  # of a Discrete space: which of them, without an axis


def _for_space(observation: Observation, space: Any) -> Any:
    """The observation as a gymnasium space has it; DoesNotFit where the fields do not fit."""
    if space is None:
        return observation
    spaces = getattr(space, "spaces", None)
    if isinstance(spaces, Mapping):
        return {key: observation[_field_for(key, observation)] for key in spaces}
    if len(observation) != 1:
        raise DoesNotFit(
            f"the model takes one array ({space}) and is shown {len(observation)} fields: {', '.join(observation)}; "
            "choose one with observes"
        )
    return next(iter(observation.values()))


def _field_for(key: str, observation: Observation) -> str:
    """Our field of a key of the model: of the same name, or the one that ends in it."""
    if key in observation:
        return key
    ending = [name for name in observation if name.endswith(f".{key}")]
    if len(ending) != 1:
        raise DoesNotFit(f"the model takes {key!r}; there is {', '.join(observation) or 'no field'}")
    return ending[0]


def way_of(target: Any, name: str, method: str = "") -> Way:
    """How `target`, or its method `method`, is asked.

    Raises:
        SpecMismatch: it cannot be asked; the message names what it is.
    """
    if _is_lerobot(target) and method in ("", "forward", "select_action", "predict_action_chunk"):
        raise SpecMismatch(
            f"policy {name}: {type(target).__name__} is a policy of LeRobot: it takes a preprocessed batch and not an "
            "observation; write a class with reset() and __call__(observation) around it and its processors"
        )
    method = method or _method_of(target, name)
    fn = getattr(target, method) if method else target
    if method == "predict":
        known = _parameters(fn)
        options = tuple(k for k in ("deterministic", "state", "episode_start") if k in known)
        return Way("predict", options=options)
    return Way(method, _instruction(fn, name))


def _method_of(target: Any, name: str) -> str:
    """`predict` of a reinforcement learner's model, the object itself, or a method with a known name."""
    if callable(getattr(target, "predict", None)) and "deterministic" in _parameters(target.predict):
        return "predict"
    if callable(target):
        return ""
    for method in METHODS:
        if callable(getattr(target, method, None)):
            return method
    foreign = type(target).__module__ not in ("builtins", "numpy")
    methods = [n for n in dir(type(target)) if foreign and n[0] != "_" and callable(getattr(target, n, None))]
    hint = f"; it has {', '.join(methods[:8])}: give one of them, e.g. thing.{methods[0]}" if methods else ""
    raise SpecMismatch(
        f"policy {name}: expected a policy, {CALLS}, a class, or an object with predict, "
        f"found {type(target).__name__}{hint}"
    )


def libraries(target: Any) -> set[str]:
    """First parts of the modules that its class and the bases of it come from."""
    return {kind.__module__.split(".")[0] for kind in type(target).__mro__}


def _is_lerobot(target: Any) -> bool:
    return "lerobot" in libraries(target) and hasattr(target, "select_action")


def _parameters(fn: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(fn).parameters
    except (ValueError, TypeError):  # a builtin without signature
        return {}


def _instruction(fn: Callable[..., Any], name: str) -> Literal["", "positional", "keyword"]:
    """Whether the function takes the instruction; SpecMismatch where it takes something else."""
    if "torch" in libraries(fn) and hasattr(fn, "forward"):
        fn = fn.forward  # the call of a network takes anything and passes it on
    called = fn if inspect.isroutine(fn) or not hasattr(fn, "__call__") else fn.__call__  # noqa: B004
    for is_other, what in (
        (inspect.iscoroutinefunction, "an async function, which returns nothing until it is awaited"),
        (inspect.isgeneratorfunction, "a generator, which returns nothing until it is run"),
    ):
        if is_other(fn) or is_other(called):
            raise SpecMismatch(f"policy {name}: expected {CALLS}, found {what}")
    try:
        parameters = list(inspect.signature(fn).parameters.values())
    except (ValueError, TypeError):  # a builtin without signature
        return ""
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return "positional"
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    required = [p for p in positional if p.default is p.empty]
    needed = [p for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
    if not positional or len(required) > 2 or any(p.name != "instruction" for p in needed):
        raise _wrong_signature(fn, name, positional)
    if len(required) == 2 and not _asks_for_text(required[1]):
        raise _wrong_signature(fn, name, positional)
    if len(required) == 2 or [p.name for p in positional[1:2]] == ["instruction"]:
        return "positional"
    return "keyword" if any(p.name == "instruction" for p in parameters) else ""


def _asks_for_text(parameter: inspect.Parameter) -> bool:
    return parameter.name.strip("_").lower() in _WORDS or parameter.annotation in (str, "str")


def _wrong_signature(fn: Callable[..., Any], name: str, positional: list[inspect.Parameter]) -> SpecMismatch:
    said = f"{getattr(fn, '__name__', type(fn).__name__)}{inspect.signature(fn)}"
    hint = ""
    if not positional:
        hint = ", which takes no argument"
    elif positional[0].name == "self":
        hint = ", a method of a class that has not been made"
    elif len(positional) > 1:
        hint = f", whose argument {positional[1].name!r} is no instruction"
    return SpecMismatch(f"policy {name}: expected {CALLS}, found {said}{hint}")
