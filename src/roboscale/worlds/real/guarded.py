"""A declared robot as everybody but its guard sees it: a `Robot` whose commands are leases.

Nothing here talks to hardware. Reading, sending and stopping are messages to the process that owns the robot
(`guard_process`); when that process is gone, so is the robot.
"""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import (
    Case,
    InfrastructureError,
    Measure,
    Observation,
    PolicyError,
    RoboscaleError,
    SpecMismatch,
    derive_seed,
)
from roboscale.core.plain import Plain
from roboscale.core.processes import require_main
from roboscale.worlds.real.declaration import RobotDeclaration
from roboscale.worlds.real.guard import INTERVENTIONS, POLICY_KINDS, GuardMode, Intervention
from roboscale.worlds.real.guard_process import guard_robot
from roboscale.worlds.real.robot_world import PersonStopped

__all__ = ["GuardedRobot", "Readback", "stop_error"]

_ANSWER_S = 5.0
_HOME_S = 30.0
_SETTLED_S = 0.3  # that an arm which has come home swings at most
_STILL = 0.002  # of a joint's range: noise of an encoder, not motion


def stop_error(stopped: Intervention) -> PolicyError | InfrastructureError | PersonStopped:
    """Whose doing a stop of the guard was: the policy's, a person's, or the bench's."""
    text = f"the guard stopped ({stopped.kind}): {stopped.text}"
    if stopped.kind in POLICY_KINDS:
        return PolicyError(text)
    return PersonStopped(text) if stopped.kind == "stop" else InfrastructureError(text)


