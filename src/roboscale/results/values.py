"""What the texts of cells mean. Every function takes the different texts of a column, never its rows."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from roboscale.results.languages import NO, YES, without_accents

__all__ = [
    "MOST_TRIALS",
    "SAYS_NOTHING",
    "count_of",
    "digits_of",
    "fraction_of",
    "is_missing",
    "number_of",
    "numbers_of",
    "percent_beside",
    "success_of",
    "successes_of",
]

_YES = {"1", "1.0", "true", "t", "yes", "y", "success", "successful", "succeeded", "succeed", "pass", "passed"}
_YES |= {"solved", "si", "erfolg", "ok", "done", "✓", "✔", "✅", "☑", "🗸", "completed", "complete", "+", *YES}
_NO = {"0", "0.0", "false", "f", "no", "n", "failure", "fail", "failed", "unsuccessful", "timeout", "timed out"}
_NO |= {"misserfolg", "✗", "✘", "❌", "✖", "☒", "✕", "incomplete", "-0", "-0.0", *NO}
_YES |= {without_accents(word) for word in YES} - _NO
_NO |= {without_accents(word) for word in NO} - _YES
SAYS_NOTHING = {"", "void", "nan", "none", "null", "invalid", "n/a", "na", "-", "–", "—", "error", "aborted", "#n/a"}
SAYS_NOTHING |= {"n.a.", "tbd", "not run", "not tested", "untested", "skipped", "missing", "#value!", "#div/0!"}
"""Texts that say that nothing is said: the trial is void."""

MOST_TRIALS = 10**12
"""Nobody tries more often; a larger number is an identifier or two numbers run together."""

_PART = r"(\d+)(?:\.0+)?\s*(?:/|of|out of|von|sur|de)\s*(\d+)(?:\.0+)?(?:\s*trials)?"
_FRACTION = re.compile(rf"{_PART}(?:\s*[(=].*)?|\d+(?:[.,]\d+)?\s*%\s*\(?{_PART}\)?")
_COMMA = re.compile(r"[-+]?\d*,\d+")
_THOUSANDS = re.compile(r"\d{1,3}([,\u202f ' ]\d{3})+")


def is_missing(text: str) -> bool:
    """Whether a cell says nothing."""
    return text.casefold() in SAYS_NOTHING


def success_of(text: str) -> float | None:
    """1.0 or 0.0, NaN where the cell says nothing, `None` where it is not understood."""
    low = text.casefold().removesuffix("\ufe0f")  # a sign may ask to be drawn as a picture
    if low in _YES:
        return 1.0
    if low in _NO:
        return 0.0
    if low in SAYS_NOTHING:
        return math.nan
    number = number_of(text)
    return number if number in (0.0, 1.0) else None


def successes_of(values: Sequence[str]) -> list[float | None]:
    """`success_of` each."""
    return [success_of(text) for text in values]


def fraction_of(text: str) -> tuple[int, int] | None:
    """(successes, trials) of `12/20`; `None` where it is no such cell."""
    match = _FRACTION.fullmatch(text.casefold())
    if not match:
        return None
    won, tried = (number for number in match.groups() if number is not None)
    return int(won), int(tried)


def percent_beside(text: str) -> float | None:
    """The share that stands beside counts: .6 of `12/20 (60%)`; `None` where there is none."""
    percents = re.findall(r"\d+(?:[.,]\d+)?\s*%", text)
    return number_of(percents[0]) if len(percents) == 1 else None


def number_of(text: str) -> float | None:
    """A finite number, with a point or a comma, with `%` a hundredth of it; `None` where it is none."""
    plain = text.replace("\u2212", "-").replace(" ", "")
    percent = plain.endswith("%")
    plain = plain.removesuffix("%")
    if _COMMA.fullmatch(plain):
        plain = plain.replace(",", ".")
    if "_" in plain:
        return None
    try:
        value = float(plain)
    except ValueError:
        return None
    return (value / 100 if percent else value) if math.isfinite(value) else None


def count_of(text: str) -> int | None:
    """A whole number of at least 0, `12.0` and `1,000` too; `None` where it is none."""
    if _THOUSANDS.fullmatch(text):
        return int(re.sub(r"\D", "", text))
    value = number_of(text)
    return int(value) if value is not None and "%" not in text and value.is_integer() and value >= 0 else None


def digits_of(text: str) -> int:
    """Digits behind the point, of a rate as it is printed; a percent has two more."""
    plain = text.replace(" ", "").replace(",", ".")
    behind = len(plain.removesuffix("%").partition(".")[2])
    return behind + 2 * plain.endswith("%")


def numbers_of(values: Sequence[str]) -> NDArray[np.float64]:
    """`number_of` each; NaN where it is none or nothing is said."""
    numbers = [number_of(text) for text in values]
    return np.array([math.nan if number is None else number for number in numbers], np.float64)
