"""Which trials of two policies were the same case.

Identity of a row: world, place, robot, task, case; the file, too, where the case is only a running number. Its
position never counts. Where two answers are possible, the error shows two rows and the flag that decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData, RoboscaleError
from roboscale.results.grid import packed_rows
from roboscale.results.names import strength
from roboscale.results.nouns import TablePart, TrialColumns
from roboscale.results.reading import LeftOut, ReadOptions
from roboscale.results.values import number_of

__all__ = ["Joined", "is_running_number", "joined_trials"]

_SHARE = 0.5
"""Trials are paired where at least this share of them has the same case under another policy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """The trials of several tables as one.

    Args:
        paired: whether the same case under two policies is recognised.
        text: in words, what makes two rows the same case, or why no two are.
        parts: as given, with rows that turned out to be copies left out.
    """

    columns: TrialColumns
    paired: bool
    text: str
    parts: tuple[TablePart, ...]


def joined_trials(parts: Sequence[TablePart], options: ReadOptions) -> Joined:
    """All trials, with numbers of cases that hold for all tables.

    Raises:
        BadData: equal numbers may or may not be the same case, or a policy has two trials of one.
        RoboscaleError: pairs are asked for, and no column says the case.
    """
    parts = [_last_attempts(part) for part in parts]
    _no_file_twice(parts)
    filled = [part for part in parts if len(part.columns)]
    without = [part for part in filled if not part.case_columns]
    if options.pairing == "paired" and without:
        raise RoboscaleError(f"--paired: no column of {without[0].reading.source} says the case (--case NAME)")
    if options.pairing == "independent" or without:
        text = "as asked" if options.pairing == "independent" else _why_none(without, filled)
        return _independent(parts, filled, text)
    if not filled:
        return Joined(columns=TrialColumns(), paired=False, text="no trials", parts=tuple(parts))
    per_file = _per_file(filled, options)
    columns = _numbered(filled, per_file)
    _no_two(filled, columns, per_file)
    return _decided(parts, filled, columns, per_file, options)


def _why_none(without: Sequence[TablePart], filled: Sequence[TablePart]) -> str:
    """Why no two trials are the same case, of every table; and which tables would say the case if they stood alone."""
    why = "; ".join(dict.fromkeys(_why_not(part) for part in without))
    others = [part.reading.source for part in filled if part.case_columns]
    if not others:
        return why
    shown = ", ".join(others[:3]) + (f" and {len(others) - 3} more" if len(others) > 3 else "")
    return f"{why}; so {shown}, which would say it, {'is' if len(others) == 1 else 'are'} not read in pairs either"


def _why_not(part: TablePart) -> str:
    name = part.reading.source
    if part.counted:
        return f"{name} has counts, of which no trial is known by itself"
    if not part.seeded:
        return f"{name} does not say which case each trial was"
    return f"no column of {name} says which case each trial was"


def _independent(parts: Sequence[TablePart], filled: Sequence[TablePart], text: str) -> Joined:
    plain = [replace(p.columns, cases=("",), case=np.zeros(len(p.columns), np.int64)) for p in filled]
    columns = TrialColumns.joined(plain)
    numbers = np.arange(len(columns), dtype=np.int64)
    return Joined(columns=replace(columns, case=numbers, cases=()), paired=False, text=text, parts=tuple(parts))


def _last_attempts(part: TablePart) -> TablePart:
    """Of several attempts at one case the last one counts."""
    if part.attempt is None or not part.case_columns:
        return part
    c = part.columns
    _, place = np.unique(packed_rows([c.policy, c.stratum, c.run, c.case]), return_inverse=True)
    order = np.lexsort((part.attempt, place))
    last = np.zeros(len(c), np.bool_)
    if not len(c):
        return part
    last[order[np.append(np.flatnonzero(np.diff(place[order])), len(order) - 1)]] = True
    return _kept(part, last, "earlier attempts at the same case")


def _kept(part: TablePart, keep: NDArray[np.bool_], because: str) -> TablePart:
    left = int((~keep).sum())
    reading = (
        replace(part.reading, left_out=(*part.reading.left_out, LeftOut(left, because))) if left else part.reading
    )
    return replace(
        part,
        reading=reading,
        columns=part.columns.where(keep),
        row=part.row[keep],
        attempt=None,  # the last ones are what is left
        unknown=tuple((name, column.where(keep)) for name, column in part.unknown),
    )


