"""Pose replay: scenes that are moved and turned, in a world without physics in which a turn that is missing fails.

The tip goes half of the way to where it is sent at each step. A block comes along with a closed gripper that is at its
handle, turned as the handle is; it is put onto a post, turned as the post is.
"""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from roboscale.core import Episode, Field, Observation, PolicyError, Pose, Provenance, Spec, SpecMismatch
from roboscale.sources.simulation import PoseReplay, SegmentReplay, replay_of
from roboscale.sources.simulation.pose_demonstration import PoseAction, PoseDemonstration
from roboscale.sources.simulation.pose_segments import find_pose_segments
from tests.sources import scripted

STATE, THINGS = "observation.state", "observation.environment_state"
PARTS = ("x", "y", "z", "qw", "qx", "qy", "qz")
SPEC = Spec(
    (
        Field(STATE, (8,), "float32", layout=(*(f"tip.{p}" for p in PARTS), "gripper_width")),
        Field(THINGS, (14,), "float32", layout=tuple(f"{thing}.{p}" for thing in ("block", "post") for p in PARTS)),
        Field(
            "action",
            (7,),
            "float32",
            unit="0.05 m; 0.5 rad; gripper_effort 1",
            layout=(*(f"tip.d{a}" for a in "xyz"), *(f"tip.rotvec.{a}" for a in "xyz"), "gripper_effort"),
            mode="relative to state at prediction",
            low=(-1.0,) * 7,
            high=(1.0,) * 7,
        ),
    ),
    20.0,
)
GOLDEN = (
    Pose.make((0, 0, 0), (0, 0, np.deg2rad(30)), "rotvec")
    @ Pose.make((0, 0, 0), (0, np.deg2rad(50), 0), "rotvec")
    @ Pose.make((0, 0, 0), (np.deg2rad(70), 0, 0), "rotvec")
)
HOME = Pose(GOLDEN.rotation, np.array([0.0, 0.0, 0.3]))
BLOCK_FROM_HANDLE = Pose.make((0.0, 0.03, 0.02), (0.4, -0.7, 0.2), "rotvec")
POST_FROM_BLOCK = Pose.make((0.0, 0.0, 0.05), (0, 0, 0.3), "rotvec")
ACTION = PoseAction.of(SPEC["action"])


def pose(x: float, y: float, turn: float) -> Pose:
    return Pose.make((x, y, 0.05), (0, 0, turn), "rotvec")


class Scene:
    """A tip, a block and a post."""

    def __init__(self, block: Pose, post: Pose, slip: Pose | None = None) -> None:
        self.tip, self.block, self.post = HOME, block, post
        self.closed, self.slip = False, slip or Pose.identity()
        self.held: Pose | None = None

    def observe(self) -> Observation:
        def flat(one: Pose) -> np.ndarray:
            return np.concatenate([one.translation, one.as_layout("quat_wxyz")])

        own = np.concatenate([flat(self.tip), [0.0 if self.closed else 0.08]])
        around = np.concatenate([flat(self.block), flat(self.post)])
        return {STATE: own.astype(np.float32), THINGS: around.astype(np.float32)}

    def step(self, action: np.ndarray) -> None:
        self.tip = ACTION.aim(self.tip, 0.5 * np.asarray(action, np.float64))
        closed = bool(action[6] > 0)
        if closed and not self.closed:
            metres, radians = self.tip.distance(self.block @ BLOCK_FROM_HANDLE)
            if metres < 0.015 and radians < 0.15:
                self.held = self.tip.inverse() @ self.block @ self.slip  # it turns a little in the fingers
        if not closed:
            self.held = None
        self.closed = closed
        if self.held is not None:
            self.block = self.tip @ self.held

    @property
    def success(self) -> bool:
        metres, radians = self.block.distance(self.post @ POST_FROM_BLOCK)
        return metres < 0.01 and radians < 0.1 and not self.closed


