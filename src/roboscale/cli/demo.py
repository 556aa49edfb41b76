"""`roboscale demo`: the main job from one end to the other, on one machine."""

from __future__ import annotations

import datetime
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roboscale.cli.console import DryRun, Json, Workers, count_bar, friendly, print_json, say, write_json

if TYPE_CHECKING:
    from roboscale.cli.judging import Judged
    from roboscale.core import Estimate
    from roboscale.trials import Collected

__all__ = ["demo"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What the demo does; every number can be changed from the command line."""

    out: Path
    tasks: tuple[str, ...]
    demonstrations: int
    grown: int
    inputs: str
    steps: int
    budget: int
    seed: int
    workers: int | None

    @property
    def recorded(self) -> Path:
        return self.out / "recorded"

    @property
    def multiplied(self) -> Path:
        return self.out / "grown"

    def command(self) -> str:
        """The command line that does it again."""
        return (
            f"roboscale demo --tasks {','.join(self.tasks)} --demonstrations {self.demonstrations} "
            f"--grown {self.grown} --inputs {self.inputs} --steps {self.steps} --budget {self.budget} "
            f"--seed {self.seed} --out {self.out}"
        )


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for everything; the same folder resumes.")] = Path(
        "demo"
    ),
    tasks: Annotated[
        str, typer.Option(help="Meta-World tasks, separated by commas.")
    ] = "pick-place-v3,push-v3,bin-picking-v3",
    demonstrations: Annotated[int, typer.Option(min=1, help="Demonstrations per task for policy A.")] = 10,
    grown: Annotated[int, typer.Option(min=1, help="Generated episodes per task for policy B.")] = 100,
    inputs: Annotated[str, typer.Option(help="images, or state (fast).")] = "images",
    steps: Annotated[int, typer.Option(min=1, help="Optimiser steps for each policy.")] = 1500,
    budget: Annotated[int, typer.Option(min=1, help="Most paired cases.")] = 120,
    seed: Annotated[int, typer.Option(help="Seed of everything; defaults were tuned on 0.")] = 7,
    workers: Workers = None,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """From ten demonstrations to a verdict: record, multiply, train A and B, compare, report."""
    with friendly():
        from roboscale.cli.judging import tasks_of

        plan = Plan(out, tasks_of("metaworld", tasks), demonstrations, grown, inputs, steps, budget, seed, workers)
        if dry_run:
            return say(f"would run: {plan.command()}")
        started = time.monotonic()
        judged = run(plan)
        assert judged.verdict is not None
        result = {
            "verdict": judged.verdict.to_json(),
            "report": str(out / "report.html"),
            "minutes": (time.monotonic() - started) / 60,
        }
        print_json(result) if as_json else print(f"\n{judged.verdict.sentence}\n\nreport: {out / 'report.html'}")


def run(plan: Plan) -> Judged:
    """All five stages; each finds what is done and does the rest."""
    generation = _collect(plan)
    _train(plan)
    judged = _compare(plan)
    _report(plan, judged, generation)
    return judged


def _collect(plan: Plan) -> Estimate:
    """Records and multiplies; returns the share of generation attempts that were kept."""
    from roboscale.cli.collecting import Filling, generate, record
    from roboscale.stats import clopper_pearson

    def filling(per_task: int, out: Path) -> Filling:
        return Filling("metaworld", plan.tasks, per_task, out, plan.seed, workers=plan.workers)

    say(f"1/5  recording {plan.demonstrations} demonstrations per task")
    with count_bar("recorded", plan.demonstrations * len(plan.tasks)) as advance:
        record(filling(plan.demonstrations, plan.recorded), "expert", lambda _: advance(1))
    say(f"2/5  multiplying them to {plan.grown} per task")
    with count_bar("generated", plan.grown * len(plan.tasks)) as advance:
        made: dict[str, Collected] = generate(
            filling(plan.grown, plan.multiplied), plan.recorded, lambda _: advance(1)
        )
    return clopper_pearson(sum(c.successes for c in made.values()), sum(c.attempts for c in made.values()))


def _train(plan: Plan) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    from roboscale.jobs.training import Training, train_all, training_config

    say("3/5  training policy A on the recorded, policy B on the grown set")
    config = training_config(plan.inputs, "", plan.steps, plan.seed)
    trainings = [
        Training(dataset, plan.out / name, dict(config))
        for name, dataset in (("A", plan.recorded), ("B", plan.multiplied))
    ]
    columns: list[Any] = [TextColumn("policy {task.description}"), BarColumn(24), TextColumn("{task.fields[note]}")]
    columns += [TimeElapsedColumn(), TimeRemainingColumn()]
    with Progress(*columns, console=Console(stderr=True)) as bars:
        rows = [bars.add_task(name, total=None, note="reading") for name in "AB"]

        def on_progress(index: int, done: int, total: int, loss: float) -> None:
            bars.update(rows[index], completed=done, total=total, note=f"step {done}/{total}, loss {loss:.4f}")

        train_all(trainings, on_progress)


def _compare(plan: Plan) -> Judged:
    from roboscale.cli.judge import run_judged, summarise
    from roboscale.cli.judging import Request, Stopping

    say(f"4/5  trying A and B on the same held-out cases, at most {plan.budget}")
    request = Request(
        (str(plan.out / "A"), str(plan.out / "B")),
        "metaworld",
        plan.tasks,
        -(-plan.budget // len(plan.tasks)),
        plan.seed,
    )
    stopping = Stopping(plan.budget, min_pairs=min(plan.budget, MIN_PAIRS))
    judged = run_judged(request, plan.out, plan.workers, 2 * plan.budget, stopping)
    assert judged.verdict is not None
    write_json(plan.out / "verdict.json", {**summarise(judged), "verdict": judged.verdict.to_json()})
    return judged


MIN_PAIRS = 20  # rates of fewer cases have intervals that nobody would print


def _report(plan: Plan, judged: Judged, generation: Estimate) -> None:
    from roboscale.cli.reporting import dataset_summary, report_data, training_curve
    from roboscale.report.html import render_report

    say("5/5  filming the first cases and writing the report")
    data = report_data(
        judged,
        title=f"{plan.demonstrations} demonstrations against {plan.grown} made from them",
        command=plan.command(),
        created=datetime.date.today().isoformat(),
        descriptions=(
            f"trained on {plan.demonstrations} demonstrations per task",
            f"trained on {plan.grown} episodes per task, generated from those {plan.demonstrations}",
        ),
        datasets=(
            dataset_summary(plan.recorded, ("A",)),
            dataset_summary(plan.multiplied, ("B",), generation),
        ),
        training=tuple(training_curve(plan.out / name, name) for name in "AB"),
        notes=("Cases of the comparison are held out: their seeds occur in no data set of this report.",),
    )
    (plan.out / "report.html").write_text(render_report(data), encoding="utf-8")
