"""Segments: where a demonstration is cut, and on which evidence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from roboscale.core import Episode, Spec, SpecMismatch
from roboscale.sources.simulation.demonstration import Demonstration
from roboscale.sources.simulation.segments import Segment, find_segments
from roboscale.sources.simulation.track import hand_lag, make_track
from tests.sources import scripted

UP, DOWN, THERE = (0.0, 0.0, 0.2), (0.1, 0.0, 0.0), (0.1, 0.3, 0.0)


def segments(episode: Episode) -> tuple[Segment, ...]:
    return find_segments(Demonstration.of(episode))


def what(found: tuple[Segment, ...]) -> list[tuple[str, str, str]]:
    return [(s.kind, s.front, s.reference) for s in found]


def pick(goal: tuple[float, float, float] = THERE, settle: int = 0) -> Episode:
    """Down to an object, then with it to a goal; the object may fall onto the table at first."""
    down, over = scripted.line(UP, DOWN), scripted.line(DOWN, THERE)
    hand = np.concatenate([down, over])
    thing = np.concatenate([np.tile(DOWN, (len(down), 1)), over]).astype(float)
    thing[:settle, 2] += np.linspace(0.05, 0.0, settle) if settle else 0.0
    touched = np.arange(len(hand)) >= len(down) - 2
    return scripted.episode(hand, thing, np.tile(goal, (len(hand), 1)), touched)


def test_pick_place_is_an_approach_to_the_object_then_a_carry_to_the_goal(demonstrations):
    for episode in demonstrations("pick-place-v3", 3):
        found = segments(episode)
        assert what(found) == [("approach", "hand", "object1"), ("carry", "object1", "goal")]
        first_touch = int(np.argmax(episode.arrays["contact.gripper_n"] > 0))
        assert abs(found[1].start - first_touch) <= 5


def test_peg_insertion_is_cut_where_the_peg_is_lifted(demonstrations):
    for episode in demonstrations("peg-insert-side-v3", 2):
        found = segments(episode)
        assert what(found) == [("approach", "hand", "object1"), ("carry", "object1", "goal")]
        height = episode.arrays["observation.environment_state"][:, 6]
        assert height[found[1].start] < 0.03 < height[-1]


def test_a_tool_is_carried_to_what_it_moves(demonstrations):
    (episode,) = demonstrations("hammer-v3", 1)
    assert what(segments(episode)) == [
        ("approach", "hand", "object1"),
        ("carry", "object1", "object2"),
        ("carry", "object1", "goal"),
    ]


def test_reaching_is_one_segment_to_the_goal(demonstrations):
    (episode,) = demonstrations("reach-v3", 1)
    assert what(segments(episode)) == [("reach", "hand", "goal")]


def test_segments_cover_every_step_once_and_say_why(demonstrations):
    for task in ("pick-place-v3", "peg-insert-side-v3", "hammer-v3", "reach-v3"):
        (episode,) = demonstrations(task, 1)
        found = segments(episode)
        assert [s.start for s in found] == [0, *(s.end for s in found[:-1])] and found[-1].end == len(episode)
        assert all(s.reference in s.evidence or "nothing is moved" in s.evidence for s in found)


def test_a_drawn_grasp_is_cut_where_the_object_starts_to_move():
    found = segments(pick())
    assert what(found) == [("approach", "hand", "object1"), ("carry", "object1", "goal")]
    assert abs(found[0].end - len(scripted.line(UP, DOWN))) <= 1


def test_an_object_that_falls_onto_the_table_at_first_is_not_moved_by_the_robot():
    assert segments(pick(settle=6))[0].end == segments(pick())[0].end


def test_without_a_goal_the_last_segment_stays_with_what_was_moved():
    episode = pick()
    episode.arrays["observation.environment_state"][:, 10:] = np.array([9.0, -9.0, 9.0])  # far, and never approached
    episode.arrays["observation.environment_state"][:, 11] = -9.0
    assert segments(episode)[-1].reference == "object1"


def test_where_nothing_moves_and_there_is_no_goal_the_world_is_the_reference():
    spec = Spec((replace(scripted.STATE, shape=(10,), layout=scripted.LAYOUT[:10]), *scripted.SPEC.fields[1:]), 80.0)
    episode = scripted.episode(scripted.line(UP, DOWN))
    arrays = {
        **episode.arrays,
        "observation.environment_state": episode.arrays["observation.environment_state"][:, :10],
    }
    found = segments(replace(episode, spec=spec, arrays=arrays))
    assert what(found) == [("reach", "hand", "world")]


@pytest.mark.parametrize("lag", [0.0, 2.0, 5.0])
def test_the_lag_of_the_hand_is_found_again(lag: float):
    target = scripted.line(UP, (0.3, 0.1, 0.1), (0.3, 0.4, 0.3), step_m=0.008)
    hand = [target[0]]
    for point in target[1:]:
        hand.append(hand[-1] + (point - hand[-1]) / (1 + lag))
    episode = scripted.episode(np.array(hand))
    episode.arrays["action"][:-1, :3] = np.diff(target, axis=0) / 0.01
    assert hand_lag(Demonstration.of(episode)) == pytest.approx(lag, abs=0.6)


def test_a_track_goes_on_after_success_cut_the_motion_short():
    demonstration = Demonstration.of(pick())
    track = make_track(demonstration)
    assert len(track) > len(demonstration) and track.segments[-1].end == len(track)
    assert track.paths["hand"][-1][1] > demonstration.paths["hand"][-1][1]
    assert all(len(path) == len(track) for path in track.paths.values())


@pytest.mark.parametrize("missing", ["observation.environment_state", "action", "contact.gripper_n"])
def test_a_demonstration_without_a_field_is_refused_by_name(missing: str):
    episode = pick()
    spec = Spec(tuple(f for f in episode.spec if f.name != missing), 80.0)
    arrays = {name: array for name, array in episode.arrays.items() if name != missing}
    with pytest.raises(SpecMismatch, match=f"drawn.*needs {missing}; it has") as caught:
        Demonstration.of(replace(episode, spec=spec, arrays=arrays))
    assert all(name in str(caught.value) for name in arrays)


def test_a_state_that_does_not_name_the_hand_is_refused():
    nameless = replace(scripted.STATE, layout=("", *scripted.LAYOUT[1:]))
    spec = Spec((nameless, *scripted.SPEC.fields[1:]), 80.0)
    with pytest.raises(SpecMismatch, match=r"observation.environment_state: layout lacks hand\.x"):
        Demonstration.of(replace(pick(), spec=spec))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mode": "absolute"}, "relative to previous action.*absolute"),
        ({"unit": "rad"}, "unit in metres.*'rad'"),
        ({"layout": ("a", "b", "c", "d")}, "dx, dy, dz"),
    ],
)
def test_an_action_of_another_kind_is_refused(change: dict[str, object], message: str):
    spec = Spec((*scripted.SPEC.fields[:2], replace(scripted.ACTION, **change)), 80.0)
    with pytest.raises(SpecMismatch, match=f"action: .*{message}"):
        Demonstration.of(replace(pick(), spec=spec))


def test_one_step_is_no_demonstration():
    with pytest.raises(SpecMismatch, match="at least 2 steps, found 1"):
        Demonstration.of(scripted.episode(np.zeros((1, 3))))
