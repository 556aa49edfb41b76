"""What a report says, as plain data. Every part is optional: a report shows what it was given and nothing else.

Knows nothing of HTML, figures, files or of how the numbers were computed: estimates and verdicts arrive finished.
`roboscale.report.summaries` makes most of it from counted trials.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from roboscale.core import Design, Estimate, Identity, OutcomeKind, RolloutSettings
from roboscale.core.episode import Status
from roboscale.core.plain import Plain
from roboscale.core.timing import TimeSpent

if TYPE_CHECKING:
    from roboscale.stats.deciding import AnyVerdict
    from roboscale.stats.proportions import WorstCase
    from roboscale.stats.robustness import Robustness, RobustnessDuel
    from roboscale.stats.sensitivity import Sensitivity

__all__ = [
    "Behaviour",
    "CorrectedJudgement",
    "DatasetCamera",
    "DatasetSummary",
    "DetectorAgreement",
    "DivergenceCurve",
    "Doubts",
    "FilmOrigin",
    "FilmStrip",
    "FilmedCase",
    "FilmedTrial",
    "ImaginedReplays",
    "MeasureSummary",
    "PolicyResult",
    "ReasonCount",
    "ReportData",
    "RoundResult",
    "Scalar",
    "ScorerAgreement",
    "ShareEstimator",
    "SourceCount",
    "TaskCount",
    "TaskResult",
    "TrainingCurve",
    "VoidOverlap",
    "VoidTrial",
]

Scalar: TypeAlias = str | int | float | bool | None
"""A value of a setting, a version or a seed."""

Doubts: TypeAlias = Mapping[str, tuple[str, ...]]
"""Policy -> why its numbers may be somebody else's; absent where it is known by content."""

ShareEstimator: TypeAlias = Callable[[int, int], Estimate]
"""(events, trials) -> the share of trials with the event, with its interval."""

Behaviour = Literal["deterministic", "seed-dependent", "batch-dependent", "stateful"]
"""What the answers of a policy depend on, apart from what it sees: nothing, the session's seed, who else is asked at
once, or what it was asked before."""

