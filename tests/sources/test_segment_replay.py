"""Segment replay: new scenes from few demonstrations, on real physics, and what it says of itself."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from roboscale.core import ActionChunk, Observation, PolicyError, Spec, SpecMismatch, cases, combine
from roboscale.sources.simulation.generator import ReplaySession, SegmentReplay
from tests.sources import scripted

STATE = "observation.environment_state"
HOME, OBJECT, GOAL = (0.0, 0.0, 0.2), (0.2, 0.0, 0.0), (0.2, 0.3, 0.1)


class Recorded:
    """The recorded actions again, whatever is seen."""

    name, observation_spec, action_spec, history = "replay", None, None, 1
    identity = combine("replay", "recorded")

    def __init__(self, actions: np.ndarray) -> None:
        self.actions = actions

    def start(self, instruction: str, seed: int):
        rows = iter(self.actions)
        return lambda seen: ActionChunk(np.asarray(next(rows, np.array([0, 0, 0, 1])), np.float32)[None])


@pytest.mark.parametrize("task", ["pick-place-v3", "peg-insert-side-v3"])
def test_one_demonstration_solves_moved_scenes_where_its_replay_fails(world, demonstrations, try_case, task):
    (source,) = demonstrations(task, 1)
    asked = cases(task, 3, 0, "generate")
    assert all(try_case(world, SegmentReplay([source]), case)[0].success for case in asked)
    replayed = Recorded(source.arrays["action"])
    assert not all(try_case(world, replayed, case)[0].success for case in asked)


def test_every_success_says_what_it_was_made_from(world, demonstrations, try_case):
    sources = demonstrations("pick-place-v3", 3)
    (case,) = cases("pick-place-v3", 1, 1, "generate")
    outcome, episode, session = try_case(world, SegmentReplay(sources), case, 7)
    assert outcome.success and set(session.parents) <= {s.id for s in sources}
    told = json.loads(json.dumps(session.details))
    assert told["seed"] == 7 and told["attempts"][0]["source"] == session.parents[0]
    approach, carry = told["attempts"][0]["segments"]
    source = next(s for s in sources if s.id == session.parents[0])
    moved_m = episode.arrays[STATE][1, 4:7] - source.arrays[STATE][1, 4:7]
    assert approach["displacement_m"] == pytest.approx(moved_m, abs=1e-4)
    goal_m = episode.arrays[STATE][1, 36:39] - source.arrays[STATE][1, 36:39]
    assert carry["displacement_m"] == pytest.approx(goal_m, abs=1e-4)


def test_the_nearest_demonstration_is_followed(world, demonstrations, try_case):
    sources = demonstrations("pick-place-v3", 3)
    for source in sources:
        case = next(c for c in cases("pick-place-v3", 20, 0, "collect") if c.id == source.id)
        _, _, session = try_case(world, SegmentReplay(sources), case)
        assert session.parents[0] == source.id


def test_the_same_seed_gives_the_same_bytes_and_another_seed_other_noise(world, demonstrations, try_case):
    policy = SegmentReplay(demonstrations("pick-place-v3", 2), noise=0.1)
    (case,) = cases("pick-place-v3", 1, 2, "generate")
    first, again, other = (try_case(world, policy, case, seed)[1].arrays["action"].tobytes() for seed in (3, 3, 4))
    assert first == again != other


def test_random_selection_depends_on_the_seed_alone():
    sources = [replace(pick(), id=f"source{i}") for i in range(5)]
    policy = SegmentReplay(sources, selection="random")
    chosen = [play(policy.start("", seed), Scene())[0].parents[0] for seed in (*range(6), *range(6))]
    assert chosen[:6] == chosen[6:] and len(set(chosen)) > 1


# A world of its own, without physics: the hand is where it is told to be, and what a closed gripper is on comes along.


class Scene:
    """Moves as commanded; `slippery` says in how many attempts the object slides out of the gripper."""

    def __init__(self, thing: tuple[float, ...] = OBJECT, goal: tuple[float, ...] = GOAL, slippery: int = 0) -> None:
        self.hand, self.thing, self.goal = (np.array(v, np.float64) for v in (HOME, thing, goal))
        self.opening, self.slippery, self.holding = 1.0, slippery, False

    def observe(self) -> Observation:
        state = np.zeros(13, np.float32)
        state[:3], state[3], state[4:7], state[10:] = self.hand, self.opening, self.thing, self.goal
        return {STATE: state}

    def step(self, action: np.ndarray) -> None:
        self.hand = self.hand + 0.01 * action[:3]
        closing = action[3] > 0
        self.opening = float(np.clip(self.opening + (-0.1 if closing else 0.1), 0.5, 1.0))
        if closing and self.opening < 0.6 and np.linalg.norm(self.hand - self.thing) < 0.02:
            self.holding = True
        if self.holding and not closing:
            self.holding = False
        if self.holding and self.slippery and self.thing[1] > OBJECT[1] + 0.1:
            self.holding, self.slippery = False, self.slippery - 1
            self.thing = self.thing - np.array([0.0, 0.0, 0.08])
        if self.holding:
            self.thing = self.thing + 0.01 * action[:3]


def pick():
    """A demonstration in `Scene`: down to the object, close on it, carry it to the goal."""
    scene, frames, forces, actions = Scene(), [], [], []
    wait = 6
    script = [(point, -1.0) for point in scripted.line(HOME, OBJECT, step_m=0.008)[1:]]
    script += [(np.array(OBJECT), 1.0)] * wait
    script += [(point, 1.0) for point in scripted.line(OBJECT, GOAL, step_m=0.008)[1:]]
    for point, gripper in script:
        action = np.array([*(np.asarray(point) - scene.hand) / 0.01, gripper], np.float32)
        frames.append(scene.observe()[STATE])
        forces.append([5.0 * scene.holding])
        actions.append(action)
        scene.step(action)
    arrays = {STATE: np.stack(frames), "contact.gripper_n": np.array(forces, np.float32), "action": np.stack(actions)}
    return replace(scripted.episode(np.zeros((2, 3)), name="pick"), arrays=arrays)


def play(session: ReplaySession, scene: Scene, steps: int = 400) -> tuple[ReplaySession, float]:
    """Until the object is at the goal, or for `steps`; the session and how near the object came to the goal."""
    nearest_m = np.inf
    for _ in range(steps):
        scene.step(session(scene.observe()).rows[0])
        nearest_m = min(nearest_m, float(np.linalg.norm(scene.thing - scene.goal)))
        if nearest_m < 0.01:
            break
    return session, nearest_m


@pytest.mark.parametrize("shift", [(0.0, 0.0, 0.0), (0.1, -0.1, 0.0), (-0.15, 0.1, 0.05)])
def test_the_object_is_brought_to_wherever_the_goal_is(shift):
    for thing, goal in ((np.add(OBJECT, shift), GOAL), (OBJECT, np.add(GOAL, shift)), np.add((OBJECT, GOAL), shift)):
        session, nearest_m = play(SegmentReplay([pick()]).start("", 0), Scene(thing, goal))
        assert nearest_m < 0.01 and len(session.details["attempts"]) == 1


def test_a_lost_object_is_fetched_again_with_the_other_demonstration():
    sources = [pick(), replace(pick(), id="other")]
    session, nearest_m = play(SegmentReplay(sources).start("", 0), Scene(slippery=1))
    assert nearest_m < 0.01 and session.parents == ("pick", "other")


def test_without_retries_a_lost_object_stays_lost():
    session, nearest_m = play(SegmentReplay([pick()], retries=False).start("", 0), Scene(slippery=1))
    assert nearest_m > 0.05 and len(session.details["attempts"]) == 1


class Rim(Scene):
    """A rim over the object, on which an arriving hand comes to stand."""

    def step(self, action: np.ndarray) -> None:
        super().step(action)
        self.hand[2] = max(self.hand[2], OBJECT[2] + 0.03)


def test_a_hand_that_is_held_off_its_path_shows_no_policy_what_to_do():
    with pytest.raises(PolicyError, match=r"pick: the hand has been [2-3]\.\d cm off its path for 6 steps"):
        play(SegmentReplay([pick()], retries=False).start("", 0), Rim())
    session, _ = play(SegmentReplay([pick()]).start("", 0), Rim(), steps=60)
    assert session.parents == ("pick",), "one that may start over goes on"


def test_an_object_that_moves_before_it_is_touched_is_followed():
    scene = Scene()
    session = SegmentReplay([pick()]).start("", 0)
    for _ in range(15):
        scene.thing = scene.thing + np.array([0.0, 0.005, 0.0])
        scene.step(session(scene.observe()).rows[0])
    session, nearest_m = play(session, scene)
    assert nearest_m < 0.01 and len(session.details["attempts"]) == 1


def test_no_action_leaves_its_bounds():
    session = SegmentReplay([pick()], noise=3.0).start("", 0)
    scene = Scene((0.5, 0.5, 0.0), (-0.5, 0.5, 0.3))
    for _ in range(100):
        action = session(scene.observe()).rows[0]
        assert action.dtype == np.float32 and np.all(np.abs(action) <= 1)
        scene.step(action)


def test_needs_a_demonstration():
    with pytest.raises(SpecMismatch, match="at least 1 demonstration, found none"):
        SegmentReplay([])


def test_demonstrations_that_mean_different_things_are_refused_by_name():
    slow = replace(pick(), id="slow", spec=Spec(scripted.SPEC.fields, 20.0))
    with pytest.raises(SpecMismatch, match=r"rate_hz: demonstration pick 80.0, demonstration slow 20.0"):
        SegmentReplay([pick(), slow])


def test_an_observation_that_is_not_finite_is_an_error_of_the_policy():
    session = SegmentReplay([pick()]).start("", 0)
    with pytest.raises(PolicyError, match=STATE):
        session({STATE: np.full(13, np.nan, np.float32)})


def test_its_identity_is_what_was_demonstrated_and_the_settings():
    moved = pick()
    action = moved.arrays["action"].copy()
    action[3, 0] += 1e-3
    moved = replace(moved, arrays={**moved.arrays, "action": action})
    policies = [
        *(SegmentReplay([pick()]), SegmentReplay([replace(pick(), id="other")]), SegmentReplay([moved])),
        *(SegmentReplay([pick()] * 2), SegmentReplay([pick()], noise=0.1), SegmentReplay([pick()], retries=False)),
        SegmentReplay([pick()], selection="random"),
    ]
    assert len({p.identity for p in policies}) == len(policies)
    assert SegmentReplay([pick()]).identity == policies[0].identity
    assert policies[0].identity.verified and policies[0].history == 1


def test_the_hand_waits_no_longer_at_the_grasp_than_its_demonstration():
    source = pick()
    closed = source.arrays["action"][:, 3] > 0
    waited = int(np.sum(closed & (np.linalg.norm(source.arrays["action"][:, :3], axis=1) < 0.2)))
    scene, session, slow = Scene(np.add(OBJECT, (0.1, -0.1, 0.0))), SegmentReplay([source]).start("", 0), 0
    for _ in range(200):
        action = session(scene.observe()).rows[0]
        slow += action[3] > 0 and np.linalg.norm(action[:3]) < 0.2
        scene.step(action)
        if np.linalg.norm(scene.thing - scene.goal) < 0.01:
            break
    assert np.linalg.norm(scene.thing - scene.goal) < 0.01 and slow <= waited + 2


def test_a_hand_in_free_space_turns_to_where_the_object_is_at_once():
    session = SegmentReplay([pick()]).start("", 0)
    scene = Scene(np.add(OBJECT, (0.0, 0.15, 0.0)))
    for _ in range(3):
        scene.step(session(scene.observe()).rows[0])
    assert scene.hand[1] > 0.003  # the demonstration does not move along y before it holds the object
