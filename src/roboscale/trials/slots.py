"""Where scenes run: in this process, or in processes of their own. A slot runs one rollout at a time.

Slots know worlds, rollouts and referees, not policies: an observation comes out, a chunk goes in. Several slots can
share one process, and one world where that has room for several scenes, so that a policy that takes batches is fed; a
world whose scenes share one model is stepped once for all that wait.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from roboscale.core import (
    BatchedWorld,
    EpisodeSink,
    InfrastructureError,
    Judgement,
    Observation,
    Provenance,
    Referee,
    RoboscaleError,
    Step,
    Take,
    Trial,
    World,
)
from roboscale.core.processes import interrupts_held_back, require_main
from roboscale.trials.evidence import outcome_of
from roboscale.trials.rollout import Answer, Asking, RolloutResult, Stepping, replay, rollout, void_result

__all__ = ["Finished", "Job", "Keeping", "LocalSlot", "ProcessSlot", "Slot", "make_slots", "run_in_order", "wait_for"]

LOOK_S = 0.5  # how often the clock is looked at while nothing comes
TOGETHER_S = 0.005  # scenes of one model wait so long for one more whose policy has not answered yet

WorldFactory = Callable[[], World]
SinkFactory = Callable[[], EpisodeSink]


@dataclass(frozen=True, slots=True)
class Keeping:
    """How a rollout is kept as an episode."""

    episode: str
    instruction: str
    provenance: Provenance


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a slot is asked to run.

    Args:
        trial: the trial to be, with its key and without facts.
        referee: watches and judges.
        asking: what the policy reads.
        keep: as which episode it is recorded; nothing by default.
        actions: to be replayed (T, D); then nobody is asked.
    """

    trial: Trial
    referee: Referee
    asking: Asking = field(default_factory=Asking)
    keep: Keeping | None = None
    actions: NDArray[np.float32] | None = None

    def finish(self, result: RolloutResult) -> Finished:
        """The trial with its facts, and what the referee says of it at once."""
        trial = replace(
            self.trial,
            end=result.end,
            reason=result.reason,
            steps=result.steps,
            clipped=result.clipped,
            held=result.held,
            late=result.late,
            actions=result.actions,
            series=result.series,
            measures=result.measures,
            seconds=result.seconds,
            thinking_s=result.thinking_s,
            details={k: v for k, v in (("first_seen", result.first_seen), ("went", result.went)) if v},
        )
        return Finished(trial, self.referee.judge(trial), spent=result.spent)


@dataclass(frozen=True, slots=True)
class Finished:
    """A trial that ended. Its episode, where it was kept, lies in the sink and waits to be adopted.

    Args:
        spent: see `RolloutResult`; empty where nobody could measure it.
        bystander: it was lost because another trial took the process along: it never came to an end.
    """

    trial: Trial
    judgement: Judgement
    spent: Mapping[str, float] = field(default_factory=dict)
    bystander: bool = False


Event = Observation | Finished
"""A slot either needs an action for an observation, or is done."""


class Slot(Protocol):
    """Runs one job at a time."""

    def begin(self, job: Job) -> None: ...

    def answer(self, answer: Answer) -> None:
        """The chunk for the last observation, or why there is none."""

    def ready(self) -> bool:
        """Whether `event` would return at once."""

    def event(self) -> Event:
        """The next event of the job; waits for it."""

    def abandon(self) -> None:
        """Gives up the job, if there is one: no event of it will come, and the slot is idle."""

    def close(self) -> None: ...


