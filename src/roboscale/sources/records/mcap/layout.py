"""What a mapping makes of a bag's topics before its messages are read: shapes, dtypes, names, and what is left out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from roboscale.core import UNKNOWN, BadData, Field, Finding, Origin, Spec
from roboscale.dataset.streams import FRAME_TIMES
from roboscale.sources.records.mcap.bag import Bag
from roboscale.sources.records.mcap.collect import Series, has_header
from roboscale.sources.records.mcap.elements import DEFAULT_ELEMENTS, Element, message_leaves, units_of
from roboscale.sources.records.mcap.images import IMAGE_MESSAGES, decode_message, done_to
from roboscale.sources.records.mcap.mapping import FieldMap, TopicMap
from roboscale.sources.records.mcap.messages import MessageTypes, is_service_event

__all__ = ["TopicLayout", "check_service_events", "lay_out", "left_out", "time_name"]


def time_name(camera: str) -> str:
    """Name of the column with the times at which a camera's pictures were taken."""
    return f"time.{camera.rsplit('.', 1)[-1]}_ns"


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicLayout:
    """How the fields of one mapping look in one bag; all bags of a recording must agree.

    Args:
        fields: of the grid, times included.
        streams: fields beside the grid.
        origins: one per field of the grid.
        elements: numeric field -> its reader.
        stamped: fields whose times are the messages' own.
    """

    fields: tuple[Field, ...]
    streams: tuple[Field, ...]
    origins: tuple[Origin, ...]
    elements: Mapping[str, Element]
    stamped: frozenset[str]
    findings: tuple[Finding, ...]

    def spec(self, fps: float) -> Spec:
        return Spec(self.fields, fps)

    def series(self, mapping: TopicMap, absent: Collection[str]) -> list[Series]:
        """Empty series for every field whose topic is there."""
        return [
            Series(map=field, element=self.elements.get(field.name), stamped=field.name in self.stamped)
            for field in mapping.fields
            if field.name not in absent
        ]


def check_service_events(bag: Bag, ignore: Collection[str]) -> None:
    """BadData for a service-event topic with messages that the mapping does not ignore: they cannot be read."""
    for topic in bag.topics.values():
        if is_service_event(topic.type) and topic.count and topic.name not in ignore:
            raise BadData(
                bag.path,
                topic.name,
                "messages whose definition is in the bag",
                f"{topic.count} service events ({topic.type}): the bag holds the definition of the service's request "
                f'and response, not of its events, so they cannot be read; `ignore = ["{topic.name}"]` in the mapping '
                f"leaves them out",
            )


def lay_out(bag: Bag, types: MessageTypes, mapping: TopicMap, absent: Collection[str] = ()) -> TopicLayout:
    """Resolves every field of a mapping against the first message of its topic.

    Args:
        absent: cameras that this bag does not have.

    Raises:
        BadData: a topic or an element is not there, or a definition or message is broken; names both sides.
    """
    check_service_events(bag, mapping.ignore)
    _require_topics(bag, mapping, absent)
    fields = [f for f in mapping.fields if f.name not in absent]
    samples = _first_messages(bag, types, {f.topic for f in fields if not f.count})
    elements: dict[str, Element] = {}
    grid, streams, origins = [_frame_time()], [], [Origin(FRAME_TIMES, "grid of frames", _grid_done(mapping))]
    stamped = set()
    for field in fields:
        number, message = samples.get(field.topic, (0, None))
        kind = bag.topics[field.topic].type
        if not field.count and field.clock == "header" and has_header(types, kind):
            stamped.add(field.name)
        described, origin = _describe(bag, types, field, kind, (number, message), elements)
        if field.stream:
            streams.append(described)
            continue
        grid.append(described)
        origins.append(origin)
        if described.is_image:
            grid.append(Field(time_name(field.name), (), "int64", unit="ns"))
            whose = "header stamps" if field.name in stamped else "recorder's times"
            origins.append(Origin(grid[-1].name, f"{field.topic}: {whose}", "time of the picture shown"))
    findings = tuple(_clock_findings(mapping, fields, stamped)) + tuple(_assumed(bag, types))
    return TopicLayout(
        fields=tuple(grid),
        streams=tuple(streams),
        origins=tuple(origins),
        elements=elements,
        stamped=frozenset(stamped),
        findings=findings,
    )


def _frame_time() -> Field:
    return Field(FRAME_TIMES, (), "int64", unit="ns")


def _grid_done(mapping: TopicMap) -> str:
    return f"every 1/{mapping.fps:g} s"


def _require_topics(bag: Bag, mapping: TopicMap, absent: Collection[str]) -> None:
    there = ", ".join(f"{t.name} ({t.type}, {t.count})" for t in bag.topics.values())[:600]
    for field in mapping.fields:
        topic = bag.topics.get(field.topic)
        if field.name not in absent and (topic is None or not topic.count):
            found = "no message of it" if topic else "no such topic"
            raise BadData(
                bag.path, f"topic {field.topic}", f"messages for {field.name}", f"{found}; there are {there}"
            )


