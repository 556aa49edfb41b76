"""What it costs that a world runs in a guest: step and observe there and here, the same code, one after the other.

    python -m benchmarks.guest_worlds [--steps 2000] [--size 128]

The world is a point that moves, whose pictures cost nothing: what is left is the way there and back. Both sides run
this process's own interpreter. Times are wall times: a process that waits for another one spends none of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from roboscale.core import Case
from roboscale.guests import environment, open_guest_world, process, read_guest
from tests.guests.toy_guest_world import World

TOML = 'about = "a point"\nlicence = "MIT"\npython = ["3.11"]\ndisk_gb = 0.1\nworlds = "toy_guest_world:World"\n'


def guest(folder: Path) -> Any:
    """The toy of the tests as an installed guest."""
    home = folder / "point"
    home.mkdir()
    (home / "guest.toml").write_text(TOML)
    (home / "lock.txt").write_text("")
    os.environ["ROBOSCALE_GUESTS"] = str(folder / "guests")
    found = read_guest(home)
    made = environment.Installed(Path(sys.executable), "3", found.identity.digest, 1.0)
    (folder / "guests/point").mkdir(parents=True)
    (folder / "guests/point/state.json").write_text(json.dumps({**_plain(made)}))
    process._MORE_PATH = (str(Path(__file__).parents[1] / "tests/guests"),)
    return found


def _plain(made: Any) -> dict[str, Any]:
    return {"python": str(made.python), "version": made.version, "digest": made.digest, "megabytes": made.megabytes}


def medians(scene: Any, step: Callable[[Any], object], names: list[str], count: int) -> tuple[float, float]:
    """Median and 95th percentile of step and observe, in milliseconds."""
    action, times = np.array([0.001, 0.001], np.float32), []
    for _ in range(count):
        begun = time.perf_counter()
        step(action)
        scene.observe(names)
        times.append(1000 * (time.perf_counter() - begun))
    return statistics.median(times), float(np.percentile(times, 95))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--size", type=int, default=128)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = guest(Path(folder))
        for pictures in (0, 2):
            options = {"size": str(asked.size), "pictures": str(pictures)}
            world = open_guest_world(found, "point", options)
            here = World("point", size=asked.size, pictures=pictures).start("point", 1, "nominal")
            there = world.start(Case("point", 1))
            names = list(world.info.observation_spec.names)
            sys.stdout.flush()
            saved = os.dup(1)
            with Path(os.devnull).open("w") as nowhere:  # the toy prints at every step
                os.dup2(nowhere.fileno(), 1)
                inside = medians(here, here.step, names, asked.steps)
                sys.stdout.flush()
                os.dup2(saved, 1)
            outside = medians(there, there.step, names, asked.steps)
            what = f"{pictures} pictures of {asked.size} px"
            print(f"{what}: here {inside[0]:.3f} ms, guest {outside[0]:.3f} ms (95 %: {outside[1]:.3f})")
            print(f"{what}: median of step and observe {outside[0] - inside[0]:+.3f} ms")
            world.close()


if __name__ == "__main__":
    main()
