"""What each row says of how it went: successes, progress, counts, or rates with how many were tried."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData, OutcomeKind
from roboscale.results.grid import Texts
from roboscale.results.names import COLUMNS, flag, is_percent, normal_name, strength, trials_in_name
from roboscale.results.reading import LeftOut, ReadOptions
from roboscale.results.roles import Roles
from roboscale.results.values import count_of, digits_of, fraction_of, is_missing, number_of, success_of

__all__ = ["Measured", "counts_measured", "long_measured", "shares_of"]

_WEIGHTS = {"count", "counts", "frequency", "freq", "times"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Outcomes; a row of counts is two of them.

    Args:
        row: of the grid that each comes from, int64, shape (m,).
        success, progress: NaN where nobody said, shape (m,).
        weight: how many trials, int64, shape (m,).
        kinds: what the columns speak of, the stronger first.
        form: `trials`, `counts` or `rates` without a number of trials.
        text: the form in words.
        left_out: rows that were not counted.
    """

    row: NDArray[np.int64]
    success: NDArray[np.float64]
    progress: NDArray[np.float64]
    weight: NDArray[np.int64]
    kinds: tuple[OutcomeKind, ...]
    form: Literal["trials", "counts", "rates"]
    text: str
    left_out: tuple[LeftOut, ...] = ()


def counts_measured(roles: Roles, notes: list[str]) -> Measured | None:
    """Counts, where the table has them; `None` where each row is one trial.

    Raises:
        BadData: a count is none, a rate is no share of whole trials, or two columns contradict each other.
    """
    if _trial_by_trial(roles):
        return None
    _trials_of_names(roles, notes)
    won_name = next(iter(roles.names("successes")), "")
    cells = _fraction_column(roles)
    if cells:
        return _cells(roles, cells)
    success = next(iter(roles.names("success")), "")
    lost_name = _lost_name(roles)
    if not won_name and success and (roles.has("trials") or lost_name) and _is_counting(roles.grid.column(success)):
        won_name = success
    trials = roles.one("trials") if roles.has("trials") else None
    if won_name and (trials is not None or lost_name):
        roles.ignore(roles.names("successes"), f"{won_name!r} is the stronger name for successes")
        won = _whole(roles, roles.use("successes", won_name), won_name)
        if trials is not None:
            tried = _whole(roles, trials, _name_of(roles, "trials"))
            roles.ignore([lost_name] if lost_name else [], "the trials say it")
        else:
            tried = won + _whole(roles, roles.use("failures", lost_name), lost_name)
            _no_third_outcome(roles, (won_name, lost_name))
        _agree(roles, won, tried, notes)
        return _counted(roles, won, tried)
    rate = next(iter(roles.names("rate")), "") or (success if trials is not None else "")
    if rate and trials is not None:
        tried = _whole(roles, trials, _name_of(roles, "trials"))
        won = _won_of_rate(roles, roles.use("rate", rate), rate, tried, notes)
        return _counted(roles, won, tried)
    if rate:
        return _rates(roles, rate, notes)
    if won_name and not roles.has("success"):
        return _without_trials(roles, won_name)
    return None


def _trials_of_names(roles: Roles, notes: list[str]) -> None:
    """`Success (n=20)` gives every row 20 trials, where no column says how many there were."""
    if roles.has("trials"):
        return
    for role in ("successes", "rate", "success"):
        for name in roles.names(role)[:1]:
            if (number := trials_in_name(name)) is not None and "trials" not in roles.grid.names:
                grid = roles.grid
                made = Texts.same(str(number), len(grid))
                roles.grid = replace(grid, names=(*grid.names, "trials"), columns=(*grid.columns, made))
                notes.append(f"{name!r}: {number} trials each, as its name says")
                return


def _lost_name(roles: Roles) -> str:
    """The column that counts failures, if there is one."""
    plain = [name for name in roles.names("failure") if _is_counting(roles.grid.column(name))]
    return next(iter((*roles.names("failures"), *plain)), "")


def _no_third_outcome(roles: Roles, both: tuple[str, str]) -> None:
    """BadData where another column of whole numbers may count trials that neither succeeded nor failed."""
    known = {name for role in COLUMNS for name in roles.names(role)} | set(roles.ignored)
    for name in roles.grid.names:
        counts = [count_of(text) for text in roles.grid.column(name).used()]
        if name not in known and None not in counts and any(counts):
            expected = f"all trials in {both[0]} and {both[1]} (a column of trials, or {flag('ignore', name)})"
            raise BadData(roles.path, "columns", expected, f"{name!r}, which may count trials of a third outcome")


