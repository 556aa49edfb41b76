"""What an operator's page and a recording share, without either: leases, inputs, driving, configuration, room."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from roboscale.core import BadData, Field, InfrastructureError, RoboscaleError, Spec, SpecMismatch, UnknownName
from roboscale.dataset import Attempt, AttemptLog
from roboscale.policies.callables import as_policy
from roboscale.sources.teleop import (
    SPEEDS_M_S,
    Configuration,
    ControlLease,
    DiskSpace,
    HandDeltas,
    JointGoals,
    Station,
    Teleoperator,
    driving_for,
    parse_input,
    require_same,
)
from roboscale.sources.teleop.driving import base_from_operator
from roboscale.sources.teleop.station import EXPIRY_S, Practice
from roboscale.worlds.simulated.stand_in_arm import StandInArm
from tests.driven_world import ACTION, IMAGE

GOOD = {"motion": [0, 1, 0], "speed": 2, "device": "keys", "sequence": 7}
LOW, HIGH = (-1.4, -0.5, -2.5), (1.4, 1.5, 0.1)
JOINTS = ("turn", "lift", "bend")
ARM = Field("action", (3,), "float32", unit="rad", layout=JOINTS, low=LOW, high=HIGH)
READ = Field("observation.state", (3,), "float32", unit="rad", layout=JOINTS)
HOME = np.array([0.0, 0.9, -1.6], np.float32)


class Time:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.s = 100.0

    def __call__(self) -> float:
        return self.s


@pytest.fixture
def station() -> Station:
    made = Station("test", now=Time())
    made.join("one", "ada")
    made.to("ready")
    return made


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"motion": [0, 2, 0]}, "motion: expected three numbers from -1 to 1"),
        ({"motion": [0, float("nan"), 0]}, "motion"),
        ({"motion": [0, True, 0]}, "motion"),
        ({"motion": [0, 0]}, "motion"),
        ({"motion": None}, "motion"),
        ({"speed": 3}, "speed: expected 0 to 2, found 3"),
        ({"speed": 1.0}, "speed"),
        ({"sequence": -1}, "sequence"),
        ({"device": "brain"}, "unknown device 'brain'"),
        ({"device": "pose", "offset": [0, 4, 0]}, "offset: expected three numbers of metres, at most 3"),
        ({"device": "pose", "offset": [0, float("inf"), 0]}, "offset"),
        ({"device": "pose", "hold": -1}, "hold: expected a whole number from 0 up"),
        ({"joints": [0]}, "joints: expected no joint: nothing here is driven joint by joint, found"),
    ],
)
def test_what_is_no_input_is_refused_with_both_sides(change, says):
    assert parse_input(GOOD, 3).motion == (0.0, 1.0, 0.0)
    with pytest.raises(RoboscaleError, match=says):
        parse_input({**GOOD, **change}, 3)


def test_one_page_drives_and_the_others_queue():
    lease = ControlLease()
    for page in "abc":
        lease.join(page, page.upper())
    assert lease.holder == "a"
    with pytest.raises(RoboscaleError, match="this page looks on: A drives"):
        lease.require_holder("b")
    lease.ask("c"), lease.ask("b"), lease.ask("c")
    assert lease.queue == ("c", "b") and lease.seen_by("b")["waiting"] == 2
    lease.hand_over("a")
    assert lease.holder == "c" and lease.queue == ("b",)
    lease.ask("a"), lease.withdraw("a")
    assert lease.queue == ("b",) and lease.driver == "C"
    assert [one["name"] for one in lease.seen_by("c")["others"]] == ["B", "A"] and lease.seen_by("a")["others"] == []
    lease.hand_over("c", "a"), lease.hand_over("a", "c")
    lease.leave("c")
    assert lease.holder == "b", "who waits longest drives next"
    lease.leave("b")
    assert lease.holder is None, "nobody asked: nobody drives unawares"
    lease.ask("a")
    assert lease.holder == "a"
    with pytest.raises(RoboscaleError, match="nobody waits"):
        lease.hand_over("a")


def test_an_input_moves_until_it_expires(station: Station):
    station.to("recording")
    station.move("one", GOOD)
    velocity, age = station.velocity()
    np.testing.assert_allclose(velocity, [0, SPEEDS_M_S[2], 0], atol=1e-12)
    assert age == 0
    station.now.s += EXPIRY_S - 0.01
    assert station.velocity()[0].any()
    station.now.s += 0.02
    velocity, age = station.velocity()
    assert not velocity.any() and age > EXPIRY_S and station.unattended == 1


def test_a_page_that_closes_leaves_nothing_that_moves(station: Station):
    station.move("one", GOOD)
    assert station.velocity()[0].any()
    station.leave("one")
    assert not station.velocity()[0].any()
    station.join("two", "grace")
    station.move("two", {**GOOD, "sequence": 1})
    assert station.velocity()[0].any(), "the next page counts from its own beginning"


def test_a_late_message_does_not_replace_a_newer_one(station: Station):
    station.move("one", GOOD)
    station.move("one", {**GOOD, "motion": [0, -1, 0], "sequence": 6})
    assert station.velocity()[0][1] > 0


def test_a_page_that_looks_on_moves_nothing_and_says_nothing(station: Station):
    station.join("two", "grace")
    station.move("two", GOOD)
    assert not station.velocity()[0].any()
    with pytest.raises(RoboscaleError, match="looks on: ada drives"):
        station.act("two", "begin", {})
    station.act("one", "begin", {})
    assert station.wait("begin") == "begin"


def test_acts_are_taken_where_they_fit(station: Station):
    with pytest.raises(RoboscaleError, match="success does not fit now: ready"):
        station.act("one", "success", {})
    with pytest.raises(UnknownName, match="unknown act 'dance'"):
        station.act("one", "dance", {})
    with pytest.raises(RoboscaleError, match="no policy drives"):
        station.act("one", "take", {})
    station.to("recording")
    station.act("one", "gripper", {})
    assert station.closed
    station.act("one", "fail", {})
    assert station.ending == "fail"


def test_an_arm_is_stopped_by_whoever_sees_that_it_has_to():
    stopped = []
    station = Station("test", arm=lambda: stopped.append(1))
    station.join("one", "ada"), station.join("two", "grace")
    station.act("two", "stop the arm", {})
    assert stopped == [1]


def test_a_device_that_was_not_asked_for_moves_nothing():
    station = Station("test", devices=("touch",))
    station.join("one", "")
    with pytest.raises(UnknownName, match="unknown device 'keys'"):
        station.move("one", GOOD)
    station.move("one", {**GOOD, "motion": [0, 0, 0]})  # silence is allowed to everybody


def test_hand_deltas_are_metres_a_second_and_keep_their_direction():
    driving = HandDeltas(ACTION, rate_hz=20.0)
    action = driving.action({}, np.array([0.02, -0.06, 0.0]), closed=(True,))
    np.testing.assert_allclose(action, [0.1, -0.3, 0.0, 1.0], atol=1e-6)
    fast = driving.action({}, np.array([0.8, -0.4, 0.0]), closed=(False,))
    np.testing.assert_allclose(fast, [1.0, -0.5, 0.0, -1.0], atol=1e-6)
    assert driving.follow(action) == (True,) and driving.follow(fast) == (False,)
    assert driving.follow(np.array([0, 0, 0, 0.25])) == (True,)
    assert driving.action({}, np.zeros(3), closed=(True,))[3] == driving.hold()[3] == 0.25, "a policy's grip stays"
    assert driving.action({}, np.zeros(3), closed=(False,))[3] == -1
    with pytest.raises(SpecMismatch, match="unit '1'"):
        HandDeltas(replace(ACTION, unit="1"), 20.0)


def joints() -> JointGoals:
    driving = driving_for(Spec((READ, IMAGE), 20.0), ARM, 20.0, StandInArm.flange, np.array([1.2, 1.2, 1.8]))
    assert isinstance(driving, JointGoals)
    driving.begin({READ.name: HOME})
    return driving


def test_joint_goals_move_the_hand_in_a_straight_line():
    driving, at = joints(), HOME
    start = StandInArm.flange(HOME)
    for _ in range(20):
        at = driving.action({READ.name: at}, np.array([0.0, 0.06, 0.0]), closed=(False,))
    moved = StandInArm.flange(at) - start
    np.testing.assert_allclose(moved, [0, 0.06, 0], atol=2e-3)
    held = driving.action({READ.name: at}, np.zeros(3), closed=(False,))
    np.testing.assert_array_equal(held, at), "what is not moved stays"


def test_a_goal_does_not_run_away_from_an_arm_that_is_held_up():
    driving = joints()
    for _ in range(400):
        goal = driving.action({READ.name: HOME}, np.array([0.0, 0.2, 0.0]), closed=(False,))
    assert (np.abs(goal - HOME) <= np.array([1.2, 1.2, 1.8]) * 4 / 20 + 1e-6).all(), "what it goes on by itself"


def test_a_gripper_joint_opens_and_closes_at_its_speed():
    names = (*JOINTS, "gripper")
    action = replace(ARM, shape=(4,), layout=names, low=(*LOW, 0.0), high=(*HIGH, 1.0))
    read = replace(READ, shape=(4,), layout=names)
    forward = lambda q: StandInArm.flange(q[:3])  # noqa: E731
    driving = driving_for(Spec((read,), 20.0), action, 20.0, forward, np.array([1.2, 1.2, 1.8, 2.0]))
    at = np.append(HOME, 1.0).astype(np.float32)
    driving.begin({READ.name: at})
    first = driving.action({READ.name: at}, np.zeros(3), closed=(True,))
    np.testing.assert_allclose(first, [*HOME, 0.9], atol=1e-6)
    assert driving.follow(np.append(HOME, 0.0)) == (True,) and driving.follow(np.append(HOME, 1.0)) == (False,)


def test_two_hands_have_a_clutch_a_gripper_and_a_tip_each():
    """Two stand-in arms beside one another, each with a gripper: the right one moves, the left one stays."""
    names = tuple(f"{side}_{name}" for side in ("left", "right") for name in (*JOINTS, "gripper"))
    action = replace(ARM, shape=(8,), layout=names, low=(*LOW, 0.0) * 2, high=(*HIGH, 1.0) * 2)
    forward = lambda q: (StandInArm.flange(q[:3]), StandInArm.flange(q[4:7]))  # noqa: E731
    at = np.array([*HOME, 1.0] * 2, np.float32)
    spec = Spec((replace(READ, shape=(8,), layout=names),), 20.0)
    driving = driving_for(spec, action, 20.0, forward, np.full(8, 2.0))
    assert driving.hands == 2 and driving.joints == ()
    driving.begin({READ.name: at})
    clock = Time()
    station = Station("two", hands=2, now=clock)
    station.join("one", "ada"), station.to("recording")
    station.move("one", {**GOOD, "motion": [0, 0, 0, 1, 0, 0], "sequence": 1})
    velocity, _ = station.velocity()
    np.testing.assert_allclose(velocity, [0, 0, 0, 0.2, 0, 0], atol=1e-12)
    station.act("one", "gripper", {"hand": 1})
    assert station.grips == (False, True) and not station.closed
    moved = driving.action({READ.name: at}, velocity, station.grips)
    np.testing.assert_array_equal(moved[:4], at[:4])
    np.testing.assert_allclose(forward(moved)[1] - forward(at)[1], [0.01, 0, 0], atol=1e-3)
    assert moved[7] == pytest.approx(0.9) and driving.follow(np.array([*HOME, 1, *HOME, 0])) == (False, True)
    step = {**GOOD, "motion": [0.0] * 6, "device": "pose"}
    for number, far in enumerate((0.5, 0.5, 0.52), 2):  # of the left controller, which takes hold somewhere
        clock.s += 0.05
        station.move("one", {**step, "sequence": number, "offset": [[far, 0, 0], None], "hold": [1, 0]})
        velocity, _ = station.velocity()
        assert not velocity[3:].any() and bool(velocity.any()) == (far > 0.5)
    with pytest.raises(SpecMismatch, match="motion: expected 6 numbers"):
        station.move("one", GOOD)
    with pytest.raises(SpecMismatch, match="offset: expected one for each of 2 hands"):
        station.move("one", {**step, "offset": [0, 0, 0], "hold": [0, 0]})
    with pytest.raises(UnknownName, match="unknown hand '2'"):
        station.act("one", "gripper", {"hand": 2})
    layout = tuple(f"{side}.{name}" for side in ("right", "left") for name in ACTION.layout)
    both = replace(ACTION, shape=(8,), layout=layout, low=(-1.0,) * 8, high=(1.0,) * 8)
    deltas = HandDeltas(both, 20.0).action({}, np.array([0.02, 0, 0, 0, 0.04, 0]), (False, True))
    np.testing.assert_allclose(deltas, [0, 0.2, 0, 1, 0.1, 0, 0, -1], atol=1e-6)


def test_a_hand_of_twenty_joints_is_driven_joint_by_joint():
    names = tuple(f"finger{k // 4}_{k % 4}" for k in range(20))
    action = replace(ARM, shape=(20,), layout=names, low=(-1.0,) * 20, high=(1.0,) * 20)
    driving = driving_for(Spec((replace(READ, shape=(20,), layout=names),), 20.0), action, 20.0, None, np.ones(20))
    assert driving.joints == names
    station = Station("hand", joints=names, now=Time())
    station.join("one", "ada"), station.to("recording")
    station.move("one", {**GOOD, "motion": [0, 0, -1], "joints": [3, 19, 3]})
    driving.begin({READ.name: np.zeros(20)})
    moved = driving.action({READ.name: np.zeros(20)}, station.velocity()[0], station.grips)
    np.testing.assert_allclose(np.flatnonzero(moved), [3, 19])
    np.testing.assert_allclose(moved[[3, 19]], -0.05, err_msg="the third level is the joints' own speed")
    with pytest.raises(SpecMismatch, match=r"joints: expected numbers from 0 to 19, found \[20\]"):
        station.move("one", {**GOOD, "joints": [20]})
    assert driving_for(Spec((READ,), 20.0), ARM, 20.0, None, None, leader=True).hands == 1


@pytest.mark.parametrize("forward", [None, StandInArm.flange])
def test_what_nobody_knows_to_drive_says_what_was_expected(forward):
    action = replace(ARM, layout=("a", "b", "c"))
    with pytest.raises(SpecMismatch, match=r"expected target\.dx.*found layout \['a', 'b', 'c'\]"):
        driving_for(Spec((READ,), 20.0), action, 20.0, forward, None)


class Leader:
    """Joints that somebody moves by hand."""

    def __init__(self, at: np.ndarray) -> None:
        self.at, self.age_s = at, 0.0

    def newest(self) -> tuple[np.ndarray, float]:
        return self.at, self.age_s


def test_a_leader_takes_over_from_a_policy_without_a_jump_wherever_it_stands():
    """The arm is at home, the leader half a radian away: only what it goes from then on is followed."""
    station = Station("test", policy=True, leader="toy", now=Time())
    station.join("one", "ada"), station.to("recording")
    planned = HOME + np.array([0.1, 0.0, 0.0], np.float32)
    driving = driving_for(Spec((READ,), 20.0), ARM, 20.0, None, np.full(3, 1.2), leader=True)
    leader = Leader(HOME + 0.5)
    person = Teleoperator(station, driving, policy=as_policy(lambda seen: planned, name="planned"), leader=leader)
    session = person.start("move", 0)

    def step() -> np.ndarray:
        return session({READ.name: HOME}).rows[0]

    np.testing.assert_array_equal(step(), planned)
    station.act("one", "take", {})
    np.testing.assert_allclose(step(), planned, atol=1e-6)
    leader.at = leader.at + np.array([0.0, 0.02, -0.03])
    np.testing.assert_allclose(step(), planned + np.array([0.0, 0.02, -0.03]), atol=1e-6)
    assert session.marks["is_intervention"][0] and session.interventions == 2
    np.testing.assert_array_equal(session.marks["policy.action"], planned)
    leader.age_s, before = 1.0, step()
    np.testing.assert_array_equal(step(), before, "a leader that is not heard: the arm holds")
    leader.age_s, leader.at = 0.0, leader.at - 0.4
    np.testing.assert_array_equal(step(), before, "heard again elsewhere, it begins anew there")
    leader.at = leader.at - 3.0
    assert np.abs(step() - before).max() <= 1.2 / 20 + 1e-6, "never faster than the joints go"
    station.act("one", "take", {})
    way = [step() for _ in range(60)]
    np.testing.assert_array_equal(way[-1], planned)
    assert np.abs(np.diff(way, axis=0)).max() <= 1.2 / 20 + 1e-6


def test_who_drove_is_written_down_and_practice_is_scored(tmp_path: Path):
    station = Station("test", now=Time())
    station.join("one", "ada"), station.join("two", ""), station.join("three", "grace")
    assert station.drivers == [] and station.driver == "ada"
    station.to("recording")
    station.act("three", "ask", {}), station.act("two", "ask", {}), station.act("two", "withdraw", {})
    station.act("one", "hand over", {})
    assert station.drivers == ["ada", "grace"]
    station.act("three", "hand over", {"to": "two"})
    assert station.drivers == ["ada", "grace", ""] and station.state("two")["lease"]["mine"]
    log = AttemptLog(tmp_path)
    made = Attempt(operator="ada", task="reach", kind="practice", result="success", seconds=3.0, score=80)
    log.add(made), log.add(replace(made, kind="recorded", score=None))
    with log.path.open("a") as file:
        file.write('{"operator": "ada", "ta')  # a killed process
    log = AttemptLog(tmp_path)
    log.add(replace(made, score=None, result="discarded")), log.add(replace(made, score=0, operator="grace"))
    again = AttemptLog(tmp_path)
    assert again.attempts == log.attempts and len(again.attempts) == 4 and again.practised("ada", "reach") == [80]
    log.path.write_text('{"who": 1}\n')
    with pytest.raises(BadData, match="line 1: expected an attempt of an operator"):
        AttemptLog(tmp_path)
    station.practice = Practice(wanted=1, scores=[80], best=None)
    assert station.state("one")["practice"] == {"wanted": 1, "scores": [80], "best": None, "due": False}


def test_the_operator_looks_along_the_view():
    np.testing.assert_allclose(base_from_operator(0) @ [1, 0, 0], [1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(base_from_operator(270) @ [0, 1, 0], [1, 0, 0], atol=1e-12)  # Meta-World's camera
    np.testing.assert_allclose(base_from_operator(90) @ [0, 0, 1], [0, 0, 1], atol=1e-12)


CONFIGURATION = Configuration(
    robot="arm",
    digest="a" * 32,
    tasks={"reach": "reach the ball"},
    rate_hz=20.0,
    driven_hz=20.0,
    horizon=100,
)


def test_a_session_goes_on_with_the_same_and_refuses_another_with_both_sides(tmp_path: Path):
    assert not require_same(tmp_path, replace(CONFIGURATION, digest="c" * 32), 0)
    assert not require_same(tmp_path, CONFIGURATION, 0), "nothing was recorded with the other one"
    assert require_same(tmp_path, CONFIGURATION, 1)
    assert require_same(tmp_path, replace(CONFIGURATION, tasks={"push": "push the ball"}), 1), "tasks may be added"
    changed = replace(CONFIGURATION, digest="b" * 32, horizon=50, tasks={"reach": "touch the ball"})
    with pytest.raises(SpecMismatch) as told:
        require_same(tmp_path, changed, 1)
    for line in (
        "digest: collected with aaaaaaaa, now bbbbbbbb",
        "horizon: collected with 100, now 50",
        "sentence of reach: collected with 'reach the ball', now 'touch the ball'",
    ):
        assert line in str(told.value)
    assert require_same(tmp_path, replace(CONFIGURATION, tasks={"push": "push the ball"}), 1), (
        "nothing was overwritten"
    )


def test_room_is_asked_for_before_and_during():
    free = [10 * 10**9]
    disk = DiskSpace(Path("set"), free=lambda path: free[0], reserve=10**9)
    assert disk.require(100, 0, 0) == "10 GB free"
    with pytest.raises(
        InfrastructureError, match=r"10\.0 GB are free, 100 episodes and the reserve take 21\.0 GB: make"
    ):
        disk.require(100, 400 * 10**6, 2)
    assert not disk.problem()
    free[0] = 10**9 - 1
    assert "1.00 GB are free, and 1.0 GB stay free" in disk.problem()


def held(offset: list[float] | None, hold: int, sequence: int) -> dict[str, object]:
    return {**GOOD, "motion": [0, 0, 0], "device": "pose", "offset": offset, "hold": hold, "sequence": sequence}


def test_a_device_that_is_held_and_moved_is_followed_without_a_jump_and_no_faster_than_its_level():
    """Steps of a twentieth of a second, at most 1 cm each on the level of 20 cm/s."""
    clock = Time()
    station = Station("test", driven_hz=20, now=clock)
    station.join("one", "ada")
    station.to("recording")

    def step(offset: list[float] | None, hold: int) -> np.ndarray:
        clock.s += 0.05
        step.number += 1
        station.move("one", held(offset, hold, step.number))
        return station.velocity()[0] / 20

    step.number = 0
    assert not step([0.3, 0.0, 0.0], 1).any(), "taking hold moves nothing, wherever the hand is"
    np.testing.assert_allclose(step([0.304, 0.0, 0.0], 1), [0.004, 0, 0], atol=1e-12)
    way = sum(step([0.304, 0.03, 0.0], 1) for _ in range(2))
    np.testing.assert_allclose(way, [0, 0.02, 0], atol=1e-12)
    np.testing.assert_allclose(step([0.304, 0.03, 0.0], 1), [0, 0.01, 0], atol=1e-12)
    assert not step([0.304, 0.03, 0.0], 1).any(), "there"
    assert not step(None, 1).any() and not step([-0.2, 0.0, 0.0], 2).any(), "another hold begins where it is"
    np.testing.assert_allclose(step([-0.2, 0.0, 0.002], 2), [0, 0, 0.002], atol=1e-12)
    station.move("one", held([-0.2, 0.0, 0.5], 2, step.number + 1))
    clock.s += EXPIRY_S + 0.01
    assert not station.velocity()[0].any(), "a hand that is not heard of holds"
    assert station.moved["pose"] > 3


def test_a_leader_that_is_not_heard_is_nobody():
    clock = Time()
    station = Station("test", leader="so101_leader", now=clock)
    station.to("recording")
    assert station.led(None, np.inf) is None and station.unattended == 1
    np.testing.assert_array_equal(station.led(np.ones(2), 0.1), np.ones(2))
    assert station.state("one")["attended"] and station.state("one")["leader"] == "so101_leader"
    assert station.led(np.ones(2), 0.4) is None and not station.state("one")["attended"]
    station.velocity()
    assert station.unattended == 2, "the page's silence is no absence"


def test_a_page_that_falls_back_to_jpegs_is_told_of_once_on_the_page_and_to_whoever_started_it():
    station, told = Station("fall back"), []
    station.tell = told.append
    station.join("a", "ada")
    station.act("a", "pictures", {"by": "webrtc"})
    assert told == []
    station.act("a", "pictures", {"by": "jpeg", "why": "no picture came"})
    assert told == ["a page has its pictures as JPEG, not by WebRTC: no picture came"] == list(station.notes)
    with pytest.raises(UnknownName, match="pictures"):
        station.act("a", "pictures", {"by": "post"})
