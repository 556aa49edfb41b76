"""How far the arm goes on when a process is killed in the middle of a motion. In real time, on an idle machine.

    python -m benchmarks.robot_kills [--kills 100] [--seed 0] [--record FILE]

A policy in a server of its own swings the stand-in arm as fast as its guard allows (.25 m/s at the flange), through
the step loop and the guard that a bench has; the arm's motors are a process that nobody kills. Killed (SIGKILL), at
random instants of the motion, are the policy's server, the process of the step loop, and the guard, after which the
motors' own watchdog is all that is left. Measured is the way of the flange, as the motors had it every 10 ms, from the
last command that the guard took until it is still. Each kill takes some ten seconds; with `--record` it is a line of a
file, and the same command goes on from there.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.stand_in_bench import PolicyServer, make_bench, stop_process
from benchmarks.stats_sequential import markdown
from roboscale.core import Case, InfrastructureError, PolicyError, RolloutSettings
from roboscale.policies.remote import RemotePolicy
from roboscale.trials.rollout import rollout
from roboscale.worlds.real.guarded import GuardedRobot
from roboscale.worlds.real.robot_world import RobotWorld

Victim = Literal["policy server", "step loop", "guard"]
VICTIMS: tuple[Victim, ...] = ("policy server", "step loop", "guard")
BAR_M = 0.020
STILL_M_S = 0.002
MOVING_M_S = 0.12  # the guard can end every way at its goal, so .25 m/s is a peak, and .13 to .16 the mean
WATCH_S = 1.2
SWING = '''
import numpy as np
WAY = [1.0]


def swing(observation):
    """Left and right, farther with every command than the guard lets it go."""
    here = observation["observation.state"]
    if abs(here[0]) > 0.7:
        WAY[0] = -np.sign(here[0])
    return here + np.array([0.3 * WAY[0], 0.0, 0.0], np.float32)
'''


class Noting(GuardedRobot):
    """A guarded robot that writes down when a command was taken."""

    def __init__(self, declaration: Path, file: Path) -> None:
        super().__init__(declaration)
        self._file = file.open("a", buffering=1)

    def send(self, action: NDArray[Any]) -> NDArray[Any]:
        taken = super().send(action)
        self._file.write(f"{time.monotonic():.4f}\n")
        return taken


def move(declaration: Path, url: str) -> None:
    """The step loop's process: episode after episode, whatever is killed beside it."""
    robot = Noting(declaration, declaration.with_name("commands.txt"))
    world = RobotWorld(robot, robot.prepare)
    policy = RemotePolicy(url)
    settings = RolloutSettings(horizon=100_000, rate_hz=world.info.rate_hz, pace="wall", watch="person")
    driven = declaration.with_name("driven.txt")
    for seed in range(1_000_000):
        try:
            if robot.lost:
                robot.connect()
                robot.release()
            run = rollout(world, Case("reach", seed), settings)
            observation = next(run)
            session = policy.start("swing", seed)
            while True:
                driven.touch()
                try:
                    answer: Any = session(observation)
                except (InfrastructureError, PolicyError) as error:
                    answer = error
                observation = run.send(answer)
        except StopIteration:
            pass
        except InfrastructureError:
            pass
        time.sleep(2 * WATCH_S)  # it is watched whether the arm keeps still


@dataclass(frozen=True, kw_only=True)
class Stop:
    """What one kill came to: way of the flange (m) after the last command and after the kill, speed before (m/s)."""

    victim: Victim
    after_command_m: float
    after_kill_m: float
    speed_m_s: float


