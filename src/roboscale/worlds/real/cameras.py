"""A camera that OpenCV opens, beside whatever a driver sees itself. Its newest picture is always at hand.

A thread reads as fast as the camera gives, so that nobody who looks at the arm waits for a picture. When the camera
gives none any more the last picture stays, which the guard takes for what it is: a frozen camera.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roboscale.core import InfrastructureError, RoboscaleError

__all__ = ["OpenCvCamera"]

_FIRST_S = 10.0
_AGAIN_S = 0.05


class OpenCvCamera:
    """One camera.

    Args:
        device: its number, a path, or an address that OpenCV knows; a film is played at its own rate, once.
        height, width: of its pictures, pixels; asked of the camera, and compared with what it gives.

    Raises:
        RoboscaleError: OpenCV is not installed.
        InfrastructureError: it cannot be opened, gives no picture, or gives another size.
    """

    def __init__(self, device: str, height: int, width: int) -> None:
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
            self._first.set()
            self._ends.wait(self._pause_s)
