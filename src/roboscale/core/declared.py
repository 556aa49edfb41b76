"""Files that a user writes, TOML or JSON: read strictly, every error one line with file, key and both sides.

The structure is a `msgspec.Struct` with `forbid_unknown_fields`, written by the room that reads the file. An unknown
key is an error that suggests the near one; a wrong type or choice says what was expected and what is there.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

from roboscale.core.errors import BadData, UnknownName

__all__ = ["as_declared", "read_declared"]

T = TypeVar("T")
_AT = re.compile(r"^(?P<said>.*?)(?: - at `(?:key in )?\$(?P<path>.*)`)?$", re.DOTALL)


def read_declared(path: Path, kind: type[T]) -> T:
    """The whole of a TOML file, or of a JSON file where the name ends in `.json`.

    Raises:
        BadData: it cannot be read, or is not what `kind` says; names file, key and both sides.
        UnknownName: a key that `kind` does not have; suggests the near one.
    """
    name = "JSON" if path.suffix == ".json" else "TOML"
    try:
        text = path.read_text(encoding="utf-8")
        values = json.loads(text) if name == "JSON" else tomllib.loads(text)
    except OSError as error:
        raise BadData(path, "file", f"a {name} file", error.strerror or error) from error
    except ValueError as error:  # what both parsers and the decoder raise
        raise BadData(path, "file", name, error) from error
    return as_declared(values, kind, path)


def as_declared(values: object, kind: type[T], file: object) -> T:
    """Parsed values as `kind`; errors as for `read_declared`."""
    import msgspec

    try:
        return msgspec.convert(values, kind, strict=True)
    except msgspec.ValidationError as error:
        raise _error(str(error), values, kind, file) from None


def _error(text: str, values: object, kind: type, file: object) -> Exception:
    match = _AT.match(text)
    assert match is not None, "the pattern takes any text"
    said, path = match["said"], (match["path"] or "").lstrip(".")
    unknown = re.search(r"unknown field `(.+)`", said)
    if unknown:
        return UnknownName(f"key in {file}: {path or 'top level'}:", unknown[1], _keys(kind, path))
    missing = re.search(r"missing required field `(.+)`", said)
    if missing:
        key = ".".join(part for part in (path, missing[1]) if part)
        return BadData(file, key, f"one of the keys {', '.join(_required(kind, path))}", "nothing")
    expected, _, got = said.partition(", got ")
    return BadData(file, path or "file", expected.removeprefix("Expected ").replace("`", ""), _seen(values, path, got))


def _seen(values: object, path: str, got: str) -> str:
    """The value itself where the path leads to one, else what the validator says of it."""
    value = values
    for step in re.findall(r"[^.\[\]]+", path):
        if step == "...":
            return got.replace("`", "") or "something else"
        try:
            value = value[int(step)] if isinstance(value, list) else value[step]  # type: ignore[index]
        except (KeyError, IndexError, TypeError, ValueError):
            return got.replace("`", "") or "something else"
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."


def _struct_at(kind: Any, path: str) -> list[Any]:
    """The structures that may stand at a path; several where a value may be one of several."""
    reached = _structs(kind)
    for step in re.findall(r"[^.\[\]]+", path):
        if step.isdigit() or step == "...":
            continue
        hints = [_hints(struct).get(step) for struct in reached]
        reached = [inner for hint in hints if hint is not None for inner in _structs(hint)]
    return reached


def _structs(hint: Any) -> list[Any]:
    """Every structure inside a type."""
    if hasattr(hint, "__struct_fields__"):
        return [hint]
    return [inner for arg in get_args(hint) for inner in _structs(arg)]


def _hints(struct: Any) -> Mapping[str, Any]:
    import msgspec

    return {field.encode_name: field.type for field in msgspec.structs.fields(struct)}


def _keys(kind: Any, path: str) -> list[str]:
    return sorted({key for struct in _struct_at(kind, path) for key in _hints(struct)})


def _required(kind: Any, path: str) -> list[str]:
    import msgspec

    fields = [field for struct in _struct_at(kind, path) for field in msgspec.structs.fields(struct)]
    return list(dict.fromkeys(field.encode_name for field in fields if field.required))
