"""Lists the worlds, or what one of them is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from roboscale.core import WorldInfo
from roboscale.core.plain import Plain, to_plain
from roboscale.jobs.events import Note, OnEvent, ignore
from roboscale.jobs.request import Argument, Request

__all__ = ["ListWorlds", "ListedWorlds", "list_worlds"]

MANY = 8  # tasks that are counted instead of listed


@dataclass(frozen=True, slots=True, kw_only=True)
class ListWorlds(Request):
    """Asks which worlds there are, or which tasks one has."""

    words: ClassVar[tuple[str, ...]] = ("world", "list")

    world: Annotated[str, Argument("List the tasks of this world, or of this guest.")] = ""


@dataclass(frozen=True, slots=True)
class GuestWorlds(Plain):
    """What a guest brings.

    Args:
        about: one line for people. installed: whether it is. tasks: task -> sentence. measures: names.
    """

    about: str
    installed: bool
    tasks: dict[str, str]
    measures: tuple[str, ...]

    def lines(self, name: str) -> list[str]:
        """For a terminal."""
        state = "" if self.installed else f"; not installed: roboscale guest install {name}"
        tasks = [f"  {f'{name}:{task}':30} {sentence}" for task, sentence in self.tasks.items()]
        measures = [f"  measures {', '.join(self.measures)}"] if self.measures else []
        return [f"{name + ':TASK':20} {self.about}{state}", *tasks, *measures]


@dataclass(frozen=True, slots=True)
class BuiltInTasks(Plain):
    """What a built-in world has.

    Args:
        tasks: task -> sentence. measures: names.
    """

    tasks: dict[str, str]
    measures: tuple[str, ...]

    def lines(self, name: str) -> list[str]:
        """For a terminal; many tasks are counted."""
        if len(self.tasks) > MANY:
            tasks = [f"  {len(self.tasks)} tasks: roboscale world list {name}"]
        else:
            tasks = [f"  {task:30} {sentence}" for task, sentence in self.tasks.items()]
        return [*tasks, f"  measures {', '.join(self.measures)}"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedWorlds:
    """The worlds that can be used here, or what one is.

    Args:
        here: name -> one line.
        absent: name -> the packages that it lacks here.
        info: of the world that was asked for.
        guests: packages of others that bring worlds: name -> what.
        brings: name of a world that is here -> its tasks and measures.
    """

    here: dict[str, str] = field(default_factory=dict)
    absent: dict[str, tuple[str, ...]] = field(default_factory=dict)
    info: WorldInfo | None = None
    guests: dict[str, GuestWorlds] = field(default_factory=dict)
    brings: dict[str, BuiltInTasks] = field(default_factory=dict)

    @property
    def lines(self) -> list[str]:
        """For a terminal."""
        if self.info is not None:
            return [f"{task:32} {sentence}" for task, sentence in self.info.tasks.items()]
        guests = [line for name, guest in self.guests.items() for line in guest.lines(name)]
        lines = []
        for name, about in self.here.items():
            lines += [f"{name:20} {about}", *(self.brings[name].lines(name) if name in self.brings else ())]
        return [*lines, *guests]

    def to_json(self) -> dict[str, Any]:
        """The names of all worlds, or the facts of the one that was asked for."""
        if self.info is None:
            return {
                "worlds": self.here,
                "tasks_and_measures": to_plain(self.brings),
                "not_installed": to_plain(self.absent),
                "guests": to_plain(self.guests),
            }
        from roboscale.trials.log import world_facts

        return {"world": self.info.name, **world_facts(self.info)}


def list_worlds(request: ListWorlds, on_event: OnEvent = ignore) -> ListedWorlds:
    """The worlds that can be used here; or of one its tasks, sentences, specs, measures and rule.

    >>> from roboscale import ListWorlds, list_worlds
    >>> "metaworld" in list_worlds(ListWorlds()).here
    True

    Raises:
        UnknownName: no such world.
    """
    from roboscale.jobs.opening import open_any_world
    from roboscale.worlds import WORLDS

    if request.world in (guests := _guests()):
        return ListedWorlds(guests={request.world: guests[request.world]})
    if request.world:
        opened = open_any_world(request.world)
        try:
            for note in getattr(opened, "notes", ()):
                on_event(Note(note))
            return ListedWorlds(info=opened.info)
        finally:
            opened.close()
    here = {name: built_in.about for name, built_in in WORLDS.items() if not built_in.missing}
    absent = {name: built_in for name, built_in in WORLDS.items() if built_in.missing}
    for name, built_in in absent.items():
        on_event(Note(f"not here: {name} ({', '.join(built_in.missing)} not installed; {built_in.advice})"))
    brings = {name: BuiltInTasks(*WORLDS[name].describe()) for name in here}
    lacking = {name: built_in.missing for name, built_in in absent.items()}
    return ListedWorlds(here=here, absent=lacking, guests=guests, brings=brings)


def _guests() -> dict[str, GuestWorlds]:
    from roboscale.guests import environment_of, find_guests

    return {
        name: GuestWorlds(guest.about, environment_of(guest) is not None, dict(guest.tasks), guest.measures)
        for name, guest in find_guests().items()
        if guest.worlds
    }
