"""The running evidence as a walk: what moved it, the boundaries that stop it, and where it stopped.

Knows the columns of `Verdict.evidence`, not how the test that wrote them works.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from roboscale.core.estimate import Verdict
from roboscale.report.canvas import (
    INK,
    LEGEND_LINE,
    MUTED,
    PAPER,
    add_axes,
    add_legend,
    colour,
    is_wide,
    new_canvas,
    shorten,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

__all__ = ["WINS", "evidence_canvas"]

WINS = ("wins_first", "wins_second")
"""Columns that count the cases which only one policy solved."""

_VOID: dict[str, Any] = {"marker": "x", "markersize": 7, "markeredgewidth": 2, "color": MUTED}
_BOUNDARY: dict[str, Any] = {"color": MUTED, "linewidth": 1.4, "linestyle": (0, (4, 3))}


def evidence_canvas(verdict: Verdict, names: tuple[str, str], voids: Sequence[int], width: int) -> Canvas:
    """Draws the walk; `voids` are numbers of counted pairs after which a case stayed void, `width` is in pixels."""
    walk = _Walk.of(verdict)
    entries: list[tuple[str, dict[str, Any]]] = [(walk.label(names, is_wide(width)), {"color": INK, "linewidth": 2.4})]
    if walk.upper or walk.lower:
        entries.append(("boundary of the test", _BOUNDARY))
    if voids:
        entries.append(("a case that stayed void, not counted", {**_VOID, "linestyle": "none"}))
    head = LEGEND_LINE * len(entries) + 16
    canvas = new_canvas(width, head + (320 if is_wide(width) else 250) + 48)
    add_legend(canvas, entries)
    axes = add_axes(canvas, 44, head, 16, 48, "y")
    _draw_walk(axes, walk, names)
    low, last = axes.get_ylim()[0], max(walk.n, default=0)
    if voids:
        places = [min(place, last) + 0.5 for place in voids]
        axes.plot(places, [low] * len(voids), linestyle="none", clip_on=False, zorder=6, **_VOID)
    return canvas


_Points = tuple[tuple[float, float], ...]
"""(paired cases counted, height) ..."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Walk:
    """What moves, and the boundaries that stop it; both over the paired cases counted so far.

    Args:
        n: paired cases counted.
        value: lead of the second policy in cases; the log e-value where the rows have no wins.
        upper, lower: boundaries, where a decision was possible.
        lead: whether `value` is the lead.
        decided: place in `n` where a boundary was reached; `None` when none was.
        winner: 0 or 1; means nothing when undecided.
    """

    n: tuple[float, ...]
    value: tuple[float, ...]
    upper: _Points
    lower: _Points
    lead: bool
    decided: int | None
    winner: int

    @classmethod
    def of(cls, verdict: Verdict) -> _Walk:
        rows = verdict.evidence
        n = tuple(float(row.get("n", index + 1)) for index, row in enumerate(rows))
        lead = all(key in row for row in rows for key in WINS)
        if lead:
            value = tuple(float(row["wins_second"] - row["wins_first"]) for row in rows)
            upper, lower = _bound(rows, n, "upper"), _bound(rows, n, "lower")
        else:
            value = tuple(float(row.get("log_e_value", 0.0)) for row in rows)
            upper, lower = tuple((at, -math.log(verdict.alpha)) for at in n), ()
        claims = verdict.decision in ("first is better", "second is better")
        decided = _crossing(n, value, upper, lower) if claims and rows else None
        winner = int(verdict.decision == "second is better")
        return cls(n=n, value=value, upper=upper, lower=lower, lead=lead, decided=decided, winner=winner)

    def label(self, names: tuple[str, str], wide: bool) -> str:
        if not self.lead:
            return "log e-value of the paired cases"
        lead = f"lead of {names[1]}, in cases"
        return f"{lead}: those that only it solved, less those that only {names[0]} solved" if wide else lead


def _crossing(n: Sequence[float], value: Sequence[float], upper: _Points, lower: _Points) -> int:
    """First place where a boundary is reached; the last place when the rows show no boundary."""
    above, below = dict(upper), dict(lower)
    for index, (at, height) in enumerate(zip(n, value, strict=True)):
        if height >= above.get(at, math.inf) or height <= below.get(at, -math.inf):
            return index
    return len(n) - 1


def _bound(rows: Sequence[Mapping[str, float]], n: Sequence[float], key: str) -> _Points:
    """The points of a boundary. One beyond the number of discordant pairs cannot be reached yet and is left out."""
    points = [(at, row.get(key), row.get("discordant", math.inf)) for at, row in zip(n, rows, strict=True)]
    return tuple((at, float(y)) for at, y, reach in points if y is not None and math.isfinite(y) and abs(y) <= reach)


def _draw_walk(axes: Axes, walk: _Walk, names: tuple[str, str]) -> None:
    from matplotlib.ticker import MaxNLocator

    reach = [*walk.value, *(y for _, y in (*walk.upper, *walk.lower)), 0.0, 1.0]
    pad = 0.24 * (max(reach) - min(reach))
    low, high = min(reach) - pad, max(reach) + pad
    last = max(walk.n, default=1.0)
    axes.set(xlim=(0, last * 1.03 + 0.5), ylim=(low, high), xlabel="paired cases counted")
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(7, integer=True))
    for bound, edge, index in ((walk.upper, high, 1), (walk.lower, low, 0)):
        if not bound:
            continue
        xs, ys = [at for at, _ in bound], [y for _, y in bound]
        axes.fill_between(xs, ys, edge, step="post", color=colour(index), alpha=0.16, linewidth=0)
        axes.step(xs, ys, where="post", **_BOUNDARY)
        label = f"{shorten(names[index], 24)} is better" if walk.lead else "decided"
        style: dict[str, Any] = {"textcoords": "offset points", "ha": "right", "va": "center", "weight": "bold"}
        axes.annotate(label, (xs[-1], edge), xytext=(-6, -12 if index else 12), color=colour(index), **style)
    axes.step((0, *walk.n), (0, *walk.value), where="post", color=INK, linewidth=2.4)
    _mark_stop(axes, walk)


def _mark_stop(axes: Axes, walk: _Walk) -> None:
    """A dot where it was decided, and a bar where the trials ended when that is later."""
    if not walk.n:
        return
    end = len(walk.n) - 1
    if walk.decided is None:
        _stop(axes, walk, end, MUTED, f"not decided after {walk.n[end]:g}")
        return
    hue = colour(walk.winner)
    if walk.decided == end:
        _stop(axes, walk, end, hue, f"decided, stopped after {walk.n[end]:g}")
        return
    _stop(axes, walk, walk.decided, hue, f"decided after {walk.n[walk.decided]:g}")
    axes.plot([walk.n[end]], [walk.value[end]], marker="|", markersize=14, markeredgewidth=2.4, color=INK, zorder=6)


def _stop(axes: Axes, walk: _Walk, index: int, hue: str, label: str) -> None:
    n, value = walk.n[index], walk.value[index]
    axes.plot([n], [value], marker="o", markersize=10, color=hue, zorder=6, clip_on=False)
    shift = (2, 17 if value >= 0 else -17)
    right = n > 0.45 * walk.n[-1]
    side: dict[str, Any] = {"ha": "right" if right else "left", "va": "center", "weight": "bold"}
    chip = {"facecolor": PAPER, "edgecolor": "none", "pad": 2}
    axes.annotate(label, (n, value), xytext=shift, textcoords="offset points", bbox=chip, zorder=5, **side)
