"""The figures of a board: policies with their intervals, tie groups set apart, and every policy on every task.

Knows rows and estimates, not how they were computed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from roboscale.core import Estimate
from roboscale.report.canvas import (
    GRID,
    HEAT,
    INK,
    MUTED,
    PALETTE,
    RATE_TICKS,
    add_axes,
    draw,
    flagged,
    is_wide,
    new_canvas,
    shorten,
)
from roboscale.report.figures import Figure
from roboscale.report.model import Doubts
from roboscale.report.tables import RATE_COLUMNS, Table, rate_cells
from roboscale.report.text import count, interval, percent, signed, void_range
from roboscale.report.whiskers import draw_estimate, write_beside

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

__all__ = ["BoardRow", "interval_figure", "task_heatmap"]

_ROW = 30.0
_GAP = 14.0
"""Height of a policy's row and of the space between two groups, pixels."""
_CELL, _VOID_LINE = 44.0, 14.0
"""Height of a cell, and what is added for what void trials could hide, pixels."""


@dataclass(frozen=True, slots=True)
class BoardRow:
    """A policy on the board.

    Args:
        ranks: the ranks it may have, e.g. `1-2`.
        group: number of its tie group, from 0; every policy is shown better than all policies of later groups.
    """

    policy: str
    ranks: str
    group: int
    estimate: Estimate | None


def interval_figure(
    rows: Sequence[BoardRow], label: str, *, share: bool, width: int = 860, unverified: Doubts | None = None
) -> Figure:
    """Dots with whiskers, one policy a row, tie groups apart from each other.

    Args:
        rows: in the order of the board, groups together.
        label: of the axis.
        share: whether the values are rates in 0..1, or scores that may have any sign.
        width: CSS pixels.
        unverified: policy -> why its numbers may be somebody else's; absent where it is known by content.
    """
    doubts = {row.policy: (unverified or {}).get(row.policy, ()) for row in rows}
    svg = draw(f"board-{label}", width, lambda: _interval_canvas(rows, doubts, label, share, width))
    columns = ("policy", "ranks left open", "tie group", *RATE_COLUMNS)
    cells = ((r.policy, r.ranks, r.group + 1, *rate_cells(r.estimate, doubts[r.policy])) for r in rows)
    table = Table(columns, tuple(cells))
    said = "; ".join(f"{r.policy} {_shown(r.estimate, share)}, ranks {r.ranks}" for r in rows)
    return Figure(svg, table, f"{label} of every policy with its interval. {said}.")


def task_heatmap(
    policies: Sequence[str],
    tasks: Sequence[str],
    cells: Mapping[tuple[str, str], Estimate],
    width: int = 860,
    *,
    unverified: Doubts | None = None,
) -> Figure:
    """Rate and number of trials of each policy on each task. A fainter cell has a wider interval; no data, no colour.

    Args:
        policies, tasks: rows and columns, in this order; columns that do not fit go below.
        cells: (policy, task) -> success rate; absent where nothing was tried.
        width: CSS pixels.
        unverified: policy -> why its numbers may be somebody else's.
    """
    doubts = unverified or {}
    names = {policy: flagged(policy, doubts.get(policy, ())) for policy in policies}
    svg = draw("board-tasks", width, lambda: _heat_canvas(names, tasks, cells, width))
    rows = [(p, t, *rate_cells(cells.get((p, t)), doubts.get(p, ()))) for p in policies for t in tasks]
    tried = sum(row[2] is not None for row in rows)
    summary = f"Success of {len(policies)} policies on {len(tasks)} tasks; {tried} of {len(rows)} cells have data."
    return Figure(svg, Table(("policy", "task", *RATE_COLUMNS), tuple(rows)), summary)


def _shown(estimate: Estimate | None, share: bool) -> str:
    if estimate is None or estimate.value is None:
        return "no data" if share else "no score"
    return percent(estimate.value) if share else signed(estimate.value)


def _tops(rows: Sequence[BoardRow]) -> list[float]:
    """Upper edge of each row, pixels below the first."""
    tops, at = [], 0.0
    for index, row in enumerate(rows):
        at += _GAP if index and row.group != rows[index - 1].group else 0.0
        tops.append(at)
        at += _ROW
    return tops


