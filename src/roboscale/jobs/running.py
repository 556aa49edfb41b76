"""Runs what `eval` and `compare` ask: one driver for one, two or many policies.

From a request to filed trials: opens the world once, resolves the policies, finds what the log has, runs the rest,
records episodes, and reads from the log what it came to.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from roboscale.core import (
    Case,
    Design,
    Identity,
    Judgement,
    Policy,
    Referee,
    RoboscaleError,
    RolloutSettings,
    StopRule,
    Trial,
    World,
    WorldInfo,
    combine,
    identity_labels,
    new_episode_id,
)
from roboscale.core.plain import Plain
from roboscale.jobs.choosing import choose_cases
from roboscale.jobs.events import Note, OnEvent, Progress, Wrote, ignore
from roboscale.jobs.keeping import keep_episodes
from roboscale.jobs.participants import Watched, not_shown, participant_of, profiles_of
from roboscale.jobs.perturbing import Excluded, perturb_of
from roboscale.jobs.strangers import staying_alive, within
from roboscale.jobs.sweeping import all_cases
from roboscale.jobs.trying import (
    AnyPolicy,
    AnyWorld,
    Trying,
    parse_rule,
    parse_shard,
    to_fields,
)

if TYPE_CHECKING:
    from roboscale.dataset import DatasetWriter
    from roboscale.jobs.bench import BenchPlan, OperatorDesk
    from roboscale.jobs.judged import Judged
    from roboscale.trials import Slot, TrialRunner
    from roboscale.trials.log import Run, TrialLog

__all__ = ["RunPlan", "open_world_of", "planned", "run_trials"]

SMALL = 12  # trials below which a built-in simulator runs in this process


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A request with everything in it opened; its notes are those that were said, which the log keeps with the run."""

    request: Trying
    world: World
    policies: dict[Identity, Policy]
    cases: tuple[Case, ...]
    settings: RolloutSettings
    referee: Referee
    design: Design | None
    command: str | None
    objects: bool
    on_event: OnEvent
    question: Identity = field(default_factory=lambda: combine("question"))
    notes: list[str] = field(default_factory=list)
    keep: Callable[[Sequence[str]], None] | None = None

    @property
    def info(self) -> WorldInfo:
        return self.world.info

    def say(self, text: str) -> None:
        """A line that law 2 demands, once."""
        if text not in self.notes:
            self.notes.append(text)
            self.on_event(Note(text))
            if self.keep is not None:
                self.keep((text,))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan(Plain):
    """What a request would do.

    Args:
        trials: at most.
    """

    command: str
    world: str
    policies: tuple[str, ...]
    tasks: tuple[str, ...]
    cases: int
    trials: int
    store: str
    settings: RolloutSettings

    @property
    def text(self) -> list[str]:
        """For a terminal."""
        head = f"would run up to {self.trials} trials into {self.store}:"
        names = [
            f"  {name} on {self.cases} cases of {len(self.tasks)} tasks of {self.world}" for name in self.policies
        ]
        return [head, *names, f"  {self.settings.text}"]


def planned(request: Trying, policies: Sequence[str], count: int, design: Design | None = None) -> RunPlan:
    """What a request would do, as far as that can be known without trying anything.

    Args:
        design: of a study; by default the request's, where it has one.
    """
    design = design or getattr(request, "design", None)
    world = _open_world(request.world, request, ignore)
    try:
        asked = _ask(request, policies, world, count, design, ignore, False, None)
        index, shards = parse_shard(request.shard)
        own = len(asked.cases[index::shards])
        return RunPlan(
            command=request.command,
            world=str(world.info.identity),
            policies=tuple(str(identity) for identity in asked.policies),
            tasks=tuple(dict.fromkeys(case.task for case in asked.cases)),
            cases=own,
            trials=own * len(policies),
            store=store_of(request, asked.question),
            settings=asked.settings,
        )
    finally:
        world.close()


