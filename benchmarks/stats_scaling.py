"""Back-test of scaling curves on published ones: predict the large end from the small end, and see what was measured.

    ROBOSCALE_TEST_DATA=... python -m benchmarks.stats_scaling [--quick]

Two rules keep this a test. On the 120 curves of Wang et al. (CoRL 2024) the prior for a task is estimated without any
curve of that task (12 groups). On the 6 curves of Lin et al. (ICLR 2025) it is either the prior of the *other* study,
or estimated without the tested task (2 groups). The spread for retraining is a constant chosen beforehand.

The tables print rates, not counts. Assumed rollouts a point: 150 for Wang et al. (50 for each of 3 seeds) and 40 for
Lin et al. (graded scores, digitised); the second table varies them.
"""

from __future__ import annotations

import argparse
import csv
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.stats_sequential import markdown
from roboscale.stats.scaling import fit_curve
from roboscale.stats.scaling_forms import DEMONSTRATIONS_PRIOR, DIVERSITY_PRIOR, Point, ScalingPrior
from roboscale.stats.scaling_prior import prior_evidence

TABLES = Path(os.environ.get("ROBOSCALE_TEST_DATA", "../shared/data")) / "tables"


@dataclass(frozen=True, slots=True)
class Curve:
    """One published curve: the task it is left out with, and rate by amount."""

    task: str
    rates: dict[float, float]

    def points(self, trials: int, most: float = np.inf) -> list[Point]:
        return [Point(n, rate * trials, trials) for n, rate in sorted(self.rates.items()) if n <= most]


def equidiff_curves() -> list[Curve]:
    """Success at 100, 200 and 1,000 demonstrations; Wang et al. 2024, table 1."""
    found: dict[tuple[str, str, str], dict[float, float]] = {}
    with (TABLES / "equidiff_success_vs_demos.csv").open() as file:
        for row in csv.DictReader(file):
            key = (row["method"], row["control"], row["task"])
            found.setdefault(key, {})[float(row["n_demos"])] = float(row["success_pct"]) / 100
    return [Curve(key[2], rates) for key, rates in sorted(found.items())]


def lin_curves() -> list[Curve]:
    """Score at 1 .. 32 objects, environments or pairs; Lin et al. 2025, figure 5, digitised."""
    found: dict[tuple[str, str], dict[float, float]] = {}
    with (TABLES / "lin2024_scaling_points.csv").open() as file:
        for row in csv.DictReader(file):
            gap = float(row["optimality_gap_digitised"])
            found.setdefault((row["task"], row["axis"]), {})[float(row["n"])] = 1 - gap
    return [Curve(key[0], rates) for key, rates in sorted(found.items())]


@dataclass(frozen=True, slots=True)
class BackTest:
    """Predictions against what was measured, one entry each.

    Args:
        error: predicted minus measured.
        low, high: the 90 % interval for the measured rate.
        measured: what was published.
    """

    error: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    measured: NDArray[np.float64]

    @property
    def covered(self) -> int:
        # the tables print rates to .01: a bound that rounds to the printed rate has covered it
        inside = (self.low - 0.005 <= self.measured) & (self.measured <= self.high + 0.005)
        return int(inside.sum())

    def cells(self) -> list[str]:
        return [
            f"{np.abs(self.error).mean():.3f}",
            f"{self.error.mean():+.3f}",
            f"{self.covered} of {len(self.error)}",
            f"{(self.high - self.low).mean():.3f}",
        ]


def back_test(
    curves: Sequence[Curve],
    priors: Sequence[ScalingPrior],
    most: float,
    targets: Sequence[float],
    trials: int,
    shown: bool = True,
) -> BackTest:
    """Fits each curve up to `most` with its prior and predicts the targets.

    Args:
        shown: the interval is for the rate that `trials` rollouts show; else for the retrained policy's own rate.
    """
    rows = []
    for curve, prior in zip(curves, priors, strict=True):
        fit = fit_curve(curve.points(trials, most), prior)
        for n in targets:
            found = fit.predict(n, 0.9, trials if shown else None)
            rows.append((found.value - curve.rates[n], found.low, found.high, curve.rates[n]))
    return BackTest(*np.array(rows, float).T)


def left_out_priors(curves: Sequence[Curve], trials: int, fitted: int) -> list[ScalingPrior]:
    """For each curve the prior estimated from all curves of other tasks."""
    evidence = prior_evidence([curve.points(trials) for curve in curves], fitted)
    groups = {c.task: [i for i, other in enumerate(curves) if other.task == c.task] for c in curves}
    priors = {task: evidence.best(group, f"without {task}") for task, group in groups.items()}
    return [priors[curve.task] for curve in curves]


def last_value(n: NDArray[np.float64], rates: NDArray[np.float64], at: float) -> float:
    return float(rates[-1])


