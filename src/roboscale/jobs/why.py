"""Says what went wrong in a run: the page from which the next hour of data is chosen."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from roboscale.core import Counted, RoboscaleError
from roboscale.jobs.events import Note, OnEvent, Wrote, ignore
from roboscale.jobs.request import Option, Request
from roboscale.jobs.stores import Store, folder_of

if TYPE_CHECKING:
    from roboscale.jobs.judged import Judged
    from roboscale.report.why import FailureBesideTraining, FailureGroup, StageCount, WhyData

__all__ = ["ExplainFailures", "ExplainedFailures", "explain_failures"]

_TAG = re.compile(r"\[([^\]]+)\]")
_WORDS = 60  # characters of a reason that was written freely


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainFailures(Request):
    """Asks what went wrong."""

    words: ClassVar[tuple[str, ...]] = ("why",)

    store: Store
    run: Annotated[str, Option("The run, by the beginning of its id. Default: the newest.")] = ""
    recorded: Annotated[
        Path | None, Option("Dataset of the trials' episodes, for films; of a study, by default, its own.")
    ] = None
    trained: Annotated[tuple[Path, ...], Option("Dataset that the policies were trained on. Repeatable.")] = ()
    policy: Annotated[
        tuple[str, ...], Option("A policy of the run, to be asked about its training episodes. Repeatable.")
    ] = ()
    out: Annotated[Path | None, Option("The page. Default: why.html beside the trials.")] = None


@dataclass(frozen=True, slots=True)
class ExplainedFailures:
    """What went wrong, and the page."""

    data: WhyData
    page: str

    @property
    def text(self) -> list[str]:
        """For a terminal."""
        lines = []
        for stage in self.data.stages:
            lines.append(f"{stage.policy}: {stage.stage}: {_said(stage.share)}")
        for group in self.data.groups:
            lines.append(f"{group.policy} failed: {group.reason}: {_said(group.share)}")
        for row in self.data.training:
            lines.append(
                f"{row.policy} failed: {row.reason}: {row.distance:.1f} from training (1 is usual), nearest "
                f"{', '.join(row.nearest)}: {row.reading}"
            )
        for policy, what, times, trials in self.data.guard:
            lines.append(f"{policy}: guard {what}: {times} times in {trials} trials")
        return [*lines, *self.data.notes, f"page: {self.page}"]

    def to_json(self) -> dict[str, Any]:
        """All numbers; films are on the page alone."""
        return {**self.data.json, "page": self.page}


def explain_failures(request: ExplainFailures, on_event: OnEvent = ignore) -> ExplainedFailures:
    """Counts stages, groups of failures and the guard's interventions, for each policy, with intervals.

    >>> from roboscale import Evaluate, ExplainFailures, evaluate, explain_failures
    >>> done = evaluate(Evaluate(policy="constant", tasks="reach-v3", trials=2, store="trials"))
    >>> [(g.reason, g.count) for g in explain_failures(ExplainFailures(store="trials")).data.groups]
    [('no success within 500 steps', 2)]

    Raises:
        BadData: there is no such store or run.
        RoboscaleError: the run is of a study that is blind, or nothing was scored.
    """
    from roboscale.jobs.files import write_text
    from roboscale.jobs.judged import choose_run, judged_run, other_runs
    from roboscale.jobs.studies import require_unblinded
    from roboscale.report.why import why_page
    from roboscale.trials.log import open_log

    with open_log(request.store, read_only=True) as log:
        run = choose_run(log, request.run)
        for line in other_runs(log, run, request.run):
            on_event(Note(line))
        require_unblinded(run)
        judged = judged_run(log, run)
    data = _explained(request, judged, on_event)
    folder = folder_of(request.store)
    if request.out is None and folder is None:
        raise RoboscaleError("--out: a page needs a place when the trials are in a database elsewhere")
    page = request.out or (folder or Path()) / "why.html"
    write_text(page, why_page(data))
    on_event(Wrote("page", page))
    return ExplainedFailures(data, str(page))


def _explained(request: ExplainFailures, judged: Judged, on_event: OnEvent) -> WhyData:
    from roboscale.core.plain import to_plain
    from roboscale.jobs.studies import episodes_of
    from roboscale.jobs.versions import versions
    from roboscale.report.why import WhyData

    scored = [c for c in judged.counted if c.outcome.success is not None]
    if not scored:
        raise RoboscaleError(f"{request.store}: no trial was scored: there is nothing to explain")
    request = replace(request, recorded=request.recorded or episodes_of(judged.run))
    training, said = _training(request, judged, scored)
    stages, groups, guard = _stages(judged, scored), _groups(judged, scored, request.recorded), _guard(judged, scored)
    notes = [*said]
    left = len(judged.counted) - len(scored)
    if left:
        notes.append(f"{left} trials that are void or not scored are in no count")
    if not stages:
        notes.append("no scorer said how far a trial got: there is no funnel of stages")
    else:
        notes += _without_progress(judged, scored)
    if groups and not any(group.mp4 for group in groups):
        why = "--recorded names the dataset of the trials' episodes"
        if request.recorded is not None:
            why = f"{request.recorded} has no camera, or no episode of a failure"
        notes.append(f"no films: {why}")
    for note in notes:
        on_event(Note(note))
    plain = {
        "run": judged.run.id,
        "stages": [to_plain({"policy": s.policy, "stage": s.stage, "share": s.share}) for s in stages],
        "failures": [
            to_plain({"policy": g.policy, "reason": g.reason, "count": g.count, "share": g.share, "trials": g.trials})
            for g in groups
        ],
        "training": [to_plain(row) for row in training],
        "guard": [dict(zip(("policy", "what", "times", "trials"), row, strict=True)) for row in guard],
        "notes": notes,
    }
    return WhyData(
        title="Why trials failed",
        stages=tuple(stages),
        groups=tuple(groups),
        guard=tuple(guard),
        training=tuple(training),
        json=plain,
        notes=tuple(notes),
        command=request.command,
        versions=versions(),
    )


def _stages(judged: Judged, scored: Sequence[Counted]) -> list[StageCount]:
    """Of every policy, the share of trials that reached each stage; stages have names where a study gave them."""
    from roboscale.report.why import StageCount
    from roboscale.stats import clopper_pearson

    names = list((judged.run.request.get("study") or {}).get("stages", ()))
    reached = [c.outcome.progress for c in scored if c.outcome.progress is not None]
    if not names and set(reached) <= {0.0, 1.0}:
        return []  # no more than success and failure, and perhaps of the successes alone
    levels = [(k + 1) / len(names) for k in range(len(names))] or sorted({p for p in reached if p > 0})
    counts = []
    for policy, label in judged.labels.items():
        mine = [c.outcome.progress for c in scored if c.policy == policy and c.outcome.progress is not None]
        for number, level in enumerate(levels if mine else ()):
            stage = names[number] if names else f"progress {level:.2g}"
            share = clopper_pearson(sum(p >= level - 1e-9 for p in mine), len(mine))
            counts.append(StageCount(policy=label, stage=stage, share=share))
    return counts


def _without_progress(judged: Judged, scored: Sequence[Counted]) -> list[str]:
    """Whose funnel is of fewer trials than were scored."""
    notes = []
    for policy, label in judged.labels.items():
        mine = [c.outcome.progress for c in scored if c.policy == policy]
        if missing := sum(progress is None for progress in mine):
            notes.append(
                f"{label}: nobody said how far {missing} of {len(mine)} trials got; its funnel is of the others"
            )
    return notes


def _groups(judged: Judged, scored: Sequence[Counted], recorded: Path | None) -> list[FailureGroup]:
    """Failures by tag or reason, the largest first, with a film of the first that was recorded."""
    from roboscale.report.why import FailureGroup
    from roboscale.stats import clopper_pearson

    failed = {key: [c.trial.id for c in trials if c.trial] for key, trials in _failed(judged, scored).items()}
    films = _films(judged, scored, [ids[0] for ids in failed.values()], recorded)
    total = Counter(judged.labels[c.policy] for c in scored)
    groups = [
        FailureGroup(
            policy=policy,
            reason=reason,
            count=len(ids),
            share=clopper_pearson(len(ids), total[policy]),
            trials=tuple(ids),
            mp4=films.get(ids[0], b""),
        )
        for (policy, reason), ids in failed.items()
    ]
    return sorted(groups, key=lambda group: -group.count)


def _failed(judged: Judged, scored: Sequence[Counted]) -> dict[tuple[str, str], list[Counted]]:
    """Failures by policy and by what they are filed under."""
    failed: dict[tuple[str, str], list[Counted]] = defaultdict(list)
    for one in scored:
        if not one.outcome.success and one.trial is not None:
            for reason in _reasons(one):
                failed[judged.labels[one.policy], reason].append(one)
    return failed


def _training(
    request: ExplainFailures, judged: Judged, scored: Sequence[Counted]
) -> tuple[list[FailureBesideTraining], list[str]]:
    """Failures beside the training episodes, and what is to be said of it."""
    from roboscale.jobs.why_training import MOST_EPISODES, TrainingStarts, beside_training
    from roboscale.policies.resolve import resolve_policy

    if not request.trained:
        asked = (
            ["--policy is not used without --trained, the datasets that it was trained on"] if request.policy else []
        )
        return [], asked
    if request.recorded is None:
        raise RoboscaleError("--trained needs --recorded, the dataset of the trials' episodes")
    starts, notes, policies = TrainingStarts(request.trained, request.recorded), [], {}
    if starts.left_out:
        notes.append(f"{starts.left_out} training episodes are not looked at: every n-th, {MOST_EPISODES} at most")
    for text in request.policy:
        policy = resolve_policy(text, world=None)
        label = next((label for who, label in judged.labels.items() if who.digest == policy.identity.digest), None)
        if label is None:
            notes.append(f"--policy {text} is not asked: none of the run has its content ({policy.identity.short})")
        else:
            policies[label] = policy
    good = {
        label: [c for c in scored if c.policy == who and c.outcome.success] for who, label in judged.labels.items()
    }
    rows = beside_training(starts, _failed(judged, scored), good, policies)
    if not rows:
        notes.append(f"no failure is an episode of {request.recorded}: none is laid beside training")
    elif len(policies) < len({row.policy for row in rows}):
        notes.append("the error without the loop is of those policies alone that --policy names")
    return rows, notes


def _reasons(one: Counted) -> list[str]:
    """What a failure is filed under: the scorer's tags, what the guard stopped for, or the words that were given."""
    said = one.outcome.reason
    tags = _TAG.findall(said)
    if tags:
        return list(dict.fromkeys(tags))
    if one.trial is not None and one.trial.end == "policy error":
        return [one.trial.reason.partition(":")[0]]
    return [said[:_WORDS] or "no reason was given"]


def _films(judged: Judged, scored: Sequence[Counted], ids: Sequence[str], recorded: Path | None) -> dict[str, bytes]:
    from roboscale.jobs.films import recorded_films

    if recorded is None:
        return {}
    chosen = [c for c in scored if c.trial is not None and c.trial.id in set(ids)]
    return {id_: film.mp4 for id_, film in recorded_films(judged, chosen, recorded).items()}


def _guard(judged: Judged, scored: Sequence[Counted]) -> list[tuple[str, str, int, int]]:
    rows = []
    for policy, label in judged.labels.items():
        mine = [c.outcome.measures for c in scored if c.policy == policy]
        for name in dict.fromkeys(name for measures in mine for name in measures if name.startswith("guard ")):
            counts = [int(measures.get(name) or 0) for measures in mine]
            if sum(counts):
                rows.append((label, name.removeprefix("guard "), sum(counts), sum(c > 0 for c in counts)))
    return rows


def _said(share: Any) -> str:
    return f"{round((share.value or 0) * share.n)} of {share.n} [{share.low:.2f}, {share.high:.2f}]"
