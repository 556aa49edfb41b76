"""What the operator's page and the recording share: what is seen, what is asked, who drives, what was kept.

The page's side (`join`, `state`, `shown`, `move`, `act`) is called from other threads than the recording's side.
Motion is a state with an expiry; what happens once (begin, success, undo) is an act, taken where it fits and refused
where it does not.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Observation, RoboscaleError, UnknownName
from roboscale.core.plain import Plain
from roboscale.sources.teleop.driving import JOINT_SHARES, SPEEDS_M_S, Grips, base_from_operator
from roboscale.sources.teleop.inputs import MOTION_DEVICES, OperatorInput, parse_input
from roboscale.sources.teleop.lease import ControlLease

__all__ = ["ACTS", "DrivenCounts", "Practice", "Shown", "Station", "practice_score"]

Vector = NDArray[np.float64]

EXPIRY_S = 0.3
"""An input older than that means nothing: the hand holds. The page repeats itself every 50 ms."""

ACTS = {
    "begin": ("ready",),
    "success": ("recording", "judge"),
    "fail": ("recording", "judge"),
    "discard": ("recording", "judge"),
    "undo": ("ready", "complete"),
    "stop": ("ready", "recording", "complete", "stopped", "check"),
    "accept": ("check",),
    "again": ("check",),
    "release": ("stopped",),
}
"""What the operator may say -> in which phase it is taken."""

_ANYTIME = ("gripper", "take", "turn", "ask", "withdraw", "hand over", "stop the arm", "pictures")
PICTURES = ("webrtc", "jpeg")
"""How a page's pictures come: as a video, or one by one over its socket."""

_ENDING = ("success", "fail", "discard", "stop")
LONG_S = 60.0
"""How old an input is at most said to be; also where there was none."""