def _interval_canvas(rows: Sequence[BoardRow], doubts: Doubts, label: str, share: bool, width: int) -> Canvas:
    wide, head, foot = is_wide(width), 12.0, 46.0
    tops = _tops(rows)
    height = (tops[-1] if tops else 0.0) + _ROW
    canvas = new_canvas(width, head + height + foot)
    longest = max((len(flagged(row.policy, doubts[row.policy])) for row in rows), default=0)
    left = min(270.0, 60 + 7.2 * longest) if wide else min(134.0, 46 + 7.0 * longest)
    void = share and any(row.estimate and row.estimate.void for row in rows)
    right = (242.0 if void else 130.0) if wide else 52.0
    axes = add_axes(canvas, left, head, right, foot, "x")
    axes.set(ylim=(height, 0), yticks=[], xlabel=label if wide else shorten(label, 34))
    axes.set_xlim(*_range([row.estimate for row in rows], share))
    if share:
        axes.set_xticks(*RATE_TICKS)
        axes.set_xlim(-0.01, 1.01)
    _draw_groups(axes, rows, tops, left, width - left - right)
    for row, top in zip(rows, tops, strict=True):
        name = flagged(row.policy, doubts[row.policy])
        _draw_row(axes, row, name, top + _ROW / 2, left, share=share, wide=wide)
    return canvas


def _range(estimates: Sequence[Estimate | None], share: bool) -> tuple[float, float]:
    known = [x for e in estimates if e for x in (e.value, e.low, e.high) if x is not None and math.isfinite(x)]
    if share or not known:
        return 0.0, 1.0
    pad = 0.06 * (max(known) - min(known)) or 0.5
    return min(known) - pad, max(known) + pad


def _draw_groups(axes: Axes, rows: Sequence[BoardRow], tops: Sequence[float], left: float, inside: float) -> None:
    """A band behind each group that has several policies, and a bar `left` pixels before axes of width `inside`."""
    across = axes.get_yaxis_transform()
    for group in dict.fromkeys(row.group for row in rows):
        places = [top for row, top in zip(rows, tops, strict=True) if row.group == group]
        low, high = places[0] + 2, places[-1] + _ROW - 2
        if len(places) > 1:
            axes.axhspan(low, high, color=GRID, alpha=0.4, linewidth=0, zorder=0)
        edge = -(left - 3) / inside
        axes.plot([edge, edge], [low, high], transform=across, clip_on=False, color=MUTED, linewidth=3)


