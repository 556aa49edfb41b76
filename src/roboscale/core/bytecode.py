"""What a code object does, without where it stands: no file name, no line numbers, no docstring that nothing loads.

Two lambdas on one line have one source but never one code, so code is what identifies a function. Comments and
formatting leave it alone, except that CPython 3.11 and 3.12 compile a few conditions (in 6 and 39 of the 6,200
functions of their standard library) differently when a line break moves; that only makes two identities of one.
Different minor versions of Python give different code. Knows code objects only: which values their names have is for
`objects`.
"""

from __future__ import annotations

import dis
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from types import CodeType
from typing import Any, NamedTuple

from roboscale.core.canonical import content_digest, plain_token, token

__all__ = ["BodyImport", "CodeFacts", "CodeStep", "Use", "code_facts", "code_steps"]

_FLAGS = 0x3FF & ~0x10  # arguments, generators, coroutines; not "nested" and not the `__future__` of the file
_JUMPS = frozenset(dis.hasjrel) | frozenset(dis.hasjabs)
_HAS_NAME = frozenset(dis.hasname)
_CONSTANTS = frozenset(dis.hasconst)
_NAMED = frozenset(dis.hasname) | frozenset(dis.haslocal) | frozenset(dis.hasfree)
_UNSEEN = frozenset({"CACHE", "EXTENDED_ARG", "NOP"})  # a NOP comes and goes with line breaks
_BY_TEXT = frozenset({"getattr", "hasattr", "attrgetter", "methodcaller"})  # where a text may be a name
_PLACES = frozenset(
    {"__firstlineno__", "__static_attributes__"}
)  # what a class body of Python 3.13 stores of its place
_GLOBALS = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS", "STORE_GLOBAL", "DELETE_GLOBAL"})
_VARIABLES = frozenset({"LOAD_FAST", "LOAD_FAST_CHECK", "LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF"})
_ATTRIBUTES = frozenset({"LOAD_ATTR", "LOAD_METHOD"})
_FLAGGED = {"LOAD_GLOBAL": 1, "LOAD_SUPER_ATTR": 3} | ({"LOAD_ATTR": 1} if sys.version_info >= (3, 12) else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """One reading of a name: `helpers.gain(...)` is the name `helpers`, the attributes `("gain",)`, called."""

    name: str
    is_global: bool
    attributes: tuple[str, ...] = ()
    called: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyImport:
    """An import inside a function: what is imported, and the variable that gets it (`None`: not seen)."""

    level: int
    module: str
    attribute: str = ""
    variable: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeFacts:
    """A code object with the code nested in it.

    Args:
        digest: 32 bytes over the instructions, constants, names, arguments and exception handlers.
        names: every global, attribute and imported name in it, and texts where they may be names (`getattr`).
        attributes: the names that are read as attributes.
        uses: which globals and variables it reads, and through which attributes.
        imports: what it imports when it runs.
    """

    digest: bytes
    names: frozenset[str]
    attributes: frozenset[str]
    uses: frozenset[Use]
    imports: frozenset[BodyImport]

    @property
    def globals(self) -> frozenset[str]:
        """The names that are looked up in the module, then among the builtins."""
        return frozenset(use.name for use in self.uses if use.is_global)


@lru_cache(maxsize=4096)
def code_facts(code: CodeType) -> CodeFacts:
    """Reads a code object and all code nested in it."""
    steps = list(code_steps(code))
    nested = [code_facts(constant) for constant in code.co_consts if isinstance(constant, CodeType)]
    names = {step.value for step in steps if step.opcode in _HAS_NAME}
    if names & _BY_TEXT:
        names |= {step.value for step in steps if step.opcode in _CONSTANTS and isinstance(step.value, str)}
    return CodeFacts(
        digest=content_digest([*_signature(code), *_instructions(code, steps), *_handlers(code, steps)]),
        names=frozenset(names).union(*(facts.names for facts in nested)),
        attributes=frozenset(s.value for s in steps if s.opname in _ATTRIBUTES).union(*(f.attributes for f in nested)),
        uses=frozenset(_uses(code, steps)).union(*(facts.uses for facts in nested)),
        imports=frozenset(_imports(steps)).union(*(facts.imports for facts in nested)),
    )


class CodeStep(NamedTuple):
    """One instruction: where it is in bytes, what it does, with what."""

    offset: int
    opname: str
    opcode: int
    argument: int
    value: Any


def code_steps(code: CodeType) -> Iterator[CodeStep]:
    """The instructions that do something. Two that are fused (which depends on line breaks) come apart again."""
    for step in dis.get_instructions(code):
        if step.opname in _UNSEEN:
            continue
        if step.opcode in _NAMED and isinstance(step.argval, tuple):  # LOAD_FAST_LOAD_FAST (a, b) of Python 3.13
            words = step.opname.split("_")
            for opname, name in zip(("_".join(words[:2]), "_".join(words[2:])), step.argval, strict=True):
                yield CodeStep(step.offset, opname, dis.opmap[opname], 0, name)
        else:
            yield CodeStep(step.offset, step.opname, step.opcode, step.arg or 0, step.argval)


def _signature(code: CodeType) -> Iterator[bytes]:
    for number in (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags & _FLAGS):
        yield b"%d" % number
    arguments = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & 4) + bool(code.co_flags & 8)
    yield _text(*code.co_varnames[:arguments])
    yield _text(*code.co_freevars)


