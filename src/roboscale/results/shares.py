"""Numbers of cells as shares: of 1, in percent, on a scale; and successes from printed rates."""

from __future__ import annotations

import shlex

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData
from roboscale.results.grid import Texts
from roboscale.results.hints import hint_of_cell
from roboscale.results.names import is_percent
from roboscale.results.roles import Roles
from roboscale.results.values import digits_of, fraction_of, is_missing, number_of, success_of

__all__ = ["bad_cell", "counts_agree", "shares_of", "won_of_rate"]


def bad_cell(roles: Roles, name: str, row: int, expected: str) -> BadData:
    """The error for a cell of a row, counted from 0."""
    text = roles.grid.column(name).at(row)
    hint = hint_of_cell(text)
    found = f"{text!r}{f', {hint}' if hint else ''}"
    return BadData(roles.path, f"{name} of {roles.grid.row_text(row)}", expected, found)


def shares_of(
    roles: Roles, column: Texts, name: str, scale: float = 0.0, role: str = "progress"
) -> tuple[NDArray[np.float64], str]:
    """Numbers in 0..1 of the different texts of a column, NaN where nothing is said, and how they were read.

    Args:
        scale: what they are divided by; 0 where nobody said: a name or cells with `%`, or numbers that are in 0..1.
        role: of the column, for the message.

    Raises:
        BadData: a cell is no number, or the scale is not known.
    """
    used = set(np.unique(column.codes).tolist())
    numbers = np.full(len(column.values), np.nan)
    signs = 0
    for code, text in enumerate(column.values):
        if code not in used or is_missing(text):
            continue
        number = number_of(text)
        if number is None:
            number = _part_or_flag(text)
            if number is None:
                row = int(np.flatnonzero(column.codes == code)[0])
                raise bad_cell(roles, name, row, "a number in 0..1 or in percent")
        numbers[code] = number
        signs += text.endswith("%")
    top, said = np.nanmax(numbers, initial=0.0), "shares of 1"
    if signs:
        bare = _bare_percents(column, name)
        numbers[bare] /= 100
        top = np.nanmax(numbers, initial=0.0)
        plain = [t for k, t in enumerate(column.values) if k in used and number_of(t) and not t.endswith("%")]
        said = "percent, cells without a sign too" if bare.any() else "percent"
        if plain and not bare.any():
            said = f"percent where a cell says %, as a share of 1 where none does (such as {plain[0]})"
        scale = 1.0
    elif not scale and is_percent(name):
        scale, said = 100.0, "percent, as its name says"
    elif scale:
        said = f"of {scale:g}, as asked"
    else:
        scale = 1.0
    low = np.nanmin(numbers, initial=0.0)
    if low < 0 or top > scale * (1 + 1e-12):
        code = int(np.nanargmin(numbers) if low < 0 else np.nanargmax(numbers))
        row = int(np.flatnonzero(column.codes == code)[0])
        round_top = next((n for n in (5, 10, 100) if n >= top), 1000)
        expected = f"a number in 0..{scale:g} (for another scale: --column {role}={name}/{round_top})"
        raise bad_cell(roles, name, row, expected)
    return numbers / scale, said


def _part_or_flag(text: str) -> float | None:
    """`2/4` is a half, and success 1; `None` where a cell is neither."""
    part = fraction_of(text)
    if part is None:
        return success_of(text)
    return part[0] / part[1] if part[1] else None


def _bare_percents(column: Texts, name: str) -> NDArray[np.bool_]:
    """Which different texts are percent without a sign: others have one, and the name or a number above 1 says so."""
    texts = column.values
    signs = np.array([text.endswith("%") for text in texts])
    numbers = np.array([np.nan if (n := number_of(text)) is None else n for text in texts], np.float64)
    bare = ~signs & ~np.isnan(numbers)
    if not signs.any() or not (is_percent(name) or (numbers[bare] > 1).any()):
        return np.zeros(len(texts), bool)
    return bare


