"""What a user writes in a TOML or JSON file, read strictly: every mistake is a line with file, key and both sides.

What a file may hold is a dataclass with type hints, written by the room that reads the file:

    @dataclass(frozen=True, kw_only=True)
    class Camera:
        name: Text
        source: Annotated[Literal["rgb", "depth"], Key("from")] = "rgb"
        size: Annotated[tuple[int, int], Limit("two numbers above 0", lambda size: min(size) > 0)] = (96, 96)

        def mistakes(self) -> Iterator[Mistake]:  # rules over several keys
            ...

Types: text, numbers (finite), booleans, `Literal`, tuples and lists, mappings of text, other dataclasses, unions and
`Any`. A number without a fraction is a float, too; nothing else is converted. It is read from disk here, as in
`core.loading`, because every room takes what a user wrote and may import nothing but `core`.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
import tomllib
import types
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from roboscale.core.errors import BadData, RoboscaleError, UnknownName, near_names

__all__ = ["Count", "Key", "Limit", "Mistake", "Positive", "Text", "as_declared", "read_declared"]

T = TypeVar("T")

Mistake = tuple[str, str, object]
"""Key, what was expected, what is there."""


@dataclasses.dataclass(frozen=True, slots=True)
class Limit:
    """What a value of the right type has to be besides, in words, and whether it is."""

    expected: str
    fits: Callable[[Any], bool]


@dataclasses.dataclass(frozen=True, slots=True)
class Key:
    """The key in the file, where a field's name is another word: one that Python or the dataclass keeps for itself."""

    name: str


Text = Annotated[str, Limit("text that is not empty", lambda text: bool(text.strip()))]
Count = Annotated[int, Limit("an integer of 1 or more", lambda number: number >= 1)]
Positive = Annotated[float, Limit("a number above 0", lambda number: number > 0)]


def read_declared(path: Path, kind: type[T], *, limit: int | None = None) -> T:
    """The whole of a TOML file, or of a JSON file where the name ends in `.json`, as an instance of `kind`.

    Args:
        limit: bytes that it may have at most.

    Raises:
        BadData: it cannot be read, or is not what `kind` says; with several mistakes, one that lists them all.
        UnknownName: its only mistake is a key that `kind` does not have; suggests the near ones.
    """
    name = "JSON" if path.suffix == ".json" else "TOML"
    try:
        if limit is not None and path.stat().st_size > limit:
            raise BadData(path, "size", f"at most {limit} bytes", path.stat().st_size)
        text = path.read_text(encoding="utf-8-sig")
        values = json.loads(text, object_pairs_hook=_once) if name == "JSON" else tomllib.loads(text)
    except OSError as error:
        raise BadData(path, "file", f"a {name} file", error.strerror or error) from error
    except (ValueError, RecursionError) as error:  # what both parsers and the decoder raise
        raise BadData(path, "file", name, error) from error
    return as_declared(values, kind, path)


def as_declared(values: object, kind: type[T], file: object) -> T:
    """Parsed values as an instance of `kind`; errors as for `read_declared`."""
    reader = _Reader(file)
    made: T = reader.read(values, kind, "")
    if len(reader.problems) > 1:
        raise BadData(file, "declaration", "no mistakes", "\n  ".join([f"{len(reader.lines)}:", *reader.lines]))
    for problem in reader.problems:
        raise problem
    return made


_WRONG: Any = object()  # what a value that is a mistake is read as


