"""Columns of unknown names that say under which condition a trial was: what may not be pooled without a word.

A table whose column `object` or `setup` nobody knows would otherwise be added up over it, and a policy that was tried
more often on what is easy would look better. All tables are looked at together, so that splitting one changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData, Stratum
from roboscale.results.asides import is_aside
from roboscale.results.grid import Texts, packed_rows
from roboscale.results.names import COLUMNS, flag, strength
from roboscale.results.nouns import TablePart
from roboscale.results.reading import TableColumn
from roboscale.results.roles import Roles, follows
from roboscale.results.values import count_of, is_missing, number_of, success_of

__all__ = ["conditioned", "mixes_differ", "no_seeds_of_counts", "unknown_columns"]

_MOST = 50
_DIFFERENCE = 0.2
"""Two policies whose shares of one value lie further apart were not tried on the same mix."""


def no_seeds_of_counts(roles: Roles, policy: Texts, stratum: NDArray[np.int32]) -> None:
    """BadData where a column of seeds tells counts of one policy and task apart: they may be training runs.

    Args:
        stratum: world and task of each row, int32, shape (n,).
    """
    keys = packed_rows([policy.codes, stratum])
    _, place, often = np.unique(keys, return_inverse=True, return_counts=True)
    if len(often) == len(keys):
        return
    for name in roles.names("case"):
        together = packed_rows([keys, roles.grid.column(name).codes])
        if strength("case", name) == 1 and len(np.unique(together)) == len(keys) and name not in roles.used:
            shown = "; ".join(
                roles.grid.row_text(int(row), (name,)) for row in np.flatnonzero(place == often.argmax())[:2]
            )
            expected = f"to know what {name} is: {flag('run', name)} (training runs) or {flag('variation', name)}"
            raise BadData(roles.path, name, expected, f"counts of several: {shown}")


def unknown_columns(roles: Roles) -> Iterator[tuple[str, Texts]]:
    """Columns of few values, none of them empty, whose name says no role."""
    said = {name for names in roles.said.values() for name in names}
    for name in roles.grid.names:
        column = roles.grid.column(name)
        if name in roles.used or name in roles.ignored or name in said or is_aside(name):
            continue
        if any(strength(role, name) is not None for role in COLUMNS) or _is_a_size(name):
            continue
        texts = column.used()
        measured = any(number_of(text) is not None and count_of(text) is None for text in texts)
        if 1 <= len(texts) <= _MOST and not measured and not any(is_missing(text) for text in texts):
            yield name, column


def _is_a_size(name: str) -> bool:
    """Whether a column says how many trials were made of something, as `trials_per_task`: no condition of them."""
    before, per, _ = name.casefold().replace("_", " ").replace("-", " ").partition(" per ")
    return bool(per) and strength("trials", before) is not None


def conditioned(parts: Sequence[TablePart]) -> list[TablePart] | None:
    """The same tables, with the conditions that they may not be pooled over as a part of the task.

    Of counts: what tells several of one policy and task apart. Of trials one by one: words whose mix differs between
    policies, where no value of theirs says how the trial went. Either has to stand beside two policies. `None` where
    there is none.
    """
    filled = [part for part in parts if len(part.columns) and not part.own]
    shared = set.intersection(*({name for name, _ in part.unknown} for part in filled)) if filled else set()
    order = [name for name, _ in filled[0].unknown if name in shared] if filled else []
    names = [name for name in order if _is_condition(filled, name)]
    if not names:
        return None
    return [_stratified(part, names) if len(part.columns) and not part.own else part for part in parts]


def mixes_differ(policy: Texts, column: Texts) -> bool:
    """Whether the policies were tried on different mixes of a column's values."""
    table = np.zeros((len(policy.values), len(column.values)))
    np.add.at(table, (policy.codes, column.codes), 1)
    shares = table[table.sum(1) > 0]
    shares = shares / shares.sum(1, keepdims=True)
    return bool((shares.max(0) - shares.min(0)).max() > _DIFFERENCE)


