"""From where an operator wants the hand to go to an action of the world: one way for each kind of action space.

Motion is a velocity of the hand in the robot's base frame. What is not moved stays: an action that is relative is
zero, one that is absolute repeats the goal it had, so that letting go, a page that closes and a hand-over never jump.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Field, Observation, Spec, SpecMismatch, check_action
from roboscale.kinematics import reach

__all__ = [
    "JOINT_SHARES",
    "SPEEDS_M_S",
    "Driving",
    "Grips",
    "HandDeltas",
    "JointGoals",
    "base_from_operator",
    "driving_for",
]

Vector = NDArray[np.float64]
Grips = tuple[bool, ...]

SPEEDS_M_S = (0.02, 0.06, 0.2)
"""Speed levels of the hand, metres a second."""

JOINT_SHARES = (0.1, 0.3, 1.0)
"""The same levels of what is driven joint by joint: shares of each joint's own speed."""

_STATE = "observation.state"
_DELTAS = ("target.dx", "target.dy", "target.dz")
_LAG = 4  # control periods at full speed: a goal runs no farther ahead of an arm that is held up


class Driving(Protocol):
    """Turns velocities of the hand, or of several, into actions. One episode at a time; `begin` starts the next.

    Attributes:
        hands: how many hands there are to be moved; the left one of two is the first.
        joints: names of what is driven joint by joint, because nobody knows where its hand is; else empty.
    """

    @property
    def hands(self) -> int: ...

    @property
    def joints(self) -> tuple[str, ...]: ...

    def begin(self, seen: Observation) -> None:
        """An episode begins; the goal is where the arm is."""

    def action(self, seen: Observation, velocity: Vector, closed: Grips) -> NDArray[np.float32]:
        """The action (D,) that moves the hands by `velocity`; zero holds.

        Args:
            velocity: (3 hands,) m/s in the base frame; joint by joint (D,), shares of each joint's speed.
            closed: whether the gripper of each hand is to be closed.
        """

    def hold(self) -> NDArray[np.float32]:
        """The action (D,) that keeps still, the grippers as they were."""

    def follow(self, action: NDArray[Any]) -> Grips | None:
        """Somebody else acted: the next action goes on from there. Whose gripper was closed; `None` unknown."""

    def towards(self, action: NDArray[Any]) -> NDArray[np.float32]:
        """An action (D,) of somebody who takes over, as near to it as one step goes without a jump."""


