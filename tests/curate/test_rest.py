"""Which frames count as rest, whatever the command means, and that what is left of an episode stays one episode."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from roboscale import CurateDataset, FixDataset, curate_dataset, fix_dataset
from roboscale.core import BadData, Episode, Field, Provenance, RoboscaleError, Spec, new_episode_id
from roboscale.curate.rest import moving_frames
from roboscale.curate.selection import read_selection
from roboscale.dataset import Dataset
from roboscale.dataset.streams import FRAME_TIMES
from roboscale.policies.builtin import TrainConfig
from roboscale.policies.builtin.data import load_training_data
from tests.defects.clean_sets import write_set

HZ = 20.0
STATE = Field("observation.state", (3,), "float32", unit="m", layout=("x", "y", "gripper_width"))
GOAL = Field("observation.environment_state", (2,), "float32", unit="m")
DELTA = Field("action", (3,), "float32", layout=("dx", "dy", "gripper"), mode="relative to previous action")
PLACE = Field("action", (3,), "float32", unit="m", layout=("x", "y", "gripper"))
CAMERA = Field("observation.images.front", (16, 16, 3), "uint8")


def legs(*motions: tuple[int, float, float]) -> np.ndarray:
    """(T, 3) steps: so many frames of a motion in x and a gripper's command."""
    return np.concatenate([np.tile((step, 0.0, grip), (count, 1)) for count, step, grip in motions])


def recorded(root: Path, action: Field, actions: np.ndarray, states: np.ndarray, *, camera: bool = False) -> Path:
    """Two equal episodes."""
    clock = Field(FRAME_TIMES, (1,), "int64", unit="ns")
    spec = Spec((STATE, GOAL, action, clock, *([CAMERA] if camera else [])), HZ)
    arrays = {
        STATE.name: states.astype(np.float32),
        GOAL.name: states[:, :2].astype(np.float32),
        "action": actions.astype(np.float32),
        FRAME_TIMES: (np.arange(len(actions))[:, None] * 50_000_000).astype(np.int64),
    }
    if camera:
        level = np.arange(len(actions), dtype=np.uint8)[:, None, None, None]
        arrays[CAMERA.name] = np.broadcast_to(3 * level, (len(actions), 16, 16, 3)).copy()
    rng = np.random.default_rng(0)
    made = [
        Episode(id=new_episode_id(rng), spec=spec, arrays=arrays, instruction="go", provenance=Provenance("test"))
        for _ in range(2)
    ]
    return write_set(root, spec, made, "dot")


def states_of(deltas: np.ndarray) -> np.ndarray:
    """Where such steps lead, with the gripper as wide as it is told, over four frames."""
    at = np.concatenate([np.zeros((1, 2)), np.cumsum(deltas[:-1, :2], axis=0)])
    width = np.convolve(np.concatenate([np.full(3, deltas[0, 2]), deltas[:, 2]]), np.full(4, 0.25), "valid")
    return np.concatenate([at, width[:, None]], axis=1)


def moving_of(root: Path) -> list[int]:
    """Frames of the first episode that are no rest."""
    return np.flatnonzero(moving_frames(Dataset(root))[0][: Dataset(root).episodes[0].length]).tolist()


STEPS = legs((6, 0, 0), (8, 0.05, 0), (5, 0, 0), (6, 0.005, 0), (10, 0, 1), (8, -0.05, 1), (7, 0, 1))
"""A pause, fast, a pause, slowly, a grip that is waited for, back, a pause; from 0, 6, 14, 19, 25, 35 and 43."""


@pytest.mark.parametrize("unit", [1.0, 1000.0])
def test_what_says_how_far_rests_where_it_is_zero_in_any_unit(tmp_path: Path, unit: float):
    deltas = STEPS * (unit, 1, 1)
    deltas[:, 1] += 1e-16 * unit  # what a cosine leaves
    root = recorded(tmp_path / "set", DELTA, deltas, states_of(deltas))
    grip, end = [25, 26, 27, 28], [48, 49]
    assert moving_of(root) == [*range(6, 14), *range(19, 25), *grip, *range(35, 43), *end]


def test_what_says_where_rests_where_neither_it_nor_the_arm_moves(tmp_path: Path):
    states = states_of(STEPS)
    goals = np.concatenate([states[1:], states[-1:]])  # the arm is a frame behind
    noise = np.random.default_rng(0).normal(0, 1e-4, states.shape)
    moving = moving_of(recorded(tmp_path / "set", PLACE, goals, states + noise))
    assert {*range(6, 14), *range(20, 25), *range(25, 29), *range(35, 43)} <= set(moving)
    assert not {*range(5), *range(16, 18), *range(30, 34), *range(45, 48)} & set(moving)
    late = np.concatenate([np.repeat(goals[:1], 3, axis=0), np.repeat(goals[-1:], len(goals) - 3, axis=0)])
    assert set(range(6, 13)) <= set(moving_of(recorded(tmp_path / "one goal", PLACE, late, states))), "it still goes"


