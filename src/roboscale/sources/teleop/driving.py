"""From where an operator wants the hand to go to an action of the world: one way for each kind of action space.

Motion is a velocity of the hand in the robot's base frame. What is not moved stays: an action that is relative is
zero, one that is absolute repeats the goal it had, so that letting go, a page that closes and a hand-over never jump.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Field, Observation, Spec, SpecMismatch, check_action
from roboscale.kinematics import reach

__all__ = ["SPEEDS_M_S", "Driving", "HandDeltas", "JointGoals", "base_from_operator", "driving_for"]

Vector = NDArray[np.float64]

SPEEDS_M_S = (0.02, 0.06, 0.2)
"""Speed levels of the hand, metres a second."""

_STATE = "observation.state"
_DELTAS = ("target.dx", "target.dy", "target.dz")
_LAG = 4  # control periods at full speed: a goal runs no farther ahead of an arm that is held up


class Driving(Protocol):
    """Turns velocities of the hand into actions. One episode at a time; `begin` starts the next."""

    def begin(self, seen: Observation) -> None:
        """An episode begins; the goal is where the arm is."""

    def action(self, seen: Observation, velocity: Vector, closed: bool) -> NDArray[np.float32]:
        """The action (D,) that moves the hand by `velocity` (3,) m/s, base frame; zero holds.

        Args:
            closed: whether the gripper is to be closed.
        """

    def hold(self) -> NDArray[np.float32]:
        """The action (D,) that keeps still, the gripper as it was."""

    def follow(self, action: NDArray[Any]) -> bool | None:
        """Somebody else acted: the next action goes on from there. Whether its gripper was closed; `None` unknown."""

    def towards(self, action: NDArray[Any]) -> NDArray[np.float32]:
        """An action (D,) of somebody who takes over, as near to it as one step goes without a jump."""


class HandDeltas:
    """An action that moves the hand by so much a step, with `gripper_effort` (+1 closes).

    Args:
        field: the action, its layout begins with the three deltas; its unit says metres, e.g. `0.01 m; ...`.
        rate_hz: control steps a second, as they are driven.

    Raises:
        SpecMismatch: the unit of the deltas says no metres.
    """

    def __init__(self, field: Field, rate_hz: float) -> None:
        said = re.match(r"([\d.]+ )?m\b", field.unit)
        if said is None:
            raise SpecMismatch(f"{field.name}: expected deltas in metres, e.g. `0.01 m`, found unit {field.unit!r}")
        self._unit_m = float(said[1] or 1.0)
        self._field, self._rate_hz = field, rate_hz
        self._moved = [field.layout.index(name) for name in _DELTAS]
        self._effort = -1.0
        self._gripper = field.layout.index("gripper_effort") if "gripper_effort" in field.layout else None

    def begin(self, seen: Observation) -> None:
        """Nothing is remembered: what is relative has no goal."""

    def action(self, seen: Observation, velocity: Vector, closed: bool) -> NDArray[np.float32]:
        """Deltas of one step; a fast hand is slowed as a whole, so that its direction stays."""
        action = np.zeros(self._field.shape, np.float32)
        step = np.asarray(velocity, np.float64) / self._rate_hz / self._unit_m
        most = min(abs(self._field.high[i]) for i in self._moved) if self._field.high is not None else math.inf
        action[self._moved] = step * min(1.0, most / max(float(np.abs(step).max()), 1e-12))
        if self._gripper is not None:
            self._effort = action[self._gripper] = 1.0 if closed else -1.0
        return action

    def hold(self) -> NDArray[np.float32]:
        """No motion; a gripper is told nothing else than at the step before."""
        still = np.zeros(self._field.shape, np.float32)
        if self._gripper is not None:
            still[self._gripper] = self._effort
        return still

    def follow(self, action: NDArray[Any]) -> bool | None:
        """The gripper stays as it was commanded."""
        return None if self._gripper is None else bool(action[self._gripper] > 0)

    def towards(self, action: NDArray[Any]) -> NDArray[np.float32]:
        """The action itself: a step of it is all that it moves."""
        return np.asarray(action, np.float32)


class JointGoals:
    """An action that says where the joints are to be; the hand is moved by inverse kinematics.

    A joint called `gripper` opens towards its high end and closes towards its low one.

    Args:
        field: the action (D,), with bounds; `observation.state` has the same joints.
        forward: joints (D,) -> the hand (3,), metres in the base frame.
        rate_hz: control steps a second.
        speeds: most that each joint moves, unit/s, (D,); its whole range in a second where infinite.
    """

    def __init__(self, field: Field, forward: Callable[[Vector], Any], rate_hz: float, speeds: NDArray[Any]) -> None:
        assert field.low is not None and field.high is not None, "joints have limits"
        self._field, self._forward, self._rate_hz = field, forward, rate_hz
        self._low, self._high = np.array(field.low), np.array(field.high)
        speeds = np.asarray(speeds, np.float64)
        self._most = np.where(np.isfinite(speeds), speeds, self._high - self._low) / rate_hz
        self._grippers = np.array([name.split(".")[0] == "gripper" for name in field.layout])
        self._goal: Vector = np.zeros(field.shape)

    def begin(self, seen: Observation) -> None:
        """The goal is where the joints are."""
        self._goal = np.clip(np.asarray(seen[_STATE], np.float64), self._low, self._high)

    def action(self, seen: Observation, velocity: Vector, closed: bool) -> NDArray[np.float32]:
        """The goal, moved on by one step."""
        goal = self._goal
        if np.any(velocity):
            target = np.asarray(self._forward(goal), np.float64) + np.asarray(velocity) / self._rate_hz
            low, high = (np.where(self._grippers, goal, bound) for bound in (self._low, self._high))
            goal = reach(self._forward, goal, target, low=low, high=high).joints
        ends = np.where(self._grippers, self._low if closed else self._high, goal)
        goal = self._goal + np.clip(ends - self._goal, -self._most, self._most)
        lag = _LAG * self._most
        here = np.asarray(seen[_STATE], np.float64)
        self._goal = np.clip(goal, np.maximum(self._low, here - lag), np.minimum(self._high, here + lag))
        return self._goal.astype(np.float32)

    def hold(self) -> NDArray[np.float32]:
        """The goal there was."""
        return self._goal.astype(np.float32)

    def follow(self, action: NDArray[Any]) -> bool | None:
        """The goal is theirs."""
        self._goal = np.clip(np.asarray(action, np.float64), self._low, self._high)
        if not self._grippers.any():
            return None
        middle = (self._low + self._high) / 2
        return bool((self._goal < middle)[self._grippers].all())

    def towards(self, action: NDArray[Any]) -> NDArray[np.float32]:
        """As far as the joints go in one step from the goal there was."""
        wanted, _ = check_action(np.asarray(action), self._field)
        self._goal = self._goal + np.clip(wanted - self._goal, -self._most, self._most)
        return self._goal.astype(np.float32)


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
        forward: joints -> the hand, metres; `None` where nobody knows.
        speeds: most that each joint moves, unit/s; `None` where nobody says.
        leader: a leader arm drives, which gives joints and needs no `forward`.

    Raises:
        SpecMismatch: none is known for such actions; says what was expected and what there is.
    """
    if set(_DELTAS) <= set(action.layout) and not leader:
        return HandDeltas(action, rate_hz)
    joints = _STATE in observed and observed[_STATE].layout == action.layout and action.low is not None
    if joints and (forward is not None or leader) and len(action.shape) == 1:
        most = np.full(action.shape, np.inf) if speeds is None else speeds
        return JointGoals(action, forward or _nowhere, rate_hz, most)
    if leader:
        raise SpecMismatch(
            f"a leader arm drives positions of the joints of {_STATE}, with limits; {action.name} has layout "
            f"{list(action.layout)}"
        )
    has = f"layout {list(action.layout)}{'' if forward is not None else ', and no flange(joints)'}"
    raise SpecMismatch(
        f"nobody knows how a hand drives {action.name}: expected {', '.join(_DELTAS)}, or positions of the joints of "
        f"{_STATE} and a driver with flange(joints); found {has}"
    )


def _nowhere(joints: Vector) -> Vector:
    """The hand of an arm of which nobody knows where it is: asked by nobody, since nobody says a velocity."""
    return np.zeros(3)
