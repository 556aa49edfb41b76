"""A policy that is offered to an arena: it fetches what is asked and brings what it answers, and opens no port."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from roboscale.arena.client import ArenaClient
from roboscale.core import PENDING, ActionChunk, InfrastructureError, Policy, PolicyError, RoboscaleError, Session
from roboscale.core.faults import faults_of
from roboscale.wire import pack, unpack

__all__ = ["Offering"]

_SESSIONS = 16


class Offering:
    """One policy at one arena.

    Args:
        client: asks the server as the owner; a pull waits 15 s, so its timeout is longer.
        name: on the board.
        public: whether the board says that its weights can be had.
    """

    def __init__(self, policy: Policy, client: ArenaClient, name: str, public: bool = False) -> None:
        if policy.history > 1:
            raise RoboscaleError(f"{name} reads {policy.history} steps at once, and an arena hands on one at a time")
        self._policy, self._client, self.name = policy, client, name
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self.answered = 0
        self._told: dict[str, str] = {}
        body = {"name": name, "identity": policy.identity.to_json(), "public": public}
        self.id = str(client.post("/api/policies", body)["policy"])

    def serve(self, stop: threading.Event | None = None, on_line: Callable[[str], None] = lambda line: None) -> None:
        """Answers until it is told to stop, or is interrupted. An arena that is away for a while is asked on.

        Args:
            on_line: told how the policy came through a robot's check, when the arena falls silent, and when it is
                there again: a line each.

        Raises:
            Refused: the account, or the policy, is none of this arena's any more.
        """
        silent = False
        while stop is None or not stop.is_set():
            try:
                if silent:
                    lines = self._checks()  # which waits for nothing, unlike a pull
                    on_line(f"the arena answers again; {self.name} is offered")
                    silent = False
                    for line in lines:
                        on_line(line)
                self._turn(on_line)
            except InfrastructureError as error:
                if not silent and (stop is None or not stop.is_set()):
                    on_line(f"{error}; asking on until it does, or until Ctrl-C")
                silent = True

    def _turn(self, on_line: Callable[[str], None]) -> None:
        asked = self._client.exchange(f"/api/policies/{self.id}/pull")
        if asked is None:
            for line in self._checks():
                on_line(line)
            return
        answer = self._answer(asked["frame"])
        self._client.send("POST", f"/api/policies/{self.id}/answers/{asked['ask']}", answer)
        self.answered += 1

    def _checks(self) -> list[str]:
        """What is new of the checks, a line for a robot."""
        mine = next(one for one in self._client.get("/api/me")["policies"] if one["id"] == self.id)
        new = {robot: problem for robot, problem in mine["checked"].items() if self._told.get(robot) != problem}
        self._told.update(new)
        return [
            f"robot {robot[:8]}: {f'will not be met: {problem}' if problem else 'passed the check, and may be drawn'}"
            for robot, problem in new.items()
        ]

    def _answer(self, frame: bytes) -> bytes:
        told = unpack(frame)
        try:
            with faults_of(self.name, passing=(RoboscaleError,)):
                answer = self._session(told)({k: v for k, v in told.items() if isinstance(v, np.ndarray)})
            if answer is PENDING or not isinstance(answer, ActionChunk):
                raise PolicyError(f"{self.name} gave {type(answer).__name__}; an arena needs a chunk of actions")
            return pack({"actions": np.asarray(answer.rows)})
        except (PolicyError, InfrastructureError) as error:
            return pack({"error": str(error)})

    def _session(self, told: Mapping[str, Any]) -> Session:
        """The rollout's session; begun where it is new."""
        id_ = str(told["roboscale/session"])
        session = self._sessions.get(id_)
        if session is None:
            session = self._policy.start(str(told["prompt"]), int(told.get("roboscale/seed", 0)))
            self._sessions[id_] = session
            while len(self._sessions) > _SESSIONS:
                self._sessions.popitem(last=False)
        return session
