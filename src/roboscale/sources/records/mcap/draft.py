"""A first mapping, drafted from what a bag holds, for a person to correct: `--explain`.

Says what was measured (rates, jitter, silences) and proposes only what a message's type fixes. Which topic is the
action is never proposed: a command, a target and a measured state can look alike. Those stay comments.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import roboscale.sources.records.mcap.grid as grid
from roboscale.core import BadData, Finding, RoboscaleError
from roboscale.dataset.checks import finding
from roboscale.sources.records.mcap.bag import Bag, find_bags
from roboscale.sources.records.mcap.collect import has_header
from roboscale.sources.records.mcap.container import Topic
from roboscale.sources.records.mcap.elements import DEFAULT_ELEMENTS, Element, message_leaves, units_of
from roboscale.sources.records.mcap.images import IMAGE_MESSAGES
from roboscale.sources.records.mcap.messages import MessageTypes, is_service_event

__all__ = ["Draft", "draft", "explain_topics"]

_INFRASTRUCTURE = ("rcl_interfaces/", "rosgraph_msgs/", "rosbag2_interfaces/", "diagnostic_msgs/", "tf2_msgs/")
_COMMAND_TYPES = ("trajectory_msgs/", "control_msgs/")
_COMMAND_WORDS = re.compile(r"command|cmd|action|target|goal|desired|setpoint|leader", re.IGNORECASE)
_ARM_TYPES = ("sensor_msgs/msg/JointState", *IMAGE_MESSAGES)
_TEXT_TYPES = {"std_msgs/msg/String": "data"}
_MAX_FPS = 1000


@dataclass(frozen=True, slots=True)
class Draft:
    """A mapping as TOML.

    Args:
        text: the file, with its reasons as comments.
        open: topics that only a person can place; empty when the draft can be used as it is.
    """

    text: str
    open: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Measured:
    rate_hz: float
    jitter_s: float
    silences: int
    longest_s: float


def explain_topics(path: Path) -> str:
    """The drafted mapping of the first bag at `path`, as TOML; a valid mapping once its comments are settled.

    Raises:
        BadData: there is no bag, or it cannot be read.
    """
    return draft(Path(path)).text


def draft(path: Path) -> Draft:
    """See `explain`."""
    bags = find_bags(path)
    if not bags:
        raise BadData(path, "source", "a bag, or a folder of bags", "neither")
    bag = Bag(*bags[0])
    try:
        return _draft(bag, len(bags))
    finally:
        bag.close()


def _draft(bag: Bag, bags: int) -> Draft:
    types = MessageTypes(bag.path, bag.topics)
    report: list[Finding] = []
    times = _times(bag, types, report)
    measured = {name: _measure(time_ns) for name, time_ns in times.items()}
    fps = _fps(bag, measured)
    fast = {name: m.rate_hz for name, m in measured.items() if m.rate_hz > 2 * fps}
    parts, undecided = _Parts(bag, types, fast), []
    blocks = []
    for topic in bag.topics.values():
        block, is_open = parts.block(topic, measured.get(topic.name))
        blocks.append(block)
        if is_open:
            undecided.append(topic.name)
    head = _head(bag, bags, fps, [*bag.findings, *report])
    texts = "".join(f"{_quote(name)} = {_quote(element)}\n" for name, element in parts.texts.items())
    tail = f"[texts]  # kept word for word with the episode\n{texts}" if texts else ""
    return Draft("\n".join([head, *(b for b in blocks if b), tail]).rstrip() + "\n", tuple(undecided))


def _times(bag: Bag, types: MessageTypes, report: list[Finding]) -> dict[str, NDArray[np.int64]]:
    """Times on the clock that the draft names: of the stamps where a topic has them, else the recorder's."""
    times: dict[str, list[tuple[int, int]]] = {}
    stamped = {topic.name for topic in bag.topics.values() if _starts_with_header(types, topic.name)}
    for _, raw in bag.messages(set(bag.topics), report):
        stamp = _stamp_ns(raw.data) if raw.topic in stamped else 0
        times.setdefault(raw.topic, []).append((stamp, raw.log_ns))
    chosen = {}
    for name, both in times.items():
        stamps, logged = np.sort(np.array(both, np.int64), axis=0).T
        chosen[name] = stamps if stamps.all() else logged
        spans = [int(np.ptp(clock)) for clock in (stamps, logged)]
        if stamps.all() and min(spans) > 0 and not 0.95 < spans[0] / spans[1] < 1.05:
            clocks = f"its stamps cover {spans[0] / 1e9:.4g} s, the recorder's times {spans[1] / 1e9:.4g} s"
            text = f"{name}: {clocks}: simulated time?"
            report.append(finding("clock-rate", text))
    return chosen