def run_trials(
    request: Trying,
    policies: Sequence[AnyPolicy],
    *,
    count: int,
    design: Design | None = None,
    on_event: OnEvent = ignore,
    world: AnyWorld | None = None,
    observes: Collection[str] | None = None,
    bench: BenchPlan | None = None,
    excluded: Excluded | None = None,
) -> Judged:
    """Runs what is not yet done, and says what it came to.

    Args:
        policies: texts of the request, or objects.
        count: cases per task; with a design, over all tasks.
        design: how the policies are compared; `None` where none is.
        world: an object, instead of the request's text.
        observes: fields that a function is shown; by default those that its code names, or else all.
        bench: somebody sits at the robot, sets scenes up and scores; by default trials wait to be judged.
        excluded: cells of `--perturb` that are not tried, and why.

    Raises:
        UnknownName, SpecMismatch: before the first trial, when names or specs do not fit.
        RoboscaleError: no trial could be counted; says why.
    """
    from roboscale.jobs.run_files import require_result
    from roboscale.jobs.studies import require_own_store

    with ExitStack() as stack:
        stack.enter_context(staying_alive())
        opened = open_world_of(request, world, on_event)
        stack.callback(opened.close)
        asked = _ask(request, policies, opened, count, design, on_event, world is not None, observes, excluded)
        for note in getattr(opened, "notes", ()):
            asked.say(note)
        log = stack.enter_context(_open_log(asked))
        if bench is not None:
            require_own_store(log, bench.study, tuple(asked.policies), asked.info.identity)
        sink = _writer(asked, log, stack, bench is not None)
        asked, run = _begin(asked, log, {} if bench is None else bench.study)
        desk = None if bench is None else _desk(bench, asked, log, run, stack)
        judged = _try(asked, log, run, sink, stack, desk)
    if request.store is None:  # whoever did not say where is told where
        on_event(Wrote("trials", Path(store_of(request, asked.question))))
    require_result(judged)
    return judged


def _desk(bench: BenchPlan, asked: _Asked, log: TrialLog, run: Run, stack: ExitStack) -> OperatorDesk:
    """The desk of whoever sits at the robot; from now on they set its scenes up."""
    from roboscale.jobs.bench import open_desk

    return open_desk(bench, asked.world, log, run, stack, asked.on_event)


def open_world_of(request: Trying, world: AnyWorld | None = None, on_event: OnEvent = ignore) -> World:
    """The world that a request asks for, or an object instead; perturbed where the request perturbs."""
    return _open_world(request.world if world is None else world, request, on_event)


def _open_world(world: AnyWorld, request: Trying, on_event: OnEvent) -> World:
    """Opened as far as its `info`, for which a declared one is made."""
    from roboscale.jobs.opening import open_any_world
    from roboscale.worlds import as_world

    name = world if isinstance(world, str) else getattr(world, "__name__", type(world).__name__)
    with within(request.start_timeout, f"world {name}", lambda text: on_event(Note(text))):
        if isinstance(world, str):
            opened = open_any_world(
                world,
                start_s=request.start_timeout,
                answer_s=request.world_timeout,
                perturbed=bool(perturb_of(request)),
                paraphrases=getattr(request, "paraphrases", None),
            )
        else:
            opened = as_world(world)
            if perturb_of(request):
                from roboscale.worlds.perturbed import PerturbedWorld

                own = isinstance(opened, PerturbedWorld)
                opened = opened if own else PerturbedWorld(opened, getattr(request, "paraphrases", None))
        _ = opened.info
        return opened


def _ask(
    request: Trying,
    policies: Sequence[AnyPolicy],
    world: World,
    count: int,
    design: Design | None,
    on_event: OnEvent,
    world_object: bool,
    observes: Collection[str] | None,
    excluded: Excluded | None = None,
) -> _Asked:
    from roboscale.referees import referee_for

    info = world.info
    rule = parse_rule(request.rule) or info.rule
    referee = referee_for(info, rule)
    settings = RolloutSettings(
        horizon=request.horizon or info.horizon,
        rate_hz=info.rate_hz,
        pace=info.pace,
        execute=request.execute,
        watch=referee.name,
        latency=request.latency,
    )
    if rule.needs > settings.horizon:
        raise RoboscaleError(f"rule {rule}: longer than the horizon of {settings.horizon} steps")
    profiles = profiles_of(request, policies)
    resolved = []
    for policy in policies:
        name = policy if isinstance(policy, str) else getattr(policy, "__name__", type(policy).__name__)
        with within(request.start_timeout, f"policy {name}", lambda text: on_event(Note(text))):
            resolved.append(participant_of(policy, request, world, observes, profiles))
    known = {policy.identity: policy for policy in resolved}
    if len(known) != len(resolved):
        twice = next(p for i, p in enumerate(resolved) if any(p.identity == q.identity for q in resolved[:i]))
        raise RoboscaleError(f"{twice.name} takes part twice, with the same content: compare different policies")
    if request.render:
        known = {identity: cast(Policy, Watched(policy)) for identity, policy in known.items()}
    objects = world_object or any(not isinstance(policy, str) for policy in policies)
    asked = _Asked(
        request=request,
        world=world,
        policies=known,
        cases=(),
        settings=settings,
        referee=referee,
        design=design,
        command=None if objects else request.command,
        objects=world_object,
        on_event=on_event,
    )
    chosen = choose_cases(request, info, design, count, asked.say)
    asked = replace(asked, cases=all_cases(request, chosen, world, asked.say, excluded))
    asked = replace(asked, question=question_of(asked))
    _say_notes(asked)
    return asked


