"""The identity of live objects: every edit that can change a result changes it, no other edit does."""

from __future__ import annotations

import collections
import dataclasses
import enum
import functools
import json
import logging
import pickle
import random
import re
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roboscale.core import Identity, identify

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


# ---- objects


class Plain:
    def __init__(self, **state: Any) -> None:
        vars(self).update(state)

    def __call__(self, o: Any) -> Any:
        return o


class Slots:
    __slots__ = ("a", "never")

    def __init__(self, a: object) -> None:
        self.a = a


class SlotsAndMore(Slots):
    __slots__ = ("b",)

    def __init__(self, a: object, b: object) -> None:
        super().__init__(a)
        self.b = b


@dataclasses.dataclass
class Data:
    a: object
    b: object = 2


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Named(collections.UserDict):
    pass


class Numbers(list):
    pass


Pair = collections.namedtuple("Pair", "left right")


def scaled(o: object, k: float) -> float:
    return k


class Arm:
    def __init__(self, weights: object) -> None:
        self.weights = np.asarray(weights)

    def act(self, o: object, k: int = 1) -> object:
        return self.weights * k


def moved(ordered: collections.OrderedDict[str, int], key: str) -> collections.OrderedDict[str, int]:
    ordered.move_to_end(key)
    return ordered


DIFFERENT = {
    "numbers": [0, 0.0, -0.0, False, "0", b"0", None, ..., 0j, np.float32(0), np.float64(0), np.int64(0), np.array(0)],
    "texts": ["a", "b", "a\ud800", b"a", Path("a"), re.compile("a"), re.compile("a", re.IGNORECASE), re.compile(b"a")],
    "collections": [[], (), {}, set(), frozenset(), [()], range(0), collections.deque(), collections.OrderedDict()],
    "more": [collections.deque([1]), collections.deque([1], 3), collections.Counter("a"), collections.Counter("ab")],
    "ordered": [collections.OrderedDict(a=1, b=2), moved(collections.OrderedDict(a=1, b=2), "a"), {"a": 1, "b": 2}],
    "defaults": [collections.defaultdict(list), collections.defaultdict(dict), {}, collections.defaultdict(None)],
    "sharing": [[[1], [1]], [x := [1], x]],
    "order": [{"a": 1, "b": 2}, {"b": 2, "a": 1}],
    "arrays": [np.zeros(2), np.zeros(2, int), np.zeros((2, 1)), np.zeros(2, ">f8"), np.array([0, 1e-300])],
    "objects": [np.array([1, None]), np.array([1, 2], object), np.array([1, 2.0], object), np.array([[1, None]])],
    "structured": [np.zeros(1, "i4,f8"), np.ones(1, "i4,f8"), np.zeros(1, "i4,f4"), np.void(b"abc"), np.void(b"abd")],
    "dtypes": [np.dtype("f4"), np.dtype("f8"), np.dtype([("a", "f4")]), np.float32],
    "times": [np.datetime64("2020"), np.datetime64("2020", "D"), np.array(["2020"], "M8[D]"), np.ma.array([1])],
    "buffers": [bytearray(b"a"), memoryview(b"a"), memoryview(b"abcd").cast("I"), memoryview(b"abcd")],
    "generators": [np.random.default_rng(0), np.random.default_rng(1), np.random.RandomState(0), random.Random(0)],
    "spent": [np.random.default_rng(0).normal, (r := np.random.default_rng(0), r.random(), r.normal)[2]],
    "random": [random.Random(1), random.Random(2), random.SystemRandom()],
    "instances": [Plain(), Plain(a=1), Plain(a=2), Plain(b=1), Plain(a=Plain(a=1)), Plain(a=Plain(a=2)), Slots(1)],
    "slots": [Slots(1), Slots(2), SlotsAndMore(1, 2), SlotsAndMore(1, 3), SlotsAndMore(2, 2)],
    "data": [Data(1), Data(2), Data(1, 3), Pair(1, 2), Pair(1, 3), (1, 2), Named(a=1), Named(a=2), Numbers([1]), [1]],
    "enumerations": [Colour.RED, Colour.BLUE, Colour, Data],
    "partials": [functools.partial(scaled, k=1), functools.partial(scaled, k=2), functools.partial(scaled, 1), scaled],
    "methods": [Arm([1]).act, Arm([2]).act, Arm([1]), functools.partial(Arm([1]).act, k=2)],
    "library": [np.sin, np.cos, np.linalg.norm, len, abs, str.upper, "a".upper, "b".upper, json.dumps],
    "lambdas": [{"a": lambda: 1}, {"a": lambda: 2}, [lambda: 1], lambda: 1, lambda: 1.0, lambda: True],
    "wrapped": [functools.cache(lambda x: 1), functools.cache(lambda x: 2), np.vectorize(lambda x: 1)],
    "iterators": [iter([1, 2]), iter([1, 3]), map(abs, [1]), zip([1], [2], strict=False), iter(range(3))],
    "sets": [{1, 2}, {1, 3}, {Slots, Data}, {Slots, Plain}, frozenset({1, 2}), {(1, Data)}, {(2, Data)}],
}  # fmt: skip