class HandDeltas:
    """An action that moves the hand by so much a step, with `gripper_effort` (+1 closes).

    Two hands have these names with something before them, e.g. `left.target.dx` and `right.gripper_effort`.

    Args:
        field: the action, its layout has three deltas of each hand; its unit says metres, e.g. `0.01 m; ...`.
        rate_hz: control steps a second, as they are driven.

    Raises:
        SpecMismatch: the unit of the deltas says no metres.
    """

    joints: tuple[str, ...] = ()

    def __init__(self, field: Field, rate_hz: float) -> None:
        said = re.match(r"([\d.]+ )?m\b", field.unit)
        if said is None:
            raise SpecMismatch(f"{field.name}: expected deltas in metres, e.g. `0.01 m`, found unit {field.unit!r}")
        self._unit_m = float(said[1] or 1.0)
        self._field, self._rate_hz = field, rate_hz
        self._moved = _hands_of(field.layout)
        self.hands = len(self._moved)
        names = [f"{before}gripper_effort" for before in self._moved]
        self._grippers = [field.layout.index(name) if name in field.layout else None for name in names]
        self._efforts, self._shut = [-1.0] * self.hands, [False] * self.hands

    def begin(self, seen: Observation) -> None:
        """The grippers are open; what is relative has no goal."""
        self._efforts, self._shut = [-1.0] * self.hands, [False] * self.hands

    def action(self, seen: Observation, velocity: Vector, closed: Grips) -> NDArray[np.float32]:
        """Deltas of one step; a fast hand is slowed as a whole, so that its direction stays.

        A gripper goes on with the effort it had, also with somebody else's, until it is told otherwise.
        """
        action = np.zeros(self._field.shape, np.float32)
        for hand, moved in enumerate(self._moved.values()):
            step = np.asarray(velocity, np.float64)[3 * hand : 3 * hand + 3] / self._rate_hz / self._unit_m
            most = min(abs(self._field.high[i]) for i in moved) if self._field.high is not None else math.inf
            action[moved] = step * min(1.0, most / max(float(np.abs(step).max()), 1e-12))
            if closed[hand] != self._shut[hand]:
                self._efforts[hand], self._shut[hand] = 1.0 if closed[hand] else -1.0, closed[hand]
        return self._gripping(action)

    def hold(self) -> NDArray[np.float32]:
        """No motion; a gripper is told nothing else than at the step before."""
        return self._gripping(np.zeros(self._field.shape, np.float32))

    def _gripping(self, action: NDArray[np.float32]) -> NDArray[np.float32]:
        for gripper, effort in zip(self._grippers, self._efforts, strict=True):
            if gripper is not None:
                action[gripper] = effort
        return action

    def follow(self, action: NDArray[Any]) -> Grips | None:
        """The grippers stay as they were commanded."""
        for hand, gripper in enumerate(self._grippers):
            if gripper is not None:
                self._efforts[hand], self._shut[hand] = float(action[gripper]), bool(action[gripper] > 0)
        return tuple(self._shut) if any(gripper is not None for gripper in self._grippers) else None

    def towards(self, action: NDArray[Any]) -> NDArray[np.float32]:
        """The action itself: a step of it is all that it moves."""
        return np.asarray(action, np.float32)


class JointGoals:
    """An action that says where the joints are to be; a hand is moved by inverse kinematics, or joint by joint.

    A joint called `gripper`, `left_gripper` and the like opens towards its high end and closes towards its low one.

    Args:
        field: the action (D,), with bounds; `observation.state` has the same joints.
        forward: joints (D,) -> the hand (3,), or two hands ((3,), (3,)), the left one first, metres in the base frame;
            `None` where nobody knows, and each joint is driven by itself.
        rate_hz: control steps a second.
        speeds: most that each joint moves, unit/s, (D,); its whole range in a second where infinite.
    """

    def __init__(
        self, field: Field, forward: Callable[[Vector], Any] | None, rate_hz: float, speeds: NDArray[Any]
    ) -> None:
        assert field.low is not None and field.high is not None, "joints have limits"
        self._field, self._forward, self._rate_hz = field, forward, rate_hz
        self._low, self._high = np.array(field.low), np.array(field.high)
        speeds = np.asarray(speeds, np.float64)
        self._most = np.where(np.isfinite(speeds), speeds, self._high - self._low) / rate_hz
        words = [re.split(r"[._ ]", name) for name in field.layout]
        self._grippers = np.array(["gripper" in said for said in words])
        self._goal: Vector = np.zeros(field.shape)
        self.joints = () if forward is not None else field.layout
        self.hands = 1 if forward is None else self._hands_at((self._low + self._high) / 2).size // 3
        self._hand_of = [1 if self.hands > 1 and "right" in said else 0 for said in words]

    def _hands_at(self, joints: Vector) -> Vector:
        assert self._forward is not None, "asked where somebody knows"
        return np.asarray(self._forward(joints), np.float64).ravel()

    def begin(self, seen: Observation) -> None:
        """The goal is where the joints are."""
        self._goal = np.clip(np.asarray(seen[_STATE], np.float64), self._low, self._high)

    def action(self, seen: Observation, velocity: Vector, closed: Grips) -> NDArray[np.float32]:
        """The goal, moved on by one step."""
        goal = self._goal
        if self._forward is None:
            goal = goal + np.asarray(velocity) * self._most
        elif np.any(velocity):
            target = self._hands_at(goal) + np.asarray(velocity) / self._rate_hz
            low, high = (np.where(self._grippers, goal, bound) for bound in (self._low, self._high))
            goal = reach(self._hands_at, goal, target, low=low, high=high).joints
        shut = np.array([closed[hand] for hand in self._hand_of])
        ends = np.where(self._grippers, np.where(shut, self._low, self._high), goal)
        goal = self._goal + np.clip(ends - self._goal, -self._most, self._most)
        lag = _LAG * self._most
        here = np.asarray(seen[_STATE], np.float64)
        self._goal = np.clip(goal, np.maximum(self._low, here - lag), np.minimum(self._high, here + lag))
        return self._goal.astype(np.float32)

    def hold(self) -> NDArray[np.float32]:
        """The goal there was."""
        return self._goal.astype(np.float32)

    def follow(self, action: NDArray[Any]) -> Grips | None:
        """The goal is theirs."""
        self._goal = np.clip(np.asarray(action, np.float64), self._low, self._high)
        if not self._grippers.any():
            return None
        shut = self._goal < (self._low + self._high) / 2
        mine = [self._grippers & (np.array(self._hand_of) == hand) for hand in range(self.hands)]
        return tuple(bool(one.any() and shut[one].all()) for one in mine)

    def towards(self, action: NDArray[Any]) -> NDArray[np.float32]:
        """As far as the joints go in one step from the goal there was."""
        wanted, _ = check_action(np.asarray(action), self._field)
        self._goal = self._goal + np.clip(wanted - self._goal, -self._most, self._most)
        return self._goal.astype(np.float32)


