"""Films of trials: replayed where the world repeats itself and compared with what was tried, else as recorded.

A film that is not of the trial it stands under is worse than none: a replay that ended differently is left out.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Counted, HasPictures, RoboscaleError, Scene, Trial, World

if TYPE_CHECKING:
    from roboscale.jobs.judged import Judged
    from roboscale.report import FilmedCase, FilmedTrial
    from roboscale.trials.log import Run, TrialLog

__all__ = ["Filming", "film_cases", "film_clusters", "recorded_films"]

FILM_SIZE = (320, 240)
FILM_EVERY_S = 0.05
_TOGETHER = 8  # films in one world, at most: the cores shall finish together
PER_CLUSTER = 3
"""Films of each place where failures gather."""


class Filming:
    """Takes pictures of a scene while it runs, for a film in real time.

    Args:
        rate_hz: of the steps before each of which `watch` is called.
    """

    def __init__(self, rate_hz: float) -> None:
        self._rate, self._every = rate_hz, max(1, round(rate_hz * FILM_EVERY_S))
        self._frames: list[NDArray[np.uint8]] = []
        self._steps = 0

    def watch(self, scene: Scene) -> None:
        """Takes a picture where one is due and the scene can show itself."""
        if self._steps % self._every == 0 and isinstance(scene, HasPictures):
            self._frames.append(scene.picture(*FILM_SIZE))
        self._steps += 1

    def mp4(self) -> bytes:
        """The film; empty where nothing was shown."""
        from roboscale.report.video import encode_mp4

        return encode_mp4(np.stack(self._frames), self._rate / self._every) if self._frames else b""


@dataclass(frozen=True, slots=True)
class _Film:
    """A finished trial to be filmed, and how the film came out."""

    run: Run
    trial: Trial


def film_cases(judged: Judged, trials: Sequence[Counted], per_task: int, recorded: Path | None) -> list[FilmedCase]:
    """The first `per_task` cases of each task under every policy: chosen by the schedule, not by the outcome.

    Args:
        trials: with their actions.
        recorded: dataset that holds the episodes of trials that cannot be repeated.
    """
    chosen = _first_cases(trials, per_task)
    if recorded is None and not _repeats(judged.run):
        return []
    films = recorded_films(judged, chosen, recorded) if recorded is not None else _replayed(judged, chosen)
    return _by_case(judged, chosen, films)


def film_clusters(judged: Judged, log: TrialLog) -> dict[str, dict[str, tuple[FilmedCase, ...]]]:
    """Policy -> where its failures gather, the largest lift first -> films of the first three failures there.

    Empty for a run that did not draw all axes at once, or whose world cannot repeat its trials.
    """
    from roboscale.jobs.judged import whole
    from roboscale.jobs.sweeping import failures_in, sensitivity_of

    if not _repeats(judged.run):
        return {}
    made: dict[str, dict[str, tuple[FilmedCase, ...]]] = {}
    for policy, label in judged.labels.items():
        for cluster in sensitivity_of(judged)[label].clusters if judged.swept else ():
            chosen = whole(log, failures_in(judged, policy, cluster)[:PER_CLUSTER])
            made.setdefault(label, {})[cluster.text] = tuple(_by_case(judged, chosen, _replayed(judged, chosen)))
    return made


def _by_case(judged: Judged, chosen: Sequence[Counted], films: Mapping[str, FilmedTrial]) -> list[FilmedCase]:
    """Films of the same case beside each other, policies in the order of the run."""
    from roboscale.report import FilmedCase

    tasks = judged.run.world_info.get("tasks", {})
    cases = []
    for case in dict.fromkeys(c.case for c in chosen):
        mine = [c for c in chosen if c.case == case]
        order = sorted(mine, key=lambda c: judged.run.policies.index(c.policy))
        shown = tuple(films[c.trial.id] for c in order if c.trial is not None and c.trial.id in films)
        if shown:
            cases.append(FilmedCase(case=case.id, task=case.task, instruction=tasks.get(case.task, ""), films=shown))
    return cases


def _first_cases(trials: Sequence[Counted], per_task: int) -> list[Counted]:
    chosen = []
    for task in dict.fromkeys(c.case.task for c in trials):
        cases = list(dict.fromkeys(c.case for c in trials if c.case.task == task))[:per_task]
        chosen += [c for c in trials if c.case in cases]
    return chosen


def _repeats(run: Run) -> bool:
    """Whether the world of a run can show its trials again."""
    info = run.world_info
    return bool(info.get("opened") and info.get("deterministic") and info.get("pictures"))


def _replayed(judged: Judged, chosen: Sequence[Counted]) -> dict[str, FilmedTrial]:
    from roboscale.report import FilmedTrial

    listed = [c for c in chosen if c.trial is not None and not c.pending]
    done = _film_all([_Film(judged.run, c.trial) for c in listed if c.trial is not None and c.trial.steps])
    films = {}
    for one in listed:
        assert one.trial is not None, "a film is of a trial"
        same, mp4 = done.get(one.trial.id, (True, b""))
        origin = "replayed, same outcome" if same else "left out: the replay ended differently"
        films[one.trial.id] = FilmedTrial(
            policy=judged.labels[one.policy],
            status=one.outcome.status,
            origin=origin if one.trial.steps else "left out: nothing was executed",  # type: ignore[arg-type]
            mp4=mp4 if same else b"",
            steps=one.trial.steps,
            reason=one.outcome.reason,
        )
    return films


def _film_all(films: Sequence[_Film]) -> dict[str, tuple[bool, bytes]]:
    """Trial -> whether its replay repeated it, and the film; on all cores.

    Films that follow each other share a world that is open: to build one and its renderer costs as much as two films.
    """
    from roboscale.dataset.engine import run

    cores = len(os.sched_getaffinity(0))
    if cores < 2 or len(films) < 4:
        return _film_some(films)
    size = min(_TOGETHER, -(-len(films) // cores))
    parts = [films[first : first + size] for first in range(0, len(films), size)]
    return {trial: film for part in run(_film_some, parts, workers=cores) for trial, film in part.items()}


def _film_some(films: Sequence[_Film]) -> dict[str, tuple[bool, bytes]]:
    """Trials of one run, one after the other in its world; after a replay that failed in another one."""
    from roboscale.jobs.rollouts import open_again

    done: dict[str, tuple[bool, bytes]] = {}
    world: World | None = None
    try:
        for film in films:
            world = world or open_again(film.run)
            try:
                done[film.trial.id] = _film(film, world)
            except RoboscaleError:
                done[film.trial.id] = (False, b"")
                broken, world = world, None
                broken.close()
    finally:
        if world is not None:
            world.close()
    return done


def _film(film: _Film, world: World) -> tuple[bool, bytes]:
    """Replays a trial in its world; the film runs in real time."""
    from roboscale.referees import referee_named
    from roboscale.trials import differences, replay
    from roboscale.trials.slots import Job

    trial = film.trial
    assert trial.actions is not None, "a film needs the actions"
    filming = Filming(trial.settings.rate_hz)
    referee = referee_named(trial.settings.watch)
    result = replay(world, trial.case, trial.settings, trial.actions, referee=referee, film=filming.watch)
    again = Job(trial=trial, referee=referee).finish(result).trial
    return not differences(trial, again), filming.mp4()


def recorded_films(judged: Judged, chosen: Sequence[Counted], recorded: Path) -> dict[str, FilmedTrial]:
    """Trial -> its film, out of the episodes that were recorded while the trials ran: the first camera."""
    from roboscale.dataset import Dataset
    from roboscale.report import FilmedTrial
    from roboscale.report.video import encode_mp4
    from roboscale.trials import episode_id

    dataset = Dataset(recorded, images="uint8")
    places = {info.id: info.index for info in dataset.episodes}
    cameras = [field.name for field in dataset.spec.images]
    films = {}
    for one in chosen:
        trial = one.trial
        if trial is None or not cameras:
            continue
        place = places.get(trial.episode or episode_id(trial))
        if place is None:
            continue
        frames = np.asarray(dataset.decode(place, cameras[0]))
        films[trial.id] = FilmedTrial(
            policy=judged.labels[one.policy],
            status=one.outcome.status,
            origin="recorded while tried" if trial.episode else "replayed, same outcome",
            mp4=encode_mp4(frames, dataset.spec.rate_hz),
            steps=trial.steps,
            reason=one.outcome.reason,
        )
    return films