@pytest.mark.parametrize("kind", DIFFERENT)
def test_objects_of_other_content_differ(kind: str):
    things = DIFFERENT[kind]
    identities = [identify(thing) for thing in things]
    assert all(identity.verified for identity in identities), [str(i) for i in identities if not i.verified]
    assert len(set(identities)) == len(things)
    assert identities == [identify(thing) for thing in things]


@pytest.mark.parametrize(
    "kind", ["collections", "arrays", "objects", "instances", "slots", "data", "generators", "sets"]
)
def test_a_pickled_copy_is_the_same(kind: str):
    for thing in DIFFERENT[kind]:
        if getattr(thing, "dtype", None) == np.dtype(">f8"):
            continue  # which numpy pickles as "<f8"
        assert identify(pickle.loads(pickle.dumps(thing))) == identify(thing)


def test_what_is_the_same():
    assert identify(float("nan")) == identify(-float("nan")) and identify([float("nan")]) == identify([np.nan])
    assert identify(np.arange(6.0).reshape(2, 3)) == identify(np.asfortranarray(np.arange(6.0).reshape(2, 3)))
    assert identify(np.arange(10)[::2]) == identify(np.array([0, 2, 4, 6, 8]))
    assert identify({"x", "y", "z"}) == identify({"z", "y", "x"})
    assert identify(Plain(a=1, b=2)) == identify(Plain(b=2, a=1))
    assert identify(Plain(a=1, lock=threading.Lock())) == identify(Plain(a=1, lock=threading.Lock()))


def test_big_arrays_that_are_not_contiguous_have_the_digest_of_their_values():
    array = np.random.default_rng(0).random((3, 1000, 2000), "float32")
    assert identify(array[:, ::2]) == identify(array[:, ::2].copy())
    assert identify(array.T) == identify(array.T.copy()) and identify(array.T) != identify(array)


def test_an_element_of_an_array_that_changes_counts():
    policy = Plain(net=Plain(layers=[np.zeros((50, 50)) for _ in range(3)]))
    before = identify(policy)
    policy.net.layers[2][31, 7] = 1e-9
    assert identify(policy) != before


def test_cycles_sharing_and_depth():
    ring: list[Any] = [1]
    ring.append(ring)
    assert identify(ring) == identify(ring) != identify([1, [1]])
    me = Plain(a=1)
    me.me, me.others = me, {Slots(1), Slots(1)}
    assert identify(me).verified
    chain: Any = None
    for number in range(20_000):
        chain = [number, chain]
    assert identify(chain) == identify(chain)
    for number in range(3_000):
        chain = Plain(next=chain, number=number)
    assert identify(chain).verified
    tuples: Any = ()
    for number in range(5_000):
        tuples = (number, tuples)
    assert identify(tuples).verified


def knot(values: list[int]) -> Plain:
    """Objects that hold each other in sets."""
    nodes = [Plain(value=value, near=set()) for value in values]
    for one, other in zip(nodes, nodes[1:] + nodes[:1], strict=True):
        one.near |= {other, nodes[0]}
        other.near.add(one)
    return nodes[0]


def test_sets_of_objects_have_no_order():
    assert identify(knot([1, 2, 3, 4, 5])) == identify(knot([1, 2, 3, 4, 5])) != identify(knot([1, 2, 3, 5, 4]))
    assert len({identify({knot([n, 1, 1, m]) for m in range(4)}) for n in (1, 1, 2)}) == 2