def _trial_by_trial(roles: Roles) -> bool:
    """Whether a column of successes says each trial, and says it more strongly than counts do."""
    names = roles.names("success") or roles.names("failure")
    if not names or any(role in roles.said for role in ("successes", "rate")):
        return False
    column = roles.grid.column(names[0])
    texts = column.used()
    if not all(success_of(text) is not None for text in texts) or all(is_missing(text) for text in texts):
        return False
    counts = max(roles.level("successes"), roles.level("trials")) if roles.has("trials") else 99
    own = roles.level("success") if roles.has("success") else roles.level("failure")
    if counts == 99 or own < counts:
        return True
    won, tried = (
        roles.grid.column(roles.names(role)[0]) if roles.has(role) else None for role in ("successes", "trials")
    )
    if won is None or tried is None:
        return all(count_of(text) is None or count_of(text) in (0, 1) for text in (tried or column).used()) or own <= 1
    if all(count_of(text) in (0, 1) for text in won.used()) and all(count_of(text) == 1 for text in tried.used()):
        return True
    if own == 3:  # a column called status says whether a run finished
        return False
    both = (names[0], roles.names("successes")[0])
    raise roles.unclear("success", both)


def _fraction_column(roles: Roles) -> str:
    """The column whose cells are like 12/20; BadData where they may be points of a trial.

    In a column of progress they are how far a trial came, which `shares_of` reads.
    """
    for role in ("success", "successes", "rate", "progress"):
        for name in roles.names(role):
            texts = [text for text in roles.grid.column(name).used() if not is_missing(text)]
            if not texts or not any(fraction_of(text) is not None for text in texts):
                continue
            if role != "progress":
                return name
            if "progress" not in roles.said and strength(role, name) == 2:
                expected = (
                    f"to know whether it is progress of one trial ({flag('progress', name)}) or successes of trials "
                    f"({flag('successes', name)})"
                )
                raise BadData(roles.path, name, expected, f"cells such as {texts[0]}")
    return ""


def _is_counting(column: Texts) -> bool:
    counts = [count_of(text) for text in column.used() if not is_missing(text)]
    return bool(counts) and all(n is not None for n in counts) and max(n or 0 for n in counts) > 1


def _name_of(roles: Roles, role: str) -> str:
    return next(name for name, (used, _) in roles.used.items() if used == role)


def _bad(roles: Roles, name: str, row: int, expected: str) -> BadData:
    found = repr(roles.grid.column(name).at(row))
    return BadData(roles.path, f"{name} of {roles.grid.row_text(row)}", expected, found)


def _whole(roles: Roles, column: Texts, name: str) -> NDArray[np.float64]:
    """Counts, NaN where nothing is said, shape (n,). BadData where a cell is none."""
    numbers = [np.nan if is_missing(text) else count_of(text) for text in column.values]
    used = set(np.unique(column.codes).tolist())
    for code, number in enumerate(numbers):
        if number is None and code in used:
            row = int(np.flatnonzero(column.codes == code)[0])
            raise _bad(roles, name, row, "a whole number of at least 0")
    return np.array([np.nan if n is None else n for n in numbers], np.float64)[column.codes]


def _counted(roles: Roles, won: NDArray[np.float64], tried: NDArray[np.float64]) -> Measured:
    """One row of successes and one of failures for each row of counts."""
    wrong = np.flatnonzero((won > tried) & ~np.isnan(won) & ~np.isnan(tried))
    if len(wrong):
        row = int(wrong[0])
        where, found = roles.grid.row_text(row), f"{won[row]:.0f} of {tried[row]:.0f}"
        raise BadData(roles.path, where, "counts with 0 <= successes <= trials", found)
    said = ~np.isnan(won) & ~np.isnan(tried)
    rows = np.flatnonzero(said)
    doubled = np.repeat(rows, 2).astype(np.int64)
    weight = np.stack([won[rows], tried[rows] - won[rows]], axis=1).reshape(-1).astype(np.int64)
    success = np.tile([1.0, 0.0], len(rows))
    keep = weight > 0
    left = int((~said).sum())
    return Measured(
        row=doubled[keep],
        success=success[keep],
        progress=np.full(int(keep.sum()), np.nan),
        weight=weight[keep],
        kinds=("success",),
        form="counts",
        text="counts",
        left_out=(LeftOut(left, "no counts in them"),) if left else (),
    )


