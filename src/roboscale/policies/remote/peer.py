"""The other side of a connection: what a server says of itself, the dialect it is spoken to in, its idle connections.

Knows the openpi protocol and its dialects. Does not know episodes beyond the one that a server without ids is in.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from roboscale.core import (
    Identity,
    InfrastructureError,
    Observation,
    RoboscaleError,
    Spec,
    SpecMismatch,
    combine,
)
from roboscale.policies.remote.connection import Connection, Timeouts
from roboscale.policies.remote.maps import ActionMap
from roboscale.policies.remote.profile import PolicyProfile
from roboscale.policies.remote.replies import RemoteAnswer, last_line, read_reply
from roboscale.wire import CannotEncode, pack

__all__ = ["Asker", "Peer", "PolicyCard"]


class Asker(Protocol):
    """The session that a request belongs to."""

    id: str
    instruction: str
    seed: int
    step: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyCard:
    """What a server of ours says of itself.

    Args:
        name: what people call the policy.
        observation_spec, action_spec: of the policy; `None` where it takes whatever there is.
        identity: by content; `None` where the server is too old to say it.
        history: consecutive steps that it reads.
        sessions: how many episodes may run at once; `None` for any number.
    """

    name: str = ""
    observation_spec: Spec | None = None
    action_spec: Spec | None = None
    identity: Identity | None = None
    history: int = 1
    sessions: int | None = None

    @classmethod
    def read(cls, metadata: Mapping[str, Any]) -> PolicyCard | None:
        """`None` where the server is not ours."""
        said = metadata.get("roboscale")
        if said is None:
            return None
        specs = [said.get("observation_spec"), said.get("action_spec")]
        observation, action = (None if s is None else Spec.from_json(s) for s in specs)
        identity = said.get("identity")
        sessions = said.get("sessions")
        return cls(
            name=str(said.get("name", "")),
            observation_spec=observation,
            action_spec=action,
            identity=None if identity is None else Identity.from_json(identity),
            history=int(said.get("history", 1)),
            sessions=None if sessions is None else int(sessions),
        )

    @property
    def label(self) -> str:
        """Its name, and eight digits of who it is."""
        return repr(self.name) + (f" ({self.identity.short})" if self.identity else "")


class Peer:
    """One server, whoever answers there."""

    def __init__(self, url: str, profile: PolicyProfile | None, api_key: str | None, timeouts: Timeouts) -> None:
        self.url, self.profile, self.warm = url, profile, False
        self._api_key, self._timeouts = api_key, timeouts
        self._idle: list[Connection] = []
        self._owner = os.getpid()
        self._metadata: dict[Any, Any] | None = None  # as it was when the server was first asked
        self._card: PolicyCard | None = None
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
        connect_s = self._timeouts.connect_s or self.timeout_s
        connection = Connection(self.url, self._api_key, connect_s, self._timeouts.attempts)
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
        """Says goodbye on every idle connection."""
        while self._idle:
            self._idle.pop().close()

    def described(self) -> PolicyCard:
        """What the server says of itself, empty where it is not ours; asks it the first time."""
        if self._metadata is None:
            self.give_back(self.checkout())
        return self._card or PolicyCard()

    def identity(self, name: str) -> Identity:
        """Who answers, and through which profile. What a server does not say is unverified."""
        self.described()
        who = self._card.identity if self._card else None
        if who is None:
            release = " of an older roboscale" if self._card else ""
            doubt = f"the server{release} at {self.url} does not say what it serves"
            who = Identity(name, combine(name, self.url, self._metadata).digest, (doubt,))
        return who.renamed(name) if self.profile is None else combine(name, who, self.profile.identity)

    @property
    def sessions(self) -> int | None:
        """How many episodes may run at once; 1 for a server that cannot tell them apart."""
        served = self.described()
        one_at_a_time = not (self._metadata or {}).get("needs_session_id")
        if self._roboarena and self._card is None and one_at_a_time:
            return 1
        return served.sessions

    @property
    def notes(self) -> tuple[str, ...]:
        """What people should know of it."""
        self.described()
        if self._card is None and not self._roboarena:
            return (f"the server at {self.url} is not told where an episode begins: state in it would run on",)
        return ()

    def request(self, observation: Observation, session: Asker) -> bytes:
        """The frame for one observation; SpecMismatch for a value that cannot be sent."""
        instruction = session.instruction
        if self.profile is None:
            message: dict[str, Any] = {**self._needed(observation), "prompt": instruction}
        else:
            message = self.profile.encode(observation, instruction)
        if self._card is not None:
            ours = {"session": session.id, "instruction": instruction, "seed": session.seed, "step": session.step}
            message |= {f"roboscale/{key}": value for key, value in ours.items()}
        elif self._roboarena:
            message |= {"endpoint": "infer", "session_id": session.id}
        try:
            return pack(message)
        except CannotEncode as error:
            raise SpecMismatch(f"{self.url}: {error}") from error

    def _needed(self, observation: Observation) -> Observation:
        """What the server asked for; a picture nobody looks at is not sent."""
        needed = self._card.observation_spec if self._card else None
        if needed is None:
            return observation
        missing = [name for name in needed.names if name not in observation]
        if missing:
            raise SpecMismatch(f"{self.url}: {', '.join(missing)} not observed; there is {', '.join(observation)}")
        return {name: observation[name] for name in needed.names}

    def begin(self, connection: Connection, session: str, step: int) -> None:
        """What the dialect needs before an observation is sent."""
        if not self._roboarena or self._card is not None:
            return
        if step == 0:
            connection.send(pack({"endpoint": "reset", "session_id": session}), self.timeout_s)
            reply = connection.receive(self.timeout_s)
            if isinstance(reply, str) and "reset successful" not in reply.lower():
                raise InfrastructureError(f"{self.url}: reset: {last_line(reply)}")
            self._episode = session
        elif self._episode != session and not connection.metadata.get("needs_session_id"):
            raise InfrastructureError(
                f"{self.url}: the server keeps one episode at a time, and another one was started; "
                "run one trial at a time"
            )

    def understood(
        self, connection: Connection, frame: str | bytes, observation: Observation | None = None
    ) -> RemoteAnswer:
        """The server's answer to an observation.

        Raises:
            PolicyError: it is no action, or the server tells of the policy's own fault.
            InfrastructureError: it is no answer, or the server tells of another fault.
        """
        if isinstance(frame, str):
            error = InfrastructureError(f"{self.url}: server error: {last_line(frame)}")
            error.add_note(frame[:20_000])
            raise error
        return read_reply(connection.decoded(frame), self._action_map(), self.url, observation)

    def _action_map(self) -> ActionMap:
        """The profile's; of a server of ours the one that changes nothing."""
        if self.profile is not None:
            return self.profile.action
        spec = self._card.action_spec if self._card else None
        return ActionMap(dimension=None if spec is None else spec["action"].shape[0], mode="")

    @property
    def _roboarena(self) -> bool:
        return self.profile is not None and self.profile.reset == "roboarena"

    def _learn(self, metadata: Mapping[str, Any]) -> None:
        """Remembers who answers at this address, and notices when it becomes someone else."""
        try:
            served = PolicyCard.read(metadata)
        except (RoboscaleError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise InfrastructureError(f"{self.url}: metadata: {type(error).__name__}: {error}") from error
        plain = {key: _plain(value) for key, value in metadata.items()}
        if self._metadata is not None:
            self._notice_change(served, self._metadata, plain)
        if served is None and self.profile is None:
            raise SpecMismatch(
                f"{self.url}: the server does not say what it takes and gives; declare it with a policy profile "
                "(example: examples/policy_profile_droid.toml)"
            )
        self._metadata, self._card = plain, served

    def _notice_change(self, served: PolicyCard | None, before: dict[Any, Any], metadata: dict[Any, Any]) -> None:
        if served != self._card:
            was, now = (s.label if s else "a server that says nothing" for s in (self._card, served))
            raise InfrastructureError(f"{self.url}: another policy answers now: was {was}, is {now}")
        changed = [k for k in {**before, **metadata} if combine("", before.get(k)) != combine("", metadata.get(k))]
        if served is None and changed:
            keys = ", ".join(map(str, changed))
            raise InfrastructureError(f"{self.url}: another server answers now: its metadata differs in {keys}")


def _plain(value: Any) -> Any:
    """Metadata as something that has a digest."""
    if isinstance(value, Mapping):
        return {k if isinstance(k, (str, int, bytes)) else repr(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value if isinstance(value, (bool, int, float, str, bytes, np.ndarray, np.generic)) else repr(value)
