"""What brings episodes to a campaign: one small interface, and what stands behind each kind of source.

    class Collector(Protocol):
        def collect(self, order: CollectOrder, place: Path) -> CameIn | WaitingFor: ...

A collector leaves a dataset at `place` that holds the ordered episodes of the ordered task. It may be asked again for
what it has done in part or in whole. A new kind is a class here, its name in `SourceKind`, and a line in
`collector_of`; whatever has a command line that leaves a dataset needs neither: `kind = "command"`.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from roboscale.core import Case, RoboscaleError, derive_seed
from roboscale.jobs.campaign_file import Campaign, SourceLine
from roboscale.jobs.campaign_loop import CameIn, CollectOrder, WaitingFor
from roboscale.jobs.events import OnEvent
from roboscale.jobs.filling import Filling, generated, recorded

__all__ = ["Collector", "CollectorTools", "collector_of", "delivered", "instruction_of", "successes_of"]


class Collector(Protocol):
    """Brings episodes."""

    def collect(self, order: CollectOrder, place: Path) -> CameIn | WaitingFor:
        """Leaves the ordered episodes in a dataset at `place`, or says for whom to wait."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectorTools:
    """What collectors are handed.

    Args:
        members: source -> datasets of its episodes of all rounds so far.
        pooled: those datasets as one, made where it is missing.
        write_order: writes a work order's page; returns where.
        accept: take what a work order brought, though it is less than was ordered.
    """

    campaign: Campaign
    members: Callable[[str], Sequence[Path]]
    pooled: Callable[[str], Path]
    write_order: Callable[[CollectOrder, Path, int], Path]
    workers: int | None
    accept: bool
    on_event: OnEvent


def collector_of(line: SourceLine, tools: CollectorTools) -> Collector:
    """Who brings the episodes of a source."""
    return {"record": _Record, "generate": _Generate, "command": _Command, "order": _WorkOrder}[line.kind](tools)


def successes_of(dataset: Path, task: str, instruction: str) -> tuple[list[str], list[str]]:
    """Ids of a dataset's episodes of a task that did not fail as far as anybody says, and of those that failed.

    An episode belongs to the task by its provenance, or by its instruction where somebody else recorded it.
    """
    from roboscale.dataset import Dataset

    good: list[str] = []
    bad: list[str] = []
    for info in Dataset(dataset).episodes:
        named = info.provenance.task if info.provenance is not None else ""
        if named != task and info.instruction not in (task, instruction):
            continue
        failed = info.outcome is not None and info.outcome.success is False
        (bad if failed else good).append(info.id)
    return good, bad


def delivered(dataset: Path, task: str, instruction: str) -> int:
    """Usable episodes of a task in a dataset; 0 where there is none yet."""
    if not (dataset / "meta" / "info.json").is_file():
        return 0
    return len(successes_of(dataset, task, instruction)[0])


@dataclass(frozen=True, slots=True)
class _Record:
    """A policy demonstrates in the campaign's world, the wanted scenes first; only successes are kept."""

    tools: CollectorTools

    def collect(self, order: CollectOrder, place: Path) -> CameIn:
        made = recorded(_filling(self.tools, order, place), order.line.policy, self.tools.on_event)
        return _came(made.collected[order.task].successes, made.collected[order.task].attempts, order)


@dataclass(frozen=True, slots=True)
class _Generate:
    """Episodes in physics, from those of another source."""

    tools: CollectorTools

    def collect(self, order: CollectOrder, place: Path) -> CameIn:
        sources = self.tools.pooled(order.line.made_from)
        made = generated(_filling(self.tools, order, place), sources, self.tools.on_event)
        return _came(made.collected[order.task].successes, made.collected[order.task].attempts, order)


def _came(successes: int, attempts: int, order: CollectOrder) -> CameIn:
    return CameIn(successes, f"{order.line.name}, {order.task}: {successes} episodes from {attempts} attempts")


def _filling(tools: CollectorTools, order: CollectOrder, place: Path) -> Filling:
    campaign = tools.campaign
    return Filling(
        world=campaign.world,
        tasks=(order.task,),
        per_task=order.episodes,
        out=place,
        seed=derive_seed("campaign collect", campaign.seed, order.round, order.line.name),
        workers=tools.workers,
        images=campaign.learn.inputs == "images",
        first=tuple(Case.parse(text) for text in order.scenes.cases),
    )


@dataclass(frozen=True, slots=True)
class _Command:
    """Any command line that leaves a dataset."""

    tools: CollectorTools

    def collect(self, order: CollectOrder, place: Path) -> CameIn:
        line, campaign = order.line, self.tools.campaign
        instruction = instruction_of(campaign, order.task)
        if delivered(place, order.task, instruction) < order.episodes:
            values = {
                "{out}": str(place),
                "{from}": str(self.tools.pooled(line.made_from)) if line.made_from else "",
                "{task}": order.task,
                "{episodes}": str(order.episodes),
                "{seed}": str(derive_seed("campaign collect", campaign.seed, order.round, line.name)),
                "{world}": campaign.world,
            }
            words = [_filled(word, values) for word in shlex.split(line.command)]
            if words[:1] == ["roboscale"]:
                words = [sys.executable, "-m", "roboscale.cli", *words[1:]]
            try:
                done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
            except OSError as error:
                raise RoboscaleError(f"source {line.name}: {shlex.join(words)}: {error.strerror}") from error
            if done.returncode:
                said = (done.stderr or done.stdout).strip().splitlines()[-3:]
                raise RoboscaleError(f"source {line.name}: {shlex.join(words)}: exit code {done.returncode}: {said}")
        came = delivered(place, order.task, instruction)
        if not came:
            raise RoboscaleError(f"source {line.name}: the command left no episode of {order.task} in {place}")
        short = "" if came >= order.episodes else f" of {order.episodes} that were ordered"
        return CameIn(came, f"{line.name}, {order.task}: {came} episodes{short}")


def _filled(word: str, values: dict[str, str]) -> str:
    for key, value in values.items():
        word = word.replace(key, value)
    return word


@dataclass(frozen=True, slots=True)
class _WorkOrder:
    """People's work: a page says what to do, and the campaign waits until the dataset is there."""

    tools: CollectorTools

    def collect(self, order: CollectOrder, place: Path) -> CameIn | WaitingFor:
        came = delivered(place, order.task, instruction_of(self.tools.campaign, order.task))
        page = self.tools.write_order(order, place, came)
        if came >= order.episodes or (came and self.tools.accept):
            less = f", {order.episodes - came} fewer than were ordered" if came < order.episodes else ""
            return CameIn(came, f"{order.line.name}, {order.task}: {came} episodes were delivered{less}")
        have = f", {came} are there" if came else ""
        return WaitingFor(f"{order.episodes} episodes of {order.task} by {order.line.name} into {place}{have}", page)


def instruction_of(campaign: Campaign, task: str) -> str:
    """The task's sentence in the campaign's world."""
    from roboscale.jobs.opening import open_any_world

    world = open_any_world(campaign.world)
    try:
        return world.info.instruction(task)
    finally:
        world.close()
