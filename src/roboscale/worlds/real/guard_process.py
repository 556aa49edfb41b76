"""The process that owns a robot: its driver and its guard run here, and whoever wants to move it sends leases.

It ends by itself when its other side is gone: the arm brakes, `stop` and `disconnect` are called. When this process
itself is killed, nothing of ours is left: what the arm does then is its driver's own watchdog.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from roboscale.worlds.real.cameras import CameraProcess
from roboscale.worlds.real.declaration import RobotDeclaration
from roboscale.worlds.real.guard import MotionGuard

__all__ = ["GuardService", "guard_robot", "stop_file"]

_BRAKING_S = 3.0  # most that a driver is still served after its other side is gone


class _Flag(Protocol):
    def is_set(self) -> bool: ...

    def clear(self) -> None: ...


def stop_file(declaration: Path) -> Path:
    """The arm stops when this file is there, and is not engaged before it is gone."""
    return declaration.with_name(declaration.name + ".stop")


class GuardService:
    """One robot, its guard, and answers to messages.

    Args:
        declaration: the TOML file.
        stop: set by somebody else to stop the arm.
    """

    def __init__(self, declaration: Path, stop: _Flag, now: Callable[[], float] = time.monotonic) -> None:
        self.robot = RobotDeclaration.load(declaration)
        self.driver = self.robot.make(declaration.parent)
        self.cameras: dict[str, CameraProcess] = {}
        self.guard = MotionGuard(self.robot, getattr(self.driver, "flange", None), now)
        self._stop, self._file, self._now = stop, stop_file(declaration), now
        self._read_s = -np.inf
        self._sent = 0  # events that were told

    def connect(self) -> None:
        """The driver, and the cameras that are not its own."""
        self.driver.connect()
        for camera in self.robot.cameras:
            if camera.device is not None:
                self.cameras[camera.name] = CameraProcess(camera.device, camera.height, camera.width)

    def read(self) -> dict[str, Any]:
        """Everything the driver shows now, which the guard sees, too."""
        seen = {name: np.asarray(values) for name, values in self.driver.read().items()}
        seen |= {f"observation.images.{name}": camera.newest() for name, camera in self.cameras.items()}
        frames = {name: zlib.crc32(v.tobytes()) for name, v in seen.items() if v.ndim == 3}
        self.guard.sense(seen["observation.state"], seen.get("observation.effort"), frames)
        self._read_s = self._now()
        return seen

    def tick(self) -> None:
        """Looks for a stop, reads when nobody has for a control period, and sends the next setpoint."""
        if self._stop.is_set():
            self.guard.stop("stop", "somebody stopped it")
        elif self._file.exists():
            self.guard.stop("stop", f"{self._file.name} is there")
        if self._now() - self._read_s >= 1 / self.robot.rate_hz:
            self.read()
        if self.guard.mode != "off":
            self.driver.send(self.guard.tick())

    def answer(self, message: tuple[Any, ...]) -> Any:
        """What one message is answered; see `GuardedRobot`, which sends them."""
        what, *rest = message
        if what == "read":
            return self.read()
        if what == "command":
            sequence, sent_s, action = rest
            return self.guard.command(action, sequence=int(sequence), sent_s=float(sent_s))
        if what == "hold":
            return self.guard.hold()
        if what == "engage":
            if self._file.exists():
                return f"{self._file} is there: remove it when the bench is safe"
            self._stop.clear()
            for camera in self.cameras.values():
                camera.revive()
            return self.guard.engage(self.read()["observation.state"])
        if what == "arrange":
            arrange = getattr(self.driver, "arrange", None)
            return None if arrange is None else arrange(int(rest[0]))
        if what == "torque":
            asked = getattr(self.driver, "torque_on", None)
            return None if asked is None else bool(asked())
        raise ValueError(f"no such message: {what}")

    def status(self) -> Mapping[str, Any]:
        """Mode, why it stopped, the interventions that were not told yet, and what the driver measures."""
        new = self.guard.events[self._sent :]
        self._sent = len(self.guard.events)
        return {"mode": self.guard.mode, "reason": self.guard.reason, "events": new, "measures": self._measured()}

    def _measured(self) -> dict[str, float | None]:
        """What the driver measures now; nothing where it measures nothing, or cannot now."""
        measure = getattr(self.driver, "measure", None)
        try:
            return {} if measure is None else dict(measure())
        except Exception:  # noqa: BLE001  # a measure that fails is `None`: it must not take the guard along
            return {}

    def end(self) -> None:
        """Brakes, and gives the robot back."""
        self.guard.hold()
        until, before = self._now() + _BRAKING_S, None
        while self._now() < until and (before is None or (self.guard.setpoint != before).any()):
            before = self.guard.setpoint
            time.sleep(1 / self.robot.watchdog.tick_hz)
            self.tick()
        try:
            self.driver.stop()
        finally:
            for camera in self.cameras.values():
                camera.close()
            self.driver.disconnect()


def guard_robot(declaration: str, connection: Connection, stop: _Flag) -> None:
    """What the process runs: connects, says `ready` or an error, and serves until its other side is gone."""
    service = GuardService(Path(declaration), stop)
    try:
        service.connect()
    except Exception as error:  # noqa: BLE001  # whatever a driver raises is told to the other side
        connection.send(("error", f"connect: {type(error).__name__}: {error}", {}))
        return
    connection.send(("ready", None, service.status()))
    period, due = 1 / service.robot.watchdog.tick_hz, time.monotonic()
    try:
        while True:
            due = max(due + period, time.monotonic())
            service.tick()
            while connection.poll(max(0.0, due - time.monotonic())):
                connection.send(_answered(service, connection.recv()))
    except (EOFError, OSError, KeyboardInterrupt):  # the other side is gone
        pass
    finally:
        service.end()


def _answered(service: GuardService, message: tuple[Any, ...]) -> tuple[str, Any, Mapping[str, Any]]:
    try:
        return "done", service.answer(message), service.status()
    except Exception as error:  # noqa: BLE001  # whatever a driver raises is told to the other side
        service.guard.hold()
        return "error", f"{message[0]}: {type(error).__name__}: {error}", service.status()