class _Reader:
    """Reads values by their types and collects what is wrong."""

    def __init__(self, file: object) -> None:
        self.file = file
        self.problems: list[RoboscaleError] = []
        self.lines: list[str] = []

    def wrong(self, where: str, expected: object, found: object) -> Any:
        self.problems.append(BadData(self.file, where or "file", expected, found))
        self.lines.append(f"{where or 'file'}: expected {expected}, found {found}")
        return _WRONG

    def read(self, value: Any, hint: Any, where: str) -> Any:
        """The value as its type has it, or `_WRONG`."""
        if get_origin(hint) is Annotated:
            hint, *notes = get_args(hint)
            limits = [note for note in notes if isinstance(note, Limit)]
            if limits and not _is_like(value, hint):
                return self.wrong(where, limits[0].expected, _shown(value))
            made = self.read(value, hint, where)
            broken = [limit for limit in limits if made is not _WRONG and not limit.fits(made)]
            return self.wrong(where, broken[0].expected, _shown(value)) if broken else made
        if hint is Any:
            return value
        if isinstance(hint, types.UnionType) or get_origin(hint) is Union:
            options = [option for option in get_args(hint) if _is_like(value, option)]
            return self.read(value, options[0], where) if options else self.wrong(where, _named(hint), _shown(value))
        if not _is_like(value, hint):
            return self.wrong(where, _named(hint), _shown(value))
        if dataclasses.is_dataclass(hint):
            return self.table(value, hint, where)
        if get_origin(hint) in (tuple, list):
            return self.sequence(value, hint, where)
        if get_origin(hint) in (dict, Mapping):
            inner = get_args(hint)[1]
            made = {key: self.read(item, inner, f"{where}.{_quoted(key)}") for key, item in value.items()}
            return _WRONG if any(item is _WRONG for item in made.values()) else made
        return float(value) if hint is float else value

    def sequence(self, value: list[Any], hint: Any, where: str) -> Any:
        args = get_args(hint)
        if get_origin(hint) is tuple and Ellipsis not in args and len(args) != len(value):
            return self.wrong(where, _named(hint), _shown(value))
        kinds = args if get_origin(hint) is tuple and Ellipsis not in args else [args[0]] * len(value)
        made = [
            self.read(item, kind, f"{where}[{i}]") for i, (item, kind) in enumerate(zip(value, kinds, strict=True))
        ]
        return _WRONG if any(item is _WRONG for item in made) else get_origin(hint)(made)

    def table(self, value: Mapping[str, Any], kind: Any, where: str) -> Any:
        hints = get_type_hints(kind, include_extras=True)
        keys = {_key(field.name, hints[field.name]): field for field in dataclasses.fields(kind)}
        unknown = [key for key in value if key not in keys]
        for key in unknown:
            error = UnknownName(f"key in {self.file}: {where or 'top level'}:", key, keys)
            self.problems.append(error)
            self.lines.append(str(error).replace(f"unknown key in {self.file}: ", "unknown key in ", 1))
        given: dict[str, Any] = {}
        for key, field in keys.items():
            place = f"{where}.{key}" if where else key
            if key in value:
                given[field.name] = self.read(value[key], hints[field.name], place)
            elif _required(field) and not near_names(key, unknown):
                given[field.name] = self.wrong(place, _named(hints[field.name]), "nothing")
        if unknown or any(made is _WRONG for made in given.values()):
            return _WRONG
        made = kind(**given)
        mistakes: Iterable[Mistake] = made.mistakes() if hasattr(made, "mistakes") else ()
        for key, expected, found in mistakes:
            self.wrong(f"{where}.{key}" if where else key, expected, found)
        return made


def _key(name: str, hint: Any) -> str:
    return next((note.name for note in get_args(hint)[1:] if isinstance(note, Key)), name)


def _required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _is_like(value: object, hint: Any) -> bool:
    """Whether a value is of a type, as far as can be seen without looking into it."""
    origin = get_origin(hint)
    if origin is Annotated:
        return _is_like(value, get_args(hint)[0])
    if origin is Literal:
        return any(value == option and type(value) is type(option) for option in get_args(hint))
    if hint is float:
        return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]
    if dataclasses.is_dataclass(hint) or origin in (dict, Mapping):
        return isinstance(value, Mapping)
    if origin in (tuple, list):
        return isinstance(value, (list, tuple))  # a tuple only where Python gave it
    return hint is Any or (value is None if hint is type(None) else type(value) is hint)


_WORDS = {str: "text", int: "an integer", float: "a finite number", bool: "true or false", type(None): "null"}
_SEVERAL = {str: "texts", int: "integers", float: "finite numbers", bool: "booleans"}


def _named(hint: Any) -> str:
    """A type in words."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return next((note.expected for note in args if isinstance(note, Limit)), _named(args[0]))
    if origin is Literal:
        return f"one of {', '.join(map(str, args))}" if len(args) > 1 else repr(args[0])
    if origin is tuple and Ellipsis not in args:
        return f"a list of {len(args)}: {', '.join(map(_named, args))}"
    if origin in (tuple, list):
        inner = get_args(args[0])[0] if get_origin(args[0]) is Annotated else args[0]
        return f"a list of {_SEVERAL.get(inner, 'tables' if dataclasses.is_dataclass(inner) else 'values')}"
    if args and origin not in (dict, Mapping):
        words = [_named(arg) for arg in args if arg is not type(None)]
        return f"{', '.join(words[:-1])} or {words[-1]}" if len(words) > 1 else words[0]
    return _WORDS.get(hint, "a table")


def _quoted(key: str) -> str:
    """A key as TOML writes it: one with a dot in it is no path."""
    return key if re.fullmatch(r"[\w-]+", key, re.ASCII) else json.dumps(key, ensure_ascii=False)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; ValueError for a key that is there twice, which TOML refuses by itself."""
    values = dict(pairs)
    if len(values) < len(pairs):
        twice = next(key for key, _ in pairs if sum(key == other for other, _ in pairs) > 1)
        raise ValueError(f"the key {twice!r} is there twice")
    return values
