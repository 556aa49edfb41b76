"""Which fields of an observation a function can read, as its code says: the others need not be looked at for it.

Only what leaves no doubt counts: the observation is indexed with texts that stand there, in the function itself, in
functions inside it, and in helpers that are given the observation alone. Whoever passes it on in another way, goes
through its keys or asks for its length may read everything. A field that is read sometimes is read.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from roboscale.core.bytecode import CodeStep, code_facts, code_steps

__all__ = ["fields_read"]

_LOADS = frozenset({"LOAD_FAST", "LOAD_FAST_CHECK", "LOAD_DEREF"})
_ENDS = frozenset({"MAKE_CELL", "LOAD_CLOSURE"})  # handed to a function inside, which is looked at by itself
_ONE = "CALL", 1
_ALL_NAMES = frozenset({"locals", "vars", "eval", "exec", "_getframe", "currentframe", "stack"})
"""Through these a function sees its variables without naming them."""


def fields_read(fn: Callable[..., Any]) -> frozenset[str] | None:
    """The names that a function, or a method of an object, can read of its first argument; `None` where that is open.

    >>> sorted(fields_read(lambda seen: seen["observation.state"] if seen["time"] > 1 else None))
    ['observation.state', 'time']
    >>> fields_read(lambda seen: list(seen.values())) is None
    True
    """
    function = getattr(fn, "__func__", fn)
    place = int(function is not fn)  # a method's first argument is its object
    if not isinstance(function, types.FunctionType) or function.__code__.co_argcount <= place:
        return None
    return _of_function(function, place, ())


def _of_function(
    function: types.FunctionType, place: int, inside: tuple[types.CodeType, ...]
) -> frozenset[str] | None:
    code = function.__code__
    if code in inside or hasattr(function, "__wrapped__"):
        return None
    cells = dict(zip(code.co_freevars, function.__closure__ or (), strict=True))
    known: dict[str, object] = {**function.__globals__}
    for name, cell in cells.items():
        try:
            known[name] = cell.cell_contents
        except ValueError:  # an empty cell
            known.pop(name, None)
    return _of_code(code, code.co_varnames[place], known, (*inside, code))


def _of_code(
    code: types.CodeType, variable: str, known: Mapping[str, object], inside: tuple[types.CodeType, ...]
) -> frozenset[str] | None:
    if code_facts(code).names & _ALL_NAMES:
        return None
    steps = [step for step in code_steps(code) if step.opname != "PRECALL"]  # of Python 3.11, before every call
    read: set[str] = set()
    for number, step in enumerate(steps):
        if step.value != variable or not isinstance(step.value, str) or not _is_variable(step):
            continue
        if step.opname in _ENDS:
            continue
        found = _use(steps, number, known, inside) if step.opname in _LOADS else None
        if found is None:
            return None
        read |= found
    for nested in code.co_consts:
        if isinstance(nested, types.CodeType) and variable in nested.co_freevars:
            found = _of_code(nested, variable, known, inside)
            if found is None:
                return None
            read |= found
    return frozenset(read)


def _is_variable(step: CodeStep) -> bool:
    return any(word in step.opname for word in ("FAST", "DEREF", "CELL", "CLOSURE"))


def _use(
    steps: Sequence[CodeStep], number: int, known: Mapping[str, object], inside: tuple[types.CodeType, ...]
) -> frozenset[str] | None:
    """What is read where the observation is loaded: by a text, or by a helper that gets it and nothing else."""
    after = [*steps[number + 1 : number + 3], *[None] * 2]
    following, then = after[0], after[1]
    if following is None:
        return None
    if then is not None and then.opname == "BINARY_SUBSCR":
        key = following.value if following.opname == "LOAD_CONST" else None
        if following.opname in ("LOAD_GLOBAL", "LOAD_DEREF"):
            key = known.get(following.value)
        return frozenset({key}) if isinstance(key, str) else None
    before = steps[number - 1] if number else None
    called = before is not None and before.opname == "LOAD_GLOBAL" and before.argument & 1
    if before is not None and called and (following.opname, following.argument) == _ONE:
        helper = known.get(before.value)
        takes_it = isinstance(helper, types.FunctionType) and helper.__code__.co_argcount
        return _of_function(helper, 0, inside) if takes_it else None  # type: ignore[arg-type]
    return None
