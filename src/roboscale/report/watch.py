"""A training's checkpoints as one offline page: the curve with intervals, and what may be claimed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from roboscale.report import text
from roboscale.report.blocks import Drawing, Head, Listing, Paragraph, Rows, num, rate_phrase
from roboscale.report.canvas import RATE_TICKS, add_axes, draw, is_wide, marker, new_canvas, shorten
from roboscale.report.figures import Figure
from roboscale.report.page import Headline, Page, Section, draw_at_widths, render_page
from roboscale.report.tables import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

    from roboscale.stats.watching import CheckpointCurve

__all__ = ["checkpoint_figure", "watch_page"]


def watch_page(curve: CheckpointCurve, skipped: Mapping[str, str], data: Mapping[str, Any], command: str) -> str:
    """One HTML document that makes no request."""
    figure = draw_at_widths("checkpoints", partial(checkpoint_figure, curve))
    rows = tuple(
        (p.name, rate_phrase(p.success), text.count(p.success.n), _few(p.better_than), _few(p.worse_than))
        for p in curve.points
    )
    columns = ("checkpoint", Head("success", "keep"), num("trials"), "shown better than", "shown worse than")
    table = Rows(caption="Every checkpoint, in the order of appearance", columns=columns, rows=rows, kind="stack")
    left = tuple(f"{path}: {why}" for path, why in skipped.items())
    page = Page(
        title="Checkpoints of a training",
        kind="watch",
        headline=Headline(tag=f"{len(curve.points)} checkpoints", sentence=text.full_stop(curve.sentence)),
        sections=(
            Section(
                anchor="curve",
                title="Success as the training goes on",
                blocks=(
                    Drawing(figure, "Rate of each checkpoint; intervals hold together over all that ever appear."),
                    table,
                ),
            ),
            Section(anchor="left", title="Not tried", blocks=(Listing(left),) if left else ()),
        ),
        data=data,
        command=command,
        method=(Paragraph(text.full_stop(curve.method), "what"),),
    )
    return render_page(page)


def _few(names: tuple[str, ...], most: int = 3) -> str:
    return (
        "–" if not names else ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
    )


def checkpoint_figure(curve: CheckpointCurve, width: int = 860) -> Figure:
    """Rates of checkpoints with intervals, in the order of appearance.

    Args:
        width: CSS pixels.
    """
    svg = draw("checkpoints", width, lambda: _canvas(curve, width))
    rows = tuple((p.name, p.success.value, p.success.low, p.success.high, p.success.n) for p in curve.points)
    table = Table(("checkpoint", "success", "low", "high", "trials"), rows)
    return Figure(svg, table, curve.sentence)


def _canvas(curve: CheckpointCurve, width: int) -> Canvas:
    shown = [(k, p) for k, p in enumerate(curve.points) if p.success.value is not None]
    canvas = new_canvas(width, (300 if is_wide(width) else 240) + 60)
    axes = add_axes(canvas, 52, 14, 16, 62, "y")
    axes.set(ylim=(0, 1.02), xlabel="checkpoints, in the order of appearance")
    axes.set_yticks(*RATE_TICKS)
    style = marker(0)
    places, rates = [k for k, _ in shown], [p.success.value or 0.0 for _, p in shown]
    for k, p in shown:
        axes.plot([k, k], [p.success.low or 0.0, p.success.high or 0.0], color=style["color"], linewidth=1.6)
    axes.plot(places, rates, **{**style, "linewidth": 1.2})
    axes.set_xlim(-0.6, max(1, len(curve.points)) - 0.4)
    every = max(1, -(-len(curve.points) // (10 if is_wide(width) else 4)))
    ticks = list(range(0, len(curve.points), every))
    axes.set_xticks(ticks, [shorten(curve.points[k].name, 14 if is_wide(width) else 10) for k in ticks])
    return canvas
