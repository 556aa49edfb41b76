"""The guard: no sequence of commands passes a limit, and every intervention is counted."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roboscale.worlds.real.declaration import RobotDeclaration, RobotJoint, Watchdog, Workspace
from roboscale.worlds.real.guard import _REACH, MotionGuard

LINKS = (0.25, 0.2)


def flange(joints):
    """A turning base and two links."""
    turn, lift, bend = joints
    reach = LINKS[0] * math.cos(lift) + LINKS[1] * math.cos(lift + bend)
    up = LINKS[0] * math.sin(lift) + LINKS[1] * math.sin(lift + bend)
    return np.array([reach * math.cos(turn), reach * math.sin(turn), up])


def joint(name: str, **changes) -> RobotJoint:
    given = {"low": -1.5, "high": 1.5, "velocity": 1.2, "acceleration": 6.0, "jump": 0.6, "home": 0.0, "effort": 5.0}
    return RobotJoint(name=name, unit="rad", **(given | changes))


ROBOT = RobotDeclaration(
    name="arm",
    driver="x:Y",
    rate_hz=20.0,
    horizon=10,
    tasks={"reach": "move"},
    joints=(joint("turn"), joint("lift", low=-0.4), joint("bend", acceleration=9.0)),
    workspace=Workspace(low=(0.15, -0.3, -0.1), high=(0.5, 0.3, 0.3), speed=0.25),
)


class Time:
    def __init__(self) -> None:
        self.s = 100.0

    def __call__(self) -> float:
        return self.s


def engaged(robot: RobotDeclaration = ROBOT) -> tuple[MotionGuard, Time]:
    time = Time()
    guard = MotionGuard(robot, flange if robot.workspace else None, time)
    assert guard.engage(np.zeros(len(robot.joints))) == ""
    return guard, time


class Watcher:
    """Ticks a guard and looks whether what it sends keeps to every limit."""

    def __init__(self, robot: RobotDeclaration, guard: MotionGuard, time: Time) -> None:
        self.robot, self.guard, self.time = robot, guard, time
        self.last, self.last_s, self.rate = guard.setpoint, time.s, np.zeros(len(robot.joints))
        self.step_s = 1 / robot.watchdog.tick_hz
        self.path = 0.0

    def tick(self, wait_s: float) -> None:
        self.time.s += wait_s
        sent = self.guard.tick()
        robot, step = self.robot, self.step_s
        moved = sent - self.last
        assert (sent >= robot.column("low")).all() and (sent <= robot.column("high")).all()
        if moved.any():
            assert self.time.s - self.last_s >= step * 0.999, "never faster than the tick"
        assert (np.abs(moved) <= robot.column("velocity") * step + 1e-7).all()
        if wait_s >= step:
            rate = moved / step
            assert (np.abs(rate - self.rate) <= robot.column("acceleration") * step + 1e-6).all()
            self.rate, self.last_s = rate, self.time.s
        if robot.workspace is not None:
            at, before = flange(sent), flange(self.last)
            assert (at >= np.array(robot.workspace.low) - 1e-9).all()
            assert (at <= np.array(robot.workspace.high) + 1e-9).all()
            self.path += float(np.linalg.norm(at - before))
            assert np.linalg.norm(at - before) <= robot.workspace.speed * step + 1e-7
        self.last = sent


NUMBERS = st.floats(-0.55, 0.55) | st.floats(allow_nan=True, allow_infinity=True)
ACTIONS = (
    st.lists(st.floats(-0.55, 0.55), min_size=3, max_size=3)
    | st.lists(NUMBERS, min_size=0, max_size=4)
    | st.sampled_from([None, "up", [[0.1, 0.1, 0.1]], {"a": 1}])
)
STEPS = st.one_of(
    st.tuples(st.just("relative"), st.lists(st.floats(-0.55, 0.55), min_size=3, max_size=3), st.integers(1, 30)),
    st.tuples(st.just("command"), ACTIONS, st.integers(0, 20)),
    st.tuples(st.just("old"), st.floats(-5, 5) | st.just(math.nan), st.integers(0, 5)),
    st.tuples(st.just("repeat"), st.integers(-3, 0), st.integers(0, 5)),
    st.tuples(st.just("wait"), st.floats(0, 0.5), st.integers(0, 40)),
    st.tuples(st.just("hold"), st.none(), st.integers(0, 20)),
    st.tuples(st.just("stop"), st.none(), st.integers(0, 20)),
    st.tuples(st.just("sense"), st.lists(NUMBERS, min_size=3, max_size=3), st.integers(0, 3)),
)


@settings(max_examples=300, deadline=None)
@given(steps=st.lists(STEPS, max_size=25), box=st.booleans(), sensed=st.booleans())
def test_no_sequence_of_commands_passes_a_limit(steps, box: bool, sensed: bool):
    robot = ROBOT if box else replace(ROBOT, workspace=None)
    guard, time = engaged(robot)
    watcher, number = Watcher(robot, guard, time), 0
    for what, value, ticks in steps:
        if what == "relative":
            number += 1
            guard.command(guard.setpoint + value, sequence=number, sent_s=time.s)
        elif what == "command":
            number += 1
            guard.command(value, sequence=number, sent_s=time.s)
        elif what == "old":
            number += 1
            guard.command(np.zeros(3), sequence=number, sent_s=time.s + value)
        elif what == "repeat":
            guard.command(np.full(3, 0.5), sequence=number + value, sent_s=time.s)
        elif what == "wait":
            watcher.tick(value)
        elif what == "hold":
            guard.hold()
        elif what == "stop":
            guard.stop("stop", "somebody pressed the key")
        else:
            guard.sense(np.array(value))
        for _ in range(ticks):
            watcher.tick(watcher.step_s)
            if sensed:
                guard.sense(guard.setpoint)
        if guard.mode == "stopped" and ticks > 10:
            guard.engage(guard.setpoint) if not watcher.rate.any() else None
    assert sum(guard.counts.values()) == len(guard.events)


def go(guard: MotionGuard, time: Time, goal, ticks: int = 5, number: list[int] = [0]) -> None:  # noqa: B006  # a counter
    number[0] += 1
    guard.command(np.asarray(goal, float), sequence=number[0], sent_s=time.s)
    for _ in range(ticks):
        time.s += 0.01
        guard.tick()
        guard.sense(guard.setpoint)


@pytest.mark.parametrize("box", [True, False])
@pytest.mark.parametrize("goal", [(0.3, 0.1, -0.2), (-0.3, 0.2, 0.1)])
def test_it_gets_where_it_is_sent(box: bool, goal: tuple[float, float, float]):
    guard, time = engaged(ROBOT if box else replace(ROBOT, workspace=None))
    before = np.zeros(3)
    for _ in range(60):
        go(guard, time, goal)
        assert (np.abs(np.array(goal) - guard.setpoint) <= np.abs(np.array(goal) - before) + 1e-9).all(), "nearer"
        before = guard.setpoint
    assert guard.setpoint == pytest.approx(goal, abs=1e-4) and guard.mode == "moving"


@pytest.mark.parametrize("box", [True, False])
@pytest.mark.parametrize("share", [0.25, 0.5, 1.0, 2.0, 4.0])
def test_what_was_made_of_a_command_lies_on_the_way_asked(box: bool, share: float):
    """Worked example: a joint of 1.2 rad/s goes .075 in 1.25 control periods of 50 ms, and no further is it sent."""
    guard, time = engaged(ROBOT if box else replace(ROBOT, workspace=None))
    asked = share * np.array([0.06, -0.03, 0.012])
    made = guard.command(asked, sequence=1, sent_s=time.s)
    part = float(made @ asked / (asked @ asked))
    assert made == pytest.approx(part * asked, abs=1e-12) and 0 < part <= 1
    if not box:
        assert part == pytest.approx(min(1.0, _REACH / ROBOT.rate_hz * 1.2 / (0.06 * share)))
        assert guard.counts == ({} if part == 1 else {"velocity": 1})


def test_goals_within_the_limits_are_no_intervention():
    guard, time = engaged()
    for step in range(1, 40):
        go(guard, time, [0.01 * step, 0.005 * step, 0.0])
    assert not guard.counts and guard.setpoint[0] > 0.35


@pytest.mark.parametrize("lag_s", [0.0, 0.015, 0.06])
def test_after_the_last_command_the_flange_goes_20_mm_at_most_at_a_quarter_of_a_metre_a_second(lag_s: float):
    """The arm itself, whose motors are behind their setpoint by so much."""
    guard, time = engaged()
    arm, number = guard.setpoint, 0

    def pass_tick() -> float:
        nonlocal arm
        time.s += 0.01
        there = arm + (guard.tick() - arm) * (1.0 if lag_s == 0 else 1 - math.exp(-0.01 / lag_s))
        way, arm = float(np.linalg.norm(flange(there) - flange(arm))), there
        guard.sense(arm)
        return way

    fastest = 0.0
    for number in range(1, 11):
        guard.command(arm + np.array([0.3, 0.0, 0.0]), sequence=number, sent_s=time.s)
        fastest = max(fastest, *(pass_tick() for _ in range(5)))
    assert fastest > 0.0008, "in motion"
    guard.command(arm + np.array([0.3, 0.0, 0.0]), sequence=number + 1, sent_s=time.s)
    path = sum(pass_tick() for _ in range(100))
    assert path <= 0.020 and guard.mode == "holding" and guard.counts["expired"] == 1


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        ([0.1, 0.1], "shape"),
        ("up", "shape"),
        ([math.nan, 0, 0], "not finite"),
        ([math.inf, 0, 0], "not finite"),
        ([0.7, 0, 0], "jump"),
    ],
)
def test_what_nobody_sane_asks_for_stops(action, kind: str):
    guard, time = engaged()
    guard.command(action, sequence=1, sent_s=time.s)
    assert guard.mode == "stopped" and guard.reason is not None and guard.reason.kind == kind
    guard.command([0.1, 0, 0], sequence=2, sent_s=time.s)
    time.s += 0.01
    assert not guard.tick().any() and guard.counts[kind] == 1, "a stop stays"
    assert guard.engage(np.zeros(3)) == "" and guard.mode == "holding"


def test_what_is_clamped_is_counted_by_kind():
    guard, time = engaged()
    go(guard, time, [0.5, 0, 0])
    assert guard.counts["velocity"] >= 1 and guard.mode == "moving"
    low = replace(ROBOT, joints=(joint("turn", high=0.02), *ROBOT.joints[1:]))
    guard, time = engaged(low)
    go(guard, time, [0.3, 0, 0])
    assert guard.counts["position"] == 1 and guard.setpoint[0] <= 0.02


def test_the_workspace_ends_the_way_and_the_arm_stays_inside():
    guard, time = engaged(replace(ROBOT, workspace=Workspace(low=(0.15, -0.02, -0.1), high=(0.5, 0.02, 0.3))))
    for _ in range(40):
        go(guard, time, guard.setpoint + np.array([0.1, 0, 0]))
    assert guard.counts["workspace"] > 0 and 0.015 < flange(guard.setpoint)[1] <= 0.02


def test_a_command_expires_and_the_arm_holds():
    guard, time = engaged()
    go(guard, time, [0.02, 0, 0])
    time.s += ROBOT.watchdog.lease_s
    guard.tick()
    assert guard.mode == "holding" and guard.counts == {"expired": 1}
    still = guard.setpoint
    time.s += 0.01
    for _ in range(50):
        time.s += 0.01
        guard.tick()
    assert np.abs(guard.setpoint - still).max() < 0.05
    go(guard, time, guard.setpoint)
    assert guard.mode == "moving", "the next command is taken"


def test_holding_on_purpose_is_no_intervention():
    guard, time = engaged()
    go(guard, time, [0.02, 0, 0])
    guard.hold()
    time.s += 10
    guard.tick()
    assert guard.mode == "holding" and not guard.counts


def test_commands_that_come_twice_late_or_from_the_future_are_dropped():
    guard, time = engaged()
    go(guard, time, [0.02, 0, 0])
    for sequence, sent in ((0, time.s), (10**6, time.s - 1), (10**6 + 1, time.s + 1)):
        guard.command(np.full(3, 0.02), sequence=sequence, sent_s=sent)
    assert guard.counts == {"late": 3}
    said = [event.text for event in guard.events]
    assert said[0].startswith("command 0, 0.000 s old, after command ")
    assert "command 1000000, 1.000 s old" in said[1] and "command 1000001, -1.000 s old" in said[2]


def test_force_a_frozen_camera_and_a_key_stop():
    guard, time = engaged()
    guard.sense(np.zeros(3), effort=np.array([0, 6.0, 0]))
    assert guard.reason is not None and guard.reason.kind == "force" and "6.0" in guard.reason.text
    guard, time = engaged(replace(ROBOT, watchdog=Watchdog(camera_s=1.0)))
    for _ in range(3):
        guard.sense(np.zeros(3), frames={"front": int("123456789")})  # equal, and never the same object
        time.s += 0.4
    assert guard.mode == "holding"
    guard.sense(np.zeros(3), frames={"front": int("123456789")})
    assert guard.reason is not None and guard.reason.kind == "camera" and "1.20 s" in guard.reason.text
    guard, time = engaged()
    guard.stop("stop", "the page")
    guard.stop("stop", "again")
    assert guard.counts == {"stop": 1}, "one stop is one"


@pytest.mark.parametrize("read", [[2.0, 0, 0], [math.nan, 0, 0], [0, 0]])
def test_an_arm_outside_its_limits_is_not_engaged(read):
    guard = MotionGuard(ROBOT, flange, Time())
    assert guard.engage(np.array(read)) != "" and guard.mode == "off"
    assert "workspace" in MotionGuard(ROBOT, flange, Time()).engage(np.array([0.0, 1.4, 1.0]))
