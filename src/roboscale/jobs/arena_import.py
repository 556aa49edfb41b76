"""RoboArena's published sessions, as matches of an arena."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from roboscale.core import BadData
from roboscale.core.plain import Plain
from roboscale.jobs.arena_serve import ArenaStore
from roboscale.jobs.events import Note, OnEvent, ignore
from roboscale.jobs.request import Argument, Request

if TYPE_CHECKING:
    from roboscale.arena.imported import ImportedSession
    from roboscale.results.roboarena import RoboArenaSession

__all__ = ["ImportToArena", "ImportedToArena", "import_to_arena"]

_FORMS = ("%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%d %H:%M:%S", "%Y_%m_%d_%H_%M_%S")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportToArena(Request):
    """Asks for other people's sessions in an arena."""

    words: ClassVar[tuple[str, ...]] = ("arena", "import")

    sessions: Annotated[Path, Argument("Folder of RoboArena's evaluation_sessions/<id>/metadata.yaml.")]
    store: ArenaStore = "arena"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedToArena(Plain):
    """What was added."""

    sessions: int
    matches: int
    policies: int

    @property
    def text(self) -> str:
        """One line for a terminal."""
        return (
            f"{self.sessions} sessions read; the arena has {self.matches} finished matches of {self.policies} policies"
        )


def import_to_arena(request: ImportToArena, on_event: OnEvent = ignore) -> ImportedToArena:
    """Adds published sessions as finished matches; sessions that are there already stay as they are.

    >>> import json
    >>> folder = Path("dump/evaluation_sessions/0001")
    >>> folder.mkdir(parents=True)
    >>> policies = {k: {"policy_name": f"p{k}", "binary_success": False, "partial_success": 0.5} for k in "AB"}
    >>> said = {"evaluation_location": "lab", "policies": policies, "preference": "B"}
    >>> _ = (folder / "metadata.yaml").write_text(json.dumps(said))
    >>> import_to_arena(ImportToArena(sessions=Path("dump"), store="arena")).matches
    1

    Raises:
        BadData: no session is there, one is not understood, or the store has another of the same id.
    """
    from roboscale.arena.arena import Arena
    from roboscale.arena.imported import import_sessions
    from roboscale.results.roboarena import is_session, read_session
    from roboscale.trials.log import open_log

    there = sorted(request.sessions.rglob("metadata.yaml"))
    files = [file for file in there if is_session(file)]
    if not files:
        raise BadData(request.sessions, "sessions", "evaluation_sessions/<id>/metadata.yaml", "none")
    if others := [str(file) for file in there if file not in files]:
        on_event(Note(f"{len(others)} metadata.yaml speak of no policies and are left out: {', '.join(others[:3])}"))
    read = [read_session(file) for file in files]
    for line in _notes(read):
        on_event(Note(line))
    with open_log(request.store) as log:
        count = import_sessions(log, map(_session, read))
        state = Arena(log).state
    return ImportedToArena(sessions=count, matches=len(state.finished), policies=len(state.policies))


def _notes(sessions: list[RoboArenaSession]) -> list[str]:
    lines = ["sessions say no assignment probability, seed, initial state or robot: the assignment log says so"]
    if undated := sum(not _time_ns(s.completed) for s in sessions):
        lines.append(
            f"{undated} of {len(sessions)} sessions have no time of completion that is understood: theirs is 0"
        )
    sides = [side for s in sessions for side in s.sides.values()]
    if unsaid := sum(side.progress is None for side in sides):
        lines.append(f"{unsaid} of {len(sides)} sides have no progress: 1 where the task was done, 0 otherwise")
    if unsaid := sum(side.success is None for side in sides):
        lines.append(f"{unsaid} of {len(sides)} sides do not say whether the task was done: it was not, then")
    pairs = [s for s in sessions if len(s.sides) == 2]
    if unsaid := sum(s.preference not in ("A", "B", "TIE") for s in pairs):
        lines.append(f"{unsaid} of {len(pairs)} pairs have no preference: they are kept, and do not count")
    if many := sum(len(s.sides) > 2 for s in sessions):
        lines.append(f"{many} sessions have more than two policies: who came farther is taken for the better one")
    return lines


def _session(read: RoboArenaSession) -> ImportedSession:
    from roboscale.arena.imported import ImportedSession, ImportedSide

    sides = tuple(
        ImportedSide(policy=s.policy, progress=s.progress, success=s.success, steps=round(s.duration or 0))
        for s in read.sides.values()
    )
    if not 2 <= len(sides) <= 7:
        raise BadData(read.id, "policies", "two to seven", len(sides))
    created, completed = _time_ns(read.created), _time_ns(read.completed)
    return ImportedSession(
        source="RoboArena",
        id=read.id,
        place=read.place,
        evaluator=read.evaluator,
        robot="DROID",
        instruction=read.instruction,
        sides=sides,
        preference={"TIE": "tie"}.get(read.preference, read.preference if read.preference in ("A", "B") else ""),
        text=read.feedback,
        created_ns=created,
        completed_ns=completed,
    )


def _time_ns(text: str) -> int:
    """Nanoseconds since 1970, taken for UTC; 0 where it is not understood."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        for form in _FORMS:
            try:
                when = datetime.strptime(text, form)  # made UTC below
                break
            except ValueError:
                continue
        else:
            return 0
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return int(when.timestamp() * 1e6) * 1000
