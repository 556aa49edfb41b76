"""Headers of two rows: groups above, the same few names below each, as merged cells of spreadsheets make them."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Sequence
from dataclasses import dataclass

from roboscale.results.names import bare_name, is_sum, strength

__all__ = ["UPPER_HEADER", "Groups", "groups_of_header", "is_title"]

UPPER_HEADER = "upper header"
"""What the column is called that the upper of two rows of headers becomes, where it is not known what it says."""

_OUTCOMES = ("success", "failure", "progress", "successes", "failures", "trials", "rate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """Which columns stand below which group.

    Args:
        role: what the groups are, `task` or `policy`; `UPPER_HEADER` where a column without a name may be either.
        fixed: columns that stand below none.
        columns: group -> its columns, in the order of `names`.
        names: what stands below every group.
        above: the upper row, as wide as the table.
    """

    role: str
    fixed: tuple[int, ...]
    columns: dict[str, tuple[int, ...]]
    names: tuple[str, ...]
    above: tuple[str, ...] = ()

    def header(self, names: Sequence[str]) -> list[str]:
        """Of the long table: the fixed columns, the group, and what stands below each."""
        return [*(names[k] or self.above[k] for k in self.fixed), self.role, *self.names]

    def rows(self, row: Sequence[str]) -> list[list[str]]:
        """One row of the file as one for each group."""
        cells = [*row, *[""] * (1 + max(k for ks in (self.fixed, *self.columns.values()) for k in ks) - len(row))]
        fixed = [cells[k] for k in self.fixed]
        return [[*fixed, group, *(cells[k] for k in places)] for group, places in self.columns.items()]


def groups_of_header(above: Sequence[str], names: Sequence[str]) -> Groups | None:
    """The groups, where the row above a header has them; `None` where names do not come again below each.

    Args:
        above: the row above the header; a group stands in its first cell at least.
        names: the header.
    """
    width = len(names)
    upper = [cell.strip() for cell in [*above, *[""] * (width - len(above))][:width]]
    filled, last = [], ""
    for cell in upper:
        last = cell or last
        filled.append(last)
    often = Tally(name.casefold() for name in names if name)
    below = [k for k in range(width) if filled[k] and filled[k] != names[k] and often[names[k].casefold()] > 1]
    columns: dict[str, list[int]] = {}
    for k in below:
        if not is_sum(bare_name(filled[k])):
            columns.setdefault(filled[k], []).append(k)
    kinds = {tuple(names[k].casefold() for k in places) for places in columns.values()}
    if (
        len(columns) < 2
        or len(kinds) != 1
        or not any(strength(r, names[k]) is not None for k in below for r in _OUTCOMES)
    ):
        return None
    first = next(iter(columns.values()))
    fixed = tuple(k for k in range(width) if k not in below and (names[k] or k < first[0]))
    called = [names[k] or upper[k] for k in fixed]
    has = {role for role in ("policy", "task") for name in called if strength(role, name) is not None}
    role = "policy" if "task" in has and "policy" not in has else "task"
    role = UPPER_HEADER if not has and "" in called else role
    return Groups(
        role=role,
        fixed=fixed,
        columns={group: tuple(places) for group, places in columns.items()},
        names=tuple(names[k] for k in first),
        above=tuple(upper),
    )


def is_title(row: Sequence[str]) -> bool:
    """Whether a row is one text over the whole table, as a merged cell is."""
    cells = [cell.strip() for cell in row if cell.strip()]
    return len(cells) > 1 and len(set(cells)) == 1
