"""Figures as SVG, each with the table it was drawn from.

Widths are CSS pixels: one unit of the SVG is one pixel. Knows nothing of pages; colours are plain hex, which a page
may replace by its own (see `roboscale.report.canvas`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from roboscale.core.estimate import Estimate, Verdict
from roboscale.report.canvas import (
    GRID,
    LEGEND_LINE,
    MUTED,
    Canvas,
    add_axes,
    add_legend,
    colour,
    draw,
    is_wide,
    marker,
    new_canvas,
    shorten,
)
from roboscale.report.evidence import WINS, evidence_canvas
from roboscale.report.model import PolicyResult, TrainingCurve, VoidTrial
from roboscale.report.tables import Table, evidence_table, success_table, task_names, training_table
from roboscale.report.text import number, percent

__all__ = ["Figure", "loss_curves", "running_evidence", "success_by_task"]

_LANE = 19.0
"""Height of one policy within a task's row, pixels."""
_LINE: dict[str, Any] = {"linewidth": 2.2}


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawn figure.

    Args:
        svg: a complete SVG document; text stays text.
        table: what was drawn, in full precision.
        summary: one sentence that says what is to be seen, for those who cannot see it.
    """

    svg: str
    table: Table
    summary: str


def success_by_task(policies: Sequence[PolicyResult], width: int = 860) -> Figure:
    """Success rates as dots with their intervals, all tasks first, policies under each other in each row.

    Args:
        policies: in the order of their colours.
        width: CSS pixels.
    """
    rows: list[tuple[str, list[Estimate | None]]] = [("all tasks", [policy.success for policy in policies])]
    for task in task_names(policies):
        found = [{result.task: result.success for result in policy.tasks}.get(task) for policy in policies]
        rows.append((task, found))
    names = [policy.name for policy in policies]
    svg = draw("success", width, lambda: _success_canvas(rows, names, width))
    summary = "; ".join(f"{policy.name}: {percent(policy.success.value)} over all tasks" for policy in policies)
    return Figure(svg, success_table(policies), f"Success rates by task. {summary}.")


def running_evidence(
    verdict: Verdict, names: tuple[str, str], voids: Sequence[VoidTrial] = (), width: int = 860
) -> Figure:
    """The walk of the discordant wins between the boundaries of the test, and where it stopped.

    Args:
        verdict: its `evidence` rows may hold `n, discordant, wins_first, wins_second, lower, upper, log_e_value`;
            what is missing is not drawn.
        names: of the first and the second policy.
        voids: those with `after_pair` are marked at their place.
        width: CSS pixels.
    """
    places = sorted({void.after_pair for void in voids if void.after_pair is not None})
    svg = draw("evidence", width, lambda: evidence_canvas(verdict, names, places, width))
    last = verdict.evidence[-1] if verdict.evidence else {}
    wins = [f"{name} alone succeeded on {number(last.get(key))}" for name, key in zip(names, WINS, strict=True)]
    summary = f"Running evidence over {verdict.n} paired cases; {wins[0]}, {wins[1]}. Decision: {verdict.decision}."
    return Figure(svg, evidence_table(verdict.evidence), summary)


def loss_curves(training: Sequence[TrainingCurve], policies: Sequence[str] = (), width: int = 860) -> Figure:
    """Training loss over optimiser steps, held-out loss dashed; logarithmic where it spans more than a decade.

    Args:
        training: one curve a policy.
        policies: names in the order of their colours; by default the order of `training`.
        width: CSS pixels.
    """
    order = list(dict.fromkeys((*policies, *(curve.policy for curve in training))))
    svg = draw("loss", width, lambda: _loss_canvas(training, order, width))
    ends = "; ".join(f"{curve.policy} ends at {number(curve.loss[-1])}" for curve in training if curve.loss)
    return Figure(svg, training_table(training), f"Training loss over steps. {ends}.")


_Row = tuple[str, Sequence[Estimate | None]]
"""A task and the estimate of every policy on it; `None` where a policy was not tried."""


def _success_canvas(rows: Sequence[_Row], names: Sequence[str], width: int) -> Canvas:
    wide, long = is_wide(width), len(rows) > 12
    row = _LANE * len(names) + (14 if wide else 30)
    head = LEGEND_LINE * len(names) + (36 if long else 14)
    canvas = new_canvas(width, head + row * len(rows) + 44)
    add_legend(canvas, [(name, marker(index) | _LINE) for index, name in enumerate(names)])
    left = min(250.0, 30 + 7.2 * max(len(task) for task, _ in rows)) if wide else 8.0
    axes = add_axes(canvas, left, head, 112 if wide else 50, 44, "x")
    axes.set(xlim=(0, 1), ylim=(row * len(rows), 0), yticks=[], xlabel="success rate with its interval")
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
    axes.tick_params(labeltop=long)
    for index, (task, estimates) in enumerate(rows):
        if index:
            axes.axhline(row * index, color=GRID, linewidth=1)
        _draw_task(axes, task, estimates, row * index, wide=wide, weight="normal" if index else "bold")
    return canvas


def _draw_task(
    axes: Axes, task: str, estimates: Sequence[Estimate | None], top: float, *, wide: bool, weight: str
) -> None:
    """The task's name beside its lanes, or above them where there is no room; one lane a policy."""
    lanes = top + (7 if wide else 24)
    if wide:
        _beside(axes, 0, lanes + _LANE * len(estimates) / 2, shorten(task, 32), -14, ha="right", weight=weight)
    else:
        _beside(axes, 0, top + 13, shorten(task, 40), 0, ha="left", weight=weight)
    for index, estimate in enumerate(estimates):
        y = lanes + _LANE * (index + 0.5)
        if estimate is None or estimate.value is None:
            label = "not tried" if estimate is None else "no data"
            axes.text(0.01, y, label, va="center", color=MUTED, style="italic")
            continue
        if estimate.low is not None and estimate.high is not None:
            axes.plot([estimate.low, estimate.high], [y, y], color=colour(index), solid_capstyle="round", **_LINE)
        axes.plot([estimate.value], [y], linestyle="none", clip_on=False, zorder=5, **marker(index))
        _beside(axes, 1, y, percent(estimate.value), 54 if wide else 46, ha="right", weight=weight)
        if wide:
            _beside(axes, 1, y, f"n = {estimate.n}", 66, ha="left", color=MUTED)


