"""Draws the pictures of docs/statistics.md from the library's own functions: seeded examples, same bytes each time.

    python scripts/statistics_figures.py [TOPIC ...]

Writes docs/images/stats-TOPIC.svg; all of them takes ten seconds. The examples are invented, except move-near.
The data come from statistics_examples.py. Knows nothing of the tables in that page: benchmarks/ prints those,
and draws docs/images/coverage.svg.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from numpy.typing import NDArray
from statistics_examples import (
    FOUR,
    MOVE_NEAR,
    board,
    decided,
    evalue_path,
    four_policies,
    mixed_runs,
    naive,
    paired_draws,
    right_orders,
    scored_policies,
    study,
    trained_policies,
)

from roboscale.core import Estimate, Outcomes, PairedOutcome, Stratum
from roboscale.report.board_figures import BoardRow, interval_figure
from roboscale.report.canvas import (
    GRID,
    INK,
    LEGEND_LINE,
    MUTED,
    PALETTE,
    add_axes,
    add_legend,
    draw,
    new_canvas,
)
from roboscale.report.check import CheckRow, differences_figure
from roboscale.report.figures import running_evidence
from roboscale.report.plan_figures import Curve, curve_figure, predicted_band
from roboscale.report.validity_figures import agreement_figure, scatter_figure
from roboscale.report.whiskers import ROW, draw_estimate, draw_interval, named_rows, write_beside
from roboscale.stats import (
    SequentialPaired,
    beta_confidence_sequence,
    clopper_pearson,
    wilson,
    worst_case_bounds,
)
from roboscale.stats.barnard import smallest_difference
from roboscale.stats.checkup import check_candidate
from roboscale.stats.differences import paired_difference
from roboscale.stats.fusion import FusionMode, fuse
from roboscale.stats.independent import ArmBoundary, naive_arm_boundary, size
from roboscale.stats.mixing_law import fit_mixing_law
from roboscale.stats.mixture import fit_mixture
from roboscale.stats.paired import exact_paired_test
from roboscale.stats.policy_prior import policy_prior
from roboscale.stats.progress import EProcessProgress
from roboscale.stats.sample_size import independent_power, paired_power
from roboscale.stats.scaling import fit_curve
from roboscale.stats.scaling_forms import Point
from roboscale.stats.validity import validity
from roboscale.stats.walk import boundary as pair_boundary
from roboscale.stats.walk import type_one_error

IMAGES = Path(__file__).resolve().parents[1] / "docs/images"
WIDTH = 720
DASHED: dict[str, Any] = {"linestyle": (0, (4, 3))}
BLUE, ORANGE, GREEN = PALETTE[:3]
Lines = Sequence[tuple[str, dict[str, Any], Any, Any]]
"""(label, style, x, y) ...; a line without a label is not in the legend."""


def line_plot(
    lines: Lines, xlabel: str, ylabel: str, *, rates: bool = False, height: int = 280
) -> tuple[Canvas, Axes]:
    """Lines with a legend above; `rates` labels the vertical axis in per cent."""
    entries = [(label, style) for label, style, *_ in lines if label]
    head = LEGEND_LINE * len(entries) + 26
    canvas = new_canvas(WIDTH, head + height + 48)
    add_legend(canvas, entries)
    axes = add_axes(canvas, 58, head, 18, 48, "y")
    for _, style, x, y in lines:
        axes.plot(x, y, **style)
    axes.set(xlabel=xlabel)
    axes.set_title(ylabel, loc="left", color=MUTED, size=12)
    axes.margins(x=0.01)
    if rates:
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{100 * y:.0f} %"))
    return canvas, axes


def solid(hue: str, width: float = 2.2) -> dict[str, Any]:
    return {"color": hue, "linewidth": width}


def dots(hue: str) -> dict[str, Any]:
    return {"color": hue, "marker": "o", "linestyle": "none", "markersize": 7}


def bounds(estimates: Sequence[Estimate]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return np.array([e.low for e in estimates], float), np.array([e.high for e in estimates], float)


def sequence() -> Canvas:
    """One policy of rate .7: both intervals after each of 100 trials."""
    n = np.arange(1, 101)
    successes = np.cumsum(np.random.default_rng(11).random(100) < 0.7)
    counts = list(zip(successes.tolist(), n.tolist(), strict=True))
    anytime = bounds([beta_confidence_sequence(k, m) for k, m in counts])
    fixed = bounds([clopper_pearson(k, m) for k, m in counts])
    rows: Lines = [
        ("confidence sequence: holds at all looks", solid(BLUE), n, anytime[0]),
        ("", solid(BLUE), n, anytime[1]),
        ("Clopper-Pearson: holds at one look chosen beforehand", solid(ORANGE, 1.6), n, fixed[0]),
        ("", solid(ORANGE, 1.6), n, fixed[1]),
        ("true rate", {**solid(MUTED, 1.4), **DASHED}, [1, 100], [0.7, 0.7]),
    ]
    canvas, axes = line_plot(rows, "trials so far", "success rate", rates=True)
    axes.fill_between(n, *anytime, color=BLUE, alpha=0.1, linewidth=0)
    axes.set_ylim(0, 1.01)
    return canvas


def void() -> Canvas:
    """6 successes, 2 failures, 2 void."""
    worst = worst_case_bounds(6, 2, 2)
    rows = (
        ("void as failures", worst.as_failures, ORANGE),
        ("valid trials only", clopper_pearson(6, 8, void=2), BLUE),
        ("void as successes", worst.as_successes, ORANGE),
    )
    canvas, axes = named_rows([name for name, *_ in rows], WIDTH, 10, "success rate: 6 successes, 2 failures, 2 void")
    share_axis(axes)
    for index, (_, estimate, hue) in enumerate(rows):
        y = ROW * (index + 0.5)
        draw_estimate(axes, estimate, y, hue, half_cap=4)
        write_beside(axes, 1, y, f"{100 * (estimate.value or 0):.0f} %", 46, ha="right", weight="bold")
    return canvas


def share_axis(axes: Axes) -> None:
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
    axes.set_xlim(-0.01, 1.01)


def mean_progress() -> Canvas:
    """Two kinds of score with mean .6: the confidence sequence of the mean after each trial."""
    n, rows = np.arange(1, 101), []
    for (label, low, high), hue in zip(scored_policies(), (ORANGE, BLUE), strict=True):
        rows += [(f"scores: {label}", solid(hue), n, low), ("", solid(hue), n, high)]
    rows.append(("true mean of both", {**solid(MUTED, 1.4), **DASHED}, [1, 100], [0.6, 0.6]))
    canvas, axes = line_plot(rows, "trials so far", "mean progress")
    axes.set_ylim(0, 1.01)
    return canvas


def paired() -> Canvas:
    """Three results of 60 pairs: interval of the difference and p-value."""
    results = ((2, 22), (8, 16), (1, 3))
    labels = [f"{old} against {new}" for old, new in results]
    canvas, axes = named_rows(labels, WIDTH, 12, "difference of the success rates of 60 pairs, new minus old")
    axes.axvline(0, color=MUTED, linewidth=1.4, **DASHED)
    axes.set_xlim(-0.3, 0.6)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{100 * x:.0f}"))
    for index, (old, new) in enumerate(results):
        outcomes = [(True, False)] * old + [(False, True)] * new + [(True, True)] * (60 - old - new)
        pairs, y = [PairedOutcome("", *outcome) for outcome in outcomes], ROW * (index + 0.5)
        draw_estimate(axes, paired_difference(pairs), y, BLUE, half_cap=4)
        write_beside(axes, 1, y, f"p {exact_paired_test(pairs):.5f}", 66, ha="right", weight="bold")
    return canvas


def peeking() -> Canvas:
    """Type-I error against the number of looks; both policies equal."""
    looks = (5, 10, 20, 35, 50, 75, 100, 150, 200)
    rows: list[Any] = [
        (f"paired, {share:.0%} of the pairs discordant".replace("%", " %"), solid(hue), looks, naive(share, looks))
        for share, hue in ((1.0, BLUE), (0.4, GREEN))
    ]
    critical = naive_arm_boundary(looks[-1]).critical
    arms = [size(ArmBoundary(0.05, 1, critical[: n + 1]), np.linspace(0.05, 0.5, 46)) for n in looks]
    rows.append(("independent arms, one-sided, worst common rate", solid(ORANGE), looks, arms))
    kept = [type_one_error(pair_boundary(n)) for n in looks]
    rows.append(("sequential paired test, worst case", {**solid(INK), **DASHED}, looks, kept))
    canvas, axes = line_plot(rows, "looks (pairs, or trials per policy)", "false findings, 5 % promised", rates=True)
    axes.axhline(0.05, color=MUTED, linewidth=1)
    axes.set_ylim(0, 0.3)
    return canvas


def sequential() -> str:
    """A walk that is decided before its budget of 50 pairs."""
    rule = SequentialPaired(budget=50, names=("old", "new"))
    for pair in paired_draws(4, 0.12, 0.42, 50):
        if rule.update(pair):
            break
    return running_evidence(rule.verdict(), ("old", "new"), width=WIDTH).svg


def eprocess() -> Canvas:
    """Capital in one comparison of different policies, and in twenty of equal ones."""
    n = np.arange(1, 101)
    equal = [evalue_path(paired_draws(seed, 0.2, 0.2, 100)) for seed in range(20)]
    rows: list[Any] = [("", {"color": MUTED, "linewidth": 0.8, "alpha": 0.5}, n, path) for path in equal[1:]]
    rows += [("20 comparisons of equal policies", {"color": MUTED, "linewidth": 0.8}, n, equal[0])]
    different = evalue_path(paired_draws(5, 0.1, 0.4, 100))
    rows += [("one comparison of different ones", solid(BLUE), n, different)]
    canvas, axes = line_plot(rows, "paired cases counted", "capital of the bettor, logarithmic")
    threshold(axes, 20, "20: decided at alpha .05")
    return canvas


def threshold(axes: Axes, at: float, label: str) -> None:
    """A logarithmic capital with the line at which the verdict falls."""
    axes.set(yscale="log", ylim=(0.05, 5e3))
    axes.axhline(at, color=ORANGE, linewidth=1.6, **DASHED)
    axes.text(1, at * 1.2, label, color=ORANGE, weight="bold")
    axes.yaxis.set_major_locator(FixedLocator([0.1, 1, 10, 100, 1000]))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))


def progress() -> Canvas:
    """Success decides nothing where neither succeeds; progress does."""
    rng = np.random.default_rng(2)
    old, new = rng.choice(4, (60,), p=(0.4, 0.4, 0.2, 0)) / 4, rng.choice(4, (60,), p=(0.15, 0.3, 0.35, 0.2)) / 4
    rule = EProcessProgress(names=("old", "new"), min_pairs=61)
    for a, b in zip(old.tolist(), new.tolist(), strict=True):
        rule.update(a, b)
    found = np.exp([row["log_e_value"] for row in rule.verdict().evidence])
    n = np.arange(1, len(found) + 1)
    rows: Lines = [
        ("by progress, in quarters of the task", solid(BLUE), n, found),
        ("by success: neither ever succeeds", {**solid(MUTED), **DASHED}, n, np.ones(len(n))),
    ]
    canvas, axes = line_plot(rows, "paired cases counted", "capital of the bettor, logarithmic")
    threshold(axes, 20, "20: decided at alpha .05")
    return canvas


def barnard() -> Canvas:
    """Smallest difference that a fixed number of trials finds with power .8."""
    trials = (10, 15, 20, 30, 50, 70, 100, 140, 200)
    rows: list[Any] = []
    for start, hue in ((0.5, BLUE), (0.7, ORANGE)):
        found = [(n, smallest_difference(start, n)) for n in trials]
        known = [(n, d) for n, d in found if d is not None]
        rows.append((f"old policy at {start:g}", {**solid(hue), "marker": "o"}, *zip(*known, strict=True)))
    canvas, axes = line_plot(rows, "trials per policy, logarithmic", "smallest difference found in 4 of 5 comparisons")
    axes.set_ylim(0, 0.5)
    axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks((10, 20, 50, 100, 200), ("10", "20", "50", "100", "200"))
    return canvas


def check() -> str:
    """Five tasks before and now, with the verdict of each."""
    tasks = {"lift": (18, 6), "pour": (14, 9), "stack": (11, 11), "wipe": (8, 10), "open": (5, 17)}
    checked = []
    for task, (before, now) in tasks.items():
        outcomes = Outcomes.of_counts({"before": (before, 20), "now": (now, 20)}, Stratum("", task))
        (one,) = check_candidate(outcomes, ["before", "now"], 0.01).checks  # .05 over five tasks
        checked.append(one)
    rows = [
        CheckRow(
            verdict=c.verdict,
            task=c.stratum.task,
            before=c.before,
            old=c.old,
            new=c.new,
            difference=c.difference,
            p_value=c.p_value,
            design=c.design,
        )
        for c in checked
    ]
    return differences_figure(tuple(rows), 720).svg


def power() -> Canvas:
    """Power against the number of trials for .5 against .7: independent, and the same cases at two agreements."""
    trials = np.arange(5, 151, 5)
    rows: list[Any] = [("independent trials", solid(BLUE), trials, [independent_power(0.5, 0.7, n) for n in trials])]
    for agreement, hue in ((0.8, GREEN), (0.6, ORANGE)):
        label = f"same cases, {100 * agreement:.0f} % alike"
        rows.append((label, solid(hue), trials, [paired_power(0.5, 0.7, agreement, n) for n in trials]))
    canvas, axes = line_plot(rows, "trials of each policy", "probability of showing .5 against .7", rates=True)
    axes.axhline(0.8, color=MUTED, linewidth=1.4, **DASHED)
    axes.set_ylim(0, 1.01)
    return canvas


def independent() -> Canvas:
    """Share of comparisons decided after n trials a policy."""
    n = np.arange(201)
    cases = ((0.56, 0.92, BLUE), (0.5, 0.7, GREEN), (0.5, 0.5, ORANGE))
    rows: list[Any] = []
    for p0, p1, hue in cases:
        label = f"{p0:g} against {p1:g}" + (": equal, so an error" if p0 == p1 else "")
        rows.append((label, solid(hue), n, np.cumsum(decided(p0, p1))))
    canvas, axes = line_plot(rows, "trials per policy, budget 200", "comparisons decided so far", rates=True)
    axes.axvline(174, color=GREEN, linewidth=1.4, **DASHED)
    axes.text(172, 0.3, "fixed design for .5 against .7", color=GREEN, ha="right")
    axes.set_ylim(0, 1.01)
    return canvas


def many() -> Canvas:
    """A lane for each pair, as long as it was undecided (to 4 cases), and the letters that result."""
    verdict, cases, ends = four_policies()
    lanes = sorted((ends.get(pair, (cases, "not decided")), " / ".join(pair)) for pair in combinations(FOUR, 2))
    canvas, axes = named_rows([name for _, name in lanes], WIDTH, 34, "cases")
    letters = ", ".join(f"{name} {verdict.letters[name]}" for name in verdict.names)
    canvas.text(0.01, 0.985, f"letters at the end: {letters}", va="top", weight="bold")
    axes.set_xlim(0, 1.3 * cases)
    for index, ((end, label), _) in enumerate(lanes):
        y, hue = ROW * (index + 0.5), MUTED if label == "not decided" else BLUE
        axes.plot([0, end], [y, y], color=hue, linewidth=6, alpha=0.35, solid_capstyle="butt")
        axes.plot([end], [y], "o", color=hue, markersize=8)
        axes.text(end + 0.015 * cases, y, label, va="center", color=hue)
    return canvas


def ranking() -> str:
    """Strengths with intervals, the policy without a score last."""
    found, rows = board(), []
    for name in found.order:
        low, high = found.rank_sets[name]
        group = next(i for i, members in enumerate(found.tie_groups) if name in members)
        rows.append(BoardRow(name, f"{low}-{high}" if low < high else f"{low}", group, found.scores.get(name)))
    return interval_figure(rows, "strength, logits", share=False, width=WIDTH).svg


def rank_sets() -> Canvas:
    """Brackets of ranks, one colour a tie group."""
    found = board()
    canvas, axes = named_rows(found.order, WIDTH, 10, "ranks that the comparisons leave open, 95 % for all together")
    axes.set(xlim=(0.5, len(found.order) + 0.5), xticks=range(1, len(found.order) + 1))
    for index, name in enumerate(found.order):
        group = next(i for i, members in enumerate(found.tie_groups) if name in members)
        low, high = found.rank_sets[name]
        y = ROW * (index + 0.5)
        if low == high:
            axes.plot([low], [y], "o", color=PALETTE[group], markersize=8)
        else:
            draw_interval(axes, (low, high), y, PALETTE[group], half_cap=6)
    return canvas


def next_trial() -> Canvas:
    """Share of studies with the right order, by rule."""
    runs, comparisons, step = 150, 600, 6
    labels = {"misorder": BLUE, "volume": GREEN, "uniform": ORANGE}
    at = np.arange(0, comparisons, step)
    smooth = np.ones(5) / 5
    rows: list[Any] = []
    for rule, hue in labels.items():
        right = np.convolve(right_orders(rule, runs, comparisons, step), smooth, mode="valid")
        rows.append((rule, solid(hue), at[2:-2], right))
    canvas, axes = line_plot(
        rows, "comparisons, 7 policies .6 logits apart", "studies with the whole order right", rates=True
    )
    axes.axhline(0.95, color=MUTED, linewidth=1.2, **DASHED)
    axes.set_ylim(0, 1.01)
    return canvas


def agreement() -> str:
    """Seven invented policies, 30 real and 200 simulated trials each."""
    real = {"alpha": 27, "beta": 24, "gamma": 17, "delta": 19, "epsilon": 11, "zeta": 8, "eta": 3}
    cheap = {"alpha": 171, "beta": 118, "gamma": 131, "delta": 84, "epsilon": 66, "zeta": 58, "eta": 9}
    worlds = {name: clopper_pearson(k, 30) for name, k in real.items()}, {n: wilson(k, 200) for n, k in cheap.items()}
    return scatter_figure(list(real), *worlds, width=WIDTH).svg


def agreement_worth() -> str:
    """The correlations of SIMPLER's move-near, and what they are worth."""
    card = validity(*(dict(zip("abcdef", world, strict=True)) for world in MOVE_NEAR))
    return agreement_figure(card, WIDTH).svg


