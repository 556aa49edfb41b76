"""Demonstrations: from disk to batches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from roboscale.core import BadData, Field, Provenance, Spec, SpecMismatch
from roboscale.dataset import DatasetWriter
from roboscale.policies.builtin import TrainConfig
from roboscale.policies.builtin.data import TrainingData, draw_batch, kept_frames, load_training_data, shifted_pictures
from roboscale.policies.builtin.normalise import Normaliser
from roboscale.policies.builtin.train import train

CAMERAS = ["observation.images.front"]


@pytest.fixture(scope="module")
def on_disk(
    make_toy: Callable[..., TrainingData], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, TrainingData]:
    data = make_toy(episodes=4, length=7)
    root = tmp_path_factory.mktemp("data") / "toy"
    with DatasetWriter(root, data.spec) as writer:
        for episode, text in enumerate(data.instructions):
            take = writer.begin(text, Provenance("test"))
            for frame in range(7 * episode, 7 * (episode + 1)):
                take.add({n: a[frame] for n, a in {**data.arrays, **data.images}.items()})
            take.save()
    return root, data


def test_loads_what_was_recorded(on_disk: tuple[Path, TrainingData]):
    root, data = on_disk
    loaded = load_training_data(root, TrainConfig())
    for name, array in data.arrays.items():
        np.testing.assert_array_equal(loaded.arrays[name], array)
    assert list(loaded.instructions) == list(data.instructions)
    assert loaded.lengths.tolist() == [7] * 4 and loaded.spec == data.spec
    (name,) = data.images
    difference = loaded.images[name].astype(int) - data.images[name]
    assert np.abs(difference).mean() < 4  # video is lossy


def test_state_inputs_decode_no_picture(on_disk: tuple[Path, TrainingData]):
    loaded = load_training_data(on_disk[0], TrainConfig(inputs="state"))
    assert not loaded.images and "observation.images.front" not in loaded.spec
    assert set(loaded.arrays) == {"observation.environment_state", "action"}


def test_a_small_budget_keeps_every_nth_frame_with_its_own_picture(on_disk: tuple[Path, TrainingData]):
    root, data = on_disk
    one_frame_mb = 32 * 32 * 3 / 1e6
    config = TrainConfig(image_budget_mb=1)
    whole = load_training_data(root, config)
    assert len(whole.frames) == 28 and one_frame_mb * 28 < 1
    cameras = list(data.spec.images)
    kept = kept_frames(data.lengths, cameras, one_frame_mb * 10)
    assert 8 <= len(kept) <= 12 and len(np.unique(kept % 7)) > 3


def test_training_runs_from_disk_and_knows_its_data_again(on_disk: tuple[Path, TrainingData], tmp_path: Path):
    config = TrainConfig(chunk=4, execute=2, steps=5, batch=8, width=16, channels=4, keypoints=2)
    first = train(on_disk[0], tmp_path / "out", config)
    assert first.summary.episodes == 4 and first.summary.frames == 28
    assert first.summary.instructions == tuple(sorted(set(on_disk[1].instructions)))
    assert train(on_disk[0], tmp_path / "out", config).summary == first.summary


def test_dataset_without_action_is_named(on_disk: tuple[Path, TrainingData], tmp_path: Path):
    data = on_disk[1]
    spec = data.spec.select(["observation.environment_state"])
    with DatasetWriter(tmp_path / "no-action", spec) as writer:
        take = writer.begin("nothing is done here, ever", Provenance("test"))
        take.add({"observation.environment_state": data.arrays["observation.environment_state"][0]})
        take.save()
    with pytest.raises(SpecMismatch, match="no action"):
        load_training_data(tmp_path / "no-action", TrainConfig(inputs="state"))


def test_nan_is_refused_with_its_place(toy: TrainingData):
    actions = toy.arrays["action"].copy()
    actions[23, 1] = np.nan
    with pytest.raises(BadData, match=r"toy: action: .* at frame 23, episode 2"):
        replace(toy, arrays={**toy.arrays, "action": actions})


def test_arrays_of_another_length_are_refused(toy: TrainingData):
    with pytest.raises(BadData, match=r"action: expected 400 frames, found 399"):
        replace(toy, arrays={**toy.arrays, "action": toy.arrays["action"][:-1]})


def test_no_demonstrations_are_refused(toy: TrainingData):
    nothing = {name: array[:0] for name, array in toy.arrays.items()}
    with pytest.raises(BadData, match="at least one"):
        replace(toy, arrays=nothing, images={}, frames=np.arange(0), lengths=np.zeros(0, int), instructions=[])


def test_commands_count_as_the_robot_executed_them(toy: TrainingData):
    assert np.abs(toy.arrays["action"]).max() > 1
    assert np.abs(toy.actions).max() == 1


def test_chunks_stay_inside_their_episode(toy: TrainingData):
    config = TrainConfig(chunk=6, execute=6, batch=200)
    batch = draw_batch(toy, config, 0)
    assert (batch.future // 10 == batch.episodes[:, None]).all()
    assert (batch.valid.sum(axis=1) == np.minimum(6, 10 - batch.frames % 10)).all()
    np.testing.assert_array_equal(batch.future[batch.valid], (batch.frames[:, None] + np.arange(6))[batch.valid])


def test_batches_follow_from_seed_and_step(toy: TrainingData):
    config = TrainConfig()
    same = draw_batch(toy, config, 3).frames, draw_batch(toy, config, 3).frames
    np.testing.assert_array_equal(*same)
    assert (draw_batch(toy, config, 4).frames != same[0]).any()
    assert (draw_batch(toy, replace(config, seed=1), 3).frames != same[0]).any()


def test_shifts_move_the_picture_by_at_most_what_was_said(toy: TrainingData):
    config = TrainConfig(shift=2, batch=50)
    batch = draw_batch(toy, config, 0)
    (shifted,) = shifted_pictures(toy, CAMERAS, batch, config, 0)
    original = toy.images["observation.images.front"][batch.rows]
    offsets = [
        np.argwhere(a[..., 0] == 255).mean(0) - np.argwhere(b[..., 0] == 255).mean(0)
        for a, b in zip(shifted, original, strict=True)
    ]
    assert np.abs(offsets).max() == 2 and len(np.unique(offsets, axis=0)) > 10
    (still,) = shifted_pictures(toy, CAMERAS, batch, replace(config, shift=0), 0)
    np.testing.assert_array_equal(still, original)


def test_normaliser_inverts_and_leaves_constants_alone():
    rng = np.random.default_rng(0)
    array = np.concatenate([rng.normal(3, 5, (100, 2)), np.full((100, 1), 7.0)], axis=1)
    normaliser = Normaliser.fit(array)
    forward = normaliser.forward(array)
    np.testing.assert_allclose(forward.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(forward.std(0), [1, 1, 0], atol=1e-5)
    np.testing.assert_allclose(normaliser.inverse(forward), array, rtol=1e-5)
    assert Normaliser.from_json(normaliser.to_json()).to_json() == normaliser.to_json()


@pytest.fixture(scope="module")
def driven(make_toy: Callable[..., TrainingData], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two episodes of ten frames; a person drove the last four of the second."""
    data = make_toy(episodes=2, length=10)
    root = tmp_path_factory.mktemp("data") / "driven"
    numbers = {n: a for n, a in data.arrays.items() if n != "observation.state"}
    fields = (*(data.spec[n] for n in numbers), Field("is_intervention", (1,), "bool"))
    with DatasetWriter(root, Spec(fields, data.spec.rate_hz)) as writer:
        for episode, text in enumerate(data.instructions):
            take = writer.begin(text, Provenance("test"))
            for frame in range(10 * episode, 10 * (episode + 1)):
                person = np.array([frame >= 16])
                take.add({**{n: a[frame] for n, a in numbers.items()}, "is_intervention": person})
            take.save()
    return root


