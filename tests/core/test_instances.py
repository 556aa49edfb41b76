"""What objects are by content: attributes, arrays, generators, networks; what cannot be looked into says so."""

from __future__ import annotations

import argparse
import collections
import dataclasses
import enum
import functools
import json
import logging
import pickle
import random
import re
import sys
import threading
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from roboscale.core import Identity, identify

Load = Callable[[Mapping[str, str]], ModuleType]


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


class Settings(SimpleNamespace):
    pass


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
    "namespaces": [SimpleNamespace(a=1), SimpleNamespace(a=2), Settings(a=1), Settings(a=2), argparse.Namespace(a=1)],
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
    (reason,) = identify(Broken(), "policy").unverified
    assert reason.startswith("cannot look into policy (") and reason.endswith("Broken)")


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
    if hasattr(type(thing), "close"):  # a library of C has one of its own, which would close standard input here
        thing.close()


def iter_generator() -> Any:
    yield 1


def test_reasons_are_counted_when_there_are_many():
    things = Plain(parts=[iter_generator() for _ in range(30)])
    assert identify(things).unverified[-1] == "and 22 more" and len(identify(things).unverified) == 9


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


def test_functions_of_a_compiled_or_changed_kind():
    numba = pytest.importorskip("numba")

    def jitted(k: float) -> Any:
        return numba.njit(lambda x: x * k)

    used = jitted(2.0)
    before = identify(used)
    used(1.0)
    assert before.verified and identify(used) == before == identify(jitted(2.0)) != identify(jitted(3.0))


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