def _hands_of(layout: Sequence[str]) -> dict[str, list[int]]:
    """What stands before the deltas of each hand -> their columns; the right one of two is the last."""
    before = [name.removesuffix(_DELTAS[0]) for name in layout if name.endswith(_DELTAS[0])]
    whole = [one for one in before if all(f"{one}{delta}" in layout for delta in _DELTAS)]
    return {one: [layout.index(f"{one}{delta}") for delta in _DELTAS] for one in sorted(whole, key=_is_right)}


def _is_right(before: str) -> bool:
    return "right" in before


def base_from_operator(view_deg: float) -> NDArray[np.float64]:
    """Axes of the operator (away, left, up) in the robot's base frame, (3, 3).

    Args:
        view_deg: where the operator, or the camera that is looked at, looks: degrees about z from the base's x axis.

    >>> base_from_operator(90).round(6).tolist()[0]
    [0.0, -1.0, 0.0]
    """
    c, s = math.cos(math.radians(view_deg)), math.sin(math.radians(view_deg))
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def driving_for(
    observed: Spec,
    action: Field,
    rate_hz: float,
    forward: Callable[[Vector], Any] | None,
    speeds: NDArray[Any] | None,
    *,
    leader: bool = False,
) -> Driving:
    """The way to drive what takes such actions.

    Args:
        observed: what is seen.
        action: the action field.
        rate_hz: control steps a second, as they are driven.
        forward: joints -> the hand or hands, metres; `None` where nobody knows: each joint is then driven by itself.
        speeds: most that each joint moves, unit/s; `None` where nobody says.
        leader: a leader arm drives, which gives joints and needs no `forward`.

    Raises:
        SpecMismatch: none is known for such actions; says what was expected and what there is.
    """
    if not leader and _hands_of(action.layout):
        return HandDeltas(action, rate_hz)
    limited = action.low is not None and bool(np.isfinite([*action.low, *(action.high or ())]).all())
    if limited and len(action.shape) == 1 and _STATE in observed and observed[_STATE].layout == action.layout:
        most = np.full(action.shape, np.inf) if speeds is None else speeds
        return JointGoals(action, None if leader else forward, rate_hz, most)
    if leader:
        raise SpecMismatch(
            f"a leader arm drives positions of the joints of {_STATE}, with limits; {action.name} has layout "
            f"{list(action.layout)}"
        )
    raise SpecMismatch(
        f"nobody knows how a hand drives {action.name}: expected {', '.join(_DELTAS)}, or positions of the joints of "
        f"{_STATE}, with limits; found layout {list(action.layout)}"
    )
