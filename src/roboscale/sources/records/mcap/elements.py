"""Numbers out of messages: which element of a message a field is made of, and how it becomes an array.

A path names fields and positions: `position`, `wrench.force`, `points[0].positions`; the empty path is the message.
A part with several numbers is flattened in the order of its definition. Knows what a few of ROS's common messages fix
about names and units, and nothing about a robot.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import UNKNOWN, BadData
from roboscale.sources.records.mcap.messages import MessageTypes

__all__ = ["DEFAULT_ELEMENTS", "Element", "MessageLeaf", "message_leaves", "units_of"]

DEFAULT_ELEMENTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "geometry_msgs/msg/AccelStamped": ("accel",),
        "geometry_msgs/msg/PointStamped": ("point",),
        "geometry_msgs/msg/PoseStamped": ("pose",),
        "geometry_msgs/msg/TransformStamped": ("transform",),
        "geometry_msgs/msg/TwistStamped": ("twist",),
        "geometry_msgs/msg/Vector3Stamped": ("vector",),
        "geometry_msgs/msg/WrenchStamped": ("wrench",),
        "sensor_msgs/msg/Imu": ("angular_velocity", "linear_acceleration"),
        "sensor_msgs/msg/JointState": ("position",),
        "trajectory_msgs/msg/JointTrajectory": ("points[0].positions",),
        **{f"std_msgs/msg/{kind}MultiArray": ("data",) for kind in ("Float32", "Float64", "Int32", "Int64")},
    }
)
"""Type -> the element that is meant when a mapping names none."""

_NAMED_BY = {"sensor_msgs/msg/JointState": "name", "trajectory_msgs/msg/JointTrajectory": "joint_names"}

# (type, beginning of the leaf's path) -> unit that the message's definition (or REP 103) fixes. JointState positions
# are rad or m depending on the joint, so they stay unknown.
_UNITS = {
    ("geometry_msgs/msg/PointStamped", "point"): "m",
    ("geometry_msgs/msg/PoseStamped", "pose.position"): "m",
    ("geometry_msgs/msg/PoseStamped", "pose.orientation"): "1",
    ("geometry_msgs/msg/TwistStamped", "twist.linear"): "m/s",
    ("geometry_msgs/msg/TwistStamped", "twist.angular"): "rad/s",
    ("geometry_msgs/msg/Twist", "linear"): "m/s",
    ("geometry_msgs/msg/Twist", "angular"): "rad/s",
    ("geometry_msgs/msg/WrenchStamped", "wrench.force"): "N",
    ("geometry_msgs/msg/WrenchStamped", "wrench.torque"): "N m",
    ("geometry_msgs/msg/Wrench", "force"): "N",
    ("geometry_msgs/msg/Wrench", "torque"): "N m",
    ("sensor_msgs/msg/Imu", "angular_velocity"): "rad/s",
    ("sensor_msgs/msg/Imu", "linear_acceleration"): "m/s^2",
    ("sensor_msgs/msg/Imu", "orientation"): "1",
}

_BASES = {"byte": "uint8", "octet": "uint8", "char": "uint8"}
_TEXTS = ("string", "wstring")
_TIMES = ("builtin_interfaces/msg/Time", "builtin_interfaces/msg/Duration", "std_msgs/msg/Header")
_STEP = re.compile(r"([A-Za-z_]\w*)|\[(-?\d+)\]")
_MAX_LEAVES = 4096
_BASE, _NAMED, _ARRAY, _SEQUENCE = 1, 2, 3, 4  # kinds of node in a definition, as `rosbags` numbers them


@dataclass(frozen=True, slots=True)
class MessageLeaf:
    """Numbers at the end of a path: one, or a row of them when `many`."""

    path: str
    steps: tuple[str | int, ...]
    dtype: str
    many: bool


def units_of(kind: str, paths: Sequence[str]) -> str:
    """The unit that ROS's definition fixes for these elements; `mixed` for several, `unknown` for none."""
    units = {u for (k, start), u in _UNITS.items() if k == kind for p in paths if _overlap(p, start)}
    covered = all(any(k == kind and _overlap(p, start) for k, start in _UNITS) for p in paths)
    if not units or not covered:
        return UNKNOWN
    return units.pop() if len(units) == 1 else "mixed"


def _overlap(path: str, start: str) -> bool:
    return path == "" or f"{path}.".startswith(f"{start}.") or f"{start}.".startswith(f"{path}.")


def message_leaves(types: MessageTypes, kind: str, path: str = "", where: object = "") -> Iterator[MessageLeaf]:
    """The numbers below `path` in a message type, in the order of its definition; times and texts are left out.

    Raises:
        BadData: the path does not exist.
    """
    steps = _steps(path, where)
    node: Any = (_NAMED, kind)
    for step in steps:
        node = _child(types, node, step, path, where)
    yield from _below(types, node, steps, path, 0)


def _steps(path: str, where: object) -> tuple[str | int, ...]:
    parts = [(m.group(1), m.group(2)) for m in _STEP.finditer(path)]
    steps = tuple(name if name else int(position) for name, position in parts)
    if _join(steps) != path:
        raise BadData(where, "element", "a path such as `wrench.force` or `points[0].positions`", repr(path))
    return steps


def _join(steps: Sequence[str | int]) -> str:
    return "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in steps).removeprefix(".")


