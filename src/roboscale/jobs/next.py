"""The next comparisons to run, by what each is expected to buy for its cost."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from roboscale.core.plain import SPREAD, Plain
from roboscale.jobs.events import OnEvent, ignore
from roboscale.jobs.options import By, Sources
from roboscale.jobs.reading_options import TableRequest
from roboscale.jobs.request import Option

if TYPE_CHECKING:
    from roboscale.stats.next_trial import Plan

__all__ = ["PickTrials", "Picked", "pick_trials"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PickTrials(TableRequest):
    """Asks which comparisons to run next.

    Args:
        goal: `order` of all policies, or which is the `best`: the order of the others is then left open.
        world: `NAME:COST[:WORTH[:BUDGET]]` of each venue; one that is called real and costs 1 where none is named.
        evaluator: `NAME:SLOTS`, who can run how many in every venue.
    """

    words: ClassVar[tuple[str, ...]] = ("next",)

    sources: Sources
    world: Annotated[tuple[str, ...], Option("NAME:COST[:WORTH[:BUDGET]], cost of one comparison; may repeat.")] = ()
    budget: Annotated[float | None, Option("Most to spend, in the unit of the costs.", min=0)] = None
    count: Annotated[int, Option("Most comparisons to name.", min=1)] = 10
    evaluator: Annotated[tuple[str, ...], Option("NAME:SLOTS, who can run how many.")] = ()
    goal: Annotated[
        Literal["order", "best"], Option("order of all policies, or best: only who leads is to be settled.")
    ] = "order"
    by: By = "auto"
    only_world: Annotated[str, Option("Only rows of this world, place or robot.", flag="--in-world")] = ""


@dataclass(frozen=True, slots=True)
class Picked(Plain):
    """The comparisons, in order, each with its reason."""

    plan: Plan = field(metadata=SPREAD)


def pick_trials(request: PickTrials, on_event: OnEvent = ignore) -> Picked:
    """Names the next comparisons, in order, from what the results say so far.

    >>> done = pick_trials(PickTrials(sources=("trials.csv",), world=("robot:1", "simulator:0.05:0.4"), count=2))
    >>> len(done.plan.picks)
    2

    Raises:
        RoboscaleError: a venue or an evaluator is not understood.
        BadData: a file is not understood, or nothing is in them.
    """
    from roboscale.jobs.picking import next_picks, parse_venue
    from roboscale.jobs.result_files import load_results

    venues = [parse_venue(text) for text in request.world or ("real:1",)]
    budget = request.budget
    if budget is not None:
        venues = [replace(v, budget=budget if v.budget is None else min(v.budget, budget)) for v in venues]
    results = load_results(request.sources, request.reading_options(), on_event)
    plan = next_picks(
        results,
        venues,
        count=request.count,
        evaluators=request.evaluator,
        basis=request.by,
        goal=request.goal,
    )
    return Picked(plan)
