"""A leader arm: joints that an operator moves by hand, and that the arm follows.

It is read in a thread, as fast as it answers, so that a slow or dead cable never holds a control step; what was read
expires as a page's word does, and then the arm holds.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from roboscale.core import InfrastructureError

__all__ = ["LeaderArm", "LeaderReader"]

_PAUSE_S = 0.005
_AGAIN_S = 0.2


class LeaderArm(Protocol):
    """What gives positions."""

    def connect(self) -> None: ...

    def positions(self) -> NDArray[np.float64]:
        """Where its joints are, (D,), in the action's units; InfrastructureError when nobody knows."""

    def disconnect(self) -> None: ...


class LeaderReader:
    """The newest positions of a leader, and how old they are. A context manager; leaving it gives the leader back.

    Args:
        arm: is connected on entering.
        now: monotonic seconds.

    Attributes:
        problem: why it was not read the last time; empty where it was.
    """

    def __init__(self, arm: LeaderArm, now: Callable[[], float] = time.monotonic) -> None:
        self._arm, self._now = arm, now
        self._newest: tuple[float, NDArray[np.float64]] | None = None
        self.problem = ""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._read, name="leader", daemon=True)

    def newest(self) -> tuple[NDArray[np.float64] | None, float]:
        """Positions (D,) and their age, s; `None` and infinity before the first."""
        newest = self._newest
        return (None, np.inf) if newest is None else (newest[1], self._now() - newest[0])

    def _read(self) -> None:
        while not self._over.wait(_AGAIN_S if self.problem else _PAUSE_S):
            asked_s = self._now()
            try:
                positions = np.array(self._arm.positions(), np.float64)
            except InfrastructureError as error:
                self.problem = str(error)
            else:
                self._newest, self.problem = (asked_s, positions), ""

    def __enter__(self) -> LeaderReader:
        self._arm.connect()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(5)
        self._arm.disconnect()
