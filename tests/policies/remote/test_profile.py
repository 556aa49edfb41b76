"""A profile says everything that is wrong before the first trial, and does to numbers what it says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from roboscale.core import BadData, Field, PolicyError, Spec, SpecMismatch, UnknownName, convert_rotation
from roboscale.policies.remote import PolicyProfile, read_profiles
from roboscale.policies.remote.maps import ActionMap, Elements, Normalisation, ObservationMap, Rotation
from roboscale.policies.remote.profile import profile_of

EXAMPLE = Path(__file__).parents[3] / "examples" / "policy_profile_droid.toml"
JOINTS = tuple(f"joint_position.{i}" for i in range(7))
VELOCITIES = tuple(f"joint_velocity.{i}" for i in range(7))
SEEN = Spec(
    (
        Field("observation.state", (8,), "float32", unit="mixed", layout=(*JOINTS, "gripper_closedness")),
        Field("observation.images.front", (480, 640, 3), "uint8"),
        Field("observation.images.wrist", (240, 320, 3), "uint8"),
    ),
    15.0,
)
ACTION = Spec((Field("action", (8,), "float32", unit="mixed", layout=(*VELOCITIES, "gripper_closedness")),), 15.0)

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


def observed(key: Any, *parts: Elements, **more: Any):
    return ObservationMap(key=(key,) if isinstance(key, str) else key, parts=parts, **more)


def of(name: str, **more: Any):
    return Elements(field=name, **more)


def made(*observations: ObservationMap, name: str = "small", dimension: int = 8, **more: Any):
    action = ActionMap(dimension=dimension, mode="absolute")
    return PolicyProfile(**{"name": name, "observations": observations, "action": action, **more})


def acting(dimension: int, *parts: Elements, **more: Any):
    return ActionMap(**{"dimension": dimension, "mode": "absolute", "parts": parts or (Elements(),), **more})


def test_nested_keys_channels_first_and_a_turned_picture():
    seen = observation()
    entry = observed(("images", "cam_high"), of("observation.images.wrist"), axes="chw", rotate=180)
    message = made(entry, prompt="").encode(seen, "fold")
    assert message.keys() == {"images"}
    sent = message["images"]["cam_high"]
    assert sent.shape == (3, 240, 320)
    assert np.array_equal(sent[:, 0, 0], seen["observation.images.wrist"][-1, -1])


def test_a_gripper_that_closes_the_other_way_and_a_new_order():
    action = acting(3, Elements(index=(2, 0), scale=(-1.0, 2.0), offset=(1.0, 0.0)))
    assert action.decode(np.array([[0.5, 9.0, 0.25]])).actions.tolist() == [[0.75, 1.0]]


def test_normalisation_is_undone_before_elements_are_picked():
    quantile = Normalisation("quantile", (0.0, -10.0), (2.0, 10.0))
    action = acting(2, Elements(index=(1,)), normalise=quantile)
    assert np.allclose(action.decode(np.array([[0.0, 1.0], [0.0, -1.0]])).actions, [[10.0], [-10.0]], atol=1e-5)


# LIBERO's state is position, axis-angle and gripper in one key, of three fields of robosuite


def libero(branch: str = "shortest"):
    return observed(
        "observation/state",
        of("eef.position"),
        of("eef.quat_xyzw", rotation=Rotation("quat_xyzw", "rotvec", branch)),
        of("gripper", index=(0,), scale=(2.0,)),
        dtype="float32",
    )


def robosuite_axis_angle(quat_xyzw: Any):
    """As robosuite's `quat2axisangle` and openpi's LIBERO example have it."""
    w = np.clip(quat_xyzw[3], -1, 1)
    den = np.sqrt(1.0 - w * w)
    return np.zeros(3) if np.isclose(den, 0.0) else quat_xyzw[:3] * 2.0 * np.arccos(w) / den


quaternions = st.lists(st.floats(-1, 1), min_size=4, max_size=4).filter(lambda q: np.linalg.norm(q[:3]) > 0.01)


@given(quaternions)
def test_several_fields_become_one_key_and_a_quaternion_an_axis_angle(numbers: list[float]):
    quat_xyzw = np.array(numbers) / np.linalg.norm(numbers)
    seen = {"eef.position": np.array([1.0, 2.0, 3.0]), "eef.quat_xyzw": quat_xyzw, "gripper": np.array([0.5, -0.5])}
    sent = made(libero()).encode(seen, "push")["observation/state"]
    assert sent.dtype == np.float32 and sent.shape == (7,)
    assert sent[[0, 1, 2, 6]].tolist() == [1.0, 2.0, 3.0, 1.0]
    assert np.allclose(sent[3:6], convert_rotation(quat_xyzw, "quat_xyzw", "rotvec"), atol=1e-6)
    assert np.linalg.norm(sent[3:6]) <= np.pi + 1e-6
    theirs = made(libero("quaternion")).encode(seen, "push")["observation/state"][3:6]
    assert np.allclose(theirs, robosuite_axis_angle(quat_xyzw), atol=1e-3), "the branch that LIBERO was trained on"


def test_the_branch_follows_the_sign_of_the_quaternion():
    """A hand that looks down has w near 0: its sign decides between two axis-angles that are 2 pi apart."""
    turned = Rotation("quat_xyzw", "rotvec", "quaternion")
    down = np.array([1.0, 0.0, 0.0, 0.001])
    down /= np.linalg.norm(down)
    assert np.allclose(turned.apply(down), [np.pi - 0.002, 0, 0], atol=1e-5)
    assert np.allclose(turned.apply(-down * [1, 1, 1, 1]), [-(np.pi + 0.002), 0, 0], atol=1e-5)
    assert np.allclose(turned.apply(np.array([0.0, 0.0, 0.0, -1.0])), 0)


def test_rows_are_turned_and_grippers_compared():
    action = acting(
        7,
        Elements(index=(0, 1, 2)),
        Elements(index=(3, 4, 5), rotation=Rotation("rotvec", "quat_wxyz")),
        Elements(index=(6,), threshold=0.5, scale=(2.0,), offset=(-1.0,)),
    )
    rows = np.array([[1, 2, 3, np.pi / 2, 0, 0, 0.7], [1, 2, 3, 0, 0, 0, 0.5]])
    half = np.sqrt(0.5)
    assert np.allclose(action.decode(rows).actions, [[1, 2, 3, half, half, 0, 0, 1], [1, 2, 3, 1, 0, 0, 0, -1]])


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_stays_so_whatever_is_done_to_it(number: float):
    """Otherwise a comparison would make an open gripper of NaN."""
    turned = Elements(index=(1, 2, 3), rotation=Rotation("rotvec", "rotvec"))
    action = acting(4, Elements(index=(0,), threshold=0.5), turned)
    decoded = action.decode(np.array([[number, 0, 0, 0], [0, number, 0, 0]])).actions
    assert not np.isfinite(decoded[0, 0]) and np.isfinite(decoded[0, 1:]).all()
    assert decoded[1, 0] == 0 and not np.isfinite(decoded[1, 1:]).any()


def test_a_rotation_that_is_none_is_the_server_s_fault():
    with pytest.raises(PolicyError, match="zero quaternion"):
        acting(4, Elements(rotation=Rotation("quat_wxyz", "rotvec"))).decode(np.zeros((1, 4)))


PARTS = """
name = "libero"
[[observation]]
key = "observation/state"
dtype = "float32"
[[observation.part]]
field = "eef.position"
[[observation.part]]
field = "eef.quat_xyzw"
rotation = {from = "quat_xyzw", to = "rotvec", branch = "quaternion"}
[[observation.part]]
field = "gripper"
index = [0]
scale = [2.0]
[action]
dimension = 7
mode = "absolute"
keys = ["arm", "gripper"]
form = "batch"
[[action.part]]
index = [0, 1, 2, 3, 4, 5]
[[action.part]]
index = [6]
threshold = 0.5
"""


def test_all_of_it_can_be_declared(tmp_path: Path):
    profile = load(tmp_path, PARTS)
    assert profile.observations == (libero("quaternion"),)
    assert profile.fields == ("eef.position", "eef.quat_xyzw", "gripper")
    parts = (Elements(index=(0, 1, 2, 3, 4, 5)), Elements(index=(6,), threshold=0.5))
    assert profile.action == acting(7, *parts, keys=(("arm",), ("gripper",)), form="batch")


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
    state = "observation.state"
    profile = made(
        observed("a", of("observation.images.frnt")),
        observed("b", of(state, index=(0, 9), scale=(1.0,))),
        observed("c", of(state), resize=(224, 224)),
        observed("d", of(state, index=(0,), layout=("gripper_closedness",), unit="m")),
        observed("e", of("observation.images.front", offset=(1.0,))),
        observed("f", of(state), normalise=Normalisation("mean_std", (0.0,), (1.0,))),
        observed("g", of(state), of(state, index=(1, 2), rotation=Rotation("rpy", "rotvec"))),
        observed("h", of(state), of("observation.images.front")),
        name="wrong",
        action=ActionMap(
            dimension=7,
            mode="relative to previous action",
            unit="rad",
            layout=JOINTS,
            parts=(Elements(scale=(1.0,)),),
        ),
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
        "observation[2]: resize: for images",
        "observation[3].layout: profile gripper_closedness; world joint_position.0 (observation.state)",
        "observation[3].unit: profile 'm', world 'mixed'",
        "observation[4]: index, rotation, threshold, scale, offset, normalise and several parts are for numbers",
        "observation[5].normalise: 1 numbers for 8 elements",
        "observation[6].part[1].rotation: rpy has 3 elements, 2 are picked",
        "observation[7].field: an image is HWC uint8, the world's observation.state is float32[8]",
        "observation[7]: index, rotation, threshold, scale, offset, normalise and several parts are for numbers",
        "action.scale: 1 numbers for 7 elements",
        "action: the profile gives 7 values, the world takes (8,)",
        "action.mode: profile 'relative to previous action', world 'absolute'",
        "action.unit: profile 'rad', world 'mixed'",
        "action.layout: profile joint_position.0",
        "rate_hz: profile 20, world 15",
    ):
        assert said in message, said
    assert len(message.splitlines()) == 18


def test_a_rotation_is_compared_with_what_the_world_says():
    layout = tuple(f"eef.quat_wxyz.{a}" for a in "wxyz")
    world = Spec((Field("pose", (4,), "float32", layout=layout),), 15.0)
    wrong = observed("pose", of("pose", rotation=Rotation("quat_xyzw", "rotvec")))
    (problem,) = wrong.problems(world, "observation[0]")
    assert problem == "observation[0].rotation: profile quat_xyzw; world quat_wxyz (pose)"
    assert not list(observed("pose", of("pose", rotation=Rotation("quat_wxyz", "rotvec"))).problems(world, ""))


def test_a_world_without_action_is_said():
    with pytest.raises(SpecMismatch, match="no field 'action'"):
        made(dimension=7).check(SEEN, SEEN)


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        (
            ("observation", "observation"),
            "every key once .*part.*observation.1..key 'observation', that of observation",
        ),
        (("observation", ("observation", "goal")), r"\['observation', 'goal'\] beside 'observation'"),
        ((("observation", "goal"), "observation"), r"'observation' beside \['observation', 'goal'\]"),
        (("prompt",), "'prompt', the instruction's too"),
        ((("prompt", "text"),), r"\['prompt', 'text'\] beside 'prompt', the instruction's"),
    ],
)
def test_keys_that_cannot_stand_beside_each_other(keys: Any, says: str, tmp_path: Path):
    with pytest.raises(BadData, match=f"profile small: observation: .*{says}"):
        made(*(observed(key, of("observation.state")) for key in keys))
    tables = "".join(f"[[observation]]\nkey = {json.dumps(k)}\nfield = 'observation.state'\n" for k in keys)
    with pytest.raises(BadData, match=r"profile\.toml: observation"):
        load(tmp_path, f'name = "small"\n{tables}[action]\ndimension = 8\nmode = "absolute"\n')


def test_keys_of_the_protocol_are_not_ours_to_set():
    entry = observed("endpoint", of("observation.state"))
    assert made(entry).fields == ("observation.state",)
    with pytest.raises(BadData, match="'endpoint', the protocol's own too"):
        made(entry, reset="roboarena")
    assert made(observed(("a", "b"), of("x")), observed(("a", "c"), of("x"))).fields == ("x",)


def test_an_edited_profile_is_another_one(tmp_path: Path):
    """Whatever it does counts; what it is called and where it lies do not."""
    first = load(tmp_path, PARTS)
    assert first.identity == load(tmp_path, PARTS.replace('"libero"', '"other"'), "other.toml").identity
    edits = [
        ("scale = [2.0]", "scale = [2.5]"),
        ("threshold = 0.5", "threshold = 0.6"),
        ('branch = "quaternion"', 'branch = "shortest"'),
        ('"arm", "gripper"', '"gripper", "arm"'),
        ('form = "batch"', 'form = "chunk"'),
        ("index = [0]", "index = [1]"),
        ('mode = "absolute"', 'mode = "absolute"\nexecute = 3'),
        ('name = "libero"', 'name = "libero"\nprompt = "task"'),
        ('name = "libero"', 'name = "libero"\nreset = "roboarena"'),
    ]
    assert len({load(tmp_path, PARTS.replace(*e)).identity for e in edits} | {first.identity}) == len(edits) + 1


ONE, TWO = "openpi://127.0.0.1:8000", "ws://lab:9/p"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        Path(f"{name}.toml").write_text(MINIMAL.replace('"small"', f'"{name}"'))
    Path("x=y.toml").write_text(MINIMAL)


def test_every_server_may_have_a_profile_of_its_own(files: None):
    profiles = read_profiles(["a.toml", f"{TWO}=b.toml"], [ONE, f"noisy:{TWO}:0.1", "expert"])
    assert [profile_of(text, profiles).name for text in (ONE, TWO)] == ["a", "b"]
    only = read_profiles([f"{TWO}=b.toml"], [ONE, TWO])
    assert profile_of(ONE, only) is None and profile_of(TWO, only).name == "b"
    assert profile_of(ONE, "a.toml").name == profile_of(ONE, Path("a.toml")).name == "a"
    assert profile_of(ONE, None) is None
    assert read_profiles(["x=y.toml"], [ONE])[""].name == "small", "a file may have the sign in its name"


@pytest.mark.parametrize(
    ("texts", "policies", "error", "says"),
    [
        (["openpi://lab=a.toml"], [ONE], UnknownName, "server of a policy profile 'openpi://lab'.*127"),
        (["a.toml"], ["expert", "constant"], SpecMismatch, "a.toml: none of expert, constant is a server"),
        (["a.toml", "b.toml"], [ONE], SpecMismatch, "two policy profiles for every server: the second is b.toml"),
        ([f"{ONE}=a.toml", f"{ONE}=b.toml"], [ONE], SpecMismatch, f"two policy profiles for {ONE}"),
        (["c.toml"], [ONE], BadData, "No such file"),
    ],
)
def test_profiles_that_fit_nobody(files: None, texts: Any, policies: Any, error: type[Exception], says: str):
    with pytest.raises(error, match=says):
        read_profiles(texts, policies)


def test_what_is_not_observed_is_named(tmp_path: Path):
    with pytest.raises(SpecMismatch, match=r"observation\.state is not observed; did you mean observation\.stat"):
        load(tmp_path, MINIMAL).encode({"observation.stat": np.zeros(8)}, "push")


@pytest.mark.parametrize(
    ("change", "field", "says"),
    [
        (('name = "small"', ""), "name", "expected text that is not empty, found nothing"),
        (('name = "small"', "name = 3"), "name", "expected text that is not empty, found 3"),
        (('key = "state"', ""), "observation[0].key", "found nothing"),
        (('key = "state"', "key = [1]"), "observation[0].key[0]", "text that is not empty, found 1"),
        (('key = "state"', 'key = "state"\nresize = [224]'), "observation[0].resize", "[height, width]"),
        (('key = "state"', 'key = "state"\nfit = "crop"'), "observation[0].fit", "one of pad, stretch, found 'crop'"),
        (('key = "state"', 'key = "state"\ndtype = "object"'), "observation[0].dtype", "float32"),
        (('key = "state"', 'key = "state"\nrotate = 45'), "observation[0].rotate", "180"),
        (('key = "state"', 'key = "state"\nscale = [1, nan]'), "observation[0].scale[1]", "finite"),
        (('key = "state"', 'key = "state"\nindex = [-1]'), "observation[0].index", "0 or more"),
        (('key = "state"', 'key = ["a", ""]'), "observation[0].key[1]", "text that is not empty"),
        (('key = "state"', 'key = "state"\npart = []'), "observation[0].part", "no field beside it"),
        (('field = "observation.state"', "part = []"), "observation[0].part", "at least one"),
        (('field = "observation.state"', "part = [{}]"), "observation[0].part[0].field", "found nothing"),
        (('key = "state"', 'key = "state"\nrotation = {from = "quat"}'), "observation[0].rotation.from", "quat_wxyz"),
        (
            ('key = "state"', 'key = "state"\nrotation = {from = "rpy", to = "rotvec", branch = "quaternion"}'),
            "observation[0].rotation.branch",
            "found rpy to rotvec",
        ),
        (('key = "state"', 'key = "state"\nthreshold = "half"'), "observation[0].threshold", "a finite number"),
        (("dimension = 8", 'dimension = 8\nform = "list"'), "action.form", "one of chunk, row, batch"),
        (("dimension = 8", 'dimension = 8\nform = "row"\nhorizon = 4'), "action.horizon", "every answer is one row"),
        (("dimension = 8", 'dimension = 8\nkey = "a"\nkeys = ["b"]'), "action.keys", "no key beside it"),
        (("dimension = 8", "dimension = 8\nindex = [0]\npart = []"), "action.part", "no index beside it"),
        (("dimension = 8", ""), "action.dimension", "found nothing"),
        (("dimension = 8", "dimension = 0"), "action.dimension", "1 or more, found 0"),
        (("dimension = 8", "dimension = true"), "action.dimension", "found True"),
        (('mode = "absolute"', ""), "action.mode", "found nothing"),
        (("dimension = 8", "dimension = 8\nhorizon = 4\nexecute = 5"), "action.execute", "at most the horizon 4"),
        (("dimension = 8", 'dimension = 8\nnormalise = "q"'), "action.normalise", "a table"),
        (
            ("dimension = 8", "dimension = 8\nnormalise = {kind = 'std'}"),
            "action.normalise.kind",
            "quantile, mean_std",
        ),
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
        (('key = "state"', 'key = "state"\nroteate = 180'), "rotate"),
        (("dimension = 8", "dimension = 8\nhorizn = 3"), "horizon"),
        (('field = "observation.state"', 'part = [{field = "x", unti = "m"}]'), "unit"),
        (('key = "state"', 'key = "state"\nrotation = {from = "rpy", to = "rotvec", brnch = "x"}'), "branch"),
    ],
)
def test_no_key_is_silently_ignored(tmp_path: Path, change: tuple[str, str], near: str):
    with pytest.raises(UnknownName, match=near):
        load(tmp_path, MINIMAL.replace(*change))


def test_all_mistakes_at_once(tmp_path: Path):
    broken = MINIMAL.replace("dimension = 8", "dimension = 0").replace('key = "state"', 'key = "state"\nrotate = 45')
    with pytest.raises(BadData, match=r"(?s)2:.*observation\[0\]\.rotate.*action\.dimension"):
        load(tmp_path, broken)


@pytest.mark.parametrize(("name", "text"), [("p.toml", "name = "), ("p.json", "{"), ("p.json", "[1]")])
def test_broken_files(tmp_path: Path, name: str, text: str):
    with pytest.raises(BadData, match=name):
        load(tmp_path, text, name)


def test_a_missing_file(tmp_path: Path):
    with pytest.raises(BadData, match="No such file"):
        PolicyProfile.load(tmp_path / "none.toml")


def test_the_profiles_in_the_documentation_are_profiles(tmp_path: Path):
    page = (EXAMPLE.parents[1] / "docs" / "policies.md").read_text()
    blocks = re.findall(r"^```toml\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    names = ["my-server", "libero", "gr00t", "openvla", "vla-eval", "vllm-omni", "act"]
    assert [load(tmp_path, block).name for block in blocks] == names


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"rotate": 90}, lambda p: np.rot90(p)),
        ({"flip": "horizontal"}, lambda p: p[:, ::-1]),
        ({"flip": "vertical"}, lambda p: p[::-1]),
        ({"channels": "bgr"}, lambda p: p[..., ::-1]),
        ({"values": "0..1"}, lambda p: p.astype(np.float32) / np.float32(255)),
    ],
)
def test_a_picture_is_changed_as_declared(change: Any, expected: Any):
    picture = observation()["observation.images.wrist"]
    entry = ObservationMap(key=("image",), parts=(Elements(field="observation.images.wrist"),), **change)
    assert np.array_equal(entry.encode([picture]), expected(picture))


RELATIVE = '\nrelative = { field = "observation.state", make = "MAKE", index = [0, 1] }\n'


@pytest.mark.parametrize(
    ("make", "rows", "expected"),
    [
        ("absolute", [[1.0, 2.0, 3.0], [2.0, 2.0, 4.0]], [[11.0, 22.0, 3.0], [12.0, 22.0, 4.0]]),
        ("relative", [[11.0, 22.0, 3.0], [13.0, 22.0, 4.0]], [[1.0, 2.0, 3.0], [2.0, 0.0, 4.0]]),
    ],
)
def test_differences_and_values(tmp_path: Path, make: str, rows: Any, expected: Any):
    text = MINIMAL.replace("dimension = 8", "dimension = 3") + RELATIVE.replace("MAKE", make)
    profile = load(tmp_path, text)
    state = {"observation.state": np.array([10.0, 20.0, 30.0], np.float32)}
    assert np.array_equal(profile.chunk(np.array(rows), state).actions, expected)
    seen = Spec((Field("observation.state", (3,), "float32"),), 20.0)
    profile.check(seen, Spec((Field("action", (3,), "float32"),), 20.0))
    with pytest.raises(SpecMismatch, match="observation.state has shape"):
        profile.check(
            Spec((Field("observation.state", (4,), "float32"),), 20.0), Spec((Field("action", (3,), "float32"),), 20.0)
        )


@pytest.mark.parametrize(
    ("mode", "rates", "expected", "execute"),
    [
        ("absolute", (20.0, 10.0), [1.0, 3.0], 1),
        ("absolute", (10.0, 20.0), [0.0, 0.0, 1.0, 1.0, 2.0, 2.0, 3.0, 3.0], 4),
        ("relative to state", (20.0, 10.0), [1.0, 5.0], 1),
        ("relative to state", (10.0, 20.0), [0.0, 0.0, 0.5, 0.5, 1.0, 1.0, 1.5, 1.5], 4),
        ("absolute", (50.0, 10.0), [3.0], 1),
    ],
)
def test_rows_for_a_world_of_another_rate(tmp_path: Path, mode: str, rates: Any, expected: Any, execute: int):
    text = MINIMAL.replace("dimension = 8", "dimension = 1\nexecute = 2").replace("absolute", mode)
    profile = load(tmp_path, f"rate_hz = {rates[0]}\nresample_hz = {rates[1]}\n{text}")
    chunk = profile.chunk(np.arange(4.0)[:, None])
    assert np.allclose(chunk.actions[:, 0], expected)
    assert chunk.execute == execute
    seen = Spec((Field("observation.state", (1,), "float32"),), rates[1])
    profile.check(seen, Spec((Field("action", (1,), "float32", mode=mode),), rates[1]))
    with pytest.raises(SpecMismatch, match="resample_hz: profile"):
        profile.check(seen, Spec((Field("action", (1,), "float32", mode=mode),), rates[0]))


def test_a_rate_to_resample_to_needs_the_policy_s(tmp_path: Path):
    with pytest.raises(BadData, match="resample_hz: expected rate_hz beside it"):
        load(tmp_path, "resample_hz = 10.0\n" + MINIMAL)
