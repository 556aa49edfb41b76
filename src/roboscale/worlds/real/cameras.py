"""A camera that OpenCV opens, beside whatever a driver sees itself. Its newest picture is always at hand.

A process of its own reads as fast as the camera gives, into memory that is shared, so that nobody who looks at the arm
waits for a picture, and decoding one delays no setpoint. When the camera gives none any more, or its process is gone,
the last picture stays, which the guard takes for what it is: a frozen camera.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import InfrastructureError, RoboscaleError
from roboscale.core.processes import interrupts_held_back

__all__ = ["CameraProcess", "OpenCvCamera"]

_FIRST_S = 10.0
_START_S = 30.0  # in which its process is up and has a first picture
_AGAIN_S = 0.05
_SLOTS = 2  # one that is read, and one that is written


class OpenCvCamera:
    """One camera.

    Args:
        device: its number, a path, or an address that OpenCV knows; a film is played at its own rate, once.
        height, width: of its pictures, pixels; asked of the camera, and compared with what it gives.
        put: given every picture of that size.

    Raises:
        RoboscaleError: OpenCV is not installed.
        InfrastructureError: it cannot be opened, gives no picture, or gives another size.
    """

    def __init__(
        self, device: str, height: int, width: int, put: Callable[[NDArray[np.uint8]], None] | None = None
    ) -> None:
        try:
            import cv2
        except ImportError as error:
            raise RoboscaleError("a camera with a device needs OpenCV: pip install 'roboscale[cameras]'") from error
        self._device, self._cv2 = device, cv2
        self._capture = cv2.VideoCapture(int(device) if device.isdecimal() else device)
        if not self._capture.isOpened():
            raise InfrastructureError(f"camera {device}: OpenCV cannot open it")
        self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, width)
        self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, height)
        rate_hz = self._capture.get(cv2.CAP_PROP_FPS)
        self._pause_s = 1 / rate_hz if Path(device).is_file() and rate_hz > 0 else 0.0
        self._newest: NDArray[np.uint8] | None = None
        self._put, self._shape = put, (height, width, 3)
        self._ends = threading.Event()
        self._first = threading.Event()
        self._thread = threading.Thread(target=self._read, name=f"camera {device}", daemon=True)
        self._thread.start()
        if not self._first.wait(_FIRST_S):
            self.close()
            raise InfrastructureError(f"camera {device}: no picture within {_FIRST_S:g} s")
        found = self.newest().shape
        if found != (height, width, 3):
            self.close()
            raise InfrastructureError(f"camera {device}: expected pictures of {height} x {width}, found {found}")

    def newest(self) -> NDArray[np.uint8]:
        """The last picture that the camera gave, (height, width, 3) RGB."""
        assert self._newest is not None, "it waited for the first"
        return self._newest

    def close(self) -> None:
        """Gives the camera back."""
        self._ends.set()
        self._thread.join(2)
        self._capture.release()

    def _read(self) -> None:
        while not self._ends.is_set():
            there, picture = self._capture.read()
            if not there:
                time.sleep(_AGAIN_S)
                continue
            self._newest = np.ascontiguousarray(picture[..., ::-1])
            if self._put is not None and self._newest.shape == self._shape:
                self._put(self._newest)
            self._first.set()
            self._ends.wait(self._pause_s)


class CameraProcess:
    """A camera in a process of its own. Arguments and errors as `OpenCvCamera`."""

    def __init__(self, device: str, height: int, width: int) -> None:
        self._of = (device, height, width)
        self._context = multiprocessing.get_context("spawn")
        self._memory = self._context.RawArray("b", 8 + _SLOTS * height * width * 3)
        self._head, self._pictures = _shared(self._memory, height, width)
        self._begin()

    def _begin(self) -> None:
        self._connection, other = self._context.Pipe()
        arguments = (other, self._memory, *self._of)
        device = self._of[0]
        self._process = self._context.Process(target=_watch, args=arguments, name=f"roboscale camera {device}")
        self._process.daemon = True
        with interrupts_held_back():
            self._process.start()
        other.close()
        try:
            said = self._connection.recv() if self._connection.poll(_START_S) else None
        except (EOFError, OSError):
            said = None
        if said != "ready":
            self.close()
            if isinstance(said, RoboscaleError):
                raise said
            raise InfrastructureError(f"camera {device}: its process did not come up within {_START_S:g} s")

    @property
    def process_id(self) -> int | None:
        """Of the process that reads it."""
        return self._process.pid

    def newest(self) -> NDArray[np.uint8]:
        """The last picture that the camera gave, (height, width, 3) RGB, a copy."""
        while True:
            number = int(self._head[0])
            picture: NDArray[np.uint8] = self._pictures[number % _SLOTS].copy()
            if int(self._head[0]) - number < _SLOTS:  # else the slot was written meanwhile
                return picture

    def revive(self) -> bool:
        """Starts another process where this one is gone; whether it was."""
        if self._process.is_alive():
            return False
        self._connection.close()
        self._begin()
        return True

    def close(self) -> None:
        """Gives the camera back."""
        self._connection.close()
        self._process.join(3)
        if self._process.is_alive():
            self._process.kill()
            self._process.join(1)


def _shared(memory: Any, height: int, width: int) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    head = np.frombuffer(memory, np.int64, 1)
    return head, np.frombuffer(memory, np.uint8, offset=8).reshape(_SLOTS, height, width, 3)


def _watch(connection: Connection, memory: Any, device: str, height: int, width: int) -> None:
    """What the process runs, until its other side is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the other side's to hear
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    head, pictures = _shared(memory, height, width)

    def put(picture: NDArray[np.uint8]) -> None:
        following = int(head[0]) + 1
        pictures[following % _SLOTS] = picture
        head[0] = following

    try:
        camera = OpenCvCamera(device, height, width, put)
    except RoboscaleError as error:
        connection.send(error)
        return
    with contextlib.suppress(EOFError, OSError):
        connection.send("ready")
        connection.recv()  # nothing is ever said: it returns when the other side is gone
    camera.close()
