"""One way from a dataclass to JSON types."""

import doctest
import json
import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from enum import Enum
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roboscale.core import plain as module
from roboscale.core.plain import OMITTED, SPREAD, Plain, called, to_plain


class Colour(Enum):
    RED = "red"


@dataclass(frozen=True, slots=True)
class Inner:
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer(Plain):
    out: Path = field(metadata=called("file"))
    secret: object = field(metadata=OMITTED)
    inner: Inner = field(metadata=SPREAD)
    many: tuple[Inner, ...]

    json_also: ClassVar = ("twice",)

    @property
    def twice(self) -> int:
        return 2 * self.inner.n


class ByHand(Plain):
    def to_json(self):
        return {"at": Path("a"), "colour": Colour.RED}


def test_fields_are_renamed_left_out_and_spread_where_they_say_so():
    value = Outer(out=Path("a/b"), secret=object(), inner=Inner(3), many=(Inner(1), Inner(2)))
    assert value.to_json() == {"file": "a/b", "n": 3, "many": [{"n": 1}, {"n": 2}], "twice": 6}
    assert to_plain({"all": [value]}) == {"all": [value.to_json()]}


def test_what_a_class_writes_by_hand_becomes_plain_too():
    assert to_plain((ByHand(),)) == [{"at": "a", "colour": "red"}]


@pytest.mark.parametrize(
    "value, expected",
    [
        (np.float32(0.5), 0.5),
        (np.bool_(True), True),
        (np.arange(4).reshape(2, 2), [[0, 1], [2, 3]]),
        (np.array([1.0, np.nan, -np.inf]), [1.0, None, None]),
        (Colour.RED, "red"),
        (date(2026, 1, 2), "2026-01-02"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
        (frozenset({"b", "a"}), ["a", "b"]),
        ({Path("x"): 1, 2: True, Colour.RED: None}, {"x": 1, "2": True, "red": None}),
        (b"ab", {"bytes": 2, "sha256": "fb8e20fc2e4c3f248c60c39bd652f3c1347298bb977b8b4d5903b85055620603"}),
    ],
)
def test_values(value, expected):
    plain = to_plain(value)
    assert plain == expected and json.loads(json.dumps(plain, allow_nan=False)) == expected


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda some: st.lists(some) | st.dictionaries(st.text(), some),
    )
)
def test_what_is_plain_stays_as_it_is(value):
    assert to_plain(value) == value


@pytest.mark.parametrize("value, said", [(object(), "no JSON is known for object"), ({("a", "b"): 1}, "('a', 'b')")])
def test_what_has_no_json_is_an_error_that_says_what_it_is(value, said):
    with pytest.raises(TypeError, match=re.escape(said)):
        to_plain(value)


def test_the_example_of_the_class_runs():
    assert doctest.testmod(module).attempted > 0 and doctest.testmod(module).failed == 0
