"""Reports to look at, made up but consistent; `PYTHONPATH=tests python -m report.samples FOLDER` writes them there."""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from roboscale.core import (
    Case,
    Counted,
    Design,
    Identity,
    Judgement,
    Measure,
    Outcome,
    PairedOutcome,
    RolloutSettings,
    Trial,
    Verdict,
    combine,
)
from roboscale.report.model import (
    DatasetCamera,
    DatasetSummary,
    FilmedCase,
    FilmedTrial,
    FilmStrip,
    PolicyResult,
    ReportData,
    RoundResult,
    SourceCount,
    TaskCount,
    TrainingCurve,
)
from roboscale.report.summaries import corrected_judgements, policy_result, void_overlaps, void_trials
from roboscale.report.video import encode_mp4, film_strip
from roboscale.stats import SequentialPaired, clopper_pearson
from roboscale.stats.many import ManyVerdict, compare_many_paired
from roboscale.stats.progress import EProcessProgress

TASKS = {
    "pick-place-v3": "Pick up the puck and hold it at the goal.",
    "push-v3": "Push the puck across the table to the goal.",
    "drawer-open-v3": "Pull the handle until the drawer is open.",
}
NAMES = ("ten demonstrations", "grown to 120")
WORLD = combine("metaworld", "3.1.1")
SECRETIVE = "the server does not say what it serves"
MEASURES = (
    Measure(name="peak_force", unit="N", about="damage"),
    Measure(name="dropped", unit="bool", about="damage"),
    Measure(name="off_table", unit="bool", about="damage"),
    Measure(name="joint_limit", unit="step", about="damage"),
)
ROLLOUT = RolloutSettings(horizon=500, rate_hz=80.0, execute=8, watch="success (first)")
VOID_AFTER = 9
SECOND = 10**9
NOON = 1_764_072_000 * SECOND
"""2025-11-25 12:00 UTC in nanoseconds since 1970."""
GONE = "policy server closed the connection (code 1011) three times"


def identity(name: str, unverified: bool = False) -> Identity:
    made = combine(name, "weights of", name)
    return dataclasses.replace(made, unverified=(SECRETIVE,)) if unverified else made


def counted(
    policy: Identity,
    case: Case,
    won: bool | None,
    *,
    progress: float | None = None,
    end: str = "",
    reason: str = "",
    pending: bool = False,
    corrected: bool = False,
    measures: dict[str, float | None] | None = None,
    clipped: int = 0,
    at: int = 0,
) -> Counted:
    """One case as the log gives it."""
    status = {True: "success", False: "failure", None: "void"}[won]
    ended = end or {True: "decided", False: "truncated", None: "truncated" if pending else "void"}[won]
    trial = Trial(
        policy=policy,
        world=WORLD,
        case=case,
        settings=ROLLOUT,
        end=ended,  # type: ignore[arg-type]
        reason=reason,
        steps=500 if not won else 83,
        clipped=clipped,
        started_ns=NOON + 60 * at * SECOND,
    )
    said = [Judgement(trial=trial.id, referee="success (first)", time_ns=NOON, state="decided", success=won)]
    if corrected:
        said[0] = dataclasses.replace(said[0], success=not won)
        person = {"referee": "person", "by": "Ada", "reason": "the cup stood beside the saucer"}
        said.append(Judgement(trial=trial.id, time_ns=NOON + 3600 * SECOND, state="decided", success=won, **person))
    outcome = Outcome(status, reason, progress=progress, steps=trial.steps, measures=measures or {})  # type: ignore[arg-type]
    return Counted(
        policy=policy,
        world=WORLD,
        case=case,
        outcome=outcome,
        attempt=2 if won is None and not pending else 0,
        pending=pending,
        trial=trial,
        judgements=() if pending or won is None else tuple(said),
    )


def cases(count: int) -> list[Case]:
    """Interleaved over the tasks."""
    return [Case([*TASKS][i % len(TASKS)], 1_817_341 + i) for i in range(count)]