class Bench:
    """The processes, and what the motors wrote."""

    def __init__(self, folder: Path, moving_m_s: float = MOVING_M_S) -> None:
        self.folder, self.moving_m_s = folder, moving_m_s
        self.declaration = make_bench(folder / "bench", horizon=100_000, height=0)
        (self.folder / "swing.py").write_text(SWING)
        self.server = PolicyServer(folder, "swing.py:swing")
        self.mover: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Whatever does not run."""
        if self.server.process is None or self.server.process.poll() is not None:
            self.server.start()
        if self.mover is None or self.mover.poll() is not None:
            words = [sys.executable, "-m", "benchmarks.robot_kills", "--move", str(self.declaration), self.server.url]
            self.mover = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True)

    @property
    def guard(self) -> int:
        """The process that owns the robot now: whoever talks to the motors, which write it down; 0 for nobody."""
        file = self.folder / "bench" / "flange.txt"
        rows = file.read_text().splitlines()[-2:-1] if file.exists() else []
        return int(rows[0].split()[4]) if rows and len(rows[0].split()) == 5 else 0

    def flange(self, since_s: float) -> NDArray[np.float64]:
        """Time and place of the flange, (n, 4), seconds and metres, since then."""
        with (self.folder / "bench" / "flange.txt").open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 40_000))
            rows = [line.split()[:4] for line in file.read().decode().splitlines()[1:] if len(line.split()) == 5]
        table = np.array(rows, np.float64).reshape(-1, 4)
        return table[table[:, 0] >= since_s]

    def moves(self) -> bool:
        """Whether the flange went fast during the last 200 ms and a policy drove it: on its way home none is asked."""
        now, driven = time.monotonic(), self.declaration.with_name("driven.txt")
        if not (self.folder / "bench" / "flange.txt").exists() or not driven.exists():
            return False
        if time.time() - driven.stat().st_mtime > 0.3:
            return False
        return speed(self.flange(now - 0.25), now) > self.moving_m_s

    def kill(self, victim: Victim, draw: np.random.Generator) -> Stop | None:
        """Kills one process in motion; `None` where the arm turned around just then."""
        until = time.monotonic() + 60
        self.start()
        begun: float | None = None
        wait_s = float(draw.uniform(0.2, 1.5))
        while begun is None or time.monotonic() < begun + wait_s:
            if begun is None and self.guard and self.moves():
                begun = time.monotonic()
            if time.monotonic() > until:
                raise SystemExit(f"the arm does not move; see {self.folder}")
            time.sleep(0.01)
        at = self._killers()[victim]()
        time.sleep(WATCH_S)
        seen = self.flange(at - 0.3)
        while seen[-1, 0] < at + WATCH_S:  # the motors write late on a crowded machine
            time.sleep(0.1)
            seen = self.flange(at - 0.3)
        before = speed(seen, at)
        if before < self.moving_m_s:
            return None
        times = [float(x) for x in (self.declaration.with_name("commands.txt")).read_text().split()[-200:]]
        last = max((t for t in times if t <= at + (WATCH_S if victim == "policy server" else 0)), default=at)
        if speed(seen, float(seen[-1, 0])) > STILL_M_S:
            raise SystemExit(f"after a kill of the {victim} the arm still moves")
        return Stop(victim=victim, after_command_m=way(seen, last), after_kill_m=way(seen, at), speed_m_s=before)

    def _killers(self) -> dict[Victim, Callable[[], float]]:
        return {
            "policy server": self.server.kill,
            "step loop": lambda: _killed(self.mover),
            "guard": lambda: _killed_number(self.guard),
        }

    def close(self) -> None:
        """Ends all processes; the motors end by themselves when nobody asks."""
        stop_process(self.mover)
        stop_process(self.server.process)


def _killed(process: subprocess.Popen[str] | None) -> float:
    assert process is not None
    process.kill()
    at = time.monotonic()
    process.wait()
    return at


def _killed_number(number: int) -> float:
    os.kill(number, signal.SIGKILL)
    return time.monotonic()


def way(flange: NDArray[np.float64], since_s: float) -> float:
    """How far the flange went since then, metres along its path."""
    path = flange[flange[:, 0] >= since_s, 1:]
    return float(np.linalg.norm(np.diff(path, axis=0), axis=1).sum())


def speed(flange: NDArray[np.float64], until_s: float) -> float:
    """Metres a second over the 200 ms before."""
    last = flange[(flange[:, 0] > until_s - 0.2) & (flange[:, 0] <= until_s)]
    return way(last, -np.inf) / 0.2 if len(last) > 2 else 0.0


def measure(
    folder: Path, kills: int, seed: int, moving_m_s: float = MOVING_M_S, record: Path | None = None
) -> list[Stop]:
    """So many kills of each process, in turn, while the flange is at least so fast; those on record included."""
    stops = recorded(record)
    draw = np.random.default_rng([seed, len(stops)])
    bench = Bench(folder, moving_m_s)
    try:
        while len(stops) < kills * len(VICTIMS):
            stop = bench.kill(VICTIMS[len(stops) % len(VICTIMS)], draw)
            if stop is None:
                continue
            stops.append(stop)
            if record is not None:
                with record.open("a") as file:
                    file.write(json.dumps(dataclasses.asdict(stop)) + "\n")
    finally:
        bench.close()
    return stops


def recorded(record: Path | None) -> list[Stop]:
    """The kills of earlier runs."""
    lines = [] if record is None or not record.exists() else record.read_text().splitlines()
    return [Stop(**json.loads(line)) for line in lines]


def table(stops: list[Stop]) -> list[list[str]]:
    """A row of each victim: kills, speed before, way after the last command (median, most), after the kill (most)."""
    rows = []
    for victim in dict.fromkeys(stop.victim for stop in stops):
        mine = [stop for stop in stops if stop.victim == victim]
        after = np.array([stop.after_command_m for stop in mine]) * 1e3
        killed = np.array([stop.after_kill_m for stop in mine]) * 1e3
        fast = np.mean([stop.speed_m_s for stop in mine])
        rows.append([
            victim, str(len(mine)), f"{fast:.2f}", f"{np.median(after):.1f}", f"{after.max():.1f}",
            f"{killed.max():.1f}",
        ])  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100, help="of each process")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--record", type=Path, help="file of kills; one that is there is gone on with")
    parser.add_argument("--move", nargs=2, metavar=("DECLARATION", "URL"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.move:
        move(Path(asked.move[0]), asked.move[1])
        return
    with tempfile.TemporaryDirectory() as folder:
        stops = measure(Path(folder), asked.kills, asked.seed, record=asked.record)
    head = ["killed", "times", "m/s before", "mm after the last command, median", "most", "mm after the kill, most"]
    print(markdown(head, table(stops)))
    most = max(stop.after_command_m for stop in stops)
    held = most <= BAR_M
    said = "held" if held else "NOT HELD"
    print(f"at most {1e3 * most:.1f} mm after the last command; the bar is {1e3 * BAR_M:g} mm: {said}")
    if not held:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
