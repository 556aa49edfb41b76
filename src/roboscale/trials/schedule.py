"""Which trials, in which order, and the loop that gets them done.

Cases are paired across policies and interleaved, so that a drift of the world hits all policies alike. Evidence is
consumed in schedule order, never in order of completion: successes end sooner, and whoever counts them first is
biased. Every finished trial is in the log before its slot starts the next.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from roboscale.core import (
    BatchedPolicy,
    Case,
    Counted,
    Design,
    Identity,
    InfrastructureError,
    Judgement,
    Observation,
    Policy,
    PolicyError,
    Referee,
    RoboscaleError,
    RolloutSettings,
    Session,
    StopRule,
    Trial,
    WorldInfo,
    derive_seed,
    generator,
    identity_labels,
    require_match,
)
from roboscale.trials.batching import LOOKED_AT, batch_difference
from roboscale.trials.evidence import count_trials, outcome_value, waits
from roboscale.trials.log import TrialLog
from roboscale.trials.rollout import Answer, Asking, void_result
from roboscale.trials.slots import Finished, Job, Keeping, Slot, wait_for
from roboscale.trials.timing import TIME, Stopwatch, split_time

__all__ = ["Schedule", "TrialRunner", "check_policy_fits", "interleave"]

FIRST_ANSWERS = 3  # trials of a policy that all end before the first step mean that it is used wrongly
LEASE_S = 30.0  # how long a trial of a killed process stays with it
RETRY_LEASE_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """What is to be tried.

    Args:
        policies: in the order of the comparison.
        cases: paired across policies, in the order in which their evidence counts.
        round: which time the whole is asked for.
        retries: further attempts, in this run, for a trial that was void.
        shard: (i, n) keeps the cases whose position modulo n is i.
        order: seed that draws the order of policies within every case, where nobody may foresee it; by default every
            second case is in reverse order.
        balanced: with `order` and two policies: exactly half of the cases begin with either, which half is drawn.
    """

    policies: tuple[Identity, ...]
    cases: tuple[Case, ...]
    round: int = 0
    retries: int = 1
    shard: tuple[int, int] = (0, 1)
    order: int | None = None
    balanced: bool = False

    def __post_init__(self) -> None:
        labels = identity_labels(self.policies)
        if len(labels) != len(self.policies):
            twice = next(p for p in self.policies if self.policies.count(p) > 1)
            raise RoboscaleError(f"{twice.name} takes part twice, with the same content: compare different policies")
        if not 0 <= self.shard[0] < self.shard[1]:
            raise RoboscaleError(f"shard: expected i/n with 0 <= i < n, found {self.shard[0]}/{self.shard[1]}")

    def own_cases(self) -> tuple[Case, ...]:
        """The cases of this shard."""
        return self.cases[self.shard[0] :: self.shard[1]]

    def pairs(self) -> Iterator[tuple[Case, Identity]]:
        """Case by case; every second case in reverse order of policies, so that no policy always goes first."""
        own = self.own_cases()
        drawn = None if self.order is None else generator(self.order)
        half = [] if drawn is None or not self.balanced else list(drawn.permutation(len(own)) % 2 == 0)
        for position, case in enumerate(own):
            order: Sequence[Identity] = self.policies if position % 2 == 0 else self.policies[::-1]
            if half:
                order = self.policies if half[position] else self.policies[::-1]
            elif drawn is not None:
                order = [self.policies[k] for k in drawn.permutation(len(self.policies))]
            for policy in order:
                yield case, policy


def interleave(per_task: Sequence[Sequence[Case]]) -> tuple[Case, ...]:
    """Cases of several tasks in turn, so that every prefix is balanced."""
    longest = max((len(c) for c in per_task), default=0)
    return tuple(c[i] for i in range(longest) for c in per_task if i < len(c))


def check_policy_fits(policy: Policy, info: WorldInfo) -> None:
    """SpecMismatch that names both sides unless the world gives what the policy needs and takes what it gives."""
    if policy.observation_spec is not None:
        require_match(policy.observation_spec, info.observation_spec, f"policy {policy.name}", f"world {info.name}")
    if policy.action_spec is not None:
        require_match(policy.action_spec, info.action_spec, f"policy {policy.name}", f"world {info.name}")


Trying = tuple[Case, Identity, int]
"""A case, the policy to try on it, and the number of the attempt."""


@dataclass(slots=True, kw_only=True)
class _Running:
    """A slot at work."""

    slot: Slot
    job: Job
    session: Session | None = None
    starting: Stopwatch = field(default_factory=Stopwatch)
    answering: Stopwatch = field(default_factory=Stopwatch)  # of the policy alone, not of who was asked before

    @property
    def trial(self) -> Trial:
        return self.job.trial


@dataclass(slots=True, kw_only=True)
class TrialRunner:
    """Runs a schedule.

    Args:
        info: of the world that the slots hold.
        world: its identity, under which trials are filed.
        policies: by identity.
        settings: how every episode runs.
        referee: who judges.
        slots: where scenes run.
        log: where finished trials go.
        run: id of this run.
        rule: ends the run early; needs the whole schedule (no shard).
        design: says whether successes or progress are compared.
        keep: how a trial is kept as an episode while it runs; by default it is not. `adopt` takes over the episode,
            or drops it.
        on_trial: called with every finished trial and its judgement, for progress bars.
        on_reuse: called before the first trial with those that the log has already.
        decide: asked how a trial went that waits to be judged, once it is in the log and before the next begins;
            `None` leaves it waiting.
        on_wait: called with how many trials are left, all in the hands of other processes.
        worker: a name that no other process has; its leases are kept alive while trials run.
        versions: recorded with every trial.
        reused: trials that the log had, or that another process made, filled while it runs.
    """

    info: WorldInfo
    world: Identity
    policies: Mapping[Identity, Policy]
    settings: RolloutSettings
    referee: Referee
    slots: Sequence[Slot]
    log: TrialLog
    run_id: str = ""
    rule: StopRule | None = None
    design: Design | None = None
    keep: Callable[[Trial], Keeping | None] = lambda trial: None
    adopt: Callable[[Trial, Judgement], None] = lambda trial, judgement: None
    on_trial: Callable[[Trial, Judgement], None] = lambda trial, judgement: None
    on_reuse: Callable[[Sequence[Trial]], None] = lambda trials: None
    decide: Callable[[Trial], Judgement | None] = lambda trial: None
    on_wait: Callable[[int], None] = lambda count: None
    versions: Mapping[str, str] = field(default_factory=dict)
    worker: str = field(default_factory=lambda: f"{socket.gethostname()}/{os.getpid()}/{uuid.uuid4().hex[:8]}")
    reused: list[Trial] = field(default_factory=list)
    _judgements: dict[str, list[Judgement]] = field(default_factory=dict)
    _final: dict[tuple[Case, Identity], Trial] = field(default_factory=dict)
    _tried: dict[tuple[Case, Identity], int] = field(default_factory=dict)
    _batches: dict[Identity, tuple[int, float | None]] = field(default_factory=dict)
    _changed: bool = False  # whether a trial has come to its end; until one has, there is nothing to count or to begin

    def run(self, schedule: Schedule) -> list[Counted]:
        """What counts of every trial that was needed, in schedule order.

        Finished trials in the log are not run again; voids of earlier runs are. An error or Ctrl-C loses no trial
        that was finished.

        Raises:
            RoboscaleError: the first answers of a policy in all of its first trials were no actions.
        """
        if self.rule is not None and schedule.shard[1] != 1:
            raise RoboscaleError("a sequential stop needs the whole schedule: drop --shard")
        for policy in schedule.policies:
            check_policy_fits(self.policies[policy], self.info)
        waiting = deque(self._open_trials(schedule))
        if self.reused:
            self.on_reuse(self.reused)
            for trial in self.reused:
                self._let_decide(trial)
        following = _Following(schedule=schedule, rule=self.rule)
        running: dict[int, _Running] = {}
        self._require_action(schedule)
        self._bury()
        with _Heart(self.log, self.worker):
            try:
                while not self._advance(following) and (waiting or running):
                    self._changed = False
                    self._fill(waiting, running, schedule, following)
                    while running and not self._changed:
                        self._serve(running, waiting, schedule)
            finally:
                for run in running.values():  # what was under way is anybody's again
                    self.log.release(run.trial.key, self.worker)
                    run.slot.abandon()
        return self._counted(schedule)

    def _bury(self) -> None:
        """Takes back the trials of processes of this machine that are dead; those of others expire by themselves."""
        for lease in self.log.leases():
            host, _, rest = lease.worker.rpartition("/")[0].partition("/")
            if host == socket.gethostname() and rest.isdigit() and not _alive(int(rest)):
                self.log.release(lease.key, lease.worker)

    def _counted(self, schedule: Schedule) -> list[Counted]:
        """Of this schedule's cases, whatever has come to an end."""
        return count_trials(self._final.values(), self._judgements, schedule.policies, schedule.own_cases())

    def _open_trials(self, schedule: Schedule) -> Iterator[Trying]:
        """What is still to run, and files what is done."""
        done = self.log.attempts(schedule.policies, self.world, self.settings, schedule.round)
        ids = [attempts[-1].id for attempts in done.values()]
        for trial, said in self.log.judgements(ids).items():
            self._judgements[trial] = list(said)
        for case, policy in schedule.pairs():
            attempts = done.get((policy.digest, case.id), [])
            if attempts and not attempts[-1].void:
                if (case, policy) not in self._final:
                    self.reused.append(attempts[-1])
                self._final[case, policy] = attempts[-1]
            else:
                yield case, policy, len(attempts)

    def _advance(self, following: _Following) -> bool:
        return following.advance(self._outcome)

    def _outcome(self, case: Case, policy: Identity) -> tuple[bool, float | None]:
        """Whether the outcome of a trial is known, and the outcome."""
        if (case, policy) not in self._final:
            return False, None
        trial = self._final[case, policy]
        counted = count_trials([trial], self._judgements, [policy], [case])[0]
        return not counted.pending, outcome_value(counted.outcome, self.design)

    def _fill(
        self,
        waiting: deque[Trying],
        running: dict[int, _Running],
        schedule: Schedule,
        following: _Following,
    ) -> None:
        """Gives every idle slot the next trial that is needed."""
        refused: list[Trying] = []
        for index, slot in enumerate(self.slots):
            while index not in running and waiting:
                case, policy, attempt = waiting.popleft()
                if policy not in following.in_play or self._full(policy, running):
                    if policy in following.in_play:
                        refused.append((case, policy, attempt))
                    continue
                trial = self._planned(case, policy, attempt, schedule)
                if not self.log.lease(trial.key, self.worker, LEASE_S):
                    refused.append((case, policy, attempt))
                    continue
                self._begin(index, slot, trial, running, waiting, schedule)
        waiting.extendleft(reversed(refused))
        if refused and not running:
            self._others(waiting, schedule)

    def _full(self, policy: Identity, running: Mapping[int, _Running]) -> bool:
        """Whether the policy runs as many sessions as it can."""
        most = getattr(self.policies[policy], "sessions", None)
        return most is not None and sum(r.trial.policy == policy for r in running.values()) >= most

    def _others(self, waiting: deque[Trying], schedule: Schedule) -> None:
        """Every trial that is left is in the hands of another process: waits, and files what it has finished."""
        self.on_wait(len(waiting))
        time.sleep(RETRY_LEASE_S)
        still = [t for t in self._open_trials(schedule) if (t[0], t[1]) not in self._final]
        waiting.clear()
        waiting.extend(still)

    def _planned(self, case: Case, policy: Identity, attempt: int, schedule: Schedule) -> Trial:
        return Trial(
            policy=policy,
            world=self.world,
            case=case,
            settings=self.settings,
            round=schedule.round,
            attempt=attempt,
            run=self.run_id,
            started_ns=time.time_ns(),
            versions=self.versions,
        )

    def _begin(
        self,
        index: int,
        slot: Slot,
        trial: Trial,
        running: dict[int, _Running],
        waiting: deque[Trying],
        schedule: Schedule,
    ) -> None:
        policy = self.policies[trial.policy]
        asking = Asking.of(policy, self.info.observation_spec)
        job = Job(trial=trial, referee=self.referee, asking=asking, keep=self.keep(trial))
        starting = Stopwatch()
        try:
            with starting:
                session = policy.start(self.info.sentence(trial.case), _seed_of(trial))
        except InfrastructureError as error:
            return self._finish(_Running(slot=slot, job=job), job.finish(void_result(str(error))), waiting, schedule)
        except PolicyError as error:
            failed = replace(void_result(str(error)), end="policy error")
            return self._finish(_Running(slot=slot, job=job), job.finish(failed), waiting, schedule)
        running[index] = _Running(slot=slot, job=job, session=session, starting=starting)
        slot.begin(job)

    def _serve(self, running: dict[int, _Running], waiting: deque[Trying], schedule: Schedule) -> None:
        """Takes the events of all slots that have one, and answers those that wait for an action, in batches."""
        ready = {id(s) for s in wait_for([r.slot for r in running.values()])}
        asking: dict[Identity, list[tuple[_Running, Observation]]] = {}
        for index, run in list(running.items()):
            if id(run.slot) not in ready:
                continue
            event = run.slot.event()
            if isinstance(event, Finished) and event.bystander:
                del running[index]
                self._changed = True
                waiting.appendleft((run.trial.case, run.trial.policy, run.trial.attempt))  # as if it had not begun
            elif isinstance(event, Finished):
                del running[index]
                self._finish(run, event, waiting, schedule)
            else:
                asking.setdefault(run.trial.policy, []).append((run, event))
        for policy, group in asking.items():
            for (run, _), answer in zip(group, self._act(policy, group), strict=True):
                run.slot.answer(answer)

    def _act(self, policy: Identity, group: list[tuple[_Running, Observation]]) -> list[Answer]:
        asked = self.policies[policy]
        if len(group) > 1 and isinstance(asked, BatchedPolicy):
            sessions = [run.session for run, _ in group if run.session is not None]
            together = Stopwatch()
            try:
                with together:
                    self._look_at_batch(policy, group)
                    return list(asked.act_many(sessions, [observation for _, observation in group]))
            except (PolicyError, InfrastructureError):
                pass  # one of them is at fault: asked one by one, only that one pays
            finally:
                for run, _ in group:
                    run.answering.seconds += together.seconds / len(group)
        return [_ask(run, observation) for run, observation in group]

    def _look_at_batch(self, policy: Identity, group: list[tuple[_Running, Observation]]) -> None:
        """The first batch that a policy is asked is also asked one by one: its trials say what that changed."""
        if policy in self._batches:
            return
        started = [(self.info.sentence(run.trial.case), _seed_of(run.trial)) for run, _ in group]
        difference = batch_difference(self.policies[policy], started, [observation for _, observation in group])
        self._batches[policy] = (min(len(group), LOOKED_AT), difference)

    def _finish(self, run: _Running, finished: Finished, waiting: deque[Trying], schedule: Schedule) -> None:
        """Files a trial; a void one is tried again while there are retries."""
        self._changed = True
        size, changed = self._batches.get(run.trial.policy, (0, None))
        batch = {"batch": size, "batch_difference": changed} if changed else {}
        details = {**finished.trial.details, **_time_of(run, finished), **_details(run.session), **batch}
        trial = replace(finished.trial, details=details)
        if trial.episode:
            self.adopt(trial, finished.judgement)
        self.log.save(trial, [finished.judgement])
        self._judgements.setdefault(trial.id, []).append(finished.judgement)
        key = trial.case, trial.policy
        self._tried[key] = self._tried.get(key, 0) + 1
        if trial.void and self._tried[key] <= schedule.retries:
            waiting.appendleft((*key, trial.attempt + 1))
        else:
            self._final[key] = trial
        self._let_decide(trial)
        self.on_trial(trial, self._judgements[trial.id][-1])
        self._require_action(schedule)

    def _let_decide(self, trial: Trial) -> None:
        """Asks whoever sits at the bench, where the trial waits for somebody."""
        if waits(trial, self._judgements.get(trial.id, [])) or trial.void or trial.end == "policy error":
            said = self.decide(trial)
            if said is not None:
                self.log.judge(said)
                self._judgements.setdefault(trial.id, []).append(said)

    def _require_action(self, schedule: Schedule) -> None:
        """Stops when a policy's first answers were no actions in all of its first trials: it is used wrongly."""
        for policy in schedule.policies:
            mine = [t for (_, p), t in self._final.items() if p == policy]
            first = [t for t in mine if not t.void]
            enough = min(FIRST_ANSWERS, len(schedule.own_cases()))
            if len(first) >= enough and all(t.end == "policy error" and not t.steps for t in first):
                raise RoboscaleError(
                    f"{policy.name} never acted: its first answer was no action in all of the first {len(first)} "
                    f"trials, such as: {first[0].reason}"
                )


