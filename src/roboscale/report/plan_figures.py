"""The figures of a plan: success against the amount of data with its band, and predictions beside what was measured.

Knows fits and points, not how they were made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from roboscale.core import Estimate
from roboscale.report.canvas import (
    GRID,
    LEGEND_LINE,
    MUTED,
    PALETTE,
    RATE_TICKS,
    add_axes,
    add_legend,
    colour,
    draw,
    is_wide,
    marker,
    new_canvas,
)
from roboscale.report.figures import Figure
from roboscale.report.tables import ESTIMATE_COLUMNS, Cell, Table, estimate_cells
from roboscale.report.text import number, percent
from roboscale.report.whiskers import ROW, draw_estimate, draw_interval, named_rows, write_beside
from roboscale.stats.proportions import wilson
from roboscale.stats.scaling import ScalingFit
from roboscale.stats.scaling_forms import Point

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

__all__ = ["BackTest", "Curve", "Predicted", "back_test_figure", "curve_figure", "measured_rate", "predicted_band"]

_GRID = 12
_BEYOND = 3.0
"""The band is drawn to this multiple of the largest measured amount."""


@dataclass(frozen=True, slots=True)
class BackTest:
    """A prediction made from smaller amounts, before the largest was measured.

    Args:
        n: amount of data.
        predicted: for the rate that so many trials would show; no value where the data could not say.
        measured: what was then found.
    """

    n: float
    predicted: Estimate
    measured: Estimate

    @property
    def held(self) -> bool | None:
        """Whether the interval held the measured rate; `None` where there was no interval or no measurement."""
        low, high, value = self.predicted.low, self.predicted.high, self.measured.value
        return None if low is None or high is None or value is None else low <= value <= high


@dataclass(frozen=True, slots=True)
class Curve:
    """Success against the amount of data of one source, on one task."""

    task: str
    source: str
    fit: ScalingFit
    back_test: BackTest | None = None


Predicted = Sequence[tuple[float, Estimate]]
"""(amount, success rate) ..., ascending."""


def predicted_band(fit: ScalingFit, level: float = 0.9) -> Predicted:
    """What the fit predicts from the smallest measured amount to three times the largest; empty below two amounts."""
    if len(fit.amounts) < 2:
        return ()
    grid = np.geomspace(fit.amounts[0], _BEYOND * fit.amounts[-1], _GRID).tolist()
    return tuple((n, fit.predict(n, level)) for n in sorted({*grid[1:], *fit.amounts}))


def measured_rate(point: Point, level: float) -> Estimate:
    """The rate of a point with Wilson's interval; without one where progress scores stand for successes."""
    if point.trials and float(point.k).is_integer():
        return wilson(int(point.k), point.trials, level)
    value = point.k / point.trials if point.trials else None
    return Estimate(value=value, low=None, high=None, level=level, n=point.trials, method="mean progress score")


def curve_figure(
    curves: Sequence[Curve], bands: Mapping[str, Predicted], order: Sequence[str], level: float = 0.9, width: int = 860
) -> Figure:
    """Measured points with whiskers and the predicted band of every source, amounts on a logarithmic axis.

    Args:
        curves: of one task, one for each source.
        bands: by source, see `predicted_band`; absent or empty where nothing can be predicted.
        order: names of all sources in the order of their colours.
        level: of the whiskers.
        width: CSS pixels.
    """
    task = curves[0].task if curves else ""
    svg = draw(f"plan-{task}", width, lambda: _curve_canvas(curves, bands, order, level, width))
    rows: list[tuple[Cell, ...]] = []
    for curve in curves:
        points = [(point.n, measured_rate(point, level)) for point in curve.fit.points]
        rows += [(curve.source, "measured", n, *estimate_cells(rate)) for n, rate in points]
        rows += [(curve.source, "predicted", n, *estimate_cells(rate)) for n, rate in bands.get(curve.source, ())]
    unit = curves[0].fit.unit if curves else "data"
    said = "; ".join(f"{curve.source}: {len(curve.fit.points)} points" for curve in curves)
    return Figure(svg, Table(("source", "kind", unit, *ESTIMATE_COLUMNS), tuple(rows)), f"Success on {task}. {said}.")


def back_test_figure(curves: Sequence[Curve], width: int = 860) -> Figure:
    """For each curve with a back-test: the interval predicted before measuring, and what was measured."""
    tested = [(curve, curve.back_test) for curve in curves if curve.back_test is not None]
    svg = draw("plan-back-test", width, lambda: _back_test_canvas(tested, width))
    kinds = [f"{kind} {name}" for kind in ("predicted", "measured") for name in ESTIMATE_COLUMNS]
    rows = tuple(
        (c.task, c.source, t.n, t.held, *estimate_cells(t.predicted), *estimate_cells(t.measured)) for c, t in tested
    )
    known = [t.held for _, t in tested if t.held is not None]
    said = f"{sum(known)} of {len(known)} predicted intervals hold what was measured."
    return Figure(svg, Table(("task", "source", "amount", "interval held", *kinds), rows), said)


