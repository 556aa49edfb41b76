"""Fills a dataset with successful episodes: what `collect record`, `collect generate` and the planner share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from roboscale.core import (
    Case,
    Episode,
    HasExpert,
    Observation,
    Policy,
    Provenance,
    RoboscaleError,
    Scene,
    Trial,
    World,
    WorldInfo,
    cases,
)
from roboscale.core.case import CaseSplit
from roboscale.core.plain import to_plain
from roboscale.jobs.events import Note, OnEvent, Progress

if TYPE_CHECKING:
    from roboscale.core import Estimate
    from roboscale.trials import Collected

__all__ = ["BlindWorld", "Filled", "Filling", "fill", "generated", "recorded"]

SMALL = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Filling:
    """What is to be put into a dataset: `per_task` successful episodes of each task.

    Without `images` no camera is rendered, and the dataset has none. Cases in `first` are tried before all others.
    """

    world: str
    tasks: tuple[str, ...]
    per_task: int
    out: Path
    seed: int = 0
    codec: str = "h264"
    workers: int | None = None
    images: bool = True
    first: tuple[Case, ...] = ()


@dataclass(frozen=True, slots=True)
class Filled:
    """What a collection made, task by task."""

    out: Path
    collected: dict[str, Collected]

    @property
    def rates(self) -> dict[str, Estimate]:
        """Task -> the share of attempts that succeeded."""
        from roboscale.stats import clopper_pearson

        return {task: clopper_pearson(c.successes, c.attempts) for task, c in self.collected.items()}

    @property
    def lines(self) -> list[str]:
        """For a terminal."""
        rates = self.rates
        return [
            f"{task:32} {done.successes} episodes; an attempt succeeds: {rates[task]}"
            for task, done in self.collected.items()
        ]

    def to_json(self) -> dict[str, Any]:
        """Rates instead of the counts they are made of."""
        return {"out": str(self.out), "tasks": to_plain(self.rates)}


class BlindWorld:
    """A world whose cameras nobody can ask for; nothing else differs, so its trials are the world's own."""

    def __init__(self, world: World) -> None:
        self._world = world
        spec = world.info.observation_spec
        self.info: WorldInfo = replace(
            world.info, observation_spec=spec.select([f.name for f in spec if not f.is_image])
        )

    def start(self, case: Case) -> Scene:
        return _BlindScene(self._world.start(case), self.info.observation_spec.names)

    def expert(self) -> Policy:
        assert isinstance(self._world, HasExpert), "asked where `info.expert` is true"
        return self._world.expert()

    def close(self) -> None:
        self._world.close()


class _BlindScene:
    def __init__(self, scene: Scene, names: Collection[str]) -> None:
        self._scene, self._names = scene, names
        self.step, self.measures, self.close = scene.step, scene.measures, scene.close

    def observe(self, names: Collection[str] | None = None) -> Observation:
        return self._scene.observe(self._names if names is None else names)


def opened(world: str, images: bool) -> World:
    """A world; without images one whose cameras nobody can ask for."""
    from roboscale.jobs.opening import open_any_world

    made = open_any_world(world)
    return made if images else BlindWorld(made)


def recorded(filling: Filling, policy: str, on_event: OnEvent) -> Filled:
    """Successful episodes of a policy, per task, in `filling.out`. The same call again adds only what is missing."""

    def policy_for(world: World, task: str) -> Policy:
        from roboscale.jobs.guests import guest_policies
        from roboscale.policies.resolve import resolve_policy

        return resolve_policy(policy, world=world, seed=filling.seed, guests=guest_policies(world, {}))

    return fill(filling, "collect", policy_for, lambda trial, known: known, on_event)


def generated(filling: Filling, sources: Path, on_event: OnEvent) -> Filled:
    """New successful episodes per task, made from the demonstrations in the dataset `sources` by moving segments."""
    from roboscale.trials import with_parents

    by_task = demonstrations(sources, filling.tasks)

    def policy_for(world: World, task: str) -> Policy:
        from roboscale.sources.simulation import replay_of

        replay = replay_of(by_task[task])
        for note in getattr(replay, "notes", ()):
            on_event(Note(f"{task}: {note}"))
        return replay

    return fill(filling, "generate", policy_for, with_parents, on_event)


