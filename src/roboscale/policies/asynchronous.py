"""A policy that thinks while its last chunk is executed.

Chunks are merged by the number of actions *consumed* since the request, never by a clock: of a chunk that was asked
for when the arm stood at step t and arrives after k further actions, row k is the next. The first chunk is waited for,
so that a cold start delays nothing but itself. Where the queue is empty before the next chunk is there, the arm holds
(`PENDING`), which the rollout counts; holding consumes nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from roboscale.core import PENDING, ActionChunk, Observation, Policy, Session, SpecMismatch, combine
from roboscale.policies.wrappers import Answer, AroundPolicy, AroundSession

__all__ = ["Asynchronous", "Conditioned"]

Submit = Callable[[Callable[[], Answer]], "Future[Answer]"]


@runtime_checkable
class Conditioned(Protocol):
    """A session that plans on from what is still to be executed (real-time chunking)."""

    def condition(self, tail: NDArray[Any], delay: int, rate_hz: float) -> None:
        """Called before every request but the first.

        Args:
            tail: rows that will be executed unless the next chunk comes first, (n, D).
            delay: actions that were consumed during the last inference.
            rate_hz: control rate.
        """


class Asynchronous(AroundPolicy):
    """`policy`, asked for the next chunk while rows of the last one are left.

    Args:
        ask_at: rows left in the queue at which the next chunk is asked for.
        rate_hz: control rate, for policies that condition on it.
        delay: an answer arrives after exactly so many further actions, for worlds in simulated time; by default when
            it does.

    Raises:
        SpecMismatch: `ask_at` or `delay` below 0, or an answer that would always come too late.
    """

    def __init__(self, policy: Policy, ask_at: int, rate_hz: float, delay: int | None = None) -> None:
        if ask_at < 0 or (delay is not None and delay < 0):
            raise SpecMismatch(f"asynchronous: expected ask_at and delay of 0 or more, found {ask_at} and {delay}")
        how = f"asynchronous at {ask_at}" + ("" if delay is None else f", {delay} steps late")
        super().__init__(policy, combine(f"{policy.name} ({how})", "asynchronous", policy.identity, ask_at, delay))
        self._ask_at, self._rate_hz, self._delay = ask_at, rate_hz, delay
        self._threads: ThreadPoolExecutor | None = None

    def start(self, instruction: str, seed: int) -> Session:
        """The inner policy gets the same instruction and seed."""
        inner = self._inner.start(instruction, seed)
        return AsynchronousSession(inner, self._submit, self._ask_at, self._rate_hz, self._delay)

    def _submit(self, think: Callable[[], Answer]) -> Future[Answer]:
        if self._delay is not None:
            done: Future[Answer] = Future()
            try:
                done.set_result(think())
            except Exception as error:  # noqa: BLE001  # a future keeps it for whoever looks
                done.set_exception(error)
            return done
        if self._threads is None:
            self._threads = ThreadPoolExecutor(1, "thinking")
        return self._threads.submit(think)

    def close(self) -> None:
        """Ends its thread, and the inner policy where it can be ended."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
        super().close()


class AsynchronousSession(AroundSession):
    """One episode: a queue of rows, and at most one request on its way."""

    def __init__(self, inner: Session, submit: Submit, ask_at: int, rate_hz: float, delay: int | None = None) -> None:
        super().__init__(inner)
        self._submit = submit
        self._ask_at, self._rate_hz, self._delay = ask_at, rate_hz, delay
        self._queue: deque[NDArray[Any]] = deque()
        self._future: Future[Answer] | None = None
        self._consumed = self._last_delay = 0
        self._begun = False

    def __call__(self, observation: Observation) -> Answer:
        if not self._begun:
            first = self.inner(observation)
            if first is PENDING:
                return PENDING
            self._queue.extend(first.rows)
            self._begun = True
        self._receive()
        if self._future is None and len(self._queue) <= self._ask_at:
            self._request(observation)
            if self._delay == 0:
                self._receive()
        if not self._queue:
            return PENDING
        self._consumed += 1
        return ActionChunk(np.asarray(self._queue.popleft())[None])

    def _request(self, observation: Observation) -> None:
        if isinstance(self.inner, Conditioned):
            self.inner.condition(np.array(self._queue), self._last_delay, self._rate_hz)
        self._consumed = 0
        self._future = self._submit(lambda: self.inner(observation))

    def _receive(self) -> None:
        """Puts an answer in the place of the queue, from the row that is due."""
        future = self._future
        if future is None or not future.done():
            return
        if self._delay is not None and self._consumed < self._delay and self._queue:
            return
        self._future = None
        answer = future.result()
        if answer is not PENDING:
            self._last_delay = self._consumed
            self._queue = deque(answer.rows[self._consumed :])