def won_of_rate(
    roles: Roles, column: Texts, name: str, tried: NDArray[np.float64], notes: list[str]
) -> NDArray[np.float64]:
    """Successes from a printed rate. BadData: it is no share of whole trials, to the digits that are printed."""
    readings = []
    scales = [roles.scales["rate"]] if "rate" in roles.scales else [0.0]
    numbers = [number_of(text) for text in column.used() if not is_missing(text)]
    high = max((n for n in numbers if n is not None), default=0.0)
    signed = any(text.endswith("%") for text in column.used())
    if not scales[0] and not signed:
        if high > 1 and high <= 100:
            scales = [100.0]
        elif is_percent(name) and high <= 1:
            scales = [100.0, 1.0]  # a spreadsheet keeps 85 % as 0.85
    said = ""
    for scale in scales:
        shares, said = shares_of(roles, column, name, scale)
        bare = _bare_percents(column, name)
        printed = 0.5 * 10.0 ** -np.array([digits_of(text) for text in column.values], np.float64)
        # 8.5 of 10 is .85, known to .005; cells with a sign are percent whatever else was asked
        printed /= np.where(bare, 100.0, 1.0 if signed else scale or 1.0)
        share, unit = shares[column.codes], printed[column.codes]
        won = np.round(share * tried)
        with np.errstate(divide="ignore", invalid="ignore"):
            off = np.abs(won / tried - share) > unit + 1e-9
        wrong = np.flatnonzero(off & ~np.isnan(share) & (tried > 0))
        readings.append((scale, won, wrong))
    right = [reading for reading in readings if not len(reading[2])]
    if len(right) > 1 and not np.array_equal(right[0][1], right[1][1], equal_nan=True):
        raise BadData(
            roles.path, name, "shares of 1 or percent (--column rate=NAME/100)", f"at most {high:g}: both fit"
        )
    if not right:
        row = int(readings[0][2][0])
        expected = f"a share of {tried[row]:.0f} whole trials, to the digits printed"
        if scales == [100.0] and not signed and (number_of(column.at(row)) or 2.0) <= 1:
            expected = f"percent as in other rows (up to {high:g}), and {expected}"
        raise bad_cell(roles, name, row, expected)
    if scales == [100.0] and "rate" not in roles.scales:
        _no_share_among_percents(roles, column, name, tried)
    if said.startswith("percent where"):
        notes.append(f"{name!r} is read as {said}")
    if right[0][0] == 100.0:
        notes.append(f"{name!r} is in percent")
    elif _bare_percents(column, name).any():
        notes.append(f"{name!r} is in percent, cells without a sign too")
    return right[0][1]


def _no_share_among_percents(roles: Roles, column: Texts, name: str, tried: NDArray[np.float64]) -> None:
    """BadData where .5 beside 65 may be half of the trials as well as half a percent of them.

    Beside 12.5 it is a percent: that table has such digits. Where only one of the two is a share of whole trials, it
    is that one.
    """
    numbers = np.array([np.nan if (n := number_of(text)) is None else n for text in column.values], np.float64)
    if ((numbers > 1) & (numbers % 1 != 0)).any():
        return
    values = numbers[column.codes]
    digits = np.array([digits_of(text) for text in column.values])[column.codes]
    with np.errstate(invalid="ignore", divide="ignore"):
        fits = np.abs(np.round(values * tried) / tried - values) <= 0.5 * 10.0 ** -digits.astype(float) + 1e-9
    rows = np.flatnonzero((values > 0) & (values < 1) & fits)
    if len(rows):
        row, other = int(rows[0]), int(np.nanargmax(values))
        expected = (
            f"percent or shares of 1 in all rows (--column {shlex.quote(f'rate={name}/100')} if it is in percent)"
        )
        found = f"{column.at(row)!r}, and {column.at(other)!r} in {roles.grid.row_text(other)}"
        raise BadData(roles.path, f"{name} of {roles.grid.row_text(row)}", expected, found)


def counts_agree(roles: Roles, won: NDArray[np.float64], tried: NDArray[np.float64], notes: list[str]) -> None:
    """A rate beside the counts must say the same."""
    for name in roles.names("rate"):
        column = roles.grid.column(name)
        numbers = np.array([np.nan if (n := number_of(t)) is None else n for t in column.values])[column.codes]
        with np.errstate(divide="ignore", invalid="ignore"):
            share = won / tried
        scale = 100.0 if np.nanmax(numbers, initial=0.0) > 1 and not any("%" in t for t in column.values) else 1.0
        off = np.flatnonzero(np.abs(numbers / scale - share) > 0.0051)
        if len(off):
            row = int(off[0])
            found = f"{column.at(row)} beside {won[row]:.0f} of {tried[row]:.0f}"
            raise BadData(roles.path, f"{name} of {roles.grid.row_text(row)}", "the share of its counts", found)
        roles.ignore([name], "it says the same as the counts")
