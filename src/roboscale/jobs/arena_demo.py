"""An arena on one machine: server, three robots at three sites, five policies of known quality, matches in minutes."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from roboscale.jobs.events import Note, OnEvent, counting, ignore
from roboscale.jobs.request import Option, Request

if TYPE_CHECKING:
    from roboscale.jobs.arena_hosting import HostedArena

__all__ = ["DemoArena", "demo_arena"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoArena(Request):
    """Asks for an arena that plays itself.

    Args:
        folder: where its store is kept; a temporary one by default.
        seed: of scenes, of the evaluators' eyes and of nothing else: draws are the arena's own.
    """

    words: ClassVar[tuple[str, ...]] = ("arena", "demo")

    matches: Annotated[int, Option("Matches to play.", min=1, max=100000)] = 200
    folder: Annotated[Path | None, Option("Where its store is kept; a temporary folder by default.")] = None
    port: Annotated[int, Option("0 takes a free one.", min=0, max=65535)] = 0
    seed: Annotated[int, Option("Seed of scenes and of the evaluators' eyes.", min=0)] = 0


def demo_arena(
    request: DemoArena, on_event: OnEvent = ignore, *, on_ready: Callable[[str], None] = lambda url: None
) -> HostedArena:
    """Plays matches between policies whose mean progress is .15, .40, .40, .65 and .85; the board is then served on.

    >>> with demo_arena(DemoArena(matches=3, port=0)) as hosted:
    ...     len(hosted.arena.state.finished)
    3

    Args:
        on_ready: told the board's address before the first match.

    Raises:
        InfrastructureError: the port cannot be had.
    """
    from roboscale.jobs.arena_hosting import HostedArena
    from roboscale.jobs.arena_rehearsal import PLANTED, PlantedPolicy, rehearse, stand_in_worlds

    folder = request.folder
    if folder is None:
        folder = Path(tempfile.mkdtemp(prefix="roboscale-arena-"))
        on_event(Note(f"its store is {folder}, which is yours to delete"))
    hosted = HostedArena(str(folder))
    try:
        page = hosted.serve(port=request.port)
        on_ready(page.url)
        names = ("ash", "birch", "cedar", "elder", "fir")
        policies = [PlantedPolicy(name, mean) for name, mean in zip(names, PLANTED, strict=True)]
        planted = ", ".join(f"{p.name} {p.mean:.2f}" for p in policies)
        on_event(Note(f"planted mean progress: {planted}; evaluators err by 4 points, and call 5 a tie"))
        advance = counting(on_event, "matches", request.matches)
        rehearse(
            hosted,
            page.url,
            stand_in_worlds(),
            policies,
            request.matches,
            seed=request.seed,
            on_match=lambda number: advance(),
        )
    except BaseException:
        hosted.close()
        raise
    return hosted
