"""A robot as a world: connected to once, read once per step, and never left moving."""

import numpy as np
import pytest

from roboscale.core import Case, Field, InfrastructureError, RoboscaleError, Spec, SpecMismatch, UnknownName
from roboscale.testing.world_checks import check_world
from roboscale.worlds import as_world, open_world
from roboscale.worlds.real.robot_world import RobotWorld
from tests.worlds.stand_in_robot import CAMERA, JOINT, StandInRobot

CASE = Case("point", 0)
MOVE = np.array([0.9], np.float32)


@pytest.fixture
def robot():
    return StandInRobot()


def test_the_info_is_there_before_anything_is_connected(robot: StandInRobot):
    world = RobotWorld(robot)
    info = world.info
    assert (info.kind, info.pace, info.scenes, info.hold, info.rate_hz) == ("real", "wall", 1, (0.0,), 20.0)
    assert info.measures == () and not info.deterministic and info.identity.verified
    world.close()
    assert robot._calls == []


def test_it_is_connected_once_and_stopped_after_every_scene(robot: StandInRobot):
    world = RobotWorld(robot)
    for start in range(3):
        scene = world.start(Case("point", start))
        scene.step(MOVE)
        scene.close()
    world.close()
    assert robot._calls == ["connect", *["send", "stop"] * 3, "stop", "disconnect"]


def test_it_is_read_once_per_step_and_only_when_looked_at(robot: StandInRobot):
    scene = RobotWorld(robot).start(CASE)
    assert scene.observe([]) == {} and "read" not in robot._calls
    scene.observe([JOINT.name])
    assert set(scene.observe()) == {JOINT.name, CAMERA.name} and robot._calls.count("read") == 1
    scene.step(MOVE)
    scene.step(MOVE)
    assert robot._calls.count("read") == 1
    assert scene.observe([JOINT.name])[JOINT.name].tolist() == [0.5] and robot._calls.count("read") == 2


def test_what_was_seen_and_what_was_asked_stay_as_they_were(robot: StandInRobot):
    scene = RobotWorld(robot).start(CASE)
    before = scene.observe()
    action = MOVE.copy()
    step = scene.step(action)
    assert step.applied.tolist() == [0.5] and action.tolist() == MOVE.tolist()  # its driver clips in place
    scene.observe()
    assert before[CAMERA.name].max() == 201 and not before[CAMERA.name].flags.writeable


def test_whoever_sets_the_scene_up_does_so_while_it_stands_still(robot: StandInRobot):
    asked = []
    world = RobotWorld(robot, lambda case: asked.append((case, robot._moving)), variations=["light"])
    for case in (CASE, Case("point", 1, "light:2")):
        scene = world.start(case)
        scene.step(MOVE)
        scene.close()
    assert asked == [(CASE, False), (Case("point", 1, "light:2"), False)]
    with pytest.raises(UnknownName, match="variation of stand-in 'table:1'; .*light, nominal"):
        world.start(Case("point", 0, "table:1"))


@pytest.mark.parametrize("call", ["read", "send"])
def test_a_call_that_fails_stops_it_and_is_no_failure_of_the_policy(robot: StandInRobot, call: str):
    world = RobotWorld(robot)
    scene = world.start(CASE)
    scene.step(MOVE)
    robot._fails = {call}
    with pytest.raises(InfrastructureError, match=f"robot stand-in: {call}: OSError: cable out"):
        scene.step(MOVE) if call == "send" else scene.observe()
    assert robot._calls[-2:] == [call, "stop"] and not robot._moving
    robot._fails = set()
    with pytest.raises(RoboscaleError, match="is over"):
        scene.step(MOVE)  # what broke is not driven on
    scene.close()
    world.start(CASE).close()
    assert robot._calls.count("connect") == 1


def test_a_robot_that_cannot_be_stopped_is_said_so(robot: StandInRobot):
    scene = RobotWorld(robot).start(CASE)
    robot._fails = {"send", "stop"}
    with pytest.raises(InfrastructureError, match=r"send: .*stop failed too .*IT MAY STILL BE MOVING"):
        scene.step(MOVE)
    with pytest.raises(InfrastructureError, match="stop: OSError: cable out: IT MAY STILL BE MOVING"):
        scene.close()


def test_an_interruption_stops_it_too(robot: StandInRobot):
    scene = RobotWorld(robot).start(CASE)

    def interrupted(action: np.ndarray) -> np.ndarray:
        robot._moving = True
        raise KeyboardInterrupt

    robot.send = interrupted
    with pytest.raises(KeyboardInterrupt):
        scene.step(MOVE)
    assert not robot._moving


def test_a_robot_that_cannot_be_reached_is_tried_again_by_the_next_case(robot: StandInRobot):
    world = RobotWorld(robot)
    robot._fails = {"connect"}
    with pytest.raises(InfrastructureError, match="robot stand-in: connect: OSError: cable out"):
        world.start(CASE)
    robot._fails = set()
    world.start(CASE).close()
    assert robot._calls.count("connect") == 2


