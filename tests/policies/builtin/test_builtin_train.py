"""Training: what is learned, and that it is the same after a kill."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from roboscale.core import BadData, InfrastructureError, SpecMismatch
from roboscale.policies.builtin import TrainConfig
from roboscale.policies.builtin.checkpoint import (
    TRAINING,
    WEIGHTS,
    load_policy,
    load_training_state,
    save_training_state,
)
from roboscale.policies.builtin.data import TrainingData
from roboscale.policies.builtin.train import train

KEYS = ("observation.state", "observation.environment_state")


def errors(path: Path, data: TrainingData) -> tuple[float, float]:
    """Mean absolute error of the policy's first action, and of the mean action, on `data`."""
    policy = load_policy(path)
    actions = data.actions
    found = []
    ends = np.cumsum(data.lengths)
    for frame in range(0, len(actions), 7):
        episode = int(np.searchsorted(ends, frame, side="right"))
        observation = {k: data.arrays[k][frame] for k in KEYS} | {k: v[frame] for k, v in data.images.items()}
        chunk = policy.start(data.instructions[episode], frame)(observation)
        found.append(chunk.rows[0] - actions[frame])
    mean = np.abs(actions - actions.mean(axis=0)).mean()
    return float(np.abs(found).mean()), float(mean)


@pytest.mark.parametrize("head", ["flow", "regression"])
def test_state_policy_beats_the_mean_on_unseen_episodes(
    head: str, toy: TrainingData, make_toy: Callable[..., TrainingData], small: TrainConfig, tmp_path: Path
):
    result = train(toy, tmp_path, replace(small, head=head, steps=400, width=64))
    ours, mean = errors(tmp_path, make_toy(seed=1))
    assert ours < 0.35 * mean
    losses = [loss for _, loss in result.summary.losses]
    assert losses[-1] < 0.6 * losses[0]


def test_image_policy_finds_the_goal_in_the_picture(
    toy: TrainingData, make_toy: Callable[..., TrainingData], small_images: TrainConfig, tmp_path: Path
):
    train(toy, tmp_path, replace(small_images, steps=300, width=64))
    ours, mean = errors(tmp_path, make_toy(seed=1))
    assert ours < 0.45 * mean


