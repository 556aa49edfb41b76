"""What the topics of a bag mean: a small TOML file that a person writes, or corrects after `--explain` drafted it.

    fps = 20                                # the grid of frames, Hz
    clock = "header"                        # stamps of the messages; "log": when the recorder got them
    instruction = "Put the red cube into the bowl."      # or { topic = "/task", element = "data" }
    robot = "ur5e"
    licence = "CC-BY-4.0"
    ignore = ["/gripper/_service_event"]    # topics that cannot be read and need not be

    [fields."observation.state"]
    topic = "/joint_states"
    element = "position"                    # path or list of paths; left out: what the type is known for
    names = ["shoulder", "elbow"]           # joints, or names of the values; left out: as the message has them
    unit = "rad"
    mode = "absolute"
    resample = "previous"                   # previous, nearest, linear

    [fields."observation.images.front"]
    topic = "/camera/image/compressed"
    role = "front"

    [fields.wrench]
    topic = "/wrench"
    stream = true                           # own rate and own times, beside the grid

    [fields."count.chatter"]
    topic = "/chatter"
    count = true                            # messages seen up to each frame

    [texts]
    "/chatter" = "data"                     # kept word for word in the episode's provenance

Knows no bag: whether the topics are there is found out when one is opened.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from roboscale.core import UNKNOWN, BadData, UnknownName

__all__ = ["FieldMap", "TopicMap", "load_mapping"]

_MAX_BYTES = 2**20
_CLOCKS = ("header", "log")
_RESAMPLE = ("previous", "nearest", "linear")
_TOP = {"fps", "clock", "instruction", "robot", "licence", "ignore", "fields", "texts"}


@dataclass(frozen=True, slots=True)
class FieldMap:
    """One field: where its values come from and what the user says they mean.

    Args:
        elements: paths in the message; empty for what the type is known for.
        unit, mode: `unknown` where the user does not say.
        clock: whose times: `header` or `log`.
    """

    name: str
    topic: str
    elements: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    unit: str = UNKNOWN
    mode: str = UNKNOWN
    frame: str = ""
    role: str = ""
    resample: Literal["previous", "nearest", "linear"] = "previous"
    stream: bool = False
    count: bool = False
    clock: Literal["header", "log"] = "header"


@dataclass(frozen=True, slots=True)
class TopicMap:
    """What the topics of a bag mean; see the module.

    Args:
        instruction: text, or (topic, element) of the message that says it.
        texts: topic -> element with the text.
    """

    where: str
    fps: float
    fields: tuple[FieldMap, ...]
    instruction: str | tuple[str, str] = ""
    robot: str = ""
    licence: str = ""
    ignore: frozenset[str] = frozenset()
    texts: tuple[tuple[str, str], ...] = ()

    @property
    def topics(self) -> frozenset[str]:
        """Every topic that the mapping reads."""
        said = {self.instruction[0]} if isinstance(self.instruction, tuple) else set()
        return frozenset({f.topic for f in self.fields} | {topic for topic, _ in self.texts} | said)


def load_mapping(source: Path | str | Mapping[str, Any], fps: float | None = None) -> TopicMap:
    """A mapping from a TOML file, or from what such a file holds.

    Args:
        fps: used instead of the mapping's own (Hz).

    Raises:
        BadData: names file, key and both sides.
        UnknownName: a key that no mapping has.
    """
    if isinstance(source, Mapping):
        return _topic_map("mapping", dict(source), fps)
    path = Path(source)
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise BadData(path, "size", f"at most {_MAX_BYTES} bytes", path.stat().st_size)
        return _topic_map(str(path), tomllib.loads(path.read_text("utf-8")), fps)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise BadData(path, "mapping", "a TOML file", error) from error


def _topic_map(where: str, data: dict[str, Any], fps: float | None) -> TopicMap:
    _no_other_keys("key of a mapping", data, _TOP)
    table = _Table(where, "", data)
    clock = table.one_of("clock", _CLOCKS, "header")
    fields = table.table("fields")
    if not fields:
        raise BadData(where, "fields", "at least one field", "none")
    return TopicMap(
        where,
        _rate(where, data.get("fps") if fps is None else fps),
        tuple(_field(where, name, value, clock) for name, value in fields.items()),
        _instruction(where, data.get("instruction", "")),
        table.text("robot"),
        table.text("licence"),
        frozenset(table.texts("ignore")),
        tuple((topic, _Table(where, "texts", table.table("texts")).text(topic)) for topic in table.table("texts")),
    )


def _rate(where: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1e9:
        raise BadData(where, "fps", "frames a second, greater than 0", "nothing" if value is None else repr(value))
    return float(value)


def _instruction(where: str, value: object) -> str | tuple[str, str]:
    if isinstance(value, str):
        return value
    if not isinstance(value, dict):
        raise BadData(where, "instruction", 'a text, or { topic = "/task", element = "data" }', repr(value))
    _no_other_keys("key of instruction", value, {"topic", "element"})
    table = _Table(where, "instruction", value)
    return table.text("topic", required=True), table.text("element") or "data"


def _field(where: str, name: str, value: object, clock: str) -> FieldMap:
    if not isinstance(value, dict) or not name.strip():
        raise BadData(where, f"fields.{name}", "a table with a topic", repr(value))
    keys = {"topic", "element", "names", "unit", "mode", "frame", "role", "resample", "stream", "count", "clock"}
    _no_other_keys(f"key of fields.{name}", value, keys)
    table = _Table(where, f"fields.{name}", value)
    element = value.get("element")
    return FieldMap(
        name,
        table.text("topic", required=True),
        (element,) if isinstance(element, str) else table.texts("element"),
        table.texts("names"),
        table.text("unit") or UNKNOWN,
        table.text("mode") or UNKNOWN,
        table.text("frame"),
        table.text("role"),
        table.one_of("resample", _RESAMPLE, "previous"),  # type: ignore[arg-type]
        table.flag("stream"),
        table.flag("count"),
        table.one_of("clock", _CLOCKS, clock),  # type: ignore[arg-type]
    )


def _no_other_keys(kind: str, data: Mapping[str, Any], known: set[str]) -> None:
    for key in data:
        if key not in known:
            raise UnknownName(kind, key, known)


class _Table:
    """Typed look-ups; every error names file and key."""

    def __init__(self, where: str, prefix: str, data: Mapping[str, Any]) -> None:
        self._where, self._prefix, self._data = where, f"{prefix}." if prefix else "", data

    def _wrong(self, key: str, expected: str) -> BadData:
        found = repr(self._data[key])[:80] if key in self._data else "nothing"
        return BadData(self._where, f"{self._prefix}{key}", expected, found)

    def text(self, key: str, *, required: bool = False) -> str:
        value = self._data.get(key, "")
        if not isinstance(value, str) or (required and not value):
            raise self._wrong(key, "a text")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self._data.get(key, [])
        if not isinstance(value, list | tuple) or not all(isinstance(v, str) for v in value):
            raise self._wrong(key, "a list of texts")
        return tuple(value)

    def flag(self, key: str) -> bool:
        value = self._data.get(key, False)
        if not isinstance(value, bool):
            raise self._wrong(key, "true or false")
        return value

    def one_of(self, key: str, options: tuple[str, ...], default: str) -> str:
        value = self._data.get(key, default)
        if value not in options:
            raise self._wrong(key, " or ".join(options))
        return str(value)

    def table(self, key: str) -> Mapping[str, Any]:
        value = self._data.get(key, {})
        if not isinstance(value, dict):
            raise self._wrong(key, "a table")
        return value