def _no_file_twice(parts: Sequence[TablePart]) -> None:
    """BadData where two files hold the same rows of the same policies: one of them is a copy."""
    known: dict[object, TablePart] = {}
    for part in parts:
        if part.content and (other := known.setdefault((part.content, part.columns.policies), part)) is not part:
            names = f"{other.reading.source}, {part.reading.source}"
            raise BadData(names, "rows", "files of their own", f"the same rows in both, {part.reading.rows} of them")


def is_running_number(part: TablePart) -> bool:
    """Whether its cases are only counted, 0 or 1 to n, by policy or through the file; seeds and scenes never are."""
    if part.shared or not part.case_columns:
        return False
    if any(strength("case", name) == 1 for name in part.case_columns):
        return False
    if len(part.case_columns) > 1:
        return True  # the last of them counts within the others
    numbers = [number_of(text) for text in part.columns.cases]
    if any(n is None or not n.is_integer() for n in numbers):
        return False
    values = np.array(numbers, np.float64)[part.columns.case]
    c = part.columns
    groups = np.unique(packed_rows([c.policy, c.stratum]), return_inverse=True)[1]
    size = np.bincount(groups)
    low, high = np.full(len(size), np.inf), np.full(len(size), -np.inf)
    np.minimum.at(low, groups, values)
    np.maximum.at(high, groups, values)
    by_policy = bool((low <= 1).all() and (low >= 0).all() and (high - low + 1 <= 2 * size + 1).all())
    through = values.min() in (0, 1) and values.max() - values.min() + 1 <= 2 * len(np.unique(values))
    return by_policy or bool(through)


def _per_file(filled: Sequence[TablePart], options: ReadOptions) -> list[bool]:
    """Whether the file belongs to the identity of each table's cases. BadData where both are possible."""
    running = [is_running_number(part) for part in filled]
    if options.case_scope != "auto":
        return [options.case_scope == "file" and not part.shared for part in filled]
    if len(filled) == 1:
        return running
    for k, part in enumerate(filled):
        others = [q for j, q in enumerate(filled) if j != k and running[j]]
        if running[k] and _strong(part) is False:
            alone = [q for q in others if not set(_texts(part, "policies")) & set(_texts(q, "policies"))]
            clash = next((q for q in alone if _common(part, q)), None)
            if clash is not None and not any(set(part.columns.policies) & set(q.columns.policies) for q in others):
                raise _either(part, clash)
    return [
        (run and any(set(part.columns.policies) & set(q.columns.policies) for q in filled if q is not part))
        or (run and not _strong(part))
        for run, part in zip(running, filled, strict=True)
    ]


def _strong(part: TablePart) -> bool:
    """Whether the name of the column says that it is a case, not a number of a trial."""
    return any((strength("case", name) or 0) == 0 and strength("case", name) is not None for name in part.case_columns)


def _texts(part: TablePart, which: str) -> tuple[str, ...]:
    return tuple(getattr(part.columns, which))


def _common(a: TablePart, b: TablePart) -> bool:
    """Whether two tables have an equal case of an equal stratum."""
    return bool(set(a.columns.strata) & set(b.columns.strata)) and bool(set(a.columns.cases) & set(b.columns.cases))


def _either(a: TablePart, b: TablePart) -> BadData:
    case = next(text for text in a.columns.cases if text in set(b.columns.cases))
    rows = [_row_of(part, case) for part in (a, b)]
    expected = "to know whether equal numbers in two files are one case: --case-across-files or --case-per-file"
    found = f"{a.case_columns[0]} {case} in {a.reading.source} {rows[0]} and in {b.reading.source} {rows[1]}"
    return BadData(f"{a.reading.source}, {b.reading.source}", "case", expected, found)


def _row_of(part: TablePart, case: str) -> str:
    place = list(part.columns.cases).index(case)
    at = np.flatnonzero(part.columns.case == place)
    if not len(at):
        return ""
    policy = part.columns.policies[part.columns.policy[at[0]]]
    return f"row {part.row[at[0]]} ({policy})" if len(part.row) else f"({policy})"


