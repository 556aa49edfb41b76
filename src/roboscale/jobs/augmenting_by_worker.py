"""Copies of episodes whose videos a generative model makes: asked through folders, checked before anything is kept."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Field, Provenance, RoboscaleError, combine, derive_id, derive_seed
from roboscale.jobs.augmenting_pictures import ForegroundMask

if TYPE_CHECKING:
    from roboscale.dataset import Dataset, DatasetWriter
    from roboscale.sources.generated import GeneratedCheck, GeneratedVideo, InverseDynamics

__all__ = ["GenerationPlan", "generate_copies", "parse_worker"]

_FAR_M = 3.0  # where a depth control is black


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationPlan:
    """What a worker is asked for.

    Args:
        worker: the program and its words; the folder of a job is put behind them.
        prompts: taken in turn by the copies of an episode.
        masks: by camera: where the robot is.
        folders: below which a folder for each job is kept.
        timeout_s: that one job may take. fps: of the videos.
    """

    worker: tuple[str, ...]
    prompts: tuple[str, ...]
    seed: int
    masks: Mapping[str, ForegroundMask]
    folders: Path
    timeout_s: float
    fps: float


def parse_worker(text: str) -> tuple[str, ...]:
    """`cosmos:transfer2.5:CHECKOUT`, `cosmos:3:CHECKOUT@CHECKPOINT`, or any program with its words.

    >>> parse_worker("python make.py --fast")
    ('python', 'make.py', '--fast')

    Raises:
        RoboscaleError: no program, a quote that is not closed, or another Cosmos.
    """
    if not text.startswith("cosmos:"):
        try:
            words = tuple(shlex.split(text))
        except ValueError as error:
            raise RoboscaleError(f"--worker {text}: expected a program and its words: {error}") from error
        if not words:
            raise RoboscaleError(f"--worker {text!r}: expected a program and its words, found none")
        return words
    from roboscale.guests.side import cosmos_worker

    kind, _, checkout = text.removeprefix("cosmos:").partition(":")
    if kind not in ("transfer2.5", "3") or not checkout:
        raise RoboscaleError(f"--worker {text}: expected cosmos:transfer2.5:CHECKOUT or cosmos:3:CHECKOUT@CHECKPOINT")
    root, at, checkpoint = checkout.partition("@")
    return (sys.executable, cosmos_worker.__file__, kind, f"{Path(root).resolve()}{at}{checkpoint}")


def generate_copies(
    plan: GenerationPlan,
    dataset: Dataset,
    copies: int,
    sink: DatasetWriter,
    on_copy: Callable[[int, str | None], None],
    on_refused: Callable[[str], None],
) -> int:
    """Adds the copies that are missing and pass the checks; returns how many did not.

    Args:
        on_copy: told of each its frames and the digest of its numbers; 0 and `None` of one that was there.
        on_refused: told why a copy is not kept, or what of it could not be checked.
    """
    cameras = [f for f in dataset.spec.images if f.name not in {m.field for m in plan.masks.values()}]
    dynamics, refused, there = _dynamics(dataset, cameras), 0, set(sink.episode_ids)
    recipe = combine("generated", list(plan.worker), list(plan.prompts), _masks_of(plan)).digest
    for index, info in enumerate(dataset.episodes):
        for copy in range(copies):
            id_ = derive_id("generated", info.id, recipe, plan.seed, copy)
            if id_ in there:
                on_copy(0, None)
                continue
            digest = _copy(plan, dataset, index, copy, (cameras, dynamics), (id_, sink), on_refused)
            refused += digest is None
            if digest is not None:
                on_copy(info.length, digest)
    return refused


def _masks_of(plan: GenerationPlan) -> list[list[object]]:
    """What tells the masks of one plan from those of another."""
    return [[mask.camera, mask.field, mask.nearer_than] for mask in plan.masks.values()]


def _dynamics(dataset: Dataset, cameras: Sequence[Field]) -> dict[str, InverseDynamics]:
    """For each camera, what judges whether a video still shows the actions."""
    from roboscale.sources.generated import fit_inverse_dynamics

    actions = [np.asarray(dataset.episode(k, images=False).arrays["action"]) for k in range(len(dataset.episodes))]
    return {
        f.name: fit_inverse_dynamics([dataset.decode(k, f.name) for k in range(len(actions))], actions)
        for f in cameras
    }


def _copy(
    plan: GenerationPlan,
    dataset: Dataset,
    index: int,
    copy: int,
    judged_by: tuple[Sequence[Field], Mapping[str, InverseDynamics]],
    into: tuple[str, DatasetWriter],
    on_refused: Callable[[str], None],
) -> str | None:
    """One copy; `None` where it is refused."""
    info, (cameras, dynamics) = dataset.episodes[index], judged_by
    parent = dataset.episode(index)
    numbers = {f.name: np.asarray(parent.arrays[f.name]) for f in dataset.spec if not f.is_image}
    pictures = {f.name: np.asarray(parent.arrays[f.name]) for f in dataset.spec.images}
    details: dict[str, Any] = {}
    for camera in cameras:
        mask = plan.masks.get(camera.name)
        inside = None if mask is None else np.array([mask.kept(v) for v in np.asarray(parent.arrays[mask.field])])
        seed = derive_seed("generated", info.id, plan.seed, copy) % 2**31
        prompt = plan.prompts[copy % len(plan.prompts)]
        # an answer belongs to its question: another prompt, seed, worker or mask is asked in a folder of its own
        question = combine("question", list(plan.worker), prompt, seed, _masks_of(plan)).digest
        name = f"{info.id[:8]}-{copy}-{camera.name.rsplit('.', 1)[-1]}-{question[:8]}"
        if (plan.folders / name / "output.mp4").exists():
            on_refused(f"{camera.name}: answers that lay in {plan.folders} are taken, and not asked for again")
        made, check = _asked(
            plan, plan.folders / name, pictures[camera.name], numbers, (prompt, seed), (dynamics[camera.name], inside)
        )
        for said in check.unchecked:
            on_refused(f"{camera.name}: {said}")
        if not check.kept:
            on_refused(f"episode {info.id[:8]}, copy {copy + 1}, {camera.name}: not kept: {'; '.join(check.faults)}")
            return None
        pictures[camera.name] = made.pictures
        found = {"overlap": check.overlap, "residual": check.residual}
        details[camera.name] = {"prompt": prompt, "seed": seed, "worker": dict(made.about), **found}
    digest = combine("numbers", numbers).digest
    known = info.provenance or Provenance(source="unknown")
    told = {**known.details, "generated": details, "numbers": digest}
    provenance = replace(known, source="generated.augment", parents=(info.id,), details=told)
    id_, sink = into
    take = sink.begin(info.instruction, provenance, episode_id=id_)
    try:
        for k in range(info.length):
            take.add({name: array[k] for name, array in {**numbers, **pictures}.items()})
        take.save(info.outcome)
    except BaseException:
        take.discard()
        raise
    return digest


def _asked(
    plan: GenerationPlan,
    folder: Path,
    video: NDArray[np.uint8],
    numbers: Mapping[str, NDArray[Any]],
    asked: tuple[str, int],
    judged_by: tuple[InverseDynamics, NDArray[np.bool_] | None],
) -> tuple[GeneratedVideo, GeneratedCheck]:
    """One video asked for and held against the recorded one."""
    from roboscale.sources.generated import ask_worker, check_generated, write_job

    (prompt, seed), (dynamics, mask) = asked, judged_by
    controls = {} if mask is None else {"segmentation": np.repeat(mask[..., None] * np.uint8(255), 3, axis=-1)}
    for known in plan.masks.values():
        depth = numbers.get(known.field)
        if known.nearer_than is not None and depth is not None and depth.shape[1:3] == video.shape[1:3]:
            near = np.clip(1 - depth.reshape(depth.shape[:3]) / _FAR_M, 0, 1)
            controls["depth"] = np.repeat((255 * near).astype(np.uint8)[..., None], 3, axis=-1)
    job = write_job(folder, video, plan.fps, prompt=prompt, seed=seed, controls=controls)
    made = ask_worker(folder, plan.worker, plan.timeout_s)
    return made, check_generated(job, made, video, numbers["action"], dynamics, mask)
