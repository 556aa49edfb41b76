"""A policy behind an openpi server: `openpi://host:port`.

Knows the openpi protocol, its dialects and every way in which a server can fail. Does not know worlds or trials.
Whatever the server does wrong is an InfrastructureError, which makes a trial void: a policy that we cannot hear has
neither succeeded nor failed.

Servers of ours say in their metadata what they serve (`roboscale`), and then also get session, seed and step, so that
a policy with state or noise repeats itself. Other servers never see these keys.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, cast

import numpy as np
from numpy.typing import NDArray

from roboscale.core import (
    ActionChunk,
    InfrastructureError,
    Observation,
    RoboscaleError,
    Session,
    Spec,
    SpecMismatch,
    require_match,
)
from roboscale.policies.connection import Connection, Timeouts, parse_url
from roboscale.policies.profile import PolicyProfile
from roboscale.policies.wire import pack, unpack

__all__ = ["RemotePolicy"]


class RemotePolicy:
    """A policy that a server computes.

    Connections are opened when needed, one for each session that is asked at the same time, and dropped after any
    fault, so that a late answer is never taken for the next one. The next episode connects again.

    Args:
        url: `openpi://host:port` (port 8000 when left out), `ws://...` or `wss://...`.
        profile: what the server does not say; needed unless `roboscale policy serve` runs there.
        api_key: sent as `Authorization: Api-Key <key>`.
        timeout_s: how long to wait for one answer.
        warmup_timeout_s: the same for the first answer, and the first after the server was gone: it may compile.
        connect_attempts: how often a refused connection is tried in a row, half a second apart.
    """

    def __init__(
        self,
        url: str,
        profile: PolicyProfile | None = None,
        api_key: str | None = None,
        timeout_s: float = 10.0,
        warmup_timeout_s: float = 120.0,
        connect_attempts: int = 3,
    ) -> None:
        self.name = url if profile is None else f"{profile.name}@{url}"
        timeouts = Timeouts(timeout_s, warmup_timeout_s, connect_attempts)
        self._server = _Server(parse_url(url), profile, api_key, timeouts)
        self._specs: tuple[Spec, Spec] | None = None

    @property
    def observation_spec(self) -> Spec | None:
        """What the server needs; connects on first use. With a profile, known once `check` has seen the world."""
        return self._specs[0] if self._specs else self._server.described().observation_spec

    @property
    def action_spec(self) -> Spec | None:
        """What the server gives; connects on first use. With a profile, known once `check` has seen the world."""
        return self._specs[1] if self._specs else self._server.described().action_spec

    def check(self, observation_spec: Spec, action_spec: Spec) -> None:
        """Connects, and compares both specs of a world with what the server or the profile says.

        Raises:
            SpecMismatch: all differences; or nobody says what the server takes.
            InfrastructureError: the server cannot be reached.
        """
        served, profile = self._server.described(), self._server.profile
        if profile is not None:
            profile.check(observation_spec, action_spec)
            self._specs = observation_spec.select(profile.fields), action_spec
            return
        side = f"policy {served.name} at {self._server.url}"
        if served.observation_spec is not None:
            require_match(served.observation_spec, observation_spec, side, "the world's observation")
        if served.action_spec is not None:
            require_match(served.action_spec, action_spec, side, "the world's action", subset=False)

    def start(self, instruction: str, seed: int) -> Session:
        """A new episode; nothing is sent before its first observation."""
        return _RemoteSession(self._server, instruction, seed)

    def act_many(self, sessions: Sequence[Session], observations: Sequence[Observation]) -> list[ActionChunk]:
        """Asks for all sessions at once; a server of ours computes them as one batch.

        Raises:
            InfrastructureError: a session failed. The others keep their answer: called one by one afterwards with
                the same observation they return it, so that one broken connection costs one trial.
        """
        mine = [cast(_RemoteSession, s) for s in sessions]
        unreachable: InfrastructureError | None = None
        for session in (s for s in mine if s.to_be_asked):  # before anything is sent: who computes accepts nobody
            unreachable = session.connect() if unreachable is None else session.fail(unreachable)
        for session, observation in zip(mine, observations, strict=True):
            session.ask(observation)
        failures = [f for f in [s.collect() for s in mine] if f is not None]
        if failures:
            raise failures[0]
        return [s.take() for s in mine]

    def close(self) -> None:
        """Says goodbye to the server."""
        self._server.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _RemoteSession:
    """One episode: asks, waits, and once broken stays broken."""

    def __init__(self, server: _Server, instruction: str, seed: int) -> None:
        self.instruction, self.seed, self.step = instruction, seed, 0
        self.id = uuid.uuid4().hex
        self._server = server
        self._connection: Connection | None = None
        self._chunk: ActionChunk | None = None
        self._failure: InfrastructureError | None = None

    def __call__(self, observation: Observation) -> ActionChunk:
        if self.to_be_asked:
            self.connect()
        self.ask(observation)
        failure = self.collect()
        if failure is not None:
            raise failure
        return self.take()

    @property
    def to_be_asked(self) -> bool:
        """False while an answer is kept, and once the session is broken."""
        return self._chunk is None and self._failure is None

    def connect(self) -> InfrastructureError | None:
        """Gets a connection; the failure when there is none."""
        try:
            self._connection = self._server.checkout()
        except InfrastructureError as error:
            return self.fail(error)
        return None

    def ask(self, observation: Observation) -> None:
        """Sends the observation where there is a connection to send it on."""
        if self._connection is None:
            return
        try:
            self._server.begin(self._connection, self.id, self.step)
            frame = pack(self._server.request(observation, self))
            self._connection.send(frame, self._server.timeout_s)
        except InfrastructureError as error:
            self.fail(error)
        except RoboscaleError:  # ours, before anything was sent
            self._server.give_back(self._connection)
            self._connection = None
            raise

    def collect(self) -> InfrastructureError | None:
        """Waits for the answer; the failure when there is none."""
        connection, self._connection = self._connection, None  # an interrupt here leaves an answer outstanding
        if connection is not None:
            try:
                self._chunk = self._server.decode(connection.receive(self._server.timeout_s))
            except InfrastructureError as error:
                self._server.abandon(connection)
                return self.fail(error)
            self._server.warm = True
            self._server.give_back(connection)
        return self._failure

    def take(self) -> ActionChunk:
        """The answer, once."""
        if self._chunk is None:
            raise InfrastructureError(f"{self._server.url}: nothing was asked")
        chunk, self._chunk = self._chunk, None
        self.step += 1
        return chunk

    def fail(self, error: InfrastructureError) -> InfrastructureError:
        """Breaks the session: what the server still sends belongs to nobody."""
        self._failure = error
        if self._connection is not None:
            self._server.abandon(self._connection)
            self._connection = None
        return error


@dataclass(frozen=True, slots=True)
class _Served:
    """What a server of ours says of itself; all empty for others."""

    name: str = ""
    observation_spec: Spec | None = None
    action_spec: Spec | None = None

    @classmethod
    def read(cls, metadata: Mapping[str, Any]) -> _Served | None:
        """`None` where the server is not ours."""
        said = metadata.get("roboscale")
        if said is None:
            return None
        specs = [said.get("observation_spec"), said.get("action_spec")]
        observation, action = (None if s is None else Spec.from_json(s) for s in specs)
        return cls(str(said.get("name", "")), observation, action)


class _Server:
    """The other side: its idle connections, what it said of itself, and the dialect it is spoken to in."""

    def __init__(self, url: str, profile: PolicyProfile | None, api_key: str | None, timeouts: Timeouts) -> None:
        self.url, self.profile, self.warm = url, profile, False
        self._api_key, self._timeouts = api_key, timeouts
        self._idle: list[Connection] = []
        self._owner = os.getpid()
        self._known, self._served = False, cast(_Served | None, None)
        self._episode = ""  # the one that a server without session ids is in

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_idle": []}  # sockets stay in their process

    @property
    def timeout_s(self) -> float:
        """How long to wait for whatever comes next."""
        return self._timeouts.reply_s if self.warm else self._timeouts.warmup_s

    def checkout(self) -> Connection:
        """An idle connection, or a new one. InfrastructureError when there is no reaching the server."""
        if self._owner != os.getpid():  # forked: the sockets are the parent's
            self._idle, self._owner = [], os.getpid()
        while self._idle:
            connection = self._idle.pop()
            if connection.alive:
                return connection
            self.abandon(connection)
        connection = Connection(self.url, self._api_key, self.timeout_s, self._timeouts.connect_attempts)
        try:
            self._learn(connection.metadata)
        except RoboscaleError:
            connection.drop()
            raise
        return connection

    def give_back(self, connection: Connection) -> None:
        """A connection that has no answer outstanding."""
        self._idle.append(connection)

    def abandon(self, connection: Connection) -> None:
        """A connection that broke. One that the server closed means a new server, which may compile again."""
        if not connection.alive:
            self.warm = False
        connection.drop()

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def described(self) -> _Served:
        """What the server says of itself; asks it the first time."""
        if not self._known:
            self.give_back(self.checkout())
        return self._served or _Served()

    def request(self, observation: Observation, session: _RemoteSession) -> dict[str, Any]:
        """The message for one observation."""
        instruction = session.instruction
        if self.profile is None:
            message: dict[str, Any] = {**self._needed(observation), "prompt": instruction}
        else:
            message = self.profile.encode(observation, instruction)
        if self._served is not None:
            ours = {"session": session.id, "instruction": instruction, "seed": session.seed, "step": session.step}
            message |= {f"roboscale/{key}": value for key, value in ours.items()}
        elif self._roboarena:
            message |= {"endpoint": "infer", "session_id": session.id}
        return message

    def _needed(self, observation: Observation) -> Observation:
        """What the server asked for; a picture nobody looks at is not sent."""
        needed = self._served.observation_spec if self._served else None
        if needed is None:
            return observation
        missing = [name for name in needed.names if name not in observation]
        if missing:
            raise SpecMismatch(f"{self.url}: {', '.join(missing)} not observed; there is {', '.join(observation)}")
        return {name: observation[name] for name in needed.names}

    def begin(self, connection: Connection, session: str, step: int) -> None:
        """What the dialect needs before an observation is sent."""
        if not self._roboarena or self._served is not None:
            return
        if step == 0:
            connection.send(pack({"endpoint": "reset", "session_id": session}), self.timeout_s)
            reply = connection.receive(self.timeout_s)
            if isinstance(reply, str) and "reset successful" not in reply.lower():
                raise InfrastructureError(f"{self.url}: reset: {_last_line(reply)}")
            self._episode = session
        elif self._episode != session and not connection.metadata.get("needs_session_id"):
            raise InfrastructureError(
                f"{self.url}: the server keeps one episode at a time, and another one was started; "
                "run one trial at a time"
            )

    def decode(self, frame: str | bytes) -> ActionChunk:
        """The server's answer as actions. InfrastructureError for everything that is none."""
        if isinstance(frame, str):
            error = InfrastructureError(f"{self.url}: server error: {_last_line(frame)}")
            error.add_note(frame[:20_000])
            raise error
        try:
            reply = unpack(frame)
            if self.profile is not None:
                action = self.profile.action
                return action.decode(_actions(reply, action.key, action.dimension, action.horizon))
            spec = self._served.action_spec if self._served else None
            actions = _actions(reply, "actions", spec["action"].shape[0] if spec else None, None)
            return ActionChunk(actions, _execute(reply, len(actions)))
        except InfrastructureError as error:
            raise InfrastructureError(f"{self.url}: {error}") from error

    @property
    def _roboarena(self) -> bool:
        return self.profile is not None and self.profile.reset == "roboarena"

    def _learn(self, metadata: Mapping[str, Any]) -> None:
        """Remembers who answers at this address, and notices when it becomes someone else."""
        try:
            served = _Served.read(metadata)
        except (RoboscaleError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise InfrastructureError(f"{self.url}: metadata: {type(error).__name__}: {error}") from error
        if self._known and served != self._served:
            was, now = (f"{s.name!r}" if s else "a server that says nothing" for s in (self._served, served))
            raise InfrastructureError(f"{self.url}: another policy answers now: was {was}, is {now}")
        if served is None and self.profile is None:
            raise SpecMismatch(
                f"{self.url}: the server does not say what it takes and gives; declare it with a policy profile "
                "(example: examples/policy_profile_droid.toml)"
            )
        self._known, self._served = True, served


def _actions(reply: object, key: str, dimension: int | None, horizon: int | None) -> NDArray[Any]:
    """The (H, D) array of an answer."""
    if not isinstance(reply, dict) or key not in reply:
        found = ", ".join(sorted(map(str, reply)))[:200] if isinstance(reply, dict) else type(reply).__name__
        raise InfrastructureError(f"answer: expected {key!r}, found {found or 'nothing'}")
    actions = reply[key]
    if not isinstance(actions, np.ndarray) or actions.dtype.kind not in "iuf":
        kind = actions.dtype if isinstance(actions, np.ndarray) else type(actions).__name__
        raise InfrastructureError(f"answer: {key}: expected an array of numbers, found {kind}")
    if actions.ndim != 2 or 0 in actions.shape:
        raise InfrastructureError(f"answer: {key}: expected shape (H, D), found {list(actions.shape)}")
    for what, expected, found in (("H", horizon, actions.shape[0]), ("D", dimension, actions.shape[1])):
        if expected is not None and expected != found:
            raise InfrastructureError(f"answer: {key}: expected {what} = {expected}, found {found}")
    if not np.isfinite(actions).all():
        raise InfrastructureError(f"answer: {key}: {int((~np.isfinite(actions)).sum())} values are NaN or infinite")
    return actions


def _execute(reply: Mapping[str, Any], rows: int) -> int | None:
    execute = reply.get("roboscale/execute")
    if execute is not None and not (type(execute) is int and 1 <= execute <= rows):
        raise InfrastructureError(f"answer: roboscale/execute: expected 1..{rows}, found {str(execute)[:40]}")
    return execute


def _last_line(text: str) -> str:
    """The line of a traceback that says what went wrong."""
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip()[:500] if lines else "an empty text"
