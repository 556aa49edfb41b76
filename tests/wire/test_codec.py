"""The encoding is openpi's to the byte, and no frame makes us believe an array that it does not hold."""

from __future__ import annotations

import ast
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import msgpack
import numpy as np
import pytest
from hypothesis import given, settings

import roboscale.wire
from roboscale.wire import CannotDecode, CannotEncode, WireError, pack, unpack

GOLDEN = (  # {"actions": float32 [[1, 2]]}, recorded from openpi
    "81a7616374696f6e7384c40b5f5f6e6461727261795f5fc3c40464617461c4080000803f00000040"
    "c4056474797065a33c6634c4057368617065920102"
)

dtypes = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(endianness="?"),
    hnp.unsigned_integer_dtypes(endianness="?"),
    hnp.floating_dtypes(endianness="?", sizes=(16, 32, 64)),
    hnp.byte_string_dtypes(min_len=1, max_len=4),
)
arrays = dtypes.flatmap(lambda d: hnp.arrays(d, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)))
scalars = st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(allow_nan=False), st.text())
messages = st.dictionaries(
    st.text(max_size=8), st.one_of(arrays, scalars, st.dictionaries(st.text(max_size=3), arrays))
)


def array(**changes: Any):
    fields = {"data": b"\0" * 8, "dtype": "<f4", "shape": [1, 2]} | changes
    return msgpack.packb({"a": {b"__ndarray__": True} | {k.encode(): v for k, v in fields.items()}})


def same(left: object, right: object):
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[k], right[k]) for k in left)
    if isinstance(left, np.ndarray):
        return left.dtype == right.dtype and left.shape == right.shape and left.tobytes() == right.tobytes()
    return isinstance(left, type(right)) and left == right


def test_golden_bytes():
    assert pack({"actions": np.array([[1, 2]], np.float32)}).hex() == GOLDEN
    assert unpack(bytes.fromhex(GOLDEN))["actions"].tolist() == [[1.0, 2.0]]
    assert pack({}) == b"\x80"


@settings(max_examples=100, deadline=None)
@given(messages)
def test_round_trip(message: dict[str, Any]):
    assert same(message, unpack(pack(message)))


@given(st.sampled_from([np.int8, np.uint16, np.int64, np.float16, np.float32, np.bool_]), st.integers(0, 100))
def test_scalars_keep_their_type(kind: Any, number: int):
    value = kind(number)
    back = unpack(pack({"v": value}))["v"]
    assert type(back) is type(value)
    assert back == value


def test_float64_scalars_are_plain_doubles_as_in_openpi():
    assert pack({"v": np.float64(0.5)}) == msgpack.packb({"v": 0.5})


def test_decoded_arrays_are_read_only():
    with pytest.raises(ValueError, match="read-only"):
        unpack(bytes.fromhex(GOLDEN))["actions"][0, 0] = 5


@pytest.mark.parametrize(
    "value",
    [
        np.array([1j]),
        np.complex64(1j),
        np.array([None]),
        np.array([object()]),
        np.zeros(2, "f4,i4"),
        np.void(b"ab"),
        np.datetime64("2026-01-01"),
        {1, 2},
        2**70,
        lambda: 0,
    ],
    ids=lambda value: type(value).__name__,  # the same in every test process
)
def test_what_cannot_be_sent(value: Any):
    with pytest.raises(CannotEncode, match="cannot be sent over the openpi wire"):
        pack({"value": value})


@pytest.mark.parametrize(
    "changes",
    [
        {"shape": [100_000, 25_000]},
        {"shape": [2**62, 4], "data": b""},
        {"shape": [2**64 - 1, 2**64 - 1, 0], "data": b""},
        {"shape": [-1, -2]},
        {"shape": [True, 2]},
        {"shape": [1.0, 2]},
        {"shape": 2},
        {"shape": None},
        {"shape": [1] * 65, "data": b"1234"},
        {"data": b"123"},
        {"data": "12345678"},
        {"data": [0, 0]},
        {"dtype": "|O"},
        {"dtype": "O"},
        {"dtype": "<c8"},
        {"dtype": "|V8"},
        {"dtype": "f4,f4"},
        {"dtype": "float32"},
        {"dtype": "nonsense"},
        {"dtype": "|S0"},
        {"dtype": "<f4" + " " * 1000},
        {"dtype": 4},
        {"dtype": [["x", "<f4"]]},
    ],
    ids=str,
)
def test_arrays_that_lie(changes: dict[str, Any]):
    with pytest.raises(CannotDecode, match="not a message of the openpi wire"):
        unpack(array(**changes))


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\xc1",
        b"\x81",
        b"\x80\x80",
        b"\x91" * 5000,
        b"\xdd\xff\xff\xff\xff",
        b"\xa1\xff",
        b"\x81\x01\x02",
        msgpack.packb({b"__ndarray__": True}),
        msgpack.packb({b"__npgeneric__": True, b"dtype": "<f4", b"data": [1]}),
        msgpack.packb({b"__npgeneric__": True, b"dtype": "<f4", b"data": "x"}),
        msgpack.packb({b"__npgeneric__": True, b"dtype": "|i1", b"data": 300}),
        msgpack.packb({b"__npgeneric__": True, b"dtype": "|O", b"data": 3}),
    ],
    ids=lambda frame: frame[:24].hex(),
)
def test_broken_frames(frame: bytes):
    with pytest.raises(CannotDecode, match="not a message of the openpi wire"):
        unpack(frame)


@given(st.binary(max_size=200))
def test_random_bytes_decode_or_are_refused(frame: bytes):
    try:
        unpack(frame)
    except CannotDecode as error:
        assert "openpi wire" in str(error)


def test_a_claim_of_ten_gigabytes_allocates_nothing():
    frame = array(shape=[100_000, 25_000])
    tracemalloc.start()
    with pytest.raises(CannotDecode, match="needs 10000000000 bytes, found 8"):
        unpack(frame)
    assert tracemalloc.get_traced_memory()[1] < 100_000
    tracemalloc.stop()


SOURCES = sorted(Path(roboscale.wire.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_a_stranger_s_environment_can_run_it(path: Path):
    """Python 3.8 reads it, and it needs the standard library, numpy, msgpack and itself."""
    tree = ast.parse(path.read_text(), feature_version=(3, 8))
    names = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    names |= {n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    allowed = sys.stdlib_module_names | {"numpy", "msgpack"}
    assert all(n.split(".")[0] in allowed or n.startswith("roboscale.wire") for n in names)


def test_both_errors_are_of_the_wire():
    assert issubclass(CannotDecode, WireError) and issubclass(CannotEncode, WireError)