def test_frames_that_a_person_drove_are_drawn_as_often_as_asked(driven: Path, small: TrainConfig):
    plain = load_training_data(driven, small)
    assert plain.frame_weights is None
    config = replace(small, intervention_weight=4.0, batch=4000)
    data = load_training_data(driven, config)
    frames = draw_batch(data, config, 0).frames
    assert (frames >= 16).mean() == pytest.approx(16 / 32, abs=0.03)  # 4 frames of weight 4, 16 of weight 1
    assert data.fingerprint != plain.fingerprint, "another draw is another training"
    alone = replace(config, autonomous_weight=0.0)
    frames = draw_batch(load_training_data(driven, alone), alone, 0).frames
    assert frames.min() == 16 and set(frames) == {16, 17, 18, 19}
    batch = draw_batch(load_training_data(driven, alone), alone, 1)
    assert (batch.future.max(axis=1) <= 19).all(), "what follows is still seen"


def test_weights_by_who_drove_need_to_know_it(driven: Path, on_disk: tuple[Path, TrainingData], small: TrainConfig):
    with pytest.raises(SpecMismatch, match="there is no is_intervention; it has observation.state"):
        load_training_data(on_disk[0], replace(small, intervention_weight=2.0))
    with pytest.raises(BadData, match="4 of 20 were driven by a person, found none"):
        load_training_data(driven, replace(small, intervention_weight=0.0, autonomous_weight=0.0))
    with pytest.raises(BadData, match="intervention_weight"):
        replace(small, intervention_weight=-1.0)