def _alive(pid: int) -> bool:
    """Whether a process of this machine runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _time_of(run: _Running, finished: Finished) -> dict[str, dict[str, float]]:
    """What a trial's details say of its time; nothing where its rollout could not measure it."""
    if not finished.spent:
        return {}
    parts = split_time(
        finished.spent,
        seconds=finished.trial.seconds,
        thinking_s=finished.trial.thinking_s,
        starting_s=run.starting.seconds,
        answering_s=run.answering.seconds,
    )
    return {TIME: parts}


def _ask(run: _Running, observation: Observation) -> Answer:
    """A session's answer; its error as a value, so that it reaches the one rollout it concerns."""
    assert run.session is not None, "a running trial has a session"
    try:
        with run.answering:
            return run.session(observation)
    except (InfrastructureError, PolicyError) as error:
        return error


def _details(session: Session | None) -> dict[str, Any]:
    """What a session says of what it did, where it says something: `details` (JSON types) and `parents` (ids)."""
    details = dict(getattr(session, "details", {}))
    parents = getattr(session, "parents", ())
    return {**details, "parents": list(parents)} if parents else details


def _seed_of(trial: Trial) -> int:
    """What a policy's own chance is drawn from in this trial."""
    return derive_seed("session", trial.case.id, trial.round, trial.attempt)