_POSE_HZ = 30.0  # control steps a second where nobody says
_KEPT = 200  # times that rate and latency are computed from


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What was seen at one step.

    Args:
        number: grows with every step.
        at_s: when, on the station's clock.
        pictures: camera -> (height, width, 3) RGB.
        numbers: field -> its values.
    """

    number: int = 0
    at_s: float = 0.0
    pictures: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)
    numbers: Mapping[str, list[float]] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class DrivenCounts:
    """What was kept: `wanted` successes of the task; kept, failed and discarded in all sessions or in this one."""

    wanted: int = 0
    kept: int = 0
    failed: int = 0
    discarded: int = 0
    of_start: int = 0
    start: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Practice(Plain):
    """What whoever drives has practised of the task, before anything of theirs is recorded.

    Args:
        wanted: attempts. scores: of each that there was, 0 to 100, oldest first.
        best: of anybody else on this task; `None` where nobody else practised.
    """

    json_also = ("due",)

    wanted: int
    scores: Sequence[int] = ()
    best: int | None = None

    @property
    def due(self) -> bool:
        """Whether the next attempt is practice."""
        return len(self.scores) < self.wanted


def practice_score(success: bool, steps: int, horizon: int) -> int:
    """Nothing for a failure; of a success how much of the time that there was is left, 0 to 100.

    Args:
        steps: control steps that it took. horizon: that there were.

    >>> practice_score(True, 100, 400), practice_score(False, 100, 400)
    (75, 0)
    """
    return round(100 * (1 - steps / horizon)) if success else 0


class Station:
    """One robot or scene, one recording, any number of pages.

    Args:
        title: of the page.
        view_deg: see `base_from_operator`; the page turns it.
        devices: whose motion is taken.
        policy: whether a policy drives and a person takes over.
        driven_hz: control steps that there are to be in a second; 0 where nobody says.
        arm: whether there is an arm that can be stopped from the page.
        leader: what a leader arm is called that drives in the place of the page; empty where none does.
        hands, joints: of the `Driving`: how many hands there are, or which joints are driven one by one.
        now: monotonic seconds.

    Attributes:
        practice: of whoever drives; `None` where nobody is asked to. drivers: names of those who drove since the
            recording began, in order; a page without a name is the empty one. pictures_by: page -> what it said last
            of how its pictures come, of those that were called. tell: says to whoever started it what befell a page.
    """

    def __init__(
        self,
        title: str,
        *,
        view_deg: float = 0.0,
        devices: tuple[str, ...] = MOTION_DEVICES,
        policy: bool = False,
        driven_hz: float = 0.0,
        arm: Callable[[], None] | None = None,
        leader: str = "",
        hands: int = 1,
        joints: Sequence[str] = (),
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.title, self.policy, self.now = title, policy, now
        self._driven_hz, self._leads, self.attended = driven_hz, leader, not leader
        self.counts, self.notes = DrivenCounts(), deque[str](maxlen=8)
        self.task = self.sentence = self.guard = ""
        self.intervening = False
        self.hands, self.joints = hands, tuple(joints)
        self.grips: Grips = (False,) * hands
        self.practice: Practice | None = None
        self.drivers: list[str] = []
        self.pictures_by: dict[str, str] = {}
        self.tell: Callable[[str], None] = lambda text: None
        self.ending: str | None = None
        self.world_says: bool | None = None
        self.unattended = 0
        self.moved: Counter[str] = Counter()
        self._view_deg, self._devices, self._arm = view_deg, devices, arm
        self._changed = threading.Condition()
        self._lease = ControlLease()
        self._phase, self._act = "starting", None  # type: tuple[str, str | None]
        self._input, self._input_s = self._nothing(), -np.inf
        self._holds, self._followed = [-1] * hands, np.zeros((hands, 3))  # of poses: which hold, followed how far, m
        self._shown = Shown()
        self._look: Callable[[Shown], None] | None = None
        self._steps: deque[float] = deque(maxlen=_KEPT)
        self._latency: deque[float] = deque(maxlen=_KEPT)

    def _nothing(self) -> OperatorInput:
        """No motion of any hand."""
        none: tuple[None, ...] = (None,) * self.hands
        return OperatorInput(motion=(0.0,) * (3 * self.hands), offsets=none, holds=(0,) * self.hands)

    # the recording's side

    @property
    def closed(self) -> bool:
        """Whether every gripper is to be closed."""
        return all(self.grips)

    @property
    def driver(self) -> str:
        """The name of whoever drives now; empty where nobody does, or they have none."""
        return self._lease.driver

    @property
    def phase(self) -> str:
        """starting, check, moving, ready, recording, judge, stopped, complete, done."""
        return self._phase

    def to(self, phase: str) -> None:
        """From now on this is what happens."""
        with self._changed:
            self._phase, self._act = phase, None
            if phase == "recording":
                self.ending, self.world_says, self.unattended = None, None, 0
                self.intervening, self.grips = False, (False,) * self.hands
                self.drivers = []
                self._drives()
                self.moved.clear()
                self._steps.clear()
            self._changed.notify_all()

    def wait(
        self, *wanted: str, poll: Callable[[], None] | None = None, every_s: float = 0.1, at_most_s: float = np.inf
    ) -> str:
        """Until the operator says one of these; empty when that took too long.

        Args:
            poll: called meanwhile, e.g. to look at the cameras.
        """
        until_s = self.now() + at_most_s
        with self._changed:
            while self._act not in wanted:
                if self.now() > until_s:
                    return ""
                self._changed.wait(every_s)
                if poll is not None:
                    self._changed.release()
                    try:
                        poll()
                    finally:
                        self._changed.acquire()
            act, self._act = self._act, None
            assert act is not None
            return act

    def show(self, seen: Observation) -> None:
        """What is seen now, for the page; pictures are copied by whoever owns them."""
        now = self.now()
        pictures = {name.rpartition(".")[2]: np.asarray(v) for name, v in seen.items() if np.ndim(v) == 3}
        numbers = {
            name: [round(float(x), 5) for x in np.ravel(v)]
            for name, v in seen.items()
            if np.ndim(v) == 1 and np.size(v) <= 64 and np.asarray(v).dtype.kind == "f"
        }
        self._shown = Shown(number=self._shown.number + 1, at_s=now, pictures=pictures, numbers=numbers)
        self._steps.append(now)
        if self._look is not None:
            self._look(self._shown)

    def published_to(self, look: Callable[[Shown], None] | None) -> None:
        """From now on everything that is shown, now too, is handed to `look`; `None` ends that."""
        self._look = look
        if look is not None and self._shown.number:
            look(self._shown)

    def _drives(self) -> None:
        """Writes down who drives, while an episode is recorded."""
        if self._phase == "recording" and self._lease.holder is not None and self.driver not in self.drivers:
            self.drivers.append(self.driver)

    def velocity(self) -> tuple[Vector, float]:
        """Where the hands are to go, (3 hands,) m/s in the base frame, and how old the word for it is, s.

        Of what is driven joint by joint (D,), shares of each joint's speed. Zero when it has expired: nobody is at
        the page, or its connection is.
        """
        given, at_s = self._input, self._input_s
        age = min(self.now() - at_s, LONG_S)
        if age > EXPIRY_S:
            if self._phase == "recording" and not self._leads:
                self.unattended += 1
            return np.zeros(len(self.joints) or 3 * self.hands), age
        if given.moving and self._phase == "recording":
            self.moved[given.device] += 1
        if self.joints:
            shares = np.zeros(len(self.joints))
            shares[list(given.joints)] = given.motion[2] * JOINT_SHARES[given.speed]
            return shares, age
        if given.device == "pose":
            wanted = np.array([self._after(given, hand) for hand in range(self.hands)])
        else:
            wanted = np.array(given.motion).reshape(-1, 3) * SPEEDS_M_S[given.speed]
        return (wanted @ base_from_operator(self._view_deg).T).ravel(), age

    def _after(self, given: OperatorInput, hand: int) -> Vector:
        """The velocity that brings a hand where the operator's has gone since it took hold, at most its level.

        Called once a step. Taking hold moves nothing, wherever the hand is; what is left when it lets go is dropped.
        """
        offset, hold = given.offsets[hand], given.holds[hand]
        if offset is None or hold != self._holds[hand]:
            self._holds[hand], self._followed[hand] = hold, np.array(offset or (0.0, 0.0, 0.0))
            return np.zeros(3)
        hz = self._driven_hz or _POSE_HZ
        missing = np.array(offset) - self._followed[hand]
        step = missing * min(1.0, SPEEDS_M_S[given.speed] / hz / max(float(np.linalg.norm(missing)), 1e-12))
        self._followed[hand] += step
        return np.asarray(step * hz)

    def led(self, positions: Vector | None, age_s: float) -> Vector | None:
        """Where a leader arm wants the joints, (D,); `None` when its word has expired, or there was none."""
        self.attended = age_s <= EXPIRY_S
        if positions is not None and self.attended:
            return positions
        if self._phase == "recording":
            self.unattended += 1
        return None

    # the page's side

    def join(self, page: str, name: str) -> None:
        """A page opens."""
        with self._changed:
            self._lease.join(page, name)
            self._drives()

    def leave(self, page: str) -> None:
        """A page closes; what it asked for last has no effect any more."""
        with self._changed:
            if page == self._lease.holder:
                self._input_s = -np.inf
            self._lease.leave(page)
            self._drives()

    def shown(self) -> Shown:
        """What was seen last."""
        return self._shown

    def move(self, page: str, values: Mapping[str, Any]) -> None:
        """Where the hand is to go. Nothing happens when the page looks on, or its message is older than the last.

        Raises:
            SpecMismatch, UnknownName: it is no input, or of a device that is not taken.
        """
        given = parse_input(values, len(SPEEDS_M_S), hands=self.hands, joints=len(self.joints))
        if given.moving and given.device not in self._devices:
            raise UnknownName("device", given.device, self._devices)
        with self._changed:
            if page != self._lease.holder or (given.sequence <= self._input.sequence and self._input_s > -np.inf):
                return
            self._input, self._input_s = given, self.now()

    def seen(self, page: str, at_s: float) -> None:
        """A page shows what was taken at that time."""
        self._latency.append(self.now() - at_s)

    def act(self, page: str, action: str, values: Mapping[str, Any]) -> None:
        """Something that the operator says once.

        Raises:
            UnknownName: there is no such act. RoboscaleError: it does not fit now, or the page looks on.
        """
        if action not in ACTS and action not in _ANYTIME:
            raise UnknownName("act", action, [*ACTS, *_ANYTIME])
        if action == "pictures":
            self._pictures(page, values.get("by"), values.get("why"))
            return
        if action == "stop the arm":  # from whoever sees that it has to stop
            if self._arm is not None:
                self._arm()
            return
        with self._changed:
            if action in ("ask", "withdraw", "hand over"):
                self._queue(page, action, values.get("to"))
                return
            self._lease.require_holder(page)
            if action in _ANYTIME:
                self._switch(action, values.get("hand"))
                return
            if self._phase not in ACTS[action]:
                raise RoboscaleError(f"{action} does not fit now: {self._phase}")
            if self._phase == "recording" and action in _ENDING:
                self.ending = action
            self._act = action
            self._changed.notify_all()

    def _pictures(self, page: str, by: object, why: object) -> None:
        """A page says how its pictures come from now on."""
        if by not in PICTURES:
            raise UnknownName("pictures", str(by), PICTURES)
        with self._changed:
            self.pictures_by[page] = str(by)
            if by == "webrtc":
                return
            text = f"a page has its pictures as JPEG, not by WebRTC: {str(why)[:80]}"
            self.notes.append(text)
        self.tell(text)

    def _queue(self, page: str, action: str, to: object) -> None:
        """Who drives, and who waits to. What was asked before a hand-over has no effect after it."""
        if action == "ask":
            self._lease.ask(page)
        elif action == "withdraw":
            self._lease.withdraw(page)
        else:
            self._lease.hand_over(page, None if to is None else str(to))
            self._input_s = -np.inf
        self._drives()

    def _switch(self, action: str, hand: object) -> None:
        if action == "gripper":
            if hand is not None and (type(hand) is not int or not 0 <= hand < self.hands):
                raise UnknownName("hand", str(hand), [str(k) for k in range(self.hands)])
            shut = not self.closed if hand is None else not self.grips[hand]
            self.grips = tuple(shut if hand in (None, k) else one for k, one in enumerate(self.grips))
        elif action == "turn":
            self._view_deg = (self._view_deg + 90) % 360
        elif not self.policy:
            raise RoboscaleError("no policy drives: there is nothing to take over")
        elif self._phase != "recording":
            raise RoboscaleError(f"take does not fit now: {self._phase}")
        else:
            self.intervening = not self.intervening

    def state(self, page: str) -> dict[str, Any]:
        """What a page shows; JSON types."""
        with self._changed:
            lease, phase = dict(self._lease.seen_by(page)), self._phase
        steps, latency = list(self._steps), sorted(self._latency)
        spans = np.diff(steps) if len(steps) > 1 else np.zeros(0)
        return {
            "title": self.title,
            "phase": phase,
            "task": self.task,
            "sentence": self.sentence,
            "cameras": list(self._shown.pictures),
            "numbers": dict(self._shown.numbers),
            "shown": self._shown.number,
            "closed": self.closed,
            "grips": list(self.grips),
            "hands": self.hands,
            "joints": list(self.joints),
            "speeds": list(JOINT_SHARES if self.joints else SPEEDS_M_S),
            "practice": None if self.practice is None else self.practice.to_json(),
            "view_deg": self._view_deg,
            "lease": lease,
            "devices": list(self._devices),
            "policy": self.policy,
            "intervening": self.intervening,
            "arm": self._arm is not None,
            "guard": self.guard,
            "world_says": self.world_says,
            "rate_hz": round(float(1 / np.median(spans)), 1) if len(spans) and phase == "recording" else None,
            "driven_hz": self._driven_hz or None,
            "latency_ms": round(1000 * latency[len(latency) // 2]) if latency else None,
            "attended": self.attended if self._leads else self.now() - self._input_s <= EXPIRY_S,
            "leader": self._leads,
            "counts": {name: getattr(self.counts, name) for name in DrivenCounts.__slots__},
            "notes": list(self.notes),
        }
