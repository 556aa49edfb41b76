"""From messages at their own times to one grid of frames. Arrays of nanoseconds only; no bags.

Frame k lies at the grid's start + k / fps. A frame shows what was known at its time (`previous`), the message nearest
to it (`nearest`), or the line between its two neighbours (`linear`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData

__all__ = ["Ordered", "between", "frames", "gaps", "in_order", "jumps", "period_ns", "pick"]

_GAP_PERIODS = 3
_MAX_FRAMES_PER_MESSAGE = 1000
_FEW_FRAMES = 100_000


@dataclass(frozen=True, slots=True)
class Ordered:
    """Messages in the order of their stamps.

    Args:
        keep: (N,) positions of the messages kept, in order.
        time_ns: (N,) int64, strictly increasing.
        backwards: how many came with a stamp before that of an earlier message.
        doubled: how many were dropped for a later one with the same stamp.
    """

    keep: NDArray[np.intp]
    time_ns: NDArray[np.int64]
    backwards: int
    doubled: int


def in_order(time_ns: NDArray[np.int64]) -> Ordered:
    """Sorts by stamp; of several messages with one stamp the last that was recorded is kept."""
    backwards = int((np.diff(time_ns) < 0).sum())
    order = np.argsort(time_ns, kind="stable")
    ordered = time_ns[order]
    last = np.append(ordered[1:] != ordered[:-1], True) if len(ordered) else np.zeros(0, bool)
    return Ordered(order[last], ordered[last], backwards, int((~last).sum()))


def frames(first_ns: Sequence[int], last_ns: Sequence[int], fps: float, messages: int, where: object) -> Any:
    """(T,) int64 ns: from the latest first to the earliest last message, both inclusive.

    Args:
        messages: of the topic that has most; a grid far finer than that is a broken stamp.

    Raises:
        BadData: the topics do not overlap in time, or their stamps are absurd.
    """
    start, end = max(first_ns), min(last_ns)
    if end < start:
        found = f"one that ends {(start - end) / 1e9:.3f} s before another begins"
        raise BadData(where, "stamps", "topics that overlap in time", found)
    count = int((end - start) * fps / 1e9 + 1e-6) + 1
    if count > max(_FEW_FRAMES, _MAX_FRAMES_PER_MESSAGE * messages):
        found = f"{count} frames over {(end - start) / 1e9:.1f} s"
        raise BadData(where, "stamps", f"a grid of {fps:g} Hz for {messages} messages", found)
    return start + np.rint(np.arange(count) * (1e9 / fps)).astype(np.int64)


def pick(time_ns: NDArray[np.int64], grid_ns: NDArray[np.int64], how: Literal["previous", "nearest"]) -> Any:
    """(T,) position of the message that each frame shows; -1 for `previous` before the first one."""
    after = np.searchsorted(time_ns, grid_ns, side="right")
    if how == "previous" or not len(time_ns):
        return after - 1
    left, right = np.maximum(after - 1, 0), np.minimum(after, len(time_ns) - 1)
    nearer_right = np.abs(time_ns[right] - grid_ns) < np.abs(grid_ns - time_ns[left])
    return np.where(nearer_right, right, left)


def between(time_ns: NDArray[np.int64], values: NDArray[Any], grid_ns: NDArray[np.int64]) -> NDArray[Any]:
    """(T, N) values on the lines between messages, in the dtype of `values` (N messages, floating point)."""
    left = np.clip(np.searchsorted(time_ns, grid_ns, side="right") - 1, 0, len(time_ns) - 1)
    right = np.minimum(left + 1, len(time_ns) - 1)
    width = np.maximum(time_ns[right] - time_ns[left], 1)
    share = np.clip((grid_ns - time_ns[left]) / width, 0.0, 1.0)[:, None]
    # numbers of one message stay exactly as they were sent
    mixed = np.where(share == 0, values[left], values[left] * (1 - share) + values[right] * share)
    return mixed.astype(values.dtype)


def period_ns(time_ns: NDArray[np.int64]) -> float:
    """Median time between messages; 0 for fewer than two."""
    return float(np.median(np.diff(time_ns))) if len(time_ns) > 1 else 0.0


def gaps(time_ns: NDArray[np.int64], grid_ns: NDArray[np.int64]) -> list[tuple[int, int, float]]:
    """(first frame, last frame, seconds) of every silence longer than three periods that touches the grid."""
    period = period_ns(time_ns)
    holes = []
    for i in np.flatnonzero(np.diff(time_ns) > _GAP_PERIODS * period) if period else ():
        begin, end = time_ns[i], time_ns[i + 1]
        first = int(np.searchsorted(grid_ns, begin, side="right"))
        last = int(np.searchsorted(grid_ns, end, side="left")) - 1
        first, last = min(first, len(grid_ns) - 1), max(min(last, len(grid_ns) - 1), 0)
        if begin <= grid_ns[-1] and end >= grid_ns[0]:
            holes.append((min(first, last), last, float(end - begin) / 1e9))
    return holes


def jumps(stamp_ns: NDArray[np.int64], log_ns: NDArray[np.int64]) -> tuple[int, float]:
    """How many stamps stray over three periods from the recorder's clock plus its usual delay; the farthest (s)."""
    if len(stamp_ns) < 2:
        return 0, 0.0
    delay = stamp_ns.astype(np.float64) - log_ns.astype(np.float64)  # integers could overflow on a broken stamp
    astray = np.abs(delay - np.median(delay))
    far = astray > max(_GAP_PERIODS * period_ns(np.sort(log_ns)), 1e6)
    return int(far.sum()), float(astray.max()) / 1e9
