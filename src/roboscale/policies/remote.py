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

_RESET_REPLY = "reset successful"


@dataclass(frozen=True, slots=True)
class _Served:
    """What a server of ours says of itself; all `None` for others."""

    name: str | None = None
    observation_spec: Spec | None = None
    action_spec: Spec | None = None

    @classmethod
    def read(cls, metadata: Mapping[str, Any]) -> _Served | None:
        """`None` where the server is not ours."""
        said = metadata.get("roboscale")
        if not isinstance(said, dict):
            return None
        specs = [said.get("observation_spec"), said.get("action_spec")]
        observation, action = (None if s is None else Spec.from_json(s) for s in specs)
        return cls(str(said.get("name", "")), observation, action)


class RemotePolicy:
    """A policy that a server computes.

    Connections are opened when needed, one for each session that is asked at the same time, and dropped after any
    fault, so that a late answer is never taken for the next one. The next trial connects again.

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
        self.url, self.profile = parse_url(url), profile
        self.name = url if profile is None else f"{profile.name}@{url}"
        self._timeouts = Timeouts(timeout_s, warmup_timeout_s, connect_attempts)
        self._api_key = api_key
        self._idle: list[Connection] = []
        self._owner = os.getpid()
        self._served: _Served | None = None
        self._known = False
        self._warm = False
        self._episode = ""  # of a server that keeps one episode at a time
        self._specs: tuple[Spec, Spec] | None = None

    @property
    def observation_spec(self) -> Spec | None:
        """What the server needs; connects on first use. With a profile, known once `check` has seen the world."""
        return self._specs[0] if self._specs else self._described().observation_spec

    @property
    def action_spec(self) -> Spec | None:
        """What the server gives; connects on first use. With a profile, known once `check` has seen the world."""
        return self._specs[1] if self._specs else self._described().action_spec

    def check(self, observation_spec: Spec, action_spec: Spec) -> None:
        """Connects and compares both specs of a world with what the server or the profile says.

        Raises:
            SpecMismatch: all differences; or nobody says what the server takes.
            InfrastructureError: the server cannot be reached.
        """
        served = self._described()
        if self.profile is not None:
            self.profile.check(observation_spec, action_spec)
            self._specs = observation_spec.select(self.profile.fields), action_spec
            return
        side = f"policy {served.name} at {self.url}"
        if served.observation_spec is not None:
            require_match(served.observation_spec, observation_spec, side, "the world's observation")
        if served.action_spec is not None:
            require_match(served.action_spec, action_spec, side, "the world's action", subset=False)

    def start(self, instruction: str, seed: int) -> Session:
        """A new episode; nothing is sent before its first observation."""
        return _RemoteSession(self, instruction, seed)

    def act_many(self, sessions: Sequence[Session], observations: Sequence[Observation]) -> list[ActionChunk]:
        """Asks for all sessions at once; a server of ours computes them as one batch.

        Raises:
            InfrastructureError: a session failed. The others keep their answer: called one by one afterwards with
                the same observation they return it, so that one broken connection costs one trial.
        """
        mine = [cast(_RemoteSession, s) for s in sessions]
        for session, observation in zip(mine, observations, strict=True):
            session.ask(observation)
        failed = [s for s in mine if not s.collect()]
        if failed:
            raise failed[0].failure()
        return [s.take() for s in mine]

    def close(self) -> None:
        """Says goodbye to the server."""
        while self._idle:
            self._idle.pop().close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_idle": []}  # sockets stay in their process

    def checkout(self) -> Connection:
        """An idle connection, or a new one. InfrastructureError when there is no reaching the server."""
        if self._owner != os.getpid():  # forked: the sockets belong to the parent
            self._idle, self._owner = [], os.getpid()
        while self._idle:
            connection = self._idle.pop()
            if connection.alive:
                return connection
            connection.drop()
            self._warm = False
        connection = Connection(self.url, self._api_key, self._timeouts)
        try:
            self._learn(connection.metadata)
        except RoboscaleError:
            connection.drop()
            raise
        return connection

    def give_back(self, connection: Connection) -> None:
        """A connection that has no answer outstanding."""
        self._idle.append(connection)

    def reply_timeout(self) -> float:
        """Seconds to wait for the next answer."""
        return self._timeouts.reply_s if self._warm else self._timeouts.warmup_s

    def answered(self) -> None:
        self._warm = True

    def lost(self) -> None:
        """The server closed a connection: whoever answers next may have to compile again."""
        self._warm = False

    def request(self, session: _RemoteSession, observation: Observation) -> dict[str, Any]:
        """The message for one observation."""
        if self.profile is not None:
            message = self.profile.encode(observation, session.instruction)
        else:
            message = {**observation, "prompt": session.instruction}
        if self._served is not None:
            message["roboscale/session"] = session.id
            message["roboscale/instruction"] = session.instruction
            message["roboscale/seed"] = session.seed
            message["roboscale/step"] = session.step
        elif self._roboarena:
            message["endpoint"] = "infer"
            message |= self._session_id(session)
        return message

    def prepare(self, connection: Connection, session: _RemoteSession) -> None:
        """What the dialect needs before the first observation of an episode."""
        if not self._roboarena or self._served is not None:
            return
        one_at_a_time = not connection.metadata.get("needs_session_id")
        if session.step == 0:
            connection.send(pack({"endpoint": "reset", **self._session_id(session)}))
            reply = connection.receive(self.reply_timeout())
            if isinstance(reply, str) and _RESET_REPLY not in reply.lower():
                raise InfrastructureError(f"{self.url}: reset: {_last_line(reply)}")
            self._episode = session.id
        elif one_at_a_time and self._episode != session.id:
            raise InfrastructureError(
                f"{self.url}: the server keeps one episode at a time, and another one was started; "
                "run one trial at a time"
            )

    def decode(self, frame: str | bytes) -> ActionChunk:
        """The server's answer as actions. InfrastructureError for everything that is none."""
        if isinstance(frame, str):
            error = InfrastructureError(f"{self.url}: server error: {_last_line(frame)}")
            error.add_note(frame)
            raise error
        try:
            reply = unpack(frame)
            if self.profile is None:
                chunk = ActionChunk(_actions(reply, "actions", None, None), None)
                return ActionChunk(chunk.actions, _execute(reply, len(chunk.actions)))
            action = self.profile.action
            return action.decode(_actions(reply, action.key, action.dimension, action.horizon))
        except InfrastructureError as error:
            raise InfrastructureError(f"{self.url}: {error}") from error

    @property
    def _roboarena(self) -> bool:
        return self.profile is not None and self.profile.reset == "roboarena"

    def _session_id(self, session: _RemoteSession) -> dict[str, str]:
        return {"session_id": session.id}

    def _described(self) -> _Served:
        if not self._known:
            self.give_back(self.checkout())
        return self._served or _Served()

    def _learn(self, metadata: Mapping[str, Any]) -> None:
        """Remembers who answers at this address, and notices when it becomes someone else."""
        try:
            served = _Served.read(metadata)
        except (RoboscaleError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise InfrastructureError(f"{self.url}: metadata: {type(error).__name__}: {error}") from error
        if served is None and self.profile is None:
            raise SpecMismatch(
                f"{self.url}: the server does not say what it takes and gives; declare it with a policy profile "
                "(example: examples/policy_profile_droid.toml)"
            )
        if self._known and served != self._served:
            names = [s.name if s else "a server that says nothing" for s in (self._served, served)]
            raise InfrastructureError(f"{self.url}: another policy answers now: was {names[0]}, is {names[1]}")
        self._served, self._known = served, True


class _RemoteSession:
    """One episode: asks, waits, and remembers that it broke."""

    def __init__(self, policy: RemotePolicy, instruction: str, seed: int) -> None:
        self.instruction, self.seed, self.step = instruction, seed, 0
        self.id = uuid.uuid4().hex
        self._policy = policy
        self._connection: Connection | None = None
        self._chunk: ActionChunk | None = None
        self._failure: InfrastructureError | None = None

    def __call__(self, observation: Observation) -> ActionChunk:
        self.ask(observation)
        if not self.collect():
            raise self.failure()
        return self.take()

    def ask(self, observation: Observation) -> None:
        """Sends the observation, unless an answer is waiting already or the session is broken."""
        if self._chunk is not None or self._failure is not None:
            return
        try:
            self._connection = self._policy.checkout()
            self._policy.prepare(self._connection, self)
            self._connection.send(pack(self._policy.request(self, observation)))
        except InfrastructureError as error:
            self._fail(error)

    def collect(self) -> bool:
        """Waits for the answer; False when the session is broken."""
        if self._connection is not None:
            try:
                self._chunk = self._policy.decode(self._connection.receive(self._policy.reply_timeout()))
            except InfrastructureError as error:
                self._fail(error)
            else:
                self._policy.answered()
                self._policy.give_back(self._connection)
                self._connection = None
        return self._failure is None

    def take(self) -> ActionChunk:
        """The answer, once."""
        if self._chunk is None:
            raise InfrastructureError(f"{self._policy.url}: nothing was asked")
        chunk, self._chunk = self._chunk, None
        self.step += 1
        return chunk

    def failure(self) -> InfrastructureError:
        """Why the session is broken; it stays so, the next episode connects again."""
        return self._failure or InfrastructureError(f"{self._policy.url}: nothing was asked")

    def _fail(self, error: InfrastructureError) -> None:
        self._failure = error
        if self._connection is not None:
            if self._connection.closed_by_server:
                self._policy.lost()
            self._connection.drop()
            self._connection = None


def _actions(reply: object, key: str, dimension: int | None, horizon: int | None) -> NDArray[Any]:
    """The (H, D) array of an answer."""
    if not isinstance(reply, dict) or key not in reply:
        found = sorted(map(str, reply)) if isinstance(reply, dict) else type(reply).__name__
        raise InfrastructureError(f"answer: expected {key!r}, found {found}")
    actions = reply[key]
    if not isinstance(actions, np.ndarray) or actions.dtype.kind not in "iuf":
        kind = actions.dtype if isinstance(actions, np.ndarray) else type(actions).__name__
        raise InfrastructureError(f"answer: {key}: expected an array of numbers, found {kind}")
    if actions.ndim != 2 or 0 in actions.shape:
        raise InfrastructureError(f"answer: {key}: expected shape (H, D), found {list(actions.shape)}")
    for what, expected, found in (("H", horizon, actions.shape[0]), ("D", dimension, actions.shape[1])):
        if expected is not None and expected != found:
            raise InfrastructureError(f"answer: {key}: the profile says {what} = {expected}, found {found}")
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
