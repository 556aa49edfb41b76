"""What a file of recorded messages is, whichever way it stores them. Knows no message type."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from roboscale.core import Finding

__all__ = ["BagFile", "RawMessage", "Ref", "Topic"]

Ref = tuple[int, int, int]
"""Where a file keeps one message; only the file that gave it can read it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """One topic of a bag.

    Args:
        type: ROS name of its messages, e.g. `sensor_msgs/msg/JointState`.
        count: messages that the file's index claims.
        definition: text that defines the type; empty where the bag has none.
        encoding: language of that text: `ros2msg`, `ros2idl` or empty.
        serialization: how the messages are written; `cdr` is the one that can be read.
    """

    name: str
    type: str
    count: int
    definition: str
    encoding: str
    serialization: str


@dataclass(frozen=True, slots=True)
class RawMessage:
    """One message, not decoded. `data` may be a view that keeps a whole chunk alive: copy what you keep."""

    topic: str
    log_ns: int
    data: bytes | memoryview
    ref: Ref


class BagFile(Protocol):
    """One file of a bag.

    Attributes:
        topics: what the index says; names in the file's order.
        findings: what is wrong with the index.
    """

    path: Path
    topics: Mapping[str, Topic]
    findings: list[Finding]

    def messages(self, topics: Collection[str], report: list[Finding]) -> Iterator[RawMessage]:
        """Messages of the named topics in the order they were written, checksums verified.

        Stops before the first byte that cannot be trusted; `report` then gets a finding that says what was lost.
        """

    def fetch(self, ref: Ref) -> bytes:
        """The data of one message again."""

    def close(self) -> None:
        """Lets go of the file."""