def _beside(axes: Axes, x: float, y: float, label: str, shift: float, **style: Any) -> None:
    """Writes at height `y`, `shift` pixels from the left (x = 0) or right (x = 1) edge of the axes."""
    place: dict[str, Any] = {
        "xycoords": axes.get_yaxis_transform(),
        "textcoords": "offset points",
        "annotation_clip": False,
    }
    axes.annotate(label, (x, y), xytext=(shift, 0), va="center", **place, **style)


def _loss_canvas(training: Sequence[TrainingCurve], order: Sequence[str], width: int) -> Canvas:
    dashed: dict[str, Any] = {"linestyle": (0, (4, 2.5))}
    entries: list[tuple[str, dict[str, Any]]] = []
    for curve in training:
        line = {"color": colour(order.index(curve.policy)), "linewidth": 2.0}
        entries.append((curve.policy, line))
        if curve.validation_loss:
            entries.append((f"{curve.policy}, held out", {**line, **dashed}))
    head = LEGEND_LINE * len(entries) + 16
    canvas = new_canvas(width, head + (260 if is_wide(width) else 210) + 48)
    add_legend(canvas, entries)
    axes = add_axes(canvas, 58, head, 16, 48, "y")
    for curve in training:
        hue = colour(order.index(curve.policy))
        axes.plot(curve.steps, curve.loss, color=hue, linewidth=2.0)
        if curve.validation_loss:
            axes.plot(curve.steps, curve.validation_loss, color=hue, linewidth=2.0, **dashed)
    seen = [y for curve in training for y in (*curve.loss, *curve.validation_loss) if math.isfinite(y)]
    axes.set(xlabel="optimiser step")
    axes.margins(x=0.01)
    if seen and min(seen) > 0 and max(seen) > 10 * min(seen):
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    axes.xaxis.set_major_locator(MaxNLocator(8 if is_wide(width) else 4, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: number(x)))
    return canvas
