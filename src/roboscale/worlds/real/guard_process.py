"""The process that owns a robot: its driver and its guard run here, and whoever wants to move it sends leases.

It ends by itself when its other side is gone: the arm brakes, `stop` and `disconnect` are called. When this process
itself is killed, nothing of ours is left: what the arm does then is its driver's own watchdog. A declaration has one
guard at a time: a second one waits until the first has given the arm back, and is refused when it does not.
"""

from __future__ import annotations

import fcntl
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from roboscale.core import InfrastructureError, RoboscaleError, SpecMismatch
from roboscale.worlds.real.cameras import CameraProcess
from roboscale.worlds.real.declaration import RobotDeclaration
from roboscale.worlds.real.guard import MotionGuard

__all__ = ["GuardService", "guard_robot", "stop_file"]

_BRAKING_S = 3.0  # most that a driver is still served after its other side is gone
_FREE_S = _BRAKING_S + 2.0  # most that the arm is waited for


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
        self._connected = False
        self._sent = 0  # events that were told

    def connect(self) -> None:
        """The driver, and the cameras that are not its own; then looks once whether they are what is declared.

        Raises:
            SpecMismatch: they are not: every difference with both sides. Whatever the driver raises is let through.
        """
        self.driver.connect()
        self._connected = True
        for camera in self.robot.cameras:
            if camera.device is not None:
                self.cameras[camera.name] = CameraProcess(camera.device, camera.height, camera.width)
        read: object = self.driver.read()
        if not isinstance(read, Mapping):
            raise SpecMismatch(
                f"driver {self.robot.driver}: read: expected fields by name, found {type(read).__name__}"
            )
        seen = {name: np.asarray(values) for name, values in read.items()} | self._frames()
        if differences := list(_differences(self.robot, seen)):
            head = f"driver {self.robot.driver}: what it reads is not what the file declares:"
            raise SpecMismatch("\n".join([head, *(f"  {one}" for one in differences)]))

    def _frames(self) -> dict[str, NDArray[np.uint8]]:
        """Of the cameras that are not the driver's."""
        return {f"observation.images.{name}": camera.newest() for name, camera in self.cameras.items()}

    def read(self) -> dict[str, Any]:
        """Everything the driver shows now, which the guard sees, too."""
        seen = {name: np.asarray(values) for name, values in self.driver.read().items()} | self._frames()
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
        """Brakes, and gives the robot back, whatever its driver raises meanwhile."""
        self.guard.hold()
        until, before = self._now() + _BRAKING_S, None
        try:
            while self._now() < until and (before is None or (self.guard.setpoint != before).any()):
                before = self.guard.setpoint
                time.sleep(1 / self.robot.watchdog.tick_hz)
                self.tick()
        finally:
            self.give_back()

    def give_back(self) -> None:
        """Stops and disconnects what was connected: each of it, whatever the others raise."""
        with ExitStack() as last:
            if self._connected:
                last.callback(self.driver.disconnect)
            for camera in self.cameras.values():
                last.callback(camera.close)
            if self._connected:
                last.callback(self.driver.stop)


def _differences(robot: RobotDeclaration, seen: Mapping[str, NDArray[Any]]) -> Iterator[str]:
    """What is read otherwise than declared; numbers may have any width, pictures have bytes."""
    for field in robot.observation_spec:
        read, kinds = seen.get(field.name), "u" if field.is_image else "fiu"
        if read is None:
            yield f"{field.name}: declared, and not read; the driver reads {', '.join(sorted(seen)) or 'nothing'}"
        elif read.shape != field.shape or read.dtype.kind not in kinds or (field.is_image and read.dtype != np.uint8):
            yield f"{field.name}: declared {field.dtype}{list(field.shape)}, read {read.dtype}{list(read.shape)}"
    effort = seen.get("observation.effort")
    limited = [joint.name for joint in robot.joints if joint.effort is not None]
    if limited and effort is None:
        yield f"observation.effort: {', '.join(limited)} have an effort declared, and the driver reads none"
    elif effort is not None and effort.shape != (len(robot.joints),):
        yield f"observation.effort: expected {len(robot.joints)} numbers, read {list(effort.shape)}"


def _owned(declaration: Path) -> IO[bytes]:
    """The declaration, locked for as long as it is open, which ends with the process however that ends.

    Raises:
        InfrastructureError: another process drives this robot, and goes on to.
    """
    file, until = declaration.open("rb"), time.monotonic() + _FREE_S
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        except BlockingIOError:
            if time.monotonic() > until:
                file.close()
                raise InfrastructureError(
                    f"another command drives {declaration}: two guards would send one arm to two places; end that one"
                ) from None
            time.sleep(0.05)


def guard_robot(declaration: str, connection: Connection, stop: _Flag) -> None:
    """What the process runs: connects, says `ready` or an error, and serves until its other side is gone."""
    try:
        owned = _owned(Path(declaration))
    except (InfrastructureError, OSError) as error:
        with suppress(OSError):
            connection.send(("error", f"connect: {error}", {}))
        return
    with owned:
        _guard(GuardService(Path(declaration), stop), connection)


def _guard(service: GuardService, connection: Connection) -> None:
    try:
        service.connect()
    except (Exception, SystemExit) as error:  # noqa: BLE001  # whatever a driver raises is told to the other side
        with suppress(Exception):
            service.give_back()
        refused = isinstance(error, SpecMismatch)
        with suppress(OSError):  # the other side may be gone meanwhile
            connection.send(("refused", str(error), {}) if refused else ("error", f"connect: {_said(error)}", {}))
        return
    failed = ""
    try:
        connection.send(("ready", None, service.status()))
        failed = _served(service, connection)
    except (EOFError, OSError, KeyboardInterrupt):  # the other side is gone
        pass
    finally:
        try:
            service.give_back() if failed else service.end()
            given_back = "it was told to stop, and disconnected"
        except Exception as error:  # noqa: BLE001  # told, and there is nobody else to raise it to
            given_back = f"IT MAY STILL BE MOVING: giving it back raised {_said(error)}"
        with suppress(OSError):
            connection.send(("gone", f"{failed or 'the session ended'}; {given_back}", {}))
    if "STILL" in given_back:
        sys.exit(f"the guard of {service.robot.name}: {given_back}")


def _served(service: GuardService, connection: Connection) -> str:
    """Serves until the other side is gone, which raises; or says what the driver raised, which is the end, too."""
    period, due = 1 / service.robot.watchdog.tick_hz, time.monotonic()
    while True:
        due = max(due + period, time.monotonic())
        try:
            service.tick()
        except Exception as error:  # noqa: BLE001  # a driver that fails is given back, and the reason told
            return f"the driver raised {_said(error)}"
        while connection.poll(max(0.0, due - time.monotonic())):
            connection.send(_answered(service, connection.recv()))


def _said(error: BaseException) -> str:
    return str(error) if isinstance(error, RoboscaleError) else f"{type(error).__name__}: {error}"


def _answered(service: GuardService, message: tuple[Any, ...]) -> tuple[str, Any, Mapping[str, Any]]:
    try:
        return "done", service.answer(message), service.status()
    except Exception as error:  # noqa: BLE001  # whatever a driver raises is told to the other side
        service.guard.hold()
        return "error", f"{message[0]}: {type(error).__name__}: {error}", service.status()
