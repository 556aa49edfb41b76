"""Clocks: simulated time passes with steps, wall-clock time passes by itself."""

from __future__ import annotations

import time
from typing import Protocol

__all__ = ["Clock", "SimulatedClock", "WallClock"]


class Clock(Protocol):
    """What paces a rollout. Times are seconds on a monotonic clock of its own."""

    def now_s(self) -> float:
        """The time."""

    def wait_until(self, time_s: float) -> None:
        """Returns at `time_s`, or at once when that has passed."""


class WallClock:
    """Time as it passes for a robot and for people."""

    def now_s(self) -> float:
        """Monotonic seconds."""
        return time.monotonic()

    def wait_until(self, time_s: float) -> None:
        """Sleeps."""
        left = time_s - time.monotonic()
        if left > 0:
            time.sleep(left)


class SimulatedClock:
    """Time that passes only when somebody waits for it: a simulator is stepped as fast as it can be."""

    def __init__(self) -> None:
        self._now_s = 0.0

    def now_s(self) -> float:
        """Simulated seconds since the clock was made."""
        return self._now_s

    def wait_until(self, time_s: float) -> None:
        """Moves on to `time_s`; never back."""
        self._now_s = max(self._now_s, time_s)
