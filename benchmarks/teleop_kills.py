"""Kills a driven recording at random instants, and looks for every episode that its page said was kept.

    python -m benchmarks.teleop_kills [--kills 30] [--seed 0]

A scripted operator records episodes of a few steps as fast as the page allows, so that a kill falls into every part of
a take, of saving one, and of opening the dataset again.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tests.jobs.test_teleop import kill_at_random


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        done = kill_at_random(Path(folder) / "driven", kills=asked.kills, seed=asked.seed)
    print(f"{done['kills']} kills (seed {done['seed']}): {done['kept']} episodes kept, {done['lost']} lost")


if __name__ == "__main__":
    main()