def fusion() -> Canvas:
    """Mean width of the interval against correlation, 60 real and 700 cheap trials, rate .8."""
    n, studies = 60, 150
    correlations = (0.0, 0.2, 0.4, 0.6, 0.8)
    modes: tuple[tuple[FusionMode, str, str], ...] = (("ppi++", "PPI++", BLUE), ("betting", "betting", ORANGE))
    rows: list[Any] = []
    for mode, label, hue in modes:
        fused, alone = [], []
        for rho in correlations:
            rng = np.random.default_rng(1)  # the same cases at every correlation
            found = [fuse(*study(rng, n, 700, 0.8, rho), mode=mode) for _ in range(studies)]
            fused.append(np.mean([np.subtract(*bounds([f.estimate])[::-1]) for f in found]))
            alone.append(np.mean([np.subtract(*bounds([f.real_only])[::-1]) for f in found]))
        rows.append((f"{label}, real and cheap", {**solid(hue), "marker": "o"}, correlations, fused))
        rows.append((f"{label}: real trials alone", {**solid(hue, 1.6), **DASHED}, correlations, [np.mean(alone)] * 5))
    canvas, axes = line_plot(
        rows, "correlation of real and cheap outcomes, case by case", "width of the 95 % interval"
    )
    axes.set_ylim(0, 0.3)
    return canvas


