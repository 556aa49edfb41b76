"""Whatever a policy returns is an action, or is told as what it is; nothing scores 0 without a word."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from roboscale.core import PENDING, ActionChunk, PolicyError
from roboscale.policies.callables import as_policy
from tests.policies.naming import no_address

torch = pytest.importorskip("torch")
SEEN = {"x": np.array([2.0])}


def answer(result: Any):
    return as_policy(lambda observation: result, name="odd").start("push", 0)(SEEN)


tensors = [
    torch.tensor([1.0, 2.0]),
    torch.tensor([1.0, 2.0], requires_grad=True),
    torch.nn.Parameter(torch.tensor([1.0, 2.0])),
    torch.tensor([1.0, 2.0], dtype=torch.bfloat16),
    torch.tensor([1.0, 2.0], dtype=torch.bfloat16, requires_grad=True),
    torch.tensor([1.0, 2.0], dtype=torch.float16),
    torch.tensor([1.0, 2.0], dtype=torch.float8_e5m2),
    torch.tensor([1, 2]),
    torch.tensor([1.0, 2.0]).to_sparse(),
    torch.tensor([9.0, 1.0, 9.0, 2.0])[1::2],
    torch._neg_view(torch.tensor([-1.0, -2.0])),
]


@pytest.mark.parametrize("tensor", tensors, ids=lambda t: f"{t.dtype} {t.layout} {t.requires_grad}")
@pytest.mark.parametrize("wrapped", [lambda t: t, lambda t: t[None], lambda t: [t], lambda t: ActionChunk(t[None])])
def test_tensors_of_any_kind(tensor: Any, wrapped: Any):
    assert answer(wrapped(tensor)).rows.tolist() == [[1.0, 2.0]]


@pytest.mark.parametrize(
    "result",
    [
        [torch.tensor(1.0, requires_grad=True), torch.tensor(2.0, dtype=torch.bfloat16)],
        (np.float32(1.0), 2),
        [[1, 2]],
        np.array([torch.tensor(1.0), torch.tensor(2.0)], dtype=object),
        np.ma.array([1.0, 2.0], mask=[False, False]),
        np.array([[1, 2]], np.uint8),
        np.array([1, 2], np.float16),
    ],
    ids=lambda r: type(r).__name__,
)
def test_lists_and_mixtures(result: Any):
    assert answer(result).rows.tolist() == [[1.0, 2.0]]


def test_numbers_of_other_libraries_are_read_by_their_array():
    class Like:
        def __array__(self, dtype: Any = None, copy: Any = None):
            return np.array([1.0, 2.0])

    assert answer(Like()).rows.tolist() == [[1.0, 2.0]]


def test_bfloat16_of_another_library_is_read():
    dtypes = pytest.importorskip("ml_dtypes")
    assert answer(np.array([1, 2], dtypes.bfloat16)).rows.tolist() == [[1.0, 2.0]]


@given(
    hnp.arrays(
        st.sampled_from(["f4", "f8", "i8"]), hnp.array_shapes(min_dims=1, max_dims=2), elements=st.integers(-9, 9)
    )
)
def test_one_or_two_axes_are_a_chunk(array: Any):
    assert np.array_equal(answer(array).rows, np.atleast_2d(array))


@given(hnp.arrays("f4", hnp.array_shapes(min_dims=3, max_dims=5), elements=st.integers(-9, 9)))
def test_more_axes_are_refused(array: Any):
    with pytest.raises(PolicyError, match=r"policy odd returned float32\[.*expected an action \(D,\) or a chunk"):
        answer(array)


@given(st.floats(), st.integers(0, 3))
def test_a_number_that_is_not_finite_is_the_policy_s_fault(number: float, place: int):
    array = np.zeros((2, 2))
    array.flat[place] = number
    if np.isfinite(number):
        assert answer(array).rows.shape == (2, 2)
    else:
        with pytest.raises(PolicyError, match="found 1 of 4 that are NaN or infinite"):
            answer(array)


def test_rows_that_are_not_executed_may_be_anything():
    assert answer(ActionChunk(np.array([[0.0], [np.nan]]), execute=1)).rows.tolist() == [[0.0]]


def test_pending_and_chunks_pass():
    assert answer(PENDING) is PENDING
    chunk = answer(ActionChunk(np.zeros((3, 2)), execute=2))
    assert chunk.rows.shape == (2, 2) and chunk.actions.shape == (3, 2)


@pytest.mark.parametrize(
    ("result", "says"),
    [
        (None, r"nothing \(None\).*is a `return` missing\?"),
        ((np.zeros(2), None), "a tuple of ndarray, None.*more than the action.*`return action`"),
        ((np.zeros(2), {"value": 1.0}), "a tuple of ndarray, dict.*more than the action"),
        ((np.zeros(2), (), None), "a tuple of ndarray, tuple, None"),
        ((np.zeros(2), 1.0), "a tuple.*inhomogeneous"),
        ({"action": [0.0], "value": 1}, r"a dictionary.*the keys action, value; write `return answer\['action'\]`"),
        ({"a": 1}, "a dictionary.*the keys a; return one of its values"),
        ({}, r"the keys \(none\)"),
        (OrderedDict(mean=[0.0]), "the keys mean"),
        (np.zeros((1, 2, 3)), r"float64\[1, 2, 3\].*a batch of one; write `return chunk\[0\]`"),
        (torch.zeros(1, 2, 3), r"float32\[1, 2, 3\].*`return chunk\[0\]`"),
        (np.zeros((4, 2, 3)), "3 axes"),
        (1.0, r"one number.*write `return \[number\]`"),
        (np.float32(1.0), r"one number.*write `return \[number\]`"),
        ([], "no number"),
        (np.zeros((0, 3)), "no number"),
        ("left", "text.*'left'"),
        ([[1.0], [1.0, 2.0]], "a list.*inhomogeneous"),
        ([1j], "complex128, which are no numbers"),
        (np.array([True]), "bool, which are no numbers"),
        (np.array(["a"]), "<U1, which are no numbers"),
        ([None, 1.0], "object, which are no numbers"),
        (object(), "object, which are no numbers"),
        (ActionChunk(np.zeros(2)), r"ActionChunk\(action\[None\]\)"),
        (ActionChunk(np.zeros((1, 2, 3))), r"`return chunk\[0\]`"),
        (ActionChunk(np.zeros((2, 3)), execute=3), r"expected execute in 1\.\.2, found 3"),
        (ActionChunk(np.zeros((2, 3)), execute=0), r"expected execute in 1\.\.2, found 0"),
        (ActionChunk(None), r"nothing \(None\)"),
        (torch.zeros(2, device="meta"), "a Tensor.*"),
        (np.ma.array([1.0, 2.0], mask=[False, True]), "1 of 2 that are NaN"),
    ],
    ids=no_address,
)
def test_what_is_no_action_is_told_in_one_line_that_says_what_to_write(result: Any, says: str):
    with pytest.raises(PolicyError, match=f"policy odd returned .*{says}") as caught:
        answer(result)
    assert "expected" in str(caught.value) and "found" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_buffer_that_is_used_again_does_not_change_what_was_returned():
    buffer = np.zeros((3, 1))

    def act(observation: Any):
        buffer[:] = observation["x"]
        return buffer

    session = as_policy(act).start("push", 0)
    first = session({"x": np.array([1.0])})
    session({"x": np.array([2.0])})
    assert first.rows.tolist() == [[1.0]] * 3
