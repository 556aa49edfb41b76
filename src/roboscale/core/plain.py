"""Values as JSON types: the one way from a dataclass to a file, a page or a terminal.

A class inherits `Plain`, and its `to_json` goes through its fields; what differs from the fields is said where the
field is declared (`OMITTED`, `SPREAD`, `called`) or in `json_also`. Only a class whose JSON is more than that writes
its own. Does not read: the inverse, `from_json`, belongs to the class, which knows what a field may be.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Set
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time
from enum import Enum
from pathlib import PurePath
from typing import Any, ClassVar

import numpy as np

__all__ = ["OMITTED", "SPREAD", "Plain", "called", "spelt", "to_plain"]

OMITTED: Mapping[str, Any] = {"json": None}
"""Metadata of a field that has no place in the JSON."""

SPREAD: Mapping[str, Any] = {"json": "**"}
"""Metadata of a field whose own entries stand in its place."""


def called(name: str) -> Mapping[str, Any]:
    """Metadata of a field that is called otherwise in the JSON."""
    return {"json": name}


class Plain:
    """A dataclass that is written as JSON, field by field.

    Example:
        >>> from dataclasses import dataclass, field
        >>> from pathlib import Path
        >>> @dataclass
        ... class Written(Plain):
        ...     out: Path = field(metadata=called("file"))
        ...     losses: tuple[float, ...]
        >>> Written(Path("a.json"), (1.0, float("nan"))).to_json()
        {'file': 'a.json', 'losses': [1.0, None]}
    """

    __slots__ = ()

    json_also: ClassVar[tuple[str, ...]] = ()
    """Properties that are written after the fields."""

    def to_json(self) -> dict[str, Any]:
        """JSON types only; raises what `to_plain` raises."""
        return _by_fields(self)


def to_plain(value: Any) -> Any:
    """`value` as JSON types.

    Args:
        value: dataclasses become objects, by their `to_json` where they have one; numpy's scalars and arrays, enums,
            paths, dates, mappings, sequences and sets (sorted) become what they hold. NaN and infinity, which JSON
            does not know, become null; bytes (films, pictures) their size and SHA-256.

    Raises:
        TypeError: a value of another type, or a mapping whose keys are no texts, paths or integers.
    """
    if value is None or isinstance(value, str | bool | int):
        return value.value if isinstance(value, Enum) else value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if hasattr(value, "to_json"):
        return to_plain(value.to_json())  # one that is written by hand may hold values as they are
    if is_dataclass(value) and not isinstance(value, type):
        return _by_fields(value)
    if isinstance(value, Mapping):
        return {_key(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    return _plain_leaf(value)


def spelt(value: Any) -> Any:
    """JSON types with every number in them that is not finite as a text, for what is kept: null is nothing measured.

    Example:
        >>> spelt({"force": float("nan"), "height": None, "widths": [1.0, float("inf")]})
        {'force': 'nan', 'height': None, 'widths': [1.0, 'inf']}
    """
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {key: spelt(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [spelt(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _plain_leaf(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return to_plain(value.tolist())
    if isinstance(value, Set):
        return sorted(to_plain(item) for item in value)
    if isinstance(value, Enum):
        return to_plain(value.value)
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return {"bytes": len(value), "sha256": hashlib.sha256(value).hexdigest()}
    raise TypeError(f"no JSON is known for {type(value).__qualname__}: {value!r}")


def _by_fields(value: Any) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for field in fields(value):
        name = field.metadata.get("json", field.name)
        if name == "**":
            data |= to_plain(getattr(value, field.name))
        elif name is not None:
            data[name] = to_plain(getattr(value, field.name))
    return data | {name: to_plain(getattr(value, name)) for name in getattr(value, "json_also", ())}


def _key(key: object) -> str:
    if isinstance(key, Enum):
        key = key.value
    if isinstance(key, str | PurePath) or (isinstance(key, int) and not isinstance(key, bool)):
        return str(key)
    raise TypeError(f"a key of a JSON object is a text, not {key!r}")
