"""What an object must bring to be one of the nouns: one line for each attribute that is missing or wrong."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from roboscale.core.errors import SpecMismatch
from roboscale.core.spec import Spec

__all__ = [
    "A_COUNT",
    "A_METHOD",
    "A_SPEC",
    "A_TEXT",
    "SOME_TASKS",
    "Wanted",
    "attribute_problems",
    "positional_arguments",
    "require_attributes",
]


@dataclass(frozen=True, slots=True)
class Wanted:
    """One attribute: what it should be, in words; whether a value is that; whether it may be left out."""

    expected: str
    fits: Callable[[Any], bool]
    optional: bool = False


def _is_tasks(value: object) -> bool:
    return isinstance(value, Mapping) and bool(value) and all(isinstance(v, str) and v for v in value.values())


A_TEXT = Wanted("a text", lambda v: isinstance(v, str) and bool(v))
A_METHOD = Wanted("a method", callable)
A_COUNT = Wanted("a whole number from 1 up", lambda v: isinstance(v, int) and not isinstance(v, bool) and v >= 1)
A_SPEC = Wanted("a Spec", lambda v: isinstance(v, Spec))
SOME_TASKS = Wanted("a dict of task -> what is asked, a sentence", _is_tasks)


def attribute_problems(thing: object, wanted: Mapping[str, Wanted]) -> list[str]:
    """`name: expected ..., found ...` for each attribute that is missing or wrong."""
    problems = []
    for name, want in wanted.items():
        try:
            value = getattr(thing, name)
        except AttributeError:
            if not want.optional:
                near = difflib.get_close_matches(name, [n for n in dir(thing) if n not in wanted], n=1, cutoff=0.75)
                problems.append(f"{name}: expected {want.expected}, found nothing{''.join(f' but {n}' for n in near)}")
            continue
        if not want.fits(value):
            problems.append(f"{name}: expected {want.expected}, found {_described(value)}")
    return problems


def require_attributes(thing: object, name: str, kind: str, wanted: Mapping[str, Wanted]) -> None:
    """Nothing, or a SpecMismatch that says of every attribute what was expected and what is there."""
    if problems := attribute_problems(thing, wanted):
        raise SpecMismatch("\n".join([f"{name} is no {kind} yet:", *(f"  {p}" for p in problems)]))


def positional_arguments(function: Callable[..., Any]) -> tuple[list[str], list[str]]:
    """Names of the arguments that can be given by position, and of all that must be given. Two empty lists where
    nobody can say (a builtin)."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (ValueError, TypeError):
        return [], []
    by_position = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    loose = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    must = [p.name for p in parameters if p.default is p.empty and p.kind not in loose]
    return [p.name for p in parameters if p.kind in (*by_position, loose[0])], must


def _described(value: object) -> str:
    if inspect.isroutine(value):
        return "a function"
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"