def test_a_weak_reference_counts_as_far_as_somebody_holds_its_target():
    held = Slots(1)

    class Target:
        pass

    target = Target()
    assert identify(Plain(a=target, b=weakref.ref(target))).verified
    alone = identify(Plain(b=weakref.ref(target)), "policy")
    assert alone.unverified == ("policy.b is a weak reference",)
    assert held.a == 1


def test_machinery_decides_nothing():
    thread = threading.Thread(target=scaled)
    policy = Plain(a=1, lock=threading.RLock(), log=logging.getLogger("x"), event=threading.Event(), thread=thread)
    assert identify(policy).verified
    policy.event.set()
    other = Plain(
        a=1,
        lock=threading.RLock(),
        log=logging.getLogger("y"),
        event=policy.event,
        thread=threading.Thread(target=scaled),
    )
    assert identify(other) == identify(policy)


# ---- what cannot be known


class Hostile:
    """Everything that can be asked of it raises."""

    def __init__(self) -> None:
        object.__setattr__(self, "a", 1)

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __getstate__(self) -> Any:
        raise RuntimeError

    def __reduce_ex__(self, protocol: object) -> Any:
        raise RuntimeError

    def __hash__(self) -> int:
        raise RuntimeError

    def __eq__(self, other: object) -> bool:
        raise RuntimeError

    def __repr__(self) -> str:
        raise RuntimeError

    def __len__(self) -> int:
        raise RuntimeError


class Pretends:
    @property
    def __class__(self) -> type:
        raise RuntimeError

    @property
    def __dict__(self) -> dict[str, Any]:
        raise RuntimeError


class Broken(threading.local):
    def __reduce_ex__(self, protocol: object) -> Any:
        raise SystemError("no")


class Meta(type):
    def __getattribute__(cls, name: str) -> Any:
        raise RuntimeError(name)


class OfMeta(metaclass=Meta):
    level = 1


def test_nothing_of_the_users_is_asked():
    assert identify([Hostile()]).verified and identify(Hostile()) == identify(Hostile())
    assert identify([Pretends()]) == identify([Pretends()])
    assert identify([OfMeta], "x").verified
    assert identify(Broken(), "policy").unverified == ("cannot look into policy (test_objects_identity.Broken)",) or (
        "Broken" in identify(Broken(), "policy").unverified[0]
    )


@pytest.mark.parametrize(
    ("make", "where"),
    [
        (lambda: (i for i in range(3)), "policy.part['x'] (generator)"),
        (lambda: Path(__file__).open(), "policy.part['x'] (_io.TextIOWrapper)"),  # noqa: SIM115
        (lambda: np.frompyfunc(abs, 1, 1), "policy.part['x'] (numpy.ufunc)"),
        (lambda: re.match("a", "a"), "policy.part['x'] (re.Match)"),
        (lambda: sys._getframe(), "policy.part['x'] (frame)"),
        (lambda: __import__("socket").socket(), "policy.part['x'] (socket.socket)"),
        (lambda: __import__("sqlite3").connect(":memory:"), "policy.part['x'] (sqlite3.Connection)"),
        (lambda: __import__("ctypes").CDLL(None), "policy.part['x'] (ctypes.CDLL)"),
    ],
)
def test_what_cannot_be_looked_into_is_named(make: Callable[[], Any], where: str):
    thing = make()
    identity = identify(Plain(part={"x": thing}), "policy")
    assert identity.unverified == (f"cannot look into {where}",)
    if hasattr(thing, "close"):
        thing.close()