def _is_condition(parts: Sequence[TablePart], name: str) -> bool:
    column = _of_all([dict(part.unknown)[name] for part in parts])
    policy = _of_all([Texts(part.columns.policies, part.columns.policy) for part in parts])
    if not _is_common(column, policy):
        return False
    if any(part.counted for part in parts):
        strata = [[s.text for s in part.columns.strata] for part in parts]
        stratum = _of_all([Texts(s, p.columns.stratum) for s, p in zip(strata, parts, strict=True)])
        row = np.concatenate([part.row for part in parts])
        keys = packed_rows([policy.codes, stratum.codes])
        rows = np.unique(packed_rows([keys, row]), return_index=True)[1]
        return len(np.unique(keys[rows])) < len(np.unique(packed_rows([keys[rows], column.codes[rows]])))
    words = all(number_of(text) is None and success_of(text) is None for text in column.used())
    success = np.concatenate([part.columns.success for part in parts])
    return words and mixes_differ(policy, column) and not _says_outcome(column, success)


def _of_all(columns: Sequence[Texts]) -> Texts:
    """Columns of several tables as one below the other."""
    places: dict[str, int] = {}
    codes = [np.array([places.setdefault(t, len(places)) for t in c.values], np.int32)[c.codes] for c in columns]
    return Texts(list(places), np.concatenate(codes))


def _is_common(column: Texts, policy: Texts) -> bool:
    """Whether at least two of its values stand beside two policies, and it is no other name of the policy."""
    if follows(policy, column) or follows(column, policy):
        return False
    pairs = np.unique(packed_rows([column.codes, policy.codes]), return_index=True)[1]
    return int((np.bincount(column.codes[pairs]) > 1).sum()) >= 2


def _says_outcome(column: Texts, success: NDArray[np.float64]) -> bool:
    """Whether some value of it, often enough, goes with one outcome only: a reason of failure, a stage reached."""
    for code in np.unique(column.codes):
        beside = success[(column.codes == code) & ~np.isnan(success)]
        if len(beside) >= 5 and beside.min() == beside.max():
            return True
    return False


def _stratified(part: TablePart, names: Sequence[str]) -> TablePart:
    """A table with these columns in its tasks, and that said."""
    unknown = dict(part.unknown)
    columns = part.columns
    worlds = Texts([s.world for s in columns.strata], columns.stratum)
    tasks = (
        [Texts([s.task for s in columns.strata], columns.stratum)]
        if any(s.task != "all" for s in columns.strata)
        else []
    )
    task = Texts.joined([*tasks, *(unknown[name] for name in names)])
    strata, stratum = strata_of(worlds, task)
    because = "it tells counts of one policy and task apart" if part.counted else "its mix differs between policies"
    reading = replace(
        part.reading,
        columns=tuple(
            TableColumn(c.name, "variation", because) if c.name in names else c for c in part.reading.columns
        ),
        notes=(
            *part.reading.notes,
            f"not pooled over {', '.join(map(repr, names))} ({flag('ignore', names[0])} if it is irrelevant)",
        ),
    )
    return replace(part, reading=reading, columns=replace(columns, strata=tuple(strata), stratum=stratum), unknown=())


def strata_of(worlds: Texts, tasks: Texts) -> tuple[list[Stratum], NDArray[np.int32]]:
    """The strata, in the order in which they come, and that of each row, shape (n,)."""
    keys, codes = np.unique(packed_rows([worlds.codes, tasks.codes]), return_inverse=True)
    first = np.zeros(len(keys), np.int64)
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    order = np.argsort(first, kind="stable")
    strata = [Stratum(worlds.at(int(first[k])), tasks.at(int(first[k])) or "all") for k in order]
    return strata, np.argsort(order)[codes].astype(np.int32)
