"""A learned world beside recordings that it was not trained on: how far what it imagines drifts, and how it looks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from roboscale.report import text
from roboscale.report.blocks import Block, Drawing, Paragraph, Picture
from roboscale.report.canvas import LEGEND_LINE, add_axes, add_legend, colour, draw, new_canvas
from roboscale.report.figures import Figure
from roboscale.report.model import DivergenceCurve, ReportData
from roboscale.report.page import Section, data_uri, draw_at_widths
from roboscale.report.tables import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

__all__ = ["divergence_figure", "imagined_section"]


def imagined_section(data: ReportData) -> Section:
    """Strips of recordings and what was imagined of them, and how far they drift apart; empty for other worlds."""
    replays = data.replays
    blocks: list[Block] = []
    if replays is not None and replays.curves:
        most = max(curve.episodes[0] for curve in replays.curves)
        fewest = text.count(min(curve.episodes[-1] for curve in replays.curves))
        caption = (
            f"Distance of what {replays.world} imagines from {text.count(most)} recordings that it was not trained "
            f"on: median over episodes, and the band up to the 90 % quantile, as far as {fewest} of them last"
        )
        blocks.append(Drawing(draw_at_widths("divergence", partial(divergence_figure, replays.curves)), caption))
    if replays is not None:
        blocks += [Picture(data_uri(s.png, "image/png"), s.caption, text.full_stop(s.caption)) for s in replays.strips]
    if blocks:
        blocks.append(
            Paragraph("The actions are the recorded ones: this is about the world, and no policy was asked.", "fine")
        )
    return Section(
        anchor="imagined",
        title="Recorded and imagined",
        nav="Imagined",
        lead="Every trial on this page was imagined by a learned world; here it is beside recordings.",
        blocks=tuple(blocks),
    )


def divergence_figure(curves: Sequence[DivergenceCurve], width: int = 860) -> Figure:
    """Distances over steps, a line a point with its band.

    Args:
        curves: those of one unit share the axis; the axis is named after the first one's.
        width: CSS pixels.
    """
    svg = draw("divergence", width, lambda: _canvas(curves, width))
    ends = "; ".join(f"{c.point} ends {text.number(c.median[-1])} {c.unit} away in the median" for c in curves)
    rows = tuple(
        (curve.point, step, *row)
        for curve in curves
        for step, row in enumerate(zip(curve.median, curve.most, curve.episodes, strict=True))
    )
    table = Table(("point", "step", "median", "90 % quantile", "episodes"), rows)
    return Figure(svg, table, f"Distance between recorded and imagined over steps. {ends}.")


def _canvas(curves: Sequence[DivergenceCurve], width: int) -> Canvas:
    top = 14 + LEGEND_LINE * len(curves)
    canvas = new_canvas(width, top + 210)
    axes = add_axes(canvas, 58, top, 12, 44, "y")
    for number, curve in enumerate(curves):
        steps = range(len(curve.median))
        axes.plot(steps, curve.median, color=colour(number), linewidth=2.2)
        axes.fill_between(steps, curve.median, curve.most, color=colour(number), alpha=0.18, linewidth=0)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("steps under the recorded actions")
    axes.set_ylabel(f"distance, {curves[0].unit}" if curves[0].unit else "distance")
    add_legend(canvas, [(c.point, {"color": colour(n), "linewidth": 2.2}) for n, c in enumerate(curves)])
    return canvas
