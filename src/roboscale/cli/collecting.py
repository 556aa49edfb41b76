"""From demonstrations to datasets: records a policy that succeeds, and multiplies what was recorded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from roboscale.cli.judging import pick_workers
from roboscale.core import Case, Episode, Policy, Provenance, RoboscaleError, Trial, World, cases, derive_id
from roboscale.core.world import CaseSplit
from roboscale.jobs.versions import versions
from roboscale.trials import Collected, Collector, TrialRunner, TrialStore, make_slots, recording_spec, with_parents
from roboscale.worlds import open_world, world_id

__all__ = ["Filling", "generate", "record"]


@dataclass(frozen=True, slots=True)
class Filling:
    """What is to be put into a dataset: `per_task` successful episodes of each task.

    Without `images` no camera is rendered, and the dataset has none.
    """

    world: str
    tasks: tuple[str, ...]
    per_task: int
    out: Path
    seed: int = 0
    codec: str = "h264"
    workers: int | None = None
    images: bool = True


def _opened(world: str, images: bool) -> World:
    """A world; without images one whose cameras nobody can ask for."""
    opened = open_world(world)
    if not images:
        spec = opened.observation_spec
        opened.observation_spec = spec.select([f.name for f in spec if not f.is_image])
    return opened


def record(
    filling: Filling, policy: str, on_saved: Callable[[str], None] = lambda episode_id: None
) -> dict[str, Collected]:
    """Successful episodes of a policy, per task, in `filling.out`. The same call again adds only what is missing."""

    def policy_for(world: World, task: str) -> Policy:
        from roboscale.policies.resolve import resolve_policy

        return resolve_policy(policy, world=world, seed=filling.seed)

    return _fill(filling, "collect", policy_for, lambda trial, known: known, on_saved)


def generate(
    filling: Filling, sources: Path, on_saved: Callable[[str], None] = lambda episode_id: None
) -> dict[str, Collected]:
    """New successful episodes per task, made from the demonstrations in the dataset `sources` by moving segments."""
    by_task = _demonstrations(sources, filling.tasks)

    def policy_for(world: World, task: str) -> Policy:
        from roboscale.sources.simulation.generator import SegmentReplay

        replayed = SegmentReplay(by_task[task], retries=False)  # a failed attempt is no demonstration
        replayed.name = f"{SegmentReplay.name}@{derive_id(*(e.id for e in by_task[task]))[:8]}"
        return replayed

    return _fill(filling, "generate", policy_for, with_parents, on_saved)


def _demonstrations(root: Path, tasks: Sequence[str]) -> dict[str, list[Episode]]:
    from roboscale.dataset import Dataset

    dataset = Dataset(root)
    found: dict[str, list[Episode]] = {task: [] for task in tasks}
    for info in dataset.episodes:
        if info.provenance is not None and info.provenance.task in found:
            found[info.provenance.task].append(dataset.episode(info.index, images=False))
    for task, demonstrations in found.items():
        if not demonstrations:
            have = sorted({e.provenance.task for e in dataset.episodes if e.provenance is not None})
            raise RoboscaleError(
                f"{root}: no demonstration of {task}; it holds {', '.join(have) or 'none with a task'}"
            )
    return found


def _fill(
    filling: Filling,
    split: CaseSplit,
    policy_for: Callable[[World, str], Policy],
    provenance: Callable[[Trial, Provenance], Provenance],
    on_saved: Callable[[str], None],
) -> dict[str, Collected]:
    from roboscale.dataset import DatasetWriter

    world = _opened(filling.world, filling.images)
    for task in filling.tasks:
        world.instruction(task)
    slots = make_slots(
        partial(_opened, filling.world, filling.images),
        pick_workers(filling.workers, filling.per_task * len(filling.tasks)),
    )
    collected: dict[str, Collected] = {}
    codec: Any = filling.codec
    try:
        with (
            DatasetWriter(filling.out, recording_spec(world), robot_type=world.embodiment, codec=codec) as writer,
            TrialStore(filling.out / "meta" / "roboscale" / "attempts.db") as store,
        ):
            for task in filling.tasks:
                policy = policy_for(world, task)
                runner = TrialRunner(world, world_id(world), {policy.name: policy}, slots, store, versions=versions())
                collector = Collector(runner, policy.name, writer, provenance, on_saved)
                collected[task] = collector.collect(partial(_stream, task, filling.seed, split), filling.per_task)
    finally:
        for slot in slots:
            slot.close()
        world.close()
    return collected


def _stream(task: str, seed: int, split: CaseSplit, first: int, count: int) -> tuple[Case, ...]:
    return cases(task, count, seed, split, first)
