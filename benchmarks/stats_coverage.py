"""How often each interval for a success rate contains the true rate: tables and the figure of docs/statistics.md.

    python -m benchmarks.stats_coverage [--quick] [--plot docs/images/coverage.svg]

Coverage of success rates is a sum over all outcomes and so exact. That of mean progress is simulated, seeded.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from benchmarks.stats_sequential import markdown
from roboscale.core import Estimate
from roboscale.report.canvas import INK, colour, draw, new_canvas
from roboscale.stats import beta_posterior, bounded_mean_sequence, clopper_pearson, wilson

if TYPE_CHECKING:
    from roboscale.report.canvas import Canvas

INTERVALS: dict[str, Callable[[int, int], Estimate]] = {
    "Clopper-Pearson": clopper_pearson,
    "Wilson": wilson,
    "Beta(1, 1) posterior": beta_posterior,
}
TRIALS = (10, 20, 50)
FLOOR = 0.8
"""Coverage below this is drawn here."""


def coverage(interval: Callable[[int, int], Estimate], n: int, rates: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probability that the 95 % interval of n trials contains the rate, at each rate; shape of `rates`."""
    found = [interval(k, n) for k in range(n + 1)]
    low, high = np.array([e.low for e in found], float), np.array([e.high for e in found], float)
    inside = (low <= rates[:, None]) & (rates[:, None] <= high)
    return np.asarray((binom.pmf(np.arange(n + 1), n, rates[:, None]) * inside).sum(axis=1))


def success_rates() -> str:
    """Smallest and mean coverage over 2000 rates, and expected width at a rate of .8."""
    rates = np.linspace(0.0005, 0.9995, 2000)
    rows = []
    for name, interval in INTERVALS.items():
        cells = [name]
        for n in (*TRIALS, 100):
            found = coverage(interval, n, rates)
            bounds = [interval(k, n) for k in range(n + 1)]
            widths = np.array([e.high - e.low for e in bounds if e.low is not None and e.high is not None])
            width = float(binom.pmf(np.arange(n + 1), n, 0.8) @ widths)
            cells.append(f"{found.min():.3f} / {found.mean():.3f} / {width:.3f}")
        rows.append(cells)
    return markdown(["interval", "n = 10: min / mean / width at .8", "n = 20", "n = 50", "n = 100"], rows)


def progress(runs: int) -> str:
    """Share of runs in which the betting sequence ever misses the mean progress within 100 trials, and width then."""
    rows = []
    for name, values, chances in MILESTONES:
        rng = np.random.default_rng(20)
        mean = float(np.dot(values, chances))
        missed, widths = 0, []
        for _ in range(runs):
            drawn = rng.choice(len(values), size=100, p=chances)
            counts = np.cumsum(np.eye(len(values), dtype=int)[drawn], axis=0)
            looks = [bounded_mean_sequence(values, counts[n - 1], 0.95) for n in (5, 10, 20, 50, 100)]
            missed += any(not low <= mean <= high for low, high in looks)
            widths.append(looks[-1][1] - looks[-1][0])
        rows.append([name, f"{mean:.2f}", f"{missed / runs:.3f}", f"{np.mean(widths):.3f}"])
    return markdown(["progress scores", "mean", "missed at any of five looks", "width at 100 trials"], rows)


MILESTONES = (
    ("0 or 1", (0.0, 1.0), (0.4, 0.6)),
    ("thirds", (0.0, 1 / 3, 2 / 3, 1.0), (0.2, 0.2, 0.2, 0.4)),
    ("mostly done", (0.0, 0.5, 1.0), (0.02, 0.08, 0.9)),
)


def plot(path: Path) -> None:
    """Draws coverage against the true rate, one panel for each number of trials; the same bytes every time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    svg = draw("coverage", 720, _canvas)
    # in tags a hundredth of a pixel is enough, and makes the file half as long
    path.write_text(re.sub(r"<[^>]+>", lambda tag: re.sub(r"(\d+\.\d\d)\d+", r"\1", tag[0]), svg))
    print(f"wrote {path}")


def _canvas() -> Canvas:
    rates = np.linspace(0.002, 0.998, 300)
    canvas = new_canvas(720, 290)
    canvas.patch.set(visible=True, facecolor="white")
    canvas.set_layout_engine("constrained")
    panels = canvas.subplots(1, len(TRIALS), sharey=True)
    for panel, n in zip(panels, TRIALS, strict=True):
        for at, (name, interval) in enumerate(INTERVALS.items()):
            found = np.maximum(coverage(interval, n, rates), FLOOR)
            panel.plot(rates, found, color=colour(at), linewidth=1 + 0.3 * at, zorder=5 - at, label=name)
        panel.axhline(0.95, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
        panel.set(
            title=f"{n} trials", xlabel="true success rate", xlim=(0, 1), xticks=(0.1, 0.5, 0.9), ylim=(FLOOR, 1.002)
        )
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("coverage of the 95 % interval")
    canvas.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    return canvas


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--plot", type=Path, help="write the figure here and print nothing else")
    parser.add_argument("--quick", action="store_true", help="50 simulated runs instead of 1000")
    options = parser.parse_args()
    if options.plot:
        return plot(options.plot)
    print(f"<!-- success rates -->\n{success_rates()}\n")
    print(f"<!-- progress -->\n{progress(50 if options.quick else 1000)}\n")
    return None


if __name__ == "__main__":
    main()