def demonstration(block: Pose, post: Pose, name: str = "shown", away: bool = True) -> Episode:
    """A person who knows where the handle is."""
    scene, frames = Scene(block, post), []

    def go(aim: Pose, gripper: float, steps: int) -> None:
        for _ in range(steps):
            seen = scene.observe()
            action = ACTION.towards(scene.tip, aim, np.array([gripper]))
            scene.step(action)
            frames.append({**seen, "action": action})

    above = Pose(np.eye(3), np.array([0, 0, 0.15]))
    handle = block @ BLOCK_FROM_HANDLE
    go(above @ handle, -1, 25)
    go(handle, -1, 20)
    go(handle, 1, 4)
    go(above @ handle, 1, 15)
    there = post @ POST_FROM_BLOCK @ BLOCK_FROM_HANDLE
    go(above @ there, 1, 25)
    go(there, 1, 20)
    if away:
        go(above @ there, -1, 10)
    assert scene.success == away
    arrays = {key: np.stack([frame[key] for frame in frames]) for key in frames[0]}
    return Episode(id=name, spec=SPEC, arrays=arrays, instruction="put it on", provenance=Provenance("test"))


def play(policy, scene: Scene, steps: int = 300, seed: int = 0):
    session = policy.start("", seed)
    for _ in range(steps):
        scene.step(session(scene.observe()).rows[0])
        if scene.success:
            return session
    return session


@pytest.fixture(scope="module")
def shown() -> list[Episode]:
    where = [
        ((0.2, 0.1, 0.3), (0.3, -0.2, -0.4)),
        ((0.25, 0.0, -0.5), (0.2, 0.3, 0.2)),
        ((0.1, 0.2, 1.2), (0.4, 0, 1)),
    ]
    return [demonstration(pose(*block), pose(*post), f"shown{n}") for n, (block, post) in enumerate(where)]


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("seed", range(6))
def test_scenes_that_are_moved_and_turned_are_solved(shown, count: int, seed: int):
    draw = np.random.default_rng(seed)
    block, post = (pose(*draw.uniform((0.1, at, -1.2), (0.35, at + 0.2, 1.2))) for at in (0.0, -0.3))
    scene = Scene(block, post, slip=Pose.make((0.0, 0.004, 0.0), (0, 0.0, 0.12), "rotvec"))
    play(PoseReplay(shown[:count]), scene)
    assert scene.success


def test_the_recorded_actions_alone_do_not_solve_them(shown):
    scene = Scene(pose(0.2, 0.1, 0.9), pose(0.3, -0.2, -0.4))
    for action in shown[0].arrays["action"]:
        scene.step(action)
    assert not scene.success


def test_segments_say_where_it_is_taken_carried_to_and_let_go(shown):
    policy = PoseReplay(shown)
    for track in policy.tracks:
        approach, carry, leave = track.segments
        assert (approach.kind, approach.front, approach.reference) == ("approach", "tip", "block")
        assert (carry.kind, carry.front, carry.reference) == ("carry", "block", "post"), carry.evidence
        assert (leave.kind, leave.front, leave.reference) == ("leave", "tip", "post")
        assert (approach.start, leave.end) == (0, len(track.source)) and approach.end == carry.start
        assert "0.000 m about post" in carry.evidence and "m about world" in carry.evidence


def test_a_demonstration_that_shows_something_else_is_not_followed_and_named(shown):
    empty = shown[1].arrays["action"].copy()
    empty[:, 6] = -1  # the gripper was never told to close
    odd = replace(shown[1], id="odd", arrays={**shown[1].arrays, "action": empty})
    policy = PoseReplay([shown[0], odd, shown[2]])
    assert [track.source.id for track in policy.tracks] == ["shown0", "shown2"]
    assert policy.notes == ("not followed, their segments are not those of the other 2 demonstrations: odd",)
    session = play(policy, Scene(pose(0.25, 0.0, -0.5), pose(0.2, 0.3, 0.2)), steps=3)
    assert session.details["notes"] == list(policy.notes) and not PoseReplay(shown).notes


def test_what_always_ends_at_one_place_is_relative_to_the_world():
    fixed = pose(0.3, -0.2, 0.4)
    places = [(0.2, 0.1, 0.3), (0.25, 0.0, -0.5), (0.1, 0.2, 1.2)]
    shown = [demonstration(pose(*block), fixed, f"fixed{n}") for n, block in enumerate(places)]
    hidden = [replace(e, arrays={**e.arrays, THINGS: with_noise(e.arrays[THINGS], n)}) for n, e in enumerate(shown)]
    segments = find_pose_segments([PoseDemonstration.of(episode) for episode in hidden])
    assert {own[1].reference for own in segments} == {"world"}


