"""The stand-in arm with its motors in a process of their own, as hardware has them: they outlive whoever drives them.

`StandInMotors` is a driver that talks to that process over a socket, and starts it when nobody has. Whatever is killed
on this side of the socket, the arm goes on to exist: without a setpoint for `watchdog_s` the motors hold where they
are, which is the driver's own watchdog that a real arm brings. They end when nobody has talked to them for a minute.

    python -m roboscale.worlds.simulated.stand_in_motors SOCKET [--watchdog S] [--idle S] [--log FILE]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import select
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from roboscale.core import InfrastructureError, Measure, Observation
from roboscale.worlds.simulated.stand_in_arm import StandInArm

__all__ = ["MotorProcess", "StandInMotors"]

_IDLE_S = 60.0
_ANSWER_S, _START_S = 2.0, 30.0
_LOG_EVERY = 5  # steps of physics


class StandInMotors:
    """The driver: as `StandInArm`, whose motors run elsewhere.

    Args:
        address: of the socket, a path of at most some 100 characters.
        height, width, home: see `StandInArm`; they count where the motors are started here.
        watchdog_s: without a setpoint for so long the motors hold.
        log: file to which the motors write where the end of the arm was, every 10 ms; none by default.
    """

    flange = staticmethod(StandInArm.flange)

    def __init__(
        self,
        address: str,
        height: int = 144,
        width: int = 192,
        home: tuple[float, float, float] = (0.0, 0.9, -1.6),
        *,
        watchdog_s: float = 0.1,
        log: str = "",
    ) -> None:
        self.address, self.height, self.width, self.home = address, height, width, tuple(home)
        self.watchdog_s, self.log = watchdog_s, log
        self.measured = (Measure(name="distance", unit="m"),)
        self._socket: socket.socket | None = None
        self._distance: float | None = None

    def connect(self) -> None:
        """Finds the motors, or starts them. InfrastructureError when they do not answer."""
        try:
            self._socket = _connected(self.address)
        except OSError:
            self._start()
        self._ask("stop")

    def _start(self) -> None:
        words = [sys.executable, "-m", __name__, self.address, "--watchdog", str(self.watchdog_s)]
        words += ["--size", str(self.height), str(self.width), "--home", *map(str, self.home)]
        words += ["--log", self.log] if self.log else []
        made = subprocess.Popen(words, stdin=subprocess.DEVNULL, start_new_session=True)
        until = time.monotonic() + _START_S
        while time.monotonic() < until and made.poll() is None:
            with contextlib.suppress(OSError):
                self._socket = _connected(self.address)
                return
            time.sleep(0.05)
        raise InfrastructureError(f"the motors of the stand-in do not answer at {self.address}")

    def read(self) -> Observation:
        """`observation.state` (3,) rad, `observation.effort` (3,) N m, and the picture."""
        said, pixels = self._ask("read")
        seen: dict[str, NDArray[Any]] = {
            "observation.state": np.array(said["state"], np.float32),
            "observation.effort": np.array(said["effort"], np.float32),
        }
        if pixels:
            seen["observation.images.top"] = np.frombuffer(pixels, np.uint8).reshape(self.height, self.width, 3)
        return seen

    def send(self, action: NDArray[Any]) -> NDArray[Any]:
        """Sends the joints to positions, (3,) rad."""
        self._ask("send", [float(x) for x in action])
        return np.asarray(action)

    def stop(self) -> None:
        """Keeps still where it was sent last."""
        self._ask("stop")

    def arrange(self, seed: int) -> None:
        """Puts the ball where the seed says."""
        self._ask("arrange", int(seed))

    def measure(self) -> dict[str, float | None]:
        """`distance` to the ball, metres, when the motors answered last."""
        return {"distance": self._distance}

    def torque_on(self) -> bool:
        """Its motors cannot be switched off."""
        return True

    def disconnect(self) -> None:
        """Leaves the motors to themselves."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _ask(self, what: str, value: Any = None) -> tuple[dict[str, Any], bytes]:
        if self._socket is None:
            raise InfrastructureError("the motors are not connected")
        _send(self._socket, json.dumps([what, value]).encode())
        said = json.loads(_receive(self._socket))
        self._distance = said["distance"]
        return said, _receive(self._socket) if said["pixels"] else b""


