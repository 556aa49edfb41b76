"""A table as columns of text: every different text is kept once, and the rows refer to it by number.

Whatever a text means is worked out once for each different text, which is what makes a million rows cheap.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.results.reading import LeftOut

__all__ = ["Counter", "Grid", "GridBuilder", "Texts", "cell_text", "grid_of_rows", "packed_rows"]


_UNSEEN = "\u200b\u200c\u200d\u2060\ufeff"
"""Spaces without a width, which come along when cells are pasted."""


@dataclass(frozen=True, slots=True)
class Texts:
    """One column.

    Args:
        values: its different texts, in the order they come.
        codes: numbers into `values`, int32, shape (n,).
    """

    values: Sequence[str]
    codes: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.codes)

    def at(self, row: int) -> str:
        """The text of a row, counted from 0."""
        return self.values[int(self.codes[row])]

    def where(self, keep: NDArray[np.bool_]) -> Texts:
        """The rows where `keep`, shape (n,), is true."""
        return Texts(self.values, self.codes[keep])

    def used(self) -> list[str]:
        """The different texts that some row has, in the order of `values`."""
        return [self.values[k] for k in np.unique(self.codes)]

    @classmethod
    def same(cls, value: str, rows: int) -> Texts:
        """One text in every row."""
        return cls((value,), np.zeros(rows, np.int32))

    @classmethod
    def of(cls, values: Iterable[str]) -> Texts:
        """The column of these texts."""
        builder = GridBuilder(1)
        builder.add([(value,) for value in values])
        return builder.columns()[0]

    @classmethod
    def joined(cls, parts: Sequence[Texts], between: str = ", ") -> Texts:
        """Several columns as one: their texts with a word between them; empty ones are left out."""
        if len(parts) == 1:
            return parts[0]
        keys, codes = np.unique(packed_rows([part.codes for part in parts]), return_inverse=True)
        first = np.zeros(len(keys), np.int64)
        first[codes[::-1]] = np.arange(len(codes))[::-1]
        values = [between.join(text for part in parts if (text := part.at(int(row)))) for row in first]
        return cls(values, codes.astype(np.int32))


def packed_rows(codes: Sequence[NDArray[Any]]) -> NDArray[np.int64]:
    """One number for each different row of several columns of numbers, int64, shape (n,)."""
    packed = np.zeros(len(codes[0]), np.int64)
    for column in codes:
        size = int(column.max()) + 2 if len(column) else 1
        if len(packed) and int(packed.max()) > (2**62) // size:
            packed = np.unique(packed, return_inverse=True)[1].astype(np.int64)
        packed = packed * size + (column.astype(np.int64) + 1)
    return packed


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A table of one file, or of one sheet of one.

    Args:
        source: the file's name, with the sheet's.
        names: of the columns, each once.
        columns: as many.
        numbers: which row of the file each is, counted from 1 below the header; shape (n,).
        left_out: rows that hold no data.
        notes: what was assumed to get so far.
        form: what it is, where the file's layout says so.
        policy: whose results they are, where the table does not say.
        seeded: `False` where the layout has no place for cases, so that none can be recognised.
    """

    source: str
    names: tuple[str, ...]
    columns: tuple[Texts, ...]
    numbers: NDArray[np.int64]
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()
    form: str = ""
    policy: str = ""
    seeded: bool = True

    def __len__(self) -> int:
        return len(self.numbers)

    def column(self, name: str) -> Texts:
        return self.columns[self.names.index(name)]

    def row_text(self, row: int, names: Sequence[str] = ()) -> str:
        """`row 3 (policy a, seed 1)`, for messages."""
        shown = [f"{name.strip()} {self.column(name).at(row) or 'empty'}" for name in names]
        return f"row {self.numbers[row]}" + (f" ({', '.join(shown)})" if shown else "")


class GridBuilder:
    """Takes rows of texts, a few thousand at a time."""

    def __init__(self, width: int) -> None:
        self.width = width
        self._places: list[dict[str, int]] = [{} for _ in range(width)]
        self._codes: list[list[NDArray[np.int32]]] = [[] for _ in range(width)]

    def add(self, rows: Sequence[Sequence[str]]) -> None:
        """Rows of at most `width` texts; what is missing is empty."""
        for k, column in enumerate(self._turned(rows)):
            places = self._places[k]
            self._codes[k].append(
                np.fromiter((places.setdefault(text, len(places)) for text in column), np.int32, len(rows))
            )

    def _turned(self, rows: Sequence[Sequence[str]]) -> Iterable[Sequence[str]]:
        width = self.width
        even = rows if all(len(row) == width for row in rows) else [(*row, *[""] * (width - len(row))) for row in rows]
        return zip(*even, strict=True)

    def columns(self) -> tuple[Texts, ...]:
        """What was added, texts without blanks around them."""
        made = []
        for places, codes in zip(self._places, self._codes, strict=True):
            numbers = np.concatenate([np.zeros(0, np.int32), *codes])
            made.append(_stripped(list(places), numbers))
        return tuple(made)


def _stripped(values: list[str], codes: NDArray[np.int32]) -> Texts:
    short = [value if value.isascii() and value.strip() == value else _plain(value) for value in values]
    places: dict[str, int] = {}
    numbers = np.fromiter((places.setdefault(text, len(places)) for text in short), np.int32, len(short))
    return Texts(list(places), numbers[codes] if len(places) < len(values) else codes)


def _plain(value: str) -> str:
    """Without blanks around it, and without signs that nobody sees."""
    if any(sign in value for sign in _UNSEEN):
        value = "".join(sign for sign in value if sign not in _UNSEEN)
    return " ".join(value.split()) if value.strip() != value or "\xa0" in value else value


def cell_text(value: Any) -> str:
    """A cell of a typed table as text: whole numbers without a point, nothing as an empty text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if math.isnan(value):
            return "nan"
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    if isinstance(value, str):
        return value
    return str(value)


def grid_of_rows(source: str, rows: Sequence[Mapping[str, Any]], **told: Any) -> Grid:
    """A table of objects; columns are all keys, in the order they come."""
    names = list(dict.fromkeys(key for row in rows for key in row))
    builder = GridBuilder(len(names))
    builder.add([[cell_text(row.get(name)) for name in names] for row in rows])
    return Grid(
        source=source,
        names=tuple(map(str, names)),
        columns=builder.columns(),
        numbers=np.arange(1, len(rows) + 1),
        **told,
    )


@dataclass(slots=True)
class Counter:
    """How often rows were left out, by reason; and the numbers of those that end before their last column."""

    counts: dict[str, int] = field(default_factory=dict)
    short: list[int] = field(default_factory=list)

    def add(self, because: str, rows: int = 1) -> None:
        if rows:
            self.counts[because] = self.counts.get(because, 0) + rows

    def made(self) -> tuple[LeftOut, ...]:
        return tuple(LeftOut(rows, because) for because, rows in self.counts.items())
