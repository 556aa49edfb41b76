"""A locked study as a run at a bench; and what may be said of it while it is blind."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from roboscale.core import Design, RoboscaleError, UsageError, identify
from roboscale.core.loading import load_object
from roboscale.jobs.bench import BenchPlan
from roboscale.trials.study import Study, StudyDetector, StudyLock, lock_file

if TYPE_CHECKING:
    from roboscale.core import Identity
    from roboscale.jobs.compare import Compare
    from roboscale.jobs.judged import Judged
    from roboscale.trials.log import Run, TrialLog

__all__ = [
    "OpenedStudy",
    "bench_plan",
    "check_arms",
    "design_text",
    "detector_text",
    "episodes_of",
    "is_blind",
    "open_study",
    "require_own_run",
    "require_own_store",
    "require_unblinded",
    "store_of_study",
    "study_lines",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedStudy:
    """A study whose file is what was locked.

    Args:
        request: the comparison that it asks for, by the name of the study's file.
        policies: its arms.
        plan: its bench.
        unlocked: a line for each option of the command that changes trials and that no study's file has.
    """

    path: Path
    request: Compare
    policies: tuple[str, ...]
    plan: BenchPlan
    unlocked: tuple[str, ...] = ()

    def blind_line(self, judged: Judged) -> str:
        """What may be said when the command ends; empty once somebody has unblinded the study."""
        if StudyLock.load(self.path).unblindings:
            return ""
        over = "over" if judged.run.finished_ns is not None else "not over"
        scored = sum(not c.pending for c in judged.counted)
        return (
            f"the study is {over}, {scored} trials scored: roboscale study unblind {self.path} says which arm is which"
        )


def open_study(request: Compare) -> OpenedStudy:
    """The run that a locked study asks for.

    Raises:
        BadData, RoboscaleError: it is broken, not locked, or was changed since.
        UsageError: an option says what the locked file says itself, and would go unheard.
    """
    path = Path(request.policies[0])
    if said := _given(request, _OF_STUDY):
        raise UsageError(
            f"{', '.join(said)}: {path} says this itself; leave it away, or change the file and have a reason: "
            f"roboscale study amend {path} --reason WHY"
        )
    study = Study.load(path)
    lock = StudyLock.load(path)
    lock.require(study, path)
    here = path.parent
    asked = replace(
        request,
        world=f"robot:{here / study.robot}",
        tasks=",".join(study.tasks),
        budget=study.cases,
        alpha=study.alpha,
        min_pairs=study.min_cases,
        sequential=study.sequential,
        outcome=study.outcome,
        replicates=study.replicates,
        seed=study.seed,
        store=request.store or store_of_study(path),
        record=request.record or path.with_suffix(".episodes"),
    )
    plan = BenchPlan(
        title=study.title,
        stages=study.stages,
        tags=study.tags,
        order=lock.order(path),
        detectors=study.detectors,
        design=study.decided_by,
        study={
            "file": str(path.resolve()),
            "digest": lock.first_digest,
            "question": study.question,
            "stages": list(study.stages),
            "design": design_text(study.decided_by),
            "detectors": [detector_text(one) for one in study.detectors],
        },
        host=request.host,
        port=request.port,
        token=request.token,
    )
    unlocked = tuple(f"{one} is not locked: {path} says nothing of it" for one in _given(request, _UNLOCKED))
    policies = tuple(_beside(here, arm.policy) for arm in study.arms)
    return OpenedStudy(path=path, request=asked, policies=policies, plan=plan, unlocked=unlocked)


_OF_STUDY = (
    *("world", "tasks", "budget", "alpha", "min_pairs", "sequential", "outcome", "replicates", "seed"),
    *("seeds", "cases", "perturb", "shard", "page"),
)
_UNLOCKED = ("rule", "horizon", "execute", "latency", "asynchronous", "delay")


def _given(request: Compare, names: tuple[str, ...]) -> list[str]:
    """Of these options those that somebody set, as they are typed."""
    given = [f for f in dataclasses.fields(request) if f.name in names and getattr(request, f.name) != f.default]
    return [f"--{'no-' * (f.default is True)}{f.name.replace('_', '-')}" for f in given]


def bench_plan(request: Compare) -> BenchPlan:
    """The bench of a comparison without a study: success or failure, and an order that nobody knows beforehand."""
    import secrets

    return BenchPlan(
        title="Comparison at the bench",
        order=secrets.randbits(63),
        host=request.host,
        port=request.port,
        token=request.token,
    )


def store_of_study(path: Path) -> str:
    """Where a study's trials go unless somebody says otherwise."""
    return str(path.with_suffix(".trials"))


def check_arms(study: Study, here: Path) -> tuple[str, ...]:
    """Opens the arms that are in a Python file there is; the others, as the study writes them, were not looked at.

    Raises:
        UnknownName, BadData: the file does not import, or has no such name.
        RoboscaleError: two arms have the same content.
    """
    unopened: list[str] = []
    known: dict[str, str] = {}
    for arm in study.arms:
        file, _, name = arm.policy.rpartition(":")
        if not file.endswith(".py") or not (here / file).is_file():
            unopened.append(arm.policy)
            continue
        digest = identify(load_object(f"{here / file}:{name}", "policy"), arm.policy).digest
        if digest in known:
            raise RoboscaleError(
                f"arms: expected different policies, found the same content: {known[digest]}, {arm.name}"
            )
        known[digest] = arm.name
    return tuple(unopened)


