"""A board of policies, as one offline page and as text: ranks left open by the data, scores, rates, letters.

Takes finished numbers and claims no more than their rank sets. Knows nothing of how they were computed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from roboscale.core import Estimate
from roboscale.core.plain import OMITTED, Plain
from roboscale.report import text
from roboscale.report.blocks import (
    Block,
    Drawing,
    Head,
    Inline,
    Listing,
    Paragraph,
    Rows,
    estimate_phrase,
    num,
    rate_phrase,
)
from roboscale.report.board_figures import BoardRow, interval_figure, task_heatmap
from roboscale.report.figures import Figure
from roboscale.report.model import Doubts, Scalar
from roboscale.report.page import Headline, Page, Section, draw_at_widths, render_page
from roboscale.report.terminal import plain, text_table, wrapped
from roboscale.stats.rank_sets import Ranking

__all__ = ["BoardData", "board_page", "board_rates", "board_scores", "board_tasks", "board_text"]

_NAMED = 4
"""A headline names at most so many policies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardData(Plain):
    """Everything a board shows.

    Args:
        ranking: scores, rank sets and tie groups.
        rates: policy -> success rate over all its trials.
        per_task: (policy, task) -> success rate; absent where nothing was tried.
        letters: policy -> letters of the compact display; empty where no pairs were tested.
        unverified: policy -> why its numbers may be somebody else's; absent where it is known by content.
        statements: further sentences, e.g. what remains undecided and how many more trials it would take.
        method: how rates and letters were computed; the ranking has its own.
        sources: names of what was read.
        command: the command line that makes this page; `None` where it was made from Python.
        notes: what was dropped, guessed, reused or assumed.
        opposite: pairs that are better on some tasks and worse on others, a sentence each: the headline.
        outcome: what the rates are of, `success` or `progress`.
        first: sentences right under the headline of the page, e.g. who gets a prize.
    """

    ranking: Ranking
    rates: Mapping[str, Estimate] = field(default_factory=dict)
    per_task: Mapping[tuple[str, str], Estimate] = field(default_factory=dict, metadata=OMITTED)
    letters: Mapping[str, str] = field(default_factory=dict)
    unverified: Doubts = field(default_factory=dict)
    statements: tuple[str, ...] = ()
    method: str = ""
    sources: tuple[str, ...] = ()
    command: str | None = None
    notes: tuple[str, ...] = ()
    opposite: tuple[str, ...] = ()
    created: str = ""
    versions: Mapping[str, Scalar] = field(default_factory=dict)
    title: str = "Ranking of policies"
    outcome: str = "success"
    first: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """By its fields, and rows of policy and task."""
        rows = [{"policy": p, "task": t, **rate.to_json()} for (p, t), rate in self.per_task.items()]
        return Plain.to_json(self) | {"per_task": rows}


def board_page(board: BoardData) -> str:
    """The board as one HTML document that makes no request; strings may hold anything, they are escaped."""
    rows = _rows(board)
    said = tuple(_sentences(board, ()))
    # one task only: its rates are those of the figure above
    several = len({task for _, task in board.per_task}) > 1
    heat = (Drawing(draw_at_widths("tasks", lambda w: board_tasks(board, w)), _HEAT_CAPTION),) if several else ()
    page = Page(
        title=board.title,
        kind="board",
        headline=_headline(board),
        sections=(
            _board(rows, board.outcome),
            Section(anchor="said", title="What may be said", blocks=(Listing(said),)),
            _intervals(board, rows),
            Section(anchor="tasks", title="Task by task", blocks=heat),
        ),
        data=board.to_json(),
        command=board.command,
        created=board.created,
        versions=board.versions,
        sources=board.sources,
        notes=board.notes,
        method=tuple(Paragraph(line, "what") for line in _methods(board)),
    )
    return render_page(page)


