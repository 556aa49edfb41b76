"""The identity of functions and objects by content: code, what it closes over, and the globals it reaches."""

from __future__ import annotations

import types
from typing import Any

import numpy as np

from roboscale.core.identity import Identity, combine

__all__ = ["identify"]


def identify(thing: object, name: str = "") -> Identity:
    """Digest of all of `thing` that can change what it returns; unverified where something has no content."""
    name = name or getattr(thing, "__qualname__", type(thing).__qualname__)
    unknown: dict[str, None] = {}
    return Identity(name, combine(name, _content(thing, unknown, {})).digest, tuple(unknown))


def _content(thing: Any, unknown: dict[str, None], seen: dict[int, str]) -> Any:
    if isinstance(thing, (type(None), bool, int, float, str, bytes, np.ndarray, np.generic)):
        return thing
    if id(thing) in seen:
        return seen[id(thing)]
    seen[id(thing)] = f"seen {len(seen)}"

    def go(inner: Any) -> Any:
        return _content(inner, unknown, seen)

    if isinstance(thing, types.ModuleType):
        return ["module", thing.__name__, str(getattr(thing, "__version__", ""))]
    if isinstance(thing, types.CodeType):
        return [thing.co_code, list(thing.co_names), [go(c) for c in thing.co_consts]]
    if isinstance(thing, types.MethodType):
        return [go(thing.__self__), go(thing.__func__)]
    if isinstance(thing, types.FunctionType):
        cells = [go(c.cell_contents) for c in thing.__closure__ or ()]
        reached = [go(thing.__globals__[n]) for n in thing.__code__.co_names if n in thing.__globals__]
        return [go(thing.__code__), cells, reached, go(thing.__defaults__), go(thing.__kwdefaults__)]
    if isinstance(thing, (list, tuple, set, frozenset)):
        return [type(thing).__name__, [go(v) for v in thing]]
    if isinstance(thing, dict):
        return [[go(k), go(v)] for k, v in thing.items()]
    if isinstance(thing, type):
        return [thing.__qualname__, [[k, go(v)] for k, v in vars(thing).items() if k[:2] != "__" or callable(v)]]
    if hasattr(thing, "__dict__") and type(thing).__module__ != "builtins":
        return [go(type(thing)), go(vars(thing))]
    unknown[f"{type(thing).__name__} has no content that could be digested"] = None
    return type(thing).__qualname__
