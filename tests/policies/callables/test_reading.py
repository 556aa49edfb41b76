"""Which fields a function reads: what leaves no doubt is told, and whatever leaves any is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from roboscale.core import SpecMismatch
from roboscale.policies.callables import as_policy
from roboscale.policies.callables.reading import fields_read

STATE, FRONT = "observation.state", "observation.images.front"
KEYS = [STATE, FRONT]


def _tip(seen: dict[str, Any]) -> Any:
    return seen[STATE][:3]


def _loop(seen: dict[str, Any]) -> Any:
    return _loop(seen)


def sometimes(observation: dict[str, Any]) -> Any:
    tip = _tip(observation)
    if tip[0] > 0.5:
        return observation["observation.images.front"].mean()
    return [0.1 * value for value in observation[STATE]] + [observation[STATE][i] for i in range(2)]


def ignoring(observation: dict[str, Any], instruction: str) -> Any:
    return np.zeros(4)


class Stateful:
    def __call__(self, observation: dict[str, Any]) -> Any:
        self.last = observation[STATE]
        return max(0, *(float(v) for v in observation[STATE]))


class Predicting:
    def predict(self, observation: Any, deterministic: bool = True) -> Any:
        return observation[STATE]


@pytest.mark.parametrize(
    "thing, expected",
    [
        (sometimes, {STATE, FRONT}),
        (ignoring, set()),
        (lambda observation: observation[STATE] if len(KEYS) > 5 else observation["time"], {STATE, "time"}),
        (Stateful, {STATE}),
        (Stateful(), {STATE}),
        (Stateful().__call__, {STATE}),
    ],
)
def test_what_leaves_no_doubt_is_told(thing: Any, expected: set[str]):
    assert as_policy(thing).reads == expected


def _swaps(observation: dict[str, Any]) -> Any:
    observation = {**observation}
    return observation[STATE]


def _keeps(observation: dict[str, Any]) -> Any:
    kept.append(observation)
    return observation[STATE]


def _inner(observation: dict[str, Any]) -> Any:
    def look() -> Any:
        return observation

    return look()[FRONT]


def _evaluated(observation: dict[str, Any]) -> Any:
    return eval("observation")[FRONT] + observation[STATE]


def _caught(observation: dict[str, Any]) -> Any:
    match observation:
        case {"observation.images.front": picture}:
            return picture


kept: list[Any] = []


@pytest.mark.parametrize(
    "thing",
    [
        *(_swaps, _keeps, _inner, _evaluated, _caught, _loop, Predicting()),
        lambda observation: observation[KEYS[0]],
        lambda observation: [observation[key] for key in KEYS],
        lambda observation: observation.get(FRONT),
        lambda observation: FRONT in observation and observation[STATE],
        lambda observation: len(observation),
        lambda observation: dict(observation)[STATE],
        lambda observation: _tip(seen=observation),
        lambda *seen: seen[0][STATE],
        lambda **seen: seen[STATE],
        np.sum,
    ],
)
def test_whatever_leaves_a_doubt_may_read_everything(thing: Any):
    if isinstance(thing, Predicting):
        assert as_policy(thing).reads is None
    else:
        assert fields_read(thing) is None


def test_an_attribute_of_an_object_that_hides_its_method_is_not_looked_through():
    class Hidden:
        def select_action(self, observation: dict[str, Any]) -> Any:
            return observation[STATE]

    thing = Hidden()
    assert as_policy(thing).reads == {STATE}
    thing.select_action = lambda observation: list(observation)  # type: ignore[method-assign]
    assert as_policy(thing).reads is None


def test_a_name_that_changes_while_it_acts_costs_no_trial(monkeypatch: pytest.MonkeyPatch):
    """Its code told the state; it asks for a picture after all: the run ends with a word, and nobody failed."""
    session = as_policy(_tip).start("", 0)
    session({STATE: np.zeros(4, np.float32)})
    monkeypatch.setitem(globals(), "STATE", FRONT)
    with pytest.raises(SpecMismatch, match=r"_tip reads 'observation.images.front', which its code did not tell"):
        session({"observation.state": np.zeros(4, np.float32)})