def _numbered(filled: Sequence[TablePart], per_file: Iterable[bool]) -> TrialColumns:
    """The trials of all tables; a case of a table whose file counts has the file's name in its own."""
    return TrialColumns.joined(
        [
            replace(part.columns, cases=[f"{part.reading.source}: {text}" for text in part.columns.cases])
            if alone and len(filled) > 1
            else part.columns
            for part, alone in zip(filled, per_file, strict=True)
        ]
    )


def _no_two(filled: Sequence[TablePart], columns: TrialColumns, per_file: Sequence[bool]) -> None:
    """BadData where one policy has two trials of one case: nobody said which of them counts."""
    keys = packed_rows([columns.policy, columns.run, columns.stratum, columns.case])
    unique, counts = np.unique(keys, return_counts=True)
    if len(unique) == len(keys):
        return
    twice = int(np.argmax(counts > 1))
    rows = np.flatnonzero(keys == unique[twice])[:2]
    starts = np.cumsum([0, *(len(part.columns) for part in filled)])
    shown = []
    for row in rows:
        k = int(np.searchsorted(starts, row, side="right")) - 1
        part = filled[k]
        number = f"row {part.row[row - starts[k]]}" if len(part.row) else "a trial"
        shown.append(f"{number} of {part.reading.source}")
    part = filled[int(np.searchsorted(starts, rows[0], side="right")) - 1]
    policy, stratum = columns.policies[columns.policy[rows[0]]], columns.strata[columns.stratum[rows[0]]].text
    case = columns.cases[columns.case[rows[0]]]
    flags = "--independent if each row is a trial of its own, --column case=NAME+NAME for what tells them apart"
    if len(filled) > 1 and shown[0].split(" of ")[1] != shown[1].split(" of ")[1]:
        flags = f"--case-per-file if they are different trials; {flags}"
        sources = [row.split(" of ", 1)[1] for row in shown]
        if all(row.startswith("a trial of ") for row in shown):  # stores of ours, whose trials say what they are
            flags = (
                f"`roboscale trials merge OUT {' '.join(sources)}` makes one store, in which the newest round counts"
            )
    name = " and ".join(map(repr, part.case_columns)) or "case"
    found = f"{shown[0]} and {shown[1]}: {policy}, {stratum}, {case}"
    raise BadData(part.reading.source, name, f"one trial of each policy and case ({flags})", found)


def _decided(
    parts: Sequence[TablePart],
    filled: Sequence[TablePart],
    columns: TrialColumns,
    per_file: Sequence[bool],
    options: ReadOptions,
) -> Joined:
    """Paired where enough cases are shared; the words say what was taken."""
    names = list(dict.fromkeys(" and ".join(map(repr, part.case_columns)) for part in filled))
    scope = "within its world, task and file" if any(per_file) and len(filled) > 1 else "within its world and task"
    by = f"rows with the same {' or '.join(names)} {scope} are the same case"
    if any(part.shared for part in filled):
        by = "trials of one comparison are the same case" if names == ["'the row'"] else by
    shared = _shared(columns)
    policies = len(np.unique(columns.policy))
    if policies < 2:
        return Joined(columns=columns, paired=True, text=by, parts=tuple(parts))
    if options.pairing != "paired" and shared < _SHARE:
        why = "no case was tried under two policies" if not shared else f"only {shared:.0%} of the trials share theirs"
        text = f"{' or '.join(names)} would say the case, but {why}"
        return _independent(parts, filled, text)
    rest = "" if shared == 1 else f"; {shared:.0%} of the trials have the same case under another policy"
    return Joined(columns=columns, paired=True, text=by + rest, parts=tuple(parts))


def _shared(columns: TrialColumns) -> float:
    """Share of trials whose case another policy has, too."""
    cells = np.unique(packed_rows([columns.stratum, columns.case]), return_inverse=True)[1]
    pairs = np.unique(packed_rows([cells, columns.policy]), return_index=True)[1]
    policies = np.bincount(cells[pairs])
    return float((policies[cells] > 1).mean()) if len(cells) else 0.0
