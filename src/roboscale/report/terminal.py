"""What pages say, for terminals: aligned columns, wrapped sentences, nothing that could steer the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

__all__ = ["plain", "text_table", "wrapped"]


def plain(line: str) -> str:
    """A string that is safe on a terminal: any space becomes a plain one, other invisible letters `?`."""
    return "".join(c if c.isprintable() else " " if c.isspace() else "?" for c in line)


def text_table(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> list[str]:
    """Lines of a table whose columns stand under their names; those of number `right` are set flush right."""
    lines = [[plain(cell) for cell in row] for row in (columns, *rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    return [
        "  ".join(
            c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]


def wrapped(sentence: str, indent: str = "") -> list[str]:
    """Lines of at most 100 characters, safe for a terminal."""
    return textwrap.wrap(
        plain(sentence),
        100,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
