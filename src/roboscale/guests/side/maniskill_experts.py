"""Experts of ManiSkill's tasks: its planner's screw motions between a few poses that are read from the observation.

ManiSkill's own examples plan from what the simulator knows and drive it themselves. These plan the same motions with
the same planner (mplib), from what a policy may read, one after the other: what slipped is seen before the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

__all__ = ["SCREW_EXPERTS", "ScrewExpert"]

_OPEN, _CLOSED = 1.0, -1.0
_DOWN = np.array([0.0, 0.0, -1.0])
_LIMITS = 0.9  # share of the joints' largest speed and acceleration that ManiSkill's planner uses
_NEAR_M = 0.09  # between the middles of two cubes
_STEPS = (0.1, 0.03, 0.01)  # rad along a path: what the planner gives up at one of these goes at another

Plan = Iterator[Any]
"""Rows (8,): seven joint angles in rad, the gripper in -1..1."""


class ScrewExpert:
    """Follows a plan; one for each episode.

    Args:
        planner: of mplib. plan: what is done, made of this; when it ends, the last row is kept.
        hz: of the actions.
    """

    def __init__(self, planner: Any, plan: Callable[[ScrewExpert], Plan], hz: float) -> None:
        self._planner, self._attempt, self._period = planner, plan, 1 / hz
        self.joints, self.tip, self.things = np.zeros(9), np.eye(4), np.zeros(0)
        self._plan: Plan | None = None
        self._last = np.zeros(8)

    def __call__(self, seen: Mapping[str, Any]) -> Any:
        """One action (8,)."""
        self.joints = np.asarray(seen["observation.joints"], float)
        self.tip = matrix(np.asarray(seen["observation.state"], float)[:7])
        self.things = np.asarray(seen["observation.environment_state"], float)
        if self._plan is None:
            self._last = np.array([*self.joints[:7], _OPEN])
            self._plan = self._attempt(self)
        self._last = next(self._plan, self._last)
        return self._last.astype(np.float32)

    def thing(self, start: int) -> Any:
        """Pose (4, 4) of the thing whose seven numbers begin there."""
        return matrix(self.things[start : start + 7])

    def to(self, pose: Any, gripper: float, speed: float = _LIMITS, *, onwards: bool = False) -> Plan:
        """A screw motion of the tip to a pose (4, 4); nothing where there is none, as ManiSkill's examples go on.

        Args:
            onwards: from where the arm was told to be, not from where it is, which lags and sags by millimetres.
        """
        planner = self._planner
        planner.joint_vel_limits = planner.joint_acc_limits = np.full(7, speed)
        joints = np.array([*self._last[:7], *self.joints[7:]]) if onwards else self.joints
        for step in _STEPS:
            try:
                path = planner.plan_screw(seven(pose), joints, qpos_step=step, time_step=self._period)
            except RuntimeError:  # it could not be timed: too short
                continue
            if path["status"] == "Success":
                for row in path["position"]:
                    yield np.array([*row[:7], gripper])
                return

    def stay(self, gripper: float, steps: int = 6) -> Plan:
        """Keeps still while the gripper works."""
        for _ in range(steps):
            yield np.array([*self._last[:7], gripper])


def matrix(pose: Any) -> Any:
    """(4, 4) of x, y, z and a quaternion w, x, y, z."""
    from transforms3d.quaternions import quat2mat

    made = np.eye(4)
    made[:3, :3], made[:3, 3] = quat2mat(pose[3:7]), pose[:3]
    return made


def seven(pose: Any) -> Any:
    """x, y, z and a quaternion w, x, y, z of (4, 4)."""
    from transforms3d.quaternions import mat2quat

    return np.concatenate([pose[:3, 3], mat2quat(pose[:3, :3])])


def shifted(pose: Any, *metres: float) -> Any:
    """The pose, moved along its own axes."""
    made = pose.copy()
    made[:3, 3] += pose[:3, :3] @ np.array(metres)
    return made


def raised(pose: Any, metres: float) -> Any:
    """The pose, higher."""
    made = pose.copy()
    made[2, 3] += metres
    return made


def gripping(closing: Any, place: Any) -> Any:
    """Pose (4, 4) of a tip that looks straight down and closes along an axis."""
    flat = np.array([closing[0], closing[1], 0.0])
    flat /= np.linalg.norm(flat)
    made = np.eye(4)
    made[:3, :3] = np.stack([np.cross(flat, _DOWN), flat, _DOWN], axis=1)
    made[:3, 3] = place
    return made


def nearest(axes: Any, axis: Any) -> Any:
    """Of axes and their opposites the one that is turned the least from an axis."""
    turns = [one @ axis for one in axes]
    best = int(np.argmax(np.abs(turns)))
    return axes[best] * np.sign(turns[best])


def cube_grip(me: ScrewExpert, start: int, beside: Any = None) -> Any:
    """A tip that holds a cube along that of its axes which the hand need turn to the least.

    Args:
        start: of the cube's seven numbers.
        beside: (3,) of another one; no finger goes between the two when they are near.
    """
    cube = me.thing(start)
    sides = sorted((cube[:3, n] for n in range(3)), key=lambda side: abs(side[2]))[:2]
    if beside is not None and np.linalg.norm(apart := (beside - cube[:3, 3])[:2]) < _NEAR_M:
        sides = sorted(sides, key=lambda side: abs(side[:2] @ apart))[:1]
    return gripping(nearest(sides, me.tip[:3, 1]), cube[:3, 3])


def grasped(me: ScrewExpert, grip: Any, speed: float = _LIMITS) -> Plan:
    """Over the place, down, closed."""
    yield from me.to(shifted(grip, 0, 0, -0.05), _OPEN, speed)
    yield from me.to(grip, _OPEN, speed)
    yield from me.stay(_CLOSED)


def pick_cube(me: ScrewExpert) -> Plan:
    """The cube is carried to the goal."""
    grip = cube_grip(me, 0)
    yield from grasped(me, grip)
    grip[:3, 3] = me.things[7:10]
    yield from me.to(grip, _CLOSED)


def stack_cube(me: ScrewExpert) -> Plan:
    """The red cube is put on the green one, and let go."""
    grip = cube_grip(me, 0, beside=me.things[7:10])
    yield from grasped(me, grip)
    lifted = raised(grip, 0.1)
    yield from me.to(lifted, _CLOSED)
    over = lifted.copy()
    over[:3, 3] += me.things[7:10] - me.things[:3] + np.array([0, 0, 0.04])
    yield from me.to(over, _CLOSED)
    yield from me.stay(_OPEN)


def push_cube(me: ScrewExpert) -> Plan:
    """The closed hand moves the cube before it."""
    yield from me.stay(_CLOSED)
    hand = me.tip.copy()
    hand[:3, 3] = me.things[:3] - [0.05, 0, 0]
    yield from me.to(hand, _CLOSED)
    hand[:3, 3] = me.things[7:10] - [0.12, 0, 0]
    yield from me.to(hand, _CLOSED)


def insert_peg(me: ScrewExpert) -> Plan:
    """The peg is held at its tail, brought before the hole, aligned four times, and pushed in."""
    careful = 0.75
    length, hole = float(me.things[14]), me.thing(7)
    peg = me.thing(0)
    held_at = max(0.05, length / 2 + 0.01)
    grip = gripping(nearest([peg[:3, 1]], me.tip[:3, 1]), peg[:3, 3] - peg[:3, 0] * held_at)
    yield from grasped(me, grip, careful)
    goal = shifted(hole, -length, 0, 0)  # of the middle of the peg, its head in the hole
    before = shifted(goal, -length - 0.01, 0, 0)
    told = before @ np.linalg.inv(peg) @ grip
    yield from me.to(told, _CLOSED, careful)
    for _ in range(4):  # what the arm sags is added to what it is told
        yield from me.stay(_CLOSED, 4)
        told = before @ np.linalg.inv(me.thing(0)) @ told
        yield from me.to(told, _CLOSED, careful, onwards=True)
    inwards = np.eye(4)
    inwards[:3, 3] = (length + 0.06) * hole[:3, 0]
    yield from me.to(inwards @ told, _CLOSED, careful, onwards=True)


SCREW_EXPERTS: dict[str, Callable[[ScrewExpert], Plan]] = {
    "PickCube": pick_cube,
    "StackCube": stack_cube,
    "PushCube": push_cube,
    "PegInsertionSide": insert_peg,
}
