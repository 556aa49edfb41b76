"""Intervals and labels as every figure of the statistics draws them. Knows axes, not what they mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from roboscale.core import Estimate
from roboscale.report.canvas import PAPER, add_axes, is_wide, new_canvas, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

__all__ = ["ROW", "draw_estimate", "draw_interval", "named_rows", "write_beside"]

ROW = 34.0
"""Height of a row, pixels."""


def draw_estimate(
    axes: Axes, estimate: Estimate, y: float, hue: str, *, half_cap: float, hollow: bool = False
) -> None:
    """A dot at height `y` with its interval, if it has both ends.

    Args:
        half_cap: half the height of the interval's ends, in units of the vertical axis.
        hollow: for numbers that are unverified.
    """
    if estimate.low is not None and estimate.high is not None:
        draw_interval(axes, (estimate.low, estimate.high), y, hue, half_cap=half_cap)
    if estimate.value is not None:
        fill: dict[str, Any] = {"markerfacecolor": PAPER, "markeredgewidth": 1.8} if hollow else {}
        axes.plot([estimate.value], [y], "o", color=hue, markersize=8, clip_on=False, zorder=5, **fill)


def draw_interval(
    axes: Axes, ends: tuple[float, float], at: float, hue: str, *, half_cap: float, upright: bool = False
) -> None:
    """A whisker between `ends` at the place `at` of the other axis; `half_cap` in its units, 0 for none."""
    style: dict[str, Any] = {"color": hue, "linewidth": 2.0, "solid_capstyle": "round"}
    lines = [(ends, (at, at))]
    if half_cap:
        lines += [((end, end), (at - half_cap, at + half_cap)) for end in ends]
    for along, across in lines:
        axes.plot(*((across, along) if upright else (along, across)), **style)


def named_rows(
    labels: Sequence[str], width: int, head: float, xlabel: str, right: float | None = None
) -> tuple[Canvas, Axes]:
    """A canvas with one named row each, and its axes, whose vertical unit is a pixel from the top.

    Args:
        labels: of the rows; each may have two lines.
        width: CSS pixels.
        head: room for a legend above the rows, pixels.
        right: room for words beside the rows, pixels.
    """
    wide = is_wide(width)
    height = ROW * len(labels)
    canvas = new_canvas(width, head + height + 48)
    longest = max((len(line) for label in labels for line in label.split("\n")), default=0)
    left = min(240.0, 16 + 8.4 * longest) if wide else min(118.0, 10 + 7.4 * longest)
    axes = add_axes(canvas, left, head, right or (70 if wide else 52), 48, "x")
    axes.set(ylim=(height, 0), yticks=[], xlabel=xlabel)
    for index, label in enumerate(labels):
        shown = "\n".join(shorten(line, 30 if wide else 15) for line in label.split("\n"))
        write_beside(axes, 0, ROW * (index + 0.5), shown, -10, ha="right", weight="bold")
    return canvas, axes


def write_beside(axes: Axes, x: float, y: float, label: str, shift: float, **style: Any) -> None:
    """Writes at height `y`, `shift` pixels from the left (x = 0) or right (x = 1) edge of the axes."""
    place: dict[str, Any] = {
        "xycoords": axes.get_yaxis_transform(),
        "textcoords": "offset points",
        "annotation_clip": False,
    }
    axes.annotate(label, (x, y), xytext=(shift, 0), va="center", **place, **style)
