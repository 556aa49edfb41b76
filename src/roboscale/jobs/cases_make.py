"""Writes down which cases are to be tried, before anything is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from roboscale.core import Case, cases
from roboscale.jobs.events import OnEvent, Wrote, ignore
from roboscale.jobs.options import Seed
from roboscale.jobs.request import Argument, Option, Request

if TYPE_CHECKING:
    from roboscale.trials.condition_set import ConditionSet

__all__ = ["MakeCases", "make_cases"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeCases(Request):
    """Asks for a file of cases."""

    words: ClassVar[tuple[str, ...]] = ("cases", "make")

    out: Annotated[Path, Argument("The file that is written.")]
    world: Annotated[str, Option("A world of `roboscale world list`, a TOML file, or file.py:Name.")] = "metaworld"
    tasks: Annotated[str, Option("Task names separated by commas, or `all`.")] = "all"
    count: Annotated[int, Option("Cases per task.", min=1)] = 50
    seed: Seed = 0
    seeds: Annotated[str, Option("The simulator's own seeds instead: 1000:1050, or separated by commas.")] = ""
    split: Annotated[Literal["test", "train"], Option("test where they are held out, train where data is.")] = "test"
    name: Annotated[str, Option("What people call the set. Default: the file's name.")] = ""


def make_cases(request: MakeCases, on_event: OnEvent = ignore) -> ConditionSet:
    """A condition set: the cases, in the order in which they count, and a digest that two people can compare.

    >>> from pathlib import Path
    >>> from roboscale import MakeCases, make_cases
    >>> made = make_cases(MakeCases(out=Path("cases.json"), tasks="reach-v3", seeds="1000:1003"))
    >>> [case.id for case in made.cases][0]
    'reach-v3/nominal/1000'

    Raises:
        UnknownName: the world has no such task.
    """
    from roboscale.jobs.files import write_json
    from roboscale.jobs.trying import parse_seeds, world_and_tasks
    from roboscale.trials import interleave
    from roboscale.trials.condition_set import ConditionSet

    info, tasks = world_and_tasks(request.world, request.tasks)
    seeds = parse_seeds(request.seeds)
    split = "eval" if request.split == "test" else "collect"
    per_task = [
        tuple(Case(task, seed) for seed in seeds) if seeds else cases(task, request.count, request.seed, split)  # type: ignore[arg-type]
        for task in tasks
    ]
    made = ConditionSet(request.name or request.out.stem, interleave(per_task), request.split)
    made.check(info)
    write_json(request.out, made.to_json())
    on_event(Wrote("cases", request.out))
    return made