def _say_notes(asked: _Asked) -> None:
    """What is to be known of the policies; some of it shows only once they have acted."""
    for policy in asked.policies.values():
        for note in (*getattr(policy, "notes", ()), *not_shown(policy, asked.info.observation_spec)):
            asked.say(f"{policy.name}: {note}")


def store_of(request: Trying, question: Identity) -> str:
    """Where the trials go: what was asked for, or a folder that the same question finds again."""
    return request.store or str(Path("runs") / f"{request.words[0]}-{question.short}")


def question_of(asked: _Asked) -> Identity:
    """Digest of all that decides the trials: the same question finds its own results again."""
    return combine(
        "question",
        list(asked.policies),
        asked.info.identity,
        [case.id for case in asked.cases],
        asked.settings.text,
        None if asked.design is None else asked.design.to_json(),
        asked.request.shard,
    )


def _open_log(asked: _Asked) -> TrialLog:
    from roboscale.trials.log import open_log

    return open_log(store_of(asked.request, asked.question))


def _begin(asked: _Asked, log: TrialLog, study: Mapping[str, Any]) -> tuple[_Asked, Run]:
    """The run that goes on, or a new one, and what is asked with those bound to it who are not known by content."""
    from roboscale.jobs.judged import clock_time
    from roboscale.jobs.versions import versions
    from roboscale.trials.log import Run, world_facts

    question = asked.question.digest
    unfinished = _unfinished(log, question, asked.request.again)
    bound_to = new_episode_id() if unfinished is None else unfinished.id
    policies = {identity.of_run(bound_to): policy for identity, policy in asked.policies.items()}
    world = asked.info.identity.of_run(bound_to)
    for who in (*policies, world):
        if not who.verified:
            asked.say(f"{who}: its numbers belong to this run alone")
    asked = replace(asked, policies=policies)
    if unfinished is not None:
        asked.say(f"goes on with the run of {clock_time(unfinished.created_ns)}, which did not finish")
        return _keeping_notes(asked, log, unfinished), unfinished
    rounds = [log.newest_round(policy, world, None, asked.settings) for policy in policies]
    newest = max((r for r in rounds if r is not None), default=-1)
    run = Run(
        id=bound_to,
        request={**to_fields(asked.request), "question": question, **({"study": dict(study)} if study else {})},
        command=asked.command,
        policies=tuple(policies),
        world=world,
        world_info={**world_facts(asked.info), "opened": "" if asked.objects else asked.request.world},
        cases=tuple(case.id for case in asked.cases),
        settings=asked.settings,
        round=newest + 1 if asked.request.again else max(newest, 0),
        design=asked.design,
        versions=versions(),
        created_ns=time.time_ns(),
    )
    log.begin_run(run)
    return _keeping_notes(asked, log, run), run


def _keeping_notes(asked: _Asked, log: TrialLog, run: Run) -> _Asked:
    """The same, with all that was said and will be said kept beside the run."""

    def keep(texts: Sequence[str]) -> None:
        log.note(run.id, texts, time.time_ns())

    keep(asked.notes)
    return replace(asked, keep=keep)


def _unfinished(log: TrialLog, question: str, again: bool) -> Run | None:
    """The run of the same question that goes on; with `--again` only one that this began, with trials left to try."""
    runs = [r for r in log.runs() if r.request.get("question") == question and r.finished_ns is None]
    if not runs or not again:
        return runs[-1] if runs else None
    tried = log.attempts(runs[-1].policies, runs[-1].world, runs[-1].settings, runs[-1].round)
    left = any((policy.digest, case) not in tried for policy in runs[-1].policies for case in runs[-1].cases)
    return runs[-1] if left and runs[-1].request.get("fields", {}).get("again") else None


