"""Roles are inferred: the same defects are found whatever the columns are called, and a guess is only a note."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from roboscale.cli.data_audit import lines
from roboscale.core import BadData, Episode, Field, Spec, UnknownName, new_episode_id
from roboscale.dataset import Dataset
from roboscale.dataset.audit import audit_folder, signals
from roboscale.dataset.audit.evidence import EpisodeEvidence, Options, examine_episode
from roboscale.dataset.audit.motion import judge_grippers
from roboscale.dataset.audit.roles import CONFIDENT, infer_roles, named_role, said_roles
from roboscale.dataset.audit.run import judge
from roboscale.dataset.lerobot import open_lerobot
from roboscale.jobs.data_audit import AuditDataset, audit_dataset
from tests.defects.clean_sets import KINDS, clean, write_set


def renamed(root: Path, out: Path, names: dict[str, str], *, copy: bool = False) -> Path:
    """The clean set at `root` with other names of its columns, and with actions that are the states."""
    dataset, episodes = Dataset(root), []
    fields = [dataclasses.replace(f, name=names.get(f.name, f.name)) for f in dataset.spec if f.name in names]
    spec = Spec(tuple(fields), dataset.spec.rate_hz)
    for i in range(len(dataset.episodes)):
        one = dataset.episode(i)
        arrays = {new: one.arrays["observation.state" if copy else old] for old, new in names.items()}
        id_ = new_episode_id(np.random.default_rng(i))
        said = {"instruction": one.instruction, "provenance": one.provenance, "outcome": one.outcome}
        episodes.append(Episode(id=id_, spec=spec, arrays=arrays, **said))
    return write_set(out, spec, episodes, "made-up")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("observation.state", "state"),
        ("state", "state"),
        ("actions", "action"),
        ("action.joint_position", "action"),
        ("obs.robot0_eef_pos", "pose"),
        ("observation.qpos", "state"),
        ("leader_joints", "action"),
        ("observation.joint_vel", "velocity"),
        ("qvel", "velocity"),
        ("observation.force", "effort"),
        ("gripper_width", "gripper"),
        ("next.reward", "label"),
        ("time.frame_ns", "clock"),
        ("mystery", "other"),
    ],
)
def test_a_name_says_what_a_field_is_for(name: str, kind: str):
    role = named_role(Field(name, (6,), "float32"))
    assert role.kind == kind and (role.confidence >= CONFIDENT) == (kind != "other") and role.why


@pytest.mark.parametrize("names", [("state", "actions"), ("obs.joint_pos", "actions"), ("qpos", "action")])
def test_actions_that_are_the_states_are_found_under_any_name(names: tuple[str, str], tmp_path: Path):
    root = clean(tmp_path / "clean", "no-camera")
    mine = dict(zip(("observation.state", "action"), names, strict=True))
    assert not audit_folder(renamed(root, tmp_path / "fine", mine)).findings
    report = audit_folder(renamed(root, tmp_path / "copied", mine, copy=True))
    assert ("action-copies-state", "warning") in {(f.check, f.severity) for f in report.findings}


def test_a_guessed_role_gives_notes_only_and_the_user_says_otherwise(tmp_path: Path):
    root = clean(tmp_path / "clean", "no-camera")
    mine = {"observation.state": "observation.state", "action": "mystery"}
    copied = renamed(root, tmp_path / "copied", mine, copy=True)
    guessed = audit_dataset(AuditDataset(dataset=copied, workers=0))
    assert guessed.report.facts["roles"]["mystery"]["confidence"] < CONFIDENT
    (note,) = [f for f in guessed.report.findings if f.check == "action-copies-state"]
    assert note.severity == "info" and "--role" in note.text
    assert any("taken for action: mystery" in line for line in lines(copied, guessed))
    said = audit_dataset(AuditDataset(dataset=copied, workers=0, role=("mystery=action",))).report
    assert [f.severity for f in said.findings if f.check == "action-copies-state"] == ["warning"]
    other = audit_dataset(AuditDataset(dataset=copied, workers=0, role=("mystery=other",))).report
    assert not other.findings


def test_a_role_that_cannot_be_is_one_clear_error():
    spec = KINDS["joint"][0]
    with pytest.raises(UnknownName, match="actoin"):
        said_roles(spec, ["action=actoin"])
    with pytest.raises(UnknownName, match="acton"):
        said_roles(spec, ["acton=action"])
    with pytest.raises(BadData, match="FIELD=KIND"):
        said_roles(spec, ["action"])


def evidence_of(root: Path) -> tuple[Spec, list[EpisodeEvidence]]:
    recording = open_lerobot(root)
    items = enumerate(recording.keys)
    return recording.spec, [examine_episode(recording, item, Options(images=False)) for item in items]


def test_places_among_picks_are_no_error(tmp_path: Path):
    spec, evidence = evidence_of(clean(tmp_path / "set", "joint"))
    roles = infer_roles(spec, [], {})

    def mirrored(one: EpisodeEvidence, *names: str) -> EpisodeEvidence:
        fields = dict(one.fields)
        for name in names:
            course = fields[name].course.copy()
            course[:, -1] = 1 - course[:, -1]
            fields[name] = dataclasses.replace(fields[name], course=course)
        return dataclasses.replace(one, fields=fields)

    places = [mirrored(e, "action", "observation.state") if e.position in (1, 5) else e for e in evidence]
    found = list(judge_grippers(places, spec, roles))
    assert found and {f.severity for f in found} == {"info"} and not any(f.repair for f in found)
    flipped = [mirrored(e, "action") if e.position == 5 else e for e in evidence]
    (sign,) = judge_grippers(flipped, spec, roles)
    assert sign.severity == "warning" and sign.episodes == (5,)


def test_the_flicker_of_a_locked_joint_is_no_spike(tmp_path: Path):
    def locked(episode: Episode) -> Episode:
        state = episode.arrays["observation.state"].copy()
        state[:, 3] = np.random.default_rng(0).choice([0, 1e-6, 2e-6, 3e-6, 4e-6, 5e-6], len(state))
        state[30, 3] = 0.0058  # a third of a degree
        return dataclasses.replace(episode, arrays={**episode.arrays, "observation.state": state})

    dataset = Dataset(clean(tmp_path / "clean", "no-camera"))
    episodes = [locked(dataset.episode(i)) for i in range(8)]
    report = audit_folder(write_set(tmp_path / "locked", dataset.spec, episodes, "made-up"))
    assert "spikes" not in {f.check for f in report.findings}


def test_a_quaternion_that_turns_into_its_negative_is_named_as_such():
    angle = np.linspace(0.3, 2, 60)[:, None] / 2
    axis = np.array([[1.0, 2.0, 2.0]]) / 3
    rows = np.concatenate([np.linspace(0, 1, 60)[:, None], np.cos(angle), axis * np.sin(angle)], axis=1)
    assert signals.sign_flips(rows) == ([], (1, 2, 3, 4))
    rows[20:21, 1:] *= -1
    rows[40:, 1:] *= -1
    assert signals.sign_flips(rows) == ([20, 21, 40], (1, 2, 3, 4))


def test_flips_are_a_finding_and_no_spikes():
    spec = Spec((Field("observation.state", (4,), "float32", layout=("qw", "qx", "qy", "qz")),), 20)
    row = np.zeros(4)
    from roboscale.dataset.audit.evidence import FieldEvidence

    field = FieldEvidence(
        low=row,
        high=row + 1,
        at_low=row.astype(int),
        at_high=row.astype(int),
        square=row,
        distinct=row.astype(int),
        same=np.arange(4),
        course=np.zeros((0, 0)),
        flips=(7,),
    )
    one = EpisodeEvidence(
        position=0, key="a", length=60, instruction="Turn the red cup around.", fields={"observation.state": field}
    )
    (found,) = [f for f in judge([one], spec) if f.check == "sign-flip"]
    assert [(s.episode, s.first) for s in found.spans] == [(0, 7)] and not found.repair


@pytest.mark.parametrize("lag", [1, 4])
def test_an_action_that_is_a_later_state_tells_its_lag(lag: int):
    state = np.cumsum(np.random.default_rng(lag).normal(size=(80, 3)).cumsum(axis=0), axis=0)
    action = np.concatenate([state[lag:], np.repeat(state[-1:], lag, axis=0)])
    pairs = [(i, i) for i in range(3)]
    assert signals.copied_lag(action, state, pairs, 20) == lag
    assert signals.copied_lag(action, state, [], 20) == lag, "without names, too"
    noisy = action + np.random.default_rng(0).normal(0, 1e-2, action.shape) * np.ptp(action, axis=0)
    assert signals.copied_lag(noisy, state, pairs, 20) is None


def test_an_angle_that_wraps_is_no_gripper_that_closes():
    t = np.linspace(0, 12, 200)[:, None]
    wrapped = (t + np.pi) % (2 * np.pi) - np.pi
    assert [frame for _, frame in signals.wraps(wrapped)] == [53, 157]
    assert [frame for _, frame in signals.wraps(np.rad2deg(wrapped))] == [53, 157]
    assert signals.wraps((t > 6).astype(float)) == []


def test_lines_are_short_and_one_for_each_kind(tmp_path: Path):
    root = clean(tmp_path / "clean", "no-camera")
    copied = renamed(root, tmp_path / "copied", {"observation.state": "state", "action": "actions"}, copy=True)
    done = audit_dataset(AuditDataset(dataset=copied, workers=0))
    printed = [line for line in lines(Path("copied"), done) if not line.lstrip().startswith("repair:")]
    assert all(len(line) <= 200 for line in printed)
    kinds = [line.split(":")[0] for line in printed if line.startswith(("  error", "  warning", "  info"))]
    assert len(kinds) == len(set(kinds)) > 0


def test_a_gripper_alone_does_not_tell_whether_actions_explain_an_arm():
    """Small moves of the tip beside joints, as SO-101 has them: only the gripper has a name in both."""
    moves = Field("action", (3,), "float32", layout=("target.dx", "target.dy", "gripper_openness"))
    joints = Field("observation.state", (2,), "float32", layout=("shoulder_pan.rad", "gripper_openness"))
    spec = Spec((joints, moves), 10.0)
    roles = infer_roles(spec, [], {})
    assert [(one.action, one.pairs) for one in roles.links(spec)] == [("action", ())]
    hand = Spec((joints, Field("action", (1,), "float32", layout=("gripper_openness",))), 10.0)
    assert [one.pairs for one in infer_roles(hand, [], {}).links(hand)] == [((0, 1),)]
