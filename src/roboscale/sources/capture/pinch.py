"""Whether a hand is closed as a gripper is: by the distance of thumb and index, with two thresholds.

One threshold would open and close a gripper with every tremor beside it. Between the two the hand stays as it was.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Pinch", "closed_samples"]


@dataclass(frozen=True, slots=True)
class Pinch:
    """Metres between the tips below which a hand closes, and above which it opens."""

    closes_m: float = 0.03
    opens_m: float = 0.05


def closed_samples(width: NDArray[np.float64], known: NDArray[np.bool_], pinch: Pinch) -> NDArray[np.bool_]:
    """(N,) where a hand is closed; a sample that is not known is open, and so is what follows until it closes again.

    Args:
        width: (N,) metres between the tips.
        known: (N,) where the hand is seen.

    >>> width = np.array([0.06, 0.04, 0.02, 0.04, 0.06, 0.04])
    >>> closed_samples(width, np.ones(6, bool), Pinch(0.03, 0.05)).tolist()
    [False, False, True, True, False, False]
    """
    closed, made = False, np.zeros(len(width), bool)
    for i in range(len(width)):
        closed = bool(known[i]) and (width[i] < pinch.closes_m or (closed and width[i] <= pinch.opens_m))
        made[i] = closed
    return made
