"""Figures as SVG, each with the table it was drawn from.

Widths are CSS pixels: one unit of the SVG is one pixel. Knows nothing of pages; colours are plain hex, which a page
may replace by its own (see `roboscale.report.canvas`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from roboscale.core import Estimate, OutcomeKind, Verdict
from roboscale.report.canvas import (
    GRID,
    LEGEND_LINE,
    MUTED,
    RATE_TICKS,
    add_axes,
    add_legend,
    colour,
    draw,
    flagged,
    is_wide,
    marker,
    new_canvas,
    shorten,
)
from roboscale.report.evidence import WINS, evidence_canvas
from roboscale.report.model import PolicyResult, TrainingCurve, VoidTrial
from roboscale.report.tables import Table, evidence_table, rates_table, task_names, training_table
from roboscale.report.text import interval, number, percent, void_range
from roboscale.report.whiskers import write_beside

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

__all__ = ["Figure", "loss_curves", "rates_by_task", "running_evidence"]

_LANE = 19.0
"""Height of one policy within a task's row, pixels."""
_VOID_LINE = 14.0
"""Further height where there is no room for the void trials beside the rate."""
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


def rates_by_task(policies: Sequence[PolicyResult], outcome: OutcomeKind = "success", width: int = 860) -> Figure:
    """Rates as dots with their intervals, all tasks first, policies under each other in each row.

    A pale band shows what the void trials could hide; a hollow dot is unverified.

    Args:
        policies: in the order of their colours.
        outcome: success rates, or mean progress.
        width: CSS pixels.
    """
    rows: list[_Row] = [("all tasks", [policy.rate(outcome) for policy in policies])]
    for task in task_names(policies):
        results = [{result.task: result for result in policy.tasks}.get(task) for policy in policies]
        rows.append((task, [r.rate(outcome) if r else None for r in results]))
    label = "success rate" if outcome == "success" else "mean progress"
    svg = draw(label, width, lambda: _Rates(rows, policies, label, width).canvas())
    shown = "; ".join(f"{policy.name}: {percent(policy.rate(outcome).value)} over all tasks" for policy in policies)
    return Figure(svg, rates_table(policies, outcome), f"{label.capitalize()} by task. {shown}.")


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


@dataclass(frozen=True, slots=True)
class _Rates:
    """How the rates by task are drawn."""

    rows: Sequence[_Row]
    policies: Sequence[PolicyResult]
    label: str
    width: int

    @property
    def wide(self) -> bool:
        return is_wide(self.width)

    @property
    def right(self) -> float:
        """Room for the numbers beside the axes, pixels."""
        if not self.wide:
            return 62 if any(policy.unverified for policy in self.policies) else 50
        return 232 if any(rate and rate.void for _, rates in self.rows for rate in rates) else 118

    def lane(self, rate: Estimate | None) -> float:
        """Height of one policy within a task's row, pixels."""
        return _LANE + (_VOID_LINE if rate and rate.void and not self.wide else 0)

    def height(self, rates: Sequence[Estimate | None]) -> float:
        return sum(map(self.lane, rates)) + (14 if self.wide else 30)

    def canvas(self) -> Canvas:
        long = len(self.rows) > 12
        head = LEGEND_LINE * len(self.policies) + (36 if long else 14)
        heights = [self.height(rates) for _, rates in self.rows]
        canvas = new_canvas(self.width, head + sum(heights) + 44)
        entries = [
            (flagged(p.name, p.unverified), marker(i, hollow=bool(p.unverified)) | _LINE)
            for i, p in enumerate(self.policies)
        ]
        add_legend(canvas, entries)
        left = min(250.0, 30 + 7.2 * max(len(task) for task, _ in self.rows)) if self.wide else 8.0
        axes = add_axes(canvas, left, head, self.right, 44, "x")
        axes.set(xlim=(0, 1), ylim=(sum(heights), 0), yticks=[], xlabel=f"{self.label} with its interval")
        axes.set_xticks(*RATE_TICKS)
        axes.tick_params(labeltop=long)
        top = 0.0
        for index, ((task, rates), height) in enumerate(zip(self.rows, heights, strict=True)):
            if index:
                axes.axhline(top, color=GRID, linewidth=1)
            self.draw_task(axes, task, rates, top, "normal" if index else "bold")
            top += height
        return canvas

    def draw_task(self, axes: Axes, task: str, rates: Sequence[Estimate | None], top: float, weight: str) -> None:
        """The task's name beside its lanes, or above them where there is no room; one lane a policy."""
        y = top + (7 if self.wide else 24)
        if self.wide:
            middle = y + sum(map(self.lane, rates)) / 2
            write_beside(axes, 0, middle, shorten(task, 32), -14, ha="right", weight=weight)
        else:
            write_beside(axes, 0, top + 13, shorten(task, 40), 0, ha="left", weight=weight)
        for index, rate in enumerate(rates):
            self.draw_rate(axes, rate, y + _LANE / 2, index, weight)
            y += self.lane(rate)

    def draw_rate(self, axes: Axes, rate: Estimate | None, y: float, index: int, weight: str) -> None:
        doubtful = bool(self.policies[index].unverified)
        worst = void_range(rate) if rate else None
        if worst is not None:
            axes.plot(worst, [y, y], color=colour(index), alpha=0.28, linewidth=7, solid_capstyle="butt")
        if rate is None or rate.value is None:
            label = "not tried" if rate is None else "no data"
            axes.text(0.01, y, label, va="center", color=MUTED, style="italic")
        else:
            if rate.low is not None and rate.high is not None:
                axes.plot([rate.low, rate.high], [y, y], color=colour(index), solid_capstyle="round", **_LINE)
            dot = marker(index, hollow=doubtful)
            axes.plot([rate.value], [y], linestyle="none", clip_on=False, zorder=5, **dot)
            write_beside(axes, 1, y, percent(rate.value), 54 if self.wide else 46, ha="right", weight=weight)
            if doubtful:
                write_beside(axes, 1, y, "?", 57 if self.wide else 50, ha="left", weight=weight)
        if rate is not None:
            self.write_counts(axes, rate, y, worst)

    def write_counts(self, axes: Axes, rate: Estimate, y: float, worst: tuple[float, float] | None) -> None:
        void = f"{rate.void} void: {interval(*worst)}" if worst else ""
        if self.wide:
            said = ", ".join(part for part in (f"n = {rate.n}" if rate.n else "", void) if part)
            write_beside(axes, 1, y, said, 70, ha="left", color=MUTED)
        elif void:
            write_beside(axes, 1, y + 15, void, 46, ha="right", color=MUTED)


def _loss_canvas(training: Sequence[TrainingCurve], order: Sequence[str], width: int) -> Canvas:
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

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
