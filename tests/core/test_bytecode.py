"""Code without its place: formatting leaves it alone, every change of what is done does not."""

from __future__ import annotations

import argparse
import ast
import configparser
import inspect
import json.decoder
import statistics
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roboscale.core.bytecode import BodyImport, Use, code_facts


def functions(code: CodeType) -> Iterator[CodeType]:
    """The functions of a module, methods included."""
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from [constant] if constant.co_flags & inspect.CO_OPTIMIZED else functions(constant)


def function(source: str) -> CodeType:
    (code,) = functions(compile(textwrap.dedent(source), "<test>", "exec"))
    return code


@pytest.mark.parametrize("module", [argparse, configparser, json.decoder, statistics, textwrap, inspect])
def test_formatting_leaves_code_alone(module: ModuleType):
    source = Path(str(module.__file__)).read_text()
    formatted = ast.unparse(ast.parse(source))  # no comments, every statement on one line
    one, other = (list(functions(compile(text, "<test>", "exec"))) for text in (source, formatted))
    differ = [a.co_qualname for a, b in zip(one, other, strict=True) if code_facts(a).digest != code_facts(b).digest]
    assert len(differ) <= len(one) // 20, differ  # CPython 3.11 and 3.12 compile a few conditions otherwise


SAME = (
    "def f(a, b=1):\n    return a + b",
    "def g(a, b=2):\n    # defaults are of the function, not of its code\n    return (a +\n        b)",
    "\n\n\ndef f(a: int, b: float = 3) -> int:\n    'A docstring.'\n    return a + b",
    "def f(a, b):\n    'Another docstring.'\n\n    return a + b",
    "if True:\n    def f(a, b):\n\n        return a + b",
    "def f(a, b):\n    pass\n    return a + b",
)

OTHERS = (
    "def f(a, b):\n    return a - b",
    "def f(a, c):\n    return a + c",
    "def f(b, a):\n    return a + b",
    "def f(a, /, b):\n    return a + b",
    "def f(a, *, b):\n    return a + b",
    "def f(a, *b):\n    return a + b",
    "def f(a, **b):\n    return a + b",
    "async def f(a, b):\n    return a + b",
    "def f(a, b):\n    yield a + b",
    "def f(a, b):\n    return a + b + 0",
    "def f(a, b):\n    return a + b + 0.0",
    "def f(a, b):\n    return a + b + False",
    "def f(a, b):\n    return a + b + -0.0",
    "def f(a, b):\n    return a + b + 0j",
    "def f(a, b):\n    return a + b + ''",
    "def f(a, b):\n    return a + b + b''",
    "def f(a, b):\n    return a + b if a in {1, 2} else b",
    "def f(a, b):\n    return a + b if a in {1, 3} else b",
    "def f(a, b):\n    return a + b if a in (1, 2) else b",
    "def f(a, b):\n    return a.real + b",
    "def f(a, b):\n    return a.imag + b",
    "def f(a, b):\n    return real + b",
    "def f(a, b):\n    return imag + b",
    "def f(a, b):\n    try:\n        return a + b\n    except KeyError:\n        return a",
    "def f(a, b):\n    try:\n        return a + b\n    except ValueError:\n        return a",
    "def f(a, b):\n    try:\n        c = a + b\n    except ValueError:\n        return a\n    return c",
    "def f(a, b):\n    'text'\n    return 'text'",
    "def f(a, b):\n    return (lambda: a + b)()",
    "def f(a, b):\n    return (lambda: a + b + 1)()",
    "def f(a, b):\n    while a:\n        a += b\n    return a",
    "def f(a, b):\n    while a:\n        a += b\n        break\n    return a",
    "def f(a, b):\n    while a:\n        a += b\n        continue\n        break\n    return b",
)


def test_what_is_done_counts_and_nothing_else():
    assert len({code_facts(function(source)).digest for source in SAME}) == 1
    digests = {code_facts(function(source)).digest for source in (SAME[0], *OTHERS)}
    assert len(digests) == 1 + len(OTHERS)


constants = st.integers() | st.floats() | st.text(st.characters(codec="utf-8"), max_size=5) | st.booleans() | st.none()
constants |= st.tuples(constants, constants) | st.binary(max_size=3)


def literal(value: object) -> str:
    return repr(value).replace("inf", "1e999").replace("nan", "(1e999 - 1e999)")


@given(constants, constants)
def test_constants_count(a: object, b: object):
    one, other = (code_facts(function(f"def f(o):\n    return o, {literal(value)}")) for value in (a, b))
    assert (one.digest == other.digest) == (literal(a) == literal(b))


def test_many_constants_and_long_jumps():
    body = "\n".join(f"        a = a + {number}.5 if a > {number} else a" for number in range(400))
    source = f"def f(a):\n    for b in a:\n{body}\n    return a"
    code = code_facts(function(source)).digest
    assert code_facts(function(source.replace("\n    return", "\n\n    # a comment\n    return"))).digest == code
    assert code_facts(function(source.replace("a > 399", "a > 398"))).digest != code
    assert code_facts(function(source.replace("a + 0.5", "a + 0.25"))).digest != code


def test_uses_and_imports():
    facts = code_facts(
        function(
            """
            def f(o):
                import numpy as np, os.path
                import xml.dom as dom
                from math import sin as s, cos
                from .. import near

                def g():
                    return np.linalg.norm(h.gain(o)) + Made() + isinstance(o, Compared)

                return list(map(handed_on, g().result)), s, cos, near, dom, os.path.join
            """
        )
    )
    assert facts.globals == {"h", "Made", "isinstance", "Compared", "list", "map", "handed_on"}
    uses = {use for use in facts.uses if use.name in ("np", "h", "Made", "Compared", "handed_on", "os")}
    assert uses == {
        Use(name="np", is_global=False, attributes=("linalg", "norm"), called=True),
        Use(name="h", is_global=True, attributes=("gain",), called=True),
        Use(name="Made", is_global=True, called=True),
        Use(name="Compared", is_global=True),
        Use(name="handed_on", is_global=True),
        Use(name="os", is_global=False, attributes=("path", "join")),
    }
    assert {one for one in facts.imports if one.variable} == {
        BodyImport(level=0, module="numpy", variable="np"),
        BodyImport(level=0, module="os", variable="os"),
        BodyImport(level=0, module="xml.dom", variable="dom"),
        BodyImport(level=0, module="math", attribute="sin", variable="s"),
        BodyImport(level=0, module="math", attribute="cos", variable="cos"),
        BodyImport(level=2, module="", attribute="near", variable="near"),
    }
    assert {"norm", "result", "gain"} <= facts.attributes and "map" not in facts.attributes
