"""What a session of a user's object calls: the object as it is, a fresh one, a reset one or a copy.

State that runs from one episode into the next makes numbers that depend on the order of the trials. A class is made
anew for every session, an object with `reset()` is reset and lives one episode at a time, and any other object is
copied, so that every session begins with what was handed over.
"""

from __future__ import annotations

import copy
import dis
import functools
import inspect
import types
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from roboscale.core import SpecMismatch
from roboscale.core.faults import in_a_line
from roboscale.policies.callables.calling import libraries

__all__ = ["RESETS", "Life", "life_of", "life_of_class"]

RESETS = ("reset", "start_episode")

_PLAIN = (type(None), bool, int, float, complex, str, bytes, np.generic, np.dtype, type, types.ModuleType)
_CODE = (types.FunctionType, types.BuiltinFunctionType)


Reset = Callable[[Any, str, int], None]
"""Resets an object for an instruction and a seed."""


@dataclass(frozen=True, slots=True)
class Life:
    """How long an object lives.

    Args:
        begin: (instruction, seed) -> the object that a new session asks.
        sessions: how many sessions may run at once; `None` for any number.
        notes: what people should know of it, one line each.
    """

    begin: Callable[[str, int], Any]
    sessions: int | None = None
    notes: tuple[str, ...] = field(default=())


def life_of_class(kind: Callable[[], Any], first: Any, name: str) -> Life:
    """A new object for every session, reset where it can be.

    Args:
        first: one that was made to see whether it can be; the first session gets it.

    Raises:
        SpecMismatch: it has a `reset` that asks for what nobody can give.
    """
    ready, reset = [first], _reset_of(first, name)

    def begin(instruction: str, seed: int) -> Any:
        made = ready.pop() if ready else kind()
        if reset is not None:
            reset(made, instruction, seed)
        return made

    return Life(begin)


def life_of(thing: Any, name: str, *, stateless: bool = False) -> Life:
    """The life of a function or an object that somebody made.

    Args:
        stateless: it is given back its memory with every question, so that it keeps none.

    Raises:
        SpecMismatch: it has a `reset` that asks for what nobody can give.
    """
    if isinstance(thing, (*_CODE, type)):
        return Life(lambda instruction, seed: thing, notes=tuple(_writes_outside(thing)))
    reset = _reset_of(thing, name)
    if reset is not None:
        return _life_with_reset(thing, reset)
    if stateless or not _can_change(thing):
        return Life(lambda instruction, seed: thing)
    kind = type(thing).__name__
    try:
        _copy(thing)
    except Exception as error:  # noqa: BLE001  whatever it holds decides what copying it raises
        note = f"{kind} has no reset() and cannot be copied ({in_a_line(error)}): its state runs into the next episode"
        return Life(lambda instruction, seed: thing, sessions=1, notes=(note,))
    note = f"every episode gets a fresh copy of {kind}, which has no reset(); its random numbers begin alike each time"
    return Life(lambda instruction, seed: _copy(thing), notes=(note,) if any(True for _ in _attributes(thing)) else ())


def _life_with_reset(thing: Any, reset: Reset) -> Life:
    def begin(instruction: str, seed: int) -> Any:
        reset(thing, instruction, seed)
        return thing

    with suppress(Exception):  # so that it is known by what it begins with; what this raises, the first session says
        begin("", 0)
    return Life(begin, sessions=1, notes=("it is reset before every episode and runs one episode at a time",))


def _reset_of(thing: Any, name: str) -> Reset | None:
    """How objects of the kind of `thing` are reset; `None` where they cannot be."""
    method = next((m for m in RESETS if callable(getattr(thing, m, None))), None)
    if method is None:
        return None
    known = _argument_names(getattr(thing, method), name)

    def reset(target: Any, instruction: str, seed: int) -> None:
        given = {"instruction": instruction, "seed": seed}
        getattr(target, method)(**{key: given[key] for key in known})

    return reset


def _argument_names(reset: Callable[..., Any], name: str) -> tuple[str, ...]:
    """`seed` and `instruction`, where `reset` takes them by name."""
    try:
        parameters = inspect.signature(reset).parameters.values()
    except (ValueError, TypeError):  # a builtin without signature
        return ()
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    required = [p.name for p in parameters if p.default is p.empty and p.kind not in variable]
    unknown = [n for n in required if n not in ("seed", "instruction")]
    if unknown:
        raise SpecMismatch(f"policy {name}: expected reset(), with seed and instruction at most, found {unknown[0]!r}")
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return tuple(p.name for p in parameters if p.kind in by_name and p.name in ("seed", "instruction"))


def _copy(thing: Any) -> Any:
    """A copy that shares nothing that changes while a policy acts; the weights of networks are shared."""
    memo: dict[int, Any] = {}
    for network in (thing, *_attributes(thing)):
        if "torch" in libraries(network) and callable(getattr(network, "parameters", None)):
            memo |= {id(p): p for p in network.parameters()}
    return copy.deepcopy(thing, memo)


def _attributes(thing: Any) -> Iterator[Any]:
    """What an object holds."""
    if isinstance(thing, functools.partial):
        yield from (thing.func, *thing.args, *thing.keywords.values())
    if isinstance(thing, types.MethodType):
        yield thing.__self__
    yield from getattr(thing, "__dict__", {}).values()
    for kind in type(thing).__mro__:
        slots = vars(kind).get("__slots__", ())
        for slot in (slots,) if isinstance(slots, str) else slots:
            if hasattr(thing, slot):
                yield getattr(thing, slot)


def _can_change(thing: Any) -> bool:
    """Whether the object may remember something. A partial call does where what it was given does."""
    if isinstance(thing, (*_PLAIN, *_CODE)):
        return False
    if isinstance(thing, (tuple, frozenset)):
        return any(map(_can_change, thing))
    return not isinstance(thing, functools.partial) or any(map(_can_change, _attributes(thing)))


def _writes_outside(fn: Any) -> Iterator[str]:
    """What a function changes outside itself, as far as its own code says so."""
    code = getattr(fn, "__code__", None)
    if code is None:
        return
    written = [(i.opname, i.argval) for i in dis.get_instructions(code)]
    names = {name for how, name in written if how == "STORE_GLOBAL"}
    names |= {name for how, name in written if how == "STORE_DEREF" and name in code.co_freevars}
    if names:
        yield (
            f"{fn.__name__} keeps {', '.join(sorted(names))} outside itself, which runs into the next episode; "
            "a class is made anew for every one"
        )