READING = {
    "return open('x').read()": "act reads a file while acting (open)",
    "import io\nreturn io.open('x')": "act reads a file while acting (open)",
    "return np.load('x')": "act reads a file while acting (numpy.load)",
    "import numpy as other\nreturn other.loadtxt('x')": "act reads a file while acting (numpy.loadtxt)",
    "from numpy import fromfile as f\nreturn f('x')": "act reads a file while acting (numpy.fromfile)",
    "return np.lib.format.open_memmap('x')": "act reads a file while acting (numpy.lib.format.open_memmap)",
    "return alias(o)": "act reads a file while acting (numpy.load)",
    "return TABLE['load'](o)": "act reads a file while acting (pickle.load)",
    "m = np\nreturn m.genfromtxt(o)": "act reads a file while acting (numpy.genfromtxt)",
    "return json.load(o)": "act reads a file while acting (json.load)",
    "return pathlib.Path('x').read_text()": "act reads a file while acting (.read_text)",
    "return pathlib.Path('x').open()": "act reads a file while acting (.open)",
    "return FOLDER.joinpath('x').exists()": "act reads a file while acting (.exists)",
    "return os.environ['x']": "act reads the environment while acting (os.environ)",
    "return os.getenv('x')": "act reads the environment while acting (os.getenv)",
    "from os import environ\nreturn environ": "act reads the environment while acting (os.environ)",
    "return os.listdir()": "act reads a file while acting (os.listdir)",
    "return os.path.exists('x')": "act reads a file while acting (os.path.exists)",
    "return input()": "act asks a person while acting (input)",
    "return eval('o')": "act runs text as code while acting (eval)",
    "exec('o = 1')": "act runs text as code while acting (exec)",
    "return __import__('math')": "act runs text as code while acting (__import__)",
    "import importlib\nreturn importlib.import_module(o)":
        "act runs text as code while acting (importlib.import_module)",
    "return globals()['x']": "act looks names up by itself while acting (globals)",
    "import sys\nreturn sys.modules['x'].y": "act looks names up by itself while acting (sys.modules)",
    "import subprocess\nreturn subprocess.run(o)": "act starts a program while acting (subprocess.run)",
    "import socket\nreturn socket.create_connection(o)":
        "act talks to something outside while acting (socket.create_connection)",
    "from urllib.request import urlopen\nreturn urlopen(o)":
        "act talks to something outside while acting (urllib.request.urlopen)",
    "import urllib.request as r\nreturn r.urlopen(o)":
        "act talks to something outside while acting (urllib.request.urlopen)",
    "import httpx\nreturn httpx.get(o)": "act talks to something outside while acting (httpx.get)",
    "import sqlite3\nreturn sqlite3.connect(o)": "act reads a database while acting (sqlite3.connect)",
    "import not_loaded\nreturn not_loaded.f(o)": "act imports a module while acting (not_loaded)",
    "import not_there\nreturn not_there.f(o)": "act imports a module while acting (not_there)",
    "def inner():\n    return open('x')\nreturn inner()": "act reads a file while acting (open)",
    "return getattr(np, 'load')(o)": "act reads a file while acting (numpy.load)",
    "return getattr(READS, 'again')(o)": "Reads.again reads a file while acting (numpy.load)",
    "return list(map(lambda p: open(p), o))": "act reads a file while acting (open)",
    "return helper(o)": "helper reads a file while acting (open)",
    "return Reads('x')": "Reads.__init__ reads a file while acting (numpy.load)",
    "return Reads.made()": "Reads.__init__ reads a file while acting (numpy.load)",
    "return READS.again()": "Reads.again reads a file while acting (numpy.load)",
    "return INDEXED[o]": "Indexed.__getitem__ reads a file while acting (open)",
    "return READS.part": "Reads.part reads a file while acting (json.load)",
    "return method(o)": "Reads.again reads a file while acting (numpy.load)",
    "return part(o)": "helper reads a file while acting (open)",
}  # fmt: skip

NOT_READING = [
    "return isinstance(o, Reads)",
    "return READS.other() + 1",
    "return Reads.level",
    "gripper.open()\nreturn o",
    "return time.time(), np.random.rand(), random.random()",
    "return re.compile('a'), o.eval(), o.load('x')",
    "return FOLDER.name",
    "import math\nreturn math.sin(o)",
    "return np.linalg.norm(o) + np.load_threshold if o else getattr(helpers, 'x' + o)",
    "print(o)\nreturn json.dumps(o), os.path.join('a', 'b'), pickle.dumps(o)",
    "from scipy.spatial import Delaunay\nreturn Delaunay(o)",
]