def _cells(roles: Roles, name: str) -> Measured:
    column = roles.use("successes", name, "cells are successes/trials")
    pairs: list[tuple[float, float]] = []
    used = set(np.unique(column.codes).tolist())
    for code, text in enumerate(column.values):
        pair = fraction_of(text)
        if pair is None and not is_missing(text) and code in used:
            row = int(np.flatnonzero(column.codes == code)[0])
            raise _bad(roles, name, row, "successes/trials such as 12/20, as in the other rows")
        pairs.append((np.nan, np.nan) if pair is None else pair)
    table = np.array(pairs, np.float64)[column.codes]
    roles.ignore(roles.names("trials"), f"the cells of {name!r} say it")
    return _counted(roles, table[:, 0], table[:, 1])


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
                raise _bad(roles, name, row, "a number in 0..1 or in percent")
        numbers[code] = number
        signs += text.endswith("%")
    top, said = np.nanmax(numbers, initial=0.0), "shares of 1"
    if signs:
        bare = _bare_percents(column, name)
        numbers[bare] /= 100
        top = np.nanmax(numbers, initial=0.0)
        scale, said = 1.0, "percent, cells without a sign too" if bare.any() else "percent"
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
        raise _bad(roles, name, row, expected)
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


def _won_of_rate(
    roles: Roles, column: Texts, name: str, tried: NDArray[np.float64], notes: list[str]
) -> NDArray[np.float64]:
    """Successes from a printed rate. BadData: it is no share of whole trials, to the digits that are printed."""
    readings = []
    scales = [roles.scales["rate"]] if "rate" in roles.scales else [0.0]
    numbers = [number_of(text) for text in column.used() if not is_missing(text)]
    high = max((n for n in numbers if n is not None), default=0.0)
    if not scales[0] and not any(text.endswith("%") for text in column.used()):
        if high > 1 and high <= 100:
            scales = [100.0]
        elif is_percent(name) and high <= 1:
            scales = [100.0, 1.0]  # a spreadsheet keeps 85 % as 0.85
    for scale in scales:
        shares, _ = shares_of(roles, column, name, scale)
        bare = _bare_percents(column, name)
        digits = np.array([digits_of(text) for text in column.values]) + np.where(bare | (scale == 100.0), 2, 0)
        share, unit = shares[column.codes], 0.5 * 10.0 ** -digits[column.codes].astype(float)
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
        raise _bad(roles, name, row, expected)
    if right[0][0] == 100.0:
        notes.append(f"{name!r} is in percent")
    elif _bare_percents(column, name).any():
        notes.append(f"{name!r} is in percent, cells without a sign too")
    return right[0][1]


def _agree(roles: Roles, won: NDArray[np.float64], tried: NDArray[np.float64], notes: list[str]) -> None:
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


def _rates(roles: Roles, name: str, notes: list[str]) -> Measured:
    """Rates of which nobody says how many trials they are from: one observation of progress each."""
    if not roles.made and "rate" not in roles.said:
        wanted = (
            f"a number of trials beside {name} ({', '.join(COLUMNS['trials'][:5])}; or --column trials=NAME; "
            f"{flag('rate', name)} takes each rate for one observation of progress)"
        )
        raise BadData(roles.path, "columns", wanted, ", ".join(roles.grid.names))
    column = roles.use("rate", name, "no number of trials")
    numbers = [n for text in column.used() if (n := number_of(text)) is not None]
    scale = roles.scales.get("rate", 100.0 if max(numbers, default=0.0) > 1 and max(numbers) <= 100 else 0.0)
    shares, said = shares_of(roles, column, name, scale)
    notes.append(f"{name!r} says no number of trials: each rate is one observation of progress ({said})")
    return _one_each(shares[column.codes], progress=True, text="rates without a number of trials", form="rates")


def _without_trials(roles: Roles, name: str) -> Measured:
    wanted = f"a number of trials beside {name} ({', '.join(COLUMNS['trials'][:5])}; or --column trials=NAME)"
    raise BadData(roles.path, "columns", wanted, ", ".join(roles.grid.names))


