"""What a training sample costs to read, beside LeRobot 0.4.4 on the same files, in one run.

One 480x640 camera (AV1, a key frame every two frames) and a chunk of 50 actions; and the chunk without a camera.
CPU milliseconds a sample, on one core: the median over groups of ten samples, of which a random order asks each
loader for the same frames. The numbers that both sides return are compared too. LeRobot runs as a second process
in `.venv-oracle-0.4.4`, which `make oracle` builds; without it, only ours is measured.

    python -m benchmarks.loader
    python -m benchmarks.loader --samples 100 --json
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Field, Provenance, Spec
from roboscale.dataset import Dataset, DatasetWriter
from roboscale.dataset.video import VideoReader

HERE = Path(__file__).parent
PEER = HERE.parent / ".venv-oracle-0.4.4/bin/python"
CAMERA = "observation.images.front"
HEIGHT, WIDTH, FPS, GROUP = 480, 640, 30, 10

TARGETS = {
    "float32 picture, random": ("camera, random", 1 / 2),
    "uint8 picture, random": ("camera, random", 1 / 3),
    "uint8 picture, block-shuffled": ("camera, random", 1 / 6),
    "float32 picture, block-shuffled": ("camera, random", None),
    "float32 picture, in order": ("camera, in order", 1 / 2),
    "chunk without camera": ("table, random", 0.05 / 2.3),
    "decoding alone, random": ("decode, random", None),
}
"""Row -> what of LeRobot's it is compared with, and the largest ratio wanted."""


def scenes(seed: int, frames: int) -> Iterator[NDArray[np.uint8]]:
    """A textured table, a disc that moves over it, and a camera's noise."""
    rng = np.random.default_rng(seed)
    table = 120 + sum(strength * smooth(rng, cells) for cells, strength in ((8, 60), (32, 40), (120, 15)))
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    for t in range(frames):
        distance = np.hypot(x - 320 - 200 * np.cos(t / 15 + seed), y - 240 - 120 * np.sin(t / 11))
        disc = np.clip(40 - distance, 0, 4)[..., None] / 4
        picture = table * (1 - disc) + np.array([200, 60, 60]) * disc + rng.normal(size=(HEIGHT, WIDTH, 1)) * 3
        yield np.clip(picture, 0, 255).astype(np.uint8)


