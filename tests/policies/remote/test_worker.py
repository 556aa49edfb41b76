"""One computation at a time, in order, in batches, and no request takes another one down."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

import numpy as np
import pytest

from roboscale.core import PENDING, ActionChunk, InfrastructureError, Observation, Policy, PolicyError, Session
from roboscale.policies.remote.worker import Answered, Asked, Worker


class Gated:
    """Computes when it is let; answers with the size of the batch."""

    name, observation_spec, action_spec, history = "gated", None, None, 1

    def __init__(self) -> None:
        self.entered, self.gate = threading.Semaphore(0), threading.Semaphore(0)
        self.started = []

    def start(self, instruction: str, seed: int):
        self.started.append((instruction, seed))
        return lambda observation: self._compute([observation])[0]

    def _compute(self, observations: Sequence[Observation]) -> list[ActionChunk]:
        self.entered.release()
        assert self.gate.acquire(timeout=20)
        if any(o["x"] < 0 for o in observations):
            raise PolicyError("cannot look there")
        return [ActionChunk(np.full((1, 2), len(observations))) for _ in observations]


class GatedBatched(Gated):
    def act_many(self, sessions: Sequence[Session], observations: Sequence[Observation]):
        return self._compute(observations)


def asked(session: str, x: float = 0.0, step: int | None = None):
    return Asked(session=session, instruction="push", seed=3, step=step, values={"x": np.array(x)})


def running(policy: Policy):
    worker = Worker(policy)
    worker.start()
    return worker


def sizes(futures: list[Future[Answered]]):
    return [int(f.result(20).chunk.actions[0, 0]) for f in futures]


def submit_behind(worker: Worker, policy: Policy, requests: list[Asked]):
    """A first request that is being computed, and the others waiting behind it."""
    first = worker.submit(asked("first"))
    assert policy.entered.acquire(timeout=20)
    return [first, *(worker.submit(r) for r in requests)]


@pytest.mark.parametrize(("kind", "expected"), [(GatedBatched, [1, 4, 4, 4, 4]), (Gated, [1, 1, 1, 1, 1])])
def test_what_waits_becomes_one_batch_where_the_policy_takes_batches(kind: Any, expected: Any):
    policy = kind()
    futures = submit_behind(running(policy), policy, [asked(str(i)) for i in range(4)])
    policy.gate.release(5)
    assert sizes(futures) == expected


def test_a_session_is_never_twice_in_one_batch():
    policy = GatedBatched()
    futures = submit_behind(running(policy), policy, [asked("a"), asked("b"), asked("a"), asked("c")])
    policy.gate.release(3)
    assert sizes(futures) == [1, 2, 2, 2, 2]
    assert len(policy.started) == 4


def test_a_failed_batch_is_asked_one_by_one_and_who_is_at_fault_pays():
    policy = GatedBatched()
    worker = running(policy)
    requests = [asked("good", step=0), asked("bad", -1.0), asked("also good")]
    futures = submit_behind(worker, policy, requests)
    policy.gate.release(9)
    with pytest.raises(PolicyError, match="cannot look there"):
        futures[2].result(20)
    assert sizes([futures[0], futures[1], futures[3]]) == [1, 1, 1]
    assert sizes([worker.submit(asked("good", step=1))]) == [1]


def test_what_a_policy_raises_is_sorted_and_outlived():
    class Raising(Gated):
        def _compute(self, observations: Sequence[Observation]) -> list[ActionChunk]:
            if observations[0]["x"] > 1:
                raise MemoryError
            if observations[0]["x"] > 0:
                raise SystemExit(1)
            return super()._compute(observations)

    policy = Raising()
    policy.gate.release(9)
    worker = running(policy)
    with pytest.raises(InfrastructureError, match="policy gated raised MemoryError"):
        worker.submit(asked("a", 2.0)).result(20)
    with pytest.raises(PolicyError, match="policy gated raised SystemExit: 1"):
        worker.submit(asked("b", 1.0)).result(20)
    assert sizes([worker.submit(asked("c"))]) == [1], "the thread lives on"


def test_what_starting_raises_is_sorted():
    class Never(Gated):
        def start(self, instruction: str, seed: int):
            raise KeyError(instruction)

    with pytest.raises(PolicyError, match="policy gated raised KeyError: 'push'"):
        running(Never()).submit(asked("a")).result(20)


def test_a_request_that_is_wrong_in_itself_fails_alone():
    policy = GatedBatched()
    futures = submit_behind(running(policy), policy, [asked("wrong", step=7), asked("right", step=0)])
    policy.gate.release(2)
    with pytest.raises(Exception, match="asked for step 7"):
        futures[1].result(20)
    assert sizes([futures[0], futures[2]]) == [1, 1]


def test_a_forgotten_session_begins_again():
    policy = Gated()
    policy.gate.release(3)
    worker = running(policy)
    assert sizes([worker.submit(asked("a")), worker.submit(asked("a"))]) == [1, 1]
    assert len(policy.started) == 1
    worker.forget("a")
    assert sizes([worker.submit(asked("a"))]) == [1]
    assert len(policy.started) == 2


def test_the_longest_unused_session_is_forgotten_first(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("roboscale.policies.remote.worker._MAX_SESSIONS", 2)
    policy = Gated()
    policy.gate.release(10)
    worker = running(policy)
    for session in ("a", "b", "a", "c", "a"):  # c pushes b out
        worker.submit(asked(session)).result(20)
    assert len(policy.started) == 3
    worker.submit(asked("b")).result(20)
    assert len(policy.started) == 4


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (ActionChunk(np.zeros(2)), "an action chunk has shape"),
        (ActionChunk(np.zeros((0, 2))), "an action chunk has shape"),
        (ActionChunk(np.array([[np.nan]])), "found 1 of 1 that are NaN"),
        (None, "policy gated returned NoneType: expected an ActionChunk"),
    ],
    ids=str,
)
def test_a_bad_answer_is_the_policy_s_error_and_costs_its_own_session(answer: Any, says: str):
    class Wrong(GatedBatched):
        def _compute(self, observations: Sequence[Observation]) -> list[ActionChunk]:
            good = super()._compute(observations)
            return [answer if o["x"] == 7 else g for o, g in zip(observations, good, strict=True)]

    policy = Wrong()
    futures = submit_behind(running(policy), policy, [asked("a", 7.0), asked("b"), asked("c")])
    policy.gate.release(2)
    with pytest.raises(PolicyError, match=says):
        futures[1].result(20)
    assert sizes([futures[2], futures[3]]) == [3, 3], "answered in the one batch"


def test_too_few_chunks_do_not_stop_the_thread():
    class Short(GatedBatched):
        def act_many(self, sessions: Sequence[Session], observations: Sequence[Observation]) -> list[ActionChunk]:
            return self._compute(observations)[1:]

    policy = Short()
    worker = running(policy)
    futures = submit_behind(worker, policy, [asked("a"), asked("b")])
    policy.gate.release(9)
    assert sizes(futures) == [1, 1, 1]


def test_who_is_still_thinking_says_so():
    class Thinking(Gated):
        def _compute(self, observations: Sequence[Observation]) -> Any:
            return [PENDING]

    worker = running(Thinking())
    assert worker.submit(asked("a", step=0)).result(20).chunk is PENDING
    assert worker.submit(asked("a", step=1)).result(20).chunk is PENDING


def test_a_cancelled_request_is_not_computed():
    policy = Gated()
    worker = running(policy)
    futures = submit_behind(worker, policy, [asked("gone"), asked("here")])
    assert futures[1].cancel()
    policy.gate.release(2)
    assert sizes([futures[0], futures[2]]) == [1, 1]
    assert len(policy.started) == 2