def prior() -> Canvas:
    """Nine policies of 15 real trials: real-only rates, and where the simulator's line draws them."""
    rng, names = np.random.default_rng(8), [f"p{i}" for i in range(9)]
    score = dict(zip(names, np.linspace(0.12, 0.88, 9).tolist(), strict=True))
    real = {name: (int(rng.binomial(15, 0.15 + 0.8 * score[name])), 15) for name in names}
    grid = {f"q{i}": x for i, x in enumerate(np.linspace(0.1, 0.9, 17).tolist())}
    found = policy_prior({**real, **dict.fromkeys(grid, (0, 0))}, {**score, **grid})
    line = [found.estimates[name] for name in grid]
    x = list(grid.values())
    low, high = bounds(line)
    alone, drawn = [real[name][0] / 15 for name in names], [found.estimates[name].value or 0.0 for name in names]
    rows: Lines = [
        ("15 real trials alone", dots(ORANGE), list(score.values()), alone),
        ("with the simulator as prior", {**dots(BLUE), "marker": "s"}, list(score.values()), drawn),
        ("the line that the other policies give, 95 % band", solid(MUTED, 1.6), x, [e.value or 0.0 for e in line]),
    ]
    canvas, axes = line_plot(rows, "simulated success rate", "real success rate", rates=True, height=320)
    axes.fill_between(x, low, high, color=MUTED, alpha=0.12, linewidth=0)
    for at, start, end in zip(score.values(), alone, drawn, strict=True):
        arrow = {"arrowstyle": "->", "color": INK, "shrinkA": 5, "shrinkB": 5}
        axes.annotate("", (at, end), (at, start), arrowprops=arrow)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{100 * x:.0f} %"))
    axes.set_ylim(0, 1.01)
    return canvas


