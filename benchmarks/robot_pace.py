"""Whether steps come when they are due: the step loop on the stand-in arm beside an empty paced loop. In real time.

    python -m benchmarks.robot_pace [--seconds 60]

Both loops pace 20 Hz with the same clock, in turns of five seconds, so that what else the machine does meets both. The
step loop reads the arm and its camera, asks a policy and sends through the guard; the empty loop does nothing. Jitter
is how far the time between two steps is from 50 ms.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.stand_in_bench import make_bench
from benchmarks.stats_sequential import markdown
from roboscale.core import ActionChunk, Case, RolloutSettings, WallClock
from roboscale.trials.rollout import rollout
from roboscale.worlds.real.guarded import GuardedRobot
from roboscale.worlds.real.robot_world import RobotWorld

RATE_HZ = 20.0
BAR_MS = 5.0
TURN_S = 5.0


class NotingClock(WallClock):
    """Wall time that remembers when it let somebody go on."""

    def __init__(self) -> None:
        self.went: list[float] = []

    def wait_until(self, time_s: float) -> None:
        super().wait_until(time_s)
        self.went.append(self.now_s())

    @property
    def jitter_ms(self) -> NDArray[np.float64]:
        """Of every pause between two steps, milliseconds; the first step has none before it."""
        return np.asarray(np.abs(np.diff(self.went) - 1 / RATE_HZ) * 1e3)


def empty(steps: int) -> NDArray[np.float64]:
    """A paced loop that does nothing."""
    clock = NotingClock()
    due = clock.now_s()
    for _ in range(steps):
        clock.wait_until(due)
        due += 1 / RATE_HZ
    return clock.jitter_ms


def stepping(world: RobotWorld, steps: int, seed: int) -> NDArray[np.float64]:
    """An episode on the arm, with a policy that goes round in a small circle."""
    clock = NotingClock()
    settings = RolloutSettings(horizon=steps, rate_hz=RATE_HZ, pace="wall", watch="person")
    run = rollout(world, Case("reach", seed), settings, clock=clock)
    seen = next(run)
    try:
        for step in range(steps + 1):
            turn = np.array([0.02 * np.cos(step / 10), 0.02 * np.sin(step / 10), 0.0], np.float32)
            assert isinstance(seen, dict), "a robot is looked at"
            seen = run.send(ActionChunk((seen["observation.state"] + turn)[None]))
    except StopIteration:
        pass
    return clock.jitter_ms


def measure(folder: Path, seconds: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Jitter of the empty and of the step loop, milliseconds."""
    declaration = make_bench(folder / "bench", horizon=10_000)
    robot = GuardedRobot(declaration)
    world = RobotWorld(robot, robot.prepare)
    nothing, steps = [], []
    try:
        for turn in range(max(1, round(seconds / 2 / TURN_S))):
            nothing.append(empty(round(TURN_S * RATE_HZ)))
            steps.append(stepping(world, round(TURN_S * RATE_HZ), turn))
    finally:
        world.close()
    return np.concatenate(nothing), np.concatenate(steps)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        nothing, steps = measure(Path(folder), asked.seconds)
    rows = [
        [name, str(len(jitter)), *(f"{np.quantile(jitter, q):.2f}" for q in (0.5, 0.9, 0.99)), f"{jitter.max():.2f}"]
        for name, jitter in (("empty loop", nothing), ("step loop on the arm", steps))
    ]
    print(markdown(["jitter, ms", "steps", "median", "90 %", "99 %", "most"], rows))
    above = float(np.quantile(steps, 0.99) - np.quantile(nothing, 0.99))
    held = above <= BAR_MS
    print(f"p99 is {above:.2f} ms above the empty loop's; the bar is {BAR_MS:g} ms: {'held' if held else 'NOT HELD'}")
    if not held:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
