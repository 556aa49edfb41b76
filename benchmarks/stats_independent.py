"""What the sequential test on independent arms costs and saves: tables of docs/statistics.md, exact, as markdown.

    python -m benchmarks.stats_independent [--quick] [--table NAME ...]
    python -m benchmarks.stats_independent --build    # writes the boundaries that the package ships, about 2 minutes

No simulation: all figures come from recursions over (trials, successes, successes).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

import roboscale.stats
from benchmarks.stats_sequential import markdown
from roboscale.stats.barnard import barnard_power
from roboscale.stats.independent import (
    SHIPPED_BUDGETS,
    arm_boundary,
    build_arm_boundary,
    expected_trials,
    naive_arm_boundary,
    size,
)

# p0, p1, budget, expected trials per arm and power; exact figures of an independent implementation of the same test
REFERENCE = (
    (0.56, 0.92, 50, 19.03, 0.9931),
    (0.56, 0.92, 200, 25.28, 1.0),
    (0.28, 0.80, 50, 12.84, 0.9998),
    (0.28, 0.80, 200, 16.87, 1.0),
    (0.50, 0.70, 100, 57.70, 0.842),
    (0.50, 0.70, 200, 75.06, 0.985),
    (0.30, 0.50, 200, 75.06, 0.985),
    (0.70, 0.90, 100, 46.50, 0.955),
    (0.70, 0.90, 200, 56.35, 0.999),
    (0.60, 0.90, 50, 24.00, 0.956),
    (0.60, 0.90, 100, 28.47, 0.999),
    (0.40, 0.90, 50, 12.91, 0.9999),
    (0.50, 0.60, 200, 151.0, 0.559),
    (0.80, 0.90, 200, 122.0, 0.818),
    (0.50, 0.60, 500, None, None),
)


def stopping(largest: int) -> str:
    """Expected trials per arm and power, one-sided at .05, beside the reference, the fixed design and two-sided."""
    rows = []
    for p0, p1, budget, trials, chance in REFERENCE:
        if budget > largest:
            continue
        one, two = (expected_trials(p0, p1, budget, sides=sides) for sides in (1, 2))
        fixed = fixed_trials(p0, p1, one.power)
        rows.append(
            [
                f"{p0:.2f} / {p1:.2f}",
                str(budget),
                f"{one.trials:.1f} ({one.power:.3f})",
                f"{trials:.1f} ({chance:.3f})" if trials and chance else "-",
                str(fixed),
                f"{two.trials:.1f} ({two.power:.3f})",
            ]
        )
    header = ["rates", "budget", "one-sided: trials per arm (power)", "reference", "fixed design", "two-sided"]
    return markdown(header, rows)


def fixed_trials(p0: float, p1: float, power: float) -> int:
    """Fewest trials per arm from which on Barnard's one-sided test, fixed in advance, has the power."""
    goal = min(power, 0.9999)
    low, high = 2, 1000
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if barnard_power(p0, p1, middle) >= goal else (middle + 1, high)
    return low


def sizes(largest: int) -> str:
    """Largest type-I error over all common rates, on a grid that the boundaries were not built on."""
    rows = []
    for budget in SHIPPED_BUDGETS:
        if budget <= largest:
            rows.append([str(budget), *(f"{size(arm_boundary(budget, sides=sides)):.6f}" for sides in (1, 2))])
    return markdown(["budget per arm", "one-sided", "two-sided"], rows)


def peeking(largest: int) -> str:
    """Type-I error of Barnard's one-sided test at .05 after every trial per arm from the fifth on."""
    rows = []
    for budget in (10, 20, 50, 100, 200):
        if budget <= largest:
            limit = naive_arm_boundary(budget)
            cells = [f"{size(limit, np.array([rate])):.3f}" for rate in (0.1, 0.3, 0.5)]
            rows.append([str(budget), *cells, f"{size(limit):.3f}"])
    return markdown(["looks up to", "both .1", "both .3", "both .5", "worst rate"], rows)


def build() -> None:
    """Writes the shipped boundaries, each checked on another grid first."""
    found = {}
    for budget in SHIPPED_BUDGETS:
        for sides in (1, 2):
            limit = build_arm_boundary(budget, 0.05, sides)
            error = size(limit)
            if error > limit.alpha:
                raise RuntimeError(f"the boundary for {budget} trials has type-I error {error}")
            found[f"n{budget}_alpha0.05_sides{sides}"] = limit.critical
            print(f"{budget} trials per arm, {sides}-sided: type-I error {error:.6f}", flush=True)
    path = Path(roboscale.stats.__path__[0]) / "tables" / "independent.npz"
    path.parent.mkdir(exist_ok=True)
    np.savez_compressed(path, **found)
    print(f"{path.name}: {path.stat().st_size} bytes")


TABLES: dict[str, Callable[[int], str]] = {"stopping": stopping, "sizes": sizes, "peeking": peeking}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--table", choices=sorted(TABLES), action="append", help="print only this table; repeatable")
    parser.add_argument("--quick", action="store_true", help="budgets up to 100 only")
    parser.add_argument("--build", action="store_true", help="write the boundaries that the package ships")
    options = parser.parse_args()
    if options.build:
        return build()
    for name in options.table or TABLES:
        print(f"<!-- {name} -->\n{partial(TABLES[name], 100 if options.quick else 500)()}\n")
    return None


if __name__ == "__main__":
    main()
