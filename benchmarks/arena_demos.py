"""Seeded arenas of 200 matches between planted policies, without robots or films: is the board ever wrong?

    python -m benchmarks.arena_demos --arenas 50

Policies of planted mean progress .15, .40, .40, .65 and .85. A false separation is a claim that a policy is better
than one that is as good or better. The board is the one that everybody sees.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor

from benchmarks.arena_play import LEVELS, played_arena
from roboscale.jobs.arena_board import arena_board
from roboscale.stats import clopper_pearson


def judged(seed: int) -> tuple[int, int, bool]:
    """False claims, true claims, and whether the point order has the four levels right."""
    arena, _ = played_arena(seed, 200)
    level = {f"policy {k}": mean for k, mean in enumerate(LEVELS)}
    tally = arena_board(arena.state, flags=()).plain
    order = {row.name: row.strength.value for row in tally.rows}
    pairs = tally.claims
    false = sum(level[a] <= level[b] for a, b in pairs)
    known = all(value is not None for value in order.values())
    right = known and all(
        order[a] > order[b]
        for a in order
        for b in order
        if level[a] > level[b]  # type: ignore[operator]
    )
    return false, len(pairs) - false, right


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arenas", type=int, default=50)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    with ProcessPoolExecutor(asked.workers) as pool:
        done = list(pool.map(judged, range(asked.arenas)))
    n = len(done)
    for what, k, bar in (
        ("no false separation", sum(not false for false, _, _ in done), 0.95),
        ("point order of the four levels right", sum(right for _, _, right in done), 0.90),
    ):
        interval = clopper_pearson(k, n)
        print(f"{what}: {k} of {n} [{interval.low:.3f}, {interval.high:.3f}] (bar {bar:.2f})")
    different = sum(a != b for i, a in enumerate(LEVELS) for b in LEVELS[i + 1 :])
    share = sum(true for _, true, _ in done) / (n * different)
    print(f"share of the {different} pairs of different levels that were separated after 200 matches: {share:.2f}")


if __name__ == "__main__":
    main()
