"""The small plots beside an audit's findings, one for each kind of evidence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from markupsafe import Markup
from matplotlib.ticker import MaxNLocator

from roboscale.report.canvas import (
    LEGEND_LINE,
    Canvas,
    add_axes,
    add_legend,
    colour,
    draw,
    new_canvas,
)
from roboscale.report.parts import inline_svg

__all__ = ["plot_svg"]

_WIDTH = 340
"""CSS pixels: fits a phone, and stands beside the evidence on a desk."""


def plot_svg(name: str, plot: Mapping[str, Any]) -> Markup:
    """An inline SVG of `plot`; empty for a kind that is not known.

    Kinds: `lines` (x, lines: name -> values, xlabel, y), `episodes` (values: [episode, value] each, y) and
    `ranges` (rows: name -> [low, high] lists, one entry a dimension, x, y).
    """
    build = _KINDS.get(str(plot.get("kind")))
    if build is None:
        return Markup("")
    return inline_svg(draw(name, _WIDTH, lambda: build(plot)), name)


def _lines(plot: Mapping[str, Any]) -> Canvas:
    lines: Mapping[str, Any] = plot["lines"]
    head = LEGEND_LINE * len(lines) + 8
    canvas = new_canvas(_WIDTH, head + 170)
    add_legend(canvas, [(label, {"color": colour(i), "linewidth": 2}) for i, label in enumerate(lines)])
    axes = add_axes(canvas, 48, head, 10, 44, "y")
    for i, values in enumerate(lines.values()):
        axes.plot(plot["x"], values, color=colour(i), linewidth=2)
    axes.set(xlabel=plot.get("xlabel", ""), ylabel=plot.get("y", ""))
    axes.margins(x=0.01)
    return canvas


def _episodes(plot: Mapping[str, Any]) -> Canvas:
    canvas = new_canvas(_WIDTH, 180)
    axes = add_axes(canvas, 48, 12, 10, 44, "y")
    places, values = [v[0] for v in plot["values"]], [v[1] for v in plot["values"]]
    axes.vlines(places, 0, values, color=colour(0), linewidth=1.5)
    axes.plot(places, values, linestyle="none", marker="o", markersize=5, color=colour(0))
    axes.set(xlabel="episode", ylabel=plot.get("y", ""))
    axes.set_ylim(bottom=min(0, *values))
    axes.set_xlim(min(places) - 1, max(places) + 1)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    return canvas


def _ranges(plot: Mapping[str, Any]) -> Canvas:
    rows: Mapping[str, Any] = plot["rows"]
    count = max((len(low) for low, _ in rows.values()), default=0)
    head = LEGEND_LINE * len(rows) + 8
    canvas = new_canvas(_WIDTH, head + 52 + 12 * count)
    add_legend(canvas, [(label, {"color": colour(i), "linewidth": 3}) for i, label in enumerate(rows)])
    axes = add_axes(canvas, 36, head, 10, 44, "x")
    for i, (low, high) in enumerate(rows.values()):
        places = [d + 0.3 * i - 0.15 for d in range(len(low))]
        axes.hlines(places, low, high, color=colour(i), linewidth=3)
    axes.set(xlabel=plot.get("x", ""), ylabel=plot.get("y", ""), ylim=(count - 0.5, -0.5))
    axes.yaxis.set_major_locator(MaxNLocator(min(8, max(1, count)), integer=True))
    return canvas


_KINDS: Mapping[str, Callable[[Mapping[str, Any]], Canvas]] = MappingProxyType(
    {"lines": _lines, "episodes": _episodes, "ranges": _ranges}
)
