"""An arena's board as a folder that any host of static files, or nobody, can serve."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from roboscale.core import RoboscaleError
from roboscale.core.extras import require_packages
from roboscale.core.plain import Plain, to_plain
from roboscale.jobs.arena_serve import ArenaStore
from roboscale.jobs.events import Note, OnEvent, Wrote, ignore
from roboscale.jobs.request import Argument, Option, Request

if TYPE_CHECKING:
    from roboscale.arena.state import ArenaState

__all__ = ["PublishArena", "PublishedArena", "publish_arena"]

_LEFT_OUT = (
    "Left out of this copy: who evaluated and who owns an account, matches that are not over, what policies said of "
    "their mistakes, and what their servers knew a rollout as."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishArena(Request):
    """Asks for a static copy of the board.

    Args:
        matches: so many of the newest are listed, with their films; numbers are of all.
    """

    words: ClassVar[tuple[str, ...]] = ("arena", "publish")

    out: Annotated[Path, Argument("A new folder.")]
    store: ArenaStore = "arena"
    media: Annotated[Path | None, Option("Folder of pictures and films; beside the store by default.")] = None
    matches: Annotated[int, Option("So many of the newest matches are listed, with their films.", min=0)] = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedArena(Plain):
    """What was written.

    Args:
        listed: matches that can be looked at, of `matches` that are over.
        missing: pictures and films that are not in the folder of them.
    """

    out: str
    matches: int
    listed: int
    files: int
    missing: int

    @property
    def text(self) -> list[str]:
        """For a terminal."""
        gone = f"; {self.missing} are not there any more" if self.missing else ""
        return [
            f"{self.out}/index.html: the board of {self.matches} matches, {self.listed} of them to be looked at, with "
            f"{self.files} pictures and films{gone}"
        ]


def publish_arena(request: PublishArena, on_event: OnEvent = ignore) -> PublishedArena:
    """Writes index.html, its pictures and films, and the tables from which `rank` counts its numbers again.

    >>> from roboscale import DemoArena, demo_arena
    >>> with demo_arena(DemoArena(folder=Path("arena"), matches=3, port=0)) as hosted:
    ...     pass
    >>> publish_arena(PublishArena(out=Path("public"), store="arena")).listed
    3

    Raises:
        BadData: the store is none.
        RoboscaleError: the folder is there and is not empty, or no match has been voted on.
    """
    require_packages("a page", "starlette")
    from roboscale.jobs.arena_export import opened_for, write_tables
    from roboscale.jobs.arena_hosting import media_folder
    from roboscale.web.arena.bundle import bundled_page

    state = opened_for(request.store, request.out)
    if not state.finished:
        raise RoboscaleError(f"{request.store}: no match has been voted on yet, so there is nothing to publish")
    answers = _answers(state, request.matches)
    listed = answers["api/finished"]["matches"]
    request.out.mkdir(parents=True, exist_ok=True)
    wanted = [f"{m['picture']}.jpg" for m in listed if m["picture"]]
    wanted += [f"{s['rollout']['video']}.mp4" for m in listed for s in m["sides"] if (s["rollout"] or {}).get("video")]
    source = media_folder(request.store, request.media)
    missing = [name for name in dict.fromkeys(wanted) if not _copy(source / name, request.out / "media" / name)]
    if missing:
        on_event(Note(f"{len(missing)} pictures and films are not in {source}, e.g. {missing[0]}"))
    write_tables(state, request.out)
    page = request.out / "index.html"
    page.write_text(bundled_page(answers), encoding="utf-8")
    on_event(Wrote("page", page))
    count = len(set(wanted)) - len(missing)
    return PublishedArena(
        out=str(request.out), matches=len(state.finished), listed=len(listed), files=count, missing=len(missing)
    )


def _answers(state: ArenaState, newest: int) -> dict[str, Any]:
    """What the page asks of a server, and what it is told."""
    from roboscale.jobs.arena_board import arena_board
    from roboscale.jobs.arena_matches import matches_shown

    board = arena_board(state)
    finished = matches_shown(state, len(state.finished), newest)
    shown, total = finished["matches"], finished["total"]
    said = f"Listed are {len(shown)} of {total} matches; the numbers are of all."
    board = replace(board, notes=(*board.notes, *([said] if len(shown) < total else []), _LEFT_OUT))
    answers = {"api/board": board, "api/finished": finished}
    for one in shown:
        match = state.matches[one["id"]]
        drawn = {"candidates": match.drawn.get("candidates", {}), "imported": match.drawn.get("imported", "")}
        answers[f"api/finished/{match.id}"] = {**one, "drawn": drawn, "seed": match.seed}
    plain: dict[str, Any] = to_plain(answers)
    return plain


def _copy(source: Path, target: Path) -> bool:
    """Whether it was there."""
    if not source.is_file():
        return False
    target.parent.mkdir(exist_ok=True)
    shutil.copyfile(source, target)
    return True
