"""Which column of a table has which role, and why the others are ignored."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from roboscale.core import BadData, UnknownName, UsageError
from roboscale.core.errors import near_names
from roboscale.results.grid import Grid, Texts, packed_rows
from roboscale.results.names import COLUMNS, JOINED, ROLES, flag, normal_name, place, strength
from roboscale.results.reading import ReadOptions, TableColumn

__all__ = ["Roles", "follows", "is_inside", "named_columns", "no_unknown_role"]

_SCALE = re.compile(r"(.*)/(\d+(?:\.\d+)?)")


@dataclass(slots=True, kw_only=True)
class Roles:
    """The columns of one grid and what each is used as.

    Args:
        path: of the file, for messages.
        grid: the table.
        said: role -> columns, from whoever asked.
        scales: role -> what its numbers are divided by, from whoever asked.
        used: column -> (role, why); ignored: column -> why. Filled while the table is read.
        made: columns that were made of the names of others.
    """

    path: Path
    grid: Grid
    said: Mapping[str, tuple[str, ...]]
    scales: Mapping[str, float]
    used: dict[str, tuple[str, str]] = field(default_factory=dict)
    ignored: dict[str, str] = field(default_factory=dict)
    made: tuple[str, ...] = ()

    @classmethod
    def of(cls, path: Path, grid: Grid, options: ReadOptions) -> Roles:
        """Nothing is used yet. UsageError for a role that there is not, UnknownName for such a column."""
        grid, dropped, twins = _distinct(grid)
        said, scales = named_columns(path, grid, options.columns)
        roles = cls(path=path, grid=grid, said=said, scales=scales)
        roles.ignored |= dropped
        roles._no_name_twice(twins)
        for name in said.get("ignore", ()):
            roles.ignored[name] = "as asked"
        return roles

    def _no_name_twice(self, twins: Mapping[str, str]) -> None:
        """BadData where two columns of one name say different things, and the name has a role that nobody decided."""
        decided = {name for names in self.said.values() for name in names}
        for second, first in twins.items():
            roles = [role for role in COLUMNS if strength(role, first) is not None]
            if roles and not decided & {first, second}:
                raise self.unclear(roles[0], (first, second))

    def names(self, role: str, weakest: int = 9) -> list[str]:
        """Columns that may have the role, the strongest name first; only those that were asked for, where any were."""
        if role in self.said:
            return list(self.said[role])
        taken = {name for names in self.said.values() for name in names} | set(self.ignored)
        ranked = [
            (s, is_inside(role, n), place(role, n), k, n)
            for k, n in enumerate(self.grid.names)
            if n not in taken and (s := strength(role, n)) is not None
        ]
        return [name for s, *_, name in sorted(ranked) if s <= weakest]

    def level(self, role: str) -> int:
        """How strong the best name for a role is: -1 where it was asked for, 99 where there is none."""
        names = self.names(role)
        if not names:
            return 99
        return -1 if role in self.said else strength(role, names[0]) or 0

    def has(self, role: str, weakest: int = 9) -> bool:
        return bool(self.names(role, weakest))

    def use(self, role: str, name: str, because: str = "") -> Texts:
        """Gives the column the role; its texts."""
        asked = "as asked" if role in self.said and name not in self.made else ""
        self.used[name] = (role, because or asked)
        self.ignored.pop(name, None)
        return self.grid.column(name)

    def ignore(self, names: Iterable[str], because: str) -> None:
        for name in names:
            if name not in self.used:
                self.ignored.setdefault(name, because)

    def one(self, role: str, weakest: int = 9) -> Texts | None:
        """The column with the strongest name; `None` where there is none.

        Raises:
            BadData: two have equally strong names and say different things.
        """
        names = self.names(role, weakest)
        if not names:
            return None
        best = strength(role, names[0]), is_inside(role, names[0])
        rivals = [n for n in names[1:] if role not in self.said and (strength(role, n), is_inside(role, n)) == best]
        for rival in rivals:
            if not same_texts(self.grid.column(names[0]), self.grid.column(rival)):
                raise self.unclear(role, (names[0], rival))
        self.ignore(rivals, f"says the same as {names[0]!r}")
        self.ignore(names[1:], f"{names[0]!r} is the stronger name for {role}")
        return self.use(role, names[0])

    def unclear(self, role: str, names: Sequence[str]) -> BadData:
        """The error for two columns that could have one role, with two rows in which they differ."""
        a, b = (self.grid.column(name) for name in names)
        rows = [r for r in range(min(len(a), 10_000)) if a.at(r) != b.at(r)][:2]
        shown = "; ".join(self.grid.row_text(r, names) for r in rows)
        both = " or ".join(map(repr, names))
        return BadData(self.path, "columns", f"one for {role} (--column {role}={names[0]})", f"{both}: {shown}")

    def columns(self) -> tuple[TableColumn, ...]:
        """What became of each, in their order."""
        return tuple(
            TableColumn(name, *self.used[name])
            if name in self.used
            else TableColumn(name, "", self.ignored.get(name) or self._no_use(name))
            for name in self.grid.names
        )

    def _no_use(self, name: str) -> str:
        """Why a column was not used that nobody gave a reason for."""
        taken = {role: used for used, (role, _) in self.used.items()}
        known = (role for role in ROLES if role in taken and strength(role, name) is not None)
        return next((f"{taken[role]!r} is the {role}" for role in known), "no known role")


def named_columns(
    path: Path, grid: Grid, wanted: Mapping[str, str]
) -> tuple[dict[str, tuple[str, ...]], dict[str, float]]:
    """Role -> columns and role -> scale, from `ROLE=COLUMN`, `ROLE=COLUMN+COLUMN`, `ROLE=COLUMN/10`.

    Raises:
        UsageError: a role that there is not, or several columns for a role that only one can have.
        UnknownName: a column that there is not.
    """
    said, scales = {}, {}
    for role, text in wanted.items():
        no_unknown_role(role, text)
        scale = _SCALE.fullmatch(text)
        if text not in grid.names and scale:
            text, scales[role] = scale[1].strip(), float(scale[2])
            if scales[role] <= 0:
                raise UsageError(f"--column {role}: expected a scale above 0, found {scale[2]}")
        low = {name.casefold(): name for name in reversed(grid.names)} | {name: name for name in grid.names}
        names = dict.fromkeys(low.get(name, low.get(name.casefold(), name)) for name in _names_in(text, low))
        for name in names:
            if name not in grid.names:
                raise UnknownName(f"{path}: column", name, grid.names)
        if len(names) > 1 and role not in JOINED:
            raise UsageError(f"--column {role}: expected one column, found {len(names)}: {', '.join(names)}")
        said[role] = tuple(names)
    return said, scales


def no_unknown_role(role: str, text: str) -> None:
    """UsageError for a role of `ROLE=COLUMN` that there is not: with all roles, and what was likely meant."""
    if role in COLUMNS or role == "ignore":
        return
    meant = [known for known in ROLES if strength(known, role) is not None]
    near = near_names(role, (*COLUMNS, "ignore"))
    hint = f"did you mean {', '.join(near)}? " if near else ""
    hint = f"{role} is a name of {meant[0]} columns: {flag(meant[0], text)}; " if meant else hint
    raise UsageError(f"unknown role of --column {role!r}; {hint}roles: {', '.join((*ROLES, 'ignore'))}")


def _names_in(text: str, known: Mapping[str, str]) -> list[str]:
    """What is joined by `+`; a name of a column may have such a sign in it."""
    parts, names, k = text.split("+"), [], 0
    while k < len(parts):
        ends = (end for end in range(len(parts), k, -1) if "+".join(parts[k:end]).strip().casefold() in known)
        end = next(ends, k + 1)
        names.append("+".join(parts[k:end]).strip())
        k = end
    return names


def same_texts(a: Texts, b: Texts) -> bool:
    """Whether two columns say the same in every row."""
    return all(a.at(row) == b.at(row) for row in _firsts(packed_rows([a.codes, b.codes])))


def follows(b: Texts, a: Texts) -> bool:
    """Whether column `b` is known once column `a` is."""
    return len(np.unique(packed_rows([a.codes, b.codes]))) == len(np.unique(a.codes))


def is_inside(role: str, name: str) -> bool:
    """Whether a name has its role by its end alone, `stages.grasp.success`: the row's own is stronger."""
    return normal_name(name) not in COLUMNS[role]


def _firsts(keys: np.ndarray) -> list[int]:
    return [int(row) for row in np.unique(keys, return_index=True)[1]]


def _distinct(grid: Grid) -> tuple[Grid, dict[str, str], dict[str, str]]:
    """Columns with names of their own: a second one of a name is numbered.

    Returns:
        The grid; numbered columns that say the same as the first -> why they are ignored; others -> the first's name.
    """
    names: list[str] = []
    dropped: dict[str, str] = {}
    twins: dict[str, str] = {}
    for k, name in enumerate(grid.names):
        number, unique = 2, name
        while unique in names:
            unique, number = f"{name} ({number})", number + 1
        names.append(unique)
        if unique != name:
            if same_texts(grid.columns[names.index(name)], grid.columns[k]):
                dropped[unique] = f"says the same as {name!r}"
            else:
                twins[unique] = name
    return replace(grid, names=tuple(names)), dropped, twins