class _Host:
    """The worlds and the sink of one process, made when first needed."""

    def __init__(self, factory: WorldFactory, sink: SinkFactory | None) -> None:
        self._factory, self._make_sink = factory, sink
        self._sink: EpisodeSink | None = None
        self._worlds: list[World] = []
        self._users: dict[int, World] = {}
        self.stepping: list[LocalSlot] = []

    def step_together(self) -> None:
        """One step of every scene that waits for one, those of one world at once.

        Raises:
            RoboscaleError: the world answers for another number of scenes.
        """
        groups: dict[int, list[LocalSlot]] = {}
        for slot in self.stepping:
            groups.setdefault(id(self._users[slot.number]), []).append(slot)
        self.stepping.clear()
        for slots in groups.values():
            world = self._users[slots[0].number]
            assert isinstance(world, BatchedWorld), "only its scenes wait for each other"
            asked = [slot.wanted for slot in slots]
            try:
                steps = list(world.step_many([a.scene for a in asked], [a.action for a in asked]))
            except (Exception, SystemExit) as error:  # noqa: BLE001  # each rollout says what that is to it
                for slot in slots:
                    slot.fail(error)
                continue
            if len(steps) != len(slots):
                raise RoboscaleError(
                    f"world {world.info.name}: step_many of {len(slots)} scenes: expected {len(slots)} steps, "
                    f"found {len(steps)}"
                )
            for slot, step in zip(slots, steps, strict=True):
                slot.answer(step)

    def world(self, slot: int) -> World:
        """The world of a slot: one that has room for another scene, or a new one."""
        if slot not in self._users:
            for world in self._worlds:
                used = sum(w is world for w in self._users.values())
                if world.info.scenes is None or used < world.info.scenes:
                    self._users[slot] = world
                    break
            else:
                self._users[slot] = self._factory()
                self._worlds.append(self._users[slot])
        return self._users[slot]

    def take(self, keep: Keeping) -> Take:
        """A take of its own for one rollout."""
        if self._sink is None:
            if self._make_sink is None:
                raise RoboscaleError("there is no dataset to record into")
            self._sink = self._make_sink()
        return self._sink.begin(keep.instruction, keep.provenance, episode_id=keep.episode)

    def drop(self, slot: int) -> None:
        """Closes the world of a slot, which broke; who shares it gets a new one, too."""
        broken = self._users.get(slot)
        if broken is None:
            return
        self._users = {s: w for s, w in self._users.items() if w is not broken}
        self._worlds.remove(broken)
        with contextlib.suppress(Exception):  # it is broken already
            broken.close()

    def close(self) -> None:
        """Closes all worlds."""
        for world in self._worlds:
            world.close()
        self._worlds.clear()
        self._users.clear()


_Rollout = Generator[Observation | Stepping, Answer | Step, RolloutResult]


class LocalSlot:
    """A scene in this process.

    Args:
        host: the worlds of this process.
        number: which slot of the host this is.
    """

    def __init__(self, host: _Host, number: int = 0) -> None:
        self.host, self.number = host, number
        self._run: _Rollout | None = None
        self._event: Event | None = None
        self._take: Take | None = None
        self.asking = False  # an observation was taken from here, and no answer has come

    def begin(self, job: Job) -> None:
        self._job, self._take = job, None
        try:
            if job.keep is not None:
                self._take = self.host.take(job.keep)
            world = self.host.world(self.number)
            if job.actions is not None:
                self._done(replay_job(world, job, self._take))
                return
            self._run = rollout(
                world,
                job.trial.case,
                job.trial.settings,
                referee=job.referee,
                asking=job.asking,
                take=self._take,
                together=isinstance(world, BatchedWorld),
            )
        except InfrastructureError as error:
            return self._done(void_result(str(error)))
        except RoboscaleError:
            self._discard()
            raise
        except (Exception, SystemExit) as error:  # noqa: BLE001  # whatever a simulator raises, the trial is void and the run goes on
            return self._broke(error)
        self._advance(lambda run: next(run))

    def answer(self, answer: Answer | Step) -> None:
        self._advance(lambda run: run.send(answer))

    def fail(self, error: BaseException) -> None:
        """The step for which the scene waited raised this."""
        self._advance(lambda run: run.throw(error))

    def _advance(self, go: Callable[[_Rollout], Observation | Stepping]) -> None:
        assert self._run is not None, "begin comes before answer"
        self.asking = False
        try:
            event = go(self._run)
            if isinstance(event, Stepping):
                self.wanted = event
                self.host.stepping.append(self)
            else:
                self._event = event
        except StopIteration as done:
            self._done(done.value)
        except RoboscaleError:
            self._discard()
            raise  # an unknown task or a wrong declaration is the user's to mend, not a broken trial
        except (Exception, SystemExit) as error:  # noqa: BLE001  # whatever a simulator raises, the trial is void and the run goes on
            self._broke(error)

    def _broke(self, error: BaseException) -> None:
        self._done(void_result(f"world raised {type(error).__name__}: {error}"))
        self.host.drop(self.number)

    def _done(self, result: RolloutResult) -> None:
        """Judges, and closes the take: an episode that holds nothing, or that broke, is none."""
        finished = self._job.finish(result)
        if self._take is not None and self._job.keep is not None:
            if result.end == "void" or not result.steps:
                self._discard()
            else:
                self._take.save(outcome_of(finished.trial, [finished.judgement]))
                self._take = None
                finished = replace(finished, trial=replace(finished.trial, episode=self._job.keep.episode))
        self._event, self._run = finished, None

    def _discard(self) -> None:
        if self._take is not None:
            self._take.discard()
            self._take = None

    def ready(self) -> bool:
        return self._event is not None

    def event(self) -> Event:
        assert self._event is not None, "no event: the slot waits for an answer"
        event, self._event = self._event, None
        self.asking = not isinstance(event, Finished)
        return event

    def abandon(self) -> None:
        self._discard()
        if self._run is not None:
            self._run.close()  # the scene ends, a robot holds still
        self._run = self._event = None
        self.asking = False
        self.host.stepping = [slot for slot in self.host.stepping if slot is not self]

    def close(self) -> None:
        self.abandon()
        self.host.close()


