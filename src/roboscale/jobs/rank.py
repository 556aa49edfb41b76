"""The board of several policies, from results of any kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from roboscale.core.extras import require_packages
from roboscale.core.plain import to_plain
from roboscale.jobs.events import Note, OnEvent, Wrote, ignore
from roboscale.jobs.options import By, Html, Level, Sources
from roboscale.jobs.reading_options import TableRequest
from roboscale.jobs.request import Option

if TYPE_CHECKING:
    from roboscale.jobs.standing import Standing
    from roboscale.report.board import BoardData

__all__ = ["Rank", "Ranked", "rank"]

_SHOWN = 10
"""At most so many pairs, or tasks of a pair, are told one by one; --json and the page have all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rank(TableRequest):
    """Asks where the policies of some results stand.

    Args:
        sources: `PATH` or `NAME=PATH` of each.
        by: what is compared; `auto` takes preferences where there are any, successes otherwise.
        sets: how rank sets are made; `auto` is `anytime` where results chose the trials, `holm` otherwise.
        html: where the board is written as a page.
    """

    words: ClassVar[tuple[str, ...]] = ("rank",)

    sources: Sources
    by: By = "auto"
    level: Level = 0.95
    sets: Annotated[
        Literal["auto", "holm", "bootstrap", "anytime"],
        Option("Rank sets by auto, holm, bootstrap, or anytime where results chose the trials."),
    ] = "auto"
    html: Html = None


@dataclass(frozen=True, slots=True)
class Ranked:
    """Where the policies stand, and the board that shows it."""

    standing: Standing
    board: BoardData
    reading: Mapping[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The board for a terminal."""
        from roboscale.report.board import board_text

        return board_text(self.board)

    def to_json(self) -> dict[str, Any]:
        """Parts of the standing and of its overall table, side by side."""
        standing = self.standing
        return {
            "basis": standing.basis,
            "ranking": standing.ranking.to_json(),
            "rates": to_plain(standing.rates),
            "letters": dict(standing.letters),
            "verdict": to_plain(standing.verdict),
            "withdrawn": list(standing.withdrawn),
            "tasks": [] if standing.overall is None else to_plain(standing.overall.pairs),
            "unit": standing.unit,
            "reading": dict(self.reading),
        }


def rank(request: Rank, on_event: OnEvent = ignore) -> Ranked:
    """Makes the board: the ranks each policy may have, scores, rates and letters.

    >>> done = rank(Rank(sources=("trials.csv",)))
    >>> done.standing.ranking.rank_sets["good"]
    (1, 1)

    Raises:
        BadData: a file is not understood, or nothing is in them.
    """
    from roboscale.jobs.files import write_text
    from roboscale.jobs.result_files import doubts, load_results
    from roboscale.jobs.standing import standing_of
    from roboscale.jobs.versions import versions
    from roboscale.report.board import BoardData, board_page

    if request.html is not None:
        require_packages("a page", "matplotlib")
    results = load_results(request.sources, request.reading_options(), on_event)
    standing = standing_of(results, request.by, request.level, None if request.sets == "auto" else request.sets)
    pairs = () if standing.overall is None else standing.overall.pairs
    opposite = tuple(pair.headline for pair in pairs if pair.opposite)
    more = () if standing.overall is None else standing.overall.notes
    unit = standing.unit[0].upper() + standing.unit[1:]
    said = (*standing.withdrawn, unit, *more, *standing.notes)
    for line in said:
        if line not in (unit, *opposite):  # the board says these, and nothing was left out by them
            on_event(Note(line))
    verdict = standing.verdict
    board = BoardData(
        ranking=standing.ranking,
        rates=standing.rates,
        per_task=standing.per_task,
        letters=dict(standing.letters),
        unverified=doubts(results),
        statements=tuple(dict.fromkeys((*said, *_pair_sentences(standing)))),
        opposite=opposite,
        outcome="progress" if standing.basis == "progress" else "success",
        method="" if verdict is None else verdict.method,
        sources=(results.source,),
        command=request.command,
        versions=versions(),
        notes=results.reading.lines(),
    )
    if request.html is not None:
        write_text(request.html, board_page(board))
        on_event(Wrote("page", request.html))
    return Ranked(standing, board, results.reading.to_json())


def _pair_sentences(standing: Standing) -> list[str]:
    """Each pair's claim with its difference, and task by task; where there are many pairs, those that differ."""
    from roboscale.stats.overall import points

    if standing.overall is None:
        return []
    pairs = list(zip(standing.overall.verdict.pairs, standing.overall.pairs, strict=True))
    if len(pairs) > _SHOWN:
        pairs = [(claim, tasks) for claim, tasks in pairs if claim.decided][:_SHOWN]
    lines = []
    for claim, tasks in pairs:
        lines.append(claim.verdict.sentence)
        if 1 < len(tasks.tasks) <= _SHOWN:
            each = [f"{one.task} {points(one.difference)}" for one in tasks.tasks]
            lines.append(f"task by task, {tasks.first} − {tasks.second}: {'; '.join(each)}")
    return lines
