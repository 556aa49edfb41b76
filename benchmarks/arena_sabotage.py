"""How often an evaluator who votes oddly is flagged, and an honest one: simulated arenas of 200 matches, 40 each.

python -m benchmarks.arena_sabotage --arenas 100
"""

from __future__ import annotations

import argparse
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from benchmarks.arena_play import LEVELS, MANNERS, Manner, played_arena
from roboscale.arena.flags import flag_evaluators
from roboscale.stats import clopper_pearson


def accused(seed: int, manner: Manner) -> tuple[bool, list[str], int]:
    """Whether the odd one was flagged, what honest ones were flagged for, and how many honest ones there were."""
    favourite = seed % len(LEVELS)
    arena, odd = played_arena(seed, 200, manner, favourite=favourite)
    found = flag_evaluators(arena.state)
    wrong = {flag.account: flag.what for flag in found if flag.account != odd or manner == "honest"}
    return any(flag.account == odd for flag in found), list(wrong.values()), 5 if manner == "honest" else 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arenas", type=int, default=100)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    with ProcessPoolExecutor(asked.workers) as pool:
        for manner in MANNERS:
            done = list(pool.map(partial(accused, manner=manner), range(asked.arenas)))
            honest, wrong = sum(n for _, _, n in done), Counter(w for _, some, _ in done for w in some)
            share = sum(wrong.values()) / honest
            if manner != "honest":
                k = sum(flagged for flagged, _, _ in done)
                interval = clopper_pearson(k, len(done))
                low, high = interval.low, interval.high
                print(f"{manner:14} flagged {k} of {len(done)} [{low:.2f}, {high:.2f}] (bar .80)", end="; ")
            else:
                print(f"{manner:14}", end=" ")
            print(f"honest flagged {sum(wrong.values())} of {honest} = {share:.3f} (bar .05) {dict(wrong) or ''}")
            if manner == "for an owner":
                by_policy = [
                    [f for i, (f, _, _) in enumerate(done) if i % len(LEVELS) == k] for k in range(len(LEVELS))
                ]
                told = ", ".join(
                    f"{m:.2f}: {sum(some)}/{len(some)}" for m, some in zip(LEVELS, by_policy, strict=True)
                )
                print(f"               by the favourite's planted mean: {told}")


if __name__ == "__main__":
    main()