def _try(
    asked: _Asked, log: TrialLog, run: Run, sink: DatasetWriter | None, stack: ExitStack, desk: OperatorDesk | None
) -> Judged:
    """Runs the schedule, records it, and reads from the log what it came to."""
    from roboscale.jobs.judged import judged_run, other_lines, unequal_starts
    from roboscale.jobs.run_files import write_run_files
    from roboscale.jobs.studies import is_blind
    from roboscale.stats.deciding import Decider
    from roboscale.trials import Schedule

    shard = parse_shard(asked.request.shard)
    schedule = Schedule(
        policies=run.policies,
        cases=asked.cases,
        round=run.round,
        retries=asked.request.retries,
        shard=shard,
        order=None if desk is None else desk.plan.order,
        balanced=asked.design is not None and asked.design.kind == "crossover",
    )
    total, rule = len(schedule.own_cases()) * len(run.policies), None
    slots = _slots(asked, total, stack)
    if asked.design is not None and shard[1] == 1 and not perturb_of(asked.request):
        rule = Decider(tuple(identity_labels(run.policies).values()), asked.design)
    for line in other_lines(log, run):
        asked.say(line)
    runner = _runner(asked, log, run, slots, sink, rule, total, blind=desk is not None and bool(desk.plan.study))
    if desk is not None:
        runner.decide = desk.judge
        desk.result = lambda: judged_run(log, run)
    try:
        counted = runner.run(schedule)
    except (RoboscaleError, KeyboardInterrupt):
        log.stop_run(run.id, time.time_ns())
        raise
    finally:
        _say_notes(asked)
    sink = sink or _writer(asked, log, stack, desk is not None)  # who had it open may have ended
    if sink is not None:
        tried, record = [c.trial for c in counted if c.trial is not None], asked.request.record or sink.root
        keep_episodes(
            runner, sink, tried, info=asked.info, log=log, record=record, on_event=asked.on_event, say=asked.say
        )
    if not any(c.pending for c in counted):
        log.finish_run(run.id, time.time_ns())
    run = next(r for r in log.runs() if r.id == run.id)
    judged = judged_run(log, run, shard)
    if unequal := unequal_starts(judged):
        asked.say(unequal)
    if not is_blind(run):  # `study unblind` writes them
        write_run_files(judged, log, store_of(asked.request, asked.question))
    return judged


def _slots(asked: _Asked, total: int, stack: ExitStack) -> Sequence[Slot]:
    """Where scenes run; closed with the stack."""
    from roboscale.trials import make_slots, recording_spec

    workers, record, sink = _workers(asked, total), asked.request.record, None
    if record is not None:
        from roboscale.dataset import takes_apart

        sink = takes_apart(record, recording_spec(asked.info))
    slots = make_slots(
        _factory(asked, workers),
        workers=workers,
        worlds=min(asked.request.worlds, asked.info.scenes or asked.request.worlds),
        sink=sink,
        timeout_s=asked.request.world_timeout,
        start_timeout_s=asked.request.start_timeout,
    )
    for slot in slots:
        stack.callback(slot.close)
    return slots


