"""What durability costs: time per saved episode, with it and without, the encoder's flush apart.

    python benchmarks/dataset_durability.py [--episodes 40] [--frames 100] [--rounds 5]

Bar: at most 5 ms more per saved episode. Both modes record the same frames in turn; medians over all episodes.
Judged in CPU time, since a save waits for nothing; on a machine that does other work besides, wall time says how long
it had to queue.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Field, Outcome, Provenance, Spec
from roboscale.dataset import DatasetTake, DatasetWriter

BAR_MS = 5.0
SPEC = Spec(
    (
        Field("observation.state", (39,), "float32"),
        Field("observation.images.front", (96, 96, 3), "uint8"),
        Field("observation.images.wrist", (96, 96, 3), "uint8"),
        Field("action", (4,), "float32"),
        Field("applied.action", (4,), "float32"),
        Field("time.front_ns", (1,), "int64", unit="ns"),
    ),
    10,
)


class Clock:
    """Adds up wall and CPU seconds of what runs inside `timed`."""

    def __init__(self) -> None:
        self.wall = self.cpu = 0.0

    @contextmanager
    def timed(self) -> Iterator[None]:
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.wall += time.perf_counter() - wall
        self.cpu += time.process_time() - cpu


def episode(frames: int) -> list[dict[str, NDArray[Any]]]:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:96, 0:96]
    found = []
    for t in range(frames):
        frame: dict[str, NDArray[Any]] = {}
        for field in SPEC:
            if field.is_image:
                frame[field.name] = np.stack([x * 2, y * 2, x + y + t], axis=-1).astype(np.uint8)
            else:
                frame[field.name] = rng.normal(size=field.shape).astype(field.dtype)
        found.append(frame)
    return found


def close_encoders(take: DatasetTake) -> None:
    """Flushes ahead of `save`, so that timing it leaves the encoder out."""
    for encoder in take._encoders.values():
        encoder.close()
        encoder.close = lambda: None  # type: ignore[method-assign]


def record(
    root: Path, frames: list[dict[str, NDArray[Any]]], episodes: int, durable: bool
) -> tuple[list[Clock], Clock]:
    """Times of each `save`, and of the recording as a whole, sealing included."""
    saves, whole = [], Clock()
    with whole.timed(), DatasetWriter(root, SPEC, durable=durable) as writer:
        for _ in range(episodes):
            take = writer.begin("pick up the red cube and put it down", Provenance("benchmark"))
            for frame in frames:
                take.add(frame)
            close_encoders(take)
            clock = Clock()
            with clock.timed():
                take.save(Outcome("success"))
            saves.append(clock)
    return saves, whole


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=40)
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    frames = episode(options.frames)
    saves: dict[bool, list[Clock]] = {True: [], False: []}
    wholes: dict[bool, list[Clock]] = {True: [], False: []}
    for round_ in range(options.rounds):
        for durable in (True, False) if round_ % 2 else (False, True):
            folder = Path(tempfile.mkdtemp(prefix="roboscale-durability-"))
            try:
                some, whole = record(folder / "set", frames, options.episodes, durable)
            finally:
                shutil.rmtree(folder)
            saves[durable] += some
            wholes[durable].append(whole)

    def median_ms(clocks: list[Clock], kind: str) -> float:
        return 1e3 * statistics.median(getattr(clock, kind) for clock in clocks)

    print(f"{options.rounds} x {options.episodes} episodes of {options.frames} frames, two 96x96 cameras")
    for kind in ("wall", "cpu"):
        on, off = median_ms(saves[True], kind), median_ms(saves[False], kind)
        print(f"save, encoder apart ({kind}): durable {on:.2f} ms, not {off:.2f} ms, difference {on - off:.2f} ms")
        ratio = median_ms(wholes[True], kind) / median_ms(wholes[False], kind)
        print(f"whole recording with sealing ({kind}): durable / not = {ratio:.3f}")
    extra = median_ms(saves[True], "cpu") - median_ms(saves[False], "cpu")
    verdict = "kept" if extra <= BAR_MS else "MISSED"
    print(f"bar: {BAR_MS:g} ms of CPU more per saved episode: {verdict} at {extra:.2f} ms")


if __name__ == "__main__":
    main()
