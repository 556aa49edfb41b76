"""How many trials a comparison takes, as one offline page: power against trials by design, and training runs.

Takes finished numbers. Knows no statistics.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from roboscale.report import text
from roboscale.report.blocks import Drawing, Inline, Listing, Paragraph, Rows, num
from roboscale.report.canvas import (
    LEGEND_LINE,
    MUTED,
    RATE_TICKS,
    add_axes,
    add_legend,
    draw,
    is_wide,
    marker,
    new_canvas,
)
from roboscale.report.figures import Figure
from roboscale.report.model import Scalar
from roboscale.report.page import Headline, Page, Section, draw_at_widths, render_page
from roboscale.report.tables import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

__all__ = ["PowerCurve", "PowerData", "power_figure", "power_page"]


@dataclass(frozen=True, slots=True)
class PowerCurve:
    """Power of one design: (trials of each policy, power) ..., ascending."""

    design: str
    points: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerData:
    """Everything a page on the size of a comparison shows.

    Args:
        first, second: assumed success rates.
        rows: design, trials, most and expected trials where one looks after every trial.
        runs: (training runs of each recipe, trials of each run or `None`, power at best).
        sentences: what must be said beside the numbers.
        json: all of it as JSON types.
    """

    first: float
    second: float
    alpha: float
    power: float
    rows: tuple[tuple[str, str, str, str], ...]
    curves: tuple[PowerCurve, ...]
    sentences: tuple[str, ...]
    run_sd: float
    runs: tuple[tuple[int, int | None, float], ...]
    json: Mapping[str, Any]
    command: str | None = None
    versions: Mapping[str, Scalar] = field(default_factory=dict)


def power_page(data: PowerData) -> str:
    """One HTML document that makes no request."""
    rates = f"{text.percent(data.first)} to {text.percent(data.second)}"
    sentence = (
        f"From {rates}: {data.rows[0][1]} independent trials of each policy, or {_paired(data)} on the same cases."
    )
    figure = draw_at_widths("power", partial(power_figure, data.curves, data.power))
    caption = "Probability that a fixed number of trials shows the difference; dashed: what was asked for."
    columns = ("design", num("fixed number"), num("looking: at most"), num("on average"))
    designs = Rows(caption="Trials by design", columns=columns, rows=data.rows, kind="stack")
    page = Page(
        title="How many trials",
        kind="power",
        headline=Headline(
            tag=f"power {data.power:g}",
            sentence=sentence,
            details=(f"two-sided α = {text.number(data.alpha)}", "rates are assumed"),
        ),
        sections=(
            Section(anchor="designs", title="By design", blocks=(Drawing(figure, caption), designs)),
            Section(anchor="runs", title="Training runs", blocks=(_runs(data),)),
            Section(anchor="said", title="What this means", blocks=(Listing(data.sentences),)),
        ),
        data=data.json,
        command=data.command,
        versions=data.versions,
        method=(
            Paragraph("Rates are assumed, not measured: a guess that is wrong changes every number here.", "what"),
        ),
    )
    return render_page(page)


def _paired(data: PowerData) -> str:
    """The trials of the paired designs, smallest first, as one number or a band."""
    counts = [row[1] for row in data.rows[1:]]
    return counts[0] if len(counts) == 1 else f"{counts[-1]} to {counts[0]}"


def _runs(data: PowerData) -> Rows:
    rows: list[tuple[Inline, ...]] = [
        (text.plural(runs, "run"), "no number would do" if trials is None else text.count(trials), f"{best:.2f}")
        for runs, trials, best in data.runs
    ]
    caption = f"Claims about recipes, with {100 * data.run_sd:g} points from run to run"
    columns = ("of each recipe", num("trials of each run"), num("power at best"))
    return Rows(caption=caption, columns=columns, rows=tuple(rows), kind="stack")


def power_figure(curves: tuple[PowerCurve, ...], power: float, width: int = 860) -> Figure:
    """Power against the number of trials, a curve for each design.

    Args:
        power: that was asked for, a dashed line.
        width: CSS pixels.
    """
    svg = draw("power", width, lambda: _canvas(curves, power, width))
    rows = tuple((curve.design, n, value) for curve in curves for n, value in curve.points)
    reached = [
        f"{c.design}: {next((n for n, value in c.points if value >= power), 'more than shown')}" for c in curves
    ]
    return Figure(
        svg, Table(("design", "trials", "power"), rows), f"Trials for power {power:g}. {'; '.join(reached)}."
    )


def _canvas(curves: tuple[PowerCurve, ...], power: float, width: int) -> Canvas:
    styles = [{**marker(k), "markersize": 0, "linewidth": 2.2} for k in range(len(curves))]
    head = LEGEND_LINE * len(curves) + 18
    canvas = new_canvas(width, head + (300 if is_wide(width) else 230) + 50)
    add_legend(canvas, [(curve.design, style) for curve, style in zip(curves, styles, strict=True)])
    axes = add_axes(canvas, 52, head, 16, 50, "y")
    axes.set(ylim=(0, 1.02), xlabel="trials of each policy")
    axes.set_yticks(*RATE_TICKS)
    for curve, style in zip(curves, styles, strict=True):
        axes.plot(*zip(*curve.points, strict=True), **style)
    axes.axhline(power, color=MUTED, linewidth=1.4, linestyle=(0, (4, 3)))
    axes.set_xlim(0, max(n for curve in curves for n, _ in curve.points))
    return canvas
