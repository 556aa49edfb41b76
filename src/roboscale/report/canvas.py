"""What all figures share: size in CSS pixels, colours, axes, legend, and SVG with the same bytes for the same input.

Widths are CSS pixels: one unit of the SVG is one pixel, so a figure drawn for a phone has readable text there.
No global state: figures are built from matplotlib's classes. They are loaded when the first figure is drawn, for the
texts of the same pages do not wait for them. Knows nothing of what is drawn.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

__all__ = [
    "GRID",
    "HEAT",
    "INK",
    "LEGEND_LINE",
    "MUTED",
    "PALETTE",
    "PAPER",
    "RATE_TICKS",
    "UNVERIFIED",
    "add_axes",
    "add_legend",
    "colour",
    "draw",
    "flagged",
    "is_wide",
    "marker",
    "new_canvas",
    "shorten",
]

PALETTE = ("#0b66b0", "#c85a00", "#00805f", "#9b3f8a", "#7a6a00", "#5a5f6b")
"""Colours of the policies in their order; the first two stay apart under every common colour blindness."""
INK, MUTED, GRID, PAPER = "#1b1f24", "#5d6672", "#d9dee5", "#fbfbfa"
HEAT = ("#f0a35e", "#ecb27c", "#e3bf9c", "#d5c7ba", "#c6c9cd", "#b3c6da", "#9dc1e4", "#83b6e8", "#68a9e8")
"""Colours of rates from 0 to 1: orange, grey, blue, all about equally light, so that fainter can mean less certain."""
LEGEND_LINE = 19.0
"""Height of one line of a legend, pixels."""
RATE_TICKS = ([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
"""Places and labels along an axis of rates."""
UNVERIFIED = ", unverified"
"""What a name in a figure ends with when its numbers may be somebody else's."""

_MARKERS = ("o", "s", "^", "D", "v", "P")
_WIDE = 560
_STYLE = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "text.color": INK,
    "axes.unicode_minus": True,
}


def is_wide(width: int) -> bool:
    """Whether there is room for labels beside the axes."""
    return width >= _WIDE


def colour(index: int) -> str:
    """Colour of the policy at this place."""
    return PALETTE[index % len(PALETTE)]


def marker(index: int, *, hollow: bool = False) -> dict[str, Any]:
    """Colour and marker of the policy at this place: nobody needs to see colours to tell policies apart.

    Args:
        hollow: for numbers that are unverified.
    """
    style = {"color": colour(index), "marker": _MARKERS[index % len(_MARKERS)], "markersize": 7}
    return {**style, "markerfacecolor": PAPER, "markeredgewidth": 1.8} if hollow else style


def flagged(name: str, unverified: Sequence[str]) -> str:
    """A name as figures show it: one whose numbers are unverified says so."""
    return f"{name}{UNVERIFIED}" if unverified else name


def shorten(label: str, limit: int) -> str:
    """About `limit` characters, never without its `UNVERIFIED`; the table beside the figure has the whole."""
    tail = UNVERIFIED if label.endswith(UNVERIFIED) else ""
    return label if len(label) <= limit else f"{label[: max(1, limit - len(tail) - 1)]}…{tail}"


def draw(name: str, width: int, build: Callable[[], Canvas]) -> str:
    """Runs `build` under our style and returns its SVG: no date, and ids that only depend on `name` and `width`."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    style = {**_STYLE, "svg.hashsalt": f"{name}-{width}", "font.size": 12 if is_wide(width) else 11}
    with mpl.rc_context(style):
        canvas = build()
        out = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        FigureCanvasSVG(canvas).print_svg(out, metadata=nothing)
    return out.getvalue()


def new_canvas(width: float, height: float) -> Canvas:
    """A transparent canvas of this size, pixels."""
    from matplotlib.figure import Figure

    canvas = Figure(figsize=(width / 72, height / 72), dpi=72)
    canvas.patch.set_visible(False)
    return canvas


def _size(canvas: Canvas) -> tuple[float, float]:
    width, height = canvas.get_size_inches()
    return float(width) * 72, float(height) * 72


def add_axes(canvas: Canvas, left: float, top: float, right: float, bottom: float, grid: Literal["x", "y"]) -> Axes:
    """Axes with these margins in pixels, no frame but the baseline, and a grid across the axis `grid` (x or y)."""
    width, height = _size(canvas)
    box = (left / width, bottom / height, (width - left - right) / width, (height - top - bottom) / height)
    axes = canvas.add_axes(box)
    axes.patch.set_visible(False)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(which="both", length=0, pad=6)
    axes.grid(axis=grid, color=GRID, linewidth=1)
    axes.set_axisbelow(True)
    return axes


def add_legend(canvas: Canvas, entries: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    """Lists (label, style of its line) at the top, one `LEGEND_LINE` each."""
    from matplotlib.lines import Line2D

    width, height = _size(canvas)
    for index, (label, style) in enumerate(entries):
        y = 1 - (10 + LEGEND_LINE * index) / height
        xs = [pixels / width for pixels in (6, 17, 28)]
        canvas.add_artist(Line2D(xs, [y] * 3, markevery=[1], **style))
        canvas.text(36 / width, y, shorten(label, int(width / 8)), va="center_baseline")
