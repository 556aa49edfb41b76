"""Offers a policy to an arena from where it is: nothing but outbound requests."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from roboscale.core import RoboscaleError
from roboscale.jobs.arena_join import ArenaUrl
from roboscale.jobs.events import Note, OnEvent, ignore
from roboscale.jobs.request import Option, Request

if TYPE_CHECKING:
    from roboscale.jobs.arena_offering import Offering

__all__ = ["ArenaToken", "OfferPolicy", "offer_policy", "token_of"]

ArenaToken = Annotated[str, Option("Environment variable that holds the account's token.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferPolicy(Request):
    """Asks to offer a policy.

    Args:
        policy: as for `roboscale eval`: a checkpoint, file.py:function, openpi://host:port behind the same firewall.
        name: on the board, once it has been met.
    """

    words: ClassVar[tuple[str, ...]] = ("arena", "offer")

    arena: ArenaUrl
    policy: Annotated[str, Option("Any policy of `roboscale eval --help`.")]
    name: Annotated[str, Option("What the board calls it; by default the policy's own name.")] = ""
    public: Annotated[bool, Option("Its weights can be had by everybody.")] = False
    profile: Annotated[Path | None, Option("For a server that does not say what it takes: its profile.")] = None
    token_variable: ArenaToken = "ROBOSCALE_ARENA"


def offer_policy(request: OfferPolicy, on_event: OnEvent = ignore) -> Offering:
    """Registers a policy by its content; `serve()` of what is returned then answers until it is interrupted.

    >>> import os
    >>> from roboscale import ServeArena, serve_arena
    >>> with serve_arena(ServeArena(store="arena", port=0)) as hosted:
    ...     code = hosted.arena.invite(None, "owner", "team one")
    ...     os.environ["ROBOSCALE_ARENA"] = hosted.arena.join(code, "ada")[1]
    ...     offer_policy(OfferPolicy(arena=hosted.page.url, policy="constant:0.1,0.2", name="still")).name
    'still'

    Raises:
        UnknownName, BadData: no such policy.
        RoboscaleError: no token, or one that is no owner's.
        InfrastructureError: nobody answers there.
    """
    from roboscale.arena.client import ArenaClient
    from roboscale.jobs.arena_offering import Offering
    from roboscale.jobs.guests import guest_policies
    from roboscale.policies.resolve import resolve_policy

    client = ArenaClient(request.arena, token_of(request.token_variable))
    policy = resolve_policy(
        request.policy,
        world=None,
        profile=None if request.profile is None else str(request.profile),
        guests=guest_policies(None, {}),
    )
    for reason in policy.identity.unverified:
        on_event(Note(f"its identity is not verified, and the board says so: {reason}"))
    return Offering(policy, client, request.name or policy.name, request.public)


def token_of(variable: str) -> str:
    """An account's token; RoboscaleError where there is none."""
    token = os.environ.get(variable, "")
    if not token:
        raise RoboscaleError(f"no token: export {variable}=..., as `roboscale arena join` said it")
    return token