def _runner(
    asked: _Asked,
    log: TrialLog,
    run: Run,
    slots: Sequence[Slot],
    sink: DatasetWriter | None,
    rule: StopRule | None,
    total: int,
    *,
    blind: bool = False,
) -> TrialRunner:
    """Runs at most `total` trials, and tells how far it is; nothing of a `blind` episode says which policy it was."""
    from roboscale.jobs.judged import reused_line
    from roboscale.trials import TrialRunner, live_keeping, records_afterwards, without_policy

    counts = {"success": 0, "failure": 0, "void": 0, "pending": 0}
    done = [0]
    tried: dict[str, str] = {}

    def on_trial(trial: Trial, judgement: Judgement) -> None:
        status = "void" if trial.void else "pending" if judgement.state == "pending" else ""
        place = f"{trial.policy.digest}/{trial.case.id}"  # an attempt that is made again is no further trial
        if place in tried:
            counts[tried[place]] -= 1
        else:
            done[0] += 1
        tried[place] = status or ("success" if judgement.success else "failure")
        counts[tried[place]] += 1
        waiting = f", {counts['pending']} to be judged" if counts["pending"] else ""
        said = f"{counts['success']} succeeded, {counts['failure']} failed, {counts['void']} void{waiting}"
        asked.on_event(Progress("trials", done[0], total, said))

    def on_reuse(trials: Sequence[Trial]) -> None:
        done[0] = len(trials)
        asked.say(reused_line(trials, total))

    live: dict[str, Any] = {}
    if sink is not None and not records_afterwards(asked.info):
        keeping = live_keeping(asked.info, without_policy) if blind else live_keeping(asked.info)
        live = {"keep": keeping, "adopt": lambda trial, judgement: sink.adopt(trial.episode)}
    return TrialRunner(
        info=asked.info,
        world=run.world,
        policies=asked.policies,
        settings=asked.settings,
        referee=asked.referee,
        slots=slots,
        log=log,
        run_id=run.id,
        rule=rule,
        design=asked.design,
        on_trial=on_trial,
        on_reuse=on_reuse,
        on_wait=lambda count: asked.say("the trials that are left run in another process: waiting for it"),
        versions=dict(run.versions),
        **live,
    )


class _Factory:
    """Makes worlds for the slots of this process: the first is the one that is open already.

    A robot is connected once. Only when a world broke is another made, from its text or the same object.
    """

    def __init__(self, asked: _Asked) -> None:
        self._asked, self._first = asked, cast("World | None", asked.world)
        self._source: AnyWorld = asked.world if asked.objects else asked.request.world

    def __call__(self) -> World:
        first, self._first = self._first, None
        return first if first is not None else _open_world(self._source, self._asked.request, self._asked.on_event)


def _factory(asked: _Asked, workers: int) -> Callable[[], World]:
    if not workers:
        return _Factory(asked)
    from roboscale.jobs.opening import open_any_world

    request = asked.request
    return partial(
        open_any_world,
        request.world,
        start_s=request.start_timeout,
        answer_s=request.world_timeout,
        perturbed=bool(perturb_of(request)),
        paraphrases=getattr(request, "paraphrases", None),
    )


def _workers(asked: _Asked, trials: int) -> int:
    """The cores that this process may use; this process alone for a robot, an object, or little to do.

    A declared world runs in a process of its own however little there is to do: one that crashes or hangs must not
    take the command with it. A guest's is apart from this process anyway.
    """
    from roboscale.guests import GuestWorld
    from roboscale.worlds import WORLDS

    wanted = asked.request.workers
    if asked.info.pace == "wall" or asked.objects:
        if wanted:
            why = "a robot" if asked.info.pace == "wall" else "a world given as an object"
            asked.say(f"{why} runs in this process: --workers {wanted} is not used")
        return 0
    if wanted is not None:
        return wanted
    cores = len(os.sched_getaffinity(0))
    harmless = asked.request.world in WORLDS or isinstance(asked.world, GuestWorld)
    if trials < SMALL:
        return 0 if harmless else 1
    return cores if cores > 1 or not harmless else 0


def _writer(asked: _Asked, log: TrialLog, stack: ExitStack, at_bench: bool) -> DatasetWriter | None:
    """The dataset that episodes are recorded into; `None` where none is asked for, or another process records them.

    What a world that repeats itself did is recorded when all is tried, by whoever of several processes has the dataset
    open. Any other world is recorded while it runs, so a process that works beside another needs its own dataset.
    """
    record = asked.request.record
    if record is None:
        return None
    from roboscale.dataset import DatasetInUse, DatasetWriter
    from roboscale.jobs.trials_work import how_to_work_beside
    from roboscale.trials import recording_spec, records_afterwards

    try:
        writer = DatasetWriter(record, recording_spec(asked.info), robot_type=asked.info.embodiment)
    except DatasetInUse as busy:
        if at_bench:  # nobody takes part beside: there is one robot
            raise RoboscaleError(f"{busy}: this is run by another command, which serves the operator's page") from None
        if not records_afterwards(asked.info):
            run, store = _unfinished(log, asked.question.digest, False), store_of(asked.request, asked.question)
            raise RoboscaleError(f"{busy}; {how_to_work_beside(run, store, record)}") from None
        asked.say(f"{busy}: whoever of both ends last records what is tried")
        return None
    return stack.enter_context(writer)
