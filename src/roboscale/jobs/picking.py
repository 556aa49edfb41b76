"""From results and venues to the comparisons that would say most."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from roboscale.core import Counted, RoboscaleError
from roboscale.jobs.result_files import trials_by_policy
from roboscale.jobs.standing import Basis, choose_basis, comparisons_of
from roboscale.results import Results
from roboscale.stats.next_trial import (
    CaseRecord,
    Goal,
    Plan,
    Venue,
    knowledge_from_comparisons,
    knowledge_from_counts,
    next_trials,
)

__all__ = ["next_picks", "parse_venue"]


def parse_venue(text: str) -> Venue:
    """`NAME:COST[:WORTH[:BUDGET]]`, e.g. `real:1` or `sim:0.02:0.5`."""
    name, *numbers = text.split(":")
    try:
        values = [float(number) for number in numbers]
        cost, worth, *rest = [*values, *(1.0, 1.0)[len(values) :]]
        return Venue(name, cost=cost, budget=rest[0] if rest else None, evaluators={}, worth=worth)
    except ValueError as error:
        expected = "NAME:COST[:WORTH[:BUDGET]] with COST above 0 and WORTH in 0..1"
        raise RoboscaleError(f"--world: expected {expected}, found {text!r}: {error}") from error


def next_picks(
    results: Results,
    venues: Sequence[Venue],
    *,
    count: int,
    evaluators: Sequence[str] = (),
    tasks: int = 0,
    basis: Basis = "auto",
    goal: Goal = "order",
) -> Plan:
    """The next comparisons to run, in order, from what the results say so far.

    Args:
        evaluators: `NAME:SLOTS`, who can run how many in every venue.
        tasks: how many fresh scenes of each task may be added; by default as many as there are picks.
        goal: the order of all policies, or which of them is the best.
    """
    people = dict(_evaluator(text) for text in evaluators)
    if people:
        venues = [Venue(v.world, cost=v.cost, budget=v.budget, evaluators=people, worth=v.worth) for v in venues]
    chosen = choose_basis(results, basis)
    if chosen == "success" and not results.paired:
        counts = {n: _counts(t) for n, t in trials_by_policy(results).items()}
        known = knowledge_from_counts(counts)
    else:
        known = knowledge_from_comparisons(comparisons_of(results, chosen))
    return next_trials(known, venues, _cases(results, tasks or count), count, goal=goal)


def _evaluator(text: str) -> tuple[str, int]:
    name, _, slots = text.partition(":")
    if not (name and slots.isdigit()):
        raise RoboscaleError(f"--evaluator: expected NAME:SLOTS such as ada:10, found {text!r}")
    return name, int(slots)


def _counts(trials: Sequence[Counted]) -> tuple[int, int]:
    won = [t.outcome.success for t in trials if t.outcome.success is not None]
    return sum(won), len(won)


def _cases(results: Results, fresh: int) -> list[CaseRecord]:
    """Fresh scenes of every task: a scene that was tried already says less about the rest."""
    tried: dict[str, list[Counted]] = defaultdict(list)
    for trial in results.trials:
        tried[trial.case.task].append(trial)
    names = sorted(tried) or ["all"]
    return [
        CaseRecord(f"{task}, new scene {k + 1}", *_typical(tried.get(task, [])))
        for task in names
        for k in range(fresh)
    ]


def _typical(trials: Sequence[Counted]) -> tuple[int, int]:
    """What to expect of one more scene of a task: its rate, as if from two trials."""
    won, n = _counts(trials)
    return (round(2 * won / n), 2) if n else (0, 0)
