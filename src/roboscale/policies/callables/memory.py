"""Whether a user's code keeps something outside itself while it acts: a list in a closure, a global, an attribute.

What is kept runs into the next episode, and into one beside it, so that a rate would depend on how many processes ran.
The content of the code (`core.identify`) is compared before and after its first episodes; nothing of it is called.
"""

from __future__ import annotations

import dis
import functools
import time
import types
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["Memory", "may_remember"]

LOOKS = 20  # at the first session's calls
SESSIONS = 5  # whose beginnings are looked at
DEAR_S = 0.25  # a look that takes longer is the last: weights of a gigabyte are not read again and again

_CONTAINERS = (list, dict, set, deque, bytearray)
_STORES = frozenset({"STORE_GLOBAL", "STORE_ATTR", "DELETE_GLOBAL", "DELETE_ATTR"})


class Memory:
    """Watches one policy for what it remembers outside its sessions.

    Args:
        content: the digest of all that the code reaches, now.
        suspected: whether its code looks as if it kept something: then the first episode runs alone.
    """

    def __init__(self, content: Callable[[], str], *, suspected: bool) -> None:
        self._content = content
        self._before = ""
        self._looks = self._begun = 0
        self._watching = True
        self._suspected = suspected
        self.changed = False

    @property
    def sessions(self) -> int | None:
        """How many sessions may run at once, as far as this decides; `None` for any number."""
        return 1 if self.changed or self._suspected else None

    @property
    def notes(self) -> tuple[str, ...]:
        """What people have to know of it."""
        if not self.changed:
            return ()
        return (
            "it keeps something outside itself, which changed while it acted and runs into the next episode, so one "
            "runs at a time; a class is made anew for every one",
        )

    def begin(self) -> int:
        """A session begins; its number, from 1."""
        self._begun += 1
        if self._begun <= SESSIONS:
            self._look()
        if self._begun > 1:
            self._suspected = False  # the first has run alone, and either it was seen to keep something or not
        return self._begun

    def called(self, session: int) -> None:
        """A session was asked. What it keeps may be gone at its end, so the first is looked at while it acts."""
        if session == 1 and self._looks < LOOKS:
            self._look()

    def _look(self) -> None:
        if self.changed or not self._watching:
            return
        self._looks += 1
        begun = time.perf_counter()
        now = self._content()
        self._watching = time.perf_counter() - begun < DEAR_S
        self.changed = bool(self._before) and now != self._before
        self._before = now


def may_remember(thing: Any) -> bool:
    """Whether the code of a function or class looks as if it kept something outside itself."""
    if isinstance(thing, functools.partial):
        return may_remember(thing.func)
    if isinstance(thing, types.MethodType):
        return may_remember(thing.__func__)
    if isinstance(thing, type):
        shared = (value for kind in thing.__mro__ for name, value in vars(kind).items() if not name.startswith("__"))
        return any(isinstance(value, _CONTAINERS) for value in shared)
    if not isinstance(thing, types.FunctionType):
        return False
    return any(_stores(code) for code in _codes(thing.__code__)) or any(
        isinstance(value, _CONTAINERS) for value in _reached(thing)
    )


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    """A function's code and that of the functions inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


def _stores(code: types.CodeType) -> bool:
    return any(
        i.opname in _STORES or (i.opname == "STORE_DEREF" and i.argval in code.co_freevars)
        for i in dis.get_instructions(code)
    )


def _reached(function: types.FunctionType) -> Iterator[Any]:
    """What it holds or names: defaults, closure, attributes and globals."""
    yield from function.__defaults__ or ()
    yield from (function.__kwdefaults__ or {}).values()
    yield from vars(function).values()
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # an empty cell
            continue
    for code in _codes(function.__code__):
        yield from (function.__globals__[name] for name in code.co_names if name in function.__globals__)
