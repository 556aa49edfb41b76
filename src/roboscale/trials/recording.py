"""Trials as a source of episodes: what was judged becomes data, with its outcome and where it comes from.

A deterministic simulated world is recorded by a second pass: looking costs ten times what moving does, so trials run
without cameras and only those that are wanted are replayed, and compared with what was tried. Any other world is
looked at while it runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from roboscale.core import (
    Case,
    Counted,
    Identity,
    Provenance,
    Referee,
    RoboscaleError,
    SharedSink,
    Trial,
    WorldInfo,
    derive_id,
)
from roboscale.trials.schedule import Schedule, TrialRunner
from roboscale.trials.slots import Job, Keeping, run_in_order
from roboscale.trials.timing import TIME

__all__ = [
    "Collected",
    "Collector",
    "Completing",
    "Recorder",
    "differences",
    "episode_id",
    "live_keeping",
    "records_afterwards",
    "with_parents",
    "without_policy",
]

Completing = Callable[[Trial, Provenance], Provenance]
"""A trial, and what is known of its episode's provenance -> the whole of it."""

GIVE_UP_AFTER = 40  # attempts without one success


def records_afterwards(info: WorldInfo) -> bool:
    """Whether a trial can be recorded by replaying it."""
    return info.kind == "simulated" and info.deterministic


def episode_id(trial: Trial) -> str:
    """The id of the episode that a replayed trial becomes: the same every time, so that no second copy is made."""
    return derive_id("episode", trial.id)


def differences(trial: Trial, again: Trial) -> str:
    """What a replay did differently, in words; empty when it repeated the trial."""
    if (again.end, again.steps) != (trial.end, trial.steps):
        return f"{trial.end} after {trial.steps} steps when tried, {again.end} after {again.steps} when replayed"
    for name, value in trial.measures.items():
        if not _same(value, again.measures.get(name)):
            return f"{name} was {value} when tried, {again.measures.get(name)} when replayed"
    for name, values in trial.series.items():
        if not np.array_equal(values, again.series.get(name, values[:0]), equal_nan=True):
            return f"{name} took another course when replayed"
    return ""


def _same(first: float | None, second: float | None) -> bool:
    if first is None or second is None:
        return first is second
    return first == second or (math.isnan(first) and math.isnan(second))


def live_keeping(info: WorldInfo, provenance: Completing = lambda trial, known: known) -> Callable[[Trial], Keeping]:
    """As which episode a trial is kept while it runs. Nobody can repeat it, so its id is this run's alone."""

    def keeping(trial: Trial) -> Keeping:
        return replace(_keeping(trial, info, provenance), episode=derive_id("episode", trial.id, trial.started_ns))

    return keeping


def without_policy(trial: Trial, known: Provenance) -> Provenance:
    """Provenance that does not say whose episode it is: nobody may know; the store of trials says it by the id."""
    details = {**known.details, "policy": "blind: the store of trials says it"}
    return replace(known, operator="", details=details)


def _keeping(trial: Trial, info: WorldInfo, provenance: Completing) -> Keeping:
    known = Provenance(
        source="simulation.record" if info.kind == "simulated" else "eval",
        embodiment=info.embodiment,
        operator=trial.policy.name,
        world=info.name,
        task=trial.case.task,
        seed=trial.case.seed,
        details={
            "trial": trial.id,
            "policy": trial.policy.to_json(),
            "world": trial.world.to_json(),
            "case": trial.case.id,
            "versions": dict(trial.versions),
        },
    )
    return Keeping(episode_id(trial), info.sentence(trial.case), provenance(trial, known))


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorder:
    """Turns trials into episodes of a dataset.

    Args:
        runner: has the slots, whose worlds replay, and knows how trials run.
        sink: where episodes go, in the order of the trials, whatever the order of completion.
        provenance: completes the provenance of an episode from its trial.
        on_saved: called with each id, for progress bars.
    """

    runner: TrialRunner
    sink: SharedSink
    provenance: Completing = lambda trial, known: known
    on_saved: Callable[[str], None] = lambda episode: None

    def keeping(self, trial: Trial) -> Keeping:
        """As which episode a replay of a trial is kept."""
        return _keeping(trial, self.runner.info, self.provenance)

    def record(self, trials: Sequence[Trial], referees: Mapping[str, Referee] | None = None) -> list[str]:
        """Replays trials into the sink, those that are not there yet; ids in the order of the trials.

        Args:
            referees: trial's id -> who says the outcome that its episode gets; by default the runner's referee.

        Raises:
            RoboscaleError: a replay that does not repeat its trial.
        """
        saved = set(self.sink.episode_ids)
        todo = [t for t in trials if episode_id(t) not in saved and t.actions is not None and t.steps]
        jobs = (
            Job(
                trial=t,
                referee=(referees or {}).get(t.id, self.runner.referee),
                keep=self.keeping(t),
                actions=t.actions,
            )
            for t in todo
        )
        for trial, finished in zip(todo, run_in_order(self.runner.slots, jobs), strict=True):
            changed = differences(trial, finished.trial)
            if changed:
                self.sink.drop(episode_id(trial))
                raise RoboscaleError(
                    f"{trial.world.name}: {trial.case.id}: the replay is another one: {changed}; "
                    "see `roboscale world check --determinism`"
                )
            self.sink.adopt(episode_id(trial))
            self.on_saved(episode_id(trial))
        return [episode_id(t) for t in trials]


@dataclass(frozen=True, slots=True)
class Collected:
    """What a collection made: ids of the saved episodes, and how many attempts that took."""

    episodes: tuple[str, ...]
    attempts: int
    successes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Collector:
    """Fills a sink with successful episodes of one policy.

    Args:
        recorder: runs and records; its log remembers attempts, so that none is repeated.
        policy: who demonstrates.
    """

    recorder: Recorder
    policy: Identity

    def collect(self, stream: Callable[[int, int], Sequence[Case]], want: int) -> Collected:
        """`want` successful episodes from `stream(first, count)`, an endless list of cases of one task.

        Raises:
            RoboscaleError: 40 attempts without one success, or a replay that does not repeat its trial.
        """
        tried: list[Counted] = []
        while (missing := want - sum(t.outcome.success is True for t in tried)) > 0:
            done = [t for t in tried if t.outcome.success]
            if len(tried) >= GIVE_UP_AFTER and not done:
                reasons = "; ".join(sorted({t.outcome.reason for t in tried})[:3])
                raise RoboscaleError(f"{self.policy.name}: no success in {len(tried)} attempts, such as: {reasons}")
            rate = (len(done) + 1) / (len(tried) + 1)
            count = math.ceil(missing / rate)
            if not done:
                count = min(count, GIVE_UP_AFTER - len(tried))
            batch = tuple(stream(len(tried), count))
            tried += self.recorder.runner.run(Schedule(policies=(self.policy,), cases=batch))
        successes = [t for t in tried if t.outcome.success][:want]
        attempts = tried.index(successes[-1]) + 1
        trials = [t.trial for t in successes if t.trial is not None]
        if records_afterwards(self.recorder.runner.info):
            return Collected(tuple(self.recorder.record(trials)), attempts, len(successes))
        return Collected(tuple(t.episode for t in trials), attempts, len(successes))


def with_parents(trial: Trial, known: Provenance) -> Provenance:
    """Provenance of a generated episode: its parents and what was done to them, as its session told.

    How long it took is left out: the same episode generated again is the same episode.
    """
    details = {**known.details, **{k: v for k, v in trial.details.items() if k not in ("parents", TIME)}}
    return replace(
        known, source="simulation.generate", parents=tuple(trial.details.get("parents", ())), details=details
    )
