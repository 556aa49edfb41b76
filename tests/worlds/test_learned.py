"""A learned world is a world: it begins where somebody recorded, moves as that did, and knows its limits."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from roboscale.core import BadData, BatchedWorld, Case, Field, SpecMismatch, UnknownName
from roboscale.core.ensembles import SmallNets
from roboscale.jobs.learned import learned_folder, learned_parts, open_learned, read_gates
from roboscale.testing.world_checks import check_world
from roboscale.worlds.learned import LearnedWorld, find_elements, load_world
from roboscale.worlds.learned.features import TwinFrame
from tests.pusher_world import PusherWorld, record_pushes, steer


@pytest.fixture
def folder(learned_pusher: Path, tmp_path: Path) -> Path:
    """A copy of a pusher's twin, as it is before its gates are checked."""
    copied = tmp_path / "copied" / "twin"
    shutil.copytree(learned_pusher / "twin", copied)
    (copied / "gates.json").unlink()
    return copied


@pytest.fixture
def world(folder: Path) -> LearnedWorld:
    return learned_parts(folder)[0]


def test_it_keeps_the_promises_of_a_world(world: LearnedWorld):
    assert check_world(world, "push") == []
    assert isinstance(world, BatchedWorld) and world.info.kind == "learned"


def test_a_case_begins_where_somebody_recorded(world: LearnedWorld):
    seed = next(iter(world.info.listed["push"]))
    true = PusherWorld().start(Case("push", seed)).observe()["observation.state"]
    np.testing.assert_array_equal(world.start(Case("push", seed)).observe()["observation.state"], true)
    id_ = next(iter(world.starts._episodes))
    later = world.start(Case("push", f"episode:{id_}@5")).observe()["observation.state"]
    np.testing.assert_array_equal(later, world.starts._episodes[id_].states[5].astype(np.float32))
    for strange in (10_000, "episode:nobody@0", f"episode:{id_}@5000"):
        with pytest.raises(UnknownName):
            world.start(Case("push", strange))


def test_many_scenes_move_as_each_does_alone(world: LearnedWorld):
    cases = [Case("push", seed) for seed in world.info.listed["push"][:11]]
    alone, beside = ([world.start(case) for case in cases] for _ in range(2))
    rng = np.random.default_rng(0)
    for _ in range(15):
        actions = rng.uniform(-0.05, 0.05, (len(cases), 2)).astype(np.float32)
        for scene, action in zip(alone, actions, strict=True):
            scene.step(action)
        world.step_many(beside, actions)
    for one, other in zip(alone, beside, strict=True):
        np.testing.assert_array_equal(one.state, other.state)
        assert one.measures() == other.measures()


def test_what_is_imagined_is_near_to_what_happens(world: LearnedWorld):
    """Closed loop: the same pusher in the true and in the imagined world, twenty steps."""
    gaps, moved = [], []
    for seed in world.info.listed["push"][:12]:
        true, imagined = PusherWorld().start(Case("push", seed)), world.start(Case("push", seed))
        first = true.disc.copy()
        for _ in range(30):
            for scene in (true, imagined):
                hand, disc, goal = np.asarray(scene.observe()["observation.state"], float).reshape(3, 2)
                scene.step(steer(hand, disc, goal))
        gaps.append(np.linalg.norm(true.disc - imagined.state[2:4]))
        moved.append(np.linalg.norm(true.disc - first))
    assert np.median(gaps) < 0.25 * np.median(moved)


def test_the_identity_is_that_of_the_weights(folder: Path, tmp_path: Path):
    first = learned_parts(folder)[0].info.identity
    assert learned_parts(folder)[0].info.identity == first and first.verified
    other = tmp_path / "twin"
    shutil.copytree(folder, other)
    assert learned_parts(other)[0].info.identity == first
    with np.load(other / "judge.npz") as file:
        arrays = dict(file)
    arrays["judge.2.b"] = arrays["judge.2.b"] + np.float32(1e-3)
    np.savez(other / "judge.npz", **arrays)
    assert learned_parts(other)[0].info.identity != first


def test_a_broken_folder_is_one_clear_error(folder: Path, tmp_path: Path):
    with pytest.raises(BadData, match="world train"):
        load_world(tmp_path)
    for name, text in (("world.json", "{"), ("world.json", '{"format": "other"}'), ("twin.npz", "x")):
        other = tmp_path / name / str(len(text))
        shutil.copytree(folder, other)
        (other / name).write_text(text)
        with pytest.raises(BadData):
            load_world(other)


