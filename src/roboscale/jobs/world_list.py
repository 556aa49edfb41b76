"""Lists the worlds, or what one of them is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from roboscale.core import WorldInfo
from roboscale.core.plain import to_plain
from roboscale.jobs.events import Note, OnEvent, ignore
from roboscale.jobs.request import Argument, Request

__all__ = ["ListWorlds", "ListedWorlds", "list_worlds"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListWorlds(Request):
    """Asks which worlds there are, or which tasks one has."""

    words: ClassVar[tuple[str, ...]] = ("world", "list")

    world: Annotated[str, Argument("List the tasks of this world.")] = ""


@dataclass(frozen=True, slots=True)
class ListedWorlds:
    """The worlds that can be used here, or what one is.

    Args:
        here: name -> one line.
        absent: name -> the packages that it lacks here.
        info: of the world that was asked for.
    """

    here: dict[str, str] = field(default_factory=dict)
    absent: dict[str, tuple[str, ...]] = field(default_factory=dict)
    info: WorldInfo | None = None

    @property
    def lines(self) -> list[str]:
        """For a terminal."""
        if self.info is not None:
            return [f"{task:32} {sentence}" for task, sentence in self.info.tasks.items()]
        return [f"{name:16} {about}" for name, about in self.here.items()]

    def to_json(self) -> dict[str, Any]:
        """The names of all worlds, or the facts of the one that was asked for."""
        if self.info is None:
            return {"worlds": self.here, "not_installed": to_plain(self.absent)}
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
    from roboscale.worlds import WORLDS, open_world

    if request.world:
        opened = open_world(request.world)
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
    return ListedWorlds(here, {name: built_in.missing for name, built_in in absent.items()})
