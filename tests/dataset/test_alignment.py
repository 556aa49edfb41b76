"""Conflicts between specs, and padding that can be taken back."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roboscale.core import (
    UNKNOWN,
    Clip,
    Field,
    Provenance,
    RecordedEpisode,
    Spec,
    SpecMismatch,
    UnknownName,
)
from roboscale.dataset.alignment import (
    EMBODIMENT,
    Flatten,
    conflict_table,
    conflicts,
    flat_spec,
    role_name,
    unflatten,
)

XYZ = ("x", "y", "z")
RELATIVE = "relative to state at prediction"
CAMERA = "observation.images.cam0"
ALL = "per embodiment"
ARM = Spec(
    (
        Field("observation.state", (4,), "float32", unit="mixed", frame="base", layout=(*XYZ, "gripper_width")),
        Field(
            "action",
            (4,),
            "float32",
            unit="mixed",
            frame="base",
            layout=(*XYZ, "gripper_openness"),
            mode="relative to state at prediction",
        ),
        Field(CAMERA, (8, 6, 3), "uint8", role="wrist"),
    ),
    10,
)
HAND = Spec(
    (
        Field("observation.state", (2,), "float64", unit="rad", layout=("thumb", "finger")),
        Field("observation.effort", (2,), "float32", unit="N*m", layout=("thumb", "finger")),
        Field("action", (3,), "float64", unit="rad", layout=("thumb", "finger", "gripper_closedness")),
        Field("observation.images.eye", (8, 6, 3), "uint8", role="front"),
        Field("observation.images.palm", (8, 6, 3), "uint8", role="wrist"),
    ),
    10,
)
SPECS = {"arm": ARM, "hand": HAND}


def change(spec: Spec, name: str, /, **changes: object) -> Spec:
    return Spec(tuple(replace(f, **changes) if f.name == name else f for f in spec), spec.rate_hz)


def found(specs: Mapping[str, Spec], **options: bool) -> set[tuple[str, str, str]]:
    return {(c.field, c.what, c.reason) for c in conflicts(specs, **options)}


@pytest.mark.parametrize("spec", [ARM, HAND])
def test_a_declared_spec_has_no_conflict_with_itself(spec: Spec):
    assert conflicts({"a": spec, "b": spec, "c": spec}) == []
    assert conflicts({"a": spec}) == [] == conflicts({})


@pytest.mark.parametrize(
    ("name", "changes", "expected"),
    [
        (
            "action",
            {"shape": (5,), "layout": ()},
            {("action", "shape", "differs"), ("action", "layout", "not declared")},
        ),
        ("action", {"dtype": "float64"}, {("action", "dtype", "differs")}),
        ("action", {"unit": "m"}, {("action", "unit", "differs")}),
        ("action", {"unit": UNKNOWN}, {("action", "unit", "not declared")}),
        ("action", {"mode": "absolute"}, {("action", "mode", "differs")}),
        ("action", {"mode": UNKNOWN}, {("action", "mode", "not declared")}),
        ("action", {"frame": "world"}, {("action", "frame", "differs")}),
        ("action", {"frame": ""}, {("action", "frame", "not declared")}),
        ("action", {"side": "body"}, {("action", "side", "not declared")}),
        (
            "action",
            {"layout": (*XYZ, "gripper_closedness")},
            {("action", "layout", "differs"), ("action", "gripper", "differs")},
        ),
        (
            "action",
            {"layout": (*XYZ, "gripper")},
            {("action", "layout", "differs"), ("action", "gripper", "not declared")},
        ),
        (CAMERA, {"shape": (4, 6, 3)}, {("camera wrist", "size", "differs")}),
        (
            CAMERA,
            {"role": "front"},
            {("camera front", "presence", "missing"), ("camera wrist", "presence", "missing")},
        ),
        (
            CAMERA,
            {"role": ""},
            {(CAMERA, "role", "not declared"), ("camera wrist", "presence", "missing")},
        ),
        (CAMERA, {"name": "observation.images.other"}, set()),
    ],
)
def test_each_thing_that_differs_is_found_and_nothing_else(
    name: str, changes: dict[str, object], expected: set[tuple[str, str, str]]
):
    assert found({"a": ARM, "b": change(ARM, name, **changes)}) == expected


def test_rates_and_missing_fields():
    assert found({"a": ARM, "b": Spec(ARM.fields, 20)}) == {("", "rate_hz", "differs")}
    fewer = ARM.select(["action", CAMERA])
    assert found({"a": ARM, "b": fewer}) == {("observation.state", "presence", "missing")}
    twice = Spec((*ARM.fields, Field("observation.images.cam1", (8, 6, 3), "uint8", role="wrist")), 10)
    assert found({"a": twice}) == {("camera wrist", "role", "differs")}


def test_what_nobody_says_is_a_conflict_unless_copies_of_one_robot_are_compared():
    silent = change(change(ARM, "action", unit=UNKNOWN), CAMERA, role="")
    both = {"a": silent, "b": silent}
    assert {("action", "unit", "not declared")} <= found(both)
    assert found(both, undeclared=False) == set()
    assert found({"a": ARM, "b": change(ARM, "action", unit="m")}, undeclared=False) == {("action", "unit", "differs")}


def test_clocks_and_counters_need_no_unit():
    clock = Spec((*ARM.fields, Field("time.frame_ns", (1,), "int64", unit=UNKNOWN, mode=UNKNOWN)), 10)
    assert conflicts({"a": clock, "b": clock}) == []


def test_the_order_of_members_changes_nothing():
    specs = {"a": ARM, "b": HAND, "c": change(ARM, "action", unit=UNKNOWN)}
    tables = {conflict_table(conflicts({n: specs[n] for n in order})) for order in permutations(specs)}
    assert len(tables) == 1
    (table,) = tables
    assert "action: unit: differs\n    a  mixed\n    b  rad\n    c  not declared" in table
    assert len({str(flat_spec({n: SPECS[n] for n in order}).to_json()) for order in permutations(SPECS)}) == 1


def test_the_flat_spec_holds_the_largest_and_says_what_is_real():
    flat = flat_spec(SPECS)
    assert flat["action"].shape == (4,) and flat["action"].dtype == "float64"
    assert (flat["action"].unit, flat["action"].mode, flat["action"].layout) == (
        "per embodiment",
        "per embodiment",
        (),
    )
    assert flat["mask.action"].shape == (4,) and flat["mask.observation.state"].dtype == "bool"
    assert flat["observation.effort"].shape == (2,) and "mask.observation.effort" in flat
    assert [f.name for f in flat.images] == ["observation.images.front", "observation.images.wrist"]
    assert flat["mask.observation.images.front"].shape == (1,) and flat[EMBODIMENT].dtype == "int64"
    same = flat_spec({"one": ARM, "two": ARM})
    assert same["action"].layout == ARM["action"].layout and same["action"].mode == ARM["action"].mode
    assert "mask.action" in same, "loaders find the masks whatever is in the pool"


@pytest.mark.parametrize(
    ("specs", "message"),
    [
        ({"arm": ARM, "hand": Spec(HAND.fields, 30)}, "rates differ.*arm 10, hand 30"),
        ({"arm": change(ARM, CAMERA, shape=(4, 4, 3)), "hand": HAND}, "camera wrist: sizes differ"),
        (
            {"arm": change(ARM, CAMERA, role=""), "hand": HAND},
            "arm: .*cam0: its role is not declared",
        ),
        ({"arm": change(ARM, CAMERA, role="a/b")}, "letters, digits"),
        (
            {"arm": change(HAND, "observation.images.eye", role="wrist")},
            "palm have the role",
        ),
        ({"arm": change(ARM, "action", dtype="int64"), "hand": HAND}, "action: no dtype holds these exactly"),
        ({"arm": change(ARM, "action", dtype="bool"), "hand": HAND}, "truth values and numbers"),
        ({"arm": change(ARM, "action", name="mask.action")}, "adds this column itself"),
        (
            {
                "arm": change(ARM, "action", shape=(2, 2), layout=()),
                "hand": change(HAND, "action", shape=(3, 3), layout=()),
            },
            "only vectors can be padded",
        ),
    ],
)
def test_what_cannot_be_made_flat_is_refused(specs: dict[str, Spec], message: str):
    with pytest.raises(SpecMismatch, match=message):
        flat_spec(specs)


class Counted:
    """Pictures, each of one colour."""

    def __init__(self, count: int, shape: tuple[int, ...]) -> None:
        self.count, self.shape = count, shape

    def __len__(self) -> int:
        return self.count

    def __iter__(self):
        return (np.full(self.shape, 10 * t, np.uint8) for t in range(self.count))


def episode(spec: Spec, seed: int, frames: int = 5, cameras: bool = True) -> RecordedEpisode:
    rng = np.random.default_rng(seed)
    arrays = {f.name: (rng.normal(size=(frames, *f.shape)) * 100).astype(f.dtype) for f in spec if not f.is_image}
    pictures = {f.name: Counted(frames, f.shape) for f in spec.images} if cameras else {}
    return RecordedEpisode(
        key=f"e{seed}",
        arrays=arrays,
        pictures=pictures,
        instruction="wave",
        provenance=Provenance("test", embodiment="x"),
        id="ab" * 16,
    )


def equal(a: RecordedEpisode, b: RecordedEpisode) -> bool:
    arrays = a.arrays.keys() == b.arrays.keys() and all(
        np.array_equal(a.arrays[n], b.arrays[n]) and a.arrays[n].dtype == b.arrays[n].dtype for n in a.arrays
    )
    return (
        arrays
        and dict(a.pictures) == dict(b.pictures)
        and replace(a, arrays={}, pictures={}) == replace(b, arrays={}, pictures={})
    )


def test_flatten_fills_the_spec_and_keeps_the_numbers():
    edit = Flatten(SPECS, "arm")
    given_ = episode(ARM, 1)
    flat = edit(given_)
    assert set(flat.arrays) | set(flat.pictures) == set(edit.spec.names)
    for field in edit.spec:
        if not field.is_image:
            assert flat.arrays[field.name].shape == (5, *field.shape), field.name
            assert flat.arrays[field.name].dtype == field.dtype, field.name
    assert np.array_equal(flat.arrays["action"], given_.arrays["action"].astype("float64"))
    assert np.array_equal(flat.arrays["mask.observation.state"], np.ones((5, 4), bool))
    assert not flat.arrays["mask.observation.effort"].any() and not flat.arrays["observation.effort"].any()
    assert flat.arrays[EMBODIMENT].tolist() == [[0]] * 5
    assert flat.arrays["mask.observation.images.wrist"].all()
    assert not flat.arrays["mask.observation.images.front"].any()
    black = list(flat.pictures["observation.images.front"])
    assert len(black) == 5 and black[0].shape == (8, 6, 3) and not any(image.any() for image in black)
    assert flat.pictures["observation.images.wrist"] is given_.pictures[CAMERA]
    other = Flatten(SPECS, "hand")(episode(HAND, 2))
    assert other.arrays["mask.action"][0].tolist() == [True, True, True, False]
    assert other.arrays["action"][:, 3].tolist() == [0.0] * 5
    assert other.arrays[EMBODIMENT].tolist() == [[1]] * 5


@pytest.mark.parametrize("name", sorted(SPECS))
@pytest.mark.parametrize("cameras", [True, False])
def test_unflatten_takes_flatten_back(name: str, cameras: bool):
    given_ = episode(SPECS[name], 3, cameras=cameras)
    assert equal(unflatten(Flatten(SPECS, name)(given_), SPECS, name), given_)


DTYPES = st.sampled_from(["float32", "float64", "int16", "uint8"])


@st.composite
def robots(draw: st.DrawFn) -> dict[str, Spec]:
    names = draw(
        st.lists(st.sampled_from(["action", "observation.state", "observation.force"]), min_size=1, unique=True)
    )
    specs = {}
    for robot in draw(st.lists(st.sampled_from("abcd"), min_size=1, unique=True)):
        own = draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
        specs[robot] = Spec(tuple(Field(n, (draw(st.integers(1, 9)),), draw(DTYPES)) for n in own), 10)
    return specs


@given(robots(), st.integers(0, 1000), st.integers(1, 6))
def test_flattening_can_always_be_taken_back(specs: dict[str, Spec], seed: int, frames: int):
    for name, spec in specs.items():
        given_ = episode(spec, seed, frames)
        edit = Flatten(specs, name)
        flat = edit(given_)
        assert set(flat.arrays) == set(edit.spec.names)
        assert equal(unflatten(flat, specs, name), given_)
        for field in spec:
            if f"mask.{field.name}" in flat.arrays:
                assert flat.arrays[f"mask.{field.name}"].sum() == frames * field.shape[0]


def test_pictures_are_resized_only_on_request():
    small = {"arm": change(ARM, CAMERA, shape=(16, 12, 3)), "hand": HAND}
    edit = Flatten(small, "arm", resize=(4, 3))
    assert edit.spec["observation.images.wrist"].shape == (4, 3, 3)
    images = list(edit(episode(small["arm"], 0)).pictures["observation.images.wrist"])
    assert [image.shape for image in images] == [(4, 3, 3)] * 5
    assert [int(image.mean()) for image in images] == [0, 10, 20, 30, 40]


def test_a_clip_is_handed_on_and_resized_from_its_first_frame(tmp_path: Path):
    video = pytest.importorskip("roboscale.dataset.video")
    path = tmp_path / "clip.mp4"
    encoder = video.Encoder(path, (32, 32, 3), 10, "h264")
    for t in range(6):
        encoder.add(np.full((32, 32, 3), 40 * t, np.uint8))
    encoder.close()
    spec = {"arm": change(ARM, CAMERA, shape=(32, 32, 3))}
    clip = Clip(path, 2, 3)
    given_ = replace(episode(spec["arm"], 0, 3, cameras=False), pictures={CAMERA: clip})
    assert Flatten(spec, "arm")(given_).pictures["observation.images.wrist"] is clip
    resized = list(Flatten(spec, "arm", resize=(16, 16))(given_).pictures["observation.images.wrist"])
    assert [image.shape for image in resized] == [(16, 16, 3)] * 3
    assert [round(float(image.mean()) / 40) for image in resized] == [2, 3, 4]


def test_an_edit_travels_to_workers_and_says_the_same_of_itself():
    edit = Flatten(dict(reversed(SPECS.items())), "hand", resize=(4, 4))
    again = pickle.loads(pickle.dumps(edit))
    assert again == edit and repr(again) == repr(Flatten(SPECS, "hand", (4, 4)))
    with pytest.raises(UnknownName, match="arm, hand"):
        Flatten(SPECS, "leg")
    with pytest.raises(SpecMismatch, match="has no action"):
        Flatten(SPECS, "arm")(episode(ARM.select(["observation.state"]), 0))


def test_roles_name_cameras():
    assert role_name("wrist_left") == "observation.images.wrist_left"
    with pytest.raises(SpecMismatch):
        role_name("")
