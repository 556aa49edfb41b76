"""Messages decoded with the definitions that the bag itself carries; only where it has none, with ROS 2's own.

Knows CDR and the two definition languages through `rosbags`. Does not know what a value means for a robot.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from roboscale.core import BadData
from roboscale.sources.records.mcap.container import Topic

__all__ = ["MessageTypes", "is_service_event"]

_MAX_DEFINITION = 2**18  # characters
_MAX_SEQUENCE = 2**24  # elements of one array that is no plain block of numbers
_NAME = re.compile(r"[A-Za-z]\w*(/msg|/srv|/action)?/[A-Za-z]\w*")
_IDL = "=" * 80 + "\n"
# what the parser and the code it generates raise on a definition or bytes that are broken
_BROKEN = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    NameError,
    RecursionError,
    SyntaxError,
    TypeError,
    ValueError,
)


def is_service_event(kind: str) -> bool:
    """True for the events of a service call that introspection records."""
    return "/srv/" in kind and kind.endswith("_Event")


class MessageTypes:
    """The message types of one bag.

    Args:
        where: the bag, for errors.
        topics: of the bag.

    Attributes:
        assumed: types whose definition is not in the bag but ROS 2's own.
    """

    def __init__(self, where: object, topics: Mapping[str, Topic]) -> None:
        self._where, self._topics = where, topics
        self._stores: dict[str, Any] = {}
        self._fields: dict[str, Any] = {}
        self.assumed: set[str] = set()

    def fields(self, kind: str) -> list[tuple[str, Any]]:
        """(name, description) of the fields of a type that `learn` has seen, as `rosbags` describes them."""
        fields: list[tuple[str, Any]] = self._fields[kind][1]
        return fields

    def learn(self, name: str) -> str:
        """Makes a topic's messages decodable and returns their type.

        Raises:
            BadData: the definition is missing or broken, or the messages are not CDR.
        """
        topic = self._topics[name]
        if name in self._stores:
            return topic.type
        if is_service_event(topic.type):
            found = "the request and response of the service, not the event's own definition"
            raise BadData(self._where, name, f"the definition of {topic.type}", found)
        if topic.serialization != "cdr":
            raise BadData(self._where, name, "messages in cdr", f"{topic.serialization!r} ({topic.type})")
        if not _NAME.fullmatch(topic.type) or len(topic.definition) > _MAX_DEFINITION:
            found = f"{topic.type[:80]!r} with a definition of {len(topic.definition)} characters"
            raise BadData(self._where, name, "the name and definition of a message type", found)
        store = self._store(topic)
        if not topic.definition:
            self.assumed.add(topic.type)
        self._stores[name] = store
        self._fields.update(store.fielddefs)
        return topic.type

    def _store(self, topic: Topic) -> Any:
        from rosbags.serde import SerdeError
        from rosbags.typesys import TypesysError

        try:
            return _compiled(topic.type, topic.encoding, topic.definition)
        except (TypesysError, SerdeError, *_BROKEN) as error:
            expected = f"a readable definition of {topic.type}"
            raise BadData(self._where, topic.name, expected, f"{type(error).__name__}: {error}"[:200]) from error

    def decode(self, name: str, data: bytes | memoryview) -> Any:
        """One message of a topic.

        Raises:
            BadData: the bytes do not fit the definition.
        """
        from rosbags.serde import SerdeError

        kind = self.learn(name)
        try:
            return self._stores[name].deserialize_cdr(data, kind)
        except (SerdeError, *_BROKEN) as error:
            found = f"{len(data)} bytes that are not: {error}"[:200]
            raise BadData(self._where, name, f"a message of {kind}", found) from error


@lru_cache(maxsize=256)
def _compiled(kind: str, encoding: str, definition: str) -> Any:
    """A store that can decode `kind`; the same for every bag with this definition, since compiling takes a while."""
    from rosbags.typesys import Stores, get_typestore
    from rosbags.typesys.store import Typestore

    if definition:
        store = Typestore(max_sequence_length=_MAX_SEQUENCE)
        store.register(_parse(kind, encoding, definition))
    else:
        store = get_typestore(Stores.ROS2_JAZZY)
        store.max_sequence_length = _MAX_SEQUENCE
    if kind not in store.fielddefs:
        raise ValueError("that of other types" if definition else "the bag has none, and it is none of ROS 2's own")
    store.get_msgdef(kind)
    return store


def _parse(kind: str, encoding: str, definition: str) -> Any:
    from rosbags.typesys import get_types_from_idl, get_types_from_msg

    if encoding == "ros2msg":
        return get_types_from_msg(definition, kind)
    if encoding != "ros2idl":
        raise ValueError(f"a definition in {encoding!r}; ros2msg and ros2idl can be read")
    if not definition.startswith(f"{_IDL}IDL: "):
        return get_types_from_idl(definition)
    types: dict[str, Any] = {}
    for part in definition.split(_IDL)[1:]:
        types.update(get_types_from_idl(part.split("\n", 1)[1]))
    return types
