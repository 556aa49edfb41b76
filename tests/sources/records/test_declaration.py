"""What the user says: it fills gaps, never overrules the format, and an error says what would be right."""

from __future__ import annotations

import pickle
import tomllib
from collections.abc import Collection
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roboscale.core import (
    UNKNOWN,
    BadData,
    Field,
    Origin,
    Provenance,
    RecordedEpisode,
    Spec,
    SpecMismatch,
    UnknownName,
)
from roboscale.sources.records.declaration import (
    Declaration,
    FieldDeclaration,
    declared,
    known_at,
    known_for,
    load_declaration,
    open_declared,
    parse_declaration,
    undeclared,
)
from roboscale.sources.records.formats import open_recording
from roboscale.sources.records.known import KNOWN
from tests.samples import lerobot

SPEC = Spec(
    (
        Field("observation.state", (7,), "float32", unit=UNKNOWN, mode=UNKNOWN),
        Field("action", (7,), "float32", unit=UNKNOWN, mode=UNKNOWN, frame="base"),
        Field("observation.images.image_0", (8, 8, 3), "uint8", layout=("height", "width", "channel")),
    ),
    5.0,
)


class InMemory:
    """A recording of two episodes; the second has an instruction and a robot of its own."""

    def __init__(self, root: Path, spec: Spec = SPEC, robot_type: str = "", licence: str = "") -> None:
        self.format, self.root, self.spec = "memory", root, spec
        self.robot_type, self.licence, self.keys = robot_type, licence, ("a", "b")
        self.origins = tuple(Origin(f.name, f"steps/{f.name.replace('.images', '').replace('.', '/')}") for f in spec)
        self.unmapped, self.missing, self.findings, self.closed = {}, {}, (), False

    def read(self, key: str, cameras: Collection[str] | None = None) -> RecordedEpisode:
        arrays = {f.name: np.ones((4, *f.shape), f.dtype) for f in self.spec if not f.is_image}
        own = Provenance("memory", embodiment="sawyer" if key == "b" else "")
        return RecordedEpisode(
            key=key, arrays=arrays, pictures={}, instruction="lift the lid" if key == "b" else "", provenance=own
        )

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def recording(tmp_path: Path) -> InMemory:
    return InMemory(tmp_path)


def write(folder: Path, text: str) -> Path:
    path = folder / "meaning.toml"
    path.write_text(text, "utf-8")
    return path


def test_a_declaration_fills_what_the_source_leaves_open(recording: InMemory, tmp_path: Path):
    path = write(
        tmp_path,
        """
        robot_type = "widowx"
        licence = "CC-BY-4.0"
        instruction = "put the pot away"
        [fields."action"]
        unit = "mixed"
        mode = "relative to state at prediction"
        side = "body"
        layout = ["x", "y", "z", "roll", "pitch", "yaw", "gripper_openness"]
        [fields."observation.images.image_0"]
        role = "external"
        """,
    )
    found = declared(recording, load_declaration(path))
    action = found.spec["action"]
    assert (action.unit, action.mode, action.side) == ("mixed", "relative to state at prediction", "body")
    assert action.layout[-1] == "gripper_openness" and action.frame == "base"
    assert (found.robot_type, found.licence, found.spec.rate_hz) == ("widowx", "CC-BY-4.0", 5.0)
    assert undeclared(found.spec) == ("observation.state",)
    first, second = found.read("a"), found.read("b")
    assert (first.instruction, second.instruction) == ("put the pot away", "lift the lid")
    assert (first.provenance.embodiment, second.provenance.embodiment) == ("widowx", "sawyer")
    assert first.provenance.licence == "CC-BY-4.0"
    assert np.array_equal(first.arrays["action"], recording.read("a").arrays["action"])
    found.close()
    assert recording.closed


def test_undeclared_names_numbers_and_cameras():
    assert undeclared(SPEC) == ("observation.state", "action", "observation.images.image_0")
    half = Spec((replace(SPEC["action"], unit="rad"),), 5.0)
    assert undeclared(half) == ("action",)
    assert undeclared(Spec((replace(half["action"], mode="absolute"),), 5.0)) == ()


def test_the_format_is_not_overruled_and_both_sides_are_named(tmp_path: Path):
    recording = InMemory(tmp_path, robot_type="franka")
    said = Declaration(robot_type="widowx", rate_hz=30, fields={"action": FieldDeclaration(frame="world", unit="rad")})
    with pytest.raises(SpecMismatch) as error:
        declared(recording, said)
    text = str(error.value)
    assert "action frame: the memory source says base, you say world" in text
    assert "rate_hz: the memory source says 5.0, you say 30" in text
    assert "robot_type: the memory source says franka, you say widowx" in text
    assert "unit" not in text, "nothing is wrong with filling a gap"


def test_a_rate_of_nothing_is_a_gap(tmp_path: Path):
    found = declared(InMemory(tmp_path, replace(SPEC, rate_hz=0.0)), Declaration(rate_hz=12.5))
    assert found.spec.rate_hz == 12.5