READER = """
import functools, json, os, pathlib, pickle, random, re, time
import numpy as np
import helpers
from numpy import load as alias
TABLE = {"load": pickle.load}
FOLDER = pathlib.Path("x")


class Gripper:
    def open(self):
        return 1


gripper = Gripper()


def helper(o):
    return open(o)


part = functools.partial(helper, 1)


class Reads:
    level = 1

    def __init__(self, path):
        self.weights = np.load(path)

    @classmethod
    def made(cls):
        return cls("x")

    def again(self, o=None):
        return np.load("x")

    def other(self):
        return 1

    @property
    def part(self):
        return json.load(self)

    def save(self, path):
        open(path)


class Indexed:
    def __getitem__(self, o):
        return open(o)


INDEXED = Indexed()
READS = Reads.__new__(Reads)
method = READS.again


def act(o):
"""


def reader(body: str) -> dict[str, str]:
    text = READER if "FOLDER" in body or "pathlib" in body else READER.replace('FOLDER = pathlib.Path("x")', "")
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return {"policy.py": text + lines, "not_loaded.py": "", "helpers.py": "xx = 1"}


@pytest.mark.parametrize("body", READING, ids=lambda body: body.splitlines()[-1])
def test_what_is_read_while_acting_is_a_doubt(load: Load, body: str):
    assert READING[body] in identify(load(reader(body)).act).unverified


@pytest.mark.parametrize("body", NOT_READING, ids=lambda body: body.splitlines()[-1][:40])
def test_what_is_not_read_while_acting_is_none(load: Load, body: str):
    assert identify(load(reader(body)).act).unverified == ()


def test_a_file_that_was_read_before_is_known_by_what_was_read(load: Load, tmp_path: Path):
    files = {
        "policy.py": f"""
            import numpy as np
            DATA = np.load({str(tmp_path / "data.npy")!r})

            class Policy:
                def __init__(self, path):
                    self.data = np.load(path)

                def __call__(self, o):
                    return self.data @ o

                def load(self, path):
                    self.__init__(path)

            policy = Policy({str(tmp_path / "data.npy")!r})

            def act(o):
                return DATA @ o
        """
    }
    np.save(tmp_path / "data.npy", np.ones(3))
    module = load(files)
    function, instance = identify(module.act), identify(module.policy)
    assert function.verified and instance.verified and identify(module.policy.__call__).verified
    assert identify(module.Policy).unverified == ("Policy.__init__ reads a file while acting (numpy.load)",)
    np.save(tmp_path / "data.npy", np.zeros(3))
    module = load(files)
    assert identify(module.act) != function and identify(module.policy) != instance


def test_methods_that_will_be_called_may_be_named(load: Load):
    module = load(
        {"policy.py": "class P:\n    def act(self, o):\n        return o\n    def film(self):\n        open('x')\n"}
    )
    assert not identify(module.P()).verified and identify(module.P(), calls=["act"]).verified


def iter_generator() -> Any:
    yield 1


def test_reasons_are_counted_when_there_are_many():
    things = Plain(parts=[iter_generator() for _ in range(30)])
    assert identify(things).unverified[-1] == "and 22 more" and len(identify(things).unverified) == 9


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


def test_what_a_wrapper_remembers_does_not_count():
    @functools.cache
    def cached(n: int) -> int:
        return n + 1

    @functools.singledispatch
    def dispatched(x: object) -> int:
        return 1

    before = identify(cached), identify(dispatched)
    cached(3)
    dispatched(3)
    assert (identify(cached), identify(dispatched)) == before
    dispatched.register(int, lambda x: 2)
    assert identify(dispatched) != before[1]


def test_docstrings_and_names_count_where_they_are_read(load: Load):
    text = 'def prompt():\n    "{doc}"\ndef act(o):\n    return prompt{read}\n'
    for read, counts in (("()", False), (".__doc__", True)):
        one, other = (identify(load({"policy.py": text.format(doc=d, read=read)}).act) for d in ("push", "pull"))
        assert (one != other) == counts
    text = "def {name}():\n    return 1\nTABLE = [{name}]\ndef act(o):\n    return TABLE[0]{read}\n"
    for read, counts in (("()", False), (".__name__", True)):
        one, other = (identify(load({"policy.py": text.format(name=n, read=read)}).act) for n in ("f", "g"))
        assert (one != other) == counts


def test_functions_of_a_compiled_or_changed_kind():
    numba = pytest.importorskip("numba")

    def jitted(k: float) -> Any:
        return numba.njit(lambda x: x * k)

    used = jitted(2.0)
    before = identify(used)
    used(1.0)
    assert before.verified and identify(used) == before == identify(jitted(2.0)) != identify(jitted(3.0))


