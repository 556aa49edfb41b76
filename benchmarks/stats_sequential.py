"""What the sequential paired test costs and saves: every table of docs/statistics.md, exact, as markdown.

    python -m benchmarks.stats_sequential [--table NAME ...]

No simulation: all figures come from recursions over (pairs, discordant pairs, wins) or from sums over all outcomes.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import numpy as np
from scipy.stats import binom

from roboscale.core import Estimate
from roboscale.stats import (
    Boundary,
    beta_confidence_sequence,
    beta_posterior,
    boundary,
    clopper_pearson,
    expected_pairs,
    fixed_sample_power,
    jeffreys,
    naive_peeking_error,
    type_one_error,
    wilson,
)
from roboscale.stats.walk import SPENDING, eprocess_boundary

EFFECTS = ((0.05, 0.45), (0.1, 0.4), (0.05, 0.25), (0.1, 0.3), (0.2, 0.4), (0.1, 0.2))
BUDGETS = (50, 100, 200)


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A pipe table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def stopping() -> str:
    """Expected pairs and power of the sequential test, of the e-process, and the fixed design of the same power."""
    rows = []
    for first, second in EFFECTS:
        for budget in BUDGETS:
            ours = expected_pairs(first, second, budget)
            anytime = expected_pairs(first, second, budget, limit=eprocess_boundary(budget), curtail=False)
            fixed = fixed_pairs(first, second, ours.power)
            rows.append(
                [
                    f"{first:.2f} / {second:.2f}",
                    str(budget),
                    f"{ours.pairs:.1f}",
                    f"{ours.power:.3f}",
                    str(fixed),
                    f"{anytime.pairs:.1f}",
                    f"{anytime.power:.3f}",
                ]
            )
    header = ["first only / second only", "budget", "pairs", "power", "fixed design", "e-process pairs", "power"]
    return markdown(header, rows)


def fixed_pairs(first: float, second: float, power: float) -> int:
    """Fewest pairs, fixed in advance, with which the exact paired test reaches a power."""
    return next(n for n in range(6, 2000) if fixed_sample_power(first, second, n) >= min(power, 0.9999))


def limits() -> str:
    """Fewest wins that decide after D discordant pairs, for a budget of 50."""
    limit = boundary(50)
    rows = []
    for tosses in (6, 7, 8, 9, 10, 12, 15, 20, 25, 30, 40, 50):
        running, final = int(limit.running[tosses]), int(limit.final[tosses])
        rows.append(
            [
                str(tosses),
                f"{running} to {tosses - running}" if running <= tosses else "none",
                f"{final} to {tosses - final}",
                f"{limit.spent[tosses]:.4f}",
            ]
        )
    return markdown(["discordant pairs", "decides at once", "decides at the last pair", "alpha spent"], rows)


def errors() -> str:
    """Type-I error: worst case over every discordance and stratification, and at three constant rates."""
    rows = [
        [
            str(n),
            f"{type_one_error(boundary(n)):.4f}",
            *(f"{type_one_error(boundary(n), d):.4f}" for d in (0.2, 0.5, 1)),
        ]
        for n in (6, 10, 20, 50, 100, 200, 300)
    ]
    return markdown(["budget", "worst case", "20 % discordant", "50 %", "100 %"], rows)


def peeking() -> str:
    """What it costs to test at .05 after every pair and to stop at the first p <= .05."""
    rows = [
        [str(n), *(f"{naive_peeking_error(n, d):.3f}" for d in (0.2, 0.4, 0.6, 1.0))]
        for n in (10, 20, 50, 100, 200, 500)
    ]
    return markdown(["pairs", "20 % discordant", "40 %", "60 %", "100 %"], rows)


def spending() -> str:
    """Expected pairs (power) of the ways to spend alpha that were compared."""
    limits: dict[str, Callable[[int], Boundary]] = {
        name: partial(boundary, alpha=0.05, spending=name) for name in SPENDING
    }
    limits["e-process"] = eprocess_boundary
    rows = []
    for budget in BUDGETS:
        for name, limit in limits.items():
            found = [expected_pairs(*effect, budget, limit=limit(budget)) for effect in EFFECTS]
            rows.append([str(budget), name, *(f"{o.pairs:.1f} ({o.power:.2f})" for o in found)])
    return markdown(["budget", "spending", *(f"{a:.2f} / {b:.2f}" for a, b in EFFECTS)], rows)


def coverage() -> str:
    """Coverage of the 95 % intervals over 2000 rates in .0005 .. .9995, and their width at .8."""
    rates = np.linspace(0.0005, 0.9995, 2000)
    rows = []
    for name, interval in INTERVALS.items():
        cells = [name]
        for n in (10, 20, 50):
            found = [interval(k, n) for k in range(n + 1)]
            low, high = np.array([e.low for e in found]), np.array([e.high for e in found])
            inside = (low <= rates[:, None]) & (rates[:, None] <= high)
            covered = (binom.pmf(np.arange(n + 1), n, rates[:, None]) * inside).sum(axis=1)
            at = found[round(0.8 * n)]
            assert at.low is not None and at.high is not None
            cells.append(f"{covered.min():.3f} / {covered.mean():.3f} / {at.high - at.low:.3f}")
        rows.append([*cells, f"{ever_missed(interval, 0.5):.3f}"])
    return markdown(["interval", "n = 10: min / mean / width", "n = 20", "n = 50", "ever wrong in 50 looks"], rows)


def ever_missed(interval: Callable[[int, int], Estimate], rate: float, horizon: int = 50) -> float:
    """Probability that an interval looked at after every trial misses the rate at least once; exact."""
    alive, missed = np.ones(1), 0.0
    for n in range(1, horizon + 1):
        alive = np.append(alive * (1 - rate), 0.0) + np.append(0.0, alive * rate)
        found = [interval(k, n) for k in range(n + 1)]
        out = np.array([not (e.low <= rate <= e.high) for e in found if e.low is not None and e.high is not None])
        missed += float(alive[out].sum())
        alive[out] = 0.0
    return missed


INTERVALS: dict[str, Callable[[int, int], Estimate]] = {
    "Clopper-Pearson": clopper_pearson,
    "Wilson": wilson,
    "Jeffreys": jeffreys,
    "Beta(1, 1) posterior": beta_posterior,
    "confidence sequence": beta_confidence_sequence,
}

TABLES: dict[str, Callable[[], str]] = {
    "coverage": coverage,
    "peeking": peeking,
    "limits": limits,
    "errors": errors,
    "stopping": stopping,
    "spending": spending,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--table", choices=sorted(TABLES), action="append", help="print only this table; repeatable")
    for name in parser.parse_args().table or TABLES:
        print(f"<!-- {name} -->\n{TABLES[name]()}\n")


if __name__ == "__main__":
    main()
