"""Scripted experts of robosuite's tasks: they read what a policy may read, and move the tip in small steps.

An expert is a generator of waypoints: where the tip is to be, how it is turned about the vertical, what the gripper
does, and for how many steps. It sees the observation of every step anew, so a cube that slips is followed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

__all__ = ["EXPERTS", "wxyz"]

_METRES, _RADIANS = 0.05, 0.5  # of an action of 1
_OPEN, _CLOSE = -1.0, 1.0
_PULL = 0.06  # m that a place is overstated by, at most, and within which it is
_NEAR = 0.012  # m at which a waypoint counts as reached


def wxyz(quat_xyzw: Any) -> Any:
    """(4,) as robosuite has it -> scalar first, w >= 0."""
    turned = np.roll(np.asarray(quat_xyzw, float), 1)
    return -turned if turned[0] < 0 else turned


def yaw(quat_wxyz: Any) -> float:
    """Rotation about the vertical, radians."""
    w, x, y, z = (float(part) for part in quat_wxyz)
    return float(np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z)))


def turned(angle: float, symmetry: float) -> float:
    """The smallest equal rotation of a body that looks the same every `symmetry` radians."""
    return (angle + symmetry / 2) % symmetry - symmetry / 2


def rotation(quat_wxyz: Any) -> Any:
    """(3, 3)."""
    w, x, y, z = (float(part) for part in quat_wxyz)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


Plan = Iterator[Any]
"""Where the tip is to be (3,), how far it is turned from looking straight down (rad), what the gripper does; one tuple
of these for each step."""


class Scripted:
    """Follows a plan; one for each episode.

    Args:
        plan: one attempt, made of the expert, whose `tip` and `objects` are those of the present step. When it ends
            the next begins.
    """

    def __init__(self, plan: Callable[[Scripted], Plan]) -> None:
        self.tip, self.objects, self.down = np.zeros(3), np.zeros(0), np.eye(3)
        self._attempt = plan
        self.exact, self._lag = False, np.zeros(3)  # an arm that is pulled on stands 2 cm short of where it is sent
        self._plan: Plan | None = None

    def __call__(self, seen: Mapping[str, Any]) -> Any:
        """One action (7,)."""
        state = np.asarray(seen["observation.state"], float)
        self.tip, self.objects = state[:3], np.asarray(seen["observation.environment_state"], float)
        now = rotation(state[3:7])
        if self._plan is None:
            self._plan, self.down = self._attempts(), _upright(now)
        place, angle, gripper = next(self._plan)
        wanted = _about_vertical(angle) @ self.down
        off = np.asarray(place) - self.tip
        near = np.linalg.norm(off) < _PULL
        self._lag = np.clip(self._lag + 0.1 * off, -_PULL, _PULL) if self.exact and near else np.zeros(3)
        move = np.clip((off + self._lag) / _METRES, -1, 1)
        turn = np.clip(_rotvec(wanted @ now.T) / _RADIANS, -1, 1)
        return np.concatenate([move, turn, [gripper]]).astype(np.float32)

    def _attempts(self) -> Plan:
        while True:
            yield from self._attempt(self)

    def to(self, place: Callable[[], Any], angle: float, gripper: float, most: int = 60, near: float = _NEAR) -> Plan:
        """Moves there, however the place moves meanwhile."""
        for _ in range(most):
            yield place(), angle, gripper
            if np.linalg.norm(np.asarray(place()) - self.tip) < near:
                return

    def stay(self, angle: float, gripper: float, steps: int) -> Plan:
        """Keeps still while the gripper works."""
        here = self.tip.copy()
        for _ in range(steps):
            yield here, angle, gripper


def _upright(now: Any) -> Any:
    """The rotation next to `now` whose approach is straight down."""
    across = np.array([now[0, 1], now[1, 1], 0.0])
    across /= np.linalg.norm(across)
    down = np.array([0.0, 0.0, -1.0])
    return np.stack([np.cross(across, down), across, down], axis=1)


def _about_vertical(angle: float) -> Any:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def _rotvec(matrix: Any) -> Any:
    """(3,) of a rotation below half a turn."""
    angle = np.arccos(np.clip((np.trace(matrix) - 1) / 2, -1, 1))
    if angle < 1e-6:
        return np.zeros(3)
    axis = np.array([matrix[2, 1] - matrix[1, 2], matrix[0, 2] - matrix[2, 0], matrix[1, 0] - matrix[0, 1]])
    return axis * (angle / (2 * np.sin(angle)))


def _up(metres: float) -> Any:
    return np.array([0.0, 0.0, metres])


def _gripped(me: Scripted, place: Callable[[], Any], angle: float) -> Plan:
    """Over the place, down, closed."""
    yield from me.to(lambda: place() + _up(0.1), angle, _OPEN)
    yield from me.to(place, angle, _OPEN, near=0.006)
    yield from me.stay(angle, _CLOSE, 8)


def _raised(me: Scripted, angle: float, gripper: float, metres: float = 0.15, most: int = 60) -> Plan:
    """Straight up from here."""
    top = me.tip + _up(metres)
    yield from me.to(lambda: top, angle, gripper, most)


def lift(me: Scripted) -> Plan:
    """The cube is gripped along its sides, and raised."""
    angle = turned(yaw(me.objects[3:7]), np.pi / 2)
    yield from _gripped(me, lambda: me.objects[:3], angle)
    yield from _raised(me, angle, _CLOSE, most=25)


def stack(me: Scripted) -> Plan:
    """The first cube is put on the second, and let go."""

    def over(metres: float) -> Any:
        return me.objects[7:10] + me.tip - me.objects[:3] + _up(metres)

    angle = turned(yaw(me.objects[3:7]), np.pi / 2)
    yield from _gripped(me, lambda: me.objects[:3], angle)
    yield from _raised(me, angle, _CLOSE)
    onto = turned(yaw(me.objects[10:14]) - yaw(me.objects[3:7]), np.pi / 2) + angle
    yield from me.to(lambda: over(0.12), onto, _CLOSE)
    yield from me.stay(onto, _CLOSE, 6)
    yield from me.to(lambda: over(0.047), onto, _CLOSE, near=0.006)
    yield from me.stay(onto, _OPEN, 8)
    yield from _raised(me, onto, _OPEN, 0.12)
    yield from me.stay(onto, _OPEN, 10)


_CAN_BIN = np.array([0.1975, 0.3975])  # m, middle of the compartment that the can belongs into


def can(me: Scripted) -> Plan:
    """The can is gripped below its rim, and let go over its compartment."""

    def over(height: float) -> Any:
        return np.array([*_CAN_BIN, height])

    yield from _gripped(me, lambda: me.objects[:3] + _up(0.015), 0.0)
    yield from _raised(me, 0.0, _CLOSE, 0.2)
    yield from me.to(lambda: over(1.1), 0.0, _CLOSE)
    yield from me.to(lambda: over(0.93), 0.0, _CLOSE)
    yield from me.stay(0.0, _OPEN, 8)
    yield from me.to(lambda: over(1.1), 0.0, _OPEN)
    yield from me.stay(0.0, _OPEN, 10)


_PEG = np.array([0.23, 0.1])  # m, of the square peg
_HANDLE_M = 0.054  # from the middle of the nut to its handle


def square(me: Scripted) -> Plan:
    """The nut is gripped at its handle, turned to the peg's sides, and let down over it."""

    def handle() -> Any:
        heading = yaw(me.objects[3:7])
        return me.objects[:3] + _HANDLE_M * np.array([np.cos(heading), np.sin(heading), 0.0]) - _up(0.005)

    def over(height: float) -> Any:
        return np.array([*(_PEG + me.tip[:2] - me.objects[:2]), height])

    me.exact = True
    angle = turned(yaw(me.objects[3:7]) + np.pi / 2, np.pi)
    yield from _gripped(me, handle, angle)
    yield from _raised(me, angle, _CLOSE, 0.27)
    onto = angle - turned(yaw(me.objects[3:7]), np.pi / 2)
    yield from me.to(lambda: over(1.1), onto, _CLOSE, most=80, near=0.004)
    yield from me.to(lambda: over(1.1), onto, _CLOSE, most=35, near=0.0)  # what it overshot comes back
    yield from me.to(lambda: over(max(0.86, me.tip[2] - 0.03)), onto, _CLOSE, most=40, near=0.0)
    yield from me.stay(onto, _OPEN, 8)
    yield from _raised(me, onto, _OPEN)
    yield from me.stay(onto, _OPEN, 10)


EXPERTS: dict[str, Callable[[], Scripted]] = {
    "Lift": lambda: Scripted(lift),
    "Stack": lambda: Scripted(stack),
    "PickPlaceCan": lambda: Scripted(can),
    "NutAssemblySquare": lambda: Scripted(square),
}
