"""Frames a second as exact numbers: 12.5 is 25/2, and 29.97, as television writes 30000/1001, is that.

A video counts time in whole ticks and is hours long: at 29.97 instead of 30000/1001 its pictures would leave LeRobot's
tolerance (.1 ms) after 100 s.
"""

from __future__ import annotations

import math
from fractions import Fraction

__all__ = ["exact_rate", "fps_number", "is_rate", "same_rate"]

_TELEVISION = (15, 24, 30, 48, 60, 120, 240)  # n / 1.001 is rounded to 29.97, 23.976, 59.94 ...
_SAME = 2e-6  # relative: three decimals of n / 1.001 are off by 1e-6


def is_rate(rate_hz: float) -> bool:
    """Whether frames can be counted at this rate: finite, from one a minute to a million a second."""
    return math.isfinite(rate_hz) and 1 / 60 <= rate_hz <= 1e6


def exact_rate(rate_hz: float | Fraction) -> Fraction:
    """The rate as a fraction whose parts a video can hold.

    >>> exact_rate(29.97), exact_rate(30000 / 1001), exact_rate(12.5), exact_rate(30)
    (Fraction(30000, 1001), Fraction(30000, 1001), Fraction(25, 2), Fraction(30, 1))
    """
    for whole in _TELEVISION:
        if abs(float(rate_hz) * 1001 - whole * 1000) <= _SAME * whole * 1000:
            return Fraction(whole * 1000, 1001)
    return Fraction(rate_hz).limit_denominator(10_000)


def fps_number(rate_hz: float | Fraction) -> int | float:
    """What `info.json` says of a rate: a whole number where it is one, as LeRobot's own writer has it.

    >>> fps_number(30.0), fps_number(29.97)
    (30, 29.97002997002997)
    """
    rate = exact_rate(rate_hz)
    return int(rate) if rate.denominator == 1 else float(rate)


def same_rate(a: float | Fraction, b: float | Fraction) -> bool:
    """Whether two rates count the same frames: 29.97 and 30000/1001 do, 29.97 and 30 do not."""
    return abs(float(a) - float(b)) <= _SAME * float(b)
