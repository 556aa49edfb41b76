"""One pass over a bag: the values, pictures and texts of the mapped topics with their times.

Knows messages and a mapping; does not know the grid.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData, Finding
from roboscale.sources.records.mcap.bag import Bag
from roboscale.sources.records.mcap.container import RawMessage, Ref
from roboscale.sources.records.mcap.elements import Element
from roboscale.sources.records.mcap.mapping import FieldMap, TopicMap
from roboscale.sources.records.mcap.messages import MessageTypes

__all__ = ["Harvest", "Said", "Series", "collect", "has_header", "text_of", "times_of"]

_MAX_TEXTS = 1000
_MAX_TEXT = 2000  # characters of one text


def has_header(types: MessageTypes, kind: str) -> bool:
    """Whether messages of this type carry a stamp of their own."""
    return any(name == "header" and node[1] == "std_msgs/msg/Header" for name, node in types.fields(kind))


@dataclass(slots=True, kw_only=True)
class Series:
    """What one field got: a time and a value, or a place where a picture lies, for each message."""

    map: FieldMap
    element: Element | None
    stamped: bool
    stamp_ns: list[int] = field(default_factory=list)
    log_ns: list[int] = field(default_factory=list)
    values: list[NDArray[Any]] = field(default_factory=list)
    refs: list[tuple[int, Ref]] = field(default_factory=list)
    others: int = 0

    def add(self, number: int, raw: RawMessage, message: Any, where: object) -> None:
        """Takes one message; of other joints' messages only the number is kept."""
        if self.element is not None:
            if not self.element.has_any(message):
                self.others += 1
                return
            self.values.append(self.element.read(message))
        elif not self.map.count:
            self.refs.append((number, raw.ref))
        self.log_ns.append(raw.log_ns)
        self.stamp_ns.append(_stamp(message, where, raw.topic) if self.stamped else raw.log_ns)


@dataclass(frozen=True, slots=True)
class Said:
    """A text and when it came."""

    topic: str
    time_ns: int
    text: str


@dataclass(slots=True, kw_only=True)
class Harvest:
    """Everything a pass found.

    Args:
        said: of each text topic, up to a bound; `cut` counts the others.
    """

    series: Mapping[str, Series]
    said: list[Said] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    cut: int = 0
    findings: list[Finding] = field(default_factory=list)


def _stamp(message: Any, where: object, topic: str) -> int:
    try:
        stamp = message.header.stamp
        return int(stamp.sec) * 10**9 + int(stamp.nanosec)
    except (AttributeError, TypeError, ValueError) as error:  # the bag's own definition may be of another message
        raise BadData(where, f"{topic}: header.stamp", "seconds and nanoseconds", error) from error


def text_of(message: Any, element: str, where: object, topic: str) -> str:
    """The text at a path of a message; BadData when there is none."""
    value = message
    for step in element.split("."):
        value = getattr(value, step, None)
    if not isinstance(value, str):
        raise BadData(where, topic, f"a text at {element!r}", type(value).__name__)
    return value


def collect(bag: Bag, types: MessageTypes, mapping: TopicMap, series: Sequence[Series]) -> Harvest:
    """Reads a bag once, from its first to its last sound message.

    Raises:
        BadData: a message does not fit its definition or the field it belongs to.
    """
    harvest = Harvest(series={s.map.name: s for s in series})
    by_topic: dict[str, list[Series]] = {}
    for one in series:
        by_topic.setdefault(one.map.topic, []).append(one)
    texts = dict(mapping.texts)
    decoded = {t for t, all_ in by_topic.items() if any(not s.map.count for s in all_)} | texts.keys()
    asked = mapping.instruction if isinstance(mapping.instruction, tuple) else ("", "")
    topics = {*by_topic, *texts, asked[0]} & bag.topics.keys()
    for number, raw in bag.messages(topics, harvest.findings):
        message = types.decode(raw.topic, raw.data) if raw.topic in decoded or raw.topic == asked[0] else None
        for one in by_topic.get(raw.topic, ()):
            one.add(number, raw, message, bag.path)
        if raw.topic == asked[0]:
            harvest.asked.append(text_of(message, asked[1], bag.path, raw.topic))
        if raw.topic in texts:
            _keep_text(harvest, raw, text_of(message, texts[raw.topic], bag.path, raw.topic))
    harvest.findings.extend(_of_other_joints(series))
    return harvest


def _keep_text(harvest: Harvest, raw: RawMessage, text: str) -> None:
    if len(harvest.said) < _MAX_TEXTS:
        harvest.said.append(Said(raw.topic, raw.log_ns, text[:_MAX_TEXT]))
        harvest.cut += len(text) > _MAX_TEXT
    else:
        harvest.cut += 1


def _of_other_joints(series: Sequence[Series]) -> Iterator[Finding]:
    for one in series:
        if one.others:
            text = f"{one.map.topic}: {one.others} messages of other joints than {one.map.name}'s were passed over"
            yield Finding("other-joints", "info", text, field=one.map.name, evidence={"messages": one.others})


def times_of(series: Series, where: object) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(N,) stamps and (N,) recorder's times, ns; BadData when no message came, or none has a stamp."""
    if not series.log_ns:
        raise BadData(where, series.map.topic, f"messages for {series.map.name}", "none that can be read")
    try:
        stamps = np.array(series.stamp_ns, np.int64)
    except OverflowError as error:
        raise BadData(where, series.map.topic, "stamps within 292 years of 1970", max(series.stamp_ns)) from error
    if series.stamped and not stamps.any():
        raise BadData(where, series.map.topic, 'stamps in the headers, or clock = "log"', "zeros only")
    return stamps, np.array(series.log_ns, np.int64)
