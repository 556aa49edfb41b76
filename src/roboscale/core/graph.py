"""Objects and what they refer to, as a graph with one digest that does not depend on where things lie in memory.

Every object that is more than a plain value is a node. Its record is a list of tokens and of other nodes. Nodes are
numbered in the order in which they are first met from the root, breadth first, so sharing and cycles are part of the
content and nothing is recursive. The elements of a set have no order: they are met last, sorted by what they look like
(colour refinement: the colour of a node is its record with the colours of its children, again and again).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, Literal

from roboscale.core.bytecode import CodeFacts
from roboscale.core.canonical import content_digest, has_type, plain_token, token
from roboscale.core.classes import type_name
from roboscale.core.outside import ExternalInput, external_things

__all__ = ["Graph", "Node", "Reach"]

Reach = Literal["used", "typed", "seen"]
"""What running a node does to one that it refers to: it runs, may be called, or is a class that instances may be made
of (`used`); it is the class of something that is there already (`typed`); or it is only looked at (`seen`)."""

_ROUNDS = 100  # of colour refinement; what is still alike then is taken as it comes


@dataclass(slots=True, kw_only=True, eq=False)
class Node:
    """One object.

    Args:
        thing: the object itself, held so that its id stays its own.
        parent, label: where it was first met, for messages.
        kind: "function", "class" or what `objects` and `instances` call it.
        parts: tokens and nodes, in order.
        unordered: elements of a set.
        weak: nodes that are referred to without being held.
        docs, called: tokens of the docstring and of the name; they count where somebody reads `__doc__` or `__name__`.
        edges: which nodes are reached when this one runs, and how.
        members: of a class, what its attributes lead to; `makers` are the class methods among them.
        inputs: what it reads from outside when it runs.
        facts: of a function, its code.
    """

    thing: Any
    parent: Node | None
    label: str
    kind: str = ""
    parts: list[bytes | Node] = field(default_factory=list)
    unordered: list[bytes | Node] = field(default_factory=list)
    weak: list[Node] = field(default_factory=list)
    docs: bytes = b""
    called: bytes = b""
    edges: list[tuple[Node, Reach]] = field(default_factory=list)
    members: dict[str, list[Node]] = field(default_factory=dict)
    makers: set[str] = field(default_factory=set)
    inputs: list[ExternalInput] = field(default_factory=list)
    facts: CodeFacts | None = None

    @property
    def path(self) -> str:
        """How one comes here from the root: `policy.layers[2].core`."""
        labels, node = [self.label], self
        while node.parent is not None:
            node = node.parent
            labels.append(node.label)
        text = "".join(reversed(labels))
        return text if len(text) <= 120 else f"{text[:58]}...{text[-58:]}"

    @property
    def successors(self) -> Iterator[Node]:
        """All nodes it holds."""
        for part in (*self.parts, *self.unordered):
            if isinstance(part, Node):
                yield part


class Graph:
    """Everything that is reached from one object. Nodes are met first and recorded later, by `fill`."""

    def __init__(self, root: object, label: str) -> None:
        self.reasons: dict[str, None] = {}
        self.external = external_things()
        self.has_paths = False
        self.kinds: dict[type, Any] = {}  # what `instances` knows of a class
        self._nodes: dict[int, Node] = {}
        self._pending: deque[Node] = deque()
        self.root = self._node(root, None, label)

    def fill(self, record: Callable[[Graph, Node], None]) -> None:
        """Records every node, those that recording meets included."""
        while self._pending:
            record(self, self._pending.popleft())

    @property
    def nodes(self) -> Iterable[Node]:
        """All nodes, in no order that means anything."""
        return self._nodes.values()

    def part(self, node: Node, label: str, value: object) -> bytes | Node:
        """`value` as a part of a record: a token where it is plain, else its node."""
        written = plain_token(value)
        if written is not None:
            return written
        if has_type(value, PurePath):
            self.has_paths = True
            return token("path", str(value).encode("utf-8", "surrogatepass"))
        known = self._nodes.get(id(value))
        return known if known is not None else self._node(value, node, label)

    def child(self, node: Node, label: str, value: object, reach: Reach = "used") -> Node | None:
        """Adds `value` to the record of `node`; gives its node where it has one."""
        part = self.part(node, label, value)
        node.parts.append(part)
        if isinstance(part, bytes):
            return None
        node.edges.append((part, reach))
        return part

    def doubt(self, reason: str) -> None:
        """Says why the digest may not cover everything."""
        self.reasons[reason] = None

    def opaque(self, node: Node) -> None:
        """Records that `node` cannot be looked into, and says so."""
        name = type_name(type(node.thing))
        node.parts.append(token("opaque", name.encode()))
        self.doubt(f"cannot look into {node.path} ({name})")

    def digest(self, head: bytes) -> bytes:
        """32 bytes over `head` and all records."""
        names = {name for node in self.nodes if node.facts is not None for name in node.facts.names}
        numbers, weak = _numbered(self.root)
        for node in weak:
            self.doubt(f"{node.path} is a weak reference")
        reads_docs, reads_names = bool(names & {"__doc__", "getdoc"}), bool(names & {"__name__", "__qualname__"})
        places = {node: b"@%d;" % number for node, number in numbers.items()}
        records = (
            _record(node, places) + node.docs * reads_docs + node.called * reads_names
            for node in sorted(numbers, key=numbers.__getitem__)
        )
        return content_digest([head, *records])

    def _node(self, value: object, parent: Node | None, label: str) -> Node:
        node = Node(thing=value, parent=parent, label=label)
        self._nodes[id(value)] = node
        self._pending.append(node)
        return node


def _record(node: Node, places: dict[Node, bytes]) -> bytes:
    """The record with `places` instead of the nodes it refers to. Tokens end themselves, so they are put in a row."""
    tokens = [part if isinstance(part, bytes) else places.get(part, b"@;") for part in node.parts]
    unordered = sorted(part if isinstance(part, bytes) else places.get(part, b"@;") for part in node.unordered)
    weak = [places.get(part, b"@;") for part in node.weak]
    counts = b"record%d;%d;%d;" % (len(tokens), len(unordered), len(weak))
    return b"".join((counts, *tokens, *unordered, *weak))


def _numbered(root: Node) -> tuple[dict[Node, int], list[Node]]:
    """Numbers all nodes from the root; also gives the nodes whose weak references alone lead somewhere."""
    numbers: dict[Node, int] = {root: 0}
    queue, sets, references = deque([root]), deque[Node](), deque[Node]()
    only_weak: list[Node] = []
    colours: dict[Node, bytes] = {}

    def meet(nodes: Iterable[Node]) -> None:
        for node in nodes:
            if node not in numbers:
                numbers[node] = len(numbers)
                queue.append(node)

    while queue or sets or references:
        if queue:
            node = queue.popleft()
            meet(part for part in node.parts if isinstance(part, Node))
            if node.unordered:
                sets.append(node)
            if node.weak:
                references.append(node)
        elif sets:
            new = [e for e in sets.popleft().unordered if isinstance(e, Node) and e not in numbers]
            if len(new) > 1:
                colours = colours or _colours(root)
                new.sort(key=colours.__getitem__)
            meet(new)
        else:
            node = references.popleft()
            if any(target not in numbers for target in node.weak):
                only_weak.append(node)
            meet(node.weak)
    return numbers, only_weak


def _colours(root: Node) -> dict[Node, bytes]:
    """A digest of each node that says what it leads to, as far as it takes to tell nodes apart."""
    reached, stack = {root}, [root]
    while stack:
        for node in (*(current := stack.pop()).successors, *current.weak):
            if node not in reached:
                reached.add(node)
                stack.append(node)
    colours: dict[Node, bytes] = {}
    for _ in range(_ROUNDS):
        finer = {node: content_digest([_record(node, colours)]) for node in reached}
        if len(set(finer.values())) == len(set(colours.values())):
            break
        colours = finer
    return colours
