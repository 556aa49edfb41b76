"""From a request to judged trials: opens the world, resolves the policies, runs the schedule, weighs the outcome."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from roboscale.cli.versions import versions
from roboscale.core import (
    BadData,
    Case,
    Estimate,
    PairedOutcome,
    Policy,
    RoboscaleError,
    StopRule,
    Trial,
    UnknownName,
    Verdict,
    World,
    cases,
    derive_id,
)
from roboscale.trials import Schedule, TrialRunner, TrialStore, interleave, make_slots
from roboscale.worlds import open_world, world_id

__all__ = [
    "API_KEY_VARIABLE",
    "Judged",
    "Request",
    "Stopping",
    "default_folder",
    "expand_tasks",
    "judge",
    "labels",
    "load_judged",
    "pick_workers",
    "rates",
    "resolve",
    "schedule_of",
    "share",
    "tasks_of",
    "weigh",
]


API_KEY_VARIABLE = "ROBOSCALE_API_KEY"
"""Environment variable with the token of a policy server; a token on the command line is seen by all."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be judged; everything that decides the trials, and nothing else."""

    policies: tuple[str, ...]
    world: str
    tasks: tuple[str, ...]
    trials: int
    seed: int = 0
    retries: int = 1
    shard: tuple[int, int] = (0, 1)
    profile: str = ""
    render: bool = False

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Stopping:
    """When a comparison of two policies ends: after `budget` pairs, or with `sequential` as soon as it is decided."""

    budget: int
    alpha: float = 0.05
    min_pairs: int = 1
    sequential: bool = True

    def rule(self, names: Sequence[str]) -> StopRule:
        """The sequential paired test between two names."""
        from roboscale.stats import SequentialPaired

        return SequentialPaired(
            budget=self.budget, alpha=self.alpha, names=(names[0], names[1]), min_pairs=self.min_pairs
        )


@dataclass(frozen=True, slots=True)
class Judged:
    """What came of it: the trials that count, in schedule order.

    Args:
        names: unique names under which the trials are filed, in the order of the request.
        sequential: whether the number of trials depended on their results; then intervals are confidence sequences.
    """

    request: Request
    world: World
    world_id: str
    names: tuple[str, ...]
    trials: tuple[Trial, ...]
    verdict: Verdict | None = None
    versions: dict[str, str] = field(default_factory=dict)
    sequential: bool = False

    def of(self, name: str, task: str | None = None) -> list[Trial]:
        return [t for t in self.trials if t.policy == name and task in (None, t.case.task)]


def expand_tasks(world: World, text: str) -> tuple[str, ...]:
    """`all`, or names separated by commas; UnknownName for one that the world lacks."""
    if text == "all":
        return tuple(world.tasks)
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    for name in names:
        if name not in world.tasks:
            raise UnknownName(f"task of {world.name}", name, world.tasks)
    if not names:
        raise RoboscaleError(f"--tasks is empty; world {world.name} has {', '.join(world.tasks)}")
    return names


def tasks_of(world_name: str, text: str) -> tuple[str, ...]:
    """`expand_tasks` in a world that is opened only to be asked."""
    world = open_world(world_name)
    try:
        return expand_tasks(world, text)
    finally:
        world.close()


def default_folder(command: str, request: Request) -> Path:
    """`runs/<command>-<digest of the request>`: the same command finds its own results again."""
    digest = derive_id(*(str(v) for v in request.to_json().values()))[:8]
    return Path("runs") / f"{command}-{digest}"


def pick_workers(wanted: int | None, trials: int) -> int:
    """The cores that this process may use, or 0 (this process) when there is little to do."""
    if wanted is not None:
        return wanted
    cores = len(os.sched_getaffinity(0))
    return cores if cores > 1 and trials >= 12 else 0


def resolve(request: Request, world: World) -> dict[str, Policy]:
    """The request's policies by their unique names."""
    from roboscale.policies.remote import PolicyProfile
    from roboscale.policies.resolve import resolve_policy

    profile = PolicyProfile.load(Path(request.profile)) if request.profile else None
    policies: dict[str, Policy] = {}
    for text in request.policies:
        served = "://" in text
        policy = resolve_policy(
            text,
            world=world,
            profile=profile if served else None,
            seed=request.seed,
            api_key=os.environ.get(API_KEY_VARIABLE),
        )
        if policy.name in policies:
            raise RoboscaleError(
                f"{text}: a policy named {policy.name!r} already takes part; compare different policies"
            )
        policies[policy.name] = policy
    return policies


class _Watched:
    """A policy that is shown everything, cameras included: what `--render` asks for."""

    def __init__(self, policy: Policy) -> None:
        self.name, self.observation_spec, self.action_spec = policy.name, None, policy.action_spec
        self.start = policy.start


def schedule_of(request: Request, names: Sequence[str]) -> Schedule:
    """The request's cases, interleaved over tasks, for policies of these names."""
    per_task = [cases(task, request.trials, request.seed, "eval") for task in request.tasks]
    return Schedule(tuple(names), interleave(per_task), request.retries, request.shard)


