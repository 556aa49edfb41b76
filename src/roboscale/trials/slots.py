"""Where worlds run: in this process, or one process each. A slot holds one world and runs one rollout at a time.

Slots know worlds and rollouts, not policies: an observation comes out, a chunk goes in.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from roboscale.core import ActionChunk, Case, Observation, RoboscaleError, World
from roboscale.trials.rollout import Answer, RolloutResult, replay, rollout, void_result

__all__ = ["Job", "LocalSlot", "ProcessSlot", "Slot", "make_slots", "run_in_order", "wait_for"]

WorldFactory = Callable[[], World]
START_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class Job:
    """What a slot is asked to run; with `actions` it replays them and asks nobody."""

    case: Case
    needs: tuple[str, ...] | None = None
    record: bool = False
    actions: NDArray[np.float32] | None = None


Event = Observation | RolloutResult
"""A slot either needs an action for an observation, or is done."""


class Slot(Protocol):
    """One world that runs one job at a time."""

    def begin(self, job: Job) -> None: ...

    def answer(self, chunk: Answer) -> None:
        """The chunk for the last observation, or why there is none."""

    def ready(self) -> bool:
        """Whether `event` would return at once."""

    def event(self) -> Event:
        """The next event of the job; waits for it."""

    def close(self) -> None: ...


class LocalSlot:
    """A world in this process."""

    def __init__(self, factory: WorldFactory) -> None:
        self._factory = factory
        self._world: World | None = None
        self._run: Generator[Observation, ActionChunk, RolloutResult] | None = None
        self._event: Event | None = None

    def begin(self, job: Job) -> None:
        if self._world is None:
            self._world = self._factory()
        if job.actions is None:
            self._run = rollout(self._world, job.case, job.needs, record=job.record)
            self._advance(None)
        else:
            self._event = replay(self._world, job.case, job.actions, record=job.record)

    def answer(self, chunk: Answer) -> None:
        self._advance(chunk)

    def _advance(self, chunk: Answer | None) -> None:
        assert self._run is not None, "begin comes before answer"
        try:
            if isinstance(chunk, RoboscaleError):
                self._event = self._run.throw(chunk)
            else:
                self._event = self._run.send(chunk)  # type: ignore[arg-type]  # None starts a generator
        except StopIteration as done:
            self._event = done.value
        except RoboscaleError:
            raise  # an unknown task or scene is the user's to mend, not a broken trial
        except Exception as error:  # noqa: BLE001  # whatever a simulator raises, the trial is void and the run goes on
            self._event = void_result(f"world raised {type(error).__name__}: {error}")
            self.close()

    def ready(self) -> bool:
        return self._event is not None

    def event(self) -> Event:
        assert self._event is not None, "no event: the slot waits for an answer"
        event, self._event = self._event, None
        return event

    def close(self) -> None:
        if self._world is not None:
            self._world.close()
        self._world = self._run = None


def _serve(factory: WorldFactory, pipe: Connection) -> None:
    """The loop of a world's process. Interrupts are the parent's business: it closes the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    slot = LocalSlot(factory)
    try:
        while (message := pipe.recv()) is not None:
            try:
                slot.begin(message) if isinstance(message, Job) else slot.answer(message)
                pipe.send(slot.event())
            except RoboscaleError as error:
                pipe.send(RuntimeError(str(error)))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass  # the parent is gone; nobody is left to tell
    finally:
        slot.close()


class ProcessSlot:
    """A world in a process of its own; when that process dies or hangs, the trial is void and a new one starts.

    Args:
        factory: makes the world; it must be picklable.
        timeout_s: longest time between two observations of one episode.
    """

    def __init__(self, factory: WorldFactory, timeout_s: float = 300.0) -> None:
        self._factory, self._timeout_s = factory, timeout_s
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")  # a forked GL context or thread pool is broken in the child
        self._pipe, child = context.Pipe()
        self._process = context.Process(target=_serve, args=(self._factory, child), daemon=True)
        self._process.start()
        child.close()
        self._deadline = 0.0

    @property
    def pipe(self) -> Connection:
        return self._pipe

    @property
    def deadline(self) -> float:
        """Monotonic time after which the world counts as hung."""
        return self._deadline

    def _send(self, message: object) -> None:
        self._deadline = time.monotonic() + self._timeout_s
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # `event` reports the dead process, once
            self._pipe.send(message)

    def begin(self, job: Job) -> None:
        self._send(job)

    def answer(self, chunk: Answer) -> None:
        self._send(chunk)

    def ready(self) -> bool:
        return self._pipe.poll() or time.monotonic() > self._deadline

    def event(self) -> Event:
        try:
            if not self._pipe.poll(max(0.0, self._deadline - time.monotonic())):
                return self._replace(f"world did not answer within {self._timeout_s:g} s")
            message = self._pipe.recv()
        except (EOFError, ConnectionResetError):
            self._process.join(5)
            return self._replace(f"world process died (exit code {self._process.exitcode})")
        if isinstance(message, RuntimeError):
            raise RoboscaleError(str(message))
        return message  # type: ignore[no-any-return]

    def _replace(self, reason: str) -> RolloutResult:
        self._process.kill()
        self._process.join()
        self._pipe.close()
        self._start()
        return void_result(reason)

    def close(self) -> None:
        if self._process.is_alive():
            with contextlib.suppress(OSError):  # it died on its own
                self._pipe.send(None)
            self._process.join(2)
            self._process.kill()
        self._process.join()
        self._pipe.close()


def wait_for(slots: Sequence[Slot]) -> list[Slot]:
    """The slots that have an event; waits until at least one has."""
    ready = [s for s in slots if s.ready()]
    while not ready:
        pipes = [s.pipe for s in slots if isinstance(s, ProcessSlot)]
        deadline = min(s.deadline for s in slots if isinstance(s, ProcessSlot))
        wait(pipes, max(0.0, deadline - time.monotonic()) + 0.01)
        ready = [s for s in slots if s.ready()]
    return ready


def run_in_order(slots: Sequence[Slot], jobs: Iterable[Job]) -> Iterator[RolloutResult]:
    """Results of replay jobs in the order of the jobs; at most one per slot is ahead of what was taken."""
    stream = enumerate(jobs)
    working: dict[int, int] = {}
    done: dict[int, RolloutResult] = {}
    following = 0
    while True:
        while following in done:
            yield done.pop(following)
            following += 1
        for index, slot in enumerate(slots):
            if index not in working and len(done) < len(slots) and (job := next(stream, None)) is not None:
                working[index] = job[0]
                slot.begin(job[1])
        if not working:
            return
        ready = {id(s) for s in wait_for([slots[i] for i in working])}
        for index in [i for i in working if id(slots[i]) in ready]:
            event = slots[index].event()
            assert isinstance(event, RolloutResult), "a replay asks nobody"
            done[working.pop(index)] = event


def make_slots(factory: WorldFactory, workers: int, per_process: int = 1) -> list[Slot]:
    """`workers` worlds in processes of their own, or with 0 `per_process` worlds in this one."""
    if workers:
        return [ProcessSlot(factory) for _ in range(workers)]
    return [LocalSlot(factory) for _ in range(per_process)]
