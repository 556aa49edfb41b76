"""The identity of live objects: every edit that can change a result changes it, no other edit does."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roboscale.core import identify

Load = Callable[[Mapping[str, str]], ModuleType]


PROJECT = {
    "policy.py": '''"""A policy of many parts."""
import collections
import enum
import functools
from dataclasses import dataclass, field

import numpy as np

import helpers as h
import tools.deep
from helpers import bias, Base as Parent

UNRELATED = 1
SCALE = 2.0
TABLE = {"a": lambda x: x + 1, "b": [1, 2, (3, 4)]}
WEIGHTS = np.arange(6.0).reshape(2, 3)
Point = collections.namedtuple("Point", "x y")


class Mode(enum.Enum):
    SLOW = 1
    FAST = 2

    def speed(self):
        return self.value * 3


@dataclass
class Settings:
    gain: float = 1.5
    limits: list = field(default_factory=lambda: [-1, 1])


SETTINGS = Settings()


def doubled(function):
    @functools.wraps(function)
    def wrapper(*args):
        return 2 * function(*args)

    return wrapper


@doubled
def decorated(x):
    return x + 7


@functools.cache
def cached(n):
    return n * 11


class Sloted(Parent):
    __slots__ = ("left",)
    offset = 3

    def __init__(self):
        self.left = np.ones(2)
        self.right = [Point(1, 2)]

    def __call__(self, o):
        """What it does."""
        return self.twice(o) + self.offset + self.right[0].x

    @property
    def wide(self):
        return self.left * 5

    @staticmethod
    def still(x):
        return x - 13

    @classmethod
    def make(cls, *, n=17):
        return cls()

    def unused(self):
        return 19


INSTANCE = Sloted()


def even(n):
    return n == 0 or odd(n - 1)


def odd(n):
    return n != 0 and even(n - 1)


def unrelated(o):
    return o * 23


def make(k):
    empty = lambda: later

    def inner(o, extra=[29], *, key=31):
        # a comment
        def innermost(x):
            return x * k * h.gain(x) + tools.deep.constant

        try:
            value = innermost(o) + sum(i for i in extra) + key
        except ValueError:
            value = 37
        more = SETTINGS, INSTANCE, SCALE, bias, decorated, cached, even, empty
        return value, TABLE, WEIGHTS, Mode.FAST, more

    if k < 0:
        later = 41
    return inner


act = make(43)
''',
    "helpers.py": """from tools import deep

LEVEL = 47
UNRELATED = 1
bias = [53]


def gain(x):
    return x * LEVEL + deep.power(x)


def unrelated():
    return 59


class Base:
    factor = 61

    def twice(self, o):
        return 2 * o + self.factor
""",
    "tools/__init__.py": "",
    "tools/deep.py": """EXPONENT = 67
constant = 71
unrelated = 73


def power(x, e=79):
    return x ** EXPONENT + e
