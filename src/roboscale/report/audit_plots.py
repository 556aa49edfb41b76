"""The small plots beside an audit's findings, one for each kind of evidence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from roboscale.report.canvas import (
    LEGEND_LINE,
    add_axes,
    add_legend,
    colour,
    draw,
    new_canvas,
)
from roboscale.report.figures import Figure
from roboscale.report.tables import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

__all__ = ["plot_figure"]

_WIDTH = 340
"""CSS pixels: fits a phone, and stands beside the evidence on a desk."""


def plot_figure(name: str, plot: Mapping[str, Any]) -> Figure | None:
    """A small figure of `plot`, with the numbers in it; `None` for a kind that is not known.

    Kinds: `lines` (x, lines: name -> values, xlabel, y), `episodes` (values: [episode, value] each, y) and
    `ranges` (rows: name -> [low, high] lists, one entry a dimension, x, y).
    """
    if str(plot.get("kind")) not in _KINDS:
        return None
    build, tabulate = _KINDS[str(plot["kind"])]
    table = tabulate(plot)
    said = f"{plot.get('y') or 'values'} over {plot.get('xlabel') or plot.get('x') or 'episodes'}"
    return Figure(draw(name, _WIDTH, lambda: build(plot)), table, f"Evidence: {said}, {len(table.rows)} rows.")


def _lines_table(plot: Mapping[str, Any]) -> Table:
    lines: Mapping[str, Any] = plot["lines"]
    rows = zip(plot["x"], *lines.values(), strict=False)
    return Table((str(plot.get("xlabel") or "x"), *map(str, lines)), tuple(rows))


def _episodes_table(plot: Mapping[str, Any]) -> Table:
    return Table(("episode", str(plot.get("y") or "value")), tuple((v[0], v[1]) for v in plot["values"]))


def _ranges_table(plot: Mapping[str, Any]) -> Table:
    rows: Mapping[str, Any] = plot["rows"]
    numbered = [
        (name, i, *ends) for name, (low, high) in rows.items() for i, ends in enumerate(zip(low, high, strict=True))
    ]
    return Table(("range of", "dimension", "low", "high"), tuple(numbered))


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
    from matplotlib.ticker import MaxNLocator

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
    from matplotlib.ticker import MaxNLocator

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


_Kind = tuple[Callable[[Mapping[str, Any]], "Canvas"], Callable[[Mapping[str, Any]], Table]]

_KINDS: Mapping[str, _Kind] = MappingProxyType(
    {
        "lines": (_lines, _lines_table),
        "episodes": (_episodes, _episodes_table),
        "ranges": (_ranges, _ranges_table),
    }
)
