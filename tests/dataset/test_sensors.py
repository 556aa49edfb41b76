"""Sensors of touch and force, what is said of cameras, whole attempts: told by their names as recorders write them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from roboscale import ImportDataset, import_dataset
from roboscale.core import Field, Provenance, RecordedEpisode, Spec, Stream
from roboscale.dataset import Dataset, DatasetWriter
from roboscale.dataset.audit import audit_folder
from roboscale.dataset.audit.evidence import EpisodeEvidence
from roboscale.dataset.audit.roles import infer_roles, named_role
from roboscale.dataset.audit.touch import judge_touch, look_at_touch
from roboscale.dataset.sensors import camera_fact_of, flags_of, recorded_success, touch_of
from roboscale.dataset.streams import stream_path, write_stream
from roboscale.web.show.framing import unpack_parts
from roboscale.web.show.library import Library
from tests.defects.clean_sets import clean

RATE_HZ = 20


@pytest.mark.parametrize(
    ("name", "shape", "kind"),
    [
        ("observation.tactile.right_finger", (30,), "taxels"),
        ("observation.tactile.right_finger.baseline", (30,), None),
        ("observation.tactile.right_finger.status", (4,), None),
        ("observation.tactile_f6", (10, 6), "wrench"),
        ("observation.tactile_force", (3,), "wrench"),
        ("observation.tactile.marker_flow_left", (63, 2), "points"),
        ("observation.wrench", (6,), "wrench"),
        ("observation.ft_sensor", (6,), "wrench"),
        ("sensor.force_left", (1,), "taxels"),
        ("observation.state", (6,), None),
        ("observation.effort", (7,), None),
        ("skeleton.points", (21, 3), None),
    ],
)
def test_the_kind_of_touch_is_told_by_name_and_shape(name: str, shape: tuple[int, ...], kind: str | None):
    assert touch_of(Field(name, shape, "float32")) == kind


def test_a_picture_of_a_skin_is_told_and_the_user_is_believed():
    assert touch_of(Field("observation.images.gelsight_left", (240, 320, 3), "uint8")) == "tactile picture"
    assert touch_of(Field("observation.images.front", (240, 320, 3), "uint8")) is None
    assert touch_of(Field("mystery", (12,), "float32", role="taxels")) == "taxels"


@pytest.mark.parametrize(
    ("name", "shape", "fact"),
    [
        ("observation.extrinsics.wrist", (4, 4), "extrinsics"),
        ("observation.camera_pose", (3, 4), "extrinsics"),
        ("camera.front.intrinsics", (3, 3), "intrinsics"),
        ("camera.front.distortion", (5,), "distortion"),
        ("observation.eef_pose", (7,), None),
    ],
)
def test_what_is_said_of_a_camera_is_no_state(name: str, shape: tuple[int, ...], fact: str | None):
    field = Field(name, shape, "float32")
    assert camera_fact_of(field) == fact
    assert (named_role(field).kind == "camera") == (fact is not None)


def test_another_action_beside_the_action_is_none():
    names = ("action", "complementary_info.policy_action", "applied.action", "complementary_info.is_intervention")
    spec = Spec(tuple(Field(name, (1,), "float32") for name in names), RATE_HZ)
    roles = infer_roles(spec, [], {})
    assert [roles.kind(name) for name in names] == ["action", "requested", "executed", "label"]
    alone = infer_roles(Spec((Field("raw_action", (6,), "float32"),), RATE_HZ), [], {})
    assert alone.kind("raw_action") == "action"


def test_flags_are_flags_only_where_they_are_0_or_1():
    spec = Spec((Field("next.success", (1,), "float32"),), RATE_HZ)
    assert recorded_success(spec, {"next.success": np.array([[0.0], [1.0]])}) is True
    assert recorded_success(spec, {"next.success": np.zeros((3, 1))}) is False
    assert recorded_success(spec, {"next.success": np.array([[0.2], [0.9]])}) is None
    assert flags_of(spec["next.success"], {}) is None


def _touched(position: int, values: np.ndarray) -> EpisodeEvidence:
    times = np.arange(len(values), dtype=np.int64) * 1_000_000
    episode = RecordedEpisode(
        key=str(position),
        arrays={"action": np.zeros((4, 1))},
        pictures={},
        instruction="",
        provenance=Provenance("test"),
        streams={"wrench": Stream(times, values, "N")},
    )
    seen = look_at_touch(episode, Spec((Field("action", (1,), "float32"),), RATE_HZ))
    return EpisodeEvidence(position=position, key=str(position), length=4, touch=seen)


def test_a_sensor_at_its_own_rate_is_looked_at():
    rng = np.random.default_rng(0)
    fine = [rng.normal(size=(400, 6)) for _ in range(6)]
    assert not list(judge_touch([_touched(i, rows) for i, rows in enumerate(fine)]))
    assert _touched(0, fine[0]).touch["wrench"].rate_hz == pytest.approx(1000)
    dead = [np.where(np.arange(6) == 4, 0.5, rows) for rows in fine]
    (found,) = judge_touch([_touched(i, rows) for i, rows in enumerate(dead)])
    assert found.check == "dead-taxel" and found.evidence["elements"] == ["[4]"]
    drifting = [rows + 3 * i * (np.arange(6) == 2) for i, rows in enumerate(fine)]
    (found,) = judge_touch([_touched(i, rows) for i, rows in enumerate(drifting)])
    assert found.check == "drifting-zero" and found.evidence["elements"] == ["[2]"]


def test_a_sensor_that_rests_at_zero_is_not_saturated():
    rng = np.random.default_rng(1)
    pushed = [np.clip(rng.normal(-0.5, 1, (300, 5)), 0, None) for _ in range(4)]
    for rows in pushed:
        rows[:10] = rows[-10:] = 0
    assert not list(judge_touch([_touched(i, rows) for i, rows in enumerate(pushed)]))


def test_facts_say_kind_unit_frame_and_rate(tmp_path: Path):
    report = audit_folder(clean(tmp_path / "set", "whole-attempts"), images=False)
    facts = report.facts["touch and force"]
    assert facts["observation.wrench"] == {
        "kind": "wrench",
        "shape": [6],
        "unit": "mixed",
        "frame": "wrist",
        "rate_hz": RATE_HZ,
    }
    assert facts["observation.tactile.left"]["kind"] == "taxels"
    assert report.facts["attempts"]["succeeded"] == 8
    assert report.facts["attempts"]["complementary_info.policy_action"] == {"share of frames unlike the action": 0.0}


def test_success_that_a_column_says_is_the_outcome_of_an_import(tmp_path: Path):
    root = clean(tmp_path / "set", "whole-attempts")
    for path in (root / "meta/roboscale/episodes").rglob("*.jsonl"):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        path.write_text("".join(json.dumps({**line, "outcome": None}) + "\n" for line in lines))
    import_dataset(ImportDataset(source=root, out=tmp_path / "out", workers=0))
    outcomes = [one.outcome for one in Dataset(tmp_path / "out").episodes]
    assert all(outcome is not None and outcome.success for outcome in outcomes)


def test_the_page_draws_sensors_at_their_own_rate(tmp_path: Path):
    root = tmp_path / "set"
    with DatasetWriter(
        root, Spec((Field("action", (1,), "float32"), Field("time.frame_ns", (1,), "int64")), 10)
    ) as out:
        take = out.begin("Press the button.", Provenance("test"))
        for t in range(5):
            take.add({"action": np.zeros(1, np.float32), "time.frame_ns": np.array([t * 10**8])})
        take.save()
    id_ = Dataset(root).episodes[0].id
    path = stream_path(root / "meta/roboscale/streams", "wrist.force", id_)
    path.parent.mkdir(parents=True)
    times = np.arange(0, 5 * 10**8, 10**7, dtype=np.int64)
    values = np.stack([times / 1e8, -times / 1e8, 0 * times], axis=1)
    write_stream(path, Stream(times, values, "N", ("fx", "fy", "fz")), "wrist.force")
    head, body = unpack_parts(Library(root).curves(0))
    group = next(one for one in head["groups"] if one["name"] == "wrist.force")
    assert group["names"] == ["fx", "fy", "fz"] and group["unit"] == "N" and "100 Hz" in group["mode"]
    drawn = np.frombuffer(body, "<f8").reshape(-1, 5)[-3:]
    np.testing.assert_allclose(drawn[:2], [np.arange(5), -np.arange(5)], atol=1e-9)