def _text(*names: str) -> bytes:
    return token("names", *(name.encode("utf-8", "surrogatepass") for name in names))


def _positions(code: CodeType, steps: list[CodeStep]) -> dict[int, int]:
    """Byte offset -> how many steps come before it."""
    counts = Counter(step.offset for step in steps)
    offsets = range(0, len(code.co_code) + 2, 2)
    return dict(zip(offsets, accumulate((counts[offset] for offset in offsets), initial=0), strict=False))


def _instructions(code: CodeType, steps: list[CodeStep]) -> Iterator[bytes]:
    positions = _positions(code, steps)
    for number, step in enumerate(steps):
        yield step.opname.encode()
        if step.opcode in _JUMPS:
            yield b"to %d" % positions[step.value]
        elif step.opcode in _CONSTANTS:
            following = steps[number + 1] if number + 1 < len(steps) else step
            place = following.opname == "STORE_NAME" and following.value in _PLACES
            yield b"place" if place else _constant(step.value)
        elif step.opcode in _NAMED:
            yield _text(str(step.value)) + b"%d" % (step.argument & _FLAGGED.get(step.opname, 0))
        else:
            yield b"%d" % step.argument


def _constant(value: object) -> bytes:
    if isinstance(value, CodeType):
        return token("code", code_facts(value).digest)
    if isinstance(value, tuple):
        return token("tuple", *map(_constant, value))
    written = plain_token(value)
    return token("constant", type(value).__name__.encode()) if written is None else written


def _handlers(code: CodeType, steps: list[CodeStep]) -> Iterator[bytes]:
    """The table of exception handlers: first and last step covered, handler, depth of the stack."""
    positions = _positions(code, steps) if code.co_exceptiontable else {}
    numbers = iter(code.co_exceptiontable)
    for first in numbers:
        start, length, target, depth = _varint(first, numbers), *(_varint(next(numbers), numbers) for _ in range(3))
        begin, end = positions[2 * start], positions[2 * (start + length)]
        if begin < end:
            yield b"except %d %d %d %d" % (begin, end, positions[2 * target], depth)


def _varint(byte: int, rest: Iterator[int]) -> int:
    """Six bits a byte, the highest first; bit 6 says that more follow (CPython's Objects/exception_handling_notes)."""
    value = byte & 63
    while byte & 64:
        byte = next(rest)
        value = value << 6 | byte & 63
    return value


def _uses(code: CodeType, steps: list[CodeStep]) -> Iterator[Use]:
    cells = {*code.co_cellvars, *code.co_freevars}
    for number, step in enumerate(steps):
        is_global = step.opname in _GLOBALS
        if not is_global and step.opname not in _VARIABLES:
            continue
        if step.opname == "LOAD_FAST" and step.value in cells:  # a cell that is handed to a nested function
            continue
        end = number + 1
        while end < len(steps) and steps[end].opname in _ATTRIBUTES:
            end += 1
        yield Use(
            name=step.value,
            is_global=is_global,
            attributes=tuple(s.value for s in steps[number + 1 : end]),
            called=_called(steps, number, end),
        )


def _called(steps: list[CodeStep], first: int, end: int) -> bool:
    """Whether what the steps `first` to `end` load is called: CPython then pushes a NULL with it."""
    last = steps[end - 1]
    if last.opname == "LOAD_METHOD" or last.argument & 1 & _FLAGGED.get(last.opname, 0):
        return True
    beside = steps[end : end + 1] if sys.version_info >= (3, 13) else steps[max(0, first - 1) : first]
    return any(step.opname == "PUSH_NULL" for step in beside)


def _imports(steps: list[CodeStep]) -> Iterator[BodyImport]:
    for number, step in enumerate(steps):
        if step.opname == "IMPORT_NAME":
            level, listed = steps[number - 2].value, steps[number - 1].value  # two constants come before
            yield from _bound(steps[number + 1 :], level, step.value, listed)


def _bound(after: list[CodeStep], level: int, module: str, listed: object) -> Iterator[BodyImport]:
    """What the steps after an import bind: `import a.b` binds `a`, `import a.b as c` and `from a import b` more."""
    yield BodyImport(level=level, module=module)
    attribute = ""
    for step in after:
        if step.opname == "IMPORT_FROM":
            attribute = step.value
        elif step.opname.startswith("STORE_") and isinstance(step.value, str):
            if not listed:
                whole = module if attribute else module.partition(".")[0]
                yield BodyImport(level=level, module=whole, variable=step.value)
                return
            yield BodyImport(level=level, module=module, attribute=attribute, variable=step.value)
        elif step.opname not in ("SWAP", "POP_TOP") or listed:
            return
