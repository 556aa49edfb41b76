"""Numbers as people read them. Never rounds a rate to 0 or 100 % that is neither."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime

from roboscale.core import Estimate

__all__ = [
    "MISSING",
    "bounds",
    "count",
    "duration",
    "full_stop",
    "interval",
    "mark",
    "moment",
    "number",
    "percent",
    "plural",
    "share_of",
    "signed",
    "void_range",
]

MISSING = "–"
_NARROW_SPACE = "\u202f"


def number(value: float | None, digits: int = 3) -> str:
    """`digits` significant digits, whole numbers in full, a true minus sign; a dash for `None`."""
    if value is None:
        return MISSING
    if not math.isfinite(value):
        return str(value)
    if float(value).is_integer() and abs(value) < 1e15:
        return count(int(value))
    rounded = float(f"{value:.{digits}g}")
    return count(round(rounded)) if abs(rounded) >= 10**digits else f"{rounded:.{digits}g}".replace("-", "−")


def count(value: int | None) -> str:
    """Thousands set apart by a narrow space."""
    return MISSING if value is None else f"{value:,}".replace(",", _NARROW_SPACE).replace("-", "−")


def plural(n: int, noun: str) -> str:
    """`1 policy`, `3 policies`."""
    several = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{count(n)} {noun if n == 1 else several}"


def duration(hours: float) -> tuple[str, str]:
    """(number, unit): hours, or minutes below one hour, or seconds below one minute."""
    for factor, unit in ((1, "hours"), (60, "minutes")):
        if hours * factor >= 1:
            return number(hours * factor, 2 if hours * factor < 100 else 3), unit
    return number(hours * 3600, 2), "seconds"


def moment(time_ns: int) -> str:
    """`2026-11-25 22:51 UTC` from nanoseconds since 1970; a dash for 0, which is no time."""
    return f"{datetime.fromtimestamp(time_ns // 10**9, UTC):%Y-%m-%d %H:%M} UTC" if time_ns else MISSING


def share_of(value: float, *, decimals: int = 0) -> str:
    """A share in 0..1 as percent without its sign: `73`, `99.6`, `<0.1`."""
    text = f"{100 * value:.{decimals}f}"
    if decimals == 0 and (float(text) in (0.0, 100.0)) and value not in (0.0, 1.0):
        text = f"{100 * value:.1f}"
        text = {"0.0": "<0.1", "100.0": ">99.9"}.get(text, text)
    return text


def percent(value: float | None) -> str:
    """`73 %`; a dash for `None`."""
    return MISSING if value is None else f"{share_of(value)}{_NARROW_SPACE}%"


def interval(low: float | None, high: float | None) -> str:
    """`56–86 %`, or `no interval` when the data cannot say."""
    if low is None or high is None:
        return "no interval"
    return f"{share_of(low)}–{share_of(high)}{_NARROW_SPACE}%"


def signed(value: float | None, decimals: int = 2) -> str:
    """A number that may have either sign, with a true minus: `+0.41`, `−2.76`; a dash for `None`."""
    if value is None:
        return MISSING
    shown = f"{value:+.{decimals}f}".replace("-", "−")
    return shown if shown.strip("+−0.") else shown.lstrip("+−")


def bounds(low: float | None, high: float | None, decimals: int = 2) -> str:
    """`−0.10 to +0.32`; an end that the data leave open is called so, and no end at all `no interval`."""
    if low is None and high is None:
        return "no interval"
    ends = ["open" if end is None else signed(end, decimals) for end in (low, high)]
    return f"{ends[0]} to {ends[1]}"


def full_stop(sentence: str) -> str:
    """The sentence with a full stop at its end, if it has none."""
    return sentence if sentence.endswith((".", "!", "?")) else f"{sentence}."


def mark(unverified: Sequence[str]) -> str:
    """What stands beside every number of somebody who is not known by content; empty for who is."""
    return f"unverified: {'; '.join(unverified)}" if unverified else ""


def void_range(rate: Estimate) -> tuple[float, float] | None:
    """The rate if every void trial had failed, and if every one had succeeded (Manski bounds); `None` without voids.

    Args:
        rate: a share or mean over `rate.n` counted trials, in 0..1.
    """
    if not rate.void:
        return None
    good, trials = (rate.value or 0.0) * rate.n, rate.n + rate.void
    return good / trials, (good + rate.void) / trials
