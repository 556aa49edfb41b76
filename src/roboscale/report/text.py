"""Numbers as people read them. Never rounds a rate to 0 or 100 % that is neither."""

from __future__ import annotations

import math

__all__ = ["MISSING", "count", "duration", "interval", "number", "percent", "share_of"]

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


def duration(hours: float) -> tuple[str, str]:
    """(number, unit): hours, or minutes below one hour, or seconds below one minute."""
    for factor, unit in ((1, "hours"), (60, "minutes")):
        if hours * factor >= 1:
            return number(hours * factor, 2 if hours * factor < 100 else 3), unit
    return number(hours * 3600, 2), "seconds"


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
