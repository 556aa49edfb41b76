"""Tables of wins, "A beats B, n times", as one row for each way in which a comparison went."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData
from roboscale.results.grid import Texts, packed_rows
from roboscale.results.reading import AS_THEY_ARE, ReadOptions
from roboscale.results.roles import Roles
from roboscale.results.values import MOST_TRIALS, count_of, is_missing

__all__ = ["no_equal_wins", "unrolled_wins", "whole_numbers"]

_WORDS = {"wins_first": "first", "wins_second": "second", "ties": "tie"}


def unrolled_wins(roles: Roles, notes: list[str], options: ReadOptions = AS_THEY_ARE) -> Roles:
    """The same table with columns `preference` and `times`: every row once for each column of counts.

    Raises:
        BadData: a count is none, wins, losses and ties do not add up to a number of comparisons that is said,
            nothing says how often the second was better, or the same comparisons stand there twice.
    """
    counts: dict[str, NDArray[np.float64]] = {}
    names: dict[str, str] = {}
    for role in _WORDS:
        if roles.has(role):
            names[role] = roles.names(role)[0]
            counts[role] = whole_numbers(roles, roles.grid.column(names[role]), names[role])
    _adds_up(roles, counts)
    _both_sides(roles, names)
    if options.pairing != "independent":
        no_equal_wins(roles)
        _no_mirror(roles, names, counts)
    if len(names) == 1:
        notes.append(f"{names['wins_first']!r} is how often the first was the better one; ties have no place in it")
    elif "ties" not in names:
        notes.append("no column says ties: they have no place in it")
    notes.append(f"each of these columns is a way to end: {', '.join(names.values())}")
    grid, many = roles.grid, len(names)
    kept = [name for name in grid.names if name not in names.values() and name not in roles.names("trials")]
    columns = [Texts(grid.column(name).values, np.repeat(grid.column(name).codes, many)) for name in kept]
    words = Texts([_WORDS[role] for role in names], np.tile(np.arange(many, dtype=np.int32), len(grid)))
    times = np.stack(list(counts.values()), axis=1).reshape(-1)
    kept = [f"{name} " if name in ("preference", "times") else name for name in kept]
    made = replace(
        grid,
        names=(*kept, "preference", "times"),
        columns=(*columns, words, Texts.of([f"{number:.0f}" for number in times])),
        numbers=np.repeat(grid.numbers, many),
    )
    said = {role: columns for role, columns in roles.said.items() if role not in _WORDS}
    return Roles(
        path=roles.path,
        grid=made,
        said=said | {"preference": ("preference",), "times": ("times",)},
        scales=dict(roles.scales),
        ignored=dict(roles.ignored),
        made=("preference", "times"),
    )


def no_equal_wins(roles: Roles) -> None:
    """BadData where two rows of counted comparisons are equal in every cell: two sessions, or one pasted twice."""
    grid = roles.grid
    _, first, place = np.unique(
        packed_rows([column.codes for column in grid.columns]), return_index=True, return_inverse=True
    )
    if len(first) < len(grid):
        second = int(np.flatnonzero(first[place] != np.arange(len(grid)))[0])
        raise _twice(roles, "equal", (int(first[place[second]]), second))


def _no_mirror(roles: Roles, names: dict[str, str], counts: dict[str, NDArray[np.float64]]) -> None:
    """BadData where every comparison stands there from both sides, as in a square of wins that was laid out.

    `act, dp: 15 to 5` and `dp, act: 5 to 15` are one comparison; counted as two, intervals are too narrow by a third.
    One such pair among others may be chance, or two sessions with the sides exchanged.
    """
    if "wins_second" not in names or "wins_first" not in names:
        return
    grid = roles.grid
    sides = [roles.names(role)[0] for role in ("first", "second")]
    called = {*sides, *names.values(), *roles.names("times"), *roles.names("trials")}
    rest = [name for name in grid.names if name not in called]
    rows = {}
    for row in range(len(grid)):
        pair = tuple(str(grid.column(name).at(row)) for name in sides)
        told = tuple(float(counts[role][row]) for role in ("wins_first", "wins_second"))
        ties = float(counts["ties"][row]) if "ties" in counts else 0.0
        rows[(pair, told, ties, tuple(grid.column(name).at(row) for name in rest))] = row
    mirrors = [(row, rows.get((key[0][::-1], key[1][::-1], *key[2:]))) for key, row in rows.items()]
    if mirrors and all(other is not None and other != row for row, other in mirrors):
        raise _twice(roles, "the same comparisons from both sides:", (mirrors[0][0], mirrors[0][1] or 0))


def _twice(roles: Roles, what: str, rows: tuple[int, int]) -> BadData:
    names = [n for role in ("first", "second", *_WORDS, "preference", "times") for n in roles.names(role)[:1]]
    shown = " and ".join(roles.grid.row_text(row, names) for row in rows)
    return BadData(roles.path, "rows", "each comparison once (--independent if both count)", f"{what} {shown}")


def _both_sides(roles: Roles, names: dict[str, str]) -> None:
    """BadData where nothing says how often the second was better: a column under another name, most likely.

    Without such a column a pair has to stand in both orders somewhere, "A beats B, 12 times" and "B beats A, 8 times".
    """
    if "wins_second" in names or "wins_first" not in names:
        return
    first, second = (roles.grid.column(roles.names(side)[0]) for side in ("first", "second"))
    sides = [np.array([str(text) for text in c.values], object)[c.codes] for c in (first, second)]
    pairs = set(zip(*sides, strict=True))
    if "ties" not in names and any((b, a) in pairs for a, b in pairs):
        return
    expected = f"beside {names['wins_first']!r} how often the second was better: a column wins_b or losses " + (
        "(or --column wins_second=NAME)" + ("" if "ties" in names else ", or a row for each order of a pair")
    )
    raise BadData(roles.path, "columns", expected, ", ".join(map(repr, roles.grid.names)))


def _adds_up(roles: Roles, counts: dict[str, NDArray[np.float64]]) -> None:
    """BadData where a number of comparisons stands beside them and is another one."""
    name = next((name for role in ("times", "trials") for name in roles.names(role)), "")
    if not name:
        return
    said = whole_numbers(roles, roles.grid.column(name), name)
    total = np.sum(list(counts.values()), axis=0)
    wrong = np.flatnonzero(said != total)
    if len(wrong):
        row = int(wrong[0])
        expected = f"wins, losses and ties of {name} comparisons (columns wins_a, wins_b and ties)"
        raise BadData(roles.path, roles.grid.row_text(row), expected, f"{total[row]:.0f} of {said[row]:.0f}")


def whole_numbers(roles: Roles, column: Texts, name: str) -> NDArray[np.float64]:
    """Counts, 0 where a cell says nothing, shape (n,). BadData where a cell is none."""
    numbers = [0 if is_missing(text) else count_of(text) for text in column.values]
    used = set(np.unique(column.codes).tolist())
    for code, number in enumerate(numbers):
        if number is None and code in used:
            row = int(np.flatnonzero(column.codes == code)[0])
            where = f"{name} of {roles.grid.row_text(row)}"
            raise BadData(roles.path, where, "a whole number of at least 0", repr(column.values[code]))
        if number and number > MOST_TRIALS and code in used:
            row = int(np.flatnonzero(column.codes == code)[0])
            where = f"{name} of {roles.grid.row_text(row)}"
            raise BadData(roles.path, where, f"a count of at most {MOST_TRIALS:,}", repr(column.values[code]))
    return np.array([number or 0 for number in numbers], np.float64)[column.codes]
