"""Several episodes in the arrays of one file: numbered names, rows end to end, or one episode for each first index.

    actions_0, actions_1, ...          split_by = "number"       the episodes' own arrays, each by its number
    actions (N, D) and dones (N,)      split_by = "dones"        flags of last rows; or ends, starts or lengths
    actions (E, T, D)                  split_by = "first axis"   episodes of one length

Found out where nobody says it; knows names and shapes, no file.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData
from roboscale.sources.records.own.held import Held

__all__ = ["FIRST_AXIS", "NUMBER", "Cut", "cuts_of", "part_of"]

NUMBER, FIRST_AXIS = "number", "first axis"
_NUMBERED = re.compile(r"(?P<stem>.+?)_?(?P<number>\d+)$")
_FLAGS = re.compile(r"(^|[/_])(dones?|terminals?|terminateds?|is_last|last|episode_end)$", re.IGNORECASE)
_COUNTS = re.compile(r"(^|[/_])(ends?|episode_ends|episode_lengths?|lengths?|episode_starts?|starts)$", re.IGNORECASE)

Cut = tuple[str, int, int, int]
"""How one episode is cut out: (kind, number, first row, behind the last)."""


def cuts_of(sources: Mapping[str, Held], split_by: str = "") -> list[Cut]:
    """One cut an episode; empty where everything is one episode.

    Args:
        split_by: `number`, `first axis`, or an array of flags, ends, starts or lengths; found out when empty.

    Raises:
        BadData: `split_by` does not cut the rows that are there.
    """
    numbers = {name: one for name, one in sources.items() if one.kind == "numbers"}
    if split_by == NUMBER or (not split_by and _is_numbered(numbers)):
        numbers_said = {int(m["number"]) for name in numbers if (m := _NUMBERED.fullmatch(name))}
        return [("number", number, 0, 0) for number in sorted(numbers_said)]
    if split_by == FIRST_AXIS or (not split_by and _is_stacked(numbers)):
        return [("axis", number, 0, 0) for number in range(next(iter(numbers.values())).rows)]
    names = (
        [split_by]
        if split_by
        else [n for n in numbers if _COUNTS.search(n)] + [n for n in numbers if _FLAGS.search(n)]
    )
    for name in names:
        if name not in numbers:
            raise BadData("split_by", name, "an array of flags, ends, starts or lengths", ", ".join(numbers)[:200])
        ends = _ends(numbers[name], {one.rows for other, one in numbers.items() if other != name})
        if ends is not None:
            starts = [0, *ends[:-1].tolist()]
            return [
                ("rows", k, first, last) for k, (first, last) in enumerate(zip(starts, ends.tolist(), strict=True))
            ]
    if split_by:
        raise BadData(numbers[split_by].path, split_by, "flags, ends, starts or lengths that cut all rows", "others")
    return []


def _is_numbered(numbers: Mapping[str, Held]) -> bool:
    """Arrays (not columns) whose names end with a number, the same numbers for every stem, two at least."""
    by_stem: dict[str, set[str]] = {}
    for name, one in numbers.items():
        match = _NUMBERED.fullmatch(name)
        if match is None or not one.shape:
            return False
        by_stem.setdefault(match["stem"], set()).add(match["number"])
    sets = list(by_stem.values())
    return len(sets) > 1 and len(sets[0]) > 1 and all(one == sets[0] for one in sets)


def _is_stacked(numbers: Mapping[str, Held]) -> bool:
    heads = {(one.rows, one.shape[0]) if len(one.shape) > 1 else None for one in numbers.values()}
    head = heads.pop() if len(heads) == 1 else None
    floats = all(np.dtype(one.dtype).kind == "f" for one in numbers.values())
    return head is not None and floats and 1 < head[0] < head[1]


def _ends(one: Held, totals: set[int]) -> NDArray[np.int64] | None:
    """The row behind the last of each episode, from flags, ends, starts or lengths; `None` where they cut nothing."""
    if one.shape not in ((), (1,)):
        return None
    values = np.asarray(one.load()).reshape(-1)
    if one.rows in totals and (values.dtype.kind == "b" or set(np.unique(values).tolist()) <= {0, 1}):
        ends = np.flatnonzero(values) + 1
        ends = np.unique(np.r_[ends, one.rows]).astype(np.int64)
        # Flags that stay up at the end of an episode say that it is over, not that each row is one.
        return ends if len(ends) > 1 and np.diff(np.r_[0, ends]).min() > 1 else None
    if values.dtype.kind not in "iu" or not len(values):
        return None
    values = values.astype(np.int64)
    for total in totals - {one.rows}:
        if (np.diff(values) > 0).all() and values[0] > 0 and values[-1] == total:
            return values
        if (values > 0).all() and values.sum() == total:
            return np.cumsum(values)
        if (np.diff(values) > 0).all() and values[0] == 0 and values[-1] < total and len(values) > 1:
            return np.append(values[1:], np.int64(total))
    return None


def part_of(sources: Mapping[str, Held], cut: Cut) -> dict[str, Held]:
    """What one episode holds of the whole."""
    kind, number, first, last = cut
    if kind == "number":
        mine = {name: _NUMBERED.fullmatch(name) for name in sources}
        return {
            match["stem"]: dataclasses.replace(sources[name], name=match["stem"])
            for name, match in mine.items()
            if match is not None and int(match["number"]) == number
        }
    parts = {}
    for name, one in sources.items():
        if kind == "axis" and one.kind == "numbers" and one.shape:
            load = partial(_taken, one, number, number + 1, True)
            parts[name] = dataclasses.replace(one, rows=one.shape[0], shape=one.shape[1:], load=load)
        elif kind == "rows" and one.rows >= last and one.kind != "video":
            parts[name] = dataclasses.replace(one, rows=last - first, load=partial(_taken, one, first, last, False))
    return parts


def _taken(one: Held, first: int, last: int, single: bool) -> Any:
    values = one.load()[first:last]
    return values[0] if single else values