""",
}

COUNTING = (
    ("policy.py", "SCALE = 2.0", "SCALE = 2"),
    ("policy.py", "SCALE = 2.0", "SCALE = -2.0"),
    ("policy.py", "x + 1,", "x + 2,"),
    ("policy.py", '"b": [1, 2, (3, 4)]', '"b": [1, 2, (3, 5)]'),
    ("policy.py", '"b": [1, 2, (3, 4)]', '"b": (1, 2, (3, 4))'),
    ("policy.py", "arange(6.0)", "arange(6)"),
    ("policy.py", "arange(6.0)", "arange(6.0)[::-1]"),
    ("policy.py", "reshape(2, 3)", "reshape(3, 2)"),
    ("policy.py", "FAST = 2", "FAST = 4"),
    ("policy.py", "self.value * 3", "self.value * 4"),
    ("policy.py", "Mode.FAST", "Mode.SLOW"),
    ("policy.py", "gain: float = 1.5", "gain: float = 1.25"),
    ("policy.py", "[-1, 1]", "[-1, 2]"),
    ("policy.py", "SETTINGS = Settings()", "SETTINGS = Settings(); SETTINGS.more = 1"),
    ("policy.py", "2 * function", "3 * function"),
    ("policy.py", "x + 7", "x + 8"),
    ("policy.py", "@doubled\n", "\n"),
    ("policy.py", "n * 11", "n * 12"),
    ("policy.py", "offset = 3", "offset = 4"),
    ("policy.py", "np.ones(2)", "np.ones(2) * 3"),
    ("policy.py", "Point(1, 2)", "Point(1, 3)"),
    ("policy.py", "self.twice(o) +", "self.twice(o) -"),
    ("policy.py", "self.left * 5", "self.left * 6"),
    ("policy.py", "x - 13", "x - 14"),
    ("policy.py", "n=17", "n=18"),
    ("policy.py", "Sloted(Parent)", "Sloted(h.Other)"),
    ("policy.py", "odd(n - 1)", "odd(n - 2)"),
    ("policy.py", "even(n - 1)", "even(n - 2)"),
    ("policy.py", "extra=[29]", "extra=[30]"),
    ("policy.py", "key=31", "key=32"),
    ("policy.py", "value = 37", "value = 38"),
    ("policy.py", "except ValueError", "except KeyError"),
    ("policy.py", "make(43)", "make(44)"),
    ("policy.py", "if k < 0", "if k > 0"),  # what was an empty cell is filled
    ("policy.py", "h.gain(x)", "h.gain(x, )* 1"),
    ("policy.py", "innermost(o) +", "innermost(o) *"),
    ("helpers.py", "LEVEL = 47", "LEVEL = 48"),
    ("helpers.py", "x * LEVEL", "x + LEVEL"),
    ("helpers.py", "bias = [53]", "bias = [54]"),
    ("helpers.py", "factor = 61", "factor = 62"),
    ("helpers.py", "2 * o", "3 * o"),
    ("tools/deep.py", "EXPONENT = 67", "EXPONENT = 68"),
    ("tools/deep.py", "constant = 71", "constant = 72"),
    ("tools/deep.py", "e=79", "e=80"),
    ("tools/deep.py", "x ** EXPONENT + e", "x ** EXPONENT - e"),
)

IDLE = (
    ("policy.py", "UNRELATED = 1", "UNRELATED = 2\nMORE = [1]"),
    ("policy.py", "o * 23", "o * 24"),
    ("policy.py", '"""A policy of many parts."""', '"""Another text."""\n\n\n'),
    ("policy.py", '"""What it does."""', '"""What it does, in other words."""'),
    ("policy.py", "# a comment", "# another comment\n"),
    ("policy.py", "return x - 13", "return (\n            x\n            - 13)  # so"),
    ("policy.py", "gain: float", "gain: int"),
    ("policy.py", "def wide(self):", "def wide(self) -> 'Array':"),
    ("policy.py", "[1, 2, (3, 4)]", "[ 1,\n   0x2, (3, 4,) ]"),
    ("policy.py", "import tools.deep\n", "import tools.deep\nimport json, math\n"),
    ("helpers.py", "return 59", "return 60"),
    ("helpers.py", "UNRELATED = 1", "UNRELATED = [2, 3]"),
    ("tools/deep.py", "unrelated = 73", "unrelated = 74"),
    ("tools/__init__.py", "", "VERSION = 2"),
)


def edited(file: str, old: str, new: str) -> dict[str, str]:
    assert old in PROJECT[file]
    return PROJECT | {file: PROJECT[file].replace(old, new, 1) if old else new}


def test_an_edit_that_can_change_a_result_changes_the_identity(load: Load):
    original = identify(load(PROJECT).act)
    assert original.verified and original == identify(load(PROJECT).act) and original.name == "inner"
    seen = {original: ("", "", "")}
    extra = {"helpers.py": PROJECT["helpers.py"] + "\n\nclass Other(Base):\n    factor = 61\n"}
    for edit in COUNTING:
        files = edited(*edit) | (extra if "Other" in edit[2] else {})
        identity = identify(load(files).act)
        assert identity not in seen, f"{edit} gives what {seen.get(identity)} gives"
        seen[identity] = edit


@pytest.mark.parametrize("edit", IDLE, ids=lambda edit: edit[2][:20].strip())
def test_an_edit_that_cannot_does_not(load: Load, edit: tuple[str, str, str]):
    assert identify(load(edited(*edit)).act) == identify(load(PROJECT).act)


def test_the_place_of_a_project_and_the_name_of_its_modules_do_not_count(load: Load):
    module = load(PROJECT)
    moved = load(
        {
            "a/b/policy_of_another_name.py": PROJECT["policy.py"],
            **PROJECT,
            "policy.py": "from a.b import policy_of_another_name\nact = policy_of_another_name.act",
        }
    )
    assert identify(module.act) == identify(moved.act)


# ---- the recipes that gave the numbers of another policy


def towards(goal: np.ndarray, gain: float):
    return lambda o: gain * (goal - o)


def test_lambdas_of_one_line_are_as_many_policies():
    def goal(o):
        return o["goal"]

    def position(o):
        return o["position"]

    identities = [identify(lambda o: s * 10 * (goal(o) - position(o))) for s in (1, -1)]  # noqa: B023
    assert identities[0] != identities[1] and all(identity.verified for identity in identities)
    one, two = (lambda o: o + 1), (lambda o: o + 2)
    assert identify(one) != identify(two) and identify(one) == identify(lambda o: o + 1)
    assert identify(towards(np.ones(2), 1.0)) != identify(towards(np.ones(2), -1.0))
    assert identify(towards(np.ones(2), 1.0)) != identify(towards(np.zeros(2), 1.0))
    assert identify(towards(np.ones(2), 1.0)) == identify(towards(np.ones(2), 1.0))


def test_a_global_that_a_loop_changes_counts(load: Load):
    module = load({"policy.py": "s = 1\ngoal = lambda o: o\nact = lambda o: s * 10 * goal(o)\n"})
    first = identify(module.act)
    module.s = -1
    assert identify(module.act) != first
    module.s, module.goal = 1, lambda o: -o
    assert identify(module.act) != first


# ---- the same in every process

constants = st.sampled_from(["1", "-2.5", "'text'", "{'x', 'yy', 'zzz'}", "frozenset({'p', 'q', 'r'})", "(1, None)"])
constants |= st.sampled_from(["{'a': [1], 'b': {2, 3}}", "np.array([1.5, 2])", "float('nan')", "b'bytes'", "1j"])
constants |= st.sampled_from(["{Key('a'), Key('b'), Key('c')}", "{len, print, Key}", "re.compile('a|b')", "Key('z')"])
expressions = st.sampled_from(["o + G", "[x for x in H if x]", "helper(o, G)", "o in {'a', 'b', 'c'}", "h.more(o)"])
expressions |= st.sampled_from(["Acting(G)(o)", "(lambda y=H: y)()", "sorted(map(str, H))", "getattr(h, 'D')"])
modules = st.fixed_dictionaries({"G": constants, "H": constants, "D": constants, "body": expressions})

TEMPLATE = """
import re
import numpy as np
import {helpers} as h

