"""A small robot that never was: the spec and frames that the dataset tests record.

Run as a program it is the process that the durability tests kill:

    python recorder.py ROOT EPISODES SEAL_EVERY

It prints `ready`, then `saved <id> <length> <seed>` for each episode, `sealing` before each seal, then `done`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Field, Outcome, Provenance, Spec, new_episode_id
from roboscale.dataset import DatasetWriter

SIZE = 48
SPEC = Spec(
    (
        Field("observation.state", (4,), "float32", unit="m", frame="world", layout=("x", "y", "z", "gripper_width")),
        Field("observation.images.front", (SIZE, SIZE, 3), "uint8"),
        Field("observation.images.wrist", (SIZE, SIZE, 3), "uint8"),
        Field("action", (3,), "float32"),
        Field("applied.action", (3,), "float32"),
        Field("time.front_ns", (1,), "int64", unit="ns"),
    ),
    10,
)


def picture(hue: int, t: int) -> NDArray[np.uint8]:
    """A smooth background and a ball that moves: every frame differs from every other."""
    y, x = np.mgrid[0:SIZE, 0:SIZE]
    background = np.stack([x * 2 + 40, y * 2 + 60, np.full_like(x, (hue * 37) % 200)], axis=-1)
    centre = 8 + (3 * t + hue) % (SIZE - 16)
    ball = np.clip(9 - np.hypot(x - centre, y - 18), 0, 4)[..., None] / 4
    return np.asarray(background * (1 - ball) + np.array([200, 60, 60]) * ball).astype(np.uint8)


def frames(seed: int, length: int, spec: Spec = SPEC) -> list[dict[str, NDArray[Any]]]:
    rng = np.random.default_rng(seed)
    found = []
    for t in range(length):
        frame: dict[str, NDArray[Any]] = {}
        for k, field in enumerate(spec):
            if field.is_image:
                frame[field.name] = picture(seed + 5 * k, t)
            elif field.dtype == "int64":
                frame[field.name] = np.full(field.shape, 1_700_000_000_000_000_000 + seed * 10**9 + t * 10**8)
            elif field.dtype == "bool":
                frame[field.name] = rng.random(field.shape) < 0.5
            else:
                frame[field.name] = rng.normal(size=field.shape).astype(field.dtype)
        found.append(frame)
    return found


def record(writer: DatasetWriter, seed: int, length: int, instruction: str = "push the red block to the goal") -> str:
    take = writer.begin(
        instruction,
        Provenance("test", embodiment="square", seed=seed),
        episode_id=new_episode_id(np.random.default_rng(seed)),
    )
    for frame in frames(seed, length, writer.spec):
        take.add(frame)
    return take.save(Outcome("success", steps=length, terminated=True))


def main(root: str, episodes: str, seal_every: str) -> None:
    print("ready", flush=True)
    with DatasetWriter(Path(root), SPEC) as writer:
        for seed in range(int(episodes)):
            length = 3 + seed % 4
            print("saved", record(writer, seed, length), length, seed, flush=True)
            if (seed + 1) % int(seal_every) == 0 or seed + 1 == int(episodes):
                print("sealing", flush=True)
                writer.seal()
    print("done", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