def scaling() -> str:
    """The example of the page: 10, 20 and 28 of 50."""
    fit = fit_curve([Point(50, 10, 50), Point(100, 20, 50), Point(200, 28, 50)])
    source = "measured with its interval, and the curve with its 90 % band"
    return curve_figure([Curve("", source, fit)], {source: predicted_band(fit)}, [source], width=WIDTH).svg


def mixture() -> Canvas:
    """Success against money, spent on one source or the other, from 20 robot and 100 simulated hours."""
    fit = fit_mixture(trained_policies())
    now, money = {"robot": 20.0, "sim": 100.0}, np.linspace(0, 1500, 13)
    rows, bands = [], []
    for source, cost, hue in (("robot", 30.0, BLUE), ("sim", 1.0, ORANGE)):
        found = [fit.predict({**now, source: now[source] + float(m) / cost}) for m in money]
        rows.append((f"all on {source}, {cost:g} an hour", solid(hue), money, [e.value or np.nan for e in found]))
        bands.append((*bounds(found), hue))
    canvas, axes = line_plot(rows, "money spent", "expected success with its 90 % band", rates=True)
    for low, high, hue in bands:
        axes.fill_between(money, low, high, color=hue, alpha=0.15, linewidth=0)
    axes.grid(axis="x", color=GRID)
    return canvas