def smooth(rng: np.random.Generator, cells: int) -> NDArray[Any]:
    """Random colours on a grid, blended between its points: (H, W, 3)."""
    grid = rng.normal(size=(cells * 3 // 4 + 2, cells + 2, 3))
    y, x = np.linspace(0, cells * 3 // 4, HEIGHT), np.linspace(0, cells, WIDTH)
    top, left = y.astype(int), x.astype(int)
    down, right = (y - top)[:, None, None], (x - left)[None, :, None]
    upper = grid[top][:, left] * (1 - right) + grid[top][:, left + 1] * right
    lower = grid[top + 1][:, left] * (1 - right) + grid[top + 1][:, left + 1] * right
    return np.asarray(upper * (1 - down) + lower * down)


def write(root: Path, episodes: int, frames: int, *, camera: bool) -> None:
    """A dataset in the format that both sides read, its video as LeRobot encodes it."""
    arm = [Field(name, (14,), "float32") for name in ("observation.state", "action")]
    spec = Spec((*arm, Field(CAMERA, (HEIGHT, WIDTH, 3), "uint8")) if camera else tuple(arm), FPS)
    with DatasetWriter(root, spec, robot_type="arm", codec="av1") as writer:
        for seed in range(episodes):
            rng = np.random.default_rng(seed)
            take = writer.begin("put the red block on the green plate", Provenance("benchmark"))
            for picture in scenes(seed, frames) if camera else [None] * frames:
                frame: dict[str, NDArray[Any]] = {f.name: rng.normal(size=14).astype(np.float32) for f in arm}
                take.add(frame if picture is None else {**frame, CAMERA: picture})
            take.save()


def cpu_ms(read: Callable[[Any], object], indices: Iterable[Any]) -> float:
    """Median over groups of samples of the CPU time a sample."""
    times, before = [], time.process_time()
    for number, index in enumerate(indices, 1):
        read(index)
        if number % GROUP == 0:
            now = time.process_time()
            times.append((now - before) / GROUP * 1e3)
            before = now
    return float(np.median(times))


def ours(camera: Path, table: Path, samples: int, chunk: int) -> dict[str, float]:
    """CPU milliseconds a sample, by row of the table."""
    import torch

    from roboscale.dataset.loader import IterableFrames

    torch.set_num_threads(1)
    windows = {"action": [k / FPS for k in range(chunk)]}
    numbers = Dataset(table, to="torch", delta_timestamps=windows)
    rows = np.random.default_rng(0).integers(0, len(numbers), 10 * samples).tolist()
    numbers[0]
    found = {"chunk without camera": cpu_ms(numbers.__getitem__, rows)}
    forms: tuple[Literal["float32", "uint8"], ...] = ("float32", "uint8")
    for images in forms:
        pictures = Dataset(camera, to="torch", images=images, delta_timestamps=windows)
        random = np.random.default_rng(0).integers(0, len(pictures), samples).tolist()
        pictures[0]
        found[f"{images} picture, random"] = cpu_ms(pictures.__getitem__, random)
        found[f"{images} picture, in order"] = cpu_ms(pictures.__getitem__, range(samples))
        stream = iter(IterableFrames(pictures, buffer=64))
        next(stream)  # fills the buffer
        found[f"{images} picture, block-shuffled"] = cpu_ms(lambda _, frames=stream: next(frames), range(samples))
    video = VideoReader(next(camera.rglob("*.mp4")), FPS)
    found["decoding alone, random"] = cpu_ms(lambda i: video.read([i]), random)
    return found


def peer(camera: Path, table: Path, samples: int, chunk: int, out: Path) -> dict[str, float]:
    """LeRobot's figures; its samples go to `out`."""
    command = [PEER, HERE / "loader_peer.py", camera, table, samples, chunk, out]
    quiet = {"HF_HUB_OFFLINE": "1", "HF_LEROBOT_HOME": str(out.parent), "HF_HOME": str(out.parent / "hub")}
    environment = {**os.environ, **quiet, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"LeRobot's side failed:\n{done.stderr}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def differences(camera: Path, chunk: int, samples: Path) -> dict[str, float]:
    """Largest absolute difference of each feature between what the two sides return; pictures in levels of 255."""
    dataset = Dataset(camera, delta_timestamps={"action": [k / FPS for k in range(chunk)]})
    with np.load(samples) as file:
        theirs = dict(file)
    items = [dataset[int(i)] for i in theirs.pop("indices")]
    worst = {}
    for key, expected in theirs.items():
        found = np.stack([item[key] for item in items])
        if found.shape != expected.shape:
            raise SystemExit(f"{key}: LeRobot gives {expected.shape}, ours {found.shape}")
        worst[key] = float(np.abs(found.astype(np.float64) - expected).max()) * (255 if key == CAMERA else 1)
    return worst


def show(mine: dict[str, float], theirs: dict[str, float]) -> None:
    print(f"{'CPU ms a sample':34}{'ours':>8}{'LeRobot':>10}{'ratio':>8}{'wanted':>9}")
    for row, (other, wanted) in TARGETS.items():
        line = f"{row:34}{mine[row]:8.3f}"
        if theirs:
            limit = "" if wanted is None else f"<= {wanted:.3f}"
            line += f"{theirs[other]:10.3f}{mine[row] / theirs[other]:8.3f}{limit:>9}  ({other})"
        print(line)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--chunk", type=int, default=50)
    parser.add_argument("--episodes", type=int, default=6)
    parser.add_argument("--frames", type=int, default=100, help="of each episode")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        camera, table, out = Path(folder, "camera"), Path(folder, "table"), Path(folder, "peer.npz")
        write(camera, asked.episodes, asked.frames, camera=True)
        write(table, 20, 200, camera=False)
        mine = ours(camera, table, asked.samples, asked.chunk)
        theirs, apart = {}, {}
        if PEER.exists():
            theirs = peer(camera, table, asked.samples, asked.chunk, out)
            apart = differences(camera, asked.chunk, out)
    if asked.json:
        print(json.dumps({"ours": mine, "lerobot": theirs, "differences": apart}))
        return
    show(mine, theirs)
    if apart:
        print("largest difference:", ", ".join(f"{key} {value:g}" for key, value in apart.items()))
    else:
        print("LeRobot was not measured: `make oracle` builds the environment that it runs in")


if __name__ == "__main__":
    main()
