"""A policy behind an openpi server: `openpi://host:port`.

Knows the openpi protocol and every way in which a server can fail. Does not know worlds or trials. A server that does
not answer, or not in this protocol, is an InfrastructureError, which makes a trial void: a policy that we cannot hear
has neither succeeded nor failed. One that answers with what is no action is a PolicyError, as it would be in this
process.

Servers of ours say in their metadata what they serve (`roboscale`), and then also get session, seed and step, so that
a policy with state or noise repeats itself. Other servers never see these keys.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Self, cast

from roboscale.core import (
    Identity,
    InfrastructureError,
    Observation,
    PolicyError,
    RoboscaleError,
    Session,
    Spec,
    require_match,
)
from roboscale.policies.remote.connection import Connection, Timeouts, parse_url
from roboscale.policies.remote.peer import Peer
from roboscale.policies.remote.profile import PolicyProfile
from roboscale.policies.remote.replies import RemoteAnswer, Told

__all__ = ["RemotePolicy"]

Fault = PolicyError | InfrastructureError


class RemotePolicy:
    """A policy that a server computes.

    Connections are opened when needed, one for each session that is asked at the same time, and dropped after any
    fault, so that a late answer is never taken for the next one. The next episode connects again.

    Args:
        url: `openpi://host:port` (port 8000 when left out), `ws://...` or `wss://...`.
        profile: what the server does not say; needed unless `roboscale policy serve` runs there.
        api_key: sent as `Authorization: Api-Key <key>`.
        timeouts: how long to wait for what.
    """

    def __init__(
        self,
        url: str,
        profile: PolicyProfile | None = None,
        api_key: str | None = None,
        timeouts: Timeouts | None = None,
    ) -> None:
        self.name = url if profile is None else f"{profile.name}@{url}"
        self._peer = Peer(parse_url(url), profile, api_key, timeouts or Timeouts())
        self._specs: tuple[Spec, Spec] | None = None

    @property
    def identity(self) -> Identity:
        """What the server says that it serves, through the profile; unverified where it does not say it. Connects."""
        return self._peer.identity(self.name)

    @property
    def history(self) -> int:
        """1; of a server of ours what its policy reads. Connects on first use."""
        return self._peer.described().history

    @property
    def sessions(self) -> int | None:
        """How many episodes may run at once; `None` for any number. Connects on first use."""
        return self._peer.sessions

    @property
    def notes(self) -> tuple[str, ...]:
        """What people should know of it. Connects on first use."""
        return self._peer.notes

    @property
    def observation_spec(self) -> Spec | None:
        """What the server needs; connects on first use. With a profile, known once `check` has seen the world."""
        return self._specs[0] if self._specs else self._peer.described().observation_spec

    @property
    def action_spec(self) -> Spec | None:
        """What the server gives; connects on first use. With a profile, known once `check` has seen the world."""
        return self._specs[1] if self._specs else self._peer.described().action_spec

    def check(self, observation_spec: Spec, action_spec: Spec) -> None:
        """Connects, and compares both specs of a world with what the server or the profile says.

        Raises:
            SpecMismatch: all differences; or nobody says what the server takes.
            InfrastructureError: the server cannot be reached.
        """
        served, profile = self._peer.described(), self._peer.profile
        if profile is not None:
            profile.check(observation_spec, action_spec)
            self._specs = observation_spec.select(profile.fields), action_spec
            return
        side = f"policy {served.name} at {self._peer.url}"
        if served.observation_spec is not None:
            require_match(served.observation_spec, observation_spec, side, "the world's observation")
        if served.action_spec is not None:
            require_match(served.action_spec, action_spec, side, "the world's action", subset=False)

    def start(self, instruction: str, seed: int) -> Session:
        """A new episode; nothing is sent before its first observation."""
        return _RemoteSession(self._peer, instruction, seed)

    def act_many(self, sessions: Sequence[Session], observations: Sequence[Observation]) -> list[RemoteAnswer]:
        """Asks for all sessions at once; a server of ours computes them as one batch.

        Raises:
            PolicyError, InfrastructureError: of the first session that has no answer. The others keep theirs: called
                one by one afterwards with the same observation they return it, so that one fault costs one trial.
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
        self._peer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _RemoteSession:
    """One episode: asks, waits, and once broken stays broken."""

    def __init__(self, peer: Peer, instruction: str, seed: int) -> None:
        self.instruction, self.seed, self.step = instruction, seed, 0
        self.id = uuid.uuid4().hex
        self._peer = peer
        self._connection: Connection | None = None
        self._answer: RemoteAnswer | None = None
        self._failure: Fault | None = None
        self._asked: Observation | None = None

    def __call__(self, observation: Observation) -> RemoteAnswer:
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
        return self._answer is None and self._failure is None

    def connect(self) -> InfrastructureError | None:
        """Gets a connection; the failure when there is none."""
        try:
            self._connection = self._peer.checkout()
        except InfrastructureError as error:
            return self.fail(error)
        return None

    def ask(self, observation: Observation) -> None:
        """Sends the observation where there is a connection to send it on."""
        if self._connection is None:
            return
        self._asked = observation
        try:
            self._peer.begin(self._connection, self.id, self.step)
            frame = self._peer.request(observation, self)
            self._connection.send(frame, self._peer.timeout_s)
        except InfrastructureError as error:
            self.fail(error)
        except RoboscaleError:  # ours, before anything was sent
            self._peer.give_back(self._connection)
            self._connection = None
            raise

    def collect(self) -> Fault | None:
        """Waits for the answer; the failure when there is none."""
        connection, self._connection = self._connection, None  # an interrupt here leaves an answer outstanding
        if connection is None:
            return self._failure
        try:
            frame = connection.receive(self._peer.timeout_s)
            self._answer = self._peer.understood(connection, frame, self._asked)
        except PolicyError as error:
            self._failure = error
        except InfrastructureError as error:
            self._failure = error
            if not isinstance(error, Told):
                self._peer.abandon(connection)
                return error
        self._peer.warm = True
        self._peer.give_back(connection)
        return self._failure

    def take(self) -> RemoteAnswer:
        """The answer, once."""
        if self._answer is None:
            raise InfrastructureError(f"{self._peer.url}: nothing was asked")
        answer, self._answer = self._answer, None
        self.step += 1
        return answer

    def fail(self, error: InfrastructureError) -> InfrastructureError:
        """Breaks the session: what the server still sends belongs to nobody."""
        self._failure = error
        if self._connection is not None:
            self._peer.abandon(self._connection)
            self._connection = None
        return error