def replay_job(world: World, job: Job, take: Take | None) -> RolloutResult:
    """Plays a job's actions again."""
    assert job.actions is not None, "a replay has actions"
    return replay(world, job.trial.case, job.trial.settings, job.actions, referee=job.referee, take=take)


def _serve(factory: WorldFactory, sink: SinkFactory | None, count: int, pipe: Connection) -> None:
    """The loop of a worker process. Interrupts are the parent's business: it closes the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    host = _Host(factory, sink)
    slots = [LocalSlot(host, number) for number in range(count)]
    pipe.send("ready")
    try:
        while True:
            # Scenes step together: while one could still be answered, a short wait makes the batch larger.
            while not host.stepping or pipe.poll(TOGETHER_S if any(slot.asking for slot in slots) else 0):
                if (message := pipe.recv()) is None:
                    return
                _handle(slots, pipe, *message)
            number = host.stepping[0].number
            try:
                host.step_together()
            except RoboscaleError as error:
                pipe.send((number, error))
            for slot in slots:
                if slot.ready():
                    pipe.send((slot.number, slot.event()))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass  # the parent is gone; nobody is left to tell
    finally:
        for slot in slots:
            slot.close()


def _handle(slots: Sequence[LocalSlot], pipe: Connection, number: int, payload: Job | Answer | None) -> None:
    """What the parent asks of a slot; what it leads to is sent back at once, unless a step has to be taken first."""
    slot = slots[number]
    try:
        if payload is None:
            slot.abandon()
            pipe.send((number, None))
            return
        slot.begin(payload) if isinstance(payload, Job) else slot.answer(payload)
        if slot.ready():
            pipe.send((number, slot.event()))
    except RoboscaleError as error:
        pipe.send((number, error))


class _Worker:
    """A process that runs several slots, seen from the parent; a new one starts when it dies or hangs."""

    def __init__(
        self,
        factory: WorldFactory,
        sink: SinkFactory | None,
        count: int,
        *,
        limits_s: tuple[float, float],
        now_s: Callable[[], float],
    ) -> None:
        self._arguments = (factory, sink, count)
        self._start_timeout_s, self._step_timeout_s = limits_s
        self.now_s = now_s
        self.jobs: dict[int, Job] = {}  # under way, oldest request first
        self.events: dict[int, deque[Any]] = {number: deque() for number in range(count)}
        self.deadlines: dict[int, float] = {}
        self.given_up: set[int] = set()  # slots whose next events belong to an abandoned job, up to its confirmation
        self._start()

    @property
    def timeout_s(self) -> float:
        """Longest time that the next answer may take: a process that starts imports a simulator first."""
        return self._step_timeout_s if self._greeted else self._start_timeout_s

    def _start(self) -> None:
        require_main()
        context = multiprocessing.get_context("spawn")  # a forked GL context or thread pool is broken in the child
        self.pipe, child = context.Pipe()
        self.process = context.Process(target=_serve, args=(*self._arguments, child), daemon=True)
        with interrupts_held_back():  # Ctrl-C while it imports: what it was asked is the parent's business
            self.process.start()
        child.close()
        self._greeted = False

    def send(self, number: int, payload: Job | Answer) -> None:
        """Hands a job or an answer to one slot; an answer to a trial that was lost meanwhile goes nowhere."""
        if isinstance(payload, Job):
            while number in self.given_up:
                self.receive(0.1)
            self.jobs[number] = payload
        elif number not in self.jobs:
            return
        self.deadlines.pop(number, None)  # the newest request stands last
        self.deadlines[number] = self.now_s() + self.timeout_s
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # `receive` reports the dead process, once
            self.pipe.send((number, payload))

    def abandon(self, number: int) -> None:
        """Gives up what a slot does; the process confirms it, and what comes before that is of no use."""
        self.events[number].clear()
        if self.jobs.pop(number, None) is not None:
            self.given_up.add(number)
            self.deadlines[number] = self.now_s() + self.timeout_s
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self.pipe.send((number, None))

    def receive(self, wait_s: float) -> None:
        """Files what has come; a death or a hang makes every trial under way void."""
        try:
            if self.pipe.poll(wait_s):
                message = self.pipe.recv()
                if message == "ready":
                    self._greeted = True
                    now = self.now_s()
                    self.deadlines = dict.fromkeys(self.deadlines, now + self.timeout_s)
                    return
                number, event = message
                if number in self.given_up:
                    if event is None:
                        self.given_up.discard(number)
                        self.deadlines.pop(number, None)
                    return
                self.deadlines.pop(number, None)
                if isinstance(event, (Finished, RoboscaleError)):
                    self.jobs.pop(number, None)
                self.events[number].append(event)
                return
        except (EOFError, ConnectionResetError):
            dead = True
        else:
            dead = False
        if dead:  # outside the handler: what the user reads is one error, not two
            self.process.join(5)
            return self._died()
        late = [n for n, deadline in self.deadlines.items() if self.now_s() > deadline]
        if late:
            what = "world did not answer" if self._greeted else "world process did not start"
            self._replace(f"{what} within {self.timeout_s:g} s")

    def _died(self) -> None:
        code = self.process.exitcode
        if not self._greeted:
            raise RoboscaleError(
                f"worker processes cannot start (exit code {code}): a script that uses them must make its calls under "
                'if __name__ == "__main__": (or use workers=0)'
            )
        self._replace(f"world process died (exit code {code})")

    def _replace(self, reason: str) -> None:
        """A new process. The process does one thing at a time: the oldest request that is unanswered broke it."""
        self.process.kill()
        self.process.join()
        self.pipe.close()
        culprit = next(iter(self.deadlines), None)
        for number, job in self.jobs.items():
            finished = job.finish(void_result(reason))
            self.events[number].append(finished if number == culprit else replace(finished, bystander=True))
        self.deadlines.clear()
        self.jobs.clear()
        self.given_up.clear()
        self._start()

    def close(self) -> None:
        """Asks the process to end, and makes it."""
        if self.process.is_alive():
            with contextlib.suppress(OSError):  # it died on its own
                self.pipe.send(None)
            self.process.join(2)
            self.process.kill()
        self.process.join()
        self.pipe.close()


class ProcessSlot:
    """A scene in another process; when that process dies or hangs, its trials are void and a new one starts."""

    def __init__(self, worker: _Worker, number: int) -> None:
        self.worker, self._number = worker, number

    def begin(self, job: Job) -> None:
        self.worker.send(self._number, job)

    def answer(self, answer: Answer) -> None:
        self.worker.send(self._number, answer)

    def ready(self) -> bool:
        events = self.worker.events[self._number]
        if not events:
            self.worker.receive(0.0)
        return bool(events)

    def event(self) -> Event:
        events = self.worker.events[self._number]
        while not events:
            self.worker.receive(0.1)
        event = events.popleft()
        if isinstance(event, RoboscaleError):
            raise event
        return event  # type: ignore[no-any-return]

    def abandon(self) -> None:
        self.worker.abandon(self._number)

    def close(self) -> None:
        if self._number == 0:
            self.worker.close()


def wait_for(slots: Sequence[Slot]) -> list[Slot]:
    """The slots that have an event; waits until at least one has."""
    ready = [s for s in slots if s.ready()]
    while not ready:
        for host in {s.host for s in slots if isinstance(s, LocalSlot)}:
            host.step_together()
        workers = {s.worker for s in slots if isinstance(s, ProcessSlot)}
        if workers:
            left_s = min((d - w.now_s() for w in workers for d in w.deadlines.values()), default=0.0)
            wait([w.pipe for w in workers], min(max(left_s, 0.0) + 0.01, LOOK_S))
        ready = [s for s in slots if s.ready()]
    return ready


def run_in_order(slots: Sequence[Slot], jobs: Iterable[Job]) -> Iterator[Finished]:
    """Results of replay jobs in the order of the jobs; at most one per slot is ahead of what was taken."""
    stream = enumerate(jobs)
    working: dict[int, int] = {}
    done: dict[int, Finished] = {}
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
            assert isinstance(event, Finished), "a replay asks nobody"
            done[working.pop(index)] = event


def make_slots(
    factory: WorldFactory,
    *,
    workers: int,
    worlds: int = 1,
    sink: SinkFactory | None = None,
    timeout_s: float = 300.0,
    start_timeout_s: float = 120.0,
    now_s: Callable[[], float] = time.monotonic,
) -> list[Slot]:
    """`worlds` scenes in each of `workers` processes, or with no worker in this one.

    Args:
        factory: makes a world; picklable where there are workers.
        sink: makes what episodes are recorded into; likewise.
        timeout_s: longest time that a worker may take for one step of a rollout.
        start_timeout_s: the same for its process to start, which imports a simulator.
        now_s: the clock that both are measured on.
    """
    if not workers:
        host = _Host(factory, sink)
        return [LocalSlot(host, number) for number in range(worlds)]
    slots: list[Slot] = []
    for _ in range(workers):
        worker = _Worker(factory, sink, worlds, limits_s=(start_timeout_s, timeout_s), now_s=now_s)
        slots += [ProcessSlot(worker, number) for number in range(worlds)]
    return slots
