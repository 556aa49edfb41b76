"""Where the next hour of data buys most, from success at several amounts of several sources."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from roboscale.core import RoboscaleError
from roboscale.jobs import options
from roboscale.jobs.events import Note, OnEvent, Wrote, ignore
from roboscale.jobs.request import Argument, Option, Request

if TYPE_CHECKING:
    from roboscale.jobs.plan_measuring import Measuring
    from roboscale.jobs.planning import Planned

__all__ = ["ONE_RUN", "PlanCollection", "experiment_of", "plan_collection"]


ONE_RUN = "every amount was trained once: how far one training differs from the next is assumed (3 to 11 points)"
"""What must be said where no column tells training runs apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanCollection(Request):
    """Asks what to collect next.

    Args:
        sources: tables of success against data, or folders of an earlier `measure`.
        measure: run the experiment in a simulated world first; the fields that begin so belong to it.
        cost: `SOURCE=COST` of one unit of data.
        have: `SOURCE=AMOUNT` there is already.
    """

    words: ClassVar[tuple[str, ...]] = ("plan",)

    sources: Annotated[
        tuple[Path, ...],
        Argument("Tables with source (a+b for a mixture), demonstrations, successes, rollouts, task, policy, run."),
    ] = ()
    measure: Annotated[bool, Option("Run the experiment in a simulated world first.")] = False
    cost: Annotated[tuple[str, ...], Option("SOURCE=COST of one unit of data; default 1.")] = ()
    budget: Annotated[float, Option("What may be spent on a task, in the unit of the costs.", min=1e-9)] = 100.0
    have: Annotated[tuple[str, ...], Option("SOURCE=AMOUNT there is; default: the best measured.")] = ()
    target: Annotated[float, Option("Success rate to reach.", min=0.01, max=0.999)] = 0.9
    world: Annotated[str, Option("--measure: a simulated world with an expert.")] = "metaworld"
    tasks: Annotated[str, Option("--measure: tasks, with commas.")] = "push-v3,pick-place-v3"
    kinds: Annotated[str, Option("--measure: expert, generated, noisy.", flag="--sources")] = "expert,generated,noisy"
    sizes: Annotated[str, Option("--measure: demonstrations per task, ascending.")] = "1,2,3,5,8"
    trials: Annotated[int, Option("--measure: rollouts per task and policy.", min=1)] = 40
    steps: Annotated[int, Option("--measure: optimiser steps per policy.", min=1)] = 1500
    out: Annotated[Path, Option("--measure: folder; the same one resumes.", flag="--out/-o")] = Path("plan")
    html: Annotated[Path | None, Option("Write the plan as one offline page.")] = None
    seed: options.Seed = 0
    workers: options.Workers = None


def plan_collection(request: PlanCollection, on_event: OnEvent = ignore) -> Planned:
    """Fits success against data for each task and source, and says where the budget buys most.

    >>> done = plan_collection(PlanCollection(sources=(Path("points.csv"),), budget=120))
    >>> print(done.sentences()[0][:50])
    cup: collect 120 more demonstrations by teleop: ex

    With `measure`, collects, trains and tries first; every finished piece is kept, so that the same request goes on.

    Raises:
        RoboscaleError: there is no point to learn from, amounts are not understood, or the folder holds another
            experiment.
        BadData: a table is not understood.
    """
    from roboscale.jobs.files import write_json
    from roboscale.jobs.plan_answers import Planning
    from roboscale.jobs.plan_page import write_plan_page
    from roboscale.jobs.planning import load_points, parse_amounts, plan_tasks, read_predictions

    costs, have = parse_amounts(request.cost, "--cost"), parse_amounts(request.have, "--have")
    sources, page = request.sources, request.html
    if request.measure:
        from roboscale.jobs.plan_measuring import measure

        measure(experiment_of(request), on_event)
        sources, page = (*sources, request.out), page or request.out / "plan.html"
    table = load_points(sources)
    points = table.points
    checks = [check for path in sources if path.is_dir() for check in read_predictions(path, points)]
    asked = Planning(costs=costs, budget=request.budget, have=have, target=request.target)
    planned = plan_tasks(points, asked, checks)
    notes = (*table.notes, *(() if planned.runs else (ONE_RUN,)))
    planned = replace(planned, notes=notes)
    for note in notes:
        on_event(Note(note))
    if request.measure:
        write_json(request.out / "plan.json", planned.to_json())
    if page is not None:
        write_plan_page(planned, page, tuple(map(str, sources)), request.command)
        on_event(Wrote("page", page))
    return planned


def experiment_of(request: PlanCollection) -> Measuring:
    """What `measure` would run. RoboscaleError for sizes or sources that no experiment can have."""
    from roboscale.jobs.plan_measuring import Measuring

    try:
        sizes = tuple(int(word) for word in _words(request.sizes))
    except ValueError:
        raise RoboscaleError(f"--sizes: expected numbers with commas, found {request.sizes!r}") from None
    return Measuring(
        world=request.world,
        tasks=_words(request.tasks),
        sources=_words(request.kinds),
        sizes=sizes,
        trials=request.trials,
        steps=request.steps,
        out=request.out,
        seed=request.seed,
        workers=request.workers,
    )


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())