FilmOrigin = Literal[
    "replayed, same outcome",
    "recorded while tried",
    "left out: the replay ended differently",
    "left out: nothing was executed",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureSummary:
    """One thing that was measured, over the trials of one policy. `None` means not measured, never zero.

    Args:
        name, unit: as the world declares it.
        kind: `bool` for 0 or 1, `count` for control steps, `number` otherwise.
        measured, missing: trials in which it could be measured, and could not.
        share: share of measured trials in which it was true, or happened at least once; `None` for a number.
        median: over the measured trials, with its interval; `None` for a boolean.
        largest: over the measured trials; `None` for a boolean.
    """

    name: str
    unit: str
    kind: Literal["bool", "number", "count"]
    measured: int
    missing: int
    share: Estimate | None = None
    median: Estimate | None = None
    largest: float | None = None


@dataclass(frozen=True, slots=True)
class ReasonCount:
    """A reason, in how many trials it was given, and the first case with it."""

    reason: str
    count: int
    case: str = ""


@dataclass(frozen=True, slots=True)
class TaskResult:
    """What one policy achieved on one task: its success rate, and its mean progress where somebody judged that."""

    task: str
    success: Estimate
    instruction: str = ""
    progress: Estimate | None = None

    def rate(self, outcome: OutcomeKind) -> Estimate | None:
        """What is compared: its success rate, or its mean progress if anybody judged that."""
        return self.success if outcome == "success" else self.progress


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyResult:
    """What one policy achieved.

    Args:
        name: as everywhere else in the report (see `core.identity_labels`); it decides the policy's colour by its
            place in `ReportData.policies`.
        success: over all tasks.
        progress: mean progress over all tasks; `None` where nobody judged it.
        worst: success if every void trial had failed, or had succeeded; `None` where nothing was void.
        identity, world: who was tried, and where; what they say of being unverified stands beside every number.
        description: a few words that tell the policies apart, e.g. `trained on 10 demonstrations a task`.
        measures: what would have broken.
        steps: control steps that were clipped, held or late.
        mistakes: reasons of failures that are the policy's own mistakes (no action, NaN, a wrong shape).
        voids: reasons of void trials.
        pending: trials that await a judgement; they are not counted.
        behaviour: what is known of its answers; empty where nobody tried to find out.
        time: what its trials took; `None` where nobody measured it.
    """

    name: str
    success: Estimate
    progress: Estimate | None = None
    worst: WorstCase | None = None
    identity: Identity | None = None
    world: Identity | None = None
    description: str = ""
    tasks: tuple[TaskResult, ...] = ()
    measures: tuple[MeasureSummary, ...] = ()
    steps: tuple[MeasureSummary, ...] = ()
    mistakes: tuple[ReasonCount, ...] = ()
    voids: tuple[ReasonCount, ...] = ()
    pending: int = 0
    behaviour: tuple[Behaviour, ...] = ()
    time: TimeSpent | None = None

    @property
    def unverified(self) -> tuple[str, ...]:
        """Why its numbers may not be those of what it is called; empty when all is known by content."""
        own = self.identity.unverified if self.identity else ()
        return (*own, *(f"world: {reason}" for reason in (self.world.unverified if self.world else ())))

    @property
    def only_mistakes(self) -> bool:
        """Whether every trial that counted ended by a mistake of its own."""
        return self.success.n > 0 and sum(m.count for m in self.mistakes) >= self.success.n

    def rate(self, outcome: OutcomeKind) -> Estimate:
        """What is compared: its success rate or its mean progress."""
        if outcome == "success":
            return self.success
        return self.progress or Estimate(
            value=None, low=None, high=None, level=self.success.level, n=0, method="nobody judged progress"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmedTrial:
    """One trial on video.

    Args:
        policy: its name.
        status: how the trial ended.
        origin: where the film comes from, or why there is none.
        mp4: H.264 in an MP4, bytes (see `roboscale.report.video.encode_mp4`); empty where it was left out.
        steps: control steps executed.
        reason: why it failed or is void.
    """

    policy: str
    status: Status
    origin: FilmOrigin
    mp4: bytes = b""
    steps: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmedCase:
    """The same case under each policy; one film where only one policy was tried."""

    case: str
    task: str
    instruction: str
    films: tuple[FilmedTrial, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VoidTrial:
    """A trial that says nothing about the policy, and why.

    Args:
        attempts: how often it was tried.
        after_pair: paired cases counted before this one, which places its mark in the running evidence.
    """

    policy: str
    case: str
    reason: str
    attempts: int = 1
    after_pair: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VoidOverlap:
    """Whether void trials of one policy fall on cases that another one failed.

    Args:
        voids: void trials of `policy` on cases whose outcome under `other` is known.
        on_failed: how many of these `other` failed.
        rest, rest_failed: the same for the cases on which `policy` was not void.
        p_value: of "void trials are no more often on failed cases", one-sided; `None` where nothing can be compared.
    """

    policy: str
    other: str
    voids: int
    on_failed: int
    rest: int
    rest_failed: int
    p_value: float | None = None

    @property
    def on_hard_cases(self) -> bool:
        """Whether it would be a surprise if void trials had nothing to do with how hard their cases are."""
        return self.p_value is not None and self.p_value <= 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundResult:
    """What one round of the same question gave for one policy; rounds count from 0, the newest counts."""

    policy: str
    round: int
    success: Estimate
    started_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ScorerAgreement:
    """Two who judged the same trials.

    Args:
        first, second: a person's name, or the referee that judged.
        same: trials of which both said the same, of `trials`.
        kappa: agreement beyond chance.
    """

    first: str
    second: str
    same: int
    trials: int
    kappa: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorAgreement:
    """A detector beside whoever decided.

    Args:
        name: the detector.
        proposed: trials of which it said success or failure and somebody decided; `same` of them were so decided.
        silent: decided trials of which it could not say.
        share: `same` of `proposed`.
        kappa: agreement beyond chance.
    """

    name: str
    proposed: int
    same: int
    silent: int
    share: Estimate
    kappa: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectedJudgement:
    """A judgement that a later one replaced.

    Args:
        before, after: `success` or `failure`, with the progress where there is one.
        by: who corrected it, a person or a referee.
        time_ns: when, nanoseconds since 1970.
    """

    policy: str
    case: str
    before: str
    after: str
    by: str
    time_ns: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class DatasetCamera:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class DivergenceCurve:
    """How far an imagined point is from where it was recorded, step by step, under the recorded actions.

    Args:
        point: its name. unit: of the distances.
        median, most: over the episodes that last so long, at step 0, 1, ...; most is the 90 % quantile.
        episodes: how many last so long.
    """

    point: str
    unit: str
    median: tuple[float, ...]
    most: tuple[float, ...]
    episodes: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImaginedReplays:
    """Held-out recordings beside what a learned world imagines under the same actions, open loop."""

    world: str
    strips: tuple[FilmStrip, ...]
    curves: tuple[DivergenceCurve, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
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
    cameras: tuple[DatasetCamera, ...] = ()
    generation: Estimate | None = None
    used_by: tuple[str, ...] = ()
    film_strips: tuple[FilmStrip, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportData(Plain):
    """Everything one report shows, in the order in which it shows it.

    Args:
        outcome: what is compared and stands large; as in the design, where there is one.
        verdict: what may be claimed; `None` where nothing was compared.
        unit: what is claimed of, e.g. these checkpoints with one training run each.
        extremes: assumption about the void trials -> the verdict that would follow from it.
        before_corrections: the verdict as it was before the corrections.
        corrections, scorers, detectors, rounds, voids, overlaps: all of them, policies by their names.
        perturbed: policy -> what became of it in worse worlds; every other rate is of the unperturbed arm.
        duels: of every two policies, who loses less there. swept: policy -> which axes decide, all drawn at once.
        worse_pictures: what worse worlds look like, an axis a strip.
        gathered: policy -> where its failures gather, in words -> films of some of them.
        replays: of a learned world, recordings beside what it imagines.
        judge_command: what lets somebody judge the trials that await it.
        referee: who says how a trial went, e.g. `success (first)` or `person`.
        rollout, design: how trials ran, and how the comparison was to be decided.
        seeds, settings: what else decides the result.
        time: what all trials took together.
        method: sentences a reader must know, e.g. how the success of a task is defined.
        notes: what was dropped, guessed, reused or assumed, a sentence each.
        next_order: what a campaign would collect next, a sentence each.
        command: the exact command line that makes this report again; `None` where it was made from Python.
        created: date to print, chosen by the caller, so that the same data give the same page.
    """

    title: str
    policies: tuple[PolicyResult, ...] = ()
    outcome: OutcomeKind = "success"
    verdict: AnyVerdict | None = None
    unit: str = ""
    extremes: Mapping[str, AnyVerdict] = field(default_factory=dict)
    before_corrections: AnyVerdict | None = None
    corrections: tuple[CorrectedJudgement, ...] = ()
    scorers: tuple[ScorerAgreement, ...] = ()
    detectors: tuple[DetectorAgreement, ...] = ()
    rounds: tuple[RoundResult, ...] = ()
    perturbed: Mapping[str, Robustness] = field(default_factory=dict)
    duels: tuple[RobustnessDuel, ...] = ()
    swept: Mapping[str, Sensitivity] = field(default_factory=dict)
    worse_pictures: tuple[FilmStrip, ...] = ()
    gathered: Mapping[str, Mapping[str, tuple[FilmedCase, ...]]] = field(default_factory=dict)
    replays: ImaginedReplays | None = None
    films: tuple[FilmedCase, ...] = ()
    voids: tuple[VoidTrial, ...] = ()
    overlaps: tuple[VoidOverlap, ...] = ()
    judge_command: str | None = None
    datasets: tuple[DatasetSummary, ...] = ()
    training: tuple[TrainingCurve, ...] = ()
    referee: str = ""
    rollout: RolloutSettings | None = None
    design: Design | None = None
    seeds: Mapping[str, Scalar] = field(default_factory=dict)
    settings: Mapping[str, Scalar] = field(default_factory=dict)
    time: TimeSpent | None = None
    method: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    next_order: tuple[str, ...] = ()
    command: str | None = None
    created: str = ""
    versions: Mapping[str, Scalar] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Names of the policies, in the order of their colours."""
        return [policy.name for policy in self.policies]

    @property
    def rule(self) -> str:
        """Who judged, and when an episode is cut: what is named beside every rate."""
        judged = [f"judged by {self.referee}"] if self.referee else []
        return ", ".join(judged + ([f"horizon {self.rollout.horizon} steps"] if self.rollout else []))

    def unverified(self, name: str) -> tuple[str, ...]:
        """Why the numbers of a policy are unverified; empty when they are not, or when it is not known here."""
        return next((policy.unverified for policy in self.policies if policy.name == name), ())
