"""Specs: comparing two names every difference, and both sides."""

from dataclasses import replace

import numpy as np
import pytest

from roboscale.core import Field, Spec, SpecMismatch, UnknownName, require_match, spec_differences

STATE = Field("observation.state", (4,), "float32", unit="m", frame="world", layout=("x", "y", "z", "gripper_width"))
ACTION = Field("action", (4,), "float32", mode="relative to state", low=(-1.0,) * 4, high=(1.0,) * 4)
IMAGE = Field("observation.images.front", (96, 96, 3), "uint8")
SPEC = Spec((STATE, ACTION, IMAGE), 30.0)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"shape": (4, 1), "layout": ()}, "shape"),
        ({"dtype": "float64"}, "dtype"),
        ({"unit": "mm"}, "unit"),
        ({"frame": "base"}, "frame"),
        ({"layout": ("y", "x", "z", "gripper_width")}, "layout"),
        ({"mode": "relative to previous action"}, "mode"),
        ({"branch": "w>=0"}, ""),
    ],
)
def test_every_property_that_differs_is_named(change: dict, what: str):
    other = Spec((replace(STATE, **change), ACTION, IMAGE), 30.0)
    named = {d.what for d in spec_differences(SPEC, other)}
    assert what in named if what else not named  # a branch that only one side gives is no conflict


def test_all_differences_come_at_once_with_both_names():
    other = Spec((replace(STATE, unit="mm"), replace(ACTION, high=(2.0,) * 4)), 15.0)
    with pytest.raises(SpecMismatch) as error:
        require_match(SPEC, other, "policy P", "world W")
    text = str(error.value)
    for part in ("policy P", "world W", "rate_hz", "unit", "high", "observation.images.front presence"):
        assert part in text


def test_subset_ignores_what_only_the_world_has():
    need = SPEC.select(["action"])
    assert spec_differences(need, SPEC, subset=True) == ()
    assert [d.what for d in spec_differences(need, SPEC)] == ["presence", "presence"]


def test_json_round_trip():
    assert Spec.from_json(SPEC.to_json()) == SPEC


def test_check_names_field_and_both_sides():
    frame = {f.name: np.zeros(f.shape, f.dtype) for f in SPEC}
    SPEC.check(frame, "take")
    with pytest.raises(SpecMismatch, match=r"take: action: expected float32\[4\], found float64\[4\]"):
        SPEC.check({**frame, "action": np.zeros(4)}, "take")
    with pytest.raises(SpecMismatch, match="observation.state is missing"):
        SPEC.check({k: v for k, v in frame.items() if k != "observation.state"}, "take")


def test_unknown_field_lists_the_valid_ones():
    with pytest.raises(UnknownName, match="did you mean action"):
        SPEC["actions"]


def test_indices_by_layout_name():
    field = Field("s", (5,), "float32", layout=("hand.x", "hand.y", "hand.z", "goal.x", "goal.y"))
    assert field.indices("hand") == (0, 1, 2)
    with pytest.raises(UnknownName, match="valid: goal, hand"):
        field.indices("object")


@pytest.mark.parametrize(
    "wrong", [{"shape": (0,)}, {"layout": ("x",)}, {"low": (0.0,)}, {"high": (0.0, 1.0)}], ids=str
)
def test_a_field_that_contradicts_itself_is_refused(wrong: dict):
    with pytest.raises(SpecMismatch):
        replace(STATE, **{"layout": (), **wrong})
