"""What the recorded times of an episode say: at which rate it ran, from when, how unevenly, and what is missing.

t_k = offset + k / rate + jitter_k        offset and rate by the median of the steps, which lost frames do not move
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core.plain import Plain

__all__ = ["TIME_TOLERANCE_S", "ClockFacts", "clock_facts", "frames_before", "off_grid"]

TIME_TOLERANCE_S = 1e-4
"""LeRobot's tolerance_s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockFacts(Plain):
    """One episode's clock.

    Args:
        rate_hz: frames a second: one over the median step.
        mean_hz: frames a second from the first to the last frame, with those that are lost: what the clock ran at.
        offset_s: time of the first frame.
        jitter_s: largest distance of a step from the median step, gaps left out.
        lost: frames that are missing in gaps of more than one and a half steps.
        backwards: steps that do not go forward.
    """

    rate_hz: float
    mean_hz: float
    offset_s: float
    jitter_s: float
    lost: int
    backwards: int

    def __str__(self) -> str:
        parts = [f"{self.mean_hz:.4g} Hz measured", f"{1e3 * self.jitter_s:.2g} ms jitter"]
        parts += [f"begins at {self.offset_s:.4g} s"] if abs(self.offset_s) > TIME_TOLERANCE_S else []
        parts += [f"{self.lost} frames lost"] if self.lost else []
        parts += [f"{self.backwards} steps back"] if self.backwards else []
        return ", ".join(parts)


def clock_facts(times_s: NDArray[Any]) -> ClockFacts | None:
    """Of recorded times (T,), s; `None` for fewer than two frames, or where no step goes forward."""
    times = np.asarray(times_s, np.float64)
    steps = np.diff(times)
    forward = steps[np.isfinite(steps) & (steps > 0)]
    if not len(forward):
        return None
    step = float(np.median(forward))
    gaps = forward > 1.5 * step
    even = forward[~gaps]
    lost = int((np.round(forward[gaps] / step) - 1).sum())
    return ClockFacts(
        rate_hz=1 / step,
        mean_hz=(len(forward) + lost) / float(forward.sum()),
        offset_s=float(times[0]) if np.isfinite(times[0]) else 0.0,
        jitter_s=float(np.abs(even - step).max(initial=0.0)),
        lost=lost,
        backwards=len(steps) - len(forward),
    )


def frames_before(frames: NDArray[Any] | None, times_s: NDArray[Any] | None, rate_hz: float, there: int) -> int | None:
    """How many frames of an episode are lost before its first row; `None` where frames between its rows are lost.

    0 where the rows are numbered otherwise: times are not frame / rate, or the video has not that many pictures.

    Args:
        frames, times_s: (T,) frame_index and timestamp, s; `None` where there are none.
        there: pictures that the episode's video has.

    >>> frames_before(np.array([10, 11, 12]), np.array([1.0, 1.1, 1.2]), 10, there=13)
    10
    """
    if frames is None or times_s is None or not len(frames) or frames[-1] == len(frames) - 1:
        return 0
    steps, grid = np.diff(frames), frames / rate_hz
    if (steps <= 0).any() or frames[0] < 0 or frames[-1] >= there:
        return 0
    if (np.abs(times_s.astype(np.float64) - grid) > 0.5 / rate_hz).any():
        return 0
    return int(frames[0]) if (steps == 1).all() else None


def off_grid(times_s: NDArray[Any], rate_hz: float) -> NDArray[np.bool_]:
    """(T,) which times are further than LeRobot's tolerance from frame number over rate."""
    grid = np.arange(len(times_s)) / rate_hz
    allowed = TIME_TOLERANCE_S + np.spacing(grid.astype(np.float32))  # what float32 can hold of long episodes
    return np.asarray(~(np.abs(times_s.astype(np.float64) - grid) <= allowed))
