"""What a long rollout that is recorded costs in memory: proportional set size of all processes, minute by minute.

    python -m benchmarks.rollout_memory [--minutes 10] [--codec h264|av1] [--workers 1]

A small world shows two cameras of 480 x 640 at 30 Hz on a simulated clock, and one episode of it is recorded as
`eval --record` does where a world cannot be replayed: a slot in a process of its own, whose take the writer adopts.
Memory is `Pss` of `/proc/PID/smaps_rollup`, summed over this process and all that it started. It is read at every
simulated minute, and several times a second while the episode is saved, adopted and sealed.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections.abc import Collection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roboscale.core import (
    ActionChunk,
    Case,
    Field,
    Measure,
    Observation,
    Provenance,
    RolloutSettings,
    Spec,
    Step,
    Trial,
    WorldInfo,
    combine,
)
from roboscale.dataset import DatasetWriter
from roboscale.referees import Person
from roboscale.trials import make_slots, recording_spec
from roboscale.trials.slots import Finished, Job, Keeping, Slot

RATE_HZ = 30
HEIGHT, WIDTH, SIDE = 480, 640, 60
STATE = Field("observation.state", (14,), "float32", unit="rad")
CAMERAS = tuple(Field(f"observation.images.{n}", (HEIGHT, WIDTH, 3), "uint8") for n in ("front", "wrist"))
ACTION = Field("action", (14,), "float32", unit="rad", low=(-1.0,) * 14, high=(1.0,) * 14)
ROWS = 10  # of every chunk
EPISODE = "0" * 32


class MovingSquares:
    """Two cameras that see a square move over a smooth background; nothing ever succeeds."""

    def __init__(self) -> None:
        self.info = WorldInfo(
            name="moving squares",
            kind="simulated",
            version="1",
            identity=combine("moving squares", 1),
            tasks={"watch": "watch the squares until nobody looks any more"},
            observation_spec=Spec((STATE, *CAMERAS), RATE_HZ),
            action_spec=Spec((ACTION,), RATE_HZ),
            horizon=18_000,
            measures=(Measure(name="distance", unit="m", series=True), Measure(name="speed", unit="m/s", series=True)),
        )
        y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
        self.background = np.stack([x // 3, y // 2, (x + y) // 5], axis=-1).astype(np.uint8)

    def start(self, case: Case) -> Squares:
        return Squares(self)

    def close(self) -> None:
        """Nothing to give back."""


class Squares:
    """One episode."""

    def __init__(self, world: MovingSquares) -> None:
        self.world, self.steps = world, 0

    def observe(self, names: Collection[str] | None = None) -> Observation:
        wanted = self.world.info.observation_spec.names if names is None else names
        state = np.sin(self.steps / 50 + np.arange(14)).astype(np.float32)
        return {n: state if n == STATE.name else self._picture(n) for n in wanted}

    def _picture(self, name: str) -> NDArray[np.uint8]:
        image = self.world.background.copy()
        shift = self.steps * (2 if name.endswith("front") else 5)
        top, left = shift % (HEIGHT - SIDE), 3 * shift % (WIDTH - SIDE)
        image[top : top + SIDE, left : left + SIDE] = (200, 60, shift % 256)
        return image

    def step(self, action: NDArray[np.float32]) -> Step:
        self.steps += 1
        return Step()

    def measures(self) -> dict[str, float | None]:
        return {"distance": 1 / (1 + self.steps), "speed": float(self.steps % 7)}

    def close(self) -> None:
        """Nothing to give back."""


def family() -> list[int]:
    """This process and all that descend from it."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue  # it ended meanwhile
    members = {int(Path("/proc/self").resolve().name)}
    while more := {pid for pid, parent in parents.items() if parent in members} - members:
        members |= more
    return sorted(members)


def memory_mb() -> float:
    """Proportional set size of the family, megabytes of 10**6 bytes."""
    total = 0
    for pid in family():
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        total += next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
    return total * 1024 / 1e6


class Peak:
    """The most memory that was in use while it watched."""

    def __init__(self) -> None:
        self.mb, self._stop = 0.0, threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self._stop.wait(0.05):
            self.mb = max(self.mb, memory_mb())

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._stop.set()
        self._thread.join()


def job(minutes: int) -> Job:
    """One long episode, with one chunk to go after the last minute."""
    info = MovingSquares().info
    trial = Trial(
        policy=combine("waver", 1),
        world=info.identity,
        case=Case("watch", 0),
        settings=RolloutSettings(horizon=minutes * 60 * RATE_HZ + ROWS, rate_hz=RATE_HZ),
    )
    keep = Keeping(EPISODE, info.instruction("watch"), Provenance("eval"))
    return Job(trial=trial, referee=Person(), keep=keep)


def roll(slot: Slot, minutes: int) -> tuple[list[float], float, Finished]:
    """Memory at the end of every simulated minute, the peak of the last second with the save, and what came of it."""
    slot.begin(job(minutes))
    readings: list[float] = []
    steps, begun = 0, time.monotonic()
    while not isinstance(event := slot.event(), Finished):
        if steps and steps % (60 * RATE_HZ) == 0:
            readings.append(memory_mb())
            speed = steps / (time.monotonic() - begun)
            print(f"minute {len(readings):3}: {readings[-1]:7.1f} MB, {speed:.0f} steps/s", flush=True)
        chunk = ActionChunk(np.full((ROWS, 14), np.sin(steps / 100), np.float32))
        steps += ROWS
        if len(readings) == minutes:
            with Peak() as peak:
                slot.answer(chunk)
                event = slot.event()
            assert isinstance(event, Finished), "the episode is over"
            return readings, peak.mb, event
        slot.answer(chunk)
    raise AssertionError(f"the episode ended early: {event.trial.reason}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=int, default=10, help="simulated minutes")
    parser.add_argument("--codec", choices=("h264", "av1"), default="h264")
    parser.add_argument("--workers", type=int, choices=(0, 1), default=1, help="0 runs the world in this process")
    args = parser.parse_args()
    spec = recording_spec(MovingSquares().info)
    with tempfile.TemporaryDirectory() as folder:
        with DatasetWriter(Path(folder) / "set", spec, codec=args.codec) as writer:
            (slot,) = make_slots(MovingSquares, workers=args.workers, sink=writer.apart())
            readings, saving, finished = roll(slot, args.minutes)
            with Peak() as peak:
                writer.adopt(finished.trial.episode)
                writer.seal()
            slot.close()
        size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    print(
        f"{args.codec}, two cameras of {HEIGHT} x {WIDTH}, {finished.trial.steps} steps, {size / 1e6:.0f} MB written"
    )
    print(f"minute 1 {readings[0]:.1f} MB, minute {args.minutes} {readings[-1]:.1f} MB")
    print(f"growth   {readings[-1] - readings[0]:+.1f} MB")
    print(f"peak     {saving:.1f} MB while saving, {peak.mb:.1f} MB while adopting and sealing")


if __name__ == "__main__":
    main()
