"""Which trials, in which order, and the loop that gets them done.

Cases are paired across policies and interleaved, so that a drift of the world hits all policies alike. Evidence is
consumed in schedule order, never in order of completion: successes end sooner, and whoever counts them first is
biased. Every finished trial is on disk before its slot starts the next.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from roboscale.core import (
    BatchedPolicy,
    Case,
    Episode,
    EpisodeSink,
    InfrastructureError,
    Observation,
    PairedOutcome,
    Policy,
    PolicyError,
    Provenance,
    RoboscaleError,
    Session,
    StopRule,
    Trial,
    World,
    derive_id,
    derive_seed,
    require_match,
    write_episode,
)
from roboscale.trials.rollout import Answer, RolloutResult, recording_spec, void_result
from roboscale.trials.slots import Job, Slot, wait_for
from roboscale.trials.store import TrialStore

__all__ = ["Schedule", "TrialRunner", "check_policy_fits", "interleave"]


@dataclass(frozen=True, slots=True)
class Schedule:
    """What is to be tried.

    Args:
        policies: names, in the order of the comparison.
        cases: paired across policies, in the order in which their evidence counts.
        retries: further attempts for a trial that was void.
        shard: (i, n) keeps the cases whose position modulo n is i.
    """

    policies: tuple[str, ...]
    cases: tuple[Case, ...]
    retries: int = 1
    shard: tuple[int, int] = (0, 1)

    def __post_init__(self) -> None:
        if len(set(self.policies)) != len(self.policies):
            raise RoboscaleError(f"a policy is named twice: {', '.join(self.policies)}; compare different policies")
        if not 0 <= self.shard[0] < self.shard[1]:
            raise RoboscaleError(f"shard: expected i/n with 0 <= i < n, found {self.shard[0]}/{self.shard[1]}")

    def own_cases(self) -> tuple[Case, ...]:
        return self.cases[self.shard[0] :: self.shard[1]]

    def pairs(self) -> Iterator[tuple[Case, str]]:
        """Case by case; every second case in reverse order of policies, so that no policy always goes first."""
        for position, case in enumerate(self.own_cases()):
            for policy in self.policies if position % 2 == 0 else self.policies[::-1]:
                yield case, policy


def interleave(per_task: Sequence[Sequence[Case]]) -> tuple[Case, ...]:
    """Cases of several tasks in turn, so that every prefix is balanced."""
    longest = max((len(c) for c in per_task), default=0)
    return tuple(c[i] for i in range(longest) for c in per_task if i < len(c))


def check_policy_fits(policy: Policy, world: World) -> None:
    """SpecMismatch that names both sides unless the world gives what the policy needs and takes what it gives."""
    if policy.observation_spec is not None:
        require_match(policy.observation_spec, world.observation_spec, f"policy {policy.name}", f"world {world.name}")
    if policy.action_spec is not None:
        require_match(policy.action_spec, world.action_spec, f"policy {policy.name}", f"world {world.name}")


@dataclass(slots=True)
class _Running:
    """A slot at work."""

    slot: Slot
    case: Case
    policy: str
    attempt: int
    session: Session | None


@dataclass(slots=True)
class TrialRunner:
    """Runs a schedule.

    Args:
        world: a world of the kind that the slots hold, for its specs and names; it is never stepped.
        world_id: name under which trials are filed; equal ids mean comparable trials.
        policies: by name.
        slots: where worlds run.
        store: where finished trials go.
        rule: ends the run early; needs exactly two policies and the whole schedule (no shard).
        record: which trials to keep as episodes, and `sink` where.
        on_trial: called with every finished trial, for progress bars.
        versions: recorded with every trial.
    """

    world: World
    world_id: str
    policies: Mapping[str, Policy]
    slots: Sequence[Slot]
    store: TrialStore
    rule: StopRule | None = None
    sink: EpisodeSink | None = None
    record: Callable[[Case, str], bool] = lambda case, policy: False
    on_trial: Callable[[Trial], None] = lambda trial: None
    versions: Mapping[str, str] = field(default_factory=dict)
    _final: dict[tuple[Case, str], Trial] = field(default_factory=dict)

    def run(self, schedule: Schedule) -> list[Trial]:
        """The final attempt of every trial that counts, in schedule order; those beyond a stop are left out.

        Finished trials in the store are not run again. An error or Ctrl-C loses none that was finished.
        """
        if self.rule is not None and (len(schedule.policies) != 2 or schedule.shard[1] != 1):
            raise RoboscaleError("a sequential stop needs two policies and the whole schedule: drop --shard")
        for name in schedule.policies:
            check_policy_fits(self.policies[name], self.world)
        waiting = deque(self._open_trials(schedule))
        consumed = _Evidence(schedule, self._final, self.rule)
        running: dict[int, _Running] = {}
        while not consumed.advance():
            self._fill(waiting, running, schedule)
            if not running:  # all that was left broke before it began
                consumed.advance()
                break
            self._serve(running, waiting, schedule)
        counted = consumed.cases()
        return [self._final[c, p] for c, p in schedule.pairs() if c in counted and (c, p) in self._final]

    def _open_trials(self, schedule: Schedule) -> Iterator[tuple[Case, str, int]]:
        """What is still to run, and files what is done."""
        for case, policy in schedule.pairs():
            done = self.store.find(policy, self.world_id, case)
            if done and (done[-1].outcome.status != "void" or len(done) > schedule.retries):
                self._final[case, policy] = done[-1]
            else:
                yield case, policy, len(done)

    def _fill(self, waiting: deque[tuple[Case, str, int]], running: dict[int, _Running], schedule: Schedule) -> None:
        for index, slot in enumerate(self.slots):
            while index not in running and waiting:
                case, name, attempt = waiting.popleft()
                policy = self.policies[name]
                try:
                    session = policy.start(self.world.instruction(case.task), derive_seed("session", case.id, attempt))
                except InfrastructureError as error:
                    self._finish(_Running(slot, case, name, attempt, None), void_result(str(error)), waiting, schedule)
                    continue
                needs = None if policy.observation_spec is None else policy.observation_spec.names
                slot.begin(Job(case, needs, self.sink is not None and self.record(case, name)))
                running[index] = _Running(slot, case, name, attempt, session)

    def _serve(self, running: dict[int, _Running], waiting: deque[tuple[Case, str, int]], schedule: Schedule) -> None:
        """Takes the events of all slots that have one, and answers those that wait for an action, in batches."""
        ready = {id(s) for s in wait_for([r.slot for r in running.values()])}
        asking: dict[str, list[tuple[_Running, Observation]]] = {}
        for index, run in list(running.items()):
            if id(run.slot) not in ready:
                continue
            event = run.slot.event()
            if isinstance(event, RolloutResult):
                del running[index]
                self._finish(run, event, waiting, schedule)
            else:
                asking.setdefault(run.policy, []).append((run, event))
        for name, group in asking.items():
            for (run, _), chunk in zip(group, self._act(name, group), strict=True):
                run.slot.answer(chunk)

    def _act(self, name: str, group: list[tuple[_Running, Observation]]) -> list[Answer]:
        policy = self.policies[name]
        if len(group) > 1 and isinstance(policy, BatchedPolicy):
            sessions = [run.session for run, _ in group if run.session is not None]
            try:
                return list(policy.act_many(sessions, [observation for _, observation in group]))
            except (PolicyError, InfrastructureError):
                pass  # one of them is at fault: asked one by one, only that one pays
        return [_ask(run.session, observation) for run, observation in group]

    def _finish(
        self, run: _Running, result: RolloutResult, waiting: deque[tuple[Case, str, int]], schedule: Schedule
    ) -> None:
        episode = ""
        if result.frames is not None and self.sink is not None and result.outcome.status != "void":
            episode = self._keep(run, result, self.sink)
        trial = Trial(
            policy=run.policy,
            world=self.world_id,
            case=run.case,
            outcome=result.outcome,
            attempt=run.attempt,
            episode=episode,
            actions=result.actions,
            seconds=result.seconds,
            versions=self.versions,
            details=_details(run.session),
        )
        self.store.save(trial)
        if trial.outcome.status == "void" and run.attempt < schedule.retries:
            waiting.appendleft((run.case, run.policy, run.attempt + 1))
        else:
            self._final[run.case, run.policy] = trial
        self.on_trial(trial)

    def _keep(self, run: _Running, result: RolloutResult, sink: EpisodeSink) -> str:
        """Writes the rollout as an episode. Its id follows from the trial, so that a re-run makes no second copy."""
        assert result.frames is not None
        episode_id = derive_id("episode", run.policy, self.world_id, run.case.id, run.attempt)
        if episode_id in sink.episode_ids:
            return episode_id
        provenance = Provenance(
            source="eval",
            embodiment=self.world.embodiment,
            operator=run.policy,
            world=self.world_id,
            task=run.case.task,
            seed=run.case.seed,
        )
        instruction = self.world.instruction(run.case.task)
        episode = Episode(
            episode_id, recording_spec(self.world), result.frames, instruction, provenance, result.outcome
        )
        return write_episode(sink, episode)


def _ask(session: Session | None, observation: Observation) -> Answer:
    """A session's chunk; its error as a value, so that it reaches the one rollout it concerns."""
    assert session is not None, "a running trial has a session"
    try:
        return session(observation)
    except (InfrastructureError, PolicyError) as error:
        return error


def _details(session: Session | None) -> dict[str, Any]:
    """What a session says of what it did, where it says something: `details` (JSON types) and `parents` (ids)."""
    details = dict(getattr(session, "details", {}))
    parents = getattr(session, "parents", ())
    return {**details, "parents": list(parents)} if parents else details


@dataclass(slots=True)
class _Evidence:
    """Walks the schedule in order as trials become final, and feeds the rule."""

    schedule: Schedule
    final: Mapping[tuple[Case, str], Trial]
    rule: StopRule | None
    position: int = 0
    stopped: bool = False

    def advance(self) -> bool:
        """Consumes what is complete; True when the rule has decided."""
        own = self.schedule.own_cases()
        while not self.stopped and self.position < len(own):
            case = own[self.position]
            trials = [self.final.get((case, p)) for p in self.schedule.policies]
            if any(t is None for t in trials):
                break
            self.position += 1
            if self.rule is not None:
                first, second = (t.outcome.success for t in trials if t is not None)
                self.stopped = self.rule.update(PairedOutcome(case.task, first, second))
        return self.stopped

    def cases(self) -> set[Case]:
        """The cases whose evidence counts."""
        return set(self.schedule.own_cases()[: self.position])