def study(
    names: Sequence[str] = NAMES,
    count: int = 60,
    *,
    seed: int = 8,
    unverified: Sequence[str] = (),
    pending: int = 0,
    corrected: int = 0,
    progress: bool = False,
) -> dict[str, list[Counted]]:
    """Trials of policies on the same cases, the later ones better; one trial of the last policy is void."""
    rng = np.random.default_rng(seed)
    results: dict[str, list[Counted]] = {name: [] for name in names}
    for index, case in enumerate(cases(count)):
        for place, name in enumerate(names):
            rate = 0.42 + 0.43 * place / max(1, len(names) - 1)
            won: bool | None = bool(rng.random() < rate)
            force = float(rng.choice([0.0, 1.5, 3.25, 12.0, 41.0, 118.5]))
            void = index == VOID_AFTER and place == len(names) - 1
            results[name].append(
                counted(
                    identity(name, name in unverified),
                    case,
                    None if void or index >= count - pending else won,
                    progress=(1.0 if won else round(float(rng.random()) * 0.8, 2)) if progress and not void else None,
                    reason=GONE if void else "",
                    pending=index >= count - pending and not void,
                    corrected=index < corrected and place == 0,
                    measures={"peak_force": force, "dropped": float(force > 40), "off_table": 0.0},
                    clipped=int(force),
                    at=index,
                )
            )
    return results


def results_of(results: dict[str, list[Counted]], **options: Any) -> tuple[PolicyResult, ...]:
    described = ("10 recorded demonstrations a task", "the same 10, multiplied in physics", "", "", "", "")
    return tuple(
        policy_result(name, own, measures=MEASURES, instructions=TASKS, description=words, **options)
        for (name, own), words in zip(results.items(), described, strict=False)
    )


def decide(results: dict[str, list[Counted]]) -> tuple[Verdict, dict[str, list[Counted]]]:
    """The verdict on the first two policies, and the trials up to it."""
    first, second = results
    rule = SequentialPaired(budget=len(results[first]), names=(first, second))
    for index, (a, b) in enumerate(zip(results[first], results[second], strict=True)):
        if rule.update(PairedOutcome(a.case.task, a.outcome.success, b.outcome.success)):
            return rule.verdict(), {name: own[: index + 1] for name, own in results.items()}
    return rule.verdict(), results