def _starts_with_header(types: MessageTypes, topic: str) -> bool:
    try:
        kind = types.learn(topic)
        return has_header(types, kind) and types.fields(kind)[0][0] == "header"
    except (IndexError, KeyError, RoboscaleError):  # the bag does not define it; its block says so
        return False


def _stamp_ns(data: bytes | memoryview) -> int:
    """The stamp of a message whose first member is its header; CDR's second byte says which end comes first."""
    if len(data) < 12:
        return 0
    seconds, nanoseconds = struct.unpack_from("<iI" if data[1] & 1 else ">iI", data, 4)
    return int(seconds) * 10**9 + int(nanoseconds)


def _measure(time_ns: NDArray[np.int64]) -> _Measured:
    steps = np.diff(time_ns)
    period = grid.period_ns(time_ns)
    long = steps[steps > 3 * period] if period else steps[:0]
    rate = 1e9 / period if period else 0.0
    spread = float(steps.std()) / 1e9 if len(steps) else 0.0
    return _Measured(rate, spread, len(long), float(long.max()) / 1e9 if len(long) else 0.0)


def _fps(bag: Bag, measured: Mapping[str, _Measured]) -> int:
    """The slowest camera's rate; without cameras the slowest periodic topic's."""
    of_cameras = [m.rate_hz for name, m in measured.items() if bag.topics[name].type in IMAGE_MESSAGES and m.rate_hz]
    others = [
        m.rate_hz
        for name, m in measured.items()
        if m.rate_hz and bag.topics[name].count > 2 and not _is_internal(bag.topics[name])
    ]
    rates = of_cameras or others or [1.0]
    return max(1, min(_MAX_FPS, round(min(rates))))


def _head(bag: Bag, bags: int, fps: int, findings: list[Finding]) -> str:
    more = f", the first of {bags} bags" if bags > 1 else ""
    lines = [f"# Drafted from {bag.name}{more}. Read every line: what a topic means cannot be measured."]
    lines += [f"# {finding.severity}: {_one_line(finding.text)}" for finding in findings]
    lines += [
        f"fps = {fps}  # the grid of frames, Hz: the slowest camera's rate, else the slowest topic's",
        'clock = "header"  # stamps of the messages; "log" takes the times at which the recorder got them',
        'instruction = ""  # what was asked, or { topic = "/task", element = "data" }',
        'robot = ""',
        'licence = ""',
    ]
    events = [t.name for t in bag.topics.values() if is_service_event(t.type) and t.count]
    if events:
        names = ", ".join(_quote(name) for name in events)
        lines.append("# Service events cannot be read: the bag does not hold their definition. To leave them out:")
        lines.append(f"# ignore = [{names}]")
    return "\n".join(lines) + "\n"


