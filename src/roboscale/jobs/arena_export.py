"""Everything that an arena knows of its matches, as files that anybody can count again."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from roboscale.core import RoboscaleError
from roboscale.core.plain import Plain
from roboscale.jobs.arena_serve import ArenaStore
from roboscale.jobs.events import Note, OnEvent, Wrote, ignore
from roboscale.jobs.request import Argument, Request

if TYPE_CHECKING:
    from roboscale.arena.state import ArenaState

__all__ = ["ExportArena", "ExportedArena", "export_arena", "opened_for", "write_tables"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportArena(Request):
    """Asks for the tables of an arena."""

    words: ClassVar[tuple[str, ...]] = ("arena", "export")

    out: Annotated[Path, Argument("A new folder.")]
    store: ArenaStore = "arena"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedArena(Plain):
    """What was written."""

    out: str
    matches: int
    comparisons: int
    trials: int
    commands: tuple[str, ...]

    @property
    def text(self) -> list[str]:
        """For a terminal."""
        counted = f"{self.matches} matches, {self.comparisons} comparisons, {self.trials} rollouts in {self.out}"
        if not self.commands:
            return [counted, "no match has been voted on yet: there is no number to count again"]
        return [counted, "every number of the board again:", *(f"  {command}" for command in self.commands)]


def export_arena(request: ExportArena, on_event: OnEvent = ignore) -> ExportedArena:
    """Writes comparisons.parquet, trials.parquet, matches.json (the assignment log) and board.json.

    >>> from roboscale import DemoArena, demo_arena
    >>> with demo_arena(DemoArena(folder=Path("arena"), matches=3, port=0)) as hosted:
    ...     pass
    >>> export_arena(ExportArena(out=Path("exported"), store="arena")).comparisons
    3

    Raises:
        BadData: the store is none.
        RoboscaleError: the folder is there and is not empty, or the arena has had no match.
    """
    from roboscale.arena.tables import match_rows
    from roboscale.core.plain import to_plain
    from roboscale.jobs.arena_board import arena_board

    state = opened_for(request.store, request.out)
    if not state.matches:
        raise RoboscaleError(f"{request.store}: no match yet, so there is nothing to export")
    request.out.mkdir(parents=True, exist_ok=True)
    comparisons, trials = write_tables(state, request.out, on_event)
    board, matches = arena_board(state), match_rows(state)
    for name, value in (("matches", matches), ("board", board)):
        path = request.out / f"{name}.json"
        path.write_text(json.dumps(to_plain(value), indent=1), encoding="utf-8")
        on_event(Wrote("document", path))
    said = sum(bool(rollout.reason) for match in state.matches.values() for rollout in match.rollouts)
    if said:
        why = "why rollouts ended, which may be what a policy said of itself"
        on_event(Note(f"left out of matches.json: {why} ({said} rollouts)"))
    return ExportedArena(
        out=str(request.out),
        matches=len(matches),
        comparisons=comparisons,
        trials=trials,
        commands=_commands(board.commands, request.out) if state.finished else (),
    )


def opened_for(store: str, out: Path) -> ArenaState:
    """What an arena knows, for a new folder. RoboscaleError where that is there already and holds something."""
    from roboscale.arena.arena import Arena
    from roboscale.trials.log import open_log

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RoboscaleError(f"{out} is there already, and is {'not empty' if out.is_dir() else 'no folder'}")
    with open_log(store, read_only=True) as log:
        return Arena(log).state


def write_tables(state: ArenaState, out: Path, on_event: OnEvent = ignore) -> tuple[int, int]:
    """Writes comparisons.parquet and trials.parquet into a folder; how many rows they have."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from roboscale.arena.tables import comparison_rows, trial_rows

    comparisons, trials = comparison_rows(state), trial_rows(state)
    for name, columns in (("comparisons", comparisons), ("trials", trials)):
        path = out / f"{name}.parquet"
        pq.write_table(pa.table(columns), path)
        on_event(Wrote("table", path))
    return len(comparisons["winner"]), len(trials["policy"])


def _commands(commands: tuple[str, ...], out: Path) -> tuple[str, ...]:
    """The board's commands for files in a folder, as a shell takes them."""
    words = [[str(out / word) if word.endswith(".parquet") else word for word in shlex.split(c)] for c in commands]
    return tuple(map(shlex.join, words))
