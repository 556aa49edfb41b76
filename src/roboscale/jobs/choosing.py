"""Which cases a request tries: those of a file, a simulator's own seeds, or seeds that nothing was collected on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from roboscale.core import Case, Design, WorldInfo, cases
from roboscale.jobs.trying import Trying, expand_tasks, parse_seeds

__all__ = ["choose_cases", "first_cases"]


def choose_cases(
    request: Trying, info: WorldInfo, design: Design | None, count: int, say: Callable[[str], None]
) -> tuple[Case, ...]:
    """The schedule's cases, interleaved over tasks; with a design, at most its budget.

    Args:
        count: cases per task; with a design, over all tasks.
        say: gets a line for each option that another one makes useless, and where a budget and a list of cases differ.
    """
    from roboscale.trials import interleave
    from roboscale.trials.condition_set import ConditionSet

    if request.cases is not None:
        chosen = ConditionSet.load(request.cases)
        chosen.check(info)
        if chosen.split == "train":
            say(f"{request.cases}: its cases are of the split `train`: rates on them are not held out")
        _say_unused(request, ("tasks", "seed", "trials"), f"--cases {request.cases}", say)
        return _within(chosen.cases, design, f"--cases {request.cases}", say)
    tasks, seeds = expand_tasks(info, request.tasks), parse_seeds(request.seeds)
    if not seeds:
        each = -(-count // len(tasks)) if design is not None else count
        listed = interleave([first_cases(info, task, each, request.seed, say) for task in tasks])
        return listed if design is None else listed[: design.budget]
    if getattr(request, "trials", len(seeds)) != len(seeds):
        _say_unused(request, ("seed", "trials"), f"--seeds {request.seeds}", say)
    else:
        _say_unused(request, ("seed",), f"--seeds {request.seeds}", say)
    listed = interleave([tuple(Case(task, seed) for seed in seeds) for task in tasks])
    return _within(listed, design, f"--seeds {request.seeds}", say)


def first_cases(info: WorldInfo, task: str, count: int, seed: int, say: Callable[[str], None]) -> tuple[Case, ...]:
    """`count` held-out cases of a task: drawn from `seed`, or the first recorded ones where a world lists them."""
    if not info.listed:
        return cases(task, count, seed, "eval")
    there = info.listed.get(task, ())
    if len(there) < count:
        say(f"{info.name} has {len(there)} recorded starts of {task}, fewer than the {count} asked for: all are tried")
    return tuple(Case(task, start) for start in there[:count])


def _say_unused(request: Trying, names: tuple[str, ...], since: str, say: Callable[[str], None]) -> None:
    """One line on the options of these names that somebody gave."""
    default = {field.name: field.default for field in dataclasses.fields(request)}
    given = [name for name in names if name in default and getattr(request, name) != default[name]]
    if given:
        said = ", ".join(f"--{name} {getattr(request, name)}" for name in given)
        say(f"not used: {said}, since {since} says which cases are tried")


def _within(
    listed: tuple[Case, ...], design: Design | None, whose: str, say: Callable[[str], None]
) -> tuple[Case, ...]:
    """As many cases as the budget allows, and a line where that is another number."""
    if design is None or len(listed) == design.budget:
        return listed
    if len(listed) > design.budget:
        say(f"{whose} has {len(listed)} cases: only the first {design.budget} are tried, which is the budget")
    else:
        say(f"{whose} has {len(listed)} cases, fewer than the budget of {design.budget}: no more than these are tried")
    return listed[: design.budget]