def test_setting_up_that_fails_is_void(robot: StandInRobot):
    def nobody(case: Case) -> None:
        raise TimeoutError("nobody pressed a key")

    world = RobotWorld(robot, nobody)
    with pytest.raises(InfrastructureError, match="prepare: TimeoutError: nobody pressed a key"):
        world.start(CASE)


def test_there_is_one_robot_and_so_one_scene(robot: StandInRobot):
    world = RobotWorld(robot)
    scene = world.start(CASE)
    with pytest.raises(RoboscaleError, match="point/nominal/0 is still open"):
        world.start(Case("point", 1))
    world.close()
    assert robot._calls[-2:] == ["stop", "disconnect"]
    with pytest.raises(RoboscaleError, match="is over"):
        scene.step(MOVE)


def test_what_is_read_has_to_be_what_was_declared(robot: StandInRobot):
    robot.read = lambda: {JOINT.name: np.zeros(2, np.float32), CAMERA.name: robot._picture}
    scene = RobotWorld(robot).start(CASE)
    with pytest.raises(SpecMismatch, match=r"robot stand-in: read: observation.state: expected float32\[1\], found"):
        scene.observe()
    assert robot._calls[-1] == "stop"


def test_a_robot_that_changes_while_it_runs_is_void_and_not_a_mistake_of_the_declaration(robot: StandInRobot):
    scene = RobotWorld(robot).start(CASE)
    scene.observe()
    scene.step(MOVE)
    robot.read = lambda: {JOINT.name: np.zeros(1, np.float32)}
    with pytest.raises(InfrastructureError, match="observation.images.front is missing"):
        scene.observe()


@pytest.mark.parametrize(
    "sent",
    [None, "0.1", ["0.1"], [None], [0.1, 0.2], [], [[0.1]], 0.1, [0.1 + 0j]],
    ids=lambda sent: repr(sent),
)
def test_a_driver_that_does_not_say_what_it_sent_is_an_error(robot: StandInRobot, sent: object):
    robot.send = lambda action: sent
    with pytest.raises(InfrastructureError, match=r"send returns what was really sent, shape \[1\]"):
        RobotWorld(robot).start(CASE).step(MOVE)


@pytest.mark.parametrize("sent", [[0.25], (0,), np.array([0.25], np.float64), np.array([1], np.uint8)])
def test_what_a_driver_says_it_sent_is_what_was_applied(robot: StandInRobot, sent):
    robot.send = lambda action: sent
    step = RobotWorld(robot).start(CASE).step(MOVE)
    assert step.applied is not None and step.applied.tolist() == list(sent)


def test_what_is_missing_is_said_line_by_line():
    class Half:
        name = "half"
        tasks = ["point"]
        observation_spec = action_spec = Spec((Field("state", (1,), "float32"),), 20.0)
        horizon = 0
        holds = (0.0,)

        def connect(self) -> None: ...
        def read(self) -> None: ...

    with pytest.raises(SpecMismatch) as error:
        RobotWorld(Half())
    lines = str(error.value).splitlines()
    assert lines[0] == "Half is no robot yet:"
    assert "  tasks: expected a dict of task -> what is asked, a sentence, found list ['point']" in lines
    assert "  hold: expected the action that keeps still, numbers, found nothing but holds" in lines
    assert "  send: expected a method, found nothing" in lines
    assert [line.split(":")[0].strip() for line in lines[1:]] == [
        *("version", "tasks", "action_spec", "horizon", "hold", "send", "stop", "disconnect"),
    ]


def test_a_hold_action_of_another_size_and_two_rates_are_contradictions(robot: StandInRobot):
    robot.hold = (0.0, 0.0)
    robot.action_spec = Spec(StandInRobot.action_spec.fields, 10.0)
    with pytest.raises(SpecMismatch, match=r"hold: expected 1 numbers.*\n.*expected one rate, found 20 and 10 Hz"):
        RobotWorld(robot)


def test_what_changes_how_it_moves_changes_its_identity():
    plain = RobotWorld(StandInRobot()).info.identity
    assert RobotWorld(StandInRobot(port="/dev/other")).info.identity == plain
    assert RobotWorld(StandInRobot(limit=0.2)).info.identity != plain
    newer = StandInRobot()
    newer.version = "driver 2"
    assert RobotWorld(newer).info.identity != plain
    guarded = StandInRobot()
    guarded.guard = (number for number in (1, 2))
    (doubt,) = RobotWorld(guarded).info.identity.unverified
    assert "guard" in doubt


def test_a_robot_is_a_world_by_its_class_by_an_instance_and_by_its_file(robot: StandInRobot):
    for thing in (StandInRobot, robot, lambda: robot):
        assert isinstance(as_world(thing), RobotWorld)
    assert open_world(f"{__file__.replace('test_robot_world', 'stand_in_robot')}:StandInRobot").info.kind == "real"


def test_the_check_only_holds_it_still(robot: StandInRobot):
    world = RobotWorld(robot)
    found = check_world(world, "point")
    assert [f.check for f in found] == ["not-tried"] and robot._joint == 0.0 and robot._calls.count("send") == 1
