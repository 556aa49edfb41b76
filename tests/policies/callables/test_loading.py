"""A policy is named by a file or a module; what is wrong with it is said in its own words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from roboscale.core import BadData, Policy, SpecMismatch, UnknownName
from roboscale.policies.callables import load_callable

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
        return lambda observation: [3.0]

class Calls:
    def __call__(self, observation):
        return [9.0]
    @staticmethod
    def still(observation):
        return [0.5]

ready = Mine()
number = 3

def fails():
    raise ValueError("no weights")

def nothing():
    return None

def both(observation, state):
    return [0.0]
"""


def rows(policy: Policy, instruction: str = "push"):
    return policy.start(instruction, 0)({"x": np.array([2.0])}).rows.tolist()


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


@pytest.mark.parametrize(
    ("name", "expected"),
    [("make", 5.0), ("Calls", 9.0), ("Mine", 3.0), ("ready", 3.0), ("Calls.still", 0.5)],
)
def test_factories_classes_and_policies(here: Path, name: str, expected: float):
    policy = load_callable(f"my_policy:{name}")
    assert rows(policy) == [[expected]]
    assert policy.name == policy.identity.name == f"my_policy:{name}"


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("my_policy:atc", UnknownName, "unknown name in my_policy 'atc'; did you mean act"),
        ("my_polcy:act", UnknownName, "did you mean my_policy"),
        ("my_polcy.py:act", UnknownName, r"policy file 'my_polcy\.py'; did you mean my_policy\.py"),
        ("my_policy:number", BadData, "my_policy: number: expected a policy or a function, found int"),
        ("my_policy:fails", BadData, "my_policy: fails: expected a policy, found ValueError: no weights"),
        ("my_policy:nothing", SpecMismatch, "found a function of no argument, which made NoneType"),
        (
            "my_policy:both",
            SpecMismatch,
            r"both\(observation, state\), whose argument 'state' is no instruction",
        ),
        ("my_policy:Calls.__call__", SpecMismatch, "a method of a class that has not been made"),
        ("broken:act", BadData, "not_installed_anywhere"),
        ("broken.py:act", BadData, "not_installed_anywhere"),
        ("my_policy", UnknownName, "module:callable"),
        ("..:act", UnknownName, "module"),
        ("my policy:act", UnknownName, "module"),
    ],
)
def test_errors(here: Path, text: str, error: type[Exception], says: str):
    with pytest.raises(error, match=says) as caught:
        load_callable(text)
    assert len(str(caught.value).splitlines()) == 1


def test_an_edited_function_is_another_policy(here: Path):
    """The same command before and after an edit: names are equal, identities are not."""
    text = "my_policy.py:act"
    before, again = load_callable(text), load_callable(text)
    (here / "my_policy.py").write_text(FILE.replace("gain: float = 2.0", "gain: float = -2.0"))
    after = load_callable(text)
    assert before.identity == again.identity != after.identity
    assert before.name == after.name
    (here / "my_policy.py").write_text(
        FILE + "\n# a comment, and a function nobody calls\ndef other():\n    return 1\n"
    )
    assert load_callable(text).identity == before.identity