def test_a_field_that_is_not_there_lists_those_that_are(recording: InMemory):
    with pytest.raises(UnknownName, match=r"actoin.*did you mean action"):
        declared(recording, Declaration(fields={"actoin": FieldDeclaration(unit="m")}))
    with pytest.raises(SpecMismatch, match="layout names 2 of the 7"):
        declared(recording, Declaration(fields={"action": FieldDeclaration(layout=("x", "y"))}))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("robot = 'x'", r"unknown key in .*meaning\.toml: top level: 'robot'; did you mean robot_type"),
        ('[fields."a"]\nmoed = "x"', r"meaning\.toml: fields\.a: 'moed'; did you mean mode"),
        ('[fields."a.b"]\nunit = 3', r'fields\."a\.b"\.unit: expected text'),
        ('[fields."a"]\nlayout = ["x", "x"]', r"fields\.a\.layout: expected a list of different names"),
        ('[fields."a"]\nlayout = ["x", 3]', r"fields\.a\.layout\[1\]: expected text"),
        ("rate_hz = -3", r"rate_hz: expected a number above 0"),
        ("rate_hz = true", r"rate_hz: expected a number above 0"),
        ("rate_hz = nan", r"rate_hz: expected a number above 0"),
        ("licence = ''", r"licence: expected text that is not empty"),
        ("fields = 3", r"fields: expected a table, found 3"),
        ("fields = {a = 3}", r"fields\.a: expected a table, found 3"),
        ("robot_type = ", r"meaning\.toml: file: expected TOML"),
        ("a = " + "[" * 5000, r"meaning\.toml: file: expected TOML"),
    ],
)
def test_a_broken_declaration_names_file_key_and_what_is_valid(tmp_path: Path, text: str, expected: str):
    with pytest.raises((BadData, UnknownName), match=expected):
        load_declaration(write(tmp_path, text))


def test_files_that_are_none(tmp_path: Path):
    with pytest.raises(BadData, match="No such file"):
        load_declaration(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadData, match="TOML"):
        load_declaration(tmp_path / "binary.toml")
    (tmp_path / "large.toml").write_bytes(b"#" * (2**20 + 1))
    with pytest.raises(BadData, match="at most"):
        load_declaration(tmp_path / "large.toml")


TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12).filter(str.strip)
FIELD = st.builds(
    FieldDeclaration,
    unit=st.none() | TEXT,
    frame=st.none() | TEXT,
    layout=st.none() | st.lists(TEXT, min_size=1, max_size=4, unique=True).map(tuple),
    mode=st.none() | TEXT,
    side=st.none() | TEXT,
    branch=st.none() | TEXT,
    role=st.none() | TEXT,
)


@given(
    st.builds(
        Declaration,
        robot_type=st.none() | TEXT,
        licence=st.none() | TEXT,
        instruction=st.none() | TEXT,
        rate_hz=st.none() | st.floats(1e-3, 1e6),
        fields=st.dictionaries(TEXT, FIELD, max_size=3),
    )
)
def test_toml_gives_the_declaration_back(declaration: Declaration):
    text = declaration.to_toml({"": ["said by nobody"], "action": ["unit: rad or m"]})
    again = parse_declaration(tomllib.loads(text), "text")
    asked = {} if "action" in declaration.fields else {"action": FieldDeclaration()}
    assert again == replace(declaration, fields={**declaration.fields, **asked})


def bridge(folder: Path, name: str = "bridge_dataset") -> InMemory:
    (folder / name).mkdir()
    return InMemory(folder / name)


def test_a_known_dataset_fills_gaps_after_the_user(tmp_path: Path):
    recording = bridge(tmp_path)
    known = known_for(recording)
    assert known is KNOWN["bridge_dataset"]
    said = Declaration(fields={"observation.images.image_0": FieldDeclaration(role="over the shoulder")})
    found = declared(recording, said, known)
    assert found.spec["action"].layout[-1] == "gripper_openness"
    assert found.spec["action"].mode == "relative to state at prediction"
    assert found.spec["action"].unit == UNKNOWN, "nobody publishes it"
    assert found.spec["observation.images.image_0"].role == "over the shoulder"
    assert (found.robot_type, found.findings) == ("widowx", ())


def test_a_copy_that_differs_from_what_is_published_says_so(tmp_path: Path):
    (tmp_path / "bridge_dataset").mkdir()
    names = tuple(f"motor_{i}" for i in range(7))
    fields = tuple(replace(f, layout=names, mode="absolute") if f.name == "action" else f for f in SPEC)
    recording = InMemory(tmp_path / "bridge_dataset", Spec(fields, 10.0))
    found = declared(recording, Declaration(), known_for(recording))
    assert (found.spec.rate_hz, found.spec["action"].layout, found.spec["action"].mode) == (10.0, names, "absolute")
    assert {(f.check, f.severity, f.field, f.evidence["published"]) for f in found.findings} == {
        ("known-dataset-differs", "info", "", "5.0"),
        ("known-dataset-differs", "info", "action", "[x, y, z, roll, pitch, yaw, gripper_openness]"),
        ("known-dataset-differs", "info", "action", "relative to state at prediction"),
    }


def test_a_dataset_is_known_by_its_info_too_and_not_by_its_name_alone(tmp_path: Path):
    recording = bridge(tmp_path, "1.0.0")
    assert known_for(recording) is None
    (recording.root / "dataset_info.json").write_text('{"name": "bridge_dataset"}')
    assert known_for(recording) is KNOWN["bridge_dataset"] is known_at(recording.root)
    (recording.root / "dataset_info.json").write_text('{"name": ["no text"]}')
    assert known_for(recording) is None
    (tmp_path / "pusht").mkdir()
    other = InMemory(tmp_path / "pusht", SPEC.select(["observation.state", "action"]))
    assert known_at(other.root) is KNOWN["pusht"] and known_for(other) is None, "seven numbers are no x and y"


def test_a_declared_recording_can_be_opened_in_a_worker(tmp_path: Path):
    root = lerobot.write_v21(tmp_path / "arm", episodes=1)
    said = Declaration(fields={"action": FieldDeclaration(unit="rad", mode="absolute")})
    opener = partial(open_declared, partial(open_recording, root, "lerobot-v2.1"), said)
    found = pickle.loads(pickle.dumps(opener))()
    assert found.spec["action"].unit == "rad"
    assert len(found.read(found.keys[0], ())) > 0