def _child(types: MessageTypes, node: Any, step: str | int, path: str, where: object) -> Any:
    kind, what = int(node[0]), node[1]
    if isinstance(step, int) and kind in (_ARRAY, _SEQUENCE):
        return what[0]
    fields = dict(types.fields(what)) if kind == _NAMED else {}
    if step not in fields:
        raise BadData(where, f"element {path!r}", f"one of {', '.join(fields) or 'no fields'}", f"{step!r}")
    return fields[step]


def _below(
    types: MessageTypes, node: Any, steps: tuple[str | int, ...], path: str, depth: int
) -> Iterator[MessageLeaf]:
    kind, what = int(node[0]), node[1]
    if kind == _BASE and what[0] not in _TEXTS:
        yield MessageLeaf(path, steps, _BASES.get(what[0], what[0]), False)
    elif kind in (_ARRAY, _SEQUENCE):
        inner = what[0]
        if int(inner[0]) == _BASE and inner[1][0] not in _TEXTS:
            yield MessageLeaf(path, steps, _BASES.get(inner[1][0], inner[1][0]), True)
        elif kind == _ARRAY and depth < 8:
            for i in range(min(what[1], _MAX_LEAVES)):
                yield from _below(types, inner, (*steps, i), f"{path}[{i}]", depth + 1)
    elif kind == _NAMED and what not in _TIMES and depth < 8:
        for name, child in types.fields(what):
            if name != "structure_needs_at_least_one_member":
                yield from _below(types, child, (*steps, name), f"{path}.{name}".removeprefix("."), depth + 1)


class Element:
    """Reads one field's values from decoded messages of one topic.

    Args:
        paths: elements, in order; together they are the field.
        names: of the values; they select joints where the messages name theirs. Empty takes the first message's.
        sample: the first message; says how long open-ended arrays are.

    Raises:
        BadData: a path does not exist, holds no number, mixes dtypes, or `names` does not fit.

    Attributes:
        dtype: numpy name, as the definition has it.
        names: of every value.
    """

    def __init__(
        self, types: MessageTypes, kind: str, paths: Sequence[str], names: Sequence[str], *, sample: Any, where: object
    ) -> None:
        self._where, self._kind = where, kind
        self._leaves = [leaf for path in paths for leaf in message_leaves(types, kind, path, where)]
        dtypes = {leaf.dtype for leaf in self._leaves}
        if len(dtypes) != 1 or len(self._leaves) > _MAX_LEAVES:
            found = ", ".join(f"{leaf.path} {leaf.dtype}" for leaf in self._leaves[:40]) or "no number"
            raise BadData(where, f"element of {kind}", "numbers of one dtype; name them by `element`", found)
        (self.dtype,) = dtypes
        named_by = _NAMED_BY.get(kind, "") if len(self._leaves) == 1 and self._leaves[0].many else ""
        self._named_by = named_by if named_by in dict(types.fields(kind)) else ""
        own = self._own_names(sample)
        if self._named_by and names:
            self._select(list(own), list(names))
        elif names and len(names) != len(own):
            raise BadData(where, "names", f"{len(own)} names, for {', '.join(own[:20])}", f"{len(names)}")
        self.names = tuple(names or own)
        if len(set(self.names)) != len(self.names) or not self.names:
            raise BadData(where, f"names of {kind}", "names that differ", list(self.names[:20]) or "no value")
        self._columns: tuple[tuple[str, ...], list[int]] = ((), [])

    def _own_names(self, sample: Any) -> tuple[str, ...]:
        if self._named_by:
            return tuple(str(name) for name in getattr(sample, self._named_by))
        names = []
        for leaf in self._leaves:
            size = len(self._get(sample, leaf))
            names += [f"{leaf.path}[{i}]" for i in range(size)] if leaf.many else [leaf.path]
        return tuple(names)

    def _get(self, message: Any, leaf: MessageLeaf) -> NDArray[Any]:
        value = message
        try:
            for step in leaf.steps:
                value = value[step] if isinstance(step, int) else getattr(value, step)
        except (IndexError, AttributeError) as error:
            raise BadData(self._where, leaf.path, "a value at every step", str(error)) from error
        array = np.atleast_1d(np.asarray(value))
        if array.dtype == np.int8 and leaf.dtype == "uint8":
            return array.view(np.uint8)
        return array.astype(leaf.dtype, copy=True)

    def _select(self, there: list[str], wanted: list[str]) -> list[int]:
        if len(set(there)) != len(there):
            raise BadData(self._where, self._named_by, "joint names that differ", there)
        if absent := [name for name in wanted if name not in there]:
            raise BadData(self._where, self._named_by, f"joints {', '.join(wanted)}", f"no {', '.join(absent)}")
        return [there.index(name) for name in wanted]

    def has_any(self, message: Any) -> bool:
        """False for a message of other joints: several publishers may share one joint-state topic."""
        if not self._named_by:
            return True
        return not set(self.names).isdisjoint(getattr(message, self._named_by))

    def read(self, message: Any) -> NDArray[Any]:
        """(N,) values of one message, in the order of `names`; BadData when it has others."""
        parts = [self._get(message, leaf) for leaf in self._leaves]
        values = parts[0] if len(parts) == 1 else np.concatenate(parts)
        if self._named_by:
            there = tuple(getattr(message, self._named_by))
            if len(values) != len(there):
                raise BadData(self._where, self._leaves[0].path, f"{len(there)} values, one a joint", len(values))
            if self._columns[0] != there:
                self._columns = (there, self._select(list(there), list(self.names)))
            return values[self._columns[1]]
        if len(values) != len(self.names):
            raise BadData(self._where, self._kind, f"{len(self.names)} values as in the first message", len(values))
        return values