def with_noise(things: np.ndarray, number: int) -> np.ndarray:
    """The post reported where it is not."""
    moved = things.copy()
    moved[:, 7] += 0.1 * number
    return moved


def test_what_is_only_lifted_is_relative_to_where_it_was_taken():
    def lifted(x: float, y: float, name: str) -> Episode:
        whole = demonstration(pose(x, y, 0.2), pose(0.3 + y, -0.2 - x, 0.4), name)
        return replace(whole, arrays={key: array[:60] for key, array in whole.arrays.items()})

    shown = [lifted(0.2, 0.1, "a"), lifted(0.1, 0.2, "b"), lifted(0.3, 0.0, "c")]
    segments = find_pose_segments([PoseDemonstration.of(episode) for episode in shown])
    assert {own[-1].reference for own in segments} == {"where it was taken"}


def test_it_says_what_it_was_made_from(shown):
    block = pose(0.21, 0.1, 0.8)
    session = play(PoseReplay(shown), Scene(block, pose(0.3, -0.2, -0.4)), seed=7)
    assert session.parents == ("shown0",)
    told = json.loads(json.dumps(session.details))
    (attempt,) = told["attempts"]
    assert told["seed"] == 7 and attempt["source"] == "shown0"
    assert [s["kind"] for s in attempt["segments"]] == ["approach", "carry", "leave"]
    assert attempt["segments"][0]["turned_rad"] == pytest.approx(0.5, abs=1e-3)
    assert attempt["segments"][1]["turned_rad"] == pytest.approx(0.0, abs=1e-3)


def test_the_same_scene_gives_the_same_bytes(shown):
    def actions() -> bytes:
        scene, session = Scene(pose(0.2, 0.1, 0.9), pose(0.3, -0.1, 0.4)), PoseReplay(shown).start("", 0)
        rows = []
        for _ in range(120):
            rows.append(session(scene.observe()).rows[0])
            scene.step(rows[-1])
        return np.stack(rows).tobytes()

    assert actions() == actions()


def test_an_attempt_that_fails_ends(shown):
    stuck = Scene(pose(0.2, 0.1, 0.3), pose(0.3, -0.2, -0.4))
    stuck.step = lambda action: None  # type: ignore[method-assign]
    with pytest.raises(PolicyError, match="shown0: the demonstration ended 40 steps ago, without success"):
        play(PoseReplay(shown), stuck, steps=3000)


def test_aim_and_towards_are_inverse():
    draw = np.random.default_rng(0)
    for _ in range(50):
        tip = Pose.make(draw.normal(size=3), draw.normal(size=3), "rotvec")
        action = draw.uniform(-1, 1, 7)
        again = ACTION.towards(tip, ACTION.aim(tip, action), action[6:])
        np.testing.assert_allclose(again, action, atol=1e-6)


def test_identity_follows_what_was_shown(shown):
    first, again = PoseReplay(shown).identity, PoseReplay(shown).identity
    assert first == again and first.verified
    changed = {**shown[0].arrays, "action": shown[0].arrays["action"] * np.float32(0.99)}
    assert PoseReplay([replace(shown[0], arrays=changed), *shown[1:]]).identity != first


def test_the_action_says_which_replay_follows(shown):
    assert isinstance(replay_of(shown), PoseReplay)
    line = scripted.line((0.0, 0.0, 0.2), (0.2, 0.0, 0.0))
    assert isinstance(
        replay_of([scripted.episode(line, goal=np.tile([0.2, 0.0, 0.0], (len(line), 1)))]), SegmentReplay
    )


@pytest.mark.parametrize(
    ("field", "change", "text"),
    [
        (STATE, {"layout": tuple(f"arm0.tip.{p}" for p in (*PARTS, "w"))}, "observation.state: layout lacks tip.x"),
        ("action", {"unit": "0.05 m"}, "expected a unit as '0.05 m; 0.5 rad', found '0.05 m'"),
        ("action", {"low": None, "high": None}, "action: expected bounds, found none"),
        (THINGS, {"layout": tuple(f"n{i}" for i in range(14))}, "no thing with x, y, z"),
    ],
)
def test_what_cannot_be_read_says_both_sides(shown, field: str, change: dict, text: str):
    fields = tuple(replace(f, **change) if f.name == field else f for f in SPEC)
    with pytest.raises(SpecMismatch, match=text):
        PoseReplay([replace(shown[0], spec=Spec(fields, 20.0))])
