"""Identities: equal by content, canonical digests of plain values, labels for people."""

from __future__ import annotations

import enum
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roboscale.core import BadData, Identity, combine, identity_labels

A, B = "a" * 32, "b" * 32

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=3),
    max_leaves=12,
)


def spelled(value: object) -> str:
    """What makes two plain values one: types, NaN as one value, the two zeros apart, lists and tuples as one."""
    if isinstance(value, dict):
        return f"{{{sorted((spelled(k), spelled(v)) for k, v in value.items())}}}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(spelled, value))}]"
    return f"{type(value).__name__} {value!r}"


def test_equality_and_hash_are_of_the_digest_alone():
    same = Identity("x", A, ("why",))
    assert same == Identity("y", A) and hash(same) == hash(Identity("y", A)) and same != Identity("x", B)
    assert {Identity("x", A): 1}[Identity("other", A)] == 1


@pytest.mark.parametrize("digest", ["", "a" * 31, "A" * 32, "g" * 32, "a" * 32 + "\n"])
def test_a_digest_is_32_hex_digits(digest: str):
    with pytest.raises(ValueError, match="32 hex digits"):
        Identity("x", digest)


def test_for_people():
    assert str(Identity("x", A)) == "x"
    assert str(Identity("x", A, ("no word", "a file"))) == "x (unverified: no word; a file)"
    assert Identity("x", A).short == "aaaaaaaa" and Identity("x", A, ("r",)).renamed("y").name == "y"
    assert Identity("x", A, ("r",)).renamed("y").unverified == ("r",)


def test_json_there_and_back():
    identity = Identity("x", A, ("why", "how"))
    back = Identity.from_json(identity.to_json())
    assert (back.name, back.digest, back.unverified) == ("x", A, ("why", "how"))


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"digest": A}, "name"),
        ({"name": "x", "digest": "12"}, "digest"),
        ({"name": "x", "digest": 3}, "digest"),
        ({"name": "x", "digest": A, "unverified": "why"}, "unverified"),
        ({"name": "x", "digest": A, "unverified": [1]}, "unverified"),
    ],
)
def test_json_that_is_no_identity(data: dict[str, object], field: str):
    with pytest.raises(BadData, match=f"identity: {field}: expected"):
        Identity.from_json(data)


def test_results_of_an_unverified_identity_are_of_their_run():
    known, unknown = Identity("x", A), Identity("x", A, ("why",))
    assert known.of_run("1") is known
    assert unknown.of_run("1") == unknown.of_run("1") != unknown.of_run("2")
    assert unknown.of_run("1") != unknown and unknown.of_run("1").unverified == ("why",)


@settings(max_examples=300)
@given(plain, plain)
def test_values_have_one_digest_exactly_when_they_are_one_value(a: object, b: object):
    assert (combine("n", a) == combine("n", b)) == (spelled(a) == spelled(b))
    assert combine("n", a) == combine("other", a)


@pytest.mark.parametrize(
    "parts",
    [
        (1, "1", 1.0, True, b"1", [1], (1, 1), {1: 1}, np.int64(1), np.int32(1), np.array(1.0), None, "", b"", [], {}),
        (0.0, -0.0, False, 0, np.float32(0), np.float64(0)),
        (np.zeros((2, 3)), np.zeros((3, 2)), np.zeros(6), np.zeros((2, 3), "float32"), np.zeros((2, 3), ">f8")),
        ({"a": 1, "b": 2}, {"a": 2, "b": 1}, {"b": 1}, [["a", 1], ["b", 2]], {"a", "b"}),
        (np.array([b"a"]), np.array(["a"]), np.array(["a"], object), "a"),
        (Identity("x", A), Identity("x", B), A),
    ],
)
def test_what_is_not_the_same_differs(parts: tuple[object, ...]):
    assert len({combine("n", part) for part in parts}) == len(parts)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ({"a": 1, "b": [2]}, {"b": (2,), "a": 1}),
        (float("nan"), -float("nan")),
        (np.arange(6).reshape(2, 3), np.asfortranarray(np.arange(6).reshape(2, 3))),
        (np.arange(10)[::2], np.arange(0, 10, 2)),
        ({3, 1, 2}, frozenset({1, 2, 3})),
        (Identity("x", A), Identity("y", A, ("why",))),
        (np.float32(1.5), np.array(1.5, "float32")),
        (enum.IntEnum("E", {"A": 5})(5), 5),
    ],
)
def test_what_is_the_same_does_not(a: object, b: object):
    assert combine("n", a) == combine("n", b)


def test_the_padding_of_a_structured_dtype_is_no_content():
    dtype = np.dtype([("a", "i1"), ("b", "f8")], align=True)
    first, second = np.zeros(3, dtype), np.full(3 * dtype.itemsize, 255, np.uint8).view(dtype)
    second["a"], second["b"] = 0, 0
    assert first.tobytes() != second.tobytes() and combine("n", first) == combine("n", second)
    second["b"][1] = 1
    assert combine("n", first) != combine("n", second)


def test_parts_cannot_be_moved_into_each_other():
    assert combine("n", "ab", "c") != combine("n", "a", "bc") != combine("n", ["ab", "c"])
    assert combine("n") != combine("n", None) and combine("n", []) != combine("n", [[]])


def test_reasons_are_the_union_of_the_parts():
    parts = Identity("x", A, ("one", "two")), {"deep": [Identity("y", B, ("two", "three"))]}
    assert combine("n", *parts).unverified == ("one", "two", "three")


def test_a_part_of_another_kind_is_named():
    with pytest.raises(TypeError, match=r"part 1\['a'\]\[0\]: expected .* found builtins.object"):
        combine("n", 1, {"a": [object()]})


def test_digests_are_the_same_in_every_process():
    code = (
        "from roboscale.core import combine; print(combine('n', {'b': {'x', 'y', 'z'}, 'a': [1, 2.5, None]}).digest)"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "7")
    }
    assert seen == {f"{combine('n', {'a': [1, 2.5, None], 'b': {'z', 'y', 'x'}}).digest}\n"}


def test_labels_tell_different_identities_of_one_name_apart():
    first, second, other = Identity("f", A), Identity("f", B), Identity("g", "c" * 32)
    assert identity_labels([first, other]) == {first: "f", other: "g"}
    assert identity_labels([first, second, other]) == {first: "f@aaaaaaaa", second: "f@bbbbbbbb", other: "g"}
    assert identity_labels([first, Identity("renamed", A)]) == {first: "f"}


def test_labels_are_unique_whatever_the_names():
    near = Identity("f", "a" * 31 + "b")
    names = identity_labels([Identity("f", A), near, Identity("f@aaaaaaaa", B)])
    assert len(set(names.values())) == 3 and names[near] == f"f@{near.digest}"