def test_the_name_says_folder_starts_and_gates(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(folder.parent)
    assert learned_folder("learned:a/b?starts=c&gates=off") == (Path("a/b"), {"starts": "c", "gates": "off"})
    assert learned_folder("metaworld") is None and learned_folder(str(folder)) == (folder, {})
    for wrong in ("learned:a?start=c", "learned:a?gates=maybe"):
        with pytest.raises(UnknownName):
            learned_folder(wrong)
    assert read_gates(folder, "") is None
    with pytest.raises(Exception, match="world check"):
        open_learned("learned:twin")
    assert any("no order of policies" in note for note in open_learned("learned:twin?gates=off").notes)


def test_starts_of_another_dataset(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(folder.parent)
    record_pushes(tmp_path / "more", 4, first=5000)
    world = open_learned(f"learned:twin?gates=off&starts={tmp_path / 'more'}")
    assert world.info.listed == {"push": (5000, 5001, 5002, 5003)}


def test_roles_of_elements_are_found_in_the_data():
    rng = np.random.default_rng(0)
    episodes = []
    for _ in range(5):
        x = np.cumsum(rng.normal(size=(30, 2)), axis=0)
        before = np.concatenate([x[:1], x[:-1]])
        goal = np.repeat(rng.normal(size=(1, 1)), 30, axis=0)
        episodes.append(np.concatenate([x, before[:, :1], 0.1 * x[:, 1:] + 2, goal, np.ones((30, 1))], axis=1))
    found = find_elements(("a.x", "a.y", "previous.a.x", "width", "goal", "one"), episodes)
    assert found.predicted == (0, 1) and found.shifted == {2: 0} and found.held == (4, 5)
    assert found.copies[3][0] == 1 and found.copies[3][1] == pytest.approx(0.1)
    with pytest.raises(SpecMismatch, match="nothing moves"):
        find_elements(("a",), [np.ones((5, 1))])


def test_a_planar_body_is_seen_alike_wherever_it_lies_and_turns():
    names = ("finger.x", "finger.y", "block.x", "block.y", "block.angle")
    rng = np.random.default_rng(1)
    episodes = [np.cumsum(rng.normal(0, 0.1, (40, 5)), axis=0) for _ in range(4)]
    action = Field("action", (2,), "float32", layout=("finger.x", "finger.y"))
    actions = np.concatenate(episodes)[:, :2] + 0.1
    frame = TwinFrame.fit(find_elements(names, episodes), episodes, actions, action, ("t",))
    assert frame.elements.body == (2, 3, 4) and frame.sent == (0, 1)
    now, before, then = (np.concatenate(episodes)[k : k + 20] for k in (1, 0, 2))
    turn, shift = 0.7, np.array([0.3, -0.2])
    c, s = np.cos(turn), np.sin(turn)

    def moved(x: np.ndarray) -> np.ndarray:
        y = x.copy()
        for pair in ([0, 1], [2, 3])[: x.shape[1] // 2]:
            y[:, pair] = x[:, pair] @ np.array([[c, s], [-s, c]]) + shift
        if x.shape[1] > 4:
            y[:, 4] += turn
        return y

    task = np.zeros(20, np.intp)
    seen = frame.inputs(now, before, actions[:20], task)
    again = frame.inputs(moved(now), moved(before), moved(actions[:20]), task)
    np.testing.assert_allclose(seen, again, atol=1e-4)
    steps, again_steps = frame.outputs_of(now, then)[0], frame.outputs_of(moved(now), moved(then))[0]
    np.testing.assert_allclose(steps, again_steps, atol=1e-6)


def test_networks_give_the_same_bits_in_any_batch():
    rng = np.random.default_rng(0)
    nets = SmallNets(
        tuple(rng.normal(size=(3, i, o)).astype(np.float32) for i, o in ((7, 33), (33, 5))),
        tuple(rng.normal(size=(3, 1, o)).astype(np.float32) for o in (33, 5)),
    )
    inputs = rng.normal(size=(29, 7)).astype(np.float32)
    whole = nets(inputs)
    for row in range(29):
        np.testing.assert_array_equal(nets(inputs[row : row + 1]), whole[:, row : row + 1])
    again = SmallNets.from_arrays(nets.arrays("a"), "a")
    np.testing.assert_array_equal(again(inputs), whole)
    with pytest.raises(KeyError):
        SmallNets.from_arrays({}, "a")


def test_the_manifest_names_what_was_left_out(folder: Path):
    said = json.loads((folder / "world.json").read_text())
    assert said["data"]["episodes"] + said["data"]["held_out"] == 300
    assert any("labelled by their outcome" in note for note in said["data"]["notes"])
