"""Lines of a profile: where each goes, and the text of the profile with it.

Knows TOML as people write profiles. Does not know what the lines mean.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from roboscale.core import RoboscaleError
from roboscale.core.plain import Plain

__all__ = ["Line", "apply_lines", "toml_value"]

_HEADER = re.compile(r"\s*(\[\[?)\s*([\w.]+)\s*\]\]?\s*(?:#.*)?$")


@dataclass(frozen=True, slots=True)
class Line(Plain):
    """One `key = value` of a profile.

    Args:
        table: empty for the top, `action`, `observation[0]`, `observation[0].part[1]`, `action.part[1]`.
        key, value: as TOML writes them.
    """

    table: str
    key: str
    value: str

    @property
    def text(self) -> str:
        return f"{self.key} = {self.value}"

    @property
    def header(self) -> str:
        """As it stands above the line in the file; empty for the top."""
        name = re.sub(r"\[\d+\]", "", self.table)
        return "" if not name else f"[[{name}]]" if self.table.endswith("]") else f"[{name}]"


def toml_value(value: object) -> str:
    """Texts, numbers and lists of them as TOML writes them."""
    if isinstance(value, float):
        return repr(round(value, 9))
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(toml_value(v) for v in value) + "]"
    return json.dumps(value)


def apply_lines(text: str, lines: Iterable[Line]) -> str:
    """The text of a profile in which every line replaces the one of its key, or is added to its table.

    Raises:
        RoboscaleError: a table that the text does not have.
    """
    for line in lines:
        rows = text.splitlines()
        begin, end = _region(rows, line)
        old = _value_of(rows, begin, end, line.key)
        if old is None:
            while end > begin and not rows[end - 1].strip():
                end -= 1
            old = (end, end)
        rows[old[0] : old[1]] = [line.text]
        text = "\n".join(rows) + "\n"
    return text


def _region(rows: Sequence[str], line: Line) -> tuple[int, int]:
    """The rows of a table's own keys."""
    headers = [(i, match[2], match[1]) for i, row in enumerate(rows) if (match := _HEADER.match(row))]
    ends = [i for i, _, _ in headers[1:]] + [len(rows)]
    if not line.table:
        return 0, headers[0][0] if headers else len(rows)
    counts: dict[str, int] = {}
    for (at, name, brackets), end in zip(headers, ends, strict=True):
        if brackets == "[[":
            counts[name] = counts.get(name, -1) + 1
            for inner in [n for n in counts if n.startswith(name + ".")]:
                del counts[inner]
        if _place(name, counts) == line.table:
            return at + 1, end
    raise RoboscaleError(f"the profile has no table {line.table}: write it as tables of its own, not inside braces")


def _place(name: str, counts: dict[str, int]) -> str:
    """`observation.part` -> `observation[2].part[0]`."""
    parts, words = [], name.split(".")
    for depth, word in enumerate(words, 1):
        number = counts.get(".".join(words[:depth]))
        parts.append(word if number is None else f"{word}[{number}]")
    return ".".join(parts)


def _value_of(rows: Sequence[str], begin: int, end: int, key: str) -> tuple[int, int] | None:
    """The rows of a key and its value, which may be a list over several."""
    for at in range(begin, end):
        if re.match(rf"\s*{re.escape(key)}\s*=", rows[at]):
            depth, last = 0, at
            while last < end:
                row = re.sub(r'"[^"]*"', '""', rows[last]).partition("#")[0]
                depth += row.count("[") + row.count("{") - row.count("]") - row.count("}")
                last += 1
                if depth <= 0:
                    break
            return at, last
    return None