def mixing_law() -> Canvas:
    """Losses of two domains against the share of one source, and the best share."""
    runs = mixed_runs()
    law, fine, rows = fit_mixing_law(runs), np.linspace(0.02, 0.98, 49), []
    for domain, hue in (("kitchen", BLUE), ("office", ORANGE)):
        curve = [law.predict({"robot": s, "sim": 1 - s})[domain].value or np.nan for s in fine.tolist()]
        rows.append((f"loss in the {domain}", solid(hue), fine, curve))
        rows.append(("", dots(hue), [s["robot"] for s, _ in runs], [losses[domain] for _, losses in runs]))
    canvas, axes = line_plot(rows, "share of robot data, the rest simulated", "validation loss", height=240)
    best = law.best_shares()["robot"]
    axes.axvline(best.value or 0.0, color=INK, linewidth=1.4, **DASHED)
    axes.axvspan(best.low or 0.0, best.high or 1.0, color=GRID, alpha=0.6, linewidth=0, zorder=0)
    axes.text((best.high or 1.0) + 0.01, axes.get_ylim()[1], "best share, 90 % interval", va="top")
    return canvas


_TWO = (power, sequence, mean_progress, void, paired, peeking, eprocess, barnard, independent, progress)
_MORE = (many, rank_sets, next_trial, fusion, prior, mixture, mixing_law)
CANVASES = {f.__name__.replace("_", "-"): f for f in (*_TWO, *_MORE)}
_REPORTS = (sequential, check, ranking, agreement, agreement_worth, scaling)
REPORTS = {f.__name__.replace("_", "-"): f for f in _REPORTS}
"""Figures that the report room draws whole."""


def _shorter(found: re.Match[str]) -> str:
    return f"{float(found[0]):.2f}".rstrip("0").rstrip(".")


def picture(topic: str) -> str:
    """The SVG of a topic on white paper, with coordinates of a hundredth of a pixel, which makes it half as long."""
    svg = REPORTS[topic]() if topic in REPORTS else draw(f"stats-{topic}", WIDTH, CANVASES[topic])
    svg = svg.replace(" <defs>", ' <rect width="100%" height="100%" fill="#ffffff"/>\n <defs>', 1)
    svg = re.sub(r"<[^>]+>", lambda tag: re.sub(r"-?\d+\.\d{3,}", _shorter, tag[0]), svg)  # tags only: text stays
    return re.sub(r" ?\n(?=[LQCMz\"])", " ", svg)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("topics", nargs="*", metavar="TOPIC", help="default: all")
    parser.add_argument("--out", type=Path, default=IMAGES, help="folder to write to")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    for topic in asked.topics or (*CANVASES, *REPORTS):
        path = asked.out / f"stats-{topic}.svg"
        path.write_text(picture(topic))
        print(f"wrote {path.name}, {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