def _curve_canvas(
    curves: Sequence[Curve], bands: Mapping[str, Predicted], order: Sequence[str], level: float, width: int
) -> Canvas:
    entries: list[tuple[str, dict[str, Any]]] = []
    for curve in curves:
        label = curve.source if bands.get(curve.source) else f"{curve.source}: no trend can be told"
        entries.append((label, {**marker(order.index(curve.source)), "linewidth": 2.0}))
    head = LEGEND_LINE * len(entries) + 18
    canvas = new_canvas(width, head + (330 if is_wide(width) else 250) + 50)
    add_legend(canvas, entries)
    axes = add_axes(canvas, 52, head, 16, 50, "y")
    axes.set(ylim=(-0.03, 1.03), xscale="log", xlabel=f"{curves[0].fit.unit}, logarithmic" if curves else "")
    axes.set_yticks(*RATE_TICKS)
    for place, curve in enumerate(curves):
        index = order.index(curve.source)
        _draw_band(axes, bands.get(curve.source, ()), max(curve.fit.amounts, default=0.0), colour(index))
        # sources measured at the same amounts stand beside each other instead of on each other
        _draw_points(axes, curve.fit, level, index, 1.05 ** (place - (len(curves) - 1) / 2))
    _name_amounts(axes, sorted({n for curve in curves for n in curve.fit.amounts}), wide=is_wide(width))
    return canvas


def _draw_band(axes: Axes, band: Predicted, measured: float, hue: str) -> None:
    """The interval as an area; the curve solid as far as it was measured, dashed beyond."""
    known = [(n, e.low, e.high, e.value) for n, e in band if e.low is not None and e.high is not None]
    if not known:
        return
    n, low, high, value = (np.array(column, float) for column in zip(*known, strict=True))
    axes.fill_between(n, low, high, color=hue, alpha=0.15, linewidth=0)
    inside = n <= measured * (1 + 1e-9)
    axes.plot(n[inside], value[inside], color=hue, linewidth=2.0)
    last = max(0, int(inside.sum()) - 1)
    axes.plot(n[last:], value[last:], color=hue, linewidth=2.0, linestyle=(0, (4, 2.5)))


def _draw_points(axes: Axes, fit: ScalingFit, level: float, index: int, aside: float) -> None:
    for point in fit.points:
        rate, n = measured_rate(point, level), point.n * aside
        if rate.low is not None and rate.high is not None:
            draw_interval(axes, (rate.low, rate.high), n, colour(index), half_cap=0, upright=True)
        axes.plot([n], [point.k / point.trials], linestyle="none", clip_on=False, zorder=5, **marker(index))


def _name_amounts(axes: Axes, amounts: Sequence[float], *, wide: bool) -> None:
    """Writes the measured amounts and what lies beyond them, as many as fit without touching."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    if not amounts:
        axes.set_xlim(1, 10)
        return
    axes.set_xlim(amounts[0] / 1.25, amounts[-1] * _BEYOND * 1.05)
    low, high = axes.get_xlim()
    apart = np.log(high / low) * (0.055 if wide else 0.13)
    shown: list[float] = []
    for n in (*amounts, _BEYOND * amounts[-1]):
        if not shown or np.log(n / shown[-1]) >= apart:
            shown.append(n)
    axes.xaxis.set_major_locator(FixedLocator(shown))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda n, _: number(n)))
    axes.axvspan(amounts[-1], high, color=GRID, alpha=0.25, linewidth=0, zorder=0)
    axes.text(amounts[-1] * 1.06, -0.01, "not measured", color=MUTED, va="bottom", size=10)


def _back_test_canvas(tested: Sequence[tuple[Curve, BackTest]], width: int) -> Canvas:
    band: dict[str, Any] = {"color": PALETTE[1], "linewidth": 9, "alpha": 0.45}
    entries = [
        ("predicted before measuring", band),
        ("measured", {"color": PALETTE[0], "linewidth": 2, "marker": "o"}),
    ]
    head = LEGEND_LINE * 2 + 14
    between = ", " if is_wide(width) else "\n"
    labels = [between.join(part for part in (c.source, c.task) if part) for c, _ in tested]
    canvas, axes = named_rows(labels, width, head, "success rate")
    add_legend(canvas, entries)
    axes.set_xlim(-0.01, 1.01)
    axes.set_xticks(*RATE_TICKS)
    for index, (_, test) in enumerate(tested):
        y = ROW * (index + 0.5)
        if test.predicted.low is None or test.predicted.high is None:
            write_beside(axes, 0, y, "could not be predicted", 8, ha="left", color=MUTED, style="italic")
        else:
            axes.plot([test.predicted.low, test.predicted.high], [y, y], solid_capstyle="butt", **band)
        if test.predicted.value is not None:
            axes.plot([test.predicted.value] * 2, [y - 7, y + 7], color=PALETTE[1], linewidth=2.4)
        draw_estimate(axes, test.measured, y, PALETTE[0], half_cap=4)
        write_beside(axes, 1, y, percent(test.measured.value), 46, ha="right", weight="bold")
    return canvas