class MotorProcess(StandInArm):
    """The motors: the arm, its own watchdog, and a socket.

    Args:
        watchdog_s, log: see `StandInMotors`.
    """

    def __init__(self, height: int, width: int, home: Any, *, watchdog_s: float, log: TextIO | None) -> None:
        super().__init__(height, width, home)
        self._watchdog_s, self._log = watchdog_s, log
        self._sent_s, self._steps = math.inf, 0
        self.client = 0  # process that talks to it

    def answer(self, what: str, value: Any) -> tuple[dict[str, Any], bytes]:
        """What one message is answered: state, effort and distance, and of `read` a picture."""
        pixels = b""
        if what == "send":
            self.send(np.array(value))
            self._sent_s = self._passed_s
        elif what == "arrange":
            self.arrange(int(value))
        elif what == "read":
            seen = self.read()
            pixels = seen["observation.images.top"].tobytes() if self.height else b""
        self.stop()
        said = {
            "state": self._data.qpos[:3].tolist(),
            "effort": self._data.actuator_force[:3].tolist(),
            "pixels": bool(pixels),
            **self.measure(),
        }
        return said, pixels

    def _step(self) -> None:
        if self._passed_s - self._sent_s > self._watchdog_s:
            self._data.ctrl[:3] = self._data.qpos[:3]
            self._sent_s = math.inf
        super()._step()
        self._steps += 1
        if self._log is not None and self._steps % _LOG_EVERY == 0:
            x, y, z = self._data.site("flange").xpos
            self._log.write(f"{self._passed_s:.4f} {x:.6f} {y:.6f} {z:.6f} {self.client}\n")

    def serve(self, address: Path, idle_s: float) -> None:
        """One client after another, until none has come for so long."""
        self.connect()
        address.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(address))
            address.chmod(0o600)
            server.listen(1)
            seen_s = time.monotonic()
            while time.monotonic() - seen_s < idle_s:
                if self._waits(server):
                    continue
                client, _ = server.accept()
                with client:
                    self._serve(client)
                seen_s = time.monotonic()
        address.unlink(missing_ok=True)

    def _serve(self, client: socket.socket) -> None:
        credentials = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        self.client = struct.unpack("3i", credentials)[0]
        with contextlib.suppress(OSError, EOFError):
            while True:
                if self._waits(client):
                    continue
                said, pixels = self.answer(*json.loads(_receive(client)))
                _send(client, json.dumps(said).encode())
                if pixels:
                    _send(client, pixels)
        self.client = 0

    def _waits(self, stream: socket.socket) -> bool:
        """Lets 5 ms pass for the arm at most; whether still nobody has said anything."""
        waits = not select.select([stream], [], [], 0.005)[0]
        self.stop()
        if waits and self._log is not None:
            self._log.flush()
        return waits


def _connected(address: str) -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    made.settimeout(_ANSWER_S)
    try:
        made.connect(address)
    except OSError:
        made.close()
        raise
    return made


def _send(stream: socket.socket, body: bytes) -> None:
    stream.sendall(struct.pack("<I", len(body)) + body)


def _receive(stream: socket.socket) -> bytes:
    (size,) = struct.unpack("<I", _exactly(stream, 4))
    return _exactly(stream, size)


def _exactly(stream: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = stream.recv(size - len(parts))
        if not part:
            raise EOFError("the other side closed")
        parts += part
    return bytes(parts)


def main() -> None:
    """The process of the motors."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address", type=Path)
    parser.add_argument("--watchdog", type=float, default=0.1)
    parser.add_argument("--idle", type=float, default=_IDLE_S)
    parser.add_argument("--size", type=int, nargs=2, default=(144, 192))
    parser.add_argument("--home", type=float, nargs=3, default=(0.0, 0.9, -1.6))
    parser.add_argument("--log", type=Path)
    asked = parser.parse_args()
    with contextlib.ExitStack() as stack:
        log = stack.enter_context(asked.log.open("a")) if asked.log else None
        height, width = asked.size
        motors = MotorProcess(height, width, tuple(asked.home), watchdog_s=asked.watchdog, log=log)
        motors.serve(asked.address, asked.idle)


if __name__ == "__main__":
    main()
