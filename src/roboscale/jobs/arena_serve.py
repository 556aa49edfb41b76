"""Hosts an arena: a board, and everything that evaluators and owners of policies ask of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from roboscale.jobs.events import Note, OnEvent, ignore
from roboscale.jobs.request import Option, Request

if TYPE_CHECKING:
    from roboscale.jobs.arena_hosting import HostedArena

__all__ = ["ArenaStore", "ServeArena", "serve_arena"]

ArenaStore = Annotated[str, Option("Folder, FILE.db or postgresql://... of the arena.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeArena(Request):
    """Asks to host an arena.

    Args:
        store: its log, which is one of trials like any other.
        media: folder of pictures and films.
        name: host names under which a reverse proxy is asked.
        open_board: everybody who reaches the server may look at the board; changing anything needs a token always.
        pace: an answer of a policy is handed on no sooner than this.
        credits: matches of a group's policies before anybody of the group has evaluated.
    """

    words: ClassVar[tuple[str, ...]] = ("arena", "serve")

    store: ArenaStore = "arena"
    media: Annotated[Path | None, Option("Folder of pictures and films; beside the store by default.")] = None
    host: Annotated[str, Option("Address to listen on; others than loopback need a token, or --open-board.")] = (
        "127.0.0.1"
    )
    port: Annotated[int, Option("0 takes a free one.", min=0, max=65535)] = 8750
    token: Annotated[str | None, Option("Secret in the address; made up where one is needed.")] = None
    name: Annotated[tuple[str, ...], Option("Host name under which a proxy asks; may repeat.")] = ()
    open_board: Annotated[bool, Option("Let everybody who reaches the server look at the board.")] = False
    answer: Annotated[float, Option("Seconds that a policy may take for an answer.", min=0.1, max=35)] = 10.0
    pace: Annotated[float, Option("Seconds before which no answer is handed on.", min=0, max=10)] = 0.0
    credits: Annotated[float, Option("Matches of a group's policies before it evaluates any.", min=0)] = 200.0


def serve_arena(
    request: ServeArena, on_event: OnEvent = ignore, *, on_ready: Callable[[str], None] = lambda url: None
) -> HostedArena:
    """Serves an arena in a thread until it is closed. A new one says the code with which its organiser joins.

    >>> with serve_arena(ServeArena(store="arena", port=0)) as hosted:
    ...     len(hosted.arena.state.accounts)
    0

    Args:
        on_ready: told the address, once it answers.

    Raises:
        BadData: the store is none.
        SpecMismatch: a token that is short or does not fit into an address.
        InfrastructureError: the address or port cannot be had, or the store cannot be reached.
    """
    from roboscale.arena.arena import ArenaRules
    from roboscale.jobs.arena_hosting import HostedArena

    hosted = HostedArena(
        request.store,
        request.media,
        ArenaRules(credits=request.credits),
        answer_s=request.answer,
        pace_s=request.pace,
    )
    try:
        page = hosted.serve(request.host, request.port, request.token, request.name, request.open_board)
        if not any(account.role == "organiser" for account in hosted.arena.state.accounts.values()):
            code = hosted.arena.invite(None, "organiser", "organisers")
            on_event(Note(f"nobody organises it yet: roboscale arena join {page.url} --code {code} --name NAME"))
        on_ready(page.url)
    except BaseException:
        hosted.close()
        raise
    return hosted
