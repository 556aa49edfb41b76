"""Which hands of a capture become end effectors. A hand that is out of view is missing; nothing stands in for it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData, Finding
from roboscale.sources.human.hand import Side

__all__ = ["SIDES", "choose_hands"]

SIDES: tuple[Side, ...] = ("left", "right")
_TOGETHER = 0.25  # of the samples in which any hand is seen


def choose_hands(
    valid: Mapping[Side, NDArray[np.bool_]], asked: str, where: object
) -> tuple[tuple[Side, ...], list[Finding]]:
    """Hands to keep, and what is to be said of those that are not.

    Args:
        valid: (N,) of every hand: where it is seen.
        asked: `left`, `right`, `both`, or `seen`: both where both are seen together in a quarter of the samples that
            show any, else the one that is seen more often, the right one of two alike.

    Raises:
        BadData: the hand that was asked for, or any, is never seen.
    """
    counts = {side: int(mask.sum()) for side, mask in valid.items()}
    said = ", ".join(f"{side} in {count} of {len(valid[side])} samples" for side, count in counts.items())
    if asked in ("left", "right", "both"):
        chosen = tuple(side for side in SIDES if asked in (side, "both"))
        absent = [side for side in chosen if not counts.get(side)]
        if absent:
            raise BadData(where, "hands", f"the {' and the '.join(absent)} hand (--hands)", said or "none")
        return chosen, []
    seen = [side for side in SIDES if counts.get(side)]
    if not seen:
        raise BadData(where, "hands", "a hand that is seen", said or "none")
    if len(seen) == 2:
        both, either = valid["left"] & valid["right"], valid["left"] | valid["right"]
        if both.sum() >= _TOGETHER * either.sum():
            return SIDES, []
        seen = ["right" if counts["right"] >= counts["left"] else "left"]
        other = "left" if seen == ["right"] else "right"
        text = (
            f"the {other} hand is left out: {said}, together in {int(both.sum())} samples; "
            f"--hands {other} takes it into a dataset of its own"
        )
        return tuple(seen), [
            Finding("hand-left-out", "warning", text, evidence={str(side): n for side, n in counts.items()})
        ]
    return tuple(seen), []