def demonstrations(root: Path, tasks: Sequence[str]) -> dict[str, list[Episode]]:
    """The episodes of each task in a dataset; RoboscaleError for a task without one."""
    from roboscale.dataset import Dataset

    dataset = Dataset(root)
    by_task: dict[str, list[Episode]] = {task: [] for task in tasks}
    for info in dataset.episodes:
        if info.provenance is not None and info.provenance.task in by_task:
            by_task[info.provenance.task].append(dataset.episode(info.index, images=False))
    for task, listed in by_task.items():
        if not listed:
            have = sorted({e.provenance.task for e in dataset.episodes if e.provenance is not None})
            raise RoboscaleError(
                f"{root}: no demonstration of {task}; it holds {', '.join(have) or 'none with a task'}"
            )
    return by_task


def fill(
    filling: Filling,
    split: CaseSplit,
    policy_for: Callable[[World, str], Policy],
    provenance: Callable[[Trial, Provenance], Provenance],
    on_event: OnEvent,
) -> Filled:
    """Tries cases of each task until enough succeeded, and records the successes."""
    from roboscale.dataset import DatasetWriter
    from roboscale.trials import make_slots, recording_spec
    from roboscale.trials.log import open_log

    with ExitStack() as stack:
        world = opened(filling.world, filling.images)
        stack.callback(world.close)
        info = world.info
        for task in filling.tasks:
            info.instruction(task)
        codec: Any = filling.codec
        sink = stack.enter_context(
            DatasetWriter(filling.out, recording_spec(info), robot_type=info.embodiment, codec=codec)
        )
        log = stack.enter_context(open_log(str(filling.out / "meta" / "roboscale" / "attempts.db")))
        slots = make_slots(
            partial(opened, filling.world, filling.images),
            workers=workers_for(filling.workers, filling.per_task * len(filling.tasks)),
            sink=sink.apart(),
        )
        for slot in slots:
            stack.callback(slot.close)
        collected = {}
        total, done = filling.per_task * len(filling.tasks), [0]

        def on_saved(episode: str) -> None:
            done[0] += 1
            on_event(Progress("episodes", done[0], total))

        for task in filling.tasks:
            collector = _collector(filling, world, policy_for(world, task), slots, log, sink, provenance, on_saved)
            wanted = tuple(case for case in filling.first if case.task == task)
            collected[task] = collector.collect(partial(_stream, wanted, task, filling.seed, split), filling.per_task)
    return Filled(filling.out, collected)


def _collector(
    filling: Filling,
    world: World,
    policy: Policy,
    slots: Any,
    log: Any,
    sink: Any,
    provenance: Callable[[Trial, Provenance], Provenance],
    on_saved: Callable[[str], None],
) -> Any:
    """Runs and records one policy."""
    from roboscale.core import RolloutSettings
    from roboscale.jobs.versions import versions
    from roboscale.referees import referee_for
    from roboscale.trials import Collector, Recorder, TrialRunner, live_keeping, records_afterwards

    info = world.info
    referee = referee_for(info)
    live: dict[str, Any] = {}
    if not records_afterwards(info):

        def adopt(trial: Trial, judgement: Any) -> None:
            if judgement.success:
                sink.adopt(trial.episode)
                on_saved(trial.episode)
            else:
                sink.drop(trial.episode)

        live = {"keep": live_keeping(info, provenance), "adopt": adopt}
    runner = TrialRunner(
        info=info,
        world=info.identity,
        policies={policy.identity: policy},
        settings=RolloutSettings(horizon=info.horizon, rate_hz=info.rate_hz, pace=info.pace, watch=referee.name),
        referee=referee,
        slots=slots,
        log=log,
        versions=versions(),
        **live,
    )
    recorder = Recorder(runner=runner, sink=sink, provenance=provenance, on_saved=on_saved)
    return Collector(recorder=recorder, policy=policy.identity)


def workers_for(wanted: int | None, trials: int) -> int:
    """The cores that this process may use, or 0 (this process) when there is little to do."""
    import os

    if wanted is not None:
        return wanted
    cores = len(os.sched_getaffinity(0))
    return cores if cores > 1 and trials >= SMALL else 0


def _stream(
    wanted: tuple[Case, ...], task: str, seed: int, split: CaseSplit, first: int, count: int
) -> tuple[Case, ...]:
    """The wanted cases, then those of the seed."""
    listed = wanted[first : first + count]
    return (*listed, *cases(task, count - len(listed), seed, split, max(0, first - len(wanted))))
