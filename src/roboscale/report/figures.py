"""Figures as SVG, each with the table it was drawn from. The only file of the room that needs matplotlib.

Widths are CSS pixels: one unit of the SVG is one pixel, so a figure drawn for a phone has readable text there.
Knows nothing of pages; colours are plain hex, which the page may replace by its own (see `PALETTE`, `INK`, `MUTED`).
No global state: figures are built from matplotlib's classes, and the same input gives the same bytes.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from roboscale.core.estimate import Estimate, Verdict
from roboscale.report.model import PolicyResult, TrainingCurve, VoidTrial
from roboscale.report.tables import Table, evidence_table, success_table, task_names, training_table
from roboscale.report.text import number, percent

__all__ = ["GRID", "INK", "MUTED", "PALETTE", "Figure", "loss_curves", "running_evidence", "success_by_task"]

PALETTE = ("#0b66b0", "#c85a00", "#00805f", "#9b3f8a", "#7a6a00", "#5a5f6b")
"""Colours of the policies in their order; the first two stay apart under every common colour blindness."""
INK, MUTED, GRID = "#1b1f24", "#5d6672", "#d9dee5"

_MARKERS = ("o", "s", "^", "D", "v", "P")
_WIDE = 560
_STYLE = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.size": 12,
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "text.color": INK,
    "axes.unicode_minus": True,
    "path.simplify": True,
}


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
    svg = _draw(f"success-{width}", width, lambda: _success_canvas(rows, names, width))
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
    svg = _draw(f"evidence-{width}", width, lambda: _evidence_canvas(verdict, names, places, width))
    last = verdict.evidence[-1] if verdict.evidence else {}
    wins = [f"{name} alone succeeded on {number(last.get(key))}" for name, key in zip(names, _WINS, strict=True)]
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
    svg = _draw(f"loss-{width}", width, lambda: _loss_canvas(training, order, width))
    ends = "; ".join(f"{curve.policy} ends at {number(curve.loss[-1])}" for curve in training if curve.loss)
    return Figure(svg, training_table(training), f"Training loss over steps. {ends}.")


_WINS = ("wins_first", "wins_second")


def _draw(name: str, width: int, build: Callable[[], Canvas]) -> str:
    """Runs `build` under our style and returns its SVG: no date, no random ids."""
    with mpl.rc_context({**_STYLE, "svg.hashsalt": name, "font.size": 12 if width >= _WIDE else 11}):
        canvas = build()
        out = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        FigureCanvasSVG(canvas).print_svg(out, metadata=nothing)
    return out.getvalue()


def _canvas(width: int, height: float) -> Canvas:
    canvas = Canvas(figsize=(width / 72, height / 72), dpi=72)
    canvas.patch.set_visible(False)
    return canvas


def _axes(canvas: Canvas, left: float, top: float, right: float, bottom: float) -> Any:
    """Axes with these margins in pixels, without a frame but for the baseline."""
    width, height = (float(side) * 72 for side in canvas.get_size_inches())
    box = (left / width, bottom / height, (width - left - right) / width, (height - top - bottom) / height)
    axes: Axes = canvas.add_axes(box)
    axes.patch.set_visible(False)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(length=0, pad=6)
    return axes


def _legend(canvas: Canvas, entries: Sequence[tuple[str, Mapping[str, Any]]], left: float = 6) -> float:
    """Lists what is drawn at the top, one line each; returns the height used, pixels."""
    width, height = (float(side) * 72 for side in canvas.get_size_inches())
    for index, (label, style) in enumerate(entries):
        y = 1 - (10 + 19 * index) / height
        xs = [left / width, (left + 11) / width, (left + 22) / width]
        canvas.add_artist(Line2D(xs, [y] * 3, markevery=[1], **style))
        canvas.text((left + 30) / width, y, _short(label, int(width / 8)), va="center_baseline", color=INK)
    return 19.0 * len(entries)


def _colour(index: int) -> str:
    return PALETTE[index % len(PALETTE)]


def _style(index: int) -> dict[str, Any]:
    colour = _colour(index)
    return {"color": colour, "marker": _MARKERS[index % len(_MARKERS)], "markersize": 7, "linewidth": 2.2}


def _short(label: str, limit: int) -> str:
    return label if len(label) <= limit else f"{label[: limit - 1]}…"


def _success_canvas(rows: Sequence[tuple[str, Sequence[Estimate | None]]], names: Sequence[str], width: int) -> Canvas:
    wide = width >= _WIDE
    lane, gap = 19.0, (14.0 if wide else 30.0)
    band = lane * len(names) + gap
    head = 19.0 * len(names) + 14
    canvas = _canvas(width, head + band * len(rows) + 44)
    _legend(canvas, [(name, _style(index)) for index, name in enumerate(names)])
    labels = min(250.0, 30 + 7.2 * max(len(task) for task, _ in rows)) if wide else 8.0
    axes = _axes(canvas, labels, head, 112 if wide else 50, 44)
    axes.set(xlim=(0, 1), ylim=(band * len(rows), 0), yticks=[], xlabel="success rate with its interval")
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
    axes.grid(axis="x", color=GRID, linewidth=1)
    axes.set_axisbelow(True)
    for index, (task, found) in enumerate(rows):
        _success_row(axes, task, found, band * index, lane, wide=wide, bold=index == 0)
    return canvas


def _success_row(
    axes: Any, task: str, found: Sequence[Estimate | None], top: float, lane: float, *, wide: bool, bold: bool
) -> None:
    """One task: its name, and one lane per policy."""
    weight = "bold" if bold else "normal"
    first = top + (7 if wide else 24)
    if top:
        axes.axhline(top, color=GRID, linewidth=1, xmin=0, xmax=1)
    place = (-14, first + lane * len(found) / 2) if wide else (0, top + 13)
    at = axes.get_yaxis_transform()
    axes.annotate(
        _short(task, 32),
        (0, place[1]),
        xycoords=at,
        xytext=(place[0], 0),
        textcoords="offset points",
        ha="right" if wide else "left",
        va="center",
        weight=weight,
        annotation_clip=False,
    )
    for index, estimate in enumerate(found):
        y = first + lane * (index + 0.5)
        if estimate is None or estimate.value is None:
            label = "not tried" if estimate is None else "no data"
            axes.text(0.01, y, label, va="center", color=MUTED, style="italic")
            continue
        if estimate.low is not None and estimate.high is not None:
            axes.plot(
                [estimate.low, estimate.high], [y, y], color=_colour(index), linewidth=2.2, solid_capstyle="round"
            )
        marker = {key: value for key, value in _style(index).items() if key != "linewidth"}
        axes.plot([estimate.value], [y], linestyle="none", clip_on=False, zorder=5, **marker)
        _beside(axes, y, percent(estimate.value), 54 if wide else 46, "right", weight=weight)
        if wide:
            _beside(axes, y, f"n = {estimate.n}", 66, "left", color=MUTED)


def _beside(axes: Any, y: float, label: str, pixels: float, align: str, **style: Any) -> None:
    """Writes on the right of the axes, `pixels` from their edge."""
    place = {"xycoords": axes.get_yaxis_transform(), "textcoords": "offset points", "annotation_clip": False}
    axes.annotate(label, (1, y), xytext=(pixels, 0), va="center", ha=align, **place, **style)


def _evidence_canvas(verdict: Verdict, names: tuple[str, str], voids: Sequence[int], width: int) -> Canvas:
    walk = _Walk.of(verdict)
    entries: list[tuple[str, dict[str, Any]]] = [(walk.label(names, width), {"color": INK, "linewidth": 2.4})]
    if walk.upper or walk.lower:
        entries.append(("boundary of the test", {"color": MUTED, "linewidth": 1.4, "linestyle": (0, (4, 3))}))
    if voids:
        entries.append(("a case that stayed void, not counted", {**_VOID, "linestyle": "none"}))
    head = 19.0 * len(entries) + 16
    canvas = _canvas(width, head + (320 if width >= _WIDE else 250) + 48)
    _legend(canvas, entries)
    axes = _axes(canvas, 44, head, 16, 48)
    _draw_walk(axes, walk, names)
    low, last = axes.get_ylim()[0], max(walk.n, default=0)
    if voids:
        places = [min(place, last) + 0.5 for place in voids]
        axes.plot(places, [low] * len(voids), linestyle="none", clip_on=False, zorder=6, **_VOID)
    return canvas


_VOID = {"marker": "x", "markersize": 7, "markeredgewidth": 2, "color": MUTED}


@dataclass(frozen=True, slots=True)
class _Walk:
    """What moves, and the boundaries that stop it; both over the paired cases counted so far.

    Args:
        n: paired cases counted.
        value: lead of the second policy in cases; the log e-value where the rows have no wins.
        upper, lower: points (n, boundary) at which a decision was possible.
        lead: whether `value` is the lead.
        decided: place in `n` where the boundary was reached; `None` when it was not.
    """

    n: tuple[float, ...]
    value: tuple[float, ...]
    upper: tuple[tuple[float, float], ...]
    lower: tuple[tuple[float, float], ...]
    lead: bool
    decided: int | None

    @classmethod
    def of(cls, verdict: Verdict) -> _Walk:
        rows = verdict.evidence
        n = tuple(float(row.get("n", index + 1)) for index, row in enumerate(rows))
        lead = all(key in row for row in rows for key in _WINS)
        if lead:
            value = tuple(float(row["wins_second"] - row["wins_first"]) for row in rows)
            upper, lower = (_bound(rows, n, key) for key in ("upper", "lower"))
        else:
            value = tuple(float(row.get("log_e_value", 0.0)) for row in rows)
            upper, lower = tuple((at, -math.log(verdict.alpha)) for at in n), ()
        decided = None
        if rows and verdict.decision in ("first is better", "second is better"):
            above, below = dict(upper), dict(lower)
            crossed = (
                v >= above.get(at, math.inf) or v <= below.get(at, -math.inf) for at, v in zip(n, value, strict=True)
            )
            decided = next((index for index, over in enumerate(crossed) if over), len(rows) - 1)
        return cls(n, value, upper, lower, lead, decided)

    def label(self, names: tuple[str, str], width: int) -> str:
        if not self.lead:
            return "log e-value"
        short = f"lead of {names[1]}, in cases"
        return (
            short if width < _WIDE else f"{short}: those that only it solved, less those that only {names[0]} solved"
        )


def _bound(rows: Sequence[Mapping[str, float]], n: Sequence[float], key: str) -> tuple[tuple[float, float], ...]:
    """The points of a boundary. One beyond the number of discordant pairs cannot be reached yet and is left out."""
    found = [(at, row.get(key), row.get("discordant", math.inf)) for at, row in zip(n, rows, strict=True)]
    return tuple((at, float(y)) for at, y, reach in found if y is not None and math.isfinite(y) and abs(y) <= reach)


def _draw_walk(axes: Any, walk: _Walk, names: tuple[str, str]) -> None:
    reach = [*walk.value, *(y for _, y in (*walk.upper, *walk.lower)), 0.0, 1.0]
    pad = 0.2 * (max(reach) - min(reach))
    low, high = min(reach) - pad, max(reach) + pad
    last = max(walk.n, default=1.0)
    axes.set(xlim=(0, last * 1.03 + 0.5), ylim=(low, high), xlabel="paired cases counted")
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(7, integer=True))
    axes.grid(axis="y", color=GRID, linewidth=1)
    axes.set_axisbelow(True)
    for bound, edge, index in ((walk.upper, high, 1), (walk.lower, low, 0)):
        if not bound:
            continue
        xs, ys = [at for at, _ in bound], [y for _, y in bound]
        axes.fill_between(xs, ys, edge, step="post", color=_colour(index), alpha=0.16, linewidth=0)
        axes.step(xs, ys, where="post", color=MUTED, linewidth=1.4, linestyle=(0, (4, 3)))
        label = f"{_short(names[index], 24)} is better" if walk.lead else "decided"
        at = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
        shift = (6, -11 if index else 11)
        axes.annotate(label, (0, edge), xytext=shift, va="center", color=_colour(index), weight="bold", **at)
    axes.step((0, *walk.n), (0, *walk.value), where="post", color=INK, linewidth=2.4)
    _mark_stop(axes, walk)


def _mark_stop(axes: Any, walk: _Walk) -> None:
    """A dot where it was decided, and one where the trials ended when that is later."""
    if not walk.n:
        return
    end = len(walk.n) - 1
    if walk.decided is None:
        _stop(axes, walk, end, MUTED, f"not decided after {walk.n[end]:g}")
        return
    hue = _colour(1 if walk.value[walk.decided] > 0 else 0)
    if walk.decided == end:
        _stop(axes, walk, end, hue, f"decided, stopped after {walk.n[end]:g}")
        return
    _stop(axes, walk, walk.decided, hue, f"decided after {walk.n[walk.decided]:g}")
    axes.plot([walk.n[end]], [walk.value[end]], marker="|", markersize=14, markeredgewidth=2.4, color=INK, zorder=6)


def _stop(axes: Any, walk: _Walk, index: int, hue: str, label: str) -> None:
    n, value = walk.n[index], walk.value[index]
    axes.plot([n], [value], marker="o", markersize=10, color=hue, zorder=6, clip_on=False)
    shift = (4, 15 if value >= 0 else -15)
    right = n > 0.45 * walk.n[-1]
    side: dict[str, Any] = {"ha": "right" if right else "left", "va": "center", "weight": "bold"}
    axes.annotate(label, (n, value), xytext=shift, textcoords="offset points", **side)


def _loss_canvas(training: Sequence[TrainingCurve], order: Sequence[str], width: int) -> Canvas:
    dashed = {"linestyle": (0, (4, 2.5))}
    entries: list[tuple[str, dict[str, Any]]] = []
    for curve in training:
        line = {"color": _colour(order.index(curve.policy)), "linewidth": 2.0}
        entries.append((curve.policy, line))
        if curve.validation_loss:
            entries.append((f"{curve.policy}, held out", {**line, **dashed}))
    head = 19.0 * len(entries) + 16
    canvas = _canvas(width, head + (260 if width >= _WIDE else 210) + 48)
    _legend(canvas, entries)
    axes = _axes(canvas, 58, head, 16, 48)
    for curve in training:
        colour = _colour(order.index(curve.policy))
        axes.plot(curve.steps, curve.loss, color=colour, linewidth=2.0)
        if curve.validation_loss:
            axes.plot(curve.steps, curve.validation_loss, color=colour, linewidth=2.0, **dashed)
    seen = [y for curve in training for y in (*curve.loss, *curve.validation_loss) if math.isfinite(y)]
    axes.set(xlabel="optimiser step")
    axes.margins(x=0.01)
    if seen and min(seen) > 0 and max(seen) > 10 * min(seen):
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    axes.xaxis.set_major_locator(MaxNLocator(8 if width >= _WIDE else 4, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: number(x)))
    axes.grid(axis="y", color=GRID, linewidth=1)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", length=0)
    return canvas