def _draw_row(axes: Axes, row: BoardRow, name: str, y: float, left: float, *, share: bool, wide: bool) -> None:
    """A row at height `y`, with the policy's name as it is written."""
    write_beside(axes, 0, y, row.ranks, 10 - left, ha="left", color=MUTED)
    write_beside(axes, 0, y, shorten(name, 28 if wide else 12), (50 if wide else 44) - left, ha="left", weight="bold")
    estimate = row.estimate
    worst = void_range(estimate) if share and estimate is not None else None
    if worst is not None:
        axes.plot(worst, [y, y], color=PALETTE[0], alpha=0.28, linewidth=8, solid_capstyle="butt")
    if estimate is None or estimate.value is None:
        write_beside(axes, 0, y, _shown(estimate, share), 8, ha="left", color=MUTED, style="italic")
        return
    draw_estimate(axes, estimate, y, PALETTE[0], half_cap=4, hollow=name != row.policy)
    write_beside(axes, 1, y, _shown(estimate, share), 52 if wide else 48, ha="right", weight="bold")
    if wide:
        void = f", {estimate.void} void: {interval(*worst)}" if worst else ""
        write_beside(axes, 1, y, f"n = {count(estimate.n)}{void}", 62, ha="left", color=MUTED)
    elif worst is not None:
        void = f"{estimate.void} void: {interval(*worst)}"
        write_beside(axes, 1, y + 12, void, 48, ha="right", color=MUTED, size=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Grid:
    """Where the cells of a heatmap are, pixels from the upper left corner of the figure."""

    left: float
    head: float
    cell: float
    tall: float
    key: float
    per_block: int
    block_height: float

    @classmethod
    def of(cls, policies: Sequence[str], tasks: Sequence[str], width: int, *, void: bool) -> _Grid:
        wide = is_wide(width)
        longest = max((len(p) for p in policies), default=0)
        left = min(220.0, 16 + 7.4 * longest) if wide else min(96.0, 12 + 7.2 * longest)
        narrowest = 62.0 if wide else 50.0
        per_block = max(1, int((width - left - 4) / narrowest))
        blocks = max(1, math.ceil(len(tasks) / per_block))
        per_block = max(1, math.ceil(len(tasks) / blocks))
        cell = min(96.0 if wide else 60.0, (width - left - 4) / per_block)
        slanted = 4.4 * min(20, max((len(t) for t in tasks), default=0)) + 18
        tall = _CELL + _VOID_LINE * void
        height = slanted + tall * len(policies) + 14
        return cls(left=left, head=slanted, cell=cell, tall=tall, key=30.0, per_block=per_block, block_height=height)


def _heat_canvas(
    policies: Mapping[str, str], tasks: Sequence[str], cells: Mapping[tuple[str, str], Estimate], width: int
) -> Canvas:
    """`policies` gives each the name that is written."""
    grid = _Grid.of(tuple(policies.values()), tasks, width, void=any(rate.void for rate in cells.values()))
    blocks = [tasks[i : i + grid.per_block] for i in range(0, len(tasks), grid.per_block)]
    height = grid.key + grid.block_height * max(1, len(blocks))
    canvas = new_canvas(width, height)
    axes = canvas.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.axis("off")
    _draw_key(axes, width)
    for number, block in enumerate(blocks):
        top = grid.key + number * grid.block_height + grid.head
        for column, task in enumerate(block):
            x = grid.left + grid.cell * column
            axes.text(x + grid.cell * 0.35, top - 5, shorten(task, 20), rotation=32, ha="left", va="bottom")
        for row, (policy, written) in enumerate(policies.items()):
            y = top + grid.tall * row
            name = shorten(written, 28 if is_wide(width) else 12)
            axes.text(grid.left - 8, y + grid.tall / 2, name, ha="right", va="center", weight="bold")
            for column, task in enumerate(block):
                _draw_cell(axes, grid.left + grid.cell * column, y, grid, cells.get((policy, task)))
    return canvas


def _draw_cell(axes: Axes, x: float, y: float, grid: _Grid, estimate: Estimate | None) -> None:
    from matplotlib.patches import Rectangle

    box = (x + 1.5, y + 1.5), grid.cell - 3, grid.tall - 3
    centre: dict[str, Any] = {"ha": "center", "va": "center"}
    middle = x + grid.cell / 2
    worst = void_range(estimate) if estimate is not None else None
    if estimate is None or estimate.value is None:
        axes.add_patch(Rectangle(*box, fill=False, edgecolor=GRID, linewidth=1, linestyle=(0, (3, 3))))
        axes.text(middle, y + grid.tall / 2, "no data", color=MUTED, size=10, style="italic", **centre)
        return
    hue = HEAT[min(len(HEAT) - 1, max(0, round(estimate.value * (len(HEAT) - 1))))]
    axes.add_patch(Rectangle(*box, facecolor=hue, alpha=_certainty(estimate), linewidth=0))
    axes.add_patch(Rectangle(*box, fill=False, edgecolor=GRID, linewidth=1))
    axes.text(middle, y + _CELL * 0.36, percent(estimate.value), color=INK, weight="bold", **centre)
    axes.text(middle, y + _CELL * 0.72, f"n {count(estimate.n)}", color=INK, size=10, **centre)
    if worst is not None:
        axes.text(middle, y + _CELL * 0.72 + _VOID_LINE, interval(*worst), color=INK, size=10, **centre)


def _certainty(estimate: Estimate) -> float:
    """1 for an interval without width, 0.1 for one that says nothing."""
    if estimate.low is None or estimate.high is None:
        return 0.1
    return max(0.1, 1.0 - (estimate.high - estimate.low))


def _draw_key(axes: Axes, width: int) -> None:
    """What colour and paleness mean, in one line."""
    from matplotlib.patches import Rectangle

    axes.text(0, 12, "0 %", va="center", color=MUTED)
    step = 12.0
    for index, hue in enumerate(HEAT):
        axes.add_patch(Rectangle((30 + step * index, 5), step, 14, facecolor=hue, linewidth=0))
    end = 30 + step * len(HEAT)
    axes.text(end + 6, 12, "100 %", va="center", color=MUTED)
    at = end + 60
    for index, alpha in enumerate((0.15, 0.4, 0.7, 1.0)):
        axes.add_patch(Rectangle((at + step * index, 5), step, 14, facecolor=HEAT[-1], alpha=alpha, linewidth=0))
    axes.text(
        at + step * 4 + 6,
        12,
        "fainter: wider interval" if is_wide(width) else "fainter: less sure",
        va="center",
        color=MUTED,
    )
