"""What a report says, as plain data. Every part is optional: a report shows what it was given and nothing else.

Knows nothing of HTML, figures, files or of how the numbers were computed: estimates and verdicts arrive finished.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from roboscale.core.episode import Damage, Status
from roboscale.core.estimate import Estimate, Verdict

__all__ = [
    "Camera",
    "Clip",
    "DamageSummary",
    "DatasetSummary",
    "FilmStrip",
    "Method",
    "PairedVideo",
    "PolicyResult",
    "ReportData",
    "Scalar",
    "ShareEstimator",
    "SourceCount",
    "Spread",
    "TaskCount",
    "TaskResult",
    "TrainingCurve",
    "VoidTrial",
]

Scalar = str | int | float | bool | None
"""A value of a setting, a version or a seed."""

ShareEstimator = Callable[[int, int], Estimate]
"""(events, trials) -> the share of trials with the event, with its interval."""


@dataclass(frozen=True, slots=True)
class Spread:
    """How a measured quantity is spread over `n` trials; the unit is the field's that holds it."""

    median: float
    max: float
    n: int

    @classmethod
    def of(cls, values: Iterable[float | None]) -> Spread | None:
        """Over the values that were measured; `None` when none was."""
        known = [float(value) for value in values if value is not None]
        return cls(median(known), max(known), len(known)) if known else None


@dataclass(frozen=True, slots=True)
class DamageSummary:
    """What the trials of one policy would have broken. `None` means not measured, never zero.

    Args:
        trials: trials looked at.
        peak_force_n: largest contact force of a trial outside the intended contacts, newton.
        dropped, off_table: share of trials in which it happened.
        joint_limit, clipped: share of trials with at least one such step.
        joint_limit_steps, clipped_steps: such control steps per trial.
    """

    trials: int
    peak_force_n: Spread | None = None
    dropped: Estimate | None = None
    off_table: Estimate | None = None
    joint_limit: Estimate | None = None
    clipped: Estimate | None = None
    joint_limit_steps: Spread | None = None
    clipped_steps: Spread | None = None

    @classmethod
    def of(cls, damages: Sequence[Damage], share: ShareEstimator) -> DamageSummary:
        """Summary of one `Damage` a trial; trials in which a quantity was not measured are left out of it."""

        def estimate(events: Iterable[float | bool | None]) -> Estimate | None:
            known = [bool(event) for event in events if event is not None]
            return share(sum(known), len(known)) if known else None

        return cls(
            trials=len(damages),
            peak_force_n=Spread.of(damage.peak_force_n for damage in damages),
            dropped=estimate(damage.dropped for damage in damages),
            off_table=estimate(damage.off_table for damage in damages),
            joint_limit=estimate(damage.joint_limit_steps for damage in damages),
            clipped=estimate(damage.clipped_steps for damage in damages),
            joint_limit_steps=Spread.of(damage.joint_limit_steps for damage in damages),
            clipped_steps=Spread.of(damage.clipped_steps for damage in damages),
        )


@dataclass(frozen=True, slots=True)
class TaskResult:
    """The success rate of one policy on one task."""

    task: str
    success: Estimate
    instruction: str = ""


@dataclass(frozen=True, slots=True)
class PolicyResult:
    """What one policy achieved.

    Args:
        name: as everywhere else in the report; it decides the policy's colour by its place in `ReportData.policies`.
        success: over all tasks.
        description: a few words that tell the policies apart, e.g. `trained on 10 demonstrations a task`.
        void_as_failures, void_as_successes: the rate if every void trial had failed, or had succeeded; `None` where
            nobody computed it.
    """

    name: str
    success: Estimate
    description: str = ""
    tasks: tuple[TaskResult, ...] = ()
    damage: DamageSummary | None = None
    void_as_failures: Estimate | None = None
    void_as_successes: Estimate | None = None


