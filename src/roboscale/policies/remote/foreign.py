"""A policy behind a server that speaks neither openpi's protocol nor ours: GR00T's, OpenVLA's, vla-eval's.

Knows profiles and episodes; the bytes are in `dialects`. Such a server says nothing of itself: it needs a profile, and
its numbers belong to one run.
"""

from __future__ import annotations

from typing import Any

from roboscale.core import (
    Identity,
    InfrastructureError,
    Observation,
    PolicyError,
    Session,
    Spec,
    SpecMismatch,
    combine,
)
from roboscale.policies.remote.connection import Timeouts
from roboscale.policies.remote.dialects import Talker, talker_of
from roboscale.policies.remote.profile import PolicyProfile
from roboscale.policies.remote.replies import RemoteAnswer, read_reply

__all__ = ["ForeignPolicy"]


class ForeignPolicy:
    """One server, one episode at a time.

    Args:
        address: one of `dialects.ADDRESSES`.
        profile: what its keys are made from, and what its rows are.
        api_key: sent where the dialect has a place for it.
        timeouts: how long to wait for what.

    Raises:
        SpecMismatch: there is no profile.
        UnknownName: no such dialect.
    """

    history = 1
    sessions = 1

    def __init__(
        self,
        address: str,
        profile: PolicyProfile | None,
        api_key: str | None = None,
        timeouts: Timeouts | None = None,
    ) -> None:
        self._open = talker_of(address)
        if profile is None:
            raise SpecMismatch(
                f"{address}: the server does not say what it takes and gives; declare it with a policy profile "
                "(examples: docs/policies.md)"
            )
        self.name = f"{profile.name}@{address}"
        self.address, self.profile, self.warm = address, profile, False
        self._key, self._timeouts = api_key, timeouts or Timeouts()
        self._talker: Talker | None = None
        self._specs: tuple[Spec, Spec] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_talker": None}  # sockets stay in their process

    @property
    def identity(self) -> Identity:
        doubt = f"the server at {self.address} does not say what it serves"
        served = Identity(self.name, combine(self.name, self.address).digest, (doubt,))
        return combine(self.name, served, self.profile.identity)

    @property
    def notes(self) -> tuple[str, ...]:
        return (f"the server at {self.address} gets no seed: what is random in it does not repeat itself",)

    @property
    def observation_spec(self) -> Spec | None:
        return self._specs[0] if self._specs else None

    @property
    def action_spec(self) -> Spec | None:
        return self._specs[1] if self._specs else None

    def check(self, observation_spec: Spec, action_spec: Spec) -> None:
        """SpecMismatch with all in which the profile does not fit a world. Does not connect."""
        self.profile.check(observation_spec, action_spec)
        self._specs = observation_spec.select(self.profile.fields), action_spec

    def start(self, instruction: str, seed: int) -> Session:
        """A new episode; nothing is sent before its first observation."""
        begun: list[Talker | None] = []

        def act(observation: Observation) -> RemoteAnswer:
            if begun and begun[0] is not self._talker:
                raise InfrastructureError(f"{self.address}: the connection was lost in the middle of the episode")
            try:
                talker = self._connected()
                if not begun:
                    talker.begin(instruction)
                    begun.append(talker)
                return self._asked(talker, observation, instruction)
            except InfrastructureError:
                self.close()
                raise

        return act

    def _asked(self, talker: Talker, observation: Observation, instruction: str) -> RemoteAnswer:
        message = self.profile.encode(observation, instruction)
        timeout_s = self._timeouts.reply_s if self.warm else self._timeouts.warmup_s
        reply = talker.ask(message, self.profile.prompt, timeout_s)
        self.warm = True
        try:
            return read_reply(dict(reply), self.profile.action, self.address, observation)
        except (ValueError, TypeError) as error:
            raise PolicyError(f"{self.address}: answer: {error}") from error

    def _connected(self) -> Talker:
        if self._talker is None:
            self._talker = self._open(self.address, self._key, self._timeouts)
        return self._talker

    def close(self) -> None:
        """Says goodbye; the next episode connects again."""
        talker, self._talker = self._talker, None
        if talker is not None:
            talker.close()