def _board(rows: Sequence[_Row], outcome: str) -> Section:
    lettered = any(row.letters for row in rows)
    shown: list[tuple[Inline, ...]] = []
    scored = any(_compared(row.score) for row in rows)
    rated = any(_known(row.rate) for row in rows) or not scored
    for row in rows:
        compared = text.count(row.score.n) if row.score else text.MISSING
        score = estimate_phrase(row.score, row.unverified, none="no score")
        strength = (score, compared) if scored else ()
        rate = (rate_phrase(row.rate, row.unverified),) if rated else ()
        cells: tuple[Inline, ...] = (row.ranks, row.policy, *strength, *rate)
        shown.append((*cells, row.letters or text.MISSING) if lettered else cells)
    columns: list[str | Head] = [
        Head("ranks", "ranks"),
        "policy",
        *((Head("score", "keep"), num("compared")) if scored else ()),
        *((outcome,) if rated else ()),
    ]
    table = Rows(
        caption="All policies with the ranks they may have",
        columns=tuple(columns + ["letters"] * lettered),
        rows=tuple(shown),
        header=1,
        kind="stack",
        groups=tuple(sum(r.group == group for r in rows) for group in dict.fromkeys(r.group for r in rows)),
    )
    shared = "; policies that share a letter were not shown to differ" if lettered else ""
    lead = (
        "The first column is every rank that the data leave open. Policies of one block were not told apart as a "
        f"block{shared}."
    )
    return Section(anchor="board", title="Board", lead=lead, blocks=(table,) if rows else ())


def _intervals(board: BoardData, rows: Sequence[_Row]) -> Section:
    """Scores and rates, each where any policy has one."""
    blocks: list[Block] = []
    score = next((row.score for row in rows if _known(row.score)), None)
    rate = next((row.rate for row in rows if _known(row.rate)), None)
    if score is not None:
        caption = _caption("Dot: log strength; 0 is the mean of the policies with one.", score, "tie groups")
        blocks.append(Drawing(draw_at_widths("score", lambda width: board_scores(board, width)), caption))
    if rate is not None:
        said = "Dot: share of counted trials that succeeded."
        if board.outcome == "progress":
            said = "Dot: mean progress of the counted trials."
        if any(row.rate and row.rate.void for row in rows):
            said += " Pale band: the rate if all void trials had failed, and if all had succeeded."
        if board.unverified:
            said += " Hollow dot: unverified."
        caption = _caption(said, rate, "tie groups of the board")
        blocks.append(Drawing(draw_at_widths("rate", lambda width: board_rates(board, width)), caption))
    return Section(anchor="figures", title="With intervals", nav="Intervals", blocks=tuple(blocks))


def board_scores(board: BoardData, width: int = 860) -> Figure:
    """Log strengths with their intervals, tie groups apart; `width` in CSS pixels."""
    rows = [BoardRow(row.policy, row.ranks, row.group, row.score) for row in _rows(board)]
    return interval_figure(rows, "score, log strength", share=False, width=width, unverified=board.unverified)


def board_rates(board: BoardData, width: int = 860) -> Figure:
    """Success rates with their intervals, in the order of the board; `width` in CSS pixels."""
    rows = [BoardRow(row.policy, row.ranks, row.group, row.rate) for row in _rows(board)]
    label = "mean progress" if board.outcome == "progress" else "success rate"
    return interval_figure(rows, label, share=True, width=width, unverified=board.unverified)


def board_tasks(board: BoardData, width: int = 860) -> Figure:
    """Rate and number of trials of every policy on every task; `width` in CSS pixels."""
    named = [row.policy for row in _rows(board)]
    policies = [*named, *sorted({policy for policy, _ in board.per_task} - set(named))]
    tasks = sorted({task for _, task in board.per_task})
    return task_heatmap(policies, tasks, board.per_task, width, unverified=board.unverified)


def board_text(board: BoardData) -> str:
    """The board for a terminal: the headline, aligned columns, and what may be said.

    How the tables were read is told while they are read, on stderr; the page and the JSON have it again.
    """
    rows = _rows(board)
    rate = [board.outcome, "interval", "trials", "void", "letters"]
    columns = ["ranks", "policy", "score", "interval", "compared", *rate]
    cells = [_text_cells(row) for row in rows]
    hidden = {i for i, name in enumerate(columns) if name in ("void", "letters") and not any(row[i] for row in cells)}
    hidden |= set() if any(_compared(row.score) for row in rows) else {2, 3, 4}
    hidden |= set() if any(_known(row.rate) for row in rows) else {5, 6, 7}
    shown = [i for i in range(len(columns)) if i not in hidden]
    lines = [plain(board.title), "", *wrapped(_said(board)[2]), ""]
    if rows:
        table = [[row[i] for i in shown] for row in cells]
        lines += [
            *text_table(
                [columns[i] for i in shown], table, right=[k for k, i in enumerate(shown) if i in (2, 4, 5, 7)]
            ),
            "",
        ]
    doubts = [f"{name} is {text.mark(reasons)}" for name, reasons in board.unverified.items() if reasons]
    for sentence in _sentences(board, doubts):
        lines += wrapped(sentence)
    for sentence in _methods(board):
        lines += wrapped(text.full_stop(sentence))
    return "\n".join(lines) + "\n"