def test_same_seed_same_weights_and_another_seed_others(toy: TrainingData, small_images: TrainConfig, tmp_path: Path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        train(toy, tmp_path / name, replace(small_images, seed=seed, steps=25))
    a, b, c = ((tmp_path / name / WEIGHTS).read_bytes() for name in "abc")
    assert a == b != c


def test_both_precisions_learn_nearly_the_same(toy: TrainingData, small_images: TrainConfig, tmp_path: Path):
    config = replace(small_images, steps=25)
    one, other = (train(toy, tmp_path / p, replace(config, precision=p)) for p in ("bf16", "float32"))
    assert one.summary.losses[-1][1] == pytest.approx(other.summary.losses[-1][1], rel=0.02)
    assert one.summary.losses != other.summary.losses


KILLED = """
import json, os, signal, sys
from pathlib import Path
import importlib.util
spec = importlib.util.spec_from_file_location("toy", sys.argv[1])
toy = importlib.util.module_from_spec(spec); spec.loader.exec_module(toy)
from roboscale.policies.builtin import TrainConfig
from roboscale.policies.builtin.train import train
config = TrainConfig.from_json(json.loads(sys.argv[3]))
def progress(step, steps, loss):
    if step == 75:
        os.kill(os.getpid(), signal.SIGKILL)
train(toy.make_data(), Path(sys.argv[2]), config, progress=progress)
"""


def test_a_killed_run_resumes_to_the_same_weights(toy: TrainingData, small: TrainConfig, tmp_path: Path):
    config = replace(small, steps=150)
    toy_file = Path(__file__).with_name("conftest.py")
    command = [sys.executable, "-c", KILLED, str(toy_file), str(tmp_path / "killed"), json.dumps(config.to_json())]
    assert subprocess.run(command, check=False).returncode == -9
    resumed = train(toy, tmp_path / "killed", config)
    assert resumed.resumed_from == 50
    whole = train(toy, tmp_path / "whole", config)
    assert (tmp_path / "killed" / WEIGHTS).read_bytes() == (tmp_path / "whole" / WEIGHTS).read_bytes()
    assert [s for s, _ in resumed.summary.losses] == [s for s, _ in whole.summary.losses]
    assert resumed.summary.losses == whole.summary.losses


def interrupt_after_50(step: int, steps: int, loss: float) -> None:
    if step == 75:
        raise KeyboardInterrupt


def test_a_broken_training_checkpoint_is_named(toy: TrainingData, small: TrainConfig, tmp_path: Path):
    with pytest.raises(KeyboardInterrupt):
        train(toy, tmp_path, replace(small, steps=100), progress=interrupt_after_50)
    file = tmp_path / TRAINING
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    with pytest.raises(BadData, match=TRAINING):
        train(toy, tmp_path, replace(small, steps=100))
    file.write_bytes(content)
    loaded = load_training_state(tmp_path)
    assert loaded is not None
    tensors, about = loaded
    del tensors["net.head.out.bias"]
    save_training_state(tmp_path, tensors, about)
    with pytest.raises(BadData, match=f"{TRAINING}: tensors"):
        train(toy, tmp_path, replace(small, steps=100))


def test_a_full_disk_is_named_and_the_last_checkpoint_stays(
    toy: TrainingData, small: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    config = replace(small, steps=100)
    with pytest.raises(KeyboardInterrupt):
        train(toy, tmp_path, config, progress=interrupt_after_50)
    before = (tmp_path / TRAINING).read_bytes()

    def full(self: Path, content: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", full)
        with pytest.raises(InfrastructureError, match=r"safetensors: cannot be written: .*No space"):
            train(toy, tmp_path, config)
    assert [p.name for p in tmp_path.iterdir()] == [TRAINING] and (tmp_path / TRAINING).read_bytes() == before
    assert train(toy, tmp_path, config).resumed_from == 50


def test_a_finished_run_returns_at_once(toy: TrainingData, small: TrainConfig, tmp_path: Path):
    first = train(toy, tmp_path, small)
    calls: list[int] = []
    again = train(toy, tmp_path, small, progress=lambda step, steps, loss: calls.append(step))
    assert again.summary == first.summary and again.resumed_from == small.steps and calls == []
    assert sorted(p.name for p in tmp_path.iterdir()) == ["policy.json", "weights.safetensors"]


def test_progress_ends_at_the_last_step(toy: TrainingData, small: TrainConfig, tmp_path: Path):
    calls: list[tuple[int, int]] = []
    train(toy, tmp_path, replace(small, steps=60), progress=lambda step, steps, loss: calls.append((step, steps)))
    assert calls == [(25, 60), (50, 60), (60, 60)]


def test_another_config_or_other_data_is_refused(
    toy: TrainingData, make_toy: Callable[..., TrainingData], small: TrainConfig, tmp_path: Path
):
    train(toy, tmp_path, small)
    with pytest.raises(SpecMismatch, match=r"lr: there 0.005, asked 0.1"):
        train(toy, tmp_path, replace(small, lr=0.1))
    with pytest.raises(SpecMismatch, match="other data"):
        train(make_toy(seed=5), tmp_path, small)
    train(toy, tmp_path, replace(small, checkpoint_s=9.0))  # the one setting that changes no weight


def test_missing_input_is_named(toy: TrainingData, small: TrainConfig, tmp_path: Path):
    without = replace(toy, spec=toy.spec.select(["observation.state", "action"]))
    with pytest.raises(SpecMismatch, match=r"inputs 'state' need observation.environment_state"):
        train(without, tmp_path, small)
    with pytest.raises(SpecMismatch, match="need a camera"):
        train(without, tmp_path, replace(small, inputs="images"))


def test_diverging_training_says_so(toy: TrainingData, small: TrainConfig, tmp_path: Path):
    with pytest.raises(BadData, match="finite loss"):
        train(toy, tmp_path, replace(small, lr=1e30))
    assert not (tmp_path / "policy.json").exists()