def judge(
    request: Request,
    folder: Path,
    *,
    workers: int | None = None,
    stopping: Stopping | None = None,
    policies: Mapping[str, Policy] | None = None,
    record: Path | None = None,
    on_trial: Callable[[Trial], None] = lambda trial: None,
) -> Judged:
    """Runs what is not yet done and returns what counts.

    Args:
        folder: holds `trials.db`; the same request in the same folder resumes.
        stopping: compares two policies, and says when that ends.
        policies: policy objects by name, instead of resolving `request.policies`.
        record: dataset that every trial is recorded into.
    """
    world = open_world(request.world)
    known: dict[str, Policy] = dict(policies) if policies else resolve(request, world)
    if request.render:
        known = {name: _Watched(policy) for name, policy in known.items()}
    names = tuple(known)
    schedule = schedule_of(request, names)
    rule = stopping.rule(list(labels(names).values())) if stopping and stopping.sequential else None
    found = versions()
    plan = {**request.to_json(), "names": names, "stopping": asdict(stopping) if stopping else None}
    slots = make_slots(
        partial(open_world, request.world), pick_workers(workers, len(schedule.own_cases()) * len(names))
    )
    try:
        with TrialStore(folder / "trials.db") as store:
            store.record_run(derive_id(json.dumps(plan)), plan, found)
            runner = TrialRunner(world, world_id(world), known, slots, store, rule, on_trial=on_trial, versions=found)
            trials = _run(runner, schedule, world, record)
    finally:
        for slot in slots:
            slot.close()
        world.close()
    judged = Judged(request, world, world_id(world), names, tuple(trials), None, found)
    return weigh(judged, stopping) if stopping else judged


def weigh(judged: Judged, stopping: Stopping) -> Judged:
    """The same trials with their verdict; those after the stop, which were under way, do not count."""
    from roboscale.stats import paired_verdict

    first, second = judged.names
    short = labels(judged.names)
    done = {(t.policy, t.case): t.outcome.success for t in judged.trials}
    listed = [c for c in dict.fromkeys(t.case for t in judged.trials) if (first, c) in done and (second, c) in done]
    pairs = [PairedOutcome(c.task, done[first, c], done[second, c]) for c in listed]
    if not stopping.sequential:
        verdict = paired_verdict(pairs, alpha=stopping.alpha, names=(short[first], short[second]))
        return replace(judged, verdict=verdict)
    rule = stopping.rule((short[first], short[second]))
    used = next((n for n, pair in enumerate(pairs, 1) if rule.update(pair)), len(pairs))
    rule.finish()
    counted = set(listed[:used])
    trials = tuple(t for t in judged.trials if t.case in counted)
    return replace(judged, trials=trials, verdict=rule.verdict(), sequential=True)


def load_judged(folder: Path, seed: int | None = None) -> Judged:
    """The trials of the last run in a folder, judged as they were. Nothing is run: what is missing stays missing.

    Raises:
        BadData: there is no run in the folder, or none with that seed.
    """
    path = folder / "trials.db"
    if not path.is_file():
        raise BadData(path, "file", "the trials of a run", "no file")
    with TrialStore(path) as store:
        runs = [r for r in store.runs() if seed in (None, r["plan"]["seed"])]
        if not runs:
            raise BadData(path, "run", "at least one run" if seed is None else f"a run with seed {seed}", "none")
        plan = runs[-1]["plan"]
        names, stopping = tuple(plan.pop("names")), plan.pop("stopping")
        if stopping and "many" in stopping:
            raise RoboscaleError(f"{folder} holds {len(names)} policies: `roboscale rank {folder}` makes their board")
        fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in plan.items()}
        request = Request(**fields)
        world = open_world(request.world)
        identity = world_id(world)
        final = {(t.policy, t.case): t for t in store if t.world == identity}
    pairs = schedule_of(request, names).pairs()
    trials = tuple(final[name, case] for case, name in pairs if (name, case) in final)
    world.close()
    judged = Judged(request, world, identity, names, trials, None, runs[-1]["versions"])
    return weigh(judged, Stopping(**stopping)) if stopping else judged


def _run(runner: TrialRunner, schedule: Schedule, world: World, record: Path | None) -> list[Trial]:
    if record is None:
        return runner.run(schedule)
    from roboscale.dataset import DatasetWriter
    from roboscale.trials import recording_spec

    with DatasetWriter(record, recording_spec(world), robot_type=world.embodiment) as writer:
        runner.sink, runner.record = writer, _always
        return runner.run(schedule)


def _always(case: Case, policy: str) -> bool:
    return True


def labels(names: Sequence[str]) -> dict[str, str]:
    """Names for people: without the weights' digest where that stays unique."""
    short = [name.split("@")[0] for name in names]
    return {name: s if short.count(s) == 1 else name for name, s in zip(names, short, strict=True)}


def share(judged: Judged) -> Callable[..., Estimate]:
    """(events, trials) -> the share with its interval: a confidence sequence where the stop was optional."""
    from roboscale.stats import beta_confidence_sequence, clopper_pearson

    return beta_confidence_sequence if judged.sequential else clopper_pearson


def rates(judged: Judged, trials: Sequence[Trial]) -> Estimate:
    """The success rate over some of the judged trials, with the interval that fits how they came to an end."""
    counted = [t.outcome.success for t in trials if t.outcome.success is not None]
    return share(judged)(sum(counted), len(counted), void=len(trials) - len(counted))
