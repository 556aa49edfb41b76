"""Tables of preferences: who won against whom, in any of the ways in which people write that down."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData, Stratum
from roboscale.results.grid import Texts, packed_rows
from roboscale.results.nouns import Preferences, TablePart, TrialColumns
from roboscale.results.reading import ReadOptions, TableReading
from roboscale.results.roles import Roles
from roboscale.results.shares import shares_of
from roboscale.results.values import is_missing, number_of, success_of
from roboscale.results.wins import no_equal_wins, unrolled_wins, whole_numbers

__all__ = ["is_pairs", "preferences_of"]

_FIRST, _SECOND, _TIE, _VOID = range(4)
_TIES = {"tie", "draw", "equal", "both", "neither", "same", "a=b", "tie (bothbad)", "both bad", "bothbad", "tied"}
_TIES |= {
    "none of them",
    "about the same",
    "the same",
    "similar",
    "no preference",
    "both good",
    "equally good",
    "no one",
}
_TIES |= {"unentschieden", "gleich", "égalité", "egalite", "empate", "pareggio", "平局", "平手", "引き分け"}
_MUCH = "much|slightly|strongly|clearly|somewhat|far|a bit"
_HOW = rf"(?: is| was| wins| won)?(?: (?:{_MUCH}))*(?: better| wins| won| preferred)?"
_THE = rf"(?:(?:{_MUCH}) )*(?:prefers? |preferred )?(?:the )?(?:(?:model|policy|option|robot|method|response) )?"
_A_SIDE = re.compile(rf"{_THE}(a|b|1|2|left|right|first|second){_HOW}")
_SIGNS = {
    "a>b": _FIRST,
    "a>>b": _FIRST,
    "b<a": _FIRST,
    "b>a": _SECOND,
    "b>>a": _SECOND,
    "a<b": _SECOND,
    "a<<b": _SECOND,
}


def _word(text: str) -> int | None:
    """The outcome that words say, a side or a tie; numbers are none. `policy_a` and `A is much better` are one."""
    low = " ".join(text.casefold().replace("_", " ").split())
    if low in _TIES:
        return _TIE
    if low in _SIGNS:
        return _SIGNS[low]
    match = _A_SIDE.fullmatch(low)
    if match is None or low in ("1", "2"):
        return None
    return _FIRST if match[1] in ("a", "1", "left", "first") else _SECOND


def is_pairs(roles: Roles) -> bool:
    """Whether a table says which of two was better.

    Raises:
        BadData: it has a column for each of two policies, and none that says which was better.
    """
    both = roles.has("first") and roles.has("second")
    if (both and roles.has("preference")) or (roles.has("preferred") and roles.has("non_preferred")):
        return True
    if not (both and roles.has("first", 1) and roles.has("second", 1)):
        return False
    if not roles.has("wins_first"):
        expected = (
            "who was better: a column winner or preference (--column preference=NAME), or counts in columns "
            "wins_a, wins_b and ties"
        )
        raise BadData(roles.path, "columns", expected, ", ".join(roles.grid.names))
    return True


def preferences_of(roles: Roles, options: ReadOptions) -> TablePart:
    """The comparisons of a table, and how far each side came where that is said.

    Raises:
        BadData: a preference is not understood, may mean either side, or is between a policy and itself.
    """
    notes: list[str] = []
    if not roles.has("preference") and not roles.has("preferred"):
        roles = unrolled_wins(roles, notes, options)
    elif roles.has("times") and not roles.has("case") and options.pairing != "independent":
        no_equal_wins(roles)
    if roles.has("first") and roles.has("second") and roles.has("preference"):
        first, second = _side(roles, "first"), _side(roles, "second")
        column = roles.one("preference")
        assert column is not None
        outcome = _outcomes(roles, column, (first, second), notes, options)
    else:
        first, second = _side(roles, "preferred"), _side(roles, "non_preferred")
        outcome = _ties(roles, len(first), notes)
    names = list(dict.fromkeys([*first.values, *second.values]))
    place = {name: k for k, name in enumerate(names)}
    sides = [np.array([place[v] for v in side.values], np.int32)[side.codes] for side in (first, second)]
    itself = np.flatnonzero(sides[0] == sides[1])
    if len(itself):
        row = int(itself[0])
        raise BadData(
            roles.path, roles.grid.row_text(row), "two policies", f"{names[sides[0][row]]} compared with itself"
        )
    strata, stratum = _strata(roles)
    case = roles.names("case")[: None if "case" in roles.said else 1]
    texts = Texts.joined([roles.use("case", name) for name in case], "/") if case else None
    times = _times(roles)
    keep = _not_copies(roles, texts, notes)
    made = Preferences(
        policies=tuple(names),
        strata=tuple(strata),
        first=sides[0][keep],
        second=sides[1][keep],
        stratum=stratum[keep],
        outcome=outcome[keep],
        weight=times[keep],
    )
    columns = _progress_of_sides(roles, made, keep, texts)
    return TablePart(
        reading=_reading(roles, notes),
        columns=columns,
        preferences=made,
        case_columns=tuple(case) if case else ("the row",),
        row=np.repeat(roles.grid.numbers[keep], 2)[: len(columns)] if len(columns) else np.zeros(0, np.int64),
        shared=True,
    )


def _times(roles: Roles) -> NDArray[np.int64]:
    """How many comparisons each row stands for: 1, or what a column says; int64, shape (n,)."""
    if not roles.has("times"):
        return np.ones(len(roles.grid), np.int64)
    name = roles.names("times")[0]
    column = roles.use("times", name, "how many comparisons each row stands for")
    return whole_numbers(roles, column, name).astype(np.int64)


def _ties(roles: Roles, rows: int, notes: list[str]) -> NDArray[np.int8]:
    """The first is the better one in every row, except where a column says that neither was; shape (n,)."""
    column = roles.one("tie")
    if column is None:
        notes.append("every row names the better one first; ties have no place in it")
        return np.zeros(rows, np.int8)
    name = next(n for n, (used, _) in roles.used.items() if used == "tie")
    outcome = np.zeros(len(column.values), np.int8)
    for code in np.unique(column.codes).tolist():
        flag = success_of(column.values[code])
        if flag is None:
            row = roles.grid.row_text(int(np.flatnonzero(column.codes == code)[0]))
            raise BadData(roles.path, f"{name} of {row}", "yes or no", repr(column.values[code]))
        outcome[code] = _TIE if flag == 1.0 else _FIRST
    return outcome[column.codes]


def _reading(roles: Roles, notes: list[str]) -> TableReading:
    grid = roles.grid
    return TableReading(
        source=grid.source,
        form="preferences",
        columns=roles.columns(),
        rows=len(np.unique(grid.numbers)) + sum(one.rows for one in grid.left_out),
        left_out=grid.left_out,
        notes=(*grid.notes, *notes),
    )


def _side(roles: Roles, role: str) -> Texts:
    column = roles.one(role)
    assert column is not None
    name = next(n for n, (used, _) in roles.used.items() if used == role)
    for code in np.unique(column.codes):
        if not column.values[code]:
            row = int(np.flatnonzero(column.codes == code)[0])
            raise BadData(roles.path, f"{name} of {roles.grid.row_text(row)}", "a policy", "an empty cell")
    return column


def _strata(roles: Roles) -> tuple[list[Stratum], NDArray[np.int32]]:
    rows = len(roles.grid)
    parts: list[Texts] = []
    for kinds in (("world", "place", "robot"), ("task",)):
        names = [n for role in kinds for n in roles.names(role)[:1]]
        columns = [roles.use(role, roles.names(role)[0]) for role in kinds if roles.names(role)]
        parts.append(Texts.joined(columns, " · ") if names else Texts.same("" if len(parts) == 0 else "all", rows))
    _, first, codes = np.unique(packed_rows([part.codes for part in parts]), return_index=True, return_inverse=True)
    strata = [Stratum(parts[0].at(int(row)), parts[1].at(int(row)) or "all") for row in first]
    return strata, codes.astype(np.int32)


def _outcomes(
    roles: Roles, column: Texts, sides: tuple[Texts, Texts], notes: list[str], options: ReadOptions
) -> NDArray[np.int8]:
    """What each row says, as places in `PREFERENCE_OUTCOMES`; shape (n,)."""
    keys = packed_rows([column.codes, sides[0].codes, sides[1].codes])
    _, rows, place = np.unique(keys, return_index=True, return_inverse=True)
    texts = [(column.at(int(r)), sides[0].at(int(r)), sides[1].at(int(r))) for r in rows]
    named = [_by_name(*text) for text in texts]
    said = [text for text, _, _ in texts if not is_missing(text)]
    coded = _coding(roles, said, notes, options, needed=any(n is None for n in named))
    sided = [coded.get(text.casefold()) if not is_missing(text) else _VOID for text, _, _ in texts]
    chosen = _reading_of(roles, texts, (named, sided), rows, notes)
    return np.array(chosen, np.int8)[place]


def _by_name(text: str, first: str, second: str) -> int | None:
    """The outcome where a cell names one of the two, or says tie or nothing."""
    for name, outcome in ((first, _FIRST), (second, _SECOND)):
        if text == name:
            return outcome
    low = text.casefold()
    if low == first.casefold() != second.casefold():
        return _FIRST
    if low == second.casefold() != first.casefold():
        return _SECOND
    if _word(text) == _TIE:
        return _TIE
    return _VOID if is_missing(text) else None


def _reading_of(
    roles: Roles,
    texts: Sequence[tuple[str, str, str]],
    readings: tuple[Sequence[int | None], Sequence[int | None]],
    rows: NDArray[np.int64],
    notes: list[str],
) -> list[int]:
    """By name where every row allows it, by side otherwise; a row that allows both, and differently, is an error."""
    named, sided = readings
    differ = [k for k, (a, b) in enumerate(zip(named, sided, strict=True)) if None not in (a, b) and a != b]
    name = next(n for n, (used, _) in roles.used.items() if used == "preference")
    halves = any(number_of(text) == 0.5 for text, _, _ in texts)
    if all(outcome is not None for outcome in named) and not (differ and halves):
        if differ:
            notes.append(f"{name!r} names the policy that won, not the side: a name of the row goes before a word")
        return [outcome for outcome in named if outcome is not None]
    if differ:
        shown = "; ".join(f"row {roles.grid.numbers[rows[k]]}: {', '.join(texts[k])}" for k in differ[:2])
        expected = (
            "a name of the row, or a side; here it may be either: rename the policies or write left, right and tie"
        )
        raise BadData(roles.path, name, expected, shown)
    chosen = [a if a is not None else b for a, b in zip(named, sided, strict=True)]
    for k, outcome in enumerate(chosen):
        if outcome is None:
            expected = "A, B or tie; left, right or tie; 1, 0.5 or 0; or the name of one of the two"
            raise BadData(roles.path, f"{name} of row {roles.grid.numbers[rows[k]]}", expected, repr(texts[k][0]))
    return [outcome for outcome in chosen if outcome is not None]


def _coding(
    roles: Roles, said: Sequence[str], notes: list[str], options: ReadOptions, *, needed: bool
) -> dict[str, int]:
    """Text -> outcome, in words or in numbers. BadData where 1 may be the first or the second."""
    numbers = {text.casefold(): number_of(text) for text in said}
    words = {text: word for text in numbers if (word := _word(text)) is not None}
    values = {number for number in numbers.values() if number is not None}
    if not values:
        return words
    if not needed:  # every row names a policy; whether its number might be a side decides what has to be said
        second = 2.0 if 2.0 in values else 0.0
        plain = {1.0: _FIRST, second: _SECOND, 0.5: _TIE}
        return words | {text: plain[n] for text, n in numbers.items() if n is not None and n in plain}
    better = _better(roles, values, notes, options)
    return words | {
        text: better[number] for text, number in numbers.items() if number is not None and number in better
    }


def _better(roles: Roles, values: set[float], notes: list[str], options: ReadOptions) -> dict[float, int]:
    first_is_high = options.higher_is_better is not False
    ends = (_FIRST, _SECOND) if first_is_high else (_SECOND, _FIRST)
    name = next(n for n, (used, _) in roles.used.items() if used == "preference")
    how = "as asked" if options.higher_is_better is not None else "as usual; --lower-is-better turns it round"
    if values <= {0.0, 0.5, 1.0} and (0.5 in values or options.higher_is_better is not None):
        notes.append(f"{name!r}: {'1' if first_is_high else '0'} is the first, 0.5 a tie ({how})")
        return {1.0: ends[0], 0.5: _TIE, 0.0: ends[1]}
    if values <= {-1.0, 0.0, 1.0} and -1.0 in values:
        notes.append(f"{name!r}: {'1' if first_is_high else '-1'} is the first, 0 a tie ({how})")
        return {1.0: ends[0], 0.0: _TIE, -1.0: ends[1]}
    if values <= {0.0, 1.0, 2.0} and 2.0 in values:
        notes.append(f"{name!r}: 1 is the first, 2 the second, 0 a tie")
        return {1.0: _FIRST, 2.0: _SECOND, 0.0: _TIE}
    if values <= {0.0, 1.0}:
        expected = "a coding: --higher-is-better if 1 is the first, --lower-is-better if 1 is the second"
        raise BadData(roles.path, name, expected, "0 and 1, which are used both ways")
    raise BadData(
        roles.path, name, "1, 0.5 and 0; 1, 0 and -1; or 1 and 2", ", ".join(f"{v:g}" for v in sorted(values)[:6])
    )


def _not_copies(roles: Roles, case: Texts | None, notes: list[str]) -> NDArray[np.bool_]:
    """Rows that repeat an earlier one in every cell, its case included, are copies of it."""
    keep = np.ones(len(roles.grid), np.bool_)
    if case is not None:
        _, first = np.unique(packed_rows([c.codes for c in roles.grid.columns]), return_index=True)
        keep[:] = False
        keep[first] = True
        if not keep.all():
            notes.append(f"{int((~keep).sum()):,} rows left out: exact copies of earlier ones")
    return keep


def _progress_of_sides(roles: Roles, made: Preferences, keep: NDArray[np.bool_], case: Texts | None) -> TrialColumns:
    """Two trials for each comparison, where how far each came is said."""
    if not (roles.has("progress_first") and roles.has("progress_second")):
        return TrialColumns()
    shares = []
    for role in ("progress_first", "progress_second"):
        column = roles.one(role)
        assert column is not None
        name = next(n for n, (used, _) in roles.used.items() if used == role)
        shares.append(shares_of(roles, column, name, roles.scales.get(role, 0.0), role)[0][column.codes][keep])
    rows = len(made)
    cases = [f"row {n}" for n in roles.grid.numbers[keep]] if case is None else list(case.values)
    numbers = np.arange(rows) if case is None else case.codes[keep]
    policy = np.stack([made.first, made.second], axis=1).reshape(-1)
    return TrialColumns(
        policies=made.policies,
        strata=made.strata,
        runs=made.policies,
        cases=cases,
        policy=policy,
        stratum=np.repeat(made.stratum, 2),
        run=policy,
        case=np.repeat(numbers, 2).astype(np.int64),
        success=np.full(2 * rows, np.nan),
        progress=np.stack(shares, axis=1).reshape(-1),
        weight=np.repeat(made.weight, 2),
        kinds=("progress",),
    )