def test_what_nobody_says_the_meaning_of_rests_where_all_stands_still(tmp_path: Path):
    unknown = Field("action", (3,), "float32", layout=DELTA.layout, mode="unknown")
    root = recorded(tmp_path / "set", unknown, STEPS, states_of(STEPS))
    assert {*range(6, 14), *range(19, 25), *range(35, 43)} <= set(moving_of(root)) < set(range(50))
    assert moving_frames(Dataset(root))[1] == (
        "action is 'unknown': a frame rests where neither it nor observation.state changes",
    )


def test_a_gripper_that_nobody_names_is_told_by_its_two_values(tmp_path: Path):
    nameless = Field("action", (3,), "float32", mode="relative to previous action")
    steps = STEPS * (1, 1, 2) - (0, 0, 1)
    root = recorded(tmp_path / "set", nameless, steps, states_of(STEPS))
    assert moving_of(root)[:8] == list(range(6, 14))
    assert moving_frames(Dataset(root))[1] == ("[2] of action has two values and is never 0: taken for a gripper",)


def test_the_pieces_are_one_episode_to_whoever_learns_or_copies(tmp_path: Path):
    root = recorded(tmp_path / "set", DELTA, STEPS, states_of(STEPS), camera=True)
    rests = tmp_path / "rest.json"
    done = curate_dataset(CurateDataset(dataset=root, out=rests, method="rest"))
    kept = moving_of(root)
    assert (done.cut.frames, done.cut.seconds) == (2 * (50 - len(kept)), 2 * (50 - len(kept)) / HZ)
    parts = read_selection(rests).of(Dataset(root))
    assert [part.follows for part in parts] == [False, True, True, True] * 2
    data = load_training_data(root, TrainConfig(inputs="images", auxiliary=()), parts=parts)
    assert data.lengths.tolist() == [len(kept)] * 2 and len(data.instructions) == 2
    np.testing.assert_array_equal(data.arrays["action"][: len(kept)], STEPS[kept].astype(np.float32))
    levels = data.images[CAMERA.name][: len(kept)].mean(axis=(1, 2, 3))
    np.testing.assert_allclose(levels, 3 * np.array(kept), atol=3)
    copy = fix_dataset(FixDataset(dataset=root, out=tmp_path / "moving", selection=rests, workers=0))
    assert (copy.episodes, copy.frames, set(copy.joined.values())) == (2, 2 * len(kept), {4})
    moved = Dataset(tmp_path / "moving")
    np.testing.assert_array_equal(moved.arrays("action"), data.arrays["action"])
    np.testing.assert_array_equal(moved.arrays(FRAME_TIMES)[: len(kept), 0], np.array(kept) * 50_000_000)
    shown = moved.decode(0, CAMERA.name).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(shown, 3 * np.array(kept), atol=4)


def test_what_cannot_be_told_or_chosen_is_refused(tmp_path: Path):
    still = recorded(tmp_path / "still", DELTA, 0 * STEPS, states_of(0 * STEPS))
    with pytest.raises(RoboscaleError, match="nothing is kept: nothing is asked of the robot in any frame"):
        curate_dataset(CurateDataset(dataset=still, out=tmp_path / "s.json", method="rest"))
    with pytest.raises(RoboscaleError, match="take one of them"):
        CurateDataset(dataset=still, out=tmp_path / "s.json", method="rest", keep=0.5, budget=1.0).check()
    with pytest.raises(RoboscaleError, match="say how much to keep"):
        CurateDataset(dataset=still, out=tmp_path / "s.json", method="length").check()
    root = recorded(tmp_path / "set", DELTA, STEPS, states_of(STEPS))
    rests = tmp_path / "rest.json"
    curate_dataset(CurateDataset(dataset=root, out=rests, method="rest"))
    text = rests.read_text()
    rests.write_text(text.replace('"follows": false', '"follows": true'))
    with pytest.raises(BadData, match="a first range of episode .* that follows nothing"):
        read_selection(rests)
    rests.write_text(text.replace('"weight": 1.0', '"weight": 2.0', 1))
    with pytest.raises(BadData, match="one weight in episode"):
        read_selection(rests)