@dataclass(frozen=True, slots=True)
class Clip:
    """One trial on video.

    Args:
        policy: its name.
        status: how the trial ended.
        mp4: H.264 in an MP4, bytes (see `roboscale.report.video.encode_mp4`).
        steps: control steps executed.
        reason: why it failed or is void.
    """

    policy: str
    status: Status
    mp4: bytes
    steps: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PairedVideo:
    """The same case under each policy; one clip where only one policy was tried."""

    case: str
    task: str
    instruction: str
    clips: tuple[Clip, ...]


@dataclass(frozen=True, slots=True)
class VoidTrial:
    """A trial that says nothing about the policy, and why.

    Args:
        after_pair: paired cases counted before this one, which places its mark in the running evidence.
        attempts: how often it was tried.
    """

    policy: str
    case: str
    reason: str
    attempts: int = 1
    after_pair: int | None = None


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera stream of a data set; sizes in pixels."""

    name: str
    width: int
    height: int
    codec: str = ""


@dataclass(frozen=True, slots=True)
class SourceCount:
    """How many episodes one kind of source gave; `parents` is how many episodes they were made from."""

    kind: str
    episodes: int
    parents: int | None = None


@dataclass(frozen=True, slots=True)
class TaskCount:
    """How much of a data set is one task."""

    task: str
    episodes: int
    frames: int | None = None


@dataclass(frozen=True, slots=True)
class FilmStrip:
    """Frames of one episode side by side in one PNG."""

    caption: str
    png: bytes


@dataclass(frozen=True, slots=True)
class DatasetSummary:
    """What a data set holds.

    Args:
        hours: recorded time.
        fps: frames a second; `None` when mixed.
        generation: share of generation attempts that were kept; `None` when nothing was generated.
        used_by: names of the policies trained on it.
    """

    name: str
    episodes: int
    frames: int
    hours: float
    fps: float | None = None
    tasks: tuple[TaskCount, ...] = ()
    sources: tuple[SourceCount, ...] = ()
    cameras: tuple[Camera, ...] = ()
    generation: Estimate | None = None
    used_by: tuple[str, ...] = ()
    film_strips: tuple[FilmStrip, ...] = ()


@dataclass(frozen=True, slots=True)
class TrainingCurve:
    """How one policy was trained.

    Args:
        steps: optimiser steps, increasing.
        loss: training loss at each of `steps`.
        validation_loss: held-out loss at each of `steps`; empty when none was measured.
        settings: everything that decides the result and is not a property of the machine.
    """

    policy: str
    steps: tuple[float, ...]
    loss: tuple[float, ...]
    validation_loss: tuple[float, ...] = ()
    settings: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Method:
    """How it was done.

    Args:
        world: name and version of the world.
        success_rule: when success counts: `first`, `end` or `hold k`.
        horizon: control steps after which a trial ends.
        command: the exact command line that reproduces the report.
        notes: sentences a reader must know, e.g. how the success of a task is defined.
    """

    world: str = ""
    success_rule: str = ""
    horizon: int | None = None
    versions: Mapping[str, Scalar] = field(default_factory=dict)
    seeds: Mapping[str, Scalar] = field(default_factory=dict)
    settings: Mapping[str, Scalar] = field(default_factory=dict)
    command: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReportData:
    """Everything one report shows, in the order in which it shows it.

    Args:
        created: date to print, chosen by the caller, so that the same data give the same page.
    """

    title: str
    policies: tuple[PolicyResult, ...] = ()
    verdict: Verdict | None = None
    videos: tuple[PairedVideo, ...] = ()
    voids: tuple[VoidTrial, ...] = ()
    datasets: tuple[DatasetSummary, ...] = ()
    training: tuple[TrainingCurve, ...] = ()
    method: Method = Method()
    created: str = ""

    def to_json(self) -> dict[str, Any]:
        """JSON types only. Videos and pictures become their size and SHA-256: a report's numbers, not its media."""
        plain: dict[str, Any] = _without_bytes(asdict(self))
        return plain


def _without_bytes(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"bytes": len(value), "sha256": hashlib.sha256(value).hexdigest()}
    if isinstance(value, Mapping):
        return {str(key): _without_bytes(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_bytes(item) for item in value]
    return value
