"""Trials as a source of episodes: tries cases until enough succeeded, then records the successes.

Two passes, because looking costs ten times what moving does: physics alone finds the successes, and only those are
replayed with cameras. That needs a deterministic world: a replay that differs from its trial is an error.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from roboscale.core import (
    Case,
    Episode,
    EpisodeSink,
    Provenance,
    RoboscaleError,
    Trial,
    derive_id,
    write_episode,
)
from roboscale.trials.rollout import RolloutResult, recording_spec
from roboscale.trials.schedule import Schedule, TrialRunner
from roboscale.trials.slots import Job, run_in_order

__all__ = ["Collected", "Collector", "with_parents"]

GIVE_UP_AFTER = 40  # attempts without one success


@dataclass(frozen=True, slots=True)
class Collected:
    """What a collection made: ids of the saved episodes, and how many attempts that took."""

    episodes: tuple[str, ...]
    attempts: int
    successes: int


@dataclass(frozen=True, slots=True)
class Collector:
    """Fills a sink with successful episodes of one policy.

    Args:
        runner: runs trials in a deterministic world; its store remembers attempts, so that none is repeated.
        policy: its name in the runner.
        sink: where episodes go, in case order, whatever the order of completion.
        provenance: completes the provenance of an episode from its trial.
        on_saved: called with each id, for progress bars.
    """

    runner: TrialRunner
    policy: str
    sink: EpisodeSink
    provenance: Callable[[Trial, Provenance], Provenance] = lambda trial, known: known
    on_saved: Callable[[str], None] = lambda episode_id: None

    def collect(self, stream: Callable[[int, int], Sequence[Case]], want: int) -> Collected:
        """`want` successful episodes from `stream(first, count)`, an endless list of cases of one task.

        Raises:
            RoboscaleError: 40 attempts without one success, or a replay that does not repeat its trial.
        """
        trials: list[Trial] = []
        while (missing := want - sum(t.outcome.success is True for t in trials)) > 0:
            done = [t for t in trials if t.outcome.success]
            if len(trials) >= GIVE_UP_AFTER and not done:
                reasons = "; ".join(sorted({t.outcome.reason for t in trials})[:3])
                raise RoboscaleError(f"{self.policy}: no success in {len(trials)} attempts, such as: {reasons}")
            rate = (len(done) + 1) / (len(trials) + 1)
            batch = tuple(stream(len(trials), math.ceil(missing / rate)))
            trials += self.runner.run(Schedule((self.policy,), batch))
        successes = [t for t in trials if t.outcome.success][:want]
        attempts = trials.index(successes[-1]) + 1
        return Collected(tuple(self._record(successes)), attempts, len(successes))

    def _record(self, trials: Sequence[Trial]) -> list[str]:
        ids = [derive_id("episode", t.policy, t.world, t.case.id, t.attempt) for t in trials]
        saved = set(self.sink.episode_ids)
        todo = [(i, t) for i, t in zip(ids, trials, strict=True) if i not in saved]
        jobs = (Job(t.case, record=True, actions=t.actions) for _, t in todo)
        for (episode_id, trial), result in zip(todo, run_in_order(self.runner.slots, jobs), strict=True):
            self._save(episode_id, trial, result)
        return ids

    def _save(self, episode_id: str, trial: Trial, result: RolloutResult) -> None:
        if result.outcome != trial.outcome or result.frames is None:
            raise RoboscaleError(
                f"{trial.world}: {trial.case.id}: the replay ended as {result.outcome.status} "
                f"({result.outcome.reason}) after {result.outcome.steps} steps, unlike the trial; "
                "see `roboscale world check --determinism`"
            )
        world = self.runner.world
        known = Provenance(
            source="simulation.record",
            embodiment=world.embodiment,
            operator=trial.policy,
            world=trial.world,
            task=trial.case.task,
            seed=trial.case.seed,
            details={"versions": dict(trial.versions)},
        )
        provenance = self.provenance(trial, known)
        instruction = world.instruction(trial.case.task)
        write_episode(
            self.sink,
            Episode(episode_id, recording_spec(world), result.frames, instruction, provenance, result.outcome),
        )
        self.on_saved(episode_id)


def with_parents(trial: Trial, known: Provenance) -> Provenance:
    """Provenance of a generated episode: its parents and what was done to them, as its session told."""
    details = {**known.details, **{k: v for k, v in trial.details.items() if k != "parents"}}
    return replace(
        known, source="simulation.generate", parents=tuple(trial.details.get("parents", ())), details=details
    )