class Key:
    def __init__(self, name):
        self.name, self.others = name, set()
    def __hash__(self):
        return hash(self.name)
    def __eq__(self, other):
        return self.name == other.name

G = {G}
H = {H}

def helper(o, d={D}):
    return o, d

class Acting:
    def __init__(self, g):
        self.g = g
    def __call__(self, o):
        return o, self.g, H

def act(o):
    return {body}
"""


def write(folder: Path, number: int, drawn: Mapping[str, str]) -> None:
    helpers = f"helpers{number}"
    (folder / f"policy{number}.py").write_text(TEMPLATE.format(helpers=helpers, **drawn))
    simple = drawn["D"] if "Key" not in drawn["D"] else "1"
    text = f"import re\nimport numpy as np\nD = {simple}\ndef more(o):\n    return o, D\n"
    (folder / f"{helpers}.py").write_text(text)


def identities_elsewhere(folder: Path, count: int, seed: str) -> list[str]:
    code = (
        "import importlib, sys\nfrom roboscale.core import identify\n"
        f"for n in range({count}):\n    print(identify(importlib.import_module(f'policy{{n}}').act).digest)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join([str(folder), *sys.path])},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(modules, min_size=20, max_size=20, unique_by=lambda drawn: tuple(drawn.values())))
def test_other_processes_give_the_same_digests(tmp_path_factory: pytest.TempPathFactory, drawn: list[dict[str, str]]):
    folder, other = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("other")
    for number, values in enumerate(drawn):
        write(folder, number, values)
        write(other, number, values)
    first = identities_elsewhere(folder, len(drawn), "1")
    assert len(first) == len(drawn)
    assert identities_elsewhere(folder, len(drawn), "2") == first  # from compiled files that are there now
    assert identities_elsewhere(other, len(drawn), "3") == first


# ---- what hides content


def test_modules_as_values_and_names_made_at_run_time(load: Load):
    files = {
        "policy.py": "import helpers\ndef act(o):\n    return getattr(helpers, 'ga' + 'in')(o)\n",
        "helpers.py": "K = 2\ndef gain(o):\n    return o * K\n",
    }
    first = identify(load(files).act)
    assert first.verified and first != identify(
        load(files | {"helpers.py": files["helpers.py"].replace("2", "3")}).act
    )


def test_a_library_that_is_imported_while_acting_counts_the_same_before_and_after(load: Load):
    body = "import xml.dom.minidom as m\n    from wave import Error\n    import colorsys"
    text = f"def act(o):\n    {body}\n    return m.Node, Error, colorsys.ONE_THIRD, colorsys.rgb_to_hsv(1, 1, 1)\n"
    for name in ("xml.dom.minidom", "wave", "colorsys"):
        sys.modules.pop(name, None)
    module = load({"policy.py": text})
    before = identify(module.act)
    module.act(0)
    assert "colorsys" in sys.modules and identify(module.act) == before and before.verified


def test_random_numbers_that_everybody_draws_are_no_content(load: Load):
    text = "from random import choice\nfrom numpy.random import rand, seed\nimport numpy as np\nMINE = {}\n"
    text += "def act(o):\n    return choice(o), rand(), np.random.normal(), MINE\n"
    module = load({"policy.py": text.format("np.random.default_rng(1)")})
    before = identify(module.act)
    module.act([1, 2])
    assert before.verified and identify(module.act) == before
    module.MINE.random()
    assert identify(module.act) != before


def test_a_library_that_somebody_has_changed_counts(load: Load):
    files = {
        "policy.py": "import numpy as np\nimport statistics\ndef act(o):\n    return np.helper(o)\n"
        "np.helper = lambda o: o * 2\n"
    }
    before = identify(load(files).act)
    assert identify(load({"policy.py": files["policy.py"].replace("* 2", "* 3")}).act) != before
    del np.helper
    original, plain = (
        statistics_mean(),
        identify(load({"policy.py": "import statistics\ndef act(o):\n    return statistics.mean(o)\n"}).act),
    )
    sys.modules["statistics"].mean = lambda o: 0
    try:
        patched = identify(load({"policy.py": "import statistics\ndef act(o):\n    return statistics.mean(o)\n"}).act)
    finally:
        sys.modules["statistics"].mean = original
    assert patched != plain


def statistics_mean() -> Any:
    import statistics

    return statistics.mean


def test_docstrings_and_names_count_where_they_are_read(load: Load):
    text = 'def prompt():\n    "{doc}"\ndef act(o):\n    return prompt{read}\n'
    for read, counts in (("()", False), (".__doc__", True)):
        one, other = (identify(load({"policy.py": text.format(doc=d, read=read)}).act) for d in ("push", "pull"))
        assert (one != other) == counts
    text = "def {name}():\n    return 1\nTABLE = [{name}]\ndef act(o):\n    return TABLE[0]{read}\n"
    for read, counts in (("()", False), (".__name__", True)):
        one, other = (identify(load({"policy.py": text.format(name=n, read=read)}).act) for n in ("f", "g"))
        assert (one != other) == counts


def test_default_arguments_that_change_count():
    def act(o: object, seen: list[int] = []) -> object:  # noqa: B006
        return seen

    before = identify(act)
    act.__defaults__[0].append(1)
    assert identify(act) != before


# ---- how fast


def test_it_is_fast(load: Load):
    module = load(PROJECT)
    identify(module.act)
    started = time.process_time()
    identify(module.act)
    assert time.process_time() - started < 0.2  # measured: 3 ms
    weights = np.ones(12_500_000)
    started = time.process_time()
    identify(lambda o: weights @ o)
    assert time.process_time() - started < 2  # 100 MB; measured: .12 s
