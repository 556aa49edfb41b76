"""Serves a policy to openpi clients."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, ClassVar

from roboscale.core.plain import Plain
from roboscale.jobs.events import Note, OnEvent, ignore
from roboscale.jobs.request import Argument, Option, Request

__all__ = ["ServeAnyPolicy", "ServedPolicy", "serve_any_policy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeAnyPolicy(Request):
    """Asks to serve a policy over openpi's websocket protocol."""

    words: ClassVar[tuple[str, ...]] = ("policy", "serve")

    policy: Annotated[str, Argument("Any policy of `roboscale eval --help`, e.g. a checkpoint.")]
    host: Annotated[str, Option("Address to listen on; others than loopback need a token.")] = "127.0.0.1"
    port: Annotated[int, Option("Port; 0 picks a free one.", min=0, max=65535)] = 8000
    token_variable: Annotated[str, Option("Environment variable that holds the token clients must send.")] = (
        "ROBOSCALE_TOKEN"
    )
    world: Annotated[str, Option("The world, where the policy needs one (expert).")] = ""
    seed: Annotated[int, Option("Seed of a noisy or replaying policy.")] = 0


@dataclass(frozen=True, slots=True)
class ServedPolicy(Plain):
    """Where a policy can be asked."""

    policy: str
    host: str
    port: int

    @property
    def text(self) -> str:
        """One line for a terminal."""
        return f"serving {self.policy} on ws://{self.host}:{self.port}"


def serve_any_policy(
    request: ServeAnyPolicy,
    on_event: OnEvent = ignore,
    *,
    on_ready: Callable[[ServedPolicy], None] = lambda served: None,
    dry_run: bool = False,
) -> ServedPolicy:
    """Serves until SIGINT or SIGTERM; with `dry_run` only says where.

    >>> from roboscale import ServeAnyPolicy, serve_any_policy
    >>> serve_any_policy(ServeAnyPolicy(policy="constant:0,0,1,-1"), dry_run=True).text
    'serving constant:0,0,1,-1 on ws://127.0.0.1:8000'

    Args:
        on_ready: called once clients can connect.

    Raises:
        UnknownName: no such policy.
        SpecMismatch: a reachable host without a token.
        InfrastructureError: the port is taken.
    """
    from roboscale.jobs.guests import guest_policies
    from roboscale.jobs.opening import open_any_world
    from roboscale.policies.remote.serve import serve_policy, serving_notes
    from roboscale.policies.resolve import resolve_policy

    world = open_any_world(request.world) if request.world else None
    resolved = resolve_policy(request.policy, world=world, seed=request.seed, guests=guest_policies(world, {}))
    served = ServedPolicy(resolved.name, request.host, request.port)
    if dry_run:
        return served
    for note in serving_notes(resolved):
        on_event(Note(note))
    serve_policy(
        resolved,
        request.host,
        request.port,
        token=os.environ.get(request.token_variable),
        on_ready=lambda port: on_ready(ServedPolicy(resolved.name, request.host, port)),
    )
    return served
