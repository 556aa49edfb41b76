"""What stands between a policy and an arm: pure logic on an injected clock, no hardware, no process.

A *protective stop*, and no emergency stop (ISO 13850): it is software, and the hardware's own button stays within
reach of whoever is beside the arm.

Commands are goals with a lease. The setpoint moves towards the goal once a tick. Before every tick the whole way to a
stand-still from the next setpoint, every joint braking as hard as it may, is checked against joints, workspace and
flange speed; a step whose way out is not free is not made, and the arm brakes along the way that was checked one tick
before. By induction no sequence of commands, late, repeated, NaN or malicious, passes a limit, and none is passed
while stopping.

What is clamped goes on; what nobody sane asks for (a wrong shape, NaN, a jump) stops. A stop stays until `engage`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from roboscale.core.plain import Plain
from roboscale.worlds.real.declaration import RobotDeclaration

__all__ = ["INTERVENTIONS", "POLICY_KINDS", "GuardMode", "Intervention", "InterventionKind", "MotionGuard"]

Vector = NDArray[np.float64]
GuardMode = Literal["off", "holding", "moving", "stopped"]
InterventionKind = Literal[
    "position", "velocity", "workspace", "expired", "late",
    "shape", "not finite", "jump", "force", "camera", "stop",
]  # fmt: skip
"""The first five are clamped, dropped or held; the others stop the arm."""

INTERVENTIONS: tuple[InterventionKind, ...] = get_args(InterventionKind)
POLICY_KINDS = frozenset({"shape", "not finite", "jump", "force"})
"""Stops that the commands are to blame for."""

_REACH = 1.25  # control periods that a goal may be away from the setpoint at full speed
_AFTER_S = 0.075
"""Seconds at full speed that a goal may be away from where the flange is read, 19 mm at .25 m/s: motors lag behind
their setpoint (15 ms on the stand-in), and after the last command the arm goes that way, too."""
_SCALES = (1.0, 0.5, 0.25)
_HALVINGS = 20
_TINY = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Intervention(Plain):
    """One thing that the guard changed or refused.

    Args:
        at_s: on the guard's clock.
        text: both sides, with numbers.
    """

    kind: InterventionKind
    at_s: float
    text: str


class MotionGuard:
    """The guard of one arm of D joints.

    Args:
        robot: its limits and times.
        flange: joints (D,) -> the flange (3,), or each of two arms' (2, 3), metres, in the frame of the workspace;
            needed where there is one, and every flange keeps to it.
        now: monotonic seconds.
    """

    def __init__(
        self, robot: RobotDeclaration, flange: Callable[[Vector], Any] | None, now: Callable[[], float]
    ) -> None:
        self._robot, self._flange, self._now = robot, flange, now
        self._low, self._high = robot.column("low"), robot.column("high")
        self._velocity, self._acceleration = robot.column("velocity"), robot.column("acceleration")
        self._jump, self._effort = robot.column("jump"), robot.column("effort")
        self._dt = 1 / robot.watchdog.tick_hz
        self._speed = np.inf if robot.workspace is None else robot.workspace.speed
        self.mode: GuardMode = "off"
        self.reason: Intervention | None = None
        self.counts: Counter[InterventionKind] = Counter()
        self.events: list[Intervention] = []
        self._setpoint = self._goal = self._read = np.zeros(len(self._low))
        self._rate = np.zeros(len(self._low))
        self._ticked_s = -np.inf
        self._expires_s = -np.inf
        self._sequence = -1
        self._frames: dict[str, tuple[object, float]] = {}

    @property
    def setpoint(self) -> Vector:
        """Where the joints were sent last, (D,)."""
        return self._setpoint.copy()

    def engage(self, joints: NDArray[Any]) -> str:
        """Begins, or begins again after a stop, from where the joints were read; the arm holds.

        Returns:
            Why it cannot: the arm stands outside its limits, or is not read. Empty when it holds.
        """
        read = np.asarray(joints, np.float64)
        if read.shape != self._low.shape or not np.isfinite(read).all():
            return f"expected {len(self._low)} finite joint positions, read {np.asarray(joints).tolist()}"
        inside = np.clip(read, self._low, self._high)
        if (np.abs(inside - read) > 0.02 * (self._high - self._low)).any():
            return self._outside(read)
        if not self._in_box(inside):
            return f"the flange stands outside the workspace, at {self._flange_at(inside).round(3).tolist()} m"
        self._setpoint, self._goal, self._read = inside, inside.copy(), read
        self._rate = np.zeros_like(inside)
        self._expires_s, self._frames = -np.inf, {}
        self.mode, self.reason = "holding", None
        return ""

    def command(self, action: object, *, sequence: int, sent_s: float) -> Vector:
        """Takes a goal, (D,); what was made of it.

        Args:
            sequence: grows with every command; what was there before is dropped.
            sent_s: when it was sent, on the guard's clock; one older than a lease is dropped.
        """
        now = self._now()
        if self.mode in ("off", "stopped"):
            return self.setpoint
        if sequence <= self._sequence or not now - sent_s <= self._robot.watchdog.lease_s or sent_s > now + _TINY:
            self._note("late", f"command {sequence}, {now - sent_s:.3f} s old, after command {self._sequence}")
            return self.setpoint
        self._sequence = sequence
        asked = self._checked(action)
        if asked is None:
            return self.setpoint
        self._goal = self._reachable(asked)
        self._expires_s = sent_s + self._robot.watchdog.lease_s
        self.mode = "moving"
        return self._goal.copy()

    def hold(self) -> None:
        """Brakes and keeps still; no intervention."""
        if self.mode == "moving":
            self.mode, self._expires_s = "holding", -np.inf

    def stop(self, kind: InterventionKind, text: str) -> None:
        """Brakes, keeps still and takes no command until `engage`."""
        if self.mode not in ("off", "stopped"):
            self._note(kind, text)
            self.mode, self.reason = "stopped", self.events[-1]

    def sense(
        self, joints: NDArray[Any], effort: NDArray[Any] | None = None, frames: Mapping[str, object] | None = None
    ) -> None:
        """What was read now: joints (D,), efforts (D,), and of each camera something that changes with its bytes."""
        read, now = np.asarray(joints, np.float64), self._now()
        if read.shape != self._low.shape or not np.isfinite(read).all():
            self.stop("stop", f"the joints cannot be read: {np.asarray(joints).tolist()}")
            return
        self._read = read
        if effort is not None and not (np.abs(np.asarray(effort, np.float64)) <= self._effort).all():
            self.stop("force", f"read {np.asarray(effort).tolist()}, at most {self._effort.tolist()}")
        for name, frame in (frames or {}).items():
            before, since = self._frames.get(name, (None, now))
            self._frames[name] = (frame, now if frame != before else since)
            if now - self._frames[name][1] >= self._robot.watchdog.camera_s:
                self.stop("camera", f"{name} has shown the same picture for {now - since:.2f} s")

    def tick(self) -> Vector:
        """The next setpoint, (D,); the last one again when it is asked before a tick has passed."""
        now = self._now()
        if self.mode == "off" or now < self._ticked_s + self._dt * (1 - 1e-6):
            return self.setpoint
        self._ticked_s = now
        if self.mode == "moving" and now > self._expires_s:
            self._note("expired", f"no command for {self._robot.watchdog.lease_s:g} s")
            self.mode = "holding"
        braked = _braked(self._rate, self._acceleration * self._dt)
        rate = braked
        if self.mode == "moving":
            wanted = self._towards_goal()
            for scale in _SCALES:
                tried = braked + scale * (wanted - braked)
                if self._way_out_is_free(self._setpoint, tried):
                    rate = tried
                    break
        self._setpoint = np.clip(self._setpoint + rate * self._dt, self._low, self._high)
        self._rate = rate
        return self.setpoint

    def _checked(self, action: object) -> Vector | None:
        """The action as numbers; `None` when it stopped the arm."""
        try:
            asked = np.asarray(action, np.float64)
        except (TypeError, ValueError):
            self.stop("shape", f"expected {len(self._low)} numbers, found {type(action).__name__}")
            return None
        if asked.shape != self._low.shape:
            self.stop("shape", f"expected shape {list(self._low.shape)}, found {list(asked.shape)}")
        elif not np.isfinite(asked).all():
            self.stop("not finite", f"expected finite numbers, found {asked.tolist()}")
        elif (np.abs(asked - self._read) > self._jump).any():
            joint = int(np.argmax(np.abs(asked - self._read) - self._jump))
            name, where = self._robot.joints[joint].name, f"{self._read[joint]:.3f}"
            self.stop("jump", f"{name} from {where} to {asked[joint]:.3g}, at most {self._jump[joint]:g} away")
        else:
            return asked
        return None

    def _reachable(self, asked: Vector) -> Vector:
        """The nearest goal on the straight way to what was asked that is allowed, and near enough."""
        goal = np.clip(asked, self._low, self._high)
        if (np.abs(goal - asked) > _TINY).any():
            self._note("position", self._outside(asked))
        reach = _REACH / self._robot.rate_hz
        way = goal - self._setpoint
        most = float(np.max(np.abs(way) / (self._velocity * reach), initial=0.0))
        if most > 1:
            self._note("velocity", f"{most:.2f} times as far as the joints go in {_REACH:g} control periods")
            way = way / most
        if self._flange is None:
            return self._setpoint + way
        share = self._share(way, self._near(reach))
        if share < 1:
            self._note("velocity", f"{share:.2f} of the way asked keeps the flange below {self._speed:g} m/s")
            way = way * share
        share = self._share(way, self._in_box)
        if share < 1:
            self._note("workspace", f"{share:.2f} of the way asked is inside the workspace")
            way = way * share
        return self._setpoint + way

    def _share(self, way: Vector, fits: Callable[[Vector], bool]) -> float:
        """How much of a way, 0..1, can be gone; its beginning fits."""
        if fits(self._setpoint + way):
            return 1.0
        low, high = 0.0, 1.0
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            low, high = (middle, high) if fits(self._setpoint + middle * way) else (low, middle)
        return low

    def _near(self, seconds: float) -> Callable[[Vector], bool]:
        """Whether a goal is so near to the setpoint, and to where the arm really is, in time at full speed."""
        sent, read = self._flange_at(self._setpoint), self._flange_at(self._read)
        after = max(seconds, _AFTER_S)  # below 17 Hz a control period is longer than that

        def near(joints: Vector) -> bool:
            there = self._flange_at(joints)
            return _farthest(there - sent) <= self._speed * seconds and _farthest(there - read) <= self._speed * after

        return near

    def _towards_goal(self) -> Vector:
        """The joint rates of the next tick that lead to the goal and can still end there, (D,) unit/s."""
        way, brake = self._goal - self._setpoint, self._acceleration * self._dt
        ends = np.sqrt((brake / 2) ** 2 + 2 * self._acceleration * np.abs(way)) - brake / 2
        most = np.minimum(np.minimum(ends, np.abs(way) / self._dt), self._velocity)
        wanted = np.sign(way) * most
        return np.asarray(np.clip(wanted, self._rate - brake, self._rate + brake))

    def _way_out_is_free(self, joints: Vector, rate: Vector) -> bool:
        """Whether the step, and braking after it, keep to joints, workspace and flange speed."""
        here = self._flange_at(joints) if self._flange is not None else None
        while True:
            joints = joints + rate * self._dt
            if (joints < self._low - _TINY).any() or (joints > self._high + _TINY).any():
                return False
            if here is not None:
                there = self._flange_at(joints)
                if _farthest(there - here) > self._speed * self._dt or not self._in_box(joints):
                    return False
                here = there
            if not rate.any():
                return True
            rate = _braked(rate, self._acceleration * self._dt)

    def _flange_at(self, joints: Vector) -> Vector:
        assert self._flange is not None, "a workspace has a flange"
        return np.asarray(self._flange(joints), np.float64)

    def _in_box(self, joints: Vector) -> bool:
        box = self._robot.workspace
        if box is None:
            return True
        at = self._flange_at(joints)
        return bool((at >= box.low).all() and (at <= box.high).all())

    def _outside(self, joints: Vector) -> str:
        off = np.maximum(self._low - joints, joints - self._high)
        joint = self._robot.joints[int(np.argmax(off))]
        return f"{joint.name} at {joints[int(np.argmax(off))]:.3g}, allowed from {joint.low:g} to {joint.high:g}"

    def _note(self, kind: InterventionKind, text: str) -> None:
        self.counts[kind] += 1
        self.events.append(Intervention(kind=kind, at_s=self._now(), text=text))


def _farthest(ways: Vector) -> float:
    """The longest of some ways, (3,) or (n, 3), metres."""
    return float(np.linalg.norm(ways, axis=-1).max())


def _braked(rate: Vector, most: Vector) -> Vector:
    """Rates one tick later, when every joint brakes as hard as it may."""
    left: Vector = np.sign(rate) * np.maximum(np.abs(rate) - most, 0.0)
    return left
