"""Checks that a world can set up every case of a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from roboscale.jobs.request import Argument, Option, Request

if TYPE_CHECKING:
    from roboscale.trials.condition_set import ConditionSet

__all__ = ["CheckCases", "check_cases"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckCases(Request):
    """Asks whether a file of cases is whole, and fits a world."""

    words: ClassVar[tuple[str, ...]] = ("cases", "check")

    file: Annotated[Path, Argument("The file of cases.")]
    world: Annotated[str, Option("A world of `roboscale world list`, a TOML file, or file.py:Name.")] = "metaworld"


def check_cases(request: CheckCases) -> ConditionSet:
    """The condition set, when its digest is true and the world has all of its tasks, starts and variations.

    >>> from pathlib import Path
    >>> from roboscale import CheckCases, MakeCases, check_cases, make_cases
    >>> made = make_cases(MakeCases(out=Path("cases.json"), tasks="reach-v3", count=4))
    >>> len(check_cases(CheckCases(file=Path("cases.json"))).cases)
    4

    Raises:
        BadData: the file is no condition set, or was edited by hand.
        UnknownName: the world cannot set a case up.
    """
    from roboscale.jobs.trying import world_and_tasks
    from roboscale.trials.condition_set import ConditionSet

    info, _ = world_and_tasks(request.world, "all")
    loaded = ConditionSet.load(request.file)
    loaded.check(info)
    return loaded
