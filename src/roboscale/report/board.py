"""A board of policies, as one offline page and as text: ranks left open by the data, scores, rates, letters.

Takes finished numbers and claims no more than their rank sets. Knows nothing of how they were computed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from roboscale.core import Estimate
from roboscale.report import text
from roboscale.report.board_figures import BoardRow, interval_figure, task_heatmap
from roboscale.report.figures import Figure
from roboscale.report.model import Scalar
from roboscale.report.pages import (
    Drawn,
    draw_at_widths,
    full_stop,
    many,
    plain,
    render_page,
    show_bounds,
    show_signed,
    text_table,
    wrapped,
)
from roboscale.stats.rank_sets import Ranking

__all__ = ["BoardData", "board_page", "board_rates", "board_scores", "board_tasks", "board_text"]

_NAMED = 4
"""A headline names at most so many policies."""


@dataclass(frozen=True, slots=True)
class BoardData:
    """Everything a board shows.

    Args:
        ranking: scores, rank sets and tie groups.
        rates: policy -> success rate over all its trials.
        per_task: (policy, task) -> success rate; absent where nothing was tried.
        letters: policy -> letters of the compact display; empty where no pairs were tested.
        statements: further sentences, e.g. what remains undecided and how many more trials it would take.
        method: how rates and letters were computed; the ranking has its own.
        sources: names of what was read.
        command: the command line that makes this page.
    """

    ranking: Ranking
    rates: Mapping[str, Estimate] = field(default_factory=dict)
    per_task: Mapping[tuple[str, str], Estimate] = field(default_factory=dict)
    letters: Mapping[str, str] = field(default_factory=dict)
    statements: tuple[str, ...] = ()
    method: str = ""
    sources: tuple[str, ...] = ()
    command: str = ""
    versions: Mapping[str, Scalar] = field(default_factory=dict)
    title: str = "Ranking of policies"

    def to_json(self) -> dict[str, Any]:
        """JSON types only."""
        return {
            "title": self.title,
            "ranking": self.ranking.to_json(),
            "rates": {name: rate.to_json() for name, rate in self.rates.items()},
            "per_task": [{"policy": p, "task": t, **rate.to_json()} for (p, t), rate in self.per_task.items()],
            "letters": dict(self.letters),
            "statements": list(self.statements),
            "method": self.method,
            "sources": list(self.sources),
            "command": self.command,
            "versions": dict(self.versions),
        }


def board_page(board: BoardData) -> str:
    """The board as one HTML document that makes no request; strings may hold anything, they are escaped."""
    rows = _rows(board)
    figures = _figures(board, rows)
    # one task only: its rates are those of the figure above
    several = len({task for _, task in board.per_task}) > 1
    heatmap = draw_at_widths("tasks", lambda width: board_tasks(board, width)) if several else None
    sections = (
        ("board", "Board", bool(rows)),
        ("said", "What may be said", True),
        ("figures", "Intervals", bool(figures)),
        ("tasks", "Task by task", heatmap is not None),
        ("method", "How it was done", True),
    )
    score = next((row.score for row in rows if _known(row.score)), None)
    rate = next((row.rate for row in rows if _known(row.rate)), None)
    return render_page(
        "board.html",
        board.to_json(),
        title=board.title,
        kind="board",
        sections=[(anchor, name) for anchor, name, present in sections if present],
        headline=_headline(board.ranking),
        groups=[[row for row in rows if row.group == group] for group in dict.fromkeys(row.group for row in rows)],
        lettered=any(row.letters for row in rows),
        statements=[full_stop(said) for said in (board.ranking.sentence, *board.statements)],
        figures=figures,
        heatmap=heatmap,
        score_caption=_caption("Dot: log strength; 0 is the mean of the policies with one.", score, "tie groups"),
        rate_caption=_caption("Dot: share of counted trials that succeeded.", rate, "tie groups of the board"),
        heat_caption=_HEAT_CAPTION,
        method=_methods(board),
        sources=board.sources,
        command=board.command,
        versions=board.versions,
    )


def _figures(board: BoardData, rows: Sequence[_Row]) -> dict[str, Drawn]:
    """Scores and rates, each where any policy has one."""
    figures: dict[str, Drawn] = {}
    if any(_known(row.score) for row in rows):
        figures["score"] = draw_at_widths("score", lambda width: board_scores(board, width))
    if any(_known(row.rate) for row in rows):
        figures["rate"] = draw_at_widths("rate", lambda width: board_rates(board, width))
    return figures


def board_scores(board: BoardData, width: int = 860) -> Figure:
    """Log strengths with their intervals, tie groups apart; `width` in CSS pixels."""
    rows = [BoardRow(row.policy, row.ranks, row.group, row.score) for row in _rows(board)]
    return interval_figure(rows, "score, log strength", share=False, width=width)


def board_rates(board: BoardData, width: int = 860) -> Figure:
    """Success rates with their intervals, in the order of the board; `width` in CSS pixels."""
    rows = [BoardRow(row.policy, row.ranks, row.group, row.rate) for row in _rows(board)]
    return interval_figure(rows, "success rate", share=True, width=width)


def board_tasks(board: BoardData, width: int = 860) -> Figure:
    """Rate and number of trials of every policy on every task; `width` in CSS pixels."""
    named = [row.policy for row in _rows(board)]
    policies = [*named, *sorted({policy for policy, _ in board.per_task} - set(named))]
    return task_heatmap(policies, sorted({task for _, task in board.per_task}), board.per_task, width)


def board_text(board: BoardData) -> str:
    """The board for a terminal: the headline, aligned columns, and what may be said."""
    rows = _rows(board)
    lettered = any(row.letters for row in rows)
    columns = ["ranks", "policy", "score", "interval", "compared", "success", "interval", "trials"]
    columns += ["letters"] * lettered
    lines = [plain(board.title), "", *wrapped(_headline(board.ranking).sentence), ""]
    if rows:
        cells = [_text_cells(row) + [row.letters or text.MISSING] * lettered for row in rows]
        lines += [*text_table(columns, cells, right=(2, 4, 5, 7)), ""]
    for sentence in (board.ranking.sentence, *board.statements, *_methods(board)):
        lines += wrapped(full_stop(sentence))
    return "\n".join(lines) + "\n"


def _text_cells(row: _Row) -> list[str]:
    cells = [row.ranks, row.policy]
    score, rate = row.score, row.rate
    if score is None or score.value is None:
        cells += ["no score", "", text.count(score.n if score else None)]
    else:
        cells += [show_signed(score.value), show_bounds(score.low, score.high), text.count(score.n)]
    if rate is None or rate.value is None:
        cells += ["no data", "", text.count(rate.n if rate else None)]
    else:
        cells += [text.percent(rate.value), text.interval(rate.low, rate.high), text.count(rate.n)]
    return cells


_HEAT_CAPTION = (
    "Each cell: share of counted trials that succeeded, and their number n. Orange: few succeeded; blue: most did. "
    "The fainter a cell, the wider its interval. A cell without colour has no data, which is not a rate of 0."
)


@dataclass(frozen=True, slots=True)
class _Row:
    """A policy on the board; `group` counts from 0."""

    policy: str
    ranks: str
    group: int
    score: Estimate | None
    rate: Estimate | None
    letters: str


def _rows(board: BoardData) -> list[_Row]:
    """Tie groups best first; inside a group by point estimate, or by rank set where there is none."""
    ranking = board.ranking
    group_of = {name: number for number, group in enumerate(ranking.tie_groups) for name in group}
    place = {name: at for at, name in enumerate(ranking.order)}

    def key(name: str) -> tuple[Any, ...]:
        score = ranking.scores[name].value if name in ranking.scores else None
        best_first = 0.0 if score is None else -score
        return (group_of.get(name, 0), place.get(name, len(place)), ranking.rank_sets[name], best_first, name)

    names = sorted(ranking.policies, key=key)
    never = sorted(set(board.rates) - set(names))
    return [
        _Row(
            name,
            _ranks(ranking.rank_sets.get(name)),
            group_of.get(name, 0) if name in ranking.policies else len(ranking.tie_groups),
            ranking.scores.get(name),
            board.rates.get(name),
            board.letters.get(name, ""),
        )
        for name in (*names, *never)
    ]


def _ranks(found: tuple[int, int] | None) -> str:
    if found is None:
        return text.MISSING
    low, high = found
    return str(low) if low == high else f"{low}–{high}"


def _known(estimate: Estimate | None) -> bool:
    return estimate is not None and estimate.value is not None


def _caption(what: str, example: Estimate | None, shaded: str) -> str:
    if example is None:
        return what
    bar = f"Bar: its {text.number(100 * example.level)} % interval ({example.method})."
    return f"{what} {bar} Shaded: {shaded}."


def _methods(board: BoardData) -> list[str]:
    return [line for line in (f"Ranking: {board.ranking.method}.", board.method) if line]


@dataclass(frozen=True, slots=True)
class _Headline:
    """What stands on top."""

    tag: str
    kind: str
    sentence: str
    small_print: str
    details: tuple[str, ...]


def _headline(ranking: Ranking) -> _Headline:
    tag, kind, sentence = _claim(ranking)
    small = ""
    if len(ranking.policies) > 1 and ranking.n:
        small = f"All ranks on this page hold together at {text.number(100 * ranking.level)} %."
    details = (
        many(len(ranking.policies), "policy"),
        many(ranking.n, "comparison"),
        f"{text.count(ranking.void)} void, not counted",
        many(len(ranking.tie_groups), "tie group"),
    )
    return _Headline(tag, kind, sentence, small, details)


def _claim(ranking: Ranking) -> tuple[str, str, str]:
    """(tag, kind, sentence) that follow from the rank sets alone."""
    sets, total = ranking.rank_sets, len(ranking.policies)
    if total < 2 or not ranking.n:
        return "nothing to rank", "open", ranking.sentence
    ordered = [name for group in ranking.tie_groups for name in group]
    best = [name for name in ordered if sets[name][0] == 1]
    if len(best) == total:
        return "no order shown", "open", f"No order is shown: any of the {total} policies may be the best."
    if not best:
        return "no order", "open", "The comparisons fit no order: every policy is shown worse than another one."
    if all(low == high for low, high in sets.values()):
        return "full order shown", "good", f"The order of all {total} policies is shown: {', then '.join(ordered)}."
    if len(best) > 1:
        worse = [name for name in ordered if name not in best]
        who = _listed(best, "or") if len(best) <= _NAMED else f"{len(best)} policies"
        others = _listed(worse, "and") if len(worse) <= _NAMED else f"the other {len(worse)}"
        verb = "is" if len(worse) == 1 else "are each"
        return (
            "best not settled",
            "open",
            f"{who} may be the best of {total}; {others} {verb} shown worse than another.",
        )
    if sets[best[0]] == (1, 1):
        return "best shown", "good", f"{best[0]} is shown better than each of the other {total - 1} policies."
    return "best shown", "good", f"Only {best[0]} may be the best of {total} policies."


def _listed(names: Sequence[str], word: str) -> str:
    return f"{', '.join(names[:-1])} {word} {names[-1]}" if len(names) > 1 else names[0]
