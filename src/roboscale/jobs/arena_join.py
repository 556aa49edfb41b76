"""Uses an invitation up: an account at an arena, and its token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from roboscale.core.plain import Plain
from roboscale.jobs.request import Argument, Option, Request

__all__ = ["ArenaUrl", "JoinArena", "JoinedArena", "join_arena"]

ArenaUrl = Annotated[str, Argument("Address of the arena, as its host says it.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinArena(Request):
    """Asks for the account of an invitation."""

    words: ClassVar[tuple[str, ...]] = ("arena", "join")

    arena: ArenaUrl
    code: Annotated[str, Option("The invitation.")]
    name: Annotated[str, Option("Who you are, for the organisers.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinedArena(Plain):
    """An account. The token is told this once, and nobody can tell it again."""

    role: str
    group: str
    token: str

    @property
    def text(self) -> list[str]:
        """For a terminal."""
        return [
            f"you are {self.role} of {self.group}; keep this, it is told once:",
            f"  export ROBOSCALE_ARENA={self.token}",
        ]


def join_arena(request: JoinArena) -> JoinedArena:
    """Joins an arena with an invitation, which is then used up.

    >>> from roboscale import ServeArena, serve_arena
    >>> with serve_arena(ServeArena(store="arena", port=0)) as hosted:
    ...     code = hosted.arena.invite(None, "owner", "team one")
    ...     join_arena(JoinArena(arena=hosted.page.url, code=code, name="ada")).role
    'owner'

    Raises:
        RoboscaleError: the invitation is unknown, used or expired.
        InfrastructureError: nobody answers there.
    """
    from roboscale.arena.client import ArenaClient

    client = ArenaClient(request.arena, patience_s=5.0)
    made = client.post("/api/join", {"code": request.code, "name": request.name})
    client.close()
    return JoinedArena(role=made["role"], group=made["group"], token=made["token"])
