"""A profile says everything that is wrong before the first trial, and does to numbers what it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from roboscale.core import BadData, Field, Spec, SpecMismatch, UnknownName
from roboscale.policies.profile import ActionMap, Affine, Normalisation, ObservationMap, PolicyProfile

EXAMPLE = Path(__file__).parents[2] / "examples" / "policy_profile_droid.toml"
JOINTS = tuple(f"joint_position.{i}" for i in range(7))
VELOCITIES = tuple(f"joint_velocity.{i}" for i in range(7))
SEEN = Spec(
    (
        Field("observation.state", (8,), "float32", "mixed", layout=(*JOINTS, "gripper_closedness")),
        Field("observation.images.front", (480, 640, 3), "uint8"),
        Field("observation.images.wrist", (240, 320, 3), "uint8"),
    ),
    15.0,
)
ACTION = Spec((Field("action", (8,), "float32", "mixed", layout=(*VELOCITIES, "gripper_closedness")),), 15.0)

MINIMAL = """
name = "small"
[[observation]]
key = "state"
field = "observation.state"
[action]
dimension = 8
mode = "absolute"
"""


def load(tmp_path: Path, text: str, name: str = "profile.toml"):
    path = tmp_path / name
    path.write_text(text)
    return PolicyProfile.load(path)


def observation():
    rng = np.random.default_rng(0)
    return {
        "observation.state": np.arange(8, dtype=np.float32) / 10,
        "observation.images.front": rng.integers(0, 256, (480, 640, 3), np.uint8),
        "observation.images.wrist": rng.integers(0, 256, (240, 320, 3), np.uint8),
    }


def test_the_example_loads_fits_droid_and_makes_droid_s_keys():
    profile = PolicyProfile.load(EXAMPLE)
    profile.check(SEEN, ACTION)
    assert profile.fields == ("observation.images.front", "observation.images.wrist", "observation.state")
    message = profile.encode(observation(), "put the marker in the cup")
    shapes = {key: (v.dtype.str, v.shape) for key, v in message.items() if key != "prompt"}
    assert shapes == {
        "observation/exterior_image_1_left": ("|u1", (224, 224, 3)),
        "observation/wrist_image_left": ("|u1", (224, 224, 3)),
        "observation/joint_position": ("<f8", (7,)),
        "observation/gripper_position": ("<f8", (1,)),
    }
    assert message["prompt"] == "put the marker in the cup"
    assert np.allclose(message["observation/joint_position"], np.arange(7) / 10)
    assert np.allclose(message["observation/gripper_position"], 0.7)
    chunk = profile.action.decode(np.ones((10, 8)))
    assert chunk.rows.shape == (8, 8)


def test_json_says_the_same(tmp_path: Path):
    profile = {
        "name": "small",
        "observation": [{"key": "state", "field": "observation.state"}],
        "action": {"dimension": 8, "mode": "absolute"},
    }
    from_json = load(tmp_path, json.dumps(profile), "profile.json")
    from_toml = load(tmp_path, MINIMAL)
    assert (from_json.observations, from_json.action) == (from_toml.observations, from_toml.action)


def test_nested_keys_channels_first_and_a_turned_picture():
    seen = observation()
    entry = ObservationMap(("images", "cam_high"), "observation.images.wrist", axes="chw", rotate180=True)
    profile = PolicyProfile("aloha", (entry,), ActionMap(14, "absolute"), prompt="")
    message = profile.encode(seen, "fold")
    assert message.keys() == {"images"}
    sent = message["images"]["cam_high"]
    assert sent.shape == (3, 240, 320)
    assert np.array_equal(sent[:, 0, 0], seen["observation.images.wrist"][-1, -1])


def test_a_gripper_that_closes_the_other_way_and_a_new_order():
    action = ActionMap(3, "absolute", values=Affine(index=(2, 0), scale=(-1.0, 2.0), offset=(1.0, 0.0)))
    assert action.decode(np.array([[0.5, 9.0, 0.25]])).actions.tolist() == [[0.75, 1.0]]


def test_normalisation_is_undone_before_elements_are_picked():
    quantile = Normalisation("quantile", (0.0, -10.0), (2.0, 10.0))
    action = ActionMap(2, "absolute", values=Affine(index=(1,)), normalise=quantile)
    assert np.allclose(action.decode(np.array([[0.0, 1.0], [0.0, -1.0]])).actions, [[10.0], [-10.0]], atol=1e-5)


@given(
    st.sampled_from(["none", "quantile", "mean_std"]),
    st.lists(st.floats(-100, 100), min_size=3, max_size=3),
    st.lists(st.floats(0.1, 100), min_size=3, max_size=3),
)
def test_normalisation_undoes_itself(kind: Any, low: list[float], width: list[float]):
    high = np.add(low, width) if kind == "quantile" else width
    normalise = Normalisation(kind, tuple(low), tuple(high))
    values = np.array([[-1.0, 0.3, 7.0]])
    assert np.allclose(normalise.undo(normalise.apply(values)), values, rtol=1e-6, atol=1e-6)


def test_normalisation_is_openpi_s_formula():
    x, q01, q99 = 0.7, -0.2, 1.3
    found = Normalisation("quantile", (q01,), (q99,)).apply(np.array([x]))
    assert found[0] == pytest.approx((x - q01) / (q99 - q01 + 1e-6) * 2.0 - 1.0)
    found = Normalisation("mean_std", (q01,), (q99,)).apply(np.array([x]))
    assert found[0] == pytest.approx((x - q01) / (q99 + 1e-6))


def test_check_lists_every_problem_at_once_with_near_names():
    profile = PolicyProfile(
        "wrong",
        (
            ObservationMap(("a",), "observation.images.frnt"),
            ObservationMap(("b",), "observation.state", Affine(index=(0, 9), scale=(1.0,))),
            ObservationMap(("c",), "observation.state", resize=(224, 224)),
            ObservationMap(("d",), "observation.state", Affine(index=(0,)), layout=("gripper_closedness",), unit="m"),
            ObservationMap(("e",), "observation.images.front", Affine(offset=(1.0,))),
            ObservationMap(("f",), "observation.state", normalise=Normalisation("mean_std", (0.0,), (1.0,))),
        ),
        ActionMap(7, "relative to previous action", unit="rad", layout=JOINTS, values=Affine(scale=(1.0,))),
        rate_hz=20.0,
        file="wrong.toml",
    )
    with pytest.raises(SpecMismatch) as caught:
        profile.check(SEEN, ACTION)
    message = str(caught.value)
    for said in (
        "profile wrong (wrong.toml) does not fit the world",
        "observation[0].field: the world has no 'observation.images.frnt'; did you mean observation.images.front",
        "observation[1].index: 9 is past the last of 8 elements",
        "observation[1].scale: 1 numbers for 2 elements",
        "observation[2]: resize, rotate180 and axes are for images",
        "observation[3].layout: profile gripper_closedness; world joint_position.0 (observation.state)",
        "observation[3].unit: profile 'm', world 'mixed'",
        "observation[4]: index, scale, offset and normalise are for numbers",
        "observation[5].normalise: 1 numbers for 8 elements",
        "action.scale: 1 numbers for 7 elements",
        "action: the profile gives 7 values, the world takes (8,)",
        "action.mode: profile 'relative to previous action', world 'absolute'",
        "action.unit: profile 'rad', world 'mixed'",
        "action.layout: profile joint_position.0",
        "rate_hz: profile 20, world 15",
    ):
        assert said in message
    assert len(message.splitlines()) == 15


def test_a_world_without_action_is_said():
    with pytest.raises(SpecMismatch, match="no field 'action'"):
        PolicyProfile("p", (), ActionMap(7, "absolute")).check(SEEN, SEEN)


def test_what_is_not_observed_is_named(tmp_path: Path):
    with pytest.raises(SpecMismatch, match=r"observation\.state is not observed; did you mean observation\.stat"):
        load(tmp_path, MINIMAL).encode({"observation.stat": np.zeros(8)}, "push")


@pytest.mark.parametrize(
    ("change", "field", "says"),
    [
        (('name = "small"', ""), "name", "expected a value, found nothing"),
        (('name = "small"', "name = 3"), "name", "expected text, found 3"),
        (('key = "state"', ""), "observation[0].key", "found nothing"),
        (('key = "state"', "key = [1]"), "observation[0].key", "text or a list of texts"),
        (('key = "state"', 'key = "state"\nresize = [224]'), "observation[0].resize", "[height, width]"),
        (('key = "state"', 'key = "state"\nfit = "crop"'), "observation[0].fit", "one of pad, stretch, found 'crop'"),
        (('key = "state"', 'key = "state"\ndtype = "object"'), "observation[0].dtype", "float32"),
        (('key = "state"', 'key = "state"\nrotate180 = 1'), "observation[0].rotate180", "true or false"),
        (('key = "state"', 'key = "state"\nscale = [1, nan]'), "observation[0].scale", "finite"),
        (('key = "state"', 'key = "state"\nindex = [-1]'), "observation[0].index", "0 or more"),
        (("dimension = 8", ""), "action.dimension", "found nothing"),
        (("dimension = 8", "dimension = 0"), "action.dimension", "1 or more, found 0"),
        (("dimension = 8", "dimension = true"), "action.dimension", "found True"),
        (('mode = "absolute"', ""), "action.mode", "found nothing"),
        (("dimension = 8", "dimension = 8\nhorizon = 4\nexecute = 5"), "action.execute", "at most the horizon 4"),
        (("dimension = 8", 'dimension = 8\nnormalise = "q"'), "action.normalise", "a table"),
        (("dimension = 8", "dimension = 8\nnormalise = {kind = 'std'}"), "action.normalise.kind", "mean_std, none"),
        (("dimension = 8", "dimension = 8\nnormalise = {kind = 'quantile'}"), "action.normalise.q01", "found nothing"),
        (
            ("dimension = 8", "dimension = 8\nnormalise = {kind = 'quantile', q01 = [1, 2], q99 = [3]}"),
            "action.normalise.q99",
            "2 numbers as q01 has",
        ),
        (
            ("dimension = 8", "dimension = 8\nnormalise = {kind = 'mean_std', mean = [1, 2], std = [3, -1]}"),
            "action.normalise.std",
            "std >= 0, found element 1",
        ),
        (("[[observation]]", "[observation]"), "observation", "a list of tables"),
        (("name =", "name ="), "", ""),
    ],
    ids=str,
)
def test_errors_name_file_and_field(tmp_path: Path, change: tuple[str, str], field: str, says: str):
    if not field:
        assert load(tmp_path, MINIMAL.replace(*change)).name == "small", "the unchanged file is good"
        return
    with pytest.raises(BadData) as caught:
        load(tmp_path, MINIMAL.replace(*change))
    assert str(tmp_path / "profile.toml") in str(caught.value)
    assert f"{field}: " in str(caught.value)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("change", "near"),
    [
        (('name = "small"', 'name = "small"\npromt = "x"'), "prompt"),
        (('key = "state"', 'key = "state"\nroteate180 = true'), "rotate180"),
        (("dimension = 8", "dimension = 8\nhorizn = 3"), "horizon"),
    ],
)
def test_no_key_is_silently_ignored(tmp_path: Path, change: tuple[str, str], near: str):
    with pytest.raises(UnknownName, match=near):
        load(tmp_path, MINIMAL.replace(*change))


@pytest.mark.parametrize(("name", "text"), [("p.toml", "name = "), ("p.json", "{"), ("p.json", "[1]")])
def test_broken_files(tmp_path: Path, name: str, text: str):
    with pytest.raises(BadData, match=name):
        load(tmp_path, text, name)


def test_a_missing_file(tmp_path: Path):
    with pytest.raises(BadData, match="No such file"):
        PolicyProfile.load(tmp_path / "none.toml")