def _one_each(
    values: NDArray[np.float64], *, progress: bool, text: str, form: Literal["trials", "rates"] = "trials"
) -> Measured:
    nothing = np.full(len(values), np.nan)
    return Measured(
        row=np.arange(len(values), dtype=np.int64),
        success=nothing if progress else values,
        progress=values if progress else nothing,
        weight=np.ones(len(values), np.int64),
        kinds=("progress",) if progress else ("success",),
        form=form,
        text=text,
    )


def long_measured(roles: Roles, notes: list[str], options: ReadOptions) -> Measured:
    """One row a trial.

    Raises:
        BadData: no column says how a trial went, or a cell is not understood.
    """
    success = _successes(roles)
    progress = _progress(roles, notes, options)
    if success is None and progress is None:
        wanted = (
            f"an outcome: {', '.join(COLUMNS['success'][:6])}; progress: {', '.join(COLUMNS['progress'][:3])}; or "
            f"successes with trials (--column success=NAME)"
        )
        raise BadData(roles.path, "columns", wanted, ", ".join(roles.grid.names))
    rows = len(roles.grid)
    nothing = np.full(rows, np.nan)
    kinds: tuple[OutcomeKind, ...] = ("success",) if success is not None else ()
    if progress is not None:
        kinds = (*kinds, "progress")
        if success is None and np.isin(progress[~np.isnan(progress)], (0.0, 1.0)).all():
            success, kinds = progress, ("success", "progress")
            notes.append("every progress is 0 or 1: it is success as well")
    void = np.isnan(nothing if success is None else success) & np.isnan(nothing if progress is None else progress)
    if void.all():
        raise BadData(roles.path, "rows", "at least one that says how it went", f"{rows} that say nothing")
    if void.any():
        notes.append(f"{int(void.sum()):,} of {rows:,} trials are void: nothing is said of how they went")
    return Measured(
        row=np.arange(rows, dtype=np.int64),
        success=nothing if success is None else success,
        progress=nothing if progress is None else progress,
        weight=_weights(roles),
        kinds=kinds,
        form="trials",
        text="one row a trial",
    )


def _weights(roles: Roles) -> NDArray[np.int64]:
    """How many trials each row stands for: 1, or what a column called count says."""
    for name in roles.names("trials"):
        if normal_name(name) in _WEIGHTS and name not in roles.used:
            weight = _whole(roles, roles.use("trials", name, "how many each row stands for"), name)
            return np.nan_to_num(weight).astype(np.int64)
    roles.ignore([*roles.names("trials"), *roles.names("successes")], "each row is one trial")
    return np.ones(len(roles.grid), np.int64)


def _successes(roles: Roles) -> NDArray[np.float64] | None:
    role = "success" if roles.has("success") else "failure"
    column = roles.one(role)
    if column is None:
        return None
    name = _name_of(roles, role)
    roles.ignore(roles.names("failure"), f"{name!r} says it")
    flags = [success_of(text) for text in column.values]
    used = set(np.unique(column.codes).tolist())
    for code, truth in enumerate(flags):
        if truth is None and code in used:
            row = int(np.flatnonzero(column.codes == code)[0])
            number = number_of(column.values[code])
            hint = f"; for progress: {flag('progress', name)}" if number is not None and 0 <= number <= 1 else ""
            raise _bad(roles, name, row, f"success, failure or void; 1 or 0; true or false{hint}")
    values = np.array([np.nan if flag is None else flag for flag in flags], np.float64)[column.codes]
    return 1.0 - values if role == "failure" else values


def _progress(roles: Roles, notes: list[str], options: ReadOptions) -> NDArray[np.float64] | None:
    column = roles.one("progress")
    if column is None:
        return None
    name = _name_of(roles, "progress")
    if roles.has("success") and "progress" not in roles.said:
        try:
            shares, said = shares_of(roles, column, name)
        except BadData as error:  # a score of some scale beside the successes is no progress
            del roles.used[name]
            roles.ignore([name], f"no progress in 0..1: {error.found}")
            return None
    else:
        named = 0 if is_percent(name) else trials_in_name(name) or 0
        shares, said = shares_of(roles, column, name, roles.scales.get("progress", float(named)))
        if named and "progress" not in roles.scales:
            said = said.replace("as asked", "as its name says")
    if said != "shares of 1":
        notes.append(f"{name!r} is read as {said}")
    if options.higher_is_better is False:
        notes.append(f"{name!r} is turned round: smaller is better")
        shares = 1.0 - shares
    return shares[column.codes]
