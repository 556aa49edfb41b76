"""The newest policy against the one before it, as one offline page: every task, and what could not be seen.

Takes finished verdicts. Knows no statistics.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from roboscale.core import Estimate
from roboscale.report import text
from roboscale.report.blocks import (
    Block,
    Drawing,
    Head,
    Inline,
    Listing,
    NamedValues,
    Paragraph,
    Phrase,
    Rows,
    num,
    rate_phrase,
)
from roboscale.report.canvas import MUTED, PALETTE, draw
from roboscale.report.figures import Figure
from roboscale.report.model import Scalar
from roboscale.report.page import Headline, Page, Section, draw_at_widths, render_page
from roboscale.report.tables import ESTIMATE_COLUMNS, Table, estimate_cells
from roboscale.report.whiskers import ROW, draw_estimate, named_rows, write_beside

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

__all__ = ["CheckData", "CheckRow", "check_page", "differences_figure"]

_HUES = {"worse": PALETTE[1], "suspect": PALETTE[4], "held": PALETTE[5], "improved": PALETTE[0]}
_KINDS = {"worse": "bad", "suspect": "open", "held": "muted", "improved": "good"}
_DRAWN = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRow:
    """One task: what it was held against, both scores, their difference, and the verdict."""

    verdict: Literal["improved", "worse", "suspect", "held"]
    task: str
    before: str
    old: Estimate
    new: Estimate
    difference: Estimate
    p_value: float
    design: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckData:
    """Everything the page shows.

    Args:
        rows: worst first.
        meanings: what the four words mean.
        unseen: what this could not see, a sentence each.
        ages: (policy, how new it is), newest first.
        methods: of the tests.
        json: all of it as JSON types.
    """

    candidate: str
    sentence: str
    outcome: str
    rows: tuple[CheckRow, ...]
    meanings: str
    unseen: tuple[str, ...]
    ages: tuple[tuple[str, str], ...]
    methods: tuple[str, ...]
    sources: tuple[str, ...]
    json: Mapping[str, Any]
    command: str | None = None
    notes: tuple[str, ...] = ()
    versions: Mapping[str, Scalar] = field(default_factory=dict)


def check_page(data: CheckData) -> str:
    """One HTML document that makes no request."""
    counts = Counter(str(row.verdict) for row in data.rows)
    worst = next((word for word in _KINDS if counts[word]), "")
    tag, kind = (f"{counts[worst]} {worst}", _KINDS[worst]) if worst else ("nothing compared", "open")
    unseen = (Listing(data.unseen),) if data.unseen else ()
    page = Page(
        title=f"Check of {data.candidate}",
        kind="check",
        headline=Headline(
            tag=tag,
            kind=kind if kind != "muted" else "estimate",
            sentence=text.full_stop(data.sentence),
            details=("mean progress" if data.outcome == "progress" else "success rates",),
        ),
        sections=(
            Section(anchor="tasks", title="Task by task", blocks=_tasks(data)),
            Section(anchor="unseen", title="What this could not see", blocks=unseen),
            Section(anchor="policies", title="Policies by age", nav="Policies", blocks=(NamedValues(data.ages),)),
        ),
        data=data.json,
        command=data.command,
        versions=data.versions,
        sources=data.sources,
        notes=data.notes,
        method=(Paragraph(f"{'; '.join(data.methods)}; family-wise error by Holm 1979.", "what"),),
    )
    return render_page(page)


def _tasks(data: CheckData) -> tuple[Block, ...]:
    shown = data.rows[:_DRAWN]
    figure = draw_at_widths("differences", partial(differences_figure, shown))
    more = f" The first {_DRAWN} of {len(data.rows)} tasks are drawn." if len(data.rows) > _DRAWN else ""
    rows: list[tuple[Inline, ...]] = [
        (
            row.task,
            Phrase(text=row.verdict, kind=_KINDS[row.verdict]),
            Phrase(text=rate_phrase(row.old).text, small=(*rate_phrase(row.old).small, row.before)),
            rate_phrase(row.new),
            _points(row.difference),
            text.number(row.p_value, 2),
            row.design,
        )
        for row in data.rows
    ]
    columns = ("task", "verdict", "before", "now", Head("difference", "keep"), num("p"), "cases")
    table = Rows(caption="Every task with its verdict", columns=columns, rows=tuple(rows), kind="stack")
    caption = f"Points of {data.outcome}, now minus before, with 95 % intervals.{more}"
    return (Drawing(figure, caption), table, Paragraph(data.meanings, "fine"))


def _points(gap: Estimate) -> Phrase:
    if gap.value is None:
        return Phrase(text="no data", kind="none")
    ends = "no interval" if gap.low is None or gap.high is None else text.bounds(100 * gap.low, 100 * gap.high, 0)
    return Phrase(text=f"{text.signed(100 * gap.value, 0)} points", small=(ends,))


def differences_figure(rows: tuple[CheckRow, ...], width: int = 860) -> Figure:
    """Now minus before on every task, with intervals; the colour is the verdict, which is written beside it, too."""
    svg = draw("check-differences", width, lambda: _canvas(rows, width))
    cells = tuple((row.task, row.verdict, *estimate_cells(row.difference)) for row in rows)
    counts = Counter(row.verdict for row in rows)
    said = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    return Figure(svg, Table(("task", "verdict", *ESTIMATE_COLUMNS), cells), f"Difference by task: {said}.")


def _canvas(rows: tuple[CheckRow, ...], width: int) -> Canvas:
    canvas, axes = named_rows([row.task for row in rows], width, 12, "now minus before, points", right=78)
    places = (-1, -0.5, 0, 0.5, 1)
    axes.set_xticks(places, [text.signed(100 * place, 0) for place in places])
    axes.set_xlim(-1.02, 1.02)
    axes.axvline(0, color=MUTED, linewidth=1.4, linestyle=(0, (4, 3)))
    for index, row in enumerate(rows):
        y = ROW * (index + 0.5)
        draw_estimate(axes, row.difference, y, _HUES[row.verdict], half_cap=4)
        write_beside(axes, 1, y, row.verdict, 66, ha="right", weight="bold")
    return canvas