class _StopFlag:
    """Set in one process and seen in another. Nothing is locked: a process that was killed cannot hold it."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def set(self) -> None:
        self._value.value = 1

    def clear(self) -> None:
        self._value.value = 0

    def is_set(self) -> bool:
        return bool(self._value.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Readback(Plain):
    """What was read of an arm that was told to keep still, never what it was told.

    Args:
        moved: most that a joint moved while it was watched, in its unit.
        watched_s: for how long.
        torque_on: what the driver read; `None` where it cannot say.
    """

    mode: GuardMode
    moved: float
    watched_s: float
    torque_on: bool | None

    @property
    def text(self) -> str:
        """One line for a page."""
        torque = {True: "torque is on", False: "torque is OFF", None: "the driver cannot say whether torque is on"}
        return f"read back: {self.moved:.4f} moved in {self.watched_s:.1f} s, {torque[self.torque_on]}"


class GuardedRobot:
    """A declared robot behind its guard.

    Attributes:
        declared: what the file says; part of the robot's identity.
        measured: the guard's interventions as damages of a trial, and what the driver measures.

    Raises:
        BadData, UnknownName, RoboscaleError: the declaration or its driver is broken; nothing was connected.
    """

    def __init__(self, path: Path) -> None:
        declared = RobotDeclaration.load(path)
        driver = declared.make(path.parent)  # a driver that cannot be made is said now, not at the first trial
        self.name, self.version = declared.name, f"declaration and driver {declared.identity(driver).digest}"
        self.tasks: Mapping[str, str] = dict(declared.tasks)
        self.horizon = declared.horizon
        self.observation_spec, self.action_spec = declared.observation_spec, declared.action_spec
        self.hold = tuple(float(x) for x in declared.column("home"))
        self.cost, self.risk = declared.cost, declared.risk
        own: tuple[Measure, ...] = tuple(getattr(driver, "measured", ()))
        guards = [Measure(name=f"guard {kind}", unit="1", about="damage") for kind in INTERVENTIONS]
        self.measured = (*guards, *own)
        self._declared, self._path, self._home = declared, path.resolve(), declared.column("home")
        self._lock = threading.RLock()
        self._process: Any = None
        self._connection: Any = None
        self._stop = _StopFlag(multiprocessing.get_context("spawn").RawValue("b", 0))
        self._sequence = 0
        self._mode: GuardMode = "off"
        self._reason: Intervention | None = None
        self._events: list[Intervention] = []
        self._told = 0
        self._own: dict[str, float | None] = {measure.name: None for measure in own}
        self._lost = ""
        self._look: Callable[[Observation, Mapping[str, float | None]], None] | None = None
        self._newest: tuple[float, Observation] = (-np.inf, {})

    def connect(self) -> None:
        """Starts the process that owns the robot, also after one that is gone.

        Raises:
            SpecMismatch: what the driver reads is not what is declared; every difference with both sides.
            InfrastructureError: it does not come up.
        """
        require_main()
        self._end_lost()
        context = multiprocessing.get_context("spawn")
        self._connection, other = context.Pipe()
        arguments = (str(self._path), other, self._stop)
        self._process = context.Process(target=guard_robot, args=arguments, name="roboscale guard")
        self._process.start()
        other.close()
        try:
            self._receive("connect", self._declared.watchdog.connect_s)
        except RoboscaleError:
            if not self._lost:  # it said why, and has ended by itself: nothing is connected
                self._connection.close()
                self._process.join(_ANSWER_S)
                self._process = self._connection = None
            raise

    def disconnect(self) -> None:
        """Ends the process, which stops the robot first."""
        if self._process is None:
            return
        self._connection.close()
        self._process.join(10)
        if self._process.is_alive():
            self._process.kill()
            self._process = None
            raise InfrastructureError("the guard did not end within 10 s and was killed: look at the arm")
        self._process = None

    @property
    def lost(self) -> str:
        """Why nothing of ours holds the arm any longer; empty while the guard is there. `connect` starts another."""
        return self._lost

    @property
    def place(self) -> str:
        """Of several benches the one that is meant; there is one here, without a name."""
        return ""

    @property
    def units(self) -> Mapping[str, str]:
        """Joint -> its unit, in the order of the action."""
        return {joint.name: joint.unit for joint in self._declared.joints}

    @property
    def process_id(self) -> int | None:
        """Of the process that owns the robot; `None` where none runs."""
        return None if self._process is None else self._process.pid

    @property
    def mode(self) -> GuardMode:
        """As the guard said last."""
        return self._mode

    @property
    def reason(self) -> Intervention | None:
        """Why it stands stopped."""
        return self._reason if self._mode == "stopped" else None

    @property
    def events(self) -> tuple[Intervention, ...]:
        """Every intervention since it was connected."""
        return tuple(self._events)

    def measure(self) -> dict[str, float | None]:
        """Interventions since `prepare`, by kind, and what the driver measured last."""
        return {**self.interventions(), **self._own}

    def interventions(self) -> dict[str, float | None]:
        """Interventions since `prepare`, by kind."""
        counts = Counter(event.kind for event in self._events[self._told :])
        return {f"guard {kind}": float(counts[kind]) for kind in INTERVENTIONS}

    def read(self) -> Observation:
        """Every field of the observation spec, now."""
        seen: Mapping[str, NDArray[Any]] = self._ask("read")
        fields = {f.name: np.asarray(seen[f.name], f.dtype) for f in self.observation_spec if f.name in seen}
        self._newest = (time.monotonic(), fields)
        if self._look is not None:
            self._look(fields, self._own)
        return fields

    def watched_by(self, look: Callable[[Observation, Mapping[str, float | None]], None] | None) -> None:
        """Somebody else sees whatever is read of it, and what its driver measured; `None` for nobody."""
        self._look = look

    def peek(self, older_s: float = 0.2) -> Observation:
        """What was read last; read again when that is older, and nobody else is talking to the guard."""
        at, seen = self._newest
        if self._process is not None and time.monotonic() - at > older_s and self._lock.acquire(blocking=False):
            try:
                return self.read()
            finally:
                self._lock.release()
        return seen

    def send(self, action: NDArray[Any]) -> NDArray[Any]:
        """One goal with a lease; what the guard made of it.

        Raises:
            PolicyError: the guard stopped for what the command was, or for the force that it led to.
            PersonStopped: somebody stopped it.
            InfrastructureError: a camera is frozen, or the guard is gone.
        """
        self._sequence += 1
        goal = self._ask("command", self._sequence, time.monotonic(), np.asarray(action, np.float64))
        stopped = self.reason
        if stopped is not None:
            raise stop_error(stopped)
        return np.asarray(goal, np.float32)

    def hold_action(self) -> NDArray[np.float32]:
        """Where the joints are: an arm that is sent to positions keeps still nowhere else."""
        return np.asarray(self.peek()["observation.state"], np.float32)

    def stop(self) -> None:
        """Brakes and holds; no intervention, and nothing where it is not connected."""
        if self._connection is not None:
            self._ask("hold")

    def protective_stop(self) -> None:
        """Stops at the guard's next tick, whoever else is talking to it, until `release`. From any thread."""
        self._stop.set()

    def release(self) -> None:
        """Takes commands again after a stop. InfrastructureError says why it cannot."""
        problem = self._ask("engage")
        if problem:
            raise InfrastructureError(f"the guard does not take over: {problem}")

    def readback(self, watched_s: float = 0.2) -> Readback:
        """Watches whether it keeps still."""
        before = np.asarray(self.read()["observation.state"])
        time.sleep(watched_s)
        moved = np.abs(np.asarray(self.read()["observation.state"]) - before)
        torque = self._ask("torque")
        return Readback(mode=self._mode, moved=float(moved.max()), watched_s=watched_s, torque_on=torque)

    def prepare(self, case: Case) -> None:
        """Goes home under the guard; a stand-in then sets up the case's scene itself."""
        if self._mode == "off":
            self.release()
        if self.reason is not None:
            raise InfrastructureError(f"the guard still stands stopped: {self.reason.text}")
        self.go_home()
        seed = case.seed if case.seed is not None else derive_seed("start", str(case.start))
        self._ask("arrange", seed)
        self._told = len(self._events)

    def home_pictures(self, looks: int = 5) -> tuple[list[float], dict[str, NDArray[np.uint8]]]:
        """Goes home, lets a stand-in set up start 0, and looks some times.

        Returns:
            Joints as they were read, and of each camera the median picture (H, W, 3). Errors as `go_home`.
        """
        if self._mode == "off":
            self.release()
        self.go_home()
        self._ask("arrange", 0)
        time.sleep(_SETTLED_S)
        seen = []
        for _ in range(looks):
            seen.append(self.read())
            time.sleep(1 / self._declared.rate_hz)
        pictures = {
            camera.name: np.median([one[f"observation.images.{camera.name}"] for one in seen], axis=0).astype(np.uint8)
            for camera in self._declared.cameras
        }
        return [float(x) for x in seen[-1]["observation.state"]], pictures

    def go_home(self) -> None:
        """To the declared home, a little at a time. InfrastructureError when it does not get there within 30 s."""
        period, until = 1 / self._declared.rate_hz, time.monotonic() + _HOME_S
        step = self._declared.column("velocity") * period
        near = _STILL * 5 * (self._declared.column("high") - self._declared.column("low"))
        here = self._home
        while time.monotonic() < until:
            here = np.asarray(self.read()["observation.state"], np.float64)
            if (np.abs(here - self._home) <= near).all():
                self.stop()
                return
            try:
                self.send(np.clip(self._home, here - step, here + step))
            except (PersonStopped, PolicyError) as error:  # on the way home no policy is asked
                raise InfrastructureError(f"not home: {error}") from error
            time.sleep(period)
        raise InfrastructureError(f"not home within {_HOME_S:g} s: it stands at {here.round(3).tolist()}")

    def _ask(self, *message: object) -> Any:
        with self._lock:
            if self._connection is None:
                raise InfrastructureError("the robot is not connected")
            if self._lost:
                raise InfrastructureError(self._lost)
            try:
                self._connection.send(message)
            except OSError as error:
                raise self._gone() from error
            return self._receive(str(message[0]), _ANSWER_S)

    def _receive(self, what: str, timeout_s: float) -> Any:
        try:
            if not self._connection.poll(timeout_s):
                # its late answer would be taken for the next one; and who hangs sees, when it goes on, that we left
                self._connection.close()
                raise self._gone(f"the guard did not answer {what} within {timeout_s:g} s and was left")
            kind, answer, status = self._connection.recv()
        except (EOFError, OSError) as error:
            raise self._gone() from error
        if status:
            self._mode, self._reason = status["mode"], status["reason"]
            self._events += status["events"]
            self._own.update({name: value for name, value in status["measures"].items() if name in self._own})
        if kind == "gone":
            raise self._gone(f"the guard has ended: {answer}")
        if kind == "refused":
            raise SpecMismatch(f"robot {self.name}: {answer}")
        if kind == "error":
            raise InfrastructureError(str(answer))
        return answer

    def _gone(self, why: str = "") -> InfrastructureError:
        if not why:
            why = self._last_word()
        self._mode = "off"
        self._lost = (
            f"{why}: nothing of ours holds the arm, only its driver's own watchdog does; look at it before anything "
            "else"
        )
        return InfrastructureError(self._lost)

    def _last_word(self) -> str:
        """What the process said before it ended; else that it is gone."""
        try:
            if self._connection.poll(0):
                kind, said, _ = self._connection.recv()
                if kind == "gone":
                    return f"the guard has ended: {said}"
        except (EOFError, OSError):
            pass
        self._process.join(1)
        return f"the guard's process is gone (exit code {self._process.exitcode})"

    def _end_lost(self) -> None:
        """Takes leave of a process that is gone or hangs."""
        if not self._lost or self._process is None:
            return
        self._connection.close()
        self._process.join(_ANSWER_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join(1)
        self._process, self._lost, self._reason = None, "", None
        self._stop.clear()