def _sentences(board: BoardData, doubts: Sequence[str]) -> list[str]:
    """What may be said, each once; what the headline says is not said again."""
    said = dict.fromkeys((board.ranking.sentence, *doubts, *board.statements))
    return [text.full_stop(line) for line in said if line not in board.opposite]


def _text_cells(row: _Row) -> list[str]:
    cells = [row.ranks, row.policy]
    score, rate = row.score, row.rate
    if score is None or score.value is None:
        cells += ["no score", "", text.count(score.n if score else None)]
    else:
        cells += [text.signed(score.value), text.bounds(score.low, score.high), text.count(score.n)]
    if rate is None or rate.value is None:
        cells += ["no data", "", text.count(rate.n if rate else None)]
    else:
        cells += [text.percent(rate.value), text.interval(rate.low, rate.high), text.count(rate.n)]
    worst = text.void_range(rate) if rate is not None else None
    void = f"{text.count(rate.void)}: {text.interval(*worst)}" if rate is not None and worst is not None else ""
    return [*cells, void, row.letters]


_HEAT_CAPTION = (
    "Each cell: share of counted trials that succeeded, and their number n. Orange: few succeeded; blue: most did. "
    "The fainter a cell, the wider its interval. A cell without colour has no data, which is not a rate of 0. "
    "Where trials were void, a third line is the rate if all of these had failed, and if all had succeeded."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """A policy on the board; `group` counts from 0."""

    policy: str
    ranks: str
    group: int
    score: Estimate | None
    rate: Estimate | None
    letters: str
    unverified: tuple[str, ...]


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
            policy=name,
            ranks=_ranks(ranking.rank_sets.get(name)),
            group=group_of.get(name, 0) if name in ranking.policies else len(ranking.tie_groups),
            score=ranking.scores.get(name),
            rate=board.rates.get(name),
            letters=board.letters.get(name, ""),
            unverified=board.unverified.get(name, ()),
        )
        for name in (*names, *never)
    ]


def _ranks(ranks: tuple[int, int] | None) -> str:
    if ranks is None:
        return text.MISSING
    low, high = ranks
    return str(low) if low == high else f"{low}–{high}"


def _known(estimate: Estimate | None) -> bool:
    return estimate is not None and estimate.value is not None


def _compared(score: Estimate | None) -> bool:
    """Whether there is anything to say of a strength: also that comparisons gave none."""
    return _known(score) or (score is not None and score.n > 0)


def _caption(what: str, example: Estimate | None, shaded: str) -> str:
    if example is None:
        return what
    bar = f"Bar: its {text.number(100 * example.level)} % interval ({example.method})."
    return f"{what} {bar} Shaded: {shaded}."


def _methods(board: BoardData) -> list[str]:
    """How it was made, each method once: the ranking's own line names those of its claims where it has any."""
    ranking = f"Method: {board.ranking.method}."
    return [ranking] if not board.method or board.method in ranking else [ranking, board.method]


def _headline(board: BoardData) -> Headline:
    ranking = board.ranking
    tag, kind, sentence = _said(board)
    small = ""
    if len(ranking.policies) > 1 and ranking.n:
        small = f"All ranks on this page hold together at {text.number(100 * ranking.level)} %."
    doubts = tuple(f"{name} is {text.mark(reasons)}." for name, reasons in board.unverified.items() if reasons)
    details = (
        text.plural(len(ranking.policies), "policy"),
        text.plural(ranking.n, "comparison"),
        f"{text.count(ranking.void)} void, not counted",
        text.plural(len(ranking.tie_groups), "tie group"),
    )
    first = (Listing(tuple(map(text.full_stop, board.first))),) if board.first else ()
    return Headline(tag=tag, kind=kind, sentence=sentence, small=small, doubts=doubts, details=details, blocks=first)


def _said(board: BoardData) -> tuple[str, str, str]:
    """What stands first: an average of better here and worse there is not to be read as an order."""
    tag, kind, sentence = _claim(board.ranking)
    if not board.opposite:
        return tag, kind, sentence
    return "opposite signs", "open", text.full_stop("; ".join(board.opposite[:_NAMED]))


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