def episodes_of(run: Run) -> Path | None:
    """Where the episodes of a study's trials are, unless they were recorded elsewhere; `None` without a study."""
    file = _study_of(run)
    folder = None if file is None else file.with_suffix(".episodes")
    return folder if folder is not None and folder.is_dir() else None


def design_text(design: Design) -> str:
    """A design for people."""
    said = {
        "paired blocks": "paired blocks: every arm on every case, every pair compared",
        "one arm": f"one arm against a threshold of {design.threshold}",
        "best arm": f"the best arm, or one at most {design.margin} below it",
        "crossover": "a crossover: half of the cases, drawn, begin with either arm",
        "ladder": "a ladder: each checkpoint against the one before it",
    }[design.kind]
    stop = "stops when decided" if design.sequential else "tested once, at the end"
    return f"{said}; at most {design.budget} cases, alpha {design.alpha:g}, {stop}"


def detector_text(detector: StudyDetector) -> str:
    """A detector for people."""
    limit = f"below {detector.below:g}" if detector.below is not None else f"above {detector.above or 0:g}"
    when = "at the end" if detector.when == "end" else "at any time"
    said = {
        "pictures": f"a classifier of the last pictures, after {detector.after} scored trials",
        "model": f"{detector.model} at {detector.url}",
    }.get(detector.kind, f"{detector.kind} {detector.element} {limit} {when}")
    seen = "shown to the scorer" if detector.shown else "not shown to the scorer"
    return f"{detector.name}: {said}, {seen}"


def require_own_store(log: TrialLog, study: Mapping[str, Any], policies: Sequence[Identity], world: Identity) -> None:
    """A study has its store to itself; its arms and its robot are what its first trials were made with.

    Args:
        study: what a run says of the study that it belongs to; empty where it is of none.

    Raises:
        RoboscaleError: the store has trials of something else; or an arm or the robot has another content now.
    """
    for run in log.runs():
        theirs: Mapping[str, Any] = run.request.get("study") or {}
        if theirs.get("digest") != study.get("digest"):
            raise RoboscaleError(f"{log.where} has trials of {_whose(theirs)}: --store names one of its own")
        tried = log.attempts(run.policies, run.world, run.settings, run.round)
        if not study or all(trial.void for trials in tried.values() for trial in trials):
            continue
        pairs = [*zip(run.policies, policies, strict=False), (run.world, world)]
        changed = [now.name for then, now in pairs if then.verified and now.verified and then.digest != now.digest]
        if changed:
            raise RoboscaleError(
                f"{', '.join(changed)}: not what this study's trials were made with: put it back, or begin "
                "another study"
            )


def require_own_run(run: Run, lock: StudyLock, store: str) -> None:
    """RoboscaleError where a store has another study's trials: its arms would be told, and its lock not say so."""
    study: Mapping[str, Any] = run.request.get("study") or {}
    if study.get("digest") != lock.first_digest:
        raise RoboscaleError(f"{store} has trials of {_whose(study)}, and none of this one")


def _whose(study: Mapping[str, Any]) -> str:
    """What a run says of its study, in words."""
    return f"the study {study['file']}" if study else "a comparison that was no study"


def require_unblinded(run: Run) -> None:
    """RoboscaleError while the run is of a study that is blind: its log says which policy is which."""
    if is_blind(run):
        file = _study_of(run)
        raise RoboscaleError(f"the study {file} is blind: roboscale study unblind {file} first, which is on record")


def is_blind(run: Run) -> bool:
    """Whether the run is of a study of which nobody was told yet which arm is which."""
    file = _study_of(run)
    return file is not None and lock_file(file).exists() and not StudyLock.load(file).unblindings


def study_lines(run: Run) -> list[str]:
    """For a page: the lock, every amendment and every unblinding; nothing for a run without a study."""
    file = _study_of(run)
    if file is None:
        return []
    question = f"Study: {run.request['study'].get('question', '')}"
    if not lock_file(file).exists():
        return [question, f"its lock {lock_file(file)} is gone: what was changed since cannot be said"]
    lock = StudyLock.load(file)
    design = run.request["study"].get("design", design_text(run.design) if run.design is not None else "")
    lines = [
        question,
        *([f"design: {design}"] if design else []),
        *[f"detector {said}" for said in run.request["study"].get("detectors", ())],
        f"locked {_when(lock.locked_ns)}, digest {lock.first_digest[:16]}",
    ]
    for one in lock.amendments:
        lines.append(
            f"amended {_when(one.time_ns)} by {one.by or 'somebody'}: {one.reason} ({'; '.join(one.changes)})"
        )
    for seen in lock.unblindings:
        early = "EARLY, before the study was over" if seen.early else "after the study was over"
        why = f": {seen.reason}" if seen.reason else ""
        lines.append(f"unblinded {_when(seen.time_ns)} by {seen.by or 'somebody'}, {early}{why}")
    return lines


def _study_of(run: Run) -> Path | None:
    said: Any = run.request.get("study")
    return Path(said["file"]) if said else None


def _when(time_ns: int) -> str:
    from roboscale.jobs.judged import clock_time

    return clock_time(time_ns)


def _beside(folder: Path, policy: str) -> str:
    """A policy's file beside the study's, whatever folder the command runs in."""
    file = policy.partition(":")[0]
    return str(folder / policy) if file.endswith(".py") and (folder / file).exists() else policy
