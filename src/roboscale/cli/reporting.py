"""From judged trials, datasets and trained policies to the data of one report; films trials by replaying them."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from roboscale.cli.judging import Judged, labels, pick_workers, rates, share
from roboscale.core import Case, Estimate, HasPictures, Trial, World
from roboscale.report import (
    Camera,
    Clip,
    DamageSummary,
    DatasetSummary,
    FilmStrip,
    Method,
    PairedVideo,
    PolicyResult,
    ReportData,
    SourceCount,
    TaskCount,
    TaskResult,
    TrainingCurve,
    VoidTrial,
)
from roboscale.trials import replay
from roboscale.worlds import open_world

if TYPE_CHECKING:
    from roboscale.dataset import Dataset

__all__ = ["Film", "dataset_summary", "film_all", "report_data", "training_curve"]

FILM_SIZE = (320, 240)
FILM_EVERY_S = 0.05


@dataclass(frozen=True, slots=True)
class Film:
    """A finished trial to be filmed."""

    world: str
    case: Case
    actions: NDArray[np.float32]


def film(request: Film) -> bytes:
    """Replays a trial in its (deterministic) world and returns it as MP4, in real time."""
    from roboscale.report.video import encode_mp4

    world = open_world(request.world)
    try:
        rate = world.observation_spec.rate_hz
        every = max(1, round(rate * FILM_EVERY_S))
        frames: list[NDArray[np.uint8]] = []
        steps = [0]

        def watch(seen: World) -> None:
            if steps[0] % every == 0 and isinstance(seen, HasPictures):
                frames.append(seen.picture(*FILM_SIZE))
            steps[0] += 1

        replay(world, request.case, request.actions, watch=watch)
        if isinstance(world, HasPictures):
            frames.append(world.picture(*FILM_SIZE))
        return encode_mp4(np.stack(frames), rate / every) if frames else b""
    finally:
        world.close()


def film_all(films: Sequence[Film]) -> list[bytes]:
    """All films, on all cores."""
    workers = pick_workers(None, 4 * len(films))
    if workers < 2:
        return [film(f) for f in films]
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        return pool.map(film, films, chunksize=1)


def paired_videos(judged: Judged, per_task: int) -> tuple[PairedVideo, ...]:
    """The first `per_task` cases of each task under every policy: chosen by the schedule, not by the outcome."""
    if not (judged.world.capabilities.rendering and judged.world.capabilities.deterministic):
        return ()
    chosen: list[tuple[Case, list[Trial]]] = []
    for task in dict.fromkeys(t.case.task for t in judged.trials):
        listed = list(dict.fromkeys(t.case for t in judged.trials if t.case.task == task))[:per_task]
        chosen += [(case, [t for t in judged.trials if t.case == case]) for case in listed]
    filmed = [t for _, trials in chosen for t in trials if t.actions is not None and len(t.actions)]
    clips = dict(
        zip(
            [(t.policy, t.case) for t in filmed],
            film_all([Film(judged.request.world, t.case, t.actions) for t in filmed if t.actions is not None]),
            strict=True,
        )
    )
    short = labels(judged.names)
    return tuple(
        PairedVideo(
            case.id,
            case.task,
            judged.world.instruction(case.task),
            tuple(
                Clip(
                    short[t.policy],
                    t.outcome.status,
                    clips[t.policy, t.case],
                    t.outcome.steps,
                    t.outcome.reason,
                )
                for t in sorted(trials, key=lambda t: judged.names.index(t.policy))
                if (t.policy, t.case) in clips
            ),
        )
        for case, trials in chosen
    )


def policy_result(judged: Judged, name: str, description: str) -> PolicyResult:
    from roboscale.stats import worst_case_bounds

    trials = judged.of(name)
    counted = [t for t in trials if t.outcome.success is not None]
    successes = sum(bool(t.outcome.success) for t in counted)
    void = len(trials) - len(counted)
    worst = worst_case_bounds(successes, len(counted) - successes, void, interval=share(judged)) if void else None
    tasks = dict.fromkeys(t.case.task for t in trials)
    return PolicyResult(
        name=labels(judged.names)[name],
        success=rates(judged, trials),
        description=description,
        tasks=tuple(
            TaskResult(task, rates(judged, judged.of(name, task)), judged.world.instruction(task)) for task in tasks
        ),
        damage=DamageSummary.of([t.outcome.damage for t in counted], share(judged)),
        void_as_failures=worst.as_failures if worst else None,
        void_as_successes=worst.as_successes if worst else None,
    )


def void_trials(judged: Judged) -> tuple[VoidTrial, ...]:
    order = list(dict.fromkeys(t.case for t in judged.trials))
    void_cases = {t.case for t in judged.trials if t.outcome.success is None}
    short = labels(judged.names)
    return tuple(
        VoidTrial(
            short[t.policy],
            t.case.id,
            t.outcome.reason,
            t.attempt + 1,
            sum(c not in void_cases for c in order[: order.index(t.case)]),
        )
        for t in judged.trials
        if t.outcome.success is None
    )


def dataset_summary(root: Path, used_by: Sequence[str] = (), generation: Estimate | None = None) -> DatasetSummary:
    """What a dataset on disk holds, with a film strip of its first episode."""
    from roboscale.dataset import Dataset

    dataset = Dataset(root, images="uint8")
    tasks: dict[str, list[int]] = {}
    sources: dict[str, int] = {}
    parents: set[str] = set()
    for info in dataset.episodes:
        task = info.provenance.task if info.provenance and info.provenance.task else info.instruction
        tasks.setdefault(task, []).append(info.length)
        kind = info.provenance.source if info.provenance else "unknown"
        sources[kind] = sources.get(kind, 0) + 1
        parents |= set(info.provenance.parents) if info.provenance else set()
    frames = sum(info.length for info in dataset.episodes)
    rate = dataset.spec.rate_hz
    return DatasetSummary(
        name=root.name,
        episodes=len(dataset.episodes),
        frames=frames,
        hours=frames / rate / 3600,
        fps=rate,
        tasks=tuple(TaskCount(task, len(lengths), sum(lengths)) for task, lengths in tasks.items()),
        sources=tuple(SourceCount(kind, n, len(parents) or None) for kind, n in sources.items()),
        cameras=tuple(Camera(f.name.rsplit(".", 1)[-1], f.shape[1], f.shape[0]) for f in dataset.spec.images),
        generation=generation,
        used_by=tuple(used_by),
        film_strips=_film_strips(dataset),
    )


def _film_strips(dataset: Dataset) -> tuple[FilmStrip, ...]:
    from roboscale.report.video import film_strip

    if not len(dataset.episodes):
        return ()
    first = dataset.episodes[0]
    return tuple(
        FilmStrip(f"{field.name.rsplit('.', 1)[-1]}: {first.instruction}", film_strip(dataset.decode(0, field.name)))
        for field in dataset.spec.images
    )


def training_curve(checkpoint: Path, policy: str) -> TrainingCurve:
    """The loss curve and settings that travel inside a checkpoint."""
    from roboscale.policies.builtin.checkpoint import read_manifest

    manifest = read_manifest(checkpoint)
    losses = manifest["training"]["losses"]
    settings: dict[str, Any] = {
        k: v if isinstance(v, str | int | float | bool) else str(v) for k, v in manifest["config"].items()
    }
    return TrainingCurve(policy, tuple(s for s, _ in losses), tuple(x for _, x in losses), settings=settings)


def report_data(
    judged: Judged,
    *,
    title: str,
    command: str,
    created: str,
    videos_per_task: int = 4,
    descriptions: Sequence[str] = (),
    datasets: Sequence[DatasetSummary] = (),
    training: Sequence[TrainingCurve] = (),
    notes: Sequence[str] = (),
) -> ReportData:
    """Everything the page shows."""
    described = [*descriptions, *[""] * len(judged.names)]
    return ReportData(
        title=title,
        policies=tuple(policy_result(judged, n, d) for n, d in zip(judged.names, described, strict=False)),
        verdict=judged.verdict,
        videos=paired_videos(judged, videos_per_task),
        voids=void_trials(judged),
        datasets=tuple(datasets),
        training=tuple(training),
        method=Method(
            world=f"{judged.world.name}, {judged.world.version}",
            success_rule=str(judged.world.success_rule),
            horizon=judged.world.horizon,
            versions=judged.versions,
            seeds={"cases": judged.request.seed},
            settings={"retries of void trials": judged.request.retries, "cases per task": judged.request.trials},
            command=command,
            notes=tuple(notes),
        ),
        created=created,
    )
