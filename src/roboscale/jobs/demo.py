"""The main job from one end to the other, on one machine: from ten demonstrations to a verdict."""

from __future__ import annotations

import datetime
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from roboscale.core.plain import SPREAD, Plain
from roboscale.jobs.events import OnEvent, Progress, Stage, Wrote, ignore
from roboscale.jobs.options import Workers
from roboscale.jobs.request import Option, Request

if TYPE_CHECKING:
    from roboscale.core import Estimate
    from roboscale.jobs.compare import ComparedPolicies

__all__ = ["RunDemo", "ShownDemo", "run_demo"]

MIN_PAIRS = 20  # rates of fewer cases have intervals that nobody would print


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDemo(Request):
    """Asks for all of it: record, multiply, train A and B, compare, report."""

    words: ClassVar[tuple[str, ...]] = ("demo",)

    out: Annotated[Path, Option("Folder for everything; the same folder resumes.", flag="--out/-o")] = Path("demo")
    tasks: Annotated[str, Option("Meta-World tasks, separated by commas.")] = "pick-place-v3,push-v3,bin-picking-v3"
    demonstrations: Annotated[int, Option("Demonstrations per task for policy A.", min=1)] = 10
    grown: Annotated[int, Option("Generated episodes per task for policy B.", min=1)] = 100
    inputs: Annotated[Literal["images", "state"], Option("images, or state (fast).")] = "images"
    steps: Annotated[int, Option("Optimiser steps for each policy.", min=1)] = 1500
    budget: Annotated[int, Option("Most paired cases.", min=1)] = 120
    seed: Annotated[int, Option("Seed of everything; defaults were tuned on 0.")] = 7
    workers: Workers = None

    @property
    def recorded(self) -> Path:
        """The dataset that policy A learns from."""
        return self.out / "recorded"

    @property
    def multiplied(self) -> Path:
        """The dataset that policy B learns from."""
        return self.out / "grown"


@dataclass(frozen=True, slots=True)
class ShownDemo(Plain):
    """What the demo came to."""

    compared: ComparedPolicies = field(metadata=SPREAD)
    report: Path
    minutes: float

    @property
    def lines(self) -> list[str]:
        """For a terminal."""
        return ["", self.compared.sentence, "", f"report: {self.report}"]


def run_demo(request: RunDemo, on_event: OnEvent = ignore) -> ShownDemo:
    """All five stages; each finds what is done and does the rest.

    >>> from pathlib import Path
    >>> from roboscale import RunDemo
    >>> RunDemo(out=Path("demo"), budget=30).command
    'roboscale demo --budget 30'

    Raises:
        UnknownName: the world has no such task.
    """
    started = time.monotonic()
    generation = _collect(request, on_event)
    _train(request, on_event)
    compared = _compare(request, on_event)
    page = _report(request, compared, generation, on_event)
    return ShownDemo(compared, page, (time.monotonic() - started) / 60)


def _collect(request: RunDemo, on_event: OnEvent) -> Estimate:
    """Records and multiplies; returns the share of generation attempts that were kept."""
    from roboscale.jobs.collect_generate import GenerateEpisodes, generate_episodes
    from roboscale.jobs.collect_record import RecordEpisodes, record_episodes
    from roboscale.stats import clopper_pearson

    on_event(Stage(1, 5, f"recording {request.demonstrations} demonstrations per task"))
    record_episodes(
        RecordEpisodes(
            out=request.recorded,
            tasks=request.tasks,
            episodes=request.demonstrations,
            seed=request.seed,
            workers=request.workers,
        ),
        on_event,
    )
    on_event(Stage(2, 5, f"multiplying them to {request.grown} per task"))
    made = generate_episodes(
        GenerateEpisodes(
            sources=request.recorded,
            out=request.multiplied,
            tasks=request.tasks,
            episodes=request.grown,
            seed=request.seed,
            workers=request.workers,
        ),
        on_event,
    ).collected
    return clopper_pearson(sum(c.successes for c in made.values()), sum(c.attempts for c in made.values()))


def _train(request: RunDemo, on_event: OnEvent) -> None:
    from roboscale.jobs.training import Training, train_all, training_config

    on_event(Stage(3, 5, "training policy A on the recorded, policy B on the grown set"))
    config = training_config(request.inputs, "", request.steps, request.seed)
    trainings = [
        Training(dataset, request.out / name, dict(config))
        for name, dataset in (("A", request.recorded), ("B", request.multiplied))
    ]

    def on_progress(index: int, done: int, total: int, loss: float) -> None:
        on_event(Progress(f"policy {'AB'[index]}", done, total, f"loss {loss:.4f}"))

    train_all(trainings, on_progress)


def _compare(request: RunDemo, on_event: OnEvent) -> ComparedPolicies:
    from roboscale.jobs.compare import Compare, compare
    from roboscale.jobs.files import write_json

    on_event(Stage(4, 5, f"trying A and B on the same held-out cases, at most {request.budget}"))
    compared = compare(
        Compare(
            policies=(str(request.out / "A"), str(request.out / "B")),
            tasks=request.tasks,
            budget=request.budget,
            min_pairs=min(request.budget, MIN_PAIRS),
            seed=request.seed,
            workers=request.workers,
            store=str(request.out),
        ),
        on_event=on_event,
    )
    write_json(request.out / "verdict.json", compared.to_json())
    return compared


def _report(request: RunDemo, compared: ComparedPolicies, generation: Estimate, on_event: OnEvent) -> Path:
    from roboscale.jobs.files import write_text
    from roboscale.jobs.films import film_cases
    from roboscale.jobs.judged import whole
    from roboscale.jobs.report_data import dataset_summary, report_data, training_curve
    from roboscale.report.trials import report_page
    from roboscale.trials.log import open_log

    on_event(Stage(5, 5, "filming the first cases and writing the report"))
    judged = compared.judged
    with open_log(request.out, read_only=True) as log:
        films = film_cases(judged, whole(log, judged.used), 4, None)
    first, second = judged.labels.values()
    data = report_data(
        judged,
        title=f"{request.demonstrations} demonstrations against {request.grown} made from them",
        created=datetime.date.today().isoformat(),
        store=str(request.out),
        command=request.command,
        descriptions={
            first: f"trained on {request.demonstrations} demonstrations per task",
            second: (f"trained on {request.grown} episodes per task, generated from those {request.demonstrations}"),
        },
        films=films,
        datasets=(
            dataset_summary(request.recorded, (first,)),
            dataset_summary(request.multiplied, (second,), generation),
        ),
        training=(training_curve(request.out / "A", first), training_curve(request.out / "B", second)),
        notes=(
            *compared.notes,
            "Cases of the comparison are held out: their seeds occur in no data set of this report.",
        ),
    )
    page = request.out / "report.html"
    write_text(page, report_page(data))
    on_event(Wrote("page", page))
    return page