def _first_messages(bag: Bag, types: MessageTypes, topics: set[str]) -> dict[str, tuple[int, Any]]:
    """Topic -> its first message with its bytes; BadData when damage comes before one of them."""
    first: dict[str, tuple[int, Any]] = {}
    report: list[Finding] = []
    for name in topics:
        types.learn(name)
    for _, raw in bag.messages(topics, report) if topics else ():
        if raw.topic not in first:
            data = bytes(raw.data)
            first[raw.topic] = (0, (types.decode(raw.topic, data), data))
        if len(first) == len(topics):
            return first
    if lost := sorted(topics - first.keys()):
        why = report[-1].text if report else "none"
        raise BadData(bag.path, f"topic {lost[0]}", "a readable message", why)
    return first


def _describe(
    bag: Bag,
    types: MessageTypes,
    field: FieldMap,
    kind: str,
    sample: tuple[int, Any],
    elements: dict[str, Element],
) -> tuple[Field, Origin]:
    source = f"{field.topic} ({kind})"
    if field.count:
        return Field(field.name, (1,), "int64"), Origin(field.name, source, "messages counted up to each frame")
    message, data = sample[1]
    if kind in IMAGE_MESSAGES:
        if field.stream or field.resample == "linear":
            raise BadData(bag.path, f"fields.{field.name}", "a picture on the grid, not blended", "stream or linear")
        shape = decode_message(types, field.topic, data, bag.path, f"{field.topic}[0]").shape
        layout = ("height", "width", "channels")
        camera = Field(field.name, shape, "uint8", layout=layout, role=field.role)
        return camera, Origin(field.name, source, f"{done_to(kind, message)}; {field.resample} picture at each frame")
    paths = field.elements or DEFAULT_ELEMENTS.get(kind, ("",))
    element = Element(types, kind, paths, field.names, sample=message, where=f"{bag.path}: {field.topic}")
    if field.resample == "linear" and not element.dtype.startswith("float"):
        raise BadData(bag.path, f"fields.{field.name}", "floating-point numbers to interpolate", element.dtype)
    elements[field.name] = element
    known = units_of(kind, paths)
    unit = field.unit if field.unit != UNKNOWN else known
    described = Field(
        field.name,
        (len(element.names),),
        element.dtype,
        unit=unit,
        frame=field.frame,
        layout=element.names,
        mode=field.mode,
    )
    done = "interpolated" if field.resample == "linear" else f"copied; {field.resample} message at each frame"
    return described, Origin(field.name, f"{source}: {', '.join(paths) or 'all numbers'}", done)


def _clock_findings(mapping: TopicMap, fields: list[FieldMap], stamped: set[str]) -> Iterator[Finding]:
    for field in fields:
        if field.clock == "header" and field.name not in stamped and not field.count and stamped:
            text = f"{field.topic} has no stamps of its own; the recorder's times are used for {field.name}"
            yield Finding("clock", "info", text, field=field.name)


def _assumed(bag: Bag, types: MessageTypes) -> Iterator[Finding]:
    for kind in sorted(types.assumed):
        text = f"{bag.name} does not define {kind}; ROS 2's own definition was used"
        yield Finding("assumed-type", "info", text, evidence={"type": kind})


def left_out(bag: Bag, types: MessageTypes, mapping: TopicMap) -> Iterator[tuple[str, str]]:
    """(source field, why it is not in the grid) of everything in the bag."""
    texts = dict(mapping.texts)
    for topic in bag.topics.values():
        what = f"{topic.type}, {topic.count} messages"
        fields = [f for f in mapping.fields if f.topic == topic.name]
        if is_service_event(topic.type):
            yield topic.name, f"{what}: service events cannot be read"
        elif not fields and topic.name not in mapping.topics:
            yield topic.name, f"{what}: not in the mapping"
        elif not fields:
            yield topic.name, f"{what}: kept as text with the episode"
        for field in fields:
            if field.stream:
                yield f"{topic.name} -> {field.name}", f"{what}: kept as a stream at its own rate"
        if fields and all(f.count for f in fields):
            kept = "; its text is kept with the episode" if topic.name in texts else ""
            yield f"{topic.name}.*", f"{what}: only counted{kept}"
        elif fields and topic.type not in IMAGE_MESSAGES:
            yield from _other_elements(types, topic.name, topic.type, fields)


def _other_elements(types: MessageTypes, name: str, kind: str, fields: list[FieldMap]) -> Iterator[tuple[str, str]]:
    used = [p for f in fields if not f.count for p in f.elements or DEFAULT_ELEMENTS.get(kind, ("",))]
    for leaf in message_leaves(types, kind):
        generic = leaf.path.replace("[0]", "")
        if not any(p == "" or f"{leaf.path}.".startswith((f"{p}.", f"{p}[")) or generic == p for p in used):
            yield f"{name}.{leaf.path}", f"{leaf.dtype}: not in the mapping"
