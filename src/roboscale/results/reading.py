"""How a table was read: what each column was used as, what was left out, and what makes two rows the same case."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from roboscale.core.plain import Plain

__all__ = ["AS_THEY_ARE", "LeftOut", "Pairing", "ReadOptions", "ResultsReading", "TableColumn", "TableReading"]

Pairing = Literal["paired", "independent", "preferences"]
"""What the rows of different policies have to do with each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """What the reader of a table need not guess.

    Args:
        columns: role -> the column that has it, several joined as `NAME+NAME`; `progress` -> `score/10` says the
            scale, too.
        case_scope: whether equal case numbers in two files are the same case: `file` says no, `across` yes.
        pairing: `paired` or `independent`, against what the columns say.
        task, world: only these rows.
        sheet: of a spreadsheet.
        higher_is_better: of the progress column.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    case_scope: Literal["auto", "file", "across"] = "auto"
    pairing: Literal["auto", "paired", "independent"] = "auto"
    task: str = ""
    world: str = ""
    sheet: str = ""
    higher_is_better: bool | None = None


AS_THEY_ARE = ReadOptions()
"""Nothing is said beyond the table."""


@dataclass(frozen=True, slots=True)
class TableColumn:
    """One column of a table: its role (empty where it was ignored), and why."""

    name: str
    role: str
    because: str = ""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """So many rows were not counted, and why."""

    rows: int
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TableReading:
    """How one file, or one sheet of one, was read.

    Args:
        source: the file's name.
        form: in words, e.g. `one row a trial`.
        columns: all of them, in their order.
        rows: how many there were below the header.
        left_out: rows that were not counted.
        notes: what else was assumed, e.g. a decimal comma or what 0.5 means.
    """

    source: str
    form: str
    columns: tuple[TableColumn, ...] = ()
    rows: int = 0
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()

    def lines(self) -> Iterator[str]:
        """For people, the shortest that says everything."""
        left = "".join(f"; {_many(one.rows, 'row')} left out: {one.because}" for one in self.left_out)
        yield f"{self.source}: {self.form}, {_many(self.rows, 'row')} read{left}"
        if used := [c for c in self.columns if c.role]:
            yield f"{self.source}: used {', '.join(_use(c) for c in used)}"
        if ignored := [c for c in self.columns if not c.role]:
            yield f"{self.source}: ignored {', '.join(f'{c.name!r} ({c.because})' for c in ignored)}"
        for note in self.notes:
            yield f"{self.source}: {note}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultsReading(Plain):
    """How everything was read that a question rests on.

    Args:
        pairing: what the rows of two policies have to do with each other.
        case: in words, what makes two rows the same case, or why no two are.
        paired: whether the same case under two policies can be recognised; of preferences, in the trials beside them.
        notes: what else was assumed of all tables together.
    """

    tables: tuple[TableReading, ...] = ()
    pairing: Pairing = "independent"
    case: str = "nothing was read"
    paired: bool = False
    notes: tuple[str, ...] = ()

    def lines(self) -> tuple[str, ...]:
        """For people."""
        return (
            *(line for table in self.tables for line in table.lines()),
            *self.notes,
            f"{self.pairing}: {self.case}",
        )


def _use(column: TableColumn) -> str:
    because = f" ({column.because})" if column.because else ""
    return f"{column.name!r} as {column.role}{because}"


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
