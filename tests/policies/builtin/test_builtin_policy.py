"""The trained policy: what it reads, what it gives, and its files."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from roboscale.core import BadData, BatchedPolicy, Observation, SpecMismatch
from roboscale.policies.builtin import TrainConfig
from roboscale.policies.builtin.checkpoint import Summary, load_policy, read_manifest, save_policy
from roboscale.policies.builtin.data import TrainingData
from roboscale.policies.builtin.policy import BuiltinPolicy
from roboscale.policies.builtin.train import train


@pytest.fixture(scope="module")
def folder(toy: TrainingData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = TrainConfig(temperature=1.0, chunk=4, execute=2, steps=25, batch=16, width=32, channels=8, keypoints=4)
    return train(toy, tmp_path_factory.mktemp("policy") / "images", config).path


@pytest.fixture(scope="module")
def policy(folder: Path) -> BuiltinPolicy:
    return load_policy(folder)


def look(data: TrainingData, frame: int) -> Observation:
    names = ("observation.state", "observation.images.front")
    return {n: (data.images if "images" in n else data.arrays)[n][frame] for n in names}


def test_chunk_shape_and_specs(policy: BuiltinPolicy, toy: TrainingData):
    chunk = policy.start("a sentence nobody trained on", 0)(look(toy, 0))
    assert chunk.actions.shape == (4, 2) and chunk.execute == 2 and chunk.actions.dtype == np.float32
    assert policy.observation_spec == toy.spec.select(["observation.state", "observation.images.front"])
    assert policy.action_spec == toy.spec.select(["action"])
    assert isinstance(policy, BatchedPolicy) and policy.name == "images"


def test_images_policy_works_where_there_is_no_environment_state(policy: BuiltinPolicy, toy: TrainingData):
    assert policy.observation_spec is not None
    assert "observation.environment_state" not in policy.observation_spec
    assert np.isfinite(policy.start("", 0)(look(toy, 3)).actions).all()


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 9])
def test_many_at_once_answer_as_one_by_one(count: int, policy: BuiltinPolicy, toy: TrainingData):
    """Exactly: a last bit decides a contact, and a result must not depend on what else was running."""
    observations = [look(toy, 11 * i) for i in range(count)]
    sentences = [toy.instructions[i] for i in range(count)]
    alone = [policy.start(s, i)(o) for i, (s, o) in enumerate(zip(sentences, observations, strict=True))]
    together = policy.act_many([policy.start(s, i) for i, s in enumerate(sentences)], observations)
    for a, b in zip(alone, together, strict=True):
        np.testing.assert_array_equal(a.actions, b.actions)


def test_noise_follows_from_the_seed_and_moves_on(policy: BuiltinPolicy, toy: TrainingData):
    first, again, other = (policy.start("go", seed) for seed in (1, 1, 2))
    a = [first(look(toy, 0)).actions, first(look(toy, 0)).actions]
    b = [again(look(toy, 0)).actions, again(look(toy, 0)).actions]
    np.testing.assert_array_equal(a, b)
    assert (a[0] != a[1]).any() and (a[0] != other(look(toy, 0)).actions).any()


def test_without_temperature_there_is_no_chance(policy: BuiltinPolicy, toy: TrainingData):
    still = BuiltinPolicy(replace(policy.trained, config=replace(policy.trained.config, temperature=0.0)))
    a, b = (still.start("go", seed)(look(toy, 0)).actions for seed in (1, 2))
    np.testing.assert_array_equal(a, b)


def test_wrong_observation_is_named(policy: BuiltinPolicy, toy: TrainingData):
    session = policy.start("go", 0)
    with pytest.raises(SpecMismatch, match=r"observation.images.front: expected uint8\[32, 32, 3\]"):
        session({**look(toy, 0), "observation.images.front": np.zeros((16, 16, 3), np.uint8)})
    with pytest.raises(SpecMismatch, match=r"observation.state is missing"):
        session({"observation.images.front": look(toy, 0)["observation.images.front"]})


def test_a_foreign_session_is_refused(policy: BuiltinPolicy, folder: Path, toy: TrainingData):
    with pytest.raises(SpecMismatch, match="own sessions"):
        policy.act_many([load_policy(folder).start("go", 0)], [look(toy, 0)])


def test_saving_and_loading_keeps_every_action(policy: BuiltinPolicy, folder: Path, toy: TrainingData, tmp_path: Path):
    save_policy(tmp_path / "copy", policy, Summary.from_json(read_manifest(folder)["training"]))
    copy = load_policy(tmp_path / "copy")
    assert copy.trained.config == policy.trained.config and copy.observation_spec == policy.observation_spec
    for frame in range(5):
        a, b = (p.start("go", frame)(look(toy, frame)).actions for p in (policy, copy))
        np.testing.assert_array_equal(a, b)


def broken_copy(folder: Path, to: Path) -> Path:
    to.mkdir()
    for file in folder.iterdir():
        (to / file.name).write_bytes(file.read_bytes())
    return to


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("config", {"inputs": "images", "nonsense": 1}),
        ("config", 3),
        ("normalisation", {"state": {"mean": [0]}}),
        ("observation_spec", {"fields": []}),
        ("action_spec", None),
        ("format", "something else"),
        ("format_version", 99),
    ],
)
def test_a_manifest_that_lies_is_named(field: str, value: object, folder: Path, tmp_path: Path):
    copy = broken_copy(folder, tmp_path / "copy")
    manifest = json.loads((copy / "policy.json").read_text())
    (copy / "policy.json").write_text(json.dumps({**manifest, field: value}))
    with pytest.raises(BadData, match=rf"policy.json: {field.removesuffix('_version')}"):
        load_policy(copy)


@pytest.mark.parametrize("name", ["policy.json", "weights.safetensors"])
@pytest.mark.parametrize("damage", ["missing", "empty", "truncated"])
def test_a_broken_file_is_named(name: str, damage: str, folder: Path, tmp_path: Path):
    copy = broken_copy(folder, tmp_path / "copy")
    content = (copy / name).read_bytes()
    (copy / name).write_bytes(b"" if damage == "empty" else content[: len(content) // 2])
    if damage == "missing":
        (copy / name).unlink()
    with pytest.raises(BadData, match=name):
        load_policy(copy)


def test_weights_of_another_network_are_named(folder: Path, tmp_path: Path):
    copy = broken_copy(folder, tmp_path / "copy")
    manifest = json.loads((copy / "policy.json").read_text())
    manifest["config"]["width"] = 16
    (copy / "policy.json").write_text(json.dumps(manifest))
    with pytest.raises(BadData, match=r"weights.safetensors: .*: expected \(4, 16\)"):
        load_policy(copy)


def test_its_identity_is_what_it_computes(policy: BuiltinPolicy, folder: Path, tmp_path: Path):
    """Another folder, another name and a longer training of the same weights are the same policy."""
    moved = tmp_path / "moved"
    summary = replace(Summary.from_json(read_manifest(folder)["training"]), cpu_s=99.0)
    save_policy(moved, BuiltinPolicy(replace(policy.trained, name="another")), summary)
    assert load_policy(moved).identity == policy.identity == load_policy(folder).identity
    assert load_policy(moved).identity.name == "another" and policy.identity.verified
    config = replace(policy.trained.config, execute=1)
    action = replace(policy.trained.action, mean=policy.trained.action.mean + np.float32(1e-6))
    net = copy.deepcopy(policy.trained.net)
    next(net.parameters()).data += 1e-6
    changed = [
        replace(policy.trained, **{name: v}) for name, v in (("config", config), ("action", action), ("net", net))
    ]
    assert len({BuiltinPolicy(t).identity for t in changed} | {policy.identity}) == 4
