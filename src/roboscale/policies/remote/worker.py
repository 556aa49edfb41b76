"""The thread that owns a served policy: sessions, batches, one computation at a time.

Knows the policy protocol. Does not know websockets.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from roboscale.core import (
    PENDING,
    ActionChunk,
    BatchedPolicy,
    Field,
    InfrastructureError,
    Observation,
    Pending,
    Policy,
    PolicyError,
    RoboscaleError,
    Session,
    Spec,
    SpecMismatch,
)
from roboscale.core.faults import check_chunk, faults_of

__all__ = ["Answered", "Asked", "Worker", "read_observation"]

Answer = ActionChunk | Literal[Pending.PENDING]

_log = logging.getLogger(__name__)
_MAX_BATCH = 64
_MAX_SESSIONS = 1024  # the longest unused is forgotten first


@dataclass(frozen=True, slots=True)
class Answered:
    """A chunk or `PENDING`, and how long the policy computed on the batch it was in, milliseconds."""

    chunk: Answer
    infer_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request.

    Args:
        session: name of the session; a new one is started with `instruction` and `seed`.
        step: how many requests the session has answered, where the client counts: a session that was lost with a
            restarted server must not begin again in the middle of an episode.
        values: the observation as it came.
    """

    session: str
    instruction: str
    seed: int
    step: int | None
    values: Mapping[Any, Any]
    answer: Future[Answered] = field(default_factory=Future)


@dataclass(slots=True)
class _Open:
    session: Session
    steps: int = 0


