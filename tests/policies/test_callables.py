"""A user's function, file or class is a policy; what is wrong with it is said in its own words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from roboscale.core import BadData, InfrastructureError, Observation, Policy, PolicyError, SpecMismatch, UnknownName
from roboscale.policies.callables import from_callable, load_callable


def rows(policy: Policy, instruction: str = "push"):
    return policy.start(instruction, 0)({"x": np.array([2.0])}).rows.tolist()


def one(observation: Observation):
    return observation["x"] * 2


def two(observation: Observation, instruction: str):
    return [[len(instruction), 0.0], [1.0, 1.0]]


def optional(observation: Observation, gain: float = 3):
    return observation["x"] * gain


def named(observation: Observation, instruction: str = "default"):
    return [float(len(instruction))]


class Acting:
    def __call__(self, observation: Observation, instruction: str) -> NDArray[Any]:
        return np.array([7.0])

    def method(self, observation: Observation):
        return np.array([8.0])


@pytest.mark.parametrize(
    ("fn", "expected"),
    [
        (one, [[4.0]]),
        (two, [[4.0, 0.0], [1.0, 1.0]]),
        (optional, [[6.0]]),
        (named, [[4.0]]),
        (Acting(), [[7.0]]),
        (Acting().method, [[8.0]]),
        (lambda *args: [float(len(args))], [[2.0]]),
    ],
)
def test_functions_of_one_or_two_arguments(fn: Callable[..., Any], expected: Any):
    assert rows(from_callable(fn)) == expected


def test_names():
    assert from_callable(one).name == "one"
    assert from_callable(Acting()).name == "Acting"
    assert from_callable(one, "mine").name == "mine"


def test_a_function_of_nothing_is_none():
    with pytest.raises(SpecMismatch, match="no argument"):
        from_callable(lambda: [0.0])


def test_an_exception_voids_the_trial_and_keeps_its_origin():
    def broken(observation: Observation) -> object:
        return observation["y"]

    with pytest.raises(InfrastructureError, match="policy broken raised KeyError: 'y'") as caught:
        rows(from_callable(broken))
    assert isinstance(caught.value.__cause__, KeyError)


def test_an_error_that_says_what_it_is_passes():
    def honest(observation: Observation) -> None:
        raise PolicyError("I do not know")

    with pytest.raises(PolicyError, match="I do not know"):
        rows(from_callable(honest))


@pytest.mark.parametrize(
    "result", [1.0, None, "left", np.zeros((1, 2, 3)), [], [[1.0], [1.0, 2.0]], [1j], {}], ids=repr
)
def test_what_is_no_action(result: Any):
    with pytest.raises(PolicyError, match="odd"):
        rows(from_callable(lambda observation: result, "odd"))


FILE = """
from __future__ import annotations
import dataclasses
import numpy as np

@dataclasses.dataclass
class Config:
    gain: float = 2.0

def act(observation, instruction):
    return np.array([Config().gain])

def make(gain=5.0):
    return lambda observation: [gain]

class Mine:
    name, observation_spec, action_spec = "mine", None, None
    def start(self, instruction, seed):
        return lambda observation: None

class Calls:
    def __call__(self, observation):
        return [9.0]

ready = Mine()
number = 3

def fails():
    raise ValueError("no weights")
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_policy.py").write_text(FILE)
    (tmp_path / "broken.py").write_text("import not_installed_anywhere\n")
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "inner.py").write_text(FILE)
    return tmp_path


@pytest.mark.parametrize("where", ["my_policy", "my_policy.py", "./my_policy.py", "package/inner.py", "package.inner"])
def test_modules_and_files(here: Path, where: str):
    assert rows(load_callable(f"{where}:act")) == [[2.0]]
    assert load_callable(f"{where}:act").name == f"{where}:act"


def test_an_absolute_path(here: Path):
    assert rows(load_callable(f"{here / 'my_policy.py'}:act")) == [[2.0]]


def test_an_installed_module():
    assert load_callable("roboscale.policies.callables:from_callable").name.endswith("from_callable")


def test_factories_classes_and_policies(here: Path):
    assert rows(load_callable("my_policy:make")) == [[5.0]]
    assert rows(load_callable("my_policy:Calls")) == [[9.0]]
    assert load_callable("my_policy:Mine").name == "mine"
    assert load_callable("my_policy:ready").name == "mine"


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("my_policy:atc", UnknownName, "unknown name in my_policy 'atc'; did you mean act"),
        ("my_polcy:act", UnknownName, "did you mean my_policy"),
        ("my_polcy.py:act", UnknownName, r"policy file 'my_polcy\.py'; did you mean my_policy\.py"),
        ("my_policy:number", BadData, "my_policy: number: expected a policy or a function, found int"),
        ("my_policy:fails", BadData, "my_policy: fails: expected a policy, found ValueError: no weights"),
        ("broken:act", BadData, "not_installed_anywhere"),
        ("broken.py:act", BadData, "not_installed_anywhere"),
        ("my_policy", UnknownName, "module:callable"),
        ("..:act", UnknownName, "module"),
        ("my policy:act", UnknownName, "module"),
    ],
)
def test_errors(here: Path, text: str, error: type[Exception], says: str):
    with pytest.raises(error, match=says):
        load_callable(text)
