"""The figures of a validity card: real against cheap, the difference by policy, and what the correlation is worth.

Knows finished measures, not how they were computed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from roboscale.core import Estimate
from roboscale.report.canvas import (
    GRID,
    INK,
    LEGEND_LINE,
    MUTED,
    PALETTE,
    PAPER,
    RATE_TICKS,
    add_axes,
    add_legend,
    draw,
    flagged,
    is_wide,
    new_canvas,
    shorten,
)
from roboscale.report.figures import Figure
from roboscale.report.model import Doubts
from roboscale.report.tables import ESTIMATE_COLUMNS, RATE_COLUMNS, Table, estimate_cells, rate_cells
from roboscale.report.text import mark, signed
from roboscale.report.whiskers import ROW, draw_estimate, draw_interval, named_rows, write_beside
from roboscale.stats.validity import ValidityCard

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

__all__ = ["agreement_figure", "residual_figure", "scatter_figure"]

_NAMED = 12
"""More policies than this are numbered in the scatter, with a key below."""
_KEY = 160.0
"""Width of one column of that key, pixels."""
_Box = tuple[float, float, float, float]
"""Left, bottom, right, top."""
_AWAY = ((9, 9, "left"), (9, -10, "left"), (-9, 9, "right"), (-9, -10, "right"), (9, 20, "left"), (9, -21, "left"))
"""Places of a label around its point: pixels right, up, and which side of the label is meant."""


def scatter_figure(
    names: Sequence[str],
    real: Mapping[str, Estimate],
    cheap: Mapping[str, Estimate],
    width: int = 860,
    *,
    unverified: Doubts | None = None,
) -> Figure:
    """Every policy's rate in the real world over its rate in the cheap one, with both intervals and the diagonal.

    Args:
        names: the policies to draw; each has a value in both worlds.
        width: CSS pixels.
        unverified: whose dot is hollow.
    """
    doubts = unverified or {}
    svg = draw("validity-scatter", width, lambda: _scatter_canvas(names, real, cheap, doubts, width))
    columns = ("policy", *(f"{world} {name}" for world in ("real", "cheap") for name in RATE_COLUMNS))
    marks = {name: doubts.get(name, ()) for name in names}
    rows = tuple((n, *rate_cells(real[n], marks[n]), *rate_cells(cheap[n], marks[n])) for n in names)
    above = sum((real[name].value or 0) > (cheap[name].value or 0) for name in names)
    said = f"{above} of {len(names)} policies lie above the diagonal: better in the real world than in the cheap one."
    return Figure(svg, Table(columns, rows), said)


def residual_figure(
    calibration: Mapping[str, Estimate], width: int = 860, *, unverified: Doubts | None = None
) -> Figure:
    """Cheap minus real for each policy, largest first; `width` in CSS pixels."""
    doubts = unverified or {}
    names = sorted(calibration, key=lambda name: (-(calibration[name].value or 0.0), name))
    svg = draw("validity-residuals", width, lambda: _residual_canvas(names, calibration, doubts, width))
    rows = ((name, *estimate_cells(calibration[name]), mark(doubts.get(name, ())) or None) for name in names)
    table = Table(("policy", *ESTIMATE_COLUMNS, "unverified"), tuple(rows))
    said = "; ".join(f"{name} {_points(calibration[name].value)}" for name in names)
    return Figure(svg, table, f"Cheap minus real, points of success. {said}.")


def agreement_figure(card: ValidityCard, width: int = 860) -> Figure:
    """Both correlations with their interval, their range when one policy is left out, and what chance reaches.

    Args:
        card: correlations without a value are left empty and say so.
        width: CSS pixels.
    """
    rows = (("Pearson", card.pearson, card.pearson_drop_one), ("Spearman", card.spearman, card.spearman_drop_one))
    svg = draw("validity-agreement", width, lambda: _agreement_canvas(rows, card.permutation.chance, width))
    table = Table(
        ("measure", *ESTIMATE_COLUMNS, "lowest without one", "highest without one", "5 % of shuffles reach"),
        tuple(
            (name, *estimate_cells(r), *(out or (None, None)), card.permutation.chance if name == "Pearson" else None)
            for name, r, out in rows
        ),
    )
    said = "; ".join(f"{name} {signed(r.value)}" for name, r, _ in rows)
    return Figure(svg, table, f"Correlation over {len(card.policies)} policies: {said}.")


def _points(value: float | None) -> str:
    return signed(None if value is None else 100 * value, 0)


def _scatter_canvas(
    names: Sequence[str], real: Mapping[str, Estimate], cheap: Mapping[str, Estimate], doubts: Doubts, width: int
) -> Canvas:
    side = min(540.0, width - 60.0)
    numbered = not is_wide(width) or len(names) > _NAMED
    columns = max(1, int(width / _KEY))
    lines = math.ceil(len(names) / columns) if numbered else 0
    foot = 56.0 + LEGEND_LINE * lines
    canvas = new_canvas(width, side + 10 + foot)
    left = 52.0 + max(0.0, (width - 60 - side) / 2)
    axes = add_axes(canvas, left, 10, width - left - side, foot, "x")
    axes.grid(axis="y", color=GRID, linewidth=1)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel="success in the cheap world", ylabel="in the real world")
    axes.set_xticks(*RATE_TICKS)
    axes.set_yticks(*RATE_TICKS)
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1.4, linestyle=(0, (4, 3)))
    taken: list[_Box] = []
    for name in names:
        taken += _draw_point(axes, cheap[name], real[name], side / 1.04, hollow=bool(doubts.get(name)))
    written = [flagged(name, doubts.get(name, ())) for name in names]
    for number, name in enumerate(names):
        label = str(number + 1) if numbered else shorten(written[number], 24)
        _label(axes, label, (cheap[name].value or 0.0, real[name].value or 0.0), side / 1.04, taken)
    for number, name in enumerate(written if numbered else ()):
        line, column = number % lines, number // lines
        place = (4 + _KEY * column) / width, (LEGEND_LINE * (lines - line) - 9) / (side + 10 + foot)
        canvas.text(*place, f"{number + 1}  {shorten(name, 20)}", va="center_baseline")
    return canvas


def _draw_point(axes: Axes, cheap: Estimate, real: Estimate, scale: float, *, hollow: bool) -> list[_Box]:
    """Draws a policy and returns what it covers."""
    x, y = cheap.value or 0.0, real.value or 0.0
    covered = [(x * scale - 6, y * scale - 6, x * scale + 6, y * scale + 6)]
    if cheap.low is not None and cheap.high is not None:
        draw_interval(axes, (cheap.low, cheap.high), y, PALETTE[0], half_cap=0)
        covered.append((cheap.low * scale, y * scale - 1, cheap.high * scale, y * scale + 1))
    if real.low is not None and real.high is not None:
        draw_interval(axes, (real.low, real.high), x, PALETTE[0], half_cap=0, upright=True)
        covered.append((x * scale - 1, real.low * scale, x * scale + 1, real.high * scale))
    fill: dict[str, Any] = {"markerfacecolor": PAPER, "markeredgewidth": 1.8} if hollow else {}
    axes.plot([x], [y], "o", color=PALETTE[0], markersize=9, clip_on=False, zorder=5, **fill)
    return covered


def _label(axes: Axes, name: str, at: tuple[float, float], scale: float, taken: list[_Box]) -> None:
    """Writes a name beside its point where it covers least of what is `taken`; boxes in pixels from the origin."""
    x, y, wide = at[0] * scale, at[1] * scale, 7.0 * len(name)

    def box(place: tuple[int, int, str]) -> _Box:
        right, up, side = place
        start = x + right - (wide if side == "right" else 0)
        return (start, y + up - 7, start + wide, y + up + 7)

    def cost(place: tuple[int, int, str]) -> float:
        own = box(place)
        outside = max(0.0, -own[0]) + max(0.0, own[2] - 1.02 * scale)
        return sum(_overlap(own, other) for other in taken) + 1e3 * outside

    best = min(_AWAY, key=cost)
    taken.append(box(best))
    axes.annotate(name, at, xytext=best[:2], textcoords="offset points", ha=best[2], va="center", color=INK, zorder=6)


def _overlap(a: _Box, b: _Box) -> float:
    across, along = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return max(0.0, across) * max(0.0, along)


def _residual_canvas(names: Sequence[str], calibration: Mapping[str, Estimate], doubts: Doubts, width: int) -> Canvas:
    labels = [flagged(name, doubts.get(name, ())) for name in names]
    canvas, axes = named_rows(labels, width, 12, "cheap minus real, points of success")
    ends = [abs(x) for e in calibration.values() for x in (e.value, e.low, e.high) if x is not None]
    reach = min(1.0, math.ceil(10 * max(ends, default=0.1) + 0.2) / 10)
    step = 0.1 if reach <= 0.3 else 0.25 if is_wide(width) else 0.5
    places = [step * i for i in range(-int(reach / step + 1e-9), int(reach / step + 1e-9) + 1)]
    axes.set_xticks(places, [_points(place) for place in places])
    axes.set_xlim(-reach, reach)
    axes.axvline(0, color=MUTED, linewidth=1.4, linestyle=(0, (4, 3)))
    for index, name in enumerate(names):
        y = ROW * (index + 0.5)
        draw_estimate(axes, calibration[name], y, PALETTE[0], half_cap=4, hollow=bool(doubts.get(name)))
        write_beside(axes, 1, y, _points(calibration[name].value), 46, ha="right", weight="bold")
    return canvas


_Row = tuple[str, Estimate, tuple[float, float] | None]


def _agreement_canvas(rows: Sequence[_Row], chance: float | None, width: int) -> Canvas:
    band: dict[str, Any] = {"color": PALETTE[1], "linewidth": 9, "alpha": 0.45}
    line: dict[str, Any] = {"color": MUTED, "linewidth": 1.6, "linestyle": (0, (4, 3))}
    entries = [("correlation and its interval", {"color": PALETTE[0], "linewidth": 2, "marker": "o"})]
    entries += [("range when one policy is left out", band)] if any(out for *_, out in rows) else []
    entries += [("5 % of shuffles reach this", line)] if chance is not None else []
    head = LEGEND_LINE * len(entries) + 14
    canvas, axes = named_rows([name for name, *_ in rows], width, head, "correlation over policies")
    add_legend(canvas, entries)
    axes.set_xlim(-1.02, 1.02)
    axes.set_xticks([-1, -0.5, 0, 0.5, 1], ["−1", "−0.5", "0", "0.5", "1"])
    if chance is not None:
        axes.plot([chance, chance], [0, ROW], **line)
    for index, (_, r, out) in enumerate(rows):
        y = ROW * (index + 0.5)
        if out is not None:
            axes.plot(out, [y, y], solid_capstyle="butt", **band)
        draw_estimate(axes, r, y, PALETTE[0], half_cap=4)
        write_beside(axes, 1, y, signed(r.value), 46, ha="right", weight="bold")
        if r.value is None:
            write_beside(axes, 0, y, "no correlation", 8, ha="left", color=MUTED, style="italic")
    return canvas