def test_default_arguments_that_change_count():
    def act(o: object, seen: list[int] = []) -> object:  # noqa: B006
        return seen

    before = identify(act)
    act.__defaults__[0].append(1)
    assert identify(act) != before


def test_identities_within_objects_count_and_keep_their_doubts():
    one, other = Identity("x", "a" * 32, ("a server",)), Identity("x", "b" * 32)
    assert identify(Plain(a=one)).unverified == ("a server",)
    assert identify(Plain(a=one)) != identify(Plain(a=other))


# ---- networks


def test_networks():
    torch = pytest.importorskip("torch")

    class Net(torch.nn.Module):
        def __init__(self, width: int = 4) -> None:
            super().__init__()
            self.layer, self.memory = torch.nn.Linear(3, width), torch.nn.LSTM(3, 2)
            self.register_buffer("mean", torch.zeros(3), persistent=False)
            self.chunk = 8

        def forward(self, x: Any) -> Any:
            return self.layer(x - self.mean)

    class Model:
        """What keeps a network among other things, as the models of training libraries do."""

        def __init__(self) -> None:
            torch.manual_seed(0)
            self.policy, self.lock, self.device = Net(), threading.Lock(), torch.device("cpu")
            self.optimizer = torch.optim.Adam(self.policy.parameters())

        def predict(self, o: Any) -> Any:
            with torch.no_grad():
                return self.policy(o), None

    model = Model()
    first = identify(model.predict)
    assert first.verified and first == identify(Model().predict) and identify(model.policy).verified
    model.predict(torch.zeros(3))
    assert identify(model.predict) == first
    seen = {first}
    for change in (
        lambda: model.policy.eval(),
        lambda: model.policy.layer.weight.data.__setitem__((0, 0), 7.0),
        lambda: model.policy.mean.add_(1e-6),
        lambda: setattr(model.policy, "chunk", 4),
        lambda: model.policy.requires_grad_(False),
        lambda: model.policy.bfloat16(),
        lambda: model.policy.layer.register_forward_hook(lambda *args: None),
    ):
        change()
        identity = identify(model.predict)
        assert identity.verified and identity not in seen
        seen.add(identity)


def test_tensors():
    torch = pytest.importorskip("torch")
    ones = torch.ones(4)
    different = [
        ones, ones.bfloat16(), ones.half(), ones.reshape(2, 2), ones.clone().requires_grad_(), torch.zeros(4),
        torch.nn.Parameter(ones), ones.to_sparse(), ones.to(torch.complex64), ones.bool(), torch.tensor(1.0),
        torch.ones(0), torch.float32, torch.Size([4]), torch.device("cpu"),
    ]  # fmt: skip
    identities = [identify(thing) for thing in different]
    assert len(set(identities)) == len(different) and all(i.verified for i in identities)
    assert identify(torch.arange(6)[::2]) == identify(torch.tensor([0, 2, 4]))
    assert identify(torch.ones(3, device="meta"), "x").unverified == ("cannot look into x (torch.Tensor)",)


def test_estimators():
    linear_model = pytest.importorskip("sklearn.linear_model")
    ensemble = pytest.importorskip("sklearn.ensemble")
    x = np.random.default_rng(0).normal(size=(40, 3))
    for make in (linear_model.Ridge, lambda: ensemble.RandomForestRegressor(3, random_state=0)):
        fitted, same, other = make().fit(x, x[:, 0]), make().fit(x, x[:, 0]), make().fit(x, x[:, 1])
        assert identify(fitted).verified and identify(fitted) == identify(same) != identify(other)
        assert identify(fitted.predict) == identify(same.predict) != identify(other.predict)
        assert identify(make()) != identify(fitted)


# ---- how fast


def test_it_is_fast(load: Load):
    module = load(PROJECT)
    identify(module.act)
    started = time.process_time()
    identify(module.act)
    assert time.process_time() - started < 0.2  # measured: 3 ms
    big = Plain(a=np.ones(12_500_000))
    started = time.process_time()
    identify(big)
    assert time.process_time() - started < 2  # 100 MB; measured: .12 s
