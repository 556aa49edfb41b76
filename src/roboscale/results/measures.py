"""What each row says of how it went: successes, progress, counts, or rates with how many were tried."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData, OutcomeKind
from roboscale.results.grid import Texts
from roboscale.results.hints import row_in_words
from roboscale.results.names import COLUMNS, flag, is_percent, normal_name, strength, trials_in_name
from roboscale.results.reading import LeftOut, ReadOptions
from roboscale.results.roles import Roles
from roboscale.results.shares import bad_cell, counts_agree, shares_of, won_of_rate
from roboscale.results.values import (
    MOST_TRIALS,
    count_of,
    fraction_of,
    is_missing,
    number_of,
    percent_beside,
    success_of,
)

__all__ = ["Measured", "counts_measured", "long_measured"]

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
            _third_outcomes(roles, won, tried, lost_name, notes)
        else:
            tried = won + _whole(roles, roles.use("failures", lost_name), lost_name)
            _no_third_outcome(roles, (won_name, lost_name))
        counts_agree(roles, won, tried, notes)
        return _counted(roles, won, tried)
    rate = next(iter(roles.names("rate")), "") or (success if trials is not None else "")
    if rate and trials is not None:
        tried = _whole(roles, trials, _name_of(roles, "trials"))
        won = won_of_rate(roles, roles.use("rate", rate), rate, tried, notes)
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


def _third_outcomes(
    roles: Roles, won: NDArray[np.float64], tried: NDArray[np.float64], lost_name: str, notes: list[str]
) -> None:
    """A column of failures beside successes and trials: more than there are is an error, fewer are said."""
    if not lost_name:
        return
    lost = _whole(roles, roles.grid.column(lost_name), lost_name)
    roles.ignore([lost_name], "the trials say it")
    over = np.flatnonzero(won + lost > tried)
    if len(over):
        row = int(over[0])
        found = f"{won[row]:.0f} and {lost[row]:.0f} of {tried[row]:.0f}"
        expected = f"successes and {lost_name} of at most all trials (or {flag('ignore', lost_name)})"
        raise BadData(roles.path, roles.grid.row_text(row), expected, found)
    rest = np.flatnonzero(won + lost < tried)
    if len(rest):
        row = int(rest[0])
        shown = f"{tried[row]:.0f} trials with {won[row]:.0f} successes and {lost[row]:.0f} {lost_name}"
        rows = f"{len(rest)} row{'' if len(rest) == 1 else 's'}"
        notes.append(f"trials that are neither success nor {lost_name} count as failed, in {rows}: {shown}")


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


def _whole(roles: Roles, column: Texts, name: str) -> NDArray[np.float64]:
    """Counts, NaN where nothing is said, shape (n,). BadData where a cell is none."""
    numbers = [np.nan if is_missing(text) else count_of(text) for text in column.values]
    used = set(np.unique(column.codes).tolist())
    for code, number in enumerate(numbers):
        if number is None and code in used:
            row = int(np.flatnonzero(column.codes == code)[0])
            raise bad_cell(roles, name, row, "a whole number of at least 0")
    _not_too_many(roles, numbers, column, name)
    return np.array([np.nan if n is None else n for n in numbers], np.float64)[column.codes]


def _not_too_many(roles: Roles, numbers: Sequence[float | None], column: Texts, name: str) -> None:
    """BadData where a count cannot be one: past what a whole number holds, it would turn into another."""
    for code in np.unique(column.codes).tolist():
        number = numbers[code]
        if number is not None and number > MOST_TRIALS:
            row = int(np.flatnonzero(column.codes == code)[0])
            raise bad_cell(roles, name, row, f"a count of at most {MOST_TRIALS:,}")


def _counted(roles: Roles, won: NDArray[np.float64], tried: NDArray[np.float64]) -> Measured:
    """One row of successes and one of failures for each row of counts."""
    wrong = np.flatnonzero((won > tried) & ~np.isnan(won) & ~np.isnan(tried))
    if len(wrong):
        row = int(wrong[0])
        where, found = roles.grid.row_text(row), f"{won[row]:.0f} of {tried[row]:.0f}"
        raise BadData(roles.path, where, "counts with 0 <= successes <= trials", found)
    said = ~np.isnan(won) & ~np.isnan(tried)
    none = said & (tried == 0)
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
        left_out=tuple(
            LeftOut(count, because)
            for count, because in (
                (left, f"no counts in them{_whose(roles, ~said)}"),
                (int(none.sum()), f"0 trials{_whose(roles, none)}"),
            )
            if count
        ),
    )


def _whose(roles: Roles, left: NDArray[np.bool_]) -> str:
    """Whose rows are left out: a policy could vanish without a word."""
    rows = np.flatnonzero(left)[:3]
    shown = [", ".join(filter(None, (roles.grid.column(n).at(int(r)) for n in _who(roles)))) for r in rows]
    more = f" and {int(left.sum()) - len(rows)} more" if left.sum() > len(rows) else ""
    return f" ({'; '.join(shown)}{more})" if any(shown) else ""


def _who(roles: Roles) -> list[str]:
    return [name for role in ("policy", "task") for name in roles.names(role)[:1]]


def _cells(roles: Roles, name: str) -> Measured:
    column = roles.use("successes", name, "cells are successes/trials")
    pairs: list[tuple[float, float]] = []
    used = set(np.unique(column.codes).tolist())
    for code, text in enumerate(column.values):
        pair = fraction_of(text)
        if pair is None and not is_missing(text) and code in used:
            row = int(np.flatnonzero(column.codes == code)[0])
            raise bad_cell(roles, name, row, "successes/trials such as 12/20, as in the other rows")
        if pair is not None and code in used and _lies(text, pair):
            row = int(np.flatnonzero(column.codes == code)[0])
            raise bad_cell(roles, name, row, "a percentage that is the share of the counts beside it")
        pairs.append((np.nan, np.nan) if pair is None else pair)
    _not_too_many(roles, [pair[1] for pair in pairs], column, name)
    table = np.array(pairs, np.float64)[column.codes]
    roles.ignore(roles.names("trials"), f"the cells of {name!r} say it")
    return _counted(roles, table[:, 0], table[:, 1])


def _lies(text: str, pair: tuple[int, int]) -> bool:
    """Whether `12/20 (70%)` contradicts itself; a percentage may be rounded up or down."""
    share = percent_beside(text)
    if share is None or not pair[1]:
        return False
    digits = re.findall(r"[.,](\d+)\s*%", text)
    return abs(share - pair[0] / pair[1]) > 10.0 ** -(2 + len(digits[0]) if digits else 2)


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
        first = [column.at(0) for column in roles.grid.columns] if len(roles.grid) else []
        raise BadData(roles.path, "columns", wanted, row_in_words(roles.grid.names, first))
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
    others = roles.names("failure") if role == "success" else []
    roles.ignore(others, f"{name!r} says it")
    flags = [success_of(text) for text in column.values]
    used = set(np.unique(column.codes).tolist())
    for code, truth in enumerate(flags):
        if truth is None and code in used:
            row = int(np.flatnonzero(column.codes == code)[0])
            number = number_of(column.values[code])
            hint = f"; for progress: {flag('progress', name)}" if number is not None and 0 <= number <= 1 else ""
            raise bad_cell(roles, name, row, f"success, failure or void; 1 or 0; true or false{hint}")
    values = np.array([np.nan if flag is None else flag for flag in flags], np.float64)[column.codes]
    _no_failed_success(roles, others, name, values)
    return 1.0 - values if role == "failure" else values


def _no_failed_success(roles: Roles, others: Sequence[str], name: str, success: NDArray[np.float64]) -> None:
    """BadData where a column of failures says that a success failed, or that a failure did not."""
    for other in others:
        column = roles.grid.column(other)
        flags = [success_of(text) for text in column.values]
        if any(flags[code] is None for code in np.unique(column.codes)):
            continue  # it says how, not whether
        failed = np.array([np.nan if one is None else one for one in flags], np.float64)[column.codes]
        wrong = np.flatnonzero((success == failed) & ~np.isnan(failed))
        if len(wrong):
            row = int(wrong[0])
            expected = f"the opposite of {name!r} (or {flag('ignore', other)}, {flag('ignore', name)})"
            found = f"{column.at(row)!r} beside {roles.grid.column(name).at(row)!r}"
            raise BadData(roles.path, f"{other} of {roles.grid.row_text(row)}", expected, found)


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
