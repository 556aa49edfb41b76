"""Maximal rewards of the same seeds, measured by LeRobot and by us: equal to 1e-6, or the exit code is 1.

python scripts/guests/compare_rewards.py theirs.json eval_info.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

BAR = 1e-6


def main() -> int:
    theirs = json.loads(Path(sys.argv[1]).read_text().splitlines()[-1])
    (task,) = json.loads(Path(sys.argv[2]).read_text())["per_task"]
    ours, seeds = task["metrics"]["max_rewards"], task["metrics"]["seeds"]
    if len(ours) != len(theirs):
        print(f"{len(theirs)} episodes of LeRobot, {len(ours)} of ours", file=sys.stderr)
        return 1
    for seed, their, our in zip(seeds, theirs, ours, strict=True):
        print(f"seed {seed}: LeRobot {their:.7f}, roboscale {our:.7f}")
    worst = max(abs(a - b) for a, b in zip(theirs, ours, strict=True))
    print(f"{len(ours)} episodes, mean maximal reward {sum(ours) / len(ours):.3f}")
    print(f"largest difference {worst:.1e} (bar {BAR:g})")
    return 0 if worst <= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
