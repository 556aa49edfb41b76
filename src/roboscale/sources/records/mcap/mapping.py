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

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from roboscale.core import UNKNOWN, BadData
from roboscale.core.declared import Limit, Mistake, Text, as_declared, read_declared

__all__ = ["FieldMap", "TopicMap", "load_mapping"]

_MAX_BYTES = 2**20
_FPS = Limit("frames a second, greater than 0", lambda fps: 0 < fps <= 1e9)


@dataclass(frozen=True, slots=True, kw_only=True)
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


@dataclass(frozen=True, slots=True, kw_only=True)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Instruction:
    """A message that says what is to be done."""

    topic: Text
    element: str = "data"


@dataclass(frozen=True, slots=True, kw_only=True)
class _FieldTable:
    """`[fields."name"]` as it is written; see `FieldMap`."""

    topic: Text
    element: str | tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    unit: str = ""
    mode: str = ""
    frame: str = ""
    role: str = ""
    resample: Literal["previous", "nearest", "linear"] = "previous"
    stream: bool = False
    count: bool = False
    clock: Literal["header", "log"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """The whole file as it is written; see `TopicMap`."""

    fields: Annotated[Mapping[str, _FieldTable], Limit("a table with at least one field", bool)]
    fps: Annotated[float, _FPS] | None = None
    clock: Literal["header", "log"] = "header"
    instruction: str | _Instruction = ""
    robot: str = ""
    licence: str = ""
    ignore: tuple[str, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict)

    def mistakes(self) -> Iterator[Mistake]:
        """A field has to be called something."""
        for name in self.fields:
            if not name.strip():
                yield "fields", "names that are not empty", repr(name)


def load_mapping(source: Path | str | Mapping[str, Any], fps: float | None = None) -> TopicMap:
    """A mapping from a TOML file, or from what such a file holds.

    Args:
        fps: used instead of the mapping's own (Hz).

    Raises:
        BadData: names file, key and both sides.
        UnknownName: a key that no mapping has.
    """
    if isinstance(source, Mapping):
        return _topic_map("mapping", as_declared(source, _File, "mapping"), fps)
    return _topic_map(str(source), read_declared(Path(source), _File, limit=_MAX_BYTES), fps)


def _topic_map(where: str, said: _File, fps: float | None) -> TopicMap:
    rate = said.fps if fps is None else fps
    if rate is None or not _FPS.fits(rate):
        raise BadData(where, "fps", _FPS.expected, "nothing" if rate is None else rate)
    asked = said.instruction
    return TopicMap(
        where=where,
        fps=float(rate),
        fields=tuple(_field_map(name, table, said.clock) for name, table in said.fields.items()),
        instruction=asked if isinstance(asked, str) else (asked.topic, asked.element or "data"),
        robot=said.robot,
        licence=said.licence,
        ignore=frozenset(said.ignore),
        texts=tuple(said.texts.items()),
    )


def _field_map(name: str, said: _FieldTable, clock: Literal["header", "log"]) -> FieldMap:
    return FieldMap(
        name=name,
        topic=said.topic,
        elements=(said.element,) if isinstance(said.element, str) else said.element,
        names=said.names,
        unit=said.unit or UNKNOWN,
        mode=said.mode or UNKNOWN,
        frame=said.frame,
        role=said.role,
        resample=said.resample,
        stream=said.stream,
        count=said.count,
        clock=said.clock or clock,
    )