class _Parts:
    """The part of a draft for one topic after the other.

    Args:
        fast: topic -> its rate (Hz), where the grid would drop most of its messages.
    """

    def __init__(self, bag: Bag, types: MessageTypes, fast: Mapping[str, float]) -> None:
        self._bag, self._types, self._fast = bag, types, fast
        self._used: set[str] = set()
        self.texts: dict[str, str] = {}

    def block(self, topic: Topic, measured: _Measured | None) -> tuple[str, bool]:
        """TOML for one topic, and whether only a person can place it."""
        head = f"# {_one_line(topic.name)}: {topic.type}, {topic.count} messages{_words(measured)}\n"
        if not topic.count or topic.type.startswith(_INFRASTRUCTURE):
            return head + "# not proposed: no messages, or infrastructure\n", False
        if is_service_event(topic.type):
            return head + "# not readable: the bag holds the service's definition, not its events'\n", False
        try:
            self._types.learn(topic.name)
            return self._readable(head, topic)
        except BadData as error:
            counted = self._field(f"count.{_slug(topic.name)}", topic, "count = true")
            return f"{head}# its messages cannot be read: {_one_line(str(error))}\n{counted}", False

    def _readable(self, head: str, topic: Topic) -> tuple[str, bool]:
        slug = _slug(topic.name)
        if topic.type in IMAGE_MESSAGES:
            name = f"observation.images.{slug}"
            return head + self._field(name, topic, 'role = ""  # where it looks from: wrist, front, ...'), False
        if topic.type in _TEXT_TYPES:
            self.texts[topic.name] = _TEXT_TYPES[topic.type]
            return head + self._field(f"count.{slug}", topic, "count = true  # messages up to each frame"), False
        leaves = list(message_leaves(self._types, topic.type))
        if not leaves:
            return head + self._field(f"count.{slug}", topic, "count = true  # it holds no numbers"), False
        is_state = topic.type == "sensor_msgs/msg/JointState" and not _COMMAND_WORDS.search(topic.name)
        arm = any(t.type in _ARM_TYPES or t.type.startswith(_COMMAND_TYPES) for t in self._bag.topics.values())
        if topic.type.startswith(_COMMAND_TYPES) or _COMMAND_WORDS.search(topic.name) or (arm and _is_array(topic)):
            return head + _as_comment(self._numbers("action", topic)), True
        return head + self._numbers("observation.state" if is_state else f"observation.{slug}", topic), False

    def _numbers(self, name: str, topic: Topic) -> str:
        """One field of the elements that the type is known for, else one for each dtype."""
        paths = DEFAULT_ELEMENTS.get(topic.type)
        if paths is not None:
            return self._field(name, topic, *self._details(topic, paths))
        by_dtype: dict[str, list[str]] = {}
        for leaf in message_leaves(self._types, topic.type):
            by_dtype.setdefault(leaf.dtype, []).append(leaf.path)
        blocks = []
        for dtype, group in by_dtype.items():
            own = name if len(by_dtype) == 1 else f"{name}.{dtype}"
            listed = ", ".join(_quote(path) for path in group[:64])
            blocks.append(self._field(own, topic, f"element = [{listed}]", *self._details(topic, tuple(group))[1:]))
        return "\n".join(blocks)

    def _details(self, topic: Topic, paths: tuple[str, ...]) -> list[str]:
        lines = [f"element = [{', '.join(_quote(p) for p in paths)}]"]
        names = self._joints(topic, paths)
        if names:
            lines.append(f"names = [{', '.join(_quote(n) for n in names)}]")
        unit = units_of(topic.type, paths)
        lines.append(f"unit = {_quote(unit)}" + ("  # rad or m, by joint" if names and unit == "unknown" else ""))
        lines.append('mode = "unknown"  # absolute, or relative to what')
        if topic.name in self._fast:
            lines.append(f"# stream = true  # keeps its {self._fast[topic.name]:.0f} Hz beside the grid")
        return lines

    def _joints(self, topic: Topic, paths: tuple[str, ...]) -> tuple[str, ...]:
        if topic.type not in ("sensor_msgs/msg/JointState", "trajectory_msgs/msg/JointTrajectory"):
            return ()
        for _, raw in self._bag.messages({topic.name}, []):
            message = self._types.decode(topic.name, raw.data)
            return Element(self._types, topic.type, paths, (), sample=message, where=topic.name).names
        return ()

    def _field(self, name: str, topic: Topic, *lines: str) -> str:
        own, number = name, 2
        while own in self._used:
            own, number = f"{name}_{number}", number + 1
        self._used.add(own)
        return "\n".join([f"[fields.{_quote(own)}]", f"topic = {_quote(topic.name)}", *lines]) + "\n"


def _is_internal(topic: Topic) -> bool:
    return topic.type.startswith(_INFRASTRUCTURE) or is_service_event(topic.type)


def _is_array(topic: Topic) -> bool:
    return topic.type.startswith("std_msgs/") and topic.type.endswith("MultiArray")


def _as_comment(block: str) -> str:
    why = "# It looks like a command. Is it the action? Absolute, or relative to what? Then uncomment and complete:\n"
    return why + "".join(f"# {line}\n" for line in block.rstrip().splitlines())


def _words(measured: _Measured | None) -> str:
    if measured is None or not measured.rate_hz:
        return ""
    words = f", {measured.rate_hz:.1f} Hz, jitter {measured.jitter_s * 1e3:.2f} ms"
    if measured.silences:
        words += f", {measured.silences} silences up to {measured.longest_s:.3f} s"
    return words


def _slug(topic: str) -> str:
    cut = re.sub(r"/(compressed|image|image_raw|image_rect|color)(?=/|$)", "", topic)
    return re.sub(r"\W+", "_", cut or topic).strip("_").lower() or "topic"


def _quote(text: str) -> str:
    """A TOML basic string; JSON's escapes are TOML's."""
    return json.dumps(text)


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