def scene(steps: int, reached: float, hue: int, size: int = 160) -> np.ndarray:
    """A block that travels towards a goal: (steps, size, size * 4 / 3, 3) uint8."""
    width = size * 4 // 3
    frames = np.full((steps, size, width, 3), (206, 198, 184), np.uint8)
    frames[:, size * 5 // 8 :] = (150, 126, 98)
    frames[:, size * 5 // 8 : size * 6 // 8, width * 6 // 8 : width * 7 // 8] = (92, 150, 96)
    for t, frame in enumerate(frames):
        x = int((0.1 + 0.66 * reached * min(1.0, 1.15 * t / max(1, steps - 1))) * width)
        frame[size * 4 // 8 : size * 6 // 8, x : x + width // 10] = (200, hue, 60)
        frame[: size * 4 // 8, x + width // 25 : x + width // 17] = (70, 74, 82)
    return frames


def films(names: Sequence[str] = NAMES, count: int = 4, *, left_out: int = -1) -> tuple[FilmedCase, ...]:
    """Films of every policy on `count` cases; those of case `left_out` ended otherwise when they were replayed."""
    made = []
    for index, case in enumerate(cases(count)):
        clips = []
        for place, name in enumerate(names):
            won = place == len(names) - 1
            out = index == left_out and place == 0
            clips.append(
                FilmedTrial(
                    policy=name,
                    status="success" if won else "failure",
                    origin="left out: the replay ended differently"
                    if out
                    else "recorded while tried"
                    if place
                    else "replayed, same outcome",
                    mp4=b"" if out else encode_mp4(scene(30 if won else 45, 0.6 + 0.4 * won, 70 + 30 * index), 15),
                    steps=83 + index if won else 500,
                    reason="" if won else "horizon reached",
                )
            )
        made.append(FilmedCase(case=case.id, task=case.task, instruction=TASKS[case.task], films=tuple(clips)))
    return tuple(made)


def datasets() -> tuple[DatasetSummary, ...]:
    cameras = (DatasetCamera("front", 128, 128, "h264"), DatasetCamera("wrist", 128, 128, "h264"))
    strip = FilmStrip("pick-place-v3, generated from episode 4", film_strip(scene(30, 1.0, 90, 96)))
    common: dict[str, Any] = {"fps": 20.0, "cameras": cameras, "film_strips": (strip,)}
    few = tuple(TaskCount(task, 10, 870) for task in TASKS)
    many = tuple(TaskCount(task, 120, 10_512) for task in TASKS)
    return (
        DatasetSummary(
            name="demonstrations",
            episodes=30,
            frames=2_610,
            hours=2_610 / 20 / 3600,
            tasks=few,
            sources=(SourceCount("simulation.record", 30),),
            used_by=NAMES[:1],
            **common,
        ),
        DatasetSummary(
            name="grown",
            episodes=360,
            frames=31_536,
            hours=31_536 / 20 / 3600,
            tasks=many,
            sources=(SourceCount("simulation.record", 30), SourceCount("simulation.generate", 330, parents=30)),
            generation=clopper_pearson(330, 361),
            used_by=NAMES[1:],
            **common,
        ),
    )


def training() -> tuple[TrainingCurve, ...]:
    steps = tuple(range(0, 3001, 25))
    curves = []
    for index, name in enumerate(NAMES):
        rng = np.random.default_rng(index)
        loss = [1.1 * math.exp(-s / 420) + 0.022 * (2 - index) + 0.01 * rng.random() for s in steps]
        held_out = [
            value + 0.04 * (1 - index) * min(1.0, s / 1500) + 0.012 for s, value in zip(steps, loss, strict=True)
        ]
        settings = {"family": "flow matching", "inputs": "images, state, instruction", "steps": 3000, "batch": 64}
        settings |= {"learning rate": 0.001, "chunk": 16, "episodes": (30, 360)[index]}
        curve = TrainingCurve(
            policy=name, steps=steps, loss=tuple(loss), validation_loss=tuple(held_out), settings=settings
        )
        curves.append(curve)
    return tuple(curves)


def build(**changes: Any) -> ReportData:
    """Two policies, compared until it was decided, with everything that a report can show of a clean run."""
    verdict, results = decide(study())
    data = ReportData(
        title="Ten demonstrations, or the same ten multiplied?",
        policies=results_of(results),
        verdict=verdict,
        films=films(),
        voids=void_trials(results),
        overlaps=void_overlaps(results),
        datasets=datasets(),
        training=training(),
        referee="success (first)",
        rollout=ROLLOUT,
        design=Design(budget=200),
        seeds={"cases": 0, "training": 0, "generation": 0},
        settings={"policies in turn": True, "void retries": 2},
        method=("Meta-World's own success condition decides; the trial ends when it first holds.",),
        command="roboscale compare runs/demo/ten runs/demo/grown --world metaworld "
        "--tasks pick-place-v3,push-v3,drawer-open-v3 --alpha 0.05 --budget 200 --seed 0",
        created="2026-11-22",
        versions={"roboscale": "0.1.0", "python": "3.11.9", "numpy": "2.4.6", "torch": "2.13.0+cpu"},
    )
    return dataclasses.replace(data, **changes)


def build_doubtful(**changes: Any) -> ReportData:
    """Two policies with every doubt that a report can show."""
    names = ("ours", "served elsewhere")
    results = study(names, 40, unverified=names[1:], pending=5, corrected=3)
    hard = [i for i, c in enumerate(results[names[0]]) if c.outcome.success is False]
    for i in hard[:7]:
        case = results[names[1]][i].case
        results[names[1]][i] = counted(identity(names[1], True), case, None, reason="MemoryError: in a long episode")
    for i in hard[:3]:
        case = results[names[0]][i].case
        wrong = "an action chunk has shape (H, D) with H >= 1, found [1, 16, 7]"
        results[names[0]][i] = counted(identity(names[0]), case, False, end="policy error", reason=wrong)
    verdict, _ = decide(results)
    before = dataclasses.replace(
        verdict, decision="no difference shown", sentence="No difference shown between ours and served elsewhere"
    )
    data = ReportData(
        title="Ours against a server somewhere",
        policies=results_of(results, behaviour=("seed-dependent", "batch-dependent")),
        verdict=verdict,
        extremes={
            "all void trials of served elsewhere had failed": before,
            "all void trials of served elsewhere had succeeded": verdict,
        },
        before_corrections=before,
        corrections=corrected_judgements(results),
        rounds=(
            RoundResult(policy=names[0], round=0, success=clopper_pearson(11, 30), started_ns=NOON - 86_400 * SECOND),
            RoundResult(policy=names[0], round=1, success=clopper_pearson(15, 35), started_ns=NOON),
            RoundResult(policy=names[1], round=0, success=clopper_pearson(20, 30, void=2), started_ns=NOON),
        ),
        films=films(names, 2, left_out=0),
        voids=void_trials(results),
        overlaps=void_overlaps(results),
        judge_command="roboscale judge runs/served",
        referee="person",
        rollout=ROLLOUT,
        design=Design(budget=40),
        notes=(
            "5 of 40 trials were found and not tried again: tried 2026-11-25 22:51 to 22:53 UTC",
            "The world's rate was guessed from its render_fps: 80 Hz",
        ),
    )
    return dataclasses.replace(data, **changes)


def build_many(**changes: Any) -> ReportData:
    """Four policies on the same cases, and all their pairs."""
    names = ("ACT 10", "ACT 100", "diffusion 100", "pi0 (fast)")
    results = study(names, 48)
    verdict = compare_many_paired({name: [c.outcome.success for c in own] for name, own in results.items()})
    assert isinstance(verdict, ManyVerdict)
    data = ReportData(
        title="Four policies in one kitchen",
        policies=results_of(results),
        verdict=verdict,
        films=films(names, 2),
        voids=void_trials(results),
        overlaps=void_overlaps(results),
        referee="success (first)",
        rollout=ROLLOUT,
        command="roboscale compare a b c d --world kitchen",
    )
    return dataclasses.replace(data, **changes)


def build_progress(**changes: Any) -> ReportData:
    """Two policies compared by their progress."""
    results = study(count=50, progress=True)
    rule = EProcessProgress(names=NAMES)
    for a, b in zip(*results.values(), strict=True):
        if rule.update(a.outcome.progress, b.outcome.progress):
            break
    data = ReportData(
        title="How far do they come?",
        policies=results_of(results),
        outcome="progress",
        verdict=rule.verdict(),
        voids=void_trials(results),
        referee="stages (person)",
        rollout=ROLLOUT,
        design=Design(budget=50, outcome="progress"),
    )
    return dataclasses.replace(data, **changes)


def build_single(policy: str = "expert", **changes: Any) -> ReportData:
    """What `roboscale eval` hands over: one policy, no verdict, no video."""
    own = [counted(identity(policy), case, index != 3) for index, case in enumerate(cases(15))]
    data = ReportData(
        title=f"{policy} on metaworld",
        policies=(policy_result(policy, own, instructions=TASKS),),
        referee="success (first)",
        rollout=ROLLOUT,
        command=f"roboscale eval --policy {policy}",
    )
    return dataclasses.replace(data, **changes)


if __name__ == "__main__":
    from roboscale.report.trials import report_page

    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for make in (build, build_doubtful, build_many, build_progress, build_single):
        (folder / f"{make.__name__}.html").write_text(report_page(make()), encoding="utf-8")
