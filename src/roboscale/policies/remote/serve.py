"""Serves a policy to openpi clients, ours and others.

Knows the openpi websocket protocol and the policy protocol. Does not know checkpoints or worlds.

    client connects           -> one binary frame: metadata
    binary frame: observation -> binary frame: {"actions": (H, D), "server_timing", "policy_timing"}
    anything goes wrong       -> TEXT frame: traceback, then close 1011

Keys of a request are the policy's own field names plus `prompt`. The policy runs in one thread of its own, so that
connections and pings live while it computes; requests that arrive meanwhile become one batch where it takes batches.

Only clients of ours send `roboscale/session`, `/instruction`, `/seed` and `/step`: then a session is an episode, and

    anything goes wrong       -> binary frame: {"roboscale/error": {"kind": "policy" | "infrastructure", "text", ...}}
    the policy still thinks   -> binary frame: {"roboscale/pending": true}

and the connection lives on. For others a session lasts as long as the connection and the prompt, or until RoboArena's
`endpoint: reset`.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import itertools
import logging
import signal
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.http11 import Request, Response

from roboscale import __version__
from roboscale.core import (
    PENDING,
    InfrastructureError,
    Policy,
    PolicyError,
    RoboscaleError,
    SpecMismatch,
    derive_seed,
)
from roboscale.policies.remote.connection import is_loopback
from roboscale.policies.remote.replies import ERROR, EXECUTE, PENDING_KEY
from roboscale.policies.remote.worker import Answered, Asked, Worker
from roboscale.wire import pack, unpack

__all__ = ["serve_policy"]

_GRACE_S = 2.0
_MAX_TRACEBACK = 20_000
_PING_TIMEOUT_S = 120.0  # a client may be busy with a simulator that lets no other thread run

_log = logging.getLogger(__name__)


def serve_policy(
    policy: Policy,
    host: str = "127.0.0.1",
    port: int = 8000,
    *,
    token: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    on_ready: Callable[[int], None] | None = None,
) -> None:
    """Serves until SIGINT or SIGTERM.

    Args:
        policy: what answers.
        host: address to listen on; one that others can reach needs a `token`.
        port: 0 picks a free one.
        token: clients must send `Authorization: Api-Key <token>`.
        metadata: what a client is told on connecting, besides `roboscale` (name, identity and specs of the policy).
        on_ready: called with the port once clients can connect.

    Raises:
        SpecMismatch: a reachable host without a token.
        InfrastructureError: the port is taken, or the address is not ours.
    """
    if not token and not is_loopback(host):
        raise SpecMismatch(f"serving on {host!r} lets others in: it needs a token, or host 127.0.0.1")
    asyncio.run(_PolicyServer(policy, token, metadata or {}).run(host, port, on_ready))


def serving_notes(policy: Policy) -> tuple[str, ...]:
    """What whoever starts a server should know, one line each: what its clients will not be told by anybody else."""
    notes = list(getattr(policy, "notes", ()))
    notes.append(
        "clients other than roboscale's say nothing of episodes: for them one lasts as long as connection and prompt, "
        "or until they send endpoint=reset; what the policy remembers runs on until then"
    )
    if policy.history > 1:
        notes.append(f"it reads the last {policy.history} steps, which only clients of roboscale send")
    if getattr(policy, "sessions", None) is not None:
        notes.append(f"it runs {policy.sessions} episode at a time: another client's first request ends it")  # type: ignore[attr-defined]
    return (*notes, *(f"its identity is not verified: {reason}" for reason in policy.identity.unverified))


class _PolicyServer:
    def __init__(self, policy: Policy, token: str | None, metadata: Mapping[str, Any]) -> None:
        self._expected = f"Api-Key {token}".encode() if token else None
        self._metadata = pack({**metadata, "roboscale": _describe(policy)})
        self._worker = Worker(policy)
        self._numbers = itertools.count()

    async def run(self, host: str, port: int, on_ready: Callable[[int], None] | None) -> None:
        """Listens until a signal; what is being computed then has a moment to finish."""
        stop = asyncio.Event()
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, stop.set)
        server = await self._listen(host, port)
        self._worker.start()
        try:
            if on_ready is not None:
                on_ready(_port(server))
            await stop.wait()
        finally:
            server.close()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(server.wait_closed(), _GRACE_S)

    async def _listen(self, host: str, port: int) -> Server:
        try:
            return await serve(
                self._serve,
                host,
                port,
                compression=None,
                max_size=None,
                ping_timeout=_PING_TIMEOUT_S,
                origins=[None],  # a web page must not talk to a policy on this machine
                process_request=self._before_handshake,
            )
        except OSError as error:
            raise InfrastructureError(f"cannot listen on {host}:{port}: {error}") from error

    def _before_handshake(self, connection: ServerConnection, request: Request) -> Response | None:
        if request.path == "/healthz":
            return connection.respond(HTTPStatus.OK, "OK\n")
        given = request.headers.get("Authorization", "").encode()
        if self._expected is not None and not hmac.compare_digest(given, self._expected):
            return connection.respond(HTTPStatus.UNAUTHORIZED, "a valid Authorization: Api-Key is needed\n")
        return None

    async def _serve(self, websocket: ServerConnection) -> None:
        client = _Client(next(self._numbers))
        try:
            await websocket.send(self._metadata)
            async for frame in websocket:
                await websocket.send(await self._answer(client, frame))
        except ConnectionClosed:
            _log.debug("client %d left", client.number)
        except Exception:  # noqa: BLE001  the protocol: whatever it was, the client is told
            _log.exception("client %d", client.number)
            await _say_error(websocket)
        finally:
            self._worker.forget(client.own_session)

    async def _answer(self, client: _Client, frame: str | bytes) -> str | bytes:
        started = time.monotonic()
        if isinstance(frame, str):
            raise InfrastructureError("a request is a binary frame, found text")
        message = unpack(frame)
        if not isinstance(message, dict):
            raise InfrastructureError(f"a request is a dictionary, found {type(message).__name__}")
        if message.pop("endpoint", "infer") == "reset":
            self._worker.forget(client.own_session)
            client.restart()
            return "reset successful"
        try:
            asked = client.read(message)
            answer = await asyncio.wrap_future(self._worker.submit(asked))
        except Exception as error:
            if not client.ours:
                raise
            return _told(error)
        if answer.chunk is PENDING and not client.ours:
            raise InfrastructureError("the policy is still thinking, which only clients of roboscale understand")
        reply = _reply(client, answer, (time.monotonic() - started) * 1000)
        client.total_ms = (time.monotonic() - started) * 1000
        return pack(reply)


def _reply(client: _Client, answer: Answered, infer_ms: float) -> dict[str, Any]:
    timing = {"infer_ms": infer_ms} | ({} if client.total_ms is None else {"prev_total_ms": client.total_ms})
    reply: dict[str, Any] = {"server_timing": timing, "policy_timing": {"infer_ms": answer.infer_ms}}
    if answer.chunk is PENDING:
        return {PENDING_KEY: True, **reply}
    ours = {EXECUTE: answer.chunk.execute} if client.ours else {}
    return {"actions": answer.chunk.actions, **reply, **ours}


def _told(error: Exception) -> bytes:
    """A fault as a client of ours is told it, so that it counts there as it would here."""
    kind = "policy" if isinstance(error, PolicyError) else "infrastructure"
    lines = "".join(traceback.format_exception(error))
    text = str(error) if isinstance(error, RoboscaleError) else f"{type(error).__name__}: {error}"
    return pack({ERROR: {"kind": kind, "text": text, "traceback": lines[-_MAX_TRACEBACK:]}})


class _Client:
    """What is remembered of one connection."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.total_ms: float | None = None
        self.ours = False
        self._episode = 0
        self._prompt: str | None = None

    @property
    def own_session(self) -> str:
        """Name of the session that lasts as long as connection and prompt."""
        return f"{self.number}/{self._episode}"

    def restart(self) -> None:
        """The next observation begins an episode."""
        self._episode += 1

    def read(self, message: dict[Any, Any]) -> Asked:
        """One request, its own keys told apart from the observation's."""
        prompt = str(message.pop("prompt", ""))
        ours = {key: message.pop(f"roboscale/{key}", None) for key in ("session", "instruction", "seed", "step")}
        if ours["session"] is not None:
            self.ours = True
            instruction = prompt if ours["instruction"] is None else str(ours["instruction"])
            session, seed, step = (_typed(ours, k, t) for k, t in (("session", str), ("seed", int), ("step", int)))
            return Asked(session=f"of {session}", instruction=instruction, seed=seed, step=step, values=message)
        if prompt != self._prompt:
            self._prompt = prompt
            self.restart()
        seed = derive_seed("served", self.number, self._episode)
        return Asked(session=self.own_session, instruction=prompt, seed=seed, step=None, values=message)


def _typed(ours: Mapping[str, Any], key: str, kind: type) -> Any:
    if type(ours[key]) is not kind:
        raise InfrastructureError(f"roboscale/{key}: expected {kind.__name__}, found {type(ours[key]).__name__}")
    return ours[key]


def _describe(policy: Policy) -> dict[str, Any]:
    specs = {"observation_spec": policy.observation_spec, "action_spec": policy.action_spec}
    described = {name: None if spec is None else spec.to_json() for name, spec in specs.items()}
    who = {"name": policy.name, "identity": policy.identity.to_json(), "version": __version__}
    return {**who, "history": policy.history, "sessions": getattr(policy, "sessions", None), **described}


async def _say_error(websocket: ServerConnection) -> None:
    try:
        await websocket.send(traceback.format_exc())
        await websocket.close(CloseCode.INTERNAL_ERROR, "Internal server error. Traceback included in previous frame.")
    except ConnectionClosed:
        _log.debug("nobody heard the error")


def _port(server: Server) -> int:
    return int(next(iter(server.sockets)).getsockname()[1])
