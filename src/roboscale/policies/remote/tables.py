"""Strict reading of a small TOML or JSON file: every error names file and field, no key is silently ignored.

Knows types and files. Does not know what the values mean.
"""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from roboscale.core import BadData, UnknownName

__all__ = ["Table", "read_table"]


class Table:
    """One table of the file; `done` complains of the keys that nobody asked for."""

    def __init__(self, file: str, values: Mapping[str, Any], where: str = "") -> None:
        self.file = file
        self._values, self._where = values, where
        self._asked: set[str] = set()

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def bad(self, key: str, expected: object, found: object) -> BadData:
        """The error for one field, to be raised."""
        return BadData(self.file, self.path(key), expected, found)

    def path(self, key: str) -> str:
        return f"{self._where}.{key}" if self._where else key

    def text(self, key: str, default: str | None = None) -> str:
        """A string; required where `default` is `None`."""
        value = self._get(key, default)
        if not isinstance(value, str):
            raise self.bad(key, "text", _say(value))
        return value

    def choice(self, key: str, options: Iterable[str], default: str | None = None) -> str:
        """A string out of `options`."""
        value, valid = self.text(key, default), sorted(options)
        if value not in valid:
            raise self.bad(key, f"one of {', '.join(valid)}", repr(value))
        return value

    def flag(self, key: str, default: bool = False) -> bool:
        value = self._get(key, default)
        if not isinstance(value, bool):
            raise self.bad(key, "true or false", _say(value))
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of strings, or one; empty where it is left out."""
        value = self._get(key, [])
        found = [value] if isinstance(value, str) else value
        if not isinstance(found, list) or not all(isinstance(v, str) for v in found):
            raise self.bad(key, "text or a list of texts", _say(value))
        return tuple(found)

    def count(self, key: str, default: int | None = None) -> int | None:
        """An integer of 1 or more, or `None` where it is left out and has no default."""
        if key not in self and default is None:
            self._asked.add(key)
            return None
        value = self._get(key, default)
        if type(value) is not int or value < 1:
            raise self.bad(key, "an integer of 1 or more", _say(value))
        return value

    def integers(self, key: str) -> tuple[int, ...] | None:
        """A list of integers >= 0, or `None` where it is left out."""
        value = self._get(key, None, optional=True)
        if value is None:
            return None
        if not isinstance(value, list) or not value or not all(type(v) is int and v >= 0 for v in value):
            raise self.bad(key, "a list of integers of 0 or more", _say(value))
        return tuple(value)

    def numbers(self, key: str, *, required: bool = False) -> tuple[float, ...] | None:
        """A list of finite numbers, or `None` where it may be and is left out."""
        value = self._get(key, None, optional=not required)
        if value is None:
            return None
        if not isinstance(value, list) or not value or not all(_is_number(v) for v in value):
            raise self.bad(key, "a list of finite numbers", _say(value))
        return tuple(float(v) for v in value)

    def number(self, key: str) -> float | None:
        """A finite number, or `None` where it is left out."""
        value = self._get(key, None, optional=True)
        if value is not None and not _is_number(value):
            raise self.bad(key, "a finite number", _say(value))
        return None if value is None else float(value)

    def table(self, key: str, *, optional: bool = False) -> Table:
        """A table inside this one; empty where it may be and is left out."""
        value = self._get(key, {} if optional else None)
        if not isinstance(value, dict):
            raise self.bad(key, "a table", _say(value))
        return Table(self.file, value, self.path(key))

    def tables(self, key: str) -> list[Table]:
        """A list of tables, `[[key]]` in TOML."""
        value = self._get(key, None)
        if not isinstance(value, list) or not all(isinstance(v, dict) for v in value):
            raise self.bad(key, "a list of tables", _say(value))
        return [Table(self.file, v, f"{self.path(key)}[{i}]") for i, v in enumerate(value)]

    def done(self) -> None:
        """UnknownName for the first key that was never asked for."""
        for key in self._values:
            if key not in self._asked:
                raise UnknownName(f"key in {self.file}: {self._where or 'top level'}:", key, self._asked)

    def _get(self, key: str, default: object, *, optional: bool = False) -> Any:
        self._asked.add(key)
        if key not in self._values and default is None and not optional:
            raise self.bad(key, "a value", "nothing")
        return self._values.get(key, default)


def read_table(path: Path) -> Table:
    """The whole of a TOML file, or of a JSON file where the name ends in `.json`.

    Raises:
        BadData: the file cannot be read, or is not of its format.
    """
    kind = "JSON" if path.suffix == ".json" else "TOML"
    try:
        text = path.read_text(encoding="utf-8")
        values = json.loads(text) if kind == "JSON" else tomllib.loads(text)
    except OSError as error:
        raise BadData(path, "file", f"a {kind} file", error.strerror or error) from error
    except ValueError as error:  # what both parsers and the decoder raise
        raise BadData(path, "file", kind, error) from error
    if not isinstance(values, dict):
        raise BadData(path, "file", "a table", _say(values))
    return Table(str(path), values)


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]


def _say(value: object) -> str:
    return str(value) if len(str(value)) <= 60 else f"{str(value)[:57]}..."