class _Heart:
    """Says from a thread of its own that this process lives, however long a policy thinks or a world takes."""

    def __init__(self, log: TrialLog, worker: str) -> None:
        self._log, self._worker = log, worker
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="leases", daemon=True)

    def _beat(self) -> None:
        while not self._stop.wait(LEASE_S / 4):
            with contextlib.suppress(InfrastructureError):  # the trial that is saved next says so
                self._log.heartbeat(self._worker, LEASE_S)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


@dataclass(slots=True, kw_only=True)
class _Following:
    """Walks the schedule in order as outcomes become known, and feeds the rule."""

    schedule: Schedule
    rule: StopRule | None
    position: int = 0
    in_play: tuple[Identity, ...] = ()
    cases: tuple[Case, ...] = ()
    labels: Mapping[Identity, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.in_play, self.cases = self.schedule.policies, self.schedule.own_cases()
        self.labels = identity_labels(self.schedule.policies)

    def advance(self, outcome: Callable[[Case, Identity], tuple[bool, float | None]]) -> bool:
        """Consumes what is complete; True when the rule needs no further trial, or the schedule is at its end."""
        labels = self.labels
        while self.in_play and self.position < len(self.cases):
            case = self.cases[self.position]
            known = {labels[p]: outcome(case, p) for p in self.in_play}
            if not all(is_known for is_known, _ in known.values()):
                return False
            self.position += 1
            if self.rule is not None:
                still = self.rule.update(case, {name: value for name, (_, value) in known.items()})
                self.in_play = tuple(p for p in self.schedule.policies if labels[p] in still)
        return not self.in_play or self.position >= len(self.cases)
