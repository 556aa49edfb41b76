"""Tables of trials, of counts and of rates, long or wide, as columns; tables of preferences stand in `preferences`."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData, Stratum
from roboscale.results.conditions import mixes_differ, no_seeds_of_counts, strata_of, unknown_columns
from roboscale.results.grid import Counter, Grid, Texts, packed_rows
from roboscale.results.headers import UPPER_HEADER
from roboscale.results.measures import Measured, counts_measured, long_measured
from roboscale.results.names import COLUMNS, flag, is_sum, is_sum_of, normal_name, strength
from roboscale.results.nouns import Preferences, TablePart, TrialColumns
from roboscale.results.preferences import is_pairs, preferences_of
from roboscale.results.reading import ReadOptions, TableReading
from roboscale.results.roles import Roles, follows
from roboscale.results.values import count_of, is_missing, number_of
from roboscale.results.wide import unfolded

__all__ = ["no_equal_counts", "part_of_grid"]

T = TypeVar("T")


def part_of_grid(path: Path, grid: Grid, policy: str, options: ReadOptions) -> TablePart:
    """What a table says.

    Args:
        policy: whose results they are where it does not say.

    Raises:
        BadData: two readings are possible, or a cell is not understood: with rows, and the flag that decides.
    """
    if not len(grid):
        if not any(strength(role, name) is not None for name in grid.names for role in COLUMNS):
            raise BadData(
                path, "table", "a header with names that are known, and rows", ", ".join(grid.names)[:100] or "nothing"
            )
        form = grid.form or "a table without rows"
        return TablePart(reading=TableReading(source=grid.source, form=form, left_out=grid.left_out, notes=grid.notes))
    roles = Roles.of(path, grid, options)
    if is_pairs(roles):
        return preferences_of(roles, options)
    table = Table(roles=roles, options=options, policy=policy)
    return table.read()


@dataclass(slots=True, kw_only=True)
class Table:
    """One table while it is read.

    Args:
        keep: rows that count, shape (n,).
        left: why others do not.
        notes: what was assumed.
    """

    roles: Roles
    options: ReadOptions
    policy: str
    left: Counter = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    def read(self) -> TablePart:
        self._without_sums()
        wide = unfolded(self.roles, self.notes, self.options)
        if wide is not None:
            self.roles = wide
        self._without_sums()
        self._without_copies()
        policy = self._policy()
        measured = self._measured(policy)
        strata, stratum = self._strata(policy, measured)
        if measured.form == "counts" and self.options.pairing != "independent":
            no_equal_counts(self.roles, "--independent if both count")
        runs = self._runs(policy)
        attempt = self.roles.one("attempt")
        case = self._cases(measured, policy, stratum, runs)
        unknown = tuple(unknown_columns(self.roles))
        self._unused(policy)
        part = self._part(policy, (strata, stratum), measured, runs, case, attempt)
        return replace(part, unknown=tuple((name, Texts(c.values, c.codes[measured.row])) for name, c in unknown))

    def _without_sums(self) -> None:
        """Rows that only add up others do not count."""
        grid = self.roles.grid
        keep = np.ones(len(grid), np.bool_)
        called: list[str] = []
        for role in ("policy", "task"):
            for name in self.roles.names(role)[:1]:
                column = grid.column(name)
                known = column.used()
                sums = [k for k, text in enumerate(column.values) if is_sum(text) or is_sum_of(text, known)]
                if sums and len(column.used()) - len(sums) >= (2 if role == "policy" else 1):
                    keep &= ~np.isin(column.codes, sums)
                    called += [column.values[k] for k in sums if column.values[k] in known]
        if not keep.all():
            more = f" and {len(called) - 5} more" if len(called) > 5 else ""
            shown = f"{', '.join(dict.fromkeys(called[:5]))}{more}"
            self.left.add(f"they add the others up ({shown})", int((~keep).sum()))
            self.roles.grid = rows_of(grid, keep)

    def _without_copies(self) -> None:
        """Rows that equal an earlier one in every cell are copies, where some cell says that they are no new trial.

        Without a case two trials may well look alike: then only where a time or a film tells all other rows apart.
        """
        grid = self.roles.grid
        first = np.unique(whole_rows(grid), return_index=True)[1]
        if len(first) == len(grid):
            return
        known = [n for n in self.roles.names("case") if len(grid.column(n).used()) > 1]
        others = [c for n, c in zip(grid.names, grid.columns, strict=True) if not self._is_asked(n)]
        if known or any(len(np.unique(column.codes)) == len(first) > 2 for column in others):
            keep = np.zeros(len(grid), np.bool_)
            keep[first] = True
            self.left.add("exact copies of earlier rows", len(grid) - len(first))
            self.roles.grid = rows_of(grid, keep)

    def _is_asked(self, name: str) -> bool:
        """Whether a column says who was tried on what, or how it went: its values come again."""
        known = ("policy", "checkpoint", "task", "variation", "world", "place", "robot", "run", "success", "successes")
        return any(name in self.roles.names(role) for role in (*known, "trials", "failures", "rate", "progress"))

    def _policy(self) -> Texts:
        roles, grid = self.roles, self.roles.grid
        names = roles.names("policy")
        if not names:
            who = self.policy or grid.policy
            steps = [n for n in roles.names("checkpoint") if len(grid.column(n).used()) > 1]
            if steps:
                return self._checkpoints(steps, Texts.same(who, len(grid)) if who else None)
            if not who:
                self._no_upper_header()
                known = ", ".join(COLUMNS["policy"][:8])
                expected = f"a policy: a column {known} (or --column policy=NAME); or NAME=PATH"
                raise BadData(roles.path, "columns", expected, ", ".join(grid.names))
            return Texts.same(who, len(grid))
        column = self._policy_column(names)
        self._nobody(column, names[0], "policy")
        if blank := [repr(text) for text in column.used() if is_missing(text)]:
            self.notes.append(f"a policy is called {' and '.join(blank)}: fill {names[0]!r} in if nothing was meant")
        if self.policy and self._is_named(column, names[0]):
            return Texts.same(self.policy, len(column.codes))
        versions = [n for n in roles.names("checkpoint") if len(grid.column(n).used()) > 1]
        versions = [n for n in versions if not follows(grid.column(n), column)]
        asked = "policy" in roles.said and names[0] not in roles.made
        return self._checkpoints(versions, column) if versions and not asked else column

    def _no_upper_header(self) -> None:
        """BadData where the upper of two rows of headers and a column without a name say policy and task, or task and
        policy."""
        grid = self.roles.grid
        if UPPER_HEADER in grid.names and (left := next((n for n in grid.names if n.startswith("column ")), "")):
            ways = [
                f"{flag('policy', a)} {flag('task', b)} where {shown} are {kind}"
                for a, b, kind in ((left, UPPER_HEADER, "tasks"), (UPPER_HEADER, left, "policies"))
                if (shown := " and ".join(grid.column(UPPER_HEADER).used()[:3]))
            ]
            expected = f"a name above {left!r}, or what the upper row says: {'; '.join(ways)}"
            raise BadData(self.roles.path, "two rows of headers", expected, "a first column without a name")

    def _checkpoints(self, names: list[str], policy: Texts | None) -> Texts:
        """The policies of a table that has several checkpoints of each: what each is called."""
        parts = [self.roles.use("checkpoint", name, "a policy is a checkpoint") for name in names]
        told = [
            Texts([f"{name} {text}" if text else "" for text in part.values], part.codes)
            for name, part in zip(names, parts, strict=True)
        ]
        return Texts.joined([policy, *told] if policy is not None else told)

    def _is_named(self, column: Texts, name: str) -> bool:
        """Whether the name that somebody gave these results, `v2=FILE`, can be that of the one policy in them.

        Two files that both say `act`, named v1 and v2, were pooled as one policy.
        """
        used = column.used()
        if len(used) > 1:
            self.notes.append(f"{name!r} names {len(used)} policies: the name {self.policy!r} is not used")
        elif used and used[0] != self.policy:
            self.notes.append(f"{name!r} says {used[0]!r}; named {self.policy!r} as asked")
        return len(used) == 1

    def _policy_column(self, names: list[str]) -> Texts:
        roles, grid = self.roles, self.roles.grid
        if "policy" in roles.said:
            return Texts.joined([roles.use("policy", name) for name in names])
        levels = {name: _level("policy", name) for name in names}
        first = grid.column(names[0])
        for name in names[1:]:
            other = grid.column(name)
            if follows(other, first) or (levels[name] == 3 and levels[names[0]] < 3):
                continue
            if levels[name] == 2:  # a checkpoint of a method is another policy
                roles.use("policy", names[0])
                return Texts.joined([first, roles.use("policy", name, "a policy is a checkpoint")])
            raise roles.unclear("policy", (names[0], name))
        roles.ignore([n for n in names[1:] if follows(grid.column(n), first)], f"{names[0]!r} says who it is")
        return roles.use("policy", names[0])

    def _nobody(self, column: Texts, name: str, role: str) -> None:
        """A row without a policy is an error: merged cells look like that, and so does a row that lost its name."""
        empty = [k for k, text in enumerate(column.values) if not text]
        rows = np.flatnonzero(np.isin(column.codes, empty))
        if len(rows):
            where = f"{name} of {self.roles.grid.row_text(int(rows[0]))}"
            raise BadData(self.roles.path, where, f"a {role} (merged cells? fill them)", "an empty cell")

    def _strata(self, policy: Texts, measured: Measured) -> tuple[list[Stratum], NDArray[np.int32]]:
        """World and task of each row: what may be pooled without a further word."""
        self._no_empty_tasks()
        world = self._together(("world", "place", "robot"), " · ")
        task = self._together(("task", "variation"), ", ")
        rows = len(self.roles.grid)
        strata, stratum = strata_of(world or Texts.same("", rows), task or Texts.same("all", rows))
        if measured.form == "counts":
            no_seeds_of_counts(self.roles, policy, stratum)
        return strata, stratum

    def _no_empty_tasks(self) -> None:
        """A row without a task beside others with one is an error: merged cells look like that."""
        for name in self.roles.names("task")[:1]:
            if len(self.roles.grid.column(name).used()) > 1:
                self._nobody(self.roles.grid.column(name), name, "task")

    def _together(self, kinds: Sequence[str], between: str) -> Texts | None:
        """All columns of these roles as one text; a column that another already says is left out."""
        roles = self.roles
        parts: list[Texts] = []
        names: list[str] = []
        for role in kinds:
            for name in roles.names(role):
                column = roles.grid.column(name)
                if name in roles.used:
                    continue
                varies = len(column.used()) > 1
                if varies and any(follows(column, part) for part in parts) and role not in roles.said:
                    roles.ignore(
                        [name], f"{' and '.join(map(repr, names))} say{'s' if len(names) == 1 else ''} it already"
                    )
                    continue
                if "" not in column.used():  # a column with gaps says nothing in these rows
                    parts = [p for p in parts if not follows(p, column) or len(p.used()) == 1]
                parts.append(roles.use(role, name))
                names.append(name)
        return Texts.joined(parts, between) if parts else None

    def _measured(self, policy: Texts) -> Measured:
        counted = counts_measured(self.roles, self.notes)
        if counted is not None:
            return counted
        return long_measured(self.roles, self.notes, self.options)

    def _runs(self, policy: Texts) -> Texts | None:
        """The training run of each row, where a column says it: numbers of trials are none."""
        names = self.roles.names("run", 9 if "run" in self.roles.said else 1)
        for name in names:
            column = self.roles.grid.column(name)
            strong = "run" in self.roles.said or _level("run", name) == 0
            groups = len(np.unique(packed_rows([policy.codes, column.codes])))
            if name in self.roles.used or (not strong and groups * 3 > len(column)):
                continue  # fewer than three rows each: it numbers trials
            self.roles.ignore([n for n in names if n != name], f"{name!r} says the training run")
            return self.roles.use("run", name, "of the training")
        return None

    def _cases(
        self, measured: Measured, policy: Texts, stratum: NDArray[np.int32], runs: Texts | None
    ) -> tuple[tuple[str, ...], Texts | None]:
        """The columns that together tell the trials of one policy apart, and their texts."""
        roles, grid = self.roles, self.roles.grid
        if not grid.seeded or measured.form == "counts":
            return (), None
        names = [n for n in roles.names("case") if n not in roles.used]
        if not names and roles.names("run") and runs is None:
            names = [n for n in roles.names("run") if n not in roles.used]
        if "case" in roles.said:
            names = list(roles.said["case"])
            return tuple(names), Texts.joined([_numbers(roles.use("case", name)) for name in names], "/")
        if not names and not (roles.names("run") and runs is None):
            self._say_what_may_be_cases(policy, stratum)
        keys = [policy.codes, stratum] + ([runs.codes] if runs is not None else [])
        attempt = [grid.column(n).codes for n in roles.names("attempt")[:1]]
        for chosen in _choices(names):
            columns = [grid.column(n) for n in chosen]
            together = packed_rows([*keys, *attempt, *(c.codes for c in columns)])
            if len(np.unique(together)) == len(together):
                break
        else:
            fixed = [n for n in names if len(grid.column(n).used()) < 2]
            roles.ignore(fixed, "the same in every row")
            names = [n for n in names if n not in fixed]
            chosen = tuple(names[:2])
        roles.ignore([n for n in names if n not in chosen], f"{' and '.join(map(repr, chosen))} says which case it is")
        why = {name: _may_be_a_run(name) if len(chosen) > 1 and runs is None else "" for name in chosen}
        texts = [_numbers(roles.use("case", name, why[name])) for name in chosen]
        return chosen, Texts.joined(texts, "/") if chosen else None

    def _say_what_may_be_cases(self, policy: Texts, stratum: NDArray[np.int32]) -> None:
        """Columns of no known name whose values every policy has once, and shares with others, may say the case."""
        roles, grid = self.roles, self.roles.grid
        keys = packed_rows([policy.codes, stratum])
        if len(np.unique(policy.codes)) < 2 or len(keys) < 3 * len(np.unique(keys)):
            return
        for name in grid.names:
            column = grid.column(name)
            together = packed_rows([keys, column.codes])
            if name in roles.used or name in roles.ignored or len(np.unique(together)) < len(together):
                continue
            cells = np.unique(packed_rows([stratum, column.codes]), return_inverse=True)[1]
            if float((np.bincount(cells)[cells] > 1).mean()) >= 0.5:
                roles.ignored[name] = f"every policy has each value once: --case {name} if it says the case"

    def _unused(self, policy: Texts) -> None:
        """Says of ignored columns with few values that they are not the same for all policies."""
        roles, grid = self.roles, self.roles.grid
        for name in grid.names:
            column = grid.column(name)
            kinds = column.used()
            if (
                name in roles.used
                or name in roles.ignored
                or not 2 <= len(kinds) <= 20
                or len(kinds) * 3 > len(column)
            ):
                continue
            if follows(policy, column) or len(policy.used()) < 2:
                continue  # another name of the policy
            if mixes_differ(policy, column):
                roles.ignored[name] = (
                    f"but it differs between policies: if it changes what was tried, {flag('task', name)}"
                )

    def _part(
        self,
        policy: Texts,
        strata: tuple[list[Stratum], NDArray[np.int32]],
        measured: Measured,
        runs: Texts | None,
        case: tuple[tuple[str, ...], Texts | None],
        attempt: Texts | None,
    ) -> TablePart:
        row = measured.row
        named = policy if runs is None else Texts.joined([policy, runs], "/")
        cases, texts = case
        columns = TrialColumns(
            policies=tuple(policy.values),
            strata=tuple(strata[0]),
            runs=tuple(named.values),
            cases=() if texts is None else texts.values,
            policy=policy.codes[row],
            stratum=strata[1][row],
            run=named.codes[row],
            case=np.full(len(row), -1, np.int64) if texts is None else texts.codes[row].astype(np.int64),
            success=measured.success,
            progress=measured.progress,
            weight=measured.weight,
            kinds=measured.kinds,
        )
        grid = self.roles.grid
        return TablePart(
            reading=self._reading(measured),
            columns=_used_names(columns),
            preferences=Preferences(),
            case_columns=cases,
            row=grid.numbers[row],
            counted=measured.form == "counts",
            seeded=grid.seeded,
            attempt=None if attempt is None else attempt_numbers(self.roles, attempt)[row],
            content=_digest(grid),
        )

    def _reading(self, measured: Measured) -> TableReading:
        grid = self.roles.grid
        return TableReading(
            source=grid.source,
            form=", ".join(part for part in (grid.form, measured.text) if part),
            columns=self.roles.columns(),
            rows=len(grid) + sum(one.rows for one in (*grid.left_out, *self.left.made())),
            left_out=(*grid.left_out, *self.left.made(), *measured.left_out),
            notes=(*grid.notes, *self.notes),
        )


def rows_of(grid: Grid, keep: NDArray[np.bool_]) -> Grid:
    """The rows where `keep`, shape (n,), is true."""
    return replace(grid, columns=tuple(c.where(keep) for c in grid.columns), numbers=grid.numbers[keep])


def whole_rows(grid: Grid) -> NDArray[np.int64]:
    """One number for each different row, all columns together; shape (n,)."""
    return np.unique(packed_rows([column.codes for column in grid.columns]), return_inverse=True)[1].astype(np.int64)


def no_equal_counts(roles: Roles, do: str) -> None:
    """BadData where two rows of counts are equal: two sessions, or one pasted twice. `do` is the way out."""
    grid = roles.grid
    whole = whole_rows(grid)
    _, first, counts = np.unique(whole, return_index=True, return_counts=True)
    if len(first) < len(whole):
        rows = np.flatnonzero(whole == whole[first[int(np.argmax(counts > 1))]])[:2]
        shown = " and ".join(grid.row_text(int(r), grid.names[:4]) for r in rows)
        raise BadData(roles.path, "rows", f"rows of counts that differ ({do})", f"equal {shown}")


def _numbers(column: Texts) -> Texts:
    """Cases that are all whole numbers as such: 001, 1.0 and 1 are one."""
    counts = [count_of(text) for text in column.values]
    if not counts or any(n is None for n in counts):
        return column
    places: dict[str, int] = {}
    codes = np.array([places.setdefault(str(n), len(places)) for n in counts], np.int32)
    return Texts(list(places), codes[column.codes])


def _digest(grid: Grid) -> str:
    """Of all cells."""
    digest = hashlib.sha256(repr(grid.names).encode())
    for column in grid.columns:
        digest.update(repr(column.values).encode("utf-8", "surrogatepass"))
        digest.update(np.ascontiguousarray(column.codes).tobytes())
    return digest.hexdigest()


def attempt_numbers(roles: Roles, attempt: Texts) -> NDArray[np.float64]:
    """The number of each row's attempt, shape (n,). BadData: one is no number."""
    numbers = [number_of(text) if text else 0.0 for text in attempt.values]
    for code, number in enumerate(numbers):
        if number is None:
            row = int(np.flatnonzero(attempt.codes == code)[0])
            raise BadData(roles.path, f"attempt of {roles.grid.row_text(row)}", "a number", repr(attempt.values[code]))
    return np.array(numbers, np.float64)[attempt.codes]


