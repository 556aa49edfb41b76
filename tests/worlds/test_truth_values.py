"""What an environment calls success, and what a file declares: nothing of another kind passes, whatever it is."""

import random
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roboscale.core import BadData, RoboscaleError, UnknownName
from roboscale.core.declared import as_declared
from roboscale.worlds.simulated.declaration import SuccessTable, WorldDeclaration
from roboscale.worlds.simulated.readings import AfterStep, read_success
from tests.worlds.point_env import DECLARATION

numbers = st.one_of(st.integers(-3, 3), st.floats(), st.booleans())
dtypes = st.sampled_from(["bool", "int8", "int64", "uint8", "float16", "float32", "float64"])
arrays = st.builds(
    lambda values, dtype, axes: np.array(values).astype(dtype).reshape((-1,) + (1,) * axes),
    st.lists(st.sampled_from([0, 1, 2, 0.5, -1, float("nan")]).filter(lambda x: x == x), min_size=0, max_size=3),
    dtypes,
    st.integers(0, 2),
)
values = st.one_of(
    numbers,
    arrays,
    st.none(),
    st.text(),
    st.binary(),
    st.complex_numbers(),
    st.lists(numbers, max_size=2),
    st.tuples(st.booleans()),
    st.dictionaries(st.text(max_size=3), st.booleans(), max_size=2),
    st.sampled_from([np.float32("nan"), np.bool_(True), np.int64(1), np.float64(0.5), np.array("False"), {1}]),
)


def truth(value: Any) -> bool | None:
    """What the value says, where it is a truth value: a boolean, 0 or 1, or an array of one of these."""
    if isinstance(value, (np.ndarray, np.generic)):
        if value.size != 1 or value.dtype.kind not in "biuf":
            return None
        value = value.reshape(-1)[0].item() if isinstance(value, np.ndarray) else value.item()
    if isinstance(value, (bool, int, float)) and value in (0, 1):
        return value == 1
    return None


@settings(deadline=None)
@given(values)
def test_only_truth_values_are_success(value: Any):
    """Everything else is one error that names key, type and value; never a success, and never a failure."""
    step = AfterStep(
        where="own.toml",
        info={"deep": {"ok": value}},
        reward=0.0,
        total=0.0,
        terminated=False,
        ended=False,
        last=False,
    )
    table = SuccessTable(key="deep.ok")
    expected = truth(value)
    if expected is not None:
        assert read_success(table, step) is expected
        assert read_success(SuccessTable(key="deep.ok", negate=True), step) is not expected
        return
    with pytest.raises(BadData) as error:
        read_success(table, step)
    said = str(error.value)
    kind = "None" if value is None else type(value).__name__
    assert said.startswith("own.toml: info[deep.ok]: expected true or false") and f"found {kind}" in said
    assert "\n" not in said and (value is None or " ".join(repr(value).split())[:40] in said)


PLAIN = tomllib.loads(DECLARATION)
WRONG = [True, 0, -1, 3.5, float("nan"), "", "text", [], ["a"], {}, {"a": 1}, [{"a": 1}], b"bytes"]


def places(table: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value of a file."""
    if isinstance(table, dict):
        return [p for key, value in table.items() for p in ((*path, key), *places(value, (*path, key)))]
    if isinstance(table, list):
        return [p for at, value in enumerate(table) for p in places(value, (*path, at))]
    return []


def changed(path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """The file with another value in one place."""
    root = tomllib.loads(DECLARATION)
    inner: Any = root
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return root


def right(path: tuple[Any, ...], value: Any) -> bool:
    """Whether a value of `WRONG` is of the kind that the place wants."""
    key = path[-1]
    if key == "deterministic":
        return value is True
    if key == "rate_hz":
        return value == 3.5
    if key in ("from", "unit", "name", "environment", "task", "instruction", "embodiment", "success", "mode"):
        if value == "text":
            return True
        return (key, value) in (("from", ""), ("from", ["a"]), ("embodiment", ""))
    return key == "action" and value == {}


@pytest.mark.parametrize("path", places(PLAIN), ids=lambda path: ".".join(map(str, path)))
def test_no_value_of_another_kind_passes(path: tuple[Any, ...]):
    """Any value of another kind, in any place, is one error that names the place."""
    for value in WRONG:
        if right(path, value):
            as_declared(changed(path, value), WorldDeclaration, "own.toml")
            continue
        with pytest.raises(RoboscaleError) as error:
            as_declared(changed(path, value), WorldDeclaration, "own.toml")
        assert "own.toml" in str(error.value) and str(path[-1]) in str(error.value), (value, error.value)


def test_no_misspelt_key_passes(tmp_path: Path):
    """Every key of the file with a letter lost, doubled or swapped: refused, and the key itself is among the near."""
    rng = random.Random(0)
    for path in places(PLAIN):
        key = path[-1]
        for _ in range(4):
            at = rng.randrange(len(key))
            wrong = rng.choice(
                [key[:at] + key[at + 1 :], key[:at] + key[at] + key[at:], key[:at] + "q" + key[at + 1 :]]
            )
            root = tomllib.loads(DECLARATION)
            inner: Any = root
            for step in path[:-1]:
                inner = inner[step]
            inner[wrong] = inner.pop(key)
            with pytest.raises(RoboscaleError) as error:
                as_declared(root, WorldDeclaration, "own.toml")
            said = str(error.value)
            assert wrong in said and key in said, f"{wrong} for {key}: {said}"
            assert isinstance(error.value, (UnknownName, BadData))