class Worker:
    """Answers requests in order, together where the policy takes batches.

    When a batch fails, its requests are asked one by one, as a runner in this process would: who is at fault pays.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy, self._who = policy, f"policy {policy.name}"
        self._requests: queue.SimpleQueue[Asked | str] = queue.SimpleQueue()
        self._waiting: list[Asked] = []
        self._sessions: OrderedDict[str, _Open] = OrderedDict()

    def start(self) -> None:
        """Starts the thread; it ends with the process, in the middle of whatever the policy computes."""
        threading.Thread(target=self._run, name="policy", daemon=True).start()

    def submit(self, asked: Asked) -> Future[Answered]:
        """Queues one request; the future holds the answer, or what the policy raised."""
        self._requests.put(asked)
        return asked.answer

    def forget(self, session: str) -> None:
        """Drops a session, if there is one."""
        self._requests.put(session)

    def _run(self) -> None:
        while True:
            self._receive()
            batch, self._waiting = self._split(self._waiting)
            if batch:
                self._answer(batch)

    def _receive(self) -> None:
        """Takes what has arrived; waits only when there is nothing to do."""
        block = not self._waiting
        while len(self._waiting) < _MAX_BATCH:
            try:
                item = self._requests.get(block=block)
            except queue.Empty:
                return
            block = False
            if isinstance(item, str):
                self._sessions.pop(item, None)
            else:
                self._waiting.append(item)

    def _split(self, waiting: list[Asked]) -> tuple[list[Asked], list[Asked]]:
        """What is computed now: everything for a policy that takes batches, but no session twice."""
        limit = _MAX_BATCH if isinstance(self._policy, BatchedPolicy) else 1
        now: list[Asked] = []
        for i, asked in enumerate(waiting):
            if len(now) == limit or asked.session in {a.session for a in now}:
                return now, waiting[i:]
            now.append(asked)
        return now, []

    def _answer(self, batch: list[Asked]) -> None:
        """Computes one batch; a request that is wrong in itself fails alone."""
        ready: list[tuple[Asked, _Open, Observation]] = []
        for asked in batch:
            if not asked.answer.set_running_or_notify_cancel():
                continue  # the client is gone
            try:
                observation = read_observation(asked.values, self._policy.observation_spec, self._policy.history)
                ready.append((asked, self._session(asked), observation))
            except Exception as error:  # noqa: BLE001  the thread outlives it, whoever asked gets it
                asked.answer.set_exception(error)
        if not ready:
            return
        started = time.perf_counter()
        answers = self._compute([o.session for _, o, _ in ready], [o for _, _, o in ready])
        infer_ms = (time.perf_counter() - started) * 1000
        for (asked, opened, _), answer in zip(ready, answers, strict=True):
            if isinstance(answer, Exception):
                self._sessions.pop(asked.session, None)
                asked.answer.set_exception(answer)
            else:
                opened.steps += 1
                asked.answer.set_result(Answered(answer, infer_ms))

    def _compute(self, sessions: list[Session], observations: list[Observation]) -> list[Answer | Exception]:
        """One answer, or what was raised instead, per session."""
        if len(sessions) > 1 and isinstance(self._policy, BatchedPolicy):
            try:
                return self._together(self._policy, sessions, observations)
            except (PolicyError, InfrastructureError) as error:
                _log.info("a batch of %d failed and is asked one by one: %s", len(sessions), error)
        return [self._one(session, o) for session, o in zip(sessions, observations, strict=True)]

    def _together(
        self, policy: BatchedPolicy, sessions: list[Session], observations: list[Observation]
    ) -> list[Answer | Exception]:
        try:
            with faults_of(self._who, passing=(RoboscaleError,)):
                answers = policy.act_many(sessions, observations)
        except (PolicyError, InfrastructureError):
            raise
        except RoboscaleError as error:
            return [error] * len(sessions)
        if len(answers) != len(sessions):
            raise PolicyError(f"{self._who} returned {len(answers)} answers for {len(sessions)} sessions")
        return [self._read(answer) for answer in answers]

    def _one(self, session: Session, observation: Observation) -> Answer | Exception:
        try:
            with faults_of(self._who, passing=(RoboscaleError,)):
                answer = session(observation)
        except RoboscaleError as error:
            return error
        return self._read(answer)

    def _read(self, answer: object) -> Answer | PolicyError:
        """The answer as it is sent; what is wrong with it costs its own session only."""
        if answer is PENDING:
            return PENDING
        if not isinstance(answer, ActionChunk):
            return PolicyError(f"{self._who} returned {type(answer).__name__}: expected an ActionChunk")
        try:
            chunk = check_chunk(answer, self._who)
        except PolicyError as error:
            return error
        return ActionChunk(np.asarray(chunk.actions), len(chunk.rows))

    def _session(self, asked: Asked) -> _Open:
        opened = self._sessions.get(asked.session)
        if asked.step is not None and asked.step != (opened.steps if opened else 0):
            have = f"is at step {opened.steps}" if opened else "is not known here; the server was restarted"
            raise InfrastructureError(f"session {asked.session}: asked for step {asked.step}, but it {have}")
        if opened is None:
            with faults_of(self._who, passing=(RoboscaleError,)):
                opened = _Open(self._policy.start(asked.instruction, asked.seed))
            self._sessions[asked.session] = opened
            if len(self._sessions) > _MAX_SESSIONS:
                self._sessions.popitem(last=False)
        self._sessions.move_to_end(asked.session)
        return opened


def read_observation(values: Mapping[Any, Any], spec: Spec | None, history: int = 1) -> dict[str, Any]:
    """What a client sent, as the policy declared it.

    A number type that loses nothing in kind is converted (openpi clients send float64); more keys than needed are
    ignored. Without a spec, everything is passed on. With a history of k > 1, every array has a first axis of k.

    Raises:
        SpecMismatch: a field is missing or is something else; all of them are listed.
    """
    if spec is None:
        return {str(key): np.asarray(value) for key, value in values.items()}
    read: dict[str, Any] = {}
    problems: list[str] = []
    for wanted in spec:
        try:
            read[wanted.name] = _read_field(values, wanted, history)
        except SpecMismatch as error:
            problems.append(str(error))
    if problems:
        sent = ", ".join(sorted(map(str, values))) or "nothing"
        raise SpecMismatch("\n  ".join(["the observation is not what the policy takes:", *problems, f"sent: {sent}"]))
    return read


def _read_field(values: Mapping[Any, Any], wanted: Field, history: int) -> Any:
    if wanted.name not in values:
        raise SpecMismatch(f"{wanted.name} is missing")
    array = np.asarray(values[wanted.name])
    shape = wanted.shape if history == 1 else (history, *wanted.shape)
    if array.shape != shape or not np.can_cast(array.dtype, wanted.dtype, "same_kind"):
        last = f" of the last {history} steps" if history > 1 else ""
        raise SpecMismatch(
            f"{wanted.name}: expected {wanted.dtype}{list(shape)}{last}, found {array.dtype}{list(array.shape)}"
        )
    return array.astype(wanted.dtype, copy=False)
