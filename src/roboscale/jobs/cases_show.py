"""Shows the cases of a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from roboscale.jobs.request import Argument, Request

if TYPE_CHECKING:
    from roboscale.trials.condition_set import ConditionSet

__all__ = ["ShowCases", "show_cases"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowCases(Request):
    """Asks what a file of cases holds."""

    words: ClassVar[tuple[str, ...]] = ("cases", "show")

    file: Annotated[Path, Argument("The file of cases.")]


def show_cases(request: ShowCases) -> ConditionSet:
    """The condition set in a file; no world is needed.

    >>> from pathlib import Path
    >>> from roboscale import MakeCases, ShowCases, make_cases, show_cases
    >>> made = make_cases(MakeCases(out=Path("cases.json"), tasks="reach-v3,push-v3", count=2))
    >>> [case.task for case in show_cases(ShowCases(file=Path("cases.json"))).cases]
    ['reach-v3', 'push-v3', 'reach-v3', 'push-v3']

    Raises:
        BadData: the file is no condition set, or was edited by hand.
    """
    from roboscale.trials.condition_set import ConditionSet

    return ConditionSet.load(request.file)
