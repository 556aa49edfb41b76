"""Makes an invitation to an arena, where its store is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from roboscale.core import UsageError
from roboscale.core.plain import Plain
from roboscale.jobs.arena_serve import ArenaStore
from roboscale.jobs.events import Note, OnEvent, ignore
from roboscale.jobs.request import Option, Request

__all__ = ["ArenaInvitation", "InviteToArena", "invite_to_arena"]


@dataclass(frozen=True, slots=True, kw_only=True)
class InviteToArena(Request):
    """Asks for a code with which somebody becomes an account."""

    words: ClassVar[tuple[str, ...]] = ("arena", "invite")

    role: Annotated[Literal["organiser", "evaluator", "owner"], Option("What the account may do.")]
    group: Annotated[str, Option("Lab or team: nobody evaluates the policies of their own group.")]
    store: ArenaStore = "arena"
    days: Annotated[float, Option("Days for which it is good.", min=0.01, max=365)] = 14.0

    def check(self) -> None:
        if not self.group.strip():
            raise UsageError("--group: expected the name of a lab or team, found none")


@dataclass(frozen=True, slots=True, kw_only=True)
class ArenaInvitation(Plain):
    """A code for one account."""

    role: str
    group: str
    code: str

    @property
    def text(self) -> str:
        """For a terminal."""
        return f"for one {self.role} of {self.group}: roboscale arena join ADDRESS --code {self.code} --name NAME"


def invite_to_arena(request: InviteToArena, on_event: OnEvent = ignore) -> ArenaInvitation:
    """Makes a code for one account, on the machine that has the store; organisers can do the same at the server.

    >>> invite_to_arena(InviteToArena(role="owner", group="team one", store="arena")).role
    'owner'

    Raises:
        BadData: the store is none.
        InfrastructureError: it cannot be reached.
    """
    from roboscale.arena.arena import Arena
    from roboscale.trials.log import open_log

    with open_log(request.store) as log:
        arena = Arena(log)
        if not arena.state.number:
            on_event(Note(f"{request.store} held no arena: this is the first entry of a new one"))
        code = arena.invite(None, request.role, request.group, request.days)
    return ArenaInvitation(role=request.role, group=request.group, code=code)