def _may_be_a_run(name: str) -> str:
    """What is said of a seed that is a part of the case beside another number."""
    if normal_name(name) not in ("seed", "seeds", "random_seed"):
        return ""
    return f"a part of the case; {flag('run', name)} if it is the seed of the training"


def _choices(names: Sequence[str]) -> list[tuple[str, ...]]:
    """One column, then two, then three, the stronger ones first."""
    return [chosen for size in (1, 2, 3) for chosen in combinations(names[:5], size)]


def _level(role: str, name: str) -> int:
    level = strength(role, name)
    return 99 if level is None else level


def _used_names(columns: TrialColumns) -> TrialColumns:
    """Without policies, strata and runs that no row has."""
    policy, policies = _compact(columns.policy, columns.policies)
    run, runs = _compact(columns.run, columns.runs)
    stratum, strata = _compact(columns.stratum, columns.strata)
    return replace(columns, policy=policy, policies=policies, run=run, runs=runs, stratum=stratum, strata=strata)


def _compact(codes: NDArray[np.int32], names: Sequence[T]) -> tuple[NDArray[np.int32], tuple[T, ...]]:
    used = np.unique(codes)
    place = np.full(len(names), -1, np.int32)
    place[used] = np.arange(len(used))
    return place[codes], tuple(names[k] for k in used)