def log_linear(n: NDArray[np.float64], rates: NDArray[np.float64], at: float) -> float:
    slope, offset = np.polyfit(np.log(n), rates, 1)
    return float(np.clip(offset + slope * np.log(at), 0, 1))


def failure_power(n: NDArray[np.float64], rates: NDArray[np.float64], at: float) -> float:
    slope, offset = np.polyfit(np.log(n), np.log(np.maximum(1 - rates, 0.005)), 1)
    return float(1 - np.clip(np.exp(offset + slope * np.log(at)), 0, 1))


BASELINES: dict[str, Callable[[NDArray[np.float64], NDArray[np.float64], float], float]] = {
    "last value": last_value,
    "success linear in log n": log_linear,
    "failure a power law": failure_power,
}


def baseline_row(name: str, curves: Sequence[Curve], most: float, targets: Sequence[float]) -> list[str]:
    errors = []
    for curve in curves:
        n = np.array([n for n in sorted(curve.rates) if n <= most])
        rates = np.array([curve.rates[at] for at in n])
        errors += [BASELINES[name](n, rates, at) - curve.rates[at] for at in targets]
    return [name, f"{np.abs(errors).mean():.3f}", f"{np.mean(errors):+.3f}", "", ""]


def main_table() -> str:
    """The back-test itself, beside forecasts that need no statistics."""
    rows: list[list[str]] = []
    equi, lin = equidiff_curves(), lin_curves()
    rows.append(["**100, 200 -> 1,000 demonstrations** (120 predictions)", "", "", "", ""])
    rows += [baseline_row(name, equi, 200, (1000,)) for name in BASELINES]
    left_out = left_out_priors(equi, 150, 2)
    for shown, name in ((True, "as measured"), (False, "of the policy itself")):
        rows.append(
            [f"fit_curve, task left out; {name}", *back_test(equi, left_out, 200, (1000,), 150, shown).cells()]
        )
    rows.append(["**n <= 8 -> 16, 32 objects, environments, pairs** (12 predictions)", "", "", "", ""])
    rows += [baseline_row(name, lin, 8, (16, 32)) for name in BASELINES]
    priors = {
        "prior of the other study": [DEMONSTRATIONS_PRIOR] * len(lin),
        "task left out": left_out_priors(lin, 40, 4),
    }
    for name, prior in priors.items():
        for shown, which in ((True, "as measured"), (False, "of the policy itself")):
            cells = back_test(lin, prior, 8, (16, 32), 40, shown).cells()
            rows.append([f"fit_curve, {name}; {which}", *cells])
    return markdown(["prediction", "mean error", "bias", "90 % covers", "mean width"], rows)


def assumption_table() -> str:
    """The same with other numbers of rollouts a point, intervals as measured."""
    rows = []
    for trials in (50, 100, 150):
        equi = equidiff_curves()
        cells = back_test(equi, left_out_priors(equi, trials, 2), 200, (1000,), trials).cells()
        rows.append(["Wang et al., task left out", str(trials), *cells])
    for trials in (20, 40, 80, 160):
        lin = lin_curves()
        other = back_test(lin, [DEMONSTRATIONS_PRIOR] * len(lin), 8, (16, 32), trials).cells()
        rows.append(["Lin et al., prior of the other study", str(trials), *other])
        own = back_test(lin, left_out_priors(lin, trials, 4), 8, (16, 32), trials).cells()
        rows.append(["Lin et al., task left out", str(trials), *own])
    return markdown(["curves", "rollouts a point", "mean error", "bias", "90 % covers", "mean width"], rows)


def prior_table() -> str:
    """What the priors are when each task is left out."""
    rows = []
    for name, curves, trials, fitted, shipped in (
        ("Wang et al.", equidiff_curves(), 150, 2, DEMONSTRATIONS_PRIOR),
        ("Lin et al.", lin_curves(), 40, 4, DIVERSITY_PRIOR),
    ):
        evidence = prior_evidence([curve.points(trials) for curve in curves], fitted)
        found = {"none": evidence.best(), "(shipped)": shipped}
        for task in sorted({curve.task for curve in curves}):
            found[task] = evidence.best([i for i, c in enumerate(curves) if c.task == task])
        for task, p in found.items():
            numbers = (p.exponent_mean, p.exponent_sd, p.floor_probability, p.floor_shape)
            rows.append([name, task, *(f"{x:g}" for x in numbers)])
    return markdown(["study", "left out", "exponent mean", "sd", "P(floor)", "floor shape"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="only the back-test")
    quick = parser.parse_args().quick
    print(f"<!-- back-test -->\n{main_table()}\n")
    if not quick:
        print(f"<!-- rollouts -->\n{assumption_table()}\n\n<!-- priors -->\n{prior_table()}\n")


if __name__ == "__main__":
    main()
