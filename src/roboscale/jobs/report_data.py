"""From a run to the data of its report; datasets and trained policies beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from roboscale.core import Estimate, EvidenceRow, Measure
from roboscale.jobs.judged import Judged, reasons, unequal_starts
from roboscale.jobs.learned import imagined_doubts
from roboscale.jobs.perturbing import duels_of, robustness_of
from roboscale.jobs.sweeping import sensitivity_of
from roboscale.report import (
    DatasetCamera,
    DatasetSummary,
    FilmedCase,
    FilmStrip,
    ReportData,
    RoundResult,
    SourceCount,
    TaskCount,
    TrainingCurve,
)
from roboscale.report.summaries import (
    corrected_judgements,
    detector_agreements,
    policy_result,
    scorer_agreements,
    void_overlaps,
    void_trials,
)

if TYPE_CHECKING:
    from roboscale.dataset import Dataset
    from roboscale.report import PolicyResult
    from roboscale.stats.deciding import AnyVerdict

__all__ = ["dataset_summary", "policy_results", "report_data", "training_curve"]


def policy_results(judged: Judged, descriptions: Mapping[str, str] | None = None) -> tuple[PolicyResult, ...]:
    """What every policy of a run achieved, for pages and terminals."""
    from roboscale.stats import beta_confidence_sequence, clopper_pearson

    measures = [Measure(**m) for m in judged.run.world_info.get("measures", ()) if m.get("about") == "damage"]
    results = []
    for policy, label in judged.labels.items():
        result = policy_result(
            label,
            judged.of(policy),
            measures=measures,
            instructions=judged.run.world_info.get("tasks", {}),
            interval=beta_confidence_sequence if judged.sequential else clopper_pearson,
            description=(descriptions or {}).get(label, ""),
            behaviour=("batch-dependent",) if label in judged.batch_dependent else (),
        )
        pending = sum(c.policy == policy for c in judged.pending)
        spent = judged.time(policy)
        results.append(replace(result, identity=policy, world=judged.run.world, pending=pending, time=spent))
    return tuple(results)


def report_data(
    judged: Judged,
    *,
    title: str,
    created: str,
    store: str = "",
    command: str | None = None,
    descriptions: Mapping[str, str] | None = None,
    films: Sequence[FilmedCase] = (),
    datasets: Sequence[DatasetSummary] = (),
    training: Sequence[TrainingCurve] = (),
    notes: Sequence[str] = (),
    worse_pictures: Sequence[FilmStrip] = (),
    gathered: Mapping[str, Mapping[str, tuple[FilmedCase, ...]]] | None = None,
) -> ReportData:
    """Everything the page shows."""
    run = judged.run
    results = {label: judged.of(policy) for policy, label in judged.labels.items()}
    decided, before = judged.decided, judged.before
    recipes = judged.of_recipes
    asked: Mapping[str, Any] = run.request.get("fields", {})
    return ReportData(
        title=title,
        policies=policy_results(judged, descriptions),
        outcome="success" if run.design is None else run.design.outcome,
        verdict=recipes.verdict if recipes is not None else None if decided is None else decided.verdict,
        unit=judged.unit,
        extremes=_extremes(judged),
        before_corrections=None if before is None else before.verdict,
        corrections=corrected_judgements(results),
        scorers=scorer_agreements(judged.used),
        detectors=detector_agreements(judged.used),
        rounds=_rounds(judged),
        perturbed=robustness_of(judged),
        duels=duels_of(judged),
        swept=sensitivity_of(judged),
        worse_pictures=tuple(worse_pictures),
        gathered=gathered or {},
        films=tuple(films),
        voids=void_trials(results),
        overlaps=void_overlaps(results),
        judge_command=f"roboscale trials judge {store} --trial ID --success" if judged.pending and store else None,
        datasets=tuple(datasets),
        training=tuple(training),
        referee=run.settings.watch,
        rollout=run.settings,
        design=run.design,
        seeds={"cases": asked.get("seed")},
        settings={
            "world": f"{run.world.name}, {run.world_info.get('version', '')}",
            "retries of void trials": asked.get("retries"),
            "cases": len(run.cases),
        },
        time=judged.time(),
        notes=tuple(dict.fromkeys((*notes, *_said(judged)))),
        command=command,
        created=created,
        versions=dict(run.versions),
    )


def _said(judged: Judged) -> list[str]:
    """What was said while the run went on, and what its trials say now."""
    withdrawn = () if judged.decided is None else judged.decided.withdrawn
    now = (unequal_starts(judged), *imagined_doubts(judged), *withdrawn, *reasons(judged.used, judged.labels))
    return [line for line in (*judged.recipe_lines, *judged.notes, *now) if line]


def _extremes(judged: Judged) -> dict[str, AnyVerdict]:
    """What the verdict would be with every void trial a failure, and with every one a success."""
    from roboscale.stats.deciding import decide
    from roboscale.trials import evidence_of

    if judged.decided is None or not judged.void or judged.replicates > 1:
        return {}
    cases = list(dict.fromkeys(c.case for c in judged.used))
    evidence = evidence_of(judged.used, judged.run.policies, cases, judged.run.design)
    verdicts = {}
    for said, value in (("void trials failed", 0.0), ("void trials succeeded", 1.0)):
        rows = [
            EvidenceRow(row.case, {p: value if v is None else v for p, v in row.outcomes.items()})
            for row in evidence.rows
        ]
        verdicts[said] = decide(replace(evidence, rows=tuple(rows))).verdict
    return verdicts


def _rounds(judged: Judged) -> tuple[RoundResult, ...]:
    """What every round gave, where there was more than one."""
    from roboscale.jobs.judged import rounds_of

    rows = []
    for policy, label in judged.labels.items():
        for number, counted in rounds_of(judged, policy).items():
            started = min((c.trial.started_ns for c in counted if c.trial is not None), default=0)
            rows.append(RoundResult(policy=label, round=number, success=judged.rate(counted), started_ns=started))
    return tuple(rows) if len({row.round for row in rows}) > 1 else ()


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
        cameras=tuple(DatasetCamera(f.name.rsplit(".", 1)[-1], f.shape[1], f.shape[0]) for f in dataset.spec.images),
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
    return TrainingCurve(
        policy=policy, steps=tuple(s for s, _ in losses), loss=tuple(x for _, x in losses), settings=settings
    )
