"""Which code runs while a policy acts, and what that reads from outside.

The constructor of an object that is there has run already: the file it read is in the object's attributes, which are
digested. So what matters is reached from the entries: functions through the names they load, methods by their name,
and the methods that Python calls itself (`__getitem__`) wherever a class is used. That is an over-estimate: a doubt
too many costs a repetition, one too few a wrong number.
"""

from __future__ import annotations

from collections.abc import Collection
from types import FunctionType

from roboscale.core.graph import Graph, Node, Reach
from roboscale.core.outside import PATH_METHODS, READING_METHODS

__all__ = ["CONSTRUCTORS", "doubt_what_is_read"]

CONSTRUCTORS = frozenset({"__init__", "__new__", "__post_init__", "__attrs_init__", "__attrs_post_init__"})
_ENTRIES = frozenset(  # what a rollout or an adapter calls of a policy
    {"__call__", "start", "reset", "close", "act_many", "act", "select_action", "predict", "predict_action_chunk"}
)
_OTHERWISE = CONSTRUCTORS | {
    *("__init_subclass__", "__set_name__", "__class_getitem__", "__subclasshook__", "__instancecheck__", "__del__"),
    *("__getstate__", "__setstate__", "__reduce__", "__reduce_ex__", "__getnewargs__", "__getnewargs_ex__"),
    *("__repr__", "__copy__", "__deepcopy__", "__sizeof__", "__dir__"),
}
_PERSISTENCE = frozenset(
    {"load", "save", "from_file", "to_file", "from_pretrained", "save_pretrained", "from_checkpoint"}
)


def doubt_what_is_read(graph: Graph, calls: Collection[str] = ()) -> None:
    """Adds a reason to `graph` for everything that is read from outside while its root acts.

    Args:
        graph: recorded.
        calls: the methods of the root that will be called; by default those that a rollout calls of a policy where it
            has one of them, else all but constructors and what loads and saves.
    """
    running = _Running(graph)
    running.names.update(calls or _entries(graph.root))
    running.reach(graph.root, "used")
    running.run()


def _entries(root: Node) -> set[str]:
    members = {name for node in _classes(root) for name in node.members}
    if members & {"__call__", "start"}:
        return set(_ENTRIES)
    return members - _OTHERWISE - _PERSISTENCE


def _classes(root: Node) -> list[Node]:
    """The class of an instance with its bases; nothing of anything else."""
    first = [node for node, _ in root.edges if node.kind == "class"][:1] if root.kind == "instance" else []
    return first + [base for node in first for base, _ in node.edges if base.kind == "class"]


class _Running:
    """What runs, found by going on until nothing is new."""

    def __init__(self, graph: Graph) -> None:
        self.names: set[str] = set()
        self._graph = graph
        self._reached: set[tuple[Node, Reach]] = set()
        self._stack: list[tuple[Node, Reach]] = []
        self._classes: dict[Node, bool] = {}  # whether instances are made while acting
        self._members: set[tuple[Node, str]] = set()

    def reach(self, node: Node, how: Reach) -> None:
        if how != "seen" and (node, how) not in self._reached:
            self._reached.add((node, how))
            self._stack.append((node, how))

    def run(self) -> None:
        while self._stack or self._next_members():
            while self._stack:
                self._visit(*self._stack.pop())

    def _visit(self, node: Node, how: Reach) -> None:
        self._say(node)
        if node.facts is not None:
            self.names |= node.facts.names
        if node.kind == "class":
            self._classes[node] = self._classes.get(node, False) or how == "used"
        for child, reach in node.edges:
            inherited = node.kind == "class" and child.kind == "class" and reach != "seen"
            self.reach(child, how if inherited else reach)

    def _next_members(self) -> bool:
        """Reaches the members of used classes that now have a reason to run; says whether there were any."""
        for node, made in list(self._classes.items()):
            for name, children in node.members.items():
                by_python = name.startswith("__") and name.endswith("__") and name not in _OTHERWISE
                if (node, name) in self._members or not (
                    name in self.names or by_python or (made and name in CONSTRUCTORS)
                ):
                    continue
                self._members.add((node, name))
                for child in children:
                    self.reach(child, "used")
                if name in node.makers:
                    self.reach(node, "used")
        return bool(self._stack)

    def _say(self, node: Node) -> None:
        for external in node.inputs:
            self._graph.doubt(f"{_subject(node)} {external.verb} while acting ({external.name})")
        if node.facts is None:
            return
        methods = READING_METHODS | (PATH_METHODS if self._graph.has_paths else frozenset())
        for name in sorted(node.facts.attributes & methods):
            self._graph.doubt(f"{_subject(node)} reads a file while acting (.{name})")


def _subject(node: Node) -> str:
    """Who reads: the function that has the reader, else where it is kept."""
    holder: Node | None = node
    while holder is not None:
        if holder.facts is not None and isinstance(holder.thing, FunctionType):
            return holder.thing.__qualname__.rpartition("<locals>.")[2]
        holder = holder.parent
    return node.path
