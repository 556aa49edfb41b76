"""Lines of cells as a grid: where the table begins, which rows are none, and what separates cells."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter as Tally
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from roboscale.core import BadData
from roboscale.results.grid import Counter, Grid, GridBuilder
from roboscale.results.headers import UPPER_HEADER, groups_of_header, is_title
from roboscale.results.hints import OTHER_KINDS, hint_of_text
from roboscale.results.names import COLUMNS, strength
from roboscale.results.values import number_of, success_of

__all__ = ["grid_of_cells", "grid_of_text"]

_DELIMITERS = (",", ";", "\t", "|")
_LOOKED_AT = 60
_CHUNK = 50_000
_TOLD = re.compile(r"\"?sep=([,;\t|])\"?[,;\t|]*[ ]*(?:\r\n|\r|\n)", re.IGNORECASE)
"""The first line of a CSV that Excel is to open: it says what separates the cells."""
_DASHES = set("-:= ")
_EMPHASIS = re.compile(r"(\*\*|__|\*|`)(.+?)\1")

Row = Sequence[str]


def grid_of_text(path: Path, name: str, text: str, notes: list[str]) -> Grid:
    """A CSV: delimiter, title lines, comments and empty lines are found out and said.

    Raises:
        BadData: it is no table, or a row has more cells than there are columns.
    """
    if "\0" in text:
        raise BadData(path, "file", "a table as text", "binary data")
    told = _TOLD.match(text)
    text = text[told.end() :] if told else text
    delimiter = told[1] if told else _delimiter(text)
    if told:
        notes = [*notes, f"the first line, {told[0].strip()}, says what separates cells"]
    elif delimiter != ",":
        notes = [*notes, f"cells are separated by {'tabs' if delimiter == chr(9) else delimiter}"]
    try:
        rows = _edged(_whole_records(path, text, delimiter), delimiter)
        head = list(islice(rows, _LOOKED_AT))
        _no_other_text(path, text, head)
        return _grid(path, name, head, rows, tuple(notes))
    except csv.Error as error:
        raise BadData(path, "file", "a CSV table", error) from error


def _no_other_text(path: Path, text: str, head: Sequence[Row]) -> None:
    """BadData for a text without columns, or one of another kind: what it may be, in its own words."""
    if not any(any(cell.strip() for cell in row) for row in head):
        return
    hint = hint_of_text(text[: 2**16])
    alone = max(sum(bool(cell.strip()) for cell in row) for row in head) < 2
    if (alone and not any(_is_known(cell) for row in head for cell in row)) or hint.startswith(OTHER_KINDS):
        expected = "a header with names that are known, and rows, cells separated by , ; | or tabs"
        raise BadData(path, "table", expected, hint)


def grid_of_cells(path: Path, name: str, rows: Sequence[Row]) -> Grid:
    """A sheet: the same, with cells that stand where they stand. BadData: it is no table."""
    used = max((k for row in rows for k, cell in enumerate(row, 1) if cell.strip()), default=0)
    cells = iter([row[:used] for row in rows])
    return _grid(path, name, list(islice(cells, _LOOKED_AT)), cells, (), width=used)


def _records(text: str, delimiter: str) -> Iterator[Row]:
    csv.field_size_limit(2**27)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    return _edged(rows, delimiter)


def _edged(rows: Iterator[Row], delimiter: str) -> Iterator[Row]:
    return (_without_edges(row) for row in rows) if delimiter == "|" else rows


def _whole_records(path: Path, text: str, delimiter: str) -> Iterator[Row]:
    """The rows. BadData where a quote that nobody closed would swallow the rows below it.

    A cell may hold lines; it is looked at again, strictly, and only then. A quote inside one line harms nothing.
    """
    csv.field_size_limit(2**27)
    told: dict[str, Any] = {"delimiter": delimiter, "skipinitialspace": True}
    if '"' not in text:
        yield from csv.reader(io.StringIO(text, newline=""), **told)
        return
    lines: list[str] = []

    def kept() -> Iterator[str]:
        for line in io.StringIO(text, newline=""):
            lines.append(line)
            yield line

    rows = csv.reader(kept(), **told)
    for row in rows:
        if len(lines) > 1:
            try:
                list(csv.reader(lines, strict=True, **told))
            except csv.Error as error:
                first, last = rows.line_num - len(lines) + 1, rows.line_num
                expected = 'each quoted cell closed with " before the next row'
                more = f"{last - first} more line{'' if last - first == 1 else 's'}"
                found = f"one in {lines[0].strip()[:60]!r} that runs on over {more}, to line {last}"
                raise BadData(path, f"line {first}", expected, found) from error
        lines.clear()
        yield row


def _without_edges(row: Row) -> Row:
    """A row of a Markdown table has an empty cell at both ends, and cells in bold or as code."""
    row = row[1:] if row and not row[0].strip() else row
    row = row[:-1] if row and not row[-1].strip() else row
    return [_EMPHASIS.sub(r"\2", cell.strip()) for cell in row]


def _delimiter(text: str) -> str:
    """What gives most rows one width above 1; a comma inside numbers does not."""
    sample = text[: 2**16]
    best, score = ",", 0.0
    for delimiter in _DELIMITERS:
        try:
            rows = [row for row in islice(_records(sample, delimiter), _LOOKED_AT) if any(c.strip() for c in row)]
        except csv.Error:
            continue
        if not rows:
            continue
        width, count = Tally(len(row) for row in rows).most_common(1)[0]
        known = max(sum(_is_known(cell) for cell in row) for row in rows[:10])
        value = (known + 1) * count / len(rows) if width > 1 else 0.0
        if value > score:
            best, score = delimiter, value
    return best


def _is_known(cell: str) -> bool:
    return bool(cell.strip()) and any(strength(role, cell) is not None for role in COLUMNS)


def _header(path: Path, head: Sequence[Row]) -> int:
    """The place of the header: the first row that is as full as most and knows the most names."""
    full = [sum(bool(cell.strip()) for cell in row) for row in head]
    if not any(full):
        raise BadData(path, "table", "a header and rows", "no text" if not head else "empty lines")
    usual = Tally(n for n in full if n).most_common(1)[0][0]
    candidates = [k for k, n in enumerate(full) if n >= max(min(usual, 2), (usual + 1) // 2)][:10]
    known = {k: 0 if is_title(head[k]) else _names_known(head, k) for k in candidates}
    most = max(known.values(), default=0)
    return next(k for k in candidates if known[k] == most) if candidates else next(k for k, n in enumerate(full) if n)


def _names_known(head: Sequence[Row], place: int) -> int:
    """How many cells of a row are names of columns that we know.

    `success` is a name and a value, too. Where other rows have such words in that column, it is a value: a row
    `1,success,fail` below `trial,ACT,DP` is no header.
    """

    def is_value(text: str) -> bool:
        return number_of(text) is None and success_of(text) in (0.0, 1.0)

    known, row = 0, head[place]
    for k, cell in enumerate(row):
        others = [other[k].strip() for other in head if len(other) > k and other != row]
        known += _is_known(cell.lstrip("# ")) and not (is_value(cell.strip()) and any(map(is_value, others)))
    return known


def _grid(
    path: Path, name: str, head: Sequence[Row], rest: Iterator[Row], notes: tuple[str, ...], width: int = 0
) -> Grid:
    """The table below its header; `width` columns at least, those without a name included."""
    place = _header(path, head)
    titles = [" ".join(dict.fromkeys(cell.strip() for cell in row if cell.strip())) for row in head[:place]]
    notes = (*notes, *_not_read([title for title in titles if title]))
    names = [cell.strip() for cell in head[place]]
    while names and not names[-1]:
        names.pop()
    names += [""] * (width - len(names))
    if names and names[0].startswith("#") and len(names[0]) > 1 and _is_known(names[0].lstrip("# ")):
        names[0] = names[0].lstrip("# ")
    below = head[place + 1 :]
    groups = groups_of_header(head[place - 1], names) if place else None
    if groups is not None:
        shown = ", ".join(groups.columns)
        said = f"two rows of headers: each of these is a {groups.role}: {shown}"
        said = said.replace(f"is a {UPPER_HEADER}", "stands in the upper one")
        titles = [title for title in titles[:-1] if title]
        notes = (*(note for note in notes if "above the header" not in note), *_not_read(titles), said)
        rows = (part for row in _chain(below, rest) if any(map(str.strip, row)) for part in groups.rows(row))
        return _filled(path, name, groups.header(names), rows, notes)
    if below and len(below[0]) == len(names) and all(cell and set(cell) <= _DASHES for cell in below[0]):
        below = below[1:]  # the line below the header of a Markdown table
    return _filled(path, name, names, _chain(below, rest), notes)


def _not_read(titles: Sequence[str]) -> list[str]:
    lines = f"{len(titles)} line{'s' if len(titles) > 1 else ''} above the header not read"
    return [f"{lines}: {'; '.join(titles)[:120]}"] if titles else []


def _chain(head: Sequence[Row], rest: Iterator[Row]) -> Iterator[Row]:
    yield from head
    yield from rest


def _filled(path: Path, name: str, names: list[str], rows: Iterator[Row], notes: tuple[str, ...]) -> Grid:
    width = len(names)
    second = min(1, width - 1)
    builder, left, numbers, start = GridBuilder(width), Counter(), [], 0
    firsts: set[str] = set()
    while chunk := list(islice(rows, _CHUNK)):
        if all(
            len(row) == width and row[second] and row[0] and row[0][0] != "#" and row[0].strip() != names[0]
            for row in chunk
        ):
            kept, places = chunk, list(range(start + 1, start + len(chunk) + 1))
            firsts.update(row[0] for row in chunk)
        else:
            kept, places = _kept(path, chunk, names, start, left, firsts)
        builder.add(kept)
        numbers.append(np.asarray(places, np.int64))
        start += len(chunk)
    columns = builder.columns()
    unnamed = [k for k, title in enumerate(names) if not title]
    for k in unnamed:
        names[k] = f"column {k + 1}"
    if 0 < len(left.short) <= start // 2:  # a spreadsheet may end all its rows at their last filled cell
        which = ", ".join(map(str, left.short[:5])) + (
            f" and {len(left.short) - 5} more" if len(left.short) > 5 else ""
        )
        notes = (*notes, f"fewer cells than the header has, the rest taken as empty: row {which}")
    return Grid(
        source=name,
        names=tuple(names),
        columns=columns,
        numbers=np.concatenate([np.zeros(0, np.int64), *numbers]),
        left_out=left.made(),
        notes=notes,
    )


def _kept(
    path: Path, chunk: Sequence[Row], names: Sequence[str], start: int, left: Counter, firsts: set[str]
) -> tuple[list[Row], list[int]]:
    """The rows that are data, of the same width, and their numbers; why the others are none is counted."""
    width = len(names)
    kept: list[tuple[int, Row]] = []
    alone: list[tuple[int, Row]] = []  # rows of a first cell, as long as nothing else has come
    between: list[tuple[int, Row]] = []
    called = firsts | _called(chunk, width)
    for number, row in enumerate(chunk, start + 1):
        if not any(cell and not cell.isspace() for cell in row):
            left.add("nothing in them")
        elif _is_remark(row, width, called):
            left.add("begin with #")
        elif [cell.strip() for cell in row[:width]] == list(names):
            _no_headings(path, alone)
            left.add("the header again")
        elif _is_alone(row, width, firsts):
            alone.append((number, row))
        else:
            if any(cell.strip() for cell in row[width:]):
                raise BadData(path, f"row {number}", f"{width} cells, as the header has", f"{len(row)}: {_shown(row)}")
            _no_headings(path, [one for one in alone if ":" in one[1][0]])
            between += alone
            if len(row) < width:
                left.short.append(number)
            kept += [*alone, (number, row)]
            alone = []
            firsts.add(row[0])
    if width > 2 and len({row[0] for _, row in between}) > 1:
        _no_headings(path, between)
    if width > 2:
        shown = "; ".join(row[0].strip()[:30] for _, row in alone[:3]) + (" ..." if len(alone) > 3 else "")
        left.add(f"only their first cell is filled ({shown})", len(alone))
    else:
        kept += alone
    return [[*row[:width], *[""] * (width - len(row))] for _, row in kept], [number for number, _ in kept]


def _is_alone(row: Row, width: int, firsts: set[str]) -> bool:
    """Whether only the first cell of a row is filled, with a text that no row before has there, and no number."""
    if width < 2 or row[0] in firsts or any(cell.strip() for cell in row[1:]):
        return False
    return number_of(row[0].strip()) is None


def _no_headings(path: Path, alone: Sequence[tuple[int, Row]]) -> None:
    """BadData where rows of one cell stand above others: they would say what those are of."""
    if alone:
        expected = "one table, with a column for what headings between its rows say (or a file each)"
        raise BadData(path, f"row {alone[0][0]}", expected, repr(alone[0][1][0]))


def _called(chunk: Sequence[Row], width: int) -> set[str]:
    """First cells of full rows. One that begins with # counts where no row has it without: `#1` is a name then."""
    full = {row[0] for row in chunk if len(row) == width and row[0] and any(cell.strip() for cell in row[1:])}
    plain = {name for name in full if not name.startswith("#")}
    return plain | {name for name in full - plain if name.lstrip("# ") not in plain}


def _is_remark(row: Row, width: int, firsts: set[str]) -> bool:
    """Whether a row that begins with # is no data: one that was commented out, or of another width than the table.

    A policy may be called #1; a name that other rows have, too, is a name, and so is #2 where #1 is one.
    """
    if not row[0].startswith("#") or row[0] in firsts:
        return False
    if len(row) > width and row[0][1:2].strip() and any(name.startswith("#") for name in firsts):
        return False
    return len(row) != width or row[0].lstrip("# ") in firsts


def _shown(row: Row) -> str:
    return ", ".join(row)[:100]
