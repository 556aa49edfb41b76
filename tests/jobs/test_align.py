"""Actions of different robots in one space, by what is declared; whoever does not say is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from roboscale import AlignDatasets, PoolDatasets, align_datasets, pool_datasets
from roboscale.core import Field, Pose, Provenance, Spec, SpecMismatch
from roboscale.dataset import Dataset, DatasetWriter
from roboscale.dataset.canonical import SPACES, alignment_of

STATE, ACTION = "observation.state", "action"
QUAT = ("tip.x", "tip.y", "tip.z", "tip.qw", "tip.qx", "tip.qy", "tip.qz")
MOVES = ("tip.dx", "tip.dy", "tip.dz", "tip.rotvec.x", "tip.rotvec.y", "tip.rotvec.z", "gripper_effort")
FROM = "relative to state at prediction"


def field(name: str, layout: tuple[str, ...], **said: object) -> Field:
    return Field(name, (len(layout),), "float32", layout=layout, **{"unit": "mixed", "frame": "world", **said})


ROBOTS = {
    "panda": Spec(  # robosuite's operational space, as its guest declares it
        (field(STATE, (*QUAT, "gripper_width")), field(ACTION, MOVES, unit="0.05 m; 0.5 rad", mode=FROM)), 20.0
    ),
    "umi": Spec(  # a handheld capture: where the hand is to be, seen from itself
        (
            field(STATE, (*(n.removeprefix("tip.") for n in QUAT), "gripper_closedness")),
            field(
                ACTION,
                (*(n.removeprefix("tip.") for n in QUAT), "gripper_closedness"),
                mode="relative to the state at prediction",
                side="body",
                frame="end effector at prediction",
            ),
        ),
        20.0,
    ),
    "fetch": Spec(  # absolute poses
        (field(STATE, QUAT), field(ACTION, (*QUAT, "gripper_openness"), mode="absolute")),
        20.0,
    ),
}
GOLDEN = Pose.make([1, 2, 3], np.deg2rad([70, 50, 30]), "rpy")


def rows(spec: Spec, rng: np.random.Generator, count: int = 30) -> tuple[np.ndarray, np.ndarray]:
    """States around the golden pose, and actions of about a step."""
    states = rng.uniform(0, 1, (count, spec[STATE].shape[0]))
    states[:, :3] = GOLDEN.translation + rng.normal(0, 0.1, (count, 3))
    turns = [Pose.make(np.zeros(3), rng.normal(0, 0.3, 3), "rotvec") @ GOLDEN for _ in range(count)]
    states[:, 3:7] = [turn.as_layout("quat_wxyz") for turn in turns]
    actions = rng.uniform(-1, 1, (count, spec[ACTION].shape[0]))
    if spec[ACTION].layout[-1] != "gripper_effort":
        actions[:, 3:7] = [turn.as_layout("quat_wxyz") for turn in turns[::-1]]
    return states.astype(np.float32), actions.astype(np.float32)


@pytest.mark.parametrize("space", ["eef-delta", "relative-eef"])
@pytest.mark.parametrize("robot", ROBOTS)
def test_there_and_back(robot: str, space: str):
    states, actions = rows(ROBOTS[robot], np.random.default_rng(0))
    alignment = alignment_of(ROBOTS[robot], space)
    canonical = alignment.forward(actions, states)
    assert canonical.shape == (30, 7)
    assert alignment.error(actions, alignment.back(canonical, states)) < 1e-5


def test_the_same_motion_is_the_same_number_for_every_robot():
    here, aim = GOLDEN, GOLDEN @ Pose.make([0.02, -0.01, 0.03], [0.1, 0.2, -0.1], "rotvec")
    quat = [np.concatenate([one.translation, one.as_layout("quat_wxyz")]) for one in (here, aim)]
    move = here.inverse() @ aim
    turn = Pose(aim.rotation @ here.rotation.T, np.zeros(3)).as_layout("rotvec")
    said = {
        "panda": [*(aim.translation - here.translation) / 0.05, *turn / 0.5, 1.0],
        "umi": [*move.translation, *move.as_layout("quat_wxyz"), 1.0],
        "fetch": [*quat[1], 0.0],
    }
    for space, expected in (
        ("eef-delta", [*(aim.translation - here.translation), *turn, 1.0]),
        ("relative-eef", [*move.translation, *move.as_layout("rotvec"), 1.0]),
    ):
        for robot, action in said.items():
            state = np.concatenate([quat[0], np.zeros(ROBOTS[robot][STATE].shape[0] - 7)])
            made = alignment_of(ROBOTS[robot], space).forward(np.array([action]), state[None])
            np.testing.assert_allclose(made[0], expected, atol=1e-6, err_msg=f"{robot} {space}")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"mode": "unknown"}, "nobody says from what"),
        ({"mode": "relative to previous action"}, "the place that it counts from is not recorded"),
        ({"unit": "1"}, "expected a unit with m"),
        ({"layout": ()}, "its elements have no names"),
        ({"layout": (*MOVES[:6], "gripper")}, "expected one of gripper_closedness"),
        ({"layout": (*MOVES[:5], "elbow", "gripper_effort")}, "rotvec.z are not among"),
    ],
)
def test_what_is_not_declared_is_refused(change: dict, why: str):
    panda = ROBOTS["panda"]
    spec = Spec((panda[STATE], replace(panda[ACTION], **change)), 20.0)
    with pytest.raises(SpecMismatch, match=why):
        alignment_of(spec, "eef-delta")


def test_metaworld_is_refused_since_its_moves_count_from_the_last_target():
    from roboscale.worlds.simulated.metaworld import _action_spec, _observation_spec

    spec = Spec((_observation_spec(96)[STATE], *_action_spec()), 10.0)
    for space in SPACES:
        with pytest.raises(SpecMismatch, match="counts from"):
            alignment_of(spec, space)


def write(root: Path, robot: str, seed: int) -> Path:
    states, actions = rows(ROBOTS[robot], np.random.default_rng(seed))
    with DatasetWriter(root, ROBOTS[robot], robot_type=robot) as writer:
        take = writer.begin("put the cup on the plate", Provenance("test"))
        for state, action in zip(states, actions, strict=True):
            take.add({STATE: state, ACTION: action})
        take.save()
    return root


def test_a_pool_becomes_one_dataset(tmp_path: Path):
    members = tuple(write(tmp_path / robot, robot, n) for n, robot in enumerate(ROBOTS))
    pool_datasets(PoolDatasets(pool=tmp_path / "pool", members=members, workers=0))
    asked = AlignDatasets(pool=tmp_path / "pool", out=tmp_path / "one", space="eef-delta", workers=0)
    done = align_datasets(asked)
    assert done.members == {"fetch": 1, "panda": 1, "umi": 1} and done.error < 1e-5
    one = Dataset(tmp_path / "one")
    assert one.spec[ACTION].layout[-1] == "gripper_closedness" and one.spec[ACTION].mode == FROM
    assert [e.provenance.details["dataset"] for e in one.episodes] == ["fetch", "panda", "umi"]
    panda = Dataset(tmp_path / "panda")
    back = alignment_of(panda.spec, "eef-delta").back(one.arrays(ACTION)[30:60], panda.arrays(STATE))
    np.testing.assert_allclose(back, panda.arrays(ACTION), atol=1e-5)
    with pytest.raises(SpecMismatch, match=r"joint: 3 of 3 are refused(.|\n)*tip\.x"):
        align_datasets(replace(asked, out=tmp_path / "two", space="joint"))
