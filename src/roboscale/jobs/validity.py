"""Whether a cheap world is a valid judge of policies: its validity card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from roboscale.jobs.events import OnEvent, Wrote, ignore
from roboscale.jobs.options import Html, Level
from roboscale.jobs.request import Option, Request

if TYPE_CHECKING:
    from roboscale.stats.validity import ValidityCard

__all__ = ["CheckValidity", "CheckedValidity", "check_validity"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckValidity(Request):
    """Asks whether the world of `cheap` orders policies as that of `real` does."""

    words: ClassVar[tuple[str, ...]] = ("validity",)

    real: Annotated[str, Option("Results on the real robot; any form that `rank` reads.")]
    cheap: Annotated[str, Option("Results of the same policies in the cheap world.")]
    task: Annotated[str, Option("Only this task; default: all tasks together.")] = ""
    level: Level = 0.95
    html: Html = None


@dataclass(frozen=True, slots=True)
class CheckedValidity:
    """The validity card of the cheap world, and the counts it was made from: policy -> (successes, trials)."""

    card: ValidityCard
    real: Mapping[str, tuple[int, int]]
    cheap: Mapping[str, tuple[int, int]]

    def to_json(self) -> dict[str, Any]:
        return self.card.to_json()


def check_validity(request: CheckValidity, on_event: OnEvent = ignore) -> CheckedValidity:
    """Compares two worlds over the policies that were tried in both; others are noted and listed as left out.

    >>> done = check_validity(CheckValidity(real="robot.csv", cheap="simulator.csv"))
    >>> done.card.policies
    ('fair', 'good', 'poor')

    Raises:
        RoboscaleError: no policy was tried in both worlds.
        BadData: a file is not understood, or nothing is in it.
    """
    from roboscale.jobs.files import write_text
    from roboscale.jobs.two_worlds import counts_of_scores, load_scores, shared_policies
    from roboscale.jobs.versions import versions
    from roboscale.report.validity import ValidityData, validity_page
    from roboscale.stats.validity import validity

    worlds = [load_scores(source, request.task, on_event) for source in (request.real, request.cheap)]
    shared_policies(worlds[0], worlds[1], on_event)
    real, cheap = ({name: counts_of_scores(scores) for name, scores in world.items()} for world in worlds)
    card = validity(real, cheap, level=request.level)
    if request.html is not None:
        sources = (request.real, request.cheap)
        data = ValidityData.of(card, real, cheap, sources=sources, command=request.command, versions=versions())
        write_text(request.html, validity_page(data))
        on_event(Wrote("page", request.html))
    return CheckedValidity(card, real, cheap)
